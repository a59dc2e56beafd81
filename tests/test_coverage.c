/* coverage and explain: what they print, for people and for scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "tests/small_images.h"
#include "tools/coverage.h"
#include "tools/explain.h"
#include "tools/merge.h"
#include "tools/print.h"

static int setup(void **state)
{
    *state = small_new(2);
    return 0;
}

static int teardown(void **state)
{
    small_free(*state);
    return 0;
}

static void merge(struct small *s)
{
    struct merge_config config = MERGE_CONFIG_DEFAULT;

    MUST(merge_corpus(&s->corpus, &config, e));
}

enum view { SUMMARY, QUERY, UNDER, EXPLAIN, EXPLAIN_ALL };

/* What a command prints; free() it. */
static char *shown(struct small *s, enum view view, const char *argument,
                   bool json, int want_rc)
{
    struct catalog catalog = CATALOG_INIT;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    struct coverage v = {.corpus = &s->corpus,
                         .catalog = &catalog,
                         .out = out,
                         .json = json,
                         .top = 20};
    struct explain_config x = {.url = argument,
                               .everywhere = view == EXPLAIN_ALL};
    struct err said = ERR_INIT;
    int rc = 0;

    if (view < EXPLAIN)
        MUST(catalog_open(&catalog, s->dir, DB_READ, e));
    if (view == SUMMARY)
        rc = coverage_summary(&v, &said);
    else if (view == QUERY)
        rc = coverage_query(&v, argument, &said);
    else if (view == UNDER)
        rc = coverage_under(&v, argument, &said);
    else
        rc = explain_url(&s->corpus, &x, out, &said);
    catalog_close(&catalog);
    fclose(out);
    if (rc != want_rc)
        fail_msg("%d instead of %d: %s\n%s", rc, want_rc, said.message, text);
    if (getenv("SHOW"))
        printf("---- %s\n%s\n", argument ? argument : "", text);
    return text;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in:\n%s", part, text);
}

/* Every line of JSON output is sound. */
static void sound(const char *text)
{
    struct arena a;
    struct json j;
    struct err e = ERR_INIT;

    arena_init(&a, 1 << 24);
    json_open(&j, str_of(text), &a);
    json_skip(&j);
    if (json_close(&j, &e))
        fail_msg("%s: %s", e.message, text);
    arena_release(&a);
}

static void test_coverage__before_any_stage(void **state)
{
    struct small *s = *state;
    char *text;

    merge(s);
    text = shown(s, SUMMARY, NULL, false, 0);
    has(text, "nothing yet");
    has(text, "8 entries in 6 groups");
    has(text, "1 without a word");
    has(text, "not counted yet");
    free(text);
    text = shown(s, QUERY, "dog", false, 0);
    has(text, "not counted yet");
    free(text);
    text = shown(s, SUMMARY, NULL, true, 0);
    sound(text);
    free(text);
}

static void test_coverage__the_funnel(void **state)
{
    struct small *s = *state;
    char *text, line[80];

    small_all(s);
    merge(s);
    text = shown(s, SUMMARY, NULL, false, 0);
    has(text, "pages                              4");
    has(text, "pairs                             49");
    has(text, "matched                           48");
    has(text, "unique                            48");
    has(text, "selected, round 0");
    has(text, "selected, round 1");
    has(text, "images, pass 0");
    snprintf(line, sizeof line, "samples              %15llu",
             (unsigned long long)s->rows);
    has(text, line);
    has(text, "boilerplate");
    has(text, "duplicate-near");
    has(text, "zebra");
    free(text);
    text = shown(s, SUMMARY, NULL, true, 0);
    sound(text);
    has(text, "{\"label\":\"pairs\",\"stage\":\"import\",\"n\":49}");
    has(text, "\"entries\":8,\"groups\":6,\"wordless\":1");
    free(text);
}

