/*
 * queries_job - one run of the stage `queries`; private to queries*.c.
 *
 * Model.   queries.c is the stage: lock, fingerprint, publishing.  What makes
 *          the list is queries_sources.c: which sources are asked, the files
 *          they read, and their candidates made one list; queries_counts.c is
 *          the sources `word` and `bigram`, queries_titles.c the source
 *          `title`.
 * Fails.   As queries.h says.
 * Threads. One at a time.
 */
#ifndef QUERYLIST_QUERIES_JOB_H
#define QUERYLIST_QUERIES_JOB_H

#include "base/arena.h"
#include "base/corpus.h"
#include "base/io.h"
#include "base/stage.h"
#include "base/tally.h"
#include "querylist/aliases.h"
#include "querylist/list.h"
#include "querylist/ngrams.h"
#include "querylist/queries.h"
#include "querylist/textfiles.h"
#include "querylist/titles.h"
#include "querylist/wordnet.h"
#include <stdbool.h>

/* All that a run holds; released in one place, queries.c. */
struct queries_job {
    const struct queries_config *c;
    struct corpus corpus;
    struct stage_inputs inputs;
    struct textfiles files;
    struct io_list view_files;
    struct titles_aliases aliases; /* what redirects lead to, if known */
    struct arena own;              /* texts of --queries */
    bool texts_read;               /* queries_read_texts() was called */
    struct ngrams *ngrams;
    struct titles *titles;
    struct wordnet wordnet;
    struct query_candidates sources[QUERY_SOURCES];
    bool want[QUERY_SOURCES];
    struct query_list list;
    struct tally drops;
    struct queries_summary *summary;
};

/* want[], and whether the options go together: before any work, and before
 * there is a corpus. */
int queries_check_options(struct queries_job *r, struct err *e);

/* Files that the sources wanted are made from, for the fingerprint. */
int queries_list_inputs(struct queries_job *r, struct err *e);

/* The files that --pageviews names, and their titles. */
int queries_list_views(struct queries_job *r, struct err *e);
int queries_rank_titles(struct queries_job *r, struct err *e);

/* Whether it matters what redirects lead to. */
bool queries_need_aliases(const struct queries_job *r);

/* Read dumps and text files, and count them if asked to. A dump that comes by
 * standard input is then among the inputs. */
int queries_read_texts(struct queries_job *r, bool count, struct err *e);

/* Candidates of words and bigrams, as far as they are wanted. */
int queries_count(struct queries_job *r, struct err *e);

/* Read and count them all; r->list is then the list. */
int queries_gather(struct queries_job *r, struct err *e);

#endif
