/*
 * dedup_exact - with balance --exact: which picks of a query are kept once it
 * is known which URLs gave an image.
 *
 * Model.   init -> mark every pair whose URL gave an image -> cut -> keep.
 *          A query keeps the first t0 marked pairs in rank order, t0 being its
 *          cap before any top-up round: the rank of the t0-th is its cut, and
 *          a pair is kept by q iff its rank lies below q's cut.
 *          Where t0 is not below min(t, c), t being the cap of the last round
 *          and c the pairs of the query, all are kept, unmarked.
 * Owns.    A bit for each rank below min(t, c) of the other queries.
 * Fails.   -E_NOMEM.
 * Threads. One.
 * Cost.    16 bytes a query.  Of queries that a later round picked more of:
 *          min(t, c) bits, and a rank look-up for each pair that matches; of
 *          the others, as of all without later rounds, none.  keep() looks up
 *          a rank for each query that a pair matches.
 */
#ifndef FILTER_DEDUP_EXACT_H
#define FILTER_DEDUP_EXACT_H

#include "base/err.h"
#include "base/pair.h"
#include "base/stage.h"
#include <stdbool.h>
#include <stdint.h>

/* Where ranks come from (filter/caps, or a test). */
struct dedup_ranks {
    void *ctx;
    /* Rank of the pair within q, from 0; UINT64_MAX when it has none. */
    uint64_t (*rank)(void *ctx, uint32_t q, const uint8_t uid[MD5_SIZE]);
    const uint64_t *t0;                /* cap by query id in round 0 */
    const uint64_t *t_last;            /* cap by query id in the last round */
    const uint64_t *c;                 /* pairs by query id; ranks are below */
    uint32_t n;                        /* query ids */
    const struct stage_inputs *inputs; /* what they were read from; or NULL */
};

struct dedup_exact {
    const struct dedup_ranks *ranks; /* borrowed */
    uint64_t *first;                 /* n + 1: where q's bits begin */
    uint8_t *marked;
    uint64_t *cut; /* by query id, after dedup_exact_cut() */
};

int dedup_exact_init(struct dedup_exact *x, const struct dedup_ranks *ranks,
                     struct err *e);
void dedup_exact_release(struct dedup_exact *x);
void dedup_exact_mark(struct dedup_exact *x, const struct pair *p);
void dedup_exact_cut(struct dedup_exact *x);

/* Write the ids of q that keep p into keep (room for p->n_q); their number. */
uint32_t dedup_exact_keep(const struct dedup_exact *x, const struct pair *p,
                          uint32_t *keep);

#endif
