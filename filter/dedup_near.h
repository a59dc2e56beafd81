/*
 * dedup_near - of each image, the first one that its phash is near to, in
 * bounded memory.
 *
 * Model.   Images have ids in (H(url), url) order.  open -> add (ids ascend)
 *          -> search -> read `verdicts` and `twins`, part by part.  Looks are
 *          put into parts by a band of their phash (dedup_part), each part is
 *          searched in memory, and its looks go on to the parts of the next
 *          band, carrying the best known; with radius + 1 bands as the first
 *          of those that two near ones share, nothing is missed.  Equal phashes
 *          are folded on the first pass.  A part that memory does not hold is
 *          folded piece by piece, then searched by pairs of halves; or, where
 *          those are many, cut by the bits that vary in it.
 *
 *            verdicts  struct dedup_look, by range of id: looks and what they
 *                      are near to
 *            twins     struct dedup_twin, by range of look
 *
 * Owns.    Its parts; the store is borrowed.
 * Fails.   As filter/bins; -E_TOOBIG from 2^32 - 1 ids on.
 * Threads. Parts are searched in parallel; what is found is a minimum, so that
 *          neither threads nor memory nor k change it.
 * Cost.    radius + 1 passes of 16 bytes a look through the store.
 */
#ifndef FILTER_DEDUP_NEAR_H
#define FILTER_DEDUP_NEAR_H

#include "base/err.h"
#include "filter/dedup_part.h"
#include "filter/bins.h"
#include <stdint.h>

#define DEDUP_RADIUS_MAX 16 /* bits */
#define DEDUP_RANGE_BITS 12 /* ids of the smallest range */
#define DEDUP_RANGES_MAX 1024

struct dedup_near_config {
    uint64_t memory_bytes; /* for the parts in work, all threads together */
    uint64_t expect;       /* images to come, about; decides about speed */
    unsigned radius;       /* 0..DEDUP_RADIUS_MAX */
    unsigned threads;
    unsigned k;        /* bands to agree in; 0: by expect */
    unsigned key_bits; /* bits of a part's number, 1..DEDUP_KEY_BITS */
};

struct dedup_near {
    struct dedup_near_config config;
    struct bins_store *store;
    struct dedup_bands bands;
    struct bins looks;    /* of the next pass */
    struct bins verdicts; /* after search */
    struct bins twins;
    unsigned range_shift; /* set by search */
    size_t cap;           /* looks of a part that memory holds */
    uint64_t n_looks, n_twins;
    uint64_t n_big, n_cut; /* parts that memory did not hold; of them, cut */
};

int dedup_near_open(struct dedup_near *n, const struct dedup_near_config *c,
                    struct bins_store *store, struct err *e);
int dedup_near_add(struct dedup_near *n, uint32_t id, uint64_t phash,
                   struct err *e);
/* Ranges are of 1 << range_shift ids. */
int dedup_near_search(struct dedup_near *n, unsigned range_shift,
                      uint32_t ranges, struct err *e);
void dedup_near_close(struct dedup_near *n);

/* The k with the least work at n images. */
unsigned dedup_near_k(uint64_t n, unsigned radius, double rate);

#endif
