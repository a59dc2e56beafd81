/*
 * dot - the product of two feature rows, always summed in the same order.
 *
 * Model.   Sixteen sums side by side, added up at the end in a fixed order: the
 *          compiler may use vectors of any width, and the bits are the same.
 *          Equal rows give equal products, so ties are ties.
 * Threads. A pure function.
 */
#ifndef TRAIN_DOT_H
#define TRAIN_DOT_H

#define DOT_LANES 16

static inline float dot(const float *a, const float *b, int n)
{
    float sum[DOT_LANES] = {0};
    int i = 0;

    for (; i + DOT_LANES <= n; i += DOT_LANES)
        for (int k = 0; k < DOT_LANES; k++)
            sum[k] += a[i + k] * b[i + k];
    for (int k = 0; i + k < n; k++)
        sum[k] += a[i + k] * b[i + k];
    for (int half = DOT_LANES / 2; half; half /= 2)
        for (int k = 0; k < half; k++)
            sum[k] += sum[k + half];
    return sum[0];
}

#endif
