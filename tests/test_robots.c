#include "crawler/robots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/json.h"

static const char *shared(const char *name, char *out)
{
    const char *root = getenv("WITMILL_SHARED");

    snprintf(out, IO_PATH_MAX, "%s/data/robots/%s", root ? root : "../shared",
             name);
    return out;
}

/* ---- the collected cases ---- */

struct one {
    struct str name, robots, robots_b64, agent, url;
    bool allowed;
};

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static void unbase64(struct str s, struct buf *out)
{
    unsigned bits = 0, have = 0;

    for (size_t i = 0; i < s.n; i++) {
        int d = base64_digit(s.p[i]);

        if (d < 0)
            break;
        bits = bits << 6 | (unsigned)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_add_char(out, (char)(bits >> have & 255));
        }
    }
}

static void read_case(struct str line, struct arena *a, struct one *t)
{
    struct json j;
    struct str name;
    struct err e = ERR_INIT;

    memset(t, 0, sizeof *t);
    json_open(&j, line, a);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("name")))
            t->name = json_string(&j);
        else if (str_eq(name, STR("robots")))
            t->robots = json_string(&j);
        else if (str_eq(name, STR("robots_b64")))
            t->robots_b64 = json_string(&j);
        else if (str_eq(name, STR("agent")))
            t->agent = json_string(&j);
        else if (str_eq(name, STR("url")))
            t->url = json_string(&j);
        else if (str_eq(name, STR("allowed")))
            t->allowed = json_bool(&j);
        else
            json_skip(&j);
    }
    if (json_close(&j, &e))
        fail_msg("%s", e.message);
}

/* The path of an absolute URL; false for rows on how Google's reader cuts up
 * what is no URL, which canonical URLs leave us nothing of. */
static bool path_of(struct str url, struct str *path)
{
    size_t at = str_find(url, STR("://"), 0), end;

    if (url.n == 0) {
        *path = STR("/");
        return true;
    }
    if (at == SIZE_MAX || at > 5)
        return false;
    at = str_find_char(url, '/', at + 3);
    if (at == SIZE_MAX) {
        *path = STR("/");
        return true;
    }
    end = str_find_char(url, '#', at);
    *path = str_slice(url, at, end);
    return true;
}

/* Runs the rows of a file; how many ran, or -1 when it is not there. */
static int run_cases(const char *name, int *left_out)
{
    char path[IO_PATH_MAX];
    struct buf file, raw;
    struct arena a;
    struct str rest, line;
    int ran = 0;

    buf_init(&file, 4 << 20);
    buf_init(&raw, 1 << 20);
    if (io_read_file(shared(name, path), &file, NULL)) {
        buf_release(&file);
        return -1;
    }
    arena_init(&a, 4 << 20);
    rest = buf_str(&file);
    while (str_split(&rest, '\n', &line)) {
        struct one t;
        struct str p;
        struct robots *r;
        bool got, want;

        if (line.n == 0)
            continue;
        arena_reset(&a);
        read_case(line, &a, &t);
        if (!path_of(t.url, &p)) {
            ++*left_out;
            continue;
        }
        if (t.robots_b64.n) {
            buf_clear(&raw);
            unbase64(t.robots_b64, &raw);
            t.robots = buf_str(&raw);
        }
        r = robots_parse(t.robots, t.agent);
        got = robots_allows(r, p);
        robots_free(r);
        /* Three rows contradict RFC 9309 2.2.2: there the URL must be
         * normalised by the caller or it does not match.  Ours are, and the
         * rule is too. */
        want =
            str_starts(t.name, STR("google-not-rfc/")) ? !t.allowed : t.allowed;
        if (got != want)
            fail_msg("%.*s: %s", STR_ARG(t.name),
                     got ? "allowed" : "disallowed");
        ran++;
    }
    arena_release(&a);
    buf_release(&file);
    buf_release(&raw);
    return ran;
}

static void test_robots__collected_cases(void **state)
{
    static const char *const files[] = {"robots_cases.jsonl",
                                        "robots_rfc_cases.jsonl",
                                        "robots_bytes_cases.jsonl"};
    int total = 0, left_out = 0;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int n = run_cases(files[i], &left_out);

        if (n < 0) {
            printf("skipped: %s is not here\n", files[i]);
            skip();
        }
        total += n;
    }
    printf("%d cases hold, %d are about what is no URL\n", total, left_out);
    assert_true(total >= 210 && left_out <= 14);
}

