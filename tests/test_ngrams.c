/* querylist/ngrams, and pairtab, pairrun below it: by hand; against sorted
 * arrays of all that was counted, for ceilings of memory that make counters
 * spill, for several counters; and with a disk that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/buf.h"
#include "querylist/keymerge.h"
#include "querylist/ngrams.h"
#include "querylist/pairtab.h"
#include "tests/deleted_file.h"
#include "tests/folder.h"

#define MANY 1000000000u

static const struct ngrams_config all = {.memory = 1 << 24,
                                         .counters = 1,
                                         .min_word_count = 1,
                                         .word_budget = MANY,
                                         .min_bigram_count = 1,
                                         .bigram_budget = MANY,
                                         .min_pmi = -100};

static uint64_t next_random(uint64_t *x)
{
    *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *x >> 33;
}

/* ---- by hand ---- */

static void check_candidates(struct ngrams *n,
                             int (*list)(struct ngrams *,
                                         struct query_candidates *,
                                         struct err *),
                             const char *want)
{
    struct query_candidates c = {0};
    struct buf got;

    buf_init(&got, BUF_NO_LIMIT);
    assert_int_equal(list(n, &c, NULL), 0);
    for (size_t i = 0; i < c.n; i++)
        buf_addf(&got, "%.*s:%llu ", STR_ARG(c.v[i].text),
                 (unsigned long long)c.v[i].count);
    assert_string_equal(buf_str(&got).p, want);
    buf_release(&got);
    query_candidates_release(&c);
}

static void count(const struct ngrams_config *c, const char *text,
                  struct ngrams **n)
{
    struct ngrams_counter *k;

    assert_int_equal(ngrams_open(n, c, NULL), 0);
    k = ngrams_take(*n);
    assert_int_equal(ngrams_add(k, str_of(text), NULL), 0);
    ngrams_give(*n, k);
    assert_int_equal(ngrams_finish(*n, NULL), 0);
}

static void test_ngrams__phrases(void **state)
{
    struct query_candidates b = {0};
    struct ngrams_counter *k;
    struct ngrams *n;

    (void)state;
    assert_int_equal(ngrams_open(&n, &all, NULL), 0);
    k = ngrams_take(n);
    assert_int_equal(ngrams_add(k, STR("The olive oil. The"), NULL), 0);
    assert_int_equal(ngrams_add(k, STR("dog, the Olive"), NULL), 0);
    assert_int_equal(ngrams_add(k, STR("bad \xff text"), NULL), -E_FORMAT);
    assert_int_equal(ngrams_add(k, STR("OIL dog."), NULL), 0);
    assert_int_equal(ngrams_add(k, STR("oil"), NULL), 0);
    ngrams_break(k);
    assert_int_equal(ngrams_add(k, STR("oil"), NULL), 0);
    ngrams_give(n, k); /* taken anew, it begins a phrase */
    assert_ptr_equal(ngrams_take(n), k);
    assert_int_equal(ngrams_add(k, STR("oil"), NULL), 0);
    assert_int_equal(ngrams_finish(n, NULL), 0);
    assert_int_equal(ngrams_tokens(n), 12);
    check_candidates(n, ngrams_words, "oil:5 the:3 dog:2 olive:2 ");
    /* n12/(n1 n2): the olive 2/6, olive oil 2/10, the dog 1/6, oil dog 1/10 */
    check_candidates(n, ngrams_bigrams,
                     "the olive:2 olive oil:2 the dog:1 oil dog:1 ");
    assert_int_equal(ngrams_bigrams(n, &b, NULL), 0);
    assert_true(b.v[1].pmi > 1.263 && b.v[1].pmi < 1.264); /* log2(24/10) */
    query_candidates_release(&b);
    ngrams_close(n);
}

