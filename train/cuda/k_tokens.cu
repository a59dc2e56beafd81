/*
 * The tokens of pictures, and average pooling.
 *
 * Model.   A thread has a pack of columns.  tokens: of one place in several
 *          pictures, so that the position is read once for them; without a
 *          class token, of all rows of one picture, which it sums on the way.
 *          tokens_bwd: of one place in a part of the batch, whose sum goes to
 *          scratch; the parts are added in order.
 * Cost.    Each input read once, each output written once: of ViT-B/32 with
 *          4,096 pictures in bf16 308 MB in and 315 MB out, and back alike,
 *          with 10 + 10 MB of parts.  tokens_bwd without a class token reads
 *          the first row of a picture again for each of its others.
 */
#include "train/cuda/lay.cuh"

/* ---- forward ---- */

#define PICTURES 4 /* a thread's */

template <typename A, int N>
static __global__ void __launch_bounds__(LAY_THREADS)
tokens_first(struct op_tokens o, lay l)
{
    const spot s = lay_spot<N>(l, blockIdx.z, o.dim);
    const int64_t place = (int64_t)blockIdx.y * l.rows + s.row;
    const int64_t begin = (int64_t)blockIdx.x * PICTURES;
    float position[N], x[PICTURES][N];

    if (s.row < 0 || place > o.n)
        return;
#pragma unroll
    for (int u = 0; u < PICTURES; u++) {
        const int64_t b = begin + u < o.batch ? begin + u : o.batch - 1;

        if (place)
            load_n<N>((const A *)o.x + (b * o.n + place - 1) * o.dim + s.column,
                      x[u]);
        else
            load_reals<N>((const float *)o.first + s.column, x[u]);
    }
    load_reals<N>((const float *)o.position + place * o.dim + s.column,
                  position);
#pragma unroll
    for (int u = 0; u < PICTURES; u++) {
#pragma unroll
        for (int c = 0; c < N; c++)
            x[u][c] += position[c];
        if (begin + u < o.batch)
            store_n<N>((A *)o.y + ((begin + u) * (o.n + 1) + place) * o.dim +
                           s.column,
                       x[u]);
    }
}

template <typename A, int N>
static __global__ void __launch_bounds__(LAY_THREADS)
tokens_mean(struct op_tokens o, lay l)
{
    const spot s = lay_spot<N>(l, blockIdx.y, o.dim);
    const int64_t b = (int64_t)blockIdx.x * l.rows + s.row;
    const A *x = (const A *)o.x + b * o.n * o.dim + s.column;
    const float *position = (const float *)o.position + s.column;
    A *y = (A *)o.y + b * (o.n + 1) * o.dim + s.column;
    float mean[N] = {}, v[N], at[N];

    if (s.row < 0 || b >= o.batch)
        return;
#pragma unroll 4
    for (int64_t i = 0; i < o.n; i++) {
        load_n<N>(x + i * o.dim, v);
        load_reals<N>(position + (i + 1) * o.dim, at);
#pragma unroll
        for (int c = 0; c < N; c++) {
            mean[c] += v[c];
            v[c] += at[c];
        }
        store_n<N>(y + (i + 1) * o.dim, v);
    }
    load_reals<N>(position, at);
#pragma unroll
    for (int c = 0; c < N; c++)
        at[c] += mean[c] / (float)o.n;
    store_n<N>(y, at);
}

template <typename A, int N>
static void tokens(struct device *d, const struct op_tokens *o)
{
    const lay l = lay_rows(o->dim / N);

    if (o->first)
        launch(d, tokens_first<A, N>,
               dim3(blocks_for(o->batch, PICTURES),
                    blocks_for(o->n + 1, l.rows), l.blocks),
               l.threads, 0, *o, l);
    else
        launch(d, tokens_mean<A, N>,
               dim3(blocks_for(o->batch, l.rows), l.blocks), l.threads, 0, *o,
               l);
}

void cuda_tokens(struct device *d, const struct op_tokens *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->dim % pack_n<A>)
            tokens<A, 1>(d, o);
        else
            tokens<A, pack_n<A>>(d, o);
    });
}

