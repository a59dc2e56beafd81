/*
 * AdamW, the sum of squares, and passes over whole arrays.
 *
 * Method.  A thread takes OPTIM_N neighbours, 16 bytes of floats: a warp's
 *          loads and stores are 512 bytes in a row, of a bfloat16 copy 256.
 *          What is left at an array's end is taken one by one.  adamw fills
 *          the GPU once and walks on by the grid, so that the gradient's
 *          factor (a root and a quotient in double) is computed once a block.
 *          sumsq leaves a double for each SUMSQ_CHUNK numbers, which one block
 *          then adds, each thread its own in ascending order.
 * Cost.    Bytes a number: adamw 16 read, 14 written with a bfloat16 copy (12
 *          without; 4 less of each with half moments), so 4.5 GB for the 151
 *          million of ViT-B/32, about 1.1 ms at 4.3 TB/s; sumsq 4, 0.6 GB, 0.14 ms;
 *          axpby 12, clamp 8, cast 6, add 6 of bfloat16.
 */
#include "train/cuda/kernel.cuh"

#include "train/adamw.h"

#define OPTIM_THREADS 256
#define OPTIM_BLOCKS  6 /* of adamw on a multiprocessor: 42 registers each */
#define OPTIM_N       4
#define OPTIM_STEP    (OPTIM_THREADS * OPTIM_N) /* numbers of a block */
#define SUMSQ_CHUNK   (32 * OPTIM_STEP)
#define SUMSQ_THREADS 1024

/* ---- N numbers at p, of which only `left` may be there ---- */

template <int N, typename A>
static __device__ __forceinline__ void load_some(const A *p, int64_t left,
                                                 float *x)
{
    if (left >= N) {
        load_n<N>(p, x);
        return;
    }
#pragma unroll
    for (int k = 0; k < N; k++)
        x[k] = k < left ? to_float(p[k]) : 0;
}

template <int N, typename A>
static __device__ __forceinline__ void store_some(A *p, int64_t left,
                                                  const float *x)
{
    if (left >= N) {
        store_n<N>(p, x);
        return;
    }
#pragma unroll
    for (int k = 0; k < N; k++)
        if (k < left)
            set(p + k, x[k]);
}

/* OPTIM_N numbers as activations: half a pack of bfloat16. */
static __device__ __forceinline__ void store_act(float *p, int64_t left,
                                                 const float *x)
{
    store_some<OPTIM_N>(p, left, x);
}

static __device__ __forceinline__ void store_act(bf16 *p, int64_t left,
                                                 const float *x)
{
    if (left >= OPTIM_N) {
        *(uint2 *)p = make_uint2(bf16_pair(x[0], x[1]), bf16_pair(x[2], x[3]));
        return;
    }
#pragma unroll
    for (int k = 0; k < OPTIM_N; k++)
        if (k < left)
            set(p + k, x[k]);
}

/* Moments: OPTIM_N floats, or bfloat16 numbers, then rounded by chance. */
static __device__ __forceinline__ void load_moments(const float *p,
                                                    int64_t left, float *x)
{
    load_some<OPTIM_N>(p, left, x);
}

static __device__ __forceinline__ void load_moments(const bf16 *p, int64_t left,
                                                    float *x)
{
    if (left >= OPTIM_N) {
        uint2 v = *(const uint2 *)p;

        x[0] = __uint_as_float(v.x << 16);
        x[1] = __uint_as_float(v.x & 0xffff0000u);
        x[2] = __uint_as_float(v.y << 16);
        x[3] = __uint_as_float(v.y & 0xffff0000u);
        return;
    }
#pragma unroll
    for (int k = 0; k < OPTIM_N; k++)
        x[k] = k < left ? to_float(p[k]) : 0;
}

/* OPTIM_N neighbours from i, each up or down as drawn. */
static __device__ __forceinline__ void round_by_chance(uint64_t stream,
                                                       int64_t i, float *x)
{
    uint64_t bits = random_bits(stream, (uint64_t)i / OPTIM_N);

#pragma unroll
    for (int k = 0; k < OPTIM_N; k++) {
        unsigned chance = (unsigned)(bits >> 16 * k) & 0xffffu;

        x[k] = __uint_as_float(adamw_round(__float_as_uint(x[k]), chance));
    }
}

static __device__ __forceinline__ void
store_moments(float *p, uint64_t, int64_t, int64_t left, const float *x)
{
    store_some<OPTIM_N>(p, left, x);
}

static __device__ __forceinline__ void
store_moments(bf16 *p, uint64_t stream, int64_t i, int64_t left, float *x)
{
    round_by_chance(stream, i, x);
    store_act(p, left, x);
}

