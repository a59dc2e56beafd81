/*
 * strset - a set of strings, numbered in the order in which they came.
 *
 * Model.   strset_add() gives a string's number, new or old; strset_at() the
 *          string of a number.  Numbers count from 0 without gaps, so arrays
 *          beside the set hold what belongs to a string.
 * Owns.    Copies of the strings.
 * Fails.   -E_TOOBIG past max_bytes (strings and tables together) or
 *          STRSET_MAX strings; -E_NOMEM.  The set stays as it was.
 * Threads. One at a time.
 * Cost.    Open addressing at most half full; 8 bytes a slot, 16 a string.
 */
#ifndef QUERYLIST_STRSET_H
#define QUERYLIST_STRSET_H

#include "base/arena.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRSET_NONE UINT32_MAX
#define STRSET_MAX  (1u << 30) /* strings */

struct strset_slot {
    uint32_t id;  /* number + 1; 0: empty */
    uint32_t tag; /* upper half of the hash */
};

struct strset {
    struct str *v; /* n strings */
    size_t n, cap;
    struct strset_slot *slots; /* a power of two of them */
    size_t n_slots;
    uint64_t seed; /* of the hash: base/hash.h's secret */
    size_t max_bytes;
    struct arena arena;
};

void strset_init(struct strset *s, size_t max_bytes);
void strset_release(struct strset *s);

int strset_add(struct strset *s, struct str key, uint32_t *id, bool *is_new);

/* Its number, or STRSET_NONE. */
uint32_t strset_find(const struct strset *s, struct str key);

static inline struct str strset_at(const struct strset *s, uint32_t id)
{
    return s->v[id];
}

#endif
