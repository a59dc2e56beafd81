/*
 * feed - batches of generated pairs, the next one made while one computes.
 *
 * Model.   Batch s holds the pairs s * n .. s * n + n - 1.  Two buffers take
 *          turns: feed_next() waits until the batch is there, hands it out and
 *          lets threads fill the other buffer with the one behind it.
 * Owns.    Both buffers and the threads; a batch handed out is valid until the
 *          next feed_next().
 * Fails.   -E_NOMEM.
 * Threads. One calls; `threads` of its own fill, a slice each.
 */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include <pthread.h>
#include "train/clip.h"
#include "train/pairs.h"

#define FEED_THREADS_MAX 64

struct feed;

struct feed_slice {
    struct feed *f;
    int from, to; /* pairs of the batch */
};

struct feed {
    const struct pairs *p; /* borrowed */
    int n, size, context;
    uint64_t begin, end; /* batches */
    struct {
        uint8_t *pixels;
        int32_t *ids;
    } buffer[2];
    uint64_t next; /* the batch being filled; end: none */
    int threads, running;
    pthread_t thread[FEED_THREADS_MAX];
    struct feed_slice slice[FEED_THREADS_MAX];
    uint64_t waited_ns; /* in feed_next(), since it was opened */
};

/* Batches begin .. end - 1 of n pairs. */
int feed_open(struct feed *f, const struct pairs *p, int n, uint64_t begin,
              uint64_t end, int threads, struct err *e);
void feed_close(struct feed *f);

/* The next batch; not to be called behind the last. */
void feed_next(struct feed *f, struct clip_batch *b);

#endif
