/*
 * Gradients of attention on tensor cores, heads of 64, sequences that do not
 * fit into shared memory.
 *
 * Method.  Two kernels, which make p and ds each for itself (7 products instead
 *          of 5), so that no sum goes across blocks.  dq: a warp keeps 16
 *          queries, tiles of 64 keys come by; delta = rowsum(dout * out) is
 *          found on the way and left for the second.  dk, dv: a warp keeps 16
 *          keys, tiles of 64 queries come by.  In both the next tile is on its
 *          way while one is used.
 * Cost.    ViT-L/14, 257 rows, 16 heads, a layer of 1,024: 4.3 GB (1 ms at 4.3
 *          TB/s) and out of L2 some 3 times that, 1,090 GFLOP; 577 rows, a
 *          layer of 256: 2.4 GB, 1,290 GFLOP: arithmetic decides.
 */
#include "train/cuda/attention_bwd.cuh"

#define LONG_WARPS   6 /* at most */
#define LONG_THREADS (LONG_WARPS * WARP)

/* Two tiles of `rows` rows of one head, from row `from` of its range, next to
 * each other. */
static __device__ __forceinline__ void copy_two(char *to, int64_t room,
                                                const bf16 *a, int64_t lda,
                                                const bf16 *b, int64_t ldb,
                                                int valid)
{
    int rows = pieces_of(valid) * PIECE;

    copy_rows(to, a, lda, rows, valid);
    copy_rows(to + room, b, ldb, rows, valid);
}

static __device__ __forceinline__ void copy_keys(char *to,
                                                 const struct attention_bwd *b,
                                                 const struct head *h, int from,
                                                 int most, int64_t room)
{
    copy_two(to, room, column((const bf16 *)b->f.k, h->k + from, b->f.ldk, h),
             b->f.ldk, column((const bf16 *)b->f.v, h->k + from, b->f.ldv, h),
             b->f.ldv, least(most, h->keys - from));
}

static __device__ __forceinline__ void
copy_queries(char *to, const struct attention_bwd *b, const struct head *h,
             int from, int most, int64_t room)
{
    copy_two(to, room, column((const bf16 *)b->f.q, h->q + from, b->f.ldq, h),
             b->f.ldq, mixed(b->dout, b, h, from), (int64_t)b->f.heads * HEAD,
             least(most, h->queries - from));
}

/* ---- dq ---- */

/* What a warp keeps of its 16 queries: lane 4 g + t of rows g and g + 8. */
struct queries {
    unsigned q[4][4], g[4][4]; /* q and dout */
    float lse[2], delta[2];
    float dq[8][4];
};

static __device__ __forceinline__ void queries_begin(struct queries *s,
                                                     const char *q,
                                                     const char *g, int row,
                                                     const struct fact *facts)
{
    int mine = row + lane_of() / 4;

#pragma unroll
    for (int kk = 0; kk < 4; kk++) {
        load_a(s->q[kk], q, row, kk);
        load_a(s->g[kk], g, row, kk);
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        s->lse[r] = facts[mine + 8 * r].lse;
        s->delta[r] = facts[mine + 8 * r].delta;
    }
    clear(s->dq);
}

/* Add 16 keys, at `row` of the tiles k and v. */
static __device__ __forceinline__ void
queries_add(struct queries *s, const char *k, const char *v, int row,
            const struct meeting *m, float scale_2)
{
    int lane = lane_of(), t = lane % 4;
    bool edge = at_edge(m);
    float p[2][4], dp[2][4];
    unsigned ds[4];

    products<1>(&p, &s->q, k, row);
    products<1>(&dp, &s->g, v, row);
#pragma unroll
    for (int n = 0; n < 2; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int query = lane / 4 + i / 2 * 8, key = 8 * n + 2 * t + i % 2;
            float x = exp2_fast(p[n][i] * scale_2 - s->lse[i / 2]);

            if (edge && !sees(m, query, key))
                x = 0;
            dp[n][i] = x * (dp[n][i] - s->delta[i / 2]);
        }
    pack_a(ds, dp);
    add_rows<1>(&s->dq, &ds, k, row);
}

/* The tile of 64 keys from number `from` on, in shared memory at k. */
static __device__ __forceinline__ void
queries_add_tile(struct queries *s, const struct attention_bwd *b,
                 const struct head *h, const char *k, int row, int from)
{
    int see = seen(b->f.causal, h->keys, row, PIECE) - from;

    for (int n = 0; n < least(see, TILE); n += PIECE) {
        struct meeting m = {from + n, h->keys, row, b->f.causal};

        queries_add(s, k, k + TILE_SIZE, n, &m, b->scale_2);
    }
}

