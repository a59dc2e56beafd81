/*
 * collective - what the ranks of a data-parallel run do together.
 *
 * Model.   Every rank holds the whole model and its own pairs of the global
 *          batch, in rank order.  Three things meet: features are gathered
 *          (all ranks then have everybody's, so that a rank's rows of the loss
 *          and their gradients are complete without another exchange),
 *          gradients are summed, and a few numbers of the host are summed or
 *          told.  Three implementations: one rank alone, MPI for devices whose
 *          memory is the host's (sums in rank order, a fixed one), NCCL for
 *          GPUs (train/cuda/nccl.c).
 * Owns.    Its buffers and communicators; close frees them.
 * Fails.   Sticky in the device it is called with; collective_open: -E_NET,
 *          -E_UNSUPPORTED for ranks that this build has no library for.
 * Threads. The device's.  All ranks make the same calls in the same order.
 * Cost.    Over a rank's wire: gather (size - 1) * bytes in; sum twice what is
 *          summed, out and in.
 *          Nothing is allocated behind opening.
 */
#ifndef TRAIN_COLLECTIVE_H
#define TRAIN_COLLECTIVE_H

#include <stddef.h>
#include <stdint.h>
#include "train/device.h"
#include "train/launch.h"

struct collective {
    int rank, size;
    const char *name; /* "self", "mpi", "nccl" */
    void *state;      /* the implementation's */
    void (*close)(struct collective *c);
    /* all[r * bytes ...] = rank r's mine; device memory, < 2^31 bytes. */
    void (*gather)(struct collective *c, struct device *d, const void *mine,
                   void *all, int64_t bytes);
    /* x = sum over the ranks of x; real, device memory. */
    void (*sum)(struct collective *c, struct device *d, void *x,
                int64_t count);
    /* Rank 0's bytes into everybody's x; device memory. */
    void (*tell)(struct collective *c, struct device *d, void *x,
                 int64_t bytes);
};

/* For the processes of `l` (launch_read) and the memory of d. */
int collective_open(struct collective *c, const struct launch *l,
                    struct device *d, struct err *e);
void collective_close(struct collective *c);

/* The one rank. */
void collective_self(struct collective *c);

/* MPI's (train/collective_mpi.c; only in builds with MPI=1).  Starts MPI if
 * nobody has, and ends it then. */
int collective_mpi(struct collective *c, struct err *e);

/* Sum over the ranks, in their order, of a number of the host, by way of the
 * device's stack; waits for it. */
double collective_sum_host(struct collective *c, struct device *d, double x);

#endif
