/*
 * spool - records sorted into buckets on their way to disk, in bounded memory.
 *
 * Model.   add(bucket, line) in any order of buckets, then drain each bucket
 *          once: its lines in the order they were added.  Once the lines in
 *          memory pass the bound, all of them move to an unlinked file in the
 *          corpus folder and are read back from there.
 * Owns.    The file; it is gone when the process is.
 * Fails.   -E_IO, sticky in effect: the stage stops.
 * Threads. One.
 * Cost.    Each line is copied once, written and read once when over the bound.
 */
#ifndef FILTER_SPOOL_H
#define FILTER_SPOOL_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/jsonl.h"
#include "base/str.h"

struct spool_chunk {
    uint64_t at; /* offset in the file */
    uint64_t n;  /* bytes */
};

struct spool_bucket {
    struct buf lines; /* with newlines */
    struct spool_chunk *chunks;
    size_t n_chunks, cap_chunks;
};

struct spool {
    struct spool_bucket *buckets;
    uint32_t n;
    uint64_t in_memory, max_memory; /* bytes */
    int fd;                         /* -1 until needed */
    uint64_t file_bytes;
    char folder[IO_PATH_MAX];
};

int spool_open(struct spool *s, const char *folder, uint32_t n_buckets,
               uint64_t max_memory_bytes, struct err *e);
int spool_add(struct spool *s, uint32_t bucket, struct str line,
              struct err *e);
/* All lines of a bucket to w, which frames as its caller set it up. */
int spool_drain(struct spool *s, uint32_t bucket, struct jsonl_writer *w,
                struct err *e);
void spool_close(struct spool *s);

#endif
