#include "tests/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "crawler/robots.h"

static struct net_server server;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Every host named here has more places than the paths need, so that rows of
 * a table do not wait for each other. */
static const char *limit_file(const char *const *hosts, unsigned limit)
{
    static char path[64];
    struct buf b;
    int fd;

    buf_init(&b, 1 << 16);
    buf_add(&b, STR("# hosts of one test\n\n"));
    for (int i = 0; hosts[i]; i++)
        buf_addf(&b, "%s %u # own\n", hosts[i], limit);
    snprintf(path, sizeof path, "/tmp/witmill-limit-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.p, b.n), (ssize_t)b.n);
    close(fd);
    buf_release(&b);
    return path;
}

/* ---- what one answer means ---- */

static const struct row {
    const char *path;
    enum fetch_kind kind;
    const char *reason;
    enum fetch_outcome outcome;
    int status;
    unsigned tries;
    const char *body;
} rows[] = {
    {"/_/text/hi", FETCH_PAGE, "ok", FETCH_OK, 200, 1, "hi"},
    {"/_/status/404", FETCH_PAGE, "http-status", FETCH_FAILED, 404, 1, ""},
    {"/_/status/410", FETCH_IMAGE, "http-status", FETCH_FAILED, 410, 1, ""},
    {"/_/status/403", FETCH_PAGE, "http-status", FETCH_FAILED, 403, 1, ""},
    {"/_/status/204", FETCH_PAGE, "http-status", FETCH_FAILED, 204, 1, ""},
    {"/_/status/206", FETCH_PAGE, "http-status", FETCH_FAILED, 206, 1, ""},
    {"/_/status/304", FETCH_PAGE, "http-status", FETCH_FAILED, 304, 1, ""},
    {"/_/status/501", FETCH_PAGE, "http-status", FETCH_FAILED, 501, 1, ""},
    {"/_/status/500", FETCH_PAGE, "server-error", FETCH_EXHAUSTED, 500, 3, ""},
    {"/_/status/408", FETCH_PAGE, "server-error", FETCH_EXHAUSTED, 408, 3, ""},
    {"/_/status/503", FETCH_PAGE, "rate-limited", FETCH_EXHAUSTED, 503, 3, ""},
    {"/_/status/429", FETCH_PAGE, "rate-limited", FETCH_EXHAUSTED, 429, 3, ""},
    {"/_/flaky/2/a", FETCH_PAGE, "ok", FETCH_OK, 200, 3, "<p>at last</p>"},
    /* redirects */
    {"/_/redirect/301?then=/_/text/a", FETCH_PAGE, "ok", FETCH_OK, 200, 2, "a"},
    {"/_/redirect/302?then=../text/b%23frag", FETCH_PAGE, "ok", FETCH_OK, 200,
     2, "b"},
    {"/_/redirect/303?then=?x=1", FETCH_PAGE, "redirect-location", FETCH_FAILED,
     303, 2, ""},
    {"/_/redirect/307?then=http://t0.test/_/text/c", FETCH_PAGE, "ok", FETCH_OK,
     200, 2, "c"},
    {"/_/redirect/308?then=//t0.test/_/text/d", FETCH_PAGE, "ok", FETCH_OK, 200,
     2, "d"},
    {"/_/chain/5", FETCH_PAGE, "ok", FETCH_OK, 200, 6, "the end\n"},
    {"/_/chain/6", FETCH_PAGE, "redirect-limit", FETCH_FAILED, 302, 6, ""},
    {"/_/chain/1000", FETCH_PAGE, "redirect-limit", FETCH_FAILED, 302, 6, ""},
    {"/_/loop/a", FETCH_PAGE, "redirect-loop", FETCH_FAILED, 302, 2, ""},
    {"/_/nowhere", FETCH_PAGE, "redirect-location", FETCH_FAILED, 302, 1, ""},
    {"/_/redirect/302?then=file:///etc/passwd", FETCH_PAGE, "url-scheme",
     FETCH_REFUSED, 302, 1, ""},
    {"/_/redirect/302?then=gopher://t0.test/", FETCH_PAGE, "url-scheme",
     FETCH_REFUSED, 302, 1, ""},
    {"/_/redirect/302?then=data:text/html,x", FETCH_PAGE, "url-scheme",
     FETCH_REFUSED, 302, 1, ""},
    {"/_/redirect/302?then=http://10.0.0.1/", FETCH_PAGE, "no-dns",
     FETCH_REFUSED, 0, 1, ""},
    {"/_/redirect/302?then=http://www.example.com/", FETCH_PAGE, "no-dns",
     FETCH_REFUSED, 0, 1, ""},
    {"/_/redirect/302?then=http://t0.test:25/", FETCH_PAGE, "port",
     FETCH_REFUSED, 0, 1, ""},
    {"/_/redirect/302?then=http://t0.test/forbidden/x", FETCH_PAGE, "robots",
     FETCH_REFUSED, 0, 1, ""},
    {"/_/two-places", FETCH_PAGE, "redirect-location", FETCH_FAILED, 302, 1,
     ""},
    /* sizes */
    {"/_/size/100000", FETCH_IMAGE, "ok", FETCH_OK, 200, 1, NULL},
    {"/_/size/100001", FETCH_IMAGE, "too-large", FETCH_FAILED, 200, 1, ""},
    {"/_/endless", FETCH_PAGE, "too-large", FETCH_FAILED, 200, 1, ""},
    {"/_/headers", FETCH_PAGE, "headers-too-large", FETCH_FAILED, 200, 1, ""},
    {"/_/header", FETCH_PAGE, "headers-too-large", FETCH_FAILED, 200, 1, ""},
    {"/_/hints", FETCH_PAGE, "headers-too-large", FETCH_FAILED, 103, 1, ""},
    /* lies and accidents */
    {"/_/short", FETCH_IMAGE, "truncated", FETCH_EXHAUSTED, 200, 3, ""},
    {"/_/cut-chunk", FETCH_PAGE, "truncated", FETCH_EXHAUSTED, 200, 3, ""},
    {"/_/long", FETCH_PAGE, "ok", FETCH_OK, 200, 1, "four"},
    {"/_/bad-chunk", FETCH_PAGE, "connection-broken", FETCH_EXHAUSTED, 200, 3,
     ""},
    {"/_/two-lengths", FETCH_PAGE, "protocol", FETCH_FAILED, 200, 1, ""},
    {"/_/close", FETCH_PAGE, "connection-broken", FETCH_EXHAUSTED, 0, 3, ""},
    {"/_/reset", FETCH_PAGE, "connection-broken", FETCH_EXHAUSTED, 200, 3, ""},
    {"/_/garbage", FETCH_PAGE, "protocol", FETCH_FAILED, 0, 1, ""},
    {"/_/type/application/zip", FETCH_IMAGE, "ok", FETCH_OK, 200, 1, NULL},
    /* encodings */
    {"/_/encoded/gzip", FETCH_PAGE, "ok", FETCH_OK, 200, 1,
     "<p>hello, hello, hello, hello</p>"},
    {"/_/encoded/x-gzip", FETCH_PAGE, "ok", FETCH_OK, 200, 1,
     "<p>hello, hello, hello, hello</p>"},
    {"/_/encoded/deflate", FETCH_PAGE, "ok", FETCH_OK, 200, 1,
     "<p>hello, hello, hello, hello</p>"},
    {"/_/encoded/raw", FETCH_PAGE, "ok", FETCH_OK, 200, 1,
     "<p>hello, hello, hello, hello</p>"},
    {"/_/encoded/nested", FETCH_PAGE, "content-encoding", FETCH_FAILED, 200, 1,
     ""},
    {"/_/encoded/br", FETCH_PAGE, "content-encoding", FETCH_FAILED, 200, 1, ""},
    {"/_/encoded/bad", FETCH_PAGE, "content-encoding", FETCH_FAILED, 200, 1,
     ""},
    {"/_/bomb/8", FETCH_IMAGE, "too-large", FETCH_FAILED, 200, 1, ""},
    /* consent */
    {"/_/text/e?tag=noai", FETCH_IMAGE, "noai", FETCH_REFUSED, 200, 1, ""},
    {"/_/text/f?tag=noindex", FETCH_PAGE, "noindex", FETCH_REFUSED, 200, 1,
     "f"},
    {"/_/text/g?tag=googlebot:%20noindex", FETCH_IMAGE, "ok", FETCH_OK, 200, 1,
     "g"},
    {"/_/text/h?tag=all&tag2=witmill:%20noimageai", FETCH_IMAGE, "noimageai",
     FETCH_REFUSED, 200, 1, ""},
    {"/_/text/i?tag=unavailable_after:%2025%20Jun%202010%2015:00:00%20PST",
     FETCH_IMAGE, "ok", FETCH_OK, 200, 1, "i"},
    {"/_/redirect/302?then=/_/text/j&tag=noml", FETCH_IMAGE, "noml",
     FETCH_REFUSED, 200, 2, ""},
    /* time */
    {"/_/late/500", FETCH_PAGE, "ok", FETCH_OK, 200, 1, "<p>late</p>"},
    {"/_/silent", FETCH_PAGE, "slow", FETCH_EXHAUSTED, 0, 1, ""},
    {"/_/stall", FETCH_PAGE, "slow", FETCH_EXHAUSTED, 200, 1, ""},
    {"/_/loris", FETCH_PAGE, "slow", FETCH_EXHAUSTED, 200, 1, ""},
    {"/_/loris-head", FETCH_PAGE, "slow", FETCH_EXHAUSTED, 200, 1, ""},
};

#define ROWS (sizeof rows / sizeof *rows)

static bool as_expected(const struct net_fetch *t, const char *url,
                        const struct row *row)
{
    const struct net_result *r = net_find(t, url);
    bool same = !strcmp(r->reason, row->reason) && r->outcome == row->outcome &&
                r->status == row->status && r->tries == row->tries &&
                (!row->body || !strcmp(r->body, row->body)) &&
                (!r->signal[0] || !strcmp(r->signal, r->reason));

    if (!same)
        printf("%s: %s, outcome %d, status %d, %u tries, body \"%.60s\"\n", url,
               r->reason, (int)r->outcome, r->status, r->tries, r->body);
    return same;
}

/* Each row has a host of its own. */
static char *row_url(size_t i)
{
    return xasprintf("http://t%zu.test%s", i, rows[i].path);
}

/* Rows with a deadline to wait for go with one try. */
static void run_rows(bool slow)
{
    char name[ROWS][24];
    const char *hosts[ROWS + 1] = {NULL};
    struct net_fetch *t;
    size_t n = 0, wrong = 0;

    for (size_t i = 0; i < ROWS; i++) {
        snprintf(name[i], sizeof name[i], "t%zu.test", i);
        hosts[i] = name[i];
    }
    t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    t->config.host_limit = limit_file(hosts, 2);
    t->config.image_max = 100000;
    t->config.page_max = 100000;
    t->config.retries = slow ? 0 : 2;
    for (size_t i = 0; i < ROWS; i++) {
        char *url = row_url(i);

        if (slow == !strcmp(rows[i].reason, "slow")) {
            net_get(t, rows[i].kind, url);
            n++;
        }
        free(url);
    }
    net_run(t);
    unlink(t->config.host_limit);
    assert_int_equal(t->n, n);
    for (size_t i = 0; i < ROWS; i++) {
        char *url = row_url(i);

        if (slow == !strcmp(rows[i].reason, "slow"))
            wrong += !as_expected(t, url, &rows[i]);
        free(url);
    }
    net_free(t);
    assert_int_equal(wrong, 0);
}

static void test_fetch__answers(void **state)
{
    (void)state;
    run_rows(false);
}

static void test_fetch__slow_answers_end(void **state)
{
    double start = seconds();

    (void)state;
    run_rows(true);
    assert_true(seconds() - start < 6);
}

int main(int argc, char **argv)
{
    static const char *const args[] = {"--robots", "t0.test=/tmp/witmill-t0",
                                       NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch__answers),
        cmocka_unit_test(test_fetch__slow_answers_end),
    };
    int rc;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    io_write_file("/tmp/witmill-t0", STR("User-agent: *\nDisallow: /forbidden"),
                  NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!net_server_start(&server, args))
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    net_server_stop(&server);
    return rc;
}
