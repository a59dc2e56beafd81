/*
 * BatchNorm: statistics of columns, and the pass that normalises.
 *
 * Method.  A thread sums x and its square around its own first row, so that a
 *          large mean does not cancel; a block's threads are put together pair
 *          by pair, mean and squared deviations, by the rule of Chan, Golub &
 *          LeVeque (1979).  A second kernel puts the parts together in double,
 *          a third normalises, last rows first: they are still in the second
 *          cache.
 * Cost.    x read twice, res once, y written once: 6 or 8 bytes a number in
 *          bf16.  RN50's first norm on 256 pictures (3.2 M rows of 32): 617 MB.
 */
#include "train/cuda/k_batchnorm.cuh"

/* v[]: N means, N sums of squared deviations, the rows they are of. */
template <int N>
static __device__ __forceinline__ void merge(double *mine, const double *other)
{
    double n = mine[2 * N] + other[2 * N * BN_HALF];
    double share = n > 0 ? other[2 * N * BN_HALF] / n : 0;

#pragma unroll
    for (int j = 0; j < N; j++) {
        double step = other[j * BN_HALF] - mine[j];

        mine[j] += step * share;
        mine[N + j] +=
            other[(N + j) * BN_HALF] + step * step * (mine[2 * N] * share);
    }
    mine[2 * N] = n;
}

/* Of every part and column, in parts [groups * parts, 2, dim]: the mean, the
 * sum of squared deviations. */
template <typename A, int N>
static __global__ void __launch_bounds__(BN_THREADS, 4)
batchnorm_sums(const A *x, struct bn_cut c, double *parts)
{
    __shared__ double room[(2 * N + 1) * BN_HALF];
    bn_at at = place_of<N>(c, blockIdx.x);
    int rows = at.y < at.rows ? (at.rows - at.y + c.tall - 1) / c.tall : 0;
    float first[N] = {}, sum[N] = {}, squares[N] = {};
    double v[2 * N + 1], share;

    if (rows)
        load_n<N>(x + at.first + (int64_t)at.y * c.dim, first);
    walk<4>(c, at, [&](int64_t where, auto u) {
        constexpr int U = decltype(u)::value;
        float in[U][N];

#pragma unroll
        for (int k = 0; k < U; k++)
            load_n<N>(x + where + k * c.down, in[k]);
#pragma unroll
        for (int k = 0; k < U; k++)
#pragma unroll
            for (int j = 0; j < N; j++) {
                float gap = in[k][j] - first[j];

                sum[j] += gap;
                squares[j] += gap * gap;
            }
    });
    v[2 * N] = rows;
    share = rows ? 1.0 / rows : 0;
#pragma unroll
    for (int j = 0; j < N; j++) {
        double mean = (double)sum[j] * share;
        double rest = (double)squares[j] - (double)sum[j] * mean;

        v[j] = (double)first[j] + mean;
        v[N + j] = rest < 0 ? 0 : rest; /* a NaN stays */
    }
    fold<2 * N + 1>(c, at, v, room, [](double *mine, const double *other) {
        merge<N>(mine, other);
    });
    if (at.y > 0 || !at.rows)
        return;
    parts += at.part * 2 * c.dim + at.column;
#pragma unroll
    for (int j = 0; j < N; j++) {
        parts[j] = v[j];
        parts[c.dim + j] = v[N + j];
    }
}

/* A block does BN_LANES columns of a group, a row of its threads every so
 * manieth part. */
static __global__ void __launch_bounds__(BN_LANES *BN_LANES)
batchnorm_combine(struct bn_cut c, const double *parts, float *mean,
                      float *var)
{
    int64_t tiles = (c.dim + BN_LANES - 1) / BN_LANES;
    int64_t group = blockIdx.x / tiles;
    int column = (int)(blockIdx.x % tiles) * BN_LANES + threadIdx.x;
    bool on = column < c.dim;
    const double *p = parts + group * c.parts * 2 * c.dim + column;
    double origin = on ? *p : 0, s = 0, q = 0;

#pragma unroll 4
    for (int i = threadIdx.y; on && i < c.parts; i += BN_LANES) {
        const double *at = p + (int64_t)i * 2 * c.dim;
        double n = c.rows + (i < c.longer);
        double gap = at[0] - origin;

        s += n * gap;
        q += at[c.dim] + n * gap * gap;
    }
    fold_double(&s, &q);
    if (threadIdx.y > 0 || !on)
        return;
    s /= (double)c.per;
    q = q / (double)c.per - s * s;
    mean[group * c.dim + column] = (float)(origin + s);
    var[group * c.dim + column] = (float)(q < 0 ? 0 : q); /* a NaN stays */
}

