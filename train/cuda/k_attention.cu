/*
 * Attention on tensor cores, heads of 64.
 *
 * Method.  Softmax online, tile of keys by tile of keys, so that scores never
 *          leave the registers (Dao et al. 2022; Dao 2023: a warp keeps 16
 *          queries and walks over the keys).  Two kernels: where a sequence's
 *          rows fit into shared memory (80: pictures of 50 tokens, captions)
 *          two warps share one head of it, each taking every second piece of
 *          16 queries; longer ones get a block a tile of queries, whose keys
 *          come in tiles of 64, the next one on its way while one is used.
 *          Only tiles at an edge are masked; those behind the diagonal are
 *          neither loaded nor computed.
 * Cost.    Reads q, k, v once (long: k, v once a tile of queries, out of L2),
 *          writes out and lse: ViT-B/32's pictures, a layer of 4,096: 1.27 GB,
 *          0.30 ms at 4.3 TB/s; its products, rounded up to pieces, 52 GFLOP.
 *          Captions, 8 heads: 77 rows: 1.30 GB, packed of mean 20: 0.34 GB.
 *          ViT-L/14, 257 rows, a layer of 1,024: 2.2 GB (0.5 ms), 310 GFLOP:
 *          from there on arithmetic decides.
 */
#include "train/cuda/attention.cuh"

#define SHORT_WARPS   2
#define SHORT_THREADS (SHORT_WARPS * WARP)
/* Queries of a warp that walks over a long sequence: 16, or 32, which halves
 * the loads out of shared memory but takes 243 registers. */
#define SPAN         16
#define LONG_WARPS   (128 / SPAN) /* at most */
#define LONG_THREADS (LONG_WARPS * WARP)

/* What a warp knows of its 16 M queries: lane 4 g + t of rows g and g + 8 of
 * each 16. */
template <int M> struct softmax {
    unsigned q[M][4][4];
    float top[M][2]; /* largest score so far, unscaled */
    float sum[M][2]; /* this lane's part of sum exp */
    float out[M][8][4];
};

/* The queries stand at `line` of the tile q. */
template <int M>
static __device__ __forceinline__ void softmax_begin(struct softmax<M> *s,
                                                     const char *q, int line)
{
#pragma unroll
    for (int m = 0; m < M; m++) {
        s->top[m][0] = s->top[m][1] = -INFINITY;
        s->sum[m][0] = s->sum[m][1] = 0;
        clear(s->out[m]);
#pragma unroll
        for (int kk = 0; kk < 4; kk++)
            load_a(s->q[m][kk], q, line + m * PIECE, kk);
    }
}

/* Largest and sum over the four lanes of a row. */
static __device__ __forceinline__ float quad_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(FULL, x, 1));
    return fmaxf(x, __shfl_xor_sync(FULL, x, 2));
}

static __device__ __forceinline__ float quad_sum(float x)
{
    x += __shfl_xor_sync(FULL, x, 1);
    return x + __shfl_xor_sync(FULL, x, 2);
}

/* -infinity where query row + (g, g + 8) does not see key + (0..15). */
static __device__ __forceinline__ void hide(float c[2][4], int row, int key,
                                            int keys, bool causal)
{
    int lane = lane_of(), g = lane / 4, t = lane % 4;

#pragma unroll
    for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int at = key + 8 * n + 2 * t + i % 2;

            if (at >= keys || (causal && at > row + g + i / 2 * 8))
                c[n][i] = -INFINITY;
        }
}

/* A row's largest score has become `top`: what was summed shrinks. */
static __device__ __forceinline__ void shrink(float *sum, float out[8][4],
                                              int r, float by)
{
    *sum *= by;
#pragma unroll
    for (int n = 0; n < 8; n++) {
        out[n][2 * r] *= by;
        out[n][2 * r + 1] *= by;
    }
}

/* p = 2^(c - top), its sum and, as an a, its bf16. */
static __device__ __forceinline__ void exponents(unsigned p[4],
                                                 const float c[2][4],
                                                 const float top[2],
                                                 float scale, float sum[2])
{
    float x[2][4];

#pragma unroll
    for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            x[n][i] = exp2_fast(c[n][i] * scale - top[i / 2]);
            sum[i / 2] += x[n][i];
        }
    pack_a(p, x);
}

