/*
 * products_private - what the files of products share: oneDNN's primitives,
 * kept by shape, and products of matrices in tiles of rows.
 *
 * Model.   A struct prim is a oneDNN primitive with its memory objects, made
 *          once for a key of small numbers and found again by it; a run only
 *          sets where its arrays stand.  A kernel of oneDNN may want its
 *          weights in an order of its own; then `packed` says in which, and
 *          `pack` is the reorder that brings them there (or, of a gradient of
 *          weights, from there).
 *              A struct gemm or wgrad is filled in with shapes, then prepared
 *          (its primitives found or made, its scratch known), then run.  A dry
 *          run only prepares.
 * Owns.    struct products owns all primitives until cpu_products_close().
 *          Arrays are the caller's.
 * Fails.   Prepare and run tell by false, and the failure sticks in d.
 * Threads. The device's.
 */
#ifndef TRAIN_CPU_PRODUCTS_PRIVATE_H
#define TRAIN_CPU_PRODUCTS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <oneapi/dnnl/dnnl.h>
#include "train/cpu/cpu.h"
#include "train/cpu/products.h"

/* ---- primitives by shape: train/cpu/products.c ---- */

#define PRIM_ARGS    6
#define PRIM_BUCKETS 256

enum prim_kind { PRIM_GEMM, PRIM_WGRAD, PRIM_CONV, PRIM_CONV_DX, PRIM_CONV_DW };

struct prim_key {
    int64_t kind, flags; /* flags: what the kind makes of them */
    int64_t dim[8];      /* 0 where unused */
};

struct prim {
    struct prim_key key;
    struct prim *next; /* of the same bucket */
    dnnl_primitive_t run;
    int args;
    dnnl_exec_arg_t arg[PRIM_ARGS];
    size_t scratchpad;         /* bytes */
    dnnl_memory_desc_t packed; /* the weights as it wants them */
    size_t packed_bytes;       /* 0: it takes them as they stand */
    struct prim *pack;         /* NULL when packed_bytes is 0 */
};

struct products {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_data_type_t act;
    struct prim *bucket[PRIM_BUCKETS];
};

static inline struct products *products_of(struct device *d)
{
    return (struct products *)cpu_of(d)->products;
}

/* The primitive of this key, made by `make` when there is none; make fills in
 * what stands behind `next`.  NULL: failed. */
struct prim *prim_get(struct device *d, const struct prim_key *key,
                      const void *shape,
                      dnnl_status_t (*make)(struct products *s,
                                            const void *shape, struct prim *p));

/* For a `make`: the primitive of a description, with scratch by the caller;
 * then its arguments in the order in which prim_run() takes them. */
dnnl_status_t prim_create(struct products *s, struct prim *p, const void *desc,
                          dnnl_post_ops_t post, dnnl_primitive_desc_t hint,
                          dnnl_primitive_desc_t *pd);
dnnl_status_t prim_arg(struct products *s, struct prim *p, int name,
                       const dnnl_memory_desc_t *md);

/* p->packed and, if it is not `plain`, p->pack; back: from packed to plain,
 * added to what is there. */
dnnl_status_t prim_pack(struct products *s, struct prim *p,
                        const dnnl_memory_desc_t *packed,
                        const dnnl_memory_desc_t *plain, bool back);

/* Arrays in the order of the arguments; `scratchpad` of p->scratchpad bytes. */
bool prim_run(struct device *d, const struct prim *p, const void *const *arrays,
              void *scratchpad);

/* A row-major matrix; t: transposed, stored [cols, rows]. */
dnnl_memory_desc_t matrix_desc(int64_t rows, int64_t cols, bool t,
                               dnnl_data_type_t type);

static inline size_t round_up(size_t bytes)
{
    return (bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
}

/* ---- products in tiles of rows: train/cpu/products_gemm.c ---- */

/*
 * Rows are cut in tiles of the same number and a last one of at least as many
 * and less than twice as many, so that few shapes come up whatever m is, and
 * what reads a tile after the product finds it in the cache.
 */
struct tiles {
    int64_t n, rows, last; /* tiles, rows of each, rows of the last */
};

struct tiles tiles_of(int64_t m, int64_t rows);

/* Row `row` of a matrix of activations. */
static inline void *row_at(const struct device *d, const void *x, int64_t row,
                           int64_t cols)
{
    return (char *)x + (size_t)(row * cols) * dtype_size(d->act);
}

static inline int64_t tile_rows(const struct tiles *t, int64_t i)
{
    return i < t->n - 1 ? t->rows : t->last;
}

/* c[m, n] = a[m, k] b (+ bias) (+ res); all act, bias real. */
struct gemm {
    int64_t m, n, k;
    bool b_is_nk; /* b stands as [n, k], not [k, n] */
    bool bias, res;
    bool add;                 /* c += instead; without bias and res */
    struct tiles tiles;       /* from here on by gemm_prepare() */
    size_t scratch;           /* bytes */
    struct prim *tile, *last; /* NULL where dnnl_sgemm does it */
};

bool gemm_prepare(struct device *d, struct gemm *g);

/* Pack b into the scratch, where that is done; then the tiles, in any order.
 * a, c and res are the tile's rows. */
bool gemm_begin(struct device *d, const struct gemm *g, const void *b,
                void *scratch);
bool gemm_tile(struct device *d, const struct gemm *g, int64_t i, const void *a,
               const void *b, const float *bias, const void *res, void *c,
               void *scratch);

/* c[p, q] += a^T b, a: act [m, p], b: act [m, q], c: float.  p q decides how.
 */
struct wgrad {
    int64_t m, p, q;
    struct tiles tiles; /* from here on by wgrad_prepare() */
    size_t scratch;     /* bytes */
    struct prim *tile, *last;
};

bool wgrad_prepare(struct device *d, struct wgrad *g);
bool wgrad_run(struct device *d, const struct wgrad *g, const void *a,
               const void *b, float *c, void *scratch);

/* ---- the ops ---- */

/* Each with `dry`: prepare only. */
void products_linear(struct device *d, const struct op_linear *o, bool dry);
void products_linear_dx(struct device *d, const struct op_linear_dx *o,
                        bool dry);
void products_linear_dw(struct device *d, const struct op_linear_dw *o,
                        bool dry);
void products_conv(struct device *d, const struct op_conv *o, bool dry);
void products_conv_dx(struct device *d, const struct op_conv_dx *o, bool dry);
void products_conv_dw(struct device *d, const struct op_conv_dw *o, bool dry);

#endif
