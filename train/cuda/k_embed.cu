/*
 * Tokens to rows, and their gradients back into the tables.
 *
 * Model.   The backward sorts the rows by key, a token's id and then its
 *          place, so that an entry's rows stand together, ascending.  The list
 *          is cut into chunks of fixed length, each summed by one row of
 *          threads: an entry that lies within its chunk goes straight into the
 *          table; one that reaches over a border (SOT and EOT are in every
 *          caption) leaves a part in each of its chunks, and the parts are
 *          added in order: GROUP chunks at a time first, where all of them are
 *          its own (of captions that are not packed, most rows are pads, all of
 *          one id).  So an entry has one writer, and the order of its sum is a
 *          function of the keys.
 * Cost.    embed: a row of each table in, a row out.  embed_bwd: dx twice, the
 *          entries in and out; 9 launches for the ids, 6 for the places.  Of
 *          4,096 captions of 77 in 512 bf16: embed 646 MB (less what the L2
 *          holds of the table) in, 323 MB out; embed_bwd 646 MB of dx, up to
 *          2 x 101 MB of the table, 2 x 10 MB of parts, 20 MB for the sort.
 *          A sum's longest row of additions one behind the other: CHUNK, GROUP,
 *          and parts / (CHUNK GROUP) + 2 GROUP; 580 for the 1.9 million pads of
 *          32,768 captions of 20 tokens, where it had been 29,000.
 */
#include "train/cuda/lay.cuh"
#include "train/cuda/sort.cuh"

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

/* ---- sums of a key's rows ---- */

#define CHUNK 64 /* entries summed by one row of threads */
#define AHEAD 8  /* rows on their way */
#define GROUP 64 /* chunks whose parts are added up first */

/* Rows of dx by key, summed into `out`. */
struct by_key {
    int64_t n, dim, chunks;
    const uint2 *list; /* sorted: key, row */
    const void *dx;
    float *head, *tail; /* [chunks, dim]: of a key that began before the chunk;
                           of one that begins in it and goes on behind */
    float *group; /* [chunks / GROUP, dim]: of heads, where all are one key's */
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

/* Whether all of the chunks [chunk, chunk + GROUP) begin within one key that
 * began before them: their heads are parts of one sum. */
static __device__ __forceinline__ bool whole_group(const by_key &k,
                                                   int64_t chunk)
{
    const int64_t last = chunk + GROUP - 1;
    unsigned key;

    if (chunk == 0 || last >= k.chunks)
        return false;
    key = k.list[chunk * CHUNK - 1].x;
    return k.list[last * CHUNK].x == key;
}

/* Heads of the groups that are whole. */
static __global__ void __launch_bounds__(LAY_THREADS)
sum_groups(by_key k, lay l)
{
    const spot s = lay_spot<1>(l, blockIdx.y, k.dim);
    const int64_t group = (int64_t)blockIdx.x * l.rows + s.row;
    const float *head = k.head + group * GROUP * k.dim + s.column;
    float sum = 0;

    if (s.row < 0 || !whole_group(k, group * GROUP))
        return;
#pragma unroll 16
    for (int c = 0; c < GROUP; c++)
        sum += head[c * k.dim];
    k.group[group * k.dim + s.column] = sum;
}

static __device__ __forceinline__ float
sum_rows(const float *rows, const by_key &k, int column, int64_t begin,
         int64_t end)
{
    float sum = 0;

#pragma unroll 8
    for (int64_t r = begin; r < end; r++)
        sum += rows[r * k.dim + column];
    return sum;
}

/* The parts of a key that begins in this chunk and goes on behind it. */
static __global__ void __launch_bounds__(LAY_THREADS)
sum_parts_of_keys(by_key k, lay l)
{
    const spot s = lay_spot<1>(l, blockIdx.y, k.dim);
    const int64_t chunk = (int64_t)blockIdx.x * l.rows + s.row;
    const int64_t begin = chunk * CHUNK, end = begin + CHUNK;
    int64_t last = chunk + 1, behind = k.chunks, first, groups;
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
    first = (chunk + GROUP) / GROUP; /* groups whose heads are all this key's */
    groups = (last + 1) / GROUP;
    if (first < groups) {
        sum += sum_rows(k.head, k, s.column, chunk + 1, first * GROUP);
        sum += sum_rows(k.group, k, s.column, first, groups);
        sum += sum_rows(k.head, k, s.column, groups * GROUP, last + 1);
    } else {
        sum += sum_rows(k.head, k, s.column, chunk + 1, last + 1);
    }
    k.out[key * k.dim + s.column] += sum;
}

/* ---- backward ---- */

/* table[keys[r]] += dx[r], r ascending. */
static void sum_by_key(struct device *d, const struct op_embed_bwd *o,
                       const int32_t *keys, int64_t most, void *table)
{
    const int64_t chunks = (o->rows + CHUNK - 1) / CHUNK;
    const int64_t groups = chunks / GROUP;
    const size_t parts = (size_t)((2 * chunks + groups) * o->dim);
    char *scratch = (char *)cuda_scratch(
        d, parts * sizeof(float) + cuda_sort_bytes(o->rows));
    by_key k = {};

    if (!cuda_runs(d))
        return;
    k.n = o->rows;
    k.dim = o->dim;
    k.chunks = chunks;
    k.list = cuda_sort(d, o->rows, keys, most, scratch);
    k.dx = o->dx;
    k.head = (float *)(scratch + cuda_sort_bytes(o->rows));
    k.tail = k.head + chunks * o->dim;
    k.group = k.tail + chunks * o->dim;
    k.out = (float *)table;
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;
        const lay l = lay_rows(k.dim % N ? k.dim : k.dim / N);
        const lay single = lay_rows(k.dim);

        launch(d, k.dim % N ? sum_chunks<A, 1> : sum_chunks<A, N>,
               dim3(blocks_for(k.chunks, l.rows), l.blocks), l.threads, 0, k,
               l);
        launch(d, sum_groups,
               dim3(blocks_for(groups, single.rows), single.blocks),
               single.threads, 0, k, single);
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
