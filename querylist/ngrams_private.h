/*
 * ngrams_private - what ngrams.c (counting), ngrams_merge.c (runs become
 * counts of the whole) and ngrams_rank.c (the best of them) share.
 *
 * Threads. As in querylist/ngrams.h.
 */
#ifndef QUERYLIST_NGRAMS_PRIVATE_H
#define QUERYLIST_NGRAMS_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "querylist/keymerge.h"
#include "querylist/ngrams.h"
#include "querylist/pairrun.h"
#include <pthread.h>

struct ngrams_run { /* what a counter wrote when it was full */
    struct run words, pairs;
};

struct ngrams_counter {
    struct ngrams *n;
    struct words split; /* scratch */
    struct keytab words;
    struct pairtab pairs;
    bool bigrams; /* are they counted too? */
    bool has_last;
    uint32_t last; /* number of the word before */
    uint64_t tokens;
    struct runfile file;
    struct ngrams_run *runs;
    size_t n_runs, cap_runs;
    struct ngrams_counter *next; /* of those that nobody has */
};

/* A word of the whole that reaches a threshold; its place is its number. */
struct ngrams_word {
    uint64_t n;
    uint64_t at; /* in texts */
    uint32_t len;
};

struct ngrams_bigram {
    uint64_t n;
    uint32_t first, second; /* numbers of words */
};

struct ngrams {
    struct ngrams_config config;
    pthread_mutex_t lock; /* of idle and taken */
    struct ngrams_counter *counters, *idle;
    unsigned taken;            /* counters that somebody once had */
    struct runfile file;       /* of what is merged in passes */
    struct ngrams_word *words; /* bytewise */
    size_t n_words, cap_words;
    struct buf word_texts;
    struct ngrams_bigram *best; /* a heap, the worst first, then sorted */
    size_t n_best;
    struct ngrams_report report;
    struct arena texts; /* of bigrams that became candidates */
};

/* ---- ngrams.c ---- */

/* Write what a counter has as a run; it begins anew. */
int ngrams_spill(struct ngrams_counter *c, struct err *e);

/* Sort words and, by their ranks, pairs. */
int ngrams_sort(struct ngrams_counter *c, struct err *e);

static inline struct str ngrams_text(const struct ngrams *n, uint32_t word)
{
    return str_make(n->word_texts.p + n->words[word].at, n->words[word].len);
}

/* ---- ngrams_rank.c ---- */

/* A word's, or a bigram's, count over the whole: for report and ranking. */
void ngrams_see_word(struct ngrams *n, uint64_t count);
int ngrams_see_bigram(struct ngrams *n, uint64_t pair, uint64_t count,
                      struct err *e);
void ngrams_sort_best(struct ngrams *n);

#endif
