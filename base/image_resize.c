/*
 * Resampling as Pillow does it, to the bit (Imaging/Resample.c, 8 bits a
 * channel): separable, first along rows and then along columns with 8-bit
 * values between; the filter is stretched by the ratio when reducing; weights
 * are normalised in double and rounded to 22 fractional bits; sums are integer.
 * The download and the trainer use the same one, and integers give the same
 * pixels on every processor.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/image.h"

#define STRETCH   64 /* samples of a row that are summed together */
#define PRECISION 22 /* 32 bits less 8 of the sample and 2 for overshoot */

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0)
        return 1.0;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct kernel {
    double (*weight)(double x);
    double support;
} kernels[IMAGE_FILTERS] = {
    [IMAGE_BOX] = {box, 0.5},
    [IMAGE_BILINEAR] = {bilinear, 1.0},
    [IMAGE_BICUBIC] = {bicubic, 2.0},
    [IMAGE_LANCZOS] = {lanczos, 3.0},
};

struct taps {
    int32_t *weight; /* size of them for every output sample */
    uint32_t *first; /* input sample of the first weight */
    uint32_t *count; /* weights in use */
    uint32_t size;
};

static void taps_release(struct taps *t)
{
    free(t->weight);
    free(t->first);
    free(t->count);
}

/* The weights of one output sample. */
static void taps_of(struct taps *t, uint32_t at, uint32_t in, double scale,
                    const struct kernel *k, double *w)
{
    double stretch = scale < 1.0 ? 1.0 : scale;
    double support = k->support * stretch, inverse = 1.0 / stretch;
    double center = (at + 0.5) * scale, sum = 0.0;
    int64_t low = (int64_t)(center - support + 0.5);
    int64_t high = (int64_t)(center + support + 0.5);
    int32_t *out = t->weight + (size_t)at * t->size;
    uint32_t n;

    if (low < 0)
        low = 0;
    if (high > in)
        high = in;
    n = (uint32_t)(high - low);
    for (uint32_t i = 0; i < n; i++) {
        w[i] = k->weight(((double)i + (double)low - center + 0.5) * inverse);
        sum += w[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        double v = sum != 0.0 ? w[i] / sum : w[i];

        v *= 1 << PRECISION;
        out[i] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
    }
    t->first[at] = (uint32_t)low;
    t->count[at] = n;
}

static enum image_reason taps_init(struct taps *t, uint32_t in, uint32_t out,
                                   const struct kernel *k)
{
    double scale = (double)in / out;
    double support = k->support * (scale < 1.0 ? 1.0 : scale);
    double *w;

    t->size = (uint32_t)ceil(support) * 2 + 1;
    t->weight = malloc((size_t)out * t->size * sizeof *t->weight);
    t->first = malloc(out * sizeof *t->first);
    t->count = malloc(out * sizeof *t->count);
    w = malloc(t->size * sizeof *w);
    if (!t->weight || !t->first || !t->count || !w) {
        free(w);
        return IMAGE_MEMORY;
    }
    for (uint32_t at = 0; at < out; at++)
        taps_of(t, at, in, scale, k, w);
    free(w);
    return IMAGE_OK;
}

static inline uint8_t clip8(int32_t v)
{
    v >>= PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Rows [from, from + out->height) of in, each to out->width samples. */
static void along_rows(const struct image *in, uint32_t from,
                       const struct taps *t, struct image *out)
{
    for (uint32_t y = 0; y < out->height; y++) {
        const uint8_t *row = in->rgb + (from + y) * in->stride;
        uint8_t *to = out->rgb + y * out->stride;

        for (uint32_t x = 0; x < out->width; x++, to += 3) {
            const int32_t *w = t->weight + (size_t)x * t->size;
            const uint8_t *p = row + (size_t)t->first[x] * 3;
            int32_t r = 1 << (PRECISION - 1), g = r, b = r;

            for (uint32_t i = 0; i < t->count[x]; i++, p += 3) {
                r += p[0] * w[i];
                g += p[1] * w[i];
                b += p[2] * w[i];
            }
            to[0] = clip8(r);
            to[1] = clip8(g);
            to[2] = clip8(b);
        }
    }
}

/* One stretch of n samples of an output row; p is the stretch in the first
 * input row that counts. */
static inline void column_stretch(const uint8_t *p, size_t stride,
                                  const int32_t *w, uint32_t taps, uint8_t *to,
                                  size_t n)
{
    int32_t sum[STRETCH];

    for (size_t c = 0; c < n; c++)
        sum[c] = 1 << (PRECISION - 1);
    for (uint32_t i = 0; i < taps; i++, p += stride)
        for (size_t c = 0; c < n; c++)
            sum[c] += p[c] * w[i];
    for (size_t c = 0; c < n; c++)
        to[c] = clip8(sum[c]);
}

/* in holds the rows from `from` on.  Stretches are short, so that sums stay in
 * registers and the first cache, and of constant length, so that the compiler
 * uses vectors. */
static void along_columns(const struct image *in, uint32_t from,
                          const struct taps *t, struct image *out)
{
    size_t bytes = (size_t)out->width * 3;

    for (uint32_t y = 0; y < out->height; y++) {
        const int32_t *w = t->weight + (size_t)y * t->size;
        const uint8_t *top = in->rgb + (t->first[y] - from) * in->stride;
        uint8_t *to = out->rgb + y * out->stride;
        size_t x = 0;

        for (; x + STRETCH <= bytes; x += STRETCH)
            column_stretch(top + x, in->stride, w, t->count[y], to + x,
                           STRETCH);
        column_stretch(top + x, in->stride, w, t->count[y], to + x, bytes - x);
    }
}

static enum image_reason copy(const struct image *in, struct image *out)
{
    enum image_reason r = image_alloc(out, in->width, in->height);

    for (uint32_t y = 0; !r && y < in->height; y++)
        memcpy(out->rgb + y * out->stride, in->rgb + y * in->stride,
               out->stride);
    return r;
}

/* Both passes; across goes through an image of the rows that down needs. */
static enum image_reason resample(const struct image *in,
                                  const struct taps *across,
                                  const struct taps *down, uint32_t width,
                                  uint32_t height, struct image *out)
{
    struct image rows = IMAGE_INIT;
    uint32_t from = 0, upto = in->height;
    enum image_reason r;

    if (!down) {
        r = image_alloc(out, width, height);
        if (!r)
            along_rows(in, 0, across, out);
        return r;
    }
    if (across) {
        from = down->first[0];
        upto = down->first[height - 1] + down->count[height - 1];
        r = image_alloc(&rows, width, upto - from);
        if (r)
            return r;
        along_rows(in, from, across, &rows);
    }
    r = image_alloc(out, width, height);
    if (!r)
        along_columns(across ? &rows : in, from, down, out);
    image_release(&rows);
    return r;
}

enum image_reason image_resize(const struct image *in, uint32_t width,
                               uint32_t height, enum image_filter filter,
                               struct image *out)
{
    const struct kernel *k = &kernels[filter];
    struct taps across = {0}, down = {0};
    bool wide = width != in->width, high = height != in->height;
    enum image_reason r = IMAGE_OK;

    assert(width && height && (unsigned)filter < IMAGE_FILTERS);
    if (!wide && !high)
        return copy(in, out);
    if (wide)
        r = taps_init(&across, in->width, width, k);
    if (!r && high)
        r = taps_init(&down, in->height, height, k);
    if (!r)
        r = resample(in, wide ? &across : NULL, high ? &down : NULL, width,
                     height, out);
    taps_release(&across);
    taps_release(&down);
    return r;
}
