/*
 * GIF in, by giflib: the first frame on the logical screen, transparent and
 * uncovered pixels white.  A first frame that leaves the screen widens it, as
 * in browsers and in Pillow.
 *
 * A file that ends inside a block is truncated; one that ends between blocks
 * without its trailer has its first frame whole and passes.
 */
#include <stdlib.h>

#include <gif_lib.h>

#include "base/image_codec.h"

#define HEADER        13 /* signature and logical screen */
#define TRAILER       0x3b
#define EXTENSION     0x21
#define DESCRIPTOR    0x2c
#define HAS_TABLE     0x80
#define TABLE_SIZE(x) (3u << (((x)&7) + 1))

struct reader {
    struct str bytes;
    size_t at;
    GifFileType *gif;
    int transparent; /* index, or -1 */
    bool raw;        /* as Pillow has it, see begin_raw() */
};

static unsigned le16(const char *p)
{
    return (unsigned)(uint8_t)p[0] | (unsigned)(uint8_t)p[1] << 8;
}

/* Pass a chain of sub-blocks; false when it leaves the file. */
static bool skip_blocks(struct str s, size_t *at, uint32_t *budget)
{
    while (*at < s.n) {
        size_t n = (uint8_t)s.p[(*at)++];

        if (n == 0)
            return true;
        *at += n;
        /* 255 data blocks count as one: they cost next to nothing */
        if (n < 128 && --*budget == 0)
            return false;
    }
    return false;
}

struct outline {
    uint32_t width, height; /* of the screen, widened */
};

static void widen(struct str s, size_t descriptor, struct outline *o)
{
    const char *d = s.p + descriptor;
    uint32_t right = le16(d + 1) + le16(d + 5);
    uint32_t bottom = le16(d + 3) + le16(d + 7);

    o->width = le16(s.p + 6) > right ? le16(s.p + 6) : right;
    o->height = le16(s.p + 8) > bottom ? le16(s.p + 8) : bottom;
    if (le16(s.p + 6) == 0 || le16(s.p + 8) == 0)
        o->width = o->height = 0; /* no screen, no picture */
}

/* Count frames and blocks, and see whether the last of them is whole. */
static enum image_reason walk(struct image_task *t, struct outline *o)
{
    const struct image_limits *l = &t->options->limits;
    struct str s = t->bytes;
    size_t at = HEADER;
    uint32_t frames = 0, budget = l->max_chunks;

    if (s.p[10] & HAS_TABLE)
        at += TABLE_SIZE(s.p[10]);
    while (at < s.n && (uint8_t)s.p[at] != TRAILER) {
        switch ((uint8_t)s.p[at]) {
        case EXTENSION:
            at += 2;
            break;
        case DESCRIPTOR:
            if (++frames > l->max_frames)
                return IMAGE_WORK;
            if (s.n - at < 11)
                return IMAGE_TRUNCATED;
            if (frames == 1)
                widen(s, at, o);
            at += 11 + (s.p[at + 9] & HAS_TABLE ? TABLE_SIZE(s.p[at + 9]) : 0);
            break;
        default:
            if (frames == 0)
                return IMAGE_CORRUPT;
            at = s.n; /* rubbish behind a whole frame, as viewers see it */
            continue;
        }
        if (!skip_blocks(s, &at, &budget))
            return budget ? IMAGE_TRUNCATED : IMAGE_WORK;
    }
    t->head.animated = frames > 1;
    if (at > s.n || frames == 0)
        return IMAGE_TRUNCATED;
    return IMAGE_OK;
}

static int read_bytes(GifFileType *gif, GifByteType *to, int n)
{
    struct reader *r = gif->UserData;

    if (n < 0 || (size_t)n > r->bytes.n - r->at)
        return 0;
    memcpy(to, r->bytes.p + r->at, (size_t)n);
    r->at += (size_t)n;
    return n;
}

static enum image_reason reason_of(int error)
{
    switch (error) {
    case D_GIF_ERR_NOT_ENOUGH_MEM:
        return IMAGE_MEMORY;
    case D_GIF_ERR_READ_FAILED:
    case D_GIF_ERR_EOF_TOO_SOON:
    case D_GIF_ERR_NO_SCRN_DSCR:
        return IMAGE_TRUNCATED;
    default:
        return IMAGE_CORRUPT;
    }
}

/* Read up to the first frame's descriptor. */
static enum image_reason find_frame(struct reader *r)
{
    GifRecordType type;
    GifByteType *block;
    GraphicsControlBlock control;
    int code;

