#include "crawler/fetch_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crawler/fetch_head.h"

#define READ_SIZE                                                              \
    16384L /* curl's buffer: what it may be behind in counting                 \
            */

struct transfer {
    struct transfer *next, *prev; /* among those under way, or the spare */
    struct http *http;
    CURL *easy;
    struct http_request req;
    struct curl_slist *resolve, *connect_to;
    char *forget; /* the line that takes resolve back */
    char errbuf[CURL_ERROR_SIZE];
    enum fetch_reason killed; /* our own verdict, or FETCH_R_NONE */
    struct head head;
    bool discard; /* the body is not wanted */
    bool enough;  /* stopped on purpose, not an error */
    uint64_t discarded;
    struct buf body;
    uint64_t started_ms;
};

struct http {
    CURLM *multi;
    struct http_config config;
    char agent[HTTP_AGENT_MAX];
    struct curl_slist *accept[FETCH_ROBOTS + 1]; /* by kind */
    struct curl_slist *forget; /* RESOLVE lines for the next transfer */
    struct transfer *active, *spare;
};

/* ---- what curl asks while it works ---- */

static curl_socket_t on_socket(void *arg, curlsocktype purpose,
                               struct curl_sockaddr *sa)
{
    struct transfer *t = arg;
    struct netguard_addr a;

    (void)purpose;
    if (!netguard_from_sockaddr(&sa->addr, &a) ||
        !netguard_permits(t->http->config.guard, &a) ||
        !netguard_same(&a, &t->req.addr)) {
        t->killed = FETCH_R_ADDRESS;
        return CURL_SOCKET_BAD;
    }
    return socket(sa->family, sa->socktype | SOCK_CLOEXEC, sa->protocol);
}

/* A connection kept open may lead elsewhere than the address just judged. */
static int on_prereq(void *arg, char *remote, char *local, int remote_port,
                     int local_port)
{
    struct transfer *t = arg;
    struct netguard_addr a;

    (void)local;
    (void)remote_port;
    (void)local_port;
    if (netguard_parse(str_of(remote), &a) &&
        netguard_permits(t->http->config.guard, &a))
        return CURL_PREREQFUNC_OK;
    t->killed = FETCH_R_ADDRESS;
    return CURL_PREREQFUNC_ABORT;
}

/* curl wants to look a name up: it has been given the address, so something
 * is wrong, and nobody is asked. */
static int on_lookup(void *resolver_state, void *reserved, void *arg)
{
    struct transfer *t = arg;

    (void)resolver_state;
    (void)reserved;
    t->killed = FETCH_R_URL;
    return 1;
}

/* The head is whole: is its body wanted, and not too large? */
static enum fetch_reason on_head_end(struct transfer *t)
{
    const struct head *h = &t->head;

    t->discard =
        h->status != 200 || (t->req.kind == FETCH_IMAGE &&
                             consent_verdict(&h->consent) != CONSENT_ALLOWED);
    if (!t->discard && t->req.kind != FETCH_ROBOTS && !h->codings &&
        h->length != UINT64_MAX && h->length > t->req.body_max)
        return FETCH_R_TOO_LARGE;
    return FETCH_R_NONE;
}

static size_t on_header(char *p, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;
    bool was_whole = t->head.whole;

    t->killed = head_line(&t->head, str_make(p, one * n));
    if (!t->killed && t->head.whole && !was_whole)
        t->killed = on_head_end(t);
    return t->killed ? 0 : one * n;
}

static uint64_t wire_bytes(CURL *easy)
{
    curl_off_t n = 0;

    curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &n);
    return n > 0 ? (uint64_t)n : 0;
}

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t bytes = one * n;
    uint64_t total = t->body.n + bytes;

    if (t->discard) {
        t->discarded += bytes;
        t->enough = t->discarded > HTTP_DISCARD;
        return t->enough ? 0 : bytes;
    }
    if (total > 1u << 20 && t->head.codings &&
        total > FETCH_RATIO_MAX * (wire_bytes(t->easy) + (uint64_t)READ_SIZE)) {
        t->killed = FETCH_R_BOMB;
        return 0;
    }
    if (total > t->req.body_max) {
        if (t->req.kind == FETCH_ROBOTS) {
            /* one byte more than is read, so that its reader sees the cut */
            buf_add_bytes(&t->body, p,
                          (size_t)(t->req.body_max + 1 - t->body.n));
            t->enough = true;
        } else {
            t->killed = FETCH_R_TOO_LARGE;
        }
        return 0;
    }
    buf_add_bytes(&t->body, p, bytes);
    if (t->body.rc) {
        t->killed = FETCH_R_TOO_LARGE;
        return 0;
    }
    return bytes;
}

/* ---- starting ---- */

static const char *accept_line(enum fetch_kind kind)
{
    switch (kind) {
    case FETCH_PAGE:
        return "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.1";
    case FETCH_IMAGE:
        return "Accept: image/avif,image/webp,image/png,image/jpeg,image/gif,"
               "*/*;q=0.1";
    default:
        return "Accept: text/plain,*/*;q=0.1";
    }
}