static void test_ngrams__thresholds(void **state)
{
    static const char text[] = "a b a b a b. c a. c a. b c. d e.";
    struct ngrams_config c = all;
    struct ngrams *n;

    (void)state;
    c.min_word_count = 2;
    c.word_budget = 2;
    c.min_bigram_count = 2;
    c.bigram_budget = 2;
    count(&c, text, &n);
    check_candidates(n, ngrams_words, "a:5 b:4 ");
    /* a b 3/20, c a 2/15; b a 2/20 is past the budget, d e too rare */
    check_candidates(n, ngrams_bigrams, "a b:3 c a:2 ");
    ngrams_close(n);
    c.bigram_budget = MANY;
    c.min_pmi = 1;
    count(&c, text, &n);
    /* log2(14 * 3/20) = 1.07; c a 0.90 */
    check_candidates(n, ngrams_bigrams, "a b:3 ");
    ngrams_close(n);
    c.bigram_budget = 0;
    count(&c, text, &n);
    check_candidates(n, ngrams_words, "a:5 b:4 ");
    check_candidates(n, ngrams_bigrams, "");
    ngrams_close(n);
}

/* PMI of exactly 0 and 1 bit, where logarithms give a little less: N 26, and
 * n1 2, n2 13; N 52. */
static void test_ngrams__on_the_threshold(void **state)
{
    static const double least[] = {0, 1, -1, 1.5};
    static const char *const want[] = {"a b:1 ", "a b:1 ", "a b:1 ", ""};
    struct ngrams_config c = all;
    struct ngrams_report r;
    struct ngrams *n;
    struct buf text;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        buf_init(&text, BUF_NO_LIMIT);
        buf_add(&text, STR("a b. a. "));
        for (int k = 0; k < 12; k++)
            buf_add(&text, STR("b. "));
        for (int k = 0; k < (i == 0 ? 11 : 37); k++)
            buf_add(&text, STR("z, "));
        c.min_pmi = least[i];
        count(&c, text.p, &n);
        ngrams_report(n, &r);
        assert_int_equal(r.tokens, i == 0 ? 26 : 52);
        assert_int_equal(r.pmi[i == 0 ? 0 : 1], 1);
        check_candidates(n, ngrams_bigrams, want[i]);
        ngrams_close(n);
        buf_release(&text);
    }
}

static void test_ngrams__case(void **state)
{
    static const char text[] =
        "The the THE caf\xc3\xa9 Caf\xc3\x89 \xef\xac\x81x";
    struct ngrams_config c = all;
    struct ngrams *n;

    (void)state;
    count(&c, text, &n);
    check_candidates(n, ngrams_words, "the:3 caf\xc3\xa9:2 fix:1 ");
    ngrams_close(n);
    c.letters = NGRAMS_KEEP;
    count(&c, text, &n);
    check_candidates(n, ngrams_words,
                     "Caf\xc3\x89:1 THE:1 The:1 caf\xc3\xa9:1 fix:1 the:1 ");
    check_candidates(n, ngrams_bigrams,
                     "Caf\xc3\x89 fix:1 THE caf\xc3\xa9:1 The the:1 "
                     "caf\xc3\xa9 Caf\xc3\x89:1 the THE:1 ");
    ngrams_close(n);
}

/* A word that can be no entry counts in N, and ends a phrase. */
static void test_ngrams__long_word(void **state)
{
    static char text[NGRAMS_WORD_MAX + 16] = "a b ";
    struct ngrams *n;

    (void)state;
    memset(text + 4, 'x', NGRAMS_WORD_MAX + 1);
    memcpy(text + 4 + NGRAMS_WORD_MAX + 1, " c d", 5);
    count(&all, text, &n);
    assert_int_equal(ngrams_tokens(n), 5);
    check_candidates(n, ngrams_words, "a:1 b:1 c:1 d:1 ");
    check_candidates(n, ngrams_bigrams, "a b:1 c d:1 ");
    ngrams_close(n);
}

