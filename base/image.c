#include "base/image.h"

#include <assert.h>
#include <stdlib.h>

#include "base/image_codec.h"

static const char *const reason_names[IMAGE_REASONS] = {
#define X(name, text) text,
    IMAGE_REASON_MAP(X)
#undef X
};

const char *image_reason_name(enum image_reason r)
{
    assert((unsigned)r < IMAGE_REASONS);
    return reason_names[r];
}

static bool find_name(const char *const *names, unsigned n, struct str name,
                      unsigned *found)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(name, str_of(names[i]))) {
            *found = i;
            return true;
        }
    return false;
}

bool image_reason_find(struct str name, enum image_reason *r)
{
    unsigned i;

    if (!find_name(reason_names, IMAGE_REASONS, name, &i))
        return false;
    *r = (enum image_reason)i;
    return true;
}

const char *image_format_name(enum image_format f)
{
    static const char *const names[IMAGE_FORMATS] = {"none", "jpeg", "png",
                                                     "webp", "gif",  "avif"};

    assert((unsigned)f < IMAGE_FORMATS);
    return names[f];
}

static const char *const filter_names[IMAGE_FILTERS] = {"box", "bilinear",
                                                        "bicubic", "lanczos"};

const char *image_filter_name(enum image_filter f)
{
    assert((unsigned)f < IMAGE_FILTERS);
    return filter_names[f];
}

bool image_filter_find(struct str name, enum image_filter *f)
{
    unsigned i;

    if (!find_name(filter_names, IMAGE_FILTERS, name, &i))
        return false;
    *f = (enum image_filter)i;
    return true;
}

struct image_limits image_limits_default(void)
{
    struct image_limits l = image_limits_decodable();

    l.min_side = 100;
    l.max_aspect = 3.0;
    return l;
}

struct image_limits image_limits_decodable(void)
{
    return (struct image_limits){.max_bytes = IMAGE_BYTES_MAX,
                                 .max_pixels = 100u * 1000 * 1000,
                                 .max_scans = 100,
                                 .max_frames = 10000,
                                 .max_chunks = 100000};
}

/* ---- pixels ---- */

static enum image_reason alloc_pixels(struct image *m, uint32_t width,
                                      uint32_t height, size_t pixel_bytes)
{
    size_t size;

    assert(width && height);
    if (__builtin_mul_overflow((size_t)width, (size_t)height, &size) ||
        __builtin_mul_overflow(size, pixel_bytes, &size))
        return IMAGE_MEMORY;
    m->rgb = malloc(size);
    if (!m->rgb)
        return IMAGE_MEMORY;
    m->width = width;
    m->height = height;
    m->stride = width * pixel_bytes;
    return IMAGE_OK;
}

enum image_reason image_room_need(struct image_room *room, size_t n)
{
    if (n <= room->n)
        return IMAGE_OK;
    free(room->p);
    room->p = malloc(n);
    room->n = room->p ? n : 0;
    return room->p ? IMAGE_OK : IMAGE_MEMORY;
}

void image_room_release(struct image_room *room)
{
    free(room->p);
    *room = (struct image_room){NULL, 0};
}

enum image_reason image_alloc(struct image *m, uint32_t width, uint32_t height)
{
    return alloc_pixels(m, width, height, 3);
}

enum image_reason image_alloc_rgba(struct image *m, uint32_t width,
                                   uint32_t height)
{
    return alloc_pixels(m, width, height, 4);
}

void image_release(struct image *m)
{
    free(m->rgb);
    *m = (struct image)IMAGE_INIT;
}

struct image image_view(const struct image *m, uint32_t x, uint32_t y,
                        uint32_t width, uint32_t height)
{
    assert(width && width <= m->width && x <= m->width - width);
    assert(height && height <= m->height && y <= m->height - height);
    return (struct image){width, height, m->stride,
                          m->rgb + y * m->stride + (size_t)x * 3};
}

void image_over_white(const uint8_t *from, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++, from += 4, to += 3) {
        unsigned a = from[3], white = 255 * (255 - a);

        for (int c = 0; c < 3; c++) {
            unsigned v = from[c] * a + white + 128; /* v / 255, rounded */

            to[c] = (uint8_t)((v + (v >> 8)) >> 8);
        }
    }
}

void image_light_inks(const uint8_t *from, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++, from += 4, to += 3) {
        unsigned light = from[3];

        for (int c = 0; c < 3; c++) {
            /* 255 - k - (255 - c)(255 - k) / 255, as Pillow rounds it */
            unsigned v = (255u - from[c]) * light + 128;
            int x = (int)light - (int)(((v >> 8) + v) >> 8);

            to[c] = (uint8_t)(x < 0 ? 0 : x);
        }
    }
}

void image_drop_alpha(struct image *m)
{
    size_t n = (size_t)m->width * m->height;
    uint8_t *smaller;

    image_over_white(m->rgb, m->rgb, n);
    m->stride = (size_t)m->width * 3;
    smaller = realloc(m->rgb, n * 3);
    if (smaller)
        m->rgb = smaller;
}

enum image_reason image_orient(struct image *m, unsigned orientation)
{
    struct image out = IMAGE_INIT;
    bool swap = orientation >= 5 && orientation <= 8;
    enum image_reason r;
    ptrdiff_t right, down; /* bytes to the source of the next pixel, row */
    const uint8_t *from;

    if (orientation < 2 || orientation > 8)
        return IMAGE_OK;
    r = image_alloc(&out, swap ? m->height : m->width,
                    swap ? m->width : m->height);
    if (r)
        return r;
    right = swap ? (ptrdiff_t)m->stride : 3;
    down = swap ? 3 : (ptrdiff_t)m->stride;
    from = m->rgb;
    /* These read the source from its far end along the rows of out ... */
    if (orientation == 2 || orientation == 3 || orientation == 6 ||
        orientation == 7) {
        from += right * (ptrdiff_t)(out.width - 1);
        right = -right;
    }
    /* ... and these down its columns. */
    if (orientation == 3 || orientation == 4 || orientation == 7 ||
        orientation == 8) {
        from += down * (ptrdiff_t)(out.height - 1);
        down = -down;
    }
    for (uint32_t y = 0; y < out.height; y++, from += down) {
        const uint8_t *p = from;
        uint8_t *to = out.rgb + y * out.stride;

        for (uint32_t x = 0; x < out.width; x++, p += right, to += 3)
            memcpy(to, p, 3);
    }
    image_release(m);
    *m = out;
    return IMAGE_OK;
}
