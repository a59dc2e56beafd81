#include "train/cpu/k_sum.h"

/* A row's sums are taken in four quarters at once: one alone would wait for
 * each addition to end. */

static float sum_of(const act_t *x, int64_t n)
{
    const int64_t q = n / 4;
    float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;

#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t c = 0; c < q; c++) {
        s0 += k_get(x[c]);
        s1 += k_get(x[q + c]);
        s2 += k_get(x[2 * q + c]);
        s3 += k_get(x[3 * q + c]);
    }
    for (int64_t c = 4 * q; c < n; c++)
        s0 += k_get(x[c]);
    return (s0 + s1) + (s2 + s3);
}

K_INLINE float square_at(const act_t *x, int64_t c, float mean)
{
    float v = k_get(x[c]) - mean;

    return v * v;
}

/* Of deviations from mean. */
static float squares_of(const act_t *x, int64_t n, float mean)
{
    const int64_t q = n / 4;
    float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;

#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t c = 0; c < q; c++) {
        s0 += square_at(x, c, mean);
        s1 += square_at(x, q + c, mean);
        s2 += square_at(x, 2 * q + c, mean);
        s3 += square_at(x, 3 * q + c, mean);
    }
    for (int64_t c = 4 * q; c < n; c++)
        s0 += square_at(x, c, mean);
    return (s0 + s1) + (s2 + s3);
}

/* ---- LayerNorm ---- */

/* The row is read from memory once: it is in the first cache for the other two
 * passes.  The variance of deviations, not of squares, does not cancel. */
static void layernorm_row(const struct op_layernorm *o, int64_t r)
{
    const act_t *x = (const act_t *)o->x + r * o->dim;
    const float *g = (const float *)o->g, *b = (const float *)o->b;
    act_t *y = (act_t *)o->y + r * o->dim;
    const float mean = sum_of(x, o->dim) / (float)o->dim;
    const float var = squares_of(x, o->dim, mean) / (float)o->dim;
    const float rstd = 1.0f / sqrtf(var + (float)OP_NORM_EPS);

    K_SIMD
    for (int64_t c = 0; c < o->dim; c++)
        y[c] = k_put((k_get(x[c]) - mean) * rstd * g[c] + b[c]);
    ((float *)o->mean)[r] = mean;
    ((float *)o->rstd)[r] = rstd;
}

void CPU(layernorm)(struct device *d, const struct op_layernorm *o)
{
    K_PARALLEL(d, o->rows * o->dim)
    for (int64_t r = 0; r < o->rows; r++)
        layernorm_row(o, r);
}

/* One row: dx, and its share of dg and db. */
static void layernorm_bwd_row(const struct op_layernorm_bwd *o, int64_t r,
                              float *dg, float *db)
{
    const int64_t at = r * o->dim;
    const act_t *x = (const act_t *)o->x + at, *dy = (const act_t *)o->dy + at;
    const act_t *res = o->res ? (const act_t *)o->res + at : NULL;
    const float *g = (const float *)o->g;
    const float mean = ((const float *)o->mean)[r];
    const float rstd = ((const float *)o->rstd)[r];
    act_t *dx = (act_t *)o->dx + at;
    float sum = 0.0f, dot = 0.0f;

#pragma omp simd reduction(+ : sum, dot)
    for (int64_t c = 0; c < o->dim; c++) {
        float v = k_get(dy[c]), n = (k_get(x[c]) - mean) * rstd;
        float w = v * g[c];

        db[c] += v;
        dg[c] += v * n;
        sum += w;
        dot += w * n;
    }
    sum /= (float)o->dim;
    dot /= (float)o->dim;
    if (res) {
        K_SIMD
        for (int64_t c = 0; c < o->dim; c++) {
            float n = (k_get(x[c]) - mean) * rstd;

            dx[c] = k_put(k_get(res[c]) +
                          rstd * (k_get(dy[c]) * g[c] - sum - n * dot));
        }
        return;
    }
    K_SIMD
    for (int64_t c = 0; c < o->dim; c++) {
        float n = (k_get(x[c]) - mean) * rstd;

        dx[c] = k_put(rstd * (k_get(dy[c]) * g[c] - sum - n * dot));
    }
}

void CPU(layernorm_bwd)(struct device *d, const struct op_layernorm_bwd *o)
{
    const int64_t chunks = chunk_count(o->rows, CHUNKS_MAX);
    const int64_t strip = strip_fold(o->dim) * o->dim;
    void *scratch = cpu_scratch(d, scratch_rows(o->rows, o->dim, 2));

    if (!scratch)
        return;
    K_PARALLEL(d, o->rows * o->dim)
    for (int64_t i = 0; i < chunks; i++) {
        struct k_part part = k_part_new(scratch, i, o->dim, 2);
        int64_t r = chunk_begin(o->rows, chunks, i);
        int64_t end = chunk_begin(o->rows, chunks, i + 1);

        while (r < end) {
            int64_t stop = r + CHUNK_BLOCK < end ? r + CHUNK_BLOCK : end;

            for (; r < stop; r++)
                layernorm_bwd_row(o, r, part.strip, part.strip + strip);
            k_flush(part.total, part.strip, o->dim);
            k_flush(part.total + o->dim, part.strip + strip, o->dim);
        }
    }
    k_reduce(d, scratch, chunks, o->dim, 2, 0, (float *)o->dg);
    k_reduce(d, scratch, chunks, o->dim, 2, 1, (float *)o->db);
}

/* ---- L2 ---- */

void CPU(l2norm)(struct device *d, const struct op_l2norm *o)
{
    K_PARALLEL(d, o->rows * o->dim)
    for (int64_t r = 0; r < o->rows; r++) {
        const act_t *x = (const act_t *)o->x + r * o->dim;
        float *y = (float *)o->y + r * o->dim;
        float norm = sqrtf(squares_of(x, o->dim, 0.0f));

        norm = norm < 1e-12f ? 1e-12f : norm; /* a NaN stays */
        ((float *)o->norm)[r] = norm;
        K_SIMD
        for (int64_t c = 0; c < o->dim; c++)
            y[c] = k_get(x[c]) / norm;
    }
}

void CPU(l2norm_bwd)(struct device *d, const struct op_l2norm_bwd *o)
{
    K_PARALLEL(d, o->rows * o->dim)
    for (int64_t r = 0; r < o->rows; r++) {
        const float *y = (const float *)o->y + r * o->dim;
        const float *dy = (const float *)o->dy + r * o->dim;
        const float scale = 1.0f / ((const float *)o->norm)[r];
        act_t *dx = (act_t *)o->dx + r * o->dim;
        float dot = 0.0f;

#pragma omp simd reduction(+ : dot)
        for (int64_t c = 0; c < o->dim; c++)
            dot += dy[c] * y[c];
        K_SIMD
        for (int64_t c = 0; c < o->dim; c++)
            dx[c] = k_put((dy[c] - dot * y[c]) * scale);
    }
}
