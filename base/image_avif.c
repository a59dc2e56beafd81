/*
 * AVIF in, by libavif (dav1d), on one thread.
 *
 * Turning and mirroring are the container's (irot, imir); EXIF's orientation is
 * ignored, as the format asks.  A clean aperture (clap) is cut out.  Colour is
 * converted from an ICC profile only: pictures in BT.2020 or PQ without one
 * keep their code values.
 */
#include <stdlib.h>

#include <avif/avif.h>

#include "base/image_codec.h"

static enum image_reason reason_of(avifResult result)
{
    switch (result) {
    case AVIF_RESULT_OK:
        return IMAGE_OK;
    case AVIF_RESULT_TRUNCATED_DATA:
    case AVIF_RESULT_IO_ERROR: /* an extent past the end */
    case AVIF_RESULT_WAITING_ON_IO:
        return IMAGE_TRUNCATED;
    case AVIF_RESULT_OUT_OF_MEMORY:
        return IMAGE_MEMORY;
    case AVIF_RESULT_UNSUPPORTED_DEPTH:
    case AVIF_RESULT_NOT_IMPLEMENTED:
    case AVIF_RESULT_NO_CODEC_AVAILABLE:
        return IMAGE_UNSUPPORTED;
    default:
        return IMAGE_CORRUPT;
    }
}

static avifDecoder *open_decoder(const struct image_task *t,
                                 uint32_t pixel_limit)
{
    avifDecoder *d = avifDecoderCreate();

    if (!d)
        return NULL;
    d->maxThreads = 1; /* the worker may not make threads */
    d->ignoreXMP = AVIF_TRUE;
    d->imageSizeLimit = pixel_limit;
    d->imageDimensionLimit = 0; /* the area is what costs */
    d->imageCountLimit = t->options->limits.max_frames;
    /* As browsers: pictures of older encoders lack pixi, and their clap is
     * often out of bounds. */
    d->strictFlags = AVIF_STRICT_ENABLED &
                     ~(AVIF_STRICT_PIXI_REQUIRED | AVIF_STRICT_CLAP_VALID |
                       AVIF_STRICT_ALPHA_ISPE_REQUIRED);
    if (avifDecoderSetIOMemory(d, (const uint8_t *)t->bytes.p, t->bytes.n)) {
        avifDecoderDestroy(d);
        return NULL;
    }
    return d;
}

/* The orientation that irot (anti-clockwise quarters) and then imir make. */
static unsigned orientation_of(const avifImage *m)
{
    static const uint8_t table[4][3] = {
        {1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}};
    unsigned angle =
        m->transformFlags & AVIF_TRANSFORM_IROT ? m->irot.angle & 3u : 0;
    unsigned mirror =
        m->transformFlags & AVIF_TRANSFORM_IMIR ? 1 + (m->imir.mode & 1u) : 0;

    return table[angle][mirror];
}

static enum image_reason convert(struct image_task *t, avifDecoder *d)
{
    struct image *m = &t->out;
    bool alpha = d->image->alphaPlane != NULL;
    avifRGBImage rgb;
    enum image_reason r;

    t->kind = alpha && t->room ? IMAGE_ALPHA : IMAGE_PLAIN;
    r = image_task_alloc(t, d->image->width, d->image->height, alpha ? 4 : 3);
    if (r)
        return r;
    avifRGBImageSetDefaults(&rgb, d->image);
    rgb.depth = 8;
    rgb.format = alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.pixels = m->rgb;
    rgb.rowBytes = (uint32_t)m->stride;
    r = reason_of(avifImageYUVToRGB(d->image, &rgb));
    if (!r && alpha && !t->room)
        image_drop_alpha(m);
    return r;
}

/* The clean aperture, or all of it; a box that is out of bounds is as none. */
static avifCropRect aperture(const avifImage *m)
{
    avifCropRect box, all = {0, 0, m->width, m->height};
    avifDiagnostics diag;

    avifDiagnosticsClearError(&diag);
    if (m->transformFlags & AVIF_TRANSFORM_CLAP &&
        avifCropRectConvertCleanApertureBox(&box, &m->clap, m->width, m->height,
                                            m->yuvFormat, &diag))
        return box;
    return all;
}

/* In place: rows only move towards the beginning. */
static void crop(struct image *m, const avifCropRect *box, size_t pixel_bytes)
{
    size_t stride = box->width * pixel_bytes;
    const uint8_t *from = m->rgb + box->y * m->stride + box->x * pixel_bytes;

    for (uint32_t y = 0; y < box->height; y++)
        memmove(m->rgb + y * stride, from + y * m->stride, stride);
    *m = (struct image){box->width, box->height, stride, m->rgb};
}

static enum image_reason read_all(struct image_task *t, avifDecoder *d)
{
    avifImage *m = d->image;
    uint32_t width = m->width, height = m->height;
    avifCropRect box = aperture(m);
    enum image_reason r = image_task_admit(t, box.width, box.height);

    t->head.animated = d->imageCount > 1;
    if (m->exif.size)
        image_task_exif(t, m->exif.data, m->exif.size);
    t->head.orientation = orientation_of(m);
    t->grey = m->yuvFormat == AVIF_PIXEL_FORMAT_YUV400;
    if (m->icc.size)
        image_task_icc(t, m->icc.data, m->icc.size);
    if (r || t->header_only)
        return r;
    r = reason_of(avifDecoderNextImage(d));
    if (r)
        return r;
    if (d->image->width != width || d->image->height != height)
        return IMAGE_CORRUPT; /* not the picture that was announced */
    r = convert(t, d);
    if (!r)
        crop(&t->out, &box, image_kind_bytes(t->kind));
    return r;
}

enum image_reason image_avif_read(struct image_task *t)
{
    uint64_t limit = t->options->limits.max_pixels;
    avifDecoder *d;
    enum image_reason r;

    if (limit > AVIF_DEFAULT_IMAGE_SIZE_LIMIT)
        limit = AVIF_DEFAULT_IMAGE_SIZE_LIMIT; /* it takes no more */
    d = open_decoder(t, (uint32_t)limit);
    if (!d)
        return IMAGE_MEMORY;
    r = reason_of(avifDecoderParse(d));
    if (!r) {
        r = read_all(t, d);
    } else {
        /* Too large and malformed look alike: ask again with more room. */
        avifDecoderDestroy(d);
        d = open_decoder(t, AVIF_DEFAULT_IMAGE_SIZE_LIMIT);
        if (!d)
            return IMAGE_MEMORY;
        if (!avifDecoderParse(d) &&
            (uint64_t)d->image->width * d->image->height > limit)
            r = image_task_admit(t, d->image->width, d->image->height);
    }
    avifDecoderDestroy(d);
    return r;
}
