/* AdamW, and passes over one array. */
#include <math.h>
#include <string.h>

#include "train/ref/real.h"

void REF(adamw)(struct device *d, const struct op_adamw *op)
{
    double rate = op->lr / (1 - pow(op->beta1, (double)op->t));
    double v_scale = sqrt(1 - pow(op->beta2, (double)op->t));
    const real *gradient = op->g;
    real *p = op->p, *m = op->m, *v = op->v, *copy = op->copy;

    (void)d;
    for (int64_t i = 0; i < op->n; i++) {
        double g = (double)gradient[i] * op->grad_scale;
        double m1 = (double)m[i] + (1 - op->beta1) * (g - (double)m[i]);
        double v1 = op->beta2 * (double)v[i] + (1 - op->beta2) * g * g;

        m[i] = (real)m1;
        v[i] = (real)v1;
        p[i] = (real)((double)p[i] * (1 - op->lr * op->decay) -
                      rate * m1 / (sqrt(v1) / v_scale + op->eps));
        if (copy)
            copy[i] = p[i];
    }
}

void REF(sumsq)(struct device *d, const struct op_sumsq *op)
{
    (void)d;
    *op->out += dot(op->n, op->x, op->x);
}

void REF(cast)(struct device *d, const struct op_cast *op)
{
    (void)d;
    memmove(op->y, op->x, (size_t)op->n * sizeof(real));
}

void REF(add)(struct device *d, const struct op_add *op)
{
    const real *x = op->x;
    real *y = op->y;

    (void)d;
    for (int64_t i = 0; i < op->n; i++)
        y[i] += x[i];
}

void REF(axpby)(struct device *d, const struct op_axpby *op)
{
    const real *x = op->x;
    real *y = op->y;

    (void)d;
    for (int64_t i = 0; i < op->n; i++)
        y[i] = (real)(op->a * (double)x[i] + op->b * (double)y[i]);
}

void REF(clamp)(struct device *d, const struct op_clamp *op)
{
    real *x = op->x;

    (void)d;
    for (int64_t i = 0; i < op->n; i++) { /* a NaN stays one */
        if ((double)x[i] < op->low)
            x[i] = (real)op->low;
        else if ((double)x[i] > op->high)
            x[i] = (real)op->high;
    }
}

void REF(zero)(struct device *d, const struct op_zero *op)
{
    (void)d;
    memset(op->x, 0, (size_t)op->bytes);
}

void REF(copy)(struct device *d, const struct op_copy *op)
{
    (void)d;
    memcpy(op->y, op->x, (size_t)op->bytes);
}
