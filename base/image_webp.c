/*
 * WebP in, by libwebp: lossy, lossless, alpha, and of an animation the first
 * frame on its canvas.
 */
#include <stdlib.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "base/image_codec.h"

static enum image_reason reason_of(VP8StatusCode status)
{
    switch (status) {
    case VP8_STATUS_OK:
        return IMAGE_OK;
    case VP8_STATUS_OUT_OF_MEMORY:
        return IMAGE_MEMORY;
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return IMAGE_TRUNCATED;
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return IMAGE_UNSUPPORTED;
    default:
        return IMAGE_CORRUPT;
    }
}

/* The RIFF header says how long the file is; a byte of padding may be
 * missing. */
static bool is_cut(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p + 4;
    uint64_t size = (uint64_t)p[0] | (uint64_t)p[1] << 8 |
                    (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;

    return s.n < 12 || size + 8 > s.n + 1;
}

/* Into m, which is of the frame's size or larger. */
static enum image_reason decode(const WebPIterator *frame, bool rgba,
                                const struct image *m)
{
    WebPDecoderConfig c;

    if (!WebPInitDecoderConfig(&c))
        return IMAGE_UNSUPPORTED; /* header and library do not match */
    c.output.colorspace = rgba ? MODE_RGBA : MODE_RGB;
    c.output.is_external_memory = 1;
    c.output.u.RGBA.rgba = m->rgb;
    c.output.u.RGBA.stride = (int)m->stride;
    c.output.u.RGBA.size =
        m->stride * (m->height - 1) + (size_t)frame->width * (rgba ? 4 : 3);
    return reason_of(
        WebPDecode(frame->fragment.bytes, frame->fragment.size, &c));
}

/* Put a frame of RGBA at its place on a white canvas. */
static enum image_reason place(struct image_task *t, const WebPIterator *frame,
                               const struct image *rgba)
{
    enum image_reason r = image_alloc(&t->out, t->head.width, t->head.height);
    size_t left = (size_t)frame->x_offset, top = (size_t)frame->y_offset;

    if (r)
        return r;
    memset(t->out.rgb, 255, t->out.stride * t->out.height);
    for (uint32_t y = 0; y < rgba->height; y++)
        image_over_white(rgba->rgb + y * rgba->stride,
                         t->out.rgb + (top + y) * t->out.stride + left * 3,
                         rgba->width);
    return IMAGE_OK;
}

/* The frame at its place on a canvas that is clear and black. */
static enum image_reason decode_raw(struct image_task *t,
                                    const WebPIterator *frame, bool alpha)
{
    size_t bytes = alpha ? 4 : 3;
    enum image_reason r =
        image_task_alloc(t, t->head.width, t->head.height, bytes);
    struct image at;

    if (r)
        return r;
    t->kind = alpha ? IMAGE_ALPHA : IMAGE_PLAIN;
    memset(t->out.rgb, 0, t->out.stride * t->out.height);
    at = t->out;
    at.height = (uint32_t)frame->height;
    at.rgb +=
        (size_t)frame->y_offset * at.stride + (size_t)frame->x_offset * bytes;
    return decode(frame, alpha, &at);
}

static enum image_reason decode_frame(struct image_task *t,
                                      const WebPIterator *frame)
{
    uint32_t w = (uint32_t)frame->width, h = (uint32_t)frame->height;
    bool whole = w == t->head.width && h == t->head.height;
    struct image rgba = IMAGE_INIT;
    enum image_reason r;

    if (whole) {
        r = image_task_alloc(t, w, h, frame->has_alpha ? 4 : 3);
        if (!r)
            r = decode(frame, frame->has_alpha, &t->out);
        if (!r && frame->has_alpha)
            image_drop_alpha(&t->out);
        return r;
    }
    r = image_alloc_rgba(&rgba, w, h);
    if (!r)
        r = decode(frame, true, &rgba);
    if (!r)
        r = place(t, frame, &rgba);
    image_release(&rgba);
    return r;
}

static enum image_reason read_frame(struct image_task *t, WebPDemuxer *demux,
                                    bool alpha)
{
    WebPIterator frame;
    enum image_reason r;

    if (WebPDemuxGetI(demux, WEBP_FF_FRAME_COUNT) >
        t->options->limits.max_frames)
        return IMAGE_WORK;
    if (!WebPDemuxGetFrame(demux, 1, &frame))
        return IMAGE_CORRUPT;
    if (!frame.complete)
        r = IMAGE_TRUNCATED;
    else if ((uint32_t)(frame.x_offset + frame.width) > t->head.width ||
             (uint32_t)(frame.y_offset + frame.height) > t->head.height)
        r = IMAGE_CORRUPT;
    else
        r = t->room ? decode_raw(t, &frame, alpha) : decode_frame(t, &frame);
    WebPDemuxReleaseIterator(&frame);
    return r;
}

static void read_metadata(struct image_task *t, WebPDemuxer *demux)
{
    WebPChunkIterator chunk;

    if (WebPDemuxGetChunk(demux, "ICCP", 1, &chunk)) {
        image_task_icc(t, chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    if (WebPDemuxGetChunk(demux, "EXIF", 1, &chunk)) {
        image_task_exif(t, chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
}

enum image_reason image_webp_read(struct image_task *t)
{
    WebPData data = {(const uint8_t *)t->bytes.p, t->bytes.n};
    WebPBitstreamFeatures f;
    WebPDemuxer *demux;
    enum image_reason r;

    r = reason_of(WebPGetFeatures(data.bytes, data.size, &f));
    if (r)
        return r;
    t->head.animated = f.has_animation;
    r = image_task_admit(t, (uint32_t)f.width, (uint32_t)f.height);
    if (r || t->header_only)
        return r;
    if (is_cut(t->bytes))
        return IMAGE_TRUNCATED;
    demux = WebPDemux(&data);
    if (!demux)
        return IMAGE_CORRUPT;
    r = read_frame(t, demux, f.has_alpha);
    if (!r)
        read_metadata(t, demux);
    WebPDemuxDelete(demux);
    return r;
}