/* A small tar reader is enough for our own archive of plain files. */
static void test_robots__real_files(void **state)
{
    char path[IO_PATH_MAX], header[512];
    struct buf body;
    gzFile f = gzopen(shared("protego-real-robots.tar.gz", path), "rb");
    int files = 0, with_rules = 0, with_delay = 0, with_signals = 0;

    (void)state;
    if (!f) {
        printf("skipped: %s is not here\n", path);
        skip();
    }
    buf_init(&body, 1 << 20);
    while (gzread(f, header, 512) == 512 && header[0]) {
        size_t size = strtoul(header + 124, NULL, 8);
        struct robots *r;
        char *room;

        buf_clear(&body);
        room = buf_reserve(&body, (size + 511) / 512 * 512);
        assert_non_null(room);
        assert_int_equal(gzread(f, room, (unsigned)((size + 511) / 512 * 512)),
                         (size + 511) / 512 * 512);
        if (header[156] != '0')
            continue;
        body.n = size;
        r = robots_parse(buf_str(&body), STR("witmill"));
        /* Whatever it says, asking it twice says the same. */
        assert_int_equal(robots_allows(r, STR("/a/b?c=d")),
                         robots_allows(r, STR("/a/b?c=d")));
        assert_true(robots_allows(r, STR("/robots.txt")));
        assert_true(r->bytes < 64u << 20);
        with_rules += r->n_rules > 0;
        with_delay += r->delay_ms > 0;
        with_signals += r->n_kept > 0;
        robots_free(r);
        files++;
    }
    gzclose(f);
    buf_release(&body);
    printf("%d real files: %d with rules for us, %d with a delay, %d with "
           "signals\n",
           files, with_rules, with_delay, with_signals);
    assert_int_equal(files, 1203);
    assert_true(with_rules > 900);
}

/* ---- our own rows ---- */

