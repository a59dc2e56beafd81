/*
 * Tokens to rows, and their gradients back into the tables.
 *
 * Model.   The backward sorts (key, row) by key, where key is a token's id and
 *          then its place, by a stable radix sort of our own: an entry's rows
 *          stand together, ascending.  The sorted list is cut into chunks of
 *          fixed length, each summed by one row of threads: an entry that lies
 *          within its chunk goes straight into the table, one that reaches
 *          over a border (SOT and EOT are in every caption) leaves a part in
 *          each of its chunks, which are added up in order.  So the order of
 *          every sum is a function of the keys, and there is one writer.
 * Cost.    embed: a table's row in, a row out.  embed_bwd: dx twice, the rows
 *          of the tables that occur twice, 8 launches for the ids and 5 for
 *          the places: 4,096 captions of 77 in rows of 512 bf16 646 MB of dx
 *          and 10 + 10 MB of parts; the sort itself moves 20 MB.
 */
#include "train/cuda/lay.cuh"

/* ---- forward ---- */

template <typename A, int N>
static __global__ void __launch_bounds__(LAY_THREADS)
    embed(struct op_embed o, lay l)
{
    const spot s = lay_spot<N>(l, blockIdx.y, o.dim);
    const int64_t r = (int64_t)blockIdx.x * l.rows + s.row;
    float x[N], place[N];

    if (s.row < 0 || r >= o.rows)
        return;
    load_reals<N>((const float *)o.token + o.ids[r] * o.dim + s.column, x);
    load_reals<N>((const float *)o.position + o.places[r] * o.dim + s.column,
                  place);
#pragma unroll
    for (int i = 0; i < N; i++)
        x[i] += place[i];
    store_n<N>((A *)o.x + r * o.dim + s.column, x);
}

void cuda_embed(struct device *d, const struct op_embed *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;
        const lay l = lay_rows(o->dim % N ? o->dim : o->dim / N);

        launch(d, o->dim % N ? embed<A, 1> : embed<A, N>,
               dim3(blocks_for(o->rows, l.rows), l.blocks), l.threads, 0, *o,
               l);
    });
}

/* ---- a stable sort of keys ---- */

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

/* ---- sums of a key's rows ---- */

#define CHUNK 64 /* entries summed by one row of threads */
#define AHEAD 8  /* rows on their way */

/* Rows of dx by key, summed into `out`. */
struct by_key {
    int64_t n, dim, chunks;
    const uint2 *list; /* sorted: key, row */
    const void *dx;
    float *head, *tail; /* [chunks, dim]: of a key that began before the chunk;
                           of one that begins in it and goes on behind */
    float *out;         /* += */
};

template <int N>
static __device__ __forceinline__ void add_reals(float *to, const float *x)
{
    float y[N];

    load_reals<N>(to, y);
#pragma unroll
    for (int i = 0; i < N; i++)
        y[i] += x[i];
    store_reals<N>(to, y);
}

template <typename A, int N>
static __global__ void __launch_bounds__(LAY_THREADS, 2)
    sum_chunks(by_key k, lay l)
{
    const spot s = lay_spot<N>(l, blockIdx.y, k.dim);
    const int64_t chunk = (int64_t)blockIdx.x * l.rows + s.row;
    const int64_t begin = chunk * CHUNK;
    const int64_t end = begin + CHUNK < k.n ? begin + CHUNK : k.n;
    const A *dx = (const A *)k.dx + s.column;
    float *const out = k.out + s.column;
    float *const head = k.head + chunk * k.dim + s.column;
    float sum[N] = {};
    unsigned key;
    bool began; /* before this chunk */

    if (s.row < 0 || begin >= k.n)
        return;
    key = k.list[begin].x;
    began = begin && k.list[begin - 1].x == key;
    for (int64_t i = begin; i < end; i += AHEAD) {
        uint2 entry[AHEAD];
        float x[AHEAD][N];

#pragma unroll
        for (int u = 0; u < AHEAD; u++)
            entry[u] = k.list[i + u < end ? i + u : end - 1];
#pragma unroll
        for (int u = 0; u < AHEAD; u++)
            load_n<N>(dx + entry[u].y * k.dim, x[u]);
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const bool here = i + u < end;

            if (entry[u].x != key) {
                if (began)
                    store_reals<N>(head, sum);
                else
                    add_reals<N>(out + key * k.dim, sum);
                key = entry[u].x;
                began = false;
#pragma unroll
                for (int c = 0; c < N; c++)
                    sum[c] = 0;
            }
#pragma unroll
            for (int c = 0; c < N; c++)
                sum[c] += here ? x[u][c] : 0;
        }
    }
    if (began)
        store_reals<N>(head, sum);
    else if (end < k.n && k.list[end].x == key)
        store_reals<N>(k.tail + chunk * k.dim + s.column, sum);
    else
        add_reals<N>(out + key * k.dim, sum);
}

