/*
 * k_norm - what the norms share: parts of rows, and how a row lies in threads.
 *
 * Model.   In LayerNorm T threads hold a row, a warp or a block of
 * NORM_THREADS; thread `lane` of them holds its packs number lane, T + lane,
 * ... , K in all, of which only the last may lie behind the row's end.
 */
#ifndef TRAIN_CUDA_K_NORM_CUH
#define TRAIN_CUDA_K_NORM_CUH

#include "train/cuda/kernel.cuh"

#define NORM_THREADS 128 /* of a block */
#define NORM_WARPS   (NORM_THREADS / WARP)
#define NORM_WARP    1024 /* numbers of a row that a warp holds, at most */
#define NORM_BLOCK   (NORM_WARP * NORM_WARPS) /* and a block */

/* Where part i of `parts` of n rows begins; n where i is `parts`. */
static __host__ __device__ __forceinline__ int64_t part_begin(int64_t n,
                                                              int64_t parts,
                                                              int64_t i)
{
    return n / parts * i + (i < n % parts ? i : n % parts);
}

/* N floats that lie beside a pack of activations. */
template <int N>
static __device__ __forceinline__ void load_floats(const float *p, float *x)
{
    if constexpr (N == 1)
        x[0] = *p;
    else
#pragma unroll
        for (int i = 0; i < N; i += pack_n<float>)
            load_pack(p + i, x + i);
}

template <int N>
static __device__ __forceinline__ void store_floats(float *p, const float *x)
{
    if constexpr (N == 1)
        *p = x[0];
    else
#pragma unroll
        for (int i = 0; i < N; i += pack_n<float>)
            store_pack(p + i, x + i);
}

/* M sums, each over the T threads of a row, to all of them.  `room`: of shared
 * memory, M floats a warp. */
template <int T, int M>
static __device__ __forceinline__ void row_sums(float *x, float *room)
{
#pragma unroll
    for (int i = 0; i < M; i++)
        x[i] = warp_sum(x[i]);
    if constexpr (T > WARP) {
        __syncthreads(); /* room may still be read from the last sums */
        if (threadIdx.x % WARP == 0)
#pragma unroll
            for (int i = 0; i < M; i++)
                room[threadIdx.x / WARP * M + i] = x[i];
        __syncthreads();
#pragma unroll
        for (int i = 0; i < M; i++) {
            x[i] = 0;
#pragma unroll
            for (int w = 0; w < T / WARP; w++)
                x[i] += room[w * M + i];
        }
    }
}

/* ---- choosing K and T ---- */

template <typename A> static inline bool norm_in_packs(int64_t dim)
{
    return dim % pack_n<A> == 0 && dim <= NORM_BLOCK;
}

template <int K, int MOST, int T, typename F>
static inline void norm_with_k(int64_t k, F f)
{
    if (k <= K)
        f(std::integral_constant<int, K>(), std::integral_constant<int, T>());
    else if constexpr (K < MOST)
        norm_with_k<K + 1, MOST, T>(k, f);
}

/* Call f(K, T) for rows of dim. */
template <typename A, typename F>
static inline void norm_with_packs(int64_t dim, F f)
{
    constexpr int most = NORM_WARP / WARP / pack_n<A>;
    int64_t packs = dim / pack_n<A>;

    if (dim <= NORM_WARP)
        norm_with_k<1, most, WARP>((packs + WARP - 1) / WARP, f);
    else
        norm_with_k<most / NORM_WARPS + 1, most, NORM_THREADS>(
            (packs + NORM_THREADS - 1) / NORM_THREADS, f);
}

#endif
