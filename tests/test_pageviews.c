/* querylist/pageviews: lines of every form, good and bad; names of files. */
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

/* What came, as "title@slot=views " for each. */
static int note(void *ctx, struct str title, const struct pageviews_slot *slots,
                size_t n, struct err *e)
{
    struct buf *to = ctx;

    (void)e;
    assert_in_range(n, 1, PAGEVIEWS_SLOTS);
    for (size_t i = 0; i < n; i++)
        buf_addf(to, "%.*s@%u=%llu ", STR_ARG(title), slots[i].at,
                 (unsigned long long)slots[i].views);
    return 0;
}

struct reading {
    struct pageviews_project project;
    struct pageviews p;
    struct tally drops;
    struct buf got;
};

static void reading_init(struct reading *r, const char *project)
{
    struct err e = ERR_INIT;

    if (pageviews_project(&r->project, project, &e))
        fail_msg("%s", e.message);
    tally_init(&r->drops);
    buf_init(&r->got, BUF_NO_LIMIT);
    pageviews_init(&r->p, &r->project, note, &r->got, &r->drops);
}

static void reading_release(struct reading *r)
{
    pageviews_release(&r->p);
    tally_release(&r->drops);
    buf_release(&r->got);
}

static void read_bytes(struct reading *r, const char *name, struct str bytes)
{
    struct stream *in;
    struct err e = ERR_INIT;

    assert_int_equal(stream_open_memory(&in, bytes, name, NULL), 0);
    if (pageviews_read_stream(&r->p, in, name, &e))
        fail_msg("%s", e.message);
    stream_close(in);
}

#define HOUR  "pageviews-20240131-130000.gz"
#define DAY   "pageviews-20240131-user.bz2"
#define MONTH "pageviews-202401-user.bz2"

static void test_pageviews__lines(void **state)
{
    static const struct {
        const char *name, *line, *got, *drop;
    } cases[] = {
        /* hourly */
        {HOUR, "en Dog 12 0", "Dog@0=12 ", NULL},
        {HOUR, "en.m Dog 12 0", "Dog@0=12 ", NULL},
        {HOUR, "en.zero Dog 0 0", "Dog@0=0 ", NULL},
        {HOUR, "en Dog 12 0\r", "Dog@0=12 ", NULL},
        {HOUR, "en.z Dog 7 123456", "Dog@0=7 ", NULL},
        {HOUR, "en \"Heroes\" 3 0", "\"Heroes\"@0=3 ", NULL},
        {HOUR, "en A%20b 3 0", "A%20b@0=3 ", NULL},
        {HOUR, "en Dog 10000000000 0", "Dog@0=10000000000 ", NULL},
        {HOUR, "en Dog 10000000001 0", "", "views-number"},
        {HOUR, "en Dog 12x 0", "", "views-number"},
        {HOUR, "en Dog -1 0", "", "views-number"},
        {HOUR, "en Dog 99999999999999999999 0", "", "views-number"},
        {HOUR, "en Dog 12", "", "views-fields"},
        {HOUR, "en Dog", "", "views-fields"},
        {HOUR, "en ", "", "views-fields"},
        {HOUR, "en", "", NULL},
        {HOUR, "en  12 0", "", "views-fields"},
        {HOUR, "en Hot dog 12 0 1 2", "", "views-fields"},
        /* other projects, and nobody's */
        {HOUR, "de Dog 12 0", "", NULL},
        {HOUR, "en.b Dog 12 0", "", NULL},
        {HOUR, "en.m.voy Dog 12 0", "", NULL},
        {HOUR, "enx Dog 12 0", "", NULL},
        {HOUR, "e", "", NULL},
        {HOUR, "", "", NULL},
        {HOUR, "en.wikibooks Dog 12 desktop 1 A1", "", NULL},
        /* complete */
        {DAY, "en.wikipedia Dog 4269567 desktop 6 A1B2X3",
         "Dog@0=1 Dog@1=2 Dog@23=3 ", NULL},
        {DAY, "en.wikipedia Dog null mobile-app 13 C13", "Dog@2=13 ", NULL},
        {DAY, "en.wikipedia \"\\\"Heroes\\\"\" 1 desktop 1 A1",
         "\"Heroes\"@0=1 ", NULL},
        {DAY, "en.wikipedia \"\\\"W\\\"_and_\\\\\" 1 desktop 1 A1",
         "\"W\"_and_\\@0=1 ", NULL},
        {DAY, "en.wikipedia \"Heroes\" 1 desktop 1 A1", "\"Heroes\"@0=1 ",
         NULL},
        {DAY, "en.wikipedia \"Weird_Al\"_Yankovic 1 desktop 1 A1",
         "\"Weird_Al\"_Yankovic@0=1 ", NULL},
        {DAY, "en.wikipedia \" 1 desktop 1 A1", "\"@0=1 ", NULL},
        {DAY, "en.wikipedia Dog desktop 1 A1", "Dog@0=1 ", NULL},
        {DAY, "en.z Dog 3 A1B2", "Dog@0=1 Dog@1=2 ", NULL},
        {DAY, "en.wikipedia Dog 1 desktop 2 A1", "", "views-sum"},
        {DAY, "en.wikipedia Dog 1 desktop x A1", "", "views-number"},
        {DAY, "en.wikipedia Dog 1 desktop 1 ", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 1 A", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 1 1", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 1 a1", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 2 A1A1", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 2 B1A1", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 1 Y1", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 1 A10000000001", "", "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 1 A99999999999999999999", "",
         "views-slots"},
        {DAY, "en.wikipedia Dog 1 desktop 1 A1 x", "", "views-fields"},
        /* days of a month */
        {MONTH, "en.wikipedia Dog 1 desktop 5 A1Z1[1\\1_1",
         "Dog@0=1 Dog@25=1 Dog@26=1 Dog@27=1 Dog@30=1 ", NULL},
        {MONTH, "en.wikipedia Dog 1 desktop 1 `1", "", "views-slots"},
        {"views.txt", "en.wikipedia Dog 1 desktop 1 _1", "Dog@30=1 ", NULL},
    };

    (void)state;
    log_quiet(true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading r;

        reading_init(&r, "en");
        read_bytes(&r, cases[i].name, str_of(cases[i].line));
        if (!str_eq(buf_str(&r.got), str_of(cases[i].got)))
            fail_msg("%s: got %.*s", cases[i].line, STR_ARG(buf_str(&r.got)));
        assert_int_equal(tally_sum(&r.drops), cases[i].drop != NULL);
        if (cases[i].drop && !tally_get(&r.drops, cases[i].drop))
            fail_msg("%s: dropped as %s", cases[i].line, r.drops.rows[0].name);
        assert_int_equal(r.p.lines, *cases[i].got != 0);
        reading_release(&r);
    }
    log_quiet(false);
}

