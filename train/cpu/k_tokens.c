#include "train/cpu/k.h"

/* ---- pictures ---- */

K_INLINE void put_row(act_t *y, const float *x, int64_t n)
{
    K_SIMD
    for (int64_t c = 0; c < n; c++)
        y[c] = k_put(x[c]);
}

/* The pieces of one line of pixels; `patch` is known where it is usual, so
 * that no piece needs a loop. */
K_INLINE void patch_line(const float *x, act_t *y, int64_t squares,
                         int64_t patch, int64_t stride)
{
    for (int64_t j = 0; j < squares; j++)
        put_row(y + j * stride, x + j * patch, patch);
}

/* Row i of squares of picture n, numbers. */
static void patch_reals(const struct op_patches *o, int64_t n, int64_t i,
                        act_t *to)
{
    const int64_t side = o->size / o->patch; /* squares */
    const int64_t row = o->channels * o->patch * o->patch;

    for (int64_t cp = 0; cp < o->channels * o->patch; cp++) {
        const int64_t c = cp / o->patch, p = cp % o->patch;
        const float *x =
            (const float *)o->x.x +
            ((n * o->channels + c) * o->size + i * o->patch + p) * o->size;
        act_t *y = to + cp * o->patch;

        if (o->patch == 32)
            patch_line(x, y, side, 32, row);
        else if (o->patch == 16)
            patch_line(x, y, side, 16, row);
        else if (o->patch == 14)
            patch_line(x, y, side, 14, row);
        else
            patch_line(x, y, side, o->patch, row);
    }
}

/* Bytes of n places in a line to numbers: pixel_value() in every lane.  Colour
 * c of place j goes to y[j * step + c * plane]. */
K_INLINE void put_bytes(const struct pixel_norm *norm, const uint8_t *x,
                        int64_t n, act_t *y, int64_t step, int64_t plane)
{
    const struct pixel_norm m = *norm; /* in registers, whatever y is */

    K_SIMD
    for (int64_t j = 0; j < n; j++) {
        float r = x[3 * j], g = x[3 * j + 1], b = x[3 * j + 2];

        y[j * step] = k_put(r * m.scale[0] + (r * m.rest[0] + m.shift[0]));
        y[j * step + plane] =
            k_put(g * m.scale[1] + (g * m.rest[1] + m.shift[1]));
        y[j * step + 2 * plane] =
            k_put(b * m.scale[2] + (b * m.rest[2] + m.shift[2]));
    }
}

K_INLINE void patch_line_bytes(const struct pixel_norm *norm, const uint8_t *x,
                               act_t *y, int64_t squares, int64_t patch)
{
    for (int64_t j = 0; j < squares; j++)
        put_bytes(norm, x + j * patch * 3, patch, y + j * 3 * patch * patch, 1,
                  patch * patch);
}

/* The same of bytes: a line gives a piece to each colour of each square. */
static void patch_bytes(const struct op_patches *o, int64_t n, int64_t i,
                        act_t *to)
{
    const int64_t side = o->size / o->patch;

    for (int64_t p = 0; p < o->patch; p++) {
        const uint8_t *x = (const uint8_t *)o->x.x +
                           (n * o->size + i * o->patch + p) * o->size * 3;
        act_t *y = to + p * o->patch;

        if (o->patch == 32)
            patch_line_bytes(&o->x.norm, x, y, side, 32);
        else if (o->patch == 16)
            patch_line_bytes(&o->x.norm, x, y, side, 16);
        else if (o->patch == 14)
            patch_line_bytes(&o->x.norm, x, y, side, 14);
        else
            patch_line_bytes(&o->x.norm, x, y, side, o->patch);
    }
}

void CPU(patches)(struct device *d, const struct op_patches *o)
{
    const int64_t side = o->size / o->patch;
    const int64_t row = o->channels * o->patch * o->patch;

    K_PARALLEL(d, o->batch * o->channels * o->size * o->size)
    for (int64_t k = 0; k < o->batch * side; k++) {
        act_t *y = (act_t *)o->y + k * side * row;

        if (o->x.kind == PIXEL_BYTE)
            patch_bytes(o, k / side, k % side, y);
        else
            patch_reals(o, k / side, k % side, y);
    }
}

