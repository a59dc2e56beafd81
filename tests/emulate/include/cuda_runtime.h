/*
 * cuda_runtime.h - CUDA's kernel language on the processor, for tests.
 *
 * Model.   A kernel is compiled as ordinary C++.  Its blocks run one after the
 *          other; the threads of a block are fibers that run until they meet:
 *          at __syncthreads(), at a warp's shuffle or vote, at a warp's tensor
 *          product.  In which order they run is emulate_schedule()'s to say
 *          (tests/emulate/emulate.h): a kernel that misses a barrier gives
 *          other numbers under another order.  Under AddressSanitizer every
 *          access beyond an array is found.
 *          Not all of the language is here: no dynamic parallelism, no
 *          partial warps in a shuffle (the mask is the full one), no clusters.
 * Fails.   A block that can go no further (a barrier that some threads never
 *          reach) ends the program with the kernel's place and each thread's
 *          state: it is a wrong kernel.
 * Threads. One launches.
 */
#ifndef TESTS_EMULATE_INCLUDE_CUDA_RUNTIME_H
#define TESTS_EMULATE_INCLUDE_CUDA_RUNTIME_H

#include <cstring>
#include <functional>
#include <math.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

/* ---- the language ---- */

#define __global__
#define __device__
#define __host__
#define __shared__      static
#define __constant__    static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n)    __attribute__((aligned(n)))

struct uint2 {
    unsigned x, y;
};
struct __align__(16) uint4 {
    unsigned x, y, z, w;
};
struct __align__(8) float2 {
    float x, y;
};
struct __align__(16) float4 {
    float x, y, z, w;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

static inline uint2 make_uint2(unsigned x, unsigned y)
{
    return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}
static inline float2 make_float2(float x, float y)
{
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

/* ---- who am I ---- */

/* Set by whoever lets a thread run. */
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

#define warpSize  32

/* ---- meeting others ---- */

void __syncthreads();

/* Every lane of the warp gives `mine` and gets what all gave, [32] times bytes,
 * until the warp meets next. */
const void *emulate_meet(const void *mine, size_t bytes);

/* The block's dynamic shared memory, 1,024-byte aligned. */
void *emulate_shared();

/* ---- tensor products, copies that arrive later: PTX ISA 8.0, 9.7 ---- */

/* c += a b: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32. */
void emulate_mma_bf16(float c[4], const unsigned a[4], const unsigned b[2]);

/* ldmatrix.sync.aligned.m8n8.x4[.trans].shared.b16: lane 8 i + r gives the
 * address of row r of matrix i, 16 bytes, aligned. */
void emulate_ldmatrix(unsigned r[4], const void *row, bool trans);

/* cp.async of 16 bytes (real: else zeros come, and `from` is not read).  Until
 * the wait for its group the target holds 0xff. */
void emulate_copy(void *to, const void *from, bool real);
void emulate_copy_commit();

/* Until no more than `left` of the thread's groups are on their way. */
void emulate_copy_wait(int left);

static inline void __syncwarp(unsigned = ~0u)
{
    char nothing = 0;

    emulate_meet(&nothing, 1);
}

static inline int emulate_lane()
{
    return (int)((threadIdx.x + blockDim.x * (threadIdx.y +
                  blockDim.y * threadIdx.z)) % 32);
}

template <typename T> T __shfl_sync(unsigned, T x, int lane)
{
    return ((const T *)emulate_meet(&x, sizeof x))[lane & 31];
}
template <typename T> T __shfl_xor_sync(unsigned, T x, int mask)
{
    int lane = emulate_lane();

    return ((const T *)emulate_meet(&x, sizeof x))[(lane ^ mask) & 31];
}
template <typename T> T __shfl_up_sync(unsigned, T x, int by)
{
    int lane = emulate_lane();

    return ((const T *)emulate_meet(&x, sizeof x))[lane >= by ? lane - by
                                                              : lane];
}
static inline unsigned __ballot_sync(unsigned, int x)
{
    const int *all = (const int *)emulate_meet(&x, sizeof x);
    unsigned bits = 0;

    for (int i = 0; i < 32; i++)
        bits |= (unsigned)(all[i] != 0) << i;
    return bits;
}

/* ---- atomics: blocks and fibers take turns, so these are plain ---- */

template <typename T> T atomicAdd(T *p, T x)
{
    T was = *p;

    *p = was + x;
    return was;
}

/* ---- arithmetic ---- */

/* The fast forms; their names are the C library's own here. */
#define __expf expf
#define __logf logf

static inline float __fdividef(float a, float b)
{
    return a / b;
}
static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}
static inline float __uint_as_float(unsigned u)
{
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}
static inline unsigned __float_as_uint(float x)
{
    unsigned u;

    memcpy(&u, &x, sizeof u);
    return u;
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

/* ---- launching ---- */

struct cudaLaunchAttribute {
    int id;
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
};

cudaError_t emulate_launch(const cudaLaunchConfig_t &config,
                           std::function<void()> thread);

/* Arguments are copied at once, as the real call does. */
template <typename... Want, typename... Have>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config,
                               void (*kernel)(Want...), Have &&...args)
{
    return emulate_launch(*config, [=]() { kernel(args...); });
}

enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

template <typename F> cudaError_t cudaFuncSetAttribute(F *, int, int)
{
    return cudaSuccess;
}

#endif
