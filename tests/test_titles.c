/* querylist/title, aliases, titles: names, what redirects lead to, sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "querylist/pageviews.h"
#include "querylist/title.h"
#include "querylist/titles.h"
#include "tests/folder.h"

/* ---- names ---- */

static void test_titles__normal(void **state)
{
    static const struct {
        const char *raw, *normal;
        enum title_fault fault;
    } cases[] = {
        {"Dog", "Dog", TITLE_FINE},
        {"dog", "Dog", TITLE_FINE},
        {"New_York_City", "New York City", TITLE_FINE},
        {"_new__york_ _city_", "New york city", TITLE_FINE},
        {"new\xc2\xa0york\xe2\x80\x89x\xe3\x80\x80", "New york x", TITLE_FINE},
        {"Caf%C3%A9", "Caf\xc3\xa9", TITLE_FINE},
        {"%c3%a9toile", "\xc3\x89toile", TITLE_FINE},
        {"A%20b%5Fc", "A b c", TITLE_FINE},
        {"100%", "100%", TITLE_FINE},
        {"100%_", "100%", TITLE_FINE},
        {"50%_off", "50% off", TITLE_FINE},
        {"%4", "%4", TITLE_FINE},
        {"%41", "A", TITLE_FINE},
        {"%2541", "%41", TITLE_FINE}, /* decoded once */
        {"E\xcc\x81toile", "\xc3\x89toile", TITLE_FINE},
        {"e\xcc\x81toile", "\xc3\x89toile", TITLE_FINE},
        {"\xce\xb1\xce\xb2", "\xce\x91\xce\xb2", TITLE_FINE},
        {"\xc3\x9f", "\xc3\x9f", TITLE_FINE},
        {"\xe1\x83\x90\xe1\x83\x91", "\xe1\x83\x90\xe1\x83\x91", TITLE_FINE},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", TITLE_FINE},
        {"&_Juliet", "& Juliet", TITLE_FINE},
        {"\"Heroes\"", "\"Heroes\"", TITLE_FINE},
        {"--", "--", TITLE_FINE},
        {"main_Page_(film)", "Main Page (film)", TITLE_FINE},
        {"", "", TITLE_NONE},
        {"_", "", TITLE_NONE},
        {"-", "-", TITLE_NONE},
        {"%2D", "-", TITLE_NONE},
        {"Main_Page", "Main Page", TITLE_MAIN_PAGE},
        {"main_Page", "Main Page", TITLE_MAIN_PAGE},
        {"Special:Search", "Special:Search", TITLE_COLON},
        {"Star_Trek:_X", "Star Trek: X", TITLE_COLON},
        {"A%3AB", "A:B", TITLE_COLON},
        {"C#", "C#", TITLE_ILLEGAL},
        {"A<b>", "A<b>", TITLE_ILLEGAL},
        {"A|b", "A|b", TITLE_ILLEGAL},
        {"A%00b", "A", TITLE_ILLEGAL},
        {"A\tb", "A\tb", TITLE_ILLEGAL},
        {"A\x7f", "A\x7f", TITLE_ILLEGAL},
        {"A\xef\xbf\xbd", "A\xef\xbf\xbd", TITLE_ILLEGAL},
        {"A\xff", "", TITLE_CHARSET},
        {"A%FF", "", TITLE_CHARSET},
        {"\xed\xa0\x80", "", TITLE_CHARSET},
    };
    struct title_form t;
    struct str normal;

    (void)state;
    title_form_init(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum title_fault fault =
            title_normal(&t, str_of(cases[i].raw), &normal);

        if (fault != cases[i].fault)
            fail_msg("%s: %s", cases[i].raw, title_fault_name(fault));
        if (!str_starts(normal, str_of(cases[i].normal)) ||
            (normal.n != strlen(cases[i].normal) && normal.p[1]))
            fail_msg("%s: %.*s", cases[i].raw, STR_ARG(normal));
    }
    title_form_release(&t);
}

static void test_titles__lengths(void **state)
{
    char raw[TITLE_MAX + 2];
    struct title_form t;
    struct str normal;

    (void)state;
    title_form_init(&t);
    memset(raw, 'x', sizeof raw);
    assert_int_equal(title_normal(&t, str_make(raw, TITLE_MAX), &normal),
                     TITLE_FINE);
    assert_int_equal(normal.n, TITLE_MAX);
    assert_int_equal(title_normal(&t, str_make(raw, TITLE_MAX + 1), &normal),
                     TITLE_TOO_LONG);
    raw[TITLE_MAX] = '_'; /* no part of the name */
    assert_int_equal(title_normal(&t, str_make(raw, TITLE_MAX + 1), &normal),
                     TITLE_FINE);
    title_form_release(&t);
}

