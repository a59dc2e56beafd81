/* Pixels as the file has them (base/image.h): resizing in the file's own mode,
 * and what Pillow's convert("RGB") makes of each. */
#include <assert.h>
#include <math.h>

#include "base/image_resample.h"

/* Output samples up to which nearest neighbours are found by adding, as Pillow
 * does; a picture behind it does not fit its memory. */
#define ADDED_MAX (1u << 24)

size_t image_kind_bytes(enum image_kind kind)
{
    return kind == IMAGE_PLAIN || kind == IMAGE_INDEXED ? 3 : 4;
}

/* ---- to RGB ---- */

/* n pixels; to may be from. */
static void to_rgb(enum image_kind kind, const uint8_t *from, uint8_t *to,
                   size_t n)
{
    switch (kind) {
    case IMAGE_ALPHA:
        for (size_t i = 0; i < n; i++)
            memmove(to + 3 * i, from + 4 * i, 3);
        break;
    case IMAGE_INKS:
        for (size_t i = 0; i < n; i++) {
            uint8_t light[4];

            for (int c = 0; c < 4; c++)
                light[c] = (uint8_t)(255 - from[4 * i + c]);
            image_light_inks(light, to + 3 * i, 1);
        }
        break;
    case IMAGE_DEEP: /* clipped, not scaled */
        for (size_t i = 0; i < n; i++) {
            uint32_t v;

            memcpy(&v, from + 4 * i, sizeof v);
            memset(to + 3 * i, v > 255 ? 255 : (int)v, 3);
        }
        break;
    default:
        memmove(to, from, 3 * n);
    }
}

void image_raw_to_rgb(struct image *m, enum image_kind kind)
{
    size_t n = (size_t)m->width * m->height;

    if (image_kind_bytes(kind) == 3)
        return;
    assert(m->stride == (size_t)m->width * 4);
    to_rgb(kind, m->rgb, m->rgb, n);
    m->stride = (size_t)m->width * 3;
}

/* ---- alpha: colours count as far as they cover ---- */

static void multiply(struct image *m)
{
    uint8_t *p = m->rgb, *end = p + m->stride * m->height;

    for (; p < end; p += 4)
        for (int c = 0; c < 3; c++) {
            unsigned v = (unsigned)p[c] * p[3] + 128;

            p[c] = (uint8_t)((v + (v >> 8)) >> 8);
        }
}

static void divide(uint8_t *p, size_t n)
{
    for (uint8_t *end = p + 4 * n; p < end; p += 4) {
        if (p[3] == 0)
            continue; /* as it is, as in Pillow */
        for (int c = 0; c < 3; c++) {
            unsigned v = 255u * p[c] / p[3];

            p[c] = (uint8_t)(v > 255 ? 255 : v);
        }
    }
}

/* ---- nearest neighbour ---- */

/* The input sample of the wanted output sample 0, as a place in *at, which
 * goes on by the result's step. */
static double nearest_begin(const struct image_axis *a, double *at)
{
    double step = (double)a->in / (double)a->to;

    *at = step * 0.5;
    if (a->first > ADDED_MAX)
        *at += step * (double)a->first;
    else
        for (uint64_t i = 0; i < a->first; i++)
            *at += step;
    return step;
}

static uint32_t nearest(const struct image_axis *a, double at)
{
    return at < a->in ? (uint32_t)at : a->in - 1;
}

static void resize_nearest(const struct image *in,
                           const struct image_axis *across,
                           const struct image_axis *down, uint8_t *rgb)
{
    double x0, y, x, step_x = nearest_begin(across, &x0);
    double step_y = nearest_begin(down, &y);

    for (uint32_t i = 0; i < down->n; i++, y += step_y) {
        const uint8_t *row = in->rgb + nearest(down, y) * in->stride;

        x = x0;
        for (uint32_t j = 0; j < across->n; j++, x += step_x, rgb += 3)
            memcpy(rgb, row + (size_t)nearest(across, x) * 3, 3);
    }
}

/* ---- greys of 16 bits: integers between, sums in double ---- */

static int32_t rounded(double v)
{
    return (int32_t)(v >= 0 ? floor(v + 0.5) : -floor(-v + 0.5));
}

/* The wanted samples along one axis: lines of them, `line` and `next` apart in
 * numbers, in and out.  With no change of size a copy. */
