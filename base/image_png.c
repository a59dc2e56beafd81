/*
 * PNG in, by libpng.
 *
 * Every chunk must be there up to IEND, critical CRCs and the zlib checksum
 * must hold; ancillary chunks with a bad CRC are left out.  gAMA, cHRM and cICP
 * are not applied (as in Pillow and OpenCV); iCCP is.  Of an animation the
 * default image is read.  16-bit samples keep their high byte, as in Pillow.
 */
#include <setjmp.h>
#include <stdlib.h>

#include <png.h>

#include "base/image_codec.h"

#define SIGNATURE       8
#define CHUNK_FRAME     12          /* length, type, CRC */
#define CHUNK_BYTES_MAX (8u << 20)  /* one chunk, and what it inflates to */
#define TAIL_BYTES_MAX  (64u << 10) /* image data behind the last row */

struct reader {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    struct image_task *task;
    size_t at;                /* bytes read */
    size_t tail;              /* IDAT bytes that may still be read */
    uint8_t *row;             /* RGBA */
    enum image_reason reason; /* set before a jump; IMAGE_OK: corrupt */
};

static uint32_t be32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 |
           b[3];
}

/* Walk the chunks without reading them: are they all there, and how many? */
static enum image_reason walk(struct image_task *t)
{
    struct str s = t->bytes;
    size_t at = SIGNATURE;

    for (uint32_t n = 0; n < t->options->limits.max_chunks; n++) {
        uint32_t size;

        if (s.n - at < CHUNK_FRAME)
            return IMAGE_TRUNCATED;
        size = be32(s.p + at);
        if (size > s.n - at - CHUNK_FRAME)
            return IMAGE_TRUNCATED;
        if (memcmp(s.p + at + 4, "acTL", 4) == 0)
            t->head.animated = true;
        if (memcmp(s.p + at + 4, "IEND", 4) == 0)
            return IMAGE_OK;
        at += CHUNK_FRAME + size;
    }
    return IMAGE_WORK;
}

static void on_error(png_structp png, png_const_charp message)
{
    struct reader *r = png_get_error_ptr(png);

    (void)message;
    if (!r->reason)
        r->reason = IMAGE_CORRUPT;
    longjmp(r->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep to, png_size_t n)
{
    struct reader *r = png_get_io_ptr(png);
    struct str s = r->task->bytes;

    if (n > s.n - r->at) {
        r->reason = IMAGE_TRUNCATED;
        png_error(png, "end of file");
    }
    /* libpng inflates what stands behind the last row to throw it away; a few
     * megabytes could become gigabytes. */
    if (png_get_io_chunk_type(png) == 0x49444154 /* IDAT */) {
        if (n > r->tail) {
            r->reason = IMAGE_WORK;
            png_error(png, "data behind the last row");
        }
        r->tail -= n;
    }
    memcpy(to, s.p + r->at, n);
    r->at += n;
}

static enum image_kind kind_of(const struct reader *r)
{
    unsigned depth = png_get_bit_depth(r->png, r->info);
    unsigned type = png_get_color_type(r->png, r->info);

    if (type & PNG_COLOR_MASK_ALPHA)
        return IMAGE_ALPHA;
    if (type == PNG_COLOR_TYPE_PALETTE || depth == 1)
        return IMAGE_INDEXED;
    return type == PNG_COLOR_TYPE_GRAY && depth == 16 ? IMAGE_DEEP
                                                      : IMAGE_PLAIN;
}

/* An index behind the palette is the grey of its number, as in Pillow. */
static void fill_palette(struct reader *r)
{
    int entries = 1 << png_get_bit_depth(r->png, r->info), n;
    png_color full[256];
    png_colorp palette;

    if (!png_get_PLTE(r->png, r->info, &palette, &n))
        return;
    for (int i = 0; i < entries; i++)
        if (i < n)
            full[i] = palette[i];
        else
            full[i].red = full[i].green = full[i].blue = (png_byte)i;
    png_set_PLTE(r->png, r->info, full, entries);
}

/* Bring every kind of PNG to 8-bit RGB or RGBA rows, but for raw deep ones;
 * returns its channels. */
static unsigned normalise(struct reader *r)
{
    if (r->task->room)
        r->task->kind = kind_of(r);
    if (r->task->kind == IMAGE_INDEXED)
        fill_palette(r);
    if (r->task->kind == IMAGE_DEEP) {
        if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            png_set_swap(r->png);
    } else {
        png_set_expand(r->png); /* palettes, 1, 2, 4 bits, tRNS */
        png_set_strip_16(r->png);
        png_set_gray_to_rgb(r->png);
    }
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    return png_get_channels(r->png, r->info);
}

static void read_rows(struct reader *r, unsigned channels)
{
    struct image *m = &r->task->out;
    uint32_t height = r->task->head.height, width = r->task->head.width;
    bool interlaced =
        png_get_interlace_type(r->png, r->info) != PNG_INTERLACE_NONE;
    int passes = interlaced ? 7 : 1;
    bool direct = channels == 3 || interlaced;

    if (interlaced && channels == 4)
        r->reason = image_alloc_rgba(m, width, height);
    else
        r->reason = image_alloc(m, width, height);
    if (!r->reason && !direct) {
        r->row = malloc((size_t)width * 4);
        r->reason = r->row ? IMAGE_OK : IMAGE_MEMORY;
    }
    if (r->reason)
        png_error(r->png, "memory");
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < height; y++) {
            uint8_t *to = m->rgb + y * m->stride;

            if (pass + 1 == passes && y + 1 == height)
                r->tail =
                    TAIL_BYTES_MAX + 2 * png_get_rowbytes(r->png, r->info);
            png_read_row(r->png, direct ? to : r->row, NULL);
            if (!direct)
                image_over_white(r->row, to, width);
        }
    if (interlaced && channels == 4)
        image_drop_alpha(m);
}