/* This thread's first number, in a grid that covers the array once. */
template <int N> static __device__ __forceinline__ int64_t first()
{
    return ((int64_t)blockIdx.x * OPTIM_THREADS + threadIdx.x) * N;
}

/* ---- AdamW ---- */

/* The gradient's factor, to the whole block; false: leave all as it is. */
static __device__ __forceinline__ bool block_scale(const struct op_adamw &o,
                                                   float *scale)
{
    __shared__ float room;
    __shared__ int finite;

    if (!threadIdx.x) {
        double x;

        finite = adamw_scale(o.sumsq, o.clip_norm, o.skip_norm, &x);
        room = (float)x;
    }
    __syncthreads();
    *scale = room;
    return finite;
}

/* Where a step's draws come from. */
struct adamw_streams {
    uint64_t copy, m, v;
};

/* The OPTIM_N numbers from i, of which `left` are there. */
template <typename A, typename M>
static __device__ __forceinline__ void
adamw_pack(const struct op_adamw &o, const struct adamw_step &s, float scale,
           const struct adamw_streams &from, int64_t i, int64_t left)
{
    float p[OPTIM_N], m[OPTIM_N], v[OPTIM_N], g[OPTIM_N], keep = s.keep;

    load_some<OPTIM_N>((const float *)o.g + i, left, g);
    load_moments((const M *)o.m + i, left, m);
    load_moments((const M *)o.v + i, left, v);
    load_some<OPTIM_N>((const float *)o.p + i, left, p);
    if (o.decays && !o.decays[i / OP_DECAY_RUN])
        keep = 1;
#pragma unroll
    for (int k = 0; k < OPTIM_N; k++)
        adamw_number(&s, keep, g[k] * scale, p + k, m + k, v + k);
    store_moments((M *)o.m + i, from.m, i, left, m);
    store_moments((M *)o.v + i, from.v, i, left, v);
    store_some<OPTIM_N>((float *)o.p + i, left, p);
    if (!o.copy)
        return;
    if (o.rounding)
        round_by_chance(from.copy, i, p);
    store_act((A *)o.copy + i, left, p);
}

template <typename A, typename M>
static __global__ void __launch_bounds__(OPTIM_THREADS, OPTIM_BLOCKS)
    adamw(struct op_adamw o, struct adamw_step s, struct adamw_streams from)
{
    const int64_t by = (int64_t)gridDim.x * OPTIM_STEP;
    float scale;

    if (!block_scale(o, &scale))
        return;
    for (int64_t i = first<OPTIM_N>(); i < o.n; i += by) {
        if (o.n - i >= OPTIM_N) /* a constant: no branch between the loads */
            adamw_pack<A, M>(o, s, scale, from, i, OPTIM_N);
        else
            adamw_pack<A, M>(o, s, scale, from, i, o.n - i);
    }
}

template <typename A, typename M>
static void launch_adamw(struct device *d, struct op_adamw o)
{
    const struct adamw_streams from = {adamw_stream(&o),
                                       adamw_moment_stream(&o, ADAMW_OF_M),
                                       adamw_moment_stream(&o, ADAMW_OF_V)};

    if (o.copy == o.p)
        o.copy = nullptr;
    launch(d, adamw<A, M>, blocks_few(d, o.n, OPTIM_STEP, OPTIM_BLOCKS),
           OPTIM_THREADS, 0, o, adamw_step_of(&o), from);
}

void cuda_adamw(struct device *d, const struct op_adamw *o)
{
    static_assert(OPTIM_N == 4, "what a draw of chance is for");

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->half_moments)
            launch_adamw<A, bf16>(d, *o);
        else
            launch_adamw<A, float>(d, *o);
    });
}

/* ---- sum of squares ---- */

/* Sum over a block of T threads, to its first. */
template <int T> static __device__ __forceinline__ double block_total(double x)
{
    __shared__ double room[T / WARP];
    double sum = 0;

#pragma unroll
    for (int by = WARP / 2; by; by /= 2)
        x += __shfl_xor_sync(FULL, x, by);
    if (threadIdx.x % WARP == 0)
        room[threadIdx.x / WARP] = x;
    __syncthreads();
    if (!threadIdx.x)
        for (int i = 0; i < T / WARP; i++)
            sum += room[i];
    return sum;
}

