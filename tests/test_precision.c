/* train/precision: against the definition, written down once more; and labels
 * of several classes a picture, as samples hold them (train/evalset.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "train/evalset.h"
#include "train/npy.h"
#include "train/precision.h"
#include "train/random_bits.h"

#define IMAGES  40
#define CLASSES 5

struct world {
    float scores[IMAGES][CLASSES];
    bool of[IMAGES][CLASSES];
};

/* Few different scores, so that many are equal; class 3 has no pictures, and
 * some pictures no class. */
static void make(struct world *w, uint64_t seed, uint64_t values)
{
    uint64_t n = 0;

    for (int i = 0; i < IMAGES; i++)
        for (int c = 0; c < CLASSES; c++) {
            w->scores[i][c] = (float)(random_bits(seed, n++) % values) - 3;
            w->of[i][c] = c != 3 && random_bits(seed, n++) % 4 == 0;
        }
}

/* Picture k is no further behind than picture i. */
static bool before(const struct world *w, int k, int i, int c)
{
    float x = w->scores[k][c], y = w->scores[i][c];

    return x > y || (x == y && k <= i);
}

/* The mean, over the pictures of the class, of the share of them among those
 * that stand no further behind. */
static double slow_average(const struct world *w, int c)
{
    double sum = 0;
    int own = 0;

    for (int i = 0; i < IMAGES; i++) {
        int all = 0, good = 0;

        for (int k = 0; k < IMAGES; k++) {
            all += before(w, k, i, c);
            good += w->of[k][c] && before(w, k, i, c);
        }
        sum += w->of[i][c] ? (double)good / all : 0;
        own += w->of[i][c];
    }
    return own ? sum / own : 0;
}

static void fill(const struct world *w, struct precision *p)
{
    precision_init(p, CLASSES);
    for (int i = 0; i < IMAGES; i++) {
        uint64_t labels[CLASSES];
        size_t n = 0;

        for (uint64_t c = 0; c < CLASSES; c++)
            if (w->of[i][c])
                labels[n++] = c;
        assert_int_equal(precision_add(p, w->scores[i], labels, n, NULL), 0);
    }
}

static void test_precision__equals_the_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct precision p;
        struct world w;
        double mean, sum = 0;

        make(&w, seed, seed % 2 ? 6 : 100000);
        fill(&w, &p);
        assert_int_equal(precision_of(&p, &mean, NULL), 0);
        for (int c = 0; c < CLASSES; c++) {
            double want = slow_average(&w, c);

            assert_true(fabs(p.of[c].average - want) < 1e-12);
            sum += want;
        }
        assert_true(p.of[3].average == 0 && p.of[3].images == 0);
        assert_true(fabs(mean - sum / CLASSES) < 1e-12);
        precision_release(&p);
    }
}

/* By hand: positives first, last, in turn; and a class that all are of. */
static void test_precision__known(void **state)
{
    static const struct {
        const char *of; /* a picture each, the best first */
        double average;
    } cases[] = {{"1100", 1},
                 {"0011", (1.0 / 3 + 2.0 / 4) / 2},
                 {"1010", (1 + 2.0 / 3) / 2},
                 {"1111", 1},
                 {"0001", 0.25},
                 {"0000", 0}};

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const uint64_t label = 0;
        struct precision p;
        double mean;

        precision_init(&p, 1);
        for (int i = 3; i >= 0; i--) { /* added the worst first */
            float score = (float)-i;

            assert_int_equal(
                precision_add(&p, &score, &label, cases[k].of[i] == '1', NULL),
                0);
        }
        assert_int_equal(precision_of(&p, &mean, NULL), 0);
        assert_true(fabs(mean - cases[k].average) < 1e-15);
        assert_true(fabs(precision_chance(&p) - (double)p.of[0].images / 4) <
                    1e-15);
        precision_release(&p);
    }
}

