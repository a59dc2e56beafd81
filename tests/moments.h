/*
 * moments - steps of AdamW with moments in bfloat16, on any device.
 *
 * Model.   Where every product and sum of a step is exact in float, what is
 *          left of the moments is a matter of rounding alone, and devices can
 *          be compared bit by bit; elsewhere one in thousands of them falls on
 *          the other side.
 * Fails.   By cmocka's asserts.
 */
#ifndef TESTS_MOMENTS_H
#define TESTS_MOMENTS_H

#include "tests/rounding.h"

#define MOMENTS_MANY 40003 /* several pieces or grids, and an end */

struct moments {
    struct device *d;
    struct op_adamw op;
    int64_t n;
};

static inline void *moments_put(struct device *d, int64_t n, const uint16_t *x)
{
    struct err e = ERR_INIT;
    void *to = device_alloc(d, (size_t)n * sizeof *x, &e);

    assert_non_null(to);
    device_put(d, to, x, (size_t)n * sizeof *x);
    return to;
}

/* n bfloat16 numbers, from 2^-10 to 2^10; above zero, or of both signs. */
static inline uint16_t *moments_numbers(int64_t n, uint64_t stream, bool above)
{
    uint16_t *x = xcalloc((size_t)n, sizeof *x);

    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = random_bits(stream, (uint64_t)i);
        unsigned sign = above ? 0 : (unsigned)(bits & 1) << 15;

        x[i] =
            (uint16_t)(sign | (117 + bits / 2 % 20) << 7 | (bits >> 32 & 0x7f));
    }
    return x;
}

/* Moments as they come, a copy that is rounded by chance as well, and a rate
 * and a gradient that are zero. */
static inline void moments_open(struct moments *w, struct device *d, int64_t n)
{
    uint16_t *m = moments_numbers(n, 1, false),
             *v = moments_numbers(n, 2, true);
    struct err e = ERR_INIT;

    *w = (struct moments){.d = d, .n = n};
    w->op = (struct op_adamw){
        .n = n,
        .p = rounding_real(d, n, NULL),
        .g = rounding_real(d, n, NULL),
        .m = moments_put(d, n, m),
        .v = moments_put(d, n, v),
        .copy = device_alloc(d, (size_t)n * dtype_size(d->act), &e),
        .beta1 = 1 - 0x1p-10,
        .beta2 = 1 - 0x1p-9,
        .eps = 1e-6,
        .t = 1,
        .rounding = 1,
        .half_moments = true};
    assert_non_null(w->op.copy);
    free(m);
    free(v);
}

static inline void moments_close(struct moments *w)
{
    device_free(w->d, w->op.p);
    device_free(w->d, (void *)w->op.g);
    device_free(w->d, w->op.m);
    device_free(w->d, w->op.v);
    device_free(w->d, w->op.copy);
}

static inline void moments_set_gradient(struct moments *w, const float *g)
{
    device_free(w->d, (void *)w->op.g);
    w->op.g = rounding_real(w->d, w->n, g);
}

/* What a class holds, and whether nothing failed. */
static inline uint16_t *moments_get(const struct moments *w, const void *x)
{
    uint16_t *out = xcalloc((size_t)w->n, sizeof *out);
    struct err e = ERR_INIT;

    device_get(w->d, out, x, (size_t)w->n * sizeof *out);
    assert_int_equal(device_check(w->d, &e), 0);
    return out;
}

/* Eight steps that are exact: the bits of another device. */
static inline void moments_agree(struct device *d, struct device *oracle)
{
    struct moments w[2];
    int64_t moved = 0;

    moments_open(&w[0], d, MOMENTS_MANY);
    moments_open(&w[1], oracle, MOMENTS_MANY);
    for (uint64_t t = 1; t <= 8; t++) {
        uint16_t *before = moments_get(&w[0], w[0].op.v), *m[2], *v[2];

        for (int k = 0; k < 2; k++) {
            w[k].op.t = t;
            op_adamw(w[k].d, &w[k].op);
            m[k] = moments_get(&w[k], w[k].op.m);
            v[k] = moments_get(&w[k], w[k].op.v);
        }
        for (int64_t i = 0; i < MOMENTS_MANY; i++) {
            if (m[0][i] != m[1][i] || v[0][i] != v[1][i])
                fail_msg("step %d, number %lld: %04x and %04x, not %04x, %04x",
                         (int)t, (long long)i, m[0][i], v[0][i], m[1][i],
                         v[1][i]);
            moved += v[0][i] != before[i];
        }
        for (int k = 0; k < 2; k++) {
            free(m[k]);
            free(v[k]);
        }
        free(before);
    }
    /* v / 512 is between 1/4 and 1/2 of the last place */
    assert_true(moved > MOMENTS_MANY && moved < 8 * MOMENTS_MANY);
    moments_close(&w[0]);
    moments_close(&w[1]);
}

/* A step like any other: p as on the other device, of the moments at most one
 * in a thousand another neighbour. */
static inline void moments_near(struct device *d, struct device *oracle)
{
    const size_t bytes = MOMENTS_MANY * sizeof(float);
    float *g = xcalloc(1, bytes), *p[2];
    struct moments w[2];
    int64_t apart = 0;
    uint16_t *x[2];

    for (int64_t i = 0; i < MOMENTS_MANY; i++)
        g[i] = (float)(int32_t)random_bits(5, (uint64_t)i) * 0x1p-28f;
    for (int k = 0; k < 2; k++) {
        moments_open(&w[k], k ? oracle : d, MOMENTS_MANY);
        moments_set_gradient(&w[k], g);
        w[k].op.lr = 1e-2;
        op_adamw(w[k].d, &w[k].op);
        p[k] = xcalloc(1, bytes);
        device_get(w[k].d, p[k], w[k].op.p, bytes);
    }
    for (int which = 0; which < 2; which++) {
        for (int k = 0; k < 2; k++)
            x[k] = moments_get(&w[k], which ? w[k].op.v : w[k].op.m);
        for (int64_t i = 0; i < MOMENTS_MANY; i++) {
            apart += x[0][i] != x[1][i];
            assert_true(abs(x[0][i] - x[1][i]) <= 1);
        }
        free(x[0]);
        free(x[1]);
    }
    assert_true(apart <= MOMENTS_MANY / 1000);
    for (int64_t i = 0; i < MOMENTS_MANY; i++)
        if (!(fabsf(p[0][i] - p[1][i]) <= 2e-6f * fabsf(p[1][i])))
            fail_msg("number %lld: %g, not %g", (long long)i, (double)p[0][i],
                     (double)p[1][i]);
    for (int k = 0; k < 2; k++) {
        moments_close(&w[k]);
        free(p[k]);
    }
    free(g);
}

#endif
