/*
 * tile - products of fp32 numbers, tile by tile: what the losses are made of.
 *
 * Model.   A block of TILE_THREADS threads multiplies up to TILE rows by up to
 *          TILE columns with fp32 multiply-adds (no tensor cores: TF32 would
 *          leave similarities three digits).  A thread owns TILE_EACH^2 of the
 *          tile's numbers, in quarters: rows tile_row(i), columns tile_col(j).
 *          Operands pass through shared memory TILE_DEPTH deep, two rooms in
 *          turn: the next one is fetched while this one is multiplied.  Every
 *          number is one sum, over the depth in ascending order, whatever the
 *          tiles around it are.
 * Cost.    A warp reads 4 x 16 bytes a thread from shared memory for 64
 *          multiply-adds; 17 KiB of shared memory and at most 128 registers a
 *          thread, so that a multiprocessor holds two blocks.
 */
#ifndef TRAIN_CUDA_TILE_CUH
#define TRAIN_CUDA_TILE_CUH

#include "train/cuda/kernel.cuh"

#define TILE         128
#define TILE_DEPTH   8
#define TILE_THREADS 256
#define TILE_EACH    8
#define TILE_PITCH   (TILE + 4) /* so that transposing meets no bank twice */

/* Blocks that a multiprocessor shall hold at once, by the numbers at a load:
 * single ones are for odd sizes, which have more to keep than to hurry. */
template <int N> constexpr int TILE_BLOCKS = N == 4 ? 2 : 1;

struct tile_room {
    __align__(16) float a[2][TILE_DEPTH][TILE_PITCH];
    __align__(16) float b[2][TILE_DEPTH][TILE_PITCH];
};

/* ---- who owns what ---- */

/* Warps stand 2 down and 4 across, their lanes 8 down and 4 across.  The lanes'
 * order is the one that lets shared memory answer both operands' 16-byte reads
 * in two steps: neighbours, and neighbours' neighbours, ask for the same. */
static __device__ __forceinline__ int tile_down()
{
    return (int)(threadIdx.x / WARP % 2 * 8 + (threadIdx.x >> 1 & 7));
}

static __device__ __forceinline__ int tile_across()
{
    unsigned lane = threadIdx.x % WARP;

    return (int)(threadIdx.x / WARP / 2 * 4 + (lane >> 4) * 2 + (lane & 1));
}

static __device__ __forceinline__ int tile_row(int i)
{
    return i / 4 * (TILE / 2) + tile_down() * 4 + i % 4;
}

static __device__ __forceinline__ int tile_col(int j)
{
    return j / 4 * (TILE / 2) + tile_across() * 4 + j % 4;
}

/* How many of n rows or columns fall into the tile that begins at `from`. */
static __device__ __forceinline__ int tile_count(int64_t n, int64_t from)
{
    return n - from < TILE ? (int)(n - from) : TILE;
}

/* Row i of the tile at (row, col) matches its column i + tile_match(). */
static __device__ __forceinline__ int tile_match(int64_t first, int64_t row,
                                                 int64_t col)
{
    int64_t by = first + row - col;

    return by < -TILE ? -TILE : by > TILE ? TILE : (int)by;
}

/* ---- operands; N numbers at a load, 4 or 1 ---- */

/* Rows whose numbers are multiplied in the order of memory: features. */
template <int N> struct tile_rows {
    const float *at; /* what this thread fetches next */
    int left;        /* numbers from there to the row's end; 0: no row */
    float x[4];

    /* `rows` of `depth` numbers each, `pitch` numbers apart. */
    __device__ __forceinline__ void begin(const float *p, int64_t pitch,
                                          int rows, int depth)
    {
        int row = (int)threadIdx.x / 2, k = (int)threadIdx.x % 2 * 4;

        at = p + row * pitch + k;
        left = row < rows ? depth - k : 0;
    }

    __device__ __forceinline__ void fetch()
    {
        x[0] = x[1] = x[2] = x[3] = 0;
        if constexpr (N == 4) {
            if (left > 0)
                load_pack(at, x);
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (i < left)
                    x[i] = at[i];
        }
        at += TILE_DEPTH;
        left -= TILE_DEPTH;
    }

    __device__ __forceinline__ void put(float (*room)[TILE_PITCH]) const
    {
        int row = (int)threadIdx.x / 2, k = (int)threadIdx.x % 2 * 4;

#pragma unroll
        for (int i = 0; i < 4; i++)
            room[k + i][row] = x[i];
    }
};