static void set_limits(CURL *c, const struct http_config *cfg)
{
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)cfg->connect_timeout_ms);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)cfg->total_timeout_ms);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)cfg->slow_bytes_s);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)cfg->slow_time_s);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, READ_SIZE);
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
}

/* What never changes: no redirects, no proxy, no credentials, no cookies. */
static void set_manners(CURL *c, const struct http *h)
{
    curl_easy_setopt(c, CURLOPT_USERAGENT, h->agent);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 1L);
    if (h->config.ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, h->config.ca_file);
}

static void set_callbacks(CURL *c, struct transfer *t)
{
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->errbuf);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(c, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(c, CURLOPT_RESOLVER_START_DATA, t);
}

/* Append a line that was made for it. */
static struct curl_slist *add_line(struct curl_slist *l, char *line)
{
    l = curl_slist_append(l, line);
    free(line);
    return l;
}

/*
 * RESOLVE puts the address into curl's DNS cache, which it walks whole after
 * every transfer.  So the entries of finished transfers are taken out with the
 * next one: + adds (and lets age), - removes.
 */
static struct curl_slist *resolve_lines(struct transfer *t, const char *addr)
{
    const struct http_request *r = &t->req;
    struct curl_slist *l = t->http->forget;

    t->http->forget = NULL;
    t->forget = xasprintf("-%.*s:%u", STR_ARG(r->host), r->port);
    return add_line(l,
                    xasprintf("+%.*s:%u:%s", STR_ARG(r->host), r->port, addr));
}

/* Tell curl where to connect, so that it never has to ask. */
static void set_address(CURL *c, struct transfer *t)
{
    const struct http_request *r = &t->req;
    char text[NETGUARD_TEXT_MAX], addr[NETGUARD_TEXT_MAX + 2];

    netguard_text(&r->addr, text);
    snprintf(addr, sizeof addr, r->addr.v6 ? "[%s]" : "%s", text);
    t->resolve = t->connect_to = NULL;
    /* CONNECT_TO only where the port differs, too: curl looks for a kept
     * connection among all that lead to the same address and port. */
    if (r->connect_port && (r->connect_port != r->port || r->literal))
        t->connect_to =
            add_line(NULL, xasprintf("::%s:%u", addr, r->connect_port));
    else if (!r->literal)
        t->resolve = resolve_lines(t, addr);
    curl_easy_setopt(c, CURLOPT_CONNECT_TO, t->connect_to);
    curl_easy_setopt(c, CURLOPT_RESOLVE, t->resolve);
    curl_easy_setopt(c, CURLOPT_RESOLVER_START_FUNCTION,
                     t->resolve ? on_lookup : NULL);
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, r->fresh ? 1L : 0L);
}

static struct transfer *new_transfer(struct http *h)
{
    struct transfer *t = h->spare;

    if (t) {
        h->spare = t->next;
    } else {
        t = xcalloc(1, sizeof *t);
        t->http = h;
        t->easy = curl_easy_init();
        head_init(&t->head, h->config.token);
        buf_init(&t->body, BUF_NO_LIMIT); /* on_body has the cap */
        if (!t->easy)
            abort(); /* memory is out, as in base/mem */
        set_manners(t->easy, h);
        set_limits(t->easy, &h->config);
        set_callbacks(t->easy, t);
    }
    t->killed = FETCH_R_NONE;
    t->discard = t->enough = false;
    t->discarded = 0;
    t->errbuf[0] = '\0';
    head_reset(&t->head);
    return t;
}

static void release(struct transfer *t)
{
    struct http *h = t->http;

    if (t->prev)
        t->prev->next = t->next;
    else
        h->active = t->next;
    if (t->next)
        t->next->prev = t->prev;
    curl_slist_free_all(t->resolve);
    curl_slist_free_all(t->connect_to);
    t->resolve = t->connect_to = NULL;
    if (t->forget)
        h->forget = add_line(h->forget, t->forget);
    t->forget = NULL;
    buf_release(&t->body); /* idle handles hold no bodies */
    t->next = h->spare;
    t->prev = NULL;
    h->spare = t;
}

void http_start(struct http *h, const struct http_request *r)
{
    struct transfer *t = new_transfer(h);
    CURL *c = t->easy;

    t->req = *r;
    t->started_ms = clock_mono_ms();
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->accept[r->kind]);
    set_address(c, t);
    t->prev = NULL;
    t->next = h->active;
    if (t->next)
        t->next->prev = t;
    h->active = t;
    curl_multi_add_handle(h->multi, c);
}

/* ---- finishing ---- */

static enum fetch_reason timed_out(const struct transfer *t)
{
    curl_off_t connected = 0;

    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    if (strstr(t->errbuf, "too slow"))
        return FETCH_R_SLOW;
    return connected ? FETCH_R_TIMEOUT : FETCH_R_CONNECT;
}

