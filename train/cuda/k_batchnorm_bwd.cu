/*
 * BatchNorm backward: one pass for sums, one for dx.
 *
 * Method.  With v = dy where y > 0 (dy without relu), S = sum v, D = sum of
 *          v (x - mean) over a group's n rows: db += S, dg += D rstd,
 *          dx = g rstd (v - S / n - (x - mean) rstd^2 D / n).
 *          The pass that sums leaves v in dres or, where there is none, a bit
 *          for every number in scratch: so y is read once.
 * Cost.    In bf16 10 bytes a number; with relu 12.25, with relu and dres 14.
 *          RN50's first norm on 256 pictures (3.2 M rows of 32): 1.26 GB, and
 *          a byte of scratch for every 8 numbers, 13 MB.
 */
#include "train/cuda/k_batchnorm.cuh"

/* What a mask says: nothing, it is kept in scratch, dres is v. */
enum bn_mask { MASK_NONE, MASK_BITS, MASK_DRES };

/* Of a column in a group, three arrays [groups, dim]:
 * dx = (v - S / n) * of_v + (x - mean) * of_x. */
#define BN_COEFS 3

/* Of every part and column, in parts [groups * parts, 2, dim]: S, D. */
template <typename A, int N, enum bn_mask MASK>
static __global__ void __launch_bounds__(BN_THREADS)
batchnorm_bwd_sums(struct op_batchnorm_bwd o, struct bn_cut c, float *parts,
                       uint8_t *mask)
{
    __shared__ float room[2 * N * BN_HALF];
    bn_at at = place_of<N>(c, blockIdx.x);
    float mean[N] = {}, v[2 * N] = {};

    if (at.rows)
        load_floats<N>((const float *)o.mean + at.group * c.dim + at.column,
                       mean);
    /* two rows of floats with their masks do not fit 64 registers */
    constexpr int ROWS = sizeof(A) == 4 && MASK == MASK_DRES ? 1 : 2;

    walk<ROWS>(c, at, [&](int64_t where, auto u) {
        constexpr int U = decltype(u)::value;
        float x[U][N], y[U][N], dy[U][N];

#pragma unroll
        for (int k = 0; k < U; k++) {
            int64_t i = where + k * c.down;

            load_n<N>((const A *)o.x + i, x[k]);
            load_n<N>((const A *)o.dy + i, dy[k]);
            if (MASK != MASK_NONE)
                load_n<N>((const A *)o.y + i, y[k]);
        }
#pragma unroll
        for (int k = 0; k < U; k++) {
            int64_t i = where + k * c.down;
            unsigned bits = 0;

#pragma unroll
            for (int j = 0; j < N; j++) {
                if (MASK != MASK_NONE) {
                    bits |= (unsigned)(y[k][j] > 0) << j;
                    dy[k][j] = y[k][j] > 0 ? dy[k][j] : 0;
                }
                v[j] += dy[k][j];
                v[N + j] += dy[k][j] * (x[k][j] - mean[j]);
            }
            if (MASK == MASK_BITS)
                mask[i / N] = (uint8_t)bits;
            if (MASK == MASK_DRES)
                store_n<N>((A *)o.dres + i, dy[k]);
        }
    });
    fold<2 * N>(c, at, v, room, [](float *mine, const float *other) {
#pragma unroll
        for (int j = 0; j < 2 * N; j++)
            mine[j] += other[j * BN_HALF];
    });
    if (at.y > 0 || !at.rows)
        return;
    parts += at.part * 2 * c.dim + at.column;
    store_floats<N>(parts, v);
    store_floats<N>(parts + c.dim, v + N);
}

/* A block does BN_LANES columns, group by group: coefs, dg and db. */
static __global__ void __launch_bounds__(BN_LANES *BN_LANES)
batchnorm_bwd_combine(struct op_batchnorm_bwd o, struct bn_cut c,
                          const float *parts, float *coefs)
{
    int column = blockIdx.x * BN_LANES + threadIdx.x;
    bool on = column < c.dim;
    int64_t all = o.groups * c.dim;
    double dg = 0, db = 0;

    for (int64_t group = 0; group < o.groups; group++) {
        const float *p = parts + group * c.parts * 2 * c.dim + column;
        int64_t i = group * c.dim + column;
        double s = 0, q = 0, rstd, scale;

#pragma unroll 4
        for (int k = threadIdx.y; on && k < c.parts; k += BN_LANES) {
            s += (double)p[(int64_t)k * 2 * c.dim];
            q += (double)p[(int64_t)k * 2 * c.dim + c.dim];
        }
        fold_double(&s, &q);
        if (threadIdx.y > 0 || !on)
            continue;
        rstd = 1 / sqrt((double)((const float *)o.var)[i] + OP_NORM_EPS);
        scale = (double)((const float *)o.g)[column] * rstd;
        coefs[i] = (float)scale;
        coefs[all + i] = (float)(-scale * rstd * rstd * q / (double)c.per);
        coefs[2 * all + i] = (float)(s / (double)c.per);
        dg += q * rstd;
        db += s;
    }
    if (threadIdx.y > 0 || !on)
        return;
    ((float *)o.dg)[column] += (float)dg;
    ((float *)o.db)[column] += (float)db;
}

