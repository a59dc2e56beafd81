/* err, str, buf, arena, utf8, hash, json, tally, part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/part.h"
#include "base/str.h"
#include "base/tally.h"
#include "base/utf8.h"

static void test_err__first_message_wins(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(err_set(&e, E_FORMAT, "line %d", 3), -E_FORMAT);
    assert_int_equal(err_set(&e, E_IO, "later"), -E_IO);
    assert_string_equal(e.message, "line 3");
    assert_int_equal(err_wrap(&e, -E_FORMAT, "file %s", "x"), -E_FORMAT);
    assert_string_equal(e.message, "file x: line 3");
}

static void test_str__numbers(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t v;
    } cases[] = {{"0", 0, 0},
                 {"18446744073709551615", 0, UINT64_MAX},
                 {"18446744073709551616", -E_RANGE, 0},
                 {"", -E_FORMAT, 0},
                 {"-1", -E_FORMAT, 0},
                 {" 1", -E_FORMAT, 0},
                 {"1x", -E_FORMAT, 0}};
    int64_t i;
    double d;

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        uint64_t v = 0;

        assert_int_equal(str_u64(str_of(cases[k].text), &v), cases[k].rc);
        assert_int_equal(v, cases[k].v);
    }
    assert_int_equal(str_i64(STR("-9223372036854775808"), &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(str_i64(STR("9223372036854775808"), &i), -E_RANGE);
    assert_int_equal(str_double(STR("1.5e3"), &d), 0);
    assert_true(d == 1500);
    assert_int_equal(str_double(STR("1e999"), &d), -E_RANGE);
    assert_int_equal(str_double(STR("nan"), &d), -E_RANGE);
}

static void test_str__split_gives_empty_fields(void **state)
{
    struct str rest = STR("a,,b,"), f;
    const char *want[] = {"a", "", "b", ""};
    size_t n = 0;

    (void)state;
    while (str_split(&rest, ',', &f)) {
        assert_true(n < 4);
        assert_true(str_eq(f, str_of(want[n])));
        n++;
    }
    assert_int_equal(n, 4);
}

static void test_buf__ceiling_sticks(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_add(&b, STR("abc"));
    buf_add(&b, STR("def"));
    assert_int_equal(b.rc, -E_TOOBIG);
    buf_add(&b, STR("d"));
    assert_string_equal(b.p, "abc");
    buf_clear(&b);
    buf_addf(&b, "%d", 12345);
    assert_int_equal(b.rc, 0);
    assert_string_equal(b.p, "12345");
    buf_release(&b);
}

static void test_arena__ceiling_and_reset(void **state)
{
    struct arena a;
    char *first;

    (void)state;
    arena_init(&a, 200000);
    first = arena_alloc(&a, 100);
    assert_non_null(first);
    assert_non_null(arena_alloc(&a, 100000));
    assert_null(arena_alloc(&a, 100000));
    arena_reset(&a);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_str(&a, STR("hello")).p);
    arena_release(&a);
}

static void test_utf8__table_3_7(void **state)
{
    static const struct {
        const char *bytes;
        int valid;
    } cases[] = {{"plain ascii, longer than eight", 1},
                 {"\xc3\xa9", 1},
                 {"\xe4\xb8\xad", 1},
                 {"\xf0\x9f\x90\x95", 1},
                 {"\xf4\x8f\xbf\xbf", 1},
                 {"\xf4\x90\x80\x80", 0},
                 {"\xc0\x80", 0},
                 {"\xe0\x9f\xbf", 0},
                 {"\xed\xa0\x80", 0},
                 {"\xf0\x8f\xbf\xbf", 0},
                 {"\x80", 0},
                 {"\xc3", 0},
                 {"aaaaaaaaaaaaaaa\xff", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_valid(str_of(cases[i].bytes)), cases[i].valid);
    for (uint32_t cp = 0; cp < 0x110000; cp += 7) {
        char out[UTF8_MAX];
        size_t n, at = 0;

        if (cp >= 0xd800 && cp < 0xe000)
            continue;
        n = utf8_put(out, cp);
        assert_int_equal(utf8_next(str_make(out, n), &at), cp);
        assert_int_equal(at, n);
    }
}

static void test_hash__vectors(void **state)
{
    struct str url = STR("http://manual.test/a.jpg");
    uint8_t md5[MD5_SIZE];
    char hex[2 * MD5_SIZE + 1];

    (void)state;
    /* DESIGN section 4 gives these three. */
    assert_true(hash_xxh3_seeded(url, 0) == UINT64_C(0x61b61585c21bbfba));
    assert_true(hash_xxh3_seeded(url, 1) == UINT64_C(0xabced07d51858151));
    assert_true(hash_xxh3_seeded(url, UINT64_C(12345678901234567890)) ==
                UINT64_C(0xd26e45f429e64c73));
    hash_md5_2(STR("ab"), STR("c"), md5);
    hash_hex(md5, sizeof md5, hex);
    assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
}

