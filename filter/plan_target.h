/*
 * plan_target - the largest cap that keeps at most N pairs.
 *
 * Model.   s(pair) is the smallest draw of its queries; a cap t keeps the
 *          pairs with s < t.  Wanted is the largest t with at most N of them,
 *          or with fewer pairs than N the last s + 1.
 *          One scan counts pairs by s: exactly below 2^20, and above in 2^19
 *          bins an octave.  Where the answer lies in one of those, a second
 *          scan counts within it.
 *          With ranks a pair may have none that is known: then s is above all
 *          of them, and an answer that would lie there is not given.
 * Fails.   As filter/scan.h.
 * Threads. One call at a time; works with `threads`.
 * Cost.    8 bytes a bin: 8 MB, and 4 MB for every octave of the largest count
 *          above 2^20 (36 MB for 120 million).  A scan, mostly.
 */
#ifndef FILTER_PLAN_TARGET_H
#define FILTER_PLAN_TARGET_H

#include "base/corpus.h"
#include "base/err.h"
#include "filter/caps.h"
#include "filter/draw_table.h"

struct plan_target {
    uint64_t cap;
    uint64_t pairs;  /* with a known s */
    uint64_t beyond; /* without */
    uint64_t least;  /* pairs that a cap of 1 keeps, the smallest target there
                        is; with less the cap is 0 and keeps none */
    bool found;      /* cap is the answer; else more ranks are needed */
};

/* caps: where draws come from; its t is not looked at. */
int plan_target_find(struct plan_target *t, const struct corpus *c,
                     const struct draw_table *draws, const struct caps *caps,
                     uint64_t n, unsigned threads, struct err *e);

/* ---- inside, and for tests ---- */

#define TARGET_FINE 20 /* bits of s that are counted exactly */

uint64_t target_bin(uint64_t s);
uint64_t target_bin_low(uint64_t bin); /* the smallest s of it */

#endif
