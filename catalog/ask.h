/*
 * ask - the questions that coverage and report put to corpus.db.
 *
 * Model.   Each function is one question; rows come through a callback in a
 *          fixed order, or as an array of plain numbers.  A stage that has not
 *          been merged gives no rows, not an error.  Ready SQL for people
 *          stands in docs/queries.md.
 * Owns.    Texts in rows are valid during the callback; arrays are the
 *          caller's (free()).
 * Fails.   As catalog/db.h; a callback's error ends the question.
 * Threads. The catalogue's.
 * Cost.    Counts and tops scan the list once: under a second for 500,000.
 */
#ifndef CATALOG_ASK_H
#define CATALOG_ASK_H

#include "catalog/catalog.h"
#include "catalog/load.h"

/* ---- sums ---- */

struct ask_total {
    struct str stage, scope, name; /* name: of the count, or drop reason */
    uint64_t n;
};

typedef int (*ask_total_fn)(void *ctx, const struct ask_total *t,
                            struct err *e);

/* Ordered by stage, scope, name. */
int ask_counts(struct catalog *c, ask_total_fn fn, void *ctx, struct err *e);
/* Ordered by stage, then the largest first. */
int ask_drops(struct catalog *c, ask_total_fn fn, void *ctx, struct err *e);

/* How the groups of the list are spread at a stage ("gather", ...). */
struct ask_spread {
    bool known;        /* the stage has been merged */
    uint64_t entries;  /* in the list */
    uint64_t wordless; /* entries without a norm */
    uint64_t groups;
    uint64_t zero;     /* groups that no pair contains */
    uint64_t tail;     /* groups with 1..cap */
    uint64_t head;     /* groups with more than cap */
    uint64_t tail_sum; /* pairs those contain, one counted per query */
    uint64_t head_sum;
    uint64_t picks;      /* sum over groups; 0 at gather */
    uint64_t most_picks; /* the largest of a group */
};

/* cap 0: everything above zero is head. */
int ask_spread(struct catalog *c, const char *stage, uint64_t cap,
               struct ask_spread *out, struct err *e);

/* contains of every group at a stage, largest first; *v may be NULL. */
int ask_curve(struct catalog *c, const char *stage, uint64_t **v, size_t *n,
              struct err *e);

/* ---- entries ---- */

struct ask_entry { /* a row of the view coverage; CATALOG_NONE: unknown */
    uint64_t id, group_id;
    struct str text, norm, sources, synset, gloss;
    uint64_t depth; /* under: steps below the synset asked for */
    uint64_t found, cap, picks, selected, survived_picks, survived,
        packed_picks, packed;
};

typedef int (*ask_entry_fn)(void *ctx, const struct ask_entry *row,
                            struct err *e);

enum ask_list {
    ASK_HEAD, /* a row per group, most found first */
    ASK_TAIL, /* a row per group, least found first, zero left out; equals in
                 a shuffled order that is the same every time */
    ASK_ZERO  /* a row per group that no pair contains, so shuffled */
};

int ask_entries(struct catalog *c, enum ask_list list, uint64_t limit,
                ask_entry_fn fn, void *ctx, struct err *e);

/* All entries whose norm is this one, list order. */
int ask_norm(struct catalog *c, struct str norm, ask_entry_fn fn, void *ctx,
             struct err *e);

/* All entries whose text is this one: for entries without words. */
int ask_text(struct catalog *c, struct str text, ask_entry_fn fn, void *ctx,
             struct err *e);

/* Every synset at or below `name`, by name, with the entry that stands for
 * it; a synset without one has id CATALOG_NONE. No rows: no such synset. */
int ask_under(struct catalog *c, struct str name, ask_entry_fn fn, void *ctx,
              struct err *e);

/* ---- pairs ---- */

struct ask_pair {
    struct str uid, url, text, page, found_as, outcome, reason;
    uint64_t round, sample; /* sample CATALOG_NONE: not in a shard */
    bool picked;            /* by the query asked for */
};

typedef int (*ask_pair_fn)(void *ctx, const struct ask_pair *p, struct err *e);

/* Pairs that a group's norm is in, picked and packed ones first, then in the
 * order of their uids: hash order, so that hosts mix. */
int ask_pairs(struct catalog *c, uint64_t group_id, uint64_t limit,
              ask_pair_fn fn, void *ctx, struct err *e);

/* ---- hosts and histograms ---- */

struct ask_host {
    struct str host;
    uint64_t asked, images;
    struct str reason; /* its most frequent failure, or empty */
    uint64_t n;        /* URLs with that one */
};

typedef int (*ask_host_fn)(void *ctx, const struct ask_host *h, struct err *e);

/* by_failures: those with most URLs without image; else with most asked. */
int ask_hosts(struct catalog *c, bool by_failures, uint64_t limit,
              ask_host_fn fn, void *ctx, struct err *e);

enum ask_measure {
    ASK_TEXT_BYTES,  /* of selected texts in the catalogue */
    ASK_SHORTER_SIDE /* of their images as stored, one a URL */
};

/* counts[i]: values v with edges[i] <= v < edges[i + 1], i < n; edges has
 * n + 1 values. */
int ask_histogram(struct catalog *c, enum ask_measure what,
                  const uint64_t *edges, size_t n, uint64_t *counts,
                  struct err *e);

/* The q-th fraction of the values in permille: quantiles[i] is the smallest
 * value that at least permille[i]/1000 of them do not exceed; 0 without any. */
int ask_quantiles(struct catalog *c, enum ask_measure what,
                  const unsigned *permille, size_t n, uint64_t *quantiles,
                  struct err *e);

/* Rows of each shard there is, by number; release with free(). */
struct ask_shard {
    uint64_t shard, samples;
};
int ask_shards(struct catalog *c, struct ask_shard **v, size_t *n,
               struct err *e);

/* Pairs in the catalogue, which may be a sample of those selected. */
int ask_pairs_loaded(struct catalog *c, uint64_t *n, struct err *e);

#endif
