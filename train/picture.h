/*
 * picture - a picture's encoded bytes to the square of pixels a model sees.
 *
 * Model.   decode -> plan -> resample the part that is wanted.  Exact: the
 *          bytes that Pillow and torchvision give for the same file, full
 *          decode, bicubic, neither EXIF orientation nor ICC profile applied:
 *
 *          PICTURE_EVAL     Resize(size), CenterCrop(size), convert("RGB")
 *          PICTURE_SQUARE   Resize(size), a square at a place drawn along the
 *                           longer side, convert("RGB")
 *          PICTURE_RESIZED  convert("RGB"), RandomResizedCrop(size, (0.9, 1))
 *
 *          In the first two the resize runs before the conversion, in the
 *          file's own mode, as the published models' preprocessing does:
 *          palettes and bilevel pictures by nearest neighbour, colours
 *          weighted by their alpha, CMYK inks.  Alpha is then dropped, not
 *          composited.
 *
 *          `fast` decodes a JPEG by the largest DCT reduction of 2, 4, 8 that
 *          leaves both sides of what is resampled at least twice as long as
 *          what they become, colours unsmoothed: near the exact pixels (hard
 *          edges all over: 3 levels on average), not equal to them.
 *
 *          All that is drawn is a function of request.draw and the picture's
 *          size: picture_plan() says what was drawn.
 * Owns.    struct picture_scratch owns memory that grows to the largest
 *          picture it has seen.
 * Fails.   enum image_reason, IMAGE_OK being 0; codecs 0 or -E_FORMAT.
 * Threads. One scratch a thread; without it pure functions.  Strangers' files
 *          are decoded in a worker of base/jail (picture_jail).
 * Cost.    Besides the codecs of base/image no allocation once the scratch has
 *          seen pictures as large.
 */
#ifndef TRAIN_PICTURE_H
#define TRAIN_PICTURE_H

#include "base/image.h"
#include "base/jail.h"

#define PICTURE_SIZE_MAX 2048u /* pixels of a model's square */

enum picture_rule {
    PICTURE_EVAL,
    PICTURE_SQUARE,
    PICTURE_RESIZED,
    PICTURE_RULES
};

const char *picture_rule_name(enum picture_rule r); /* "eval", "square", ... */
bool picture_rule_find(struct str name, enum picture_rule *r);

struct picture_request {
    enum picture_rule rule;
    bool fast;
    uint32_t size; /* pixels, 1..PICTURE_SIZE_MAX */
    uint64_t draw; /* a hash of who asks: seed, step, sample; any number.
                      Without meaning for PICTURE_EVAL */
};

/* Bytes of a square: rows of R, G, B, as PIXEL_BYTE of train/op.h. */
static inline size_t picture_bytes(uint32_t size)
{
    return (size_t)size * size * 3;
}

/* ---- geometry ---- */

/* The part (x, y, width, height) of a picture is resized to to_width x
 * to_height, and of that the square at (to_x, to_y) is kept.  PICTURE_EVAL
 * and PICTURE_SQUARE resize all of the picture, PICTURE_RESIZED keeps all of
 * what it resized. */
struct picture_plan {
    uint32_t x, y, width, height; /* pixels of the picture */
    uint64_t to_width, to_height; /* at least size */
    uint64_t to_x, to_y;
};

/* For a picture of width x height, both at least 1. */
void picture_plan(const struct picture_request *q, uint32_t width,
                  uint32_t height, struct picture_plan *p);

/* ---- in this process ---- */

struct picture_scratch {
    struct image_room pixels, work; /* decoded; rows and weights */
    uint64_t decode_ns, resize_ns;  /* what the last picture took */
};

#define PICTURE_SCRATCH_INIT                                                   \
    {                                                                          \
        {NULL, 0}, {NULL, 0}, 0, 0                                             \
    }

void picture_scratch_release(struct picture_scratch *s);

/* The square to out, picture_bytes(q->size) of them; on failure they are
 * undefined.  Limits are those of image_limits_decodable(). */
enum image_reason picture_make(struct picture_scratch *s,
                               const struct picture_request *q,
                               struct str bytes, uint8_t *out);

/* ---- in a worker ---- */

#define PICTURE_HEAD        24u /* bytes before the picture's in a request */
#define PICTURE_ANSWER_HEAD 24u /* and before the square's in an answer */

/* A request is its head, then the picture's bytes: one string for
 * jail_submit. */
void picture_head(const struct picture_request *q, uint8_t head[PICTURE_HEAD]);

/* Workers that answer requests for squares of up to size_max pixels; base's
 * defaults otherwise.  s is an empty scratch, which every worker fills in
 * memory of its own; it must outlive jail_open. */
struct jail_config picture_jail(struct picture_scratch *s, uint32_t size_max);

/* Take an answer of jail_next apart, given the size that was asked for: a
 * verdict, and with IMAGE_OK picture_bytes(size) bytes at *rgb, which live as
 * long as the answer.  Dead and late workers give IMAGE_CRASHED and
 * IMAGE_TIMEOUT.  -E_FORMAT: a worker answered nonsense; -E_IO: the jail is
 * lost. */
int picture_answer(const struct jail_done *done, uint32_t size,
                   enum image_reason *reason, const uint8_t **rgb);

/* How long the worker took for an answer that picture_answer() found sound; 0
 * where there is none. */
void picture_times(const struct jail_done *done, uint64_t *decode_ns,
                   uint64_t *resize_ns);

/* The jail_fn: ctx is a struct picture_scratch. */
int picture_worker(void *ctx, struct str in, uint8_t *out, size_t cap,
                   size_t *out_bytes);

#endif
