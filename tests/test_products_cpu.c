/* Products and convolutions of the cpu backend against sums in double, over
 * odd shapes, in f32 and bf16, on one thread and on two. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/cpu/cpu.h"
#include "train/device.h"
#include "train/op.h"

/* Of the largest number of an array, or of what a sum of so many products is
 * usually, where a small array came out smaller. */
#define F32_BOUND  1e-5
#define BF16_BOUND 0x3p-8 /* up to three roundings */

/* ---- arrays: numbers as a device has them, and the same in double ---- */

struct array {
    int64_t n;
    enum dtype type;
    void *raw;
    double *exact;
};

static uint64_t drawn;

static double uniform(void)
{
    uint64_t z = ++drawn * 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((int64_t)(z ^ z >> 31) >> 11) * 0x1p-52;
}

static struct array array_new(enum dtype type, int64_t n)
{
    struct array a = {n, type, xcalloc((size_t)n, dtype_size(type)),
                      xcalloc((size_t)n, sizeof(double))};

    for (int64_t i = 0; i < n; i++)
        a.exact[i] = uniform();
    dtype_convert(a.raw, type, a.exact, DTYPE_F64, (size_t)n);
    dtype_convert(a.exact, DTYPE_F64, a.raw, type, (size_t)n);
    return a;
}

static void array_free(struct array *a)
{
    free(a->raw);
    free(a->exact);
}

/* The largest distance of raw from exact. */
static double apart(const struct array *a)
{
    double *got = xcalloc((size_t)a->n, sizeof(double)), worst = 0;

    dtype_convert(got, DTYPE_F64, a->raw, a->type, (size_t)a->n);
    for (int64_t i = 0; i < a->n; i++) {
        double gap = fabs(got[i] - a->exact[i]);

        if (!(gap <= worst))
            worst = isnan(gap) ? INFINITY : gap;
    }
    free(got);
    return worst;
}

static void check(const struct array *a, int64_t terms, const char *what,
                  const char *shape)
{
    double bound = a->type == DTYPE_BF16 ? BF16_BOUND : F32_BOUND;
    double scale = sqrt((double)terms) / 3, gap = apart(a);

    for (int64_t i = 0; i < a->n; i++)
        if (fabs(a->exact[i]) > scale)
            scale = fabs(a->exact[i]);
    if (!(gap <= bound * scale))
        fail_msg("%s of %s: %.3g apart, more than %.3g", what, shape,
                 gap / scale, bound);
}

/* ---- devices ---- */

static bool open_cpu(struct device *d, enum dtype act, int threads)
{
    struct err e = ERR_INIT;
    int rc = cpu_open(d, act, threads, &e);

    if (rc == -E_UNSUPPORTED && act == DTYPE_BF16) {
        print_message("%s: skipped\n", e.message);
        return false;
    }
    assert_int_equal(rc, 0);
    return true;
}

static void done(struct device *d)
{
    struct err e = ERR_INIT;

    if (device_check(d, &e))
        fail_msg("%s", e.message);
}

/* Run it dry first, as a step does, or not at all. */
static bool dry(struct device *d, uint64_t choice)
{
    if (choice % 2)
        return false;
    device_plan_begin(d);
    return true;
}

static void wet(struct device *d)
{
    struct err e = ERR_INIT;

    assert_int_equal(device_plan_end(d, &e), 0);
}

/* ---- linear ---- */

static double act_of(enum act_kind kind, double x)
{
    return kind == ACT_GELU         ? x * (1 + erf(x / sqrt(2))) / 2
           : kind == ACT_QUICK_GELU ? x / (1 + exp(-1.702 * x))
                                    : x;
}

static double slope_of(enum act_kind kind, double x)
{
    double s = 1 / (1 + exp(-1.702 * x));

    return kind == ACT_GELU ? (1 + erf(x / sqrt(2))) / 2 +
                                  x * exp(-x * x / 2) / sqrt(2 * acos(-1))
           : kind == ACT_QUICK_GELU ? s + 1.702 * x * s * (1 - s)
                                    : 1;
}

struct linear_case {
    int64_t m, n, k;
    bool io, bias, res, add;
    enum act_kind act;
};

/* c[m, n] = a b, by strides of rows and columns. */
static double dot(const double *a, int64_t a_step, const double *b,
                  int64_t b_step, int64_t k)
{
    double sum = 0;

    for (int64_t i = 0; i < k; i++)
        sum += a[i * a_step] * b[i * b_step];
    return sum;
}

