#include "crawler/fetch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/version.h"

#define LIMIT_FILE_MAX (16u << 20) /* bytes */
#define LIMIT_MAX      64          /* requests in flight at one host */

static const char *const reason_names[FETCH_REASONS] = {
#define X(code, name, outcome) name,
    FETCH_REASON_MAP(X)
#undef X
};

static const enum fetch_outcome reason_outcomes[FETCH_REASONS] = {
#define X(code, name, outcome) outcome,
    FETCH_REASON_MAP(X)
#undef X
};

const char *fetch_reason_name(enum fetch_reason r)
{
    return reason_names[r];
}

enum fetch_outcome fetch_reason_outcome(enum fetch_reason r)
{
    return reason_outcomes[r];
}

void fetch_config_init(struct fetch_config *c, enum fetch_mode mode)
{
    memset(c, 0, sizeof *c);
    c->mode = mode;
    c->version = WITMILL_VERSION;
    c->min_delay_s = -1;
    c->in_flight = 128;
    c->queue_max = 16384;
    c->hosts_max = 65536;
    c->robots_max = 256u << 20;
    c->retries = 3;
    c->host_failures = 12;
    c->backoff_ms = 2000;
    c->retry_after_max_s = 900;
    c->page_max = 4u << 20;
    c->image_max = 32u << 20;
    c->dns_timeout_ms = 10000;
    c->connect_timeout_ms = 10000;
    c->total_timeout_ms = 60000;
    c->slow_bytes_s = 256;
    c->slow_time_s = 15;
}

void fetch_config_from(struct fetch_config *c, enum fetch_mode mode,
                       const struct fetch_config *given)
{
    fetch_config_init(c, mode);
    c->contact = given->contact;
    c->allow_net = given->allow_net;
    c->resolve = given->resolve;
    c->no_dns = given->no_dns;
    c->dns_servers = given->dns_servers;
    c->host_limit = given->host_limit;
    c->ca_file = given->ca_file;
    c->in_flight = given->in_flight;
    c->retries = given->retries;
    c->backoff_ms = given->backoff_ms;
    c->retry_after_max_s = given->retry_after_max_s;
    c->connect_timeout_ms = given->connect_timeout_ms;
    c->total_timeout_ms = given->total_timeout_ms;
}

/* Whoever runs a server must be able to ask who that was. */
static int check_contact(const char *contact, struct err *e)
{
    struct str s = str_of(contact);
    struct str tail;
    size_t at;

    if (s.n == 0)
        return err_set(e, E_USAGE,
                       "--contact is missing: a URL or e-mail address where "
                       "site owners reach you; it is sent with every request");
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f ||
            s.p[i] == '(' || s.p[i] == ')')
            return err_set(e, E_USAGE,
                           "--contact %s: no spaces, parentheses or "
                           "characters beyond ASCII",
                           contact);
    if (str_starts(s, STR("http://")) || str_starts(s, STR("https://"))) {
        tail = str_slice(s, str_find(s, STR("://"), 0) + 3, s.n);
        at = str_find_char(tail, '.', 1);
    } else {
        at = str_find_char(s, '@', 1);
        tail = s;
    }
    if (at == SIZE_MAX || at + 1 >= tail.n)
        return err_set(e, E_USAGE,
                       "--contact %s: expected a URL (https://...) or an "
                       "e-mail address",
                       contact);
    return 0;
}

static int parse_port(struct str s, unsigned *port)
{
    uint64_t v;

    if (str_u64(s, &v) || v == 0 || v > 65535)
        return -E_RANGE;
    *port = (unsigned)v;
    return 0;
}

/* HOST:PORT:ADDR:PORT2, ADDR in brackets when it has colons of its own. */
static int take_resolve(struct fetch *f, const char *arg, struct err *e)
{
    struct fetch_resolve *r = &f->resolve[f->n_resolve];
    struct str rest = str_of(arg), host, port, addr;
    size_t last;

    memset(r, 0, sizeof *r);
    if (!str_split(&rest, ':', &host) || !rest.p ||
        !str_split(&rest, ':', &port) || !rest.p)
        goto bad;
    for (last = rest.n; last > 0 && rest.p[last - 1] != ':'; last--)
        ;
    if (last == 0 || host.n == 0)
        goto bad;
    addr = str_slice(rest, 0, last - 1);
    if (addr.n > 2 && addr.p[0] == '[' && addr.p[addr.n - 1] == ']')
        addr = str_slice(addr, 1, addr.n - 1);
    if (parse_port(port, &r->port) || !netguard_parse(addr, &r->addr) ||
        parse_port(str_slice(rest, last, rest.n), &r->port2))
        goto bad;
    r->host = xstrndup(host);
    for (char *p = r->host; *p; p++)
        *p = str_lower_char(*p);
    f->n_resolve++;
    return 0;
bad:
    return err_set(e, E_USAGE,
                   "--resolve %s: expected HOST:PORT:ADDR:PORT2, for example "
                   "manual.test:80:127.0.0.1:8080",
                   arg);
}

