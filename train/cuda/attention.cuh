/*
 * attention - what the kernels of attention and of its gradients share.
 *
 * Model.   Heads of 64 bf16 numbers run on tensor cores, in pieces of 16 rows,
 *          one piece a warp.  In shared memory a row is a line of eight chunks
 *          of 16 bytes, chunk c of row r at place c ^ r % 8: so eight rows'
 *          equal chunks, and eight rows of fragments, fall into different
 *          banks.  Rows behind a range's end are zeros in shared memory: they
 *          are never read from global memory.  A piece behind the last one
 *          that has a row is not touched at all, so that a sequence costs what
 *          its own length rounded up to 16 asks for.
 *          Softmax is computed by powers of two: scores come times
 *          log2(e) / sqrt(dim).
 */
#ifndef TRAIN_CUDA_ATTENTION_CUH
#define TRAIN_CUDA_ATTENTION_CUH

#include "train/cuda/mma.cuh"

#define HEAD      64  /* numbers of a head that tensor cores take */
#define LINE      128 /* bytes of a row in shared memory */
#define PIECE     16  /* rows of a warp's product */
#define CHUNKS    8   /* of a row */
#define CHUNK     8   /* numbers of one */
#define TILE      64  /* rows that are loaded at a time where not all fit */
#define TILE_SIZE (TILE * LINE)
#define SHORT_MAX 80 /* rows of a sequence that is kept in shared memory */

#define LOG2_E 1.4426950408889634f
#define LN_2   0.6931471805599453f

static __host__ __device__ __forceinline__ int pieces_of(int rows)
{
    return (rows + PIECE - 1) / PIECE;
}

static __device__ __forceinline__ int least(int a, int b)
{
    return a < b ? a : b;
}

/* One head of one sequence. */
struct head {
    int64_t q, k;      /* its first rows */
    int queries, keys; /* how many */
    int at;            /* head */
};

/* false: nothing to do. */
static __device__ __forceinline__ bool find_head(const struct op_attention *o,
                                                 int s, int a, struct head *h)
{
    h->q = o->q_begin[s];
    h->k = o->k_begin[s];
    h->queries = o->q_end[s] - (int)h->q;
    h->keys = o->k_end[s] - (int)h->k;
    h->at = a;
    return h->queries > 0 || h->keys > 0;
}

/* Keys that some of the rows `from`..from + n - 1 see. */
static __device__ __forceinline__ int seen(bool causal, int keys, int from,
                                           int n)
{
    return causal ? least(keys, from + n) : keys;
}

/* Lighter and heavier pieces dealt out evenly: the i-th that warp w of `warps`
 * takes, 0.. being the heaviest first. */
static __device__ __forceinline__ int dealt(int i, int w, int warps)
{
    return i * warps + (i & 1 ? warps - 1 - w : w);
}

/* ---- shared memory ---- */

static __device__ __forceinline__ int place(int row, int chunk)
{
    return row * LINE + ((chunk ^ (row & 7)) << 4);
}

/* The whole block copies `rows` rows; those from `valid` on become zeros. */
static __device__ __forceinline__ void
copy_rows(char *to, const bf16 *from, int64_t ld, int rows, int valid)
{
    for (int i = (int)threadIdx.x; i < rows * CHUNKS; i += (int)blockDim.x) {
        int row = i / CHUNKS, chunk = i % CHUNKS;
        bool real = row < valid;

        copy_16(to + place(row, chunk),
                from + (real ? row * ld : 0) + chunk * CHUNK, real);
    }
}

/* ---- fragments: 16 rows and 16 columns at (row, 16 kk) of a tile ---- */

static __device__ __forceinline__ int lane_of()
{
    return (int)threadIdx.x % WARP;
}

/* Where the lane's 16 bytes stand; row is a multiple of 8.  `right`: lanes 16
 * to 31 take the right half and not the lower one. */
static __device__ __forceinline__ const char *corner(const char *tile, int row,
                                                     int kk, bool right)
{
    int lane = lane_of(), low = lane / 8 % 2, high = lane / 16;
    int down = right ? low : high, chunk = right ? high : low;
    int at = (lane % 8 + 8 * down) * LINE + ((chunk ^ lane % 8) << 4);

    return tile + row * LINE + (at ^ kk << 5);
}

/* As a: rows of the product are rows of the tile. */
static __device__ __forceinline__ void load_a(unsigned a[4], const char *tile,
                                              int row, int kk)
{
    ldmatrix(a, corner(tile, row, kk, true));
}

/* As two b, [0..1] and [2..3]: columns of the products are rows row.. and
 * row + 8.. of the tile. */
static __device__ __forceinline__ void load_b(unsigned b[4], const char *tile,
                                              int row, int kk)
{
    ldmatrix(b, corner(tile, row, kk, false));
}

