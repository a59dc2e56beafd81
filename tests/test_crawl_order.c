/*
 * The crawl over a web that is drawn from a seed, with a fetcher that answers
 * in any order and a process that dies at any write: the pages read and the
 * pairs found must be those that a search of the whole graph says, each once.
 */
#include <inttypes.h>
#include <sys/wait.h>

#include "crawler/crawl_private.h"
#include "tests/crawl_web.h"

static const char *seeds[] = {"http://h0.one.test/p0", "http://h1.two.test/p1"};

static struct crawl_config config_for(const struct web *w)
{
    struct crawl_config c = {.stage = {.corpus = corpus_dir, .threads = 2},
                             .seed = {.v = seeds, .n = 2},
                             .scope = CRAWL_SCOPE_DOMAIN,
                             .max_depth = w->max_depth,
                             .fetch = {.contact = "test@h0.test"},
                             .part_bytes = 700,
                             .save_ms = 1000,
                             .stop = &stop};
    return c;
}

static int crawl(const struct crawl_config *c, struct crawl_result *r,
                 struct err *e)
{
    struct corpus corpus;
    int rc = corpus_open(&corpus, corpus_dir, e);

    crawl_result_init(r);
    clock_set_fake(&now);
    if (!rc)
        rc = crawl_run(&corpus, c, &corpus_crawl_table, r, e);
    return rc;
}

static void assert_as_expected(const struct web *w)
{
    struct corpus_lines want = {0}, got = {0};

    expect(w, &want);
    corpus_collect(&got, NULL);
    for (size_t i = 0; i < want.n && i < got.n; i++)
        assert_string_equal(got.v[i], want.v[i]);
    assert_int_equal(got.n, want.n);
    corpus_free_lines(&want);
    corpus_free_lines(&got);
}

static void run_ok(const struct crawl_config *c, struct crawl_result *r)
{
    struct err e = ERR_INIT;

    if (crawl(c, r, &e))
        fail_msg("%s", e.message);
}

/* Whatever the order of answers, the pages within --max-depth are read. */
static void test_crawl_order__any_order(void **state)
{
    struct web w;

    for (uint64_t seed = 0; seed < 40; seed++) {
        make_web(&w, seed);
        web = &w;
        for (uint64_t order = 0; order < 3; order++) {
            struct crawl_config c = config_for(&w);
            struct crawl_result r;

            corpus_make(state);
            rng = seed * 1000 + order;
            c.stage.threads = 1 + order;
            run_ok(&c, &r);
            assert_int_equal(r.frontier.waiting, 0);
            assert_as_expected(&w);
            crawl_result_release(&r);
            corpus_remove(state);
        }
    }
}

/* One web, of many parts, for the tests that follow. */
static struct web one;

static int setup(void **state)
{
    make_web(&one, 11);
    one.max_depth = 5;
    for (unsigned k = 0; k < 4; k++) { /* one of each that is refused */
        static const enum page_kind kinds[] = {KIND_PDF, KIND_MISSING, KIND_TAG,
                                               KIND_NOINDEX};
        one.page[0].links[k] = 2 + k;
        one.page[2 + k].kind = kinds[k];
        one.page[2 + k].host = 0;
    }
    web = &one;
    rng = 5;
    fail_at = stop_after = 0;
    memset(down, 0, sizeof down);
    atomic_store(&stop, false);
    return corpus_make(state);
}

static void test_crawl_order__parts(void **state)
{
    struct crawl_config c = config_for(&one);
    struct corpus_lines lines = {0};
    struct crawl_result r;
    uint64_t parts;

    (void)state;
    run_ok(&c, &r);
    corpus_collect(&lines, &parts);
    printf("crawl: %zu pairs in %" PRIu64 " parts\n", lines.n, parts);
    assert_true(parts >= 3);
    assert_int_equal(r.end, CRAWL_DEPTH);
    assert_int_equal(tally_get(&r.counts, "records"), lines.n);
    assert_int_equal(tally_get(&r.counts, "pages") * 2, lines.n);
    assert_true(tally_get(&r.refused, "noai") > 0);
    assert_true(tally_get(&r.refused, "noindex") > 0);
    assert_true(tally_get(&r.failed, "http-status") > 0);
    assert_true(tally_get(&r.failed, "content-type") > 0);
    corpus_free_lines(&lines);
    crawl_result_release(&r);
}

