/* Products and convolutions of the cuda backend beyond the random shapes of
 * tests/test_ops_cuda.c: every layer of the nine models at its full size
 * (planned, not computed), arrays that begin on odd numbers, products and
 * columns in parts, activations over their whole range, sums of many rows.  On
 * a GPU with CUDA=1, else emulated. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/cuda_play.h"
#include "tests/op_play.h"
#include "train/cuda/products.h"
#include "train/ref/ref.h"

static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};

/* ---- the models ---- */

/* Images by a ViT: width, patch, tokens; by a ResNet: width of its stem, side
 * of the picture, blocks.  Then the text's width, and what both end in. */
static const struct model {
    const char *name;
    int64_t width, patch, tokens; /* ViT */
    int64_t base, side;           /* ResNet */
    int64_t text, embed;
} models[] = {
    {"RN50", 0, 0, 0, 64, 224, 512, 1024},
    {"RN101", 0, 0, 0, 64, 224, 512, 512},
    {"RN50x4", 0, 0, 0, 80, 288, 640, 640},
    {"RN50x16", 0, 0, 0, 96, 384, 768, 768},
    {"RN50x64", 0, 0, 0, 128, 448, 1024, 1024},
    {"ViT-B-32", 768, 32, 50, 0, 0, 512, 512},
    {"ViT-B-16", 768, 16, 197, 0, 0, 512, 512},
    {"ViT-L-14", 1024, 14, 257, 0, 0, 768, 768},
    {"ViT-L-14-336", 1024, 14, 577, 0, 0, 768, 768},
};

#define MODELS (sizeof models / sizeof *models)
#define BATCH  4096 /* of ResNets: 32 */

/* What is never read: shapes are planned only. */
static char nowhere[DEVICE_ALIGN] __attribute__((aligned(DEVICE_ALIGN)));

static void plan_linear(struct device *d, int64_t m, int64_t n, int64_t k,
                        bool io, enum act_kind act, bool bias, bool res)
{
    struct op_linear y = {m,
                          n,
                          k,
                          nowhere,
                          nowhere,
                          io,
                          bias ? nowhere : NULL,
                          act,
                          act ? nowhere : NULL,
                          res ? nowhere : NULL,
                          nowhere};
    struct op_linear_dx dx = {m,  n,        k,    nowhere, nowhere,
                              io, ACT_NONE, NULL, res,     nowhere};
    struct op_linear_dw dw = {m,       n,  k,       nowhere,
                              nowhere, io, nowhere, bias ? nowhere : NULL};

    op_linear(d, &y);
    op_linear_dx(d, &dx);
    op_linear_dw(d, &dw);
}

static void plan_transformer(struct device *d, int64_t rows, int64_t width)
{
    plan_linear(d, rows, 3 * width, width, false, ACT_NONE, true, false);
    plan_linear(d, rows, width, width, false, ACT_NONE, true, true);
    plan_linear(d, rows, 4 * width, width, false, ACT_QUICK_GELU, true, false);
    plan_linear(d, rows, width, 4 * width, false, ACT_NONE, true, true);
}

static void plan_conv(struct device *d, int64_t batch, int64_t side, int64_t in,
                      int64_t out, int kernel, int stride)
{
    int pad = kernel / 2;
    struct op_conv y = {batch,  side, side,    in,      out,    kernel,
                        stride, pad,  nowhere, nowhere, nowhere};
    struct op_conv_dx dx = {batch,  side, side,    in,      out,   kernel,
                            stride, pad,  nowhere, nowhere, false, nowhere};
    struct op_conv_dw dw = {batch,  side, side,    in,      out,    kernel,
                            stride, pad,  nowhere, nowhere, nowhere};

    op_conv(d, &y);
    if (in > 3) /* nobody asks for the pixels' gradient */
        op_conv_dx(d, &dx);
    op_conv_dw(d, &dw);
}

