/*
 * run_word - what all ranks of a run must mean alike.
 *
 * Model.   The settings that decide what a run computes, in the order of their
 *          names; where files go is each rank's own matter.
 * Threads. Any.
 */
#ifndef TRAIN_RUN_WORD_H
#define TRAIN_RUN_WORD_H

#include "train/collective.h"
#include "train/run.h"

/* begin: steps that were taken before. */
void run_word(const struct run_config *c, uint64_t begin, struct agreement *a);

#endif
