/*
 * block - CLIP's residual attention block, and a stack of them.
 *
 * Model.   x1 = x + out(attention(ln_1(x)));  y = x1 + proj(act(fc(ln_2(x1)))).
 *          Forward and backward of each part are written once, here.  A stack
 *          runs blocks over the same rows, for a picture's or a caption's
 *          tower; with `reduce` its last block computes only the rows that are
 *          read: all rows give keys and values, the read ones alone a query,
 *          an output and an MLP.  With `recompute` a block keeps its input
 *          only and its backward makes the rest again: the same ops on the
 *          same numbers, so the result is bit-equal.
 * Owns.    What forward takes from the device's stack stays until the caller
 *          releases to a mark below it; backward releases what it takes.
 * Threads. The device's.
 * Cost.    A block of width d on r rows: 24 r d^2 + 4 r len d operations
 *          forward (mlp_ratio 4), twice that backward; keeps 16 r d numbers,
 *          r d with recompute.
 * Source.  Vaswani et al. 2017; pre-norm as in Radford et al. 2021, facts b.3.
 */
#ifndef TRAIN_BLOCK_H
#define TRAIN_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include "train/layer.h"
#include "train/op.h"
#include "train/rows.h"
#include "train/store.h"

struct block {
    int dim, heads, hidden;  /* columns; hidden of the MLP */
    enum act_kind act;
    struct norm_at ln_1, ln_2;
    struct linear_at in_proj, out_proj, c_fc, c_proj;
};

/* How a stack of blocks is initialised: the two towers differ (facts b.2). */
enum block_init { BLOCK_INIT_VIT, BLOCK_INIT_TEXT };

#define BLOCK_STACK_MAX 1024

struct block_kept;            /* what a block's backward reads */

struct block_stack {
    int n;
    struct block *blocks;     /* [n], owned */
    struct block_kept *kept;  /* [n], owned; pointers into the device's stack */
};

/* Declares the tensors PREFIX.resblocks.N.*. */
void block_stack_init(struct block_stack *s, struct store *store, int layers,
                      int dim, int heads, int hidden, enum act_kind act,
                      enum block_init init, const char *prefix);
void block_stack_release(struct block_stack *s);

/* y: act [r->reads, dim], the read rows of the last block's output; act
 * [r->total, dim] where all are (r->all).  x: act
 * [r->total, dim] is kept by the caller until backward.  Without train nothing
 * stays on the stack. */
void block_stack_forward(const struct pass *p, struct block_stack *s,
                         const struct rows *r, const void *x, void *y);

/* dx: act [r->total, dim]. */
void block_stack_backward(const struct pass *p, struct block_stack *s,
                          const struct rows *r, const void *dy, void *dx);

#endif
