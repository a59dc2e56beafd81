/*
 * k - what kernels are written with: names, numbers, functions of numbers.
 *
 * Model.   A kernel file is compiled once for each instruction set and type of
 *          activation: CPU_ISA is base, v3 or v4, CPU_ACT_BF16 is set for the
 *          second type.  CPU(name) is the name that results, cpu_v4_bf16_name.
 *          Loops are plain C under `#pragma omp simd`, which both compilers
 *          turn into vectors; that promises them no dependence between
 *          iterations, so an output may be the very array of an input.
 *              K_PARALLEL(d, work) before a for: spread over the threads when
 *              `work`, the numbers touched, is worth it; static.
 * Precision. Everything is computed in float; what accumulates over many rows
 *          goes to double in blocks.  The functions below, against the exact
 *          values (tests/test_ops_cpu.c measures them): k_exp relative 2e-7,
 *          0 below -87.33 (no denormals), infinity above 88.72; k_erf absolute
 *          5e-7; k_sigmoid and k_softplus relative 5e-7.  A NaN stays one.
 *          These files, and no others, may fuse multiply and add.
 */
#ifndef TRAIN_CPU_K_H
#define TRAIN_CPU_K_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include "train/cpu/cpu.h"
#include "train/op.h"

#ifndef CPU_ISA
#define CPU_ISA base
#endif

#define K_PASTE2(isa, act, name) cpu_##isa##_##act##_##name
#define K_PASTE(isa, act, name)  K_PASTE2(isa, act, name)

#ifdef CPU_ACT_BF16
typedef uint16_t act_t;
#define CPU(name) K_PASTE(CPU_ISA, bf16, name)
#else
typedef float act_t;
#define CPU(name) K_PASTE(CPU_ISA, f32, name)
#endif

#define K_INLINE    static inline __attribute__((always_inline, unused))
#define K_PRAGMA(x) _Pragma(#x)
#define K_SIMD      K_PRAGMA(omp simd)
#define K_PARALLEL(d, work)                                                    \
    K_PRAGMA(omp parallel for schedule(static) num_threads(k_threads(d, work)))

K_INLINE int k_threads(const struct device *d, int64_t work)
{
    return work < cpu_of(d)->worth ? 1 : cpu_of(d)->threads;
}

K_INLINE uint32_t k_bits(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return u;
}

