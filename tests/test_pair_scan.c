/* pair_scan: which lines are plain, and that the scanner never disagrees with
 * the reader of any JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/pair.h"
#include "base/pair_scan.h"

#define UID  "900150983cd24fb0d6963f7d28e17f72"
#define HEAD "{\"uid\":\"" UID "\",\"url\":\"http://a.test/\","
#define DOG  "\xe7\x8a\xac" /* U+72AC */

static const char *const plain[] = {
    HEAD "\"text\":\"t\"}",
    HEAD "\"text\":\"fifteen bytes..\",\"from\":\"alt\"}",
    HEAD "\"text\":\"sixteen bytes...\",\"page\":\"http://p.test/\"}",
    HEAD "\"text\":\"seventeen bytes..\",\"origin\":\"a/b.html\"}",
    HEAD "\"text\":\"a caf\xc3\xa9 for one " DOG " \x7f\",\"list_uid\":\"7\"}",
    HEAD "\"text\":\"t\",\"from\":\"alt\",\"page\":\"p\",\"origin\":\"o\","
         "\"list_uid\":\"l\",\"q\":[0,7,4294967295]}",
    HEAD "\"text\":\"t\",\"q\":[]}",
    HEAD "\"text\":\"t\",\"q\":[1,2],\"s\":0,\"keep\":[2]}",
    HEAD "\"text\":\"t\",\"s\":18446744073709551615,\"keep\":[]}",
};

/* Records all the same, or none at all: the other reader says. */
static const char *const other[] = {
    "",
    "{}",
    HEAD "\"text\":\"\"}",
    HEAD "\"text\":\"a \\\"dog\\\"\"}",
    HEAD "\"text\":\"t\\u0001\"}",
    HEAD "\"text\":\"a\tb\"}",
    HEAD "\"text\":\"t\" }",
    HEAD "\"text\":\"t\"} ",
    HEAD "\"text\":\"t\"}}",
    HEAD "\"text\":\"t\"",
    HEAD "\"text\":\"t",
    HEAD "\"text\":\"\xff\"}",
    HEAD "\"text\":\"\xed\xa0\x80\"}",
    HEAD "\"text\":\"t\",\"from\":\"\"}",
    HEAD "\"text\":\"t\",\"page\":\"p\",\"from\":\"alt\"}",
    HEAD "\"text\":\"t\",\"x\":1}",
    HEAD "\"text\":\"t\",\"q\":[01]}",
    HEAD "\"text\":\"t\",\"q\":[2,1]}",
    HEAD "\"text\":\"t\",\"q\":[1,1]}",
    HEAD "\"text\":\"t\",\"q\":[1,]}",
    HEAD "\"text\":\"t\",\"q\":[,1]}",
    HEAD "\"text\":\"t\",\"q\":[1 ]}",
    HEAD "\"text\":\"t\",\"q\":[4294967296]}",
    HEAD "\"text\":\"t\",\"q\":[-1]}",
    HEAD "\"text\":\"t\",\"q\":[1.0]}",
    HEAD "\"text\":\"t\",\"q\":[1",
    HEAD "\"text\":\"t\",\"q\":1}",
    HEAD "\"text\":\"t\",\"s\":1}",
    HEAD "\"text\":\"t\",\"s\":18446744073709551616,\"keep\":[]}",
    HEAD "\"text\":\"t\",\"s\":01,\"keep\":[]}",
    HEAD "\"text\":\"t\",\"keep\":[1]}",
    "{\"uid\":\"900150983CD24FB0D6963F7D28E17F72\",\"url\":\"u\","
    "\"text\":\"t\"}",
    "{\"uid\":\"900150983cd24fb0d6963f7d28e17f7\",\"url\":\"u\","
    "\"text\":\"t\"}",
    "{\"uid\":\"900150983cd24fb0d6963f7d28e17f7g\",\"url\":\"u\","
    "\"text\":\"t\"}",
    "{\"url\":\"u\",\"uid\":\"" UID "\",\"text\":\"t\"}",
};

struct world {
    struct arena arena;
    struct buf spaced, back;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    arena_init(&w->arena, 1 << 20);
    buf_init(&w->spaced, 1 << 20);
    buf_init(&w->back, 1 << 20);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    arena_release(&w->arena);
    buf_release(&w->spaced);
    buf_release(&w->back);
    free(w);
    return 0;
}

