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

/* Every form of s by the tables is what the normaliser alone makes of it. */
static void check_tables(struct fold *tabled, struct fold *plain, struct str s)
{
    static int (*const forms[])(struct fold *, struct str, struct buf *) = {
        fold_text, fold_keep, fold_nfc};
    static struct buf got = {.max = BUF_NO_LIMIT};
    static struct buf want = {.max = BUF_NO_LIMIT};

    for (size_t k = 0; k < 3; k++) {
        buf_clear(&got);
        buf_clear(&want);
        assert_int_equal(forms[k](tabled, s, &got), 0);
        assert_int_equal(forms[k](plain, s, &want), 0);
        if (!str_eq(buf_str(&got), buf_str(&want)))
            fail_msg("form %zu of \"%.*s\": \"%s\", not \"%s\"", k, (int)s.n,
                     s.p, got.p, want.p);
    }
}

static struct str spelled(char *to, const uint32_t *cps, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += utf8_put(to + bytes, cps[i]);
    return str_make(to, bytes);
}

static bool is_scalar(uint32_t cp)
{
    return cp < 0xd800 || (cp > 0xdfff && cp <= 0x10ffff);
}

/* Letters, marks of several classes, consonants and vowels of Hangul, and what
 * composes in scripts of India. */
static const uint32_t neighbours[] = {
    'a',    'E',    0xe9,   0x301,  0x327,   0x345,  0x1100,
    0x1161, 0x11a7, 0x11a8, 0xac00, 0x3099,  0x9be,  0x9c7,
    0x1112, 0x653,  0xfb01, 0x2026, 0x110ba, 0x212b, 0x1d15e};

static void test_fold__tables_of_pairs(void **state)
{
    struct fold tabled, plain;
    char bytes[4 * UTF8_MAX];

    (void)state;
    fold_init(&tabled);
    fold_init(&plain);
    plain.untabled = true;
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        size_t n = sizeof neighbours / sizeof *neighbours;
        uint32_t other = neighbours[cp % n];

        if (!is_scalar(cp))
            continue;
        check_tables(&tabled, &plain, spelled(bytes, &cp, 1));
        if (cp >= 0x33000 && cp % 64)
            continue;
        for (size_t k = 0; k < n; k += cp < 0x3400 ? 1 : 5) {
            uint32_t four[] = {neighbours[(k + cp) % n], cp, other, cp};

            check_tables(&tabled, &plain, spelled(bytes, four, 2));
            check_tables(&tabled, &plain, spelled(bytes, four + 1, 2));
            check_tables(&tabled, &plain, spelled(bytes, four, 4));
        }
    }
    fold_release(&plain);
    fold_release(&tabled);
}

/* A code point of any plane, or of those where most happens. */
static uint32_t drawn(uint64_t *x)
{
    static const uint32_t below[] = {0x80,   0x250,  0x400,   0x3000,
                                     0x3400, 0xffff, 0x1ffff, 0x10ffff};
    uint32_t cp;

    do {
        uint64_t r;

        *x = *x * UINT64_C(6364136223846793005) + 1442695040888963407;
        r = *x >> 33;
        cp = r % 3 == 0 ? neighbours[(r >> 8) %
                                     (sizeof neighbours / sizeof *neighbours)]
                        : (uint32_t)((r >> 8) % below[(r >> 4) % 8]);
    } while (!is_scalar(cp));
    return cp;
}

static void test_fold__tables_of_mixes(void **state)
{
    struct fold tabled, plain;
    uint32_t cps[24];
    char bytes[24 * UTF8_MAX];
    uint64_t x = 7;

    (void)state;
    fold_init(&tabled);
    fold_init(&plain);
    plain.untabled = true;
    for (size_t i = 0; i < 200000; i++) {
        size_t n = i % 24 + 1;

        for (size_t k = 0; k < n; k++)
            cps[k] = drawn(&x);
        check_tables(&tabled, &plain, spelled(bytes, cps, n));
    }
    fold_release(&plain);
    fold_release(&tabled);
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
        cmocka_unit_test(test_fold__tables_of_pairs),
        cmocka_unit_test(test_fold__tables_of_mixes),
        cmocka_unit_test(test_fold__classes_against_python),
        cmocka_unit_test(test_fold__case_against_python),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
