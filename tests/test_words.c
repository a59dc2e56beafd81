/* querylist/words: the readings of the design by hand, and Python's answer on
 * real and random texts. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/io.h"
#include "querylist/words.h"
#include "tests/oracle.h"

struct words_case {
    const char *text;
    const char *want; /* words, joined by | so that empty ones show */
};

static void check(const struct words_case *c, size_t n,
                  int (*split)(struct words *, enum query_policy, struct str),
                  enum query_policy policy)
{
    struct words w;
    struct buf got;

    words_init(&w);
    buf_init(&got, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++) {
        struct buf joined;

        assert_int_equal(split(&w, policy, str_of(c[i].text)), 0);
        buf_clear(&got);
        buf_init(&joined, BUF_NO_LIMIT);
        for (size_t k = 0; k < w.n; k++) {
            if (k)
                buf_add_char(&got, '|');
            if (k)
                buf_add_char(&joined, ' ');
            buf_add(&got, words_at(&w, k));
            buf_add(&joined, words_at(&w, k));
        }
        if (!str_eq(buf_str(&got), str_of(c[i].want)))
            fail_msg("case %zu \"%s\": \"%s\", not \"%s\"", i, c[i].text,
                     buf_str(&got).p, c[i].want);
        assert_true(str_eq(buf_str(&joined), buf_str(&w.text)));
        buf_release(&joined);
    }
    buf_release(&got);
    words_release(&w);
}

#define CHECK(table, split, policy)                                            \
    check(table, sizeof table / sizeof *table, split, policy)

static int split_kept(struct words *w, enum query_policy policy, struct str s)
{
    (void)policy;
    return words_split_kept(w, s);
}

static void test_words__default_policy(void **state)
{
    static const struct words_case cases[] = {
        {"", ""},
        {" \t\n.,-", ""},
        {"A dog", "a|dog"},
        {"  olive-oil, 2nd_ed. ", "olive|oil|2nd|ed"},
        {"dogs' don't ''x'' 'tis o'", "dogs|don't|x|tis|o"},
        {"rock'n'roll a''b", "rock'n'roll|a|b"},
        {"don\xe2\x80\x99t", "don't"},
        {"Caf\xc3\x89 cafe\xcc\x81", "caf\xc3\xa9|caf\xc3\xa9"},
        {"Stra\xc3\x9f"
         "e",
         "strasse"},
        {"soft\xc2\xad"
         "hyphen zero\xe2\x80\x8bwidth",
         "soft|hyphen|zero|width"},
        {"\xcc\x81x", "x"},                 /* a mark with no word open */
        {"- \xef\xb8\x8f a", "a"},          /* a variation selector, likewise */
        {"a\xe2\x83\x9d", "a\xe2\x83\x9d"}, /* an enclosing mark continues */
        {"\xd9\xa3\xd9\xa4", "\xd9\xa3\xd9\xa4"}, /* Arabic digits are Nd */
        {"x\xc2\xb2 \xc2\xbd", "x2|1|2"}, /* NFKC: superscript, one half */
        {"\xe2\x85\xa3", "iv"},           /* the Roman numeral sign four */
        {"\xf0\x90\x85\x80 a", "a"},      /* Nl outside the ranges */
        {"\xe2\x9c\x88 plane", "plane"},
    };

    (void)state;
    CHECK(cases, words_split, QUERY_POLICY_WORDS);
    CHECK(cases, words_norm, QUERY_POLICY_WORDS);
}

static void test_words__kept(void **state)
{
    static const struct words_case cases[] = {
        {"A DOG's Caf\xc3\x89 don\xe2\x80\x99T", "A|DOG's|Caf\xc3\x89|don'T"},
        {"E\xcc\x81t\xc3\xa9 Stra\xc3\x9f"
         "e",
         "\xc3\x89t\xc3\xa9|Stra\xc3\x9f"
         "e"},
        {"\xef\xac\x81t \xef\xbc\xa1", "fit|A"}, /* NFKC all the same */
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    };

    (void)state;
    CHECK(cases, split_kept, QUERY_POLICY_WORDS);
}

/* A text is cut in pieces where it is ASCII for a while: every length of it
 * beside characters that compose, continue a word or end it. */