/* What is normal already stays. */
static void test_titles__idempotent(void **state)
{
    static const char *const names[] = {
        "dog_",      "%C3%A9t%C3%A9",    "e\xcc\x81",    "\xc7\x86",
        "\xc5\x89x", "\xce\xb1\xcc\x81", "\xe2\x84\xab", "a%5F%5Fb",
    };
    struct title_form a, b;
    struct str once, twice;

    (void)state;
    title_form_init(&a);
    title_form_init(&b);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(title_normal(&a, str_of(names[i]), &once), 0);
        assert_int_equal(title_normal(&b, once, &twice), 0);
        assert_true(str_eq(once, twice));
    }
    title_form_release(&a);
    title_form_release(&b);
}

/* A Wiktionary's dog is another page than its Dog. */
static void test_titles__exact_case(void **state)
{
    static const char *const names[] = {"dog", "Dog", "\xc3\xa9t\xc3\xa9",
                                        "\xc3\x89t\xc3\xa9"};
    struct pageviews_project p;
    struct title_form t;
    struct str normal;

    (void)state;
    title_form_init(&t);
    t.exact_case = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(title_normal(&t, str_of(names[i]), &normal), 0);
        assert_true(str_eq(normal, str_of(names[i])));
    }
    title_form_release(&t);
    assert_int_equal(pageviews_project(&p, "en.wiktionary", NULL), 0);
    assert_true(p.exact_case);
    assert_int_equal(pageviews_project(&p, "en.d", NULL), 0);
    assert_true(p.exact_case);
    assert_int_equal(pageviews_project(&p, "en", NULL), 0);
    assert_false(p.exact_case);
}

/* ---- aliases ---- */

static void add(struct titles_aliases *a, const char *name, const char *target)
{
    assert_int_equal(titles_aliases_add(a, str_of(name), str_of(target)), 0);
}

static void check(const struct titles_aliases *a, const char *name,
                  const char *want)
{
    struct str got = titles_aliases_target(a, str_of(name));

    if (!str_eq(got, str_of(want)))
        fail_msg("%s leads to %.*s", name, STR_ARG(got));
}

static void test_titles__aliases(void **state)
{
    struct titles_aliases a;

    (void)state;
    titles_aliases_init(&a, 1 << 20);
    check(&a, "USA", "USA");
    check(NULL, "USA", "USA");
    add(&a, "USA", "United States");
    add(&a, "USA", "Another");
    add(&a, "U.S.", "USA");
    add(&a, "America", "United States#History");
    add(&a, "Self", "Self");
    add(&a, "Self section", "#Here");
    add(&a, "Ping", "Pong");
    add(&a, "Pong", "Ping");
    add(&a, "Into", "Ping"); /* a circle that it is no part of */
    add(&a, "Into it", "Into");
    add(&a, "", "Nothing");
    add(&a, "Nothing", "");
    add(&a, "1", "2");
    add(&a, "2", "3");
    add(&a, "3", "4");
    add(&a, "4", "5");
    add(&a, "5", "6");
    check(&a, "USA", "United States");
    check(&a, "U.S.", "United States");
    check(&a, "America", "United States");
    check(&a, "United States", "United States");
    check(&a, "Self", "Self");
    check(&a, "Self section", "Self section");
    check(&a, "Ping", "Ping");
    check(&a, "Pong", "Pong");
    check(&a, "Into", "Into");
    check(&a, "Into it", "Into it");
    check(&a, "Nothing", "Nothing");
    check(&a, "1", "5"); /* ALIASES_STEPS */
    check(&a, "2", "6");
    assert_int_equal(a.n, 12);
    titles_aliases_release(&a);
}

static void test_titles__many_aliases(void **state)
{
    struct titles_aliases a;
    char name[32], target[32];
    int rc = 0, n = 0;

    (void)state;
    titles_aliases_init(&a, 4 << 20);
    for (; !rc && n < 1000000; n++) {
        snprintf(name, sizeof name, "name %d", n);
        snprintf(target, sizeof target, "target %d", n % 1000);
        rc = titles_aliases_add(&a, str_of(name), str_of(target));
    }
    assert_int_equal(rc, -E_TOOBIG);
    assert_in_range(a.n, 50000, 200000);
    assert_int_equal(a.n, n - 1);
    for (int i = 0; i < n - 1; i++) {
        snprintf(name, sizeof name, "name %d", i);
        snprintf(target, sizeof target, "target %d", i % 1000);
        check(&a, name, target);
    }
    titles_aliases_release(&a);
}

/* ---- sums ---- */

static void put(const char *name, const char *text)
{
    struct err e = ERR_INIT;

    if (io_write_file(at(name), str_of(text), &e))
        fail_msg("%s", e.message);
}

