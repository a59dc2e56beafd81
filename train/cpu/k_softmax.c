/*
 * Cross-entropy over the vocabulary: a thread takes a row at a time, reads it
 * twice (its largest logit; the sum of exponentials under it) and writes its
 * gradient over it.  Exponentials are added up in floats for SOFTMAX_PIECE
 * columns, then in double.
 */
#include <assert.h>
#include <float.h>

#include "train/cpu/k.h"

#define SOFTMAX_PIECE 1024

static float row_largest(const act_t *x, int64_t n)
{
    float most = -FLT_MAX;

#pragma omp simd reduction(max : most)
    for (int64_t c = 0; c < n; c++)
        most = k_get(x[c]) > most ? k_get(x[c]) : most;
    return most;
}

static double row_sum(const act_t *x, int64_t n, float most)
{
    double total = 0;

    for (int64_t i = 0; i < n; i += SOFTMAX_PIECE) {
        int64_t end = n - i < SOFTMAX_PIECE ? n : i + SOFTMAX_PIECE;
        float sum = 0;

#pragma omp simd reduction(+ : sum)
        for (int64_t c = i; c < end; c++)
            sum += k_exp(k_get(x[c]) - most);
        total += (double)sum;
    }
    return total;
}

/* x = by softmax(x): exp(x - most) * scale. */
static void row_soften(act_t *x, int64_t n, float most, float scale)
{
    K_SIMD
    for (int64_t c = 0; c < n; c++)
        x[c] = k_put(k_exp(k_get(x[c]) - most) * scale);
}

static void softmax_row(const struct op_softmax_loss *o, int64_t r)
{
    const int32_t *ids = o->ids + o->at[r];
    const int64_t n = o->at[r + 1] - o->at[r];
    act_t *x = (act_t *)o->x + r * o->cols;
    float most = row_largest(x, o->cols), own[OP_TARGETS_MAX], by;
    double sum = row_sum(x, o->cols, most), below = 0;

    assert(n >= 0 && n <= o->most);
    for (int64_t k = 0; k < n; k++) {
        assert(ids[k] >= 0 && ids[k] < o->cols);
        own[k] = k_get(x[ids[k]]);
        below += (double)most - (double)own[k];
    }
    ((float *)o->loss)[r] = n ? (float)(below / (double)n + log(sum)) : 0;
    if (o->lse)
        ((float *)o->lse)[r] = (float)((double)most + log(sum));
    if (!o->by)
        return;
    by = n ? *(const float *)o->by : 0;
    row_soften(x, o->cols, most, by / (float)sum);
    for (int64_t k = 0; k < n; k++) {
        int64_t found = 0;

        for (int64_t i = 0; i < n; i++)
            found += ids[i] == ids[k];
        x[ids[k]] = k_put(
            by * (k_exp(own[k] - most) / (float)sum - (float)found / (float)n));
    }
}

void CPU(softmax_loss)(struct device *d, const struct op_softmax_loss *o)
{
    K_PARALLEL(d, o->rows * o->cols)
    for (int64_t r = 0; r < o->rows; r++)
        softmax_row(o, r);
}
