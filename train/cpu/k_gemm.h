/*
 * k_gemm - small products of float tiles, for attention and the losses.
 *
 * Model.   c (+)= a b for tiles that sit in the first two caches.  Accumulators
 *          stay in registers: GEMM_ROWS rows by GEMM_COLS columns at a time.
 *          a is read number by number (each times a vector of b), so it may
 *          lie either way; b is read in vectors, either as plain rows or as
 *          panels of GEMM_COLS columns, which is what gemm_pack_across()
 *          makes of rows that stand across.
 * Precision. Every c is one sum over k in ascending order, in float, begun at
 *          zero and then added to what is there: the bits do not depend on m,
 *          n or how rows are cut into blocks.
 * Threads. Any, on arrays of their own.
 * Cost.    Allocates nothing.
 */
#ifndef TRAIN_CPU_K_GEMM_H
#define TRAIN_CPU_K_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#if defined __x86_64__
#include <immintrin.h>
#endif
#include "train/cpu/k.h"

#if defined __AVX512F__
#define VW 16 /* floats in a vector */
#elif defined __AVX2__
#define VW 8
#else
#define VW 4
#endif

typedef float vf __attribute__((vector_size(4 * VW)));

K_INLINE vf vf_load(const float *p)
{
    vf x;

    memcpy(&x, p, sizeof x);
    return x;
}

K_INLINE void vf_store(float *p, vf x)
{
    memcpy(p, &x, sizeof x);
}

K_INLINE vf vf_set(float x)
{
    return x - (vf){0};
}

/* The larger of each two; b where either is a NaN. */
K_INLINE vf vf_max(vf a, vf b)
{
#if VW == 16
    return _mm512_max_ps(a, b);
#elif VW == 8
    return _mm256_max_ps(a, b);
#elif defined __SSE2__
    return _mm_max_ps(a, b);
#else
    for (int i = 0; i < VW; i++)
        b[i] = a[i] > b[i] ? a[i] : b[i];
    return b;
#endif
}

/* By halves, in registers. */
K_INLINE float vf_largest(vf x)
{
#if defined __SSE2__
#if VW == 16
    __m256 half =
        _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
#elif VW == 8
    __m256 half = x;
#endif
#if VW >= 8
    __m128 y = _mm_max_ps(_mm256_castps256_ps128(half),
                          _mm256_extractf128_ps(half, 1));
#else
    __m128 y = x;
#endif
    y = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return _mm_cvtss_f32(_mm_max_ss(y, _mm_shuffle_ps(y, y, 1)));
#else
    for (int n = VW / 2; n; n /= 2)
        for (int i = 0; i < n; i++)
            x[i] = x[i] > x[i + n] ? x[i] : x[i + n];
    return x[0];
#endif
}

#if VW == 16
enum { GEMM_ROWS = 12 }; /* 24 of 32 registers hold sums */
#else
enum { GEMM_ROWS = 6 }; /* 12 of 16 */
#endif
enum { GEMM_COLS = 2 * VW };

struct gemm {
    int m, n, k;
    const float *a; /* a(i, p) = a[i * a_row + p * a_col]; one is 1 */
    ptrdiff_t a_row, a_col;
    const float *b; /* b(p, j) = b[j / GEMM_COLS * b_panel + p * b_row +
                       j % GEMM_COLS]; columns up to a multiple of VW are
                       read */
    ptrdiff_t b_row, b_panel; /* plain rows of length l: l, GEMM_COLS */
    float *c; /* c(i, j) = c[i * c_row + j]; just n columns of each
                 row are touched */
    ptrdiff_t c_row;
    bool add; /* c += */
};

void CPU(gemm)(const struct gemm *g);

/* Columns read of a matrix of n. */
K_INLINE int gemm_width(int n)
{
    return (n + VW - 1) / VW * VW;
}

/* A square of vectors, transposed: log2(VW) rounds, each of which interleaves
 * every row with the one half a square below. */
#if VW == 16
#define VF_LOW  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define VF_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VW == 8
#define VF_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define VF_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define VF_LOW  0, 4, 1, 5
#define VF_HIGH 2, 6, 3, 7
#endif

