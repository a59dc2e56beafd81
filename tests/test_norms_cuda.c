/* The norms of the cuda backend where their kernels change: rows that end
 * within, at and behind a warp's and a block's registers, lengths that are no
 * multiple of a pack, columns in one tile and in several, sums over many rows,
 * means far from 0, numbers that are none.  Bounds as in test_ops_cuda.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/cuda_play.h"
#include "tests/op_cases.h"
#include "train/ref/ref.h"

#define HALF 0.0040

/* ---- shapes ---- */

static const struct shape {
    int64_t rows, dim;
} layernorms[] = {
    {1, 8},    {2, 64},   {9, 256},  {3, 264},  {17, 384}, {5, 512},  {2, 640},
    {35, 768}, {3, 1000}, {3, 1024}, {2, 1028}, {3, 1032}, {2, 1280}, {3, 1664},
    {2, 2048}, {1, 2052}, {3, 3072}, {2, 4096}, {2, 4104}, {3, 5001}, {66, 67},
};

static const struct shape batchnorms[] = {
    {1, 8},   {5, 40},   {600, 8},  {900, 64},  {131, 48}, {9, 96},
    {7, 512}, {17, 520}, {5, 2048}, {300, 129}, {3, 1280}, {4200, 3},
};

static const struct shape l2norms[] = {
    {1, 8}, {5, 512}, {3, 640}, {5, 769}, {2, 1024}, {9, 4096},
};

/* The seed says which shape, and which flags. */
#define CASE(name, table)                                                      \
    static void name##_of_table(struct play *p)                                \
    {                                                                          \
        const struct shape *s =                                                \
            &table[p->seed % (sizeof table / sizeof *table)];                  \
                                                                               \
        play_##name(p, s->rows, s->dim);                                       \
    }
CASE(layernorm, layernorms)
CASE(batchnorm, batchnorms)
CASE(l2norm, l2norms)

static const struct norm_case {
    const char *name;
    play_case *run;
    size_t shapes;
} cases[] = {
    {"layernorm", layernorm_of_table, sizeof layernorms / sizeof *layernorms},
    {"batchnorm", batchnorm_of_table, sizeof batchnorms / sizeof *batchnorms},
    {"l2norm", l2norm_of_table, sizeof l2norms / sizeof *l2norms},
};

/* Every shape with four sets of flags against the reference. */
static void test_norms_cuda__shapes(void **state)
{
    struct device ref, d;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (int t = 0; t < 2; t++) {
        open_cuda(&d, t ? DTYPE_BF16 : DTYPE_F32);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const struct norm_case *c = &cases[i];
            double worst[2] = {0, 0};
            uint64_t seeds = (i == 1 ? 3 : 2) * (uint64_t)c->shapes;

            for (uint64_t seed = 0; seed < seeds; seed++)
                play_compare(c->name, c->run, seed, &d, &ref, t ? HALF : 2e-6,
                             2e-6, worst);
            print_message("%-4s %-10s act %.1e real %.1e\n", dtype_name(d.act),
                          c->name, worst[0], worst[1]);
        }
        device_close(&d);
    }
    device_close(&ref);
}

/* A second run, on a GPU; another order of threads, emulated. */
static void test_norms_cuda__same_bits(void **state)
{
    struct device one, two;

    (void)state;
    open_cuda(&one, DTYPE_BF16);
    open_cuda(&two, DTYPE_BF16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint64_t seed = 0; seed < cases[i].shapes; seed++)
            play_again(cases[i].name, cases[i].run, seed, true, &one, &two,
                       1 + seed);
    device_close(&one);
    device_close(&two);
}

/* ---- many rows, means far from 0 ---- */

static float drawn(uint64_t *state) /* in [-1, 1) */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*state >> 40) / (double)(1 << 23) - 1);
}

/* Device memory with `host` in it, or anything; close_all() frees it. */
#define ARRAYS 32
static void *arrays[ARRAYS];
static int array_count;

static float *put(struct device *d, const float *host, int64_t n)
{
    size_t bytes = (size_t)n * sizeof(float);
    struct err e = ERR_INIT;
    float *p = device_alloc(d, bytes, &e);

    if (!p)
        fail_msg("%s", e.message);
    assert_true(array_count < ARRAYS);
    arrays[array_count++] = p;
    if (host)
        device_put(d, p, host, bytes);
    return p;
}

static void close_all(struct device *d)
{
    while (array_count)
        device_free(d, arrays[--array_count]);
    device_close(d);
}

static void get(struct device *d, float *host, const float *from, int64_t n)
{
    struct err e = ERR_INIT;

    device_get(d, host, from, (size_t)n * sizeof(float));
    if (device_check(d, &e))
        fail_msg("%s", e.message);
}

static void near(const char *what, int64_t at, double got, double want,
                 double bound)
{
    if (!(fabs(got - want) <= bound * fabs(want)))
        fail_msg("%s[%lld] is %.9g, not %.9g", what, (long long)at, got, want);
}

