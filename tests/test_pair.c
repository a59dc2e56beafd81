/* pair: the record's codec, the reading of texts, the order of unique/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/pair.h"

#define UID  "900150983cd24fb0d6963f7d28e17f72"
#define HEAD "{\"uid\":\"" UID "\",\"url\":\"http://a.test/\","

/* ---- the codec ---- */

static void test_pair__writes_what_it_reads(void **state)
{
    /* Each is what pair_write() makes of what pair_read() finds. */
    static const char *const lines[] = {
        HEAD "\"text\":\"t\"}",
        HEAD "\"text\":\"a \\\"dog\\\" \\\\ \\u0001\",\"from\":\"alt\","
             "\"page\":\"http://p.test/\",\"origin\":\"a/b.html\","
             "\"list_uid\":\"7\"}",
        HEAD "\"text\":\"\xe7\x8a\xac\",\"q\":[]}",
        HEAD "\"text\":\"t\",\"q\":[0,7,4294967295]}",
        HEAD "\"text\":\"t\",\"q\":[1,2],\"s\":0,\"keep\":[2]}",
        HEAD "\"text\":\"t\",\"q\":[1,2],\"s\":18446744073709551615,"
             "\"keep\":[]}",
    };
    struct arena a;
    struct buf b;

    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct err e = ERR_INIT;
        struct pair p;

        arena_reset(&a);
        buf_clear(&b);
        if (pair_read(str_of(lines[i]), &a, &p, &e))
            fail_msg("%s: %s", lines[i], e.message);
        pair_write(&p, &b);
        assert_string_equal(b.p, lines[i]);
    }
    buf_release(&b);
    arena_release(&a);
}

static void test_pair__members_in_any_order_and_unknown_ones(void **state)
{
    struct arena a;
    struct pair p;

    (void)state;
    arena_init(&a, 1 << 20);
    assert_int_equal(
        pair_read(STR(" { \"text\" : \"t\", \"new\": {\"url\":[1,{}]}, "
                      "\"keep\":[3], \"s\":4, \"q\":[3,9], \"url\":\"u\","
                      "\"score\":-1.5e3, \"uid\":\"" UID "\" } "),
                  &a, &p, NULL),
        0);
    assert_true(str_eq(p.text, STR("t")) && str_eq(p.url, STR("u")));
    assert_true(p.matched && p.selected);
    assert_int_equal(p.n_q, 2);
    assert_int_equal(p.q[1], 9);
    assert_int_equal(p.s, 4);
    assert_int_equal(p.n_keep, 1);
    assert_int_equal(p.uid[0], 0x90);
    arena_release(&a);
}

static void test_pair__refuses_what_is_none(void **state)
{
    static const char *const lines[] = {
        "",
        "{}",
        "[]",
        "\"text\"",
        HEAD "}",
        HEAD "\"text\":\"\"}",
        HEAD "\"text\":7}",
        HEAD "\"text\":\"t\"",
        HEAD "\"text\":\"t\"}}",
        HEAD "\"text\":\"t\",\"q\":[2,1]}",
        HEAD "\"text\":\"t\",\"q\":[1,1]}",
        HEAD "\"text\":\"t\",\"q\":[-1]}",
        HEAD "\"text\":\"t\",\"q\":[1.0]}",
        HEAD "\"text\":\"t\",\"q\":[4294967296]}",
        HEAD "\"text\":\"t\",\"q\":{\"0\":1}}",
        HEAD "\"text\":\"t\",\"s\":-1}",
        HEAD "\"text\":\"\xff\"}",
        HEAD "\"text\":\"t\",\"other\":\"\\q\"}",
        "{\"uid\":\"" UID "0\",\"url\":\"u\",\"text\":\"t\"}",
        ("{\"uid\":\"x00150983cd24fb0d6963f7d28e17f72\",\"url\":\"u\","
         "\"text\":\"t\"}"),
        "{\"url\":\"u\",\"text\":\"t\"}",
    };
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct err e = ERR_INIT;
        struct pair p;

        if (!pair_read(str_of(lines[i]), &a, &p, &e))
            fail_msg("accepted: %s", lines[i]);
        assert_true(e.message[0] != 0);
    }
    arena_release(&a);
}

/* n ascending ids, as many as asked for. */
static char *many_ids(unsigned n)
{
    struct buf b;

    buf_init(&b, BUF_NO_LIMIT);
    buf_add(&b, STR(HEAD "\"text\":\"t\",\"q\":["));
    for (unsigned i = 0; i < n; i++)
        buf_addf(&b, "%s%u", i ? "," : "", i * 3);
    buf_add(&b, STR("]}"));
    return buf_detach(&b, NULL);
}

static void test_pair__ids_have_a_ceiling(void **state)
{
    struct arena a;

    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        char *line = many_ids(PAIR_MATCHES_MAX + more);
        struct pair p;

        arena_init(&a, 4 << 20);
        assert_int_equal(pair_read(str_of(line), &a, &p, NULL),
                         more ? -E_RANGE : 0);
        if (!more) {
            assert_int_equal(p.n_q, PAIR_MATCHES_MAX);
            for (uint32_t i = 0; i < p.n_q; i++)
                assert_int_equal(p.q[i], i * 3);
        }
        arena_release(&a);
        free(line);
    }
}

