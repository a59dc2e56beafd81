/*
 * Products that cuBLASLt refuses: rows that begin on odd numbers, say.
 *
 * Method.  A block computes TILE x TILE numbers of d, a thread 4 x 4 of them,
 *          TILE_K of k at a time through shared memory; k ascends.  Made to be
 *          right for every shape and stride, not to be fast.
 * Cost.    2 m n k FLOPs at a few TFLOP/s.
 */
#include "train/cuda/kernel.cuh"
#include "train/cuda/products.h"

#define TILE         64
#define TILE_K       16
#define TILE_THREADS 256 /* 16 x 16, each 4 x 4 numbers, 16 apart */

/* TILE rows by TILE_K of op(x), zero beyond its edges: x[i][j] at i * row +
 * j * col. */
template <typename A>
static __device__ __forceinline__ void
load_tile(float (*to)[TILE + 1], const A *x, int64_t row, int64_t col,
          int64_t from, int64_t rows, int64_t from_k, int64_t k)
{
    for (int t = threadIdx.x; t < TILE * TILE_K; t += TILE_THREADS) {
        /* neighbours in memory by neighbouring threads */
        int i = col == 1 ? t / TILE_K : t % TILE;
        int j = col == 1 ? t % TILE_K : t / TILE;
        bool in = from + i < rows && from_k + j < k;

        to[j][i] =
            in ? to_float(x[(from + i) * row + (from_k + j) * col]) : 0.0f;
    }
}

template <typename A, typename D>
static __device__ __forceinline__ void store_one(const struct product &p,
                                                 int64_t i, int64_t j, float x)
{
    if (i >= p.m || j >= p.n)
        return;
    if (p.bias)
        x += to_float(((const D *)p.bias)[j]);
    if (p.c)
        x += to_float(((const D *)p.c)[i * p.ldd + j]);
    set((D *)p.d + i * p.ldd + j, x);
}

template <typename A, typename D>
static __global__ void __launch_bounds__(TILE_THREADS)
    multiply(struct product p)
{
    __shared__ float a[TILE_K][TILE + 1], b[TILE_K][TILE + 1];
    int64_t i0 = (int64_t)blockIdx.x * TILE, j0 = (int64_t)blockIdx.y * TILE;
    int ti = threadIdx.x / 16, tj = threadIdx.x % 16;
    float sum[4][4] = {};

    for (int64_t k0 = 0; k0 < p.k; k0 += TILE_K) {
        __syncthreads();
        load_tile<A>(a, (const A *)p.a, p.a_turned ? 1 : p.lda,
                     p.a_turned ? p.lda : 1, i0, p.m, k0, p.k);
        load_tile<A>(b, (const A *)p.b, p.b_turned ? p.ldb : 1,
                     p.b_turned ? 1 : p.ldb, j0, p.n, k0, p.k);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE_K; k++)
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++)
                    sum[i][j] += a[k][ti + 16 * i] * b[k][tj + 16 * j];
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            store_one<A, D>(p, i0 + ti + 16 * i, j0 + tj + 16 * j, sum[i][j]);
}

void product_own(struct device *d, const struct product *p)
{
    dim3 grid(blocks_for(p->m, TILE), blocks_for(p->n, TILE));

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (p->real)
            launch(d, multiply<A, float>, grid, TILE_THREADS, 0, *p);
        else
            launch(d, multiply<A, A>, grid, TILE_THREADS, 0, *p);
    });
}
