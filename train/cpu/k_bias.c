#include "train/cpu/k.h"

/* What is left of a product's row: bias, activation, residual.  kind is a
 * constant where this is called, and so are the NULLs; no loop has a branch. */

K_INLINE float bias_at(const float *b, int64_t i)
{
    return b ? b[i] : 0.0f;
}

K_INLINE void row(enum act_kind kind, int64_t n, const float *b, act_t *pre,
                  const act_t *res, act_t *y)
{
    K_SIMD
    for (int64_t i = 0; i < n; i++) {
        float x = k_get(pre[i]) + bias_at(b, i);

        if (kind != ACT_NONE && b)
            pre[i] = k_put(x);
        x = k_activate(kind, x);
        y[i] = k_put(res ? x + k_get(res[i]) : x);
    }
}

K_INLINE void rows(struct device *d, enum act_kind kind, int64_t m, int64_t n,
                   const float *b, act_t *pre, const act_t *res, act_t *y)
{
    K_PARALLEL(d, m * n)
    for (int64_t r = 0; r < m; r++) {
        act_t *in = pre + r * n, *out = y + r * n;

        if (b && res)
            row(kind, n, b, in, res + r * n, out);
        else if (b)
            row(kind, n, b, in, NULL, out);
        else if (res)
            row(kind, n, NULL, in, res + r * n, out);
        else
            row(kind, n, NULL, in, NULL, out);
    }
}

void CPU(bias_act)(struct device *d, enum act_kind kind, int64_t m, int64_t n,
                   const float *b, void *pre, const void *res, void *y)
{
    act_t *in = (act_t *)pre, *out = (act_t *)y;
    const act_t *r = (const act_t *)res;

    if (kind == ACT_GELU)
        rows(d, ACT_GELU, m, n, b, in, r, out);
    else if (kind == ACT_QUICK_GELU)
        rows(d, ACT_QUICK_GELU, m, n, b, in, r, out);
    else
        rows(d, ACT_NONE, m, n, b, in, r, out);
}
