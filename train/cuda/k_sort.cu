/*
 * Rows in the order of their keys: sort.cuh says what for.
 *
 * Model.   Radix sort, lowest digit first.  A pass counts each tile's digits,
 *          turns the counts into places (a warp a digit), and moves the tile's
 *          entries there in their order: warps by the counts of those before
 *          them, lanes by votes.
 * Cost.    A pass moves 20 bytes an entry in three launches of a few
 *          microseconds: 315,392 rows (4,096 captions of 77) are 154 tiles.
 */
#include "train/cuda/sort.cuh"

#define DIGIT_BITS   8
#define DIGITS       (1 << DIGIT_BITS)
#define SORT_THREADS DIGITS /* so that a thread has a digit */
#define SORT_WARPS   (SORT_THREADS / WARP)
#define SORT_ITEMS   8 /* a thread */
#define SORT_TILE    (SORT_THREADS * SORT_ITEMS)

/* One pass: what it reads and writes, by which digit. */
struct sort_pass {
    int64_t n;
    const int32_t *keys; /* of the first pass, whose rows are 0, 1, ... */
    const uint2 *from;   /* of the others: key, row */
    uint2 *to;
    int shift;
    unsigned tiles;
    unsigned *counts; /* [DIGITS][tiles] */
    unsigned *totals; /* [DIGITS] */
};

static __device__ __forceinline__ uint2 sort_entry(const sort_pass &p,
                                                   int64_t at)
{
    return p.keys ? make_uint2((unsigned)p.keys[at], (unsigned)at) : p.from[at];
}

static __device__ __forceinline__ unsigned sort_digit(const sort_pass &p,
                                                      uint2 entry)
{
    return entry.x >> p.shift & (DIGITS - 1);
}

/* How often each digit occurs in each tile. */
static __global__ void __launch_bounds__(SORT_THREADS) sort_count(sort_pass p)
{
    __shared__ unsigned count[DIGITS];
    const int64_t begin = (int64_t)blockIdx.x * SORT_TILE;

    count[threadIdx.x] = 0;
    __syncthreads();
    for (int i = 0; i < SORT_ITEMS; i++) {
        int64_t at = begin + i * SORT_THREADS + threadIdx.x;

        if (at < p.n) /* of integers: any order gives the same sum */
            atomicAdd(&count[sort_digit(p, sort_entry(p, at))], 1u);
    }
    __syncthreads();
    p.counts[threadIdx.x * p.tiles + blockIdx.x] = count[threadIdx.x];
}

/* The sum of x over the warp's lanes up to this one. */
static __device__ __forceinline__ unsigned warp_scan(unsigned x)
{
    const int lane = threadIdx.x % WARP;

#pragma unroll
    for (int by = 1; by < WARP; by *= 2) {
        unsigned before = __shfl_up_sync(FULL, x, by);

        x += lane >= by ? before : 0;
    }
    return x;
}

/* A warp for each digit: its counts become what stands before each tile among
 * its entries. */
static __global__ void __launch_bounds__(SORT_THREADS) sort_scan(sort_pass p)
{
    const unsigned lane = threadIdx.x % WARP;
    const unsigned digit = (blockIdx.x * SORT_THREADS + threadIdx.x) / WARP;
    unsigned *counts = p.counts + digit * p.tiles;
    unsigned total = 0;

    for (unsigned i = 0; i < p.tiles; i += WARP) {
        const unsigned count = i + lane < p.tiles ? counts[i + lane] : 0;
        const unsigned sum = warp_scan(count);

        if (i + lane < p.tiles)
            counts[i + lane] = total + sum - count;
        total += __shfl_sync(FULL, sum, WARP - 1);
    }
    if (lane == 0)
        p.totals[digit] = total;
}

/* How many entries have digits below the thread's number. */
static __device__ __forceinline__ unsigned sort_begin(const sort_pass &p)
{
    __shared__ unsigned room[SORT_WARPS];
    const unsigned warp = threadIdx.x / WARP, count = p.totals[threadIdx.x];
    const unsigned sum = warp_scan(count);
    unsigned before = 0;

    if (threadIdx.x % WARP == WARP - 1)
        room[warp] = sum;
    __syncthreads();
#pragma unroll
    for (unsigned i = 0; i < SORT_WARPS; i++)
        before += i < warp ? room[i] : 0;
    return before + sum - count;
}

