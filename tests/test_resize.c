/* train/resize beside torch's interpolate(). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "train/resize.h"

/* Sizes, and six numbers of what torch 2.15 makes of the same input:
 * interpolate(mode="bicubic", antialias=True, align_corners=False), and
 * mode="linear" for the second table. */
struct golden {
    size_t from, to, width;
    float at[6]; /* at 0, n/5, n/3, n/2, 2n/3, n-1 of the n numbers */
};

static const struct golden grids[] = {
    {2,
     3,
     1,
     {-1.11238158f, -0.413027555f, -0.845252097f, -0.145898074f, -0.578122556f,
      0.820585966f}},
    {3,
     2,
     1,
     {-0.169043556f, -0.169043556f, -0.381600499f, 0.270144194f, 0.270144194f,
      0.0575872362f}},
    {7,
     9,
     2,
     {-1.08412278f, -0.0467505045f, -0.200167388f, -0.432669401f, -0.337544113f,
      0.982716143f}},
    {16,
     24,
     3,
     {-1.20862091f, -0.530231714f, -0.195204481f, -0.334986061f, -0.127544299f,
      -0.999057412f}},
    {24,
     16,
     3,
     {-0.32899332f, 0.162387908f, 0.112457938f, 0.422598809f, -0.186999768f,
      0.196832493f}},
    {14,
     4,
     2,
     {-0.0991365463f, 0.0336654782f, -0.0302981567f, 0.0418408141f,
      -0.0322441906f, -0.0634285361f}},
    {1, 3, 2, {-1, 0.236067891f, -1, 0.236067891f, -1, 0.236067891f}},
    {3,
     1,
     2,
     {0.0416628122f, 0.0416628122f, 0.0416628122f, -0.0606435128f,
      -0.0606435128f, -0.0606435128f}},
    {5,
     5,
     1,
     {-1, -0.819660187f, 0.888543725f, -0.167184353f, 0.777087569f,
      0.665631294f}},
};

static const struct golden lines[] = {
    {16,
     77,
     2,
     {-1, 0.284577608f, 0.501707315f, -0.22291249f, -0.183600262f,
      -0.681892872f}},
    {77,
     16,
     3,
     {0.443763703f, 0.230957806f, 0.658488452f, -0.790385425f, 0.873213351f,
      -0.14812991f}},
    {77,
     64,
     1,
     {-0.87446183f, -0.106855541f, -0.378807008f, -0.488969922f, 0.319972903f,
      0.815627813f}},
    {4,
     5,
     2,
     {-1, -0.669504881f, 0.566563129f, -0.0557281375f, 0.0859125853f,
      -0.347524285f}},
    {1, 4, 2, {-1, 0.236067891f, -1, -1, 0.236067891f, 0.236067891f}},
};

/* Deterministic numbers in [-1, 1). */
static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((uint32_t)(i * 2654435761u) >> 8) / 8388608.0f - 1;
}

static void same_as_torch(const struct golden *g, const float *y, size_t n)
{
    const size_t places[] = {0, n / 5, n / 3, n / 2, 2 * n / 3, n - 1};

    for (int k = 0; k < 6; k++)
        if (!(fabsf(y[places[k]] - g->at[k]) <= 3e-6f))
            fail_msg("%zu to %zu: %.9g, not %.9g", g->from, g->to, y[places[k]],
                     g->at[k]);
}

static void test_resize__is_torchs(void **state)
{
    static float x[2048], y[2048];

    (void)state;
    fill(x, 2048);
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        const struct golden *g = &grids[i];

        assert_int_equal(resize_grid(y, g->to, x, g->from, g->width, NULL), 0);
        same_as_torch(g, y, g->to * g->to * g->width);
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const struct golden *g = &lines[i];

        resize_line(y, g->to, x, g->from, g->width);
        same_as_torch(g, y, g->to * g->width);
    }
}

/* What holds of any resizing: the same size is the same numbers, a constant
 * stays one, and each column is on its own. */
static void test_resize__keeps(void **state)
{
    static float x[9 * 9 * 2], y[30 * 30 * 2];

    (void)state;
    fill(x, 162);
    assert_int_equal(resize_grid(y, 9, x, 9, 2, NULL), 0);
    assert_memory_equal(x, y, sizeof x);
    resize_line(y, 81, x, 81, 2);
    assert_memory_equal(x, y, sizeof x);
    for (size_t i = 0; i < 81; i++)
        x[2 * i + 1] = 0.75f;
    for (size_t to = 1; to <= 30; to++) {
        assert_int_equal(resize_grid(y, to, x, 9, 2, NULL), 0);
        for (size_t i = 0; i < to * to; i++)
            assert_true(fabsf(y[2 * i + 1] - 0.75f) < 1e-6f);
        resize_line(y, to, x, 81, 2);
        for (size_t i = 0; i < to; i++)
            assert_true(y[2 * i + 1] == 0.75f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize__is_torchs),
        cmocka_unit_test(test_resize__keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
