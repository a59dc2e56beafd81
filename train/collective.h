/*
 * collective - what the ranks of a data-parallel run do together.
 *
 * Model.   Every rank holds the whole model and its own pairs of the global
 *          batch, in rank order.  Three things meet: features are gathered
 *          (all ranks then have everybody's, so that a rank's rows of the loss
 *          and their gradients are complete without another exchange),
 *          gradients are summed, and a few bytes of the host are told or
 *          exchanged.  Three implementations: one rank alone, MPI for devices
 *          whose memory is the host's (sums in rank order, a fixed one), NCCL
 *          for GPUs (train/cuda/nccl.c).
 *          Opening is the ranks' first meeting: each gives its word
 *          (train/agree.h), and a rank that could not even open its device
 *          comes to it, too, so that nobody waits for it.
 * Owns.    Its buffers and communicators; close frees them.
 * Fails.   Sticky in the device it is called with.  collective_open: -E_CANCEL
 *          without a message where the ranks do not agree, -E_NET,
 *          -E_UNSUPPORTED for ranks that this build has no library for.  Who
 *          fails between the others' calls must abort(): they would wait for
 *          it.
 * Threads. The device's.  All ranks make the same calls in the same order.
 * Cost.    Over a rank's wire: gather (size - 1) * bytes in; sum twice what is
 *          summed, out and in.
 *          Nothing is allocated behind opening.
 */
#ifndef TRAIN_COLLECTIVE_H
#define TRAIN_COLLECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "train/agree.h"
#include "train/device.h"
#include "train/launch.h"

#define COLLECTIVE_MEET_MAX 1024 /* bytes */

struct collective {
    int rank, size;
    const char *name; /* "self", "mpi", "nccl" */
    void *state;      /* the implementation's */
    void (*close)(struct collective *c);
    /* End all ranks, this process too (exit code 3) where the library can do
     * that; else it returns, and the end of this process ends the others. */
    void (*abort)(struct collective *c);
    /* all[r * bytes ...] = rank r's mine; device memory, < 2^31 bytes (more is
     * -E_TOOBIG). */
    void (*gather)(struct collective *c, struct device *d, const void *mine,
                   void *all, int64_t bytes);
    /* x = sum over the ranks of x; real, device memory. */
    void (*sum)(struct collective *c, struct device *d, void *x, int64_t count);
    /* Rank 0's bytes into everybody's x; device memory. */
    void (*tell)(struct collective *c, struct device *d, void *x,
                 int64_t bytes);
    /* As gather, of host memory, bytes <= COLLECTIVE_MEET_MAX; waits for it,
     * and needs no plan.  -E_*: not all have met. */
    int (*meet)(struct collective *c, struct device *d, const void *mine,
                void *all, int64_t bytes, struct err *e);
};

/* What the ranks must agree about. */
struct agreement {
    struct agree word;        /* this rank's */
    const char *const *names; /* of its settings */
    bool gpus;                /* the ranks are on GPUs */
};

/* For the processes of `l` (launch_read) and the memory of d, which may be NULL
 * where the word is that this rank is not ready. */
int collective_open(struct collective *c, const struct launch *l,
                    struct device *d, const struct agreement *a, struct err *e);
void collective_close(struct collective *c);

/* The one rank. */
void collective_self(struct collective *c);

/* MPI's (train/collective_mpi.c; only in builds with MPI=1).  Starts MPI if
 * nobody has, and ends it then. */
int collective_mpi(struct collective *c, struct err *e);

/* By TCP (train/rendezvous.h), before there is a communicator: 0 where all
 * ranks agree, and then everybody has rank 0's n <= AGREE_BYTES bytes. */
#define AGREE_BYTES 128
int collective_agree_tcp(const struct launch *l, const struct agreement *a,
                         void *bytes, size_t n, struct err *e);

/* Sum over the ranks, in their order, of a number of the host, by way of the
 * device's stack; waits for it. */
double collective_sum_host(struct collective *c, struct device *d, double x);

#endif