/* Column c's mean, variance, db and dg in double; `size`: sum of |terms| of dg.
 */
struct column {
    double mean, var, db, dg, size;
};

static struct column column_of(int64_t rows, int64_t dim, int64_t c,
                               const float *x, const float *dy)
{
    struct column sum = {0, 0, 0, 0, 0};
    double rstd;

    for (int64_t i = c; i < rows * dim; i += dim)
        sum.mean += (double)x[i];
    sum.mean /= (double)rows;
    for (int64_t i = c; i < rows * dim; i += dim) {
        double gap = (double)x[i] - sum.mean;

        sum.var += gap * gap;
        sum.db += (double)dy[i];
        sum.dg += (double)dy[i] * ((double)x[i] - (double)(float)sum.mean);
        sum.size += fabs((double)dy[i] * gap);
    }
    sum.var /= (double)rows;
    rstd = 1 / sqrt(sum.var + OP_NORM_EPS);
    sum.dg *= rstd;
    sum.size *= rstd;
    return sum;
}

/* x of far + spread * [-1, 1); its first row is 0, as an image's corner can
 * be. */
static void many_rows(int64_t rows, int64_t dim, double far, double spread)
{
    int64_t n = rows * dim;
    float *x = xcalloc((size_t)n, sizeof *x), *dy = xcalloc((size_t)n, 4);
    const float one[4] = {1, 1, 1, 1}, zero[4] = {0, 0, 0, 0};
    struct op_batchnorm f = {.groups = 1, .per = rows, .dim = dim};
    struct op_batchnorm_bwd b = {.groups = 1, .per = rows, .dim = dim};
    uint64_t state = 7;
    float got[4][4];
    struct device d;

    open_cuda(&d, DTYPE_F32);
    for (int64_t i = 0; i < n; i++) {
        x[i] = i < dim ? 0 : (float)(far + spread * (double)drawn(&state));
        dy[i] = 1 + drawn(&state);
    }
    f.x = b.x = put(&d, x, n);
    f.g = b.g = put(&d, one, dim);
    f.b = put(&d, zero, dim);
    b.mean = f.mean = put(&d, NULL, dim);
    b.var = f.var = put(&d, NULL, dim);
    b.dy = put(&d, dy, n);
    b.dx = f.y = put(&d, NULL, n);
    b.dg = put(&d, zero, dim);
    b.db = put(&d, zero, dim);
    op_batchnorm(&d, &f);
    op_batchnorm_bwd(&d, &b);
    get(&d, got[0], f.mean, dim);
    get(&d, got[1], f.var, dim);
    get(&d, got[2], b.db, dim);
    get(&d, got[3], b.dg, dim);
    for (int64_t c = 0; c < dim; c++) {
        struct column want = column_of(rows, dim, c, x, dy);

        near("mean", c, (double)got[0][c], want.mean, 1e-7);
        near("var", c, (double)got[1][c], want.var, 1e-6);
        near("db", c, (double)got[2][c], want.db, 1e-6);
        if (!(fabs((double)got[3][c] - want.dg) <= 1e-6 * want.size))
            fail_msg("dg[%d] is %.9g, not %.9g", (int)c, (double)got[3][c],
                     want.dg);
    }
    close_all(&d);
    free(x);
    free(dy);
}

static void test_norms_cuda__sums_over_a_million_rows(void **state)
{
    (void)state;
    many_rows(1000000, 4, 1000, 1);
    many_rows(250001, 1, -30000, 100);
    many_rows(2000, 3, 1, 1e-3);
}

/* Rows of LayerNorm far from 0: the mean rounds to a float, whose last bit is
 * then a part of the spread; the variance must not feel it. */
static void test_norms_cuda__rows_far_from_0(void **state)
{
    enum { ROWS = 40, MOST = 2052 };
    static const int64_t dims[] = {64, 67, 768, 1028, 1028 * 2 - 4, MOST};
    float *x = xcalloc(ROWS * MOST, sizeof *x), rstd[ROWS], mean[ROWS];
    uint64_t seed = 9;
    struct device d;

    (void)state;
    open_cuda(&d, DTYPE_F32);
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        int64_t dim = dims[i], n = ROWS * dim;
        struct op_layernorm f = {.rows = ROWS, .dim = dim};

        for (int64_t k = 0; k < n; k++)
            x[k] = 4096 + drawn(&seed);
        f.x = put(&d, x, n);
        f.g = f.b = put(&d, x, dim);
        f.mean = put(&d, NULL, ROWS);
        f.rstd = put(&d, NULL, ROWS);
        f.y = put(&d, NULL, n);
        op_layernorm(&d, &f);
        get(&d, mean, f.mean, ROWS);
        get(&d, rstd, f.rstd, ROWS);
        for (int64_t r = 0; r < ROWS; r++) {
            double sum = 0, squares = 0;

            for (int64_t c = 0; c < dim; c++)
                sum += (double)x[r * dim + c];
            sum /= (double)dim;
            for (int64_t c = 0; c < dim; c++)
                squares += ((double)x[r * dim + c] - sum) *
                           ((double)x[r * dim + c] - sum);
            near("mean", r, (double)mean[r], sum, 5e-7);
            near("rstd", r, (double)rstd[r],
                 1 / sqrt(squares / (double)dim + OP_NORM_EPS), 2e-6);
        }
    }
    close_all(&d);
    free(x);
}