    for (;;) {
        if (DGifGetRecordType(r->gif, &type) == GIF_ERROR)
            return reason_of(r->gif->Error);
        if (type == IMAGE_DESC_RECORD_TYPE)
            break;
        if (type != EXTENSION_RECORD_TYPE)
            return IMAGE_TRUNCATED; /* the trailer: no frame at all */
        if (DGifGetExtension(r->gif, &code, &block) == GIF_ERROR)
            return reason_of(r->gif->Error);
        if (code == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 &&
            DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
            r->transparent = control.TransparentColor;
        while (block)
            if (DGifGetExtensionNext(r->gif, &block) == GIF_ERROR)
                return reason_of(r->gif->Error);
    }
    if (DGifGetImageDesc(r->gif) == GIF_ERROR)
        return reason_of(r->gif->Error);
    return IMAGE_OK;
}

/* What stands for an index behind the palette is the caller's. */
static void put_colour(const ColorMapObject *map, int index, int behind,
                       uint8_t *to)
{
    if (index < map->ColorCount) {
        to[0] = map->Colors[index].Red;
        to[1] = map->Colors[index].Green;
        to[2] = map->Colors[index].Blue;
    } else {
        memset(to, behind, 3);
    }
}

/* One line of indices onto the canvas, clipped. */
static void put_line(const struct reader *r, const GifByteType *line,
                     uint32_t y, struct image *m)
{
    const GifImageDesc *d = &r->gif->Image;
    const ColorMapObject *map = d->ColorMap ? d->ColorMap : r->gif->SColorMap;
    uint64_t row = (uint64_t)d->Top + y;
    uint8_t *to;

    if (row >= m->height || (uint32_t)d->Left >= m->width)
        return;
    to = m->rgb + row * m->stride + (size_t)d->Left * 3;
    for (int x = 0; x < d->Width && (uint32_t)(d->Left + x) < m->width;
         x++, to += 3) {
        if (line[x] != r->transparent)
            put_colour(map, line[x], r->raw ? line[x] : 0, to);
    }
}

static enum image_reason read_lines(struct reader *r, struct image *m)
{
    static const uint32_t first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    const GifImageDesc *d = &r->gif->Image;
    uint32_t height = (uint32_t)d->Height;
    int passes = d->Interlace ? 4 : 1;
    GifByteType *line = malloc((size_t)d->Width);

    if (!line)
        return IMAGE_MEMORY;
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = d->Interlace ? first[pass] : 0; y < height;
             y += d->Interlace ? step[pass] : 1) {
            if (DGifGetLine(r->gif, line, d->Width) == GIF_ERROR) {
                free(line);
                return reason_of(r->gif->Error);
            }
            put_line(r, line, y, m);
        }
    free(line);
    return IMAGE_OK;
}

/* As Pillow has it: a palette that counts from black to white is no palette;
 * transparent pixels have a colour like any other, and it, or the first one,
 * is under the frame. */
static void begin_raw(struct image_task *t, struct reader *r)
{
    const ColorMapObject *map =
        r->gif->Image.ColorMap ? r->gif->Image.ColorMap : r->gif->SColorMap;
    struct image *m = &t->out;
    uint8_t under[3];
    int background;

    t->kind = IMAGE_PLAIN;
    for (int i = 0; i < map->ColorCount; i++)
        if (map->Colors[i].Red != i || map->Colors[i].Green != i ||
            map->Colors[i].Blue != i)
            t->kind = IMAGE_INDEXED;
    background = r->transparent < 0 ? 0 : r->transparent;
    put_colour(map, background, background, under);
    r->transparent = -1;
    r->raw = true;
    for (size_t at = 0; at < m->stride * m->height; at += 3)
        memcpy(m->rgb + at, under, 3);
}

static enum image_reason read_frame(struct image_task *t, struct reader *r)
{
    enum image_reason reason = find_frame(r);
    const GifImageDesc *d = &r->gif->Image;

    if (reason)
        return reason;
    if (d->Width <= 0 || d->Height <= 0)
        return IMAGE_CORRUPT;
    if ((uint64_t)d->Width * (uint64_t)d->Height >
        t->options->limits.max_pixels)
        return IMAGE_LARGE;
    if (!d->ColorMap && !r->gif->SColorMap)
        return IMAGE_CORRUPT;
    reason = image_task_alloc(t, t->head.width, t->head.height, 3);
    if (reason)
        return reason;
    if (t->room)
        begin_raw(t, r);
    else
        memset(t->out.rgb, 255, t->out.stride * t->out.height);
    return read_lines(r, &t->out);
}

enum image_reason image_gif_read(struct image_task *t)
{
    struct reader r = {.bytes = t->bytes, .transparent = -1};
    struct outline o = {0, 0};
    enum image_reason walked, reason;
    int error = 0;

    if (t->bytes.n < HEADER)
        return IMAGE_TRUNCATED;
    o.width = le16(t->bytes.p + 6);
    o.height = le16(t->bytes.p + 8);
    walked = walk(t, &o);
    reason = image_task_admit(t, o.width, o.height);
    if (reason || t->header_only)
        return reason;
    if (walked)
        return walked;
    r.gif = DGifOpen(&r, read_bytes, &error);
    if (!r.gif)
        return reason_of(error);
    reason = read_frame(t, &r);
    DGifCloseFile(r.gif, &error);
    return reason;
}
