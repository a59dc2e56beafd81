/*
 * phrases - which of some phrases does a text contain?
 *
 * Model.   For lists that somebody brings, of any size, one text at a time;
 *          queries have a table of their own in queries.bin (filter/matcher.h).
 *          A phrase is found when the words of its norm stand in the text one
 *          after another: one hash table has the fingerprints of all norms and
 *          of what they begin with, and from each word of the text the walk
 *          goes on while the sequence so far begins a norm.  A hit is compared
 *          with the norm's bytes, so a fingerprint that collides costs time and
 *          never a wrong answer; two norms with one fingerprint make
 *          phrases_build() try another salt.
 * Owns.    The table.  Norms are borrowed: they must outlive it.
 * Fails.   phrases_build: -E_NOMEM.  phrases_find: only memory, which dies.
 * Threads. Constant once built; one struct phrase_ids per thread.
 * Cost.    One hash a word and one look-up a step; 16 bytes a slot, a slot a
 *          norm and inner prefix, at most half full.
 */
#ifndef FILTER_PHRASES_H
#define FILTER_PHRASES_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "querylist/words.h"

struct phrase {
    struct str norm;
    uint32_t id;
};

struct phrases_slot;

struct phrases {
    struct phrase *norms;
    size_t n_norms, cap_norms;
    struct phrases_slot *slots;
    uint64_t mask; /* slots - 1 */
    uint64_t salt;
};

struct phrase_ids {
    uint32_t *v; /* ascending, each once */
    size_t n, cap;
};

void phrases_init(struct phrases *p);
void phrases_release(struct phrases *p);

/* norm must be as words_norm() left it; distinct from all added before. */
void phrases_add(struct phrases *p, uint32_t id, struct str norm);
int phrases_build(struct phrases *p, struct err *e);

/* Ids of the phrases that the words contain, into ids (reused). */
void phrases_find(const struct phrases *p, const struct words *w,
                  struct phrase_ids *ids);
void phrase_ids_release(struct phrase_ids *ids);

#endif
