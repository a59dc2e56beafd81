/* Politeness, proved from the server's log: who was asked when, and how many
 * at a time. */
#include "tests/net.h"

#include <time.h>

#include "base/clock.h"
#include "base/io.h"

static const char *const robots_files[][2] = {
    {"/tmp/witmill-polite-delay", "User-agent: *\nCrawl-delay: 0.4\n"},
    {"/tmp/witmill-polite-long", "User-agent: *\nCrawl-delay: 1000\n"},
    {"/tmp/witmill-polite-shut", "User-agent: *\nDisallow: /shut\n"
                                 "User-agent: other\nDisallow: /\n"},
    {"/tmp/witmill-polite-signal",
     "User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n"
     "Content-Signal: /free ai-train=yes\n"},
};

static const char *const server_args[] = {
    "--robots",
    "delay.test=/tmp/witmill-polite-delay",
    "--robots",
    "long.test=/tmp/witmill-polite-long",
    "--robots",
    "shut.test=/tmp/witmill-polite-shut",
    "--robots",
    "signal.test=/tmp/witmill-polite-signal",
    "--robots",
    "r401.test=!/_/status/401",
    "--robots",
    "r403.test=!/_/status/403",
    "--robots",
    "r410.test=!/_/status/410",
    "--robots",
    "r429.test=!/_/status/429",
    "--robots",
    "r500.test=!/_/status/500",
    "--robots",
    "r503.test=!/_/flaky/1/robots",
    "--robots",
    "rcut.test=!/_/short",
    "--robots",
    "rclose.test=!/_/close",
    "--robots",
    "rslow.test=!/_/silent",
    "--robots",
    "rloop.test=!/_/loop/a",
    "--robots",
    "rfive.test=!/_/chain/5",
    "--robots",
    "rsix.test=!/_/chain/6",
    "--robots",
    "rfar.test=!/_/redirect/302?then=http://shut.test/robots.txt",
    "--robots",
    "rring1.test=!/_/redirect/302?then=http://rring2.test/robots.txt",
    "--robots",
    "rring2.test=!/_/redirect/302?then=http://rring1.test/robots.txt",
    "--robots",
    "rlocal.test=!/_/redirect/302?then=http://10.0.0.1/robots.txt",
    "--robots",
    "rhuge.test=!/_/endless",
    "--robots",
    "rbomb.test=!/_/bomb/8",
    NULL};

static struct net_server server;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int start_server(void **state)
{
    (void)state;
    return net_server_start(&server, server_args) ? 0 : -1;
}

static int stop_server(void **state)
{
    (void)state;
    net_server_stop(&server);
    return 0;
}

static void get_pages(struct net_fetch *t, const char *host, int n)
{
    for (int i = 0; i < n; i++) {
        char *url = xasprintf("http://%s/_/text/%d", host, i);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
}

static void all_ok(const struct net_fetch *t, size_t n)
{
    assert_int_equal(t->n, n);
    for (size_t i = 0; i < n; i++)
        if (t->results[i].outcome != FETCH_OK)
            fail_msg("%s: %s", t->results[i].url, t->results[i].reason);
}

/* The floor of one second holds for those outside --allow-net's licence to
 * lower it; here nobody asks for it. */
static void test_fetch_polite__crawl_floor(void **state)
{
    static const char *const hosts[] = {"a.test", "b.test", "c.test", NULL};
    struct net_fetch *t = net_new(FETCH_CRAWL, server.port, hosts);
    struct net_line *log;
    double start = seconds();
    size_t n;

    (void)state;
    t->config.min_delay_s = -1;
    for (int i = 0; i < 3; i++)
        get_pages(t, hosts[i], 2);
    net_run(t);
    all_ok(t, 6);
    log = net_log(&server, &n);
    assert_int_equal(n, 9); /* a robots.txt each */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(net_overlap(log, n, hosts[i]), 1);
        /* two clocks, each cut to milliseconds */
        assert_true(net_gap(log, n, hosts[i]) >= FETCH_FLOOR_MS - 2);
        assert_int_equal(net_count(log, n, hosts[i], "/robots.txt"), 1);
    }
    assert_true(net_overlap(log, n, NULL) <= FETCH_PER_IP);
    assert_true(seconds() - start < 4); /* hosts do not wait for each other */
    free(log);
    net_free(t);
}