/* A second run with the same budgets asks for nothing and makes nothing. */
static void test_crawl_order__again(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        run_ok(&c, &r);
        assert_int_equal(r.asked > 0, turn == 0);
        assert_int_equal(r.published, turn == 0);
        crawl_result_release(&r);
    }
    assert_as_expected(&one);
}

static void test_crawl_order__more_budget(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;

    (void)state;
    for (c.max_pages = 3; c.max_pages < 15; c.max_pages += 4) {
        run_ok(&c, &r);
        assert_int_equal(r.end, CRAWL_BUDGET);
        assert_int_equal(r.frontier.pages, c.max_pages);
        crawl_result_release(&r);
        run_ok(&c, &r);
        assert_int_equal(r.asked, 0);
        crawl_result_release(&r);
    }
    c.max_pages = 0;
    run_ok(&c, &r);
    assert_as_expected(&one);
    crawl_result_release(&r);
}

static void test_crawl_order__more_depth(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;
    struct web shallow = one;

    (void)state;
    for (unsigned depth = 0; depth <= one.max_depth; depth++) {
        c.max_depth = shallow.max_depth = depth;
        run_ok(&c, &r);
        assert_as_expected(&shallow);
        crawl_result_release(&r);
    }
}

static void test_crawl_order__stopped(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;
    int rc, stops = 0;

    (void)state;
    do {
        struct err e = ERR_INIT;

        atomic_store(&stop, false);
        stop_after = 6;
        rc = crawl(&c, &r, &e);
        assert_true(rc == 0 || rc == -E_CANCEL);
        stops += rc == -E_CANCEL;
        crawl_result_release(&r);
    } while (rc);
    printf("crawl: stopped %d times\n", stops);
    assert_true(stops > 3);
    assert_as_expected(&one);
}

/* A host that is down is left for a later run, whole; what failed by itself
 * is asked again only when told to. */
static void test_crawl_order__down(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;

    (void)state;
    down[1] = FETCH_R_HOST_DOWN;
    down[2] = FETCH_R_ROBOTS_DOWN;
    for (int turn = 0; turn < 2; turn++) {
        run_ok(&c, &r);
        assert_true(tally_get(&r.held, "host-down") > 0);
        assert_int_equal(r.asked > 0, turn == 0);
        assert_int_equal(r.end, CRAWL_DOWN);
        assert_true(tally_sum(&r.held) <= 2 * CRAWL_AHEAD);
        crawl_result_release(&r);
    }
    down[1] = FETCH_R_NONE;
    down[2] = FETCH_R_TIMEOUT;
    run_ok(&c, &r);
    assert_true(tally_get(&r.failed, "timeout") > 0);
    assert_int_equal(tally_sum(&r.held), 0);
    crawl_result_release(&r);
    down[2] = FETCH_R_NONE;
    run_ok(&c, &r);
    assert_int_equal(r.asked, 0);
    crawl_result_release(&r);
    c.retry_failed = true;
    run_ok(&c, &r);
    assert_true(r.asked > 0);
    assert_as_expected(&one);
    crawl_result_release(&r);
}

/* How a crawl in a process of its own ends that fails at call n: 0 when there
 * were fewer, 3 after the failure, 99 with a bad message, or -signal. */
