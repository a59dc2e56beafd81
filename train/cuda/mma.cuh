/*
 * mma - tensor cores, and copies into shared memory that threads do not wait
 * for.
 *
 * Model.   What a warp does together: products of 16 x 16 by 16 x 8 numbers in
 *          bf16, summed in float, and loads of 8 x 8 tiles out of shared
 *          memory into the registers that such a product takes them from.  All
 *          are instructions of sm_80 (PTX ISA 8.0, sections 9.7.13 and
 *          9.7.8.22), which newer GPUs have, too; elsewhere tests/emulate
 *          computes the same.  In a product's operands lane 4 g + t holds:
 *
 *              a, 16 x 16   [0] row g, columns 2t, 2t + 1   [1] row g + 8
 *                           [2] row g, columns 2t + 8, + 9  [3] row g + 8
 *              b, 16 x 8    [0] column g, rows 2t, 2t + 1   [1] rows + 8
 *              c, 16 x 8    [0], [1] row g, columns 2t, 2t + 1
 *                           [2], [3] row g + 8
 *
 *          so that c, rounded and packed, of two products side by side is an
 *          a: a product of a product needs no exchange.
 * Threads. All 32 of a warp call mma_* and ldmatrix_* together; copy_* is each
 *          thread's own: who reads what others copied needs their wait and a
 *          barrier.
 * Cost.    A product is 4,096 floating-point operations; a load of four tiles
 *          512 bytes of shared memory, without conflicts where its rows stand
 *          in different banks.
 */
#ifndef TRAIN_CUDA_MMA_CUH
#define TRAIN_CUDA_MMA_CUH

#include "train/cuda/kernel.cuh"

#ifdef __CUDACC__
#define SHARED_ADDRESS(p) ((unsigned)__cvta_generic_to_shared(p))
#endif

/* c += a b */
static __device__ __forceinline__ void mma_bf16(float c[4], const unsigned a[4],
                                                const unsigned b[2])
{
#ifdef __CUDACC__
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    emulate_mma_bf16(c, a, b);
#endif
}

/* Four 8 x 8 tiles of bf16: lane 8 i + r gives the address of row r of tile i
 * in shared memory; r[i] gets row g, columns 2t and 2t + 1 of tile i. */
static __device__ __forceinline__ void ldmatrix(unsigned r[4], const void *row)
{
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
                 "{%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(SHARED_ADDRESS(row)));
#else
    emulate_ldmatrix(r, row, false);
#endif
}

/* The same, each tile transposed: r[i] gets column g, rows 2t and 2t + 1. */
static __device__ __forceinline__ void ldmatrix_trans(unsigned r[4],
                                                      const void *row)
{
#ifdef __CUDACC__
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 "
                 "{%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(SHARED_ADDRESS(row)));
#else
    emulate_ldmatrix(r, row, true);
#endif
}

/* 16 bytes from global to shared memory; zeros instead, and nothing is read,
 * unless `real`. */
static __device__ __forceinline__ void copy_16(void *to, const void *from,
                                               bool real)
{
#ifdef __CUDACC__
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(SHARED_ADDRESS(to)), "l"(__cvta_generic_to_global(from)),
                   "r"(real ? 16 : 0)
                 : "memory");
#else
    emulate_copy(to, from, real);
#endif
}

/* The copies since the last commit are a group. */
static __device__ __forceinline__ void copy_commit()
{
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;" : : : "memory");
#else
    emulate_copy_commit();
#endif
}

/* Until no more than the last `Left` of the thread's groups are on their way.
 */
template <int Left> static __device__ __forceinline__ void copy_wait()
{
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;" : : "n"(Left) : "memory");
#else
    emulate_copy_wait(Left);
#endif
}

/* 2^x, within two units in the last place; 0 for -infinity. */
static __device__ __forceinline__ float exp2_fast(float x)
{
#ifdef __CUDACC__
    float y;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

#endif
