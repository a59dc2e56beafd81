/*
 * dedup_private - one run of dedup, shared by its two sweeps: dedup.c gathers
 * and judges, dedup_write.c writes survivors and duplicates.
 */
#ifndef FILTER_DEDUP_PRIVATE_H
#define FILTER_DEDUP_PRIVATE_H

#include "base/jsonl.h"
#include "base/progress.h"
#include "filter/dedup.h"
#include "filter/dedup_exact.h"
#include "filter/dedup_join.h"
#include "filter/dedup_near.h"
#include <stdbool.h>
#include <stdint.h>

/* A URL that pushed another out, met in the second sweep. */
struct pusher {
    uint32_t id;
    size_t at, n; /* of its URL in dedup.urls */
};

struct dedup {
    const struct corpus *corpus;
    const struct dedup_config *config;
    struct dedup_sources sources;
    struct stage stage;
    struct stage_output duplicates, *buckets;
    struct stage_inputs *bucket_inputs;
    bool duplicates_done, *bucket_done;
    /* Gathered by the first sweep; ids are indexes. */
    struct dedup_image *images;
    uint8_t *exempt; /* a bit per id */
    size_t n, cap;
    struct dedup_verdict *verdicts;
    struct dedup_exact exact;
    bool is_exact;
    uint64_t urls_seen; /* in selected/ */
    uint64_t unasked;   /* of them, in no ledger */
    /* Of the second. */
    uint8_t *is_pusher;     /* a bit per id */
    struct pusher *pushers; /* ascending ids */
    size_t n_pushers, cap_pushers;
    struct buf urls;
    struct jsonl_writer dup_out, out;
    struct stage_output *bucket; /* being written, or NULL */
    uint64_t rows;               /* in the bucket */
    struct buf line;
    uint32_t *keep; /* scratch of PAIR_MATCHES_MAX ids a text */
    size_t cap_keep;
    struct progress progress;
};

/* The second sweep: every output that is not done, and its sidecar. */
int dedup_write_all(struct dedup *d, struct err *e);

#endif
