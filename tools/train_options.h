/*
 * train_options - what `witmill train` was told: a field for each row of the
 * table in cmd_train.c, before anything is made of it.
 */
#ifndef TOOLS_TRAIN_OPTIONS_H
#define TOOLS_TRAIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "tools/train_data.h"
#include "tools/train_eval.h"

struct train_options {
    struct train_data data;
    struct train_eval_options eval;
    const char *model; /* a name, or a file that ends in .json */
    int device, precision, moments, objective, loss, rule; /* into the names */
    const char *gpu; /* a number; NULL: by the rank */
    uint64_t threads, feed_threads;
    uint64_t batch, chunk, bn_batch, seed, caption_tokens;
    bool packed, reduce, recompute, stochastic, tune, profile;
    double lr, beta1, beta2, eps, decay, clip_norm; /* 0: as published */
    uint64_t warmup;
    const char *init, *log, *save, *out;
    bool resume;
    uint64_t checkpoint_every, keep, keep_every;
    double checkpoint_minutes, skip_spikes;
};

#endif
