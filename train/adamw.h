/*
 * adamw - what the versions of op_adamw have in common.
 *
 * Model.   The gradient's factor and the rounding of the copy and of moments
 *          are defined here, for all of them.  Those that compute in float
 *          also take a number's step from here; train/ref writes it in double.
 * Precision. adamw_number(): one rounding an operation; on the GPU root and
 *          quotient within 2 units of the last place, which is of the step and
 *          not of the weight.
 * Threads. Pure functions.
 */
#ifndef TRAIN_ADAMW_H
#define TRAIN_ADAMW_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include "train/op.h"
#include "train/random_bits.h"

/* What the gradient is multiplied by; false where the step is left out.  The
 * 1e-6 is torch's (clip_grad_norm_). */
SHARED_INLINE bool adamw_scale(const double *sumsq, double clip_norm,
                               double skip_norm, double *scale)
{
    double norm;

    *scale = 1;
    if (!sumsq)
        return true;
    norm = sqrt(*sumsq);
    if (clip_norm > 0 && norm > clip_norm)
        *scale = clip_norm / (norm + 1e-6);
    if (skip_norm > 0 && norm > skip_norm)
        return false;
    return norm - norm == 0; /* finite */
}

/* ---- rounding of the copy, and of moments ---- */

#define ADAMW_OF_M 0x6d /* whose draws: in place of op_adamw's `rounding` */
#define ADAMW_OF_V 0x76

/* Number i of step t is rounded by 16 of the bits of number i / 4 of a stream
 * of the step's own: the lowest where i is a multiple of 4. */
SHARED_INLINE uint64_t adamw_stream(const struct op_adamw *o)
{
    return random_bits(o->rounding, o->t);
}

/* The same for the moments, from ADAMW_OF_M or _V. */
SHARED_INLINE uint64_t adamw_moment_stream(const struct op_adamw *o,
                                           uint64_t of)
{
    return random_bits(of, o->t);
}

SHARED_INLINE uint32_t adamw_chance(uint64_t stream, uint64_t i)
{
    return (uint32_t)(random_bits(stream, i / 4) >> i % 4 * 16 & 0xffff);
}

/* The bits of a float, its lower half rounded off: away from zero where what
 * is cut off and `chance` (below 2^16) reach 2^16 together.  A NaN stays one.
 */
SHARED_INLINE uint32_t adamw_round(uint32_t bits, uint32_t chance)
{
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;

    return (nan ? bits | 0x400000u : bits + chance) & 0xffff0000u;
}

/* ---- a step in float ---- */

/* What stays the same over all numbers. */
struct adamw_step {
    float keep; /* 1 - lr decay */
    float rest1;
    float beta2, rest2; /* rest: 1 - beta, rounded after the subtraction */
    float step;         /* lr / (1 - beta1^t) */
    float root;         /* 1 / sqrt(1 - beta2^t) */
    float eps;
};

static inline struct adamw_step adamw_step_of(const struct op_adamw *o)
{
    const double t = (double)o->t;
    struct adamw_step s;

    s.keep = (float)(1 - o->lr * o->decay);
    s.rest1 = (float)(1 - o->beta1);
    s.beta2 = (float)o->beta2;
    s.rest2 = (float)(1 - o->beta2);
    s.step = (float)(o->lr / (1 - pow(o->beta1, t)));
    s.root = (float)(1 / sqrt(1 - pow(o->beta2, t)));
    s.eps = (float)o->eps;
    return s;
}

/* The GPU's exact root and quotient of zero take a branch; rows of the token
 * table that no caption names are nothing but zeros. */
SHARED_INLINE float adamw_root(float x)
{
#ifdef __CUDA_ARCH__
    float root;

    asm("sqrt.approx.f32 %0, %1;" : "=f"(root) : "f"(x));
    return root;
#else
    return sqrtf(x);
#endif
}

SHARED_INLINE float adamw_quotient(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fdividef(a, b);
#else
    return a / b;
#endif
}

/* keep: s->keep where decay applies, else 1; g scaled. */
SHARED_INLINE void adamw_number(const struct adamw_step *s, float keep, float g,
                                float *p, float *m, float *v)
{
    *m += s->rest1 * (g - *m);
    *v = s->beta2 * *v + s->rest2 * (g * g);
    *p = *p * keep -
         s->step * adamw_quotient(*m, adamw_root(*v) * s->root + s->eps);
}

#endif