/* Where a tile of keys meets queries: place of the first of each. */
struct reach {
    int row, key, keys;
    bool causal;
};

/* One tile of keys, 16 P at most.  Pieces behind the last one that any of the
 * queries sees are left out. */
template <int P, int M>
static __device__ __forceinline__ void
softmax_add(struct softmax<M> *s, const char *k, const char *v,
            const struct reach *at, float scale)
{
    int see = seen(at->causal, at->keys, at->row, PIECE * M) - at->key;
    float c[P][M][2][4], top[M][2];

#pragma unroll
    for (int m = 0; m < 2 * M; m++)
        top[m / 2][m % 2] = s->top[m / 2][m % 2];
#pragma unroll
    for (int j = 0; j < P; j++) {
        int key = at->key + PIECE * j;

        if (PIECE * j >= see)
            continue;
        products<M>(c[j], s->q, k, PIECE * j);
        if (key + PIECE > at->keys || (at->causal && key + PIECE > at->row + 1))
#pragma unroll
            for (int m = 0; m < M; m++)
                hide(c[j][m], at->row + m * PIECE, key, at->keys, at->causal);
#pragma unroll
        for (int i = 0; i < 8 * M; i++) /* row, half, number */
            top[i / 8][i % 4 / 2] =
                fmaxf(top[i / 8][i % 4 / 2], c[j][i / 8][i / 4 % 2][i % 4]);
    }
#pragma unroll
    for (int i = 0; i < 2 * M; i++) {
        int m = i / 2, r = i % 2;
        float was = s->top[m][r];

        s->top[m][r] = quad_max(top[m][r]);
        top[m][r] = s->top[m][r] * scale;
        shrink(&s->sum[m][r], s->out[m], r,
               exp2_fast((was - s->top[m][r]) * scale));
    }
#pragma unroll
    for (int j = 0; j < P; j++) {
        unsigned p[M][4];

        if (PIECE * j >= see)
            continue;
#pragma unroll
        for (int m = 0; m < M; m++)
            exponents(p[m], c[j][m], top[m], scale, s->sum[m]);
        add_rows<M>(s->out, p, v, PIECE * j);
    }
}

/* Divide, and write rows row.. of the head; from `line` on, 16 M lines of
 * shared memory are this warp's own. */
template <int M>
static __device__ __forceinline__ void
softmax_end(const struct softmax<M> *s, const struct op_attention *o,
            const struct head *h, int row, char *lines, int line, float scale)
{
    int lane = lane_of(), g = lane / 4;
    int64_t ld = (int64_t)o->heads * HEAD;
    bf16 *out = (bf16 *)o->out + (h->q + row - line) * ld + h->at * HEAD;
    float by[2];

#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float sum = quad_sum(s->sum[m][r]);
            int at = row + m * PIECE + g + 8 * r;

            by[r] = sum > 0 ? 1 / sum : 0;
            if (lane % 4 == 0 && at < h->queries)
                ((float *)o->lse)[(h->q + at) * o->heads + h->at] =
                    (s->top[m][r] * scale + log2f(sum)) * LN_2;
        }
        store_rows(out, ld, lines, line + m * PIECE, h->queries - row + line,
                   s->out[m], by[0], by[1]);
    }
}

static __device__ __forceinline__ const bf16 *
column(const void *p, int64_t row, int64_t ld, const struct head *h)
{
    return (const bf16 *)p + row * ld + h->at * HEAD;
}

/* ---- a head of a sequence in shared memory ---- */

