/*
 * objective_private - what train/objective.c and train/objective_score.c share.
 *
 * Model.   A struct prediction is rows that go through the output layer; the
 *          logits are made, judged and taken back a few rows at a time.
 * Threads. The device's.
 */
#ifndef TRAIN_OBJECTIVE_PRIVATE_H
#define TRAIN_OBJECTIVE_PRIVATE_H

#include "train/clip_private.h"
#include "train/objective.h"
#include "train/targets.h"

struct prediction {
    const void *x; /* act [targets.rows, the output layer's inputs] */
    struct targets targets;
    const void *by; /* real [1]: what a row's loss counts; NULL: no
                       gradients are wanted */
    void *dx;       /* act, shape of x, and may be x; with `by` */
    void *loss;     /* real [rows] */
    void *lse;      /* real [rows], or NULL */
};

/* Losses of rows, and with `by` gradients of x and of the output layer. */
void objective_predict(const struct job *j, const struct prediction *q);

/* What scoring runs of a chunk of pairs, of j->plan_rows rows. */
void objective_plan_pairs(const struct job *j);

/* What conditions the decoder on a picture, from its features. */
struct product objective_projection(const struct job *j, const struct pass *p);

#endif