/* This thread's share of a chunk, whole or with its end among it. */
template <bool WHOLE>
static __device__ __forceinline__ double square(const float *x, int64_t left)
{
    double sum[OPTIM_N] = {0};

#pragma unroll 8
    for (int k = 0; k < SUMSQ_CHUNK; k += OPTIM_STEP) {
        float v[OPTIM_N];

        load_some<OPTIM_N>(x + k, WHOLE ? OPTIM_N : left - k, v);
#pragma unroll
        for (int c = 0; c < OPTIM_N; c++)
            sum[c] += (double)v[c] * (double)v[c];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static __global__ void __launch_bounds__(OPTIM_THREADS)
    squares(int64_t n, const float *__restrict__ x, double *__restrict__ part)
{
    int64_t chunk = (int64_t)blockIdx.x * SUMSQ_CHUNK;
    int64_t at = chunk + threadIdx.x * OPTIM_N;
    double sum = n - chunk >= SUMSQ_CHUNK ? square<true>(x + at, 0)
                                          : square<false>(x + at, n - at);

    sum = block_total<OPTIM_THREADS>(sum);
    if (!threadIdx.x)
        part[blockIdx.x] = sum;
}

static __global__ void __launch_bounds__(SUMSQ_THREADS)
    add_squares(int64_t parts, const double *__restrict__ part, double *out)
{
    double sum = 0;

    for (int64_t i = threadIdx.x; i < parts; i += SUMSQ_THREADS)
        sum += part[i];
    sum = block_total<SUMSQ_THREADS>(sum);
    if (!threadIdx.x)
        *out += sum;
}

void cuda_sumsq(struct device *d, const struct op_sumsq *o)
{
    const unsigned parts = blocks_for(o->n, SUMSQ_CHUNK);
    double *part = (double *)cuda_scratch(d, parts * sizeof *part);

    launch(d, squares, parts, OPTIM_THREADS, 0, o->n, (const float *)o->x,
           part);
    launch(d, add_squares, 1, SUMSQ_THREADS, 0, (int64_t)parts, part, o->out);
}

/* ---- small change ---- */

template <typename A>
static __global__ void __launch_bounds__(OPTIM_THREADS) cast(struct op_cast o)
{
    int64_t i = first<OPTIM_N>();
    float x[OPTIM_N];

    if (i >= o.n)
        return;
    load_some<OPTIM_N>((const float *)o.x + i, o.n - i, x);
    store_act((A *)o.y + i, o.n - i, x);
}

template <typename A>
static __global__ void __launch_bounds__(OPTIM_THREADS) add(struct op_add o)
{
    constexpr int N = pack_n<A>;
    int64_t i = first<N>();
    float x[N], y[N];

    if (i >= o.n)
        return;
    load_some<N>((const A *)o.x + i, o.n - i, x);
    load_some<N>((const A *)o.y + i, o.n - i, y);
#pragma unroll
    for (int k = 0; k < N; k++)
        y[k] += x[k];
    store_some<N>((A *)o.y + i, o.n - i, y);
}

static __global__ void __launch_bounds__(OPTIM_THREADS) axpby(struct op_axpby o)
{
    const float a = (float)o.a, b = (float)o.b;
    int64_t i = first<OPTIM_N>();
    float x[OPTIM_N], y[OPTIM_N];

    if (i >= o.n)
        return;
    load_some<OPTIM_N>((const float *)o.x + i, o.n - i, x);
    load_some<OPTIM_N>((const float *)o.y + i, o.n - i, y);
#pragma unroll
    for (int k = 0; k < OPTIM_N; k++)
        y[k] = a * x[k] + b * y[k];
    store_some<OPTIM_N>((float *)o.y + i, o.n - i, y);
}

/* A NaN stays one, which fminf() and fmaxf() would not let it. */
static __global__ void __launch_bounds__(OPTIM_THREADS) clamp(struct op_clamp o)
{
    const float low = (float)o.low, high = (float)o.high;
    int64_t i = first<OPTIM_N>();
    float x[OPTIM_N];

    if (i >= o.n)
        return;
    load_some<OPTIM_N>((const float *)o.x + i, o.n - i, x);
#pragma unroll
    for (int k = 0; k < OPTIM_N; k++)
        x[k] = x[k] < low ? low : x[k] > high ? high : x[k];
    store_some<OPTIM_N>((float *)o.x + i, o.n - i, x);
}

void cuda_cast(struct device *d, const struct op_cast *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        launch(d, cast<A>, blocks_for(o->n, OPTIM_STEP), OPTIM_THREADS, 0, *o);
    });
}

void cuda_add(struct device *d, const struct op_add *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        launch(d, add<A>, blocks_for(o->n, OPTIM_THREADS * pack_n<A>),
               OPTIM_THREADS, 0, *o);
    });
}

void cuda_axpby(struct device *d, const struct op_axpby *o)
{
    launch(d, axpby, blocks_for(o->n, OPTIM_STEP), OPTIM_THREADS, 0, *o);
}

void cuda_clamp(struct device *d, const struct op_clamp *o)
{
    launch(d, clamp, blocks_for(o->n, OPTIM_STEP), OPTIM_THREADS, 0, *o);
}
