/* The losses of the cuda backend where their work is cut: columns into parts
 * and strips, rows into strips, similarities as large as the model's largest
 * scale gives.  Against the reference in float; and the same bits on a GPU of
 * another size.  (Small shapes: test_ops_cuda.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/emulate/emulate.h"
#include "train/cuda/cuda.h"
#include "train/op.h"
#include "train/ref/ref.h"

#define BOUND 5e-5 /* of an array's largest number, as in test_ops_cuda */

static const struct shape {
    const char *what;
    int64_t rows, cols, first, dim;
    float log_scale, bias;
} shapes[] = {
    {"one tile", 128, 128, 0, 8, 4.6f, -9},
    {"parts of columns", 130, 700, 515, 20, 4.6f, -9},
    {"parts deeper than a tile", 140, 900, 13, 132, 2, -1},
    {"264 parts, and a strip of two", 3, 33900, 33897, 5, 4.6f, -10},
    {"strips of rows, two of columns", 33700, 130, 0, 4, 3, -2},
};

#define SHAPES (sizeof shapes / sizeof *shapes)

enum { LSE, LOSS, DA, DSCALE, SIGMOID_LOSS, SIGMOID_DA, SIGMOID_DSCALE, DBIAS };

static const char *const names[] = {"nce's lse",
                                    "nce's loss",
                                    "nce's da",
                                    "nce's dlog_scale",
                                    "sigmoid's loss",
                                    "sigmoid's da",
                                    "sigmoid's dlog_scale",
                                    "dbias"};

#define OUTS (sizeof names / sizeof *names)

struct outs {
    size_t n[OUTS];
    float *p[OUTS];
};

/* Rows of norm 1, by SplitMix64; row i of b is near row i - first of a. */
static void draw(float *x, int64_t rows, int64_t dim, uint64_t seed)
{
    for (int64_t i = 0; i < rows; i++) {
        double norm = 0;

        for (int64_t k = 0; k < dim; k++) {
            uint64_t z = seed += 0x9e3779b97f4a7c15u;

            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            x[i * dim + k] = (float)((double)(z >> 43) * 0x1p-20 - 1);
            norm += (double)(x[i * dim + k] * x[i * dim + k]);
        }
        for (int64_t k = 0; k < dim; k++)
            x[i * dim + k] /= (float)sqrt(norm);
    }
}

static void *put(struct device *d, const float *x, size_t n)
{
    struct err e = ERR_INIT;
    void *p = device_alloc(d, n * sizeof *x, &e);

    assert_non_null(p);
    device_put(d, p, x, n * sizeof *x);
    return p;
}

/* All three passes' results, each from the same inputs; what backward gets of
 * both directions' lse is made up. */
static void compute(struct device *d, const struct shape *s, const float *a,
                    const float *b, const float *lse, struct outs *to)
{
    size_t rows = (size_t)s->rows, dim = (size_t)s->dim;
    const size_t n[OUTS] = {rows, rows, rows * dim, 1, rows, rows * dim, 1, 1};
    const float zero = 0;
    void *x = put(d, a, rows * dim), *y = put(d, b, (size_t)s->cols * dim);
    void *other = put(d, lse, (size_t)s->cols);
    void *scale = put(d, &s->log_scale, 1), *bias = put(d, &s->bias, 1);
    void *out[OUTS];
    struct err e = ERR_INIT;

    for (size_t i = 0; i < OUTS; i++) {
        to->n[i] = n[i];
        to->p[i] = xcalloc(n[i], sizeof(float));
        out[i] = n[i] > 1 ? device_alloc(d, n[i] * sizeof(float), &e)
                          : put(d, &zero, 1);
        assert_non_null(out[i]);
    }
    /* Shapes with more rows than columns are none of a batch's (so op_nce()
     * would not have them), but strips of rows cost less time so; only forward
     * needs every row's match. */
    struct op_nce f = {s->rows < s->cols ? s->rows : s->cols,
                       s->cols,
                       s->first,
                       s->dim,
                       x,
                       y,
                       scale,
                       out[LSE],
                       out[LOSS]};
    struct op_nce_bwd g = {s->rows, s->cols, s->first,   s->dim,
                           x,       y,       scale,      put(d, lse, rows),
                           other,   out[DA], out[DSCALE]};
    struct op_sigmoid_loss h = {s->rows,
                                s->cols,
                                s->first,
                                s->dim,
                                x,
                                y,
                                scale,
                                bias,
                                out[SIGMOID_LOSS],
                                out[SIGMOID_DA],
                                out[SIGMOID_DSCALE],
                                out[DBIAS]};

    to->n[LSE] = to->n[LOSS] = (size_t)f.rows;
    device_plan_begin(d);
    for (int dry = d->ops->plan ? 1 : 0; dry >= 0; dry--) {
        if (!dry)
            assert_int_equal(device_plan_end(d, &e), 0);
        d->ops->nce(d, &f);
        d->ops->nce_bwd(d, &g);
        d->ops->sigmoid_loss(d, &h);
    }
    for (size_t i = 0; i < OUTS; i++) {
        device_get(d, to->p[i], out[i], to->n[i] * sizeof(float));
        device_free(d, out[i]);
    }
    if (device_check(d, &e))
        fail_msg("%s", e.message);
    device_free(d, (void *)(uintptr_t)g.lse_a);
    device_free(d, x);
    device_free(d, y);
    device_free(d, other);
    device_free(d, scale);
    device_free(d, bias);
}

