/*
 * Both losses, streamed: similarities exist a tile at a time, LOSS_COLS columns
 * of a block of rows.  Blocks are cut by the number of rows alone; sums over
 * all of them are taken in double in the order of the blocks.
 */
#include <float.h>
#include <omp.h>
#include "train/cpu/k_gemm.h"
#include "train/cpu/tiles.h"

/* What the ops have in common, and a thread's tiles. */
struct loss {
    int64_t rows, cols, first, dim;
    const float *a, *b;
    float scale;
    float *s;    /* [LOSS_ROWS_MAX, LOSS_COLS] */
    float *pack; /* [LOSS_COLS, LOSS_PACK], or as many across */
};

/* Rows of a block against a tile's columns. */
struct place {
    int64_t row, col; /* first ones */
    int rows, cols;
};

/* s = a b^T, not yet scaled. */
static void similar(const struct loss *l, const struct place *at)
{
    for (int64_t k = 0; k < l->dim; k += LOSS_DEPTH) {
        int depth = l->dim - k < LOSS_DEPTH ? (int)(l->dim - k) : LOSS_DEPTH;
        struct gemm g = {
            .m = at->rows,
            .n = gemm_width(at->cols),
            .k = depth,
            .a = l->a + at->row * l->dim + k,
            .a_row = l->dim,
            .a_col = 1,
            .b = l->pack,
            .b_row = GEMM_COLS,
            .b_panel = (ptrdiff_t)depth * GEMM_COLS,
            .c = l->s,
            .c_row = LOSS_COLS,
            .add = k > 0,
        };

        gemm_across(at->cols, depth, l->b + at->col * l->dim + k, l->dim, true,
                    l->pack);
        CPU(gemm)(&g);
    }
}

/* da += s b, with the tile's gradients in s; the first tile's are what there
 * is. */
static void pull(const struct loss *l, const struct place *at, float *da)
{
    for (int64_t k = 0; k < l->dim; k += LOSS_DEPTH) {
        int depth = l->dim - k < LOSS_DEPTH ? (int)(l->dim - k) : LOSS_DEPTH;
        struct gemm g = {
            .m = at->rows,
            .n = depth,
            .k = at->cols,
            .a = l->s,
            .a_row = LOSS_COLS,
            .a_col = 1,
            .b = l->pack,
            .b_row = LOSS_PACK,
            .b_panel = GEMM_COLS,
            .c = da + at->row * l->dim + k,
            .c_row = l->dim,
            .add = at->col > 0,
        };

        gemm_rows(at->cols, depth, l->b + at->col * l->dim + k, l->dim, true, 1,
                  l->pack, LOSS_PACK);
        CPU(gemm)(&g);
    }
}

/* The tile's column that row i of the block matches, or -1. */
static int match(const struct loss *l, const struct place *at, int i)
{
    int64_t j = l->first + at->row + i - at->col;

    return j >= 0 && j < at->cols ? (int)j : -1;
}

/* Block t of the rows. */
static struct place block(const struct loss *l, int64_t t)
{
    int rows = loss_rows(l->rows);
    int64_t row = t * rows;

    return (struct place){
        .row = row,
        .rows = (int)(l->rows - row < rows ? l->rows - row : rows),
    };
}

/* The next tile of a block; false behind the last. */
static bool next(const struct loss *l, struct place *at)
{
    at->col += at->cols;
    at->cols =
        l->cols - at->col < LOSS_COLS ? (int)(l->cols - at->col) : LOSS_COLS;
    return at->cols > 0;
}

/* With this thread's tiles behind the sums. */
static struct loss mine(struct loss l, char *scratch)
{
    l.s = (float *)(scratch + loss_sums_bytes(l.rows)) +
          loss_floats() * (size_t)omp_get_thread_num();
    l.pack = l.s + LOSS_ROWS_MAX * LOSS_COLS;
    return l;
}

/* += the blocks' sums number n of 2. */
static void add_up(const struct loss *l, const double *sums, int n, float *to)
{
    double sum = 0;

    for (int64_t t = 0; t < loss_blocks(l->rows); t++)
        sum += sums[2 * t + n];
    *to += (float)sum;
}

/* ---- InfoNCE ---- */

static void nce_rows(const struct loss *l, const struct op_nce *o, int64_t t)
{
    struct place at = block(l, t);
    float max[LOSS_ROWS_MAX], own[LOSS_ROWS_MAX];
    double sum[LOSS_ROWS_MAX];

    for (int i = 0; i < at.rows; i++) {
        max[i] = -FLT_MAX;
        sum[i] = own[i] = 0;
    }
    while (next(l, &at)) {
        similar(l, &at);
        for (int i = 0; i < at.rows; i++) {
            float *s = l->s + i * LOSS_COLS, was = max[i], add;
            int j = match(l, &at, i);

            if (j >= 0)
                own[i] = s[j] * l->scale;
            add = gemm_soften(s, at.cols, l->scale, &max[i]);
            sum[i] = sum[i] * (double)k_exp(was - max[i]) + (double)add;
        }
    }
    for (int i = 0; i < at.rows; i++) {
        double log_sum = log(sum[i]);

        ((float *)o->lse)[at.row + i] = (float)((double)max[i] + log_sum);
        ((float *)o->loss)[at.row + i] =
            (float)((double)max[i] - (double)own[i] + log_sum);
    }
}