static void test_ngrams__report(void **state)
{
    struct ngrams_report r;
    struct ngrams *n;
    struct buf text;

    (void)state;
    buf_init(&text, BUF_NO_LIMIT);
    for (int i = 0; i < 100; i++) /* N 1024: PMI of "x y" log2(1024/100) */
        buf_add(&text, STR("x y. "));
    for (int i = 0; i < 824 / 2; i++)
        buf_add(&text, STR("z, z, "));
    buf_add(&text, STR("p q"));
    text.n -= 3;
    count(&all, text.p, &n);
    ngrams_report(n, &r);
    assert_int_equal(r.distinct, 5);
    assert_int_equal(r.tokens, 1026);
    assert_int_equal(r.words[0], 3); /* 10 times */
    assert_int_equal(r.words[3], 3);
    assert_int_equal(r.words[4], 1);
    assert_int_equal(r.words[6], 0);
    assert_int_equal(r.bigrams, 2); /* x y 3.36 bits, p q 10.0 */
    assert_int_equal(r.pmi[0], 2);
    assert_int_equal(r.pmi[3], 2);
    assert_int_equal(r.pmi[4], 1);
    assert_int_equal(r.pmi[10], 1);
    assert_int_equal(r.pmi[11], 0);
    assert_int_equal(r.disk, 0);
    ngrams_close(n);
    buf_release(&text);
}

/* ---- against sorted arrays ---- */

/* Some words are long, some begin alike, some are not ASCII. */
static struct str word_of(unsigned k, char *to)
{
    static const char *const forms[] = {"w%u", "a%u", "%uth", "\xc3\xa9t%u",
                                        "averylongwordindeedthatgoeson%u"};

    return str_make(to, (size_t)snprintf(to, 64, forms[k % 5], k));
}

struct naive_pair {
    uint64_t n;
    unsigned first, second;
};

struct naive {
    unsigned kinds;
    uint64_t *words; /* by kind */
    struct naive_pair *pairs;
    size_t n_pairs, tokens;
};

static int by_kinds(const void *a, const void *b)
{
    const struct naive_pair *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->second < y->second ? -1 : x->second > y->second;
}

static const struct naive *comparing; /* for qsort */

static int by_pmi(const void *a, const void *b)
{
    const struct naive_pair *x = a, *y = b;
    const uint64_t *n = comparing->words;
    /* Counts here are small enough for 64 bits. */
    uint64_t l = x->n * n[y->first] * n[y->second];
    uint64_t r = y->n * n[x->first] * n[x->second];
    char t[4][64];
    int order;

    if (l != r)
        return l > r ? -1 : 1;
    order = str_cmp(word_of(x->first, t[0]), word_of(y->first, t[1]));
    return order ? order
                 : str_cmp(word_of(x->second, t[2]), word_of(y->second, t[3]));
}

/* Each pair once, those that reach the threshold, best first. */
static void sum_pairs(struct naive *v, uint64_t least)
{
    size_t n = 0, kept = 0;

    qsort(v->pairs, v->n_pairs, sizeof *v->pairs, by_kinds);
    for (size_t i = 0; i < v->n_pairs; i++)
        if (n && by_kinds(&v->pairs[n - 1], &v->pairs[i]) == 0)
            v->pairs[n - 1].n++;
        else
            v->pairs[n++] = v->pairs[i];
    for (size_t i = 0; i < n; i++)
        if (v->pairs[i].n >= least)
            v->pairs[kept++] = v->pairs[i];
    v->n_pairs = kept;
    comparing = v;
    qsort(v->pairs, kept, sizeof *v->pairs, by_pmi);
}

/* So many tokens of so many kinds, the low ones far more frequent, to the
 * counters and to the naive one. */
