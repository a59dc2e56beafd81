/*
 * caps - the plan of one balancing round: t(q) for every group, and with
 * --exact the rank of every pair within its queries.
 *
 * Model.   selected/round-R/caps.bin, little-endian, mapped:
 *            "WITMILLT" version:4 flags:4 (1: exact) n:4 zero:4 n_ranks:8
 *            xxh3:8 (of all behind the head)
 *            t:      n times 8        cap of each query id; 0 for no group
 *            c:      n times 8        c(q), as in counts.bin
 *          and with --exact:
 *            first:  n + 1 times 8    where q's ranks begin
 *            ranks:  n_ranks times 24 (h:8 uid:16), each q's in order (h, uid)
 *          Without --exact d(q, pair) is draw_below(h, c); with it, the
 *          pair's place among q's (h, uid).
 * Owns.    The mapping; caps_close() releases it.
 * Fails.   -E_NOTFOUND (says to run balance), -E_DAMAGED, -E_VERSION.
 * Threads. Constant once opened.
 * Cost.    d: one multiplication; exact: a binary search.
 */
#ifndef FILTER_CAPS_H
#define FILTER_CAPS_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/pair.h"
#include <stdbool.h>
#include <stdint.h>

#define CAPS_VERSION 1

struct caps_rank {
    uint64_t h;
    uint8_t uid[MD5_SIZE];
};

struct caps {
    uint32_t n; /* query ids */
    bool exact;
    const uint64_t *t;     /* cap by id */
    const uint64_t *c;     /* count by id */
    const uint64_t *first; /* exact: n + 1 offsets into ranks */
    const struct caps_rank *ranks;
    void *map; /* the file */
    size_t map_size;
};

int caps_open(struct caps *k, const struct corpus *c, unsigned round,
              struct err *e);
void caps_close(struct caps *k);

/* Publish as path; first and ranks only when exact. */
int caps_write(const struct caps *k, const char *path, char hex[SHA256_HEX],
               struct err *e);

/* d(q, pair); h = draw_hash(seed, uid, norm of q). A pair that is not in q's
 * ranks (exact) was not counted by gather: UINT64_MAX. */
uint64_t caps_draw(const struct caps *k, uint32_t q, uint64_t h,
                   const uint8_t uid[MD5_SIZE]);

int caps_rank_cmp(const void *a, const void *b); /* (h, uid), for qsort */

#endif
