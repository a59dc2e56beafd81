/* matcher: which norms a text contains, against a table and against a search
 * that looks at every norm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "filter/matcher.h"

/* ---- a table of texts ---- */

struct match_case {
    enum query_policy policy;
    const char *entries[8]; /* of the list; NULL ends it */
    const char *text;
    const char *hits; /* indexes of the entries found, as digits */
};

static const struct match_case cases[] = {
    /* Punctuation separates; the words have to stand together, in order. */
    {QUERY_POLICY_WORDS, {"dog", "red car"}, "a dog, a red car.", "01"},
    {QUERY_POLICY_WORDS, {"dog", "red car"}, "A (dog)-red/CAR!", "01"},
    {QUERY_POLICY_WORDS, {"red car"}, "red, car", "0"},
    {QUERY_POLICY_WORDS, {"red car"}, "red old car; car red", ""},
    {QUERY_POLICY_WORDS, {"dog", "do", "og"}, "dogs do dogma", "1"},
    {QUERY_POLICY_WORDS, {"dog"}, "", ""},
    {QUERY_POLICY_WORDS, {"dog"}, "...", ""},
    /* Case, accents, compatibility forms. */
    {QUERY_POLICY_WORDS,
     {"stra\xc3\x9f"
      "e",
      "\xc3\xa9t\xc3\xa9", "ete"},
     "STRASSE im \xc3\x89T\xc3\x89",
     "01"},
    {QUERY_POLICY_WORDS, {"caf\xc3\xa9", "cafe"}, "a cafe\xcc\x81", "0"},
    {QUERY_POLICY_WORDS, {"fish", "2"}, "\xef\xac\x81sh\xc2\xb2", ""},
    {QUERY_POLICY_WORDS, {"fish2"}, "\xef\xac\x81sh\xc2\xb2", "0"},
    /* Scripts without spaces: each character is a word. */
    {QUERY_POLICY_WORDS,
     {"\xe7\x8a\xac", "\xe6\x9d\xb1\xe4\xba\xac", "\xe4\xba\xac\xe6\x9d\xb1"},
     "\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xae\xe7\x8a\xac",
     "01"},
    {QUERY_POLICY_WORDS,
     {"\xe6\x9d\xb1 \xe4\xba\xac"},
     "in \xe6\x9d\xb1\xe4\xba\xac tower",
     "0"},
    /* Apostrophes inside words, and what only looks like one. */
    {QUERY_POLICY_WORDS,
     {"dog's", "dog", "o'clock"},
     "The dog\xe2\x80\x99s 5 o'clock 'dog'",
     "012"},
    {QUERY_POLICY_WORDS, {"dogs", "dog"}, "dogs' tails", "0"},
    /* Numbers. */
    {QUERY_POLICY_WORDS,
     {"7", "42", "4", "3 14"},
     "Route 42, pi 3.14, 7th",
     "13"},
    {QUERY_POLICY_WORDS, {"100 m"}, "100m 100 m", "0"},
    /* A norm that begins another, one inside another, overlapping ones. */
    {QUERY_POLICY_WORDS,
     {"a b c d", "a b", "b c", "a", "d e"},
     "x a b c d",
     "0123"},
    {QUERY_POLICY_WORDS,
     {"a b c d", "a b", "b c", "a", "d e"},
     "a b c e",
     "123"},
    {QUERY_POLICY_WORDS, {"a b c d"}, "a b c a b c d", "0"},
    {QUERY_POLICY_WORDS, {"a a", "a a a"}, "a a", "0"},
    {QUERY_POLICY_WORDS, {"a a", "a a a"}, "a a a a", "01"},
    /* Found often, named once, in ascending order. */
    {QUERY_POLICY_WORDS, {"c", "b", "a"}, "a b c a b c a", "012"},
    /* MetaCLIP's: bytes between spaces; , . ; : ? ! ` are words. */
    {QUERY_POLICY_METACLIP, {"dog", "Dog", "cat"}, "A Dog, cat", "12"},
    {QUERY_POLICY_METACLIP, {"dog"}, "(dog) dog-bed \"dog\" dog's", ""},
    {QUERY_POLICY_METACLIP, {"dog", "dog .", "dog."}, "a dog.", "01"},
    {QUERY_POLICY_METACLIP, {"red car"}, "red  car red\tcar", "0"},
    {QUERY_POLICY_METACLIP, {"red car"}, "red  car", ""},
    {QUERY_POLICY_METACLIP, {"red  car"}, "a red  car", "0"},
    {QUERY_POLICY_METACLIP, {"red , car", "red ,  car"}, "red, car", "1"},
    {QUERY_POLICY_METACLIP, {"caf\xc3\xa9"}, "cafe\xcc\x81 caf\xc3\xa9", "0"},
};

/* Are the hits of a text what the case says? */
static void check_case(size_t i, const struct match_case *c)
{
    struct match_ids ids = {0};
    struct words w;
    struct matcher m;
    char *norms[8];
    char hits[16] = "";
    size_t n = 0;

    words_init(&w);
    matcher_init(&m);
    for (; c->entries[n]; n++) {
        assert_int_equal(words_norm(&w, c->policy, str_of(c->entries[n])), 0);
        norms[n] = xstrndup(buf_str(&w.text));
        matcher_add(&m, (uint32_t)n, str_of(norms[n]));
    }
    assert_int_equal(matcher_build(&m, NULL), 0);
    assert_int_equal(words_split(&w, c->policy, str_of(c->text)), 0);
    matcher_find(&m, &w, &ids);
    for (size_t k = 0; k < ids.n; k++)
        hits[k] = (char)('0' + ids.v[k]);
    if (strcmp(hits, c->hits))
        fail_msg("case %zu \"%s\": %s, expected %s", i, c->text, hits, c->hits);
    while (n)
        free(norms[--n]);
    match_ids_release(&ids);
    matcher_release(&m);
    words_release(&w);
}

