/*
 * scan - every record of unique/, bucket by bucket, in parallel.
 *
 * Model.   An item holds what one bucket's pass collects.  start(), record()
 *          and finish() of a bucket run on one worker; consume() takes the
 *          items in the order of buckets on the calling thread, so sums and
 *          files never depend on the number of threads.
 *          Of a record only what draws need is decoded: its uid, its URL, its
 *          ids (base/pair_scan.h); a line that is not plain is read whole.
 * Owns.    The items' memory; init() and release() what hangs on them.
 * Fails.   The first error in bucket order, with file and line.
 * Threads. As base/workq.h.
 * Cost.    Unpacking, and one pass over each line.
 */
#ifndef FILTER_SCAN_H
#define FILTER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/corpus.h"
#include "base/err.h"
#include "base/pair.h"
#include "base/part.h"

struct scan_record {
    struct str line; /* the object, without its newline */
    struct str url;
    uint8_t uid[MD5_SIZE];
    const uint32_t *q; /* ascending */
    uint32_t n_q;
    bool plain; /* q is the last member of line */
};

struct scan_ops {
    size_t item_size;
    void (*init)(void *ctx, void *item); /* once an item; cleared before */
    /* *skip true: the bucket needs no reading (it is done); may be NULL */
    int (*start)(void *ctx, void *item, uint32_t bucket, bool *skip,
                 struct err *e);
    int (*record)(void *ctx, void *item, const struct scan_record *r,
                  struct err *e);
    int (*finish)(void *ctx, void *item, struct err *e);  /* may be NULL */
    int (*consume)(void *ctx, void *item, struct err *e); /* may be NULL */
    void (*release)(void *ctx, void *item);               /* once an item */
};

struct scan_config {
    struct part part;
    unsigned threads;
    uint32_t n_queries; /* ids at or above it are -E_STALE */
    const char *label;  /* for the progress line */
};

int scan_run(const struct corpus *c, const struct scan_config *config,
             const struct scan_ops *ops, void *ctx, struct err *e);

/* One line; ids has room for PAIR_MATCHES_MAX, a is for lines of another
 * shape.  What is found points into line, ids and a. */
int scan_line(struct str line, uint32_t *ids, struct arena *a,
              struct scan_record *r, struct err *e);

#endif