/* The lanes of the warp that have this lane's digit. */
static __device__ __forceinline__ unsigned same_digit(unsigned digit, bool here)
{
    unsigned lanes = __ballot_sync(FULL, here);

#pragma unroll
    for (int b = 0; b < DIGIT_BITS; b++) {
        unsigned set = __ballot_sync(FULL, (int)(digit >> b & 1));

        lanes &= digit >> b & 1 ? set : ~set;
    }
    return lanes;
}

/* Each entry to its place: behind those of lower digits, of earlier tiles,
 * earlier warps of this one, and of its own warp's earlier entries. */
static __global__ void __launch_bounds__(SORT_THREADS) sort_move(sort_pass p)
{
    __shared__ unsigned place[SORT_WARPS][DIGITS];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int64_t begin =
        (int64_t)blockIdx.x * SORT_TILE + warp * (WARP * SORT_ITEMS) + lane;
    unsigned rank[SORT_ITEMS], at;
    uint2 entry[SORT_ITEMS];

    for (int w = 0; w < SORT_WARPS; w++)
        place[w][threadIdx.x] = 0;
    at = sort_begin(p) + p.counts[threadIdx.x * p.tiles + blockIdx.x];
#pragma unroll
    for (int i = 0; i < SORT_ITEMS; i++) {
        const bool here = begin + i * WARP < p.n;
        unsigned digit, lanes, before;

        if (begin - lane + i * WARP >= p.n)
            break; /* the whole warp */
        entry[i] = here ? sort_entry(p, begin + i * WARP) : make_uint2(0, 0);
        digit = sort_digit(p, entry[i]);
        lanes = same_digit(digit, here);
        before = place[warp][digit];
        rank[i] = before + __popc(lanes & ((1u << lane) - 1));
        __syncwarp();
        if (here && rank[i] == before) /* the first of them */
            place[warp][digit] = before + __popc(lanes);
        __syncwarp();
    }
    __syncthreads();
    for (int w = 0; w < SORT_WARPS; w++) {
        unsigned count = place[w][threadIdx.x];

        place[w][threadIdx.x] = at;
        at += count;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < SORT_ITEMS; i++)
        if (begin + i * WARP < p.n)
            p.to[place[warp][sort_digit(p, entry[i])] + rank[i]] = entry[i];
}

/* ---- the whole of it ---- */

static size_t rounded(int64_t bytes)
{
    return ((size_t)bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
}

static size_t list_bytes(int64_t n)
{
    return rounded(n * (int64_t)sizeof(uint2));
}

static size_t count_bytes(int64_t n)
{
    return rounded(DIGITS * (int64_t)(blocks_for(n, SORT_TILE) + 1) *
                   (int64_t)sizeof(unsigned));
}

size_t cuda_sort_bytes(int64_t n)
{
    return 2 * list_bytes(n) + count_bytes(n);
}

const uint2 *cuda_sort(struct device *d, int64_t n, const int32_t *keys,
                       int64_t most, void *room)
{
    char *lists = (char *)room;
    sort_pass p = {};
    int turn = 0;

    p.n = n;
    p.keys = keys;
    p.tiles = blocks_for(n, SORT_TILE);
    p.totals = (unsigned *)(lists + 2 * list_bytes(n));
    p.counts = p.totals + DIGITS;
    do {
        p.to = (uint2 *)(lists + turn * list_bytes(n));
        launch(d, sort_count, p.tiles, SORT_THREADS, 0, p);
        launch(d, sort_scan, DIGITS / SORT_WARPS, SORT_THREADS, 0, p);
        launch(d, sort_move, p.tiles, SORT_THREADS, 0, p);
        p.keys = nullptr;
        p.from = p.to;
        p.shift += DIGIT_BITS;
        turn = !turn;
    } while ((most - 1) >> p.shift);
    return p.to;
}