static void count_random(struct ngrams *n, unsigned counters, size_t tokens,
                         unsigned kinds, uint64_t least, struct naive *v)
{
    struct ngrams_counter *c[8];
    uint64_t x = tokens + kinds;
    unsigned last = 0, to = 0;
    bool has_last = false;
    struct buf text;
    char word[64];

    *v = (struct naive){.kinds = kinds, .tokens = tokens};
    v->words = calloc(kinds, sizeof *v->words);
    v->pairs = calloc(tokens + 1, sizeof *v->pairs);
    buf_init(&text, BUF_NO_LIMIT);
    for (unsigned i = 0; i < counters; i++)
        c[i] = ngrams_take(n);
    for (size_t i = 0; i < tokens; i++) {
        uint64_t a = next_random(&x) % kinds, b = next_random(&x) % kinds;
        unsigned k = (unsigned)(a * b / kinds * (b | 1) / kinds) % kinds;

        if (has_last)
            v->pairs[v->n_pairs++] = (struct naive_pair){1, last, k};
        v->words[k]++;
        buf_add(&text, word_of(k, word));
        has_last = next_random(&x) % 8 != 0;
        buf_add(&text, has_last ? STR(" ") : STR(", "));
        last = k;
        if (next_random(&x) % 40 == 0) {
            assert_int_equal(ngrams_add(c[to], buf_str(&text), NULL), 0);
            buf_clear(&text);
            if (next_random(&x) % 2 == 0) { /* else it goes on there */
                ngrams_break(c[to]);
                has_last = false;
                to = (unsigned)next_random(&x) % counters;
            }
        }
    }
    assert_int_equal(ngrams_add(c[to], buf_str(&text), NULL), 0);
    for (unsigned i = 0; i < counters; i++)
        ngrams_give(n, c[i]);
    buf_release(&text);
    sum_pairs(v, least);
}

static void check_words(struct ngrams *n, const struct naive *v,
                        const struct ngrams_config *c)
{
    struct query_candidates got = {0};
    uint64_t want = 0, sum = 0;

    assert_int_equal(ngrams_words(n, &got, NULL), 0);
    for (unsigned k = 0; k < v->kinds; k++)
        want += v->words[k] >= c->min_word_count;
    assert_int_equal(got.n, want < c->word_budget ? want : c->word_budget);
    for (size_t i = 0; i < got.n; i++) {
        struct str text = got.v[i].text;
        char word[64], digits[64];
        size_t at = 0, d = 0;

        while (at < text.n && !str_is_digit(text.p[at]))
            at++;
        while (at < text.n && str_is_digit(text.p[at]))
            digits[d++] = text.p[at++];
        digits[d] = 0;
        sum = strtoul(digits, NULL, 10);
        assert_true(sum < v->kinds);
        assert_true(str_eq(word_of((unsigned)sum, word), text));
        assert_int_equal(got.v[i].count, v->words[sum]);
        if (i) {
            assert_true(got.v[i - 1].count >= got.v[i].count);
            if (got.v[i - 1].count == got.v[i].count)
                assert_true(str_cmp(got.v[i - 1].text, text) < 0);
        }
    }
    query_candidates_release(&got);
}

static void check_bigrams(struct ngrams *n, const struct naive *v,
                          const struct ngrams_config *c)
{
    struct query_candidates got = {0};
    struct ngrams_report r;
    uint64_t enough = 0;
    size_t at = 0;

    assert_int_equal(ngrams_bigrams(n, &got, NULL), 0);
    for (size_t i = 0; i < v->n_pairs; i++) {
        char text[160];
        struct str one, two;

        if (enough++ >= c->bigram_budget)
            continue;
        one = word_of(v->pairs[i].first, text);
        text[one.n] = ' ';
        two = word_of(v->pairs[i].second, text + one.n + 1);
        assert_true(at < got.n);
        assert_true(str_eq(got.v[at].text, str_make(text, one.n + 1 + two.n)));
        assert_int_equal(got.v[at++].count, v->pairs[i].n);
    }
    assert_int_equal(at, got.n);
    ngrams_report(n, &r);
    assert_int_equal(r.bigrams, enough);
    assert_int_equal(r.tokens, v->tokens);
    query_candidates_release(&got);
}

static uint64_t check_random(uint64_t memory, unsigned counters, size_t tokens,
                             unsigned kinds, unsigned least, unsigned budget)
{
    struct ngrams_config c = all;
    struct ngrams_report r;
    struct ngrams *n;
    struct naive v;

    c.memory = memory;
    c.counters = counters;
    c.folder = folder;
    c.min_word_count = c.min_bigram_count = least;
    c.word_budget = c.bigram_budget = budget;
    assert_int_equal(ngrams_open(&n, &c, NULL), 0);
    count_random(n, counters, tokens, kinds, least, &v);
    assert_int_equal(ngrams_finish(n, NULL), 0);
    check_words(n, &v, &c);
    check_bigrams(n, &v, &c);
    ngrams_report(n, &r);
    ngrams_close(n);
    free(v.words);
    free(v.pairs);
    return r.runs;
}

