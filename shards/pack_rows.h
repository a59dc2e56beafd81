/*
 * pack_rows - the rows of survivors/, from any of them on, and their images.
 *
 * Model.   pack_plan reads the sidecars: how many rows each bucket has, where
 *          its frames begin.  pack_rows_open(row) stands before that row;
 *          pack_rows_next gives lines (base/survivor: a row's first line, or
 *          further texts of it).  pack_images finds a stored JPEG.
 * Owns.    The plan its arrays and descriptors; a reader its file and arena.
 * Fails.   -E_NOTFOUND when dedup has not run, -E_DAMAGED.
 * Threads. The plan is shared by all, readers belong to one thread.
 */
#ifndef SHARDS_PACK_ROWS_H
#define SHARDS_PACK_ROWS_H

#include "base/arena.h"
#include "base/corpus.h"
#include "base/jsonl.h"
#include "base/survivor.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pack_bucket {
    uint64_t first; /* row of the corpus */
    uint64_t rows;
    uint64_t *frames; /* compressed offset of every frame_rows-th row */
    size_t n_frames;
    char sha256[SHA256_HEX]; /* of the content */
};

struct pack_plan {
    const struct corpus *corpus;
    struct pack_bucket *buckets;
    uint32_t n_buckets;
    uint64_t rows;        /* in all */
    uint64_t frame_rows;  /* rows a frame */
    struct io_list tars;  /* "GGG-RR" */
    int *fds;             /* of tars, -1: not open yet */
    pthread_mutex_t lock; /* of fds */
};

int pack_plan_open(struct pack_plan *p, const struct corpus *c, struct err *e);
void pack_plan_close(struct pack_plan *p);

/* The bucket that holds a row < p->rows. */
uint32_t pack_bucket_of(const struct pack_plan *p, uint64_t row);

struct pack_rows {
    struct pack_plan *plan;
    struct jsonl_reader in;
    bool open;
    uint32_t bucket;    /* being read, or the next to open */
    struct arena arena; /* of the line last given */
    uint64_t last_h;    /* to see that rows ascend */
};

/* Stand before row; plan->rows is the end. */
int pack_rows_open(struct pack_rows *r, struct pack_plan *p, uint64_t row,
                   struct err *e);
/* The next line, valid until the next call; *more false at the end. */
int pack_rows_next(struct pack_rows *r, struct survivor *s, bool *more,
                   struct err *e);
void pack_rows_close(struct pack_rows *r);

/* The stored JPEG of s, into out (cleared first). */
int pack_image(struct pack_plan *p, const struct survivor *s, struct buf *out,
               struct err *e);

#endif