static __global__ void __launch_bounds__(LONG_THREADS, 2)
    attend_bwd_queries(struct attention_bwd b, int blocks)
{
    DYNAMIC_SHARED(char, tiles);
    int heads = b.f.heads, rest = (int)blockIdx.x / heads;
    int most = (int)blockDim.x / WARP * PIECE, from = rest % blocks * most;
    int at = (int)threadIdx.x / WARP * PIECE, row = from + at, valid, count;
    char *q = tiles + 4 * TILE_SIZE, *g = q + most * LINE;
    struct fact *facts = (struct fact *)(g + most * LINE);
    struct queries s;
    struct head h;

    if (!find_head(&b.f, rest / blocks, (int)blockIdx.x % heads, &h) ||
        from >= h.queries)
        return;
    valid = least(h.queries - from, most);
    count = (seen(b.f.causal, h.keys, from, valid) + TILE - 1) / TILE;
    copy_queries(q, &b, &h, from, most, most * LINE);
    if (count)
        copy_keys(tiles, &b, &h, 0, TILE, TILE_SIZE);
    copy_commit();
    find_facts<4>(&b, &h, from, pieces_of(valid) * PIECE, valid, g, facts);
    if ((int)threadIdx.x < valid)
        b.delta[(h.q + from + (int)threadIdx.x) * heads + h.at] =
            facts[threadIdx.x].delta;
    if (at < valid)
        queries_begin(&s, q, g, at, facts);
    for (int t = 0; t < count; t++) {
        if (t + 1 < count)
            copy_keys(tiles + (t + 1) % 2 * 2 * TILE_SIZE, &b, &h,
                      (t + 1) * TILE, TILE, TILE_SIZE);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        if (at < valid)
            queries_add_tile(&s, &b, &h, tiles + t % 2 * 2 * TILE_SIZE, row,
                             t * TILE);
        __syncthreads(); /* the next copies come to where this tile was */
    }
    if (at < valid)
        store_rows(column(b.dq, h.q + from, b.f.ldq, &h), b.f.ldq, q, at, valid,
                   s.dq, b.scale, b.scale);
}

/* ---- dk, dv ---- */

/* The facts of one row of a tile of queries: a thread a row. */
static __device__ __forceinline__ struct fact
fact_load(const struct attention_bwd *b, const struct head *h, int from)
{
    int row = from + (int)threadIdx.x;
    int64_t at = (h->q + row) * b->f.heads + h->at;
    struct fact f = {INFINITY, 0};

    if ((int)threadIdx.x < TILE && row < h->queries) {
        f.lse = ((const float *)b->f.lse)[at] * LOG2_E;
        f.delta = b->delta[at];
    }
    return f;
}

/* The tile of 64 queries from number `from` on, in shared memory at q. */
static __device__ __forceinline__ void
keys_add_tile(struct keys *s, const struct attention_bwd *b,
              const struct head *h, const char *q, const struct fact *facts,
              int key, int from)
{
    int first = b->f.causal && key > from ? key - from : 0;

#pragma unroll 1
    for (int n = first; n < least(h->queries - from, TILE); n += PIECE) {
        struct meeting m = {key, h->keys, from + n, b->f.causal};
        unsigned ds[4];

        keys_add(s, q, q + TILE_SIZE, n, facts, &m, b->scale_2, ds);
    }
}

static __global__ void __launch_bounds__(LONG_THREADS, 2)
    attend_bwd_keys(struct attention_bwd b, int blocks)
{
    __shared__ struct head kept; /* saves registers where they are scarce */
    DYNAMIC_SHARED(char, tiles);
    int rest = (int)blockIdx.x / b.f.heads;
    int most = (int)blockDim.x / WARP * PIECE, from = rest % blocks * most;
    int at = (int)threadIdx.x / WARP * PIECE, count, first;
    char *k = tiles + 4 * TILE_SIZE;
    struct fact *room = (struct fact *)(k + 2 * most * LINE);
    struct fact next;
    struct keys s;
    struct head h;

    if (!find_head(&b.f, rest / blocks, (int)blockIdx.x % b.f.heads, &h) ||
        from >= h.keys)
        return;
    if (!threadIdx.x)
        kept = h;
    first = b.f.causal ? from / TILE : 0;
    count = (h.queries + TILE - 1) / TILE;
    copy_keys(k, &b, &h, from, most, most * LINE);
    if (first < count)
        copy_queries(tiles + first % 2 * 2 * TILE_SIZE, &b, &h, first * TILE,
                     TILE, TILE_SIZE);
    next = fact_load(&b, &h, first * TILE);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    if (from + at < kept.keys)
        keys_begin(&s, k, k + most * LINE, at);
    for (int t = first; t < count; t++) {
        struct fact *facts = room + t % 2 * TILE;

        if ((int)threadIdx.x < TILE)
            facts[threadIdx.x] = next;
        if (t + 1 < count)
            copy_queries(tiles + (t + 1) % 2 * 2 * TILE_SIZE, &b, &kept,
                         (t + 1) * TILE, TILE, TILE_SIZE);
        next = fact_load(&b, &kept, (t + 1) * TILE);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        if (from + at < kept.keys)
            keys_add_tile(&s, &b, &kept, tiles + t % 2 * 2 * TILE_SIZE, facts,
                          from + at, t * TILE);
        __syncthreads(); /* the next copies come to where this tile was */
    }
    if (from + at < kept.keys)
        keys_end(&s, &b, &kept, from + at, k, at);
}

/* ---- both ---- */

void attention_long_bwd(struct device *d, const struct attention_bwd *b)
{
    int q = pieces_of(b->f.max_q), k = pieces_of(b->f.max_k);
    int warps[2] = {warps_for(q, LONG_WARPS), warps_for(k, LONG_WARPS)};
    unsigned heads = (unsigned)b->f.seqs * (unsigned)b->f.heads;

    for (int i = 0; i < 2; i++) {
        int w = warps[i] < 2 ? 2 : warps[i]; /* a thread a row of a tile */
        int blocks = ((i ? k : q) + w - 1) / w;
        size_t facts = (size_t)(i ? 2 * TILE : w * PIECE) * sizeof(struct fact);

        launch(d, i ? attend_bwd_keys : attend_bwd_queries,
               heads * (unsigned)blocks, (unsigned)w * WARP,
               4 * TILE_SIZE + 2 * (size_t)w * PIECE * LINE + facts, *b,
               blocks);
    }
}
