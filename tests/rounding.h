/*
 * rounding - the copy that AdamW leaves of given weights, on any device.
 *
 * Model.   With a rate of 0 a step leaves the weights as they are, so that the
 *          copy is a matter of rounding alone: what a device does can be
 *          compared bit by bit with another.
 * Fails.   By cmocka's asserts.
 */
#ifndef TESTS_ROUNDING_H
#define TESTS_ROUNDING_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/device.h"
#include "train/op.h"
#include "train/random_bits.h"

#define ROUNDING_MANY 100003 /* more than a piece, no multiple of anything */

/* n of p's numbers as `real` on d; cleared when p is NULL. */
static inline void *rounding_real(struct device *d, int64_t n, const float *p)
{
    size_t bytes = (size_t)n * dtype_size(d->real);
    struct err e = ERR_INIT;
    void *to = device_alloc(d, bytes, &e), *raw = xcalloc(1, bytes);

    if (!to)
        fail_msg("%s", e.message);
    if (p)
        dtype_convert(raw, d->real, p, DTYPE_F32, (size_t)n);
    device_put(d, to, raw, bytes);
    free(raw);
    return to;
}

/* The copy of p[n] in step t, as floats; p itself must come out as it went
 * in. */
static inline void rounding_copy(struct device *d, int64_t n, const float *p,
                                 uint64_t rounding, uint64_t t, float *copy)
{
    size_t act = (size_t)n * dtype_size(d->act);
    size_t real = (size_t)n * dtype_size(d->real);
    struct err e = ERR_INIT;
    void *raw = xcalloc(1, act > real ? act : real);
    void *nothing = rounding_real(d, n, NULL);
    struct op_adamw op = {.n = n,
                          .p = rounding_real(d, n, p),
                          .m = rounding_real(d, n, NULL),
                          .v = rounding_real(d, n, NULL),
                          .g = nothing,
                          .copy = device_alloc(d, act, &e),
                          .beta1 = 0.9,
                          .beta2 = 0.98,
                          .eps = 1e-6,
                          .t = t,
                          .rounding = rounding};

    assert_non_null(op.copy);
    op_adamw(d, &op);
    device_get(d, raw, op.p, real);
    dtype_convert(copy, DTYPE_F32, raw, d->real, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&copy[i], &p[i], sizeof *p) != 0 && !isnan(p[i]))
            fail_msg("%a became %a", (double)p[i], (double)copy[i]);
    device_get(d, raw, op.copy, act);
    dtype_convert(copy, DTYPE_F32, raw, d->act, (size_t)n);
    assert_int_equal(device_check(d, &e), 0);
    device_free(d, op.p);
    device_free(d, op.m);
    device_free(d, op.v);
    device_free(d, op.copy);
    device_free(d, nothing);
    free(raw);
}

/* Floats of all kinds: of numbers that are drawn, every bit is. */
static inline float *rounding_numbers(int64_t n)
{
    float *p = xcalloc((size_t)n, sizeof *p);

    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)(random_bits(9, (uint64_t)i) >> 32);

        memcpy(&p[i], &bits, sizeof bits);
    }
    return p;
}

/* All that bfloat16 holds; behind it, 2^16 of them. */
static inline float *rounding_representable(void)
{
    float *p = xcalloc(1 << 16, sizeof *p);

    for (uint32_t i = 0; i < 1 << 16; i++)
        p[i] = bf16_to_float((uint16_t)i);
    return p;
}

static inline void rounding_same(int64_t n, const float *a, const float *b)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 &&
            !(isnan(a[i]) && isnan(b[i])))
            fail_msg("number %lld: %a, not %a", (long long)i, (double)a[i],
                     (double)b[i]);
}

/* What bfloat16 holds stays, by chance and without. */
static inline void rounding_keeps(struct device *d)
{
    float *p = rounding_representable(), *copy = xcalloc(1 << 16, sizeof *p);

    for (uint64_t t = 0; t < 4; t++) {
        rounding_copy(d, 1 << 16, p, t, t + 1, copy);
        rounding_same(1 << 16, copy, p);
    }
    free(p);
    free(copy);
}

/* The bits of another device; and where chance is not asked, of the nearest. */
static inline void rounding_agrees(struct device *d, struct device *oracle)
{
    const int64_t n = ROUNDING_MANY;
    float *p = rounding_numbers(n);
    float *a = xcalloc((size_t)n, sizeof *a),
          *b = xcalloc((size_t)n, sizeof *b);

    for (uint64_t t = 1; t < 4; t++) {
        rounding_copy(d, n, p, 3 * t, t, a);
        rounding_copy(oracle, n, p, 3 * t, t, b);
        rounding_same(n, a, b);
    }
    rounding_copy(d, n, p, 0, 1, a);
    for (int64_t i = 0; i < n; i++)
        b[i] =
            d->act == DTYPE_BF16 ? bf16_to_float(bf16_from_float(p[i])) : p[i];
    rounding_same(n, a, b);
    free(p);
    free(a);
    free(b);
}

#endif
