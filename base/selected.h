/*
 * selected - the rounds in selected/, as download and dedup take them.
 *
 * Model.   selected/round-R holds what balance's round R added; its plan,
 *          selected/round-R/caps, is made from the plan before and its buckets
 *          from the plan.  After a balance with other options, or one that was
 *          killed half-way, rounds of two makings may stand side by side: they
 *          must not be read as one selection.
 * Fails.   -E_NOTFOUND (what has not been made, and by which command),
 *          -E_STALE (what was made from something that has changed since).
 * Threads. Pure functions of the files.
 * Cost.    One small sidecar a bucket and round.
 */
#ifndef BASE_SELECTED_H
#define BASE_SELECTED_H

#include "base/stage.h"

#define SELECTED_ROUNDS_MAX 100 /* 0 to 99: names have two digits */

/* How many rounds, counted from 0, have a done output; -E_NOTFOUND when there
 * is none.  A folder alone is no round: one that could not be planned leaves
 * it. */
int selected_rounds(const struct corpus *c, unsigned *rounds, struct err *e);

/* Rounds 0 to rounds - 1 are complete and of one making, under the query list
 * of the corpus; their buckets are added to in unless that is NULL. */
int selected_check(const struct corpus *c, unsigned rounds,
                   struct stage_inputs *in, struct err *e);

#endif
