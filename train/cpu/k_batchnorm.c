#include <stdbool.h>

#include "train/cpu/k_sum.h"

/*
 * A group is cut into chunks of rows.  One read gives each chunk's mean and sum
 * of squared deviations, taken around the chunk's first row so that a large
 * mean does not cancel; the chunks are put together in double by the rule of
 * Chan, Golub & LeVeque (1979).  A second read normalises.
 */

#define STAT_SUMS 3 /* the third strip holds the first row, repeated */

struct cut {
    int64_t group, chunk; /* of the op, of the group */
    int64_t begin, end;   /* numbers of x */
};

static struct cut cut_at(int64_t i, int64_t chunks, int64_t per, int64_t dim)
{
    struct cut c = {i / chunks, i % chunks, 0, 0};

    c.begin = (c.group * per + chunk_begin(per, chunks, c.chunk)) * dim;
    c.end = (c.group * per + chunk_begin(per, chunks, c.chunk + 1)) * dim;
    return c;
}

K_INLINE int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- forward ---- */

/* n numbers in strips of w; four strips go into the sums at once. */
static void stat_block(const act_t *x, int64_t n, int64_t w, const float *shift,
                       float *sum, float *squares)
{
    int64_t i = 0;

    for (; i + 4 * w <= n; i += 4 * w) {
        const act_t *p = x + i, *q = p + w, *r = q + w, *s = r + w;

        K_SIMD
        for (int64_t c = 0; c < w; c++) {
            float a = k_get(p[c]) - shift[c], b = k_get(q[c]) - shift[c];
            float e = k_get(r[c]) - shift[c], f = k_get(s[c]) - shift[c];

            sum[c] += (a + b) + (e + f);
            squares[c] += (a * a + b * b) + (e * e + f * f);
        }
    }
    for (; i < n; i += w) {
        int64_t stop = smaller(w, n - i);

        K_SIMD
        for (int64_t c = 0; c < stop; c++) {
            float a = k_get(x[i + c]) - shift[c];

            sum[c] += a;
            squares[c] += a * a;
        }
    }
}

static void stat_chunk(const struct op_batchnorm *o, struct cut cut,
                       struct k_part part)
{
    const act_t *x = (const act_t *)o->x;
    const int64_t w = strip_fold(o->dim) * o->dim;
    float *shift = part.strip + 2 * w;

    for (int64_t c = 0; c < w; c++)
        shift[c] = k_get(x[cut.begin + c % o->dim]);
    for (int64_t i = cut.begin; i < cut.end; i += CHUNK_BLOCK * w) {
        stat_block(x + i, smaller(CHUNK_BLOCK * w, cut.end - i), w, shift,
                   part.strip, part.strip + w);
        k_flush(part.total, part.strip, o->dim);
        k_flush(part.total + o->dim, part.strip + w, o->dim);
    }
}

/* Mean and variance of group g, columns begin .. end - 1. */
static void stat_combine(const struct op_batchnorm *o, void *scratch, int64_t g,
                         int64_t begin, int64_t end)
{
    const int64_t chunks = group_chunks(o->groups, o->per);
    const int64_t w = strip_fold(o->dim) * o->dim;
    double mean[K_TILE], squares[K_TILE];

    for (int64_t i = 0; i < chunks; i++) {
        struct k_part p = k_part_at(scratch, g * chunks + i, o->dim, STAT_SUMS);
        double before = (double)chunk_begin(o->per, chunks, i);
        double after = (double)chunk_begin(o->per, chunks, i + 1);
        double n = after - before;

        for (int64_t c = begin; c < end; c++) {
            double s = p.total[c], q = p.total[o->dim + c];
            double m = (double)p.strip[2 * w + c] + s / n;
            double v = q - s * s / n, step;

            v = v > 0.0 ? v : v < 0.0 ? 0.0 : v; /* a NaN stays */
            if (i == 0) {
                mean[c - begin] = m;
                squares[c - begin] = v;
                continue;
            }
            step = m - mean[c - begin];
            mean[c - begin] += step * n / after;
            squares[c - begin] += v + step * step * before * n / after;
        }
    }
    for (int64_t c = begin; c < end; c++) {
        ((float *)o->mean)[g * o->dim + c] = (float)mean[c - begin];
        ((float *)o->var)[g * o->dim + c] =
            (float)(squares[c - begin] / (double)o->per);
    }
}