/* ---- backward ---- */

#define AHEAD 4 /* pictures on their way */

/* Pictures a part: enough parts to fill a GPU, few enough to be cheap. */
static int64_t part_of(int64_t batch)
{
    return batch < 512 ? 8 : batch < 4096 ? batch / 64 : 64;
}

/* MEAN: the first row was the mean of the others. */
template <typename A, int N, bool MEAN>
static __global__ void __launch_bounds__(LAY_THREADS)
tokens_back(struct op_tokens_bwd o, int64_t part, float *sums, lay l)
{
    const spot s = lay_spot<N>(l, blockIdx.z, o.dim);
    const int64_t place = (int64_t)blockIdx.y * l.rows + s.row;
    const int64_t begin = (int64_t)blockIdx.x * part;
    const int64_t end = begin + part < o.batch ? begin + part : o.batch;
    const float share = 1 / (float)o.n;
    float sum[N] = {};

    if (s.row < 0 || place > o.n)
        return;
    for (int64_t i = begin; i < end; i += AHEAD) {
        float x[AHEAD][N], mean[MEAN ? AHEAD : 1][N];

#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const int64_t b = i + u < end ? i + u : end - 1;
            const A *dy = (const A *)o.dy + b * (o.n + 1) * o.dim + s.column;

            load_n<N>(dy + place * o.dim, x[u]);
            if constexpr (MEAN)
                load_n<N>(dy, mean[u]);
        }
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            if (i + u >= end)
                break;
#pragma unroll
            for (int c = 0; c < N; c++) {
                sum[c] += x[u][c];
                if constexpr (MEAN)
                    x[u][c] += mean[u][c] * share;
            }
            if (place)
                store_n<N>((A *)o.dx + ((i + u) * o.n + place - 1) * o.dim +
                               s.column,
                           x[u]);
        }
    }
    store_reals<N>(sums + ((int64_t)blockIdx.x * (o.n + 1) + place) * o.dim +
                       s.column,
                   sum);
}

/* The parts into dposition and, of the first row, into dfirst. */
static __global__ void __launch_bounds__(LAY_THREADS)
tokens_sum(struct op_tokens_bwd o, int64_t parts, const float *sums)
{
    const int64_t i = (int64_t)blockIdx.x * LAY_THREADS + threadIdx.x;
    const int64_t count = (o.n + 1) * o.dim;
    float sum = 0;

    if (i >= count)
        return;
#pragma unroll 8
    for (int64_t part = 0; part < parts; part++)
        sum += sums[part * count + i];
    ((float *)o.dposition)[i] += sum;
    if (o.dfirst && i < o.dim)
        ((float *)o.dfirst)[i] += sum;
}

template <typename A, int N>
static void tokens_bwd(struct device *d, const struct op_tokens_bwd *o)
{
    const lay l = lay_rows(o->dim / N);
    const int64_t part = part_of(o->batch), count = (o->n + 1) * o->dim;
    const int64_t parts = (o->batch + part - 1) / part;
    float *sums =
        (float *)cuda_scratch(d, (size_t)(parts * count) * sizeof(float));

    launch(d, o->dfirst ? tokens_back<A, N, false> : tokens_back<A, N, true>,
           dim3((unsigned)parts, blocks_for(o->n + 1, l.rows), l.blocks),
           l.threads, 0, *o, part, sums, l);
    launch(d, tokens_sum, blocks_for(count, LAY_THREADS), LAY_THREADS, 0, *o,
           parts, sums);
}

void cuda_tokens_bwd(struct device *d, const struct op_tokens_bwd *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->dim % pack_n<A>)
            tokens_bwd<A, 1>(d, o);
        else
            tokens_bwd<A, pack_n<A>>(d, o);
    });
}

/* ---- average pooling ---- */

/* A block has a piece of a line of y, columns of one place together.  K: the
 * kernel where it is usual, so that its loads go out together. */
