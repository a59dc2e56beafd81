/*
 * order - which sample stands at which position of a run.
 *
 * Model.   Position g = step * batch + i.  What stands there is a function of
 *          (seed, window, sources, g) and of nothing else: not of ranks,
 *          threads, batch or where a run was taken up again.
 *
 *          One source.  Its rank is g, its epoch the one rank falls into.  For
 *          each epoch its shards are permuted and cut into windows of W; in
 *          each window the samples are permuted.  So an epoch holds every
 *          sample once, and reading goes from window to window.
 *
 *          Several.  Every block of ORDER_BLOCK positions holds a fixed number
 *          of each source's: their shares, weight times samples, rounded to
 *          1/ORDER_BLOCK by largest remainders; where in the block is permuted.
 *          A source's rank counts its own positions alone, and so do its
 *          epochs, which begin and end when it has run through.
 *
 *          Balanced (train/balance.h).  An epoch of a source is the samples
 *          that it keeps then, so epochs have lengths of their own; the share
 *          is that of the mean length.
 *
 *          Permutations are Fisher and Yates' with numbers of train/random.h
 *          from the streams "order-shards", "order-samples" (source, epoch,
 *          window) and "order-block" (block).
 * Owns.    The permutation of the epoch each source is in; a window belongs to
 *          who opened it.  Sources are borrowed.
 * Fails.   -E_RANGE for a source too small for its share, or of which a balance
 *          keeps nothing; -E_TOOBIG for a window over ORDER_WINDOW_MAX;
 *          -E_NOMEM.
 * Threads. One per struct order.
 * Cost.    order_find(): a few steps in the same epoch, a pass over the shards
 *          in another one.  Balanced, what an epoch keeps has to be counted, of
 *          all epochs up to that one, once: 16 bytes a sample and a few
 *          nanoseconds a sample and epoch, by threads of its own.  A window:
 *          8 bytes a sample.
 */
#ifndef TRAIN_ORDER_H
#define TRAIN_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "train/balance.h"
#include "train/source.h"

#define ORDER_BLOCK      1024u
#define ORDER_WINDOW_MAX ((uint64_t)1 << 28) /* samples */

struct order_source {
    const struct source *source;   /* its shards' samples, weight */
    const struct balance *balance; /* NULL: every sample, every epoch */
};

struct order_config {
    uint64_t seed;
    size_t window;    /* W, shards, 1.. */
    unsigned threads; /* for counting balanced epochs, 0: one a processor */
};

struct order_track;

struct order {
    struct order_config c;
    unsigned n;
    struct order_track *tracks; /* [n] */
    uint64_t block;             /* whose turns are here */
    uint8_t whose[ORDER_BLOCK]; /* the source at each place of it */
    uint16_t turn[ORDER_BLOCK]; /* and how many of its places come before */
};

int order_open(struct order *o, const struct order_config *c,
               const struct order_source *sources, unsigned n, struct err *e);
void order_close(struct order *o);

/* Samples of an epoch of all: the sum of weight times samples, rounded. */
uint64_t order_epoch(const struct order *o);

/* Positions of a block that are this source's, and samples of its mean
 * epoch. */
unsigned order_quota(const struct order *o, unsigned source);
uint64_t order_length(const struct order *o, unsigned source);

struct order_place {
    unsigned source;
    uint64_t epoch, window; /* from 0; the window in its epoch */
    uint64_t at;            /* in the window */
};

int order_find(struct order *o, uint64_t position, struct order_place *p,
               struct err *e);

struct order_item {
    uint32_t shard;  /* into the window's */
    uint32_t sample; /* of the shard */
};

struct order_window {
    unsigned source;
    uint64_t epoch, number;
    uint32_t *shards; /* of the source */
    size_t n_shards;
    struct order_item *items; /* permuted: position `at` of the window */
    uint64_t n;
};

/* Source, epoch and window of p: those that are read next.  Such a window of a
 * balanced source may be empty. */
void order_next_window(const struct order *o, struct order_place *p);

int order_window_open(struct order *o, unsigned source, uint64_t epoch,
                      uint64_t number, struct order_window *w, struct err *e);
void order_window_close(struct order_window *w);

/* Shards that the window behind this one, the last that was opened, will read,
 * as far as they are of the same epoch: *n of them, valid until the next call
 * with o. */
const uint32_t *order_ahead(struct order *o, const struct order_window *w,
                            size_t *n);

#endif
