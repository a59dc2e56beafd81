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
#include "querylist/list.h"

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
    /* Entries that share a norm are found as the first of them. */
    {QUERY_POLICY_WORDS,
     {"Olive oil", "OLIVE-OIL", "oil", "olive, oil!"},
     "olive oil",
     "02"},
    {QUERY_POLICY_WORDS, {"...", "St. Louis", "st louis"}, "ST.LOUIS", "1"},
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

/* A compiled list of some entries, and a batch. */
struct world {
    struct buf file;
    struct qlist list;
    struct matcher m;
    struct matcher_batch b;
};

static void open_world(struct world *w, enum query_policy policy,
                       const struct query_candidates *entries)
{
    struct query_list_config c = {
        .policy = policy,
        .size = 1000000,
        .sources = {[QUERY_FILE] = entries},
    };
    struct query_list l;

    buf_init(&w->file, BUF_NO_LIMIT);
    assert_int_equal(query_list_build(&l, &c, NULL), 0);
    assert_int_equal(qlist_encode(&l, NULL, policy, 0, 6, &w->file, NULL), 0);
    query_list_release(&l);
    assert_int_equal(
        qlist_open_memory(&w->list, buf_str(&w->file), "mem", NULL), 0);
    matcher_open(&w->m, &w->list);
    matcher_batch_init(&w->b);
}

static void close_world(struct world *w)
{
    matcher_batch_release(&w->b);
    qlist_close(&w->list);
    buf_release(&w->file);
}

static void add_text(struct world *w, struct str text)
{
    assert_int_equal(matcher_batch_cut(&w->m, &w->b, text, NULL, NULL), 0);
    matcher_batch_add(&w->b);
}

/* The ids of one text by itself. */
static const uint32_t *find(struct world *w, struct str text, size_t *n)
{
    matcher_batch_clear(&w->b);
    add_text(w, text);
    matcher_batch_find(&w->m, &w->b);
    return matcher_batch_ids(&w->b, 0, n);
}

/* Are the hits of a text what the case says? */
static void check_case(size_t i, const struct match_case *c)
{
    struct query_candidates entries = {0};
    struct world w;
    char hits[16] = "";
    const uint32_t *ids;
    size_t n;

    for (size_t k = 0; c->entries[k]; k++)
        query_candidates_add(&entries, str_of(c->entries[k]));
    open_world(&w, c->policy, &entries);
    ids = find(&w, str_of(c->text), &n);
    for (size_t k = 0; k < n; k++)
        hits[k] = (char)('0' + ids[k]);
    if (strcmp(hits, c->hits))
        fail_msg("case %zu \"%s\": %s, expected %s", i, c->text, hits, c->hits);
    close_world(&w);
    query_candidates_release(&entries);
}

static void test_matcher__table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(i, &cases[i]);
}

/* Long texts fill a batch before their number does. */
static void test_matcher__full(void **state)
{
    enum { WORDS = 30000, LONG = 1 << 20 };
    struct query_candidates entries = {0};
    struct buf commas, word;
    struct world w;
    size_t n;

    (void)state;
    buf_init(&commas, BUF_NO_LIMIT);
    buf_init(&word, BUF_NO_LIMIT);
    for (int i = 0; i < WORDS; i++)
        buf_add(&commas, str_of(" a"));
    for (int i = 0; i < LONG; i++)
        buf_add(&word, str_of("a"));
    query_candidates_add(&entries, str_of("a"));
    open_world(&w, QUERY_POLICY_METACLIP, &entries);
    for (n = 0; !matcher_batch_full(&w.b); n++)
        add_text(&w, buf_str(&commas));
    assert_int_equal(n, 3);
    matcher_batch_find(&w.m, &w.b);
    for (size_t i = 0; i < n; i++) {
        size_t n_ids;

        assert_int_equal(matcher_batch_ids(&w.b, i, &n_ids)[0], 0);
        assert_int_equal(n_ids, 1);
    }
    matcher_batch_clear(&w.b);
    for (n = 0; !matcher_batch_full(&w.b); n++)
        add_text(&w, buf_str(&word));
    assert_int_equal(n, 16);
    close_world(&w);
    query_candidates_release(&entries);
    buf_release(&commas);
    buf_release(&word);
}

