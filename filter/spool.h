/*
 * spool - records sorted into buckets on their way to disk, in bounded memory.
 *
 * Model.   take(run) any number of times: a run is some lines in order of their
 *          buckets.  Then next() gives all lines back, bucket after bucket, of
 *          each those of the first run first, in pieces of about JSONL_FRAME
 *          bytes of whole lines, which depend on the lines alone.  Runs stay in
 *          memory as they came; once they pass the bound, all of them move to
 *          an unlinked file in the corpus folder, by bucket, and are read back
 *          from there.
 * Owns.    The runs taken, the memory of which it hands out again; the file,
 *          which is gone when the process is.
 * Fails.   -E_IO, sticky in effect: the stage stops.
 * Threads. One.
 * Cost.    A line is copied once, by next(); written and read once when over
 *          the bound.  Memory: the bound, and one run more.
 */
#ifndef FILTER_SPOOL_H
#define FILTER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/jsonl.h"

/* Some lines, with newlines, in order of buckets. */
struct spool_run {
    struct buf lines;
    size_t *at; /* n_buckets + 1: bucket k is lines[at[k], at[k + 1]) */
};

struct spool_chunk {
    uint64_t at; /* offset in the file */
    uint64_t n;  /* bytes */
};

struct spool_bucket {
    struct spool_chunk *chunks;
    size_t n_chunks, cap_chunks;
};

struct spool {
    struct spool_bucket *buckets; /* what is in the file */
    uint32_t n;
    struct spool_run *runs; /* n_runs taken, then idle ones up to n_made */
    size_t n_runs, n_made, cap_runs;
    uint64_t in_memory, max_memory; /* bytes */
    int fd;                         /* -1 until needed */
    uint64_t file_bytes;
    struct buf moving; /* on the way to the file */
    char folder[IO_PATH_MAX];
    /* where next() is */
    uint32_t bucket;
    size_t chunk, run;
    uint64_t inside; /* bytes given of the chunk or run */
};

void spool_run_init(struct spool_run *r, uint32_t n_buckets);
void spool_run_release(struct spool_run *r);

int spool_open(struct spool *s, const char *folder, uint32_t n_buckets,
               uint64_t max_memory_bytes, struct err *e);
/* Takes what is in run and leaves another one there to be filled. */
int spool_take(struct spool *s, struct spool_run *run, struct err *e);
/* The next lines into `piece` (cleared first): all of one bucket; none where
 * the bucket has none.  *ends: they are its last ones.  *more false when all
 * buckets are done. */
int spool_next(struct spool *s, struct buf *piece, bool *ends, bool *more,
               struct err *e);
/* Empty as after spool_open(), memory kept. */
void spool_clear(struct spool *s);
void spool_close(struct spool *s);

#endif
