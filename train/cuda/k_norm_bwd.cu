/*
 * LayerNorm backward: dx, and dg and db as sums over the rows.
 *
 * Method.  The rows are cut into parts by their number alone, a part a block.
 *          Its threads hold rows as the forward pass does and keep their
 *          columns' share of dg and db in registers from row to row; the
 *          block's warps are added up through shared memory, its sums go to
 *          scratch and cuda_sum_parts() adds them.  Rows stay in registers as
 *          they lie in memory, and in bf16 the next row is fetched while the
 *          present one is computed.  With z = (x - mean) rstd, u = dy g:
 *          dx = res + rstd (u - mean(u) - z mean(u z)).
 *          Rows of other lengths: one pass for dg and db by columns, then, as
 *          dx may lie where dy does, one for dx, a block a row.
 * Cost.    x, dy and res read and dx written once: 8 bytes a number in bf16,
 *          1.26 GB a call on 204,800 rows of 768, and 2 floats a column and
 *          part of scratch (at most 1,056 parts, 6.5 MB there).
 */
#include "train/cuda/k_norm.cuh"

/* Parts: enough for 132 multiprocessors to be busy to the end whether they
 * take 2, 3 or 4 at once (A100's 108 as well), and rows enough in each to be
 * worth its sums. */
#define PARTS_MOST 1056
#define PART_ROWS  16 /* at least, but for the last */

static inline int64_t parts_of(int64_t rows)
{
    int64_t parts = (rows + PART_ROWS - 1) / PART_ROWS;

    return parts < PARTS_MOST ? parts : PARTS_MOST;
}

/* ---- rows in packs ---- */

/* A thread's packs of a row, as in memory. */
template <int K> struct norm_row {
    uint4 x[K], dy[K], res[K];
    float mean, rstd;
};

template <typename A>
static __device__ __forceinline__ void unpack(uint4 v, float *x)
{
    unsigned u[4] = {v.x, v.y, v.z, v.w};

#pragma unroll
    for (int i = 0; i < 4; i++)
        if constexpr (sizeof(A) == sizeof(float)) {
            x[i] = __uint_as_float(u[i]);
        } else {
            x[2 * i] = __uint_as_float(u[i] << 16);
            x[2 * i + 1] = __uint_as_float(u[i] & 0xffff0000u);
        }
}

template <typename A, int K, int T>
static __device__ __forceinline__ void
load_row(const struct op_layernorm_bwd &o, int64_t row, norm_row<K> *to)
{
    int dim = (int)o.dim, lane = threadIdx.x % T;
    int64_t at = row * dim;

#pragma unroll
    for (int k = 0; k < K; k++) {
        int c = (k * T + lane) * pack_n<A>;

        to->x[k] = to->dy[k] = to->res[k] = make_uint4(0, 0, 0, 0);
        if (k == K - 1 && c >= dim)
            break;
        to->x[k] = *(const uint4 *)((const A *)o.x + at + c);
        to->dy[k] = *(const uint4 *)((const A *)o.dy + at + c);
        if (o.res)
            to->res[k] = *(const uint4 *)((const A *)o.res + at + c);
    }
    to->mean = ((const float *)o.mean)[row];
    to->rstd = ((const float *)o.rstd)[row];
}

/* One row's share of dg and db; sums[]: of u, of u z. */
template <typename A, int K, int T>
static __device__ __forceinline__ void row_in(const struct op_layernorm_bwd &o,
                                              const norm_row<K> &row, float *dg,
                                              float *db, float *sums)
{
    constexpr int N = pack_n<A>;
    int dim = (int)o.dim, lane = threadIdx.x % T;

    sums[0] = sums[1] = 0;
#pragma unroll
    for (int k = 0; k < K; k++) {
        int c = (k * T + lane) * N;
        float x[N], dy[N], g[N];

        if (k == K - 1 && c >= dim)
            break;
        unpack<A>(row.x[k], x);
        unpack<A>(row.dy[k], dy);
        load_floats<N>((const float *)o.g + c, g);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float z = (x[i] - row.mean) * row.rstd, u = dy[i] * g[i];

            db[k * N + i] += dy[i];
            dg[k * N + i] += dy[i] * z;
            sums[0] += u;
            sums[1] += u * z;
        }
    }
}

