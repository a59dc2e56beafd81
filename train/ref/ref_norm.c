/* LayerNorm by rows, BatchNorm by channels, L2 norm. */
#include <math.h>

#include "train/ref/real.h"

/* n numbers, `step` apart: a row or a channel. */
static double mean_of(int64_t n, int64_t step, const real *x)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i * step];
    return sum / (double)n;
}

static double var_of(int64_t n, int64_t step, const real *x, double mean)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += ((double)x[i * step] - mean) * ((double)x[i * step] - mean);
    return sum / (double)n;
}

void REF(layernorm)(struct device *d, const struct op_layernorm *op)
{
    const real *g = op->g, *b = op->b;
    real *means = op->mean, *rstds = op->rstd;

    (void)d;
    for (int64_t r = 0; r < op->rows; r++) {
        const real *x = (const real *)op->x + r * op->dim;
        real *y = (real *)op->y + r * op->dim;
        double mean = mean_of(op->dim, 1, x);
        double rstd = 1 / sqrt(var_of(op->dim, 1, x, mean) + OP_NORM_EPS);

        means[r] = (real)mean;
        rstds[r] = (real)rstd;
        for (int64_t c = 0; c < op->dim; c++)
            y[c] = (real)(((double)x[c] - mean) * rstd * (double)g[c] +
                          (double)b[c]);
    }
}

/* With z = (x - mean) rstd: dg += sum of dy z, db += sum of dy. */
static void layernorm_dgb(const struct op_layernorm_bwd *op, int64_t from,
                          int64_t cols)
{
    const real *mean = op->mean, *rstd = op->rstd;
    double g[REF_BLOCK] = {0}, b[REF_BLOCK] = {0};

    for (int64_t r = 0; r < op->rows; r++) {
        const real *x = (const real *)op->x + r * op->dim + from;
        const real *dy = (const real *)op->dy + r * op->dim + from;

        for (int64_t c = 0; c < cols; c++) {
            double z = ((double)x[c] - (double)mean[r]) * (double)rstd[r];

            g[c] += (double)dy[c] * z;
            b[c] += (double)dy[c];
        }
    }
    for (int64_t c = 0; c < cols; c++) {
        add_to((real *)op->dg + from + c, g[c]);
        add_to((real *)op->db + from + c, b[c]);
    }
}

/* With u = dy g beside it: dx = res + rstd (u - mean(u) - z mean(u z)). */
void REF(layernorm_bwd)(struct device *d, const struct op_layernorm_bwd *op)
{
    int64_t n = op->dim;
    const real *mean = op->mean, *rstd = op->rstd, *g = op->g;

    (void)d;
    for (int64_t from = 0; from < n; from += REF_BLOCK)
        layernorm_dgb(op, from, least(REF_BLOCK, n - from));
    for (int64_t r = 0; r < op->rows; r++) { /* last: dx may be dy */
        const real *x = (const real *)op->x + r * n;
        const real *dy = (const real *)op->dy + r * n;
        const real *res = op->res ? (const real *)op->res + r * n : NULL;
        real *dx = (real *)op->dx + r * n;
        double m = (double)mean[r], s = (double)rstd[r], sum = 0, z_sum = 0;

        for (int64_t c = 0; c < n; c++) {
            double u = (double)dy[c] * (double)g[c];

            sum += u;
            z_sum += u * ((double)x[c] - m) * s;
        }
        for (int64_t c = 0; c < n; c++) {
            double u = (double)dy[c] * (double)g[c];
            double z = ((double)x[c] - m) * s;

            dx[c] = (real)((res ? (double)res[c] : 0) +
                           s * (u - (sum + z * z_sum) / (double)n));
        }
    }
}

void REF(batchnorm)(struct device *d, const struct op_batchnorm *op)
{
    int64_t n = op->dim;
    const real *g = op->g, *b = op->b;

    (void)d;
    for (int64_t i = 0; i < op->groups; i++)
        for (int64_t c = 0; c < n; c++) {
            int64_t at = i * op->per * n + c;
            const real *x = (const real *)op->x + at;
            const real *res = op->res ? (const real *)op->res + at : NULL;
            real *y = (real *)op->y + at;
            real *means = (real *)op->mean + i * n;
            real *vars = (real *)op->var + i * n;
            double mean = (double)means[c], var = (double)vars[c];

            if (!op->given) {
                mean = mean_of(op->per, n, x);
                var = var_of(op->per, n, x, mean);
                means[c] = (real)mean;
                vars[c] = (real)var;
            }
            for (int64_t r = 0; r < op->per * n; r += n) {
                double z = ((double)x[r] - mean) / sqrt(var + OP_NORM_EPS);
                double t = z * (double)g[c] + (double)b[c] +
                           (res ? (double)res[r] : 0);

                y[r] = (real)(op->relu && t <= 0 ? 0 : t);
            }
        }
}

