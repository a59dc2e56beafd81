/*
 * kernel - what kernels are written in: types, loads, sums, launching.
 *
 * Model.   A kernel is a template over the type of an activation, float or
 *          bf16, and computes in float.  Where rows are long enough and their
 *          length is a multiple of a pack (16 bytes), threads load and store
 *          packs; else single numbers.  Sums are taken in an order that the
 *          shape alone gives: lanes by butterfly, warps ascending, parts of
 *          rows through scratch and cuda_sum_parts(); never by atomics.
 *          A block has a multiple of 32 threads, all of which reach every
 *          shuffle and barrier.
 *          Compiled by nvcc for GPUs, and by the host's compiler against
 *          tests/emulate for the tests.
 * Cost.    launch() is one call of the runtime; none while planning, nor for a
 *          grid without blocks, which CUDA would refuse.
 */
#ifndef TRAIN_CUDA_KERNEL_CUH
#define TRAIN_CUDA_KERNEL_CUH

#include <cstdint>
#include <cstring>
#include <type_traits>

#include <cuda_runtime.h>

#include "train/cuda/cuda_private.h"

#define WARP     32
#define FULL     0xffffffffu

/* ---- numbers ---- */

struct bf16 {
    uint16_t bits;
};

static __device__ __forceinline__ float to_float(float x)
{
    return x;
}

static __device__ __forceinline__ float to_float(bf16 x)
{
    return __uint_as_float((unsigned)x.bits << 16);
}

/* Two floats rounded to nearest even; low is the first in memory. */
static __device__ __forceinline__ unsigned bf16_pair(float low, float high)
{
#ifdef __CUDA_ARCH__
    unsigned pair;

    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return (unsigned)bf16_from_float(low) |
           (unsigned)bf16_from_float(high) << 16;
#endif
}

static __device__ __forceinline__ void set(float *to, float x)
{
    *to = x;
}

static __device__ __forceinline__ void set(bf16 *to, float x)
{
    to->bits = (uint16_t)bf16_pair(x, 0);
}

/* ---- packs: 16 bytes of activations as floats ---- */

template <typename A> constexpr int pack_n = 16 / (int)sizeof(A);

static __device__ __forceinline__ void load_pack(const float *p, float *x)
{
    float4 v = *(const float4 *)p;

    x[0] = v.x;
    x[1] = v.y;
    x[2] = v.z;
    x[3] = v.w;
}

static __device__ __forceinline__ void load_pack(const bf16 *p, float *x)
{
    uint4 v = *(const uint4 *)p;
    unsigned u[4] = {v.x, v.y, v.z, v.w};

#pragma unroll
    for (int i = 0; i < 4; i++) {
        x[2 * i] = __uint_as_float(u[i] << 16);
        x[2 * i + 1] = __uint_as_float(u[i] & 0xffff0000u);
    }
}

static __device__ __forceinline__ void store_pack(float *p, const float *x)
{
    *(float4 *)p = make_float4(x[0], x[1], x[2], x[3]);
}

static __device__ __forceinline__ void store_pack(bf16 *p, const float *x)
{
    *(uint4 *)p = make_uint4(bf16_pair(x[0], x[1]), bf16_pair(x[2], x[3]),
                             bf16_pair(x[4], x[5]), bf16_pair(x[6], x[7]));
}

/* N numbers (a pack, or 1) from or to p. */
template <int N, typename A>
static __device__ __forceinline__ void load_n(const A *p, float *x)
{
    if constexpr (N == 1)
        x[0] = to_float(*p);
    else
        load_pack(p, x);
}

template <int N, typename A>
static __device__ __forceinline__ void store_n(A *p, const float *x)
{
    if constexpr (N == 1)
        set(p, x[0]);
    else
        store_pack(p, x);
}

/* ---- sums and largest numbers ---- */

static __device__ __forceinline__ float warp_sum(float x)
{
#pragma unroll
    for (int by = WARP / 2; by; by /= 2)
        x += __shfl_xor_sync(FULL, x, by);
    return x;
}

static __device__ __forceinline__ float warp_max(float x)
{
#pragma unroll
    for (int by = WARP / 2; by; by /= 2)
        x = fmaxf(x, __shfl_xor_sync(FULL, x, by));
    return x;
}

/* ---- dynamic shared memory ---- */

#ifdef __CUDACC__
#define DYNAMIC_SHARED(type, name)                                             \
    extern __shared__ __align__(1024) unsigned char dynamic_shared[];          \
    type *name = (type *)dynamic_shared
#else
#define DYNAMIC_SHARED(type, name) type *name = (type *)emulate_shared()
#endif

/* ---- launching ---- */

static inline unsigned blocks_for(int64_t n, int64_t per_block)
{
    return (unsigned)((n + per_block - 1) / per_block);
}

/* As many blocks as the work has, but no more than fill the GPU `waves` times:
 * for kernels whose threads walk on by the grid. */
static inline unsigned blocks_few(const struct device *d, int64_t n,
                                  int64_t per_block, int waves)
{
    int64_t most = (int64_t)cuda_of(d)->sms * waves;
    int64_t blocks = (n + per_block - 1) / per_block;

    return (unsigned)(blocks < most ? blocks : most);
}

/* kernel<<<grid, block, shared>>>(args...) in the device's stream. */
template <typename... Want, typename... Have>
static inline void launch(struct device *d, void (*kernel)(Want...), dim3 grid,
                          dim3 block, size_t shared, Have... args)
{
    cudaLaunchConfig_t config = {};
    cudaError_t rc = cudaSuccess;

    if (!cuda_runs(d) || !grid.x || !grid.y || !grid.z) /* of nothing: none */
        return;
    if (shared > 48 << 10)
        rc = cudaFuncSetAttribute(
            kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = cuda_of(d)->stream;
    if (!rc)
        rc = cudaLaunchKernelEx(&config, kernel, static_cast<Want>(args)...);
    if (rc)
        cuda_fail(d, "a kernel", rc);
}

/* Call f<float> or f<bf16>, by the device's activations: a generic lambda gets
 * a null pointer of the type. */
template <typename F>
static inline void for_act(const struct device *d, F f)
{
    if (d->act == DTYPE_BF16)
        f((bf16 *)nullptr);
    else
        f((float *)nullptr);
}

#endif
