/*
 * What stands around products: activations, their gradients, biases.
 *
 * Method.  The arrays are flat: a thread takes ACT_PACKS packs of 16 bytes, a
 *          block's threads side by side.  An odd rest, and arrays that do not
 *          begin on 16 bytes, go number by number.
 *          GELU needs Phi(x) = (1 + erf(x / sqrt 2)) / 2.  Floats take the
 *          library's erfc, right to the last bit but one.  For bfloat16
 *          Abramowitz & Stegun 7.1.26 is enough, 1.5e-7 off at most: a division
 *          and an exponential, and the exponential is the slope's, too.  Some
 *          17 instructions a number; with the library's, arithmetic would take
 *          longer than memory.
 * Cost.    bfloat16: act 4 bytes a number (6 with res), act_bwd 6; 50 x 4,096 x
 *          3,072 numbers: 2.5 and 3.8 GB, 0.6 and 0.9 ms at 4.3 TB/s.
 */
#include "train/cuda/kernel.cuh"
#include "train/cuda/products.h"

#define ACT_THREADS 256
#define ACT_PACKS   2

/* ---- functions ---- */

/* 2^x and 1 / x within two units of the last bit, numbers below 2^-126 as 0;
 * infinite where they are: one instruction each. */
static __device__ __forceinline__ float fast_exp2(float x)
{
#ifdef __CUDA_ARCH__
    float y;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

static __device__ __forceinline__ float fast_inverse(float x)
{
#ifdef __CUDA_ARCH__
    float y;

    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1 / x;
#endif
}

/* Phi(-|x|) = t (a1 + t (a2 + ...)) e / 2, t = 1 / (1 + p |x| / sqrt 2), the
 * halves folded into the a's; e = exp(-x^2 / 2) is given back, too. */
static __device__ __forceinline__ float tail(float x, float *e)
{
    float t = fast_inverse(0.23164189f * fabsf(x) + 1);
    float sum = 0.53070271f;

    *e = fast_exp2(-0.72134752f * x * x); /* log2(e) / 2 */
    sum = sum * t - 0.72657601f;
    sum = sum * t + 0.71070688f;
    sum = sum * t - 0.14224837f;
    sum = sum * t + 0.12741480f;
    return sum * t * *e;
}

static __device__ __forceinline__ float gelu(float x, float)
{
    return x * erfcf(-0.70710678f * x) / 2;
}

static __device__ __forceinline__ float gelu(float x, bf16)
{
    float e;

    return fmaxf(x, 0) - fabsf(x) * tail(x, &e);
}

static __device__ __forceinline__ float gelu_slope(float x, float)
{
    return erfcf(-0.70710678f * x) / 2 + x * expf(-x * x / 2) * 0.39894228f;
}

static __device__ __forceinline__ float gelu_slope(float x, bf16)
{
    float e, low = tail(x, &e);

    return (x < 0 ? low : 1 - low) + x * 0.39894228f * e;
}

/* sigmoid(1.702 x); its exponential may be infinite, the sigmoid is then 0. */
static __device__ __forceinline__ float quick_sigmoid(float x, float)
{
    return 1 / (1 + expf(-1.702f * x));
}

static __device__ __forceinline__ float quick_sigmoid(float x, bf16)
{
    return fast_inverse(1 + fast_exp2(-2.4554669f * x)); /* 1.702 log2(e) */
}

template <typename A, enum act_kind K>
static __device__ __forceinline__ float activate(float x)
{
    if (K == ACT_QUICK_GELU)
        return x * quick_sigmoid(x, A());
    return gelu(x, A());
}

template <typename A, enum act_kind K>
static __device__ __forceinline__ float slope(float x)
{
    if (K == ACT_QUICK_GELU) {
        float s = quick_sigmoid(x, A());

        return s + 1.702f * x * s * (1 - s);
    }
    return gelu_slope(x, A());
}

/* ---- passes ---- */

/* Where a thread's packs begin, ACT_THREADS packs apart. */
template <int N> static __device__ __forceinline__ int64_t first_number()
{
    return ((int64_t)blockIdx.x * ACT_THREADS * ACT_PACKS + threadIdx.x) * N;
}

/* PACKS packs of N numbers of two arrays, or one: f(x[i], y[i]) to `out`.  All
 * loads are on their way before the first is used. */
template <int PACKS, int N, bool TWO, typename A, typename F>
static __device__ __forceinline__ void map_packs(int64_t at, const A *x,
                                                 const A *y, A *out, F f)
{
    float u[PACKS][N], v[PACKS][N];

#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        load_n<N>(x + at + p * ACT_THREADS * N, u[p]);
        if (TWO)
            load_n<N>(y + at + p * ACT_THREADS * N, v[p]);
    }
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
#pragma unroll
        for (int i = 0; i < N; i++)
            u[p][i] = f(u[p][i], TWO ? v[p][i] : 0);
        store_n<N>(out + at + p * ACT_THREADS * N, u[p]);
    }
}

