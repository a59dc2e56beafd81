/*
 * train_eval - what `witmill train` asks of its model on the way.
 *
 * Model.   The options of cmd_train.c that speak of evaluation, and an
 *          evaluator (train/evaluator.h) as a run's (struct run_eval).
 * Owns.    The evaluator, which is opened by rank 0 alone.
 */
#ifndef TOOLS_TRAIN_EVAL_H
#define TOOLS_TRAIN_EVAL_H

#include "train/evaluator.h"
#include "train/run.h"

struct train_eval_options {
    const char *data; /* NULL: nothing is asked */
    const char *classnames, *templates, *caption_key;
    uint64_t every;
};

struct train_eval {
    struct evaluator v;
    const struct tokenizer *tokenizer; /* borrowed: the dataset's */
};

/* Before threads start (base/jail.h); c is filled but for its eval. */
int train_eval_open(struct train_eval *t, const struct train_eval_options *o,
                    struct run_config *c, struct err *e);
void train_eval_close(struct train_eval *t); /* fine when zero */

#endif
