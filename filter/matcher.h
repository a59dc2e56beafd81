/*
 * matcher - which query groups does a text contain?
 *
 * Model.   A query matches when the words of its norm stand in the text one
 *          after another, so a trie over words finds all matches
 *          (querylist/trie.h).  Texts are matched some at a time, so that the
 *          memory which one look-up waits for is fetched while others go on:
 *
 *              matcher_batch_clear(b);
 *              while (texts, and !matcher_batch_full(b)) {
 *                  matcher_batch_cut(m, b, text, &plain, e);
 *                  if (the text rules accept plain)
 *                      matcher_batch_add(b);   // as text b->n - 1
 *              }
 *              matcher_batch_find(m, b);
 *              ids = matcher_batch_ids(b, i, &n_ids);
 *
 *          A text that was cut and not added costs nothing more.
 *
 *          Of a text that is added each word's first bytes are kept, most
 *          words' keys.  Then each step is taken for all texts together, in
 *          one loop without a branch that depends on the texts: words are
 *          hashed, once, and their slots asked for; they are looked up; long
 *          ones compared; pairs that both sides and the filter allow are
 *          listed; they are looked up, which gives norms of two words and what
 *          begins longer ones; and so on, a word more each time, until nothing
 *          is left.
 * Owns.    The matcher borrows the list, which stays open for as long; the
 *          batch owns its scratch, the words it hands out and the ids.
 * Fails.   matcher_batch_cut: -E_FORMAT for invalid UTF-8 where the default
 *          policy's words are cut, -E_TOOBIG, -E_NOMEM; the batch is as before.
 *          Elsewhere only memory for words and ids, which dies.
 * Threads. The matcher is constant once open; one batch per thread.
 * Cost.    docs/matching.md.  Nothing is allocated once a batch has met its
 *          longest texts.
 */
#ifndef FILTER_MATCHER_H
#define FILTER_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "querylist/qlist.h"
#include "querylist/words.h"

#define MATCHER_BATCH 32 /* texts with look-ups in flight */

/* A batch is full, too, once it has so many words, or bytes of the longest of
 * them: however long texts are, its numbers stay within 32 bits. */
#define MATCHER_BATCH_WORDS ((size_t)1 << 16)
#define MATCHER_BATCH_BYTES ((size_t)1 << 24)

struct matcher {
    enum query_policy policy;
    struct trie trie; /* of the list */
};

/* A word of more than TRIE_SHORT bytes, to be compared. */
struct matcher_long {
    struct trie_head head;
    uint32_t word; /* which it is */
    uint32_t n;    /* bytes */
    uint32_t at;   /* where all of them stand in `longer`, if past the head */
};

/* Words one after another that may be, or begin, a norm. */
struct matcher_step {
    uint64_t key;
    uint32_t word; /* the first of them */
};

/* A group found, and in which text. */
struct matcher_found {
    uint32_t group, text;
};

struct matcher_batch { /* private, but for n */
    size_t n;          /* texts added, at most MATCHER_BATCH */
    struct words words;
    struct words plain; /* for the rules, where the policy is another */

    /* Words of all texts, behind each text's one that is none. */
    uint64_t *word; /* keys; once looked up, values (querylist/trie.h) */
    uint32_t *slot;
    unsigned char *text; /* which they are of */
    size_t n_words, cap_words;

    struct matcher_long *long_;
    size_t n_long;
    unsigned char *longer;
    size_t n_longer, cap_longer;

    struct matcher_step *step;
    struct matcher_found *found; /* by steps */
    size_t n_found, cap_found;
    uint32_t *alone; /* groups of words alone, text by text */
    size_t cap_alone;
    uint32_t *ids, *spare; /* all, text by text */
    size_t cap_ids, cap_spare;
    uint32_t first_id[MATCHER_BATCH + 1], n_ids[MATCHER_BATCH];
};

/* l stays open for as long as m is used; nothing is to be released. */
void matcher_open(struct matcher *m, const struct qlist *l);

void matcher_batch_init(struct matcher_batch *b);
void matcher_batch_release(struct matcher_batch *b);

/* No texts. */
void matcher_batch_clear(struct matcher_batch *b);

static inline bool matcher_batch_full(const struct matcher_batch *b)
{
    return b->n == MATCHER_BATCH || b->n_words >= MATCHER_BATCH_WORDS ||
           b->n_longer >= MATCHER_BATCH_BYTES;
}

/* Cut a text into words.  plain: where to put the words of the default policy,
 * which text rules go by under either policy; NULL when there are none, which
 * saves cutting them.  They are valid until the next cut.  The text itself is
 * not looked at again. */
int matcher_batch_cut(const struct matcher *m, struct matcher_batch *b,
                      struct str text, const struct words **plain,
                      struct err *e);

/* Take the text last cut into the batch, which is not full. */
void matcher_batch_add(struct matcher_batch *b);

/* Find the groups of all texts added. */
void matcher_batch_find(const struct matcher *m, struct matcher_batch *b);

/* Those of text i, ascending, each once; after matcher_batch_find() and until
 * the next clear. */
const uint32_t *matcher_batch_ids(const struct matcher_batch *b, size_t i,
                                  size_t *n);

#endif