template <typename A, int N, int K>
static __global__ void __launch_bounds__(LAY_THREADS) pool(struct op_avgpool o)
{
    const int kernel = K ? K : o.kernel, per = (int)o.dim / N;
    const int h = (int)o.h / kernel, w = (int)o.w / kernel;
    const int e = blockIdx.y * blockDim.x + threadIdx.x;
    const int j = e / per, column = (e - j * per) * N;
    const int b = blockIdx.x / h, i = blockIdx.x - b * h;
    const A *x = (const A *)o.x +
                 (((int64_t)b * o.h + i * kernel) * o.w + j * kernel) * o.dim +
                 column;
    const float share = 1 / (float)(kernel * kernel);
    float sum[N] = {}, v[N];

    if (j >= w)
        return;
#pragma unroll
    for (int p = 0; p < kernel; p++)
#pragma unroll
        for (int q = 0; q < kernel; q++) {
            load_n<N>(x + (p * o.w + q) * o.dim, v);
#pragma unroll
            for (int c = 0; c < N; c++)
                sum[c] += v[c];
        }
#pragma unroll
    for (int c = 0; c < N; c++)
        sum[c] *= share;
    store_n<N>((A *)o.y + ((int64_t)blockIdx.x * w + j) * o.dim + column, sum);
}

/* A piece of a line of dx; neighbours find their dy in the cache. */
template <typename A, int N, int K>
static __global__ void __launch_bounds__(LAY_THREADS)
pool_back(struct op_avgpool_bwd o)
{
    const int kernel = K ? K : o.kernel, per = (int)o.dim / N;
    const int h = (int)o.h / kernel, w = (int)o.w / kernel;
    const int e = blockIdx.y * blockDim.x + threadIdx.x;
    const int at = e / per, column = (e - at * per) * N;
    const int b = blockIdx.x / (int)o.h, line = blockIdx.x - b * (int)o.h;
    const int i = line / kernel, j = at / kernel;
    const float share = 1 / (float)(kernel * kernel);
    float v[N] = {};

    if (at >= o.w)
        return;
    if (i < h && j < w) {
        load_n<N>((const A *)o.dy + (((int64_t)b * h + i) * w + j) * o.dim +
                      column,
                  v);
#pragma unroll
        for (int c = 0; c < N; c++)
            v[c] *= share;
    }
    store_n<N>((A *)o.dx + ((int64_t)blockIdx.x * o.w + at) * o.dim + column,
               v);
}

/* Blocks and threads for `lines` of `count` packs: pieces of equal length. */
static void lay_lines(int64_t lines, int64_t count, dim3 *grid, dim3 *block)
{
    const unsigned pieces = blocks_for(count, LAY_THREADS);

    *grid = dim3((unsigned)lines, pieces);
    *block = dim3((unsigned)((count + pieces - 1) / pieces + WARP - 1) / WARP *
                  WARP);
}

template <typename A, int N>
static void avgpool(struct device *d, const struct op_avgpool *o)
{
    dim3 grid, block;

    lay_lines(o->batch * (o->h / o->kernel), o->w / o->kernel * (o->dim / N),
              &grid, &block);
    launch(d, o->kernel == 2 ? pool<A, N, 2> : pool<A, N, 0>, grid, block, 0,
           *o);
}

template <typename A, int N>
static void avgpool_bwd(struct device *d, const struct op_avgpool_bwd *o)
{
    dim3 grid, block;

    lay_lines(o->batch * o->h, o->w * (o->dim / N), &grid, &block);
    launch(d, o->kernel == 2 ? pool_back<A, N, 2> : pool_back<A, N, 0>, grid,
           block, 0, *o);
}

void cuda_avgpool(struct device *d, const struct op_avgpool *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->dim % pack_n<A>)
            avgpool<A, 1>(d, o);
        else
            avgpool<A, pack_n<A>>(d, o);
    });
}

void cuda_avgpool_bwd(struct device *d, const struct op_avgpool_bwd *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->dim % pack_n<A>)
            avgpool_bwd<A, 1>(d, o);
        else
            avgpool_bwd<A, pack_n<A>>(d, o);
    });
}