/* Files by name; the answer as "title=views|...". */
static void rank_by(unsigned threads, struct titles_config c,
                    const char *const *names, size_t n, const char *want)
{
    struct query_candidates got = {0};
    struct titles *t;
    struct tally drops;
    struct buf text;
    struct err e = ERR_INIT;
    char *paths[8];

    assert_true(n <= 8);
    c.project = "en";
    c.keep = c.keep ? c.keep : 1000;
    c.memory = 1 << 24;
    c.threads = threads;
    c.thread_memory = 1;
    tally_init(&drops);
    buf_init(&text, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++)
        paths[i] = strdup(at(names[i]));
    if (titles_open(&t, &c, &e) || titles_read(t, paths, n, &drops, &e) ||
        titles_rank(t, &got, &e))
        fail_msg("%s", e.message);
    for (size_t i = 0; i < got.n; i++)
        buf_addf(&text, "%s%.*s=%llu", i ? "|" : "", STR_ARG(got.v[i].text),
                 (unsigned long long)got.v[i].views);
    assert_string_equal(buf_str(&text).p, want);
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
    query_candidates_release(&got);
    titles_close(t);
    tally_release(&drops);
    buf_release(&text);
}

static void rank(struct titles_config c, const char *const *names, size_t n,
                 const char *want)
{
    for (unsigned threads = 1; threads <= 4; threads++)
        rank_by(threads, c, names, n, want);
}

#define H13 "pageviews-20240131-130000"
#define H14 "pageviews-20240131-140000"
#define DAY "pageviews-20240131-user"

static void test_titles__floors(void **state)
{
    static const char *const hours[] = {H13, H14};
    static const char *const twice[] = {H14, "other", H13};
    static const char *const own[] = {"one", "two"};
    struct titles_config c = {.min_hour_views = 50, .min_views = 70};

    (void)state;
    put(H13, "de Dog 900 0\nen Dog 30 0\nen Cat 49 0\nen Ant 50 0\n"
             "en Bee 69 0\nen Main_Page 9999 0\nen.m Dog 20 0\n");
    put(H14, "en Dog 20 0\nen Cat 1000 0\nen Ant 49 0\nen ant 1 0\n");
    /* Dog: 50 in the first hour, 20 in the second; ant is Ant */
    rank(c, hours, 2, "Cat=1000|Ant=100");
    c.min_views = 50;
    rank(c, hours, 2, "Cat=1000|Ant=100|Bee=69|Dog=50");
    c.min_hour_views = 0;
    rank(c, hours, 2, "Cat=1049|Ant=100|Dog=70|Bee=69");
    c.keep = 2;
    rank(c, hours, 2, "Cat=1049|Ant=100");
    c.keep = 1000;
    /* files of one hour are one hour, wherever they stand in the list */
    put("other", "en Dog 1 0\n");
    put("one", "en Dog 30 0\nen Cat 60 0\n");
    put("two", "en Dog 30 0\nen Cat 60 0\n");
    c.min_hour_views = 50;
    rank(c, own, 2, "Cat=120");
    c.min_hour_views = 1;
    rank(c, twice, 3, "Cat=1049|Ant=100|Dog=71|Bee=69");
    rank(c, own, 0, "");
}

static void test_titles__one_hour_in_two_files(void **state)
{
    static const char *const files[] = {"pageviews-20240131-130000-a", DAY,
                                        "pageviews-20240131-130000-b",
                                        "pageviews-20240131-automated"};
    struct titles_config c = {.min_hour_views = 50, .min_views = 1};

    (void)state;
    put(files[0], "en Dog 30 0\n");
    put(files[2], "en Dog 20 0\n");
    put(DAY, "en.wikipedia Dog 1 desktop 30 A20B10\n"
             "en.wikipedia Dog 1 mobile-web 60 A30C30\n");
    put(files[3], "en.wikipedia Dog null mobile-app 60 B39C20D1\n");
    /* hour 13: 50; of the day A 50, B 49, C 50, D 1 */
    rank(c, files, 4, "Dog=150");
}

static void test_titles__ties(void **state)
{
    static const char *const files[] = {"ties"};
    struct titles_config c = {0};

    (void)state;
    put("ties", "en Zebra 5 0\nen A 5 0\nen \xc3\x89t\xc3\xa9 5 0\nen B 6 0\n"
                "en Aa 5 0\n");
    rank(c, files, 1, "B=6|A=5|Aa=5|Zebra=5|\xc3\x89t\xc3\xa9=5");
    c.keep = 3;
    rank(c, files, 1, "B=6|A=5|Aa=5");
}

