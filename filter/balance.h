/*
 * balance - unique/ to selected/: each query picks at most its cap of pairs.
 *
 * Model.   DESIGN section 4, "Balancing" and "Rounds".  The plan of round R is
 *          made first, from all buckets, and published as
 *          selected/round-R/caps.bin; then each bucket of unique/ gives one of
 *          selected/round-R.  A part makes only buckets and needs the plan.
 *          Round 0 caps every query at --cap, or at the t that --target finds.
 *          Round R raises t(q) where the images that rounds below R asked for
 *          turned out too few, and selects what that adds.
 * Fails.   As base/stage.h; -E_NOTFOUND when the download of an earlier round
 *          has not asked all its URLs.
 * Threads. Buckets by `threads` workers.
 * Cost.    A draw is one hash and one multiplication a match.  --exact keeps
 *          24 bytes a match in memory while planning; round R 20 bytes a URL
 *          asked.
 */
#ifndef FILTER_BALANCE_H
#define FILTER_BALANCE_H

#include "base/err.h"
#include "base/stage.h"

#define BALANCE_VERSION    1
struct balance_config {
    struct stage_options stage;
    uint64_t cap;    /* t of round 0 */
    uint64_t target; /* 0, or: the largest t that keeps at most so many */
    uint64_t round;
    uint64_t rounds; /* the last round allowed */
    bool exact;      /* ranks instead of draws: exactly min(t, c) picks */
    bool plan;       /* make caps.bin and stop */
    bool dry_run;    /* say what would be kept; write nothing */
};

struct balance_summary {
    uint64_t t;              /* the cap of round 0 */
    uint64_t groups;         /* query groups */
    uint64_t zero, tail, head; /* of them: c = 0, 0 < c <= t, c > t */
    uint64_t matches;        /* sum of c */
    uint64_t head_matches;
    uint64_t expected_picks; /* sum of min(c, t) */
    uint64_t pairs;          /* in unique/ (of the buckets looked at) */
    uint64_t kept;           /* pairs of this round */
    uint64_t picks;          /* sum of their keep lists */
    uint64_t raised;         /* groups whose t this round raised */
    bool planned_only;
};

int balance_run(const struct corpus *c, const struct opt_table *table,
                const struct balance_config *config,
                struct balance_summary *sum, struct err *e);

#endif
