/*
 * caps - the plan of one balancing round: t(q) for every group, and with
 * --exact the first ranks of the pairs within their queries.
 *
 * Model.   selected/round-R/caps.bin, little-endian, mapped:
 *            "WITMILLT" version:4 flags:4 (1: exact) n:4 zero:4 n_ranks:8
 *            n_ties:8 xxh3:8 (of all behind the head)
 *            t:      n times 8        cap of each query id; 0 for no group
 *            c:      n times 8        c(q), as in counts.bin
 *          and with --exact:
 *            first:  n + 1 times 8    where q's ranks begin
 *            ranks:  n_ranks times 8  h of q's first pairs in order (h, uid)
 *            ties:   n_ties times 32  q:4 zero:4 rank:8 uid:16
 *          Without --exact d(q, pair) is draw_below(h, c); with it, the
 *          pair's place among q's (h, uid).  Only the first min(c, T) are
 *          there, T being the largest cap of all groups: enough to say whether
 *          d < t(q), and min d over a pair's queries (DESIGN's s) of every
 *          pair that some query picks, since s is then below T.
 *          h alone finds a rank; where two pairs of a query have the same h -
 *          one query in thousands, for c in the hundred millions - each of
 *          them is a tie, and the uid decides.
 * Owns.    The mapping; caps_close() releases it.
 * Fails.   -E_NOTFOUND (says to run balance), -E_DAMAGED, -E_VERSION.
 * Threads. Constant once opened.
 * Cost.    open: one pass over the file.  d: one multiplication; exact: a
 *          guess and a short search, for h is uniform.  8 bytes a rank: 5 GB
 *          for 640 million picks.
 */
#ifndef FILTER_CAPS_H
#define FILTER_CAPS_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/pair.h"
#include <stdbool.h>
#include <stdint.h>

#define CAPS_VERSION 2

struct caps_tie {
    uint32_t q;
    uint32_t zero;
    uint64_t rank;
    uint8_t uid[MD5_SIZE];
};

struct caps {
    uint32_t n; /* query ids */
    bool exact;
    const uint64_t *t;           /* cap by id */
    const uint64_t *c;           /* count by id */
    const uint64_t *first;       /* exact: n + 1 offsets into ranks */
    const uint64_t *ranks;       /* exact: h, ascending within a query */
    const struct caps_tie *ties; /* exact: ascending by (q, rank) */
    uint64_t n_ties;
    void *map; /* the file */
    size_t map_size;
};

int caps_open(struct caps *k, const struct corpus *c, unsigned round,
              struct err *e);
/* Over bytes that stay put, at an address that 8 divides; name is for
 * messages. */
int caps_open_memory(struct caps *k, struct str bytes, const char *name,
                     struct err *e);
void caps_close(struct caps *k);

/* Publish as path.  Of an exact k each query's first `depth` ranks are
 * written, and no more than there are (UINT64_MAX: all). */
int caps_write(const struct caps *k, uint64_t depth, const char *path,
               char hex[SHA256_HEX], struct err *e);

/* d(q, pair); h = draw_hash(seed, uid, norm of q). UINT64_MAX for a pair that
 * is not among q's ranks (exact): its rank is not below any cap. */
uint64_t caps_draw(const struct caps *k, uint32_t q, uint64_t h,
                   const uint8_t uid[MD5_SIZE]);

#endif
