/*
 * Pictures to rows: squares of a ViT, NHWC of a ResNet.
 *
 * Model.   The squares of one row of a picture lie side by side in y, so a
 *          block makes one such row, in the order of y.  Numbers are read where
 *          they stand, runs of a line at a time; bytes come first into shared
 *          memory, because a run of one colour is every third of them.  K is
 *          the side of a square where models have it (32, 16, 14), so that
 *          places are found by multiplication; 0 for any.
 * Cost.    Each input read once, each output written once: of a ViT-B/32's
 *          4,096 pictures of 224 x 224 in bytes 617 MB in, 1,233 MB out.
 */
#include "train/cuda/kernel.cuh"

#define PIXEL_THREADS 256
#define STRIP_MOST    (160 << 10) /* bytes of shared memory; sm_80 has 163 */

/* How many numbers go together: packs where a square's lines hold whole ones,
 * else pairs. */
template <typename A, int K>
constexpr int run_n = K == 0               ? 1
                      : K % pack_n<A> == 0 ? pack_n<A>
                                           : 2;

template <int N, typename A>
static __device__ __forceinline__ void store_run(A *p, const float *x)
{
    if constexpr (N != 2)
        store_n<N>(p, x);
    else if constexpr (sizeof(A) == 2)
        *(unsigned *)p = bf16_pair(x[0], x[1]);
    else
        *(float2 *)p = make_float2(x[0], x[1]);
}

/* N numbers as wide as they are aligned: to 16 bytes if N >= 4, else to 4 N. */
template <int N>
static __device__ __forceinline__ void load_run(const float *p, float *x)
{
    if constexpr (N == 1) {
        x[0] = *p;
    } else if constexpr (N == 2) {
        float2 v = *(const float2 *)p;

        x[0] = v.x;
        x[1] = v.y;
    } else {
#pragma unroll
        for (int i = 0; i < N; i += 4)
            load_pack(p + i, x + i);
    }
}

/* Where number e of a row of squares comes from. */
struct place {
    int c, line, column;
};

template <int K>
static __device__ __forceinline__ place find(int e, int channels, int patch)
{
    const int k = K ? K : patch, per = channels * k * k;
    const int square = e / per, at = e - square * per;
    const int line = at / k, q = at - line * k, c = line / k;

    return {c, line - c * k, square * k + q};
}

/* ---- numbers ---- */

template <typename A, int K>
static __global__ void __launch_bounds__(PIXEL_THREADS)
patch_reals(struct op_patches o)
{
    constexpr int N = run_n<A, K>;
    const int k = K ? K : (int)o.patch, channels = (int)o.channels;
    const int size = (int)o.size, side = size / k;
    const int n = blockIdx.x / side, i = blockIdx.x % side;
    const int row = side * channels * k * k;
    const float *x = (const float *)o.x.x + (int64_t)n * channels * size * size;
    A *y = (A *)o.y + (int64_t)blockIdx.x * row;

    for (int e = threadIdx.x * N; e < row; e += PIXEL_THREADS * N) {
        place at = find<K>(e, channels, k);
        float v[N];

        load_run<N>(
            x + ((int64_t)at.c * size + i * k + at.line) * size + at.column, v);
        store_run<N>(y + e, v);
    }
}

/* ---- bytes ---- */

/* pixel_value(): the products are exact, so that fusing changes nothing. */
struct colour {
    float scale, rest, shift;
    __device__ __forceinline__ float operator()(unsigned char x) const
    {
        return (float)x * scale + ((float)x * rest + shift);
    }
};

static __device__ __forceinline__ colour pick(const struct pixel_norm &n, int c)
{
    return {c == 0   ? n.scale[0]
            : c == 1 ? n.scale[1]
                     : n.scale[2],
            c == 0   ? n.rest[0]
            : c == 1 ? n.rest[1]
                     : n.rest[2],
            c == 0   ? n.shift[0]
            : c == 1 ? n.shift[1]
                     : n.shift[2]};
}

