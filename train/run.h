/*
 * run - a training run: batches in, steps of the optimiser, weights out.
 *
 * Model.   run_train() opens a backend and a fresh model, plans its memory, and
 *          takes `steps` steps on generated pairs (train/pairs.h), step s on
 *          the pairs s * batch and on.  Of the same config, device and
 *          libraries the weights are the same to the last bit.
 *          With `log`, a JSON object a line: first the settings and the device,
 *          then {"step", "loss", "lr", "norm", "logit_scale", "seconds",
 *          "waited"} of each step, s from 1: the loss before the step, seconds
 *          of all of it, of which `waited` for the pairs to be made.
 *          With `save`, weights_save() at the end.
 * Owns.    Nothing behind its return.
 * Fails.   -E_RANGE naming the step when a loss or a gradient is not finite:
 *          nothing is saved then; -E_UNSUPPORTED for the backend; as
 *          clip_plan() and weights_save().  A log ends with the last whole
 *          step.
 * Threads. One; pairs are made by others (train/batches.h).
 * Cost.    Two batches of pixels on the host beside what the model takes; what
 *          is kept of a step's time is bounded (train/median.h).
 */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"
#include "train/backend.h"
#include "train/clip.h"
#include "train/optim.h"

struct run_config {
    struct clip_config model;
    enum backend backend;
    struct backend_options device;
    enum dtype act;
    struct clip_options options;
    struct optim_config optim;
    bool half_moments;      /* AdamW's, in bfloat16 */
    int batch;              /* pairs a step */
    uint64_t steps, seed;   /* of the weights and the pairs */
    int caption_tokens;     /* mean length of captions */
    int feed_threads;       /* that make pairs; 0: as fits the device */
    const char *log, *save; /* files, or NULL */
    struct str settings;    /* a JSON object for the log's first line */
    struct buf *profile;    /* behind the run, one more step is taken apart
                               into it as text (train/profile.h); or NULL */
};

struct run_summary {
    char device[320];
    double first, last;   /* losses; last: mean of the last tenth */
    double seconds;       /* of the steps behind the first, and ... */
    double median_s;      /* ... their median (train/median.h) */
    double waited_s;      /* for pairs, all steps */
    uint64_t timed;       /* how many steps these are */
    double executed;      /* mean operations of a timed step, as counted */
    uint64_t useful;      /* operations of the whole model (train/flops.h) */
    uint64_t activations; /* bytes of the device's stack */
    uint64_t weights;     /* bytes of weights, gradients and moments */
    struct backend_counts libraries; /* behind the run */
};

int run_train(const struct run_config *c, struct run_summary *s, struct err *e);

#endif