static void plan_resnet(struct device *d, const struct model *m, int64_t batch)
{
    int64_t side = m->side / 2, in = m->base, w = m->base;

    plan_conv(d, batch, m->side, 3, w / 2, 3, 2);
    plan_conv(d, batch, side, w / 2, w / 2, 3, 1);
    plan_conv(d, batch, side, w / 2, w, 3, 1);
    side /= 2;
    for (int layer = 0; layer < 4; layer++, w *= 2) {
        plan_conv(d, batch, side, in, w, 1, 1);
        plan_conv(d, batch, side, w, w, 3, 1);
        if (layer)
            side /= 2; /* by pooling */
        plan_conv(d, batch, side, w, 4 * w, 1, 1);
        plan_conv(d, batch, side, in, 4 * w, 1, 1);
        in = 4 * w;
    }
    plan_linear(d, batch * 50, in, in, false, ACT_NONE, true, false);
    plan_linear(d, batch, m->embed, in, false, ACT_NONE, true, false);
}

/* Nothing that the models consist of is refused: all of it runs at cuBLASLt's
 * speed. */
static void test_products_cuda__takes_every_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * MODELS; i++) {
        const struct model *m = &models[i / 2];
        struct err e = ERR_INIT;
        struct lt_counts counts;
        struct device d;

        open_cuda(&d, acts[i % 2]);
        device_plan_begin(&d);
        if (m->width) {
            int64_t grid = BATCH * (m->tokens - 1);

            plan_linear(&d, grid, m->width, 3 * m->patch * m->patch, false,
                        ACT_NONE, false, false);
            plan_transformer(&d, BATCH * m->tokens, m->width);
            plan_linear(&d, BATCH, m->embed, m->width, true, ACT_NONE, false,
                        false);
        } else {
            plan_resnet(&d, m, 32);
        }
        plan_transformer(&d, (int64_t)BATCH * 77, m->text);
        plan_linear(&d, BATCH, m->embed, m->text, true, ACT_NONE, false, false);
        if (device_plan_end(&d, &e))
            fail_msg("%s: %s", m->name, e.message);
        counts = lt_counted(&d);
        if (counts.refused || counts.shapes < 10)
            fail_msg("%s, %s: of %d shapes %d are refused", m->name,
                     dtype_name(d.act), counts.shapes, counts.refused);
        print_message("%-12s %-4s %d shapes\n", m->name, dtype_name(d.act),
                      counts.shapes);
        device_close(&d);
    }
}

/* A batch of 32,768 pictures as one chunk: more than 2^20 rows, and more than
 * 2^31 numbers in an array. */
static void test_products_cuda__splits_what_is_too_large(void **state)
{
    struct err e = ERR_INIT;
    struct device d;

    (void)state;
    open_cuda(&d, DTYPE_BF16);
    assert_int_equal(product_rows(&d, 512), 1 << 20);
    assert_true(product_rows(&d, 3072) * 3072 <= (int64_t)1 << 31);
    assert_int_equal(product_rows(&d, 3072) % 4096, 0);
    device_plan_begin(&d);
    plan_transformer(&d, (int64_t)32768 * 50, 768);
    /* 6.6e9 numbers: in parts of some hundred pictures */
    plan_conv(&d, 1024, 224, 64, 128, 3, 1);
    if (device_plan_end(&d, &e))
        fail_msg("%s", e.message);
    assert_int_equal(lt_counted(&d).refused, 0);
    device_close(&d);
}

/* ---- against the reference ---- */

static const struct shape {
    int64_t m, n, k;
    int64_t off; /* numbers before every array begins */
    bool io, res;
    enum act_kind act;
} shapes[] = {
    {8, 16, 8, 0, false, false, ACT_GELU},
    {64, 96, 588, 0, false, true, ACT_NONE}, /* patches of 14 */
    {130, 64, 48, 8, true, false, ACT_QUICK_GELU},
    {33, 40, 24, 4, false, true, ACT_GELU},
    {33, 40, 24, 2, true, true, ACT_QUICK_GELU},
    {32, 40, 24, 1, false, true, ACT_NONE},
    {32, 40, 24, 3, true, false, ACT_GELU},
    {17, 31, 33, 0, false, true, ACT_QUICK_GELU}, /* odd rows */
    {65, 1, 7, 5, true, true, ACT_NONE},
    {1, 129, 257, 0, false, false, ACT_GELU},
    {5, 7, 1, 0, false, true, ACT_GELU},
    {1000, 24, 16, 0, false, false, ACT_NONE}, /* sums of parts */
    {1003, 9, 8, 1, true, false, ACT_NONE},
};

