/*
 * Gradients of attention on tensor cores, heads of 64.
 *
 * Method.  As the reference's: p is made again out of q, k and lse. A warp
 *          keeps 16 keys, their k and v and the sums dk and dv in registers and
 *          walks over the queries, 16 at a time: scores and ds then come out
 *          transposed, as the products into dk and dv want them.  p and ds are
 *          rounded to bf16 for those.  Where a sequence fits into shared
 *          memory (80 rows) two warps share one head of it, leave ds there,
 *          and make dq out of it once all keys are through: every product is
 *          computed once, 5 in all.  Longer ones: k_attention_bwd_long.cu.
 *          Nothing is added up across warps, so the order of every sum is
 *          fixed.
 * Cost.    Reads q, k, v, out, dout, writes dq, dk, dv once: ViT-B/32's
 *          pictures, a layer of 4,096: 2.5 GB, 0.59 ms at 4.3 TB/s, 129 GFLOP
 *          rounded up to pieces.  Captions, 8 heads: 77 rows: 2.6 GB, packed of
 *          mean 20: 0.68 GB.
 */
#include "train/cuda/attention_bwd.cuh"

#define SHORT_WARPS   2
#define SHORT_THREADS (SHORT_WARPS * WARP)
#define BLOCK_SIZE    512 /* bytes of 16 x 16 numbers */

/* ---- a head of a sequence in shared memory ---- */

/* A block of 16 x 16 of ds^T: row r (a key) is two chunks of 16 bytes, chunk c
 * at c ^ r / 4 % 2, so that eight rows' fall into different banks. */
static __device__ __forceinline__ int in_block(int row, int chunk)
{
    return row * 32 + ((chunk ^ (row >> 2 & 1)) << 4);
}

static __device__ __forceinline__ void put_block(char *to, const unsigned a[4])
{
    int lane = lane_of(), g = lane / 4, t = lane % 4;

#pragma unroll
    for (int i = 0; i < 4; i++)
        *(unsigned *)(to + in_block(g + i % 2 * 8, i / 2) + 4 * t) = a[i];
}

/* As a, transposed: its rows are queries. */
static __device__ __forceinline__ void load_block(unsigned a[4],
                                                  const char *from)
{
    int lane = lane_of();

    ldmatrix_trans(a, from + in_block(lane % 8 + lane / 16 * 8, lane / 8 % 2));
}

/* Shared memory of a head: [0..3] q, k, v, dout, then ds, then the facts. */
struct room {
    char *q, *k, *v, *g, *ds;
    struct fact *facts;
};

static __device__ __forceinline__ void room_carve(struct room *r, char *p,
                                                  int queries, int keys)
{
    r->q = p;
    r->g = r->q + queries * PIECE * LINE;
    r->k = r->g + queries * PIECE * LINE;
    r->v = r->k + keys * PIECE * LINE;
    r->ds = r->v + keys * PIECE * LINE;
    r->facts = (struct fact *)(r->ds + queries * keys * BLOCK_SIZE);
}

static __device__ __forceinline__ void
keys_of_head(const struct attention_bwd *b, const struct head *h,
             const struct room *r)
{
    int warp = (int)threadIdx.x / WARP;
    int all = pieces_of(h->queries), pieces = pieces_of(h->keys);

    for (int i = 0;; i++) {
        int j = dealt(i, warp, SHORT_WARPS);
        struct meeting m = {j * PIECE, h->keys, 0, b->f.causal};
        struct keys s;

        if (j >= pieces)
            break;
        keys_begin(&s, r->k, r->v, m.key);
#pragma unroll 1
        for (int n = b->f.causal ? j : 0; n < all; n++) {
            unsigned ds[4];

            m.query = n * PIECE;
            keys_add(&s, r->q, r->g, m.query, r->facts, &m, b->scale_2, ds);
            put_block(r->ds + (j * all + n) * BLOCK_SIZE, ds);
        }
        keys_end(&s, b, h, m.key, r->v, m.key); /* v is in registers */
    }
}

