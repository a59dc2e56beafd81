/*
 * random_bits - the numbers of train/random.h, for whoever draws them in a
 * loop: on the host, in vectors, on the GPU.
 *
 * Model.   As random.h says; the same bits wherever it is compiled.
 * Threads. Pure functions.
 * Cost.    Three multiplications of 64 bits.
 */
#ifndef TRAIN_RANDOM_BITS_H
#define TRAIN_RANDOM_BITS_H

#include <stdint.h>

/* For functions that kernels of every kind call. */
#ifdef __CUDACC__
#define SHARED_INLINE static __host__ __device__ __forceinline__
#else
#define SHARED_INLINE static inline __attribute__((always_inline, unused))
#endif

SHARED_INLINE uint64_t random_mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

SHARED_INLINE uint64_t random_bits(uint64_t stream, uint64_t i)
{
    return random_mix(stream + (i + 1) * 0x9e3779b97f4a7c15u);
}

#endif