static enum fetch_reason reason_of(const struct transfer *t, CURLcode rc)
{
    if (t->killed)
        return t->killed;
    if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && t->enough))
        return FETCH_R_NONE;
    if (t->discard) /* the head was whole, and it is all that counts */
        return FETCH_R_NONE;
    switch (rc) {
    case CURLE_OPERATION_TIMEDOUT:
        return timed_out(t);
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return FETCH_R_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CIPHER:
        return FETCH_R_TLS;
    case CURLE_PARTIAL_FILE:
        return FETCH_R_TRUNCATED;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return FETCH_R_BROKEN;
    case CURLE_BAD_CONTENT_ENCODING:
        return FETCH_R_ENCODING;
    case CURLE_URL_MALFORMAT:
        return FETCH_R_URL;
    case CURLE_OUT_OF_MEMORY: /* curl 7: its own header cap was passed */
        return FETCH_R_HEADERS;
    default:
        return FETCH_R_PROTOCOL;
    }
}

static void finish(struct transfer *t, CURLcode rc, http_fn done, void *ctx)
{
    const struct head *head = &t->head;
    struct http_response r;
    curl_off_t wait = 0;
    char *ip = NULL;

    memset(&r, 0, sizeof r);
    r.user = t->req.user;
    r.reason = reason_of(t, rc);
    r.status = head->status;
    r.location = head_field(head, &head->location);
    r.locations_differ = head->locations_differ;
    r.content_type = head_field(head, &head->type);
    r.etag = head_field(head, &head->etag);
    r.last_modified = head_field(head, &head->modified);
    r.n_tags = head->n_tags;
    for (size_t i = 0; i < head->n_tags; i++)
        r.tags[i] = head_field(head, &head->tags[i]);
    r.consent = head->consent;
    if (r.reason == FETCH_R_NONE && !t->discard)
        r.body = buf_str(&t->body);
    r.wire_bytes = wire_bytes(t->easy);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &wait);
    r.retry_after_s = wait > 0 ? (int64_t)wait : -1;
    r.elapsed_ms = clock_mono_ms() - t->started_ms;
    if (!curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip) && ip)
        memcpy(r.ip, ip, strnlen(ip, sizeof r.ip - 1));
    done(ctx, &r);
}

int http_turn(struct http *h, struct http_fd *fds, size_t n,
              unsigned timeout_ms, http_fn done, void *ctx, struct err *e)
{
    struct curl_waitfd *w = xcalloc(n + 1, sizeof *w);
    CURLMcode rc;
    CURLMsg *m;
    int running, left;

    for (size_t i = 0; i < n; i++) {
        w[i].fd = fds[i].fd;
        w[i].events = (short)((fds[i].in ? CURL_WAIT_POLLIN : 0) |
                              (fds[i].out ? CURL_WAIT_POLLOUT : 0));
    }
    rc = curl_multi_poll(h->multi, w, (unsigned)n, (int)timeout_ms, NULL);
    for (size_t i = 0; i < n; i++) {
        fds[i].in = w[i].revents & (CURL_WAIT_POLLIN | CURL_WAIT_POLLPRI);
        fds[i].out = w[i].revents & CURL_WAIT_POLLOUT;
    }
    free(w);
    if (!rc)
        rc = curl_multi_perform(h->multi, &running);
    if (rc)
        return err_set(e, E_NET, "libcurl: %s", curl_multi_strerror(rc));
    while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct transfer *t;
        CURLcode result = m->data.result;

        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        curl_multi_remove_handle(h->multi, t->easy);
        finish(t, result, done, ctx);
        release(t);
    }
    return 0;
}

void http_wakeup(struct http *h)
{
    curl_multi_wakeup(h->multi);
}

void http_cancel_all(struct http *h, void (*drop)(void *ctx, void *user),
                     void *ctx)
{
    while (h->active) {
        struct transfer *t = h->active;
        void *user = t->req.user;

        curl_multi_remove_handle(h->multi, t->easy);
        release(t);
        if (drop)
            drop(ctx, user);
    }
}

int http_open(struct http **out, const struct http_config *c, struct err *e)
{
    struct http *h;

    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return err_set(e, E_NET, "libcurl does not start");
    h = xcalloc(1, sizeof *h);
    h->config = *c;
    memcpy(h->agent, c->agent, strnlen(c->agent, sizeof h->agent - 1));
    h->multi = curl_multi_init();
    if (!h->multi) {
        free(h);
        return err_set(e, E_NET, "libcurl does not start");
    }
    for (int kind = 0; kind <= FETCH_ROBOTS; kind++)
        h->accept[kind] =
            curl_slist_append(NULL, accept_line((enum fetch_kind)kind));
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)c->connections);
    *out = h;
    return 0;
}

void http_close(struct http *h)
{
    if (!h)
        return;
    http_cancel_all(h, NULL, NULL);
    while (h->spare) {
        struct transfer *t = h->spare;

        h->spare = t->next;
        curl_easy_cleanup(t->easy);
        head_release(&t->head);
        buf_release(&t->body);
        free(t);
    }
    curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->forget);
    for (int kind = 0; kind <= FETCH_ROBOTS; kind++)
        curl_slist_free_all(h->accept[kind]);
    free(h);
}