static __global__ void __launch_bounds__(SHORT_THREADS, 8)
    attend_short(struct op_attention o, float scale)
{
    DYNAMIC_SHARED(char, q);
    char *k = q + pieces_of(o.max_q) * PIECE * LINE;
    char *v = k + pieces_of(o.max_k) * PIECE * LINE;
    int warp = (int)threadIdx.x / WARP, pieces, all;
    struct head h;

    if (!find_head(&o, (int)blockIdx.x / o.heads, (int)blockIdx.x % o.heads,
                   &h) ||
        !h.queries)
        return;
    pieces = pieces_of(h.queries);
    all = pieces_of(h.keys) * PIECE;
    copy_rows(q, column(o.q, h.q, o.ldq, &h), o.ldq, pieces * PIECE, h.queries);
    copy_rows(k, column(o.k, h.k, o.ldk, &h), o.ldk, all, h.keys);
    copy_rows(v, column(o.v, h.k, o.ldv, &h), o.ldv, all, h.keys);
    copy_commit();
    copy_wait<0>();
    __syncthreads();

    for (int i = 0;; i++) {
        int row = (pieces - 1 - dealt(i, warp, SHORT_WARPS)) * PIECE;
        struct reach at = {row, 0, h.keys, o.causal};
        struct softmax<1> s;

        if (row < 0)
            break;
        softmax_begin(&s, q, row);
        for (; at.key < seen(o.causal, h.keys, row, PIECE); at.key += TILE)
            softmax_add<TILE / PIECE>(&s, k + at.key * LINE, v + at.key * LINE,
                                      &at, scale);
        softmax_end(&s, &o, &h, row, q, row, scale);
    }
}

/* ---- long sequences: a block is a tile of queries ---- */

/* Tile t of the keys and values, two tiles of room at `to`. */
static __device__ __forceinline__ void
copy_keys(char *to, const struct op_attention *o, const struct head *h, int t)
{
    int from = t * TILE, valid = least(h->keys - from, TILE);
    int rows = pieces_of(valid) * PIECE;

    copy_rows(to, column(o->k, h->k + from, o->ldk, h), o->ldk, rows, valid);
    copy_rows(to + TILE_SIZE, column(o->v, h->k + from, o->ldv, h), o->ldv,
              rows, valid);
}

static __global__ void __launch_bounds__(LONG_THREADS, 2)
    attend_long(struct op_attention o, int blocks, float scale)
{
    DYNAMIC_SHARED(char, tiles);
    char *q = tiles + 4 * TILE_SIZE;
    int rest = (int)blockIdx.x / o.heads, line = (int)threadIdx.x / WARP * SPAN;
    int most = (int)blockDim.x / WARP * SPAN, from = rest % blocks * most;
    int row = from + line, count;
    struct softmax<SPAN / PIECE> s;
    struct head h;

    if (!find_head(&o, rest / blocks, (int)blockIdx.x % o.heads, &h) ||
        from >= h.queries)
        return;
    count = (seen(o.causal, h.keys, from, most) + TILE - 1) / TILE;
    copy_rows(q, column(o.q, h.q + from, o.ldq, &h), o.ldq, most,
              h.queries - from);
    copy_commit();
    if (count)
        copy_keys(tiles, &o, &h, 0);
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    softmax_begin(&s, q, line);
    for (int t = 0; t < count; t++) {
        struct reach at = {row, t * TILE, h.keys, o.causal};
        char *k = tiles + t % 2 * 2 * TILE_SIZE;

        if (t + 1 < count)
            copy_keys(tiles + (t + 1) % 2 * 2 * TILE_SIZE, &o, &h, t + 1);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        if (row < h.queries && at.key < seen(o.causal, h.keys, row, SPAN))
            softmax_add<TILE / PIECE>(&s, k, k + TILE_SIZE, &at, scale);
        __syncthreads(); /* the next copies come to where this tile was */
    }
    if (row < h.queries)
        softmax_end(&s, &o, &h, row, q, line, scale);
}

/* ---- the op ---- */

static void launch_short(struct device *d, const struct op_attention *o,
                         float scale)
{
    int rows = (pieces_of(o->max_q) + 2 * pieces_of(o->max_k)) * PIECE;

    launch(d, attend_short, (unsigned)o->seqs * (unsigned)o->heads,
           SHORT_THREADS, (size_t)rows * LINE, *o, scale);
}

void cuda_attention(struct device *d, const struct op_attention *o)
{
    float scale = LOG2_E / sqrtf((float)o->dim);
    int spans = (o->max_q + SPAN - 1) / SPAN;
    int warps = warps_for(spans, LONG_WARPS);
    int blocks = (spans + warps - 1) / warps;

    if (!has_tensor_form(d, o))
        attention_plain(d, o);
    else if (is_short(o))
        launch_short(d, o, scale);
    else
        launch(d, attend_long,
               (unsigned)o->seqs * (unsigned)blocks * (unsigned)o->heads,
               (unsigned)warps * WARP,
               4 * TILE_SIZE + (size_t)warps * SPAN * LINE, *o, blocks, scale);
}
