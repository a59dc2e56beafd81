/*
 * The losses' gradients.  Similarities are made a strip at a time: some rows by
 * some columns, one block a tile.  The strip's slopes (s G, transposed, so that
 * both operands of the second product are read alike) wait in scratch, that is
 * in L2, for the product with b, which adds to da; then the next columns' strip
 * takes their place.  Both products put two blocks on every multiprocessor:
 * that gives the strip's size.  With fewer rows than that asks for, the strip's
 * columns are cut into parts, each with a da of its own, added up at the end.
 *
 * Every sum's order is the shape's alone: it follows the strip's columns and
 * the parts, which do, and not the strip's rows, which follow the GPU's size.
 *
 * Cost.  4 rows cols dim FLOPs in fp32: 2.2 TFLOP for 32,768 rows and columns
 *        of 512, 33 ms at an H200's 67 TFLOP/s, twice a step.  From memory
 *        about 9 GB then, most of it da, 4 bytes read and written a strip
 *        (2 ms at 4.3 TB/s, and beside the sums).  Scratch 17 MiB for the
 *        strip on an H200, as much again at most where there are parts.
 */
#include "train/cuda/loss.cuh"

#define LOSS_TILES  264 /* two blocks on each multiprocessor of an H200 */
#define LOSS_FINISH 256 /* threads */

/* How the work is cut: in tiles of rows and columns. */
struct cut {
    int64_t down, across; /* of a strip */
    int64_t deep;         /* across, of one part */
    int64_t parts;        /* of a strip's columns */
};

/* ---- similarities to slopes ---- */

/* Sums over a block, to its thread 0. */
static __device__ __forceinline__ void loss_add_up(double (&x)[2], double *room)
{
    for (int k = 0; k < 2; k++) {
#pragma unroll
        for (int by = WARP / 2; by; by /= 2)
            x[k] += __shfl_xor_sync(FULL, x[k], by);
        if (threadIdx.x % WARP == 0)
            room[threadIdx.x / WARP * 2 + k] = x[k];
    }
    __syncthreads();
    if (threadIdx.x)
        return;
    x[0] = x[1] = 0;
    for (int w = 0; w < (int)blockDim.x / WARP; w++)
        for (int k = 0; k < 2; k++)
            x[k] += room[w * 2 + k];
}

/* A tile's dot products become s G; sums of G S and G, and in `loss` each row's
 * over this thread's columns. */
template <class KIND>
static __device__ __forceinline__ void
loss_slopes(const struct loss &l, const KIND &kind, int64_t row, int64_t col,
            float (&tile)[TILE_EACH][TILE_EACH], double (&sums)[2],
            float (&loss)[TILE_EACH])
{
    float scale = expf(*l.log_scale), by = scale / (float)l.cols;
    int rows = tile_count(l.rows, row), cols = tile_count(l.cols, col);
    int match = tile_match(l.first, row, col);
    typename KIND::col at_col[TILE_EACH];

#pragma unroll
    for (int j = 0; j < TILE_EACH; j++)
        at_col[j] =
            kind.col_at(col + (tile_col(j) < cols ? tile_col(j) : cols - 1));
#pragma unroll
    for (int i = 0; i < TILE_EACH; i++) {
        int r = tile_row(i), own = r + match;
        typename KIND::row at = kind.row_at(row + (r < rows ? r : rows - 1));
        float products = 0, slopes = 0;

        loss[i] = 0;
#pragma unroll
        for (int j = 0; j < TILE_EACH; j++) {
            float x = tile[i][j] * scale, g = 0;

            if (r < rows && tile_col(j) < cols)
                g = kind.slope(x, at, at_col[j], tile_col(j) == own, &loss[i]);
            products += g * x;
            slopes += g;
            tile[i][j] = g * by;
        }
        sums[0] += (double)products;
        sums[1] += (double)slopes;
    }
}

