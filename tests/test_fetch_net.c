/* Names, addresses, TLS, and the calls around the loop. */
#include "tests/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "base/io.h"
#include "crawler/fetch_http.h"

#define WEB_ADDR "127.77.7.7" /* with a port that names are allowed */

static struct net_server server, web;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a name server of our own ---- */

static const struct zone {
    const char *name;
    int rcode; /* -1: no answer at all */
    const char *v4[3];
    const char *v6;
} zones[] = {
    {"good.test", 0, {WEB_ADDR}, NULL},
    {"private.test", 0, {"10.0.0.1"}, NULL},
    {"loop.test", 0, {"127.0.0.1"}, NULL},
    {"meta.test", 0, {"169.254.169.254"}, NULL},
    {"mixed.test", 0, {"10.0.0.1", WEB_ADDR}, NULL},
    {"six.test", 0, {NULL}, "::1"},
    {"mapped.test", 0, {NULL}, "::ffff:127.0.0.1"},
    {"nat.test", 0, {NULL}, "64:ff9b::7f00:1"},
    {"dead.test", 0, {"127.77.7.8", "127.77.7.9", WEB_ADDR}, NULL},
    {"empty.test", 0, {NULL}, NULL},
    {"none.test", 3, {NULL}, NULL},
    {"fail.test", 2, {NULL}, NULL},
    {"mute.test", -1, {NULL}, NULL},
};

struct resolver {
    int fd;
    unsigned port;
    pthread_t thread;
    int questions;
    char last[256];
};

static const struct zone *zone_of(const char *name)
{
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (strcmp(zones[i].name, name) == 0)
            return &zones[i];
    return NULL;
}

/* RFC 1035 4.1: the labels at 12, then type and class. */
static size_t read_question(const uint8_t *q, size_t n, char *name,
                            unsigned *type)
{
    size_t at = 12, out = 0;

    while (at < n && q[at] && at + q[at] < n && out + q[at] < 250) {
        memcpy(name + out, q + at + 1, q[at]);
        out += q[at];
        name[out++] = '.';
        at += q[at] + 1u;
    }
    name[out ? out - 1 : 0] = '\0';
    *type = (unsigned)q[at + 1] << 8 | q[at + 2];
    return at + 5;
}

static size_t add_record(uint8_t *p, const char *text, bool v6)
{
    /* the name by reference, type, class, TTL 300, length */
    static const uint8_t head[12] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4};

    memcpy(p, head, sizeof head);
    p[3] = v6 ? 28 : 1;
    p[11] = v6 ? 16 : 4;
    inet_pton(v6 ? AF_INET6 : AF_INET, text, p + 12);
    return sizeof head + p[11];
}

static void *answer_names(void *arg)
{
    struct resolver *r = arg;
    struct sockaddr_in from;
    uint8_t p[512];

    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n =
            recvfrom(r->fd, p, sizeof p, 0, (struct sockaddr *)&from, &len);
        const struct zone *z;
        unsigned type, answers = 0;
        size_t at;

        if (n < 17)
            return NULL; /* the stop sign */
        at = read_question(p, (size_t)n, r->last, &type);
        r->questions++;
        z = zone_of(r->last);
        if (z && z->rcode < 0)
            continue;
        for (int i = 0; z && type == 1 && i < 3 && z->v4[i]; i++, answers++)
            at += add_record(p + at, z->v4[i], false);
        if (z && type == 28 && z->v6) {
            at += add_record(p + at, z->v6, true);
            answers++;
        }
        p[2] = 0x81;
        p[3] = (uint8_t)(0x80 | (z ? z->rcode : 3));
        p[6] = 0;
        p[7] = (uint8_t)answers;
        memset(p + 8, 0, 4); /* what EDNS added is not echoed */
        sendto(r->fd, p, at, 0, (struct sockaddr *)&from, len);
    }
}

static void resolver_start(struct resolver *r)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof sa;

    memset(r, 0, sizeof *r);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&sa, sizeof sa), 0);
    getsockname(r->fd, (struct sockaddr *)&sa, &len);
    r->port = ntohs(sa.sin_port);
    assert_int_equal(pthread_create(&r->thread, NULL, answer_names, r), 0);
}

