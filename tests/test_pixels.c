/* Pictures as bytes: their arithmetic, and their places on the reference.
 * Every backend against it: case_pixels of tests/op_cases_rows.h; whole models:
 * tests/test_clip.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "train/op.h"
#include "train/ref/ref.h"

#define N(a) ((int)(sizeof(a) / sizeof *(a)))

/* A byte stands for (x / 255 - mean) / std, and who fuses a multiply and an add
 * gets the same bits. */
static void test_pixels__what_a_byte_stands_for(void **state)
{
    static const double norms[][2][3] = {
        {{0.48145466, 0.4578275, 0.40821073},
         {0.26862954, 0.26130258, 0.27577711}},
        {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
        {{0, 0, 0}, {1, 1.0 / 3, 1.0 / 255}},
    };

    (void)state;
    for (int i = 0; i < N(norms); i++) {
        const double *mean = norms[i][0], *std = norms[i][1];
        const struct pixel_norm n = pixel_norm_of(mean, std);

        for (int k = 0; k < 3 * 256; k++) {
            int c = k % 3, x = k / 3;
            float got = pixel_value(&n, c, (uint8_t)x), of = (float)x;
            float rest = of * n.rest[c] + n.shift[c];
            double want = (x / 255.0 - mean[c]) / std[c];
            double most = (1 + mean[c]) / std[c];

            if (!(fabs((double)got - want) <= 0x1p-23 * most))
                fail_msg("byte %d, colour %d: %.9g, not %.17g", x, c,
                         (double)got, want);
            assert_true(fmaf(of, n.rest[c], n.shift[c]) == rest);
            assert_true(fmaf(of, n.scale[c], rest) == got);
        }
    }
}

/* Every byte at its place. */
static void test_pixels__bytes_at_their_places(void **state)
{
    enum { B = 2, S = 7, P = 3, G = S / P };
    static const double mean[] = {0.1, 0.2, 0.3}, std[] = {0.4, 0.5, 0.6};
    const struct pixel_norm norm = pixel_norm_of(mean, std);
    uint8_t x[B * S * S * 3];
    double y[B * G * G * 3 * P * P], t[N(x)];
    struct pixels pixels = {PIXEL_BYTE, x, norm};
    struct op_patches patches = {
        .batch = B, .channels = 3, .size = S, .patch = P, .x = pixels, .y = y};
    struct op_nhwc nhwc = {
        .batch = B, .channels = 3, .h = S, .w = S, .x = pixels, .y = t};
    struct device device;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&device, DTYPE_F64, &e), 0);
    for (int k = 0; k < N(x); k++)
        x[k] = (uint8_t)(k * 7);
    op_patches(&device, &patches);
    op_nhwc(&device, &nhwc);
    for (int k = 0; k < N(y); k++) {
        int q = k % P, p = k / P % P, c = k / P / P % 3;
        int square = k / P / P / 3, j = square % G, i = square / G % G;
        int at = ((square / G / G * S + i * P + p) * S + j * P + q) * 3 + c;

        assert_true(y[k] == (double)pixel_value(&norm, c, x[at]));
    }
    for (int k = 0; k < N(t); k++)
        assert_true(t[k] == (double)pixel_value(&norm, k % 3, x[k]));
    device_close(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels__what_a_byte_stands_for),
        cmocka_unit_test(test_pixels__bytes_at_their_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