static void test_words__pieces(void **state)
{
    static const char *const between[] = {"\xcc\x81",     "\xc3\xa9",
                                          "\xe2\x80\x99", "\xe2\x80\x93",
                                          "'\xc3\xa9",    " "};
    enum { N = sizeof between / sizeof *between };
    struct words w, one;
    struct buf text, want;

    (void)state;
    words_init(&w);
    words_init(&one);
    buf_init(&text, BUF_NO_LIMIT);
    buf_init(&want, BUF_NO_LIMIT);
    for (int n = 1; n < 70; n++)
        for (int k = 0; k < N * N; k++) {
            buf_clear(&text);
            for (int i = 0; i < 3; i++) {
                for (int c = 0; c < n; c++)
                    buf_add_char(&text, (char)('A' + c % 26));
                buf_add(&text, str_of(between[i ? k / N : k % N]));
            }
            /* Folded as a whole, and then cut. */
            buf_clear(&want);
            assert_int_equal(fold_text(&one.fold, buf_str(&text), &want), 0);
            assert_int_equal(
                words_split(&one, QUERY_POLICY_WORDS, buf_str(&want)), 0);
            assert_int_equal(
                words_split(&w, QUERY_POLICY_WORDS, buf_str(&text)), 0);
            assert_true(str_eq(buf_str(&w.text), buf_str(&one.text)));
        }
    buf_release(&text);
    buf_release(&want);
    words_release(&one);
    words_release(&w);
}

/* The words of ASCII byte by byte, | before one that a stop is before. */
static void slow_words(struct str s, struct buf *out)
{
    bool open = false, stop = false, first = true;
    unsigned lines = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool joins = isalnum((unsigned char)s.p[i]);

        if (joins || (s.p[i] == '\'' && open && i + 1 < s.n &&
                      isalnum((unsigned char)s.p[i + 1]))) {
            if (!open && !first)
                buf_add_char(out, ' ');
            if (!open && (stop || lines > 1))
                buf_add_char(out, '|');
            if (!open)
                lines = stop = 0;
            open = true;
            first = false;
            buf_add_char(out, (char)tolower((unsigned char)s.p[i]));
            continue;
        }
        open = false;
        stop = stop || !strchr(" \n", s.p[i]);
        lines += s.p[i] == '\n';
    }
}

/* Blocks of words end everywhere: random texts of few characters, mostly of
 * words with one space between them. */
static void test_words__blocks(void **state)
{
    static const char some[] = "aZ0bcdexyzaZ0bcdexyz   '.\n";
    char text[300];
    struct words w;
    struct buf want, got;
    uint64_t x = 1;

    (void)state;
    words_init(&w);
    buf_init(&want, BUF_NO_LIMIT);
    buf_init(&got, BUF_NO_LIMIT);
    for (size_t i = 0; i < 30000; i++) {
        size_t n = i % sizeof text, few = i % 7 ? 24 : sizeof some - 1;

        for (size_t k = 0; k < n; k++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
            text[k] = some[(x >> 33) % (i % 31 ? few : 20)];
        }
        buf_clear(&want);
        buf_clear(&got);
        slow_words(str_make(text, n), &want);
        assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, str_make(text, n)),
                         0);
        for (size_t k = 0; k < w.n; k++) {
            if (k)
                buf_add_char(&got, ' ');
            if (w.stop[k])
                buf_add_char(&got, '|');
            buf_add(&got, words_at(&w, k));
        }
        if (!str_eq(buf_str(&got), buf_str(&want)))
            fail_msg("\"%.*s\": \"%.*s\", not \"%.*s\"", (int)n, text,
                     (int)got.n, got.p, (int)want.n, want.p);
    }
    buf_release(&want);
    buf_release(&got);
    words_release(&w);
}

static void test_words__one_character_words(void **state)
{
    static const struct words_case cases[] = {
        {"\xe7\x8a\xac\xe5\xb0\x8f\xe5\xb1\x8b",
         "\xe7\x8a\xac|\xe5\xb0\x8f|\xe5\xb1\x8b"},
        {"a\xe7\x8a\xac"
         "b2",
         "a|\xe7\x8a\xac|b2"},
        {"\xe3\x80\x87\xe3\x80\x82", "\xe3\x80\x87"}, /* U+3007 is Nl */
        {"\xe0\xb8\x81\xe0\xb8\xb3", "\xe0\xb8\x81|\xe0\xb9\x8d|\xe0\xb8\xb2"},
        {"\xe3\x82\xab\xe3\x82\x99", "\xe3\x82\xac"}, /* NFKC composes */
        {"\xef\xbd\xb6", "\xe3\x82\xab"},             /* half width */
        {"\xe7\x8a\xac\xcc\x81x", "\xe7\x8a\xac|x"},  /* leaves none open */
        {"\xe7\x8a\xac'x", "\xe7\x8a\xac|x"},
        {"x'\xe7\x8a\xac", "x|\xe7\x8a\xac"},
        {"\xf0\xa0\x80\x80\xf0\xa0\x80\x81",
         "\xf0\xa0\x80\x80|\xf0\xa0\x80\x81"},
        {"\xed\x95\x9c\xea\xb5\xad", "\xed\x95\x9c\xea\xb5\xad"}, /* Hangul */
    };

    (void)state;
    CHECK(cases, words_split, QUERY_POLICY_WORDS);
}

