/*
 * LayerNorm forward, and the L2 norm both ways.
 *
 * Method.  A row stands in the registers of a warp (up to NORM_WARP numbers) or
 *          of a block (up to NORM_BLOCK) between its mean, the variance as the
 *          mean of squared deviations, which does not cancel, and its output;
 *          longer ones, and lengths that are no multiple of a pack, are read
 *          three times, from the caches.  A warp takes two rows at once: they
 *          share the loads of g and b, which cost the first cache more than
 *          the rows, and twice as much is under way.
 *          The L2 norm, once a step and feature, goes over a row twice.
 * Cost.    LayerNorm: x read and y written once, 4 bytes a number in bf16; a
 *          call on 204,800 rows of 768 (ViT-B/32, 4,096 pictures) moves 629 MB.
 *          The L2 norm: 6 bytes a number, its gradient 10.
 */
#include "train/cuda/k_norm.cuh"

/* Load row r of x, the part of thread `lane` of T; 0 behind its end. */
template <typename A, int K, int T>
static __device__ __forceinline__ void load_row(const A *x, int dim, int lane,
                                                float *to)
{
    constexpr int N = pack_n<A>;

#pragma unroll
    for (int k = 0; k < K; k++) {
        int c = (k * T + lane) * N;

        if (k < K - 1 || c < dim)
            load_n<N>(x + c, to + k * N);
        else
#pragma unroll
            for (int i = 0; i < N; i++)
                to[k * N + i] = 0;
    }
}

template <typename A, int K, int T>
static __device__ __forceinline__ float squares_of(const float *x, int dim,
                                                   int lane, float mean)
{
    constexpr int N = pack_n<A>;
    float sum = 0;

#pragma unroll
    for (int k = 0; k < K; k++)
        if (k < K - 1 || (k * T + lane) * N < dim)
#pragma unroll
            for (int i = 0; i < N; i++) {
                float gap = x[k * N + i] - mean;

                sum += gap * gap;
            }
    return sum;
}

/* T threads hold a row, K packs each; a warp holds two. */
template <typename A, int K, int T>
static __global__ void __launch_bounds__(NORM_THREADS)
layernorm(struct op_layernorm o)
{
    constexpr int N = pack_n<A>, R = T == WARP ? 2 : 1;
    __shared__ float room[NORM_WARPS * R];
    int dim = (int)o.dim, lane = threadIdx.x % T;
    int64_t row[R];
    float x[R][K * N], mean[R], rstd[R], share = 1 / (float)dim;

    row[0] = ((int64_t)blockIdx.x * (NORM_THREADS / T) + threadIdx.x / T) * R;
    if (row[0] >= o.rows)
        return; /* all T threads */
    if (R > 1)  /* behind the last row: that one again */
        row[R - 1] = row[0] + R - 1 < o.rows ? row[0] + R - 1 : row[0];
#pragma unroll
    for (int r = 0; r < R; r++)
        load_row<A, K, T>((const A *)o.x + row[r] * dim, dim, lane, x[r]);
#pragma unroll
    for (int r = 0; r < R; r++) {
        mean[r] = 0;
#pragma unroll
        for (int i = 0; i < K * N; i++)
            mean[r] += x[r][i];
    }
    row_sums<T, R>(mean, room);
#pragma unroll
    for (int r = 0; r < R; r++) {
        mean[r] *= share;
        rstd[r] = squares_of<A, K, T>(x[r], dim, lane, mean[r]);
    }
    row_sums<T, R>(rstd, room);
#pragma unroll
    for (int r = 0; r < R; r++) {
        rstd[r] = rsqrtf(rstd[r] * share + (float)OP_NORM_EPS);
        if (lane == 0) {
            ((float *)o.mean)[row[r]] = mean[r];
            ((float *)o.rstd)[row[r]] = rstd[r];
        }
    }
#pragma unroll
    for (int k = 0; k < K; k++) {
        int c = (k * T + lane) * N;
        float g[N], b[N], y[N];

        if (k == K - 1 && c >= dim)
            break;
        load_floats<N>((const float *)o.g + c, g);
        load_floats<N>((const float *)o.b + c, b);
#pragma unroll
        for (int r = 0; r < R; r++) {
#pragma unroll
            for (int i = 0; i < N; i++)
                y[i] = (x[r][k * N + i] - mean[r]) * rstd[r] * g[i] + b[i];
            store_n<N>((A *)o.y + row[r] * dim + c, y);
        }
    }
}

