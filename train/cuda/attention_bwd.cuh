/*
 * attention_bwd - what both kernels of attention's gradients do with a piece.
 *
 * Model.   See k_attention_bwd.cu: a warp keeps 16 keys and meets 16 queries at
 *          a time.
 */
#ifndef TRAIN_CUDA_ATTENTION_BWD_CUH
#define TRAIN_CUDA_ATTENTION_BWD_CUH

#include "train/cuda/attention.cuh"

struct attention_bwd {
    struct op_attention f;
    const bf16 *dout;
    bf16 *dq, *dk, *dv;
    float *delta;  /* [q_rows, heads]; long sequences */
    float scale;   /* dim^-1/2 */
    float scale_2; /* times log2 e */
};

/* What the gradient of a softmax's inputs needs of each query row. */
struct fact {
    float lse;   /* log2 sum exp; infinite behind the last row: p is 0 */
    float delta; /* sum of dout * out */
};

template <typename T>
static __device__ __forceinline__ T *column(T *p, int64_t row, int64_t ld,
                                            const struct head *h)
{
    return p + row * ld + h->at * HEAD;
}

/* The same of out and dout, which are as wide as all heads. */
static __device__ __forceinline__ const bf16 *
mixed(const void *p, const struct attention_bwd *b, const struct head *h,
      int row)
{
    return column((const bf16 *)p, h->q + row, (int64_t)b->f.heads * HEAD, h);
}

/* ---- delta ---- */

static __device__ __forceinline__ float dot_chunk(uint4 a, const char *p)
{
    uint4 b = *(const uint4 *)p;
    float x[8], y[8], sum = 0;

    load_pack((const bf16 *)&a, x);
    load_pack((const bf16 *)&b, y);
#pragma unroll
    for (int i = 0; i < 8; i++)
        sum += x[i] * y[i];
    return sum;
}

/* Of query rows from.. of the head, `valid` of them; their dout is in shared
 * memory at g, once all copies have come.  Whole block; U: chunks a thread. */
template <int U>
static __device__ __forceinline__ void
find_facts(const struct attention_bwd *b, const struct head *h, int from,
           int rows, int valid, const char *g, struct fact *facts)
{
    const bf16 *out = mixed(b->f.out, b, h, from);
    const float *lse = (const float *)b->f.lse + (h->q + from) * b->f.heads;
    int64_t ld = (int64_t)b->f.heads * HEAD;
    int first = (int)threadIdx.x, step = (int)blockDim.x;
    uint4 mine[U];

#pragma unroll
    for (int u = 0; u < U; u++) {
        int i = first + u * step, row = i / CHUNKS;

        mine[u] = make_uint4(0, 0, 0, 0);
        if (row < valid)
            mine[u] = *(const uint4 *)(out + row * ld + i % CHUNKS * CHUNK);
    }
    for (int row = first; row < rows; row += step)
        facts[row].lse = row < valid
                             ? lse[(int64_t)row * b->f.heads + h->at] * LOG2_E
                             : INFINITY;
    copy_wait<0>();
    __syncthreads();
#pragma unroll
    for (int u = 0; u < U; u++) {
        int i = first + u * step, row = i / CHUNKS;
        float sum;

        if (row >= rows) /* a whole warp's: four rows each */
            break;
        sum = dot_chunk(mine[u], g + place(row, i % CHUNKS));
        sum += __shfl_xor_sync(FULL, sum, 1);
        sum += __shfl_xor_sync(FULL, sum, 2);
        sum += __shfl_xor_sync(FULL, sum, 4);
        if (i % CHUNKS == 0)
            facts[row].delta = sum;
    }
    __syncthreads();
}

/* ---- 16 keys and 16 queries ---- */

/* What a warp keeps of its 16 keys. */
struct keys {
    unsigned k[4][4], v[4][4];
    float dk[8][4], dv[8][4];
};

static __device__ __forceinline__ void keys_begin(struct keys *s, const char *k,
                                                  const char *v, int row)
{
#pragma unroll
    for (int kk = 0; kk < 4; kk++) {
        load_a(s->k[kk], k, row, kk);
        load_a(s->v[kk], v, row, kk);
    }
    clear(s->dk);
    clear(s->dv);
}

/* Where 16 keys meet 16 queries: place of the first of each in the ranges. */
struct meeting {
    int key, keys, query;
    bool causal;
};

static __device__ __forceinline__ bool at_edge(const struct meeting *m)
{
    return m->key + PIECE > m->keys || (m->causal && m->key + PIECE > m->query);
}

static __device__ __forceinline__ bool sees(const struct meeting *m, int query,
                                            int key)
{
    return m->key + key < m->keys &&
           (!m->causal || m->key + key <= m->query + query);
}

/* Add 16 queries, at `row` of the tiles q and g (of dout); ds gets their ds^T,
 * rows keys, as an a. */
static __device__ __forceinline__ void keys_add(struct keys *s, const char *q,
                                                const char *g, int row,
                                                const struct fact *facts,
                                                const struct meeting *m,
                                                float scale_2, unsigned ds[4])
{
    int lane = lane_of(), t = lane % 4;
    bool edge = at_edge(m);
    float p[2][4], dp[2][4];
    unsigned a[4];

    products<1>(&p, &s->k, q, row);
    products<1>(&dp, &s->v, g, row);
    facts += row + 2 * t;
#pragma unroll
    for (int n = 0; n < 2; n++) {
        float4 two = *(const float4 *)(facts + 8 * n); /* lse, delta twice */

#pragma unroll
        for (int i = 0; i < 4; i++) {
            int query = 8 * n + 2 * t + i % 2, key = lane / 4 + i / 2 * 8;
            float x = exp2_fast(p[n][i] * scale_2 - (i % 2 ? two.z : two.x));

            if (edge && !sees(m, query, key))
                x = 0;
            p[n][i] = x;
            dp[n][i] = x * (dp[n][i] - (i % 2 ? two.w : two.y));
        }
    }
    pack_a(a, p);
    add_rows<1>(&s->dv, &a, g, row);
    pack_a(a, dp);
    add_rows<1>(&s->dk, &a, q, row);
#pragma unroll
    for (int i = 0; i < 4; i++)
        ds[i] = a[i];
}

/* Write keys row.. of the head, through 16 lines of this warp's own. */
static __device__ __forceinline__ void keys_end(const struct keys *s,
                                                const struct attention_bwd *b,
                                                const struct head *h, int row,
                                                char *lines, int line)
{
    int valid = h->keys - row + line;

    store_rows(column(b->dv, h->k + row - line, b->f.ldv, h), b->f.ldv, lines,
               line, valid, s->dv, 1, 1);
    store_rows(column(b->dk, h->k + row - line, b->f.ldk, h), b->f.ldk, lines,
               line, valid, s->dk, b->scale, b->scale);
}

/* k_attention_bwd_long.cu: sequences of any length. */
void attention_long_bwd(struct device *d, const struct attention_bwd *b);

#endif