static void test_robots__own_cases(void **state)
{
    static const struct {
        const char *robots, *path;
        bool allowed;
    } rows[] = {
        {"User-agent: *\nDisallow: /a", "/a", false},
        {"User-agent: *\nDisallow: /a", "/robots.txt", true},
        {"User-agent: *\nDisallow: /", "/robots.txt", true},
        {"User-agent: *\nDisallow: /", "/robots.txt?x", false},
        /* a group that names us, even an empty one, hides * */
        {"User-agent: witmill\nUser-agent: *\nDisallow: /", "/x", false},
        {"User-agent: *\nDisallow: /\nUser-agent: Witmill", "/x", true},
        {"User-agent: witmillbot\nDisallow: /", "/x", true},
        {"User-agent: WITMILL/1.0 (x)\nDisallow: /", "/x", false},
        /* misspellings */
        {"Useragent: *\nDissallow: /", "/x", false},
        {"User agent: *\ndisalow: /", "/x", false},
        /* one form */
        {"User-agent: *\nDisallow: /%7Ejoe", "/~joe", false},
        {"User-agent: *\nDisallow: /~joe", "/%7ejoe", false},
        {"User-agent: *\nDisallow: /a%2fb", "/a%2Fb", false},
        {"User-agent: *\nDisallow: /a%2fb", "/a/b", true},
        {"User-agent: *\nDisallow: /a b", "/a%20b", false},
        {"User-agent: *\nDisallow: /a%", "/a%", false},
        {"User-agent: *\nDisallow: /a%2", "/a%2x", false},
        {"User-agent: *\nDisallow: /{x}|", "/%7Bx%7D%7C", false},
        {"User-agent: *\nDisallow: /x%2Ay", "/x*y", false},
        {"User-agent: *\nDisallow: /x%2Ay", "/xzy", true},
        {"User-agent: *\nDisallow: /x%24", "/x$", false},
        {"User-agent: *\nDisallow: /x$y", "/x$y", false},
        {"User-agent: *\nDisallow: /x$y", "/x", true},
        {"User-agent: *\nDisallow: /x$$", "/x$", false},
        /* stars and ends */
        {"User-agent: *\nDisallow: *", "/x", false},
        {"User-agent: *\nDisallow: *$", "/x", false},
        {"User-agent: *\nDisallow: $", "/", true},
        {"User-agent: *\nDisallow: /*$", "/x", false},
        {"User-agent: *\nDisallow: /*/b$", "/a/b/b", false},
        {"User-agent: *\nDisallow: /*/b$", "/b", true},
        {"User-agent: *\nDisallow: /ab*ab$", "/ab", true},
        {"User-agent: *\nDisallow: /ab*ab$", "/aba", true},
        {"User-agent: *\nDisallow: /ab*ab$", "/abab", false},
        {"User-agent: *\nDisallow: /**x**", "/yyx", false},
        {"User-agent: *\nDisallow: *.gif$", "/a.gif", false},
        {"User-agent: *\nDisallow: *.gif$", "/a.gif?x", true},
        {"User-agent: *\nDisallow: a", "/a", true},
        {"User-agent: *\nDisallow:", "/a", true},
        /* lengths, and the tie */
        {"User-agent: *\nDisallow: /a*c\nAllow: /a%62", "/abc", false},
        {"User-agent: *\nDisallow: /a*c\nAllow: /a%62c", "/abc", true},
        {"User-agent: *\nDisallow: /abc\nAllow: /a*c", "/abc", true},
        {"User-agent: *\nDisallow: /abc$\nAllow: /abc", "/abc", false},
        /* lines */
        {"User-agent: *\rDisallow: /a\rDisallow: /b", "/b", false},
        {"User-agent: *\r\n\r\nDisallow: /a\r\n", "/a", false},
        {"User-agent: * # all\nDisallow: /a#b", "/a", false},
        {"User-agent: *\nCrawl-delay: 5\nUser-agent: b\nDisallow: /", "/",
         false},
        {"User-agent: b\nDisallow: /\nUser-agent: *\nAllow: /", "/x", true},
        {"Disallow: /", "/x", true},
        {"<html><body>User-agent: *\nDisallow: /</body>", "/x", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct robots *r = robots_parse(str_of(rows[i].robots), STR("witmill"));

        if (robots_allows(r, str_of(rows[i].path)) != rows[i].allowed)
            fail_msg("%s: %s", rows[i].robots, rows[i].path);
        robots_free(r);
    }
}

static void test_robots__crawl_delay(void **state)
{
    static const struct {
        const char *robots;
        uint32_t ms;
    } rows[] = {
        {"", 0},
        {"Crawl-delay: 5", 0},
        {"User-agent: *\nCrawl-delay: 5", 5000},
        {"User-agent: *\nCrawl-delay: 0.5", 500},
        {"User-agent: *\ncrawl-delay:.25", 250},
        {"User-agent: *\nCrawl-delay: 2 seconds", 2000},
        {"User-agent: *\nCrawl-delay: 299.9996", 300000},
        {"User-agent: *\nCrawl-delay: 86400", 300000},
        {"User-agent: *\nCrawl-delay: 1e308", 300000},
        {"User-agent: *\nCrawl-delay: 99999999999999999999999", 300000},
        {"User-agent: *\nCrawl-delay: -1", 0},
        {"User-agent: *\nCrawl-delay: NaN", 0},
        {"User-agent: *\nCrawl-delay: inf", 0},
        {"User-agent: *\nCrawl-delay: 0", 0},
        {"User-agent: *\nCrawl-delay: 3\nCrawl-delay: 2", 3000},
        {"User-agent: *\nDisallow: /x\nCrawl-delay: 4", 4000},
        {"User-agent: *\nCrawl-delay: 9\nUser-agent: witmill\nAllow: /", 0},
        {"User-agent: witmill\nCrawl-delay: 7\nUser-agent: *\nCrawl-delay: 1",
         7000},
        {"User-agent: bingbot\nCrawl-delay: 9\nDisallow: /\nUser-agent: *\n"
         "Disallow: /y",
         0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct robots *r = robots_parse(str_of(rows[i].robots), STR("witmill"));

        if (r->delay_ms != rows[i].ms)
            fail_msg("%s: %u", rows[i].robots, r->delay_ms);
        robots_free(r);
    }
}

static void test_robots__content_signal(void **state)
{
    static const struct {
        const char *robots, *path;
        bool reserved;
    } rows[] = {
        {"User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /",
         "/x", true},
        {"User-agent: *\nContent-Signal: ai-train=yes\nAllow: /", "/x", false},
        {"User-agent: *\nContent-Signal: search=yes\nAllow: /", "/x", false},
        {"Content-Signal: ai-train=no", "/x", true},
        {"User-agent: other\nContent-Signal: ai-train=no", "/x", false},
        {"User-agent: *\nContent-signal: /blog ai-train=no", "/blog/1", true},
        {"User-agent: *\nContent-signal: /blog ai-train=no", "/x", false},
        {"User-agent: *\nContent-Signal: ai-train=no\nContent-Signal: /open "
         "ai-train=yes",
         "/open/1", false},
        {"User-agent: *\nContent-Signal: ai-train=yes\nContent-Signal: "
         "ai-train=no",
         "/x", true},
        /* an agent line behind no rule joins the group */
        {"User-agent: *\nContent-Signal: ai-train=no\nUser-agent: witmill\n"
         "Allow: /",
         "/x", true},
        /* rules of * do not reach a crawler with a group of its own; a
         * reservation does, unless that group speaks for itself */
        {"User-agent: *\nContent-Signal: ai-train=no\nAllow: /\nUser-agent: "
         "witmill\nAllow: /",
         "/x", true},
        {"User-agent: *\nContent-Signal: ai-train=no\nAllow: /\nUser-agent: "
         "witmill\nContent-Signal: ai-train=yes\nAllow: /",
         "/x", false},
    };
    struct robots *r;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        r = robots_parse(str_of(rows[i].robots), STR("witmill"));
        if (robots_reserves(r, str_of(rows[i].path)) != rows[i].reserved)
            fail_msg("%s: %s", rows[i].robots, rows[i].path);
        robots_free(r);
    }
    r = robots_parse(STR("User-agent: *\nContent-Usage: train-ai=n # x\n"
                         "Content-Signal: ai-train=yes\nAllow: /\n"
                         "User-agent: b\nContent-Usage: train-ai=y\n"),
                     STR("witmill"));
    assert_int_equal(r->n_kept, 2);
    assert_true(str_eq(r->kept[0], STR("Content-Usage: train-ai=n")));
    assert_true(str_eq(r->kept[1], STR("Content-Signal: ai-train=yes")));
    robots_free(r);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_robots__linear_matching(void **state)
{
    struct buf file, path;
    struct robots *r;
    double start;

    (void)state;
    buf_init(&file, 1 << 20);
    buf_init(&path, 1 << 20);
    buf_add(&file, STR("User-agent: *\nDisallow: /"));
    for (int i = 0; i < 1000; i++)
        buf_add(&file, STR("*a"));
    buf_add(&file, STR("*b$\n"));
    buf_add_char(&path, '/');
    for (int i = 0; i < 8192; i++)
        buf_add_char(&path, 'a');
    r = robots_parse(buf_str(&file), STR("witmill"));
    start = seconds();
    assert_true(robots_allows(r, buf_str(&path)));
    printf("1,000 stars against 8 KiB: %.2f ms\n", (seconds() - start) * 1e3);
    assert_true(seconds() - start < 0.05);
    robots_free(r);

    /* the worst whole file: as many short rules with stars as fit */
    buf_clear(&file);
    buf_add(&file, STR("User-agent: *\n"));
    while (file.n < ROBOTS_BYTES_MAX - 16)
        buf_add(&file, STR("Allow:*z*z\n"));
    start = seconds();
    r = robots_parse(buf_str(&file), STR("witmill"));
    assert_true(robots_allows(r, str_slice(buf_str(&path), 0, 2048)));
    printf("%zu rules read and tried: %.1f ms\n", r->n_rules,
           (seconds() - start) * 1e3);
    assert_true(seconds() - start < 2.0); /* sanitizers included */
    robots_free(r);
    buf_release(&file);
    buf_release(&path);
}

static void test_robots__cap_drops_the_cut_line(void **state)
{
    struct buf file;
    struct robots *r;

    (void)state;
    buf_init(&file, 2 << 20);
    buf_add(&file, STR("User-agent: *\nDisallow: /kept\n#"));
    while (file.n < ROBOTS_BYTES_MAX - 14)
        buf_add_char(&file, 'x');
    /* the cut falls behind "Allow: /kept/", which would allow too much */
    buf_add(&file, STR("\nAllow: /kept/narrow\nDisallow: /late\n"));
    r = robots_parse(buf_str(&file), STR("witmill"));
    assert_int_equal(r->n_rules, 1);
    assert_false(robots_allows(r, STR("/kept/narrow")));
    assert_true(robots_allows(r, STR("/late")));
    robots_free(r);
    buf_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_robots__collected_cases),
        cmocka_unit_test(test_robots__real_files),
        cmocka_unit_test(test_robots__own_cases),
        cmocka_unit_test(test_robots__crawl_delay),
        cmocka_unit_test(test_robots__content_signal),
        cmocka_unit_test(test_robots__linear_matching),
        cmocka_unit_test(test_robots__cap_drops_the_cut_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