/* A tile of a strip: blockIdx.x across, blockIdx.y down. */
template <int N, class KIND>
static __global__ void __launch_bounds__(TILE_THREADS, TILE_BLOCKS<N>)
    loss_similar(struct loss l, KIND kind, struct strip s)
{
    __shared__ struct tile_room room;
    __shared__ double sums_room[TILE_THREADS / WARP * 2];
    int64_t down = (int64_t)blockIdx.y * TILE, across = blockIdx.x * TILE;
    int64_t row = s.row + down, col = s.col + across;
    float tile[TILE_EACH][TILE_EACH], loss[TILE_EACH];
    double sums[2] = {0, 0};
    struct tile_rows<N> a, b;

    a.begin(l.a + row * l.dim, l.dim, tile_count(l.rows, row), (int)l.dim);
    b.begin(l.b + col * l.dim, l.dim, tile_count(l.cols, col), (int)l.dim);
    tile_clear(tile);
    tile_multiply(a, b, (int)l.dim, &room, tile);
    loss_slopes(l, kind, row, col, tile, sums, loss);
#pragma unroll
    for (int j = 0; j < TILE_EACH; j++) {
        float *to = s.slope + (across + tile_col(j)) * s.pitch + down;

        for (int i = 0; i < TILE_EACH; i += 4)
            *(float4 *)(to + tile_row(i)) = make_float4(
                tile[i][j], tile[i + 1][j], tile[i + 2][j], tile[i + 3][j]);
    }
    if constexpr (KIND::has_loss)
        if (s.losses) {
            float(*by_col)[TILE] = (float(*)[TILE])room.a;
            float *to = s.losses + blockIdx.x * s.pitch + down;
            float sum = 0;

            for (int i = 0; i < TILE_EACH; i++)
                by_col[tile_across()][tile_row(i)] = loss[i];
            __syncthreads();
            if (threadIdx.x < TILE) {
                for (int k = 0; k < TILE / TILE_EACH; k++)
                    sum += by_col[k][threadIdx.x];
                to[threadIdx.x] = s.col ? to[threadIdx.x] + sum : sum;
            }
        }
    loss_add_up(sums, sums_room);
    if (threadIdx.x == 0) {
        double *to = s.sums + 2 * (row / TILE * s.across + blockIdx.x);

        for (int k = 0; k < 2; k++)
            to[k] = s.col ? to[k] + sums[k] : sums[k];
    }
}

/* ---- slopes to da ---- */

/* Four sums into da, of which `have` exist; `more`: added to what is there. */
template <int N>
static __device__ __forceinline__ void loss_store(float *da, int have,
                                                  bool more, const float *sum)
{
    float was[4] = {0, 0, 0, 0};

    if constexpr (N == 4) {
        if (have <= 0)
            return;
        if (more)
            load_pack(da, was);
        *(float4 *)da = make_float4(was[0] + sum[0], was[1] + sum[1],
                                    was[2] + sum[2], was[3] + sum[3]);
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (i < have)
                da[i] = (more ? da[i] : 0) + sum[i];
    }
}

/* A tile of da: blockIdx.x along dim, y down the strip, z the part. */
template <int N>
static __global__ void __launch_bounds__(TILE_THREADS, TILE_BLOCKS<N>)
    loss_pull(struct loss l, struct strip s)
{
    __shared__ struct tile_room room;
    int64_t down = (int64_t)blockIdx.y * TILE, dim = blockIdx.x * TILE;
    int64_t row = s.row + down, from = blockIdx.z * s.deep;
    int deep = (int)(s.cols - from < s.deep ? s.cols - from : s.deep);
    int rows = tile_count(l.rows, row), wide = tile_count(l.dim, dim);
    float *da = blockIdx.z ? s.part + (blockIdx.z - 1) * l.rows * l.dim : l.da;
    float tile[TILE_EACH][TILE_EACH];
    struct tile_cols<4> a;
    struct tile_cols<N> b;

    if (deep <= 0)
        return; /* the last strip may be narrow */
    a.begin(s.slope + from * s.pitch + down, s.pitch, TILE, deep);
    b.begin(l.b + (s.col + from) * l.dim + dim, l.dim, wide, deep);
    tile_clear(tile);
    tile_multiply(a, b, deep, &room, tile);
    da += row * l.dim + dim;
#pragma unroll
    for (int i = 0; i < TILE_EACH; i++)
#pragma unroll
        for (int j = 0; j < TILE_EACH; j += 4)
            if (tile_row(i) < rows)
                loss_store<N>(da + tile_row(i) * l.dim + tile_col(j),
                              wide - tile_col(j), s.col > 0, &tile[i][j]);
}

/* ---- behind the strips ---- */

/* A thread adds up a row's losses. */
static __global__ void __launch_bounds__(LOSS_FINISH)
    loss_rows(struct strip s, float *loss)
{
    int64_t row = (int64_t)blockIdx.x * LOSS_FINISH + threadIdx.x;
    float sum = 0;

    if (row >= s.rows)
        return;
    for (int64_t k = 0; k < s.across; k++)
        sum += s.losses[k * s.pitch + row];
    loss[s.row + row] = sum;
}

/* dlog_scale += sum G S, dbias += sum G, over `n` tiles; one block. */
static __global__ void __launch_bounds__(LOSS_FINISH)
    loss_sums(int64_t n, const double *sums, int64_t cols, float *dlog_scale,
              float *dbias)
{
    __shared__ double room[LOSS_FINISH / WARP * 2];
    double x[2] = {0, 0};

    for (int64_t i = threadIdx.x; i < n; i += LOSS_FINISH) {
        x[0] += sums[2 * i];
        x[1] += sums[2 * i + 1];
    }
    loss_add_up(x, room);
    if (threadIdx.x == 0 && dlog_scale)
        *dlog_scale += (float)(x[0] / (double)cols);
    if (threadIdx.x == 0 && dbias)
        *dbias += (float)(x[1] / (double)cols);
}