static void resolver_stop(struct resolver *r)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sa.sin_port = htons((uint16_t)r->port);
    sendto(r->fd, "", 0, 0, (struct sockaddr *)&sa, sizeof sa);
    pthread_join(r->thread, NULL);
    close(r->fd);
}

static void test_fetch_net__names(void **state)
{
    static const struct {
        const char *url, *reason;
        enum fetch_outcome outcome;
    } rows[] = {
        {"http://good.test:8080/_/text/a", "ok", FETCH_OK},
        {"http://good.test.:8080/_/text/a", "ok", FETCH_OK},
        {"http://private.test:8080/", "address", FETCH_REFUSED},
        {"http://loop.test:8080/", "address", FETCH_REFUSED},
        {"http://meta.test/latest/", "address", FETCH_REFUSED},
        {"http://mixed.test:8080/_/text/a", "ok", FETCH_OK},
        {"http://six.test/", "address", FETCH_REFUSED},
        {"http://mapped.test/", "address", FETCH_REFUSED},
        {"http://nat.test/", "address", FETCH_REFUSED},
        {"http://dead.test:8080/_/text/a", "ok", FETCH_OK},
        {"http://empty.test/", "dns-no-host", FETCH_FAILED},
        {"http://none.test/", "dns-no-host", FETCH_FAILED},
        {"http://fail.test/", "dns", FETCH_EXHAUSTED},
        {"http://mute.test/", "dns", FETCH_EXHAUSTED},
        /* no name at all */
        {"http://10.0.0.1/", "address", FETCH_REFUSED},
        {"http://127.0.0.1/", "address", FETCH_REFUSED},
        {"http://0x7f.1/", "address", FETCH_REFUSED},
        {"http://2130706433/", "address", FETCH_REFUSED},
        {"http://[::1]/", "address", FETCH_REFUSED},
        {"http://[::ffff:7f00:1]/", "address", FETCH_REFUSED},
        {"http://1.2.3.4.5/", "url-invalid", FETCH_REFUSED},
        {"http://" WEB_ADDR ":8080/_/text/a", "ok", FETCH_OK},
        /* ports */
        {"http://good.test:25/", "port", FETCH_REFUSED},
        {"http://good.test:6379/", "port", FETCH_REFUSED},
        {"https://good.test:22/", "port", FETCH_REFUSED},
        /* redirects to what was refused above */
        {"http://good.test:8080/_/redirect/302?then=http://127.0.0.1/",
         "address", FETCH_REFUSED},
        {"http://good.test:8080/_/redirect/302?then=http://private.test/",
         "address", FETCH_REFUSED},
    };
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, 0, NULL);
    struct resolver names;
    char at[64];
    size_t wrong = 0;

    (void)state;
    if (!web.port) {
        printf("skipped: port 8080 of " WEB_ADDR " is taken\n");
        net_free(t);
        skip();
    }
    resolver_start(&names);
    snprintf(at, sizeof at, "127.0.0.1:%u", names.port);
    t->config.no_dns = false;
    t->config.dns_servers = at;
    t->config.dns_timeout_ms = 350;
    t->config.retries = 1;
    t->allow[0] = "127.77.7.0/24";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        net_get(t, FETCH_PAGE, rows[i].url);
    net_run(t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct net_result *r = net_find(t, rows[i].url);

        if (strcmp(r->reason, rows[i].reason) ||
            r->outcome != rows[i].outcome) {
            printf("%s: %s\n", rows[i].url, r->reason);
            wrong++;
        }
        if (r->outcome == FETCH_OK)
            assert_string_equal(r->ip, WEB_ADDR);
    }
    net_free(t);
    resolver_stop(&names);
    assert_int_equal(wrong, 0);
}

/* --no-dns: other names are refused, and nobody is asked. */
static void test_fetch_net__no_dns(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    static const char *const urls[] = {"http://www.example.com/",
                                       "https://a.test/",
                                       "http://b.test/",
                                       "http://8.8.8.8/",
                                       "http://[2606:4700::1111]/",
                                       "http://localhost/"};
    struct net_fetch *t = net_new(FETCH_CRAWL, server.port, hosts);
    struct fetch_stats stats;

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        net_get(t, FETCH_PAGE, urls[i]);
    net_get(t, FETCH_PAGE, "http://a.test/_/text/a");
    net_run(t);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        assert_string_equal(net_find(t, urls[i])->reason, "no-dns");
    assert_int_equal(net_find(t, "http://a.test/_/text/a")->outcome, FETCH_OK);
    fetch_stats(t->f, &stats);
    assert_int_equal(stats.lookups, 0);
    assert_int_equal(stats.requests, 2);
    assert_int_equal(stats.robots, 1);
    assert_int_equal(stats.reason[FETCH_R_NO_DNS], 6);
    net_free(t);
}