static void statistics(struct device *d, const struct op_batchnorm *o,
                       void *scratch)
{
    const int64_t chunks = group_chunks(o->groups, o->per);
    const int64_t tiles = (o->dim + K_TILE - 1) / K_TILE;

    K_PARALLEL(d, o->groups * o->per * o->dim)
    for (int64_t i = 0; i < o->groups * chunks; i++)
        stat_chunk(o, cut_at(i, chunks, o->per, o->dim),
                   k_part_new(scratch, i, o->dim, STAT_SUMS));
    K_PARALLEL(d, o->groups * chunks * o->dim)
    for (int64_t t = 0; t < o->groups * tiles; t++) {
        int64_t begin = t % tiles * K_TILE;

        stat_combine(o, scratch, t / tiles, begin,
                     smaller(begin + K_TILE, o->dim));
    }
}

/* (x - mean) * a + b, coefs: strips of mean, a, b. */
K_INLINE void apply(const act_t *x, const act_t *res, act_t *y, int64_t n,
                    int64_t w, const float *coefs, bool with_res, bool relu)
{
    const float *mean = coefs, *a = coefs + w, *b = coefs + 2 * w;

    for (int64_t i = 0; i < n; i += w) {
        int64_t stop = smaller(w, n - i);

        K_SIMD
        for (int64_t c = 0; c < stop; c++) {
            float v = (k_get(x[i + c]) - mean[c]) * a[c] + b[c];

            if (with_res)
                v += k_get(res[i + c]);
            if (relu)
                v = v < 0.0f ? 0.0f : v; /* a NaN stays */
            y[i + c] = k_put(v);
        }
    }
}

static void apply_cut(const struct op_batchnorm *o, struct cut cut,
                      const float *coefs)
{
    const int64_t w = strip_fold(o->dim) * o->dim, n = cut.end - cut.begin;
    const act_t *x = (const act_t *)o->x + cut.begin;
    const act_t *res = o->res ? (const act_t *)o->res + cut.begin : NULL;
    act_t *y = (act_t *)o->y + cut.begin;

    coefs += cut.group * 3 * w;
    if (res && o->relu)
        apply(x, res, y, n, w, coefs, true, true);
    else if (res)
        apply(x, res, y, n, w, coefs, true, false);
    else if (o->relu)
        apply(x, res, y, n, w, coefs, false, true);
    else
        apply(x, res, y, n, w, coefs, false, false);
}

static double rstd_of(float var)
{
    return 1.0 / sqrt((double)var + OP_NORM_EPS);
}

void CPU(batchnorm)(struct device *d, const struct op_batchnorm *o)
{
    const int64_t chunks = group_chunks(o->groups, o->per);
    const int64_t w = strip_fold(o->dim) * o->dim;
    const size_t parts = scratch_groups(o->groups, o->per, o->dim, STAT_SUMS);
    char *scratch =
        (char *)cpu_scratch(d, parts + scratch_coefs(o->groups, o->dim, 3));
    float *coefs;

    if (!scratch)
        return;
    coefs = (float *)(void *)(scratch + parts);
    if (!o->given)
        statistics(d, o, scratch);
    for (int64_t i = 0; i < o->groups * w; i++) {
        int64_t g = i / w, c = i % w, k = g * o->dim + c % o->dim;
        float *f = coefs + g * 3 * w + c;

        f[0] = ((const float *)o->mean)[k];
        f[w] = (float)(rstd_of(((const float *)o->var)[k]) *
                       (double)((const float *)o->g)[c % o->dim]);
        f[2 * w] = ((const float *)o->b)[c % o->dim];
    }
    K_PARALLEL(d, o->groups * o->per * o->dim)
    for (int64_t i = 0; i < o->groups * chunks; i++)
        apply_cut(o, cut_at(i, chunks, o->per, o->dim), coefs);
}

/* ---- backward ---- */

