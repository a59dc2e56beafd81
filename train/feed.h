/*
 * feed - generated pairs as a maker of batches.
 *
 * Model.   Batch s of a process holds the n pairs (train/pairs.h) from
 *          s * stride + first on: alone, first is 0 and stride n; of several
 *          ranks, stride is the global batch.  Threads fill a slice of each
 *          batch, one batch after the other, in the order they were started.
 * Owns.    The threads; the maker's close() ends them, and is the last use of
 *          the struct.
 * Fails.   -E_NOMEM when no thread can be started; what is behind that does
 *          not fail.
 * Threads. One calls the maker; `threads` of its own fill.
 */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include <pthread.h>
#include "train/batches.h"
#include "train/pairs.h"

#define FEED_THREADS_MAX 64

struct feed_config {
    const struct pairs *pairs; /* borrowed */
    int n;                     /* pairs a batch */
    uint64_t first;            /* pair of batch 0 that is the first here */
    uint64_t stride;           /* pairs from batch to batch, of all ranks */
    int threads;               /* 1 .. FEED_THREADS_MAX */
};

struct feed;

struct feed_thread {
    struct feed *f;
    int number;
    pthread_t id;
};

/* A batch being filled. */
struct feed_job {
    uint64_t step;
    uint8_t *pixels;
    int32_t *ids;
    int slices; /* that are not filled yet */
};

struct feed {
    struct feed_config c;
    int threads; /* that run */
    struct feed_thread thread[FEED_THREADS_MAX];
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t more, filled;
    uint64_t started; /* jobs, of which [started % BATCHES_MAX] is the next */
    uint64_t finished;
    struct feed_job job[BATCHES_MAX];
    bool stop;
};

/* Fill in the maker, whose ctx is f: f stays where it is. */
int feed_open(struct feed *f, const struct feed_config *c,
              struct batch_maker *out, struct err *e);

#endif