static void outs_free(struct outs *o)
{
    for (size_t i = 0; i < OUTS; i++)
        free(o->p[i]);
}

/* The largest difference by the largest number. */
static double apart(const float *x, const float *y, size_t n)
{
    double most = 0, gap = 0;

    for (size_t i = 0; i < n; i++) {
        double by = fabs((double)x[i] - (double)y[i]);

        if (!(by <= gap))
            gap = isnan(by) ? INFINITY : by;
        most = fmax(most, fabs((double)y[i]));
    }
    return most > 0 ? gap / most : gap;
}

static void open_cuda(struct device *d)
{
    const struct cuda_options o = {.row_step = 8};
    struct err e = ERR_INIT;
    int rc = cuda_open(d, DTYPE_F32, &o, &e);

    if (rc == -E_UNSUPPORTED)
        skip();
    if (rc)
        fail_msg("%s", e.message);
}

/* On d and, if there is one, on another; within `bound`. */
static void compare(struct device *d, struct device *other,
                    const struct shape *s, double bound)
{
    size_t dim = (size_t)s->dim, cols = (size_t)s->cols;
    size_t rows = (size_t)s->rows;
    float *a = xcalloc(rows * dim, sizeof *a);
    float *b = xcalloc(cols * dim, sizeof *b);
    size_t most = rows > cols ? rows : cols;
    float *lse = xcalloc(most, sizeof *lse);
    double worst = 0;
    struct outs x, y;

    draw(a, s->rows, s->dim, 1);
    draw(b, s->cols, s->dim, 2);
    for (size_t j = 0; j < most; j++) /* about what it would be */
        lse[j] = expf(s->log_scale) * 0.9f + logf((float)rows) +
                 0.01f * (float)(j % 7);
    for (size_t i = 0; i < rows && (size_t)s->first + i < cols; i += 2)
        memcpy(b + ((size_t)s->first + i) * dim, a + i * dim, dim * sizeof *a);
    compute(other, s, a, b, lse, &y);
    compute(d, s, a, b, lse, &x);
    for (size_t i = 0; i < OUTS; i++) {
        double by = apart(x.p[i], y.p[i], x.n[i]);

        if (!(by <= bound))
            fail_msg("%s: %s is %.3g apart, more than %.3g", s->what, names[i],
                     by, bound);
        worst = fmax(worst, by);
    }
    print_message("%-32s %.1e\n", s->what, worst);
    outs_free(&x);
    outs_free(&y);
    free(a);
    free(b);
    free(lse);
}

static void test_loss_cuda__against_reference(void **state)
{
    struct device d, ref;
    struct err e = ERR_INIT;

    (void)state;
    open_cuda(&d);
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (size_t i = 0; i < SHAPES; i++)
        compare(&d, &ref, &shapes[i], BOUND);
    device_close(&ref);
    device_close(&d);
}

/* How rows are cut follows the GPU's size; no sum may follow that. */
static void test_loss_cuda__same_bits_on_another_gpu(void **state)
{
    struct device one, two;

    (void)state;
    open_cuda(&one);
#ifdef WITMILL_EMULATED
    emulate_sms(70);
#endif
    open_cuda(&two);
#ifdef WITMILL_EMULATED
    emulate_sms(2);
    emulate_schedule(5);
#endif
    for (size_t i = 1; i < SHAPES; i += 3) /* parts, strips */
        compare(&one, &two, &shapes[i], 0);
#ifdef WITMILL_EMULATED
    emulate_schedule(0);
#endif
    device_close(&two);
    device_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_cuda__against_reference),
        cmocka_unit_test(test_loss_cuda__same_bits_on_another_gpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