/* n bytes into shared memory, 16 at a time where they are aligned. */
static __device__ __forceinline__ void fetch(const unsigned char *from, int n,
                                             unsigned char *to)
{
    int done = 0;

    if ((uintptr_t)from % 16 == 0) {
        done = n / 16 * 16;
        for (int i = threadIdx.x * 16; i < done; i += PIXEL_THREADS * 16)
            *(uint4 *)(to + i) = *(const uint4 *)(from + i);
    }
    for (int i = done + threadIdx.x; i < n; i += PIXEL_THREADS)
        to[i] = from[i];
    __syncthreads();
}

template <typename A, int K>
static __global__ void __launch_bounds__(PIXEL_THREADS)
patch_bytes(struct op_patches o)
{
    constexpr int N = run_n<A, K>;
    const int k = K ? K : (int)o.patch, size = (int)o.size, side = size / k;
    const int n = blockIdx.x / side, i = blockIdx.x % side;
    const int row = side * 3 * k * k, line = 3 * size;
    A *y = (A *)o.y + (int64_t)blockIdx.x * row;
    DYNAMIC_SHARED(unsigned char, strip);

    fetch((const unsigned char *)o.x.x + ((int64_t)n * size + i * k) * line,
          k * line, strip);
    for (int e = threadIdx.x * N; e < row; e += PIXEL_THREADS * N) {
        const place at = find<K>(e, 3, k);
        const unsigned char *x = strip + at.line * line + at.column * 3 + at.c;
        const colour number = pick(o.x.norm, at.c);
        float v[N];

#pragma unroll
        for (int j = 0; j < N; j++)
            v[j] = number(x[3 * j]);
        store_run<N>(y + e, v);
    }
}

template <typename A, int K>
static void patches(struct device *d, const struct op_patches *o)
{
    const unsigned blocks = (unsigned)(o->batch * (o->size / o->patch));

    if (o->x.kind == PIXEL_BYTE)
        launch(d, patch_bytes<A, K>, blocks, PIXEL_THREADS,
               (size_t)(3 * o->patch * o->size), *o);
    else
        launch(d, patch_reals<A, K>, blocks, PIXEL_THREADS, 0, *o);
}

void cuda_patches(struct device *d, const struct op_patches *o)
{
    /* lines of numbers that begin where run_n of them may be loaded */
    const bool runs = o->x.kind == PIXEL_BYTE ||
                      o->size % (o->patch == 14 ? 2 : 4) == 0;

    if (o->x.kind == PIXEL_BYTE && 3 * o->patch * o->size > STRIP_MOST) {
        device_fail(d, E_UNSUPPORTED,
                    "cuda: squares of %lld x %lld bytes of pixels",
                    (long long)o->patch, (long long)o->size);
        return;
    }
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->patch == 32 && runs)
            patches<A, 32>(d, o);
        else if (o->patch == 16 && runs)
            patches<A, 16>(d, o);
        else if (o->patch == 14 && runs)
            patches<A, 14>(d, o);
        else
            patches<A, 0>(d, o);
    });
}

/* ---- NHWC ---- */

/* N places of 3 channels: as many packs of y as there are channels. */
template <typename A, int N>
static __global__ void __launch_bounds__(PIXEL_THREADS)
nhwc_reals(struct op_nhwc o)
{
    const int64_t plane = o.h * o.w, at = (int64_t)blockIdx.x * PIXEL_THREADS;
    const int64_t i = (at + threadIdx.x) * N;
    const float *x = (const float *)o.x.x + (int64_t)blockIdx.y * 3 * plane + i;
    A *y = (A *)o.y + ((int64_t)blockIdx.y * plane + i) * 3;
    float in[3 * N], out[3 * N];

    if (i >= plane)
        return;
#pragma unroll
    for (int c = 0; c < 3; c++)
        load_run<N>(x + c * plane, in + c * N);
#pragma unroll
    for (int j = 0; j < 3 * N; j++)
        out[j] = in[j % 3 * N + j / 3];
#pragma unroll
    for (int j = 0; j < 3; j++)
        store_run<N>(y + j * N, out + j * N);
}