/* More rows than parts: every part has several, of every warp. */
static void test_norms_cuda__parts_of_many_rows(void **state)
{
    enum { ROWS = 20000, DIM = 8 };
    float *x = xcalloc(ROWS * DIM, 4), *dy = xcalloc(ROWS * DIM, 4);
    float *mean = xcalloc(ROWS, 4), *rstd = xcalloc(ROWS, 4);
    float zero[DIM] = {0}, dg[DIM], db[DIM];
    uint64_t seed = 11;
    struct op_layernorm_bwd b = {.rows = ROWS, .dim = DIM};
    struct device d;

    (void)state;
    open_cuda(&d, DTYPE_F32);
    for (int64_t i = 0; i < ROWS * DIM; i++) {
        x[i] = drawn(&seed);
        dy[i] = 1 + drawn(&seed);
    }
    for (int64_t r = 0; r < ROWS; r++) {
        mean[r] = drawn(&seed) / 8;
        rstd[r] = 2 + drawn(&seed);
    }
    b.x = put(&d, x, ROWS * DIM);
    b.dy = b.dx = put(&d, dy, ROWS * DIM);
    b.mean = put(&d, mean, ROWS);
    b.rstd = put(&d, rstd, ROWS);
    b.g = put(&d, dy, DIM);
    b.dg = put(&d, zero, DIM);
    b.db = put(&d, zero, DIM);
    op_layernorm_bwd(&d, &b);
    get(&d, dg, b.dg, DIM);
    get(&d, db, b.db, DIM);
    for (int64_t c = 0; c < DIM; c++) {
        double g = 0, s = 0, size = 0;

        for (int64_t r = 0; r < ROWS; r++) {
            double u = (double)dy[r * DIM + c];
            double z =
                ((double)x[r * DIM + c] - (double)mean[r]) * (double)rstd[r];

            s += u;
            g += u * z;
            size += fabs(u * z);
        }
        near("db", c, (double)db[c], s, 1e-6);
        if (!(fabs((double)dg[c] - g) <= 1e-6 * size))
            fail_msg("dg[%d] is %.9g, not %.9g", (int)c, (double)dg[c], g);
    }
    close_all(&d);
    free(x);
    free(dy);
    free(mean);
    free(rstd);
}

/* ---- numbers that are none ---- */

/* A ReLU lets a NaN through; the L2 norm of zeros is 1e-12, that of a NaN one.
 */
static void test_norms_cuda__nan_and_zero(void **state)
{
    float x[16] = {0}, one[8] = {1, 1, 1, 1, 1, 1, 1, 1}, zero[8] = {0};
    float y[16], norm[2];
    struct device d;

    (void)state;
    open_cuda(&d, DTYPE_F32);
    x[9] = NAN;

    struct op_l2norm l = {.rows = 2,
                          .dim = 8,
                          .x = put(&d, x, 16),
                          .norm = put(&d, NULL, 2),
                          .y = put(&d, NULL, 16)};
    struct op_batchnorm f = {.groups = 1,
                             .per = 2,
                             .dim = 8,
                             .x = l.x,
                             .g = put(&d, one, 8),
                             .b = put(&d, zero, 8),
                             .relu = true,
                             .mean = put(&d, NULL, 8),
                             .var = put(&d, NULL, 8),
                             .y = l.y};

    op_l2norm(&d, &l);
    get(&d, norm, l.norm, 2);
    get(&d, y, l.y, 16);
    assert_true(norm[0] == 1e-12f && isnan(norm[1]));
    assert_true(y[0] == 0 && isnan(y[9]));
    op_batchnorm(&d, &f);
    get(&d, y, f.y, 16);
    for (int i = 0; i < 16; i++) /* the column with it */
        assert_true(i % 8 == 1 ? isnan(y[i]) : y[i] == 0);
    close_all(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms_cuda__shapes),
        cmocka_unit_test(test_norms_cuda__same_bits),
        cmocka_unit_test(test_norms_cuda__sums_over_a_million_rows),
        cmocka_unit_test(test_norms_cuda__rows_far_from_0),
        cmocka_unit_test(test_norms_cuda__parts_of_many_rows),
        cmocka_unit_test(test_norms_cuda__nan_and_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