static void test_words__metaclip_policy(void **state)
{
    static const struct words_case texts[] = {
        {"", ""},
        {"A Dog", "A|Dog"},
        {"a  b", "a||b"},
        {" a ", "|a|"},
        {"a, b.", "a|,||b|.|"},
        {"a\tb\r\nc", "a|b||c"},
        {"(dog) dog-bed \"x\"", "(dog)|dog-bed|\"x\""},
        {".", "|.|"},
        {"a.,b", "a|.||,|b"},
        {"don't `x`", "don't||`|x|`|"},
        {"\xff caf\xc3\x89", "\xff|caf\xc3\x89"},
    };
    static const struct words_case entries[] = {
        {"St. Louis", "St.|Louis"},
        {"a  b", "a||b"},
        {"a\tb", "a\tb"},
    };

    (void)state;
    CHECK(texts, words_split, QUERY_POLICY_METACLIP);
    CHECK(entries, words_norm, QUERY_POLICY_METACLIP);
}

/* Where a phrase ends, for those who count pairs of words. */
static void test_words__stops(void **state)
{
    static const char text[] = "a b\nc, d-e \"f\" g\n \nh \xe7\x8a\xac\xe7\x8a"
                               "\xac i'' j\xc2\xa0k";
    struct words w;

    (void)state;
    words_init(&w);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, str_of(text)), 0);
    /* a b c ,d -e "f "g \n\nh han han i ''j k */
    static const bool stops[] = {0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0};
    assert_int_equal(w.n, sizeof stops);
    assert_memory_equal(w.stop, stops, sizeof stops);
    words_release(&w);
}

static void test_words__bad_input(void **state)
{
    struct words w;

    (void)state;
    words_init(&w);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, STR("a \xff")),
                     -E_FORMAT);
    assert_int_equal(w.n, 0);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS,
                                 str_make("", WORDS_TEXT_MAX + (size_t)1)),
                     -E_TOOBIG);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, STR_NONE), 0);
    assert_int_equal(w.n, 0);
    assert_int_equal(words_split(&w, QUERY_POLICY_METACLIP, STR_NONE), 0);
    assert_int_equal(w.n, 1);
    words_release(&w);
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

/* Every text of the shared folder that is there, and 100,000 random ones. */
static void against_python(const char *what,
                           int (*split)(struct words *, enum query_policy,
                                        struct str),
                           enum query_policy policy)
{
    const char *env = getenv("WITMILL_SHARED");
    char command[1024];
    struct oracle o;
    struct words w;

    snprintf(command, sizeof command,
             "python3 tests/oracle_text.py %s $(find %s/data -path "
             "'*/alt-text/*' -o -path '*/captions/flickr*' -o -path "
             "'*/html/readab*.tar.xz' 2>/dev/null)",
             what, env ? env : "../shared");
    words_init(&w);
    oracle_open(&o, command);
    while (oracle_next(&o)) {
        assert_int_equal(split(&w, policy, buf_str(&o.in)), 0);
        if (!str_eq(buf_str(&w.text), buf_str(&o.want)))
            fail_msg("\"%s\" gives \"%s\", not \"%s\"", o.in.p,
                     buf_str(&w.text).p, buf_str(&o.want).p);
    }
    print_message("%zu texts compared\n", o.n);
    words_release(&w);
    skip_or_check(&o);
}

static void test_words__against_python(void **state)
{
    (void)state;
    against_python("words", words_split, QUERY_POLICY_WORDS);
}

static void test_words__kept_against_python(void **state)
{
    (void)state;
    against_python("kept", split_kept, QUERY_POLICY_WORDS);
}

static void test_words__spacing_against_python(void **state)
{
    (void)state;
    against_python("spacing", words_split, QUERY_POLICY_METACLIP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words__default_policy),
        cmocka_unit_test(test_words__kept),
        cmocka_unit_test(test_words__pieces),
        cmocka_unit_test(test_words__blocks),
        cmocka_unit_test(test_words__one_character_words),
        cmocka_unit_test(test_words__metaclip_policy),
        cmocka_unit_test(test_words__stops),
        cmocka_unit_test(test_words__bad_input),
        cmocka_unit_test(test_words__against_python),
        cmocka_unit_test(test_words__kept_against_python),
        cmocka_unit_test(test_words__spacing_against_python),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
