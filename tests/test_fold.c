/* base/fold: against Python for every assigned code point, and by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fold.h"
#include "base/utf8.h"
#include "tests/oracle.h"

static void test_fold__by_hand(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"", ""},
        {"Dog", "dog"},
        {"DOG\xc3\x89", "dog\xc3\xa9"},
        {"e\xcc\x81", "\xc3\xa9"}, /* composes with ASCII before */
        {"xE\xcc\x81y", "x\xc3\xa9y"},
        {"Stra\xc3\x9f"
         "e",
         "strasse"},                      /* full, not simple, folding */
        {"\xef\xac\x81t", "fit"},         /* the ligature fi */
        {"\xc4\xb0", "i\xcc\x87"},        /* not composed again */
        {"\xe2\x80\x99", "\xe2\x80\x99"}, /* U+2019 is words' business */
        {"a\xc2\xad"
         "b",
         "a\xc2\xad"
         "b"}, /* soft hyphen not ignored */
        {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"}, /* Hangul */
        {"\xef\xbc\xa1\xef\xbc\x91", "a1"}, /* full width */
        {"\xe4\xb8\x96\xe7\x95\x8c", "\xe4\xb8\x96\xe7\x95\x8c"},
        {"\xe1\xba\x9e\xce\xa3", "ss\xcf\x83"},
    };
    struct fold f;
    struct buf out;

    (void)state;
    fold_init(&f);
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        assert_int_equal(fold_text(&f, str_of(cases[i].in), &out), 0);
        assert_string_equal(buf_str(&out).p, cases[i].want);
    }
    buf_release(&out);
    fold_release(&f);
}

static void test_fold__invalid_utf8(void **state)
{
    static const char *const bad[] = {
        "\xff",         "a\xc3",    "\xc3\xa9\x80", "e\xcc",
        "\xed\xa0\x80", "abc\xf5x", "e\xcc\x81\xcc"};
    struct fold f;
    struct buf out;

    (void)state;
    fold_init(&f);
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_clear(&out);
        assert_int_equal(fold_text(&f, str_of(bad[i]), &out), -E_FORMAT);
    }
    buf_release(&out);
    fold_release(&f);
}

static void test_fold__ceiling(void **state)
{
    struct fold f;
    struct buf out;

    (void)state;
    fold_init(&f);
    buf_init(&out, 4);
    assert_int_equal(fold_text(&f, STR("abcde"), &out), -E_TOOBIG);
    buf_clear(&out);
    assert_int_equal(fold_text(&f, STR("\xef\xac\x83\xef\xac\x83"), &out),
                     -E_TOOBIG);
    buf_release(&out);
    fold_release(&f);
}

/* A script that fails is a failure; a machine without Python is not. */
static void skip_or_check(struct oracle *o)
{
    size_t n = o->n;
    int status = oracle_close(o);

    if (status == 127) {
        print_message("skipped: no python3\n");
        skip();
    }
    assert_int_equal(status, 0);
    assert_true(n > 0);
}

/* Every code point that Python's tables know, alone and between others that
 * compose with it, and random strings. */
static void compare_forms(const char *command,
                          int (*form)(struct fold *, struct str, struct buf *))
{
    struct oracle o;
    struct fold f;
    struct buf out;

    fold_init(&f);
    buf_init(&out, BUF_NO_LIMIT);
    oracle_open(&o, command);
    while (oracle_next(&o)) {
        buf_clear(&out);
        assert_int_equal(form(&f, buf_str(&o.in), &out), 0);
        if (!str_eq(buf_str(&out), buf_str(&o.want)))
            fail_msg("\"%s\" becomes \"%s\", not \"%s\"", o.in.p,
                     buf_str(&out).p, buf_str(&o.want).p);
    }
    print_message("%zu strings compared\n", o.n);
    buf_release(&out);
    fold_release(&f);
    skip_or_check(&o);
}