/* With z = (x - mean) rstd and u = dy where y > 0: dg += sum of u z, db += sum
 * of u, dx = g rstd (u - mean(u) - z mean(u z)), dres = u. */
void REF(batchnorm_bwd)(struct device *d, const struct op_batchnorm_bwd *op)
{
    int64_t n = op->dim;
    const real *g = op->g, *mean = op->mean, *var = op->var;
    real *dg = op->dg, *db = op->db;

    (void)d;
    for (int64_t c = 0; c < n; c++)
        for (int64_t i = 0; i < op->groups; i++) {
            int64_t at = i * op->per * n + c;
            const real *x = (const real *)op->x + at;
            const real *y = op->y ? (const real *)op->y + at : NULL;
            const real *dy = (const real *)op->dy + at;
            real *dx = (real *)op->dx + at;
            real *dres = op->dres ? (real *)op->dres + at : NULL;
            double m = (double)mean[i * n + c];
            double rstd = 1 / sqrt((double)var[i * n + c] + OP_NORM_EPS);
            double sum = 0, z_sum = 0;

            for (int64_t r = 0; r < op->per * n; r += n) {
                double u = !y || y[r] > 0 ? (double)dy[r] : 0;

                sum += u;
                z_sum += u * ((double)x[r] - m) * rstd;
            }
            add_to(&dg[c], z_sum);
            add_to(&db[c], sum);
            for (int64_t r = 0; r < op->per * n; r += n) {
                double u = !y || y[r] > 0 ? (double)dy[r] : 0;
                double z = ((double)x[r] - m) * rstd;

                if (dres)
                    dres[r] = (real)u;
                dx[r] = (real)((double)g[c] * rstd *
                               (u - (sum + z * z_sum) / (double)op->per));
            }
        }
}

void REF(batchnorm_collect)(struct device *d,
                            const struct op_batchnorm_collect *op)
{
    const real *mean = op->mean, *var = op->var;
    real *sum_mean = op->sum_mean, *sum_var = op->sum_var;
    double per = (double)op->per, unbiased = per > 1 ? per / (per - 1) : 1;

    (void)d;
    for (int64_t c = 0; c < op->dim; c++) {
        double m = 0, v = 0;

        for (int64_t i = 0; i < op->groups; i++) {
            m += (double)mean[i * op->dim + c];
            v += (double)var[i * op->dim + c] * unbiased;
        }
        add_to(&sum_mean[c], m);
        add_to(&sum_var[c], v);
    }
}

void REF(l2norm)(struct device *d, const struct op_l2norm *op)
{
    real *norms = op->norm;

    (void)d;
    for (int64_t r = 0; r < op->rows; r++) {
        const real *x = (const real *)op->x + r * op->dim;
        real *y = (real *)op->y + r * op->dim;
        double norm = sqrt(dot(op->dim, x, x));

        if (norm < 1e-12) /* a NaN stays one, as torch's does */
            norm = 1e-12;
        norms[r] = (real)norm;
        for (int64_t c = 0; c < op->dim; c++)
            y[c] = (real)((double)x[c] / norm);
    }
}

void REF(l2norm_bwd)(struct device *d, const struct op_l2norm_bwd *op)
{
    const real *norms = op->norm;

    (void)d;
    for (int64_t r = 0; r < op->rows; r++) {
        const real *y = (const real *)op->y + r * op->dim;
        const real *dy = (const real *)op->dy + r * op->dim;
        real *dx = (real *)op->dx + r * op->dim;
        double along = dot(op->dim, dy, y), norm = (double)norms[r];

        for (int64_t c = 0; c < op->dim; c++)
            dx[c] = (real)(((double)dy[c] - along * (double)y[c]) / norm);
    }
}
