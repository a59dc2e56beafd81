/*
 * JPEG in, by libjpeg-turbo.
 *
 * The library repairs what it can and only warns.  Here a warning that says
 * "I made up pixels" is a verdict, at once: the work on a broken file ends
 * where it breaks.  What only says "odd, but nothing is missing" passes.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/image_codec.h"

/* Coefficients that may be visited over all scans, in pixels: ten scans (what
 * encoders write) of the largest picture.  Some seconds of work. */
#define SCAN_PIXELS_MAX (1000u * 1000 * 1000)

#define ROWS   16 /* asked for at a time */
#define AROUND 16 /* pixels: what is wanted is made with so many around it */

struct reader {
    struct jpeg_decompress_struct cinfo; /* first: libjpeg hands it back */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    struct image_task *task;
    struct image_icc *icc; /* for CMYK rows; NULL: by formula or not at all */
    uint8_t *cmyk;         /* one row */
    enum image_reason reason; /* set before a jump */
};

static void leave(struct reader *r, enum image_reason reason)
{
    r->reason = reason;
    longjmp(r->jump, 1);
}

static void on_error(j_common_ptr c)
{
    switch (c->err->msg_code) {
    case JERR_OUT_OF_MEMORY:
    case JERR_WIDTH_OVERFLOW:
        leave((struct reader *)c, IMAGE_MEMORY);
        break;
    case JERR_BAD_PRECISION:      /* 12 and 16 bits */
    case JERR_SOF_UNSUPPORTED:    /* lossless, hierarchical */
    case JERR_ARITH_NOTIMPL:      /* arithmetic coding left out of the build */
    case JERR_CONVERSION_NOTIMPL: /* two components, or five */
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
        leave((struct reader *)c, IMAGE_UNSUPPORTED);
        break;
    case JERR_INPUT_EMPTY:
    case JERR_INPUT_EOF:
        leave((struct reader *)c, IMAGE_TRUNCATED);
        break;
    default:
        leave((struct reader *)c, IMAGE_CORRUPT);
    }
}

static void on_message(j_common_ptr c, int level)
{
    struct reader *r = (struct reader *)c;

    if (level >= 0)
        return; /* trace */
    switch (c->err->msg_code) {
    case JWRN_JPEG_EOF: /* also where only the end marker is missing */
        leave(r, IMAGE_TRUNCATED);
        break;
    case JWRN_HIT_MARKER: /* a segment ends early; before the end marker the
                             rest of the picture is what is missing */
        leave(r, r->cinfo.unread_marker == JPEG_EOI ? IMAGE_TRUNCATED
                                                    : IMAGE_CORRUPT);
        break;
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
        leave(r, IMAGE_CORRUPT);
        break;
    default: /* stray bytes between segments, unknown JFIF or Adobe versions,
                odd SOS parameters, a bad ICC marker: no pixel is missing */
        c->err->num_warnings++;
    }
}

static void on_output(j_common_ptr c)
{
    (void)c; /* libjpeg would print */
}

static void on_progress(j_common_ptr c)
{
    struct reader *r = (struct reader *)c;
    uint64_t scans = (uint64_t)r->cinfo.input_scan_number;
    uint64_t pixels = (uint64_t)r->cinfo.image_width * r->cinfo.image_height;

    if (scans > r->task->options->limits.max_scans ||
        (scans > 1 && scans * pixels > SCAN_PIXELS_MAX))
        leave(r, IMAGE_WORK);
}

/* Orientation and profile stand in APP1 and APP2 before the frame. */
static void read_markers(struct reader *r)
{
    struct image_task *t = r->task;
    JOCTET *icc;
    unsigned icc_bytes;

    for (jpeg_saved_marker_ptr m = r->cinfo.marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 &&
            memcmp(m->data, "Exif\0\0", 6) == 0) {
            image_task_exif(t, m->data, m->data_length);
            break; /* a second one is not ours to judge */
        }
    if (jpeg_read_icc_profile(&r->cinfo, &icc, &icc_bytes)) {
        image_task_icc(t, icc, icc_bytes);
        free(icc);
    }
}

/* 1/2, 1/4, 1/8 have fast transforms of their own; the fractions between do
 * not and are left out. */
static unsigned dct_reduction(const struct reader *r)
{
    const struct image_decode_options *o = r->task->options;
    unsigned n = 8;

    if (!o->keep_width || !o->keep_height)
        return 1;
    while (n > 1 && ((r->cinfo.image_width + n - 1) / n < o->keep_width ||
                     (r->cinfo.image_height + n - 1) / n < o->keep_height))
        n /= 2;
    return n;
}

/* Adobe's way, which is everybody's: stored inverted, so the larger the
 * lighter. */
static void cmyk_row(struct reader *r, const uint8_t *from, uint8_t *to)
{
    uint32_t n = r->cinfo.output_width;

    if (r->icc)
        image_icc_row(r->icc, from, to, n);
    else
        image_light_inks(from, to, n);
}