static __device__ __forceinline__ void
queries_of_head(const struct attention_bwd *b, const struct head *h,
                const struct room *r)
{
    int warp = (int)threadIdx.x / WARP;
    int all = pieces_of(h->queries);

    for (int i = 0;; i++) {
        int n = all - 1 - dealt(i, warp, SHORT_WARPS);
        int see = pieces_of(seen(b->f.causal, h->keys, n * PIECE, PIECE));
        float dq[8][4];

        if (n < 0)
            break;
        clear(dq);
        for (int j = 0; j < see; j++) {
            unsigned a[4];

            load_block(a, r->ds + (j * all + n) * BLOCK_SIZE);
            add_rows<1>(&dq, &a, r->k, j * PIECE);
        }
        store_rows(column(b->dq, h->q, b->f.ldq, h), b->f.ldq, r->q, n * PIECE,
                   h->queries, dq, b->scale, b->scale);
    }
}

static __global__ void __launch_bounds__(SHORT_THREADS, 5)
    attend_bwd_short(struct attention_bwd b)
{
    __shared__ struct head kept; /* saves registers where they are scarce */
    constexpr int U = SHORT_MAX * CHUNKS / (SHORT_WARPS * WARP);
    DYNAMIC_SHARED(char, p);
    const struct op_attention *o = &b.f;
    int64_t ld = (int64_t)o->heads * HEAD;
    int queries, keys;
    struct room r;
    struct head h;

    if (!find_head(o, (int)blockIdx.x / o->heads, (int)blockIdx.x % o->heads,
                   &h))
        return;
    if (!threadIdx.x)
        kept = h;
    queries = pieces_of(h.queries) * PIECE;
    keys = pieces_of(h.keys) * PIECE;
    room_carve(&r, p, pieces_of(o->max_q), pieces_of(o->max_k));
    copy_rows(r.q, column((const bf16 *)o->q, h.q, o->ldq, &h), o->ldq, queries,
              h.queries);
    copy_rows(r.g, mixed(b.dout, &b, &h, 0), ld, queries, h.queries);
    copy_rows(r.k, column((const bf16 *)o->k, h.k, o->ldk, &h), o->ldk, keys,
              h.keys);
    copy_rows(r.v, column((const bf16 *)o->v, h.k, o->ldv, &h), o->ldv, keys,
              h.keys);
    copy_commit();
    find_facts<U>(&b, &h, 0, queries, h.queries, r.g, r.facts);
    keys_of_head(&b, &kept, &r);
    __syncthreads();
    queries_of_head(&b, &kept, &r);
}

/* ---- the op ---- */

static void launch_short(struct device *d, const struct attention_bwd *b)
{
    int q = pieces_of(b->f.max_q), k = pieces_of(b->f.max_k);
    size_t lines = (size_t)(2 * q + 2 * k) * PIECE * LINE;
    size_t rest =
        (size_t)(q * k) * BLOCK_SIZE + (size_t)q * PIECE * sizeof(struct fact);

    launch(d, attend_bwd_short, (unsigned)b->f.seqs * (unsigned)b->f.heads,
           SHORT_WARPS * WARP, lines + rest, *b);
}

void cuda_attention_bwd(struct device *d, const struct op_attention_bwd *o)
{
    const struct op_attention *f = o->forward;
    float scale = 1 / sqrtf((float)f->dim);
    float *delta = (float *)cuda_scratch(d, (size_t)(f->q_rows * f->heads) *
                                                sizeof(float));
    struct attention_bwd b = {*f,
                              (const bf16 *)o->dout,
                              (bf16 *)o->dq,
                              (bf16 *)o->dk,
                              (bf16 *)o->dv,
                              delta,
                              scale,
                              scale * LOG2_E};

    if (!has_tensor_form(d, f) || !aligned_16(o->dout) || !aligned_16(o->dq) ||
        !aligned_16(o->dk) || !aligned_16(o->dv))
        attention_plain_bwd(d, o, delta);
    else if (is_short(f))
        launch_short(d, &b);
    else
        attention_long_bwd(d, &b);
}
