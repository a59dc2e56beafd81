/* train/retrieval: against a table of all products, sorted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "train/dot.h"
#include "train/random_bits.h"
#include "train/retrieval.h"

#define DIM   19 /* no multiple of DOT_LANES */
#define MOST  90 /* pictures */
#define TEXTS 4  /* of a picture, at most */

struct world {
    float pictures[MOST][DIM], texts[MOST * TEXTS][DIM];
    size_t owner[MOST * TEXTS], n_pictures, n_texts;
};

/* Few different numbers, so that many products are equal. */
static void make(struct world *w, size_t n, uint64_t seed, int values)
{
    uint64_t i = 0;

    *w = (struct world){.n_pictures = n};
    for (size_t p = 0; p < n; p++) {
        size_t texts = 1 + random_bits(seed, i++) % TEXTS;

        for (int k = 0; k < DIM; k++)
            w->pictures[p][k] =
                (float)(random_bits(seed, i++) % (uint64_t)values) - 1;
        for (size_t t = 0; t < texts; t++, w->n_texts++) {
            w->owner[w->n_texts] = p;
            for (int k = 0; k < DIM; k++)
                w->texts[w->n_texts][k] =
                    (float)(random_bits(seed, i++) % (uint64_t)values) - 1;
        }
    }
}

struct row {
    float x;
    size_t at;
};

static int nearest_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->x != y->x)
        return x->x < y->x ? 1 : -1;
    return x->at < y->at ? -1 : 1;
}

/* The share of pictures with one of their texts among the first k. */
static double slow_to_text(const struct world *w, size_t k)
{
    static struct row rows[MOST * TEXTS];
    size_t found = 0;

    for (size_t p = 0; p < w->n_pictures; p++) {
        bool hit = false;

        for (size_t t = 0; t < w->n_texts; t++)
            rows[t] = (struct row){dot(w->pictures[p], w->texts[t], DIM), t};
        qsort(rows, w->n_texts, sizeof *rows, nearest_first);
        for (size_t i = 0; i < k && i < w->n_texts; i++)
            hit |= w->owner[rows[i].at] == p;
        found += hit;
    }
    return (double)found / (double)w->n_pictures;
}

static double slow_to_picture(const struct world *w, size_t k)
{
    static struct row rows[MOST];
    size_t found = 0;

    for (size_t t = 0; t < w->n_texts; t++) {
        bool hit = false;

        for (size_t p = 0; p < w->n_pictures; p++)
            rows[p] = (struct row){dot(w->pictures[p], w->texts[t], DIM), p};
        qsort(rows, w->n_pictures, sizeof *rows, nearest_first);
        for (size_t i = 0; i < k && i < w->n_pictures; i++)
            hit |= rows[i].at == w->owner[t];
        found += hit;
    }
    return (double)found / (double)w->n_texts;
}

static void score(const struct world *w, unsigned threads,
                  struct retrieval_result *out)
{
    struct retrieval r;
    struct err e = ERR_INIT;

    retrieval_init(&r, DIM);
    for (size_t p = 0; p < w->n_pictures; p++)
        assert_int_equal(retrieval_picture(&r, w->pictures[p], &e), 0);
    for (size_t t = 0; t < w->n_texts; t++)
        assert_int_equal(retrieval_text(&r, w->texts[t], w->owner[t], &e), 0);
    assert_int_equal(retrieval_score(&r, threads, out, &e), 0);
    retrieval_release(&r);
}

static void test_retrieval__equals_sorting_all(void **state)
{
    static const size_t sizes[] = {1, 2, 9, 31, 32, 33, 64, 65, MOST};
    static struct world w;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int values = 2; values < 2000; values *= 30) {
            struct retrieval_result r;

            make(&w, sizes[i], 7 * i + (uint64_t)values, values);
            score(&w, 1, &r);
            assert_int_equal(r.pictures, w.n_pictures);
            assert_int_equal(r.texts, w.n_texts);
            for (int k = 0; k < RETRIEVAL_KS; k++) {
                size_t n = (size_t)retrieval_k[k];

                assert_true(r.to_text[k] == slow_to_text(&w, n));
                assert_true(r.to_picture[k] == slow_to_picture(&w, n));
            }
        }
}

/* Of any number of threads, more than there are tiles of pictures too. */
static void test_retrieval__threads(void **state)
{
    static const unsigned threads[] = {2, 3, 7, 1000, 0};
    static struct world w;

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct retrieval_result one, other;

        make(&w, MOST - seed * 20, seed, 5);
        score(&w, 1, &one);
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            score(&w, threads[i], &other);
            assert_memory_equal(&one, &other, sizeof one);
        }
    }
}

/* All products equal: who was added first is found first. */
static void test_retrieval__ties(void **state)
{
    static struct world w;
    struct retrieval_result r;

    (void)state;
    w = (struct world){.n_pictures = 20, .n_texts = 40};
    for (size_t t = 0; t < 40; t++)
        w.owner[t] = t / 2;
    score(&w, 1, &r);
    assert_true(r.to_text[0] == 1.0 / 20);
    assert_true(r.to_text[1] == 3.0 / 20); /* texts 0 to 4 */
    assert_true(r.to_text[2] == 5.0 / 20);
    assert_true(r.to_picture[0] == 2.0 / 40);
    assert_true(r.to_picture[1] == 10.0 / 40);
    assert_true(r.to_picture[2] == 20.0 / 40);
    assert_true(r.rank_text == 20); /* of 1, 3, ... 39 */
    assert_true(r.rank_picture == 10.5);
}

/* A picture whose worst text alone is far away is found all the same. */
static void test_retrieval__any_text_counts(void **state)
{
    const float one[2] = {1, 0}, other[2] = {0, 1};
    struct retrieval_result out;
    struct retrieval r;

    (void)state;
    retrieval_init(&r, 2);
    assert_int_equal(retrieval_picture(&r, one, NULL), 0);
    assert_int_equal(retrieval_picture(&r, other, NULL), 0);
    assert_int_equal(retrieval_text(&r, other, 0, NULL), 0);
    assert_int_equal(retrieval_text(&r, one, 0, NULL), 0);
    assert_int_equal(retrieval_text(&r, other, 1, NULL), 0);
    assert_int_equal(retrieval_score(&r, 1, &out, NULL), 0);
    assert_true(out.to_text[0] == 0.5); /* 1's text is behind 0's equal one */
    assert_true(out.to_text[1] == 1);
    assert_true(out.to_picture[0] == 2.0 / 3);
    retrieval_release(&r);
}

static void test_retrieval__refuses(void **state)
{
    const float one[2] = {1, 0};
    struct retrieval_result out;
    struct err e = ERR_INIT;
    struct retrieval r;

    (void)state;
    retrieval_init(&r, 2);
    assert_int_equal(retrieval_score(&r, 1, &out, &e), -E_RANGE);
    assert_int_equal(retrieval_picture(&r, one, NULL), 0);
    e = (struct err)ERR_INIT;
    assert_int_equal(retrieval_score(&r, 1, &out, &e), -E_RANGE);
    assert_non_null(strstr(e.message, "picture 0 has no text"));
    retrieval_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retrieval__equals_sorting_all),
        cmocka_unit_test(test_retrieval__threads),
        cmocka_unit_test(test_retrieval__ties),
        cmocka_unit_test(test_retrieval__any_text_counts),
        cmocka_unit_test(test_retrieval__refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