static void test_ngrams__equal_sorting(void **state)
{
    (void)state;
    for (unsigned counters = 1; counters <= 4; counters++) {
        uint64_t runs;

        assert_int_equal(check_random(1 << 26, counters, 0, 1, 1, MANY), 0);
        assert_int_equal(check_random(1 << 26, counters, 60000, 300, 1, MANY),
                         0);
        assert_int_equal(check_random(1 << 26, counters, 60000, 9000, 2, 500),
                         0);
        for (uint64_t memory = 1 << 18; memory <= 1 << 20; memory *= 2) {
            runs = check_random(memory * counters, counters, 80000, 20000,
                                counters, counters % 2 ? MANY : 1000);
            assert_true(runs > counters);
        }
        /* Few words, many pairs of them: the other table fills up. */
        runs = check_random(1 << 18, counters, 150000, 800, 3, 10000);
        assert_true(runs > counters);
    }
}

/* More runs than bigrams, and than words, are merged at once. */
static void test_ngrams__passes(void **state)
{
    uint64_t runs = check_random(1, 2, 600000, 200000, 2, 5000);

    (void)state;
    assert_true(runs > KEYMERGE_FAN);
}

/* More often than a slot of the table can count. */
static void test_ngrams__large_counts(void **state)
{
    enum { N = 100000 };
    struct ngrams *n;
    struct buf text;
    char want[64];

    (void)state;
    buf_init(&text, BUF_NO_LIMIT);
    for (int i = 0; i < N; i++)
        buf_add(&text, i % 10 ? STR("ab cd. ") : STR("cd cd. "));
    count(&all, text.p, &n);
    snprintf(want, sizeof want, "ab cd:%d cd cd:%d ", N / 10 * 9, N / 10);
    check_candidates(n, ngrams_bigrams, want);
    ngrams_close(n);
    buf_release(&text);
}

/* The table itself, its counts around each carry. */
static void test_ngrams__pairtab(void **state)
{
    static const uint32_t rank[] = {3, 2, 1, 0};
    struct pairtab_walk w = {0, 0};
    uint64_t pair, n, want[16] = {0};
    struct pairtab t;

    (void)state;
    pairtab_init(&t, PAIRTAB_MIN);
    for (uint32_t k = 0; k < 16; k++) {
        want[15 - k] = (k / 4 + 1) * 16384 + k % 4 - 2;
        for (uint64_t i = 0; i < want[15 - k]; i++)
            assert_int_equal(pairtab_add(&t, k / 4, k % 4), 0);
    }
    assert_int_equal(pairtab_sort(&t, rank), 0);
    for (uint32_t k = 0; k < 16; k++) {
        assert_true(pairtab_next(&t, &w, &pair, &n));
        assert_int_equal(pair, (uint64_t)(k / 4) << 32 | k % 4);
        assert_int_equal(n, want[k]);
    }
    assert_false(pairtab_next(&t, &w, &pair, &n));
    pairtab_release(&t);
}

/* ---- threads ---- */

struct share {
    struct ngrams *n;
    unsigned from, step;
};

/* Every text by whatever counter is idle. */
static void *add_share(void *at)
{
    struct share *s = at;
    struct buf text;
    char word[64];

    buf_init(&text, BUF_NO_LIMIT);
    for (unsigned i = s->from; i < 400; i += s->step) {
        struct ngrams_counter *c = ngrams_take(s->n);
        uint64_t x = i;

        buf_clear(&text);
        for (int k = 0; k < 100; k++) {
            buf_add(&text, word_of((unsigned)(next_random(&x) % 5000), word));
            buf_add_char(&text, ' ');
        }
        if (ngrams_add(c, buf_str(&text), NULL))
            s->step = 0; /* the caller looks */
        ngrams_give(s->n, c);
        if (!s->step)
            break;
    }
    buf_release(&text);
    return NULL;
}