static void test_json__reads_what_it_writes(void **state)
{
    struct buf b;
    struct json_out o;
    struct json j;
    struct arena a;
    struct str name;

    (void)state;
    buf_init(&b, 1000);
    arena_init(&a, 100000);
    json_out_init(&o, &b);
    json_out_object(&o);
    json_put_string(&o, "t", STR("a\"b\\c\n\x01\xc3\xa9"));
    json_put_u64(&o, "n", UINT64_MAX);
    json_put_double(&o, "d", 0.1);
    json_out_name(&o, "list");
    json_out_array(&o);
    json_out_bool(&o, true);
    json_out_null(&o);
    json_out_object(&o);
    json_out_end_object(&o);
    json_out_end_array(&o);
    json_out_end_object(&o);
    assert_string_equal(b.p, "{\"t\":\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\","
                             "\"n\":18446744073709551615,\"d\":0.1,"
                             "\"list\":[true,null,{}]}");
    json_open(&j, buf_str(&b), &a);
    json_object(&j);
    assert_true(json_member(&j, &name));
    assert_true(str_eq(json_string(&j), STR("a\"b\\c\n\x01\xc3\xa9")));
    assert_true(json_member(&j, &name));
    assert_true(json_u64(&j) == UINT64_MAX);
    assert_true(json_member(&j, &name));
    assert_true(json_double(&j) == 0.1);
    assert_true(json_member(&j, &name));
    assert_true(str_eq(json_raw(&j), STR("[true,null,{}]")));
    assert_false(json_member(&j, &name));
    assert_int_equal(json_close(&j, NULL), 0);
    arena_release(&a);
    buf_release(&b);
}

static void test_json__writes_no_ill_formed_text(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"n\xff.html", "\"n\xef\xbf\xbd.html\""},
        {"\xc3", "\"\xef\xbf\xbd\""},
        {"\"\xed\xa0\x80\n", "\"\\\"\xef\xbf\xbd\xef\xbf\xbd"
                              "\xef\xbf\xbd\\n\""},
        {"\xc3\xa9", "\"\xc3\xa9\""},
    };
    struct buf b;
    struct json_out o;
    struct json j;
    struct arena a;

    (void)state;
    buf_init(&b, 1000);
    arena_init(&a, 100000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&b);
        json_out_init(&o, &b);
        json_out_string(&o, str_of(cases[i].in));
        assert_string_equal(b.p, cases[i].out);
        json_open(&j, buf_str(&b), &a);
        json_string(&j);
        assert_int_equal(json_close(&j, NULL), 0);
    }
    arena_release(&a);
    buf_release(&b);
}

static void test_json__refuses(void **state)
{
    static const char *bad[] = {
        "",      "{",          "{\"a\"}",  "{\"a\":}",    "[1,]",
        "[,1]",  "{\"a\":1,}", "\"\\x\"",  "\"\\ud800\"", "\"\n\"",
        "01",    "-",          "1.",       "1e",          "tru",
        "nulll", "[1 2]",      "\"\xff\"", "{} {}",       "\"\\u12\"",
        "\"abc", "[\"a\":1]",  "{1:2}",    "]",           "'a'"};
    struct arena a;

    (void)state;
    arena_init(&a, 100000);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json j;
        struct err e = ERR_INIT;

        json_open(&j, str_of(bad[i]), &a);
        if (json_peek(&j) == JSON_STRING)
            json_string(&j);
        else
            json_skip(&j);
        if (json_close(&j, &e) == 0)
            fail_msg("accepted: %s", bad[i]);
        assert_true(e.message[0] != 0);
    }
    arena_release(&a);
}