static void test_matcher__no_norms(void **state)
{
    struct query_candidates none = {0};
    struct world w;
    size_t n;

    (void)state;
    open_world(&w, QUERY_POLICY_WORDS, &none);
    find(&w, STR("a dog"), &n);
    assert_int_equal(n, 0);
    find(&w, STR(""), &n);
    assert_int_equal(n, 0);
    matcher_batch_clear(&w.b);
    matcher_batch_find(&w.m, &w.b);
    close_world(&w);
}

/* A text that is refused leaves the batch as it was; one that is cut and not
 * added is not in it; words of neighbours do not meet. */
static void test_matcher__batch(void **state)
{
    struct query_candidates entries = {0};
    const struct words *plain;
    struct world w;
    struct err e = ERR_INIT;
    const uint32_t *ids;
    size_t n;

    (void)state;
    query_candidates_lines(&entries, STR("red\ncar\nred car\n"));
    open_world(&w, QUERY_POLICY_WORDS, &entries);
    for (size_t i = 0; !matcher_batch_full(&w.b); i++) {
        add_text(&w, i % 2 ? STR("Car red") : STR("the red"));
        assert_int_equal(
            matcher_batch_cut(&w.m, &w.b, STR("red car"), &plain, &e), 0);
        assert_int_equal(plain->n, 2);
        assert_int_equal(
            matcher_batch_cut(&w.m, &w.b, STR("car \xff"), NULL, &e),
            -E_FORMAT);
    }
    assert_int_equal(w.b.n, MATCHER_BATCH);
    matcher_batch_find(&w.m, &w.b);
    for (size_t i = 0; i < MATCHER_BATCH; i++) {
        ids = matcher_batch_ids(&w.b, i, &n);
        assert_int_equal(n, i % 2 ? 2 : 1);
        assert_int_equal(ids[0], 0);
        assert_true(n == 1 || ids[1] == 1);
    }
    close_world(&w);
    query_candidates_release(&entries);
}

/* The rules' words are the default policy's under the other one, too. */
static void test_matcher__plain_words(void **state)
{
    struct query_candidates entries = {0};
    const struct words *plain;
    struct world w;

    (void)state;
    query_candidates_lines(&entries, STR("Dog\n"));
    open_world(&w, QUERY_POLICY_METACLIP, &entries);
    assert_int_equal(
        matcher_batch_cut(&w.m, &w.b, STR("(A Dog)"), &plain, NULL), 0);
    assert_int_equal(plain->n, 2);
    assert_true(str_eq(words_at(plain, 1), STR("dog")));
    close_world(&w);
    query_candidates_release(&entries);
}

/* Words of every length from 1 to 70 bytes, as first and as second word, and
 * neighbours of each in one byte; a NUL byte behind a word makes another. */
static void test_matcher__lengths(void **state)
{
    enum { MOST = 70 };
    struct query_candidates entries = {0};
    char word[MOST + 1][MOST + 8], text[2 * MOST + 16];
    struct world w;
    const uint32_t *ids;
    size_t n;

    (void)state;
    for (size_t k = 1; k <= MOST; k++) {
        memset(word[k], 'a', k);
        word[k][k] = 0;
        query_candidates_add(&entries, str_of(word[k]));
    }
    for (size_t k = 1; k <= MOST; k++) {
        snprintf(word[k] + k, 8, " b");
        query_candidates_add(&entries, str_of(word[k]));
    }
    open_world(&w, QUERY_POLICY_METACLIP, &entries);
    for (uint32_t k = 1; k <= MOST; k++) {
        ids = find(&w, str_of(word[k]), &n);
        assert_int_equal(n, 2);
        assert_int_equal(ids[0], k - 1);
        assert_int_equal(ids[1], MOST + k - 1);
        for (size_t i = 0; i < k; i++) {
            memcpy(text, word[k], k + 3);
            text[i] = 'c';
            find(&w, str_of(text), &n);
            assert_int_equal(n, 0);
        }
        memcpy(text, word[k], k);
        text[k] = 0;
        find(&w, str_make(text, k + 1), &n);
        assert_int_equal(n, 0);
    }
    find(&w, str_make("", 1), &n);
    assert_int_equal(n, 0);
    close_world(&w);
    query_candidates_release(&entries);
}

