/*
 * BatchNorm: statistics of columns, and the pass that normalises.
 *
 * Method.  A thread sums x and its square around its own first row, so that a
 *          large mean does not cancel; the block moves its threads' sums to one
 *          origin and folds them pair by pair.  A second kernel puts the parts
 *          together in double (Chan, Golub & LeVeque 1979), a third normalises,
 *          last rows first: they are still in the second cache.
 * Cost.    x read twice, res once, y written once: 6 or 8 bytes a number in
 *          bf16.  RN50's first norm on 256 pictures (3.2 M rows of 32): 617 MB.
 */
#include "train/cuda/k_batchnorm.cuh"

/* Of every part and column, in parts [groups * parts, 3, dim]: an origin, the
 * sum of x around it, that of squares. */
template <typename A, int N>
static __global__ void __launch_bounds__(BN_THREADS)
    batchnorm_sums(const A *x, struct bn_cut c, float *parts)
{
    __shared__ float room[2 * N * BN_HALF], origin[BN_WIDE * N];
    bn_at at = place_of<N>(c, blockIdx.x);
    int rows = (at.rows - at.y + c.tall - 1) / c.tall;
    float n = rows > 0 ? (float)rows : 1;
    float shift[N] = {}, v[2 * N] = {};

    if (at.y < at.rows)
        load_n<N>(x + at.first + (int64_t)at.y * c.dim, shift);
    walk<4>(c, at, [&](int64_t where, auto u) {
        constexpr int U = decltype(u)::value;
        float in[U][N];

#pragma unroll
        for (int k = 0; k < U; k++)
            load_n<N>(x + where + (int64_t)(k * c.tall) * c.dim, in[k]);
#pragma unroll
        for (int k = 0; k < U; k++)
#pragma unroll
            for (int j = 0; j < N; j++) {
                float gap = in[k][j] - shift[j];

                v[j] += gap;
                v[N + j] += gap * gap;
            }
    });
#pragma unroll
    for (int j = 0; j < N; j++) { /* now around the thread's own mean */
        shift[j] += v[j] / n;
        v[N + j] -= v[j] * v[j] / n;
        v[N + j] = v[N + j] < 0 ? 0 : v[N + j]; /* a NaN stays */
    }
    if (at.y == 0)
#pragma unroll
        for (int j = 0; j < N; j++)
            origin[at.x * N + j] = shift[j];
    __syncthreads();
#pragma unroll
    for (int j = 0; j < N; j++) {
        float gap = shift[j] - origin[at.x * N + j];

        v[j] = at.y < at.rows ? n * gap : 0;
        v[N + j] = at.y < at.rows ? v[N + j] + n * gap * gap : 0;
    }
    fold<2 * N>(c, at, v, room);
    if (at.y > 0 || !at.rows)
        return;
    parts += at.part * 3 * c.dim + at.column;
    store_floats<N>(parts, origin + at.x * N);
    store_floats<N>(parts + c.dim, v);
    store_floats<N>(parts + 2 * c.dim, v + N);
}

/* A block does BN_LANES columns of a group, its rows every so manieth part. */
static __global__ void __launch_bounds__(BN_LANES *BN_LANES)
    batchnorm_combine(struct bn_cut c, const float *parts, float *mean,
                      float *var)
{
    int64_t tiles = (c.dim + BN_LANES - 1) / BN_LANES;
    int64_t group = blockIdx.x / tiles;
    int column = (int)(blockIdx.x % tiles) * BN_LANES + threadIdx.x;
    bool on = column < c.dim;
    const float *p = parts + group * c.parts * 3 * c.dim + column;
    double origin = on ? (double)*p : 0, s = 0, q = 0;

#pragma unroll 4
    for (int i = threadIdx.y; on && i < c.parts; i += BN_LANES) {
        const float *at = p + (int64_t)i * 3 * c.dim;
        double n = (double)(part_begin(c.per, c.parts, i + 1) -
                            part_begin(c.per, c.parts, i));
        double gap = (double)at[0] - origin, sum = (double)at[c.dim];

        s += sum + n * gap;
        q += (double)at[2 * c.dim] + gap * (2 * sum + n * gap);
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
            int64_t i = where + (int64_t)(k * c.tall) * c.dim;

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
            store_n<N>((A *)o.y + where + (int64_t)(k * c.tall) * c.dim, x[k]);
        }
    });
}

template <typename A, int N>
static void forward(struct device *d, const struct op_batchnorm *o)
{
    struct bn_cut c = cut_of(o->groups, o->per, o->dim, N);

    if (!o->given) {
        float *parts = (float *)cuda_scratch(
            d, (size_t)(o->groups * c.parts * 3 * o->dim) * sizeof(float));

        launch(d, batchnorm_sums<A, N>, blocks_of(c, o->groups), BN_THREADS, 0,
               (const A *)o->x, c, parts);
        launch(d, batchnorm_combine,
               (unsigned)o->groups * blocks_for(o->dim, BN_LANES),
               dim3(BN_LANES, BN_LANES), 0, c, (const float *)parts,
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
