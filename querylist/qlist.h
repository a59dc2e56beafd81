/*
 * qlist - queries.bin: the compiled query list, mapped.
 *
 * Model.   qlist_encode() makes the bytes behind the corpus header
 *          (base/corpus.h); qlist_open() maps a file and checks it whole:
 *          length, hash, every offset and reference.  After that each getter
 *          is a few loads and cannot fail.  The file carries all that later
 *          stages and the catalogue need: entries with norms, groups, sources
 *          and numbers, the synsets of WordNet and their hypernym edges, and
 *          the table that texts are matched by (querylist/trie.h), ready to be
 *          searched where it lies: processes share it.
 *          Layout: docs/formats/queries.md; all integers little-endian.
 * Owns.    The mapping; every struct str points into it until qlist_close().
 * Fails.   -E_NOTFOUND, -E_FORMAT (no query list), -E_VERSION, -E_DAMAGED with
 *          path and what is wrong.
 * Threads. Constant once open.
 * Cost.    open: one pass over the file.  Getters: O(1).
 */
#ifndef QUERYLIST_QLIST_H
#define QUERYLIST_QLIST_H

#include "base/buf.h"
#include "base/corpus.h"
#include "base/err.h"
#include "base/str.h"
#include "querylist/list.h"
#include "querylist/trie.h"
#include <stdbool.h>
#include <stdint.h>

#define QLIST_FILE "queries.bin"

enum qlist_section {
    QLIST_ENTRIES,
    QLIST_STRINGS,
    QLIST_SYNSETS,
    QLIST_PARENTS,
    QLIST_TRIE, /* the first of enum trie_section */
    QLIST_SECTIONS = QLIST_TRIE + TRIE_SECTIONS
};

struct qlist {
    struct corpus_header head;
    const unsigned char *base; /* of the whole file */
    size_t size;
    const unsigned char *at[QLIST_SECTIONS];
    uint64_t bytes[QLIST_SECTIONS];
    struct trie trie; /* the norms' groups by their words */
    bool mapped;      /* munmap() at close */
};

/* One synset; parents are indexes of synsets. */
struct qlist_synset {
    struct str id;   /* "dog.n.01" */
    struct str name; /* the entry it gave, may be empty */
    struct str gloss;
    uint32_t query; /* id of the entry `name`, or QUERY_NONE */
    uint32_t first_parent;
    uint32_t n_parents;
};

/* ---- writing ---- */

/* The file's bytes, header included, appended to out. wordnet may be NULL. */
int qlist_encode(const struct query_list *l, const struct wordnet *w,
                 enum query_policy policy, uint64_t seed, uint32_t bucket_bits,
                 struct buf *out, struct err *e);

/* ---- reading ---- */

int qlist_open(struct qlist *l, const char *path, struct err *e);
/* The same over bytes that stay put; name is for messages. */
int qlist_open_memory(struct qlist *l, struct str bytes, const char *name,
                      struct err *e);
void qlist_close(struct qlist *l);

static inline uint32_t qlist_count(const struct qlist *l)
{
    return l->head.n_queries;
}

static inline uint32_t qlist_groups(const struct qlist *l)
{
    return l->head.n_groups;
}

static inline enum query_policy qlist_policy(const struct qlist *l)
{
    return (enum query_policy)l->head.policy;
}

/* id < qlist_count() */
struct str qlist_text(const struct qlist *l, uint32_t id);
struct str qlist_norm(const struct qlist *l, uint32_t id);
/* Id of its group, which is the smallest of the group's entries, or
 * QUERY_NONE for an entry without words. */
uint32_t qlist_group(const struct qlist *l, uint32_t id);
uint32_t qlist_flags(const struct qlist *l, uint32_t id); /* query_flags */

/* All of an entry. */
void qlist_entry(const struct qlist *l, uint32_t id, struct query_entry *e);

uint32_t qlist_synsets(const struct qlist *l); /* their number */
/* i < qlist_synsets() */
void qlist_synset(const struct qlist *l, uint32_t i, struct qlist_synset *s);
/* k in [first_parent, first_parent + n_parents) of a synset */
uint32_t qlist_parent(const struct qlist *l, uint32_t k);

#endif
