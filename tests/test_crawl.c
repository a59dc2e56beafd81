/* The crawl end to end: real fetcher, tests/httpd on loopback, kills. */
#include "base/clock.h"
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crawl_corpus.h"
#include "tests/net.h"

static char site[64]; /* folder of the server's files */
static struct net_server server;

static void put(const char *path, const char *text)
{
    char full[256], *slash;

    snprintf(full, sizeof full, "%s/%s", site, path);
    slash = strrchr(full, '/');
    *slash = 0;
    assert_int_equal(io_mkdirs(full, NULL), 0);
    *slash = '/';
    assert_int_equal(io_write_file(full, str_of(text), NULL), 0);
}

/* ---- a small site with every kind of thing on it ---- */

#define PICTURE(name) "<img src='" name ".png' alt='picture of " name "'>"

static void make_small_site(void)
{
    put("a/index.html",
        "<a href=p1.html>1</a> <a href='p2.html#there'>2</a>"
        "<a href=p1.html>1 again</a>"
        "<a href=/private/x.html>forbidden</a> <a href=gone.html>gone</a>"
        "<a href='/_/redirect/302?then=/p3.html'>moved</a>"
        "<a href='/_/redirect/301?then=http://b.test/'>moved out</a>"
        "<a href=noindex.html>i</a> <a href=nofollow.html>f</a>"
        "<a rel='ugc nofollow' href=relno.html>r</a>"
        "<a href=http://b.test/>out of scope</a>"
        "<a href=http://203.0.113.9/>out of scope</a>"
        "<a href=big.jpg>picture</a> <a href=/x/x/x/trap.html>trap</a>"
        "<a href='/_/text/%3Cimg/src=%27/t.png%27/alt=%27tagged%27%3E"
        "%3Ca/href=%27/from-tagged.html%27%3E?tag=noai'>t</a>"
        "<a "
        "href='/_/text/%3Ca/href=%27/hidden.html%27%3E%3Cimg/src=%27/u.png%27"
        "/alt=%27untagged%27%3E?tag=nofollow'>u</a>"
        "<a href=/_/type/application/pdf>pdf</a>"
        "<a href=mailto:x@a.test>mail</a>" PICTURE("home"));
    put("a/p1.html", "<base href=/deep/><a href=../p4.html>4</a>"
                     "<figure><img src=1.png><figcaption>one <b>two</b>"
                     "</figcaption></figure>");
    put("a/p2.html", PICTURE("p2"));
    put("a/p3.html", PICTURE("p3") "<a href=index.html>home</a>");
    put("a/p4.html", PICTURE("p4"));
    put("a/noindex.html", "<meta name=robots content='noindex'>" PICTURE(
                              "noindex") "<a href=from-noindex.html>n</a>");
    put("a/from-noindex.html", PICTURE("fn"));
    put("a/from-tagged.html", PICTURE("ft"));
    put("a/nofollow.html", "<meta name=robots content='nofollow'>" PICTURE(
                               "nofollow") "<a href=hidden.html>h</a>");
    put("a/hidden.html", PICTURE("hidden"));
    put("a/relno.html", PICTURE("relno"));
    put("a/private/x.html", PICTURE("private"));
    put("a/robots.txt", "User-agent: *\nDisallow: /private/\n");
    put("b/index.html", PICTURE("b"));
    put("c/index.html", PICTURE("c"));
    put("c/robots.txt", "User-agent: *\nContent-Signal: ai-train=no\n"
                        "Allow: /\n");
}

static const char *const small_pairs[] = {
    "http://a.test/ http://a.test/home.png picture of home",
    "http://a.test/_/text/%3Ca/href=%27/hidden.html%27%3E%3Cimg/src=%27/u.png"
    "%27/alt=%27untagged%27%3E?tag=nofollow http://a.test/u.png untagged",
    "http://a.test/from-noindex.html http://a.test/fn.png picture of fn",
    "http://a.test/from-tagged.html http://a.test/ft.png picture of ft",
    "http://a.test/index.html http://a.test/home.png picture of home",
    "http://a.test/nofollow.html http://a.test/nofollow.png picture of "
    "nofollow",
    "http://a.test/p1.html http://a.test/deep/1.png one two",
    "http://a.test/p2.html http://a.test/p2.png picture of p2",
    "http://a.test/p3.html http://a.test/p3.png picture of p3",
    "http://a.test/p4.html http://a.test/p4.png picture of p4",
};

