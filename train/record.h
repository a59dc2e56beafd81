/*
 * record - what a run writes down, and what it goes on from.
 *
 * Model.   A run may have a folder (train/checkpoint.h): log.jsonl, event files
 *          and checkpoints; or a log alone; or nothing.
 *
 *              record_find    the folder is there and ours alone; where the
 *                             run begins: state.step, 0 for a new one
 *              record_load    weights, moments, what products read
 *              record_begin   log and event files stand open behind that step
 *              record_step    a line, an event, the alarms that went off
 *              record_eval    numbers of an evaluation of the step
 *              record_due     whether it is time for a checkpoint
 *              record_save    one, and those that go
 *              record_close
 *
 *          The log: first an object of settings, then an object a step, and
 *          one behind it for each alarm and each evaluation.  Resuming cuts it
 *          behind the checkpoint's step, so that in the end it is the one of a
 *          run that was never interrupted, but for times.
 *          Of several ranks each finds and loads; rank 0 alone writes.
 * Owns.    Descriptors, the folder's lock.
 * Fails.   -E_BUSY for a folder that another process trains into; -E_USAGE for
 *          one that holds checkpoints when not resuming, or a log.jsonl that is
 *          no log or of a run with other settings when it would be written
 *          anew; -E_STALE naming the options that a checkpoint was made with
 *          and both values; as train/checkpoint.h; -E_IO.
 * Threads. The run's.
 * Cost.    A write() to the log and one to the event file a step.
 */
#ifndef TRAIN_RECORD_H
#define TRAIN_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"
#include "train/alarm.h"
#include "train/checkpoint.h"
#include "train/events.h"
#include "train/optim.h"

#define RECORD_LINE_MAX  (1u << 16) /* bytes of a line of the log */
#define RECORD_EVALS_MAX 32         /* numbers of an evaluation */

struct record_config {
    const char *folder; /* models/RUN, made when absent; NULL: none */
    const char *log;    /* a file; NULL: log.jsonl in the folder, or none */
    bool resume;        /* go on from the folder's last checkpoint, if any */
    bool reads_only;    /* one of several ranks, not the first */
    uint64_t every;     /* steps from checkpoint to checkpoint; 0: by time */
    double minutes;     /* and the longest time between two; 0: no matter */
    struct checkpoint_rules rules;
    struct str agree;    /* JSON object: what has to be the same on resume */
    struct str settings; /* JSON object: as the log's first line has it */
    uint64_t seed;
    uint64_t batch; /* samples a step */
    uint64_t epoch; /* samples of an epoch; 0: there are no epochs */
    struct alarm_rules alarms;
    const struct checkpoint_beside *beside; /* files that go with the model */
    size_t beside_n;
};

struct record {
    struct record_config c;        /* as given; what it points to is borrowed */
    struct checkpoint_state state; /* of the step last recorded */
    char found[IO_PATH_MAX];       /* the checkpoint to go on from, or "" */
    struct checkpoint_meta meta;   /* of it */
    struct buf made, line;         /* what computes; a line being made */
    char log_path[IO_PATH_MAX];
    int lock, log; /* descriptors, -1 without */
    bool has_events;
    struct events events;
    uint64_t saved;    /* step of the last checkpoint */
    uint64_t saved_ms; /* when */
};

/* What a step was, for the log. */
struct record_step {
    uint64_t number; /* from 1 */
    double loss, lr;
    double norm, logit_scale; /* negative and NAN: not known */
    double seconds, waited;   /* of all of it, for pairs */
    double upload;            /* that the device stood while they came */
    double useful;            /* operations (train/flops.h) */
    uint64_t device_bytes;    /* that the device holds, at most */
    bool left_out;            /* the weights stayed as they were */
    struct str stages;        /* a JSON object of what loading costs, or
                                 nothing */
};

/* Numbers of an evaluation. */
struct record_eval {
    const char *name; /* "zeroshot_top1" */
    double value;
};

int record_find(struct record *r, const struct record_config *c, struct err *e);

/* Nothing for a new run.  The model is open for training and has its weights
 * of the seed. */
int record_load(struct record *r, struct optim *o, struct err *e);

/* Remove the checkpoints that the run found was to remove, had it not been
 * killed; record_begin() does so, too. */
int record_tidy(struct record *r, struct err *e);

/* made: a JSON object, what computes (a difference to the checkpoint's is
 * logged); head: the log's first line, an object. */
int record_begin(struct record *r, struct str made, struct str head,
                 struct err *e);

/* Whether log or events are written: who asks for norm and logit scale. */
bool record_wants(const struct record *r);

/* The step, on every rank alike; alarms go off here. */
int record_step(struct record *r, const struct record_step *s, struct err *e);

/* Of the step last recorded; metric: what tells the best, more is better. */
int record_eval(struct record *r, const struct record_eval *list, size_t n,
                double metric, struct err *e);

/* By steps or by time, behind the step last recorded. */
bool record_due(const struct record *r);

/* A checkpoint of the step last recorded, unless there is one. */
int record_save(struct record *r, const struct clip *m, struct err *e);

/* rc: the run's so far; what fails here comes back when it is 0. */
int record_close(struct record *r, int rc, struct err *e);

#endif