static void test_titles__redirects(void **state)
{
    static const char *const files[] = {"redirects"};
    struct titles_aliases a;
    struct titles_config c = {
        .min_hour_views = 50, .min_views = 50, .aliases = &a};

    (void)state;
    titles_aliases_init(&a, 1 << 20);
    add(&a, "USA", "United States");
    add(&a, "Talk", "Help:Talk");
    add(&a, "H:X", "Hydrogen");
    put("redirects", "en USA 60 0\nen uSA 10 0\nen United_States 40 0\n"
                     "en Talk 80 0\nen H:X 90 0\nen Dog 55 0\n");
    c.redirects = TITLES_OWN;
    rank(c, files, 1, "Talk=80|USA=70|Dog=55");
    c.redirects = TITLES_TARGET;
    rank(c, files, 1, "United States=110|Hydrogen=90|Dog=55");
    c.redirects = TITLES_BOTH;
    rank(c, files, 1, "United States=110|Hydrogen=90|Talk=80|USA=70|Dog=55");
    c.aliases = NULL;
    rank(c, files, 1, "Talk=80|USA=70|Dog=55");
    titles_aliases_release(&a);
}

/* Memory that does not hold an hour gives the same, by way of the disk, for any
 * number of threads. */
static void test_titles__spills(void **state)
{
    static const uint64_t memory[] = {1 << 16, 1 << 20, 1 << 26};
    uint64_t first = 0;
    struct buf b;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    for (int h = 0; h < 3; h++) {
        char name[64];

        buf_clear(&b);
        for (unsigned i = 0; i < 30000; i++)
            buf_addf(&b, "en Title_number_%u %u 0\nen.m Title_number_%u 9 0\n",
                     i * 7919 % 30000, i * 7919 % (100 + (unsigned)h) + 1,
                     i * 104729 % 30000);
        snprintf(name, sizeof name, "pageviews-20240201-0%d0000", h);
        put(name, buf_str(&b).p);
    }
    for (unsigned run = 0; run < 12; run++) {
        unsigned m = run % 3;
        struct titles_config c = {.project = "en",
                                  .min_hour_views = 50,
                                  .min_views = 70,
                                  .keep = 20000,
                                  .memory = memory[m],
                                  .threads = 1 + run / 3,
                                  .thread_memory = 1,
                                  .folder = folder};
        uint64_t sum = 0;
        struct query_candidates got = {0};
        struct titles_stats stats;
        struct titles *t;
        struct tally drops;
        struct err e = ERR_INIT;
        char *paths[3];

        tally_init(&drops);
        for (int h = 0; h < 3; h++) {
            char name[64];

            snprintf(name, sizeof name, "pageviews-20240201-0%d0000", h);
            paths[h] = strdup(at(name));
        }
        if (titles_open(&t, &c, &e) || titles_read(t, paths, 3, &drops, &e) ||
            titles_rank(t, &got, &e))
            fail_msg("%s", e.message);
        titles_stats(t, &stats);
        assert_int_equal(stats.spilled > 0, m < 2);
        assert_int_equal(stats.lines, 180000);
        assert_int_equal(got.n, 20000);
        for (size_t i = 0; i < got.n; i++)
            sum = hash_xxh3_seeded(got.v[i].text, sum * 31 + got.v[i].views);
        first = run ? first : sum;
        assert_int_equal(sum, first);
        for (int h = 0; h < 3; h++)
            free(paths[h]);
        query_candidates_release(&got);
        titles_close(t);
        tally_release(&drops);
    }
    buf_release(&b);
}

static void test_titles__fails(void **state)
{
    struct titles_config c = {.project = "EN", .memory = 1 << 20, .keep = 1};
    char *absent[] = {(char *)"/nonexistent/pageviews-20240101-000000.gz"};
    struct titles *t;
    struct tally drops;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(titles_open(&t, &c, &e), -E_USAGE);
    assert_null(t);
    titles_close(t);
    c.project = "en";
    tally_init(&drops);
    assert_int_equal(titles_open(&t, &c, NULL), 0);
    assert_int_equal(titles_read(t, absent, 1, &drops, NULL), -E_NOTFOUND);
    titles_close(t);
    tally_release(&drops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_titles__normal),
        cmocka_unit_test(test_titles__lengths),
        cmocka_unit_test(test_titles__idempotent),
        cmocka_unit_test(test_titles__exact_case),
        cmocka_unit_test(test_titles__aliases),
        cmocka_unit_test(test_titles__many_aliases),
        cmocka_unit_test(test_titles__floors),
        cmocka_unit_test(test_titles__one_hour_in_two_files),
        cmocka_unit_test(test_titles__ties),
        cmocka_unit_test(test_titles__redirects),
        cmocka_unit_test(test_titles__spills),
        cmocka_unit_test(test_titles__fails),
    };

    log_quiet(true);
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
