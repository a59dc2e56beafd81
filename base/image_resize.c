/* Resampling as Pillow does it (base/image_resample.h): weights, the two
 * passes, kernels for any processor. */
#include <assert.h>
#include <math.h>

#include "base/image_resample.h"

#define STRETCH   64u   /* samples of a row that are summed together */
#define SPLIT_MAX 4096u /* weights: their split sums stay within 32 bits */
#define ALIGN     64u   /* bytes */

/* ---- weights ---- */

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

/* Input samples to an output sample. */
static double scale_of(const struct image_axis *a)
{
    return (double)a->in / (double)a->to;
}

size_t image_weights_max(const struct image_axis *a, enum image_filter filter)
{
    double scale = scale_of(a);
    double support = kernels[filter].support * (scale < 1.0 ? 1.0 : scale);

    return (size_t)ceil(support) * 2 + 1;
}

/* The input samples under the filter of output sample `at`: [*from, *upto). */
static void window(const struct image_axis *a, uint64_t at,
                   enum image_filter filter, uint32_t *from, uint32_t *upto)
{
    double scale = scale_of(a), stretch = scale < 1.0 ? 1.0 : scale;
    double support = kernels[filter].support * stretch;
    double center = ((double)at + 0.5) * scale;
    int64_t low = (int64_t)(center - support + 0.5);
    int64_t high = (int64_t)(center + support + 0.5);

    *from = low < 0 ? 0 : (uint32_t)low;
    *upto = high > a->in ? a->in : (uint32_t)high;
}

uint32_t image_weights(const struct image_axis *a, uint64_t at,
                       enum image_filter filter, double *w, uint32_t *low)
{
    double scale = scale_of(a), stretch = scale < 1.0 ? 1.0 : scale;
    double center = ((double)at + 0.5) * scale, inverse = 1.0 / stretch;
    double sum = 0.0;
    uint32_t upto, n;

    window(a, at, filter, low, &upto);
    n = upto - *low;
    for (uint32_t i = 0; i < n; i++) {
        double x = (double)i + (double)*low - center + 0.5;

        w[i] = kernels[filter].weight(x * inverse);
        sum += w[i];
    }
    for (uint32_t i = 0; i < n; i++)
        if (sum != 0.0)
            w[i] /= sum;
    return n;
}

static uint32_t size_of(const struct image_axis *a, enum image_filter filter)
{
    return (uint32_t)(image_weights_max(a, filter) + 3) & ~3u;
}

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

size_t image_taps_bytes(const struct image_axis *a, enum image_filter filter)
{
    size_t size = size_of(a, filter);
    size_t all = size * a->n;

    return aligned(size * sizeof(double)) +
           2 * aligned(a->n * sizeof(uint32_t)) +
           2 * aligned(all * sizeof(int32_t)) + aligned(all * IMAGE_DIGITS);
}

/* Halves for 16-bit multiplications; false when one does not fit. */
static bool split(const struct image_taps *t)
{
    int16_t *to = t->split;
    const int32_t *w = t->weight;

    if (t->size > SPLIT_MAX)
        return false;
    for (size_t i = 0; i < (size_t)t->n * t->size; i++, w++) {
        if (*w >= 1 << 23 || *w < -(1 << 23))
            return false;
        to[i / 4 * 8 + i % 4] = (int16_t)(*w >> 8);
        to[i / 4 * 8 + i % 4 + 4] = (int16_t)(*w & 255);
    }
    return true;
}

/* Bytes for 8-bit multiplications, likewise. */
static bool split_fine(const struct image_taps *t)
{
    const int32_t *w = t->weight;

    for (size_t i = 0; i < (size_t)t->n * t->size; i++, w++) {
        int8_t *to = t->digits + i / 4 * 4 * IMAGE_DIGITS + i % 4;
        int32_t low = ((*w + 128) & 255) - 128, rest = (*w - low) / 256;
        int32_t middle = ((rest + 128) & 255) - 128;
        int32_t high = (rest - middle) / 256;

        if (high > INT8_MAX || high < INT8_MIN)
            return false;
        to[0] = (int8_t)high;
        to[4] = (int8_t)middle;
        to[8] = (int8_t)low;
    }
    return true;
}

void image_taps_init(struct image_taps *t, const struct image_axis *a,
                     enum image_filter filter, uint8_t *room)
{
    size_t lists = aligned(a->n * sizeof(uint32_t)), words;
    double *w = (double *)room;

