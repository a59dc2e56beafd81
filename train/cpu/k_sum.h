/*
 * k_sum - sums over rows inside kernels: the parts of scratch.h laid out.
 *
 * Model.   One chunk of rows has one part: `sums` rows of doubles (totals) and
 *          `sums` strips of floats that a block is added up in.
 */
#ifndef TRAIN_CPU_K_SUM_H
#define TRAIN_CPU_K_SUM_H

#include "train/cpu/k.h"
#include "train/cpu/scratch.h"

#define K_TILE 64 /* columns that one thread reduces at a time */

struct k_part {
    double *total; /* [sums, dim] */
    float *strip;  /* [sums, strip_fold(dim) * dim] */
};

K_INLINE struct k_part k_part_at(void *scratch, int64_t i, int64_t dim,
                                 int sums)
{
    char *p = (char *)scratch + (size_t)i * part_bytes(dim, sums);
    struct k_part part = {
        (double *)(void *)p,
        (float *)(void *)(p + (size_t)(sums * dim) * sizeof(double))};

    return part;
}

/* Of chunk i, all zero. */
K_INLINE struct k_part k_part_new(void *scratch, int64_t i, int64_t dim,
                                  int sums)
{
    struct k_part part = k_part_at(scratch, i, dim, sums);

    memset(part.total, 0, part_bytes(dim, sums));
    return part;
}

/* A strip into its totals; it is zero then. */
K_INLINE void k_flush(double *total, float *strip, int64_t dim)
{
    for (int64_t f = 0; f < strip_fold(dim); f++) {
        float *s = strip + f * dim;

        K_SIMD
        for (int64_t c = 0; c < dim; c++) {
            total[c] += (double)s[c];
            s[c] = 0.0f;
        }
    }
}

/* Totals of sum number `which` over parts first .. first + n - 1, columns
 * begin .. end - 1 (K_TILE at most), ascending, into out[0 ..]. */
K_INLINE void k_gather(void *scratch, int64_t first, int64_t n, int64_t dim,
                       int sums, int which, int64_t begin, int64_t end,
                       double *out)
{
    memset(out, 0, (size_t)(end - begin) * sizeof *out);
    for (int64_t i = first; i < first + n; i++) {
        const double *t =
            k_part_at(scratch, i, dim, sums).total + which * dim + begin;

        K_SIMD
        for (int64_t c = 0; c < end - begin; c++)
            out[c] += t[c];
    }
}

/* out += sum number `which` over all n parts. */
K_INLINE void k_reduce(struct device *d, void *scratch, int64_t n, int64_t dim,
                       int sums, int which, float *out)
{
    int64_t tiles = (dim + K_TILE - 1) / K_TILE;

    K_PARALLEL(d, n * dim)
    for (int64_t t = 0; t < tiles; t++) {
        int64_t begin = t * K_TILE, end = begin + K_TILE;
        double sum[K_TILE];

        end = end < dim ? end : dim;
        k_gather(scratch, 0, n, dim, sums, which, begin, end, sum);
        for (int64_t c = begin; c < end; c++)
            out[c] = (float)((double)out[c] + sum[c - begin]);
    }
}

#endif
