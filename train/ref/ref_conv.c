/* Convolution and average pooling, pixel by pixel. */
#include <string.h>

#include "train/ref/real.h"

/* One output number: the kernel over the picture x at row i, column j. */
static double conv_at(const struct op_conv *op, const real *x, const real *w,
                      int64_t i, int64_t j)
{
    int64_t k = op->kernel;
    double sum = 0;

    for (int64_t p = 0; p < k; p++)
        for (int64_t q = 0; q < k; q++) {
            int64_t row = i * op->stride - op->pad + p;
            int64_t col = j * op->stride - op->pad + q;

            if (row < 0 || row >= op->h || col < 0 || col >= op->w)
                continue; /* padding is 0 */
            for (int64_t c = 0; c < op->in; c++)
                sum += (double)x[(row * op->w + col) * op->in + c] *
                       (double)w[(c * k + p) * k + q];
        }
    return sum;
}

void REF(conv)(struct device *d, const struct op_conv *op)
{
    int64_t h = op_conv_side(op->h, op->kernel, op->stride, op->pad);
    int64_t w = op_conv_side(op->w, op->kernel, op->stride, op->pad);
    int64_t filter = op->in * op->kernel * op->kernel;
    const real *x = op->x, *weight = op->weight;
    real *y = op->y;

    (void)d;
    for (int64_t n = 0; n < op->batch; n++, x += op->h * op->w * op->in)
        for (int64_t i = 0; i < h; i++)
            for (int64_t j = 0; j < w; j++)
                for (int64_t o = 0; o < op->out; o++)
                    *y++ = (real)conv_at(op, x, weight + o * filter, i, j);
}

/* Which output's kernel has its place p on input `at`; -1 for none. */
static int64_t conv_from(int64_t at, int64_t p, int stride, int pad,
                         int64_t side)
{
    int64_t from = at + pad - p;

    if (from < 0 || from % stride || from / stride >= side)
        return -1;
    return from / stride;
}

/* One input number's gradient: sum of w[o,c,p,q] dy[i',j',o] over the outputs
 * (i', j') whose place (p, q) saw the pixel (i, j); dy is that picture's. */
static double conv_dx_at(const struct op_conv_dx *op, const real *dy, int64_t i,
                         int64_t j, int64_t c)
{
    int64_t h = op_conv_side(op->h, op->kernel, op->stride, op->pad);
    int64_t w = op_conv_side(op->w, op->kernel, op->stride, op->pad);
    int64_t k = op->kernel;
    const real *weight = op->weight;
    double sum = 0;

    for (int64_t p = 0; p < k; p++)
        for (int64_t q = 0; q < k; q++) {
            int64_t row = conv_from(i, p, op->stride, op->pad, h);
            int64_t col = conv_from(j, q, op->stride, op->pad, w);

            if (row < 0 || col < 0)
                continue;
            for (int64_t o = 0; o < op->out; o++)
                sum += (double)dy[(row * w + col) * op->out + o] *
                       (double)weight[((o * op->in + c) * k + p) * k + q];
        }
    return sum;
}

void REF(conv_dx)(struct device *d, const struct op_conv_dx *op)
{
    int64_t h = op_conv_side(op->h, op->kernel, op->stride, op->pad);
    int64_t w = op_conv_side(op->w, op->kernel, op->stride, op->pad);
    const real *dy = op->dy;
    real *dx = op->dx;

    (void)d;
    for (int64_t n = 0; n < op->batch; n++, dy += h * w * op->out)
        for (int64_t i = 0; i < op->h; i++)
            for (int64_t j = 0; j < op->w; j++)
                for (int64_t c = 0; c < op->in; c++, dx++)
                    *dx = (real)(conv_dx_at(op, dy, i, j, c) +
                                 (op->add ? (double)*dx : 0));
}

/* sum[0..cols): dy[.., o] times the channels from.. of the pixels that place
 * (p, q) of the kernel saw. */
static void conv_dw_block(const struct op_conv_dw *op, int64_t o, int64_t p,
                          int64_t q, int64_t from, int64_t cols, double *sum)
{
    int64_t h = op_conv_side(op->h, op->kernel, op->stride, op->pad);
    int64_t w = op_conv_side(op->w, op->kernel, op->stride, op->pad);
    const real *x = op->x, *dy = op->dy;

    memset(sum, 0, sizeof(double) * REF_BLOCK);
    for (int64_t n = 0; n < op->batch; n++)
        for (int64_t i = 0; i < h; i++)
            for (int64_t j = 0; j < w; j++) {
                int64_t row = i * op->stride - op->pad + p;
                int64_t col = j * op->stride - op->pad + q;
                double g = (double)dy[((n * h + i) * w + j) * op->out + o];

                if (row < 0 || row >= op->h || col < 0 || col >= op->w)
                    continue;
                add_scaled(
                    cols, g,
                    x + ((n * op->h + row) * op->w + col) * op->in + from, sum);
            }
}

void REF(conv_dw)(struct device *d, const struct op_conv_dw *op)
{
    int64_t k = op->kernel;
    real *dw = op->dweight;
    double sum[REF_BLOCK];

    (void)d;
    for (int64_t o = 0; o < op->out; o++)
        for (int64_t from = 0; from < op->in; from += REF_BLOCK)
            for (int64_t p = 0; p < k; p++)
                for (int64_t q = 0; q < k; q++) {
                    int64_t cols = least(REF_BLOCK, op->in - from);

                    conv_dw_block(op, o, p, q, from, cols, sum);
                    for (int64_t c = 0; c < cols; c++) {
                        int64_t at = ((o * op->in + from + c) * k + p) * k + q;

                        add_to(&dw[at], sum[c]);
                    }
                }
}

void REF(avgpool)(struct device *d, const struct op_avgpool *op)
{
    int64_t k = op->kernel, h = op->h / k, w = op->w / k, dim = op->dim;
    const real *x = op->x;
    real *y = op->y;

    (void)d;
    for (int64_t n = 0; n < op->batch; n++)
        for (int64_t i = 0; i < h; i++)
            for (int64_t j = 0; j < w; j++)
                for (int64_t c = 0; c < dim; c++) {
                    double sum = 0;

                    for (int64_t p = 0; p < k; p++)
                        for (int64_t q = 0; q < k; q++)
                            sum += (double)x[((n * op->h + i * k + p) * op->w +
                                              j * k + q) *
                                                 dim +
                                             c];
                    *y++ = (real)(sum / (double)(k * k));
                }
}

void REF(avgpool_bwd)(struct device *d, const struct op_avgpool_bwd *op)
{
    int64_t k = op->kernel, h = op->h / k, w = op->w / k, dim = op->dim;
    const real *dy = op->dy;
    real *dx = op->dx;

    (void)d;
    for (int64_t n = 0; n < op->batch; n++)
        for (int64_t i = 0; i < op->h; i++)
            for (int64_t j = 0; j < op->w; j++)
                for (int64_t c = 0; c < dim; c++) {
                    bool rest = i / k >= h || j / k >= w;
                    int64_t at = ((n * h + i / k) * w + j / k) * dim + c;

                    *dx++ = rest ? 0 : (real)((double)dy[at] / (double)(k * k));
                }
}
