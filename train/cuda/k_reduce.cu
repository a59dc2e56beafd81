/* Sums over parts that other kernels left in scratch: of few parts each number
 * by one thread, in ascending order; of many, where one thread would wait for
 * memory too long and the numbers are too few to fill the GPU, by REDUCE_LANES
 * threads, each in ascending order, and then over these. */
#include "train/cuda/kernel.cuh"

#define REDUCE_THREADS 256
#define REDUCE_LANES   32

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

static __global__ void __launch_bounds__(REDUCE_LANES *WARP)
sum_many_parts(int64_t parts, int64_t n, const float *__restrict__ part,
                   float *__restrict__ out)
{
    __shared__ float room[REDUCE_LANES][WARP];
    int64_t i = (int64_t)blockIdx.x * WARP + threadIdx.x;
    float sum = 0;

#pragma unroll 8
    for (int64_t c = threadIdx.y; i < n && c < parts; c += REDUCE_LANES)
        sum += part[c * n + i];
    room[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || i >= n)
        return;
    for (int y = 1; y < REDUCE_LANES; y++)
        sum += room[y][threadIdx.x];
    out[i] += sum;
}

void cuda_sum_parts(struct device *d, int64_t parts, int64_t n,
                    const float *part, float *out)
{
    if (parts < REDUCE_LANES)
        launch(d, sum_parts, blocks_for(n, REDUCE_THREADS), REDUCE_THREADS, 0,
               parts, n, part, out);
    else
        launch(d, sum_many_parts, blocks_for(n, WARP), dim3(WARP, REDUCE_LANES),
               0, parts, n, part, out);
}
