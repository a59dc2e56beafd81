/*
 * products_private - what products.c and products_tune.c share: the table of
 * shapes, and an entry of it.
 *
 * Owns.    struct lt owns entries, handles and what tuning holds.
 * Threads. The device's.
 */
#ifndef TRAIN_CUDA_PRODUCTS_PRIVATE_H
#define TRAIN_CUDA_PRODUCTS_PRIVATE_H

#include <cublasLt.h>

#include "train/cuda/products.h"

#define LT_ALIGN_MOST 256 /* bytes; more makes no difference to cuBLASLt */

/* Of a timed product: what sums of its inputs may cost beside it, as a part of
 * its time.  A pass over one input for its own sake costs that at least: 6%
 * beside k = 3,072, a fourth beside 768. */
#define LT_SUMS_COST 0.05f

enum { /* of struct key */
       KEY_A_TURNED = 1,
       KEY_B_TURNED = 2,
       KEY_REAL = 4,
       KEY_BIAS = 8,
       KEY_ADD = 16,
       KEY_SUMS_A = 32,
       KEY_SUMS_B = 64
};

/* All that an algorithm depends on, without gaps: it is hashed and compared as
 * bytes.  Types of a and b are the device's. */
struct key {
    int64_t m, n, k, lda, ldb, ldd;
    uint16_t align[5]; /* bytes: a, b, c, d, bias or sums */
    uint16_t flags;
    uint32_t zero;
};

struct entry {
    struct key key;
    bool refused; /* by cuBLASLt: product_own() */
    int32_t id;   /* the kernel's, as cuBLASLt counts them */
    float ms;     /* a call of algo; 0: was not timed */
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d; /* as we call them */
    cublasLtMatmulAlgo_t algo;
};

/* What --tune times answers with: products_tune.c. */
struct tune {
    cudaEvent_t began, ended;
    char *room;  /* device memory that stands for a product's arrays */
    size_t size; /* bytes of it */
    uint64_t spent_ns;
    int timed, changed; /* shapes; those that do not take the first answer */
};

struct lt {
    cublasLtHandle_t handle;
    cublasLtMatmulPreference_t preference;
    struct entry **slot; /* [slots], at most half of them full */
    int slots;           /* a power of two */
    int used, refused;
    int64_t rows_most;
    struct tune tune;
};

/* Where the bias is read from, or sums go to. */
cublasStatus_t lt_set_vector(cublasLtMatmulDesc_t desc, const void *p);

/* Which of `n` answers to take: 0, or the fastest where answers are timed. */
int lt_fastest(struct device *d, struct entry *en,
               const cublasLtMatmulHeuristicResult_t *answer, int n);

void lt_tune_close(struct device *d);

#endif