static int crawl_apart(const struct crawl_config *c, long n, bool dies)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct crawl_result r;
        struct err e = ERR_INIT;
        int rc;

        fail_at = n;
        fail_dies = dies;
        rc = crawl(c, &r, &e);
        if (rc == 0)
            _exit(calls < n ? 0 : 3); /* SQLite gets over some failures */
        _exit(rc == -E_IO && strstr(e.message, corpus_dir) ? 3 : 99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static long step_of_sweep(void)
{
    return getenv("WITMILL_LONG") ? 1 : 23;
}

static void sweep(void **state, bool dies, int status)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;
    long n, times = 0;

    for (n = 1;; n += step_of_sweep(), times++) {
        int got;

        corpus_remove(state);
        corpus_make(state);
        got = crawl_apart(&c, n, dies);
        run_ok(&c, &r);
        assert_as_expected(&one);
        crawl_result_release(&r);
        if (got == 0)
            break;
        assert_int_equal(got, status);
    }
    printf("crawl: %s at %ld of %ld writes and syncs, continued each time\n",
           dies ? "killed" : "disk full", times, n);
    assert_true(times > 5);
}

static void test_crawl_order__killed(void **state)
{
    sweep(state, true, -SIGKILL);
}

static void test_crawl_order__disk_full(void **state)
{
    sweep(state, false, 3);
}

/* Killed again and again, also while it recovers. */
static void test_crawl_order__killed_often(void **state)
{
    struct crawl_config c = config_for(&one);
    int kills = 0;

    (void)state;
    while (crawl_apart(&c, 25 + (long)draw(40), true) != 0)
        assert_true(kills++ < 1000);
    printf("crawl: killed %d times\n", kills);
    assert_true(kills > 3);
    assert_as_expected(&one);
}

/* One pass of all parts; whether any asked or handed over. */
static bool pass_of_parts(struct crawl_config *c, uint32_t n, bool kills)
{
    bool any = false;

    for (c->stage.part = (struct part){.n = n}; c->stage.part.i < n;
         c->stage.part.i++) {
        struct crawl_result r;

        /* A run that is to be killed may come to its end before; what it
         * handed over is for the next pass all the same. */
        any = any || kills;
        while (kills && draw(4) &&
               crawl_apart(c, 1 + (long)draw(150), true) != 0)
            ;
        run_ok(c, &r);
        any = any || r.asked || r.handed;
        crawl_result_release(&r);
    }
    return any;
}

/* Parts, run in turn until a pass adds nothing, find what one crawl finds;
 * also when they are killed. */
static void test_crawl_order__in_parts(void **state)
{
    int most = 0;

    for (uint64_t seed = 0; seed < 12; seed++) {
        struct crawl_config c;
        int passes = 1;

        corpus_remove(state);
        corpus_make(state);
        make_web(&one, 100 + seed);
        c = config_for(&one);
        while (pass_of_parts(&c, 2 + seed % 3, seed % 2 && passes < 6))
            assert_true(++passes < 100);
        assert_as_expected(&one);
        most = passes > most ? passes : most;
    }
    printf("crawl: parts were done by at most %d passes\n", most);
    assert_true(most > 3); /* links went to and fro */
}

static void refused(const struct crawl_config *c, int code, const char *says)
{
    struct crawl_result r;
    struct err e = ERR_INIT;

    assert_int_equal(crawl(c, &r, &e), -code);
    if (!strstr(e.message, says))
        fail_msg("\"%s\" does not say \"%s\"", e.message, says);
    crawl_result_release(&r);
}

/* Another split does not know what the first one found. */
static void test_crawl_order__other_parts(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;

    (void)state;
    c.stage.part = (struct part){.i = 0, .n = 2};
    run_ok(&c, &r);
    crawl_result_release(&r);
    c.stage.part.n = 0;
    refused(&c, E_DAMAGED, "--part");
}