K_INLINE void gemm_turn(vf r[VW])
{
    for (int width = 1; width < VW; width *= 2) {
        vf t[VW];

#pragma GCC unroll 8
        for (int i = 0; i < VW / 2; i++) {
            t[2 * i] = __builtin_shufflevector(r[i], r[i + VW / 2], VF_LOW);
            t[2 * i + 1] =
                __builtin_shufflevector(r[i], r[i + VW / 2], VF_HIGH);
        }
#pragma GCC unroll 16
        for (int i = 0; i < VW; i++)
            r[i] = t[i];
    }
}

/* ---- rows of an array into a tile ---- */

/* VW numbers, of type act or (real) float, as floats; or the first n of them
 * and 0. */
K_INLINE vf gemm_get(const void *x, int64_t i, bool real)
{
#ifdef CPU_ACT_BF16
    typedef uint16_t half __attribute__((vector_size(2 * VW)));
    typedef uint32_t bits __attribute__((vector_size(4 * VW)));
    half b;

    if (!real) {
        memcpy(&b, (const act_t *)x + i, sizeof b);
        return (vf)(__builtin_convertvector(b, bits) << 16);
    }
#endif
    (void)real;
    return vf_load((const float *)x + i);
}

K_INLINE vf gemm_get_part(const void *x, int64_t i, bool real, int n)
{
    float y[VW] = {0};

    for (int j = 0; j < n; j++)
        y[j] =
            real ? ((const float *)x)[i + j] : k_get(((const act_t *)x)[i + j]);
    return vf_load(y);
}

/* n rows of k numbers, times `by`; in the tile they are `row` floats apart, and
 * 0 behind k up to a whole vector. */
K_INLINE void gemm_rows(int n, int k, const void *x, int64_t ld, bool real,
                        float by, float *to, ptrdiff_t row)
{
    int whole = k / VW * VW;

    for (int i = 0; i < n; i++, to += row) {
        for (int j = 0; j < whole; j += VW)
            vf_store(to + j, gemm_get(x, i * ld + j, real) * by);
        if (whole < k)
            vf_store(to + whole,
                     gemm_get_part(x, i * ld + whole, real, k - whole) * by);
    }
}

/* n rows of k numbers as columns: panels of GEMM_COLS of them, k rows each;
 * columns behind n up to a whole vector are 0. */
K_INLINE void gemm_across(int n, int k, const void *x, int64_t ld, bool real,
                          float *to)
{
    for (int i = 0; i < n; i += VW) {
        float *at =
            to + (ptrdiff_t)(i / GEMM_COLS) * k * GEMM_COLS + i % GEMM_COLS;

        for (int j = 0; j < k; j += VW) {
            int left = k - j < VW ? k - j : VW;
            vf r[VW];

#pragma GCC unroll 16
            for (int t = 0; t < VW; t++) {
                int64_t from = (i + t) * ld + j;

                r[t] = i + t >= n   ? vf_set(0)
                       : left == VW ? gemm_get(x, from, real)
                                    : gemm_get_part(x, from, real, left);
            }
            gemm_turn(r);
            for (int t = 0; t < left; t++)
                vf_store(at + (j + t) * GEMM_COLS, r[t]);
        }
    }
}

/* One tile's part of a row's online softmax (Milakov & Gimelshein 2018): *max
 * rises to the largest of its n scores (times `by`), which become exp(score -
 * max); gives their sum.  Up to a whole vector is overwritten with 0. */
K_INLINE float gemm_soften(float *s, int n, float by, float *max)
{
    int whole = (n + VW - 1) & -VW;
    vf most = vf_set(*max);
    float m, sum = 0;

    for (int j = n; j < whole; j++)
        s[j] = -INFINITY;
    for (int j = 0; j < whole; j += VW) {
        vf x = vf_load(s + j) * by;

        vf_store(s + j, x);
        most = vf_max(x, most);
    }
    m = vf_largest(most);
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < whole; j++) {
        s[j] = k_exp(s[j] - m);
        sum += s[j];
    }
    *max = m;
    return sum;
}

#endif