/* More pictures than there is room for at first. */
static void test_precision__grows(void **state)
{
    const uint64_t labels[2] = {0, 1};
    struct precision p;
    double mean;

    (void)state;
    precision_init(&p, 2);
    for (int i = 0; i < 5000; i++) {
        const float scores[2] = {(float)i, (float)-i};

        assert_int_equal(
            precision_add(&p, scores, labels, i < 2500 ? 2 : 0, NULL), 0);
    }
    assert_int_equal(precision_of(&p, &mean, NULL), 0);
    assert_int_equal(p.of[0].images, 2500);
    assert_true(p.of[1].average == 1);
    assert_true(p.of[0].average < 0.5);
    precision_release(&p);
}

/* ---- labels ---- */

static void test_precision__cls(void **state)
{
    static const struct {
        const char *text, *reason;
        size_t n;
        uint64_t labels[3];
    } cases[] = {
        {"3", NULL, 1, {3}},
        {"3 1\n", NULL, 2, {1, 3}},
        {"0,2,4", NULL, 3, {0, 2, 4}},
        {" 4 ,\t4\r\n0 ", NULL, 2, {0, 4}},
        {"", NULL, 0, {0}},
        {"\n", NULL, 0, {0}},
        {"5", "label-range", 0, {0}},
        {"1 99999999999999999999999", "bad-label", 0, {0}},
        {"1 cat", "bad-label", 0, {0}},
        {"-1", "bad-label", 0, {0}},
        {"1;2", "bad-label", 0, {0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str text = str_of(cases[i].text);
        struct evalset_item it = {.n_labels = 7};
        const char *reason = evalset_labels(NULL, &text, CLASSES, &it);

        assert_int_equal(reason != NULL, cases[i].reason != NULL);
        if (reason)
            assert_string_equal(reason, cases[i].reason);
        assert_int_equal(it.n_labels, cases[i].n);
        for (size_t k = 0; k < it.n_labels; k++)
            assert_int_equal(it.labels[k], cases[i].labels[k]);
        free(it.labels);
    }
}

/* Bytes of an array of n numbers. */
static struct str array(char *to, enum npy_type type, uint64_t n,
                        const void *numbers)
{
    npy_head(to, type, 1, &n);
    memcpy(to + NPY_HEAD, numbers, n * npy_size(type));
    return str_make(to, NPY_HEAD + n * npy_size(type));
}

static void test_precision__npy(void **state)
{
    static const float some[] = {1, 0, 0, 1, 0}, half[] = {1, 0, 0.5f, 0, 0};
    static const int64_t none[] = {0, 0, 0, 0, 0}, more[] = {0, 0, 0, 0, -1};
    static const uint8_t all[] = {1, 1, 1, 1, 1, 1};
    static const struct {
        const void *numbers;
        enum npy_type type;
        uint64_t n;
        const char *reason;
        size_t labels;
    } cases[] = {
        {some, NPY_F32, 5, NULL, 2},        {none, NPY_I64, 5, NULL, 0},
        {all, NPY_U8, 5, NULL, 5},          {all, NPY_BOOL, 5, NULL, 5},
        {all, NPY_U8, 6, "label-range", 0}, {all, NPY_U8, 4, "label-range", 0},
        {half, NPY_F32, 5, "bad-label", 0}, {more, NPY_I64, 5, "bad-label", 0},
    };
    static const struct str cls = {"2", 1};
    struct evalset_item it = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[NPY_HEAD + 64];
        struct str npy =
            array(bytes, cases[i].type, cases[i].n, cases[i].numbers);
        const char *reason = evalset_labels(&npy, &cls, CLASSES, &it);

        assert_int_equal(reason != NULL, cases[i].reason != NULL);
        if (reason)
            assert_string_equal(reason, cases[i].reason);
        assert_int_equal(it.n_labels, cases[i].labels);
        npy.n--;
        assert_string_equal(evalset_labels(&npy, &cls, CLASSES, &it),
                            "bad-label");
    }
    assert_string_equal(evalset_labels(NULL, NULL, CLASSES, &it), "no-label");
    free(it.labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precision__equals_the_definition),
        cmocka_unit_test(test_precision__known),
        cmocka_unit_test(test_precision__grows),
        cmocka_unit_test(test_precision__cls),
        cmocka_unit_test(test_precision__npy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
