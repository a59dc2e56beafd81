/*
 * trie_make - makes the match table of queries.bin (querylist/trie.h).
 *
 * Model.   trie_maker_add() every norm; trie_maker_finish() then gives each key
 *          its slot and returns the sections.  What they hold depends on the
 *          norms and their order alone.
 * Owns.    The maker its words and the sections, until released.
 * Fails.   -E_NOMEM; -E_TOOBIG past TRIE_NODES_MAX or TRIE_WORD_MAX; -E_FORMAT,
 *          words whose hashes are alike whatever the seed: chosen ones.
 * Threads. One.
 * Cost.    About 200 bytes a word or step while it is made.
 */
#ifndef QUERYLIST_TRIE_MAKE_H
#define QUERYLIST_TRIE_MAKE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"
#include "querylist/strset.h"
#include "querylist/trie.h"

struct trie_half {     /* private: a table to be */
    struct strset set; /* words; or steps, as the 8 bytes of their keys */
    uint64_t *value;   /* of each */
    size_t cap;
    unsigned char *slots, *pilots;
};

struct trie_maker { /* private */
    struct trie_half words, steps;
    struct buf longer;
    unsigned char *filter;
    uint32_t last_id; /* ids of what is no long word count down */
};

void trie_maker_init(struct trie_maker *m);
void trie_maker_release(struct trie_maker *m);

/* One norm: words with one space between two.  Norms are distinct, and hold no
 * NUL byte. */
int trie_maker_add(struct trie_maker *m, struct str norm, uint32_t group);

/* Nothing is added after it; the sections' bytes, in turn, until release. */
int trie_maker_finish(struct trie_maker *m, struct str sections[TRIE_SECTIONS]);

#endif
