/*
 * ngrams - count words and pairs of words in plain text, exactly.
 *
 * Model.   open -> counters, one a thread: add*, break* -> finish -> words,
 *          bigrams, report -> close.  What is counted are words of the default
 *          policy (querylist/words), whatever the policy of the list:
 *          - NGRAMS_FOLD: folded, so that "The" and "the" are one, as they are
 *            to a text that is matched under the default policy.
 *          - NGRAMS_KEEP: with their case, for a list that is matched by the
 *            metaclip policy: that is case-sensitive, and so are MetaCLIP's
 *            published counts.
 *          A bigram is two words with nothing but white space between them:
 *          punctuation, an empty line and ngrams_break() end a phrase.  (Han,
 *          Thai and the like: each character is a word, and neighbours are a
 *          bigram.)  A word over NGRAMS_WORD_MAX bytes counts in N alone and
 *          ends a phrase on both sides.
 *          Words rank by count, bigrams by pointwise mutual information,
 *          PMI = log2(n12 N / (n1 n2)) with N words in all; ties bytewise.
 *          The ranking compares the fractions exactly, in 128-bit integers.
 *          Each counter has its share of the memory.  When it is full the
 *          words are written in order, the bigrams as numbers of them
 *          (querylist/keyrun, querylist/pairrun), and it begins anew.
 *          ngrams_finish() merges words, and then the bigrams of those that
 *          are frequent enough for one of them.  Nothing of the result depends
 *          on memory, threads, or which text went to which counter; the disk
 *          is not touched where nothing fills up.
 * Owns.    All counts, runs on disk (a file without name for each counter);
 *          candidates point into it until ngrams_close().
 * Fails.   -E_FORMAT for invalid UTF-8: nothing of that text is counted, go
 *          on.  Else give up: -E_TOOBIG without a folder, or past
 *          NGRAMS_TOKENS_MAX words; -E_IO, -E_DAMAGED, -E_NOMEM.
 * Threads. ngrams_take() and ngrams_give() from any thread, a counter by one
 *          at a time; the rest by one thread, when no counter is out.
 * Cost.    No more than config.memory while counting.  A bigram costs 11 to 21
 *          bytes there, and some 3 bytes a run on disk.  To merge: 132 KiB for
 *          each of at most KEYMERGE_FAN runs, then the words that a bigram can
 *          have (25 bytes and their text), a few MB for each of at most
 *          NGRAMS_FAN runs, and 24 bytes for each bigram of the budget.
 */
#ifndef QUERYLIST_NGRAMS_H
#define QUERYLIST_NGRAMS_H

#include "base/err.h"
#include "base/str.h"
#include "querylist/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NGRAMS_TOKENS_MAX (UINT64_C(1) << 42) /* three counts fit 126 bits */
#define NGRAMS_WORD_MAX   QUERY_ENTRY_MAX     /* bytes; longer is no entry */
#define NGRAMS_FAN        64u                 /* runs of bigrams read at once */
#define NGRAMS_MEMORY_MIN (256u << 10)        /* bytes a counter has at least */

enum ngrams_case { NGRAMS_FOLD, NGRAMS_KEEP };

struct ngrams_config {
    uint64_t memory;    /* ceiling of what counts, bytes */
    unsigned counters;  /* that can be out at once, at least 1 */
    const char *folder; /* where runs go; NULL: a full counter is an error */
    enum ngrams_case letters;
    uint64_t min_word_count;
    uint64_t word_budget; /* words at most */
    uint64_t min_bigram_count;
    uint64_t bigram_budget; /* bigrams at most; 0: bigrams are not counted */
    double min_pmi; /* bits, -100 to 100; whole ones are compared exactly */
};

struct ngrams;
struct ngrams_counter;

int ngrams_open(struct ngrams **n, const struct ngrams_config *c,
                struct err *e);
void ngrams_close(struct ngrams *n); /* NULL is fine */

/* A counter that nobody has, its last phrase ended. */
struct ngrams_counter *ngrams_take(struct ngrams *n);
void ngrams_give(struct ngrams *n, struct ngrams_counter *c);

/* Text that goes on where the text added before ended, words being whole. */
int ngrams_add(struct ngrams_counter *c, struct str text, struct err *e);

/* What follows is another phrase. */
void ngrams_break(struct ngrams_counter *c);

/* Nothing is added after it. */
int ngrams_finish(struct ngrams *n, struct err *e);

/* ---- after ngrams_finish() ---- */

uint64_t ngrams_tokens(const struct ngrams *n);

/* Candidates that reach the thresholds, best first, cut to the budget. */
int ngrams_words(struct ngrams *n, struct query_candidates *c, struct err *e);
int ngrams_bigrams(struct ngrams *n, struct query_candidates *c, struct err *e);

/* What other thresholds would give, budgets aside. */
#define NGRAMS_FLOORS 7                             /* counts of words */
#define NGRAMS_PMIS   21                            /* 0 to 20 bits */
extern const uint64_t ngrams_floors[NGRAMS_FLOORS]; /* 10 20 50 .. 1000 */

struct ngrams_report {
    uint64_t tokens;               /* N */
    uint64_t distinct;             /* words */
    uint64_t words[NGRAMS_FLOORS]; /* that occur so often */
    uint64_t bigrams;              /* that reach min_bigram_count */
    uint64_t pmi[NGRAMS_PMIS];     /* of these, with that PMI or more */
    uint64_t runs;                 /* spilled */
    uint64_t disk;                 /* bytes written in all */
};

void ngrams_report(const struct ngrams *n, struct ngrams_report *r);

#endif
