/*
 * scratch - how sums over many rows are cut, and the memory for their parts.
 *
 * Model.   A sum over rows is taken in chunks of rows, each by one thread into
 *          its own part of the scratch, and the parts are added in ascending
 *          order.  The cut depends on the shape alone, so the result does not
 *          depend on the thread count.  Within a chunk floats are summed for
 *          BLOCK numbers at most before they go to double.
 *          An op of narrow rows is done on "strips": rows are contiguous, so
 *          `fold` rows side by side are one longer row, whose columns repeat.
 */
#ifndef TRAIN_CPU_SCRATCH_H
#define TRAIN_CPU_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#define CHUNKS_MAX     128 /* parts of a sum: more than most machines' cores */
#define CHUNK_ROWS_MIN 32
#define CHUNK_BLOCK    64    /* floats added up before double takes over */
#define STRIP_MIN      256   /* numbers in a strip, about */
#define SUMSQ_CHUNK    65536 /* numbers */

static inline int64_t chunk_count(int64_t rows, int64_t most)
{
    int64_t n = (rows + CHUNK_ROWS_MIN - 1) / CHUNK_ROWS_MIN;

    return n < 1 ? 1 : n > most ? most : n;
}

/* The first row of chunk i of n; that of chunk n is `rows`. */
static inline int64_t chunk_begin(int64_t rows, int64_t n, int64_t i)
{
    return rows / n * i + (i < rows % n ? i : rows % n);
}

/* Rows side by side in a strip. */
static inline int64_t strip_fold(int64_t dim)
{
    return dim >= STRIP_MIN ? 1 : (STRIP_MIN + dim - 1) / dim;
}

/* Chunks of each group when there are several. */
static inline int64_t group_chunks(int64_t groups, int64_t per)
{
    int64_t most = CHUNKS_MAX / (groups < 1 ? 1 : groups);

    return chunk_count(per, most < 1 ? 1 : most);
}

/* One chunk's part: `sums` rows of dim doubles, and of strips of floats. */
static inline size_t part_bytes(int64_t dim, int sums)
{
    size_t strip = (size_t)(strip_fold(dim) * dim);
    size_t bytes =
        (size_t)sums * ((size_t)dim * sizeof(double) + strip * sizeof(float));

    return (bytes + 63) & ~(size_t)63; /* threads do not share a line */
}

/* What ops take: the parts of sums over rows, over the rows of groups;
 * `coefs` strips of floats a group; the parts of a sum of squares. */
static inline size_t scratch_rows(int64_t rows, int64_t dim, int sums)
{
    return (size_t)chunk_count(rows, CHUNKS_MAX) * part_bytes(dim, sums);
}

static inline size_t scratch_groups(int64_t groups, int64_t per, int64_t dim,
                                    int sums)
{
    return (size_t)(groups * group_chunks(groups, per)) * part_bytes(dim, sums);
}

static inline size_t scratch_coefs(int64_t groups, int64_t dim, int coefs)
{
    return (size_t)(groups * coefs * strip_fold(dim) * dim) * sizeof(float);
}

static inline size_t scratch_sumsq(int64_t n)
{
    return (size_t)((n + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK) * sizeof(double);
}

#endif