static int start(void **state)
{
    static char hosts[4][96];
    const char *args[9] = {0};

    snprintf(site, sizeof site, "/tmp/witmill-site-XXXXXX");
    if (!mkdtemp(site) || corpus_make(state))
        return -1;
    for (int i = 0; i < 4; i++) {
        snprintf(hosts[i], sizeof hosts[i], "%c.test=%s/%c", 'a' + i, site,
                 'a' + i);
        args[2 * i] = "--host";
        args[2 * i + 1] = hosts[i];
        put((char[]){(char)('a' + i), '/', 'x', 0}, "");
    }
    return net_server_start(&server, args) ? 0 : -1;
}

static int stop(void **state)
{
    char command[128];

    net_server_stop(&server);
    snprintf(command, sizeof command, "rm -rf %s", site);
    return system(command) | corpus_remove(state);
}

static struct crawl_config config_for(const char *const *seeds, size_t n)
{
    static const char *const nets[] = {"127.0.0.0/8"};
    static char text[4][64];
    static const char *resolve[4];
    struct crawl_config c = {
        .stage = {.corpus = corpus_dir, .threads = 2},
        .seed = {.v = (const char **)(uintptr_t)seeds, .n = n},
        .max_depth = FRONTIER_DEPTH_MAX,
        .part_bytes = 64 << 20,
        .save_ms = 1000};

    for (int i = 0; i < 4; i++) {
        snprintf(text[i], sizeof text[i], "%c.test:80:127.0.0.1:%u", 'a' + i,
                 server.port);
        resolve[i] = text[i];
    }
    fetch_config_init(&c.fetch, FETCH_CRAWL);
    c.fetch.contact = "https://witmill.example/bot";
    c.fetch.allow_net.v = (const char **)(uintptr_t)nets;
    c.fetch.allow_net.n = 1;
    c.fetch.resolve.v = resolve;
    c.fetch.resolve.n = 4;
    c.fetch.no_dns = true;
    c.fetch.min_delay_s = 0;
    c.fetch.backoff_ms = 20;
    return c;
}

static int crawl(const struct crawl_config *c, struct crawl_result *r)
{
    struct err e = ERR_INIT;
    struct corpus corpus;
    int rc = corpus_open(&corpus, corpus_dir, &e);

    crawl_result_init(r);
    if (!rc)
        rc = crawl_run(&corpus, c, &corpus_crawl_table, r, &e);
    if (rc)
        print_error("%s\n", e.message);
    return rc;
}

/* Pairs, requests and counts of the small site, to the last one. */
static void test_crawl__small_site(void **state)
{
    static const char *const seeds[] = {"http://a.test/"};
    static const struct {
        const char *path;
        size_t times;
    } asked[] = {
        {"/robots.txt", 1},      {"/", 1},           {"/index.html", 1},
        {"/p1.html", 1},         {"/p3.html", 1},    {"/private/x.html", 0},
        {"/hidden.html", 0},     {"/relno.html", 0}, {"/big.jpg", 0},
        {"/x/x/x/trap.html", 0}, {"/gone.html", 1},
    };
    struct crawl_config c = config_for(seeds, 1);
    struct corpus_lines got = {0};
    struct crawl_result r;
    struct net_line *log;
    size_t n;

    (void)state;
    make_small_site();
    assert_int_equal(crawl(&c, &r), 0);
    corpus_collect(&got, NULL);
    for (size_t i = 0; i < got.n; i++)
        assert_string_equal(got.v[i], small_pairs[i]);
    assert_int_equal(got.n, sizeof small_pairs / sizeof *small_pairs);
    corpus_free_lines(&got);

    log = net_log(&server, &n);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        assert_int_equal(net_count(log, n, "a.test", asked[i].path),
                         asked[i].times);
    assert_int_equal(net_count(log, n, "b.test", NULL), 0);
    assert_int_equal(net_overlap(log, n, "a.test"), 1);
    free(log);

    assert_int_equal(r.end, CRAWL_ALL);
    assert_int_equal(tally_get(&r.counts, "pages"), 10);
    assert_int_equal(tally_get(&r.counts, "withheld"), 2);
    assert_int_equal(tally_get(&r.counts, "redirects"), 1);
    /* the home page is there twice, as / and as /index.html */
    assert_int_equal(tally_get(&r.counts, "links-suffix"), 2);
    assert_int_equal(tally_get(&r.counts, "links-trap"), 2);
    assert_int_equal(tally_get(&r.counts, "links-scope"), 4);
    assert_int_equal(tally_get(&r.refused, "robots"), 1);
    assert_int_equal(tally_get(&r.refused, "noai"), 1);
    assert_int_equal(tally_get(&r.refused, "noindex"), 1);
    assert_int_equal(tally_get(&r.refused, "scope"), 1);
    assert_int_equal(tally_get(&r.failed, "http-status"), 1);
    assert_int_equal(tally_get(&r.failed, "content-type"), 1);
    assert_int_equal(tally_get(&r.drops, "consent"), 2);
    crawl_result_release(&r);
}

