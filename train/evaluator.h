/*
 * evaluator - one evaluation, of any model, as often as wanted.
 *
 * Model.   evaluator_open() opens the pictures and reads what is asked about
 *          them; evaluator_run() takes an open model through it: classes told
 *          from each other (train/zeroshot.h), or pictures and texts that look
 *          for each other (train/retrieval.h), by what its objective says of
 *          them (train/classifier.h, train/encoder.h).  The model may be in
 *          training: nothing of it changes, and its plan must hold batches of
 *          c.batch.
 * Owns.    Pictures, workers, prompts, what the last run found.
 * Fails.   As evalset_*(), zeroshot_*(), encoder_*(); -E_USAGE without class
 *          names; -E_RANGE with fewer than the labels need (a batch of pictures
 *          may be asked about before that is seen); -E_UNSUPPORTED for
 *          retrieval by a caption model: too many pairs.
 * Threads. evaluator_open() before threads start (base/jail.h); then the
 *          device's.
 * Cost.    One pass over the pictures; retrieval keeps all features.
 */
#ifndef TRAIN_EVALUATOR_H
#define TRAIN_EVALUATOR_H

#include "base/json.h"
#include "train/evalset.h"
#include "train/precision.h"
#include "train/record.h"
#include "train/retrieval.h"
#include "train/zeroshot.h"

enum evaluator_task {
    EVALUATE_ZEROSHOT,
    EVALUATE_RETRIEVAL,
    EVALUATE_AUTO /* zero-shot where there are class names */
};

struct evaluator_config {
    enum evaluator_task task;
    const char *data, *split, *caption_key; /* as struct evalset_config */
    const char *classnames, *templates; /* files; NULL: the benchmark's, if it
                                           has some */
    const char *prefix;       /* of captions: "a photo of "; NULL: none */
    uint32_t size;            /* of the model's pictures */
    enum objective objective; /* of the model */
    int batch;
    unsigned workers; /* processes that decode; 0: one a processor */
    unsigned threads; /* that rank pairs; likewise */
};

struct evaluator {
    struct evaluator_config c; /* task: never EVALUATE_AUTO */
    struct evalset set;
    bool many; /* labels a picture */
    struct zeroshot_prompts prompts;
    /* of the last run */
    struct zeroshot_score score;   /* EVALUATE_ZEROSHOT, unless many */
    struct precision precision;    /* EVALUATE_ZEROSHOT and many */
    double mean;                   /* average precision, likewise */
    struct retrieval_result found; /* EVALUATE_RETRIEVAL */
    bool cached;                   /* the classifier was */
    double seconds;                /* of all of it, and ... */
    double classifier_s;           /* ... until the classifier was there */
};

int evaluator_open(struct evaluator *v, const struct evaluator_config *c,
                   struct err *e);
void evaluator_close(struct evaluator *v); /* fine when zero */

/* That there is a picture that can be asked about, for who would know before
 * the model is there: as evaluator_run() fails when there is none.  A batch is
 * read, all tars when it is not in the first ones. */
int evaluator_try(struct evaluator *v, struct err *e);

/* metric: top-1, or of several labels the mean average precision, or the mean
 * of R@1 both ways; NULL: not asked for.  cache:
 * for classifiers, NULL of a model that goes on changing. */
int evaluator_run(struct evaluator *v, struct clip *m,
                  const struct clip_options *o, const struct tokenizer *t,
                  struct zeroshot_cache *cache, double *metric, struct err *e);

/* The same as numbers for a run's log, the metric's first: how many. */
size_t evaluator_numbers(const struct evaluator *v,
                         struct record_eval list[RECORD_EVALS_MAX]);

/* The members of an object: what the last run found.  table: class by class. */
void evaluator_json(const struct evaluator *v, bool table, struct json_out *o);

#endif