/* A block a row of any length. */
template <typename A>
static __global__ void __launch_bounds__(NORM_THREADS)
layernorm_any(struct op_layernorm o)
{
    __shared__ float room[NORM_WARPS];
    int64_t row = blockIdx.x;
    const A *x = (const A *)o.x + row * o.dim;
    A *y = (A *)o.y + row * o.dim;
    float mean = 0, rstd = 0;

    for (int64_t c = threadIdx.x; c < o.dim; c += NORM_THREADS)
        mean += to_float(x[c]);
    row_sums<NORM_THREADS, 1>(&mean, room);
    mean /= (float)o.dim;
    for (int64_t c = threadIdx.x; c < o.dim; c += NORM_THREADS) {
        float gap = to_float(x[c]) - mean;

        rstd += gap * gap;
    }
    row_sums<NORM_THREADS, 1>(&rstd, room);
    rstd = rsqrtf(rstd / (float)o.dim + (float)OP_NORM_EPS);
    for (int64_t c = threadIdx.x; c < o.dim; c += NORM_THREADS)
        set(&y[c], (to_float(x[c]) - mean) * rstd * ((const float *)o.g)[c] +
                       ((const float *)o.b)[c]);
    if (threadIdx.x == 0) {
        ((float *)o.mean)[row] = mean;
        ((float *)o.rstd)[row] = rstd;
    }
}

void cuda_layernorm(struct device *d, const struct op_layernorm *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (!norm_in_packs<A>(o->dim)) {
            launch(d, layernorm_any<A>, (unsigned)o->rows, NORM_THREADS, 0, *o);
            return;
        }
        norm_with_packs<A>(o->dim, [=](auto k, auto t) {
            constexpr int K = decltype(k)::value, T = decltype(t)::value;
            constexpr int R = T == WARP ? 2 : 1;

            launch(d, layernorm<A, K, T>,
                   blocks_for(o->rows, NORM_THREADS / T * R), NORM_THREADS, 0,
                   *o);
        });
    });
}

/* ---- L2: a warp a row ---- */

template <typename A, int N>
static __global__ void __launch_bounds__(NORM_THREADS)
l2norm(struct op_l2norm o)
{
    int lane = threadIdx.x % WARP;
    int64_t row = (int64_t)blockIdx.x * NORM_WARPS + threadIdx.x / WARP;
    const A *x = (const A *)o.x + row * o.dim;
    float *y = (float *)o.y + row * o.dim;
    float v[N], norm = 0;

    if (row >= o.rows)
        return;
#pragma unroll 4
    for (int64_t c = lane * N; c < o.dim; c += WARP * N) {
        load_n<N>(x + c, v);
#pragma unroll
        for (int i = 0; i < N; i++)
            norm += v[i] * v[i];
    }
    norm = sqrtf(warp_sum(norm));
    norm = norm < 1e-12f ? 1e-12f : norm; /* a NaN stays */
    if (lane == 0)
        ((float *)o.norm)[row] = norm;
#pragma unroll 4
    for (int64_t c = lane * N; c < o.dim; c += WARP * N) {
        load_n<N>(x + c, v);
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] /= norm;
        store_floats<N>(y + c, v);
    }
}

template <typename A, int N>
static __global__ void __launch_bounds__(NORM_THREADS)
l2norm_bwd(struct op_l2norm_bwd o)
{
    int lane = threadIdx.x % WARP;
    int64_t row = (int64_t)blockIdx.x * NORM_WARPS + threadIdx.x / WARP;
    const float *y = (const float *)o.y + row * o.dim;
    const float *dy = (const float *)o.dy + row * o.dim;
    float v[N], dv[N], along = 0, scale;

    if (row >= o.rows)
        return;
#pragma unroll 2
    for (int64_t c = lane * N; c < o.dim; c += WARP * N) {
        load_floats<N>(y + c, v);
        load_floats<N>(dy + c, dv);
#pragma unroll
        for (int i = 0; i < N; i++)
            along += v[i] * dv[i];
    }
    along = warp_sum(along);
    scale = 1 / ((const float *)o.norm)[row];
#pragma unroll 2
    for (int64_t c = lane * N; c < o.dim; c += WARP * N) {
        load_floats<N>(y + c, v);
        load_floats<N>(dy + c, dv);
#pragma unroll
        for (int i = 0; i < N; i++)
            dv[i] = (dv[i] - along * v[i]) * scale;
        store_n<N>((A *)o.dx + row * o.dim + c, dv);
    }
}

void cuda_l2norm(struct device *d, const struct op_l2norm *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        launch(d, o->dim % pack_n<A> ? l2norm<A, 1> : l2norm<A, pack_n<A>>,
               blocks_for(o->rows, NORM_WARPS), NORM_THREADS, 0, *o);
    });
}

void cuda_l2norm_bwd(struct device *d, const struct op_l2norm_bwd *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        launch(d,
               o->dim % pack_n<A> ? l2norm_bwd<A, 1> : l2norm_bwd<A, pack_n<A>>,
               blocks_for(o->rows, NORM_WARPS), NORM_THREADS, 0, *o);
    });
}