static void test_json__depth_has_a_ceiling(void **state)
{
    char deep[400];
    struct json j;

    (void)state;
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    json_open(&j, str_make(deep, 400), NULL);
    json_skip(&j);
    assert_int_equal(json_close(&j, NULL), -E_TOOBIG);
    json_open(&j, str_make(deep + 140, 120), NULL);
    json_skip(&j);
    assert_int_equal(json_close(&j, NULL), 0);
}

static void test_json__escapes(void **state)
{
    struct arena a;
    struct json j;

    (void)state;
    arena_init(&a, 100000);
    json_open(&j, STR("\"\\u00e9\\ud83d\\udc15\\/\\b\""), &a);
    assert_true(str_eq(json_string(&j), STR("\xc3\xa9\xf0\x9f\x90\x95/\b")));
    assert_int_equal(json_close(&j, NULL), 0);
    arena_release(&a);
}

static void test_tally__sorted_by_name(void **state)
{
    struct tally t;
    struct buf b;
    struct json_out o;

    (void)state;
    tally_init(&t);
    tally_add(&t, "svg", 2);
    tally_add(&t, "charset", 1);
    tally_add(&t, "svg", 3);
    tally_add(&t, "none", 0);
    buf_init(&b, 1000);
    json_out_init(&o, &b);
    tally_json(&t, &o);
    assert_string_equal(b.p, "{\"charset\":1,\"svg\":5}");
    assert_int_equal(tally_sum(&t), 6);
    buf_release(&b);
    tally_release(&t);
}

static void test_part__forms(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint32_t i, n;
    } cases[] = {{"0/1", 0, 0, 1},        {"2/3", 0, 2, 3},
                 {"3/3", -E_USAGE, 0, 0}, {"1", -E_USAGE, 0, 0},
                 {"a/b", -E_USAGE, 0, 0}, {"0/0", -E_USAGE, 0, 0},
                 {"", -E_USAGE, 0, 0}};
    struct part p;

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct part got = {0, 0};

        assert_int_equal(part_parse(str_of(cases[k].text), &got, NULL),
                         cases[k].rc);
        assert_int_equal(got.i, cases[k].i);
        assert_int_equal(got.n, cases[k].n);
    }
    setenv("SLURM_ARRAY_TASK_ID", "7", 1);
    setenv("SLURM_ARRAY_TASK_MIN", "1", 1);
    setenv("SLURM_ARRAY_TASK_STEP", "2", 1);
    setenv("SLURM_ARRAY_TASK_COUNT", "5", 1);
    assert_int_equal(part_parse(STR("auto"), &p, NULL), 0);
    assert_int_equal(p.i, 3);
    assert_int_equal(p.n, 5);
    unsetenv("SLURM_ARRAY_TASK_ID");
    assert_int_equal(part_parse(STR("auto"), &p, NULL), -E_USAGE);
    setenv("JOB_COMPLETION_INDEX", "2", 1);
    setenv("WITMILL_PARTS", "4", 1);
    assert_int_equal(part_parse(STR("auto"), &p, NULL), 0);
    assert_int_equal(p.i, 2);
    assert_int_equal(p.n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__first_message_wins),
        cmocka_unit_test(test_str__numbers),
        cmocka_unit_test(test_str__split_gives_empty_fields),
        cmocka_unit_test(test_buf__ceiling_sticks),
        cmocka_unit_test(test_arena__ceiling_and_reset),
        cmocka_unit_test(test_utf8__table_3_7),
        cmocka_unit_test(test_hash__vectors),
        cmocka_unit_test(test_json__reads_what_it_writes),
        cmocka_unit_test(test_json__writes_no_ill_formed_text),
        cmocka_unit_test(test_json__refuses),
        cmocka_unit_test(test_json__depth_has_a_ceiling),
        cmocka_unit_test(test_json__escapes),
        cmocka_unit_test(test_tally__sorted_by_name),
        cmocka_unit_test(test_part__forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