/* Any number of channels, one number a thread. */
template <typename A>
static __global__ void __launch_bounds__(PIXEL_THREADS)
nhwc_any(struct op_nhwc o)
{
    const int64_t i = (int64_t)blockIdx.x * PIXEL_THREADS + threadIdx.x;
    const int64_t plane = o.h * o.w, n = blockIdx.y;
    const int channels = (int)o.channels;
    const int64_t at = i / channels, c = i % channels;

    if (at < plane)
        set((A *)o.y + n * plane * channels + i,
            ((const float *)o.x.x)[(n * channels + c) * plane + at]);
}

/* N bytes in their order; the colour of the first is known by the place. */
template <typename A, int N>
static __global__ void __launch_bounds__(PIXEL_THREADS)
nhwc_bytes(int64_t count, const unsigned char *__restrict__ x,
               struct pixel_norm norm, A *__restrict__ y)
{
    const unsigned c =
        (blockIdx.x % 3 * (PIXEL_THREADS * N % 3) + threadIdx.x * N) % 3;
    const int64_t i = ((int64_t)blockIdx.x * PIXEL_THREADS + threadIdx.x) * N;
    const colour next[3] = {pick(norm, (int)c), pick(norm, (int)(c + 1) % 3),
                            pick(norm, (int)(c + 2) % 3)};
    unsigned in[2];
    float out[N];

    if (i >= count)
        return;
    if constexpr (N == 8) {
        const uint2 two = *(const uint2 *)(x + i);

        in[0] = two.x;
        in[1] = two.y;
    } else if constexpr (N == 4) {
        in[0] = *(const unsigned *)(x + i);
    } else {
        in[0] = x[i];
    }
#pragma unroll
    for (int j = 0; j < N; j++)
        out[j] = next[j % 3]((unsigned char)(in[j / 4] >> j % 4 * 8));
    store_run<N>(y + i, out);
}

/* Pictures are the grid's second dimension, of which there is less. */
#define PICTURES_MOST 65535

template <typename A>
static void reals(struct device *d, const struct op_nhwc *o)
{
    const int64_t plane = o->h * o->w;
    constexpr int N = pack_n<A>;

    for (int64_t at = 0; at < o->batch; at += PICTURES_MOST) {
        const int64_t left = o->batch - at, numbers = at * o->channels * plane;
        const unsigned pictures =
            (unsigned)(left < PICTURES_MOST ? left : PICTURES_MOST);
        struct op_nhwc part = *o;

        part.x.x = (const float *)o->x.x + numbers;
        part.y = (A *)o->y + numbers;
        if (o->channels != 3)
            launch(
                d, nhwc_any<A>,
                dim3(blocks_for(plane * o->channels, PIXEL_THREADS), pictures),
                PIXEL_THREADS, 0, part);
        else if (plane % N)
            launch(d, nhwc_reals<A, 1>,
                   dim3(blocks_for(plane, PIXEL_THREADS), pictures),
                   PIXEL_THREADS, 0, part);
        else
            launch(d, nhwc_reals<A, N>,
                   dim3(blocks_for(plane / N, PIXEL_THREADS), pictures),
                   PIXEL_THREADS, 0, part);
    }
}

void cuda_nhwc(struct device *d, const struct op_nhwc *o)
{
    const int64_t count = o->batch * o->h * o->w * o->channels;
    const unsigned char *x = (const unsigned char *)o->x.x;

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;

        if (o->x.kind == PIXEL_REAL)
            reals<A>(d, o);
        else if (count % N)
            launch(d, nhwc_bytes<A, 1>, blocks_for(count, PIXEL_THREADS),
                   PIXEL_THREADS, 0, count, x, o->x.norm, (A *)o->y);
        else
            launch(d, nhwc_bytes<A, N>, blocks_for(count / N, PIXEL_THREADS),
                   PIXEL_THREADS, 0, count, x, o->x.norm, (A *)o->y);
    });
}