/* What the line is by the reader that knows nothing of plain lines: a space in
 * front of it is no member, and plain lines have none. */
static int read_any(struct world *w, struct str line, struct pair *p)
{
    buf_clear(&w->spaced);
    buf_add_char(&w->spaced, ' ');
    buf_add(&w->spaced, line);
    return pair_read(buf_str(&w->spaced), &w->arena, p, NULL);
}

static bool ids_equal(const uint32_t *a, const uint32_t *b, uint32_t n)
{
    return n == 0 || !memcmp(a, b, n * sizeof *a);
}

static bool equal(const struct pair *a, const struct pair *b)
{
    return !memcmp(a->uid, b->uid, MD5_SIZE) && str_eq(a->url, b->url) &&
           str_eq(a->text, b->text) && str_eq(a->from, b->from) &&
           str_eq(a->page, b->page) && str_eq(a->origin, b->origin) &&
           str_eq(a->list_uid, b->list_uid) && a->matched == b->matched &&
           a->n_q == b->n_q && ids_equal(a->q, b->q, a->n_q) &&
           a->selected == b->selected && a->s == b->s &&
           a->n_keep == b->n_keep && ids_equal(a->keep, b->keep, a->n_keep);
}

/* Of lines the first is plain when it is alone, and found where it ends. */
static void first_agrees(struct world *w, struct str line)
{
    struct pair_scan alone, among;
    struct str first, got;
    bool is;

    buf_clear(&w->back);
    buf_add(&w->back, line);
    if (pair_scan_first(buf_str(&w->back), &got, &among) &&
        str_find_char(line, '\n', 0) == SIZE_MAX)
        fail_msg("a line without an end: %.*s", STR_ARG(line));
    buf_add(&w->back, STR("\n{\"uid\":\"0123"));
    first = buf_str(&w->back);
    first = str_slice(first, 0, str_find_char(first, '\n', 0));
    is = pair_scan(first, &alone);
    if (is != pair_scan_first(buf_str(&w->back), &got, &among))
        fail_msg("plain alone or among others: %.*s", STR_ARG(line));
    if (is && (got.n != first.n || !str_eq(alone.url, among.url) ||
               !str_eq(alone.text, among.text) || !str_eq(alone.q, among.q)))
        fail_msg("not the same among others: %.*s", STR_ARG(line));
}

static void agree(struct world *w, struct str line)
{
    struct pair any, p;
    struct pair_scan s;
    int rc;

    first_agrees(w, line);

    arena_reset(&w->arena);
    buf_clear(&w->back);
    rc = read_any(w, line, &any);
    if (rc != pair_read(line, &w->arena, &p, NULL) || (!rc && !equal(&any, &p)))
        fail_msg("the readers differ: %.*s", STR_ARG(line));
    if (!pair_scan(line, &s))
        return;
    if (rc)
        fail_msg("plain and no record: %.*s", STR_ARG(line));
    pair_write(&p, &w->back);
    if (!str_eq(buf_str(&w->back), line))
        fail_msg("plain and written as %s: %.*s", w->back.p, STR_ARG(line));
}

static void test_pair_scan__plain(void **state)
{
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        struct pair_scan s;

        if (!pair_scan(str_of(plain[i]), &s))
            fail_msg("not plain: %s", plain[i]);
        agree(*state, str_of(plain[i]));
    }
}

static void test_pair_scan__not_plain(void **state)
{
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        struct pair_scan s;

        if (pair_scan(str_of(other[i]), &s))
            fail_msg("plain: %s", other[i]);
        agree(*state, str_of(other[i]));
    }
}

