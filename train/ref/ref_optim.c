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

/* The moments, as numbers of either kind. */
static double moment(const struct op_adamw *op, const void *x, int64_t i)
{
    return op->half_moments ? (double)bf16_to_float(((const uint16_t *)x)[i])
                            : (double)((const real *)x)[i];
}

static void set_moment(const struct op_adamw *op, void *to, int64_t i,
                       uint64_t of, double x)
{
    uint64_t stream = adamw_moment_stream(op, of);

    if (op->half_moments) /* exact: it is a bfloat16 number already */
        ((uint16_t *)to)[i] = bf16_from_float(
            (float)rounded((real)x, adamw_chance(stream, (uint64_t)i)));
    else
        ((real *)to)[i] = (real)x;
}

void REF(adamw)(struct device *d, const struct op_adamw *op)
{
    const uint64_t stream = adamw_stream(op);
    double rate = op->lr / (1 - pow(op->beta1, (double)op->t));
    double v_scale = sqrt(1 - pow(op->beta2, (double)op->t)), scale;
    const real *gradient = op->g;
    real *p = op->p, *copy = op->copy;

    (void)d;
    if (!adamw_scale(op->sumsq, op->clip_norm, op->skip_norm, &scale))
        return;
    for (int64_t i = 0; i < op->n; i++) {
        bool decays = !op->decays || op->decays[i / OP_DECAY_RUN];
        double keep = decays ? 1 - op->lr * op->decay : 1;
        double g = (double)gradient[i] * scale;
        double m0 = moment(op, op->m, i), v0 = moment(op, op->v, i);
        double m1 = m0 + (1 - op->beta1) * (g - m0);
        double v1 = op->beta2 * v0 + (1 - op->beta2) * g * g;

        set_moment(op, op->m, i, ADAMW_OF_M, m1);
        set_moment(op, op->v, i, ADAMW_OF_V, v1);
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
