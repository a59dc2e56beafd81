#include "train/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CUBIC_A (-0.5) /* Keys' choice: exact for quadratics */

static double cubic(double x)
{
    x = fabs(x);
    if (x < 1)
        return ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1;
    if (x < 2)
        return CUBIC_A * (((x - 5) * x + 8) * x - 4);
    return 0;
}

/* The source places that place `at` of the output reads, and their weights,
 * which w has room for; the first place comes back. */
static size_t taps(size_t at, size_t to, size_t from, double *w, size_t *n)
{
    double scale = (double)from / (double)to, stretch = scale > 1 ? scale : 1;
    double center = ((double)at + 0.5) * scale, sum = 0;
    double low = floor(center - 2 * stretch + 0.5);
    double high = floor(center + 2 * stretch + 0.5);
    size_t first = low > 0 ? (size_t)low : 0;
    size_t end = high < (double)from ? (size_t)high : from;

    *n = end - first;
    for (size_t i = 0; i < *n; i++) {
        w[i] = cubic(((double)(first + i) - center + 0.5) / stretch);
        sum += w[i];
    }
    for (size_t i = 0; i < *n; i++)
        w[i] /= sum;
    return first;
}

/* One axis: to [outer, to_n, inner] from [outer, from_n, inner]. */
static void resample(double *to, size_t to_n, const double *from, size_t from_n,
                     size_t outer, size_t inner, double *w)
{
    size_t n, first;

    for (size_t at = 0; at < to_n; at++) {
        first = taps(at, to_n, from_n, w, &n);
        for (size_t o = 0; o < outer; o++) {
            double *row = to + (o * to_n + at) * inner;

            memset(row, 0, inner * sizeof *row);
            for (size_t i = 0; i < n; i++) {
                const double *x = from + (o * from_n + first + i) * inner;

                for (size_t k = 0; k < inner; k++)
                    row[k] += w[i] * x[k];
            }
        }
    }
}

int resize_grid(float *to, size_t to_side, const float *from, size_t from_side,
                size_t width, struct err *e)
{
    size_t in = from_side * from_side * width;
    size_t mid = from_side * to_side * width, out = to_side * to_side * width;
    double *all = malloc((in + mid + out + from_side) * sizeof *all);
    double *a = all, *b = all + in, *c = b + mid, *w = c + out;

    if (!all)
        return err_set(e, E_NOMEM, "no room to resize %zu positions",
                       from_side * from_side);
    for (size_t i = 0; i < in; i++)
        a[i] = (double)from[i];
    resample(b, to_side, a, from_side, from_side, width, w); /* along rows */
    resample(c, to_side, b, from_side, 1, to_side * width, w);
    for (size_t i = 0; i < out; i++)
        to[i] = (float)c[i];
    free(all);
    return 0;
}

void resize_line(float *to, size_t to_n, const float *from, size_t from_n,
                 size_t width)
{
    double scale = (double)from_n / (double)to_n;

    for (size_t at = 0; at < to_n; at++) {
        double x = ((double)at + 0.5) * scale - 0.5;
        size_t first, next;

        if (x < 0)
            x = 0;
        first = (size_t)x;
        next = first + 1 < from_n ? first + 1 : first;
        x -= (double)first;
        for (size_t k = 0; k < width; k++)
            to[at * width + k] =
                (float)((1 - x) * (double)from[first * width + k] +
                        x * (double)from[next * width + k]);
    }
}