/*
 * With v = dy where y > 0, S1 = sum v, S2 = sum v (x - mean), n rows:
 *   db = S1, dg = S2 rstd,
 *   dx = g rstd (v - S1 / n - (x - mean) rstd^2 S2 / n).
 * coefs: strips of mean, g rstd, -g rstd^3 S2 / n, -g rstd S1 / n.
 */

K_INLINE void bwd_sums(const act_t *x, const act_t *y, const act_t *dy,
                       int64_t n, int64_t w, const float *mean, float *sum,
                       float *dot, bool relu)
{
    int64_t i = 0;

    for (; i + 2 * w <= n; i += 2 * w) {
        const int64_t j = i + w;

        K_SIMD
        for (int64_t c = 0; c < w; c++) {
            float s = k_get(dy[i + c]), t = k_get(dy[j + c]);

            if (relu) {
                s = k_get(y[i + c]) > 0.0f ? s : 0.0f;
                t = k_get(y[j + c]) > 0.0f ? t : 0.0f;
            }
            sum[c] += s + t;
            dot[c] += s * (k_get(x[i + c]) - mean[c]) +
                      t * (k_get(x[j + c]) - mean[c]);
        }
    }
    for (; i < n; i += w) {
        int64_t stop = smaller(w, n - i);

        K_SIMD
        for (int64_t c = 0; c < stop; c++) {
            float s = k_get(dy[i + c]);

            if (relu)
                s = k_get(y[i + c]) > 0.0f ? s : 0.0f;
            sum[c] += s;
            dot[c] += s * (k_get(x[i + c]) - mean[c]);
        }
    }
}

static void bwd_chunk(const struct op_batchnorm_bwd *o, struct cut cut,
                      struct k_part part, const float *mean)
{
    const act_t *x = (const act_t *)o->x, *dy = (const act_t *)o->dy;
    const act_t *y = (const act_t *)o->y;
    const int64_t w = strip_fold(o->dim) * o->dim;

    for (int64_t i = cut.begin; i < cut.end; i += CHUNK_BLOCK * w) {
        int64_t n = smaller(CHUNK_BLOCK * w, cut.end - i);

        if (y)
            bwd_sums(x + i, y + i, dy + i, n, w, mean, part.strip,
                     part.strip + w, true);
        else
            bwd_sums(x + i, NULL, dy + i, n, w, mean, part.strip,
                     part.strip + w, false);
        k_flush(part.total, part.strip, o->dim);
        k_flush(part.total + o->dim, part.strip + w, o->dim);
    }
}

/* Columns begin .. end - 1: dg, db, and the coefficients of all groups. */
static void bwd_combine(const struct op_batchnorm_bwd *o, void *scratch,
                        float *coefs, int64_t begin, int64_t end)
{
    const int64_t chunks = group_chunks(o->groups, o->per);
    const int64_t w = strip_fold(o->dim) * o->dim;
    double sum[K_TILE], dot[K_TILE], dg[K_TILE] = {0}, db[K_TILE] = {0};

    for (int64_t g = 0; g < o->groups; g++) {
        k_gather(scratch, g * chunks, chunks, o->dim, 2, 0, begin, end, sum);
        k_gather(scratch, g * chunks, chunks, o->dim, 2, 1, begin, end, dot);
        for (int64_t c = begin; c < end; c++) {
            double s = sum[c - begin], t = dot[c - begin];
            double rstd = rstd_of(((const float *)o->var)[g * o->dim + c]);
            double a = (double)((const float *)o->g)[c] * rstd;

            db[c - begin] += s;
            dg[c - begin] += t * rstd;
            for (int64_t k = c; k < w; k += o->dim) {
                float *f = coefs + g * 4 * w + k;

                f[w] = (float)a;
                f[2 * w] = (float)(-a * rstd * rstd * t / (double)o->per);
                f[3 * w] = (float)(-a * s / (double)o->per);
            }
        }
    }
    for (int64_t c = begin; c < end; c++) {
        ((float *)o->dg)[c] += (float)dg[c - begin];
        ((float *)o->db)[c] += (float)db[c - begin];
    }
}

