/*
 * draw_table - all that the draws of one query need, in one cache line.
 *
 * Model.   A pair has a handful of queries out of hundreds of thousands, so a
 *          draw costs what its misses in the cache cost.  A row of 64 bytes
 *          holds the norm (short ones themselves, longer ones by reference),
 *          c(q) and the caps that the caller puts there; draw_table_fetch()
 *          asks for a record's rows before the first is hashed.
 * Owns.    The rows: 64 bytes a query id, 32 MB for 500,000.
 * Threads. Constant once made.
 * Cost.    One load and one hash a draw.
 */
#ifndef FILTER_DRAW_TABLE_H
#define FILTER_DRAW_TABLE_H

#include "filter/draw.h"
#include "querylist/qlist.h"

#define DRAW_NORM_INLINE 30 /* bytes */

struct draw_row {
    uint64_t c;      /* c(q) */
    uint64_t t;      /* the cap of the plan at hand; 0: no group */
    uint64_t before; /* the cap of the round before; 0 in round 0 */
    double misses;   /* probability that q does not pick a pair of its own */
    uint16_t n;      /* bytes of the norm */
    char norm[DRAW_NORM_INLINE]; /* n > DRAW_NORM_INLINE: its address */
};

_Static_assert(sizeof(struct draw_row) == 64, "a cache line");

struct draw_table {
    struct draw_row *rows; /* by query id */
    uint32_t n;
    uint64_t seed;
};

/* The norms stay the list's, which must outlive the table; c: by query id. */
int draw_table_make(struct draw_table *t, const struct qlist *list,
                    uint64_t seed, const uint64_t *c, struct err *e);
void draw_table_release(struct draw_table *t);

/* Caps by query id; before may be NULL. */
void draw_table_caps(struct draw_table *t, const uint64_t *caps,
                     const uint64_t *before);

static inline void draw_table_fetch(const struct draw_table *t,
                                    const uint32_t *q, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        __builtin_prefetch(&t->rows[q[i]]);
}

/* h(q, pair); b as draw_begin() left it for the pair. */
static inline uint64_t draw_table_hash(const struct draw_table *t, uint32_t q,
                                       struct draw_bytes *b)
{
    const struct draw_row *r = &t->rows[q];
    const char *norm = r->norm;

    if (r->n <= DRAW_NORM_INLINE) { /* a fixed size is two moves, no call */
        memcpy(b->p + DRAW_HEAD, norm, DRAW_NORM_INLINE);
    } else {
        memcpy(&norm, r->norm, sizeof norm);
        memcpy(b->p + DRAW_HEAD, norm, r->n);
    }
    return hash_xxh3(str_make(b->p, DRAW_HEAD + (size_t)r->n));
}

#endif
