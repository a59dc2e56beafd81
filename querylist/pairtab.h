/*
 * pairtab - pairs of small numbers, counted, in memory of a ceiling.
 *
 * Model.   pairtab_add() has the processor fetch the pair's line of a table
 *          that no cache holds, and counts the pair that came PAIRTAB_AHEAD
 *          before it, whose line has come: the caller's own work lies between.
 *          When pairtab_full() says so - it is asked behind every add - no
 *          more would find room than what waits: sort, write, reset.
 *          pairtab_sort() enters what waits and gives all pairs in order, as
 *          their numbers are renamed on the way.
 * Owns.    The table.
 * Fails.   -E_NOMEM.
 * Threads. One at a time.
 * Cost.    Hashed with a secret, on which no order depends.
 *          Eight bytes a slot: 25 bits of each number, 14 of the count; a
 *          count over that carries into a small second table.  At most three
 *          quarters of the slots are used.  The table doubles until with the
 *          next one it would pass max_bytes.  Sorting is in place.
 */
#ifndef QUERYLIST_PAIRTAB_H
#define QUERYLIST_PAIRTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAIRTAB_BITS  25u         /* of a number, which is below 2^25 - 1 */
#define PAIRTAB_AHEAD 32u         /* pairs on their way, a power of two */
#define PAIRTAB_MIN   (64u << 10) /* bytes that max_bytes should have */

struct pairtab_big { /* a count that does not fit 14 bits */
    uint64_t pair;   /* 0: empty */
    uint64_t n;      /* what comes to the count in the slot */
};

struct pairtab {
    uint64_t *slots; /* pair << 14 | count; 0: empty */
    size_t n_slots, n;
    size_t most;   /* pairs before it has to grow */
    size_t mapped; /* bytes of slots, as they were asked for */
    struct pairtab_big *big;
    size_t n_big, cap_big; /* a power of two, at most half full */
    size_t max_bytes;
    uint64_t key; /* of the hash, odd: base/hash.h's secret */
    bool full;
    unsigned next;                   /* place in waiting */
    uint64_t waiting[PAIRTAB_AHEAD]; /* 0: none */
};

void pairtab_init(struct pairtab *t, size_t max_bytes);
void pairtab_release(struct pairtab *t);
void pairtab_reset(struct pairtab *t); /* also what waits to be entered */

int pairtab_add(struct pairtab *t, uint32_t first, uint32_t second);

static inline bool pairtab_full(const struct pairtab *t)
{
    return t->full;
}

/* Ascending by (rank[first], rank[second]), which takes the table's place:
 * n pairs as slots have them.  Only pairtab_at() and reset may follow. */
int pairtab_sort(struct pairtab *t, const uint32_t *rank);

/* A walk over sorted pairs. */
struct pairtab_walk {
    size_t at, at_big;
};

/* The next pair, first << 32 | second; false at the end. */
bool pairtab_next(const struct pairtab *t, struct pairtab_walk *w,
                  uint64_t *pair, uint64_t *n);

#endif
