/*
 * load - putting rows into corpus.db, as fast as SQLite takes them.
 *
 * Model.   begin empties the tables of one section and drops their indexes;
 *          rows follow in key order; release ends the statements.  Indexes
 *          come back with catalog_index().  The caller owns the transaction:
 *          queries and counts are small enough for one, pairs take several
 *          (commit and begin between rows as you like).
 * Owns.    The loader its statements; texts are borrowed for the call.
 * Fails.   As catalog/db.h.  Rows out of key order or twice are -E_DB.
 * Threads. One, the catalogue's.
 * Cost.    About a microsecond a row and 100 bytes.
 */
#ifndef CATALOG_LOAD_H
#define CATALOG_LOAD_H

#include "base/hash.h"
#include "base/pair.h"
#include "catalog/catalog.h"
#include <stdint.h>

struct catalog_loader {
    struct catalog *catalog;
    struct db_stmt a, b, c; /* one per table of the section */
    uint64_t rows;          /* loaded into the first of them */
};

#define CATALOG_LOADER_INIT                                                    \
    {                                                                          \
        .catalog = NULL                                                        \
    }

void catalog_loader_release(struct catalog_loader *l);

/* ---- the query list ---- */

#define CATALOG_NONE UINT64_MAX /* a number that is not known */

struct catalog_query {
    uint32_t id;
    struct str text, norm;
    uint64_t group_id;  /* CATALOG_NONE: no words, no group */
    struct str sources; /* names joined by ',' */
    struct str cannot;  /* why nothing can match it, or empty */
    uint64_t count;     /* CATALOG_NONE: not from a text */
    bool has_pmi;
    double pmi;
    uint64_t views;    /* CATALOG_NONE: not a title */
    struct str synset; /* empty: none */
};

int catalog_load_queries(struct catalog_loader *l, struct catalog *c,
                         struct err *e);
int catalog_load_query(struct catalog_loader *l, const struct catalog_query *q,
                       struct err *e);
/* query_id CATALOG_NONE: no entry stands for it. */
int catalog_load_synset(struct catalog_loader *l, uint64_t id, struct str name,
                        uint64_t query_id, struct str gloss, struct err *e);
int catalog_load_parent(struct catalog_loader *l, uint64_t child,
                        uint64_t parent, struct err *e);

/* ---- counts ---- */

/* Arrays of n rows, group_id ascending; cap and picks may be NULL. */
struct catalog_counts {
    const char *stage; /* gather, balance, dedup, pack */
    size_t n;
    const uint32_t *group_id;
    const uint64_t *cap, *picks, *contains;
};

int catalog_load_counts(struct catalog *c, const struct catalog_counts *v,
                        struct err *e);
int catalog_clear_counts(struct catalog *c, const char *stage, struct err *e);

/* ---- ledgers and shards: rows of a part put before ---- */

int catalog_load_host(struct catalog *c, const char *output, struct str host,
                      uint64_t asked, uint64_t images, struct err *e);
int catalog_load_host_failure(struct catalog *c, const char *output,
                              struct str host, struct str outcome,
                              struct str reason, uint64_t n, struct err *e);
int catalog_load_shard(struct catalog *c, const char *output, uint64_t shard,
                       uint64_t samples, uint64_t bytes, const char *sha256,
                       struct err *e);

/* ---- pairs ---- */

int catalog_load_pairs(struct catalog_loader *l, struct catalog *c,
                       struct err *e);

/* p in the order of pair_key_cmp; picked[i] for p->q[i]. */
int catalog_load_pair(struct catalog_loader *l, const struct pair *p,
                      struct str host, uint32_t round, const bool *picked,
                      struct err *e);

/* What became of a URL's pairs, once the index pair_url is there.  begin,
 * then any number of the two below, then release. */
int catalog_load_fates(struct catalog_loader *l, struct catalog *c,
                       struct err *e);
/* width 0: no image. */
int catalog_load_outcome(struct catalog_loader *l, struct str url,
                         struct str outcome, struct str reason, uint32_t width,
                         uint32_t height, struct err *e);
int catalog_load_sample(struct catalog_loader *l, struct str url,
                        uint64_t sample, struct err *e);

#endif
