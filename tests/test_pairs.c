/* Generated pairs: a pure function of seed and number, captions of the lengths
 * asked for, pictures and words that say the same. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/pairs.h"
#include "train/rows.h"

static struct clip_config config_of(const char *model)
{
    struct clip_config c;

    assert_int_equal(clip_config_find(&c, model, NULL), 0);
    return c;
}

static void open_pairs(struct pairs *p, const char *model, uint64_t seed,
                       int tokens)
{
    struct clip_config c = config_of(model);
    struct err e = ERR_INIT;

    if (pairs_init(p, &c, seed, tokens, &e))
        fail_msg("%s", e.message);
}

static void test_pairs__pure(void **state)
{
    enum { N = 3 * 32 * 32 };
    struct pairs a, b;
    uint8_t x[N], y[N];
    int32_t s[32], t[32];

    (void)state;
    open_pairs(&a, "tiny-vit", 5, 10);
    open_pairs(&b, "tiny-vit", 5, 10);
    pairs_picture(&a, 1, x);
    for (uint64_t i = 0; i < 20; i++) {
        pairs_picture(&a, i, x);
        pairs_caption(&a, i, s);
        pairs_picture(&b, 99 - i, y); /* in between, something else */
        pairs_picture(&b, i, y);
        pairs_caption(&b, i, t);
        assert_memory_equal(x, y, sizeof x);
        assert_memory_equal(s, t, sizeof(int32_t) * (size_t)a.context);
    }
    pairs_release(&b);
    open_pairs(&b, "tiny-vit", 6, 10);
    pairs_picture(&b, 19, y);
    pairs_caption(&b, 19, t);
    assert_true(memcmp(x, y, sizeof x) != 0);
    assert_true(memcmp(s, t, sizeof(int32_t) * (size_t)a.context) != 0);
    pairs_release(&a);
    pairs_release(&b);
}

static void test_pairs__lengths(void **state)
{
    static const struct {
        int mean, low, high;
    } cases[] = {
        {3, 3, 3}, {4, 3, 5}, {20, 10, 30}, {60, 43, 77}, {77, 77, 77}};
    enum { N = 4000 };
    struct pairs p;
    int32_t ids[77];
    const struct captions one = {1, 77, ids};

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int low = 77, high = 0;
        double sum = 0;

        open_pairs(&p, "ViT-B-32", 1, cases[k].mean);
        for (uint64_t i = 0; i < N; i++) {
            int n = pairs_caption(&p, i, ids);

            assert_int_equal(captions_check(&one, p.vocab, NULL), 0);
            assert_int_equal(caption_eot(ids, 77), n - 1);
            assert_int_equal(ids[0], p.vocab - 2);
            for (int t = 1; t < n - 1; t++)
                assert_in_range(ids[t], 1, p.vocab - 3);
            low = n < low ? n : low;
            high = n > high ? n : high;
            sum += n;
        }
        assert_int_equal(low, cases[k].low);
        assert_int_equal(high, cases[k].high);
        assert_true(fabs(sum / N - cases[k].mean) < 0.5);
        pairs_release(&p);
    }
}

static void test_pairs__refuses(void **state)
{
    struct clip_config c = config_of("ViT-B-32");
    struct pairs p;

    (void)state;
    assert_int_equal(pairs_init(&p, &c, 1, 2, NULL), -E_RANGE);
    assert_int_equal(pairs_init(&p, &c, 1, 78, NULL), -E_RANGE);
}

/* What a picture shows is read off its squares' middles, what a caption says
 * off its words; of three words in four they say the same. */
static void test_pairs__agree(void **state)
{
    enum { N = 3 * 32 * 32 };
    struct pairs p;
    uint8_t x[N];
    int32_t ids[77];
    int right = 0, words = 0, values[PAIRS_VALUES] = {0};

    (void)state;
    open_pairs(&p, "tiny-vit", 3, 16);
    for (uint64_t i = 0; i < 300; i++) {
        int shown[PAIRS_ATTRIBUTES] = {0}, n;

        pairs_picture(&p, i, x);
        for (int j = 0; j < PAIRS_ATTRIBUTES; j++) {
            int row = (2 * (j / 3) + 1) * 32 / 6;
            int col = (2 * (j % 3) + 1) * 32 / 6;

            for (int c = 0; c < 3; c++) {
                int sum = 0; /* the grain's mean */

                for (int k = -2; k <= 2; k++)
                    sum += x[((row + k) * 32 + col) * 3 + c] - 128;
                shown[j] |= (sum > 0) << c;
            }
            assert_in_range(pairs_value(&p, i, j), 0, PAIRS_VALUES - 1);
            right += shown[j] == pairs_value(&p, i, j);
            values[shown[j]]++;
        }
        n = pairs_caption(&p, i, ids);
        for (int t = 1; t < n - 1; t++) {
            int word = ids[t] - 1, j = word / PAIRS_VALUES;

            words += j < PAIRS_ATTRIBUTES &&
                     word % PAIRS_VALUES == pairs_value(&p, i, j);
        }
        words -= (n - 2) * 3 / 4;
    }
    assert_true(right > 300 * PAIRS_ATTRIBUTES * 99 / 100);
    assert_true(words > -200 && words < 400); /* of 4,200 */
    for (int v = 0; v < PAIRS_VALUES; v++)
        assert_in_range(values[v], 250, 430); /* 337.5 on average */
    pairs_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs__pure),
        cmocka_unit_test(test_pairs__lengths),
        cmocka_unit_test(test_pairs__refuses),
        cmocka_unit_test(test_pairs__agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
