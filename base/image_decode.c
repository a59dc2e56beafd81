/* Sniffing, limits, and the way from a format to its reader. */
#include <assert.h>
#include <stdlib.h>

#include "base/image_codec.h"

#define EXIF_BLOCK_MAX (1u << 20) /* bytes; a larger EXIF block is ignored */

/* ---- sniffing ---- */

struct magic {
    const char *bytes;
    size_t n, at;
    enum image_format format; /* IMAGE_FORMAT_NONE: an image we do not read */
};

#define MAGIC(literal, at, format)                                             \
    {                                                                          \
        literal, sizeof(literal) - 1, at, format                               \
    }

static const struct magic magics[] = {
    MAGIC("\xff\xd8\xff", 0, IMAGE_JPEG),
    MAGIC("\x89PNG\r\n\x1a\n", 0, IMAGE_PNG),
    MAGIC("WEBPVP8", 8, IMAGE_WEBP), /* with RIFF in front, see below */
    MAGIC("GIF87a", 0, IMAGE_GIF),
    MAGIC("GIF89a", 0, IMAGE_GIF),
    MAGIC("ftypavif", 4, IMAGE_AVIF),
    MAGIC("ftypavis", 4, IMAGE_AVIF),
    MAGIC("ftyphei", 4, IMAGE_FORMAT_NONE),
    MAGIC("ftyphev", 4, IMAGE_FORMAT_NONE),
    MAGIC("ftypmif1", 4, IMAGE_FORMAT_NONE),
    MAGIC("ftypmsf1", 4, IMAGE_FORMAT_NONE),
    MAGIC("BM", 0, IMAGE_FORMAT_NONE),
    MAGIC("\0\0\1\0", 0, IMAGE_FORMAT_NONE),       /* ICO */
    MAGIC("\0\0\2\0", 0, IMAGE_FORMAT_NONE),       /* CUR */
    MAGIC("II*\0", 0, IMAGE_FORMAT_NONE),          /* TIFF */
    MAGIC("MM\0*", 0, IMAGE_FORMAT_NONE),          /* TIFF */
    MAGIC("II+\0", 0, IMAGE_FORMAT_NONE),          /* BigTIFF */
    MAGIC("MM\0+", 0, IMAGE_FORMAT_NONE),          /* BigTIFF */
    MAGIC("\xff\x0a", 0, IMAGE_FORMAT_NONE),       /* JPEG XL */
    MAGIC("\0\0\0\x0cJXL ", 0, IMAGE_FORMAT_NONE), /* JPEG XL */
    MAGIC("\0\0\0\x0cjP  ", 0, IMAGE_FORMAT_NONE), /* JPEG 2000 */
    MAGIC("\xff\x4f\xff\x51", 0, IMAGE_FORMAT_NONE),
    MAGIC("8BPS", 0, IMAGE_FORMAT_NONE), /* Photoshop */
    MAGIC("\x8aMNG", 0, IMAGE_FORMAT_NONE),
    MAGIC("\x8bJNG", 0, IMAGE_FORMAT_NONE),
    MAGIC("qoif", 0, IMAGE_FORMAT_NONE),
    MAGIC("gimp xcf", 0, IMAGE_FORMAT_NONE),
    MAGIC("DDS ", 0, IMAGE_FORMAT_NONE),
};

static bool has_magic(struct str s, const struct magic *m)
{
    return s.n >= m->at + m->n && memcmp(s.p + m->at, m->bytes, m->n) == 0;
}

/* An ISO file whose first brand is a general one may name avif among the
 * compatible brands: box size, "ftyp", major, minor, compatible... */
static bool has_avif_brand(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    size_t end;

    if (s.n < 16 || memcmp(p + 4, "ftyp", 4) != 0)
        return false;
    end = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (end > s.n)
        end = s.n;
    for (size_t at = 16; at + 4 <= end; at += 4)
        if (memcmp(p + at, "avif", 4) == 0 || memcmp(p + at, "avis", 4) == 0)
            return true;
    return false;
}

/* "<svg" as the first element, behind an XML declaration, comments, DOCTYPE;
 * what an HTML page draws inside itself is no SVG file. */
static bool is_svg(struct str s)
{
    s = str_slice(s, 0, 4096);
    if (str_starts(s, STR("\xef\xbb\xbf")))
        s = str_slice(s, 3, s.n);
    for (;;) {
        size_t end;

        s = str_trim(s);
        if (str_starts(s, STR("<svg")))
            return true;
        if (str_starts(s, STR("<!--"))) {
            end = str_find(s, STR("-->"), 4);
        } else if (str_starts(s, STR("<!DOCTYPE svg"))) {
            return true;
        } else if (str_starts(s, STR("<?xml"))) {
            end = str_find(s, STR(">"), 0);
        } else {
            return false;
        }
        if (end == SIZE_MAX)
            return false;
        s = str_slice(s, end + (s.p[end] == '-' ? 3 : 1), s.n);
    }
}

enum image_reason image_sniff(struct str bytes, enum image_format *format)
{
    *format = IMAGE_FORMAT_NONE;
    if (bytes.n == 0)
        return IMAGE_EMPTY;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        const struct magic *m = &magics[i];

