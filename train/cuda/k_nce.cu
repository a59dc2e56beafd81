/*
 * InfoNCE, forward: the similarities of a row are made tile by tile and only
 * their largest and the sum of their exponentials are kept, once a thread while
 * a block walks its range of columns, once a range in scratch, and put together
 * in the order of the ranges.
 *
 * Cost.  2 rows cols dim FLOPs in fp32: 1.1 TFLOP for 32,768 rows and columns
 *        of 512, 16.4 ms at an H200's 67 TFLOP/s, twice a step.  From memory
 *        about 1 GB then (b once for every 16 tiles of rows); scratch 4 MiB.
 */
#include <cfloat>

#include "train/cuda/tile.cuh"

/* Blocks to cut the work into: fifteen rounds of two blocks on each of an
 * H200's multiprocessors, so that the last round is a small part of it. */
#define NCE_BLOCKS 4096
#define NCE_FINISH 128 /* threads */

/* What a thread knows of its rows so far.  In shared memory: nobody else reads
 * it before the end, but registers are full while tiles are multiplied. */
struct nce_state {
    float most[TILE_EACH][TILE_THREADS];
    float sum[TILE_EACH][TILE_THREADS];
    float own[TILE]; /* a row's similarity to its match, once it was met */
};

/* A tile's similarities join the rows. */
static __device__ __forceinline__ void
nce_join(const struct op_nce &o, int64_t row, int64_t col, float scale,
         const float (&dot)[TILE_EACH][TILE_EACH], struct nce_state *state)
{
    int cols = tile_count(o.cols, col);
    int match = tile_match(o.first, row, col);

#pragma unroll
    for (int i = 0; i < TILE_EACH; i++) {
        int own = tile_row(i) + match;
        float was = state->most[i][threadIdx.x], most = was, sum, x[TILE_EACH];

#pragma unroll
        for (int j = 0; j < TILE_EACH; j++) {
            x[j] = tile_col(j) < cols ? dot[i][j] * scale : -INFINITY;
            most = fmaxf(most, x[j]);
            if (tile_col(j) == own)
                state->own[tile_row(i)] = x[j];
        }
        sum = state->sum[i][threadIdx.x] * expf(was - most);
#pragma unroll
        for (int j = 0; j < TILE_EACH; j++)
            sum += expf(x[j] - most);
        state->most[i][threadIdx.x] = most;
        state->sum[i][threadIdx.x] = sum;
    }
}

/* The thread of `down` and `across`: tile_down() and tile_across(), undone. */
static __device__ __forceinline__ int nce_owner(int down, int across)
{
    return across / 4 * 64 + down / 8 * WARP + across % 4 / 2 * 16 +
           down % 8 * 2 + across % 2;
}

/* A block's tile of rows against its range of columns: `part` gets a row's
 * largest similarity and the sum of exponentials under it. */
template <int N>
static __global__ void __launch_bounds__(TILE_THREADS, TILE_BLOCKS<N>)
    nce_tiles(struct op_nce o, int64_t range, float2 *part)
{
    __shared__ struct tile_room room;
    __shared__ struct nce_state state;
    int64_t row = (int64_t)blockIdx.y * TILE;
    int64_t begin = blockIdx.x * range, end = begin + range;
    float scale = expf(*(const float *)o.log_scale);
    int t = (int)threadIdx.x;

    for (int i = 0; i < TILE_EACH; i++) {
        state.most[i][t] = -FLT_MAX;
        state.sum[i][t] = 0;
    }
    for (int64_t col = begin; col < end && col < o.cols; col += TILE) {
        struct tile_rows<N> a, b;
        float dot[TILE_EACH][TILE_EACH];

        a.begin((const float *)o.a + row * o.dim, o.dim,
                tile_count(o.rows, row), (int)o.dim);
        b.begin((const float *)o.b + col * o.dim, o.dim,
                tile_count(o.cols, col), (int)o.dim);
        tile_clear(dot);
        tile_multiply(a, b, (int)o.dim, &room, dot);
        nce_join(o, row, col, scale, dot, &state);
    }
    __syncthreads();
    if (t < TILE && row + t < o.rows) {
        int i = t / (TILE / 2) * 4 + t % 4, down = t % (TILE / 2) / 4;
        float most = -FLT_MAX, sum = 0;

        for (int across = 0; across < TILE / TILE_EACH; across++)
            most = fmaxf(most, state.most[i][nce_owner(down, across)]);
        for (int across = 0; across < TILE / TILE_EACH; across++) {
            int owner = nce_owner(down, across);

            sum += state.sum[i][owner] * expf(state.most[i][owner] - most);
        }
        part[blockIdx.x * o.rows + row + t] = make_float2(most, sum);
        if (o.first + row + t >= begin && o.first + row + t < end)
            ((float *)o.loss)[row + t] = state.own[t]; /* for nce_finish() */
    }
}

/* A thread puts a row's parts together. */
static __global__ void __launch_bounds__(NCE_FINISH)
    nce_finish(struct op_nce o, int parts, const float2 *part)
{
    int64_t row = (int64_t)blockIdx.x * NCE_FINISH + threadIdx.x;
    float *loss = (float *)o.loss + row;
    float most = -FLT_MAX, sum = 0, log_sum;

    if (row >= o.rows)
        return;
    for (int p = 0; p < parts; p++)
        most = fmaxf(most, part[p * o.rows + row].x);
    for (int p = 0; p < parts; p++) {
        float2 x = part[p * o.rows + row];

        sum += x.y * expf(x.x - most);
    }
    log_sum = logf(sum);
    ((float *)o.lse)[row] = most + log_sum;
    *loss = most - *loss + log_sum;
}

void cuda_nce(struct device *d, const struct op_nce *o)
{
    int64_t down = tiles_for(o->rows), across = tiles_for(o->cols);
    int64_t parts = NCE_BLOCKS / down, range;
    float2 *part;

    parts = parts < 1 ? 1 : parts > across ? across : parts;
    range = (across + parts - 1) / parts;
    parts = (across + range - 1) / range;
    part = (float2 *)cuda_scratch(d, (size_t)(parts * o->rows) * sizeof *part);
    launch(d, tile_packs(o->a, o->b, o->dim) ? nce_tiles<4> : nce_tiles<1>,
           dim3((unsigned)parts, (unsigned)down), TILE_THREADS, 0, *o,
           range * TILE, part);
    launch(d, nce_finish, blocks_for(o->rows, NCE_FINISH), NCE_FINISH, 0, *o,
           (int)parts, part);
}