/* From 16 bits to 32 in place: pixels stand close at the row's beginning. */
static void spread(struct image *m)
{
    for (uint32_t y = 0; y < m->height; y++) {
        uint8_t *row = m->rgb + y * m->stride;

        for (size_t x = m->width; x-- > 0;) {
            uint16_t narrow;
            uint32_t wide;

            memcpy(&narrow, row + 2 * x, sizeof narrow);
            wide = narrow;
            memcpy(row + 4 * x, &wide, sizeof wide);
        }
    }
}

static void read_raw(struct reader *r)
{
    struct image *m = &r->task->out;
    bool interlaced =
        png_get_interlace_type(r->png, r->info) != PNG_INTERLACE_NONE;

    r->reason =
        image_task_alloc(r->task, r->task->head.width, r->task->head.height,
                         image_kind_bytes(r->task->kind));
    if (r->reason)
        png_error(r->png, "memory");
    for (int passes = interlaced ? 7 : 1; passes > 0; passes--)
        for (uint32_t y = 0; y < m->height; y++) {
            if (passes == 1 && y + 1 == m->height)
                r->tail =
                    TAIL_BYTES_MAX + 2 * png_get_rowbytes(r->png, r->info);
            png_read_row(r->png, m->rgb + y * m->stride, NULL);
        }
    if (r->task->kind == IMAGE_DEEP)
        spread(m);
}

static void read_metadata(struct reader *r)
{
    png_charp name;
    png_bytep bytes;
    png_uint_32 n;
    int method;

    if (png_get_iCCP(r->png, r->info, &name, &method, &bytes, &n))
        image_task_icc(r->task, bytes, n);
    if (png_get_eXIf_1(r->png, r->info, &n, &bytes))
        image_task_exif(r->task, bytes, n);
}

static void read_all(struct reader *r)
{
    /* Text can be large and is not ours. */
    static const png_byte unread[] = "tEXt\0zTXt\0iTXt\0sPLT\0hIST\0tIME\0"
                                     "pCAL\0sCAL\0oFFs\0pHYs\0tRNS";
    bool raw = r->task->room != NULL; /* without tRNS */
    unsigned channels;

    png_set_read_fn(r->png, r, read_bytes);
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(r->png, CHUNK_BYTES_MAX);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, unread,
                                (int)(sizeof unread / 5) - !raw);
    png_set_benign_errors(r->png, 1);
    r->tail = SIZE_MAX;
    png_read_info(r->png, r->info);
    r->task->grey =
        !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR);
    channels = normalise(r);
    if (raw)
        read_raw(r);
    else
        read_rows(r, channels);
    png_read_end(r->png, r->info);
    read_metadata(r); /* eXIf may stand at the end */
}

enum image_reason image_png_read(struct image_task *t)
{
    struct reader r = {.task = t};
    enum image_reason reason;

    if (t->bytes.n < SIGNATURE + CHUNK_FRAME + 13)
        return IMAGE_TRUNCATED;
    if (memcmp(t->bytes.p + SIGNATURE, "\0\0\0\rIHDR", 8) != 0)
        return IMAGE_CORRUPT;
    reason = image_task_admit(t, be32(t->bytes.p + 16), be32(t->bytes.p + 20));
    if (reason || t->header_only)
        return reason;
    reason = walk(t);
    if (reason)
        return reason;
    if (setjmp(r.jump) == 0) {
        r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error,
                                       on_warning);
        r.info = r.png ? png_create_info_struct(r.png) : NULL;
        if (r.info)
            read_all(&r);
        else
            r.reason = IMAGE_MEMORY;
    }
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.row);
    return r.reason;
}
