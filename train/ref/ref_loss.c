/* InfoNCE and the sigmoid loss, row by row of the similarities; softmax's. */
#include <math.h>
#include <string.h>

#include "train/ref/real.h"

void REF(nce)(struct device *d, const struct op_nce *op)
{
    double s = exp((double)*(const real *)op->log_scale);
    const real *b = op->b;
    real *lses = op->lse, *loss = op->loss;

    (void)d;
    for (int64_t i = 0; i < op->rows; i++) {
        const real *a = (const real *)op->a + i * op->dim;
        double most = -INFINITY, sum = 0, lse;

        for (int64_t j = 0; j < op->cols; j++)
            most = fmax(most, s * dot(op->dim, a, b + j * op->dim));
        for (int64_t j = 0; j < op->cols; j++)
            sum += exp(s * dot(op->dim, a, b + j * op->dim) - most);
        lse = most + log(sum);
        lses[i] = (real)lse;
        loss[i] =
            (real)(lse - s * dot(op->dim, a, b + (op->first + i) * op->dim));
    }
}

/* G_ij from S_ij. */
static double nce_slope(const struct op_nce_bwd *op, int64_t i, int64_t j,
                        double similarity)
{
    double a = (double)((const real *)op->lse_a)[i];
    double b = (double)((const real *)op->lse_b)[j];

    return (exp(similarity - a) + exp(similarity - b) -
            (j == op->first + i ? 2 : 0)) /
           (2 * (double)op->cols);
}

void REF(nce_bwd)(struct device *d, const struct op_nce_bwd *op)
{
    int64_t dim = op->dim;
    double s = exp((double)*(const real *)op->log_scale);
    double dscale = 0, sum[REF_BLOCK];
    const real *b = op->b;

    (void)d;
    for (int64_t i = 0; i < op->rows; i++)
        for (int64_t from = 0; from < dim; from += REF_BLOCK) {
            const real *a = (const real *)op->a + i * dim;
            real *da = (real *)op->da + i * dim;
            int64_t cols = least(REF_BLOCK, dim - from);

            memset(sum, 0, sizeof sum);
            for (int64_t j = 0; j < op->cols; j++) {
                double similarity = s * dot(dim, a, b + j * dim);
                double g = nce_slope(op, i, j, similarity);

                if (from == 0)
                    dscale += g * similarity;
                add_scaled(cols, s * g, b + j * dim + from, sum);
            }
            for (int64_t c = 0; c < cols; c++)
                da[from + c] = (real)sum[c];
        }
    if (op->dlog_scale)
        add_to(op->dlog_scale, dscale);
}

/* log(1 + exp(x)) without overflow. */
static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

void REF(sigmoid_loss)(struct device *d, const struct op_sigmoid_loss *op)
{
    int64_t dim = op->dim;
    double s = exp((double)*(const real *)op->log_scale);
    double bias = (double)*(const real *)op->bias;
    double dscale = 0, dbias = 0, sum[REF_BLOCK];
    const real *b = op->b;
    real *losses = op->loss;

    (void)d;
    for (int64_t i = 0; i < op->rows; i++)
        for (int64_t from = 0; from < dim; from += REF_BLOCK) {
            const real *a = (const real *)op->a + i * dim;
            real *da = (real *)op->da + i * dim;
            int64_t cols = least(REF_BLOCK, dim - from);
            double loss = 0;

            memset(sum, 0, sizeof sum);
            for (int64_t j = 0; j < op->cols; j++) {
                double similarity = s * dot(dim, a, b + j * dim);
                double z = j == op->first + i ? 1 : -1;
                double t = similarity + bias;
                double g = -z / (1 + exp(z * t)) / (double)op->cols;

                loss += softplus(-z * t);
                if (from == 0) {
                    dscale += g * similarity;
                    dbias += g;
                }
                add_scaled(cols, s * g, b + j * dim + from, sum);
            }
            if (losses)
                losses[i] = (real)loss;
            for (int64_t c = 0; c < cols; c++)
                da[from + c] = (real)sum[c];
        }
    if (op->dlog_scale)
        add_to(op->dlog_scale, dscale);
    if (op->dbias)
        add_to(op->dbias, dbias);
}

/* How much of a row's target column j is. */
static double share(const int32_t *ids, int64_t n, int64_t j)
{
    int64_t found = 0;

    for (int64_t k = 0; k < n; k++)
        found += ids[k] == j;
    return n ? (double)found / (double)n : 0;
}

void REF(softmax_loss)(struct device *d, const struct op_softmax_loss *op)
{
    real *x = op->x, *losses = op->loss, *lses = op->lse;

    (void)d;
    for (int64_t r = 0; r < op->rows; r++, x += op->cols) {
        const int32_t *ids = op->ids + op->at[r];
        int64_t n = op->at[r + 1] - op->at[r];
        double by = op->by && n ? (double)*(const real *)op->by : 0;
        double most = -INFINITY, sum = 0, below = 0, lse;

        for (int64_t j = 0; j < op->cols; j++)
            most = fmax(most, (double)x[j]);
        for (int64_t j = 0; j < op->cols; j++)
            sum += exp((double)x[j] - most);
        for (int64_t k = 0; k < n; k++)
            below += most - (double)x[ids[k]];
        lse = most + log(sum);
        losses[r] = n ? (real)(below / (double)n + log(sum)) : 0;
        if (lses)
            lses[r] = (real)lse;
        for (int64_t j = 0; op->by && j < op->cols; j++)
            x[j] = (real)(by * (exp((double)x[j] - lse) - share(ids, n, j)));
    }
}