static void test_crawl_order__stale(void **state)
{
    struct crawl_config c = config_for(&one), other = c;
    struct crawl_result r;
    struct web narrow = one;

    (void)state;
    run_ok(&c, &r);
    crawl_result_release(&r);
    other.scope = CRAWL_SCOPE_HOST;
    refused(&other, E_STALE, "--redo");
    other = c;
    other.seed.n = 1;
    refused(&other, E_STALE, "--redo");
    assert_as_expected(&one); /* and nothing was touched */
    other.stage.redo = true;
    for (unsigned i = 0; i < PAGES; i++) /* what one.test's seed may see */
        narrow.page[i].host = one.page[i].host ? 3 : 0;
    run_ok(&other, &r);
    assert_as_expected(&narrow);
    crawl_result_release(&r);
    other.stage.redo = false;
    run_ok(&other, &r);
    assert_int_equal(r.asked, 0);
    crawl_result_release(&r);
}

/* Seeds are the same crawl however they are given. */
static void test_crawl_order__seeds_file(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;
    char path[128];

    (void)state;
    run_ok(&c, &r);
    crawl_result_release(&r);
    snprintf(path, sizeof path, "%s/seeds.txt", corpus_dir);
    assert_int_equal(io_write_file(path,
                                   STR("# two\n\n HTTP://H1.two.test:80/p1\n"
                                       "http://h0.one.test/p0#top\r\n"),
                                   NULL),
                     0);
    c.seed.n = 0;
    c.seeds = path;
    run_ok(&c, &r);
    assert_int_equal(r.asked, 0);
    crawl_result_release(&r);
    assert_int_equal(
        io_write_file(path, STR("http://a.test/\n# x\n\nfile:///etc\n"), NULL),
        0);
    refused(&c, E_USAGE, "seeds.txt:4: seed \"file:///etc\"");
}

static void test_crawl_order__usage(void **state)
{
    static const char *const bad[] = {"www.example.org", "ftp://a.test/", "",
                                      "http://", "http://a b.test/"};
    struct crawl_config c = config_for(&one);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *seed[] = {"http://a.test/", bad[i]};

        c.seed = (struct opt_list){.v = seed, .n = 2};
        refused(&c, E_USAGE, bad[i]);
    }
    c = config_for(&one);
    c.seed.n = 0;
    refused(&c, E_USAGE, "no seeds");
    c = config_for(&one);
    c.fetch.contact = "";
    refused(&c, E_USAGE, "--contact");
}

static void test_crawl_order__db_lost(void **state)
{
    struct crawl_config c = config_for(&one);
    struct crawl_result r;
    char path[128];

    (void)state;
    run_ok(&c, &r);
    crawl_result_release(&r);
    snprintf(path, sizeof path, "%s/crawl.db", corpus_dir);
    assert_int_equal(unlink(path), 0);
    refused(&c, E_DAMAGED, "crawl.db");
    c.stage.redo = true;
    run_ok(&c, &r);
    crawl_result_release(&r);
    assert_as_expected(&one);
}

static void test_crawl_order__two_at_once(void **state)
{
    struct crawl_config c = config_for(&one);
    char path[128];
    int fd;

    (void)state;
    snprintf(path, sizeof path, "%s/crawl.lock", corpus_dir);
    assert_int_equal(io_lock(path, "test", &fd, NULL), 0);
    refused(&c, E_BUSY, "another crawl");
    io_unlock(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, corpus_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crawl_order__any_order),
        TEST(test_crawl_order__parts),
        TEST(test_crawl_order__again),
        TEST(test_crawl_order__more_budget),
        TEST(test_crawl_order__more_depth),
        TEST(test_crawl_order__stopped),
        TEST(test_crawl_order__down),
        TEST(test_crawl_order__killed),
        TEST(test_crawl_order__killed_often),
        TEST(test_crawl_order__disk_full),
        TEST(test_crawl_order__in_parts),
        TEST(test_crawl_order__other_parts),
        TEST(test_crawl_order__stale),
        TEST(test_crawl_order__seeds_file),
        TEST(test_crawl_order__usage),
        TEST(test_crawl_order__db_lost),
        TEST(test_crawl_order__two_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
