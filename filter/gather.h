/*
 * gather - matched/ to unique/: one record per uid, and the counts c(q).
 *
 * Model.   Bucket K takes frame K of every matched part, sorts by (H(url), url,
 *          uid, page, from, origin, line), keeps the first of each (url, uid),
 *          and writes unique/bucket-KKKK with its counts under one sidecar.
 *          When it is not a part it ends with the finish: all buckets' counts
 *          are added up into unique/counts.bin.
 * Fails.   As base/stage.h; -E_TOOBIG when a bucket does not fit into
 *          memory_bytes (then more --bucket-bits are needed: said so).
 * Threads. Buckets are worked on by `threads` workers, each within its share
 *          of memory_bytes.
 * Cost.    Memory: the buckets at hand, uncompressed, and 80 bytes a record.
 */
#ifndef FILTER_GATHER_H
#define FILTER_GATHER_H

#include "base/err.h"
#include "base/stage.h"

#define GATHER_VERSION 1

struct gather_config {
    struct stage_options stage;
    bool finish;           /* only add up the counts of finished buckets */
    uint64_t memory_bytes; /* for all threads together */
};

struct gather_summary {
    uint64_t buckets, buckets_done_before;
    struct tally counts, drops;
    uint64_t matches; /* sum of c(q); 0 unless finished */
};

int gather_run(const struct corpus *c, const struct opt_table *table,
               const struct gather_config *config, struct gather_summary *sum,
               struct err *e);

#endif
