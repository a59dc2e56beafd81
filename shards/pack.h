/*
 * pack - survivors and their images into WebDataset shards.
 *
 * Model.   Survivors in (H(url), url) order, bucket after bucket, are the rows
 *          of the corpus; shard K holds the rows from K * samples on, every
 *          shard but the last exactly `samples` of them.  The counts in the
 *          sidecars of survivors/ say in which buckets they lie, and the frame
 *          offsets there where to begin, so any shard is made alone:
 *            shards/NNNNN.tar         KEY.jpg KEY.json KEY.txt, adjacent
 *            shards/NNNNN_stats.json  img2dataset's counts, times 0
 *            shards/NNNNN.idx         shards/index.h
 *          and, by the part that makes shard 0,
 *            shards/sizes.json        {"00000.tar": samples, ...}
 *            shards/counts.tsv        id, text, c, t of every query
 *          Shards past the last of this corpus are removed with --redo.
 * Fails.   As base/stage; -E_DAMAGED when an image is not where its survivor
 *          says.
 * Threads. Shards are made in parallel, distinct files.
 * Cost.    One read of the images and one write; a descriptor for each image
 *          tar; a sample in memory per thread.
 */
#ifndef SHARDS_PACK_H
#define SHARDS_PACK_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/stage.h"
#include <stdint.h>

#define PACK_VERSION     1
#define PACK_SAMPLES_MAX 100000000

struct pack_config {
    struct stage_options stage;
    uint64_t samples; /* a shard, 1..PACK_SAMPLES_MAX */
};

/* A line of counts.tsv. */
struct pack_query {
    uint64_t id;
    struct str text; /* controls, tabs too, are written as spaces */
    uint64_t c;      /* pairs that match */
    uint64_t t;      /* cap after the last round */
};

/* Where the lines come from; shards/ knows nothing of query lists. */
struct pack_counts {
    void *ctx;
    uint64_t n;
    /* Line i; false: entry i has no group and no line. */
    bool (*get)(void *ctx, uint64_t i, struct pack_query *q);
};

struct pack_summary {
    uint64_t shards;     /* of the whole corpus */
    uint64_t made;       /* in this run */
    uint64_t samples;    /* of the whole corpus */
    struct tally counts; /* of the shards made: samples, texts, bytes */
};

/* counts NULL: no counts.tsv. summary's tally is set up here; release it. */
int pack_run(const struct corpus *c, const struct pack_config *config,
             const struct opt_table *table, const struct pack_counts *counts,
             struct pack_summary *summary, struct err *e);

#endif
