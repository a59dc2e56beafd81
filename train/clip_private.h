/*
 * clip_private - one batch or chunk being computed: what train/clip.c and
 * train/clip_batch.c share.
 *
 * Model.   A job is a batch with its options.  job_put() puts what a chunk of
 *          one side reads on the device's stack; job_forward() and
 *          job_backward() take it through the tower; job_run() is a whole
 *          step.  What a batch alone decides (pixels, ids, rows) is put
 *          outside of the graphs; within them everything is a function of
 *          job_key().
 * Owns.    Everything lies on the device's stack.
 * Threads. The device's.
 */
#ifndef TRAIN_CLIP_PRIVATE_H
#define TRAIN_CLIP_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include "train/clip.h"
#include "train/rows.h"

enum which { IMAGE, TEXT };

/* One side's features of a whole batch, on the device's stack. */
struct side {
    void *y, *norm;   /* real [n, embed_dim], [n] */
    void *dy;         /* real [n, embed_dim] */
    void *lse, *loss; /* real [n] */
    void *all_y;      /* real [all, embed_dim]: y of all ranks; y when alone */
    void *all_lse;    /* real [all] */
};

/* A batch being computed. */
struct job {
    struct clip *m;
    const struct clip_options *o;
    const struct clip_batch *b; /* NULL while planning */
    int n, chunk, group;        /* group: pictures a BatchNorm group */
    int all, first;             /* pairs of all ranks, the first of this one */
    int64_t plan_rows;          /* packed rows to plan for; 0: the most */
    bool running;               /* BatchNorm by running statistics */
    struct side side[2];
};

/* What a chunk of one side reads, on the device's stack. */
struct input {
    int n;
    struct pixels pixels; /* images */
    struct rows pictures;
    struct caption_rows at; /* texts */
};

/* What a graph holds. */
enum phase { WHOLE, FORWARD, LOSS, AGAIN, ENCODE };

static inline bool job_is_resnet(const struct clip *m)
{
    return m->config.vision.kind == VISION_RESNET;
}

/* Pairs of the chunk that begins at `at`. */
static inline int job_chunk_at(const struct job *j, int at)
{
    return j->n - at < j->chunk ? j->n - at : j->chunk;
}

/* Pairs [at, at + n) of a side. */
void job_put(const struct job *j, enum which side, int at, int n,
             struct input *in);

/* With options.ahead: let the pixels of the chunk at `at`, or those of the next
 * batch's first one, which is asked for then, travel while the device computes
 * what it was given; they are put next. */
void job_send(const struct job *j, int at);
void job_send_next(const struct job *j);

/* Features of a chunk of one side, normalised into y [n, embed_dim], and their
 * norms [n]; with train, what job_backward() reads stays on the stack.  first:
 * not made again, so that what BatchNorm collects is collected once. */
void job_forward(const struct job *j, enum which side, const struct input *in,
                 bool train, bool first, void *y, void *norm);

/* The picture's tower alone: features as it leaves them, act [n, embed_dim],
 * and the gradients of its parameters from theirs. */
void job_forward_images(const struct job *j, const struct input *in, bool train,
                        bool first, void *features);
void job_backward_images(const struct job *j, const void *dfeatures);

/* From the gradient of normalised features to those of the parameters. */
void job_backward(const struct job *j, enum which side, int n, const void *y,
                  const void *norm, const void *dy);

/* How the job's towers are run. */
struct pass job_pass(const struct job *j, bool train);

/* Before the first chunk's backward, and behind the last one's: gradients of
 * all ranks, running statistics moved. */
void job_begin_gradients(const struct job *j);
void job_finish_gradients(const struct job *j);

/* Sum of n reals in device memory, in order; waits for the device. */
double job_sum(const struct job *j, const void *column, int64_t n);

/* All that decides about the ops of a phase, beside the plan: the number of
 * packed rows is what differs from batch to batch. */
uint64_t job_key(const struct job *j, enum phase phase, enum which side,
                 const struct input *in);

/* A step's gradients; gives the loss. */
double job_run(struct job *j);

/* A job of features alone: sizes of n pairs, checked. */
int job_lay_encode(struct job *j, struct clip *m, const struct clip_options *o,
                   int n, struct err *e);

/* The same for the other objectives (train/objective.c), and what planning runs
 * for them: scores of a batch; what depends on j->plan_rows, packed rows of n
 * captions, in training and scoring. */
double objective_run(struct job *j);
void objective_plan_scores(const struct job *j);
void objective_plan_rows(const struct job *j, int n, bool train);

#endif
