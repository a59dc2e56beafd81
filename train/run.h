/*
 * run - a training run: batches in, steps of the optimiser, weights out.
 *
 * Model.   run_train() opens a backend and a fresh model, plans its memory, and
 *          takes `steps` steps on generated pairs (train/pairs.h), or on those
 *          of a dataset (train/loader.h), step s on the pairs s * batch and on.
 *          Of the same config, device and libraries the weights are the same to
 *          the last bit, also of a run that was stopped or killed, and resumed:
 *          what is written down on the way, and gone on from, is
 *          train/record.h's.  With `save`, weights_save() at the end.
 *          With `eval` the model is asked on the way; a checkpoint follows, and
 *          the steps behind are what they would have been.
 *          Several processes (`launch`) train one model, each on its share of
 *          every batch, in the order of their ranks: losses and weights are
 *          those of one process with the whole batch, to rounding.  Rank 0
 *          alone writes and shows progress; `waited` is the longest of
 *          all ranks.
 * Owns.    Nothing behind its return.
 * Fails.   -E_RANGE naming the step when a loss or a gradient is not finite
 *          (with skip_spikes, when that was so ten times in a row): nothing is
 *          saved then; -E_UNSUPPORTED for the backend; as record_find(),
 *          clip_plan() and weights_save().  A log ends with the last whole
 *          step.  Of several processes all fail when one does: -E_CANCEL
 *          without a message, which was an event of the log (train/ranks.h).
 *          Where the pairs of a step cannot be had, the steps in front of it
 *          are kept in a checkpoint first.
 * Threads. One; pairs are made by others (train/batches.h).
 * Cost.    Two batches of pixels on the host, with a GPU three and a chunk's on
 *          the device, of a dataset four, beside what the model takes; what is
 *          kept of a step's time is bounded (train/median.h).
 */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "train/backend.h"
#include "train/checkpoint.h"
#include "train/clip.h"
#include "train/launch.h"
#include "train/loader.h"
#include "train/optim.h"

struct record_eval;

/* What is asked of the model on the way, by rank 0 alone: numbers for the log
 * (RECORD_EVALS_MAX at most), and the one of them that tells which checkpoint
 * is the best.  o: with it clip_encode_*() has room for a chunk, or where there
 * is none a rank's share of the batch. */
struct run_eval {
    int (*ask)(void *ctx, struct clip *m, const struct clip_options *o,
               struct record_eval *list, size_t *n, double *metric,
               struct err *e); /* NULL: nothing is asked */
    void *ctx;
    uint64_t every; /* steps; the last one in any case; 0: it alone */
};

struct run_config {
    struct clip_config model;
    enum backend backend;
    struct backend_options device;
    enum dtype act;
    struct clip_options options;
    struct optim_config optim;
    bool half_moments;    /* AdamW's, in bfloat16 */
    struct launch launch; /* launch_read(); size 0 is one process, too */
    int unready;          /* 0, or -E_*: nothing can begin for a reason that e
                             holds when run_train() is called; the other ranks
                             are told */
    int batch;            /* pairs a step, of all ranks */
    uint64_t steps, seed; /* of the weights and the pairs */
    int caption_tokens;   /* mean length of captions */
    int feed_threads;     /* that make pairs; 0: as fits the device */
    const struct dataset *data; /* to train on; NULL: generated pairs */
    unsigned workers;       /* that decode its pictures, 0: one a processor */
    const char *init;       /* weights to begin with, a file or a folder as
                               checkpoint_find_weights() takes them; NULL:
                               fresh ones.  Positions are brought to this
                               model's */
    const char *log, *save; /* files, or NULL */
    const char *folder;     /* models/RUN: log, events and checkpoints; or NULL
                               (train/record.h) */
    bool resume;            /* go on from its last checkpoint */
    uint64_t checkpoint_every; /* steps; 0: by time alone */
    double checkpoint_minutes; /* at most between two; 0: no matter */
    struct checkpoint_rules keep;
    double skip_spikes;      /* leave out steps whose gradient is longer than so
                                many times the median, or not finite; 0: off */
    const atomic_bool *stop; /* set: behind the step, save and return; or
                                NULL */
    struct run_eval eval;
    /* puts members into an object: versions of the libraries that make the
     * pairs (image_libraries()); or NULL */
    void (*put_libraries)(struct json_out *o);
    struct str settings; /* a JSON object: the log's first line, and what
                            has to be the same on resume */
    struct buf *profile; /* behind the run, one more step is taken apart
                            into it as text (train/profile.h); or NULL */
};

struct run_summary {
    char device[320];      /* this rank's */
    const char *ranks;     /* by what they talk: "self", "mpi", "nccl" */
    uint64_t begin, steps; /* taken before, and by this call */
    uint64_t left_out;     /* of these */
    bool stopped;          /* on request, before the last step */
    double first, last;    /* losses; last: mean of the last tenth */
    double seconds;        /* of the steps behind the first, and ... */
    double median_s;       /* ... their median (train/median.h) */
    double fast_s, slow_s; /* what one step in ten is below, and above */
    double waited_s;       /* for pairs, all steps; in each the longest wait
                              of any rank */
    double upload_s;       /* a GPU for pixels, all steps */
    uint64_t timed;        /* how many steps these are */
    double executed;       /* mean operations of a timed step, as counted, of
                              all ranks */
    uint64_t useful;       /* operations of the whole model (train/flops.h) */
    uint64_t activations;  /* bytes of the device's stack, and of what is
                              sent ahead, on each rank */
    uint64_t weights;      /* of weights, gradients and moments, likewise */
    struct backend_counts libraries; /* behind the run */
    uint64_t evals;                  /* evaluations, ... */
    double metric, eval_s;           /* ... of the last one, seconds of all */
    double best;                     /* of these, the first of several, ... */
    uint64_t best_step;              /* ... and behind which step */
    struct load load;                /* of a dataset: what its pairs took */
    unsigned workers;                /* that decoded; 0: no dataset */
    char replaced[1024];             /* samples, by reason, a JSON object */
};

int run_train(const struct run_config *c, struct run_summary *s, struct err *e);

#endif
