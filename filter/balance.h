/*
 * balance - unique/ to selected/: each query picks at most its cap of pairs.
 *
 * Model.   DESIGN section 4, "Balancing" and "Rounds".  The plan of round R is
 *          made first, from all buckets, and published as
 *          selected/round-R/caps.bin; then each bucket of unique/ gives one of
 *          selected/round-R.  A part makes only buckets and needs the plan.
 *          Round 0 caps every query at --cap, or at the t that --target or
 *          --tail-share finds.  Round R raises t(q) where the images that
 *          rounds below R asked for turned out too few, and selects what that
 *          adds.  A record goes over as the line it is, with s and keep put
 *          in at its end.
 *
 *          The summary is what published pools are described by.  A group is
 *          head when more than t pairs match it, tail when 1 to t do.  Picks
 *          expected: sum of min(c, t).  Two figures stand beside the pairs
 *          kept: `independent`, N (1 - exp(-picks / N)), as if every pick fell
 *          on any of the N pairs alike; and `expected`, the sum over pairs of
 *          1 - prod(1 - min(1, t/c)) over the queries they match, which is
 *          what a reading of unique/ gives, and what keeping them obeys.
 * Fails.   As base/stage.h; -E_NOTFOUND when the download of an earlier round
 *          has not asked all its URLs; -E_USAGE for options that contradict.
 * Threads. Buckets by `threads` workers.
 * Cost.    One reading of unique/ for the buckets: unpacking, and a hash and a
 *          multiplication a match.  Plans: --cap and --tail-share none;
 *          --target one more; --exact one more, and 28 bytes of disk a pick
 *          while it sorts; both, three; round R one, and 16 bytes of disk a
 *          URL asked.  Memory: 64 bytes a query, memory_bytes, and 8 MB a
 *          thread.
 */
#ifndef FILTER_BALANCE_H
#define FILTER_BALANCE_H

#include "base/err.h"
#include "base/stage.h"

#define BALANCE_VERSION 2
#define BALANCE_CAP     20000 /* without --cap, --target, --tail-share */
#define BALANCE_TOP     20    /* queries with the most matches, in a summary */

struct balance_config {
    struct stage_options stage;
    uint64_t cap;      /* t of round 0; 0: BALANCE_CAP, unless another says */
    uint64_t target;   /* 0, or: the largest t that keeps at most so many */
    double tail_share; /* 0, or: t at which the tail holds so much, to 1 */
    uint64_t round;
    uint64_t rounds; /* the last round allowed */
    uint64_t memory_bytes;
    uint64_t slack; /* see filter/plan_ranks.h */
    bool exact;     /* ranks instead of draws: exactly min(t, c) picks */
    bool plan;      /* make caps.bin and stop */
    bool dry_run;   /* say what would be kept; write nothing */
    bool json;      /* for whoever prints the summary */
};

struct balance_top {
    uint64_t c, t;
    uint32_t id;
    char norm[84]; /* cut at a character */
};

struct balance_summary {
    uint64_t t;                /* the largest cap: of round 0, the cap */
    uint64_t groups;           /* query groups */
    uint64_t zero, tail, head; /* of them: c = 0, 0 < c <= t, c > t */
    uint64_t matches;          /* sum of c */
    uint64_t head_matches;
    uint64_t expected_picks;             /* sum of min(c, t) */
    uint64_t head_picks;                 /* of the head's */
    uint64_t unique;                     /* pairs in all of unique/ */
    uint64_t independent;                /* see above; 0 without pairs */
    uint64_t pairs;                      /* of the buckets looked at */
    uint64_t expected;                   /* of them to be kept; round 0 alone */
    uint64_t kept;                       /* pairs of this round */
    uint64_t picks;                      /* sum of their keep lists */
    uint64_t raised;                     /* groups whose t this round raised */
    struct balance_top top[BALANCE_TOP]; /* the most matched first */
    unsigned n_top;
    bool planned_only;
};

int balance_run(const struct corpus *c, const struct opt_table *table,
                const struct balance_config *config,
                struct balance_summary *sum, struct err *e);

#endif