/* Columns: numbers that are neighbours in memory go to different sums. */
template <int N> struct tile_cols {
    const float *at;
    int64_t step; /* numbers to what is fetched next */
    int left;     /* of the depth, from this thread's part on */
    int wide;     /* columns from this thread's first on */
    float x[4];

    /* `depth` times `cols` numbers, `pitch` numbers apart. */
    __device__ __forceinline__ void begin(const float *p, int64_t pitch,
                                          int cols, int depth)
    {
        int k = (int)threadIdx.x / WARP, col = (int)threadIdx.x % WARP * 4;

        at = p + k * pitch + col;
        step = TILE_DEPTH * pitch;
        left = depth - k;
        wide = cols - col;
    }

    __device__ __forceinline__ void fetch()
    {
        x[0] = x[1] = x[2] = x[3] = 0;
        if constexpr (N == 4) {
            if (left > 0 && wide > 0)
                load_pack(at, x);
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (left > 0 && i < wide)
                    x[i] = at[i];
        }
        at += step;
        left -= TILE_DEPTH;
    }

    __device__ __forceinline__ void put(float (*room)[TILE_PITCH]) const
    {
        int k = (int)threadIdx.x / WARP, col = (int)threadIdx.x % WARP * 4;

        *(float4 *)&room[k][col] = make_float4(x[0], x[1], x[2], x[3]);
    }
};

/* ---- the product ---- */

static __device__ __forceinline__ void
tile_clear(float (&sum)[TILE_EACH][TILE_EACH])
{
#pragma unroll
    for (int i = 0; i < TILE_EACH; i++)
#pragma unroll
        for (int j = 0; j < TILE_EACH; j++)
            sum[i][j] = 0;
}

/* Both operands' numbers of one depth. */
static __device__ __forceinline__ void
tile_step(const float *a, const float *b, float (&sum)[TILE_EACH][TILE_EACH])
{
    float x[TILE_EACH], y[TILE_EACH];

    load_pack(a + tile_down() * 4, x);
    load_pack(a + TILE / 2 + tile_down() * 4, x + 4);
    load_pack(b + tile_across() * 4, y);
    load_pack(b + TILE / 2 + tile_across() * 4, y + 4);
#pragma unroll
    for (int i = 0; i < TILE_EACH; i++)
#pragma unroll
        for (int j = 0; j < TILE_EACH; j++)
            sum[i][j] += x[i] * y[j];
}

/* sum += a b over the depth that both were begun with.  The room is free for
 * anything else behind it. */
template <class A, class B>
static __device__ __forceinline__ void
tile_multiply(A &a, B &b, int depth, struct tile_room *room,
              float (&sum)[TILE_EACH][TILE_EACH])
{
    a.fetch();
    b.fetch();
    a.put(room->a[0]);
    b.put(room->b[0]);
    __syncthreads();
    for (int k = 0, now = 0; k < depth; k += TILE_DEPTH, now ^= 1) {
        bool more = k + TILE_DEPTH < depth;

        if (more) {
            a.fetch();
            b.fetch();
        }
#pragma unroll
        for (int i = 0; i < TILE_DEPTH; i++)
            tile_step(room->a[now][i], room->b[now][i], sum);
        if (more) {
            a.put(room->a[now ^ 1]);
            b.put(room->b[now ^ 1]);
        }
        __syncthreads();
    }
}

/* ---- for the host ---- */

static inline int64_t tiles_for(int64_t n)
{
    return (n + TILE - 1) / TILE;
}

/* Whether rows of `dim` numbers can be loaded four at a time. */
static inline bool tile_packs(const void *a, const void *b, int64_t dim)
{
    return dim % 4 == 0 && (uintptr_t)a % 16 == 0 && (uintptr_t)b % 16 == 0;
}

#endif