static void test_pair_scan__spans(void **state)
{
    static const char line[] =
        HEAD "\"text\":\"a dog\",\"from\":\"alt\",\"page\":\"p\","
             "\"origin\":\"o\",\"list_uid\":\"l\",\"q\":[3,14],\"s\":15,"
             "\"keep\":[14]}";
    struct pair_scan s;
    uint32_t q[2];

    (void)state;
    assert_true(pair_scan(str_of(line), &s));
    assert_true(str_eq(s.uid, STR(UID)));
    assert_true(str_eq(s.url, STR("http://a.test/")));
    assert_true(str_eq(s.text, STR("a dog")));
    assert_true(str_eq(s.from, STR("alt")));
    assert_true(str_eq(s.page, STR("p")));
    assert_true(str_eq(s.origin, STR("o")));
    assert_true(str_eq(s.list_uid, STR("l")));
    assert_true(str_eq(s.q, STR("3,14")));
    assert_true(str_eq(s.keep, STR("14")));
    assert_int_equal(s.n_q, 2);
    assert_int_equal(s.n_keep, 1);
    assert_int_equal(s.s, 15);
    assert_true(s.matched && s.selected);
    assert_true(str_starts(str_slice(str_of(line), s.base, SIZE_MAX),
                           STR(",\"q\":[3,14],")));
    pair_scan_ids(s.q, q);
    assert_int_equal(q[0], 3);
    assert_int_equal(q[1], 14);
    assert_true(pair_scan(str_of(plain[0]), &s));
    assert_string_equal(plain[0] + s.base, "}");
}

/* Every line above with one byte replaced, left out or doubled, at every
 * place. */
static void test_pair_scan__one_byte_changed(void **state)
{
    static const char bytes[] = "\"\\\n\x1f \x7f\x80\xc3\xe7,]}[:0919af";
    char line[512];

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        size_t n = strlen(plain[i]);

        for (size_t at = 0; at < n; at++) {
            memcpy(line, plain[i], n);
            for (size_t k = 0; k < sizeof bytes; k++) { /* and a NUL */
                line[at] = bytes[k];
                agree(*state, str_make(line, n));
            }
            memcpy(line + at, plain[i] + at + 1, n - at - 1);
            agree(*state, str_make(line, n - 1));
            memcpy(line + at, plain[i] + at, n - at);
            memcpy(line + at + 1, plain[i] + at, n - at);
            agree(*state, str_make(line, n + 1));
            agree(*state, str_make(plain[i], at));
        }
    }
}

static void test_pair_scan__ids_written(void **state)
{
    static const uint32_t v[] = {
        0,     9,      10,      99,       100,       999,        1000,
        12345, 123456, 1234567, 12345678, 123456789, 4294967295u};
    static const char want[] = "0,9,10,99,100,999,1000,12345,123456,1234567,"
                               "12345678,123456789,4294967295";
    enum { N = sizeof v / sizeof *v };
    char text[N * PAIR_ID_BYTES];
    uint32_t back[N];

    (void)state;
    assert_int_equal(pair_put_ids(v, N, text), sizeof want - 1);
    assert_memory_equal(text, want, sizeof want - 1);
    pair_scan_ids(str_of(want), back);
    assert_memory_equal(back, v, sizeof v);
    assert_int_equal(pair_put_ids(v, 0, text), 0);
}

static void wrote(uint32_t v)
{
    char want[16], text[PAIR_ID_BYTES];
    int n = snprintf(want, sizeof want, "%u", v);

    if (pair_put_ids(&v, 1, text) != (size_t)n || memcmp(want, text, (size_t)n))
        fail_msg("%u is written otherwise", v);
}

static void test_pair_scan__ids_of_all_lengths(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 120000; v++)
        wrote(v);
    for (uint64_t ten = 1; ten <= UINT32_MAX; ten *= 10)
        for (uint64_t k = 1; k < 43; k++)
            for (uint64_t off = 0; off < 3; off++)
                if (k * ten + off <= (uint64_t)UINT32_MAX + 1)
                    wrote((uint32_t)(k * ten + off - 1));
    for (uint64_t v = 1; v <= UINT32_MAX; v += 1 + v / 999)
        wrote((uint32_t)v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair_scan__ids_of_all_lengths),
        cmocka_unit_test_setup_teardown(test_pair_scan__plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pair_scan__not_plain, setup,
                                        teardown),
        cmocka_unit_test(test_pair_scan__spans),
        cmocka_unit_test_setup_teardown(test_pair_scan__one_byte_changed, setup,
                                        teardown),
        cmocka_unit_test(test_pair_scan__ids_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