void CPU(nhwc)(struct device *d, const struct op_nhwc *o)
{
    const int64_t plane = o->h * o->w, dim = o->channels;

    K_PARALLEL(d, o->batch * plane * dim)
    for (int64_t k = 0; k < o->batch * o->h; k++) {
        act_t *y = (act_t *)o->y + k * o->w * dim;
        const float *x;

        if (o->x.kind == PIXEL_BYTE) {
            put_bytes(&o->x.norm, (const uint8_t *)o->x.x + k * o->w * 3, o->w,
                      y, 3, 1);
            continue;
        }
        x = (const float *)o->x.x + k / o->h * dim * plane + k % o->h * o->w;

        if (dim == 3) {
            K_SIMD
            for (int64_t j = 0; j < o->w; j++) {
                y[3 * j] = k_put(x[j]);
                y[3 * j + 1] = k_put(x[plane + j]);
                y[3 * j + 2] = k_put(x[2 * plane + j]);
            }
            continue;
        }
        for (int64_t c = 0; c < dim; c++)
            for (int64_t j = 0; j < o->w; j++)
                y[j * dim + c] = k_put(x[c * plane + j]);
    }
}

/* ---- tokens ---- */

#define TILE        256 /* columns summed at a time */
#define FLOATS_MOST 64  /* rows added up before double takes over */

/* sums[0 .. n - 1] of columns over `rows` rows, `stride` numbers apart; n is
 * TILE at most. */
static void column_sums(const act_t *x, int64_t rows, int64_t stride, int64_t n,
                        double *sums)
{
    float acc[TILE];

    for (int64_t c = 0; c < n; c++)
        sums[c] = 0.0;
    for (int64_t r = 0; r < rows;) {
        int64_t stop = r + FLOATS_MOST < rows ? r + FLOATS_MOST : rows;

        memset(acc, 0, sizeof acc);
        for (; r < stop; r++) {
            K_SIMD
            for (int64_t c = 0; c < n; c++)
                acc[c] += k_get(x[r * stride + c]);
        }
        K_SIMD
        for (int64_t c = 0; c < n; c++)
            sums[c] += (double)acc[c];
    }
}

static void first_token(const struct op_tokens *o, int64_t picture)
{
    const act_t *x = (const act_t *)o->x + picture * o->n * o->dim;
    const float *first = (const float *)o->first;
    const float *position = (const float *)o->position;
    act_t *y = (act_t *)o->y + picture * (o->n + 1) * o->dim;
    double sums[TILE];

    if (first) {
        K_SIMD
        for (int64_t c = 0; c < o->dim; c++)
            y[c] = k_put(first[c] + position[c]);
        return;
    }
    for (int64_t b = 0; b < o->dim; b += TILE) {
        int64_t n = o->dim - b < TILE ? o->dim - b : TILE;

        column_sums(x + b, o->n, o->dim, n, sums);
        for (int64_t c = 0; c < n; c++)
            y[b + c] = k_put((float)(sums[c] / (double)o->n) + position[b + c]);
    }
}

void CPU(tokens)(struct device *d, const struct op_tokens *o)
{
    K_PARALLEL(d, o->batch * o->n * o->dim)
    for (int64_t k = 0; k < o->batch; k++) {
        const act_t *x = (const act_t *)o->x + k * o->n * o->dim;
        const float *position = (const float *)o->position + o->dim;
        act_t *y = (act_t *)o->y + (k * (o->n + 1) + 1) * o->dim;

        first_token(o, k);
        K_SIMD
        for (int64_t i = 0; i < o->n * o->dim; i++)
            y[i] = k_put(k_get(x[i]) + position[i]);
    }
}

/* Positions are shared by the pictures: each is summed by one thread. */
static void position_grads(struct device *d, const struct op_tokens_bwd *o)
{
    const int64_t tokens = o->n + 1;

    K_PARALLEL(d, o->batch * tokens * o->dim)
    for (int64_t i = 0; i < tokens; i++) {
        double sums[TILE];

        for (int64_t b = 0; b < o->dim; b += TILE) {
            int64_t n = o->dim - b < TILE ? o->dim - b : TILE;
            float *dposition = (float *)o->dposition + i * o->dim + b;
            float *dfirst = (float *)o->dfirst;

            column_sums((const act_t *)o->dy + i * o->dim + b, o->batch,
                        tokens * o->dim, n, sums);
            for (int64_t c = 0; c < n; c++)
                dposition[c] += (float)sums[c];
            for (int64_t c = 0; c < n && dfirst && i == 0; c++)
                dfirst[b + c] += (float)sums[c];
        }
    }
}