/* means[]: of u, of u z. */
template <typename A, int K, int T>
static __device__ __forceinline__ void row_out(const struct op_layernorm_bwd &o,
                                               const norm_row<K> &row,
                                               int64_t r, const float *means)
{
    constexpr int N = pack_n<A>;
    int dim = (int)o.dim, lane = threadIdx.x % T;

#pragma unroll
    for (int k = 0; k < K; k++) {
        int c = (k * T + lane) * N;
        float x[N], dy[N], g[N], res[N];

        if (k == K - 1 && c >= dim)
            break;
        unpack<A>(row.x[k], x);
        unpack<A>(row.dy[k], dy);
        unpack<A>(row.res[k], res);
        load_floats<N>((const float *)o.g + c, g);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float z = (x[i] - row.mean) * row.rstd;

            res[i] += row.rstd * (dy[i] * g[i] - means[0] - z * means[1]);
        }
        store_n<N>((A *)o.dx + r * dim + c, res);
    }
}

/* The block's sums over its warps to out[dim]; room: a row for every warp. */
template <int N, int K, int T>
static __device__ __forceinline__ void put_sums(const float *sum, int dim,
                                                float *room, float *out)
{
    constexpr int wide = K * WARP * N;
    int lane = threadIdx.x % T;
    float *mine = T == WARP ? room + threadIdx.x / WARP * wide : out;

    __syncthreads();
#pragma unroll
    for (int k = 0; k < K; k++)
        if ((k * T + lane) * N < dim)
            store_floats<N>(mine + (k * T + lane) * N, sum + k * N);
    if (T > WARP)
        return;
    __syncthreads();
    for (int c = threadIdx.x; c < dim; c += NORM_THREADS) {
        float x = room[c];

#pragma unroll
        for (int w = 1; w < NORM_WARPS; w++)
            x += room[w * wide + c];
        out[c] = x;
    }
}

/* Blocks that a multiprocessor's registers are shared by, where a thread holds
 * n numbers of a row. */
static constexpr int blocks_at_once(int n)
{
    return n <= 16 ? 4 : n <= 24 ? 3 : 2;
}

/* dg, db: [parts, dim] of scratch. */
template <typename A, int K, int T>
static __global__ void
__launch_bounds__(NORM_THREADS, blocks_at_once(K * pack_n<A>))
layernorm_bwd(struct op_layernorm_bwd o, float *dg_parts, float *db_parts)
{
    constexpr int N = pack_n<A>, step = NORM_THREADS / T;
    constexpr bool ahead = sizeof(A) == 2;
    __shared__ __align__(
        16) float room[T == WARP ? NORM_WARPS * K * WARP * N : 2 * NORM_WARPS];
    int64_t parts = gridDim.x, part = blockIdx.x;
    int64_t end = part_begin(o.rows, parts, part + 1);
    int64_t r = part_begin(o.rows, parts, part) + threadIdx.x / T;
    float dg[K * N] = {}, db[K * N] = {}, sums[2];
    norm_row<K> row, next;

    if (ahead && r < end)
        load_row<A, K, T>(o, r, &next);
    for (; r < end; r += step) {
        if (!ahead)
            load_row<A, K, T>(o, r, &next);
        row = next;
        if (ahead && r + step < end)
            load_row<A, K, T>(o, r + step, &next);
        row_in<A, K, T>(o, row, dg, db, sums);
        row_sums<T, 2>(sums, room);
        sums[0] = __fdividef(sums[0], (float)o.dim);
        sums[1] = __fdividef(sums[1], (float)o.dim);
        row_out<A, K, T>(o, row, r, sums);
    }
    put_sums<N, K, T>(dg, (int)o.dim, room, dg_parts + part * o.dim);
    put_sums<N, K, T>(db, (int)o.dim, room, db_parts + part * o.dim);
}

