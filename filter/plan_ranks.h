/*
 * plan_ranks - the first ranks of every query, for --exact, in bounded memory.
 *
 * Model.   Of query q the ranks below depth are wanted: its min(c(q), depth)
 *          smallest (h, uid).  h is uniform, so those stand below a threshold
 *          of about depth / c(q), taken with slack; one scan puts the
 *          candidates, some per cent more than are wanted, into parts that are
 *          ranges of (query, h); each part is sorted in memory and its h
 *          written to one file, which is then mapped.  Parts that are too many
 *          for the memory's blocks (filter/bins.h) take turns, a scan for
 *          each: with two threads, 110 MB are enough to find a billion in one.
 *          A query that turns out to have fewer candidates than it wants -
 *          once in 10^15, unless the slack is taken away - is scanned for again
 *          with twice the threshold, so the result is exact whatever the hash
 *          does.
 * Owns.    The mapping, `first` and `ties`; plan_ranks_release().
 * Fails.   -E_STALE when unique/ has not the matches that counts says, -E_IO,
 *          -E_NOMEM.
 * Threads. One call at a time; works with `threads`.
 * Cost.    28 bytes on disk a candidate while it runs, 8 a rank after; memory
 *          as asked, but 1,024 candidates a part and 16 parts at least.  A scan
 *          of unique/ a turn.
 */
#ifndef FILTER_PLAN_RANKS_H
#define FILTER_PLAN_RANKS_H

#include "base/corpus.h"
#include "base/err.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/draw_table.h"

#define PLAN_SLACK 8 /* standard deviations */

struct plan_ranks_config {
    unsigned threads;
    uint64_t memory_bytes;
    uint64_t depth;
    uint64_t slack; /* PLAN_SLACK; 0 makes half of all queries try again */
};

struct plan_ranks {
    uint64_t *first; /* as in struct caps */
    const uint64_t *ranks;
    struct caps_tie *ties;
    uint64_t n_ties;
    uint64_t candidates; /* that went into parts */
    unsigned turns;
    unsigned scans; /* of unique/ */
    void *map;
    size_t map_size;
};

int plan_ranks_make(struct plan_ranks *r, const struct corpus *c,
                    const struct counts *counts, const struct draw_table *draws,
                    const struct plan_ranks_config *config, struct err *e);
void plan_ranks_release(struct plan_ranks *r);

/* ---- inside, and for tests ---- */

/* Candidates are those with h at most this. */
uint64_t plan_ranks_limit(uint64_t c, uint64_t depth, uint64_t slack);

/* One of a query's candidates. */
struct plan_rank {
    uint32_t q;
    uint32_t h[2]; /* low half first: 28 bytes without padding */
    uint8_t uid[MD5_SIZE];
};

static inline uint64_t plan_rank_h(const struct plan_rank *r)
{
    return (uint64_t)r->h[1] << 32 | r->h[0];
}

/* v by (q, h, uid), all of queries from to to; room: as many again, places:
 * n + 1 of them. */
void plan_ranks_sort(struct plan_rank *v, size_t n, uint32_t from, uint32_t to,
                     struct plan_rank *room, uint32_t *places);

#endif
