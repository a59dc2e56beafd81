/*
 * gather - matched/ to unique/: one record per uid, and the counts c(q).
 *
 * Model.   Bucket K takes frame K of every matched part, sorts by (H(url), url,
 *          uid, page, from, origin, line), keeps the first of each (url, uid),
 *          and writes unique/bucket-KKKK with its counts under one sidecar.
 *          With `exclude` the pairs that an evaluation set has by URL, or by
 *          text (filter/exclude.h), are left out, counted and listed in
 *          unique/bucket-KKKK.against.jsonl.zst; other texts of their URLs
 *          stay.  When it is not a part it ends with the finish: all buckets'
 *          counts are added up into unique/counts.bin.
 * Fails.   As base/stage.h, -E_STALE also where parts of one batch were matched
 *          with different options; -E_IO when a disk is full, of which a
 *          bucket that is larger than its share of memory needs the more;
 *          -E_USAGE when the offsets of frames take more than half of
 *          memory_bytes.
 * Threads. Buckets are worked on by `threads` workers, each within its share
 *          of memory_bytes; a share is never less than SORTER_MEMORY_MIN.
 * Cost.    Memory: memory_bytes, of which 8 bytes a matched part and bucket
 *          say where frames begin; beside it exclude, 8 bytes a query and
 *          thread, some 8 MiB a thread.  Runs go to unlinked files of the
 *          corpus folder, as those of the other stages (filter/bins.h).  Open
 *          files: one part, two files of runs, two outputs for each thread.
 *          Disk: buckets at work that do not fit, some 400 bytes a record;
 *          twice that while runs of over 16 times their share of memory are
 *          merged in passes.
 */
#ifndef FILTER_GATHER_H
#define FILTER_GATHER_H

#include "base/err.h"
#include "base/stage.h"
#include "filter/exclude.h"

#define GATHER_VERSION 1

struct gather_config {
    struct stage_options stage;
    bool finish;                /* only add up the counts of finished buckets */
    uint64_t memory_bytes;      /* for all threads together */
    struct opt_list against;    /* evaluation sets: read by who calls */
    uint64_t against_min_words; /* of a text that is looked for in them */
    uint64_t against_memory;    /* bytes of their hashes and names */
    /* What was read of them, constant; both NULL: nothing is left out. */
    const struct exclude *exclude;
    const struct stage_inputs *exclude_inputs; /* their files */
};

struct gather_summary {
    uint64_t buckets, buckets_done_before;
    struct tally counts, drops;
    uint64_t matches; /* sum of c(q); 0 unless finished */
    uint64_t spilled; /* bytes written to be sorted, in this run */
};

int gather_run(const struct corpus *c, const struct opt_table *table,
               const struct gather_config *config, struct gather_summary *sum,
               struct err *e);

#endif
