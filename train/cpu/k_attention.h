/*
 * k_attention - what both passes of attention share: a head, and how its rows
 * become float tiles.
 */
#ifndef TRAIN_CPU_K_ATTENTION_H
#define TRAIN_CPU_K_ATTENTION_H

#include "train/cpu/k_gemm.h"
#include "train/cpu/tiles.h"

/* One head of one sequence. */
struct head {
    const struct op_attention *o;
    int nq, nk;         /* lengths of the ranges */
    int row;            /* floats from row to row of a tile */
    int width;          /* of them, whole vectors that hold dim */
    int panel;          /* keys of a panel */
    float scale;        /* dim^-1/2 */
    int64_t q_at, k_at; /* first rows */
    int column;         /* first column */
};

/* Threads for an op, and how many heads a thread takes at a time: a sequence's,
 * or so few of them that every thread gets its share of it. */
K_INLINE int head_threads(const struct device *d, const struct op_attention *o)
{
    return k_threads(d, o->pairs * o->heads * o->dim);
}

K_INLINE int head_chunk(const struct op_attention *o, int threads)
{
    return threads == 1 || o->seqs >= 16 * threads ? o->heads : 4;
}

K_INLINE struct head head_of(const struct op_attention *o, int task)
{
    int s = task / o->heads, a = task % o->heads;

    return (struct head){
        .o = o,
        .nq = o->q_end[s] - o->q_begin[s],
        .nk = o->k_end[s] - o->k_begin[s],
        .row = attend_row(o->dim),
        .width = gemm_width(o->dim),
        .panel = attend_panel(o),
        .scale = 1.0f / sqrtf((float)o->dim),
        .q_at = o->q_begin[s],
        .k_at = o->k_begin[s],
        .column = a * o->dim,
    };
}

/* Row i of the head's queries and keys in an array of that stride. */
K_INLINE const act_t *head_q(const struct head *h, const void *x, int64_t ld,
                             int i)
{
    return (const act_t *)x + (h->q_at + i) * ld + h->column;
}

K_INLINE const act_t *head_k(const struct head *h, const void *x, int64_t ld,
                             int i)
{
    return (const act_t *)x + (h->k_at + i) * ld + h->column;
}

/* Columns of out and dout. */
K_INLINE int64_t head_ld(const struct head *h)
{
    return (int64_t)h->o->heads * h->o->dim;
}

/* Blocks of queries, dealt evenly; the first query of block b. */
K_INLINE int head_blocks(const struct head *h)
{
    return (h->nq + ATTEND_QUERIES - 1) / ATTEND_QUERIES;
}

K_INLINE int head_block(const struct head *h, int b)
{
    return (int)((int64_t)h->nq * b / head_blocks(h));
}

/* Keys that queries before `end` see. */
K_INLINE int head_sees(const struct head *h, int end)
{
    return h->o->causal && end < h->nk ? end : h->nk;
}

/* n rows of an array into rows of a tile, times `by`. */
K_INLINE void head_rows(const struct head *h, int n, const act_t *x, int64_t ld,
                        float by, float *to)
{
    gemm_rows(n, h->o->dim, x, ld, false, by, to, h->row);
}

/* And as columns. */
K_INLINE void head_across(const struct head *h, int n, const act_t *x,
                          int64_t ld, float *to)
{
    gemm_across(n, h->o->dim, x, ld, false, to);
}

/* A tile's rows, times `by`, into an array. */
K_INLINE void head_store(const struct head *h, const float *from, float by,
                         act_t *to)
{
    int dim = h->o->dim;

    K_SIMD
    for (int j = 0; j < dim; j++)
        to[j] = k_put(from[j] * by);
}

#endif
