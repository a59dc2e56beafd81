/* base/phash: against the definition written out plainly (fractions of pixels
 * in long double, cosines from libm), golden values, and what it is for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/image.h"
#include "base/phash.h"

#define N PHASH_CELLS

static struct image noise(uint32_t width, uint32_t height, uint32_t seed)
{
    struct image m = IMAGE_INIT;

    assert_int_equal(image_alloc(&m, width, height), IMAGE_OK);
    for (size_t i = 0; i < m.stride * height; i++) {
        seed = (seed * 1103515245u + 12345u) & 0x7fffffffu;
        m.rgb[i] = (uint8_t)(seed >> 16);
    }
    return m;
}

/* Smooth, like a photograph: what hashes are made for. */
static struct image waves(uint32_t width, uint32_t height)
{
    struct image m = IMAGE_INIT;

    assert_int_equal(image_alloc(&m, width, height), IMAGE_OK);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            double u = (x + 0.5) / width, v = (y + 0.5) / height;
            uint8_t *p = m.rgb + y * m.stride + x * 3;

            p[0] = (uint8_t)(127 + 90 * sin(9 * u + 2 * v * v));
            p[1] = (uint8_t)(127 + 90 * sin(5 * v + 3 * u * v));
            p[2] = (uint8_t)(127 + 90 * cos(7 * u - 4 * v));
        }
    return m;
}

/* Smooth too, but of integers alone: the same pixels everywhere. */
static struct image parabolas(void)
{
    struct image m = IMAGE_INIT;

    assert_int_equal(image_alloc(&m, 200, 120), IMAGE_OK);
    for (uint32_t y = 0; y < m.height; y++)
        for (uint32_t x = 0; x < m.width; x++) {
            uint8_t *p = m.rgb + y * m.stride + x * 3;

            p[0] = (uint8_t)(x * (199 - x) / 40);
            p[1] = (uint8_t)(y * y / 60 + x / 10);
            p[2] = (uint8_t)((x + 2 * y) * 255 / 440);
        }
    return m;
}

/* How much of [a, b) lies in [c, d). */
static long double overlap(long double a, long double b, long double c,
                           long double d)
{
    long double low = a > c ? a : c, high = b < d ? b : d;

    return high > low ? high - low : 0;
}

static void plain_means(const struct image *m, double means[N * N])
{
    long double w = (long double)m->width / N, h = (long double)m->height / N;

    for (unsigned j = 0; j < N; j++)
        for (unsigned i = 0; i < N; i++) {
            long double s = 0;

            for (uint32_t y = 0; y < m->height; y++)
                for (uint32_t x = 0; x < m->width; x++) {
                    const uint8_t *p = m->rgb + y * m->stride + x * 3;
                    int grey =
                        (299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000;

                    s += grey * overlap(x, x + 1, i * w, (i + 1) * w) *
                         overlap(y, y + 1, j * h, (j + 1) * h);
                }
            means[j * N + i] = (double)(s / (w * h));
        }
}

static int ascending(const void *a, const void *b)
{
    const long double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The bits from the formula; *margin is how near to the median the nearest
 * coefficient is, the median itself aside. */
static uint64_t plain_bits(const double means[N * N], long double *margin)
{
    long double low[64], sorted[63], median;
    uint64_t bits = 0;

    for (unsigned v = 0; v < 8; v++)
        for (unsigned u = 0; u < 8; u++) {
            long double s = 0;

            for (unsigned y = 0; y < N; y++)
                for (unsigned x = 0; x < N; x++)
                    s += means[y * N + x] * cosl(M_PIl * (2 * x + 1) * u / 64) *
                         cosl(M_PIl * (2 * y + 1) * v / 64);
            low[v * 8 + u] =
                s * sqrtl((u ? 2.0L : 1.0L) / N) * sqrtl((v ? 2.0L : 1.0L) / N);
        }
    memcpy(sorted, low + 1, sizeof sorted);
    qsort(sorted, 63, sizeof sorted[0], ascending);
    median = sorted[31];
    *margin = fminl(sorted[32] - median, median - sorted[30]);
    for (unsigned i = 0; i < 64; i++)
        bits = bits << 1 | (low[i] > median);
    return bits;
}

static void test_phash__agrees_with_the_definition(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1},   {5, 7},   {31, 33}, {32, 32},
                                        {64, 96}, {100, 3}, {133, 57}};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct image m = noise(sizes[i][0], sizes[i][1], (uint32_t)i + 1);
        double got[N * N], want[N * N];
        long double margin;
        uint64_t bits;
        bool flat;

        phash_means(m.rgb, m.stride, m.width, m.height, got);
        plain_means(&m, want);
        for (unsigned k = 0; k < N * N; k++)
            if (fabs(got[k] - want[k]) > 1e-11)
                fail_msg("%ux%u cell %u: %.15g, not %.15g", m.width, m.height,
                         k, got[k], want[k]);
        bits = plain_bits(got, &margin);
        /* With a clear margin rounding cannot decide. */
        if (margin > 1e-9L)
            assert_int_equal(phash_of_means(got, &flat), bits);
        else
            assert_true(m.width == 1);
        image_release(&m);
    }
}