static void test_matcher__table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(i, &cases[i]);
}

static void test_matcher__no_norms(void **state)
{
    struct match_ids ids = {0};
    struct matcher m;
    struct words w;

    (void)state;
    matcher_init(&m);
    words_init(&w);
    assert_int_equal(matcher_build(&m, NULL), 0);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, STR("a dog")), 0);
    matcher_find(&m, &w, &ids);
    assert_int_equal(ids.n, 0);
    match_ids_release(&ids);
    words_release(&w);
    matcher_release(&m);
}

/* ---- against a search of every norm ---- */

static uint64_t seed = 1;

static unsigned dice(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

static void random_words(struct buf *b, unsigned n, unsigned alphabet)
{
    buf_clear(b);
    for (unsigned i = 0; i < n; i++)
        buf_addf(b, "%sw%u", i ? " " : "", dice(alphabet));
}

/* Does " text " contain " norm "? */
static bool contains(struct str text, struct str norm, struct buf *one,
                     struct buf *two)
{
    buf_clear(one);
    buf_clear(two);
    buf_addf(one, " %.*s ", STR_ARG(text));
    buf_addf(two, " %.*s ", STR_ARG(norm));
    return str_find(buf_str(one), buf_str(two), 0) != SIZE_MAX;
}

struct list {
    char **norms;
    size_t n, cap;
};

static void add_distinct(struct list *l, struct str norm)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(str_of(l->norms[i]), norm))
            return;
    l->norms = xgrow(l->norms, &l->cap, l->n + 1, sizeof *l->norms);
    l->norms[l->n++] = xstrndup(norm);
}

static void test_matcher__agrees_with_a_plain_search(void **state)
{
    struct buf b, one, two;
    struct match_ids ids = {0};
    struct words w;
    size_t hits = 0;

    (void)state;
    buf_init(&b, 1 << 20);
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    words_init(&w);
    for (unsigned turn = 0; turn < 30; turn++) {
        unsigned alphabet = 2 + dice(8);
        struct list l = {0};
        struct matcher m;

        matcher_init(&m);
        for (unsigned i = 0; i < 60; i++) {
            random_words(&b, 1 + dice(4), alphabet);
            add_distinct(&l, buf_str(&b));
        }
        for (size_t i = 0; i < l.n; i++)
            matcher_add(&m, (uint32_t)(i * 3), str_of(l.norms[i]));
        assert_int_equal(matcher_build(&m, NULL), 0);
        for (unsigned k = 0; k < 60; k++) {
            size_t found = 0;

            random_words(&b, dice(14), alphabet + 1);
            assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, buf_str(&b)),
                             0);
            matcher_find(&m, &w, &ids);
            for (size_t i = 0; i < l.n; i++)
                if (contains(buf_str(&b), str_of(l.norms[i]), &one, &two)) {
                    assert_true(found < ids.n);
                    assert_int_equal(ids.v[found++], i * 3);
                }
            assert_int_equal(found, ids.n);
            hits += found;
        }
        for (size_t i = 0; i < l.n; i++)
            free(l.norms[i]);
        free(l.norms);
        matcher_release(&m);
    }
    assert_true(hits > 1000);
    match_ids_release(&ids);
    words_release(&w);
    buf_release(&b);
    buf_release(&one);
    buf_release(&two);
}

/* 200,000 norms of 1 to 3 words: every one is found as itself, and a text of
 * words that no norm has gives nothing. */
static void test_matcher__many_norms(void **state)
{
    enum { N = 200000 };
    char(*norms)[24] = xmalloc(N * sizeof *norms);
    struct match_ids ids = {0};
    struct matcher m;
    struct words w;

    (void)state;
    matcher_init(&m);
    words_init(&w);
    for (unsigned i = 0; i < N; i++) {
        snprintf(norms[i], sizeof norms[i],
                 i % 3 == 0   ? "x%u"
                 : i % 3 == 1 ? "y%u z"
                              : "x0 y%u z",
                 i);
        matcher_add(&m, i, str_of(norms[i]));
    }
    assert_int_equal(matcher_build(&m, NULL), 0);
    for (unsigned i = 0; i < N; i += 7) {
        bool self = false;

        words_split(&w, QUERY_POLICY_WORDS, str_of(norms[i]));
        matcher_find(&m, &w, &ids);
        /* "x0 y5 z" says "x0", too. */
        assert_int_equal(ids.n, i % 3 == 2 ? 2 : 1);
        for (size_t k = 0; k < ids.n; k++)
            self |= ids.v[k] == i;
        assert_true(self);
    }
    words_split(&w, QUERY_POLICY_WORDS, STR("x1 y0 x2 z y2 z y1"));
    matcher_find(&m, &w, &ids);
    assert_int_equal(ids.n, 0);
    match_ids_release(&ids);
    words_release(&w);
    matcher_release(&m);
    free(norms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matcher__table),
        cmocka_unit_test(test_matcher__no_norms),
        cmocka_unit_test(test_matcher__agrees_with_a_plain_search),
        cmocka_unit_test(test_matcher__many_norms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
