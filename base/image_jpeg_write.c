/* JPEG out: the one form in which pictures are stored. */
#include <assert.h>
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "base/image.h"

#define SIDE_MAX 65500u      /* libjpeg's JPEG_MAX_DIMENSION */
#define STEP     (64u << 10) /* bytes asked of the buffer at a time */

struct writer {
    struct jpeg_compress_struct cinfo; /* first: libjpeg hands it back */
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr to;
    jmp_buf jump;
    struct buf *out;
    enum image_reason reason;
};

static void leave(struct writer *w, enum image_reason reason)
{
    w->reason = reason;
    longjmp(w->jump, 1);
}

static void on_error(j_common_ptr c)
{
    /* Only memory can fail: sizes and colours were checked. */
    leave((struct writer *)c, IMAGE_MEMORY);
}

static void on_message(j_common_ptr c, int level)
{
    (void)c;
    (void)level;
}

static void next_room(struct writer *w)
{
    size_t n = STEP;
    char *p;

    if (w->out->max - w->out->n < n)
        n = w->out->max - w->out->n;
    p = n ? buf_reserve(w->out, n) : NULL;
    if (!p)
        leave(w, w->out->rc == -E_NOMEM ? IMAGE_MEMORY : IMAGE_BYTES);
    w->to.next_output_byte = (JOCTET *)p;
    w->to.free_in_buffer = n;
}

static void commit(struct writer *w)
{
    char *at = (char *)w->to.next_output_byte;

    w->out->n = (size_t)(at - w->out->p);
    *at = 0; /* buf promises a terminator and keeps room for it */
}

static void start(j_compress_ptr c)
{
    next_room((struct writer *)c);
}

static boolean full(j_compress_ptr c)
{
    struct writer *w = (struct writer *)c;

    /* libjpeg calls this with every byte of the room used */
    w->to.next_output_byte += w->to.free_in_buffer;
    commit(w);
    next_room(w);
    return TRUE;
}

static void finish(j_compress_ptr c)
{
    commit((struct writer *)c);
}

static void write_all(struct writer *w, const struct image *m, int quality)
{
    struct jpeg_compress_struct *c = &w->cinfo;

    w->to.init_destination = start;
    w->to.empty_output_buffer = full;
    w->to.term_destination = finish;
    c->dest = &w->to;
    c->image_width = m->width;
    c->image_height = m->height;
    c->input_components = 3;
    c->in_color_space = JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    c->optimize_coding = TRUE;  /* some 5 % smaller for a little time */
    c->dct_method = JDCT_ISLOW; /* the exact one, equal on every processor */
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < c->image_height) {
        JSAMPROW row = m->rgb + c->next_scanline * m->stride;

        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

enum image_reason image_encode_jpeg(const struct image *m, int quality,
                                    struct buf *out)
{
    struct writer w = {.out = out, .reason = IMAGE_OK};
    size_t before = out->n;

    assert(quality >= 1 && quality <= 100);
    if (m->width > SIDE_MAX || m->height > SIDE_MAX)
        return IMAGE_LARGE;
    w.cinfo.err = jpeg_std_error(&w.errors);
    w.errors.error_exit = on_error;
    w.errors.emit_message = on_message;
    if (setjmp(w.jump) == 0) {
        jpeg_create_compress(&w.cinfo);
        write_all(&w, m, quality);
    }
    jpeg_destroy_compress(&w.cinfo);
    if (w.reason && out->p) {
        out->n = before;
        out->p[before] = 0;
    }
    return w.reason;
}