/* v: dy or dres. */
template <typename A, int N, bool BITS>
static __global__ void __launch_bounds__(BN_THREADS)
batchnorm_bwd_apply(struct op_batchnorm_bwd o, struct bn_cut c, const A *v,
                        const float *coefs, const uint8_t *mask)
{
    bn_at at = place_of<N>(c, gridDim.x - 1 - blockIdx.x);
    int64_t all = o.groups * c.dim, stat = at.group * c.dim + at.column;
    float mean[N], of_v[N], of_x[N], v_mean[N];

    if (!at.rows)
        return;
    load_floats<N>((const float *)o.mean + stat, mean);
    load_floats<N>(coefs + stat, of_v);
    load_floats<N>(coefs + all + stat, of_x);
    load_floats<N>(coefs + 2 * all + stat, v_mean);
    walk<2>(c, at, [&](int64_t where, auto u) {
        constexpr int U = decltype(u)::value;
        float x[U][N], dy[U][N];
        unsigned bits[U];

#pragma unroll
        for (int k = 0; k < U; k++) {
            int64_t i = where + k * c.down;

            load_n<N>((const A *)o.x + i, x[k]);
            load_n<N>(v + i, dy[k]);
            bits[k] = BITS ? mask[i / N] : 0;
        }
#pragma unroll
        for (int k = 0; k < U; k++) {
#pragma unroll
            for (int j = 0; j < N; j++) {
                float t = !BITS || (bits[k] >> j & 1) ? dy[k][j] : 0;

                x[k][j] =
                    (t - v_mean[j]) * of_v[j] + (x[k][j] - mean[j]) * of_x[j];
            }
            store_n<N>((A *)o.dx + where + k * c.down, x[k]);
        }
    });
}

template <typename A, int N>
static void backward(struct device *d, const struct op_batchnorm_bwd *o)
{
    struct bn_cut c = cut_of(o->groups, o->per, o->dim, N);
    enum bn_mask kind = !o->y ? MASK_NONE : o->dres ? MASK_DRES : MASK_BITS;
    int64_t rows = o->groups * o->per;
    int64_t sums = o->groups * c.parts * 2 * o->dim;
    int64_t coefs = BN_COEFS * o->groups * o->dim;
    size_t floats = (size_t)(sums + coefs) * sizeof(float);
    size_t bits = kind == MASK_BITS ? (size_t)(rows * o->dim / N) : 0;
    float *parts = (float *)cuda_scratch(d, floats + bits);
    uint8_t *mask = (uint8_t *)(parts + sums + coefs);

    if (!parts)
        return;
    launch(d,
           kind == MASK_NONE   ? batchnorm_bwd_sums<A, N, MASK_NONE>
           : kind == MASK_BITS ? batchnorm_bwd_sums<A, N, MASK_BITS>
                               : batchnorm_bwd_sums<A, N, MASK_DRES>,
           blocks_of(c, o->groups), BN_THREADS, 0, *o, c, parts, mask);
    launch(d, batchnorm_bwd_combine, blocks_for(o->dim, BN_LANES),
           dim3(BN_LANES, BN_LANES), 0, *o, c, (const float *)parts,
           parts + sums);
    launch(d,
           kind == MASK_BITS ? batchnorm_bwd_apply<A, N, true>
                             : batchnorm_bwd_apply<A, N, false>,
           blocks_of(c, o->groups), BN_THREADS, 0, *o, c,
           (const A *)(kind == MASK_DRES ? o->dres : o->dy),
           (const float *)(parts + sums), (const uint8_t *)mask);
}

/* dres without relu is dy; dx, which may lie where dy does, comes later. */
static void copy_dy(struct device *d, const struct op_batchnorm_bwd *o)
{
    int64_t n = o->groups * o->per * o->dim;
    cudaError_t rc;

    if (o->y || !o->dres || o->dres == o->dy || !cuda_runs(d))
        return;
    rc = cudaMemcpyAsync(o->dres, o->dy, (size_t)n * dtype_size(d->act),
                         cudaMemcpyDeviceToDevice, cuda_of(d)->stream);
    if (rc)
        cuda_fail(d, "copy a gradient", rc);
}

void cuda_batchnorm_bwd(struct device *d, const struct op_batchnorm_bwd *o)
{
    copy_dy(d, o);
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (o->dim % pack_n<A>)
            backward<A, 1>(d, o);
        else
            backward<A, pack_n<A>>(d, o);
    });
}
