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
#define LONG_WARPS    8 /* at most */
#define LONG_THREADS  (LONG_WARPS * WARP)

/* What a warp knows of its 16 queries: lane 4 g + t of rows g and g + 8. */
struct softmax {
    float top[2]; /* largest score so far, unscaled */
    float sum[2]; /* this lane's part of sum exp */
    float out[8][4];
};

static __device__ __forceinline__ void softmax_begin(struct softmax *s)
{
    s->top[0] = s->top[1] = -INFINITY;
    s->sum[0] = s->sum[1] = 0;
    clear(s->out);
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

/* One tile of keys, 16 * P at most: the first is number `key`; the queries
 * row.. stand in the tile q from `line` on.  Pieces behind the last one that
 * any of the queries sees are left out. */
template <int P>
static __device__ __forceinline__ void
softmax_add(struct softmax *s, const char *q, int line, const char *k,
            const char *v, int row, int key, int keys, bool causal, float scale)
{
    int see = seen(causal, keys, row, PIECE) - key;
    float c[P][2][4], top[2] = {s->top[0], s->top[1]};
    unsigned x[4][4];

#pragma unroll
    for (int kk = 0; kk < 4; kk++)
        load_a(x[kk], q, line, kk);
#pragma unroll
    for (int j = 0; j < P; j++) {
        int from = PIECE * j;

        if (from >= see)
            continue;
        products(c[j], x, k, from);
        if (from + PIECE > see || (causal && key + from + PIECE > row + 1))
            hide(c[j], row, key + from, keys, causal);
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                top[i / 2] = fmaxf(top[i / 2], c[j][n][i]);
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float was = s->top[r], shrink;

        s->top[r] = quad_max(top[r]);
        shrink = exp2_fast((was - s->top[r]) * scale);
        top[r] = s->top[r] * scale;
        s->sum[r] *= shrink;
#pragma unroll
        for (int n = 0; n < 8; n++) {
            s->out[n][2 * r] *= shrink;
            s->out[n][2 * r + 1] *= shrink;
        }
    }
#pragma unroll
    for (int j = 0; j < P; j++) {
        unsigned p[4];

        if (PIECE * j >= see)
            continue;
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                c[j][n][i] = exp2_fast(c[j][n][i] * scale - top[i / 2]);
                s->sum[i / 2] += c[j][n][i];
            }
        pack_a(p, c[j]);
        add_rows(s->out, p, v, PIECE * j);
    }
}

/* Divide, and write rows row.. of the head; `lines` are 16 lines of shared
 * memory of this warp's own. */
static __device__ __forceinline__ void
softmax_end(struct softmax *s, const struct op_attention *o,
            const struct head *h, int row, char *lines, int line, float scale)
{
    int lane = lane_of(), g = lane / 4;
    float by[2];

#pragma unroll
    for (int r = 0; r < 2; r++) {
        float sum = quad_sum(s->sum[r]);
        int at = row + g + 8 * r;

        by[r] = sum > 0 ? 1 / sum : 0;
        if (lane % 4 == 0 && at < h->queries)
            ((float *)o->lse)[(h->q + at) * o->heads + h->at] =
                (s->top[r] * scale + log2f(sum)) * LN_2;
    }
    store_rows((bf16 *)o->out + (h->q + row - line) * o->heads * HEAD +
                   h->at * HEAD,
               (int64_t)o->heads * HEAD, lines, line, h->queries - row + line,
               s->out, by[0], by[1]);
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
        struct softmax s;

        if (row < 0)
            break;
        softmax_begin(&s);
        for (int at = 0; at < seen(o.causal, h.keys, row, PIECE); at += TILE)
            softmax_add<TILE / PIECE>(&s, q, row, k + at * LINE, v + at * LINE,
                                      row, at, h.keys, o.causal, scale);
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
    int rest = (int)blockIdx.x / o.heads, warp = (int)threadIdx.x / WARP;
    int queries = (int)blockDim.x / WARP * PIECE,
        from = rest % blocks * queries;
    int row = from + warp * PIECE, see, count;
    struct softmax s;
    struct head h;

    if (!find_head(&o, rest / blocks, (int)blockIdx.x % o.heads, &h) ||
        from >= h.queries)
        return;
    queries = least(queries, pieces_of(h.queries - from) * PIECE);
    see = seen(o.causal, h.keys, from, queries);
    count = (see + TILE - 1) / TILE;
    copy_rows(q, column(o.q, h.q + from, o.ldq, &h), o.ldq, queries,
              h.queries - from);
    if (count)
        copy_keys(tiles, &o, &h, 0);
    copy_commit();
    softmax_begin(&s);
    for (int t = 0; t < count; t++) {
        char *k = tiles + t % 2 * 2 * TILE_SIZE;

        if (t + 1 < count)
            copy_keys(tiles + (t + 1) % 2 * 2 * TILE_SIZE, &o, &h, t + 1);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        if (row < h.queries && t * TILE < seen(o.causal, h.keys, row, PIECE))
            softmax_add<TILE / PIECE>(&s, q, row - from, k, k + TILE_SIZE, row,
                                      t * TILE, h.keys, o.causal, scale);
        __syncthreads(); /* the next copies come to where this tile was */
    }
    if (row < h.queries)
        softmax_end(&s, &o, &h, row, q, row - from, scale);
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
    int pieces = pieces_of(o->max_q), warps = warps_for(pieces, LONG_WARPS);
    int blocks = (pieces + warps - 1) / warps;

    if (!has_tensor_form(d, o))
        attention_plain(d, o);
    else if (is_short(o))
        launch_short(d, o, scale);
    else
        launch(d, attend_long,
               (unsigned)o->seqs * (unsigned)blocks * (unsigned)o->heads,
               (unsigned)warps * WARP,
               4 * TILE_SIZE + (size_t)warps * PIECE * LINE, *o, blocks, scale);
}
