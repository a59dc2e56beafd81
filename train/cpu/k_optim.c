#include "train/cpu/k.h"
#include "train/cpu/scratch.h"

/* What stays the same over all numbers of a tensor. */
struct adamw_step {
    float keep;         /* 1 - lr decay */
    float beta1, rest1; /* rest: 1 - beta, rounded after the subtraction */
    float beta2, rest2;
    float step; /* lr / (1 - beta1^t) */
    float root; /* 1 / sqrt(1 - beta2^t) */
    float eps, scale;
};

K_INLINE void adamw_one(const struct adamw_step *s, float *p, float *m,
                        float *v, float g)
{
    g *= s->scale;
    *m += s->rest1 * (g - *m);
    *v = s->beta2 * *v + s->rest2 * (g * g);
    *p = *p * s->keep - s->step * *m / (sqrtf(*v) * s->root + s->eps);
}

static void adamw_piece(const struct op_adamw *o, struct adamw_step s,
                        int64_t i, int64_t end)
{
    float *p = (float *)o->p, *m = (float *)o->m, *v = (float *)o->v;
    const float *g = (const float *)o->g;
    act_t *copy = o->copy == o->p ? NULL : (act_t *)o->copy;

    if (copy) {
        K_SIMD
        for (int64_t c = i; c < end; c++) {
            adamw_one(&s, p + c, m + c, v + c, g[c]);
            copy[c] = k_put(p[c]);
        }
        return;
    }
    K_SIMD
    for (int64_t c = i; c < end; c++)
        adamw_one(&s, p + c, m + c, v + c, g[c]);
}

void CPU(adamw)(struct device *d, const struct op_adamw *o)
{
    const double t = (double)o->t;
    struct adamw_step s = {
        .keep = (float)(1.0 - o->lr * o->decay),
        .rest1 = (float)(1.0 - o->beta1),
        .beta2 = (float)o->beta2,
        .rest2 = (float)(1.0 - o->beta2),
        .step = (float)(o->lr / (1.0 - pow(o->beta1, t))),
        .root = (float)(1.0 / sqrt(1.0 - pow(o->beta2, t))),
        .eps = (float)o->eps,
        .scale = (float)o->grad_scale,
    };

    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < o->n; i += K_PIECE)
        adamw_piece(o, s, i, k_piece_end(i, o->n));
}

static double squares(const float *x, int64_t n)
{
    const int64_t q = n / 4; /* four sums: one would wait for each addition */
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;

#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t c = 0; c < q; c++) {
        s0 += (double)x[c] * (double)x[c];
        s1 += (double)x[q + c] * (double)x[q + c];
        s2 += (double)x[2 * q + c] * (double)x[2 * q + c];
        s3 += (double)x[3 * q + c] * (double)x[3 * q + c];
    }
    for (int64_t c = 4 * q; c < n; c++)
        s0 += (double)x[c] * (double)x[c];
    return (s0 + s1) + (s2 + s3);
}

void CPU(sumsq)(struct device *d, const struct op_sumsq *o)
{
    const int64_t chunks = (o->n + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK;
    double *parts = (double *)cpu_scratch(d, scratch_sumsq(o->n));
    double sum = 0.0;

    if (!parts)
        return;
    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < chunks; i++) {
        int64_t left = o->n - i * SUMSQ_CHUNK;

        parts[i] = squares((const float *)o->x + i * SUMSQ_CHUNK,
                           left < SUMSQ_CHUNK ? left : SUMSQ_CHUNK);
    }
    for (int64_t i = 0; i < chunks; i++)
        sum += parts[i];
    *o->out += sum;
}

void CPU(cast)(struct device *d, const struct op_cast *o)
{
    CPU(from_float)(d, o->n, (const float *)o->x, o->y);
}

void CPU(add)(struct device *d, const struct op_add *o)
{
    CPU(act)(d, ACT_NONE, o->n, o->x, o->y, o->y);
}

void CPU(axpby)(struct device *d, const struct op_axpby *o)
{
    const float a = (float)o->a, b = (float)o->b;
    const float *x = (const float *)o->x;
    float *y = (float *)o->y;

    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < o->n; i += K_PIECE) {
        K_SIMD
        for (int64_t c = i; c < k_piece_end(i, o->n); c++)
            y[c] = a * x[c] + b * y[c];
    }
}

void CPU(clamp)(struct device *d, const struct op_clamp *o)
{
    const float low = (float)o->low, high = (float)o->high;
    float *x = (float *)o->x;

    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < o->n; i += K_PIECE) {
        K_SIMD
        for (int64_t c = i; c < k_piece_end(i, o->n); c++) {
            float v = x[c] < low ? low : x[c];

            x[c] = v > high ? high : v;
        }
    }
}

void CPU(zero)(struct device *d, const struct op_zero *o)
{
    const int64_t piece = K_PIECE * (int64_t)sizeof(float);
    char *x = (char *)o->x;

    K_PARALLEL(d, o->bytes / (int64_t)sizeof(float))
    for (int64_t i = 0; i < o->bytes; i += piece) {
        int64_t n = o->bytes - i < piece ? o->bytes - i : piece;

        memset(x + i, 0, (size_t)n);
    }
}

void CPU(copy)(struct device *d, const struct op_copy *o)
{
    const int64_t piece = K_PIECE * (int64_t)sizeof(float);
    const char *x = (const char *)o->x;
    char *y = (char *)o->y;

    K_PARALLEL(d, o->bytes / (int64_t)sizeof(float))
    for (int64_t i = 0; i < o->bytes; i += piece) {
        int64_t n = o->bytes - i < piece ? o->bytes - i : piece;

        memcpy(y + i, x + i, (size_t)n);
    }
}