    t->n = a->n;
    t->size = size_of(a, filter);
    words = aligned((size_t)t->n * t->size * sizeof(int32_t));
    t->reach = 0;
    t->group = 0;
    t->wide = NULL;
    room += aligned(t->size * sizeof *w);
    t->first = (uint32_t *)room;
    t->count = (uint32_t *)(room + lists);
    t->weight = (int32_t *)(room + 2 * lists);
    t->split = (int16_t *)(room + 2 * lists + words);
    t->digits = (int8_t *)(room + 2 * lists + 2 * words);
    for (uint32_t x = 0; x < a->n; x++) {
        uint32_t n = image_weights(a, a->first + x, filter, w, &t->first[x]);
        int32_t *out = t->weight + (size_t)x * t->size;
        uint32_t touched = t->first[x] + ((n + 3) & ~3u);

        t->count[x] = n;
        for (uint32_t i = 0; i < n; i++) {
            double v = w[i] * (1 << IMAGE_PRECISION);

            out[i] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
        }
        for (uint32_t i = n; i < t->size; i++)
            out[i] = 0;
        if (touched > t->reach)
            t->reach = touched;
    }
    if (!split(t))
        t->split = NULL;
    if (!split_fine(t))
        t->digits = NULL;
}

/* ---- kernels for any processor ---- */