struct lines {
    const int32_t *from;
    int32_t *to;
    size_t count;                /* of lines */
    size_t from_line, from_next; /* to the next line, sample */
    size_t to_line, to_next;
};

static void deep_pass(const struct image_axis *a, enum image_filter filter,
                      double *w, const struct lines *l)
{
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t low = (uint32_t)(a->first + i), n = 1;

        w[0] = 1.0;
        if (a->in != a->to)
            n = image_weights(a, a->first + i, filter, w, &low);
        for (size_t k = 0; k < l->count; k++) {
            const int32_t *p = l->from + k * l->from_line + low * l->from_next;
            double sum = 0.0;

            for (uint32_t j = 0; j < n; j++)
                sum += p[j * l->from_next] * w[j];
            l->to[k * l->to_line + i * l->to_next] = rounded(sum);
        }
    }
}

static enum image_reason resize_deep(const struct image *in,
                                     const struct image_axis *across,
                                     const struct image_axis *down,
                                     enum image_filter filter,
                                     struct image_room *work, uint8_t *rgb)
{
    size_t weights = image_weights_max(across, filter);
    size_t other = image_weights_max(down, filter);
    size_t middle = (size_t)across->n * in->height;
    size_t pixels = (size_t)across->n * down->n;
    enum image_reason r;
    struct lines l;
    int32_t *mid;
    double *w;

    weights = weights > other ? weights : other;
    r = image_room_need(work,
                        weights * sizeof *w + (middle + pixels) * sizeof *mid);
    if (r)
        return r;
    w = (double *)work->p;
    mid = (int32_t *)(w + weights);
    l = (struct lines){
        (const int32_t *)in->rgb, mid, in->height, in->width, 1, across->n, 1};
    deep_pass(across, filter, w, &l);
    l = (struct lines){mid, mid + middle, across->n, 1, across->n,
                       1,   across->n};
    deep_pass(down, filter, w, &l);
    for (size_t i = 0; i < pixels; i++) {
        int32_t v = mid[middle + i];

        memset(rgb + 3 * i, v < 0 ? 0 : v > 255 ? 255 : v, 3);
    }
    return IMAGE_OK;
}

/* ---- all of them ---- */

struct image_rect image_part_needs(const struct image_part *part,
                                   enum image_filter filter, uint32_t width,
                                   uint32_t height)
{
    struct image_axis across = {width, part->to_width, part->x, part->width};
    struct image_axis down = {height, part->to_height, part->y, part->height};
    struct image_rect r;

    image_span(&across, filter, &r.x, &r.width);
    image_span(&down, filter, &r.y, &r.height);
    return r;
}

enum image_reason image_raw_resize(struct image *in, enum image_kind kind,
                                   const struct image_part *part,
                                   enum image_filter filter,
                                   struct image_room *work, uint8_t *rgb)
{
    struct image_axis across = {in->width, part->to_width, part->x,
                                part->width};
    struct image_axis down = {in->height, part->to_height, part->y,
                              part->height};
    bool changed = across.in != across.to || down.in != down.to;
    size_t n = (size_t)part->width * part->height;
    struct image_room rest;
    enum image_reason r;
    size_t bytes;

    assert(part->width && part->height &&
           part->x + part->width <= part->to_width &&
           part->y + part->height <= part->to_height);
    if (kind == IMAGE_INDEXED) {
        resize_nearest(in, &across, &down, rgb);
        return IMAGE_OK;
    }
    if (kind == IMAGE_DEEP)
        return resize_deep(in, &across, &down, filter, work, rgb);
    if (kind == IMAGE_PLAIN)
        return image_resample(in, 3, &across, &down, filter, work, rgb,
                              (size_t)part->width * 3);
    if (kind == IMAGE_ALPHA && changed)
        multiply(in);
    bytes = image_resample_bytes(in, 4, &across, &down, filter);
    r = image_room_need(work, 4 * n + bytes);
    if (r)
        return r;
    rest = (struct image_room){work->p + 4 * n, bytes};
    r = image_resample(in, 4, &across, &down, filter, &rest, work->p,
                       (size_t)part->width * 4);
    assert(!r); /* it had its room */
    if (kind == IMAGE_ALPHA && changed)
        divide(work->p, n);
    to_rgb(kind, work->p, rgb, n);
    return IMAGE_OK;
}
