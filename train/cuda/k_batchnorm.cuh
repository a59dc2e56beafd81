/*
 * k_batchnorm - what BatchNorm's two directions share: sums of columns.
 *
 * Model.   A group's rows are cut into parts by the shape alone, a part (of a
 *          tile of columns) a block.  A thread goes down its pack's columns:
 *          neighbours read neighbouring packs, every thread some rows at once.
 *          A block's sums go to scratch; a second kernel puts them together in
 *          double, in a fixed order.
 */
#ifndef TRAIN_CUDA_K_BATCHNORM_CUH
#define TRAIN_CUDA_K_BATCHNORM_CUH

#include "train/cuda/k_norm.cuh"

#define BN_THREADS 256
#define BN_HALF    (BN_THREADS / 2)
#define BN_WIDE    64   /* packs a block is wide, at most */
#define BN_BLOCKS  1056 /* enough to fill a GPU, see k_norm_bwd.cu */
#define BN_FEW     8    /* rows of a thread, at least */
#define BN_MANY    1024 /* and at most: floats are summed one by one */
#define BN_LANES   32   /* columns of a block that puts parts together */

/* How rows and columns are cut. */
struct bn_cut {
    int64_t per;
    int dim, parts;        /* of a group */
    int rows, longer;      /* of a part; parts (the first) with one more */
    int wide, tall, tiles; /* packs and rows of a block; blocks of a row */
    int down;              /* numbers between a thread's rows: tall * dim */
};

static struct bn_cut cut_of(int64_t groups, int64_t per, int64_t dim, int n)
{
    struct bn_cut c = {};
    int packs = (int)dim / n;
    int64_t parts, least, most;

    c.per = per;
    c.dim = (int)dim;
    c.tiles = (packs + BN_WIDE - 1) / BN_WIDE;
    c.wide = (packs + c.tiles - 1) / c.tiles;
    c.tall = BN_THREADS / c.wide;
    c.down = c.tall * c.dim;
    parts = BN_BLOCKS / (groups * c.tiles);
    least = (per + c.tall * BN_MANY - 1) / (c.tall * BN_MANY);
    most = (per + c.tall * BN_FEW - 1) / (c.tall * BN_FEW);
    parts = parts < least ? least : parts;
    c.parts = (int)(parts < most ? parts : most);
    c.rows = (int)(per / c.parts);
    c.longer = (int)(per % c.parts);
    return c;
}

static dim3 blocks_of(struct bn_cut c, int64_t groups)
{
    return dim3((unsigned)(groups * c.parts), (unsigned)c.tiles);
}

/* A thread's place: its pack of columns, and its part. */
struct bn_at {
    int x, y;            /* in the block */
    int column;          /* the pack's first */
    int64_t group, part; /* the part's number in all groups */
    int64_t first;       /* number of x where its columns begin in the part */
    int rows;            /* of the part; 0 for a thread without columns */
};

template <int N>
static __device__ __forceinline__ bn_at place_of(const bn_cut &c, unsigned part)
{
    bn_at at;
    int i = (int)(part % (unsigned)c.parts);
    int64_t begin = (int64_t)i * c.rows + (i < c.longer ? i : c.longer);

    at.x = threadIdx.x % (unsigned)c.wide;
    at.y = threadIdx.x / (unsigned)c.wide;
    at.column = (blockIdx.y * c.wide + at.x) * N;
    at.part = part;
    at.group = part / (unsigned)c.parts;
    at.first = (at.group * c.per + begin) * c.dim + at.column;
    at.rows = c.rows + (i < c.longer);
    if (at.y >= c.tall || at.column >= c.dim)
        at.rows = 0;
    return at;
}

/* Call f(where, U) over a thread's rows, U at once where there are so many:
 * their loads are under way together. */
template <int U, typename F>
static __device__ __forceinline__ void walk(const bn_cut &c, const bn_at &at,
                                            F f)
{
    int64_t where = at.first + (int64_t)at.y * c.dim;
    int i = at.y;

    for (; i + (U - 1) * c.tall < at.rows; i += U * c.tall, where += U * c.down)
        f(where, std::integral_constant<int, U>());
    for (; i < at.rows; i += c.tall, where += c.down)
        f(where, std::integral_constant<int, 1>());
}

/* v[M] over the block's rows of threads, pair by pair, to the first:
 * merge(mine, other), where other's numbers lie BN_HALF apart.  room: M *
 * BN_HALF numbers. */
template <int M, typename T, typename F>
static __device__ __forceinline__ void fold(const bn_cut &c, const bn_at &at,
                                            T *v, T *room, F merge)
{
    int by = 1;

    while (2 * by < c.tall)
        by *= 2;
    for (; by && c.tall > 1; by /= 2) {
        int end = 2 * by < c.tall ? 2 * by : c.tall;

        if (at.y >= by && at.y < end)
#pragma unroll
            for (int j = 0; j < M; j++)
                room[j * BN_HALF + (at.y - by) * c.wide + at.x] = v[j];
        __syncthreads();
        if (at.y < end - by)
            merge(v, (const T *)room + at.y * c.wide + at.x);
        __syncthreads();
    }
}

/* ---- putting parts together ---- */

/* Two sums over a block's rows of threads, ascending, to the first. */
static __device__ __forceinline__ void fold_double(double *s, double *q)
{
    __shared__ double room[2][BN_LANES][BN_LANES];
    int x = threadIdx.x, y = threadIdx.y;

    __syncthreads(); /* room may still be read from the last sums */
    room[0][y][x] = *s;
    room[1][y][x] = *q;
    __syncthreads();
    if (y == 0)
        for (int i = 1; i < BN_LANES; i++) {
            *s += room[0][i][x];
            *q += room[1][i][x];
        }
}

#endif
