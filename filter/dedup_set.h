/*
 * dedup_set - the images of evaluation sets, which the corpus must not hold.
 *
 * Model.   add() each in order; of images that are near to one of the corpus
 *          the first added is named.  Where bytes and phashes come from is the
 *          caller's (tools/against_images).
 * Owns.    Copies of names.
 * Fails.   -E_NOMEM; -E_TOOBIG.
 * Threads. One while adding; then constant.
 * Cost.    48 bytes and the name of each image.
 */
#ifndef FILTER_DEDUP_SET_H
#define FILTER_DEDUP_SET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/stage.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEDUP_SET_SHA    16   /* bytes of a sha256 that are compared */
#define DEDUP_SET_NAME   1024 /* bytes of a name that are kept */
#define DEDUP_SET_IMAGES (UINT32_C(1) << 30)

struct dedup_set_image {
    uint8_t sha[DEDUP_SET_SHA]; /* of the original bytes, if has_sha */
    uint64_t phash;             /* if has_phash */
    bool has_sha, has_phash;
    uint32_t name_n;
    size_t name_at; /* in names */
};

struct dedup_set {
    struct dedup_set_image *images;
    size_t n, cap;
    struct buf names;
    struct stage_inputs inputs; /* the files it was read from */
};

void dedup_set_init(struct dedup_set *s);
void dedup_set_release(struct dedup_set *s);

/* sha, phash: NULL where not known; an image without both is left out. */
int dedup_set_add(struct dedup_set *s, struct str name, const uint8_t *sha,
                  const uint64_t *phash, struct err *e);

static inline struct str dedup_set_name(const struct dedup_set *s, size_t i)
{
    return str_slice(buf_str(&s->names), s->images[i].name_at,
                     s->images[i].name_at + s->images[i].name_n);
}

#endif
