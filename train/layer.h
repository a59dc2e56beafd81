/*
 * layer - the two parts that all towers are made of: products and norms.
 *
 * Model.   An op knows pointers; a layer knows which tensors of the store they
 *          are.  A struct pass says where a model is run and how, and is handed
 *          through everything; a backward takes the pass of its forward.
 *          Gradients of tensors are added to.
 * Owns.    Nothing; norm_forward() leaves its statistics on the stack.
 * Threads. The device's.
 */
#ifndef TRAIN_LAYER_H
#define TRAIN_LAYER_H

#include <stdbool.h>
#include <stdint.h>
#include "train/op.h"
#include "train/store.h"

struct pass {
    struct device *d;
    const struct store *store;
    bool train;     /* forward keeps what backward reads; gradients flow */
    bool recompute; /* per block (ViT, text) or bottleneck (ResNet) */
    bool reduce;    /* last block: the read rows alone */
};

/* Indices into the store. */
struct norm_at {
    int g, b;
};
struct linear_at {
    int w, b;
};

/* ---- LayerNorm ---- */

struct norm_kept {
    void *mean, *rstd; /* real [rows] */
};

/* Declares PREFIXNAME.weight and PREFIXNAME.bias. */
struct norm_at norm_init(struct store *store, int64_t dim, const char *prefix,
                         const char *name);

/* x, y: act [rows, dim]. */
void norm_forward(const struct pass *p, struct norm_at at, int64_t rows,
                  int64_t dim, const void *x, struct norm_kept *k, void *y);

/* dx = res + ...; res may be NULL, dx may be dy or res. */
void norm_backward(const struct pass *p, struct norm_at at, int64_t rows,
                   int64_t dim, const void *x, const struct norm_kept *k,
                   const void *dy, const void *res, void *dx);

/* ---- products ---- */

/* A product's tensors as ops take them. */
struct product {
    int64_t n, k; /* outputs, inputs */
    bool w_is_in_out;
    const void *w, *b; /* b NULL without bias */
    void *dw, *db;     /* NULL without training */
};

/* Outputs [first, first + n) of a product of k inputs, weight [all, k]; at.b is
 * -1 without bias. */
struct product product_of(const struct pass *p, struct linear_at at,
                          int64_t first, int64_t n, int64_t k);

/* A projection: weight w as [k, n], no bias. */
struct product product_projection(const struct pass *p, int w, int64_t n,
                                  int64_t k);

/* y = x w^T + b + res; res may be NULL.  m rows. */
void product_forward(const struct pass *p, const struct product *l, int64_t m,
                     const void *x, const void *res, void *y);

/* y = act(pre), pre = x w^T + b. */
void product_forward_act(const struct pass *p, const struct product *l,
                         int64_t m, const void *x, enum act_kind act, void *pre,
                         void *y);

/* Gradients of w and b, and dx unless that is NULL. */
void product_backward(const struct pass *p, const struct product *l, int64_t m,
                      const void *x, const void *dy, void *dx);

/* The same where x = act(pre); dpre is the gradient of pre. */
void product_backward_act(const struct pass *p, const struct product *l,
                          int64_t m, const void *x, enum act_kind act,
                          const void *pre, const void *dy, void *dpre);

#endif
