/*
 * products - products of matrices on the GPU, through cuBLASLt.
 *
 * Model.   d = op(a) op(b) [+ bias of each column] [+ c], sums in float, for
 *          the linear layers (products_linear.c) and for convolutions as
 *          products (conv.c).  cuBLASLt is asked once per distinct shape how
 *          to compute it: its first answer that fits LT_WORKSPACE is kept in a
 *          table under everything that the answer depends on.  Asked in the
 *          dry run, else at a shape's first call.  What cuBLASLt refuses is
 *          computed by a kernel of our own (k_product.cu), slowly.
 *          An algorithm that is fixed gives the same bits on the same GPU;
 *          partial sums, where the sum over k is split, are kept in float.
 * Owns.    struct lt (of struct cuda) owns the library's handle and the table.
 * Fails.   Sticky in the device.
 * Threads. The device's.
 * Cost.    One launch; two where the sum over k is split.  A lookup hashes
 *          some 70 bytes.
 */
#ifndef TRAIN_CUDA_PRODUCTS_H
#define TRAIN_CUDA_PRODUCTS_H

#include "train/cuda/cuda_private.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LT_WORKSPACE ((size_t)32 << 20) /* bytes; what NVIDIA advises */

enum product_sums { SUMS_NONE, SUMS_A, SUMS_B };

/* All arrays are row-major; ld: numbers from a row to the next. */
struct product {
    int64_t m, n, k; /* d is [m, n]; k products are summed */
    const void *a;   /* act [m, k], or [k, m] with a_turned */
    const void *b;   /* act [k, n], or [n, k] with b_turned */
    int64_t lda, ldb;
    bool a_turned, b_turned;
    bool real;        /* type of d, c and bias: real, else act */
    const void *bias; /* [n], or NULL */
    const void *c;    /* [m, n], rows of ldd; may be d; NULL: left out */
    void *d;          /* [m, n] */
    int64_t ldd;
    enum product_sums of; /* without bias: sums of op(a)'s rows, [m], or of */
    float *sums;          /* op(b)'s columns, [n] */
    void *workspace;      /* LT_WORKSPACE bytes of scratch */
};

/* Not to be asked for `of` unless product_sums_free() said so. */
void product(struct device *d, const struct product *p);

/* Whether the sums come with the same kernel that the product without them
 * gets, and so for nothing. */
bool product_sums_free(struct device *d, const struct product *p);

/* The same without cuBLASLt, but for sums: k_product.cu. */
void product_own(struct device *d, const struct product *p);

/* Rows that one product may have where its arrays are at most so many numbers
 * wide: 2^20 (more overflow the grids of some of cuBLASLt's kernels), and less
 * than 2^31 numbers. */
int64_t product_rows(const struct device *d, int64_t widest);

/* `offset` bytes into scratch, which is NULL in some dry runs; never NULL, so
 * that a bias there is one in the dry run, too. */
static inline void *product_scratch(const char *scratch, size_t offset)
{
    return (void *)((uintptr_t)scratch + offset + !scratch * DEVICE_ALIGN);
}

/* ---- small kernels around products: k_act.cu, k_sums.cu ---- */

/* y = x, real to act: a bias of the type that the product's output has, and
 * aligned. */
void cuda_bias(struct device *d, int64_t n, const void *x, void *y);

/* out += sums of x's columns, act [rows, n]; scratch: SUMS_BYTES(n). */
#define SUMS_PARTS    64 /* at most */
#define SUMS_BYTES(n) ((size_t)(n)*SUMS_PARTS * sizeof(float))
void cuda_column_sums(struct device *d, int64_t rows, int64_t n, const void *x,
                      float *scratch, float *out);

/* ---- what cuBLASLt was asked, products_tune.c ---- */

/* Free what tuning holds in the device's memory; before anybody allocates. */
void lt_tune_yield(struct device *d);

/* Shapes in the table; those of them that cuBLASLt refused; that were timed;
 * that take another answer than the first for it. */
struct lt_counts {
    int shapes, refused, timed, changed;
};

struct lt_counts lt_counted(const struct device *d);

/* ---- for tests ---- */

/* product_rows() is at most so much, a multiple of 8; 0: as it was. */
void lt_rows_most(struct device *d, int64_t rows);

#ifdef __cplusplus
}
#endif

#endif
