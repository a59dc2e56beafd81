/*
 * make_pictures - answers requests for squares, for scripts that compare them
 * with Pillow's.
 *
 * Standard input, until it ends: a request of train/picture.h (its head), a
 * 32-bit length and the picture's bytes.  Standard output, for each: a 32-bit
 * reason and 32-bit pixel kind, the picture's width and height, what
 * picture_plan() says (4 numbers of 32 bits, 4 of 64), then, if the reason is
 * 0, the square.  All little-endian.
 */
#include <stdio.h>
#include <stdlib.h>

#include "train/picture.h"

struct question {
    uint32_t magic, size, rule, fast;
    uint64_t draw;
    uint32_t bytes;
} __attribute__((packed));

struct reply {
    uint32_t reason, format, width, height;
    struct picture_plan plan;
};

static int answer(struct picture_scratch *s, const struct question *w,
                  const char *bytes)
{
    struct picture_request q = {(enum picture_rule)w->rule, w->fast != 0,
                                w->size, w->draw};
    struct image_limits limits = image_limits_decodable();
    struct str in = str_make(bytes, w->bytes);
    uint8_t *out = malloc(picture_bytes(w->size));
    struct reply a = {0};
    struct image_header h;
    int rc = 0;

    if (!out)
        return -E_NOMEM;
    a.reason = picture_make(s, &q, in, out);
    if (a.reason == IMAGE_OK && image_header(in, &limits, &h) == IMAGE_OK) {
        a.format = h.format;
        a.width = h.width;
        a.height = h.height;
        picture_plan(&q, h.width, h.height, &a.plan);
    }
    if (fwrite(&a, sizeof a, 1, stdout) != 1 ||
        (!a.reason && fwrite(out, picture_bytes(w->size), 1, stdout) != 1) ||
        fflush(stdout))
        rc = -E_IO;
    free(out);
    return rc;
}

int main(void)
{
    struct picture_scratch s = PICTURE_SCRATCH_INIT;
    struct question w;
    int rc = 0;

    while (!rc && fread(&w, sizeof w, 1, stdin) == 1) {
        char *bytes = malloc(w.bytes ? w.bytes : 1);

        if (!bytes || w.size < 1 || w.size > PICTURE_SIZE_MAX ||
            w.rule >= PICTURE_RULES ||
            fread(bytes, 1, w.bytes, stdin) != w.bytes)
            rc = -E_FORMAT;
        else
            rc = answer(&s, &w, bytes);
        free(bytes);
    }
    picture_scratch_release(&s);
    return rc ? 1 : 0;
}
