/*
 * list - the query list: entries from several sources, made one.
 *
 * Model.   A source is an array of candidates, sorted by its measure (ties
 *          bytewise) and cut to its budget.  query_list_build() takes the
 *          sources in the order of the config and unites them by entry bytes:
 *          the first to bring an entry fixes its place, the others add what
 *          they know of it.  DESIGN section 4, "Query list":
 *          - QUERY_ORDER_CLIP: file, words, bigrams, titles, WordNet, numerals;
 *            QUERY_ORDER_METACLIP: file, numerals, WordNet, words, bigrams,
 *            titles.  (file: a list of the user's own, in its own order.)
 *          - Titles are taken until the list, with what WordNet and numerals
 *            still will add, has config.size entries; those behind are not
 *            looked at, and add no views to what other sources brought.  No
 *            other source fills up; an entry past config.size is left out and
 *            counted ("size").
 *          - Each entry gets its norm; entries of one norm are one group,
 *            whose id is its smallest query id.
 * Owns.    Texts and norms.  Synsets stay wordnet.h's and are borrowed.
 * Fails.   -E_TOOBIG, -E_NOMEM.  A candidate that cannot be an entry is a
 *          counted drop: "empty", "too-long", "charset", "control", "size".
 * Threads. One at a time.
 */
#ifndef QUERYLIST_LIST_H
#define QUERYLIST_LIST_H

#include "base/err.h"
#include "base/str.h"
#include "base/tally.h"
#include "querylist/strset.h"
#include "querylist/wordnet.h"
#include "querylist/words.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_ENTRY_MAX 1024u      /* bytes; a Wikipedia title has 255 */
#define QUERY_NONE      UINT32_MAX /* no group, no synset */
#define QUERY_LIST_BYTES                                                       \
    ((size_t)4 << 30) /* ceiling of texts and norms each                       \
                       */

/* index, name; bits of query_entry.sources are 1 << index */
#define QUERY_SOURCE_MAP(X)                                                    \
    X(QUERY_FILE, "file")                                                      \
    X(QUERY_WORD, "word")                                                      \
    X(QUERY_BIGRAM, "bigram")                                                  \
    X(QUERY_TITLE, "title")                                                    \
    X(QUERY_WORDNET, "wordnet")                                                \
    X(QUERY_NUMERAL, "numeral")

enum query_source {
#define X(name, text) name,
    QUERY_SOURCE_MAP(X)
#undef X
        QUERY_SOURCES
};

const char *query_source_name(enum query_source s);

enum query_order { QUERY_ORDER_CLIP, QUERY_ORDER_METACLIP };
extern const char *const query_order_names[]; /* "clip", "metaclip", NULL */

enum query_flags {
    QUERY_NO_WORDS = 1, /* norm is empty: no group, matches nothing */
    QUERY_NEVER = 2     /* no text can hold it: query_is_never() */
};

/*
 * Whether no text at all can match the entry.  Under QUERY_POLICY_WORDS each
 * entry with words matches itself.  MetaCLIP's rule puts a space on both sides
 * of each , . ; : ? ! ` of a text, turns TAB, LF and CR into spaces, and asks
 * whether it then holds the entry between two spaces.  So an entry is out of
 * reach with
 *   - a TAB, LF or CR,
 *   - one of the seven without a space (or the entry's end) on either side, as
 *     in "St. Louis": "St . Louis" is found in "St.Louis",
 *   - two of the seven with a single space between, as in ". .": each has one
 *     of its own, ".  ." is found in "..".
 * Spaces elsewhere, at the ends or several of them, are found in texts that
 * have them.
 */
bool query_is_never(enum query_policy policy, struct str entry);

/* What a source says of an entry; 0 and QUERY_NONE where it does not say. */
struct query_candidate {
    struct str text;
    uint64_t count;  /* occurrences of the word or bigram */
    uint64_t views;  /* of the article */
    double pmi;      /* of the bigram, base 2 */
    uint32_t synset; /* index in wordnet.synsets */
};

struct query_candidates {
    struct query_candidate *v;
    size_t n, cap;
};

struct query_entry {
    struct str text;
    struct str norm;
    uint64_t count;
    uint64_t views;
    double pmi;
    uint32_t sources; /* bits 1 << enum query_source */
    uint32_t flags;   /* enum query_flags */
    uint32_t group;   /* id of its group, or QUERY_NONE */
    uint32_t synset;  /* or QUERY_NONE */
};

struct query_list {
    struct query_entry *v; /* by id */
    size_t n, cap;
    uint32_t n_groups;
    uint64_t first[QUERY_SOURCES]; /* entries that each source brought first */
    struct strset texts;           /* number = id */
    struct strset norms;           /* number = place among groups */
    struct tally drops;
};

struct query_list_config {
    enum query_order order;
    enum query_policy policy;
    uint64_t size;                                         /* entries at most */
    const struct query_candidates *sources[QUERY_SOURCES]; /* NULL: not asked */
};

int query_list_build(struct query_list *l, const struct query_list_config *c,
                     struct err *e);
void query_list_release(struct query_list *l);

/* ---- sources that need no counting ---- */

void query_candidates_release(struct query_candidates *c);

/* A candidate for text, which must outlive the array; fill in the rest. */
struct query_candidate *query_candidates_add(struct query_candidates *c,
                                             struct str text);

/* WordNet's names, bytewise, each once; the synset is the first by part of
 * speech (n v a s r) and sense. Names that are empty, or one character of
 * ASCII punctuation, are left out. */
void query_candidates_wordnet(struct query_candidates *c,
                              const struct wordnet *w);

/* "0" to "99", bytewise. */
void query_candidates_numerals(struct query_candidates *c);

/* (Lists in other forms: querylist/list_io.)
 * An entry a line, outer ASCII white space cut, empty lines left out. */
void query_candidates_lines(struct query_candidates *c, struct str lines);

#endif
