/*
 * tiles - how attention and the losses are cut, and the memory for their tiles.
 *
 * Model.   Attention goes by blocks of queries and, within them, tiles of keys,
 *          whose scores are all that is ever stored of a head's [len, len].
 *          A panel is the keys that are widened to float at a time: those of
 *          a whole sequence where they fit.
 *          The losses go by blocks of rows and tiles of columns.
 *          The cut depends on the shape alone, and each block is one thread's,
 *          so results do not depend on the thread count.
 */
#ifndef TRAIN_CPU_TILES_H
#define TRAIN_CPU_TILES_H

#include <stddef.h>
#include <stdint.h>
#include "train/op.h"

#define ATTEND_QUERIES 64    /* of a block, at most */
#define ATTEND_KEYS    128   /* of a tile */
#define ATTEND_PANEL   40960 /* floats: 640 keys of 64, five of them in 1 MB */
#define ATTEND_ONE_MAX                                                         \
    (ATTEND_QUERIES * ATTEND_KEYS) /* keys that one query                      \
              takes without tiles */

/* Floats from row to row: whole vectors of any instruction set, and not a
 * stride by which the cache's sets repeat soon. */
static inline int attend_row(int dim)
{
    int row = (dim + 15) / 16 * 16;

    return row > 64 && row % 64 == 0 ? row + 16 : row;
}

/* Keys of a panel: a multiple of 32. */
static inline int attend_panel(const struct op_attention *o)
{
    int most = ATTEND_PANEL / attend_row(o->dim) / 32 * 32;
    int need = (o->max_k + 31) / 32 * 32;

    most = most < 32 ? 32 : most;
    return need < most ? need : most;
}

/* Floats for a thread. */
static inline size_t attend_floats(const struct op_attention *o, int panels)
{
    size_t row = (size_t)attend_row(o->dim);

    return (size_t)panels * row * (size_t)attend_panel(o) +
           3 * row * ATTEND_QUERIES + 2 * ATTEND_QUERIES * ATTEND_KEYS +
           3 * ATTEND_QUERIES;
}

/* Bytes for all threads. */
static inline size_t attend_bytes(const struct op_attention *o, int threads)
{
    return (size_t)threads * attend_floats(o, 2) * sizeof(float);
}

static inline size_t attend_bwd_bytes(const struct op_attention_bwd *o,
                                      int threads)
{
    return (size_t)threads * attend_floats(o->forward, 5) * sizeof(float);
}

#define LOSS_ROWS_MIN 36 /* of a block: multiples of what gemm takes */
#define LOSS_ROWS_MAX 192
#define LOSS_BLOCKS   32  /* wanted, for that many threads to have work */
#define LOSS_COLS     128 /* of a tile */
#define LOSS_DEPTH    256 /* columns of features that are multiplied at once */
#define LOSS_PACK     (LOSS_DEPTH + 16) /* floats from row to row of them */

/* Rows of a block. */
static inline int loss_rows(int64_t rows)
{
    int64_t n = (rows + LOSS_BLOCKS - 1) / LOSS_BLOCKS;

    n = (n + 11) / 12 * 12;
    return (int)(n < LOSS_ROWS_MIN   ? LOSS_ROWS_MIN
                 : n > LOSS_ROWS_MAX ? LOSS_ROWS_MAX
                                     : n);
}

static inline int64_t loss_blocks(int64_t rows)
{
    return (rows + loss_rows(rows) - 1) / loss_rows(rows);
}

/* Floats for a thread: similarities, features; two sums of each block lie
 * before them. */
static inline size_t loss_floats(void)
{
    return LOSS_ROWS_MAX * LOSS_COLS + LOSS_COLS * LOSS_PACK;
}

static inline size_t loss_sums_bytes(int64_t rows)
{
    return ((size_t)loss_blocks(rows) * 2 * sizeof(double) + 63) & ~(size_t)63;
}

static inline size_t loss_bytes(int64_t rows, int threads)
{
    return loss_sums_bytes(rows) +
           (size_t)threads * loss_floats() * sizeof(float);
}

#endif