static void test_pageviews__projects(void **state)
{
    static const char lines[] = "de Hund 1 0\nde.m Hund 2 0\nde.s Hund 3 0\n"
                                "de.m.s Hund 4 0\nde.wikisource Hund 9 x 5 A5\n"
                                "de.wikipedia Hund 9 x 6 A6\nde.z Hund 7 0\n"
                                "de.zero Hund 8 0\nzh-classical H 9 0\n";
    static const struct {
        const char *project, *got;
    } cases[] = {
        {"de", "Hund@0=1 Hund@0=2 Hund@0=6 Hund@0=7 Hund@0=8 "},
        {"de.wikipedia", "Hund@0=1 Hund@0=2 Hund@0=6 Hund@0=7 Hund@0=8 "},
        {"de.wikisource", "Hund@0=3 Hund@0=4 Hund@0=5 "},
        {"de.s", "Hund@0=3 Hund@0=4 Hund@0=5 "},
        {"zh-classical", "H@0=9 "},
    };
    static const char *const bad[] = {
        "",     "EN",   "e n",
        "en.",  ".s",   "en.xx",
        "en.m", "a..b", "abcdefghijklmnopqrstuvwxyz"};
    struct pageviews_project p;
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading r;

        reading_init(&r, cases[i].project);
        read_bytes(&r, HOUR, str_of(lines));
        assert_string_equal(buf_str(&r.got).p, cases[i].got);
        assert_int_equal(tally_sum(&r.drops), 0);
        reading_release(&r);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(pageviews_project(&p, bad[i], NULL), -E_USAGE);
    assert_int_equal(pageviews_project(&p, "EN", &e), -E_USAGE);
    assert_non_null(strstr(e.message, "--project EN"));
}

