/*
 * matcher - which query groups does a text contain?
 *
 * Model.   A query matches when the words of its norm stand in the text one
 *          after another, so a trie over words finds all matches.  Texts are
 *          matched some at a time, so that the memory which one look-up waits
 *          for is fetched while others go on:
 *
 *              matcher_batch_clear(b);
 *              while (texts, and !matcher_batch_full(b)) {
 *                  matcher_batch_cut(m, b, text, &plain, e);
 *                  if (the text rules accept plain)
 *                      matcher_batch_add(m, b);   // as text b->n - 1
 *              }
 *              matcher_batch_find(m, b);
 *              ids = matcher_batch_ids(b, i, &n_ids);
 *
 *          A text that was cut and not added costs nothing more.
 * Owns.    The matcher borrows the list, which stays open for as long; the
 *          batch owns its scratch, the words it hands out and the ids.
 * Fails.   matcher_open: -E_NOMEM.  matcher_batch_cut: -E_FORMAT for invalid
 *          UTF-8 where the default policy's words are cut, -E_TOOBIG,
 *          -E_NOMEM; the batch is as before.
 * Threads. The matcher is constant once open; one batch per thread.
 * Cost.    Nothing is allocated once a batch has met its longest texts.
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

struct matcher_norm {
    struct str norm;
    uint32_t group;
};

struct matcher_slot;

struct matcher { /* private */
    enum query_policy policy;
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

struct matcher_batch { /* private, but for n */
    size_t n;          /* texts added, at most MATCHER_BATCH */
    struct words words;
    struct words plain; /* for the rules, where the policy is another */
    struct match_ids ids[MATCHER_BATCH];
};

/* l stays open until matcher_close(). */
int matcher_open(struct matcher *m, const struct qlist *l, struct err *e);
void matcher_close(struct matcher *m);

void matcher_batch_init(struct matcher_batch *b);
void matcher_batch_release(struct matcher_batch *b);

/* No texts. */
void matcher_batch_clear(struct matcher_batch *b);

static inline bool matcher_batch_full(const struct matcher_batch *b)
{
    return b->n == MATCHER_BATCH;
}

/* Cut a text into words.  plain: where to put the words of the default policy,
 * which text rules go by under either policy; NULL when nobody asks, which
 * under the other policy saves cutting them.  They are valid until the next
 * cut.  The text itself is not looked at again. */
int matcher_batch_cut(const struct matcher *m, struct matcher_batch *b,
                      struct str text, const struct words **plain,
                      struct err *e);

/* Take the text last cut into the batch, which is not full. */
void matcher_batch_add(const struct matcher *m, struct matcher_batch *b);

/* Find the groups of all texts added. */
void matcher_batch_find(const struct matcher *m, struct matcher_batch *b);

/* Those of text i, ascending, each once; after matcher_batch_find() and until
 * the next clear. */
const uint32_t *matcher_batch_ids(const struct matcher_batch *b, size_t i,
                                  size_t *n);

/* ---- one text at a time, norms from anywhere ---- */

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