#define SHAPES (sizeof shapes / sizeof *shapes)

static const struct shape *shape; /* of the case that is played */

/* A linear layer forward and backward, every array `off` numbers into one that
 * is longer: nothing may be written before or behind. */
static void case_shape(struct play *p)
{
    int64_t m = shape->m, n = shape->n, k = shape->k, off = shape->off;
    bool act = shape->act != ACT_NONE;
    const char *x = play_in(p, "x", PLAY_ACT, m * k + 2 * off);
    const char *w = play_in(p, "w", PLAY_ACT, n * k + 2 * off);
    const char *b = play_in(p, "b", PLAY_REAL, n + 2 * off);
    const char *res = play_in(p, "res", PLAY_ACT, m * n + 2 * off);
    const char *dy = play_in(p, "dy", PLAY_ACT, m * n + 2 * off);
    char *pre = play_out(p, "pre", PLAY_ACT, m * n + 2 * off);
    char *y = play_out(p, "y", PLAY_ACT, m * n + 2 * off);
    char *dx = play_sum(p, "dx", PLAY_ACT, m * k + 2 * off);
    char *dw = play_sum(p, "dw", PLAY_REAL, n * k + 2 * off);
    char *db = play_sum(p, "db", PLAY_REAL, n + 2 * off);
    size_t a = (size_t)off * dtype_size(p->d->act);
    size_t r = (size_t)off * dtype_size(p->d->real);
    struct op_linear forward = {m,
                                n,
                                k,
                                x + a,
                                w + a,
                                shape->io,
                                b + r,
                                shape->act,
                                act ? pre + a : NULL,
                                shape->res ? res + a : NULL,
                                y + a};
    struct op_linear_dx backward = {.m = m,
                                    .n = n,
                                    .k = k,
                                    .dy = dy + a,
                                    .w = w + a,
                                    .w_is_in_out = shape->io,
                                    .act = shape->act,
                                    .pre = act ? x + a : NULL,
                                    .add = !act,
                                    .dx = dx + a};
    struct op_linear_dw weights = {m,      n,         k,      x + a,
                                   dy + a, shape->io, dw + r, db + r};

    op_linear(p->d, &forward);
    op_linear_dx(p->d, &backward);
    op_linear_dw(p->d, &weights);
    play_step(p);
}

/* Odd channels: by columns in all directions, in bfloat16.  And one pixel every
 * second, which the emulated cuDNN refuses, of channels that leave half of the
 * last eight numbers of a column's row to be cleared, in float. */
static void case_columns(struct play *p)
{
    bool one = p->seed % 3 == 2;
    int64_t in = one ? 12 : 8, out = one ? 20 : 15;
    int kernel = one ? 1 : 3, pad = kernel / 2;
    int stride = one ? 2 : 1 + (int)(p->seed % 3);
    int64_t side = op_conv_side(9, kernel, stride, pad);
    int64_t pixels = 2 * side * op_conv_side(7, kernel, stride, pad);
    int64_t weights = out * in * kernel * kernel;
    struct op_conv y = {2,      9,   7,    in,   out, kernel,
                        stride, pad, NULL, NULL, NULL};
    struct op_conv_dw dw = {2,      9,   7,    in,   out, kernel,
                            stride, pad, NULL, NULL, NULL};
    struct op_conv_dx dx = {2,      9,   7,    in,   out,   kernel,
                            stride, pad, NULL, NULL, false, NULL};

    y.x = dw.x = play_in(p, "x", PLAY_ACT, 2 * 9 * 7 * in);
    y.weight = dx.weight = play_in(p, "weight", PLAY_ACT, weights);
    dw.dy = dx.dy = play_in(p, "dy", PLAY_ACT, pixels * out);
    y.y = play_out(p, "y", PLAY_ACT, pixels * out);
    dx.dx = play_out(p, "dx", PLAY_ACT, 2 * 9 * 7 * in);
    dw.dweight = play_sum(p, "dweight", PLAY_REAL, weights);
    op_conv(p->d, &y);
    op_conv_dx(p->d, &dx);
    op_conv_dw(p->d, &dw);
    play_step(p);
}

