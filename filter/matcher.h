/*
 * matcher - which query groups does a text contain?
 *
 * Model.   A query matches when the words of its norm stand in the text one
 *          after another, so a trie over words finds all matches; it is kept as
 *          one hash table of word-sequence fingerprints.  From each word of
 *          the text the walk goes on while the sequence so far begins some
 *          norm.  A hit is compared with the norm's bytes, so a fingerprint
 *          that collides costs time and never a wrong match; two norms with
 *          one fingerprint make matcher_build() try another salt.
 * Owns.    The table.  Norms are borrowed: they must outlive the matcher
 *          (queries.bin is mapped for as long).
 * Fails.   matcher_build: -E_NOMEM.  matcher_find: only memory, which dies.
 * Threads. Constant once built; one struct match_ids per thread.
 * Cost.    One hash a word and one look-up a step; 24 bytes a slot, a slot a
 *          norm and inner prefix, at most half full.
 *          Source: the word-level trie of facts B5.
 */
#ifndef FILTER_MATCHER_H
#define FILTER_MATCHER_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "querylist/words.h"

struct matcher_norm {
    struct str norm;
    uint32_t group;
};

struct matcher_slot;

struct matcher {
    struct matcher_norm *norms;
    size_t n_norms, cap_norms;
    struct matcher_slot *slots;
    uint64_t mask; /* slots - 1 */
    uint64_t salt;
};

struct match_ids {
    uint32_t *v; /* ascending, each once */
    size_t n, cap;
};

void matcher_init(struct matcher *m);
void matcher_release(struct matcher *m);

/* norm must be as words_norm() left it; distinct from all added before. */
void matcher_add(struct matcher *m, uint32_t group, struct str norm);
int matcher_build(struct matcher *m, struct err *e);

/* Groups that the words contain, into ids (reused). */
void matcher_find(const struct matcher *m, const struct words *w,
                  struct match_ids *ids);
void match_ids_release(struct match_ids *ids);

#endif