template <typename A, int N, bool RES>
static __global__ void __launch_bounds__(BN_THREADS)
batchnorm_apply(struct op_batchnorm o, struct bn_cut c)
{
    bn_at at = place_of<N>(c, gridDim.x - 1 - blockIdx.x);
    int64_t stat = at.group * c.dim + at.column;
    float mean[N], scale[N], b[N];

    if (!at.rows)
        return;
    load_floats<N>((const float *)o.mean + stat, mean);
    load_floats<N>((const float *)o.var + stat, scale);
    load_floats<N>((const float *)o.g + at.column, b);
#pragma unroll
    for (int j = 0; j < N; j++)
        scale[j] = rsqrtf(scale[j] + (float)OP_NORM_EPS) * b[j];
    load_floats<N>((const float *)o.b + at.column, b);
    walk<4>(c, at, [&](int64_t where, auto u) {
        constexpr int U = decltype(u)::value;
        float x[U][N], res[U][N];

#pragma unroll
        for (int k = 0; k < U; k++) {
            int64_t i = where + k * c.down;

            load_n<N>((const A *)o.x + i, x[k]);
            if (RES)
                load_n<N>((const A *)o.res + i, res[k]);
        }
#pragma unroll
        for (int k = 0; k < U; k++) {
#pragma unroll
            for (int j = 0; j < N; j++) {
                float y = (x[k][j] - mean[j]) * scale[j] + b[j];

                if (RES)
                    y += res[k][j];
                x[k][j] = o.relu && y <= 0 ? 0 : y; /* a NaN stays */
            }
            store_n<N>((A *)o.y + where + k * c.down, x[k]);
        }
    });
}

template <typename A, int N>
static void forward(struct device *d, const struct op_batchnorm *o)
{
    struct bn_cut c = cut_of(o->groups, o->per, o->dim, N);

    if (!o->given) {
        double *parts = (double *)cuda_scratch(
            d, (size_t)(o->groups * c.parts * 2 * o->dim) * sizeof(double));

        launch(d, batchnorm_sums<A, N>, blocks_of(c, o->groups), BN_THREADS, 0,
               (const A *)o->x, c, parts);
        launch(d, batchnorm_combine,
               (unsigned)o->groups * blocks_for(o->dim, BN_LANES),
               dim3(BN_LANES, BN_LANES), 0, c, (const double *)parts,
               (float *)o->mean, (float *)o->var);
    }
    launch(d,
           o->res ? batchnorm_apply<A, N, true> : batchnorm_apply<A, N, false>,
           blocks_of(c, o->groups), BN_THREADS, 0, *o, c);
}

void cuda_batchnorm(struct device *d, const struct op_batchnorm *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->dim % pack_n<A>)
            forward<A, 1>(d, o);
        else
            forward<A, pack_n<A>>(d, o);
    });
}

/* ---- running statistics ---- */

static __global__ void __launch_bounds__(BN_THREADS)
batchnorm_collect(struct op_batchnorm_collect o)
{
    int64_t c = (int64_t)blockIdx.x * BN_THREADS + threadIdx.x;
    double mean = 0, var = 0, per = (double)o.per;

    if (c >= o.dim)
        return;
    for (int64_t i = c; i < o.groups * o.dim; i += o.dim) {
        mean += (double)((const float *)o.mean)[i];
        var += (double)((const float *)o.var)[i];
    }
    ((float *)o.sum_mean)[c] += (float)mean;
    ((float *)o.sum_var)[c] += (float)(o.per > 1 ? var * per / (per - 1) : var);
}

void cuda_batchnorm_collect(struct device *d,
                            const struct op_batchnorm_collect *o)
{
    launch(d, batchnorm_collect, blocks_for(o->dim, BN_THREADS), BN_THREADS, 0,
           *o);
}