/* `rows`: as lt_rows_most(). */
static void against_reference(int64_t rows)
{
    struct device ref, d;
    struct err e = ERR_INIT;

    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (int t = 0; t < 2; t++) {
        double worst[2] = {0, 0}, act = t ? 0.012 : 5e-6;

        open_cuda(&d, acts[t]);
        lt_rows_most(&d, rows);
        for (size_t i = 0; i < SHAPES; i++) {
            char name[80];

            shape = &shapes[i];
            snprintf(name, sizeof name, "%d: %d x %d x %d, off %d", (int)i,
                     (int)shape->m, (int)shape->n, (int)shape->k,
                     (int)shape->off);
            play_compare(name, case_shape, i, &d, &ref, act, 5e-6, worst);
        }
        for (uint64_t seed = 0; seed < 3; seed++)
            play_compare("columns", case_columns, seed, &d, &ref, act, 5e-6,
                         worst);
        print_message("%-4s act %.1e real %.1e\n", dtype_name(d.act), worst[0],
                      worst[1]);
        device_close(&d);
    }
    device_close(&ref);
}

static void test_products_cuda__odd_shapes(void **state)
{
    (void)state;
    against_reference(0);
}

static void test_products_cuda__in_parts(void **state)
{
    (void)state;
    against_reference(8);
    against_reference(24);
}

/* Dry, then for good: by then every shape has its algorithm, and nothing is
 * allocated. */
static void plan_and_run(struct device *d, play_case *run, uint64_t seed)
{
    struct err e = ERR_INIT;
    int shapes_planned;
    struct play p;

    play_open(&p, d, seed);
    p.large = true;
    device_plan_begin(d);
    play_once(&p, run);
    assert_int_equal(device_plan_end(d, &e), 0);
    shapes_planned = lt_counted(d).shapes;
#ifdef WITMILL_EMULATED
    uint64_t allocations = emulate_counted().allocations;
#endif
    play_once(&p, run);
#ifdef WITMILL_EMULATED
    assert_int_equal(emulate_counted().allocations, allocations);
#endif
    assert_int_equal(lt_counted(d).shapes, shapes_planned);
    assert_int_equal(device_check(d, &e), 0);
    play_close(&p);
}

static void test_products_cuda__plans_all_it_needs(void **state)
{
    struct device d;

    (void)state;
    for (int t = 0; t < 2; t++) {
        open_cuda(&d, acts[t]); /* with no scratch yet */
        for (uint64_t i = 0; i < SHAPES; i++) {
            shape = &shapes[i];
            plan_and_run(&d, case_shape, i);
            plan_and_run(&d, case_columns, i);
        }
        device_close(&d);
    }
}

/* With `tune`: what a dry run timed is kept, is right, and gives the same bits
 * each time; the room for it is given back when memory is asked for. */
static void tune(enum dtype act, struct device *ref)
{
    const struct cuda_options o = {.tune = true};
    double worst[2] = {0, 0}, bound = act == DTYPE_BF16 ? 0.012 : 5e-6;
    struct lt_counts counts;
    struct err e = ERR_INIT;
    struct device d;
    int rc = cuda_open(&d, act, &o, &e);

    if (rc == -E_UNSUPPORTED)
        skip();
    if (rc)
        fail_msg("%s", e.message);
    for (uint64_t i = 0; i < SHAPES; i++) {
        shape = &shapes[i];
        plan_and_run(&d, case_shape, i);
    }
    counts = lt_counted(&d);
    print_message("%-4s %d shapes, %d timed, %d changed, %d refused\n",
                  dtype_name(act), counts.shapes, counts.timed, counts.changed,
                  counts.refused);
    assert_true(counts.timed > 10);
#ifdef WITMILL_EMULATED /* where first answers are slow */
    assert_true(counts.changed > counts.timed / 2);
#endif
    for (uint64_t i = 0; i < SHAPES; i++) {
        shape = &shapes[i];
        plan_and_run(&d, case_shape, i);
        play_compare("tuned", case_shape, i, &d, ref, bound, 5e-6, worst);
        play_again("tuned", case_shape, i, true, &d, &d, 0);
    }
    assert_int_equal(lt_counted(&d).timed, counts.timed);
    device_close(&d);
}