static void test_fold__against_python(void **state)
{
    (void)state;
    compare_forms("python3 tests/oracle_text.py fold", fold_text);
}

static void test_fold__nfc_against_python(void **state)
{
    (void)state;
    compare_forms("python3 tests/oracle_text.py nfc", fold_nfc);
}

/* What fold_inert() promises, for the texts of the same oracle. */
static void test_fold__inert_text_is_nfc(void **state)
{
    struct oracle o;
    size_t quick = 0;

    (void)state;
    oracle_open(&o, "python3 tests/oracle_text.py nfc");
    while (oracle_next(&o)) {
        struct str s = buf_str(&o.in);
        bool inert = true;
        size_t at = 0;

        while (inert && at < s.n) {
            uint32_t cp = utf8_next(s, &at);

            inert = cp < 0x300 || fold_inert(cp);
        }
        if (!inert)
            continue;
        quick++;
        assert_true(str_eq(s, buf_str(&o.want)));
    }
    if (o.n)
        assert_true(quick > o.n / 4);
    skip_or_check(&o);
}

/* "-" where Python has several code points. */
static void check_mapping(uint32_t cp, uint32_t got, const char *want)
{
    if (strcmp(want, "-") && strtoul(want, NULL, 16) != got)
        fail_msg("U+%04X is mapped to U+%04X, not U+%s", cp, got, want);
}

static void test_fold__case_against_python(void **state)
{
    static const char letters[] = {
        [FOLD_UNCASED] = 'U', [FOLD_CASED] = 'C', [FOLD_IGNORABLE] = 'I'};
    struct oracle o;

    (void)state;
    oracle_open(&o, "python3 tests/oracle_text.py case");
    while (oracle_next(&o)) {
        uint32_t nfkc[FOLD_NFKC_MAX];
        struct str rest = buf_str(&o.want), word;
        size_t at = 0, n = 0, got;
        uint32_t cp = utf8_next(buf_str(&o.in), &at);

        got = fold_nfkc(cp, nfkc);
        for (int i = 0; str_split(&rest, ' ', &word); i++) {
            char text[16];

            snprintf(text, sizeof text, "%.*s", STR_ARG(word));
            if (i == 0 && text[0] != letters[fold_sigma(cp)])
                fail_msg("U+%04X is not %s to a sigma", cp, text);
            else if (i == 1)
                check_mapping(cp, fold_lower(cp), text);
            else if (i == 2)
                check_mapping(cp, fold_upper(cp), text);
            else if (i > 2 && n++ < got)
                check_mapping(cp, nfkc[n - 1], text);
        }
        assert_int_equal(n, got);
    }
    print_message("%zu code points compared\n", o.n);
    skip_or_check(&o);
}

static void test_fold__classes_against_python(void **state)
{
    static const char letters[] = {[FOLD_OTHER] = '-',
                                   [FOLD_LETTER] = 'L',
                                   [FOLD_DIGIT] = 'D',
                                   [FOLD_NUMBER] = 'N',
                                   [FOLD_MARK] = 'M'};
    struct oracle o;

    (void)state;
    oracle_open(&o, "python3 tests/oracle_text.py class");
    while (oracle_next(&o)) {
        size_t at = 0;
        uint32_t cp = utf8_next(buf_str(&o.in), &at);

        if (letters[fold_class(cp)] != o.want.p[0])
            fail_msg("U+%04X is %c, not %c", cp, letters[fold_class(cp)],
                     o.want.p[0]);
    }
    print_message("%zu code points compared\n", o.n);
    skip_or_check(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold__by_hand),
        cmocka_unit_test(test_fold__invalid_utf8),
        cmocka_unit_test(test_fold__ceiling),
        cmocka_unit_test(test_fold__against_python),
        cmocka_unit_test(test_fold__nfc_against_python),
        cmocka_unit_test(test_fold__inert_text_is_nfc),
        cmocka_unit_test(test_fold__classes_against_python),
        cmocka_unit_test(test_fold__case_against_python),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