/* The parts of a key that begins in this chunk and goes on behind it. */
static __global__ void __launch_bounds__(LAY_THREADS)
    sum_parts_of_keys(by_key k, lay l)
{
    const spot s = lay_spot<1>(l, blockIdx.y, k.dim);
    const int64_t chunk = (int64_t)blockIdx.x * l.rows + s.row;
    const int64_t begin = chunk * CHUNK, end = begin + CHUNK;
    int64_t last = chunk + 1, behind = k.chunks;
    unsigned key;
    float sum;

    if (s.row < 0 || end >= k.n)
        return;
    key = k.list[end - 1].x;
    if (k.list[end].x != key ||
        (begin && k.list[begin].x == key && k.list[begin - 1].x == key))
        return;
    while (last + 1 < behind) { /* the last chunk that begins with this key */
        const int64_t mid = last + (behind - last) / 2;

        if (k.list[mid * CHUNK].x == key)
            last = mid;
        else
            behind = mid;
    }
    sum = k.tail[chunk * k.dim + s.column];
#pragma unroll 8
    for (int64_t c = chunk + 1; c <= last; c++)
        sum += k.head[c * k.dim + s.column];
    k.out[key * k.dim + s.column] += sum;
}

/* ---- backward ---- */

struct room { /* scratch, in bytes from its begin */
    size_t list[2], counts, totals, head, tail, size;
    int64_t chunks;
    unsigned tiles;
};

static size_t take(struct room *r, int64_t bytes)
{
    const size_t at = r->size;

    r->size += ((size_t)bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
    return at;
}

static struct room lay_room(int64_t rows, int64_t dim)
{
    struct room r = {};

    r.chunks = (rows + CHUNK - 1) / CHUNK;
    r.tiles = blocks_for(rows, SORT_TILE);
    r.list[0] = take(&r, rows * (int64_t)sizeof(uint2));
    r.list[1] = take(&r, rows * (int64_t)sizeof(uint2));
    r.counts = take(&r, (int64_t)DIGITS * r.tiles * (int64_t)sizeof(unsigned));
    r.totals = take(&r, DIGITS * (int64_t)sizeof(unsigned));
    r.head = take(&r, r.chunks * dim * (int64_t)sizeof(float));
    r.tail = take(&r, r.chunks * dim * (int64_t)sizeof(float));
    return r;
}

/* The list of (key, row), sorted; keys are below `most`. */
static const uint2 *sorted(struct device *d, int64_t n, const int32_t *keys,
                           int64_t most, const struct room *r, char *scratch)
{
    sort_pass p = {};
    int turn = 0;

    p.n = n;
    p.keys = keys;
    p.tiles = r->tiles;
    p.counts = (unsigned *)(scratch + r->counts);
    p.totals = (unsigned *)(scratch + r->totals);
    do {
        p.to = (uint2 *)(scratch + r->list[turn]);
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

/* table[keys[r]] += dx[r], r ascending. */
static void sum_by_key(struct device *d, const struct op_embed_bwd *o,
                       const int32_t *keys, int64_t most, void *table)
{
    const struct room r = lay_room(o->rows, o->dim);
    char *scratch = (char *)cuda_scratch(d, r.size);
    by_key k = {};

    if (!cuda_runs(d))
        return;
    k.n = o->rows;
    k.dim = o->dim;
    k.chunks = r.chunks;
    k.list = sorted(d, o->rows, keys, most, &r, scratch);
    k.dx = o->dx;
    k.head = (float *)(scratch + r.head);
    k.tail = (float *)(scratch + r.tail);
    k.out = (float *)table;
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;
        const lay l = lay_rows(k.dim % N ? k.dim : k.dim / N);
        const lay single = lay_rows(k.dim);

        launch(d, k.dim % N ? sum_chunks<A, 1> : sum_chunks<A, N>,
               dim3(blocks_for(k.chunks, l.rows), l.blocks), l.threads, 0, k,
               l);
        launch(d, sum_parts_of_keys,
               dim3(blocks_for(k.chunks, single.rows), single.blocks),
               single.threads, 0, k, single);
    });
}

void cuda_embed_bwd(struct device *d, const struct op_embed_bwd *o)
{
    sum_by_key(d, o, o->ids, o->vocab, o->dtoken);
    sum_by_key(d, o, o->places, o->places_max, o->dposition);
}