/* A thread's numbers of `count`: whole packs but at the end of the arrays. */
template <int N, bool TWO, typename A, typename F>
static __device__ __forceinline__ void map(int64_t count, const A *x,
                                           const A *y, A *out, F f)
{
    int64_t at = first_number<N>();

    if (at + ((ACT_PACKS - 1) * ACT_THREADS + 1) * N <= count) {
        map_packs<ACT_PACKS, N, TWO>(at, x, y, out, f);
        return;
    }
    for (int p = 0; p < ACT_PACKS; p++, at += ACT_THREADS * N)
        for (int64_t i = at; i < at + N && i < count; i++)
            map_packs<1, 1, TWO>(i, x, y, out, f);
}

template <typename A, enum act_kind K, bool RES, int N>
static __global__ void __launch_bounds__(ACT_THREADS)
    act_forward(int64_t count, const A *__restrict__ pre,
                const A *__restrict__ res, A *__restrict__ y)
{
    map<N, RES>(count, pre, res, y,
                [](float x, float r) { return activate<A, K>(x) + r; });
}

template <typename A, enum act_kind K, int N>
static __global__ void __launch_bounds__(ACT_THREADS)
    act_backward(int64_t count, const A *__restrict__ pre, A *dx)
{
    map<N, true>(count, pre, (const A *)dx, dx,
                 [](float x, float g) { return g * slope<A, K>(x); });
}

template <typename A>
static __global__ void __launch_bounds__(ACT_THREADS)
    bias(int64_t n, const float *__restrict__ x, A *__restrict__ y)
{
    int64_t i = (int64_t)blockIdx.x * ACT_THREADS + threadIdx.x;

    if (i < n)
        set(y + i, x[i]);
}

/* ---- launching ---- */

static bool packed(const void *p)
{
    return (uintptr_t)p % 16 == 0;
}

template <typename A, enum act_kind K, int N>
static void forward(struct device *d, int64_t count, const void *pre,
                    const void *res, void *y)
{
    auto *kernel =
        res ? act_forward<A, K, true, N> : act_forward<A, K, false, N>;

    launch(d, kernel, blocks_for(count, ACT_THREADS * ACT_PACKS * N),
           ACT_THREADS, 0, count, (const A *)pre, (const A *)res, (A *)y);
}

void cuda_act(struct device *d, enum act_kind kind, int64_t count,
              const void *pre, const void *res, void *y)
{
    bool packs = packed(pre) && packed(res) && packed(y);

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;
        auto *gelu = packs ? forward<A, ACT_GELU, N> : forward<A, ACT_GELU, 1>;
        auto *quick = packs ? forward<A, ACT_QUICK_GELU, N>
                            : forward<A, ACT_QUICK_GELU, 1>;

        (kind == ACT_GELU ? gelu : quick)(d, count, pre, res, y);
    });
}

template <typename A, enum act_kind K, int N>
static void backward(struct device *d, int64_t count, const void *pre, void *dx)
{
    launch(d, act_backward<A, K, N>,
           blocks_for(count, ACT_THREADS * ACT_PACKS * N), ACT_THREADS, 0,
           count, (const A *)pre, (A *)dx);
}

void cuda_act_bwd(struct device *d, enum act_kind kind, int64_t count,
                  const void *pre, void *dx)
{
    bool packs = packed(pre) && packed(dx);

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;
        auto *gelu =
            packs ? backward<A, ACT_GELU, N> : backward<A, ACT_GELU, 1>;
        auto *quick = packs ? backward<A, ACT_QUICK_GELU, N>
                            : backward<A, ACT_QUICK_GELU, 1>;

        (kind == ACT_GELU ? gelu : quick)(d, count, pre, dx);
    });
}

void cuda_bias(struct device *d, int64_t n, const void *x, void *y)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        launch(d, bias<A>, blocks_for(n, ACT_THREADS), ACT_THREADS, 0, n,
               (const float *)x, (A *)y);
    });
}
