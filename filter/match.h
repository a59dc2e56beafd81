/*
 * match - pairs/ to matched/: which query groups does each text contain?
 *
 * Model.   For every part of pairs/BATCH one part of matched/BATCH: the records
 *          that pass the text rules and match at least one group, with `q`,
 *          as zstd frames by bucket of H(url), one or more for each of the 2^b
 *          buckets; the sidecar's extra member `offsets` has 2^b + 1 byte
 *          offsets.  Within a bucket the input's order stays.  What is left
 *          out is counted by reason: the rules' (filter/textrules.h) and
 *          no-match.  How a part is made: filter/match_part.h.
 * Fails.   As base/stage.h; a damaged part stops the stage with its place.
 * Threads. `threads` of them decode, match and encode; what comes out does not
 *          depend on how many.
 * Cost.    Memory: the matcher, and memory_bytes of records waiting for their
 *          frames; beyond that they wait in an unlinked file.  Where the time
 *          goes: docs/records.md.
 */
#ifndef FILTER_MATCH_H
#define FILTER_MATCH_H

#include "base/err.h"
#include "base/stage.h"
#include "filter/textrules.h"

#define MATCH_VERSION 2

struct match_config {
    struct stage_options stage;
    struct opt_list batches; /* names under pairs/; none: all of them */
    int text_rules;          /* whose rules; what they are is in `rules` */
    struct textrules_config rules;
    uint64_t memory_bytes;   /* of records waiting */
};

struct match_summary {
    uint64_t parts, parts_done_before;
    struct tally counts, drops; /* over all parts of this corpus */
};

/* table: the option table config came from, for the fingerprint. */
int match_run(const struct corpus *c, const struct opt_table *table,
              const struct match_config *config, struct match_summary *sum,
              struct err *e);

/* Offsets of a matched part's frames: 2^b + 1 values, malloc'd. */
int match_offsets(const struct corpus *c, const char *name, uint64_t **offsets,
                  struct err *e);

#endif