static const double *weight_at(const struct linear_case *c,
                               const struct array *w, int64_t out, int64_t in)
{
    return w->exact + (c->io ? in * c->n + out : out * c->k + in);
}

static void play_linear(struct device *d, const struct linear_case *c,
                        const char *shape)
{
    struct array x = array_new(d->act, c->m * c->k);
    struct array w = array_new(d->act, c->n * c->k);
    struct array b = array_new(DTYPE_F32, c->n);
    struct array pre = array_new(d->act, c->m * c->n);
    struct array res = array_new(d->act, c->m * c->n);
    struct array y = array_new(d->act, c->m * c->n);
    struct op_linear op = {.m = c->m,
                           .n = c->n,
                           .k = c->k,
                           .x = x.raw,
                           .w = w.raw,
                           .w_is_in_out = c->io,
                           .b = c->bias ? b.raw : NULL,
                           .act = c->act,
                           .pre = c->act ? pre.raw : NULL,
                           .res = c->res ? res.raw : NULL,
                           .y = y.raw};

    for (int64_t i = 0; i < c->m; i++)
        for (int64_t o = 0; o < c->n; o++) {
            double t = dot(x.exact + i * c->k, 1, weight_at(c, &w, o, 0),
                           c->io ? c->n : 1, c->k);
            int64_t at = i * c->n + o;

            t += c->bias ? b.exact[o] : 0;
            pre.exact[at] = t;
            y.exact[at] = act_of(c->act, t) + (c->res ? res.exact[at] : 0);
        }
    if (dry(d, (uint64_t)(c->m + c->n))) {
        op_linear(d, &op);
        wet(d);
    }
    op_linear(d, &op);
    done(d);
    if (c->act)
        check(&pre, c->k, "pre", shape);
    check(&y, c->k, "y", shape);
    array_free(&x);
    array_free(&w);
    array_free(&b);
    array_free(&pre);
    array_free(&res);
    array_free(&y);
}

static void play_linear_dx(struct device *d, const struct linear_case *c,
                           const char *shape)
{
    enum act_kind act = c->add ? ACT_NONE : c->act;
    struct array dy = array_new(d->act, c->m * c->n);
    struct array w = array_new(d->act, c->n * c->k);
    struct array pre = array_new(d->act, c->m * c->k);
    struct array dx = array_new(d->act, c->m * c->k);

    for (int64_t i = 0; i < c->m; i++)
        for (int64_t k = 0; k < c->k; k++) {
            int64_t at = i * c->k + k;
            double t = dot(dy.exact + i * c->n, 1, weight_at(c, &w, 0, k),
                           c->io ? 1 : c->k, c->n);

            dx.exact[at] =
                t * slope_of(act, pre.exact[at]) + (c->add ? dx.exact[at] : 0);
        }
    op_linear_dx(d, &(struct op_linear_dx){.m = c->m,
                                           .n = c->n,
                                           .k = c->k,
                                           .dy = dy.raw,
                                           .w = w.raw,
                                           .w_is_in_out = c->io,
                                           .act = act,
                                           .pre = act ? pre.raw : NULL,
                                           .add = c->add,
                                           .dx = dx.raw});
    done(d);
    check(&dx, c->n, "dx", shape);
    array_free(&dy);
    array_free(&w);
    array_free(&pre);
    array_free(&dx);
}

static void play_linear_dw(struct device *d, const struct linear_case *c,
                           const char *shape)
{
    struct array x = array_new(d->act, c->m * c->k);
    struct array dy = array_new(d->act, c->m * c->n);
    struct array dw = array_new(DTYPE_F32, c->n * c->k);
    struct array db = array_new(DTYPE_F32, c->n);

    for (int64_t o = 0; o < c->n; o++) {
        for (int64_t k = 0; k < c->k; k++)
            dw.exact[c->io ? k * c->n + o : o * c->k + k] +=
                dot(dy.exact + o, c->n, x.exact + k, c->k, c->m);
        for (int64_t i = 0; c->bias && i < c->m; i++)
            db.exact[o] += dy.exact[i * c->n + o];
    }
    op_linear_dw(d, &(struct op_linear_dw){.m = c->m,
                                           .n = c->n,
                                           .k = c->k,
                                           .x = x.raw,
                                           .dy = dy.raw,
                                           .w_is_in_out = c->io,
                                           .dw = dw.raw,
                                           .db = c->bias ? db.raw : NULL});
    done(d);
    check(&dw, c->m, "dw", shape);
    check(&db, c->m, "db", shape);
    array_free(&x);
    array_free(&dy);
    array_free(&dw);
    array_free(&db);
}