K_INLINE float k_float(uint32_t u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

/* ---- act <-> float ---- */

#ifdef CPU_ACT_BF16
K_INLINE float k_get(act_t x)
{
    return k_float((uint32_t)x << 16);
}

/* To nearest, ties to even; bit for bit what bf16_from_float() gives. */
K_INLINE act_t k_put(float x)
{
    uint32_t u = k_bits(x);
    uint32_t even = (u + 0x7fffu + (u >> 16 & 1)) >> 16;

    return (act_t)(x == x ? even : (u >> 16 | 0x40));
}
#else
K_INLINE float k_get(act_t x)
{
    return x;
}

K_INLINE act_t k_put(float x)
{
    return x;
}
#endif

/* ---- functions ---- */

/* e^x for x in [-87.33, 88.72]; of no use for others, NaN included.
 * e^x = 2^n e^r, |r| <= ln(2) / 2; n from adding 1.5 * 2^23, which leaves
 * round(x / ln 2) in the low bits.  n is added to the exponent of e^r, which
 * is within [0.7, 1.5], so n = 128 (x near 88.7) does not overflow. */
K_INLINE float k_exp_within(float x)
{
    const float magic = 12582912.0f;
    float t = x * 1.44269504f + magic;
    float n = t - magic;
    float r = x - n * 0.693359375f, p; /* ln 2 in two parts; the first is */

    r = r + n * 2.12194440e-4f; /* short, so that its product is exact */
    p = 1.392625083e-3f;
    p = p * r + 8.363232884e-3f;
    p = p * r + 4.166655421e-2f;
    p = p * r + 1.666657667e-1f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    return k_float(k_bits(p) + (k_bits(t) << 23));
}

/* x, but at least low and at most high; NaN for NaN. */
K_INLINE float k_clamp(float x, float low, float high)
{
    float c = x < low ? low : x;

    return c > high ? high : c;
}

K_INLINE float k_exp(float x)
{
    float p = k_exp_within(k_clamp(x, -87.33f, 88.72f));

    p = x < -87.33f ? 0.0f : p;
    p = x > 88.72f ? INFINITY : p;
    return x == x ? p : x;
}

/* Beyond +-87 it is 0 or 1 to every digit that counts. */
K_INLINE float k_sigmoid(float x)
{
    float s = 1.0f / (1.0f + k_exp_within(k_clamp(-x, -87.0f, 87.0f)));

    return x == x ? s : x;
}

/* log(1 + e^x) = max(x, 0) + log(1 + u), u = e^-|x|; and with s = u / (2 + u)
 * log(1 + u) = 2 artanh s. */
K_INLINE float k_softplus(float x)
{
    float u = k_exp(-fabsf(x));
    float s = u / (2.0f + u), t = s * s;
    float p = 1.407888918e-1f;

    p = p * t + 1.398257887e-1f;
    p = p * t + 2.001229762e-1f;
    p = p * t + 3.333316082e-1f;
    p = p * t + 1.000000004f;
    return (x > 0.0f ? x : x != x ? x : 0.0f) + 2.0f * s * p;
}

/* x P(x^2) / Q(x^2), fitted on [0, 3.95], where erf is 1 - 2e-8. */
K_INLINE float k_erf(float x)
{
    float c = k_clamp(x, -3.95f, 3.95f), u = c * c;
    float p = 2.031072913e-6f, q = 3.788941197e-5f;

    p = p * u + 2.847420810e-4f;
    p = p * u + 3.798202723e-3f;
    p = p * u + 5.284252531e-2f;
    p = p * u + 1.912801577e-1f;
    p = p * u + 1.128379129f;
    q = q * u + 1.168900584e-3f;
    q = q * u + 1.503375873e-2f;
    q = q * u + 1.144508493e-1f;
    q = q * u + 5.028501851e-1f;
    q = q * u + 1.0f;
    return c * p / q;
}

/* The same to 2e-5, without a division: enough for a result that is rounded to
 * eight bits.  x P(x^2), fitted on [0, 3.3]. */
K_INLINE float k_erf_coarse(float x)
{
    float c = k_clamp(x, -3.3f, 3.3f), u = c * c;
    float p = -2.2340306e-9f;

    p = p * u + 1.35911513e-7f;
    p = p * u - 3.66335716e-6f;
    p = p * u + 5.81845981e-5f;
    p = p * u - 6.13628873e-4f;
    p = p * u + 4.61241167e-3f;
    p = p * u - 2.59313591e-2f;
    p = p * u + 1.12086965e-1f;
    p = p * u - 3.75886e-1f;
    p = p * u + 1.12836616f;
    return c * p;
}

#ifdef CPU_ACT_BF16
#define K_ERF_ACT k_erf_coarse
#else
#define K_ERF_ACT k_erf
#endif

/* The two activations and their derivatives (formulas: train/op.h). */
K_INLINE float k_gelu(float x)
{
    return 0.5f * x * (1.0f + K_ERF_ACT(x * 0.707106781f));
}

K_INLINE float k_gelu_slope(float x)
{
    float square = k_clamp(-0.5f * x * x, -87.0f, 0.0f);

    return 0.5f * (1.0f + K_ERF_ACT(x * 0.707106781f)) +
           x * 0.398942280f * k_exp_within(square);
}

K_INLINE float k_quick_gelu(float x)
{
    return x * k_sigmoid(1.702f * x);
}

K_INLINE float k_quick_gelu_slope(float x)
{
    float s = k_sigmoid(1.702f * x);

    return s + 1.702f * x * s * (1.0f - s);
}

K_INLINE float k_activate(enum act_kind kind, float x)
{
    return kind == ACT_GELU         ? k_gelu(x)
           : kind == ACT_QUICK_GELU ? k_quick_gelu(x)
                                    : x;
}

/* ---- long arrays ---- */

/* Numbers that one loop takes: pieces are what threads share, and the loop
 * within is a plain one over contiguous memory. */
#define K_PIECE 8192

K_INLINE int64_t k_piece_end(int64_t begin, int64_t count)
{
    return begin + K_PIECE < count ? begin + K_PIECE : count;
}

/* ---- this variant's functions ---- */

#define X(name) void CPU(name)(struct device * d, const struct op_##name *o);
OP_MAP(X)
#undef X

void CPU(act)(struct device *d, enum act_kind kind, int64_t count,
              const void *pre, const void *res, void *y);
void CPU(bias_act)(struct device *d, enum act_kind kind, int64_t m, int64_t n,
                   const float *b, void *pre, const void *res, void *y);
void CPU(act_bwd)(struct device *d, enum act_kind kind, int64_t count,
                  const void *pre, void *dx);
void CPU(colsum)(struct device *d, int64_t m, int64_t n, const void *x,
                 float *sums);
void CPU(to_float)(struct device *d, int64_t count, const void *x, float *y);
void CPU(from_float)(struct device *d, int64_t count, const float *x, void *y);

/* Put the ops that are kernels, and the passes, into c (k_table.c). */
void CPU(fill)(struct cpu *c);

#endif
