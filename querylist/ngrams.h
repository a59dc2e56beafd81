/*
 * ngrams - count words and pairs of words in plain text, exactly.
 *
 * Model.   open -> add* -> words/bigrams -> close.  What is counted are words
 *          of the default policy (querylist/words): folded, so that "The" and
 *          "the" are one, whatever the policy of the list.  A bigram is two
 *          words with nothing but white space between them: punctuation, an
 *          empty line and ngrams_break() end a phrase.  (Han, Thai and the
 *          like: each character is a word, and neighbours are a bigram.)
 *          Words rank by count, bigrams by pointwise mutual information,
 *          PMI = log2(n12 N / (n1 n2)) with N words in all; ties bytewise.
 *          The ranking compares the fractions exactly, in 128-bit integers.
 * Owns.    All counts; candidates point into it until ngrams_close().
 * Fails.   -E_TOOBIG past the memory ceiling, with what to raise, or past
 *          NGRAMS_TOKENS_MAX words; -E_FORMAT for invalid UTF-8.
 * Threads. One at a time.
 * Cost.    About 60 bytes a distinct word, 32 a distinct bigram, in memory.
 *          Counts come out only at the end, so that runs sorted on disk can
 *          take the tables' place without a caller noticing.
 */
#ifndef QUERYLIST_NGRAMS_H
#define QUERYLIST_NGRAMS_H

#include "base/err.h"
#include "base/str.h"
#include "querylist/list.h"
#include <stdbool.h>
#include <stdint.h>

#define NGRAMS_TOKENS_MAX (UINT64_C(1) << 42) /* three counts fit 126 bits */

struct ngrams_config {
    uint64_t memory; /* ceiling, bytes */
    uint64_t min_word_count;
    uint64_t word_budget; /* words at most */
    uint64_t min_bigram_count;
    uint64_t bigram_budget; /* bigrams at most */
    double min_pmi;
};

struct ngrams;

struct ngrams *ngrams_open(const struct ngrams_config *c);
void ngrams_close(struct ngrams *n); /* NULL is fine */

/* Text that goes on where the text added before ended, words being whole. */
int ngrams_add(struct ngrams *n, struct str text, struct err *e);

/* What follows is another phrase. */
void ngrams_break(struct ngrams *n);

uint64_t ngrams_tokens(const struct ngrams *n);

/* Candidates that reach the thresholds, best first, cut to the budget. */
int ngrams_words(struct ngrams *n, struct query_candidates *c, struct err *e);
int ngrams_bigrams(struct ngrams *n, struct query_candidates *c, struct err *e);

#endif