/* A site that keeps its words from training is asked for robots.txt alone;
 * robots.txt is not asked again by a run that goes on. */
static void test_crawl__content_signal(void **state)
{
    static const char *const seeds[] = {"http://c.test/", "http://a.test/"};
    struct crawl_config c = config_for(seeds, 2);
    struct crawl_result r;
    struct net_line *log;
    size_t n;

    (void)state;
    make_small_site();
    for (c.max_pages = 1; c.max_pages < 4; c.max_pages++) {
        assert_int_equal(crawl(&c, &r), 0);
        assert_int_equal(r.frontier.pages, c.max_pages);
        assert_int_equal(tally_get(&r.refused, "content-signal"),
                         c.max_pages > 1); /* a.test was first */
        crawl_result_release(&r);
    }
    log = net_log(&server, &n);
    assert_int_equal(net_count(log, n, "c.test", "/robots.txt"), 1);
    assert_int_equal(net_count(log, n, "c.test", NULL), 1);
    assert_int_equal(net_count(log, n, "a.test", "/robots.txt"), 1);
    free(log);
}

/* ---- a larger site, for kills ---- */

#define BIG 80

static void make_big_site(void)
{
    for (unsigned i = 0; i < BIG; i++) {
        char path[64];
        struct buf b;

        buf_init(&b, BUF_NO_LIMIT);
        for (unsigned k = 1; k <= 4; k++)
            buf_addf(&b, "<a href=http://%c.test/p%u.html>next</a>",
                     'a' + (i * k + 1) % 3, (i * k + 1) % BIG);
        for (unsigned k = 0; k < 5; k++)
            buf_addf(&b, "<img src=i%u-%u.png alt='picture %u of %u'>", i, k, k,
                     i);
        for (char host = 'a'; host < 'd'; host++) {
            snprintf(path, sizeof path, "%c/p%u.html", host, i);
            put(path, b.p);
        }
        buf_release(&b);
    }
}

static const char *const big_seeds[] = {
    "http://a.test/p0.html", "http://b.test/p1.html", "http://c.test/p2.html"};

static void collect_anew(void **state, struct crawl_config *c,
                         struct corpus_lines *out)
{
    struct crawl_result r;

    corpus_remove(state);
    corpus_make(state);
    assert_int_equal(crawl(c, &r), 0);
    corpus_collect(out, NULL);
    crawl_result_release(&r);
}

static void assert_same(const struct corpus_lines *a,
                        const struct corpus_lines *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        assert_string_equal(a->v[i], b->v[i]);
    assert_int_equal(a->n, b->n);
}

static void test_crawl__threads(void **state)
{
    struct crawl_config c = config_for(big_seeds, 3);
    struct corpus_lines one = {0}, four = {0};

    make_big_site();
    c.max_depth = 6;
    c.stage.threads = 1;
    collect_anew(state, &c, &one);
    c.stage.threads = 4;
    collect_anew(state, &c, &four);
    assert_true(one.n > 300);
    assert_same(&one, &four);
    corpus_free_lines(&one);
    corpus_free_lines(&four);
}

/* kill -9 at random instants, again and again, then to the end. */
static void test_crawl__killed(void **state)
{
    struct crawl_config c = config_for(big_seeds, 3);
    struct corpus_lines whole = {0}, pieces = {0};
    struct crawl_result r;
    int kills = 0, status = 1;

    make_big_site();
    collect_anew(state, &c, &whole);
    corpus_remove(state);
    corpus_make(state);
    c.save_ms = 2;
    c.part_bytes = 1500;
    srandom(20);
    while (status != 0) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
            _exit(crawl(&c, &r) ? 1 : 0);
        /* longer each time, for builds that are slow to begin */
        usleep(15000 + (useconds_t)(random() % 60000 + kills * 2000));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
        kills += status != 0;
        assert_true(kills < 500);
        if (status == 0 && kills < 6) { /* a machine too fast for it: anew */
            corpus_remove(state);
            corpus_make(state);
            status = 1;
        }
    }
    printf("crawl: killed %d times, %zu pairs\n", kills, whole.n);
    corpus_collect(&pieces, NULL);
    assert_same(&whole, &pieces);
    corpus_free_lines(&whole);
    corpus_free_lines(&pieces);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_crawl__small_site),
        TEST(test_crawl__content_signal),
        TEST(test_crawl__threads),
        TEST(test_crawl__killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
