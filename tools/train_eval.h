/*
 * train_eval - what `witmill train` asks of its model on the way.
 *
 * Model.   The options of cmd_train.c that speak of evaluation, and an
 *          evaluator (train/evaluator.h) as a run's (struct run_eval).
 * Owns.    The evaluator, which is opened by rank 0 alone.
 */
#ifndef TOOLS_TRAIN_EVAL_H
#define TOOLS_TRAIN_EVAL_H

#include <stddef.h>
#include "base/opt.h"
#include "train/evaluator.h"
#include "train/run.h"

struct train_eval_options {
    const char *data; /* NULL: nothing is asked */
    const char *classnames, *templates, *caption_key;
    uint64_t every;
};

/* Their rows of an option table. */
#define TRAIN_EVAL_OPTIONS(type_, member)                                      \
    {.name = "eval",                                                           \
     .type = OPT_STRING,                                                       \
     .at = offsetof(type_, member.data),                                       \
     .arg = "SPEC",                                                            \
     .help =                                                                   \
         "Ask the model about these samples on the way, as `witmill eval` "    \
         "does: zero-shot where there are class names, else retrieval. The "   \
         "figures go to the log and the event files, a checkpoint follows, "   \
         "and the best one is kept. The steps stay what they are."},           \
        {.name = "eval-every",                                                 \
         .type = OPT_U64,                                                      \
         .at = offsetof(type_, member.every),                                  \
         .arg = "STEPS",                                                       \
         .def = "1000",                                                        \
         .help = "How often; and behind the last step. 0: then "               \
                 "alone."},                                                    \
        {.name = "eval-classnames",                                            \
         .type = OPT_STRING,                                                   \
         .at = offsetof(type_, member.classnames),                             \
         .arg = "FILE",                                                        \
         .help = "Names of classes, one a line. Default: the benchmark's "     \
                 "classnames.txt."},                                           \
        {.name = "eval-templates",                                             \
         .type = OPT_STRING,                                                   \
         .at = offsetof(type_, member.templates),                              \
         .arg = "FILE",                                                        \
         .help = "Sentences for a name, {} or {c} in its place. Default: the " \
                 "benchmark's, or \"a photo of a {}.\"."},                     \
    {                                                                          \
        .name = "eval-caption-key", .type = OPT_STRING,                        \
        .at = offsetof(type_, member.caption_key), .arg = "KEY",               \
        .help = "Read captions from this member of the .json."                 \
    }

struct train_eval {
    struct evaluator v;
    const struct tokenizer *tokenizer; /* borrowed: the dataset's */
};

/* Before threads start (base/jail.h); c is filled but for its eval. */
int train_eval_open(struct train_eval *t, const struct train_eval_options *o,
                    struct run_config *c, struct err *e);
void train_eval_close(struct train_eval *t); /* fine when zero */

#endif
