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
#include "filter/dedup_mail.h"
#include "filter/dedup_search.h"
#include "filter/dedup_texts.h"
#include <stdbool.h>
#include <stdint.h>

/* The part of the memory that ledgers get, while the search has its share for
 * parts in work to spare; their buffers may take it twice. */
#define LEDGER_SHARE 5

struct dedup {
    const struct corpus *corpus;
    const struct dedup_config *config;
    struct dedup_sources sources;
    struct stage stage;
    struct stage_output duplicates, against, *buckets;
    struct stage_inputs *bucket_inputs;
    bool duplicates_done, against_done, *bucket_done;
    struct dedup_search search; /* ids: the set's images, then the corpus's */
    struct dedup_exact exact;
    bool is_exact;
    uint64_t urls_seen; /* in selected/ */
    uint64_t unasked;   /* of them, in no ledger */
    /* Of the second sweep. */
    struct dedup_mail mail;
    struct jsonl_writer dup_out, against_out, out;
    struct stage_output *bucket; /* being written, or NULL */
    uint64_t rows;               /* in the bucket */
    struct buf line;
    struct dedup_texts texts; /* of the URL at hand */
    uint32_t *keep;           /* scratch: ids of one text */
    size_t cap_keep;
    struct progress progress;
};

/* The second sweep: every output that is not done, and its sidecar. */
int dedup_write_all(struct dedup *d, struct err *e);

#endif