static void test_pageviews__periods(void **state)
{
    static const struct {
        const char *path;
        enum pageviews_unit unit;
        uint32_t number;
    } cases[] = {
        {"a/b/pageviews-20240131-130000.gz", PAGEVIEWS_HOUR,
         20240131 * 24 + 13},
        {"pagecounts-20071210-000001.gz", PAGEVIEWS_HOUR, 20071210 * 24},
        {"pageviews-20240131-230000", PAGEVIEWS_HOUR, 20240131 * 24 + 23},
        {"pageviews-20240131-240000.gz", PAGEVIEWS_DAY, 20240131},
        {"pageviews-20240131-user.bz2", PAGEVIEWS_DAY, 20240131},
        {"pageviews-20240131.bz2", PAGEVIEWS_DAY, 20240131},
        {"pageviews-202401-user.bz2", PAGEVIEWS_MONTH, 202401},
        {"pageviews-20241331-user.bz2", PAGEVIEWS_OWN, 0},
        {"pageviews-20240100-user.bz2", PAGEVIEWS_OWN, 0},
        {"pageviews-202413.bz2", PAGEVIEWS_OWN, 0},
        {"pageviews-2024.bz2", PAGEVIEWS_OWN, 0},
        {"pageviews-99999999999999999999.gz", PAGEVIEWS_OWN, 0},
        {"pageviews-20240131-130000/views.gz", PAGEVIEWS_OWN, 0},
        {"pageviews-", PAGEVIEWS_OWN, 0},
        {"-", PAGEVIEWS_OWN, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pageviews_period p = pageviews_period(cases[i].path);

        assert_int_equal(p.unit, cases[i].unit);
        assert_int_equal(p.number, cases[i].number);
    }
}

/* Lines around the ceiling, over the buffer, over several buffers; what stands
 * behind them is read, and numbered right. */
static void test_pageviews__long_lines(void **state)
{
    static const size_t sizes[] = {PAGEVIEWS_LINE_MAX - 16,
                                   PAGEVIEWS_LINE_MAX + 1, 300000, 3000000};

    (void)state;
    log_quiet(true);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int ours = 0; ours < 2; ours++) {
            struct reading r;
            struct buf b;

            reading_init(&r, "en");
            buf_init(&b, BUF_NO_LIMIT);
            buf_add(&b, STR("en First 1 0\n"));
            buf_add(&b, ours ? STR("en ") : STR("de "));
            for (size_t k = 0; k < sizes[i]; k++)
                buf_add_char(&b, 'x');
            buf_add(&b, STR(" 5 0\nen Last 2 0\nen \n"));
            read_bytes(&r, HOUR, buf_str(&b));
            if (ours && sizes[i] < PAGEVIEWS_LINE_MAX)
                assert_int_equal(r.p.lines, 3);
            else
                assert_string_equal(buf_str(&r.got).p, "First@0=1 Last@0=2 ");
            assert_int_equal(tally_get(&r.drops, "views-too-long"),
                             ours && sizes[i] > PAGEVIEWS_LINE_MAX);
            assert_int_equal(r.p.number, 4);
            assert_int_equal(r.p.first_bad,
                             ours && sizes[i] > PAGEVIEWS_LINE_MAX ? 2 : 4);
            buf_release(&b);
            reading_release(&r);
        }
    log_quiet(false);
}

/* Whatever a stream's reads are cut at, the lines are the same. */
static void test_pageviews__chunks(void **state)
{
    struct reading r;
    struct buf b;
    uint64_t want = 0;

    (void)state;
    reading_init(&r, "en");
    buf_init(&b, BUF_NO_LIMIT);
    for (uint64_t i = 0; i < 200000; i++) {
        buf_addf(&b, "%s T%llu %llu 0\n", i % 3 ? "en" : "fr",
                 (unsigned long long)i, (unsigned long long)i);
        want += i % 3 ? 1 : 0;
    }
    b.n--; /* the last line without its ending */
    read_bytes(&r, HOUR, buf_str(&b));
    assert_int_equal(r.p.lines, want);
    assert_int_equal(r.p.number, 200000);
    assert_int_equal(tally_sum(&r.drops), 0);
    assert_true(str_ends(buf_str(&r.got), STR("T199999@0=199999 ")));
    buf_release(&b);
    reading_release(&r);
}

static int refuse(void *ctx, struct str title,
                  const struct pageviews_slot *slots, size_t n, struct err *e)
{
    (void)ctx, (void)title, (void)slots, (void)n;
    return err_set(e, E_TOOBIG, "no more");
}

static void test_pageviews__fails(void **state)
{
    struct pageviews_project project;
    struct pageviews p;
    struct tally drops;
    struct stream *in;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(pageviews_project(&project, "en", NULL), 0);
    tally_init(&drops);
    pageviews_init(&p, &project, refuse, NULL, &drops);
    assert_int_equal(pageviews_read(&p, "/nonexistent/views", NULL),
                     -E_NOTFOUND);
    assert_int_equal(
        stream_open_memory(&in, STR("en A 1 0\nen B 1 0\n"), HOUR, NULL), 0);
    assert_int_equal(pageviews_read_stream(&p, in, HOUR, &e), -E_TOOBIG);
    assert_string_equal(e.message, "no more");
    assert_int_equal(p.lines, 1);
    stream_close(in);
    pageviews_release(&p);
    tally_release(&drops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pageviews__lines),
        cmocka_unit_test(test_pageviews__projects),
        cmocka_unit_test(test_pageviews__periods),
        cmocka_unit_test(test_pageviews__long_lines),
        cmocka_unit_test(test_pageviews__chunks),
        cmocka_unit_test(test_pageviews__fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
