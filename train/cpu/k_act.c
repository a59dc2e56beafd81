#include "train/cpu/k_sum.h"

/* Passes around products. */

/* kind is a constant where this is called, so that the loops have no branch. */
K_INLINE void act_piece(enum act_kind kind, int64_t i, int64_t end,
                        const act_t *pre, const act_t *res, act_t *y)
{
    if (res) {
        K_SIMD
        for (int64_t c = i; c < end; c++)
            y[c] = k_put(k_activate(kind, k_get(pre[c])) + k_get(res[c]));
        return;
    }
    K_SIMD
    for (int64_t c = i; c < end; c++)
        y[c] = k_put(k_activate(kind, k_get(pre[c])));
}

void CPU(act)(struct device *d, enum act_kind kind, int64_t count,
              const void *pre, const void *res, void *y)
{
    const act_t *x = (const act_t *)pre, *r = (const act_t *)res;
    act_t *out = (act_t *)y;

    K_PARALLEL(d, count)
    for (int64_t i = 0; i < count; i += K_PIECE) {
        if (kind == ACT_GELU)
            act_piece(ACT_GELU, i, k_piece_end(i, count), x, r, out);
        else if (kind == ACT_QUICK_GELU)
            act_piece(ACT_QUICK_GELU, i, k_piece_end(i, count), x, r, out);
        else
            act_piece(ACT_NONE, i, k_piece_end(i, count), x, r, out);
    }
}

static void gelu_bwd(int64_t i, int64_t end, const act_t *pre, act_t *dx)
{
    K_SIMD
    for (int64_t c = i; c < end; c++)
        dx[c] = k_put(k_get(dx[c]) * k_gelu_slope(k_get(pre[c])));
}

static void quick_gelu_bwd(int64_t i, int64_t end, const act_t *pre, act_t *dx)
{
    K_SIMD
    for (int64_t c = i; c < end; c++)
        dx[c] = k_put(k_get(dx[c]) * k_quick_gelu_slope(k_get(pre[c])));
}

void CPU(act_bwd)(struct device *d, enum act_kind kind, int64_t count,
                  const void *pre, void *dx)
{
    if (kind == ACT_NONE)
        return;
    K_PARALLEL(d, count)
    for (int64_t i = 0; i < count; i += K_PIECE) {
        if (kind == ACT_GELU)
            gelu_bwd(i, k_piece_end(i, count), (const act_t *)pre, (act_t *)dx);
        else
            quick_gelu_bwd(i, k_piece_end(i, count), (const act_t *)pre,
                           (act_t *)dx);
    }
}

/* ---- sums of columns ---- */

/* n numbers in strips of w. */
static void sum_block(const act_t *x, int64_t n, int64_t w, float *acc)
{
    int64_t i = 0;

    for (; i + 4 * w <= n; i += 4 * w) {
        const act_t *p = x + i, *q = p + w, *r = q + w, *s = r + w;

        K_SIMD
        for (int64_t c = 0; c < w; c++)
            acc[c] += (k_get(p[c]) + k_get(q[c])) + (k_get(r[c]) + k_get(s[c]));
    }
    for (; i < n; i += w) {
        int64_t stop = n - i < w ? n - i : w;

        K_SIMD
        for (int64_t c = 0; c < stop; c++)
            acc[c] += k_get(x[i + c]);
    }
}

void CPU(colsum)(struct device *d, int64_t m, int64_t n, const void *x,
                 float *sums)
{
    const int64_t chunks = chunk_count(m, CHUNKS_MAX);
    const int64_t w = strip_fold(n) * n;
    void *scratch = cpu_scratch(d, scratch_rows(m, n, 1));

    if (!scratch)
        return;
    K_PARALLEL(d, m * n)
    for (int64_t i = 0; i < chunks; i++) {
        struct k_part part = k_part_new(scratch, i, n, 1);
        int64_t at = chunk_begin(m, chunks, i) * n;
        const int64_t end = chunk_begin(m, chunks, i + 1) * n;

        for (; at < end; at += CHUNK_BLOCK * w) {
            int64_t left = end - at;

            sum_block((const act_t *)x + at,
                      left < CHUNK_BLOCK * w ? left : CHUNK_BLOCK * w, w,
                      part.strip);
            k_flush(part.total, part.strip, n);
        }
    }
    k_reduce(d, scratch, chunks, n, 1, 0, sums);
}

/* ---- types ---- */

void CPU(to_float)(struct device *d, int64_t count, const void *x, float *y)
{
    const act_t *from = (const act_t *)x;

    K_PARALLEL(d, count)
    for (int64_t i = 0; i < count; i += K_PIECE) {
        K_SIMD
        for (int64_t c = i; c < k_piece_end(i, count); c++)
            y[c] = k_get(from[c]);
    }
}

void CPU(from_float)(struct device *d, int64_t count, const float *x, void *y)
{
    act_t *to = (act_t *)y;

    K_PARALLEL(d, count)
    for (int64_t i = 0; i < count; i += K_PIECE) {
        K_SIMD
        for (int64_t c = i; c < k_piece_end(i, count); c++)
            to[c] = k_put(x[c]);
    }
}