/* --resolve does not open what --allow-net did not. */
static void test_fetch_net__resolve_is_judged_too(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);

    (void)state;
    t->config.allow_net.n = 0;
    t->config.min_delay_s = -1;
    net_get(t, FETCH_PAGE, "http://a.test/_/text/a");
    net_run(t);
    assert_string_equal(t->results[0].reason, "address");
    net_free(t);
}

/* ---- the second and third look at an address ---- */

static void take_reason(void *ctx, const struct http_response *r)
{
    *(enum fetch_reason *)ctx = r->reason;
}

static enum fetch_reason one_request(struct http *h, const char *url,
                                     const char *host, const char *addr,
                                     bool literal, unsigned connect_port)
{
    struct http_request r = {.url = url, .kind = FETCH_PAGE};
    enum fetch_reason got = FETCH_REASONS;

    r.host = str_of(host);
    r.port = server.port;
    r.literal = literal;
    r.connect_port = connect_port;
    r.body_max = 1000;
    assert_true(netguard_parse(str_of(addr), &r.addr));
    http_start(h, &r);
    while (got == FETCH_REASONS)
        assert_int_equal(http_turn(h, NULL, 0, 100, take_reason, &got, NULL),
                         0);
    return got;
}

static void test_fetch_net__socket_and_prereq_look_again(void **state)
{
    struct netguard guard;
    struct http_config c = {.agent = "witmill/test", .token = STR("witmill")};
    struct http *h;
    char url[64], named[64], other[64];

    (void)state;
    netguard_init(&guard);
    c.guard = &guard;
    c.connect_timeout_ms = c.total_timeout_ms = 2000;
    c.connections = 4;
    assert_int_equal(http_open(&h, &c, NULL), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/_/text/a", server.port);
    snprintf(named, sizeof named, "http://n.test:%u/_/text/a", server.port);
    snprintf(other, sizeof other, "http://o.test:%u/_/text/a", server.port);
    /* nothing allows loopback: the socket is not opened */
    assert_int_equal(one_request(h, url, "127.0.0.1", "127.0.0.1", true, 0),
                     FETCH_R_ADDRESS);
    assert_int_equal(one_request(h, named, "n.test", "127.0.0.1", false, 0),
                     FETCH_R_ADDRESS);
    assert_int_equal(netguard_allow(&guard, "127.0.0.0/8", NULL), 0);
    /* allowed, but not the address that was judged before */
    assert_int_equal(one_request(h, url, "127.0.0.1", "127.0.0.2", true, 0),
                     FETCH_R_ADDRESS);
    /* curl would have to look the name up: it may not */
    assert_int_equal(one_request(h, other, "n.test", "127.0.0.1", false, 0),
                     FETCH_R_URL);
    assert_int_equal(one_request(h, named, "n.test", "127.0.0.1", false, 0),
                     FETCH_R_NONE);
    assert_int_equal(one_request(h, named, "n.test", "127.0.0.1", false, 0),
                     FETCH_R_NONE);
    /* the connection stands, the permission does not */
    guard.n = 0;
    assert_int_equal(one_request(h, named, "n.test", "127.0.0.1", false, 0),
                     FETCH_R_ADDRESS);
    http_close(h);
}

/* ---- TLS ---- */

static pid_t tls_start(unsigned *port, const char *key, const char *cert)
{
    char *make = xasprintf(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-keyout %s -out %s -days 2 -subj /CN=tls.test -addext "
        "subjectAltName=DNS:tls.test 2>/dev/null",
        key, cert);
    int rc = system(make), out[2];
    char line[256];
    pid_t pid;
    FILE *f;

    free(make);
    if (rc != 0 || pipe(out))
        return -1;
    pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(2); /* it tells of each bad greeting */
        execlp("openssl", "openssl", "s_server", "-www", "-accept",
               "127.0.0.1:0", "-key", key, "-cert", cert, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    f = fdopen(out[0], "r");
    *port = 0;
    while (!*port && fgets(line, sizeof line, f)) {
        const char *colon = strrchr(line, ':');

        if (strncmp(line, "ACCEPT", 6) == 0 && colon)
            *port = (unsigned)strtoul(colon + 1, NULL, 10);
    }
    fclose(f);
    return pid;
}

static void test_fetch_net__tls_is_verified(void **state)
{
    static const char key[] = "/tmp/witmill-tls-key",
                      cert[] = "/tmp/witmill-tls-cert";
    unsigned port;
    pid_t pid = tls_start(&port, key, cert);

    (void)state;
    if (pid < 0 || !port) {
        printf("skipped: openssl s_server does not start\n");
        skip();
    }
    for (int trusted = 0; trusted < 2; trusted++) {
        struct net_fetch *t = net_new(FETCH_DOWNLOAD, 0, NULL);

        t->resolve[0] = xasprintf("tls.test:443:127.0.0.1:%u", port);
        t->resolve[1] = xasprintf("wrong.test:443:127.0.0.1:%u", port);
        t->config.resolve.n = 2;
        t->config.ca_file = trusted ? cert : NULL;
        net_get(t, FETCH_PAGE, "https://tls.test/x");
        net_get(t, FETCH_PAGE, "https://wrong.test/x");
        net_run(t);
        assert_string_equal(net_find(t, "https://tls.test/x")->reason,
                            trusted ? "ok" : "tls");
        assert_string_equal(net_find(t, "https://wrong.test/x")->reason, "tls");
        assert_int_equal(net_find(t, "https://wrong.test/x")->outcome,
                         FETCH_FAILED);
        net_free(t);
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    unlink(key);
    unlink(cert);
}

/* ---- what is sent ---- */

static void test_fetch_net__request_head(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    static const char *const absent[] = {"Cookie",      "Authorization",
                                         "Referer",     "Proxy",
                                         "X-Forwarded", "HTTP2-Settings"};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    setenv("HOME", "/tmp", 1);
    io_write_file("/tmp/.netrc", STR("machine a.test login u password p\n"),
                  NULL);
    net_get(t, FETCH_IMAGE, "http://a.test/_/echo/1");
    net_get(t, FETCH_IMAGE, "http://a.test/_/echo/2?a=b");
    net_run(t);
    unlink("/tmp/.netrc");
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    for (size_t i = 0; i < 2; i++) {
        const char *head = t->results[i].body;

        assert_non_null(strstr(head, "User-Agent: witmill/"));
        assert_non_null(strstr(head, " (+https://witmill.example/bot)\r\n"));
        assert_non_null(strstr(head, "\r\nHost: a.test\r\n"));
        assert_non_null(strstr(head, "Accept: image/"));
        assert_non_null(strstr(head, "Accept-Encoding: gzip, deflate"));
        for (size_t k = 0; k < sizeof absent / sizeof *absent; k++)
            if (strstr(head, absent[k]))
                fail_msg("%s was sent:\n%s", absent[k], head);
    }
    assert_non_null(strstr(t->results[1].body, "GET /_/echo/2?a=b HTTP/1.1"));
    net_free(t);
}

static void test_fetch_net__bombs_by_ratio(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);

    (void)state; /* 8 MiB of zeros is far below the cap of 32 */
    net_get(t, FETCH_IMAGE, "http://a.test/_/bomb/8");
    net_run(t);
    assert_string_equal(t->results[0].reason, "compression-ratio");
    assert_int_equal(t->results[0].body_n, 0);
    net_free(t);
}

/* ---- settings ---- */

static void test_fetch_net__bad_settings(void **state)
{
    static const char *const contacts[] = {
        NULL,          "",           "nobody",          "a@",
        "@b",          "http://",    "https://nowhere", "a b@c.org",
        "a@b.org\r\n", "a@b.org (x)"};
    static const char *const resolves[] = {"a.test",
                                           "a.test:80",
                                           "a.test:80:127.0.0.1",
                                           ":80:127.0.0.1:1",
                                           "a.test:x:127.0.0.1:1",
                                           "a.test:80:local:1",
                                           "a.test:80:127.0.0.1:0",
                                           "a.test:80:127.0.0.1:65536"};
    static const char *const limits[] = {"a.test\n", "a.test 0\n",
                                         "a.test 1000\n", "a.test two\n"};
    struct fetch_callbacks cb = {0};
    struct fetch_config c;
    struct fetch *f;

    (void)state;
    for (size_t i = 0; i < sizeof contacts / sizeof *contacts; i++) {
        struct err e = ERR_INIT;

        fetch_config_init(&c, FETCH_CRAWL);
        c.contact = contacts[i];
        assert_int_equal(fetch_open(&f, &c, &cb, &e), -E_USAGE);
        assert_non_null(strstr(e.message, "--contact"));
    }
    for (size_t i = 0; i < sizeof resolves / sizeof *resolves; i++) {
        struct err e = ERR_INIT;
        const char *v[1] = {resolves[i]};

        fetch_config_init(&c, FETCH_CRAWL);
        c.contact = "a@b.org";
        c.resolve = (struct opt_list){v, 1};
        assert_int_equal(fetch_open(&f, &c, &cb, &e), -E_USAGE);
        assert_non_null(strstr(e.message, resolves[i]));
    }
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct err e = ERR_INIT;

        io_write_file("/tmp/witmill-limits-bad", str_of(limits[i]), NULL);
        fetch_config_init(&c, FETCH_CRAWL);
        c.contact = "a@b.org";
        c.host_limit = "/tmp/witmill-limits-bad";
        assert_int_equal(fetch_open(&f, &c, &cb, &e), -E_USAGE);
        assert_non_null(strstr(e.message, "witmill-limits-bad:1"));
    }
    unlink("/tmp/witmill-limits-bad");
    fetch_config_init(&c, FETCH_CRAWL);
    c.contact = "a@b.org";
    c.min_delay_s = 0; /* for nobody */
    assert_int_equal(fetch_open(&f, &c, &cb, NULL), -E_USAGE);
    c.min_delay_s = -1;
    c.host_limit = "/nonexistent/limits";
    assert_int_equal(fetch_open(&f, &c, &cb, NULL), -E_NOTFOUND);
    c.host_limit = NULL;
    c.dns_servers = "not an address";
    assert_int_equal(fetch_open(&f, &c, &cb, NULL), -E_USAGE);
    c.dns_servers = NULL;
    c.no_dns = true;
    assert_int_equal(fetch_open(&f, &c, &cb, NULL), 0);
    fetch_close(f);
}

/* ---- the calls around the loop ---- */

static void test_fetch_net__room_is_bounded(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct fetch_request r = {.url = STR("http://a.test/_/text/4"),
                              .kind = FETCH_PAGE};

    (void)state;
    t->config.queue_max = 3;
    for (int i = 0; i < 3; i++) {
        char *url = xasprintf("http://a.test/_/text/%d", i);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    assert_int_equal(fetch_room(t->f), 0);
    assert_int_equal(fetch_queued(t->f, STR("a.test")), 3);
    assert_int_equal(fetch_queued(t->f, STR("b.test")), 0);
    assert_int_equal(fetch_submit(t->f, &r), -E_BUSY);
    net_run(t);
    assert_int_equal(fetch_room(t->f), 3);
    r.url = STR("a.test/x");
    assert_int_equal(fetch_submit(t->f, &r), -E_FORMAT);
    r.url = STR("ftp://a.test/x");
    assert_int_equal(fetch_submit(t->f, &r), -E_FORMAT);
    r.url = STR("http://a.test/x");
    r.kind = FETCH_ROBOTS;
    assert_int_equal(fetch_submit(t->f, &r), -E_FORMAT);
    assert_int_equal(fetch_pending(t->f), 0);
    net_free(t);
}

static int refill_next;

static void refill(void *ctx, struct str host)
{
    struct net_fetch *t = ctx;

    assert_true(str_eq(host, STR("a.test")));
    for (int i = 0; i < 3 && refill_next < 300; i++) {
        char *url = xasprintf("http://a.test/_/text/%d", refill_next++);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
}

static void test_fetch_net__low_asks_for_more(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);

    (void)state;
    refill_next = 0;
    t->cb.low = refill;
    t->config.queue_max = 8;
    net_open(t);
    refill(t, STR("a.test"));
    net_run(t);
    assert_int_equal(t->n, 300);
    for (size_t i = 0; i < t->n; i++)
        assert_int_equal(t->results[i].outcome, FETCH_OK);
    net_free(t);
}

static void test_fetch_net__pause(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct fetch_stats stats;

    (void)state;
    net_get(t, FETCH_PAGE, "http://a.test/_/text/1");
    fetch_pause(t->f, true);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fetch_step(t->f, 20, NULL), 0);
    fetch_stats(t->f, &stats);
    assert_int_equal(stats.requests, 0);
    fetch_pause(t->f, false);
    net_run(t);
    assert_int_equal(t->n, 1);
    net_free(t);
}

static void test_fetch_net__stop_completes_all(void **state)
{
    static const char *const hosts[] = {"a.test", "b.test", "c.test", "d.test",
                                        NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct fetch_request r = {.url = STR("http://a.test/x"),
                              .kind = FETCH_PAGE};
    size_t cancelled = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        char *url = xasprintf("http://%s/_/late/%d", hosts[i % 4], 300 + i);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(fetch_step(t->f, 10, NULL), 0);
    fetch_stop(t->f);
    assert_int_equal(fetch_submit(t->f, &r), -E_CANCEL);
    net_run(t);
    assert_int_equal(t->n, 40);
    assert_int_equal(fetch_pending(t->f), 0);
    for (size_t i = 0; i < t->n; i++)
        cancelled += t->results[i].outcome == FETCH_CANCELLED;
    assert_true(cancelled >= 36);
    net_free(t);
}

static void read_pipe(void *ctx)
{
    char c;

    if (read(*(int *)ctx, &c, 1) == 1)
        *(int *)ctx = -1;
}

static void *wake_later(void *arg)
{
    usleep(50000);
    fetch_wakeup(arg);
    return NULL;
}

static void test_fetch_net__other_descriptors_and_wakeup(void **state)
{
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, NULL);
    int pipes[2], fd;
    pthread_t thread;
    double start;

    (void)state;
    net_open(t);
    assert_int_equal(pipe(pipes), 0);
    fd = pipes[0];
    assert_int_equal(fetch_poll_add(t->f, pipes[0], read_pipe, &fd), 0);
    assert_int_equal(fetch_step(t->f, 10, NULL), 0);
    assert_int_equal(fd, pipes[0]);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    start = seconds();
    assert_int_equal(fetch_step(t->f, 3000, NULL), 0);
    assert_int_equal(fd, -1);
    assert_true(seconds() - start < 1);
    fetch_poll_remove(t->f, pipes[0]);
    assert_int_equal(pthread_create(&thread, NULL, wake_later, t->f), 0);
    start = seconds();
    assert_int_equal(fetch_step(t->f, 5000, NULL), 0);
    assert_true(seconds() - start < 2);
    pthread_join(thread, NULL);
    close(pipes[0]);
    close(pipes[1]);
    net_free(t);
}

int main(int argc, char **argv)
{
    static const char *const web_args[] = {"--bind", WEB_ADDR, "--port", "8080",
                                           NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_net__names),
        cmocka_unit_test(test_fetch_net__no_dns),
        cmocka_unit_test(test_fetch_net__resolve_is_judged_too),
        cmocka_unit_test(test_fetch_net__socket_and_prereq_look_again),
        cmocka_unit_test(test_fetch_net__tls_is_verified),
        cmocka_unit_test(test_fetch_net__request_head),
        cmocka_unit_test(test_fetch_net__bombs_by_ratio),
        cmocka_unit_test(test_fetch_net__bad_settings),
        cmocka_unit_test(test_fetch_net__room_is_bounded),
        cmocka_unit_test(test_fetch_net__low_asks_for_more),
        cmocka_unit_test(test_fetch_net__pause),
        cmocka_unit_test(test_fetch_net__stop_completes_all),
        cmocka_unit_test(test_fetch_net__other_descriptors_and_wakeup),
    };
    int rc;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    net_server_start(&web, web_args);
    if (!net_server_start(&server, NULL))
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    net_server_stop(&server);
    net_server_stop(&web);
    return rc;
}