/* What the three ops have in common. */
#define LOSS_OF(o)                                                             \
    ((struct loss){.rows = (o)->rows,                                          \
                   .cols = (o)->cols,                                          \
                   .first = (o)->first,                                        \
                   .dim = (o)->dim,                                            \
                   .a = (o)->a,                                                \
                   .b = (o)->b,                                                \
                   .scale = expf(*(const float *)(o)->log_scale)})

void CPU(nce)(struct device *d, const struct op_nce *o)
{
    int threads = k_threads(d, o->rows * o->cols * o->dim);
    char *scratch = cpu_scratch(d, loss_bytes(o->rows, threads));
    struct loss l = LOSS_OF(o);

    if (!scratch)
        return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t t = 0; t < loss_blocks(l.rows); t++) {
        struct loss own = mine(l, scratch);

        nce_rows(&own, o, t);
    }
}

/* A row of similarities becomes da's factors; gives sum G S, times 2 cols. */
static float nce_slopes(float *s, int n, int own, float scale, float lse_a,
                        const float *lse_b, float by)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < n; j++) {
        float x = s[j] * scale;
        float g = k_exp(x - lse_a) + k_exp(x - lse_b[j]);

        g -= j == own ? 2.0f : 0.0f;
        sum += g * x;
        s[j] = g * by;
    }
    return sum;
}

static double nce_bwd_rows(const struct loss *l, const struct op_nce_bwd *o,
                           int64_t t)
{
    struct place at = block(l, t);
    const float *lse_a = o->lse_a, *lse_b = o->lse_b;
    float by = l->scale / (2 * (float)l->cols);
    double sum = 0;

    while (next(l, &at)) {
        similar(l, &at);
        for (int i = 0; i < at.rows; i++)
            sum += (double)nce_slopes(l->s + i * LOSS_COLS, at.cols,
                                      match(l, &at, i), l->scale,
                                      lse_a[at.row + i], lse_b + at.col, by);
        pull(l, &at, o->da);
    }
    return sum / (2 * (double)l->cols);
}

void CPU(nce_bwd)(struct device *d, const struct op_nce_bwd *o)
{
    int threads = k_threads(d, o->rows * o->cols * o->dim);
    char *scratch = cpu_scratch(d, loss_bytes(o->rows, threads));
    double *sums = (double *)scratch;
    struct loss l = LOSS_OF(o);

    if (!scratch)
        return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t t = 0; t < loss_blocks(l.rows); t++) {
        struct loss own = mine(l, scratch);

        sums[2 * t] = nce_bwd_rows(&own, o, t);
    }
    if (o->dlog_scale)
        add_up(&l, sums, 0, o->dlog_scale);
}

/* ---- sigmoid ---- */

/* Sums over a row: of the losses, of slope times similarity, of slopes. */
struct sums {
    double loss, scale, bias;
};

/* A row of similarities becomes da's factors.  Its own match has the other
 * sign: among the rest it counts for nothing, then it is taken alone. */
static void sigmoid_slopes(float *s, int n, int own, float scale, float bias,
                           float by, struct sums *to)
{
    const float nowhere = -1000.0f; /* no loss, and a slope of 2e-38 */
    float x_own = own >= 0 ? s[own] * scale : 0;
    float loss = 0, slopes = 0, products = 0;

#pragma omp simd reduction(+ : loss, slopes, products)
    for (int j = 0; j < n; j++) {
        float x = s[j] * scale, t = j == own ? nowhere : x + bias;
        float g = k_sigmoid(t);

        loss += k_softplus(t);
        slopes += g;
        products += g * x;
        s[j] = g * by;
    }
    if (own >= 0) {
        float g = -k_sigmoid(-(x_own + bias));

        to->loss += (double)k_softplus(-(x_own + bias));
        to->bias += (double)g;
        to->scale += (double)(g * x_own);
        s[own] = g * by;
    }
    to->loss += (double)loss;
    to->bias += (double)slopes;
    to->scale += (double)products;
}

static void sigmoid_rows(const struct loss *l, const struct op_sigmoid_loss *o,
                         int64_t t, double *sums)
{
    struct place at = block(l, t);
    float bias = *(const float *)o->bias, by = l->scale / (float)l->cols;
    double loss[LOSS_ROWS_MAX] = {0};
    struct sums all = {0, 0, 0};

    while (next(l, &at)) {
        similar(l, &at);
        for (int i = 0; i < at.rows; i++) {
            all.loss = 0;
            sigmoid_slopes(l->s + i * LOSS_COLS, at.cols, match(l, &at, i),
                           l->scale, bias, by, &all);
            loss[i] += all.loss;
        }
        pull(l, &at, o->da);
    }
    for (int i = 0; o->loss && i < at.rows; i++)
        ((float *)o->loss)[at.row + i] = (float)loss[i];
    sums[0] = all.scale / (double)l->cols;
    sums[1] = all.bias / (double)l->cols;
}

void CPU(sigmoid_loss)(struct device *d, const struct op_sigmoid_loss *o)
{
    int threads = k_threads(d, o->rows * o->cols * o->dim);
    char *scratch = cpu_scratch(d, loss_bytes(o->rows, threads));
    double *sums = (double *)scratch;
    struct loss l = LOSS_OF(o);

    if (!scratch)
        return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t t = 0; t < loss_blocks(l.rows); t++) {
        struct loss own = mine(l, scratch);

        sigmoid_rows(&own, o, t, sums + 2 * t);
    }
    if (o->dlog_scale)
        add_up(&l, sums, 0, o->dlog_scale);
    if (o->dbias)
        add_up(&l, sums, 1, o->dbias);
}
