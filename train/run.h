/*
 * run - a training run: batches in, steps of the optimiser, weights out.
 *
 * Model.   run_train() opens a backend and a fresh model, plans its memory, and
 *          takes `steps` steps on generated pairs (train/pairs.h), step s on
 *          the pairs s * batch and on.  Of the same config, device and
 *          libraries the weights are the same to the last bit, also where the
 *          run was stopped or killed, and resumed, in between.
 *          What is written down on the way, and gone on from, is
 *          train/record.h's.  With `save`, weights_save() at the end.
 * Owns.    Nothing behind its return.
 * Fails.   -E_RANGE naming the step when a loss or a gradient is not finite
 *          (with skip_spikes, when it was so ten times in a row): nothing is
 *          saved then; as record_find();  -E_UNSUPPORTED for the backend; as
 *          clip_plan() and weights_save().  A log ends with the last whole
 *          step.
 * Threads. One; pairs are made by others (train/batches.h).
 * Cost.    Two batches of pixels on the host beside what the model takes; what
 *          is kept of a step's time is bounded (train/median.h).
 */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"
#include "train/backend.h"
#include "train/checkpoint.h"
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
    const char *folder;     /* models/RUN: log, events and checkpoints; or NULL
                               (train/record.h) */
    bool resume;            /* go on from its last checkpoint */
    uint64_t checkpoint_every; /* steps; 0: by time alone */
    double checkpoint_minutes; /* at most between two; 0: no matter */
    struct checkpoint_rules keep;
    double skip_spikes;     /* leave out steps whose gradient is longer than so
                               many times the median, or not finite; 0: off */
    const atomic_bool *stop; /* set: behind the step, save and return; or
                                NULL */
    struct str settings;    /* a JSON object: the log's first line, and what
                               has to be the same on resume */
    struct buf *profile;    /* behind the run, one more step is taken apart
                               into it as text (train/profile.h); or NULL */
};

struct run_summary {
    char device[320];
    uint64_t begin, steps; /* taken before, and by this call */
    uint64_t left_out;     /* of these */
    bool stopped;          /* on request, before the last step */
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
