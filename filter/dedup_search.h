/*
 * dedup_search - which images are, or look like, an earlier one, for any number
 * of images in bounded memory.
 *
 * Model.   Images have ids 0, 1, ... in (H(url), url) order, those of an
 *          evaluation set before them.  An image is pushed out by the smallest
 *          earlier id with the same sha256, or else with a phash at most
 *          `radius` bits away, whether that one stays or not; but an id of the
 *          evaluation set comes before any other.  The search is exact.
 *
 *            open -> add* -> finish -> for each range of ids in order: range()
 *
 *          Equal sha256 are found part by part of their upper bits, by sorting
 *          as many as memory holds, near phashes by dedup_near; a twin of a
 *          look then takes its look's verdict, range by range, as looks come
 *          before their twins.
 * Owns.    The store and all spools in it; an unlinked file in folder once
 *          memory does not hold them.
 * Fails.   As dedup_spool; -E_TOOBIG from 2^32 - 1 images on.
 * Threads. One; finish() works on config.threads.
 * Cost.    About memory_bytes of memory; of disk at most 56 bytes an image.
 *          A part's sha256 are read again for each half of what memory holds
 *          that they differ in; sorting moves a row 6 times, 12 where hashes
 *          that an evaluation set states share their first 64 bits.
 */
#ifndef FILTER_DEDUP_SEARCH_H
#define FILTER_DEDUP_SEARCH_H

#include "base/err.h"
#include "base/hash.h"
#include "filter/dedup_near.h"
#include "filter/dedup_spool.h"
#include <stdbool.h>
#include <stdint.h>

#define DEDUP_MEMORY_MIN ((uint64_t)16 << 20)

struct dedup_search_config {
    const char *folder;    /* for the temporary file */
    uint64_t memory_bytes; /* at least DEDUP_MEMORY_MIN */
    uint64_t expect;       /* images to come, about; decides about speed */
    unsigned radius;       /* 0..DEDUP_RADIUS_MAX */
    unsigned threads;
    unsigned k; /* bands to agree in; 0: as many as suit expect */
};

/* What pushed an image out. */
struct dedup_verdict {
    uint32_t by; /* id, DEDUP_NONE: it stays */
    bool exact;  /* the same bytes */
};

/* What is known of the ids of one range. */
struct dedup_range {
    uint32_t first, n;              /* ids first .. first + n - 1 */
    struct dedup_verdict *verdicts; /* n */
    uint8_t *pusher; /* a bit per id: it pushed one out, of this range or of a
                        later one */
};

struct dedup_search {
    struct dedup_search_config config;
    struct dedup_store store;
    struct dedup_near near;
    struct dedup_spool shas;     /* struct sha_row, until finish */
    struct dedup_spool equals;   /* struct dedup_pushed, by range of id */
    struct dedup_spool verdicts; /* struct dedup_result, by range of id */
    struct dedup_spool pushers;  /* struct dedup_send, by range of pusher */
    unsigned sha_bits;           /* of a part of shas */
    uint32_t n, set;             /* images; of them, of the evaluation set */
    unsigned range_shift;        /* a range has 1 << range_shift ids */
    uint32_t ranges;
    uint64_t moved; /* rows, to find equal bytes, each time counted */
};

/* Image `id` of range `range` or later is pushed out by `by`. */
struct dedup_send {
    uint32_t by;
    uint32_t range; /* that needs to know by's URL; not by's own */
};

int dedup_search_open(struct dedup_search *s,
                      const struct dedup_search_config *c, struct err *e);
void dedup_search_close(struct dedup_search *s);

/* The next image.  sha: first half of the sha256 of its bytes, or NULL when it
 * is not known; phash NULL: it looks like no other. */
int dedup_search_add(struct dedup_search *s, const uint8_t *sha,
                     const uint64_t *phash, struct err *e);

/* All images added so far are an evaluation set: they push out and stay. */
void dedup_search_set_ends(struct dedup_search *s);

int dedup_search_finish(struct dedup_search *s, struct err *e);

/* Range r < s->ranges, each once, into to; release it before the next. */
int dedup_search_range(struct dedup_search *s, uint32_t r,
                       struct dedup_range *to, struct err *e);
void dedup_range_release(struct dedup_range *to);

#endif
