/* AdamW, and passes over one array. */
#include <math.h>
#include <string.h>

#include "train/adamw.h"
#include "train/ref/real.h"

/* x as a bfloat16 number. */
static real rounded(real x, uint32_t chance)
{
    float number = (float)x;
    uint32_t bits;

    memcpy(&bits, &number, sizeof bits);
    return (real)bf16_to_float((uint16_t)(adamw_round(bits, chance) >> 16));
}

void REF(adamw)(struct device *d, const struct op_adamw *op)
{
    const uint64_t stream = adamw_stream(op);
    double rate = op->lr / (1 - pow(op->beta1, (double)op->t));
    double v_scale = sqrt(1 - pow(op->beta2, (double)op->t)), scale;
    const real *gradient = op->g;
    real *p = op->p, *m = op->m, *v = op->v, *copy = op->copy;

    (void)d;
    if (!adamw_scale(op->sumsq, op->clip_norm, op->skip_norm, &scale))
        return;
    for (int64_t i = 0; i < op->n; i++) {
        bool decays = !op->decays || op->decays[i / OP_DECAY_RUN];
        double keep = decays ? 1 - op->lr * op->decay : 1;
        double g = (double)gradient[i] * scale;
        double m1 = (double)m[i] + (1 - op->beta1) * (g - (double)m[i]);
        double v1 = op->beta2 * (double)v[i] + (1 - op->beta2) * g * g;

        m[i] = (real)m1;
        v[i] = (real)v1;
        p[i] = (real)((double)p[i] * keep -
                      rate * m1 / (sqrt(v1) / v_scale + op->eps));
        if (copy && copy != p)
            copy[i] = op->rounding
                          ? rounded(p[i], adamw_chance(stream, (uint64_t)i))
                          : p[i];
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
