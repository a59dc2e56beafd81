/* Rows taken and given back, and what moves whole arrays. */
#include "train/cuda/kernel.cuh"

#define ROWS_THREADS 256

/* One thread moves N numbers of a row. */
template <typename A, int N>
static __global__ void __launch_bounds__(ROWS_THREADS)
gather(struct op_gather o)
{
    int64_t per = o.dim / N;
    int64_t i = (int64_t)blockIdx.x * ROWS_THREADS + threadIdx.x;
    int64_t row = i / per, at = i % per * N;
    float x[N];

    if (row >= o.n)
        return;
    load_n<N>((const A *)o.x + o.rows[row] * o.dim + at, x);
    store_n<N>((A *)o.y + row * o.dim + at, x);
}

template <typename A, int N>
static __global__ void __launch_bounds__(ROWS_THREADS)
scatter_add(struct op_scatter_add o)
{
    int64_t per = o.dim / N;
    int64_t i = (int64_t)blockIdx.x * ROWS_THREADS + threadIdx.x;
    int64_t row = i / per, at = i % per * N;
    float x[N], y[N];
    A *to;

    if (row >= o.n)
        return;
    to = (A *)o.x + o.rows[row] * o.dim + at;
    load_n<N>(to, x);
    load_n<N>((const A *)o.y + row * o.dim + at, y);
#pragma unroll
    for (int k = 0; k < N; k++)
        x[k] += y[k];
    store_n<N>(to, x);
}

void cuda_gather(struct device *d, const struct op_gather *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;

        if (o->dim % N)
            launch(d, gather<A, 1>, blocks_for(o->n * o->dim, ROWS_THREADS),
                   ROWS_THREADS, 0, *o);
        else
            launch(d, gather<A, N>, blocks_for(o->n * o->dim / N, ROWS_THREADS),
                   ROWS_THREADS, 0, *o);
    });
}

void cuda_scatter_add(struct device *d, const struct op_scatter_add *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;

        if (o->dim % N)
            launch(d, scatter_add<A, 1>,
                   blocks_for(o->n * o->dim, ROWS_THREADS), ROWS_THREADS, 0,
                   *o);
        else
            launch(d, scatter_add<A, N>,
                   blocks_for(o->n * o->dim / N, ROWS_THREADS), ROWS_THREADS,
                   0, *o);
    });
}

void cuda_zero(struct device *d, const struct op_zero *o)
{
    cudaError_t rc = cudaSuccess;

    if (cuda_runs(d) && o->bytes)
        rc = cudaMemsetAsync(o->x, 0, (size_t)o->bytes, cuda_of(d)->stream);
    if (rc)
        cuda_fail(d, "clear", rc);
}

void cuda_copy(struct device *d, const struct op_copy *o)
{
    cudaError_t rc = cudaSuccess;

    if (cuda_runs(d) && o->bytes)
        rc = cudaMemcpyAsync(o->y, o->x, (size_t)o->bytes,
                             cudaMemcpyDeviceToDevice, cuda_of(d)->stream);
    if (rc)
        cuda_fail(d, "copy", rc);
}