static void test_products_cuda__tuned(void **state)
{
    struct device ref;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
#ifdef WITMILL_EMULATED
    emulate_slow_answer(true);
#endif
    for (int t = 0; t < 2; t++)
        tune(acts[t], &ref);
#ifdef WITMILL_EMULATED
    emulate_slow_answer(false);
#endif
    device_close(&ref);
}

/* ---- activations ---- */

static double exact(enum act_kind kind, double x, double *slope)
{
    double s = 1 / (1 + exp(-1.702 * x)), normal = erfc(-x / sqrt(2)) / 2;

    if (kind == ACT_QUICK_GELU) {
        *slope = s + 1.702 * x * s * (1 - s);
        return x * s;
    }
    *slope = normal + x * exp(-x * x / 2) / sqrt(2 * acos(-1.0));
    return x * normal;
}

/* `count` numbers from `first` number on, `step` apart around 0; far out, too.
 */
static void sweep(struct device *d, enum act_kind kind, int64_t count,
                  int64_t off)
{
    size_t size = dtype_size(d->act), all = (size_t)(count + off);
    double *x = xcalloc(all, sizeof *x), *y = xcalloc(all, sizeof *y);
    double *g = xcalloc(all, sizeof *g);
    char *host = xcalloc(all, size), *pre, *out, *dx;
    struct err e = ERR_INIT;
    double bound = d->act == DTYPE_BF16 ? 0x1p-8 : 4e-7;

    for (size_t i = 0; i < all; i++)
        x[i] = ((double)i - (double)all / 2) * 24 / (double)all;
    x[all - 1] = 1e4;
    x[all - 2] = -1e4;
    dtype_convert(host, d->act, x, DTYPE_F64, all);
    dtype_convert(x, DTYPE_F64, host, d->act, all);
    pre = device_alloc(d, all * size, &e);
    out = device_alloc(d, all * size, &e);
    dx = device_alloc(d, all * size, &e);
    device_put(d, pre, host, all * size);
    for (size_t i = 0; i < all; i++)
        y[i] = 1;
    dtype_convert(host, d->act, y, DTYPE_F64, all);
    device_put(d, dx, host, all * size);
    device_put(d, out, host, all * size);
    cuda_act(d, kind, count, pre + (size_t)off * size, NULL,
             out + (size_t)off * size);
    cuda_act_bwd(d, kind, count, pre + (size_t)off * size,
                 dx + (size_t)off * size);
    device_get(d, host, out, all * size);
    dtype_convert(y, DTYPE_F64, host, d->act, all);
    device_get(d, host, dx, all * size);
    dtype_convert(g, DTYPE_F64, host, d->act, all);
    assert_int_equal(device_check(d, &e), 0);
    for (size_t i = 0; i < all; i++) {
        double slope, value = exact(kind, x[i], &slope);

        if (i < (size_t)off) {
            assert_true(y[i] == 1 && g[i] == 1);
            continue;
        }
        /* of the value, but no finer than 2^-22 of x: 1 + erf(x) near 0 */
        if (!(fabs(y[i] - value) <= bound * fabs(value) + 4e-7) ||
            !(fabs(g[i] - slope) <= bound * fabs(slope) + 1e-6))
            fail_msg("%s, act %d of %g: %g, slope %g, not %g, %g",
                     dtype_name(d->act), (int)kind, x[i], y[i], g[i], value,
                     slope);
    }
    device_free(d, pre);
    device_free(d, out);
    device_free(d, dx);
    free(x);
    free(y);
    free(g);
    free(host);
}

static void test_products_cuda__activations(void **state)
{
    static const int64_t counts[] = {20000, 4096, 4095, 9, 2};
    struct device d;

    (void)state;
    for (int t = 0; t < 2; t++) {
        open_cuda(&d, acts[t]);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            for (int64_t off = 0; off < 3; off++) {
                sweep(&d, ACT_GELU, counts[i], off);
                sweep(&d, ACT_QUICK_GELU, counts[i], off);
            }
        device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_cuda__takes_every_model),
        cmocka_unit_test(test_products_cuda__splits_what_is_too_large),
        cmocka_unit_test(test_products_cuda__odd_shapes),
        cmocka_unit_test(test_products_cuda__in_parts),
        cmocka_unit_test(test_products_cuda__plans_all_it_needs),
        cmocka_unit_test(test_products_cuda__tuned),
        cmocka_unit_test(test_products_cuda__activations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
