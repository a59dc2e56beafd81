/*
 * profile - what each op of a step costs, beside what it has to.
 *
 * Model.   While a profile stands in a device, every op that is called is
 *          counted by its kind and shape: calls, operations, bytes, time.
 *          Operations are those of op.h; bytes are the fewest that can move:
 *          every input read once, every output written once, what "+=" adds to
 *          read and written.  Time lies between two stamps of the backend
 *          around the op: the GPU's own events, or the host's clock.  Graphs
 *          are not used meanwhile.  The device's ceilings are measured with
 *          ops, too: a large product and a large copy; an op's limit is the
 *          larger of operations / rate and bytes / bandwidth.
 * Owns.    Its table; the device borrows it from begin to end.
 * Fails.   What stuck in the device.  A ceiling for whose arrays there is no
 *          room is measured on smaller ones, or stays 0.
 * Threads. The device's.
 * Cost.    Two stamps an op: on a GPU some microseconds, so the sum of the ops
 *          is a little more than the step's time without.
 */
#ifndef TRAIN_PROFILE_H
#define TRAIN_PROFILE_H

#include <stdint.h>
#include "base/buf.h"
#include "train/device.h"
#include "train/op.h"

#define PROFILE_ROWS   512 /* kinds and shapes; further ones share the last */
#define PROFILE_STAMPS OP_STAMPS

struct profile_row {
    enum op_kind kind;
    char shape[48];         /* "204800x3072x768 gelu" */
    uint64_t calls, flops, bytes;
    double seconds;
};

struct profile {
    int n;
    struct profile_row row[PROFILE_ROWS];
    double flops_s, bytes_s; /* the device's ceilings; 0: not measured */
    int waiting;             /* ops whose stamps are not read yet */
    int row_of[PROFILE_STAMPS / 2]; /* their rows */
    double at[PROFILE_STAMPS];      /* host's clock, s, where the backend has
                                       no stamps */
};

/* What an op costs at least: operations, bytes; its shape as text. */
struct profile_cost {
    uint64_t flops, bytes;
    char shape[48];
};

struct profile_cost profile_cost(const struct device *d, enum op_kind kind,
                                 const void *op);

/* Measure the ceilings of d, and count all ops from here to end.  Not while
 * planning; the device's stack is empty. */
int profile_begin(struct profile *p, struct device *d, struct err *e);
void profile_end(struct profile *p, struct device *d);

/* Around an op; called by op_*(). */
void profile_before(struct device *d, enum op_kind kind, const void *op);
void profile_after(struct device *d);

/* Wait for all ops that were called, and add their times. */
void profile_settle(struct device *d);

/* A table, the most expensive row first: calls, time and its share, rate,
 * bandwidth, and how near to its limit each comes. */
void profile_print(const struct profile *p, struct buf *out);

#endif
