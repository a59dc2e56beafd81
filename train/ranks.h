/*
 * ranks - the processes of one training run, as the run sees them.
 *
 * Model.   ranks_open() is their first meeting: whoever cannot begin, or was
 *          given other settings, ends the run of all.  From then on the run
 *          calls ranks_meet() in front of each step and at its ends: every rank
 *          says how it fares, and all go on or none.  So what fails on one rank
 *          between steps (a batch, the log, a file) ends all of them in order,
 *          with its message said once.  What fails within a step, where the
 *          others wait for numbers of this rank, ends them by ranks_abort().
 *          One process alone meets itself: what it says comes back.
 * Owns.    The collective.
 * Fails.   -E_CANCEL without a message where it has been said already (by an
 *          event of the log).
 * Threads. The device's.  All ranks make the same calls in the same order.
 * Cost.    A meeting: 256 bytes of each rank, waited for.
 */
#ifndef TRAIN_RANKS_H
#define TRAIN_RANKS_H

#include "train/collective.h"

struct ranks {
    struct launch l;
    struct collective c;
    struct ranks_word *all; /* [size], what was said last */
    bool over;              /* ended; nobody meets any more */
};

/* What a rank says at a meeting; all come back added up. */
struct ranks_state {
    double waited; /* seconds for pairs since the last one; the largest */
    double flops;  /* executed since; the sum */
    bool stop;     /* asked to; whether any is */
    bool unfed;    /* has no pairs for the step; whether any has not */
};

/* By l.  rc: 0, or why this rank cannot begin (d is then NULL or not to be
 * used), said by e. */
int ranks_open(struct ranks *r, const struct launch *l, struct device *d,
               struct agreement *a, int rc, struct err *e);

/* rc: 0, or -E_* with e's message; state may be NULL.  Where all is over
 * already, rc comes back. */
int ranks_meet(struct ranks *r, struct device *d, struct ranks_state *state,
               int rc, struct err *e);

/* This rank failed with rc where others wait for it: say so and end them all.
 * Alone, the failure stays what it is. */
int ranks_abort(struct ranks *r, int rc, struct err *e);

/* Comes before the device is closed. */
void ranks_close(struct ranks *r);

#endif