/* Whatever room the arena has, the answer is an error or all of the ids. */
static void test_pair__an_arena_that_ends_is_an_error(void **state)
{
    unsigned read = 0;

    (void)state;
    for (unsigned n = 0; n < 80; n++) {
        char *line = many_ids(n);

        for (size_t room = 0; room < 1024; room += 16) {
            struct arena a;
            struct pair p;

            arena_init(&a, room);
            if (!pair_read(str_of(line), &a, &p, NULL)) {
                read++;
                assert_int_equal(p.n_q, n);
                for (uint32_t i = 0; i < n; i++)
                    assert_int_equal(p.q[i], i * 3);
            }
            arena_release(&a);
        }
        free(line);
    }
    assert_true(read > 0);
}

static void test_pair__uid_is_md5_of_text_then_url(void **state)
{
    uint8_t uid[MD5_SIZE];
    char hex[2 * MD5_SIZE + 1];

    (void)state;
    pair_uid(STR("ab"), STR("c"), uid);
    hash_hex(uid, sizeof uid, hex);
    assert_string_equal(hex, UID);
}

/* ---- texts ---- */

static char *repeated(char c, size_t n)
{
    char *p = xmalloc(n + 1);

    memset(p, c, n);
    p[n] = 0;
    return p;
}

static void test_pair__text(void **state)
{
    static const struct {
        const char *raw;
        size_t n; /* 0: strlen */
        const char *text, *reason;
    } cases[] = {
        {"a dog", 0, "a dog", NULL},
        {"  a  dog ", 0, "a  dog", NULL},
        {"a\r\n\tdog", 0, "a   dog", NULL}, /* one for one */
        {"\n a dog\r\n", 0, "a dog", NULL},
        {"a\x01\x1f"
         "dog\0.",
         8, "adog.", NULL},
        {" \x02 a", 0, "a", NULL},
        {"\x7f"
         "a\xc2\x85",
         0,
         "\x7f"
         "a\xc2\x85",
         NULL}, /* DEL, C1 stay */
        {"\xc2\xa0"
         "a\xc2\xa0",
         0,
         "\xc2\xa0"
         "a\xc2\xa0",
         NULL}, /* NBSP */
        {"", 0, "", "text-empty"},
        {" \r\n\t ", 0, "", "text-empty"},
        {"\x01\x02", 0, "", "text-empty"},
        {"a\xff", 0, "", "charset"},
        {"\xed\xa0\x80", 0, "", "charset"},
        {"a \xef\xbf\xbd", 0, NULL, "charset"}, /* U+FFFD */
    };
    struct buf b;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str raw = cases[i].n ? str_make(cases[i].raw, cases[i].n)
                                    : str_of(cases[i].raw);
        const char *reason = pair_text(raw, &b);

        if (!cases[i].reason != !reason ||
            (reason && strcmp(reason, cases[i].reason)))
            fail_msg("case %zu: %s", i, reason ? reason : "none");
        if (!reason)
            assert_string_equal(b.p, cases[i].text);
    }
    assert_string_equal(pair_text(STR_NONE, &b), "text-empty");
    buf_release(&b);
}

/* The length is that of what would be stored: after control characters are
 * gone and the ends are trimmed. */
static void test_pair__text_length_is_measured_last(void **state)
{
    char *longest = repeated('x', PAIR_TEXT_MAX + 2);
    struct buf b;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    assert_string_equal(pair_text(str_make(longest, PAIR_TEXT_MAX + 1), &b),
                        "text-too-long");
    assert_null(pair_text(str_make(longest, PAIR_TEXT_MAX), &b));
    assert_int_equal(b.n, PAIR_TEXT_MAX);
    longest[0] = ' ';
    longest[PAIR_TEXT_MAX + 1] = '\n';
    assert_null(pair_text(str_make(longest, PAIR_TEXT_MAX + 2), &b));
    assert_int_equal(b.n, PAIR_TEXT_MAX);
    longest[0] = longest[PAIR_TEXT_MAX + 1] = 'x';
    longest[5] = longest[6] = 1;
    assert_null(pair_text(str_make(longest, PAIR_TEXT_MAX + 2), &b));
    assert_int_equal(b.n, PAIR_TEXT_MAX);
    buf_release(&b);
    free(longest);
}

/* ---- order ---- */

static void test_pair__order(void **state)
{
    static const uint8_t low[MD5_SIZE] = {0}, high[MD5_SIZE] = {0x80};
    const struct pair_key keys[] = {
        {0, STR("z"), high},         {1, STR("a"), low},
        {1, STR("a"), high},         {1, STR("ab"), low},
        {1, STR("b"), low},          {1, STR("\xc3\xa9"), low},
        {UINT64_MAX, STR("a"), low},
    };

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            int c = pair_key_cmp(&keys[i], &keys[k]);

            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair__writes_what_it_reads),
        cmocka_unit_test(test_pair__members_in_any_order_and_unknown_ones),
        cmocka_unit_test(test_pair__refuses_what_is_none),
        cmocka_unit_test(test_pair__ids_have_a_ceiling),
        cmocka_unit_test(test_pair__an_arena_that_ends_is_an_error),
        cmocka_unit_test(test_pair__uid_is_md5_of_text_then_url),
        cmocka_unit_test(test_pair__text),
        cmocka_unit_test(test_pair__text_length_is_measured_last),
        cmocka_unit_test(test_pair__order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