        if (!has_magic(bytes, m))
            continue;
        if (m->format == IMAGE_WEBP && !str_starts(bytes, STR("RIFF")))
            continue;
        *format = m->format;
        if (!m->format && has_avif_brand(bytes))
            *format = IMAGE_AVIF;
        return *format ? IMAGE_OK : IMAGE_UNSUPPORTED;
    }
    return is_svg(bytes) ? IMAGE_UNSUPPORTED : IMAGE_NOT;
}

/* ---- limits ---- */

enum image_reason image_task_admit(struct image_task *t, uint32_t width,
                                   uint32_t height)
{
    const struct image_limits *l = &t->options->limits;
    uint32_t shorter = width < height ? width : height;
    uint32_t longer = width < height ? height : width;

    t->head.width = width;
    t->head.height = height;
    if (shorter == 0)
        return IMAGE_CORRUPT;
    if ((uint64_t)width * height > l->max_pixels)
        return IMAGE_LARGE;
    if (shorter < l->min_side)
        return IMAGE_SMALL;
    /* Products of a 32-bit integer: exact enough to be the same everywhere. */
    if (l->max_aspect > 0 && (double)longer > l->max_aspect * (double)shorter)
        return IMAGE_ASPECT;
    return IMAGE_OK;
}

void image_task_icc(struct image_task *t, const void *p, size_t n)
{
    t->head.has_icc = true;
    if (n <= IMAGE_ICC_MAX && t->icc.n == 0)
        buf_add_bytes(&t->icc, p, n);
}

void image_task_exif(struct image_task *t, const void *p, size_t n)
{
    struct str s = str_make(p, n);

    if (str_starts(s, STR("Exif\0\0"))) /* WebP and PNG writers add it */
        s = str_slice(s, 6, s.n);
    if (s.n > EXIF_BLOCK_MAX || t->exif.n != 0)
        return;
    buf_add(&t->exif, s);
    t->head.orientation = image_exif_orientation(s);
}

enum image_reason image_task_alloc(struct image_task *t, uint32_t width,
                                   uint32_t height, size_t pixel_bytes)
{
    size_t n = (size_t)width * height * pixel_bytes; /* admitted: no overflow */
    enum image_reason r;

    if (!t->room)
        return pixel_bytes == 4 ? image_alloc_rgba(&t->out, width, height)
                                : image_alloc(&t->out, width, height);
    r = image_room_need(t->room, n);
    if (!r)
        t->out = (struct image){width, height, width * pixel_bytes, t->room->p};
    return r;
}

/* ---- running a reader ---- */

static enum image_reason (*const readers[IMAGE_FORMATS])(
    struct image_task *) = {
    [IMAGE_JPEG] = image_jpeg_read, [IMAGE_PNG] = image_png_read,
    [IMAGE_WEBP] = image_webp_read, [IMAGE_GIF] = image_gif_read,
    [IMAGE_AVIF] = image_avif_read,
};

enum image_reason image_task_run(struct image_task *t)
{
    enum image_reason r;

    t->head = (struct image_header){.orientation = 1};
    t->out = (struct image)IMAGE_INIT;
    buf_init(&t->icc, IMAGE_ICC_MAX);
    buf_init(&t->exif, EXIF_BLOCK_MAX);
    t->in_srgb = t->grey = false;
    if (t->bytes.n > t->options->limits.max_bytes)
        return IMAGE_BYTES;
    r = image_sniff(t->bytes, &t->head.format);
    if (r)
        return r;
    r = readers[t->head.format](t);
    if (!r && (t->icc.rc || t->exif.rc))
        r = IMAGE_MEMORY;
    return r;
}

void image_task_release(struct image_task *t)
{
    if (!t->room)
        image_release(&t->out);
    buf_release(&t->icc);
    buf_release(&t->exif);
}

enum image_reason image_header(struct str bytes,
                               const struct image_limits *limits,
                               struct image_header *h)
{
    struct image_decode_options o = {.limits = *limits};
    struct image_task t = {.bytes = bytes, .options = &o, .header_only = true};
    enum image_reason r = image_task_run(&t);

    *h = t.head;
    image_task_release(&t);
    return r;
}

enum image_reason image_decode(struct str bytes,
                               const struct image_decode_options *o,
                               struct image *out, struct image_header *h,
                               struct buf *exif)
{
    struct image_task t = {.bytes = bytes, .options = o};
    enum image_reason r = image_task_run(&t);

    *h = t.head;
    if (!r && o->flags & IMAGE_SRGB && !t.in_srgb)
        image_icc_apply(&t.out, buf_str(&t.icc),
                        t.grey ? IMAGE_ICC_GREY : IMAGE_ICC_RGB);
    if (!r && o->flags & IMAGE_ORIENT)
        r = image_orient(&t.out, t.head.orientation);
    if (!r && exif)
        buf_add(exif, buf_str(&t.exif));
    if (!r) {
        *out = t.out;
        t.out = (struct image)IMAGE_INIT;
    }
    image_task_release(&t);
    return r;
}

enum image_reason image_decode_raw(struct str bytes,
                                   const struct image_decode_options *o,
                                   struct image_room *room, struct image *out,
                                   enum image_kind *kind,
                                   struct image_header *h)
{
    struct image_task t = {.bytes = bytes, .options = o, .room = room};
    enum image_reason r = image_task_run(&t);

    *h = t.head;
    *out = t.out;
    *kind = t.kind;
    image_task_release(&t);
    return r;
}
