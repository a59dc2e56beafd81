/*
 * alarm - what a person watching a run would want to be told.
 *
 * Model.   alarm_step() takes the series of a run point by point and says which
 *          alarms go off with it:
 *
 *              STUCK       the mean loss of about ALARM_MEAN steps is still
 *                          within 2% of ln(batch), or above it, as many steps
 *                          behind the warm-up; again every ALARM_STUCK_STEPS,
 *                          while it lasts
 *              CLAMPED     the logit scale has been at its most, ln 100, for
 *                          ALARM_CLAMPED_STEPS in a row
 *              COLLAPSING  the temperature's inverse has been below a third of
 *                          where the model began for ALARM_COLLAPSED_STEPS in a
 *                          row
 *              SPIKE       the gradient's norm is above alarm_limit(): so many
 *                          times the median of the last ALARM_WINDOW of them.
 *                          A median, not mean and deviation: the spikes before
 *                          do not widen it.  Norms of spikes count in it, too,
 *                          so that a run whose norms rise for good is not left
 *                          out for ever: half a window later they are usual
 *              NOT_FINITE  the loss, or the norm
 *
 *          CLAMPED and COLLAPSING go off once, and again when it has been
 *          better in between.
 * Fails.   Nothing; alarm_read(): -E_FORMAT and -E_RANGE for a state that no
 *          run can have.
 * Threads. Pure functions of rules, state and point: the same series gives the
 *          same alarms, also where a state was written down in between.
 * Cost.    alarm_limit() sorts a window of numbers; nothing is allocated.
 */
#ifndef TRAIN_ALARM_H
#define TRAIN_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/json.h"

#define ALARM_WINDOW          128  /* norms that the median is of */
#define ALARM_WINDOW_LEAST    32   /* before that many nothing is a spike */
#define ALARM_SPIKE           10.0 /* times the median, where nobody says */
#define ALARM_MEAN            100  /* steps */
#define ALARM_STUCK_STEPS     500
#define ALARM_STUCK_SHARE     0.98 /* of ln(batch) */
#define ALARM_CLAMPED_STEPS   1000
#define ALARM_COLLAPSED_STEPS 100
#define ALARM_COLLAPSED       3.0 /* times lower than at the begin */
#define ALARM_NOT_FINITE_MOST 10  /* steps in a row that may be left out */
#define ALARM_TEXT_MAX        512 /* bytes, terminator included */

enum alarm_kind {
    ALARM_STUCK,
    ALARM_CLAMPED,
    ALARM_COLLAPSING,
    ALARM_SPIKED,
    ALARM_NOT_FINITE,
    ALARM_KINDS
};

struct alarm_rules {
    double chance;   /* the loss of who knows nothing: ln(batch); 0: that of
                        this loss is not known, and nothing is stuck */
    double begin;    /* logit scale (a logarithm) of the fresh model */
    double most;     /* where it is clamped: ln 100 */
    uint64_t warmup; /* steps */
    double spike;    /* times the median; 0: ALARM_SPIKE */
};

struct alarm_point {
    uint64_t step;      /* from 1 */
    double loss;        /* before the step */
    double norm;        /* of the gradient; negative: not known */
    double logit_scale; /* behind the step; NAN: not known */
    bool left_out;      /* the weights stayed as they were */
};

/* What of the past decides; plain numbers, to be kept with a checkpoint. */
struct alarm_state {
    double norms[ALARM_WINDOW];              /* a ring, finite and >= 0 */
    uint64_t norms_n;                        /* that were ever put in */
    double mean;                             /* of the loss */
    uint64_t mean_n;                         /* finite losses so far */
    uint64_t clamped, collapsed, not_finite; /* steps in a row */
};

/* A state before the first step. */
void alarm_begin(struct alarm_state *s);

/* The norm above which the next gradient is a spike; 0: none is yet. */
double alarm_limit(const struct alarm_rules *r, const struct alarm_state *s);

/* The next point; bit K of the result: alarm K goes off. */
unsigned alarm_step(const struct alarm_rules *r, struct alarm_state *s,
                    const struct alarm_point *p);

/* What is to be said of alarm K that went off with p: what happened at which
 * step, and where to look.  before: the state that p met. */
void alarm_text(enum alarm_kind k, const struct alarm_rules *r,
                const struct alarm_state *before, const struct alarm_point *p,
                char out[ALARM_TEXT_MAX]);

const char *alarm_name(enum alarm_kind k); /* "spike" */

/* The state as a JSON object, and back. */
void alarm_write(const struct alarm_state *s, struct json_out *o);
int alarm_read(struct alarm_state *s, struct json *j, struct err *e);

#endif