/* ---- rows of any length ---- */

/* A block sums a part of the rows of 32 columns. */
template <typename A>
static __global__ void __launch_bounds__(NORM_THREADS)
layernorm_sums(struct op_layernorm_bwd o, float *dg_parts, float *db_parts)
{
    __shared__ float room[2][NORM_WARPS][WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int64_t parts = gridDim.x, part = blockIdx.x;
    int64_t end = part_begin(o.rows, parts, part + 1);
    int64_t c = (int64_t)blockIdx.y * WARP + lane;
    float dg = 0, db = 0;

    if (c < o.dim)
        for (int64_t r = part_begin(o.rows, parts, part) + warp; r < end;
             r += NORM_WARPS) {
            float x = to_float(((const A *)o.x)[r * o.dim + c]);
            float dy = to_float(((const A *)o.dy)[r * o.dim + c]);

            db += dy;
            dg += dy * (x - ((const float *)o.mean)[r]) *
                  ((const float *)o.rstd)[r];
        }
    room[0][warp][lane] = dg;
    room[1][warp][lane] = db;
    __syncthreads();
    if (warp > 0 || c >= o.dim)
        return;
#pragma unroll
    for (int w = 1; w < NORM_WARPS; w++) {
        dg += room[0][w][lane];
        db += room[1][w][lane];
    }
    dg_parts[part * o.dim + c] = dg;
    db_parts[part * o.dim + c] = db;
}

template <typename A>
static __global__ void __launch_bounds__(NORM_THREADS)
layernorm_dx(struct op_layernorm_bwd o)
{
    __shared__ float room[2 * NORM_WARPS];
    int64_t row = blockIdx.x, at = row * o.dim;
    const A *x = (const A *)o.x + at, *dy = (const A *)o.dy + at;
    const float *g = (const float *)o.g;
    float mean = ((const float *)o.mean)[row];
    float rstd = ((const float *)o.rstd)[row], sums[2] = {0, 0};

    for (int64_t c = threadIdx.x; c < o.dim; c += NORM_THREADS) {
        float u = to_float(dy[c]) * g[c];

        sums[0] += u;
        sums[1] += u * ((to_float(x[c]) - mean) * rstd);
    }
    row_sums<NORM_THREADS, 2>(sums, room);
    sums[0] /= (float)o.dim;
    sums[1] /= (float)o.dim;
    for (int64_t c = threadIdx.x; c < o.dim; c += NORM_THREADS) {
        float z = (to_float(x[c]) - mean) * rstd;
        float res = o.res ? to_float(((const A *)o.res)[at + c]) : 0;

        set((A *)o.dx + at + c,
            res + rstd * (to_float(dy[c]) * g[c] - sums[0] - z * sums[1]));
    }
}

/* ---- both ---- */

void cuda_layernorm_bwd(struct device *d, const struct op_layernorm_bwd *o)
{
    int64_t parts = parts_of(o->rows);
    float *dg =
        (float *)cuda_scratch(d, (size_t)(2 * parts * o->dim) * sizeof(float));
    float *db;

    if (!dg)
        return;
    db = dg + parts * o->dim;
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        if (norm_in_packs<A>(o->dim)) {
            norm_with_packs<A>(o->dim, [=](auto k, auto t) {
                launch(d,
                       layernorm_bwd<A, decltype(k)::value, decltype(t)::value>,
                       (unsigned)parts, NORM_THREADS, 0, *o, dg, db);
            });
            return;
        }
        launch(d, layernorm_sums<A>,
               dim3((unsigned)parts, blocks_for(o->dim, WARP)), NORM_THREADS, 0,
               *o, dg, db);
        launch(d, layernorm_dx<A>, (unsigned)o->rows, NORM_THREADS, 0, *o);
    });
    cuda_sum_parts(d, parts, o->dim, dg, (float *)o->dg);
    cuda_sum_parts(d, parts, o->dim, db, (float *)o->db);
}