static void row_and_share(const act_t *x, const act_t *mean, float share,
                          act_t *y, int64_t n)
{
    K_SIMD
    for (int64_t c = 0; c < n; c++)
        y[c] = k_put(k_get(x[c]) + k_get(mean[c]) * share);
}

void CPU(tokens_bwd)(struct device *d, const struct op_tokens_bwd *o)
{
    const float share = 1.0f / (float)o->n;

    position_grads(d, o);
    K_PARALLEL(d, o->batch * o->n * o->dim)
    for (int64_t k = 0; k < o->batch; k++) {
        const act_t *dy = (const act_t *)o->dy + k * (o->n + 1) * o->dim;
        const act_t *rest = dy + o->dim;
        act_t *dx = (act_t *)o->dx + k * o->n * o->dim;

        if (o->dfirst) {
            memcpy(dx, rest, (size_t)(o->n * o->dim) * sizeof(act_t));
            continue;
        }
        for (int64_t i = 0; i < o->n * o->dim; i += o->dim)
            row_and_share(rest + i, dy, share, dx + i, o->dim);
    }
}

/* ---- average pooling ---- */

K_INLINE void pool_two(const act_t *x, int64_t line, int64_t dim, act_t *y)
{
    K_SIMD
    for (int64_t c = 0; c < dim; c++)
        y[c] = k_put(0.25f * ((k_get(x[c]) + k_get(x[dim + c])) +
                              (k_get(x[line + c]) + k_get(x[line + dim + c]))));
}

static void pool_any(const act_t *x, int64_t line, int64_t dim, int kernel,
                     act_t *y)
{
    const float share = 1.0f / (float)(kernel * kernel);
    float acc[TILE];

    for (int64_t b = 0; b < dim; b += TILE) {
        int64_t n = dim - b < TILE ? dim - b : TILE;

        memset(acc, 0, sizeof acc);
        for (int p = 0; p < kernel; p++)
            for (int q = 0; q < kernel; q++) {
                const act_t *from = x + p * line + q * dim + b;

                K_SIMD
                for (int64_t c = 0; c < n; c++)
                    acc[c] += k_get(from[c]);
            }
        K_SIMD
        for (int64_t c = 0; c < n; c++)
            y[b + c] = k_put(acc[c] * share);
    }
}

void CPU(avgpool)(struct device *d, const struct op_avgpool *o)
{
    const int64_t h = o->h / o->kernel, w = o->w / o->kernel;
    const int64_t line = o->w * o->dim;

    K_PARALLEL(d, o->batch * o->h * line)
    for (int64_t k = 0; k < o->batch * h; k++) {
        const act_t *x =
            (const act_t *)o->x + (k / h * o->h + k % h * o->kernel) * line;
        act_t *y = (act_t *)o->y + k * w * o->dim;

        for (int64_t j = 0; j < w; j++) {
            const act_t *from = x + j * o->kernel * o->dim;

            if (o->kernel == 2)
                pool_two(from, line, o->dim, y + j * o->dim);
            else
                pool_any(from, line, o->dim, o->kernel, y + j * o->dim);
        }
    }
}

void CPU(avgpool_bwd)(struct device *d, const struct op_avgpool_bwd *o)
{
    const int64_t h = o->h / o->kernel, w = o->w / o->kernel;
    const float share = 1.0f / (float)(o->kernel * o->kernel);

    K_PARALLEL(d, o->batch * o->h * o->w * o->dim)
    for (int64_t k = 0; k < o->batch * o->h; k++) {
        const int64_t i = k % o->h / o->kernel;
        const act_t *dy =
            (const act_t *)o->dy + (k / o->h * h + i) * w * o->dim;
        act_t *dx = (act_t *)o->dx + k * o->w * o->dim;

        for (int64_t j = 0; j < o->w; j++) {
            const act_t *from = dy + j / o->kernel * o->dim;
            act_t *to = dx + j * o->dim;

            if (i >= h || j / o->kernel >= w) {
                memset(to, 0, (size_t)o->dim * sizeof *to);
                continue;
            }
            K_SIMD
            for (int64_t c = 0; c < o->dim; c++)
                to[c] = k_put(k_get(from[c]) * share);
        }
    }
}
