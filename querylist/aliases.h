/*
 * aliases - other names of articles: what redirects lead to.
 *
 * Model.   titles_aliases_add() notes that one name leads to another, both in
 *          title.h's normal form; of two targets for a name the first counts.
 *          A target's section (#...) is cut off.  titles_aliases_target()
 *          follows from name to name, ALIASES_STEPS at most: the name at the
 *          end, or the name itself when it leads nowhere or into a circle.
 * Owns.    Copies of the names, one behind the other.
 * Fails.   -E_TOOBIG past max_bytes, -E_NOMEM.
 * Threads. One while adding; constant afterwards.
 * Cost.    8 bytes a slot at most three quarters full, and both names' bytes
 *          and three more: 11 million redirects take about 600 MiB.
 */
#ifndef QUERYLIST_ALIASES_H
#define QUERYLIST_ALIASES_H

#include "base/buf.h"
#include "base/str.h"
#include <stdint.h>

#define ALIASES_STEPS    4    /* MediaWiki leaves no longer chains for long */
#define ALIASES_NAME_MAX 255u /* bytes; longer names are no titles */

struct titles_aliases {
    struct buf names;  /* per alias: two lengths (bytes), name, target */
    uint64_t *slots;   /* offset in names + 1, above it 24 bits of hash */
    size_t n, n_slots; /* aliases; slots, a power of two */
    size_t max_bytes;
    uint64_t seed; /* of the hash: base/hash.h's secret */
};

void titles_aliases_init(struct titles_aliases *a, size_t max_bytes);
void titles_aliases_release(struct titles_aliases *a);

/* Names that are empty, too long or equal are passed over. */
int titles_aliases_add(struct titles_aliases *a, struct str name,
                       struct str target);

struct str titles_aliases_target(const struct titles_aliases *a,
                                 struct str name);

#endif
