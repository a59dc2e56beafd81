/*
 * run_private - a run under way: what train/run*.c share.
 *
 * Model.   run.c opens what a run needs, in the order that its parts ask for,
 *          and closes it; run_record.c says what is written down of it, and
 *          with what it can go on; run_steps.c takes the steps.
 * Threads. One.
 */
#ifndef TRAIN_RUN_PRIVATE_H
#define TRAIN_RUN_PRIVATE_H

#include "base/progress.h"
#include "train/batches.h"
#include "train/feed.h"
#include "train/median.h"
#include "train/pairs.h"
#include "train/ranks.h"
#include "train/record.h"
#include "train/run.h"

struct run {
    const struct run_config *c;
    struct run_summary *sum;
    struct device d;
    struct clip m;
    struct clip_options options; /* c's, of pictures in bytes, with ranks */
    struct launch launch;
    struct ranks ranks;
    bool writes; /* rank 0: log, weights, progress */
    bool unfed;  /* a rank has no pairs for the next step: the end */
    int share;   /* pairs of a batch that are this rank's */
    struct pairs pairs;
    struct optim optim;
    struct feed feed;
    struct loader *loader; /* of a dataset, or NULL; the ring's to close */
    struct batches batches;
    uint64_t waited_ns;     /* of the batches', told with a step already */
    struct clip_batch next; /* that was asked for ahead; n is 0: none */
    int late;               /* why it could not be had, ... */
    struct err late_why;    /* ... to be said when its turn comes */
    struct progress progress;
    struct median seconds; /* of the steps behind the first */
    struct record record;
    struct buf agree; /* what has to be the same on resume */
    struct buf load;  /* what a step's loading cost, as JSON */
    struct checkpoint_beside vocabulary;
    bool recorded;  /* the record is open, and the two above */
    uint64_t begin; /* steps taken before */
    uint64_t taken; /* and here; */
    uint64_t last;  /* of the last tenth */
};

/* Where it begins (r->begin), before anything else is open. */
int run_find_record(struct run *r, struct err *e);

/* The log and the event files, once the device is known. */
int run_begin_record(struct run *r, struct err *e);

/* rc: the run's so far. */
int run_close_record(struct run *r, int rc, struct err *e);

/* The next batch, which may have been asked for ahead. */
int run_take_batch(struct run *r, struct clip_batch *b, struct err *e);

/* Steps r->begin .. c->steps - 1, or to where it is stopped. */
int run_take_steps(struct run *r, struct err *e);

#endif
