/*
 * image_codec - what the codecs of base/image share; private to base/image*.
 *
 * Model.   image.c fills a struct image_task and calls the format's reader.  A
 *          reader finds the dimensions, calls image_task_admit(), stops there
 *          if that refuses or header_only is set, and else decodes into
 *          task->out and gathers icc and exif.
 * Owns.    The task owns out, icc and exif, also when a reader fails half-way:
 *          a reader that leaves by longjmp leaks nothing of them.
 * Fails.   enum image_reason.
 */
#ifndef BASE_IMAGE_CODEC_H
#define BASE_IMAGE_CODEC_H

#include "base/image.h"

struct image_task {
    struct str bytes;
    const struct image_decode_options *options;
    bool header_only;
    struct image_header head;
    struct image out;
    struct buf icc;  /* profile for out's pixels; empty: sRGB */
    struct buf exif; /* TIFF block */
    bool grey;       /* one colour channel in the file */
    bool in_srgb;    /* the reader has applied the profile itself */
    /* image_decode_raw: where out's pixels go and, from the reader, what they
     * are; NULL: RGB in memory of their own, alpha composited. */
    struct image_room *room;
    enum image_kind kind;
};

/* out's memory, for pixels of 3 or 4 bytes in tight rows. */
enum image_reason image_task_alloc(struct image_task *t, uint32_t width,
                                   uint32_t height, size_t pixel_bytes);

/* Make room for n bytes; what was there is lost. */
enum image_reason image_room_need(struct image_room *room, size_t n);

/* Record the dimensions and judge them. */
enum image_reason image_task_admit(struct image_task *t, uint32_t width,
                                   uint32_t height);

enum image_reason image_jpeg_read(struct image_task *t);
enum image_reason image_png_read(struct image_task *t);
enum image_reason image_webp_read(struct image_task *t);
enum image_reason image_gif_read(struct image_task *t);
enum image_reason image_avif_read(struct image_task *t);

/* Keep a profile or an EXIF block if it is of a sane size. */
void image_task_icc(struct image_task *t, const void *p, size_t n);
void image_task_exif(struct image_task *t, const void *p, size_t n);

/* Composite n RGBA pixels on white into RGB; to may be from. */
void image_over_white(const uint8_t *from, uint8_t *to, size_t n);

/* Turn an image of tight RGBA rows (rgb holds 4 bytes a pixel) into RGB in
 * place and give the rest of the memory back. */
void image_drop_alpha(struct image *m);

/* Pixels of 4 bytes, as image_alloc; stride is 4 * width. */
enum image_reason image_alloc_rgba(struct image *m, uint32_t width,
                                   uint32_t height);

/* C, M, Y, K stored inverted (the larger, the lighter) to RGB, as Pillow. */
void image_light_inks(const uint8_t *from, uint8_t *to, size_t n);

/* ---- colour (image_icc.c) ---- */

struct image_icc; /* an open transform to sRGB */

enum image_icc_space {
    IMAGE_ICC_RGB,
    IMAGE_ICC_GREY, /* RGB pixels of a grey picture */
    IMAGE_ICC_CMYK_INVERTED
};

/* NULL when the profile is unusable for such pixels, or is sRGB in effect:
 * then nothing is to be done. */
struct image_icc *image_icc_open(struct str profile,
                                 enum image_icc_space space);
void image_icc_row(struct image_icc *icc, const uint8_t *from, uint8_t *rgb,
                   uint32_t pixels);
void image_icc_close(struct image_icc *icc);

/* All of m, RGB or GREY, through its profile, in place. */
void image_icc_apply(struct image *m, struct str profile,
                     enum image_icc_space space);

/* image_decode without the last two steps, for image_process, which resizes
 * first: orientation and icc are left to the caller.  Release with
 * image_task_release(). */
enum image_reason image_task_run(struct image_task *t);
void image_task_release(struct image_task *t);

#endif
