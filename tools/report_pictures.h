/*
 * report_pictures - a few samples of the shards, drawn by hash.
 *
 * Model.   Rows are drawn by XXH3 of the corpus seed and a counter, so the same
 *          corpus shows the same pictures; each is read by its index with
 *          pread.  Pictures over max_bytes are passed over, and drawing stops
 *          when `n` are there, `budget` bytes are spent, or too many draws met
 *          pictures that were seen or too large.  pictures_find() takes samples
 *          by their keys instead.
 * Owns.    struct pictures all of it.
 * Fails.   -E_IO, -E_FORMAT, -E_DAMAGED with the shard's path.
 * Threads. One.
 */
#ifndef TOOLS_REPORT_PICTURES_H
#define TOOLS_REPORT_PICTURES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/corpus.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include <stdint.h>

#define PICTURE_TEXTS   8 /* kept of one sample */
#define PICTURE_QUERIES 64

struct picture {
    struct str key, url, page;
    struct str jpeg;
    struct str texts[PICTURE_TEXTS];
    size_t n_texts;
    uint64_t texts_total;
    uint32_t q[PICTURE_QUERIES];  /* groups in its own text */
    bool picked[PICTURE_QUERIES]; /* kept by that group */
    size_t n_q;
    uint64_t width, height; /* pixels as stored */
};

struct pictures {
    struct picture *v;
    size_t n, cap;
    struct arena arena;
    uint64_t total;     /* samples in all shards */
    uint64_t too_large; /* drawn and passed over */
};

int pictures_draw(struct pictures *p, const struct corpus *c,
                  struct catalog *catalog, uint64_t n, uint64_t budget,
                  uint64_t max_bytes, struct err *e);

/* p->v[i] is the sample of keys[i]; of one that is not in these shards, too
 * large or over the budget only the key is there. */
int pictures_find(struct pictures *p, const struct corpus *c,
                  struct catalog *catalog, const struct str *keys, size_t n,
                  uint64_t budget, uint64_t max_bytes, struct err *e);
void pictures_release(struct pictures *p);

#endif
