/*
 * catalog - corpus.db: what merge knows of a corpus, for SQL and for people.
 *
 * Model.   schema.sql is the manual of its tables.  merge fills it in sections:
 *          a section is a set of tables loaded together, under the digest of
 *          all it was made from; the same digest again means nothing to do.
 *          Sidecars are parts, each replaced alone (catalog_part_put).
 *          Loading happens inside transactions of the caller, so that a kill
 *          leaves the old rows or the new ones; only pairs, which may be
 *          many, are loaded in batches with their section forgotten first.
 *          load.h puts rows in, ask.h gets answers out; no SQL stands outside
 *          this folder.
 * Owns.    struct catalog its connection.
 * Fails.   As catalog/db.h says.
 * Threads. One per struct; one writer at a time (merge holds the lock).
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "base/tally.h"
#include "catalog/db.h"
#include <stdbool.h>

#define CATALOG_FILE    "corpus.db"
#define CATALOG_VERSION 1

struct catalog {
    struct db db;
};

#define CATALOG_INIT                                                           \
    {                                                                          \
        .db = DB_INIT                                                          \
    }

/* dir/corpus.db; flags of enum db_flags. */
int catalog_open(struct catalog *c, const char *dir, unsigned flags,
                 struct err *e);
void catalog_close(struct catalog *c);

/* What made a section, and whether it is loaded at all. */
int catalog_section_same(struct catalog *c, const char *name,
                         const char *digest, bool *same, struct err *e);
int catalog_section_set(struct catalog *c, const char *name, const char *digest,
                        struct err *e);
int catalog_section_forget(struct catalog *c, const char *name, struct err *e);
bool catalog_section_there(struct catalog *c, const char *name);

/* Facts of the corpus by name: 'seed', 'samples'. */
int catalog_fact_set(struct catalog *c, const char *name, struct str value,
                     struct err *e);
/* "" when there is none; out keeps a NUL. */
int catalog_fact(struct catalog *c, const char *name, struct buf *out,
                 struct err *e);

struct catalog_part {
    const char *output;      /* "unique/bucket-0003" */
    const char *stage;       /* "gather" */
    const char *scope;       /* "unique" */
    const char *fingerprint; /* of the sidecar */
    const char *content;     /* sha256 over what it says */
    struct str finished;     /* ISO 8601, or empty */
    double seconds;          /* how long its stage ran, below 0: unknown */
    const char *merged;      /* ISO 8601 */
    const struct tally *counts, *drops;
};

/* True in *same if output was merged with this content. */
int catalog_part_same(struct catalog *c, const char *output,
                      const char *content, bool *same, struct err *e);
/* Put or replace a part; rows of its ledger or shard are removed too. */
int catalog_part_put(struct catalog *c, const struct catalog_part *p,
                     struct err *e);
int catalog_part_forget(struct catalog *c, const char *output, struct err *e);
/* All parts known, bytewise; release with io_list_release. */
int catalog_parts(struct catalog *c, struct io_list *outputs, struct err *e);

/* Make the indexes that are not there. */
int catalog_index(struct catalog *c, struct err *e);

/*
 * Every table but `run`, ordered, one row a line: equal corpora give equal
 * dumps.  For tests and for comparing two machines' work.
 */
int catalog_dump(struct catalog *c, struct buf *out, struct err *e);

#endif
