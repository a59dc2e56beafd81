/* One downloaded file to one stored JPEG, and the verdict on the way. */
#include <assert.h>
#include <stdlib.h>

#include "base/image_codec.h"
#include "base/phash.h"

#define SIDE_MAX 65500u /* pixels a JPEG can have */

const char *const image_resize_names[] = {
    "no", "keep-ratio", "keep-ratio-largest", "center-crop", NULL};

struct image_config image_config_default(void)
{
    return (struct image_config){.limits = image_limits_default(),
                                 .mode = IMAGE_SHORTER_SIDE,
                                 .size = 512,
                                 .filter = IMAGE_BICUBIC,
                                 .quality = 95};
}

void image_result_init(struct image_result *r)
{
    *r = (struct image_result){.reason = IMAGE_OK};
    buf_init(&r->exif, IMAGE_EXIF_MAX);
    buf_init(&r->jpeg, IMAGE_BYTES_MAX);
}

void image_result_release(struct image_result *r)
{
    buf_release(&r->exif);
    buf_release(&r->jpeg);
}

void image_result_clear(struct image_result *r, enum image_reason reason)
{
    struct buf exif = r->exif, jpeg = r->jpeg;

    buf_clear(&exif);
    buf_clear(&jpeg);
    *r = (struct image_result){.reason = reason, .exif = exif, .jpeg = jpeg};
}

/* side * size / by, rounded half up, at least 1. */
static uint32_t scaled(uint32_t side, uint32_t size, uint32_t by)
{
    uint64_t v = (2 * (uint64_t)side * size + by) / (2 * (uint64_t)by);

    return v ? (uint32_t)v : 1;
}

/* The size to reduce to; the picture's own where it is no larger. */
static void target_size(const struct image_config *c, uint32_t width,
                        uint32_t height, uint32_t *to_width,
                        uint32_t *to_height)
{
    uint32_t shorter = width < height ? width : height;
    uint32_t longer = width < height ? height : width;
    uint32_t by = c->mode == IMAGE_LONGER_SIDE ? longer : shorter;

    *to_width = width;
    *to_height = height;
    if (c->mode == IMAGE_KEEP_SIZE || by <= c->size)
        return;
    *to_width = scaled(width, c->size, by);
    *to_height = scaled(height, c->size, by);
}

static enum image_reason crop_square(struct image *m)
{
    uint32_t side = m->width < m->height ? m->width : m->height;
    struct image out = IMAGE_INIT, view;
    enum image_reason r;

    if (m->width == m->height)
        return IMAGE_OK;
    r = image_alloc(&out, side, side);
    if (r)
        return r;
    view = image_view(m, (m->width - side) / 2, (m->height - side) / 2, side,
                      side);
    for (uint32_t y = 0; y < side; y++)
        memcpy(out.rgb + y * out.stride, view.rgb + y * view.stride,
               out.stride);
    image_release(m);
    *m = out;
    return IMAGE_OK;
}

/* From decoded pixels to those that will be stored.  Reducing comes first: it
 * makes the rest cheap. */
static enum image_reason finish_pixels(struct image_task *t,
                                       const struct image_config *c,
                                       uint32_t width, uint32_t height)
{
    struct image small = IMAGE_INIT;
    enum image_reason r = IMAGE_OK;

    if (t->out.width != width || t->out.height != height) {
        r = image_resize(&t->out, width, height, c->filter, &small);
        if (r)
            return r;
        image_release(&t->out);
        t->out = small;
    }
    if (!t->in_srgb)
        image_icc_apply(&t->out, buf_str(&t->icc),
                        t->grey ? IMAGE_ICC_GREY : IMAGE_ICC_RGB);
    r = image_orient(&t->out, t->head.orientation);
    if (!r && c->mode == IMAGE_CENTER_CROP)
        r = crop_square(&t->out);
    return r;
}

/* May the original's bytes be stored as they are?  Only what every reader
 * shows alike: an upright JPEG in RGB or grey, of the right size, without a
 * profile of its own. */
static bool fits_unchanged(const struct image_task *t,
                           const struct image_config *c, uint32_t width,
                           uint32_t height)
{
    return c->keep_original && t->head.format == IMAGE_JPEG &&
           t->head.orientation == 1 && !t->head.has_icc && !t->in_srgb &&
           t->head.width == width && t->head.height == height &&
           (c->mode != IMAGE_CENTER_CROP || width == height);
}

/* The hash is of what is stored, so that it can be checked from the shard. */
static enum image_reason hash_stored(struct image_result *r)
{
    struct image_decode_options o = {.limits = image_limits_decodable()};
    struct image m = IMAGE_INIT;
    struct image_header h;
    enum image_reason reason;

    reason = image_decode(buf_str(&r->jpeg), &o, &m, &h, NULL);
    if (reason)
        return reason;
    r->phash = phash_rgb(m.rgb, m.stride, m.width, m.height, &r->flat);
    r->width = m.width;
    r->height = m.height;
    image_release(&m);
    return IMAGE_OK;
}

static enum image_reason store(struct image_task *t,
                               const struct image_config *c, uint32_t width,
                               uint32_t height, struct image_result *r)
{
    enum image_reason reason;

    if (fits_unchanged(t, c, width, height)) {
        buf_add(&r->jpeg, t->bytes);
    } else {
        reason = finish_pixels(t, c, width, height);
        if (!reason)
            reason = image_encode_jpeg(&t->out, c->quality, &r->jpeg);
        if (reason)
            return reason;
    }
    image_release(&t->out); /* before the stored one is decoded again */
    if (r->jpeg.rc)
        return r->jpeg.rc == -E_TOOBIG ? IMAGE_BYTES : IMAGE_MEMORY;
    image_exif_json(buf_str(&t->exif), &r->exif);
    return hash_stored(r);
}

static enum image_reason process(struct str bytes, const struct image_config *c,
                                 struct image_result *r)
{
    struct image_decode_options o = {.limits = c->limits,
                                     .flags = IMAGE_ORIENT | IMAGE_SRGB};
    struct image_task t = {.bytes = bytes, .options = &o};
    struct image_header h;
    enum image_reason reason = image_header(bytes, &c->limits, &h);
    uint32_t width, height;
    bool swap;

    r->format = h.format;
    r->original_width = h.width;
    r->original_height = h.height;
    if (reason)
        return reason;
    target_size(c, h.width, h.height, &width, &height);
    if (width > SIDE_MAX || height > SIDE_MAX)
        return IMAGE_LARGE;
    if (width != h.width || height != h.height) {
        o.keep_width = 2 * width;
        o.keep_height = 2 * height;
    }
    reason = image_task_run(&t);
    swap = t.head.orientation >= 5;
    r->original_width = swap ? t.head.height : t.head.width;
    r->original_height = swap ? t.head.width : t.head.height;
    if (!reason)
        reason = store(&t, c, width, height, r);
    image_task_release(&t);
    return reason;
}

enum image_reason image_process(struct str bytes, const struct image_config *c,
                                struct image_result *r)
{
    assert(c->size >= 1 && c->quality >= 1 && c->quality <= 100);
    image_result_clear(r, IMAGE_OK);
    hash_sha256(bytes, r->sha256);
    r->reason = process(bytes, c, r);
    if (r->reason) {
        buf_clear(&r->jpeg);
        buf_clear(&r->exif);
        r->width = r->height = 0;
        r->phash = 0;
        r->flat = false;
    }
    return r->reason;
}
