/*
 * plan - t(q) of a balancing round (filter/balance.h is the stage).
 *
 * Model.   Round 0 gives every group one t: --cap, or the largest that keeps
 *          --target pairs (filter/plan_target.h), or that of --tail-share.
 *          Later rounds raise t(q) where images lack.  With --exact the ranks
 *          that the caps reach are made too (filter/plan_ranks.h).
 *          A tail share P: with the counts in ascending order, t is the first
 *          count at which the share of all counts up to and including it is
 *          nearest to P - counts_sorted[argmin |cumsum / total - P|], the form
 *          in which MetaCLIP carries the balance of one language over to the
 *          others - and at least 1.  In integers: P is taken to nine decimals,
 *          p = P * 10^9, and |10^9 * cumsum - p * total| in 128 bits decides;
 *          of equals the first.
 * Owns.    Arrays and ranks: plan_release().
 * Threads. One plan at a time; the scans inside run on `threads` workers.
 */
#ifndef FILTER_PLAN_H
#define FILTER_PLAN_H

#include "base/stage.h"
#include "filter/balance.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/draw_table.h"
#include "filter/outcomes.h"
#include "filter/plan_ranks.h"
#include "querylist/qlist.h"

#define PLAN_SHARE_ONE 1000000000u /* a share of 1 */

struct plan {
    const struct corpus *corpus;
    const struct balance_config *config;
    const struct qlist *list;
    const struct counts *counts;
    const struct draw_table *draws;
    struct caps caps; /* points into what follows */
    uint64_t *t;      /* by query id */
    struct plan_ranks ranks;
    uint64_t depth; /* the largest t: so many ranks of a query are kept */
    uint64_t raised;
};

/* Round 0: one t for all groups. */
int plan_first(struct plan *p, struct err *e);

/* Round R > 0: first is the plan of round 0, previous that of R - 1, outcomes
 * those of all download passes below B + R. */
int plan_next(struct plan *p, const struct caps *first,
              const struct caps *previous, const struct outcomes *outcomes,
              struct err *e);

/* The next t(q): DESIGN section 4, "Rounds".  want: pairs below the first
 * round's cap; usable: pairs below t whose URL gave an image; c: c(q). */
uint64_t plan_raised_cap(uint64_t t, uint64_t c, uint64_t want,
                         uint64_t usable);

/* t of a tail share, as above; share in 1 / PLAN_SHARE_ONE. */
uint64_t plan_tail_cap(const uint64_t *c, uint32_t n, uint64_t share);

void plan_release(struct plan *p);

#endif
