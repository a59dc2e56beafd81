/*
 * optim - what happens to the weights behind a gradient.
 *
 * Model.   optim_open() for a model and its rule; optim_step(): clip by the
 *          global norm, AdamW on every tensor by its own decay, logit scale
 *          clamped to [0, ln 100].  The learning rate of a step is a pure
 *          function, optim_rate().
 * Owns.    What the device needs to know of the rule; not the model.

 *          With leave_out, a run calls optim_keep() in front of a batch's
 *          gradients.  A step that is left out leaves weights and moments as
 *          they were, which the device decides by itself, and the running
 *          statistics that the batch has moved are put back.
 * Fails.   What stuck in the device; -E_NOMEM when opening; -E_RANGE with the
 *          step (from 1) when the norm of the gradient was taken and is not finite: the
 *          device then has left weights and moments as they were.
 * Threads. The device's.
 * Cost.    One read of the gradient for its norm (only when clipping or asked),
 *          one pass over weights, gradient and both moments, each one op over
 *          all tensors.  Nothing is allocated; the host waits once, for the
 *          norm, behind all of it.
 * Source.  facts b.5; Loshchilov & Hutter 2017, 2019; Radford et al. 2021,
 *          section 2.5 and tables 18-20.
 */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include <stdbool.h>
#include <stdint.h>
#include "train/clip.h"

#define OPTIM_LOGIT_SCALE_MAX 4.6051701859880914 /* ln 100 */

/* Which tensors decay: the two published rules. */
enum decay_rule {
    DECAY_PAPER, /* open_clip until 2025, the paper: not tensors of rank
                    < 2, nor names with bn, ln, bias, logit_scale */
    DECAY_RANK   /* open_clip since: not tensors of rank <= 1, nor
                    positional_embedding and class_embedding */
};

struct optim_config {
    double lr; /* peak */
    double beta1, beta2, eps, decay;
    enum decay_rule rule;
    uint64_t warmup;  /* steps of linear warm-up */
    uint64_t total;   /* steps of the run */
    double clip_norm; /* 0: off */
    bool leave_out;   /* a step whose gradient is not finite, or longer than
                         `limit`, is left out instead of failing */
    bool stochastic;  /* weights as products read them (where they are
                         bfloat16) are rounded up or down by chance, right
                         on average; what chance says is a function of step
                         and place, the same in every run */
};

struct optim {
    struct clip *m;        /* borrowed */
    struct optim_config c; /* rule: as it was when opening */
    double *sumsq;         /* device memory, this and the next: one block */
    uint8_t *decays;       /* for every STORE_ALIGN numbers of the parameters */
    void *kept;            /* statistics in front of the batch; NULL: none */
    double limit;          /* of the next step's norm; the caller sets it, 0
                              for none; read with leave_out alone */
    /* of the last step whose norm was taken: */
    bool left_out;
    double logit_scale; /* behind it */
};

/* The published values for a config (tables 18-20): betas, eps by tower, lr by
 * model, decay 0.2, warm-up 2,000.  `total` is the caller's to set: with 0 the
 * rate is 0 behind the warm-up. */
void optim_defaults(struct optim_config *c, const struct clip_config *model);

/* lr of step (from 0): lr (step + 1) / warmup, then a half cosine to 0. */
double optim_rate(const struct optim_config *c, uint64_t step);

bool optim_decays(enum decay_rule rule, const struct tensor *t);

/* For a model that is open for training.  Close it before the model. */
int optim_open(struct optim *o, struct clip *m, const struct optim_config *c,
               struct err *e);
void optim_close(struct optim *o);

/* One step (from 0) on the gradients that stand in the model's store.  norm:
 * of the whole gradient before clipping, or NULL (then it is only taken to
 * clip). */
int optim_step(struct optim *o, uint64_t step, double *norm, struct err *e);

/* In front of a batch that may be left out: keep what its forward moves. */
void optim_keep(struct optim *o);

/* The batch is left out for its loss: no step, statistics put back. */
void optim_leave(struct optim *o);

/* Make again what products read, after weights were put: as step `applied`
 * (from 1) left it; 0: none has been taken. */
int optim_restore(struct optim *o, uint64_t applied, struct err *e);

#endif