static void test_phash__golden(void **state)
{
    struct image m = noise(133, 57, 7), w = parabolas();
    bool flat;

    (void)state;
    assert_int_equal(phash_rgb(m.rgb, m.stride, m.width, m.height, &flat),
                     0xd30657abbb4d1033);
    assert_false(flat);
    assert_int_equal(phash_rgb(w.rgb, w.stride, w.width, w.height, &flat),
                     0x8066a736c9679f54);
    assert_false(flat);
    image_release(&m);
    image_release(&w);
}

static void test_phash__flat_pictures_are_exempt(void **state)
{
    struct image m = IMAGE_INIT;
    double means[N * N] = {0};
    bool flat;

    (void)state;
    assert_int_equal(image_alloc(&m, 50, 40), IMAGE_OK);
    memset(m.rgb, 77, m.stride * m.height);
    phash_rgb(m.rgb, m.stride, m.width, m.height, &flat);
    assert_true(flat);
    image_release(&m);

    /* Half of the means off by d: variance d * d / 4; 4 is not below 4. */
    for (unsigned i = 0; i < N * N; i += 2)
        means[i] = 4.0;
    phash_of_means(means, &flat);
    assert_false(flat);
    for (unsigned i = 0; i < N * N; i += 2)
        means[i] = 3.999;
    phash_of_means(means, &flat);
    assert_true(flat);
}

static void test_phash__near_duplicates_are_near(void **state)
{
    struct image big = waves(640, 400), small = IMAGE_INIT, again = IMAGE_INIT;
    struct image other = noise(640, 400, 3);
    struct image_decode_options o = {.limits = image_limits_decodable()};
    struct image_header h;
    struct buf jpeg;
    uint64_t a, b, c, d;
    bool flat;

    (void)state;
    buf_init(&jpeg, BUF_NO_LIMIT);
    assert_int_equal(image_resize(&big, 213, 133, IMAGE_BICUBIC, &small),
                     IMAGE_OK);
    assert_int_equal(image_encode_jpeg(&big, 40, &jpeg), IMAGE_OK);
    assert_int_equal(image_decode(buf_str(&jpeg), &o, &again, &h, NULL),
                     IMAGE_OK);
    a = phash_rgb(big.rgb, big.stride, big.width, big.height, &flat);
    b = phash_rgb(small.rgb, small.stride, small.width, small.height, &flat);
    c = phash_rgb(again.rgb, again.stride, again.width, again.height, &flat);
    d = phash_rgb(other.rgb, other.stride, other.width, other.height, &flat);
    assert_true(phash_distance(a, b) <= 4);
    assert_true(phash_distance(a, c) <= 4);
    assert_true(phash_distance(a, d) > 12);
    assert_int_equal(phash_distance(0, UINT64_MAX), 64);
    buf_release(&jpeg);
    image_release(&big);
    image_release(&small);
    image_release(&again);
    image_release(&other);
}

/* A view's rows are further apart than they are long. */
static void test_phash__takes_strides(void **state)
{
    struct image m = noise(90, 60, 5), tight = IMAGE_INIT;
    struct image view = image_view(&m, 10, 20, 40, 30);
    bool flat;

    (void)state;
    assert_int_equal(image_alloc(&tight, 40, 30), IMAGE_OK);
    for (uint32_t y = 0; y < 30; y++)
        memcpy(tight.rgb + y * tight.stride, view.rgb + y * view.stride,
               tight.stride);
    assert_int_equal(phash_rgb(view.rgb, view.stride, 40, 30, &flat),
                     phash_rgb(tight.rgb, tight.stride, 40, 30, &flat));
    image_release(&m);
    image_release(&tight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phash__agrees_with_the_definition),
        cmocka_unit_test(test_phash__golden),
        cmocka_unit_test(test_phash__flat_pictures_are_exempt),
        cmocka_unit_test(test_phash__near_duplicates_are_near),
        cmocka_unit_test(test_phash__takes_strides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
