/*
 * sort - rows in the order of their keys, stable.
 *
 * Model.   cuda_sort() makes a list of (key, row), ascending by key and, where
 *          keys are equal, by row: what has a key stands together, and whoever
 *          sums along the list sums in an order that the keys alone give.
 * Owns.    Nothing: the room is the caller's scratch, and the list lies in it.
 * Cost.    A pass of three launches for every 8 bits of the largest key.
 */
#ifndef TRAIN_CUDA_SORT_CUH
#define TRAIN_CUDA_SORT_CUH

#include "train/cuda/kernel.cuh"

/* Room for n rows, a multiple of DEVICE_ALIGN. */
size_t cuda_sort_bytes(int64_t n);

/* keys: device memory, [n], each at least 0 and below `most`; n is below 2^32.
 * x of an entry is the key, y the row. */
const uint2 *cuda_sort(struct device *d, int64_t n, const int32_t *keys,
                       int64_t most, void *room);

#endif