static void test_fetch_polite__five_times_the_last_fetch(void **state)
{
    static const char *const hosts[] = {"late.test", NULL};
    struct net_fetch *t = net_new(FETCH_CRAWL, server.port, hosts);
    struct net_line *log;
    size_t n;

    (void)state;
    t->config.min_delay_s = -1;
    net_get(t, FETCH_PAGE, "http://late.test/_/late/300");
    net_get(t, FETCH_PAGE, "http://late.test/_/text/x");
    net_run(t);
    all_ok(t, 2);
    log = net_log(&server, &n);
    assert_int_equal(n, 3);
    assert_true(log[2].start_ms - log[1].end_ms >= 5 * 300 - 5);
    free(log);
    net_free(t);
}

static void test_fetch_polite__crawl_delay(void **state)
{
    static const char *const hosts[] = {"delay.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct net_line *log;
    size_t n;

    (void)state;
    get_pages(t, "delay.test", 3);
    net_run(t);
    all_ok(t, 3);
    log = net_log(&server, &n);
    assert_int_equal(n, 4);
    /* behind robots.txt too; --min-delay 0 does not lower it */
    assert_true(net_gap(log, n, "delay.test") >= 398);
    free(log);
    net_free(t);
}

static uint64_t requests_after(struct net_fetch *t, int steps)
{
    struct fetch_stats stats;

    for (int i = 0; i < steps; i++)
        assert_int_equal(fetch_step(t->f, 5, NULL), 0);
    fetch_stats(t->f, &stats);
    return stats.requests;
}

/* 1,000 s are asked for, 300 s are the most that is waited; the clock is ours.
 */
static void test_fetch_polite__long_delays_in_fake_time(void **state)
{
    static const char *const hosts[] = {"long.test", NULL};
    struct clock_fake clock = {.mono_ms = 1000000, .wall_s = 1700000000};
    struct net_fetch *t = net_new(FETCH_CRAWL, server.port, hosts);

    (void)state;
    clock_set_fake(&clock);
    get_pages(t, "long.test", 2);
    for (int i = 0; i < 200 && requests_after(t, 1) < 1; i++)
        ;
    for (uint64_t n = 1; n <= 2; n++) {
        assert_int_equal(requests_after(t, 40), n);
        clock.mono_ms += FETCH_DELAY_MAX_MS - 1;
        assert_int_equal(requests_after(t, 10), n);
        clock.mono_ms += 1;
        assert_int_equal(requests_after(t, 10), n + 1);
    }
    net_run(t);
    clock_set_fake(NULL);
    all_ok(t, 2);
    net_free(t);
}

static void test_fetch_polite__download_has_no_floor(void **state)
{
    static const char *const hosts[] = {"a.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct net_line *log;
    double start = seconds();
    size_t n;

    (void)state;
    t->config.min_delay_s = -1;
    get_pages(t, "a.test", 200);
    net_run(t);
    all_ok(t, 200);
    assert_true(seconds() - start < 3);
    log = net_log(&server, &n);
    assert_int_equal(n, 201);
    assert_int_equal(net_overlap(log, n, "a.test"), 1);
    /* one connection, kept */
    assert_int_equal(log[0].conn, log[n - 1].conn);
    /* in the order in which they were submitted */
    for (size_t i = 0; i < t->n; i++) {
        char *url = xasprintf("http://a.test/_/text/%zu", i);

        assert_string_equal(t->results[i].url, url);
        free(url);
    }
    free(log);
    net_free(t);
}

static void test_fetch_polite__two_per_ip(void **state)
{
    static const char *const hosts[] = {
        "h0.test", "h1.test", "h2.test", "h3.test", "h4.test", "h5.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct net_line *log;
    size_t n;

    (void)state;
    for (int i = 0; i < 18; i++) {
        char *url = xasprintf("http://h%d.test/_/late/%d", i % 6, 50 + i);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    net_run(t);
    all_ok(t, 18);
    log = net_log(&server, &n);
    assert_int_equal(net_overlap(log, n, NULL), FETCH_PER_IP);
    for (int i = 0; i < 6; i++)
        assert_int_equal(net_overlap(log, n, hosts[i]), 1);
    free(log);
    net_free(t);
}

static void test_fetch_polite__host_limit(void **state)
{
    static const char *const hosts[] = {"wide.test", "one.test", "two.test",
                                        NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct net_line *log;
    size_t n;

    (void)state;
    io_write_file("/tmp/witmill-polite-limit", STR("wide.test 5\n"), NULL);
    t->config.host_limit = "/tmp/witmill-polite-limit";
    for (int i = 0; i < 20; i++) {
        char *url = xasprintf("http://wide.test/_/late/%d", 80 + i);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    for (int i = 0; i < 8; i++) {
        char *url = xasprintf("http://%s/_/late/%d",
                              i % 2 ? "one.test" : "two.test", 80 + i);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    net_run(t);
    all_ok(t, 28);
    log = net_log(&server, &n);
    assert_int_equal(net_overlap(log, n, "wide.test"), 5);
    /* five of its own, and two on the address */
    assert_int_equal(net_overlap(log, n, NULL), 7);
    unlink("/tmp/witmill-polite-limit");
    free(log);
    net_free(t);
}

static void test_fetch_polite__retry_after_and_backoff(void **state)
{
    static const char *const hosts[] = {"busy.test", "away.test", "poor.test",
                                        NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct net_line *log;
    size_t n, first = SIZE_MAX;

    (void)state;
    t->config.backoff_ms = 100;
    t->config.retry_after_max_s = 60;
    net_get(t, FETCH_PAGE, "http://busy.test/_/flaky/1/x?wait=1");
    net_get(t, FETCH_PAGE, "http://busy.test/_/text/y");
    net_get(t, FETCH_PAGE, "http://away.test/_/status/503?wait=3600");
    net_get(t, FETCH_PAGE, "http://away.test/_/text/z");
    net_get(t, FETCH_PAGE, "http://poor.test/_/flaky/2/w");
    net_run(t);
    assert_int_equal(net_find(t, "http://busy.test/_/text/y")->tries, 1);
    assert_int_equal(net_find(t, "http://busy.test/_/flaky/1/x?wait=1")->tries,
                     2);
    assert_string_equal(net_find(t, "http://away.test/_/text/z")->reason,
                        "retry-after");
    assert_int_equal(net_find(t, "http://away.test/_/text/z")->outcome,
                     FETCH_EXHAUSTED);
    log = net_log(&server, &n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(log[i].host, "busy.test") == 0 && log[i].status == 503)
            first = i;
        else if (first != SIZE_MAX && strcmp(log[i].host, "busy.test") == 0)
            assert_true(log[i].start_ms - log[first].end_ms >= 998);
    }
    assert_true(first != SIZE_MAX);
    /* 100 ms, then 200 */
    first = SIZE_MAX;
    for (size_t i = 0, fails = 0; i < n; i++) {
        if (strcmp(log[i].host, "poor.test") != 0)
            continue;
        if (fails && first != SIZE_MAX)
            assert_true(log[i].start_ms - log[first].end_ms >= 100 * fails - 2);
        fails += log[i].status == 503;
        first = i;
    }
    assert_int_equal(net_count(log, n, "away.test", NULL), 2);
    free(log);
    net_free(t);
}

static void test_fetch_polite__a_host_that_is_down(void **state)
{
    static const char *const hosts[] = {"down.test", NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct net_line *log;
    size_t n, down = 0;

    (void)state;
    t->config.backoff_ms = 5;
    t->config.host_failures = 4;
    for (int i = 0; i < 50; i++) {
        char *url = xasprintf("http://down.test/_/status/500?%d", i);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    net_run(t);
    log = net_log(&server, &n);
    assert_int_equal(net_count(log, n, "down.test", NULL), 1 + 4);
    for (size_t i = 0; i < t->n; i++) {
        assert_int_equal(t->results[i].outcome, FETCH_EXHAUSTED);
        down += strcmp(t->results[i].reason, "host-down") == 0;
    }
    assert_int_equal(t->n, 50);
    assert_int_equal(down, 49);
    free(log);
    net_free(t);
}

/* ---- robots.txt ---- */

static void test_fetch_polite__robots_verdicts(void **state)
{
    static const struct {
        const char *host, *path, *reason;
        enum fetch_outcome outcome;
        unsigned asked; /* requests for robots.txt, 0: any */
    } rows[] = {
        {"none.test", "/_/text/a", "ok", FETCH_OK, 1}, /* 404 */
        {"shut.test", "/_/text/a", "ok", FETCH_OK, 0},
        {"shut.test", "/shut/a", "robots", FETCH_REFUSED, 0},
        {"signal.test", "/_/text/a", "content-signal", FETCH_REFUSED, 1},
        {"signal.test", "/free/a", "http-status", FETCH_FAILED, 1},
        {"r401.test", "/_/text/a", "robots-unauthorized", FETCH_REFUSED, 1},
        {"r403.test", "/_/text/a", "robots-unauthorized", FETCH_REFUSED, 1},
        {"r410.test", "/_/text/a", "ok", FETCH_OK, 1},
        {"r429.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 3},
        {"r500.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 3},
        {"r503.test", "/_/text/a", "ok", FETCH_OK, 2}, /* the second time */
        {"rcut.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 3},
        {"rclose.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 3},
        {"rslow.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 3},
        {"rloop.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 1},
        {"rfive.test", "/_/text/a", "ok", FETCH_OK, 1},
        {"rsix.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 1},
        {"rfar.test", "/_/text/a", "ok", FETCH_OK, 1},
        {"rfar.test", "/shut/a", "robots", FETCH_REFUSED, 1},
        {"rring1.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 0},
        {"rring2.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 0},
        {"rlocal.test", "/_/text/a", "robots-unreachable", FETCH_EXHAUSTED, 1},
        {"rhuge.test", "/_/text/a", "ok", FETCH_OK, 1}, /* first 512 KiB */
        {"rbomb.test", "/_/text/a", "ok", FETCH_OK, 1},
    };
    const char *hosts[sizeof rows / sizeof *rows + 1];
    size_t n_rows = sizeof rows / sizeof *rows, n, wrong = 0;
    struct net_fetch *t;
    struct net_line *log;

    (void)state;
    for (size_t i = 0; i < n_rows; i++)
        hosts[i] = rows[i].host;
    hosts[n_rows] = NULL;
    t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    t->config.slow_time_s = 1;
    for (size_t i = 0; i < n_rows; i++) {
        char *url = xasprintf("http://%s%s", rows[i].host, rows[i].path);

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    net_run(t);
    log = net_log(&server, &n);
    for (size_t i = 0; i < n_rows; i++) {
        char *url = xasprintf("http://%s%s", rows[i].host, rows[i].path);
        const struct net_result *r = net_find(t, url);
        size_t asked = net_count(log, n, rows[i].host, "/robots.txt");

        if (strcmp(r->reason, rows[i].reason) ||
            r->outcome != rows[i].outcome ||
            (rows[i].asked && asked != rows[i].asked)) {
            printf("%s: %s, robots.txt asked %zu times\n", url, r->reason,
                   asked);
            wrong++;
        }
        /* what is forbidden is not asked for, not once */
        if (r->outcome == FETCH_REFUSED)
            assert_int_equal(net_count(log, n, rows[i].host, rows[i].path), 0);
        free(url);
    }
    assert_int_equal(wrong, 0);
    free(log);
    net_free(t);
}

struct keep {
    struct net_fetch *t;
    char origin[64], body[256];
    int status, saves, loads;
    int64_t fetched_s;
};

static void keep_save(void *ctx, struct str origin,
                      const struct fetch_robots *r)
{
    struct keep *k = ((struct net_fetch *)ctx)->user;

    snprintf(k->origin, sizeof k->origin, "%.*s", STR_ARG(origin));
    snprintf(k->body, sizeof k->body, "%.*s", STR_ARG(r->body));
    k->status = r->status;
    k->fetched_s = r->fetched_s;
    k->saves++;
}

static bool keep_load(void *ctx, struct str origin, struct fetch_robots *out)
{
    struct keep *k = ((struct net_fetch *)ctx)->user;

    k->loads++;
    if (!str_eq(origin, str_of(k->origin)))
        return false;
    out->status = k->status;
    out->fetched_s = k->fetched_s;
    out->body = str_of(k->body);
    return true;
}

static void test_fetch_polite__robots_are_kept(void **state)
{
    static const char *const hosts[] = {"shut.test", NULL};
    struct keep keep = {0};
    size_t n;

    (void)state;
    for (int round = 0; round < 4; round++) {
        struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
        struct net_line *log;

        t->user = &keep;
        t->cb.robots_load = keep_load;
        t->cb.robots_save = keep_save;
        if (round == 2)
            keep.fetched_s -= FETCH_ROBOTS_AGE_S; /* a day later */
        if (round == 3)
            keep.status = 503; /* no answer is worth keeping */
        net_get(t, FETCH_PAGE, "http://shut.test/shut/x");
        net_get(t, FETCH_PAGE, "http://shut.test/_/text/x");
        net_run(t);
        assert_string_equal(net_find(t, "http://shut.test/shut/x")->reason,
                            "robots");
        assert_int_equal(net_find(t, "http://shut.test/_/text/x")->outcome,
                         FETCH_OK);
        log = net_log(&server, &n);
        assert_int_equal(net_count(log, n, "shut.test", "/robots.txt"),
                         round < 2 ? 1 : round);
        free(log);
        net_free(t);
    }
    assert_string_equal(keep.origin, "http://shut.test");
    assert_int_equal(keep.saves, 3);
    assert_int_equal(keep.loads, 4);
    assert_int_equal(keep.status, 200);
}

static bool stay_home(void *ctx, struct str from, struct str url,
                      enum fetch_kind kind)
{
    (void)ctx;
    (void)from;
    (void)kind;
    return !str_starts(url, STR("http://shut.test/"));
}

static void test_fetch_polite__scope_of_redirects(void **state)
{
    static const char *const hosts[] = {"rfar.test", "shut.test", "a.test",
                                        NULL};
    struct net_fetch *t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    struct net_line *log;
    size_t n;

    (void)state;
    t->cb.follow = stay_home;
    net_get(t, FETCH_PAGE, "http://rfar.test/_/text/x");
    net_get(t, FETCH_PAGE,
            "http://a.test/_/redirect/302?then=http://shut.test/_/text/x");
    net_run(t);
    assert_string_equal(net_find(t, "http://rfar.test/_/text/x")->reason,
                        "robots-unreachable");
    assert_string_equal(t->results[0].reason[0] == 's' ? t->results[0].reason
                                                       : t->results[1].reason,
                        "scope");
    log = net_log(&server, &n);
    assert_int_equal(net_count(log, n, "shut.test", NULL), 0);
    free(log);
    net_free(t);
}

/* ---- fairness ---- */

static void test_fetch_polite__stalled_hosts_hold_nobody_up(void **state)
{
    char names[60][16];
    const char *hosts[61] = {NULL};
    struct net_fetch *t;
    struct buf limits;
    double start;
    size_t good = 0;

    (void)state;
    buf_init(&limits, 1 << 16);
    for (int i = 0; i < 60; i++) {
        snprintf(names[i], sizeof names[i], "s%d.test", i);
        hosts[i] = names[i];
        buf_addf(&limits, "%s 1\n", names[i]);
    }
    io_write_file("/tmp/witmill-polite-limit", buf_str(&limits), NULL);
    t = net_new(FETCH_DOWNLOAD, server.port, hosts);
    t->config.host_limit = "/tmp/witmill-polite-limit";
    t->config.retries = 0;
    for (int i = 0; i < 60; i++) {
        char *url = xasprintf("http://%s/_/%s", names[i],
                              i < 40 ? (i % 2 ? "stall" : "silent") : "text/x");

        net_get(t, FETCH_PAGE, url);
        free(url);
    }
    start = seconds();
    while (good < 20 && seconds() - start < 1.5) {
        assert_int_equal(fetch_step(t->f, 50, NULL), 0);
        good = 0;
        for (size_t i = 0; i < t->n; i++)
            good += t->results[i].outcome == FETCH_OK;
    }
    assert_int_equal(good, 20);
    assert_true(seconds() - start < 1.5);
    unlink("/tmp/witmill-polite-limit");
    buf_release(&limits);
    net_free(t); /* with forty under way */
}

int main(int argc, char **argv)
{
#define ON_SERVER(name)                                                        \
    cmocka_unit_test_setup_teardown(name, start_server, stop_server)
    const struct CMUnitTest tests[] = {
        ON_SERVER(test_fetch_polite__crawl_floor),
        ON_SERVER(test_fetch_polite__five_times_the_last_fetch),
        ON_SERVER(test_fetch_polite__crawl_delay),
        ON_SERVER(test_fetch_polite__long_delays_in_fake_time),
        ON_SERVER(test_fetch_polite__download_has_no_floor),
        ON_SERVER(test_fetch_polite__two_per_ip),
        ON_SERVER(test_fetch_polite__host_limit),
        ON_SERVER(test_fetch_polite__retry_after_and_backoff),
        ON_SERVER(test_fetch_polite__a_host_that_is_down),
        ON_SERVER(test_fetch_polite__robots_verdicts),
        ON_SERVER(test_fetch_polite__robots_are_kept),
        ON_SERVER(test_fetch_polite__scope_of_redirects),
        ON_SERVER(test_fetch_polite__stalled_hosts_hold_nobody_up),
    };
    int rc;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof robots_files / sizeof *robots_files; i++)
        io_write_file(robots_files[i][0], str_of(robots_files[i][1]), NULL);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < sizeof robots_files / sizeof *robots_files; i++)
        unlink(robots_files[i][0]);
    return rc;
}
