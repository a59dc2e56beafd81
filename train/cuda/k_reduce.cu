/* Sums over parts that other kernels left in scratch, in ascending order. */
#include "train/cuda/kernel.cuh"

#define REDUCE_THREADS 256

static __global__ void __launch_bounds__(REDUCE_THREADS)
sum_parts(int64_t parts, int64_t n, const float *__restrict__ part,
          float *__restrict__ out)
{
    int64_t i = (int64_t)blockIdx.x * REDUCE_THREADS + threadIdx.x;
    float sum = 0;

    if (i >= n)
        return;
    for (int64_t c = 0; c < parts; c++)
        sum += part[c * n + i];
    out[i] += sum;
}

void cuda_sum_parts(struct device *d, int64_t parts, int64_t n,
                    const float *part, float *out)
{
    launch(d, sum_parts, blocks_for(n, REDUCE_THREADS), REDUCE_THREADS, 0,
           parts, n, part, out);
}