/* As two b: columns of the products are columns 16 nn.. and 16 nn + 8.. of the
 * tile, their inner index its 16 rows. */
static __device__ __forceinline__ void
load_b_rows(unsigned b[4], const char *tile, int row, int nn)
{
    ldmatrix_trans(b, corner(tile, row, nn, true));
}

/* c[2], 16 x 16 next to each other, as the a of another product. */
static __device__ __forceinline__ void pack_a(unsigned a[4],
                                              const float c[2][4])
{
    a[0] = bf16_pair(c[0][0], c[0][1]);
    a[1] = bf16_pair(c[0][2], c[0][3]);
    a[2] = bf16_pair(c[1][0], c[1][1]);
    a[3] = bf16_pair(c[1][2], c[1][3]);
}

/* c[m] = x[m] (rows at `row` of the tile)^T, 64 columns deep. */
template <int M>
static __device__ __forceinline__ void
products(float c[M][2][4], const unsigned x[M][4][4], const char *tile, int row)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            c[m][0][i] = c[m][1][i] = 0;
#pragma unroll
    for (int kk = 0; kk < HEAD / 16; kk++) {
        unsigned b[4];

        load_b(b, tile, row, kk);
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma_bf16(c[m][0], x[m][kk], b);
            mma_bf16(c[m][1], x[m][kk], b + 2);
        }
    }
}

/* sum[m] += a[m] (16 rows at `row` of the tile), 64 columns wide. */
template <int M>
static __device__ __forceinline__ void
add_rows(float sum[M][8][4], const unsigned a[M][4], const char *tile, int row)
{
#pragma unroll
    for (int nn = 0; nn < HEAD / 16; nn++) {
        unsigned b[4];

        load_b_rows(b, tile, row, nn);
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma_bf16(sum[m][2 * nn], a[m], b);
            mma_bf16(sum[m][2 * nn + 1], a[m], b + 2);
        }
    }
}

static __device__ __forceinline__ void clear(float sum[8][4])
{
#pragma unroll
    for (int n = 0; n < 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            sum[n][i] = 0;
}

/* 16 rows of sums, times f[0] in rows g, f[1] in rows g + 8, through 16 lines
 * of the tile that only this warp uses, to rows row.. of `to`, as far as
 * `valid`. */
static __device__ __forceinline__ void
store_rows(bf16 *to, int64_t ld, char *tile, int row, int valid,
           const float sum[8][4], float f0, float f1)
{
    int lane = lane_of(), g = lane / 4, t = lane % 4;

    __syncwarp();
#pragma unroll
    for (int n = 0; n < 8; n++) {
        *(unsigned *)(tile + place(row + g, n) + 4 * t) =
            bf16_pair(sum[n][0] * f0, sum[n][1] * f0);
        *(unsigned *)(tile + place(row + g + 8, n) + 4 * t) =
            bf16_pair(sum[n][2] * f1, sum[n][3] * f1);
    }
    __syncwarp();
#pragma unroll
    for (int i = 0; i < PIECE * CHUNKS / WARP; i++) {
        int r = row + (lane + WARP * i) / CHUNKS, chunk = lane % CHUNKS;

        if (r < valid)
            *(uint4 *)(to + r * ld + chunk * CHUNK) =
                *(const uint4 *)(tile + place(r, chunk));
    }
}

/* ---- which way ---- */

/* Warps for `pieces` pieces, one each, so that few stand idle: as many blocks
 * as with `most`, evenly filled. */
static inline int warps_for(int pieces, int most)
{
    int blocks = (pieces + most - 1) / most;

    return (pieces + blocks - 1) / blocks;
}

static inline bool aligned_16(const void *p)
{
    return (uintptr_t)p % 16 == 0;
}

/* Whether tensor cores can take it; else the kernels of k_attention_plain.cu.
 */
static inline bool has_tensor_form(const struct device *d,
                                   const struct op_attention *o)
{
    return d->act == DTYPE_BF16 && o->dim == HEAD && o->ldq % CHUNK == 0 &&
           o->ldk % CHUNK == 0 && o->ldv % CHUNK == 0 && aligned_16(o->q) &&
           aligned_16(o->k) && aligned_16(o->v) && aligned_16(o->out);
}

/* Whether a head's rows all lie in shared memory at once. */
static inline bool is_short(const struct op_attention *o)
{
    return o->max_q <= SHORT_MAX && o->max_k <= SHORT_MAX;
}

/* k_attention_plain.cu: heads of up to 128 numbers, either type. */
void attention_plain(struct device *d, const struct op_attention *o);
void attention_plain_bwd(struct device *d, const struct op_attention_bwd *o,
                         float *delta);

#endif