/* More ids than are sorted at once, each found often and out of order. */
static void test_matcher__many_ids(void **state)
{
    enum { N = 1000 };
    struct query_candidates entries = {0};
    char(*word)[8] = xmalloc(N * sizeof *word);
    struct world w;
    struct buf text;
    const uint32_t *ids;
    size_t n;

    (void)state;
    buf_init(&text, 1 << 20);
    for (unsigned i = 0; i < N; i++) {
        snprintf(word[i], sizeof word[i], "w%u", i);
        query_candidates_add(&entries, str_of(word[i]));
    }
    open_world(&w, QUERY_POLICY_WORDS, &entries);
    for (unsigned most = 1; most <= N; most += most < 40 ? 1 : 160) {
        buf_clear(&text);
        for (unsigned i = 0; i < 3 * most; i++)
            buf_addf(&text, "w%u ", (i * 7919u + 13) % most);
        ids = find(&w, buf_str(&text), &n);
        for (size_t i = 1; i < n; i++)
            assert_true(ids[i - 1] < ids[i]);
        assert_true(n <= most && ids[n - 1] < most);
        if (most % 7919) /* a prime: all of them come */
            assert_int_equal(n, most);
    }
    close_world(&w);
    buf_release(&text);
    query_candidates_release(&entries);
    free(word);
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

static void search(struct world *w, struct str text, struct buf *one,
                   struct buf *two, size_t *hits)
{
    size_t n, found = 0;
    const uint32_t *ids = find(w, text, &n);

    for (uint32_t i = 0; i < qlist_count(&w->list); i++)
        if (contains(text, qlist_norm(&w->list, i), one, two)) {
            assert_true(found < n);
            assert_int_equal(ids[found++], i);
        }
    assert_int_equal(found, n);
    *hits += found;
}

static void test_matcher__agrees_with_a_plain_search(void **state)
{
    struct buf lines, b, one, two;
    size_t hits = 0;

    (void)state;
    buf_init(&lines, 1 << 20);
    buf_init(&b, 1 << 20);
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    for (unsigned turn = 0; turn < 60; turn++) {
        struct query_candidates entries = {0};
        unsigned alphabet = 2 + dice(8);
        struct world w;

        buf_clear(&lines);
        for (unsigned i = 0; i < 60; i++) {
            random_words(&b, 1 + dice(4), alphabet);
            buf_addf(&lines, "%s\n", b.p);
        }
        query_candidates_lines(&entries, buf_str(&lines));
        open_world(&w, turn % 2 ? QUERY_POLICY_METACLIP : QUERY_POLICY_WORDS,
                   &entries);
        for (unsigned k = 0; k < 60; k++) {
            random_words(&b, dice(14), alphabet + 1);
            search(&w, buf_str(&b), &one, &two, &hits);
        }
        close_world(&w);
        query_candidates_release(&entries);
    }
    assert_true(hits > 1000);
    buf_release(&lines);
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
    struct query_candidates entries = {0};
    const uint32_t *ids;
    struct world w;
    size_t n;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        snprintf(norms[i], sizeof norms[i],
                 i % 3 == 0   ? "x%u"
                 : i % 3 == 1 ? "y%u z"
                              : "x0 longer%u z",
                 i);
        query_candidates_add(&entries, str_of(norms[i]));
    }
    open_world(&w, QUERY_POLICY_WORDS, &entries);
    for (unsigned i = 0; i < N; i += 7) {
        bool self = false;

        ids = find(&w, str_of(norms[i]), &n);
        /* "x0 longer5 z" says "x0", too. */
        assert_int_equal(n, i % 3 == 2 ? 2 : 1);
        for (size_t k = 0; k < n; k++)
            self |= ids[k] == i;
        assert_true(self);
    }
    find(&w, STR("x1 y0 x2 z longer2 z y3 z y2"), &n);
    assert_int_equal(n, 0);
    close_world(&w);
    query_candidates_release(&entries);
    free(norms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matcher__table),
        cmocka_unit_test(test_matcher__full),
        cmocka_unit_test(test_matcher__no_norms),
        cmocka_unit_test(test_matcher__batch),
        cmocka_unit_test(test_matcher__plain_words),
        cmocka_unit_test(test_matcher__lengths),
        cmocka_unit_test(test_matcher__many_ids),
        cmocka_unit_test(test_matcher__agrees_with_a_plain_search),
        cmocka_unit_test(test_matcher__many_norms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
