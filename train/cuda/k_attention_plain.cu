/*
 * Attention and its gradients in float: heads of up to 128 numbers, either
 * type.
 *
 * Method.  A warp keeps 4 rows (queries; for dk and dv, keys), a block 16; rows
 *          of the other side come by in tiles of 32, a lane each: a score is
 *          one lane's sum.  What is weighted by it then goes the other way: a
 *          lane a column, weights by shuffle.  Softmax online, as in
 *          k_attention.cu; gradients in two kernels, as in
 *          k_attention_bwd_long.cu.
 * Cost.    The multiply-adds of the products, at about a third of the rate of
 *          float: it is what the fp32 reference mode and odd heads run on.
 */
#include "train/cuda/attention.cuh"

#define PLAIN_WARPS   4
#define PLAIN_THREADS (PLAIN_WARPS * WARP)
#define ROWS          4                    /* a warp */
#define MINE          (PLAIN_WARPS * ROWS) /* a block */
#define THEIRS        WARP                 /* a tile */
#define DIM_MAX       128                  /* CLIP's: 64 to 104 */

struct plain {
    struct op_attention f;
    const void *dout;
    void *dq, *dk, *dv;
    float *delta; /* [q_rows, heads] */
    float scale;
    int blocks; /* of 16 rows, a head */
};

/* Numbers from a row in shared memory to the next: a multiple of 4 whose fourth
 * is odd, so that eight lanes' packs fall into different banks. */
static __host__ __device__ __forceinline__ int stride_of(int dim)
{
    return ((dim + 3) / 4 | 1) * 4;
}

/* Numbers of shared memory; a lane without a column reads beyond the last. */
static __host__ __device__ __forceinline__ int room_of(int rows, int dim)
{
    return rows * stride_of(dim) + DIM_MAX;
}

/* `rows` rows of a head into shared memory, zeros from `valid` on. */
template <typename A>
static __device__ void load_rows(float *to, const void *from, int64_t row,
                                 int64_t ld, const struct head *h, int dim,
                                 int rows, int valid)
{
    const A *p = (const A *)from + row * ld + (int64_t)h->at * dim;
    int stride = stride_of(dim);

    for (int i = (int)threadIdx.x; i < rows * stride; i += PLAIN_THREADS) {
        int r = i / stride, c = i % stride;

        to[i] = r < valid && c < dim ? to_float(p[r * ld + c]) : 0;
    }
}

/* x[r] = row r of mine . the lane's row of theirs */
static __device__ __forceinline__ void dots(float x[ROWS], const float *mine,
                                            const float *theirs, int dim)
{
    int stride = stride_of(dim);

    theirs += lane_of() * stride;
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        x[r] = 0;
    for (int c = 0; c < dim; c += 4) {
        float4 b = *(const float4 *)(theirs + c);

#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            float4 a = *(const float4 *)(mine + r * stride + c);

            x[r] += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
        }
    }
}

/* sum[r], columns lane + 32 m, += over the tile's n rows of x[r] * row. */
template <int M>
static __device__ __forceinline__ void
spread(float sum[ROWS][M], const float x[ROWS], const float *theirs, int n,
       int dim)
{
    int stride = stride_of(dim);

    theirs += lane_of();
    for (int j = 0; j < n; j++) {
        float y[M];

#pragma unroll
        for (int m = 0; m < M; m++)
            y[m] = theirs[j * stride + m * WARP];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            float w = __shfl_sync(FULL, x[r], j);

#pragma unroll
            for (int m = 0; m < M; m++)
                sum[r][m] += w * y[m];
        }
    }
}

template <typename A, int M>
static __device__ __forceinline__ void
store_sums(void *to, int64_t row, int64_t ld, const struct head *h, int dim,
           int valid, const float sum[ROWS][M], const float by[ROWS])
{
    A *p = (A *)to + row * ld + (int64_t)h->at * dim;

#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int m = 0; m < M; m++)
            if (r < valid && lane_of() + m * WARP < dim)
                set(p + r * ld + lane_of() + m * WARP, sum[r][m] * by[r]);
}

/* The block's head and first row; false: nothing to do. */
static __device__ __forceinline__ bool
find_rows(const struct plain *p, struct head *h, int *from, bool by_keys)
{
    int heads = p->f.heads, rest = (int)blockIdx.x / heads;

    *from = rest % p->blocks * MINE;
    return find_head(&p->f, rest / p->blocks, (int)blockIdx.x % heads, h) &&
           *from < (by_keys ? h->keys : h->queries);
}

/* ---- forward ---- */