K_INLINE void bwd_apply(const act_t *x, const act_t *y, const act_t *dy,
                        act_t *dx, act_t *dres, int64_t n, int64_t w,
                        const float *coefs, bool relu, bool with_res)
{
    const float *mean = coefs, *of_dy = coefs + w, *of_x = coefs + 2 * w;
    const float *rest = coefs + 3 * w;

    for (int64_t i = 0; i < n; i += w) {
        int64_t stop = smaller(w, n - i);

        K_SIMD
        for (int64_t c = 0; c < stop; c++) {
            float v = k_get(dy[i + c]);

            if (relu)
                v = k_get(y[i + c]) > 0.0f ? v : 0.0f;
            if (with_res)
                dres[i + c] = k_put(v);
            dx[i + c] = k_put(v * of_dy[c] +
                              (k_get(x[i + c]) - mean[c]) * of_x[c] + rest[c]);
        }
    }
}

static void bwd_apply_cut(const struct op_batchnorm_bwd *o, struct cut cut,
                          const float *coefs)
{
    const int64_t w = strip_fold(o->dim) * o->dim, n = cut.end - cut.begin;
    const act_t *x = (const act_t *)o->x + cut.begin;
    const act_t *y = o->y ? (const act_t *)o->y + cut.begin : NULL;
    const act_t *dy = (const act_t *)o->dy + cut.begin;
    act_t *dx = (act_t *)o->dx + cut.begin;
    act_t *dres = o->dres ? (act_t *)o->dres + cut.begin : NULL;

    coefs += cut.group * 4 * w;
    if (y && dres)
        bwd_apply(x, y, dy, dx, dres, n, w, coefs, true, true);
    else if (y)
        bwd_apply(x, y, dy, dx, dres, n, w, coefs, true, false);
    else if (dres)
        bwd_apply(x, y, dy, dx, dres, n, w, coefs, false, true);
    else
        bwd_apply(x, y, dy, dx, dres, n, w, coefs, false, false);
}

void CPU(batchnorm_bwd)(struct device *d, const struct op_batchnorm_bwd *o)
{
    const int64_t chunks = group_chunks(o->groups, o->per);
    const int64_t tiles = (o->dim + K_TILE - 1) / K_TILE;
    const int64_t w = strip_fold(o->dim) * o->dim;
    const int64_t work = o->groups * o->per * o->dim;
    const size_t parts = scratch_groups(o->groups, o->per, o->dim, 2);
    char *scratch =
        (char *)cpu_scratch(d, parts + scratch_coefs(o->groups, o->dim, 4));
    float *coefs;

    if (!scratch)
        return;
    coefs = (float *)(void *)(scratch + parts);
    for (int64_t i = 0; i < o->groups * w; i++)
        coefs[i / w * 4 * w + i % w] =
            ((const float *)o->mean)[i / w * o->dim + i % w % o->dim];
    K_PARALLEL(d, work)
    for (int64_t i = 0; i < o->groups * chunks; i++)
        bwd_chunk(o, cut_at(i, chunks, o->per, o->dim),
                  k_part_new(scratch, i, o->dim, 2),
                  coefs + i / chunks * 4 * w);
    K_PARALLEL(d, o->groups * chunks * o->dim)
    for (int64_t t = 0; t < tiles; t++)
        bwd_combine(o, scratch, coefs, t * K_TILE,
                    smaller((t + 1) * K_TILE, o->dim));
    K_PARALLEL(d, work)
    for (int64_t i = 0; i < o->groups * chunks; i++)
        bwd_apply_cut(o, cut_at(i, chunks, o->per, o->dim), coefs);
}

void CPU(batchnorm_collect)(struct device *d,
                            const struct op_batchnorm_collect *o)
{
    const float *mean = (const float *)o->mean, *var = (const float *)o->var;
    const double unbiased =
        o->per > 1 ? (double)o->per / (double)(o->per - 1) : 1.0;

    (void)d;
    for (int64_t c = 0; c < o->dim; c++) {
        double m = 0.0, v = 0.0;

        for (int64_t g = 0; g < o->groups; g++) {
            m += (double)mean[g * o->dim + c];
            v += (double)var[g * o->dim + c];
        }
        ((float *)o->sum_mean)[c] += (float)m;
        ((float *)o->sum_var)[c] += (float)(v * unbiased);
    }
}
