/*
 * queries - the stage that makes queries.bin, and with it a corpus.
 *
 * Model.   queries_run() gathers the sources that the config asks for, unites
 *          them (querylist/list), compiles them (querylist/qlist) and publishes
 *          CORPUS/queries.bin with the sidecar queries.meta.json.  The file's
 *          header carries the corpus seed, the number of bucket bits and the
 *          matching policy, which every later stage reads there.
 *          A list that is done but was removed or damaged is made anew.
 * Owns.    Nothing after it returns.
 * Fails.   -E_USAGE for options that contradict each other or lack input,
 *          before anything is read or made;
 *          -E_STALE when queries.bin was made otherwise (--redo); else what the
 *          parts report.
 * Threads. One run per corpus (a lock says -E_BUSY otherwise).
 */
#ifndef QUERYLIST_QUERIES_H
#define QUERYLIST_QUERIES_H

#include "base/opt.h"
#include "base/stage.h"
#include "base/tally.h"
#include "querylist/list.h"
#include "querylist/ngrams.h"
#include "querylist/titles.h"
#include "querylist/wikipedia.h"
#include <stdbool.h>
#include <stdint.h>

#define QUERIES_VERSION 3 /* of what the stage makes */

/* Does counting tell upper from lower case?  auto: as the policy does. */
enum queries_case { QUERIES_CASE_AUTO, QUERIES_CASE_FOLD, QUERIES_CASE_KEEP };
extern const char *const queries_case_names[]; /* with a NULL: for options */

struct queries_config {
    struct stage_options stage;
    struct opt_list wiki;      /* dumps; "-": standard input */
    bool allow_truncated;      /* dumps may be cut off */
    struct opt_list text;      /* files and folders to count words in */
    struct opt_list queries;   /* lists of the user's own, querylist/list_io */
    struct opt_list pageviews; /* view files and folders of them */
    const char *project;       /* whose views; NULL: without any */
    uint64_t min_hour_views;
    uint64_t min_views;
    int redirects;       /* enum titles_redirects */
    const char *wordnet; /* folder of WordNet's files */
    const char *sources; /* names with commas, NULL: see queries.c */
    int order;           /* enum query_order */
    int policy;          /* enum query_policy */
    uint64_t size;       /* entries at most */
    uint64_t seed;
    uint64_t bucket_bits;
    uint64_t min_word_count;
    uint64_t word_budget;
    uint64_t min_bigram_count;
    uint64_t bigram_budget;
    double min_pmi;
    uint64_t memory;    /* bytes */
    int count_case;     /* enum queries_case */
    const char *export; /* FILE, NULL: none; written by the command */
    int export_as;
    struct opt_list check; /* files of class names, read by the command */
    const char *dump_text; /* FILE, likewise: it opens the sink */
    struct wikipedia_sink text_sink; /* gets the articles of --wiki */
};

struct queries_summary {
    bool was_done; /* nothing had to be made */
    uint64_t entries, groups, no_words, never;
    uint64_t first[QUERY_SOURCES]; /* entries that a source brought first */
    uint64_t files, words;         /* counted text */
    struct wikipedia_stats wiki;   /* of dumps, read in this run or then */
    struct ngrams_report counted;  /* what other thresholds would give; zeros
                                      when nothing had to be made */
    uint64_t bytes;                /* of queries.bin */
    struct titles_stats views;
    struct tally drops;
};

/* table: the option table that c was read by, for the fingerprint. */
int queries_run(const struct queries_config *c, const struct opt_table *table,
                struct queries_summary *s, struct err *e);
void queries_summary_release(struct queries_summary *s);

#endif