template <typename A, int M>
static __global__ void __launch_bounds__(PLAIN_THREADS)
    attend_plain(struct plain p)
{
    DYNAMIC_SHARED(float, room);
    const struct op_attention *o = &p.f;
    int dim = o->dim, from, first = (int)threadIdx.x / WARP * ROWS, see;
    float *k = room + room_of(MINE, dim), *v = k + room_of(THEIRS, dim);
    float top[ROWS], sum[ROWS], out[ROWS][M] = {};
    struct head h;

    if (!find_rows(&p, &h, &from, false))
        return;
    see = seen(o->causal, h.keys, from, MINE);
    load_rows<A>(room, o->q, h.q + from, o->ldq, &h, dim, MINE,
                 h.queries - from);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        top[r] = -INFINITY;
        sum[r] = 0;
    }
    for (int at = 0; at < see; at += THEIRS) {
        int key = at + lane_of();
        float x[ROWS];

        __syncthreads();
        load_rows<A>(k, o->k, h.k + at, o->ldk, &h, dim, THEIRS, h.keys - at);
        load_rows<A>(v, o->v, h.k + at, o->ldv, &h, dim, THEIRS, h.keys - at);
        __syncthreads();
        dots(x, room + first * stride_of(dim), k, dim);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            int row = from + first + r;
            float was = top[r], shrink;

            x[r] = key < seen(o->causal, h.keys, row, 1) ? x[r] * p.scale
                                                         : -INFINITY;
            top[r] = fmaxf(was, warp_max(x[r])); /* row sees key `at` */
            shrink = expf(was - top[r]);
            x[r] = expf(x[r] - top[r]);
            sum[r] = sum[r] * shrink + warp_sum(x[r]);
#pragma unroll
            for (int m = 0; m < M; m++)
                out[r][m] *= shrink;
        }
        spread<M>(out, x, v, least(THEIRS, see - at), dim);
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int row = from + first + r;

        if (!lane_of() && row < h.queries)
            ((float *)o->lse)[(h.q + row) * o->heads + h.at] =
                top[r] + logf(sum[r]);
        sum[r] = sum[r] > 0 ? 1 / sum[r] : 0;
    }
    store_sums<A, M>(o->out, h.q + from + first, (int64_t)o->heads * dim, &h,
                     dim, h.queries - from - first, out, sum);
}

/* ---- gradients ---- */

/* rowsum(dout * out) of the warp's rows, kept for the other kernel. */
template <typename A>
static __device__ __forceinline__ void
find_deltas(const struct plain *p, const struct head *h, int row,
            float delta[ROWS], float lse[ROWS])
{
    int dim = p->f.dim, heads = p->f.heads;

#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int64_t at = (h->q + row + r) * heads + h->at;
        float sum = 0;

        lse[r] = INFINITY;
        delta[r] = 0;
        if (row + r >= h->queries) /* all lanes alike */
            continue;
        for (int c = lane_of(); c < dim; c += WARP)
            sum += to_float(((const A *)p->dout)[at * dim + c]) *
                   to_float(((const A *)p->f.out)[at * dim + c]);
        delta[r] = warp_sum(sum);
        lse[r] = ((const float *)p->f.lse)[at];
        if (!lane_of())
            p->delta[at] = delta[r];
    }
}

template <typename A, int M>
static __global__ void __launch_bounds__(PLAIN_THREADS)
    attend_plain_queries(struct plain p)
{
    DYNAMIC_SHARED(float, room);
    const struct op_attention *o = &p.f;
    int dim = o->dim, from, first = (int)threadIdx.x / WARP * ROWS, see;
    float *g = room + room_of(MINE, dim), *k = g + room_of(MINE, dim);
    float *v = k + room_of(THEIRS, dim);
    float delta[ROWS], lse[ROWS], dq[ROWS][M] = {};
    const float by[ROWS] = {p.scale, p.scale, p.scale, p.scale};
    struct head h;

    if (!find_rows(&p, &h, &from, false))
        return;
    see = seen(o->causal, h.keys, from, MINE);
    load_rows<A>(room, o->q, h.q + from, o->ldq, &h, dim, MINE,
                 h.queries - from);
    load_rows<A>(g, p.dout, h.q + from, (int64_t)o->heads * dim, &h, dim, MINE,
                 h.queries - from);
    find_deltas<A>(&p, &h, from + first, delta, lse);
    for (int at = 0; at < see; at += THEIRS) {
        int key = at + lane_of(), mine = first * stride_of(dim);
        float x[ROWS], dp[ROWS];

        __syncthreads();
        load_rows<A>(k, o->k, h.k + at, o->ldk, &h, dim, THEIRS, h.keys - at);
        load_rows<A>(v, o->v, h.k + at, o->ldv, &h, dim, THEIRS, h.keys - at);
        __syncthreads();
        dots(x, room + mine, k, dim);
        dots(dp, g + mine, v, dim);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            bool sees = key < seen(o->causal, h.keys, from + first + r, 1);

            x[r] =
                sees ? expf(x[r] * p.scale - lse[r]) * (dp[r] - delta[r]) : 0;
        }
        spread<M>(dq, x, k, least(THEIRS, see - at), dim);
    }
    store_sums<A, M>(p.dq, h.q + from + first, o->ldq, &h, dim,
                     h.queries - from - first, dq, by);
}

