/*
 * batches - a run's batches in order, made while the ones before compute.
 *
 * Model.   A ring of `buffers` host buffers, filled in the background by a
 *          maker: generated pairs (train/feed.h), or whoever reads shards.
 *          Batches begin .. end - 1 are made in order.  batches_next() waits
 *          until the next one is there and hands it out, batches_done() takes
 *          the oldest one back and lets its buffer be filled anew.  Two may be
 *          out at a time: the one that is computed, and the one behind it,
 *          which is on its way to the device meanwhile.  All other buffers
 *          are filled or being filled.
 *
 *              batches_open            the buffers
 *              the maker's open        may fork: nothing else runs yet
 *              batches_begin           the first `buffers` are under way
 *              backend_open, batches_pin
 *              next, next, done, next, done, ..., done
 *              batches_unpin, device_close, batches_close
 * Owns.    The buffers, and the maker from batches_begin() on.  The buffers
 *          are shared memory: a process forked behind batches_open() may fill
 *          them.  They keep their places until batches_close().
 * Fails.   -E_NOMEM for the buffers; batches_next(): as the maker did.
 * Threads. One calls; the maker has its own.
 * Cost.    Nothing is allocated or copied behind batches_open().
 */
#ifndef TRAIN_BATCHES_H
#define TRAIN_BATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "train/clip.h"

#define BATCHES_MAX 4 /* buffers of a ring */
#define BATCHES_OUT 2 /* handed out at a time */

/*
 * Who fills buffers.  Calls come from one thread.  start() is called with
 * steps begin, begin + 1, ... and returns at once; finish() with the same, in
 * the same order, each once and behind its start; at most `buffers` steps lie
 * between the two.  Between them the memory is the maker's, which fills all of
 * it.  What a batch holds is a function of its step alone.
 */
struct batch_maker {
    void *ctx;              /* the functions' first argument */
    struct pixel_norm norm; /* of the pixels it makes, all steps alike */

    /* Let the batch be made: pixels [n, size, size, 3], ids [n, context]. */
    void (*start)(void *ctx, uint64_t step, uint8_t *pixels, int32_t *ids);

    /* Wait until it is; 0, or why there is none (-E_* with a message): then
     * close() is the next call. */
    int (*finish)(void *ctx, uint64_t step, struct err *e);

    /* Give up what was started, free all: nothing is written behind it. */
    void (*close)(void *ctx);
};

struct batches_config {
    int buffers;         /* 2 .. BATCHES_MAX; more even out what makers take */
    int n;               /* pairs a batch, > 0 */
    int size;            /* pixels a side */
    int context;         /* ids a caption */
    uint64_t begin, end; /* batches */
};

struct batches {
    struct batches_config c;
    struct batch_maker maker; /* maker.ctx is NULL before begin */
    bool begun;
    char *memory[BATCHES_MAX];    /* pixels, then ids */
    size_t bytes, ids_at;         /* of each; where its ids begin */
    uint64_t started, next, done; /* batches: the first not started, not
                                     handed out, not taken back */
    struct device *pinned;        /* who knows the buffers, or NULL */
    uint64_t waited_ns;           /* in batches_next(), since open */
};

int batches_open(struct batches *b, const struct batches_config *c,
                 struct err *e);

/* Takes the maker: batches_close() closes it. */
void batches_begin(struct batches *b, const struct batch_maker *m);

/* Stops the maker if there is one, frees the buffers. */
void batches_close(struct batches *b);

/* The next batch; not to be called behind the last one, nor with two out.
 * Behind a failure only batches_close() is. */
int batches_next(struct batches *b, struct clip_batch *out, struct err *e);

/* The oldest batch that is out is not needed any more. */
void batches_done(struct batches *b);

/* Make copies from the buffers to this device fast, until unpin, which comes
 * before the device is closed. */
void batches_pin(struct batches *b, struct device *d);
void batches_unpin(struct batches *b);

#endif