static void all_linear(enum dtype act, int threads)
{
    static const int sizes[] = {1, 3, 17, 64, 65, 200, 1025};
    const int n_sizes = (int)(sizeof sizes / sizeof *sizes);
    struct device d;

    if (!open_cpu(&d, act, threads))
        return;
    for (int i = 0; i < n_sizes * n_sizes * n_sizes; i++) {
        struct linear_case c = {.m = sizes[i % n_sizes],
                                .n = sizes[i / n_sizes % n_sizes],
                                .k = sizes[i / n_sizes / n_sizes],
                                .io = i >> 1 & 1,
                                .bias = i >> 2 & 1,
                                .res = i & 1,
                                .add = i % 5 == 0,
                                .act = (enum act_kind)(i % 3)};
        char shape[160];

        if (i % 2 == threads % 2 || c.m * c.n * c.k > 2000000)
            continue; /* half of them each; sums in double take their time */
        snprintf(shape, sizeof shape,
                 "%s %d threads m %d n %d k %d io %d bias %d res %d add %d "
                 "act %d",
                 dtype_name(act), threads, (int)c.m, (int)c.n, (int)c.k, c.io,
                 c.bias, c.res, c.add, (int)c.act);
        play_linear(&d, &c, shape);
        play_linear_dx(&d, &c, shape);
        play_linear_dw(&d, &c, shape);
    }
    device_close(&d);
}

static void test_products__linear_f32(void **state)
{
    (void)state;
    all_linear(DTYPE_F32, 1);
    all_linear(DTYPE_F32, 2);
}

static void test_products__linear_bf16(void **state)
{
    (void)state;
    all_linear(DTYPE_BF16, 1);
    all_linear(DTYPE_BF16, 2);
}

/* Several tiles, whole ones and a last one, packed weights and all flags. */
static void test_products__tiles(void **state)
{
    static const struct linear_case cases[] = {
        {2048, 24, 40, false, true, true, false, ACT_NONE},
        {2113, 33, 48, true, true, true, false, ACT_GELU},
        {3071, 16, 17, false, true, false, true, ACT_QUICK_GELU},
        {9000, 9, 20, true, false, true, true, ACT_NONE},
        {1023, 80, 32, false, true, false, false, ACT_QUICK_GELU},
        {1100, 80, 32, false, true, true, false, ACT_NONE},
        {5, 1300, 1250, false, true, false, false, ACT_NONE}, /* large dw */
        {4, 1250, 1300, true, false, false, false, ACT_NONE},
    };
    const enum dtype types[] = {DTYPE_F32, DTYPE_BF16};

    (void)state;
    for (int t = 0; t < 2; t++) {
        struct device d;

        if (!open_cpu(&d, types[t], 2))
            continue;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            char shape[64];

            snprintf(shape, sizeof shape, "%s tiles %d", dtype_name(types[t]),
                     (int)i);
            play_linear(&d, &cases[i], shape);
            play_linear_dx(&d, &cases[i], shape);
            play_linear_dw(&d, &cases[i], shape);
        }
        device_close(&d);
    }
}

/* ---- convolutions ---- */

struct conv_case {
    int64_t batch, h, w, in, out;
    int kernel, stride, pad;
    bool add;
};

/* Calls `tap` for every product that a convolution adds up. */
static void each_tap(const struct conv_case *c,
                     void (*tap)(double *x, double *w, double *y), double *x,
                     double *w, double *y)
{
    int64_t oh = op_conv_side(c->h, c->kernel, c->stride, c->pad);
    int64_t ow = op_conv_side(c->w, c->kernel, c->stride, c->pad);
    int64_t taps = (int64_t)c->kernel * c->kernel;

    for (int64_t at = 0; at < c->batch * oh * ow; at++)
        for (int64_t t = 0; t < taps; t++) {
            int64_t n = at / (oh * ow);
            int64_t i = at / ow % oh * c->stride - c->pad + t / c->kernel;
            int64_t j = at % ow * c->stride - c->pad + t % c->kernel;

            if (i < 0 || i >= c->h || j < 0 || j >= c->w)
                continue;
            for (int64_t o = 0; o < c->out; o++)
                for (int64_t k = 0; k < c->in; k++)
                    tap(x + ((n * c->h + i) * c->w + j) * c->in + k,
                        w + (o * c->in + k) * taps + t, y + at * c->out + o);
        }
}

