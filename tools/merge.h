/*
 * merge - fold what the stages wrote into corpus.db.
 *
 * Model.   Sidecars become parts, counts and drops; ledgers become hosts;
 *          queries.bin the list; counts.bin, caps.bin, selected/ and
 *          survivors/ the numbers of every query; selected/ with ledgers and
 *          survivors the pairs.  What did not change since the last merge is
 *          not read again: parts are compared by the sha256 over their
 *          sidecar, sections by a digest of all parts that they are made
 *          from.  The corpus is never changed.
 * Fails.   -E_BUSY when another merge runs; killed at any instant, it is run
 *          again and ends the same.
 * Threads. One; one merge a corpus (CORPUS/merge.lock).
 * Cost.    A pass over what is new; with pairs a second pass over selected/.
 *          Memory: four numbers a query, 8 bytes a sampled pair.
 */
#ifndef TOOLS_MERGE_H
#define TOOLS_MERGE_H

#include "base/corpus.h"
#include "base/err.h"
#include <stdint.h>

enum merge_pairs {
    MERGE_KEEP,    /* what the catalogue was made with; a new one: a sample of
                      MERGE_SAMPLE, which holds all of a small corpus */
    MERGE_FULL,    /* every selected pair */
    MERGE_SAMPLED, /* those with the smallest hash of their uid */
    MERGE_NONE
};

#define MERGE_SAMPLE 1000000 /* pairs; about half a gigabyte */

struct merge_config {
    enum merge_pairs pairs;
    uint64_t sample; /* pairs, for MERGE_SAMPLED */
};

#define MERGE_CONFIG_DEFAULT                                                   \
    {                                                                          \
        .pairs = MERGE_KEEP                                                    \
    }

/* "full", "sample:N", "none"; empty: keep. */
int merge_parse_catalog(const char *text, struct merge_config *config,
                        struct err *e);

int merge_corpus(const struct corpus *c, const struct merge_config *config,
                 struct err *e);

/* The merge that ends a stage which is no part: as the last one was told.
 * While another merge runs there is a warning and success: the stage itself is
 * done, and its sidecars wait. */
int merge_stage(const struct corpus *c, struct err *e);

#endif
