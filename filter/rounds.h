/*
 * rounds - the folders selected/round-R, and what becomes of those behind a
 * round that is planned anew.
 *
 * Model.   Each round's plan is made from the one before, so that a new plan
 *          of round R makes all later rounds something that nobody would
 *          select now.  dedup and the catalogue take every round that is
 *          there: leftovers would mix two selections.
 * Fails.   -E_STALE without --redo; -E_IO.
 * Threads. One.
 */
#ifndef FILTER_ROUNDS_H
#define FILTER_ROUNDS_H

#include "base/err.h"
#include "base/stage.h"

/* Rounds behind `round`: -E_STALE, or with the stage's --redo they are removed,
 * the last one first, so that a kill leaves no gap. */
int rounds_prune(struct stage *s, unsigned round, struct err *e);

#endif
