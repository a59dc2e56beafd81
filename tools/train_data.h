/*
 * train_data - what `witmill train` trains on, and for how long.
 *
 * Model.   The options of cmd_train.c that speak of data and length, checked
 *          against each other, and as a dataset and a number of steps.
 */
#ifndef TOOLS_TRAIN_DATA_H
#define TOOLS_TRAIN_DATA_H

#include "base/opt.h"
#include "train/config.h"
#include "train/loader.h"

struct train_data {
    const char *corpus; /* NULL with --generated */
    bool generated;
    struct opt_list data;
    const char *vocabulary, *caption_key, *cache;
    int texts, crop; /* indices into the names below */
    bool fast_decode;
    uint64_t balance, window, workers;
    uint64_t steps, samples; /* 0: not given */
    double epochs;           /* 0: not given */
};

extern const char *const train_texts_names[]; /* of enum texts_rule */
extern const char *const train_crop_names[];  /* "square", "resized" */

/* One thing to train on, one length. */
int train_data_check(const struct train_data *t, struct err *e);

/* Open the dataset and fit the model to its vocabulary: of a named model
 * (own is false) its size is that of the vocabulary, a model of one's own must
 * have it. */
int train_data_open(const struct train_data *t, uint64_t seed, uint64_t batch,
                    struct clip_config *model, bool own, struct dataset *d,
                    struct err *e);

/* d: NULL for generated pairs. */
int train_data_steps(const struct train_data *t, const struct dataset *d,
                     uint64_t batch, uint64_t *steps, struct err *e);

/* Lines of the summary: what was read, what it cost, what limits. */
void train_data_print(const struct dataset *d, const struct load *load,
                      unsigned workers, const char *replaced,
                      uint64_t positions, double seconds, double waited);

#endif
