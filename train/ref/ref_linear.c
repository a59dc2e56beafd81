/* Linear layers: three products of matrices, and the activations. */
#include <math.h>
#include <string.h>

#include "train/ref/real.h"

/* x Phi(x), Phi the normal distribution's; or x sigmoid(1.702 x). */
static double activate(enum act_kind kind, double x)
{
    switch (kind) {
    case ACT_GELU:
        return x * (1 + erf(x / sqrt(2))) / 2;
    case ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case ACT_NONE:
        break;
    }
    return x;
}

/* d activate / dx: Phi(x) + x phi(x), phi = exp(-x^2 / 2) / sqrt(2 pi); or
 * s + 1.702 x s (1 - s), s = sigmoid(1.702 x). */
static double activate_slope(enum act_kind kind, double x)
{
    static const double two_pi = 6.283185307179586;
    double s;

    switch (kind) {
    case ACT_GELU:
        return (1 + erf(x / sqrt(2))) / 2 + x * exp(-x * x / 2) / sqrt(two_pi);
    case ACT_QUICK_GELU:
        s = 1 / (1 + exp(-1.702 * x));
        return s + 1.702 * x * s * (1 - s);
    case ACT_NONE:
        break;
    }
    return 1;
}

/* A matrix by its strides, so that one loop serves w and its transpose. */
struct matrix {
    const real *p;
    int64_t row, col; /* numbers from a row to the next, and from a column */
};

/* sum[j - from] = (a b)_ij for the columns from..to of b; k: a's columns. */
static void product_block(struct matrix a, struct matrix b, int64_t i,
                          int64_t from, int64_t to, int64_t k, double *sum)
{
    memset(sum, 0, sizeof(double) * REF_BLOCK);
    for (int64_t c = 0; c < k; c++) {
        double x = (double)a.p[i * a.row + c * a.col];
        const real *y = b.p + c * b.row;

        for (int64_t j = from; j < to; j++)
            sum[j - from] += x * (double)y[j * b.col];
    }
}

void REF(linear)(struct device *d, const struct op_linear *op)
{
    int64_t n = op->n, k = op->k;
    struct matrix x = {op->x, k, 1};
    struct matrix wt = {op->w, op->w_is_in_out ? n : 1,
                        op->w_is_in_out ? 1 : k}; /* w^T: [k, n] */
    const real *b = op->b, *res = op->res;
    real *pre = op->pre, *y = op->y;
    double sum[REF_BLOCK];

    (void)d;
    for (int64_t i = 0; i < op->m; i++)
        for (int64_t from = 0; from < n; from += REF_BLOCK) {
            int64_t to = least(from + REF_BLOCK, n);

            product_block(x, wt, i, from, to, k, sum);
            for (int64_t j = from; j < to; j++) {
                double z = sum[j - from] + (b ? (double)b[j] : 0);

                if (pre)
                    pre[i * n + j] = (real)z;
                y[i * n + j] = (real)(activate(op->act, z) +
                                      (res ? (double)res[i * n + j] : 0));
            }
        }
}

void REF(linear_dx)(struct device *d, const struct op_linear_dx *op)
{
    int64_t n = op->n, k = op->k;
    struct matrix dy = {op->dy, n, 1};
    struct matrix w = {op->w, op->w_is_in_out ? 1 : k,
                       op->w_is_in_out ? n : 1}; /* [n, k] */
    const real *pre = op->pre;
    real *dx = op->dx;
    double sum[REF_BLOCK];

    (void)d;
    for (int64_t i = 0; i < op->m; i++)
        for (int64_t from = 0; from < k; from += REF_BLOCK) {
            int64_t to = least(from + REF_BLOCK, k);

            product_block(dy, w, i, from, to, n, sum);
            for (int64_t j = from; j < to; j++) {
                double g = sum[j - from];

                if (pre)
                    g *= activate_slope(op->act, (double)pre[i * k + j]);
                if (op->add)
                    g += (double)dx[i * k + j];
                dx[i * k + j] = (real)g;
            }
        }
}

void REF(linear_dw)(struct device *d, const struct op_linear_dw *op)
{
    int64_t m = op->m, n = op->n, k = op->k;
    /* dw = dy^T x [n, k], or x^T dy [k, n]. */
    int64_t rows = op->w_is_in_out ? k : n, cols = op->w_is_in_out ? n : k;
    struct matrix left = {op->w_is_in_out ? op->x : op->dy, 1, rows};
    struct matrix right = {op->w_is_in_out ? op->dy : op->x, cols, 1};
    struct matrix dy = {op->dy, n, 1};
    real *dw = op->dw, *db = op->db;
    double sum[REF_BLOCK];

    (void)d;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t from = 0; from < cols; from += REF_BLOCK) {
            int64_t to = least(from + REF_BLOCK, cols);

            product_block(left, right, i, from, to, m, sum);
            for (int64_t j = from; j < to; j++)
                add_to(&dw[i * cols + j], sum[j - from]);
        }
    for (int64_t from = 0; db && from < n; from += REF_BLOCK) {
        int64_t to = least(from + REF_BLOCK, n);

        memset(sum, 0, sizeof sum);
        for (int64_t i = 0; i < m; i++)
            add_scaled(to - from, 1, dy.p + i * n + from, sum);
        for (int64_t j = from; j < to; j++)
            add_to(&db[j], sum[j - from]);
    }
}
