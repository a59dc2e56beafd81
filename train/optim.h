/*
 * optim - what happens to the weights behind a gradient.
 *
 * Model.   optim_step(): clip by the global norm, AdamW on every tensor by its
 *          own decay, logit scale clamped to [0, ln 100].  The learning rate
 *          of a step is a pure function, optim_rate().
 * Fails.   What stuck in the device; -E_RANGE with the step when the norm of
 *          the gradient is not finite: the weights are untouched then.
 * Cost.    One read of the gradient for its norm (only when clipping), one pass
 *          over weights, gradient and both moments.
 * Source.  facts b.5; Loshchilov & Hutter 2017, 2019; Radford et al. 2021,
 *          section 2.5 and tables 18-20.
 */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include <stdbool.h>
#include <stdint.h>
#include "train/clip.h"

/* Which tensors decay: the two published rules. */
enum decay_rule {
    DECAY_PAPER,     /* open_clip until 2025, the paper: not tensors of rank
                        < 2, nor names with bn, ln, bias, logit_scale */
    DECAY_RANK       /* open_clip since: not tensors of rank <= 1, nor
                        positional_embedding and class_embedding */
};

struct optim_config {
    double lr;            /* peak */
    double beta1, beta2, eps, decay;
    enum decay_rule rule;
    uint64_t warmup;      /* steps of linear warm-up */
    uint64_t total;       /* steps of the run */
    double clip_norm;     /* 0: off */
};

/* The published values for a config (tables 18-20): betas, eps by tower, lr by
 * model, decay 0.2, warm-up 2,000.  `total` is the caller's to set: with 0 the
 * rate is 0 behind the warm-up. */
void optim_defaults(struct optim_config *c, const struct clip_config *model);

/* lr of step (from 0): lr (step + 1) / warmup, then a half cosine to 0. */
double optim_rate(const struct optim_config *c, uint64_t step);

bool optim_decays(enum decay_rule rule, const struct tensor *t);

/* One step (from 0) on the gradients that stand in m's store.  norm: of the
 * whole gradient before clipping, or NULL (then it is only taken to clip). */
int optim_step(struct clip *m, const struct optim_config *c, uint64_t step,
               double *norm, struct err *e);

#endif