static int by_host(const void *a, const void *b)
{
    const struct fetch_limit *x = a, *y = b;

    return strcmp(x->host, y->host);
}

static int take_limits(struct fetch *f, const char *path, struct err *e)
{
    struct buf file;
    struct str rest, line;
    size_t cap = 0, number = 0;
    int rc;

    buf_init(&file, LIMIT_FILE_MAX);
    rc = io_read_file(path, &file, e);
    rest = buf_str(&file);
    while (!rc && str_split(&rest, '\n', &line)) {
        struct str host;
        uint64_t limit;
        size_t space;

        number++;
        line = str_trim(str_slice(line, 0, str_find_char(line, '#', 0)));
        if (line.n == 0)
            continue;
        for (space = 0; space < line.n && !str_is_space(line.p[space]);)
            space++;
        host = str_slice(line, 0, space);
        if (str_u64(str_trim(str_slice(line, space, line.n)), &limit) ||
            limit == 0 || limit > LIMIT_MAX) {
            rc = err_set(e, E_USAGE, "%s:%zu: expected HOST and 1 to %d", path,
                         number, LIMIT_MAX);
            break;
        }
        f->limits = xgrow(f->limits, &cap, f->n_limits + 1, sizeof *f->limits);
        f->limits[f->n_limits].host = xstrndup(host);
        for (char *p = f->limits[f->n_limits].host; *p; p++)
            *p = str_lower_char(*p); /* as canonical URLs have it */
        f->limits[f->n_limits++].limit = (unsigned)limit;
    }
    buf_release(&file);
    if (f->n_limits)
        qsort(f->limits, f->n_limits, sizeof *f->limits, by_host);
    return rc;
}

unsigned fetch_limit_of(const struct fetch *f, struct str host)
{
    size_t low = 0, high = f->n_limits;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_cmp(str_of(f->limits[mid].host), host);

        if (c == 0)
            return f->limits[mid].limit;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

static int by_host_and_port(const void *a, const void *b)
{
    const struct fetch_resolve *x = a, *y = b;
    int c = strcmp(x->host, y->host);

    return c ? c : (x->port > y->port) - (x->port < y->port);
}

const struct fetch_resolve *fetch_resolve_of(const struct fetch *f,
                                             struct str host, unsigned port)
{
    size_t low = 0, high = f->n_resolve;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct fetch_resolve *r = &f->resolve[mid];
        int c = str_cmp(str_of(r->host), host);

        if (c == 0 && r->port == port)
            return r;
        if (c < 0 || (c == 0 && r->port < port))
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int check_numbers(const struct fetch_config *c, struct err *e)
{
    if (c->in_flight == 0 || c->in_flight > 4096)
        return err_set(e, E_USAGE, "requests in flight: 1 to 4096");
    if (c->queue_max == 0 || c->page_max == 0 || c->image_max == 0)
        return err_set(e, E_USAGE, "a limit of the fetcher is 0");
    if (!(c->min_delay_s <= FETCH_DELAY_MAX_MS / 1000))
        return err_set(e, E_USAGE, "--min-delay: at most %d seconds",
                       FETCH_DELAY_MAX_MS / 1000);
    if (c->min_delay_s >= 0 && c->allow_net.n == 0)
        return err_set(e, E_USAGE,
                       "--min-delay holds for the nets of --allow-net alone, "
                       "and there is none");
    return 0;
}

int fetch_config_take(struct fetch *f, const struct fetch_config *c,
                      struct err *e)
{
    int rc = check_contact(c->contact, e);

    if (!rc)
        rc = check_numbers(c, e);
    if (rc)
        return rc;
    f->config = *c;
    snprintf(f->agent, sizeof f->agent, "%s/%s (+%s)", FETCH_TOKEN,
             c->version ? c->version : WITMILL_VERSION, c->contact);
    netguard_init(&f->guard);
    for (size_t i = 0; !rc && i < c->allow_net.n; i++)
        rc = netguard_allow(&f->guard, c->allow_net.v[i], e);
    f->resolve = xcalloc(c->resolve.n + 1, sizeof *f->resolve);
    for (size_t i = 0; !rc && i < c->resolve.n; i++)
        rc = take_resolve(f, c->resolve.v[i], e);
    if (f->n_resolve)
        qsort(f->resolve, f->n_resolve, sizeof *f->resolve, by_host_and_port);
    if (!rc && c->host_limit)
        rc = take_limits(f, c->host_limit, e);
    f->config.contact = f->config.version = f->config.dns_servers = NULL;
    f->config.host_limit = f->config.ca_file = NULL;
    memset(&f->config.allow_net, 0, sizeof f->config.allow_net);
    memset(&f->config.resolve, 0, sizeof f->config.resolve);
    return rc;
}

void fetch_config_drop(struct fetch *f)
{
    for (size_t i = 0; i < f->n_resolve; i++)
        free(f->resolve[i].host);
    free(f->resolve);
    for (size_t i = 0; i < f->n_limits; i++)
        free(f->limits[i].host);
    free(f->limits);
}