static void test_coverage__one_query(void **state)
{
    struct small *s = *state;
    char *text, *other;

    small_all(s);
    merge(s);
    text = shown(s, QUERY, "DOG", false, 0);
    has(text, "    0        dog  (file)  dog.n.01: a domestic animal");
    has(text, "    3        Dog  (file)");
    has(text, "found                 48");
    has(text, "cap 14");
    has(text, "http://host");
    free(text);
    text = shown(s, QUERY, "  Olive,OIL ", false, 0);
    has(text, "olive oil\n");
    free(text);
    /* Accents are folded by case, not taken away. */
    text = shown(s, QUERY, "CAF\xc3\x89", false, 0);
    other = shown(s, QUERY, "cafe", false, -E_NEGATIVE);
    has(other, "cafe is not in the query list");
    free(other);
    free(text);
    text = shown(s, QUERY, "!!!", false, 0);
    has(text, "has no words");
    free(text);
    text = shown(s, QUERY, "no such thing", false, -E_NEGATIVE);
    free(text);
    text = shown(s, QUERY, "dog", true, 0);
    sound(text);
    has(text, "\"found\":48");
    has(text, "\"pairs\":[{");
    free(text);
    text = shown(s, QUERY, "no such thing", true, -E_NEGATIVE);
    sound(text);
    has(text, "\"entries\":[]");
    free(text);
}

static void test_coverage__under_a_synset(void **state)
{
    struct small *s = *state;
    char *text;

    small_all(s);
    merge(s);
    text = shown(s, UNDER, "animal.n.01", false, 0);
    has(text, "dog.n.01");
    has(text, "poodle.n.01");
    has(text, "(none)");
    has(text, "4 synsets, 2 of them found");
    free(text);
    text = shown(s, UNDER, "dog.n.01", false, 0);
    has_not(text, "cat.n.01");
    free(text);
    text = shown(s, UNDER, "cow.n.01", false, -E_NEGATIVE);
    has(text, "not a synset");
    free(text);
    text = shown(s, UNDER, "animal.n.01", true, 0);
    sound(text);
    free(text);
}

/* ---- explain ---- */

static void test_coverage__explain_down_the_chain(void **state)
{
    struct small *s = *state;
    int seen_packed = 0, seen_failed = 0, seen_duplicate = 0, seen_left = 0;

    small_all(s);
    for (int i = 0; i < SMALL_PAIRS; i++) {
        char line[160], *text;
        bool picked = small_picked(s, i, 0, 2);

        text = shown(s, EXPLAIN, s->pairs[i].url.p, false, 0);
        has(text, "read from page.html");
        snprintf(line, sizeof line, "\"dog\", c 48: draw %llu, cap 14, %s",
                 (unsigned long long)small_draw(s, i, 0),
                 picked ? "picked" : "not picked");
        has(text, line);
        if (s->row[i] != UINT64_MAX) {
            snprintf(line, sizeof line, "shards/%05d.tar, key %06d",
                     (int)(s->row[i] / SMALL_SAMPLES),
                     (int)(s->row[i] / SMALL_SAMPLES * 10 +
                           s->row[i] % SMALL_SAMPLES));
            has(text, line);
            seen_packed++;
        } else if (s->round[i] >= 0 && s->duplicate[i]) {
            has(text, "duplicate-near of http://host");
            seen_duplicate++;
        } else if (s->round[i] >= 0 && !s->image[i]) {
            has_not(text, "duplicates and shards");
            seen_failed++;
        } else if (s->round[i] < 0 && !strstr(text, "pass 00")) {
            has(text, "no query drew it below its cap");
            seen_left++;
        }
        free(text);
    }
    assert_true(seen_packed && seen_failed && seen_duplicate && seen_left);
}

static void test_coverage__explain_other_urls(void **state)
{
    struct small *s = *state;
    char *text;

    small_all(s);
    /* Dropped by match: found in pairs/ alone. */
    text =
        shown(s, EXPLAIN, "HTTP://HOST0.test:80/x/../next.png#top", false, 0);
    has(text, "http://host0.test/next.png\n");
    has(text, "match dropped all of its texts");
    has(text, "read from index.html");
    free(text);
    text = shown(s, EXPLAIN, "http://host0.test/never.png", false, -E_NEGATIVE);
    has(text, "has never met it");
    free(text);
    text = shown(s, EXPLAIN, "ftp://host0.test/a.png", false, -E_USAGE);
    free(text);
    text = shown(s, EXPLAIN_ALL, s->pairs[3].url.p, false, 0);
    has(text, "places in pairs/");
    free(text);
}

