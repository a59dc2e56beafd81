/*
 * plan - t(q) of a balancing round (filter/balance.h is the stage).
 *
 * Threads. One plan at a time; the passes inside run on `threads` workers.
 */
#ifndef FILTER_PLAN_H
#define FILTER_PLAN_H

#include "base/stage.h"
#include "filter/balance.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/outcomes.h"
#include "querylist/qlist.h"

struct plan {
    const struct corpus *corpus;
    const struct balance_config *config;
    const struct qlist *list;
    const struct counts *counts;
    struct caps caps;       /* points into the arrays below */
    uint64_t *t;            /* by query id */
    uint64_t *first;        /* exact */
    struct caps_rank *ranks;
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

void plan_release(struct plan *p);

#endif
