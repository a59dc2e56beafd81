/*
 * workq - an ordered pipeline: read in order, work in parallel, write in order.
 *
 * Model.   produce() fills the next item on the calling thread; work() runs on
 *          any worker; consume() takes the items on the calling thread in the
 *          order they were produced.  So output never depends on the number of
 *          threads.  Items are reused: `depth` of them exist.
 * Fails.   The first error in item order is returned; the rest is drained
 *          without further work.
 * Threads. Workers share nothing but the queue; threads <= 1 runs all on the
 *          caller.
 * Cost.    Two short critical sections an item: make an item worth 100 us.
 */
#ifndef BASE_WORKQ_H
#define BASE_WORKQ_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct workq_ops {
    /* Fill item; *more false (item unused) at the end. */
    int (*produce)(void *ctx, void *item, bool *more, struct err *e);
    int (*work)(void *ctx, void *item, struct err *e);
    int (*consume)(void *ctx, void *item, struct err *e);
};

/* items: array of `depth` structs of item_size, set up by the caller. */
int workq_run(const struct workq_ops *ops, void *ctx, void *items,
              size_t item_size, unsigned depth, unsigned threads,
              struct err *e);

#endif
