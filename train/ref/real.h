/*
 * real - one source, two number types.
 *
 * Model.   All of train/ref but ref.c is compiled twice: with REF_F64 into
 *          ref64_NAME on double, without into ref32_NAME on float.  Ops read
 *          and write arrays of `real` and sum in double.  A sum over many rows
 *          for many columns is taken for a block of columns at a time: memory
 *          is walked row by row, and no op needs room to allocate.
 */
#ifndef TRAIN_REF_REAL_H
#define TRAIN_REF_REAL_H

#include <stdint.h>
#include "train/device.h"
#include "train/op.h"

#ifdef REF_F64
typedef double real;
#define REF(name) ref64_##name
#define REF_BLOCK 4 /* columns summed at a time: small gradients cross it */
#else
typedef float real;
#define REF(name) ref32_##name
#define REF_BLOCK 64 /* another, so that double proves this one, too */
#endif

/* The ops themselves: REF(linear) and so on. */
#define X(name) void REF(name)(struct device * d, const struct op_##name *op);
OP_MAP(X)
#undef X

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The scalar product of a[0..n) and b[0..n). */
static inline double dot(int64_t n, const real *a, const real *b)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* sum[0..n) += a * b[0..n). */
static inline void add_scaled(int64_t n, double a, const real *b, double *sum)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += a * (double)b[i];
}

/* A "+=" output, rounded once. */
static inline void add_to(real *to, double x)
{
    *to = (real)((double)*to + x);
}

#endif