static void tap_y(double *x, double *w, double *y)
{
    *y += *x * *w;
}

static void tap_dx(double *x, double *w, double *y)
{
    *x += *y * *w;
}

static void tap_dw(double *x, double *w, double *y)
{
    *w += *x * *y;
}

static void zero(struct array *a)
{
    memset(a->exact, 0, (size_t)a->n * sizeof *a->exact);
}

static void play_conv(struct device *d, const struct conv_case *c,
                      const char *shape)
{
    int64_t oh = op_conv_side(c->h, c->kernel, c->stride, c->pad);
    int64_t ow = op_conv_side(c->w, c->kernel, c->stride, c->pad);
    struct array x = array_new(d->act, c->batch * c->h * c->w * c->in);
    struct array w = array_new(d->act, c->out * c->in * c->kernel * c->kernel);
    struct array y = array_new(d->act, c->batch * oh * ow * c->out);
    struct array dw = array_new(DTYPE_F32, w.n), dx = array_new(d->act, x.n);
    struct array dy = array_new(d->act, y.n);
    struct op_conv op = {c->batch,  c->h,   c->w,  c->in, c->out, c->kernel,
                         c->stride, c->pad, x.raw, w.raw, y.raw};
    struct op_conv_dx bwd = {c->batch, c->h,      c->w,      c->in,
                             c->out,   c->kernel, c->stride, c->pad,
                             dy.raw,   w.raw,     c->add,    dx.raw};
    struct op_conv_dw grad = {c->batch, c->h,      c->w,      c->in,
                              c->out,   c->kernel, c->stride, c->pad,
                              x.raw,    dy.raw,    dw.raw};

    zero(&y);
    each_tap(c, tap_y, x.exact, w.exact, y.exact);
    if (!c->add)
        zero(&dx);
    each_tap(c, tap_dx, dx.exact, w.exact, dy.exact);
    each_tap(c, tap_dw, x.exact, dw.exact, dy.exact);
    if (dry(d, (uint64_t)c->in)) {
        op_conv(d, &op);
        op_conv_dx(d, &bwd);
        op_conv_dw(d, &grad);
        wet(d);
    }
    op_conv(d, &op);
    op_conv_dx(d, &bwd);
    op_conv_dw(d, &grad);
    done(d);
    check(&y, c->in, "y", shape);
    check(&dx, c->out, "dx", shape);
    check(&dw, c->batch * oh * ow, "dweight", shape);
    array_free(&x);
    array_free(&w);
    array_free(&y);
    array_free(&dx);
    array_free(&dy);
    array_free(&dw);
}

static void all_convs(enum dtype act, int threads)
{
    static const int kernels[][3] = {/* kernel, stride, pad */
                                     {1, 1, 0}, {1, 2, 0}, {1, 1, 1},
                                     {3, 1, 1}, {3, 1, 0}, {3, 2, 1},
                                     {3, 2, 0}, {2, 2, 0}};
    static const int sides[][2] = {{3, 3}, {7, 7}, {8, 5}, {13, 9}};
    static const int channels[][2] = {{3, 32}, {32, 5}, {5, 3}, {32, 32}};
    struct device d;

    if (!open_cpu(&d, act, threads))
        return;
    for (int i = 0; i < 8 * 4 * 4; i++) {
        const int *k = kernels[i % 8], *s = sides[i / 8 % 4];
        const int *n = channels[i / 32];
        struct conv_case c = {.batch = 1 + i % 3,
                              .h = s[0],
                              .w = s[1],
                              .in = n[0],
                              .out = n[1],
                              .kernel = k[0],
                              .stride = k[1],
                              .pad = k[2],
                              .add = i / 3 % 2};
        char shape[128];

        snprintf(shape, sizeof shape,
                 "%s %d threads %dx%dx%d %d->%d kernel %d stride %d pad %d "
                 "add %d",
                 dtype_name(act), threads, (int)c.batch, s[0], s[1], n[0], n[1],
                 k[0], k[1], k[2], c.add);
        play_conv(&d, &c, shape);
    }
    /* more pixels than a tile of columns has */
    play_conv(&d, &(struct conv_case){5, 23, 21, 8, 16, 3, 1, 1, true},
              "many pixels");
    /* lines short and long, neighbourhoods narrow and wide */
    play_conv(&d, &(struct conv_case){3, 5, 9, 40, 16, 3, 1, 1, true},
              "long lines");
    play_conv(&d, &(struct conv_case){25, 7, 7, 40, 16, 3, 1, 1, false},
              "short lines, two tiles");
    device_close(&d);
}