static void test_coverage__explain_early(void **state)
{
    struct small *s = *state;
    char *text;

    small_import(s);
    text = shown(s, EXPLAIN, s->pairs[0].url.p, false, 0);
    has(text, "match and gather have not run yet");
    free(text);
    small_gather(s);
    text = shown(s, EXPLAIN, s->pairs[0].url.p, false, 0);
    has(text, "balance has not run yet");
    has(text, "\"dog\", c 48\n");
    free(text);
}

/* A catalogue of a stranger, or of a failing disk: answers or errors, never a
 * crash, for a flipped byte in every page. */
static void test_coverage__a_damaged_catalogue(void **state)
{
    struct small *s = *state;
    struct buf whole;
    char path[128];
    int refused = 0;

    small_all(s);
    merge(s);
    snprintf(path, sizeof path, "%s/corpus.db", s->dir);
    buf_init(&whole, 64 << 20);
    MUST(io_read_file(path, &whole, e));
    for (size_t at = 0; at < whole.n; at += at < 4096 ? 61 : 1361) {
        struct catalog catalog = CATALOG_INIT;
        FILE *out = fopen("/dev/null", "w");
        struct coverage v = {
            .corpus = &s->corpus, .catalog = &catalog, .out = out, .top = 5};

        whole.p[at] ^= 0x5a;
        MUST(io_write_file(path, buf_str(&whole), e));
        whole.p[at] ^= 0x5a;
        if (catalog_open(&catalog, s->dir, DB_READ, NULL) == 0) {
            refused += coverage_summary(&v, NULL) != 0;
            refused += coverage_query(&v, "dog", NULL) != 0;
            refused += coverage_under(&v, "animal.n.01", NULL) != 0;
        } else {
            refused++;
        }
        catalog_close(&catalog);
        fclose(out);
    }
    buf_release(&whole);
    assert_true(refused > 5);
}

/* ---- printing ---- */

static void test_coverage__strangers_texts_are_made_plain(void **state)
{
    static const struct {
        const char *in, *out;
        size_t max;
    } rows[] = {
        {"plain caf\xc3\xa9 \xe7\x8a\xac", "plain caf\xc3\xa9 \xe7\x8a\xac", 0},
        {"\x1b[31mred\x07", "<U+001B>[31mred<U+0007>", 0},
        {"a\xc2\x9b", "a<U+009B>", 0},
        {"\xe2\x80\xaegnp.exe", "<U+202E>gnp.exe", 0},
        {"\xff", "<?>", 0},
        {"abcdef", "abc...", 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b;

        buf_init(&b, 1 << 16);
        print_plain(&b, str_of(rows[i].in), rows[i].max);
        assert_string_equal(buf_str(&b).p, rows[i].out);
        buf_release(&b);
    }
    assert_string_equal(print_n(0), "0");
    assert_string_equal(print_n(999), "999");
    assert_string_equal(print_n(1234567), "1,234,567");
    assert_string_equal(print_n(UINT64_MAX - 1), "18,446,744,073,709,551,614");
    assert_string_equal(print_n(UINT64_MAX), "-");
    assert_string_equal(print_share(1, 8), "12.5%");
    assert_string_equal(print_share(1, 0), "-");
}

/* Cells are filled by columns, not bytes; what is longer goes on below. */
static void test_print__cells_stay_in_their_columns(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"dog", "dog  |"},
        {"12345", "12345|"},
        {"123456", "123456\n       |"},
        {"caf\u00e9", "caf\u00e9 |"},
        {"cafe\u0301", "cafe\u0301 |"},
        {"\u732b", "\u732b   |"},
        {"", "     |"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[64] = "";
        FILE *f = fmemopen(out, sizeof out, "w");

        assert_non_null(f);
        print_cell(f, str_of(rows[i].in), 2, 5);
        fprintf(f, "|");
        assert_int_equal(fclose(f), 0);
        assert_string_equal(out, rows[i].out);
    }
}

int main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_coverage__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(before_any_stage),
        T(the_funnel),
        T(one_query),
        T(under_a_synset),
        T(explain_down_the_chain),
        T(explain_other_urls),
        T(explain_early),
        T(a_damaged_catalogue),
        T(strangers_texts_are_made_plain),
        cmocka_unit_test(test_print__cells_stay_in_their_columns),
    };

    log_quiet(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
