/*
 * gather_bucket - one bucket of gather: read, sort, leave out, count, write.
 *
 * Model.   Frame K of every matched part goes through filter/sorter; of what
 *          comes out, the first record of each (url, uid) is kept unless an
 *          evaluation set has it, its queries are counted, and its line is
 *          written as it was.
 * Fails.   As filter/gather.h.
 * Threads. One bucket, one thread; the config is shared and constant.
 */
#ifndef FILTER_GATHER_BUCKET_H
#define FILTER_GATHER_BUCKET_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/stage.h"
#include "filter/exclude.h"
#include <stddef.h>
#include <stdint.h>

/* A matched part and where its frames lie. */
struct gather_source {
    char *name;        /* "matched/crawl/part-00000" */
    uint64_t *offsets; /* 2^b + 1 */
};

struct gather_bucket {
    const struct corpus *corpus;
    const struct gather_source *sources;
    size_t n_sources;
    const struct exclude *exclude; /* or NULL */
    uint64_t memory_bytes;         /* for its records */
    uint32_t k;
    uint64_t spilled; /* set: bytes that went to disk to be sorted */
};

/* What each of the threads' buckets may take of memory_bytes: where the frames
 * of all sources begin is taken off first.  -E_USAGE where that is over half.
 */
int gather_share(uint64_t memory_bytes, unsigned threads, size_t sources,
                 uint32_t buckets, uint64_t *bucket_bytes, struct err *e);

/* Publishes o's files and commits it. */
int gather_bucket(struct gather_bucket *b, struct stage_output *o,
                  struct err *e);

#endif
