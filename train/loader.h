/*
 * loader - batches of real pairs, as a maker of batches.
 *
 * Model.   Batch s of a process holds the n samples that stand at the
 *          positions s * stride + first on (train/order.h): alone, first is 0
 *          and stride n; of several ranks, stride is the global batch.  One
 *          thread reads a sample's members by their offsets, gives the picture
 *          to a worker of a jail (train/picture.h), tokenises the text, and
 *          copies the worker's answer to its place.  It works as far ahead as
 *          batches are started.
 *
 *          What fills a place is a function of (seed, position, shards):
 *            crop    bits(stream(seed, "crop"), position)
 *            text    bits(bits(stream(seed, "text"), epoch), uid), as in
 *                    train/balance.h
 *            again   when a sample cannot be used (a picture that cannot be
 *                    decoded, no text): the one of its window that
 *                    bits(bits(stream(seed, "again"), position), attempt)
 *                    names, attempts from 1 on.  Behind the 16th it is one of
 *                    the window that is read next (behind an epoch's last, the
 *                    first of the next epoch; empty ones are passed over),
 *                    named by attempts 17 to 32, and so on: a stretch of bad
 *                    shards does not end a run.  Where four windows further
 *                    nothing is found either, it stops.
 *          So a replacement is the same on any rank and in any restart.  (But
 *          for pictures on which a decoder runs out of time or memory: what
 *          machine they meet decides.)
 *
 *          A tar that is gone, or is another than at the start, stops the run
 *          when its window is opened; one that is cut shorter, when it is read.
 *          While a window is read, the kernel is told, bit by bit, to fetch the
 *          tars of the next: at most a quarter of memory.
 * Owns.    Thread, jail, open tars; maker.close() ends all of them and frees
 *          the loader.  The dataset is borrowed, its order used by the thread.
 * Fails.   The maker's finish(): -E_IO naming the tar; -E_FORMAT naming the
 *          position and the last reason.
 * Threads. Open it before threads start, on the thread that ends last
 *          (base/jail.h).  One calls the maker and the rest.
 * Cost.    A window of each source: 72 bytes and its key a sample, twice when
 *          replacements come from the next; no allocation a sample once
 *          buffers have grown.
 */
#ifndef TRAIN_LOADER_H
#define TRAIN_LOADER_H

#include <stdint.h>
#include "base/json.h"
#include "train/batches.h"
#include "train/dataset.h"

#define LOADER_ATTEMPTS 16 /* replacements of a sample, in a window */
#define LOADER_WINDOWS  4  /* behind its own, for replacements */

struct loader_config {
    const struct dataset *data;
    int n;                  /* samples a batch */
    int size, context;      /* pixels a side, ids a caption */
    struct pixel_norm norm; /* of the pixels, as the model wants them */
    uint64_t first, stride; /* positions: of batch 0, from batch to batch */
    unsigned workers;       /* processes that decode, 0: one a processor */
};

struct loader;

int loader_open(struct loader **l, const struct loader_config *c,
                struct batch_maker *maker, struct err *e);

/* What batches took; seconds of the one thread, and of all workers together. */
struct load {
    uint64_t samples;
    uint64_t replaced; /* attempts that failed */
    uint64_t bytes;    /* of pictures, encoded */
    double read;       /* windows opened, members read */
    double tokenise;   /* texts chosen and tokenised */
    double copy;       /* to workers and from them */
    double decode;     /* workers: from bytes to pixels */
    double resize;     /* workers: crop and resize */
};

/* Of one of the last LOADER_KEPT batches that finish() gave. */
#define LOADER_KEPT (2 * BATCHES_MAX)
void loader_of_step(struct loader *l, uint64_t step, struct load *out);

/* Of all that finish() gave. */
void loader_of_all(struct loader *l, struct load *out);

/* An object with the seconds and counts above. */
void load_json(const struct load *x, struct json_out *o);

/* Why samples were replaced, by reason, as an object. */
void loader_reasons_json(struct loader *l, struct json_out *o);

/* Which stage limits a loader that kept the model waiting, and what helps: a
 * sentence, by which share of `seconds` each was busy. */
void load_advice(const struct load *x, double seconds, unsigned workers,
                 char *out, size_t size);

unsigned loader_workers(const struct loader *l);

#endif
