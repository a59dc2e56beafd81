/*
 * ref - the backend that computes every op as its formula stands.
 *
 * Model.   Each op of train/op.h is a loop or two over its formula, from one
 *          source for double (the proof of the gradients) and for float (the
 *          oracle of the other backends).  Every sum is taken in double and
 *          rounded once, on storing; no library, no threads, no state.
 * Owns.    Nothing.
 * Fails.   -E_UNSUPPORTED for another type than F32 and F64.
 * Threads. The caller's own; two devices share nothing.
 * Cost.    Naive: for tests and small models.
 */
#ifndef TRAIN_REF_REF_H
#define TRAIN_REF_REF_H

#include "base/err.h"
#include "train/device.h"

/* Fill in d: activations and reals are both of `type`. */
int ref_open(struct device *d, enum dtype type, struct err *e);

#endif