static void list_shared(unsigned threads, struct buf *out)
{
    struct query_candidates c = {0};
    struct ngrams_config config = all;
    struct share shares[4];
    pthread_t t[4];
    struct ngrams *n;

    config.memory = 1;
    config.counters = threads;
    config.folder = folder;
    assert_int_equal(ngrams_open(&n, &config, NULL), 0);
    for (unsigned i = 0; i < threads; i++) {
        shares[i] = (struct share){n, i, threads};
        assert_int_equal(pthread_create(&t[i], NULL, add_share, &shares[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(shares[i].step, threads);
    }
    assert_int_equal(ngrams_finish(n, NULL), 0);
    assert_int_equal(ngrams_tokens(n), 40000);
    assert_int_equal(ngrams_words(n, &c, NULL), 0);
    assert_int_equal(ngrams_bigrams(n, &c, NULL), 0);
    for (size_t i = 0; i < c.n; i++)
        buf_addf(out, "%.*s\t%llu\t%.17g\n", STR_ARG(c.v[i].text),
                 (unsigned long long)c.v[i].count, c.v[i].pmi);
    query_candidates_release(&c);
    ngrams_close(n);
}

static void test_ngrams__threads(void **state)
{
    struct buf one, four;

    (void)state;
    buf_init(&one, BUF_NO_LIMIT);
    buf_init(&four, BUF_NO_LIMIT);
    list_shared(1, &one);
    list_shared(4, &four);
    assert_true(one.n > 100000);
    assert_true(str_eq(buf_str(&one), buf_str(&four)));
    buf_release(&one);
    buf_release(&four);
}

/* ---- failures ---- */

static void test_ngrams__ceiling(void **state)
{
    struct ngrams_config c = all;
    struct ngrams_counter *k;
    struct err e = ERR_INIT;
    struct ngrams *n;
    char word[32];
    int rc = 0;

    (void)state;
    c.memory = 1 << 18;
    assert_int_equal(ngrams_open(&n, &c, NULL), 0);
    k = ngrams_take(n);
    for (int i = 0; !rc && i < 100000; i++) {
        snprintf(word, sizeof word, "w%d", i);
        rc = ngrams_add(k, str_of(word), &e);
    }
    assert_int_equal(rc, -E_TOOBIG);
    assert_non_null(strstr(e.message, "--memory"));
    ngrams_give(n, k);
    ngrams_close(n);
}

/* Every byte of the file matters, whether it is of words or of bigrams. */
static void test_ngrams__damage(void **state)
{
    uint64_t x = 5;

    (void)state;
    for (int i = 0; i < 24; i++) {
        struct ngrams_config c = all;
        struct ngrams_counter *k;
        struct ngrams *n;
        struct stat st;
        char word[32];

        c.memory = 1;
        c.folder = folder;
        assert_int_equal(ngrams_open(&n, &c, NULL), 0);
        k = ngrams_take(n);
        for (int j = 0; j < 12000; j++) {
            snprintf(word, sizeof word, "w%d", (int)(next_random(&x) % 9000));
            assert_int_equal(ngrams_add(k, str_of(word), NULL), 0);
        }
        ngrams_give(n, k);
        assert_int_equal(fstat(deleted_file_fd(folder), &st), 0);
        deleted_file_flip(folder, i < 12
                                      ? (uint64_t)i
                                      : next_random(&x) % (uint64_t)st.st_size);
        assert_int_equal(ngrams_finish(n, NULL), -E_DAMAGED);
        ngrams_close(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ngrams__phrases),
        cmocka_unit_test(test_ngrams__thresholds),
        cmocka_unit_test(test_ngrams__on_the_threshold),
        cmocka_unit_test(test_ngrams__case),
        cmocka_unit_test(test_ngrams__long_word),
        cmocka_unit_test(test_ngrams__report),
        cmocka_unit_test(test_ngrams__equal_sorting),
        cmocka_unit_test(test_ngrams__passes),
        cmocka_unit_test(test_ngrams__large_counts),
        cmocka_unit_test(test_ngrams__pairtab),
        cmocka_unit_test(test_ngrams__threads),
        cmocka_unit_test(test_ngrams__ceiling),
        cmocka_unit_test(test_ngrams__damage),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