/* ---- the host's part ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static struct cut loss_cut(const struct device *d, const struct loss *l)
{
    int64_t down = tiles_for(l->rows), dim = tiles_for(l->dim);
    int64_t most = tiles_for(l->cols);
    struct cut c = {.down = down, .across = 0, .deep = dim, .parts = 1};

    if (down * dim < LOSS_TILES) {
        c.parts = least(LOSS_TILES / (down * dim), most);
        c.deep = least(dim, (most + c.parts - 1) / c.parts);
        c.parts = least(c.parts, (most + c.deep - 1) / c.deep);
    } else {
        int64_t fit = 2 * (int64_t)cuda_of(d)->sms / dim;
        int64_t strips = fit > 1 ? (down + fit - 1) / fit : down;

        c.down = (down + strips - 1) / strips;
    }
    c.across = least(c.parts * c.deep, most);
    return c;
}

/* The scratch of it all, carved: slopes, sums, losses, parts. */
static struct strip loss_room(struct device *d, const struct loss *l,
                              const struct cut *c, bool losses)
{
    struct strip s = {.row = 0,
                      .col = 0,
                      .rows = 0,
                      .cols = 0,
                      .deep = c->deep * TILE,
                      .across = c->across,
                      .pitch = c->down * TILE,
                      .slope = nullptr,
                      .sums = nullptr,
                      .losses = nullptr,
                      .part = nullptr};
    size_t slopes = (size_t)(c->across * TILE * s.pitch) * sizeof(float);
    size_t sums = (size_t)(tiles_for(l->rows) * c->across * 2) * sizeof(double);
    size_t rows = losses ? (size_t)(c->across * s.pitch) * sizeof(float) : 0;
    size_t parts = (size_t)((c->parts - 1) * l->rows * l->dim) * sizeof(float);
    char *at = (char *)cuda_scratch(d, slopes + sums + rows + parts);

    if (!at)
        return s;
    s.slope = (float *)at;
    s.sums = (double *)(at + slopes);
    s.losses = losses ? (float *)(at + slopes + sums) : nullptr;
    s.part = (float *)(at + slopes + sums + rows);
    return s;
}

template <int N, class KIND>
static void loss_strips(struct device *d, const struct loss &l,
                        const KIND &kind, const struct cut &c, struct strip s,
                        float *loss)
{
    for (; s.row < l.rows; s.row += s.pitch) {
        s.rows = least(s.pitch, l.rows - s.row);
        for (s.col = 0; s.col < l.cols; s.col += c.across * TILE) {
            s.cols = least(c.across * TILE, l.cols - s.col);
            launch(
                d, loss_similar<N, KIND>,
                dim3((unsigned)tiles_for(s.cols), (unsigned)tiles_for(s.rows)),
                TILE_THREADS, 0, l, kind, s);
            launch(d, loss_pull<N>,
                   dim3((unsigned)tiles_for(l.dim), (unsigned)tiles_for(s.rows),
                        (unsigned)c.parts),
                   TILE_THREADS, 0, l, s);
        }
        if (s.losses)
            launch(d, loss_rows, blocks_for(s.rows, LOSS_FINISH), LOSS_FINISH,
                   0, s, loss);
    }
}

template <class KIND>
static void loss_backward(struct device *d, const struct loss &l,
                          const KIND &kind, void *loss, void *dlog_scale,
                          void *dbias)
{
    struct cut c = loss_cut(d, &l);
    struct strip s = loss_room(d, &l, &c, loss);

    if (l.packs)
        loss_strips<4>(d, l, kind, c, s, (float *)loss);
    else
        loss_strips<1>(d, l, kind, c, s, (float *)loss);
    if (c.parts > 1)
        cuda_sum_parts(d, c.parts - 1, l.rows * l.dim, s.part, l.da);
    if (dlog_scale || dbias)
        launch(d, loss_sums, 1, LOSS_FINISH, 0, tiles_for(l.rows) * c.across,
               (const double *)s.sums, l.cols, (float *)dlog_scale,
               (float *)dbias);
}

template <class OP> static struct loss loss_of(const OP *o)
{
    return {.rows = o->rows,
            .cols = o->cols,
            .first = o->first,
            .dim = o->dim,
            .a = (const float *)o->a,
            .b = (const float *)o->b,
            .log_scale = (const float *)o->log_scale,
            .da = (float *)o->da,
            .packs =
                tile_packs(o->a, o->b, o->dim) && (uintptr_t)o->da % 16 == 0};
}

void cuda_nce_bwd(struct device *d, const struct op_nce_bwd *o)
{
    const struct nce_slope kind = {(const float *)o->lse_a,
                                   (const float *)o->lse_b};

    loss_backward(d, loss_of(o), kind, nullptr, o->dlog_scale, nullptr);
}

void cuda_sigmoid_loss(struct device *d, const struct op_sigmoid_loss *o)
{
    const struct sigmoid_slope kind = {(const float *)o->bias};

    loss_backward(d, loss_of(o), kind, o->loss, o->dlog_scale, o->dbias);
}
