/*
 * dedup_caps - the ranks that balance --exact wrote down, for dedup_exact.
 *
 * Model.   Opens caps.bin of round 0 (each query's cap t0, and whether the
 *          corpus is exact at all) and of the last round (its caps, and the
 *          ranks), and the query list, whose norms the ranks' hashes need.
 * Owns.    The mappings.
 * Fails.   As filter/caps and querylist/qlist.
 * Threads. Constant once open.
 */
#ifndef FILTER_DEDUP_CAPS_H
#define FILTER_DEDUP_CAPS_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/stage.h"
#include "filter/caps.h"
#include "filter/dedup_exact.h"
#include "querylist/qlist.h"
#include <stdbool.h>

struct dedup_caps {
    const struct corpus *corpus;
    struct caps first, last;
    struct qlist list;
    struct stage_inputs inputs;
    struct dedup_ranks ranks; /* ready for dedup_run(), if exact */
    bool exact;
};

int dedup_caps_open(struct dedup_caps *k, const struct corpus *c,
                    struct err *e);
void dedup_caps_close(struct dedup_caps *k);

#endif
