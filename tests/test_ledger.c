/* The ledger record: what is written reads back, what is no record is said. */
#include "base/arena.h"
#include "base/ledger.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char image_line[] =
    "{\"url\":\"http://manual.test/a.jpg\",\"outcome\":\"image\","
    "\"status\":200,\"tries\":2,"
    "\"final_url\":\"http://manual.test/b.jpg\","
    "\"fetched\":\"2026-11-21T12:00:00Z\","
    "\"sha256\":"
    "\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\","
    "\"phash\":\"fedcba9876543210\",\"phash_exempt\":true,"
    "\"width\":256,\"height\":200,\"original_width\":1024,"
    "\"original_height\":800,\"bytes\":12345,\"offset\":512,"
    "\"exif\":\"{\\\"Artist\\\":\\\"A\\\"}\"}";

static const char refused_line[] =
    "{\"url\":\"http://manual.test/a.jpg\",\"outcome\":\"refused\","
    "\"reason\":\"x-robots-tag\",\"status\":200,\"tries\":1,"
    "\"signal\":\"noai\"}";

static void test_ledger__image_reads_and_writes_back(void **state)
{
    struct arena a;
    struct ledger l;
    struct buf out;
    struct err e = ERR_INIT;

    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(ledger_read(str_of(image_line), &a, &l, &e), 0);
    assert_int_equal(l.outcome, LEDGER_IMAGE);
    assert_int_equal(l.status, 200);
    assert_int_equal(l.tries, 2);
    assert_int_equal(l.sha256[31], 0x1f);
    assert_true(l.phash == 0xfedcba9876543210u);
    assert_true(l.phash_exempt);
    assert_int_equal(l.width, 256);
    assert_int_equal(l.original_height, 800);
    assert_int_equal(l.bytes, 12345);
    assert_int_equal(l.offset, 512);
    assert_true(str_eq(l.exif, STR("{\"Artist\":\"A\"}")));
    assert_int_equal(l.reason.n, 0);
    ledger_write(&l, &out);
    assert_int_equal(out.rc, 0);
    assert_string_equal(out.p, image_line);
    buf_release(&out);
    arena_release(&a);
}

static void test_ledger__refusal_reads_and_writes_back(void **state)
{
    struct arena a;
    struct ledger l;
    struct buf out;
    struct err e = ERR_INIT;

    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(ledger_read(str_of(refused_line), &a, &l, &e), 0);
    assert_int_equal(l.outcome, LEDGER_REFUSED);
    assert_true(str_eq(l.signal, STR("noai")));
    assert_int_equal(l.bytes, 0);
    ledger_write(&l, &out);
    assert_string_equal(out.p, refused_line);
    buf_release(&out);
    arena_release(&a);
}

static void test_ledger__unknown_members_are_skipped(void **state)
{
    struct arena a;
    struct ledger l;
    struct err e = ERR_INIT;

    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(
        ledger_read(STR("{\"url\":\"http://a/\",\"later\":[{\"x\":1}],"
                        "\"outcome\":\"failed\",\"reason\":\"dns\"}"),
                    &a, &l, &e),
        0);
    assert_true(str_eq(l.reason, STR("dns")));
    arena_release(&a);
}

static void test_ledger__bad_records_say_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"", "ledger record"},
        {"[]", "ledger record"},
        {"{}", "no url"},
        {"{\"url\":\"http://a/\"}", "no outcome"},
        {"{\"url\":\"\",\"outcome\":\"failed\",\"reason\":\"x\"}", "url"},
        {"{\"url\":\"http://a/\",\"outcome\":\"gone\"}", "outcome"},
        {"{\"url\":\"http://a/\",\"outcome\":\"failed\"}", "no reason"},
        {"{\"url\":\"http://a/\",\"outcome\":\"image\"}", "no sha256"},
        {"{\"url\":\"http://a/\",\"outcome\":\"image\",\"sha256\":\"0\"}",
         "sha256"},
        {"{\"url\":\"http://a/\",\"outcome\":\"image\",\"phash\":\"xyz\"}",
         "phash"},
        {"{\"url\":\"http://a/\",\"outcome\":\"failed\",\"reason\":\"x\","
         "\"status\":4294967296}",
         "status"},
        {"{\"url\":\"http://a/\",\"outcome\":\"failed\",\"reason\":\"x\"",
         "ledger record"},
    };
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct ledger l;

        assert_true(ledger_read(str_of(rows[i].line), &a, &l, &e) < 0);
        if (!strstr(e.message, rows[i].says))
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, e.message,
                     rows[i].says);
    }
    arena_release(&a);
}

/* Group numbers are file names and never change: computed from XXH3's
 * specification by a program of its own. */
static void test_ledger__groups_and_names(void **state)
{
    static const struct {
        const char *host;
        uint32_t group;
    } rows[] = {
        {"manual.test", 252},
        {"stamps.test", 204},
        {"[2001:db8::1]", 127},
        {"www.example", 54},
    };
    char name[16];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(ledger_group(str_of(rows[i].host)), rows[i].group);
    ledger_name(7, 3, name);
    assert_string_equal(name, "007-03");
    ledger_name(255, 12, name);
    assert_string_equal(name, "255-12");
    assert_string_equal(ledger_outcome_name(LEDGER_REJECTED), "rejected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger__image_reads_and_writes_back),
        cmocka_unit_test(test_ledger__refusal_reads_and_writes_back),
        cmocka_unit_test(test_ledger__unknown_members_are_skipped),
        cmocka_unit_test(test_ledger__bad_records_say_what_is_wrong),
        cmocka_unit_test(test_ledger__groups_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
