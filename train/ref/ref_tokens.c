/* Rows and pixels brought from one place to another. */
#include <string.h>

#include "train/ref/real.h"

void REF(embed)(struct device *d, const struct op_embed *op)
{
    int64_t n = op->dim;
    real *x = op->x;

    (void)d;
    for (int64_t r = 0; r < op->rows; r++) {
        const real *token = (const real *)op->token + op->ids[r] * n;
        const real *position = (const real *)op->position + op->places[r] * n;

        for (int64_t c = 0; c < n; c++)
            *x++ = token[c] + position[c];
    }
}

void REF(embed_bwd)(struct device *d, const struct op_embed_bwd *op)
{
    int64_t n = op->dim;
    const real *dx = op->dx;

    (void)d;
    for (int64_t r = 0; r < op->rows; r++, dx += n) {
        real *token = (real *)op->dtoken + op->ids[r] * n;
        real *position = (real *)op->dposition + op->places[r] * n;

        for (int64_t c = 0; c < n; c++) {
            token[c] += dx[c];
            position[c] += dx[c];
        }
    }
}

/* Channel c at (i, j) of picture n of h x w. */
static real pixel(const struct pixels *x, int64_t channels, int64_t h,
                  int64_t w, int64_t n, int64_t c, int64_t i, int64_t j)
{
    if (x->kind == PIXEL_BYTE)
        return pixel_value(
            &x->norm, (int)c,
            ((const uint8_t *)x->x)[((n * h + i) * w + j) * channels + c]);
    return ((const real *)x->x)[((n * channels + c) * h + i) * w + j];
}

void REF(patches)(struct device *d, const struct op_patches *op)
{
    int64_t k = op->patch, size = op->size, side = size / k;
    real *y = op->y;

    (void)d;
    for (int64_t n = 0; n < op->batch; n++)
        for (int64_t i = 0; i < side; i++)
            for (int64_t j = 0; j < side; j++)
                for (int64_t c = 0; c < op->channels; c++)
                    for (int64_t p = 0; p < k; p++)
                        for (int64_t q = 0; q < k; q++)
                            *y++ = pixel(&op->x, op->channels, size, size, n, c,
                                         i * k + p, j * k + q);
}

void REF(nhwc)(struct device *d, const struct op_nhwc *op)
{
    real *y = op->y;

    (void)d;
    for (int64_t n = 0; n < op->batch; n++)
        for (int64_t i = 0; i < op->h; i++)
            for (int64_t j = 0; j < op->w; j++)
                for (int64_t c = 0; c < op->channels; c++)
                    *y++ =
                        pixel(&op->x, op->channels, op->h, op->w, n, c, i, j);
}

/* The mean of n rows, column c. */
static double column_mean(int64_t n, int64_t dim, const real *x, int64_t c)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i * dim + c];
    return sum / (double)n;
}

void REF(tokens)(struct device *d, const struct op_tokens *op)
{
    int64_t dim = op->dim;
    const real *first = op->first, *x = op->x;
    real *y = op->y;

    (void)d;
    for (int64_t n = 0; n < op->batch; n++, x += op->n * dim) {
        const real *position = op->position;

        for (int64_t c = 0; c < dim; c++)
            *y++ = (real)((first ? (double)first[c]
                                 : column_mean(op->n, dim, x, c)) +
                          (double)*position++);
        for (int64_t i = 0; i < op->n * dim; i++)
            *y++ = x[i] + *position++;
    }
}

void REF(tokens_bwd)(struct device *d, const struct op_tokens_bwd *op)
{
    int64_t dim = op->dim, rows = op->n + 1;
    const real *dy = op->dy;
    real *dx = op->dx, *dfirst = op->dfirst, *dposition = op->dposition;

    (void)d;
    for (int64_t i = 0; i < rows * dim; i++) {
        double sum = 0;

        for (int64_t n = 0; n < op->batch; n++)
            sum += (double)dy[n * rows * dim + i];
        add_to(&dposition[i], sum);
        if (dfirst && i < dim)
            add_to(&dfirst[i], sum);
    }
    for (int64_t n = 0; n < op->batch; n++, dy += rows * dim)
        for (int64_t i = 0; i < op->n * dim; i++) {
            double mean = dfirst ? 0 : (double)dy[i % dim] / (double)op->n;

            *dx++ = (real)((double)dy[dim + i] + mean);
        }
}

void REF(gather)(struct device *d, const struct op_gather *op)
{
    size_t row = (size_t)op->dim * sizeof(real);
    const char *x = op->x;
    char *y = op->y;

    (void)d;
    for (int64_t i = 0; i < op->n; i++)
        memcpy(y + (size_t)i * row, x + (size_t)op->rows[i] * row, row);
}

void REF(scatter_add)(struct device *d, const struct op_scatter_add *op)
{
    const real *y = op->y;

    (void)d;
    for (int64_t i = 0; i < op->n; i++) {
        real *x = (real *)op->x + op->rows[i] * op->dim;

        for (int64_t c = 0; c < op->dim; c++)
            x[c] += *y++;
    }
}
