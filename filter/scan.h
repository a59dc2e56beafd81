/*
 * scan - every record of unique/, bucket by bucket, in parallel.
 *
 * Model.   An item holds what one bucket's pass collects.  start(), pair() and
 *          finish() of a bucket run on one worker; consume() takes the items in
 *          the order of buckets on the calling thread, so sums and files never
 *          depend on the number of threads.
 * Owns.    The items' memory; init() and release() what hangs on them.
 * Fails.   The first error in bucket order, with file and line.
 * Threads. As base/workq.h.
 */
#ifndef FILTER_SCAN_H
#define FILTER_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include "base/corpus.h"
#include "base/err.h"
#include "base/pair.h"
#include "base/part.h"
#include "filter/caps.h"
#include "querylist/qlist.h"

struct scan_ops {
    size_t item_size;
    void (*init)(void *ctx, void *item); /* once an item; cleared before */
    /* *skip true: the bucket needs no reading (it is done) */
    int (*start)(void *ctx, void *item, uint32_t bucket, bool *skip,
                 struct err *e);
    int (*pair)(void *ctx, void *item, const struct pair *p, struct err *e);
    int (*finish)(void *ctx, void *item, struct err *e);
    int (*consume)(void *ctx, void *item, struct err *e);
    void (*release)(void *ctx, void *item); /* once an item */
};

/* label: for the progress line. */
int scan_run(const struct corpus *c, struct part part, unsigned threads,
             const char *label, const struct scan_ops *ops, void *ctx,
             struct err *e);

/* d(q, pair) for every q of p into d[p->n_q]; -E_STALE for a query that the
 * list does not know, or a pair that the ranks do not. */
int scan_draws(const struct corpus *c, const struct qlist *list,
               const struct caps *caps, const struct pair *p, uint64_t *d,
               struct err *e);

#endif