template <typename A, int M>
static __global__ void __launch_bounds__(PLAIN_THREADS)
    attend_plain_keys(struct plain p)
{
    DYNAMIC_SHARED(float, room);
    const struct op_attention *o = &p.f;
    int dim = o->dim, from, first = (int)threadIdx.x / WARP * ROWS;
    float *v = room + room_of(MINE, dim), *q = v + room_of(MINE, dim);
    float *g = q + room_of(THEIRS, dim);
    float dk[ROWS][M] = {}, dv[ROWS][M] = {};
    const float one[ROWS] = {1, 1, 1, 1};
    const float by[ROWS] = {p.scale, p.scale, p.scale, p.scale};
    struct head h;

    if (!find_rows(&p, &h, &from, true))
        return;
    load_rows<A>(room, o->k, h.k + from, o->ldk, &h, dim, MINE, h.keys - from);
    load_rows<A>(v, o->v, h.k + from, o->ldv, &h, dim, MINE, h.keys - from);
    for (int at = o->causal ? from : 0; at < h.queries; at += THEIRS) {
        int query = at + lane_of(), mine = first * stride_of(dim);
        int64_t row = (h.q + query) * o->heads + h.at;
        float x[ROWS], ds[ROWS], lse = INFINITY, delta = 0;

        if (query < h.queries) {
            lse = ((const float *)o->lse)[row];
            delta = p.delta[row];
        }
        __syncthreads();
        load_rows<A>(q, o->q, h.q + at, o->ldq, &h, dim, THEIRS,
                     h.queries - at);
        load_rows<A>(g, p.dout, h.q + at, (int64_t)o->heads * dim, &h, dim,
                     THEIRS, h.queries - at);
        __syncthreads();
        dots(x, room + mine, q, dim);
        dots(ds, v + mine, g, dim);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            bool sees = !o->causal || from + first + r <= query;

            x[r] = sees ? expf(x[r] * p.scale - lse) : 0;
            ds[r] = x[r] * (ds[r] - delta);
        }
        spread<M>(dv, x, g, least(THEIRS, h.queries - at), dim);
        spread<M>(dk, ds, q, least(THEIRS, h.queries - at), dim);
    }
    store_sums<A, M>(p.dk, h.k + from + first, o->ldk, &h, dim,
                     h.keys - from - first, dk, by);
    store_sums<A, M>(p.dv, h.k + from + first, o->ldv, &h, dim,
                     h.keys - from - first, dv, one);
}

/* ---- the ops ---- */

/* Columns a lane has, as a type; nothing for larger heads. */
template <typename F>
static void for_columns(struct device *d, const struct op_attention *o, F f)
{
    if (o->dim <= 2 * WARP)
        f(std::integral_constant<int, 2>());
    else if (o->dim <= DIM_MAX)
        f(std::integral_constant<int, DIM_MAX / WARP>());
    else
        device_fail(d, E_UNSUPPORTED, "cuda: attention heads of %d, over %d",
                    o->dim, DIM_MAX);
}

static unsigned grid_of(struct plain *p, int rows)
{
    p->blocks = (rows + MINE - 1) / MINE;
    return (unsigned)p->f.seqs * (unsigned)p->f.heads * (unsigned)p->blocks;
}

static size_t bytes_of(int mine, int theirs, int dim)
{
    int n = mine * room_of(MINE, dim) + theirs * room_of(THEIRS, dim);

    return (size_t)n * sizeof(float);
}

void attention_plain(struct device *d, const struct op_attention *o)
{
    struct plain p = {*o,
                      nullptr,
                      nullptr,
                      nullptr,
                      nullptr,
                      nullptr,
                      1 / sqrtf((float)o->dim),
                      0};
    unsigned grid = grid_of(&p, o->max_q);

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        for_columns(d, o, [=](auto m) {
            launch(d, attend_plain<A, decltype(m)::value>, grid, PLAIN_THREADS,
                   bytes_of(1, 2, o->dim), p);
        });
    });
}

void attention_plain_bwd(struct device *d, const struct op_attention_bwd *b,
                         float *delta)
{
    const struct op_attention *o = b->forward;
    struct plain p = {
        *o, b->dout, b->dq, b->dk, b->dv, delta, 1 / sqrtf((float)o->dim), 0};

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        for_columns(d, o, [=](auto m) {
            constexpr int M = decltype(m)::value;
            struct plain queries = p, keys = p;
            unsigned grid[2] = {grid_of(&queries, o->max_q),
                                grid_of(&keys, o->max_k)};

            launch(d, attend_plain_queries<A, M>, grid[0], PLAIN_THREADS,
                   bytes_of(2, 2, o->dim), queries);
            launch(d, attend_plain_keys<A, M>, grid[1], PLAIN_THREADS,
                   bytes_of(2, 2, o->dim), keys);
        });
    });
}