static void read_rows(struct reader *r)
{
    struct image *m = &r->task->out;
    struct jpeg_decompress_struct *c = &r->cinfo;
    bool cmyk = c->out_color_space == JCS_CMYK;

    if (cmyk) {
        if (r->task->options->flags & IMAGE_SRGB) {
            r->icc =
                image_icc_open(buf_str(&r->task->icc), IMAGE_ICC_CMYK_INVERTED);
        }
        r->task->in_srgb = true; /* or a profile that fits no RGB */
        r->cmyk = malloc((size_t)c->output_width * 4);
        if (!r->cmyk)
            leave(r, IMAGE_MEMORY);
    }
    while (c->output_scanline < c->output_height) {
        uint8_t *to = m->rgb + c->output_scanline * m->stride;
        JSAMPROW row = cmyk ? r->cmyk : to;

        jpeg_read_scanlines(c, &row, 1);
        if (cmyk)
            cmyk_row(r, r->cmyk, to);
    }
}

/* Rows up to `end` as they come, as many at a time as the library makes; x is
 * where they begin. */
static void read_rows_to(struct reader *r, uint32_t x, uint32_t end)
{
    struct image *m = &r->task->out;
    struct jpeg_decompress_struct *c = &r->cinfo;

    while (c->output_scanline < end) {
        uint32_t y = c->output_scanline;
        JSAMPROW rows[ROWS];
        uint32_t n = 0;

        for (; n < ROWS && y + n < end; n++)
            rows[n] = m->rgb + (y + n) * m->stride +
                      x * image_kind_bytes(r->task->kind);
        n = jpeg_read_scanlines(c, rows, n);
        if (n == 0)
            leave(r, IMAGE_CORRUPT); /* it would be for ever */
        if (r->task->kind == IMAGE_INKS)
            for (uint8_t *p = rows[0], *q = p + n * m->stride; p < q; p++)
                *p = (uint8_t)(255 - *p);
    }
}

/*
 * What is not wanted is not transformed.  The library takes the first and the
 * last column that it makes for the picture's edges, and smooths them so: some
 * more are made, which nobody looks at.  Rows are left out whole, but read:
 * a broken picture is refused wherever it is broken, hence the last one, too.
 * The library loses count of rows where it upsamples and converts in one step.
 */
static void read_part(struct reader *r)
{
    const struct image_decode_options *o = r->task->options;
    struct jpeg_decompress_struct *c = &r->cinfo;
    uint32_t width = c->output_width, height = c->output_height;
    struct image_rect want = o->wanted(o->ctx, &r->task->head, width, height);
    uint32_t first = want.y > AROUND ? want.y - AROUND : 0;
    uint32_t end = want.y + want.height;
    JDIMENSION x = want.x > AROUND ? want.x - AROUND : 0, n;

    n = want.x + want.width + AROUND;
    n = (n < width ? n : width) - x;
    jpeg_crop_scanline(c, &x, &n);
    if (first && c->do_fancy_upsampling)
        jpeg_skip_scanlines(c, first);
    read_rows_to(r, x, end);
    if (end + 1 < height && c->do_fancy_upsampling)
        jpeg_skip_scanlines(c, height - end - 1);
    read_rows_to(r, x, height);
}

/* The library's leaving out has its bugs: where there are several scans; with
 * a reduction where four rows or columns share a colour (4:1:0 and the like),
 * which nobody writes. */
static bool can_leave_out(struct jpeg_decompress_struct *c)
{
    return !jpeg_has_multiple_scans(c) && c->max_h_samp_factor <= 2 &&
           c->max_v_samp_factor <= 2;
}

static void read_raw(struct reader *r)
{
    if (r->task->options->wanted && r->task->kind == IMAGE_PLAIN &&
        can_leave_out(&r->cinfo))
        read_part(r);
    else
        read_rows_to(r, 0, r->cinfo.output_height);
}

static enum image_reason read_all(struct reader *r)
{
    struct image_task *t = r->task;
    struct jpeg_decompress_struct *c = &r->cinfo;
    enum image_reason reason;

    jpeg_mem_src(c, (const unsigned char *)t->bytes.p, t->bytes.n);
    if (!t->room) {
        jpeg_save_markers(c, JPEG_APP0 + 1, 0xffff);
        jpeg_save_markers(c, JPEG_APP0 + 2, 0xffff);
    }
    jpeg_read_header(c, TRUE);
    read_markers(r);
    reason = image_task_admit(t, c->image_width, c->image_height);
    if (reason || t->header_only)
        return reason;

    r->progress.progress_monitor = on_progress;
    c->progress = &r->progress;
    t->grey = c->num_components == 1;
    c->out_color_space = c->num_components == 4 ? JCS_CMYK : JCS_RGB;
    c->scale_num = 1;
    c->scale_denom = dct_reduction(r);
    c->do_fancy_upsampling = !(t->options->flags & IMAGE_QUICK);
    jpeg_start_decompress(c);
    t->kind = t->room && c->num_components == 4 ? IMAGE_INKS : IMAGE_PLAIN;
    reason = image_task_alloc(t, c->output_width, c->output_height,
                              image_kind_bytes(t->kind));
    if (reason)
        return reason;
    if (t->room)
        read_raw(r);
    else
        read_rows(r);
    jpeg_finish_decompress(c); /* reads up to the end marker */
    return IMAGE_OK;
}

enum image_reason image_jpeg_read(struct image_task *t)
{
    struct reader r = {.task = t};

    r.cinfo.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.errors.output_message = on_output;
    if (setjmp(r.jump) == 0) {
        jpeg_create_decompress(&r.cinfo);
        r.reason = read_all(&r);
    }
    jpeg_destroy_decompress(&r.cinfo);
    image_icc_close(r.icc);
    free(r.cmyk);
    return r.reason;
}
