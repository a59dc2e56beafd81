/*
 * flops - what a step costs, without computing one.
 *
 * Model.   The step of a model is played on a device that counts and has no
 *          memory.  What comes out is struct device's `flops` of a step with
 *          every caption of the whole context: 2 a multiply-add of products,
 *          convolutions and attention, forward and backward.
 *          With options of zero that is the model as its paper draws it: no
 *          caption packed, no last block reduced, nothing made twice.  Rates in
 *          it ("useful") compare programs, whatever each saves or repeats.
 * Fails.   As clip_open() and clip_plan().
 * Threads. Any.
 * Cost.    Some milliseconds.
 */
#ifndef TRAIN_FLOPS_H
#define TRAIN_FLOPS_H

#include <stdint.h>
#include "train/clip.h"

int flops_of_step(const struct clip_config *c, const struct clip_options *o,
                  int n, uint64_t *flops, struct err *e);

#endif
