/*
 * lay - rows over blocks, for kernels whose threads share nothing.
 *
 * Model.   A row is cut into packs, one a thread; a block takes as many rows
 *          as fit, or a part of one.  So a thread finds its column by one
 *          division of small numbers, and rows of 64 numbers fill warps like
 *          rows of 4,096 do.
 */
#ifndef TRAIN_CUDA_LAY_CUH
#define TRAIN_CUDA_LAY_CUH

#include "train/cuda/kernel.cuh"

#define LAY_THREADS 256

struct lay {
    int per;         /* packs of a row a block takes */
    int rows;        /* rows a block takes */
    unsigned blocks; /* of a row: 1, or more where rows is 1 */
    unsigned threads;
};

static inline lay lay_rows(int64_t packs)
{
    lay l;

    l.blocks = blocks_for(packs, LAY_THREADS);
    l.per = (int)((packs + l.blocks - 1) / l.blocks);
    l.rows = LAY_THREADS / l.per;
    l.threads = (unsigned)(l.per * l.rows + WARP - 1) / WARP * WARP;
    return l;
}

/* The thread's row in the block, -1 for none, and its column; `block` is the
 * one of the row's. */
struct spot {
    int row, column;
};

template <int N>
static __device__ __forceinline__ spot lay_spot(const lay &l, unsigned block,
                                                int64_t dim)
{
    const int row = (int)threadIdx.x / l.per;
    const int at = (int)threadIdx.x - row * l.per;
    const int column = ((int)block * l.per + at) * N;

    return {row < l.rows && column < dim ? row : -1, column};
}

/* N numbers of `real`. */
template <int N>
static __device__ __forceinline__ void load_reals(const float *p, float *x)
{
    if constexpr (N == 1) {
        x[0] = *p;
    } else {
#pragma unroll
        for (int i = 0; i < N; i += 4)
            load_pack(p + i, x + i);
    }
}

template <int N>
static __device__ __forceinline__ void store_reals(float *p, const float *x)
{
    if constexpr (N == 1) {
        *p = x[0];
    } else {
#pragma unroll
        for (int i = 0; i < N; i += 4)
            store_pack(p + i, x + i);
    }
}

#endif