static void test_products__conv_f32(void **state)
{
    (void)state;
    all_convs(DTYPE_F32, 1);
    all_convs(DTYPE_F32, 2);
}

static void test_products__conv_bf16(void **state)
{
    (void)state;
    all_convs(DTYPE_BF16, 1);
    all_convs(DTYPE_BF16, 2);
}

/* ---- the same bits ---- */

/* Three ops on fixed numbers, in a device opened afresh; the bits of all that
 * they write. */
static char *bits_of(enum dtype act, int threads, size_t *size)
{
    enum { M = 1500, N = 96, K = 80, SIDE = 14, C = 24 };
    struct device d;
    char *bits;

    if (!open_cpu(&d, act, threads))
        return NULL;
    drawn = 0;

    struct array x = array_new(act, M * K), w = array_new(act, N * K);
    struct array y = array_new(act, M * N), dw = array_new(DTYPE_F32, N * K);
    struct array db = array_new(DTYPE_F32, N);
    struct array cw = array_new(act, C * C * 9);
    struct array cx = array_new(act, 8 * SIDE * SIDE * C);
    struct array cy = array_new(act, cx.n), cdw = array_new(DTYPE_F32, cw.n);
    const struct array *all[] = {&y, &dw, &db, &cy, &cdw};
    size_t at = 0;

    op_linear(&d,
              &(struct op_linear){
                  .m = M, .n = N, .k = K, .x = x.raw, .w = w.raw, .y = y.raw});
    op_linear_dw(&d, &(struct op_linear_dw){.m = M,
                                            .n = N,
                                            .k = K,
                                            .x = x.raw,
                                            .dy = y.raw,
                                            .dw = dw.raw,
                                            .db = db.raw});
    op_conv(&d, &(struct op_conv){8, SIDE, SIDE, C, C, 3, 1, 1, cx.raw, cw.raw,
                                  cy.raw});
    op_conv_dw(&d, &(struct op_conv_dw){8, SIDE, SIDE, C, C, 3, 1, 1, cx.raw,
                                        cy.raw, cdw.raw});
    op_conv_dx(&d, &(struct op_conv_dx){8, SIDE, SIDE, C, C, 3, 1, 1, cx.raw,
                                        cw.raw, true, cy.raw});
    done(&d);
    *size = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *size += (size_t)all[i]->n * dtype_size(all[i]->type);
    bits = xmalloc(*size);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t n = (size_t)all[i]->n * dtype_size(all[i]->type);

        memcpy(bits + at, all[i]->raw, n);
        at += n;
    }
    array_free(&x);
    array_free(&w);
    array_free(&y);
    array_free(&dw);
    array_free(&db);
    array_free(&cw);
    array_free(&cx);
    array_free(&cy);
    array_free(&cdw);
    device_close(&d);
    return bits;
}

static void test_products__same_bits(void **state)
{
    const enum dtype types[] = {DTYPE_F32, DTYPE_BF16};

    (void)state;
    for (int t = 0; t < 2; t++)
        for (int threads = 1; threads <= 2; threads++) {
            size_t size, again;
            char *first = bits_of(types[t], threads, &size);

            for (int i = 0; first && i < 5; i++) {
                char *bits = bits_of(types[t], threads, &again);

                assert_int_equal(size, again);
                assert_memory_equal(first, bits, size);
                free(bits);
            }
            free(first);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products__linear_f32),
        cmocka_unit_test(test_products__linear_bf16),
        cmocka_unit_test(test_products__tiles),
        cmocka_unit_test(test_products__conv_f32),
        cmocka_unit_test(test_products__conv_bf16),
        cmocka_unit_test(test_products__same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