static inline uint8_t clip8(int32_t v)
{
    v >>= IMAGE_PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void across_row(const uint8_t *row, uint8_t *to, unsigned bytes,
                       const struct image_taps *t)
{
    for (uint32_t x = 0; x < t->n; x++, to += bytes) {
        const int32_t *w = t->weight + (size_t)x * t->size;
        const uint8_t *p = row + (size_t)t->first[x] * bytes;
        int32_t sum[4];

        for (unsigned c = 0; c < bytes; c++)
            sum[c] = 1 << (IMAGE_PRECISION - 1);
        for (uint32_t i = 0; i < t->count[x]; i++, p += bytes)
            for (unsigned c = 0; c < bytes; c++)
                sum[c] += p[c] * w[i];
        for (unsigned c = 0; c < bytes; c++)
            to[c] = clip8(sum[c]);
    }
}

static void plain_across(const uint8_t *const *from, uint8_t *const *to,
                         unsigned pixel_bytes, const struct image_taps *t)
{
    for (unsigned i = 0; i < IMAGE_ROWS_AT_ONCE; i++) {
        if (i > 0 && to[i] == to[i - 1])
            continue; /* the last rows of a picture */
        if (pixel_bytes == 3)
            across_row(from[i], to[i], 3, t);
        else
            across_row(from[i], to[i], 4, t);
    }
}

/* n is constant where it matters: sums stay in registers and the compiler
 * uses vectors. */
static inline void stretch(const uint8_t *p, size_t stride, const int32_t *w,
                           uint32_t taps, uint8_t *to, size_t n)
{
    int32_t sum[STRETCH];

    for (size_t c = 0; c < n; c++)
        sum[c] = 1 << (IMAGE_PRECISION - 1);
    for (uint32_t i = 0; i < taps; i++, p += stride)
        for (size_t c = 0; c < n; c++)
            sum[c] += p[c] * w[i];
    for (size_t c = 0; c < n; c++)
        to[c] = clip8(sum[c]);
}

static void plain_down(const uint8_t *from, size_t stride,
                       const struct image_taps *t, uint32_t at, uint8_t *to,
                       size_t n)
{
    const int32_t *w = t->weight + (size_t)at * t->size;
    size_t x = 0;

    for (; x + STRETCH <= n; x += STRETCH)
        stretch(from + x, stride, w, t->count[at], to + x, STRETCH);
    stretch(from + x, stride, w, t->count[at], to + x, n - x);
}

const struct image_kernels image_kernels_plain = {plain_across, plain_down};

static const struct image_kernels *kernels_for(const struct image_taps *t)
{
    const struct image_kernels *k = t->digits ? image_kernels_vnni() : NULL;

    if (!k && t->split)
        k = image_kernels_avx2();
    return k ? k : &image_kernels_plain;
}

/* ---- the passes ---- */

/* Rows [from, from + n) of in.  Kernels read a little beyond a row; where that
 * would leave the picture's memory they get a copy, of which `spare` holds
 * IMAGE_ROWS_AT_ONCE, each of spare_bytes. */
struct row_pass {
    const struct image *in;
    const struct image_taps *taps;
    unsigned pixel_bytes;
    uint8_t *spare;
    size_t spare_bytes;
};

static size_t spare_bytes(const struct image *in, unsigned pixel_bytes)
{
    return aligned(((size_t)in->width + 3) * pixel_bytes + IMAGE_BEYOND);
}

static void across_rows(const struct row_pass *p, uint32_t from, uint32_t n,
                        uint8_t *to, size_t stride)
{
    const struct image_kernels *k =
        p->taps->group ? image_kernels_vbmi() : kernels_for(p->taps);
    size_t row_bytes = (size_t)p->in->width * p->pixel_bytes;
    size_t reach = (size_t)p->taps->reach * p->pixel_bytes + IMAGE_BEYOND;
    size_t all = (p->in->height - 1) * p->in->stride + row_bytes;
    const uint8_t *row[IMAGE_ROWS_AT_ONCE];
    uint8_t *out[IMAGE_ROWS_AT_ONCE];

    for (uint32_t y = 0; y < n; y += IMAGE_ROWS_AT_ONCE) {
        for (uint32_t i = 0; i < IMAGE_ROWS_AT_ONCE; i++) {
            uint32_t at = y + i < n ? y + i : n - 1; /* the last one again */
            size_t begin = (from + at) * p->in->stride;

            row[i] = p->in->rgb + begin;
            out[i] = to + at * stride;
            if (begin + reach > all) {
                uint8_t *copy = p->spare + i * p->spare_bytes;

                memcpy(copy, row[i], row_bytes);
                row[i] = copy;
            }
        }
        k->across(row, out, p->pixel_bytes, p->taps);
    }
}

static void down_rows(const uint8_t *from, size_t from_stride, uint32_t first,
                      const struct image_taps *t, uint8_t *to, size_t stride,
                      size_t row_bytes)
{
    const struct image_kernels *k = kernels_for(t);

    for (uint32_t y = 0; y < t->n; y++)
        k->down(from + (t->first[y] - first) * from_stride, from_stride, t, y,
                to + y * stride, row_bytes);
}

void image_span(const struct image_axis *a, enum image_filter filter,
                uint32_t *from, uint32_t *n)
{
    uint32_t upto, other;

    *from = (uint32_t)a->first;
    *n = a->n;
    if (a->in == a->to)
        return;
    window(a, a->first, filter, from, &other);
    window(a, a->first + a->n - 1, filter, &other, &upto);
    *n = upto - *from;
}

/* What a resize needs besides the pixels: one behind the other in a room. */
struct layout {
    size_t across, wide, down, rows, spare, all; /* bytes */
    size_t stride;                               /* of rows */
};

static struct layout layout_of(const struct image *in, unsigned pixel_bytes,
                               const struct image_axis *across,
                               const struct image_axis *down,
                               enum image_filter filter)
{
    bool wide = across->in != across->to, high = down->in != down->to;
    struct layout l = {0};
    uint32_t first, rows;

    image_span(down, filter, &first, &rows);
    l.stride = aligned((size_t)across->n * pixel_bytes);
    l.across = wide ? image_taps_bytes(across, filter) : 0;
    if (wide && pixel_bytes == 3 && image_kernels_vbmi())
        l.wide = image_wide_bytes(across, size_of(across, filter));
    l.down = high ? image_taps_bytes(down, filter) : 0;
    l.rows = wide && high ? l.stride * rows : 0;
    l.spare = wide ? spare_bytes(in, pixel_bytes) * IMAGE_ROWS_AT_ONCE : 0;
    l.all = l.across + l.wide + l.down + l.rows + l.spare + ALIGN;
    return l;
}

size_t image_resample_bytes(const struct image *in, unsigned pixel_bytes,
                            const struct image_axis *across,
                            const struct image_axis *down,
                            enum image_filter filter)
{
    return layout_of(in, pixel_bytes, across, down, filter).all;
}

enum image_reason image_resample(const struct image *in, unsigned pixel_bytes,
                                 const struct image_axis *across,
                                 const struct image_axis *down,
                                 enum image_filter filter,
                                 struct image_room *work, uint8_t *to,
                                 size_t stride)
{
    bool wide = across->in != across->to, high = down->in != down->to;
    struct layout l = layout_of(in, pixel_bytes, across, down, filter);
    size_t row_bytes = (size_t)across->n * pixel_bytes, from_stride;
    const uint8_t *from;
    struct image_taps t;
    uint8_t *room, *rows;
    uint32_t first, n;
    enum image_reason r = image_room_need(work, l.all);

    if (r)
        return r;
    room = work->p + (ALIGN - (uintptr_t)work->p % ALIGN);
    rows = room + l.across + l.wide + l.down;
    image_span(down, filter, &first, &n);
    from = in->rgb + first * in->stride + across->first * pixel_bytes;
    from_stride = in->stride;
    if (wide) {
        struct row_pass p = {in, &t, pixel_bytes, rows + l.rows,
                             spare_bytes(in, pixel_bytes)};

        image_taps_init(&t, across, filter, room);
        if (l.wide)
            image_wide_init(&t, room + l.across);
        across_rows(&p, first, n, high ? rows : to, high ? l.stride : stride);
        from = rows;
        from_stride = l.stride;
    }
    if (high) {
        image_taps_init(&t, down, filter, room + l.across + l.wide);
        down_rows(from, from_stride, first, &t, to, stride, row_bytes);
    }
    for (uint32_t y = 0; !wide && !high && y < n; y++)
        memcpy(to + y * stride, from + y * from_stride, row_bytes);
    return IMAGE_OK;
}

enum image_reason image_resize(const struct image *in, uint32_t width,
                               uint32_t height, enum image_filter filter,
                               struct image *out)
{
    struct image_axis across = {in->width, width, 0, width};
    struct image_axis down = {in->height, height, 0, height};
    struct image_room work = {NULL, 0};
    enum image_reason r;

    assert(width && height && (unsigned)filter < IMAGE_FILTERS);
    r = image_alloc(out, width, height);
    if (r)
        return r;
    r = image_resample(in, 3, &across, &down, filter, &work, out->rgb,
                       out->stride);
    image_room_release(&work);
    if (r)
        image_release(out);
    return r;
}
