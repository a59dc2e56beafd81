/*
 * merge_private - what the files tools/merge*.c share.
 *
 * Model.   merge.c runs the sections in order; each takes the whole struct
 *          merge, loads its tables when their digest changed, and leaves them
 *          alone otherwise.
 */
#ifndef TOOLS_MERGE_PRIVATE_H
#define TOOLS_MERGE_PRIVATE_H

#include "base/selected.h"
#include "base/stage.h"
#include "base/survivor.h"
#include "catalog/catalog.h"
#include "catalog/load.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "querylist/qlist.h"
#include "tools/merge.h"
#include <stdbool.h>


struct merge_part {
    char *output; /* "selected/round-0/bucket-0003" */
    char stage[32];
    char scope[STAGE_NAME_MAX]; /* "selected/round-0" */
    char content[SHA256_HEX];
};

struct merge {
    const struct corpus *corpus;
    struct merge_config config; /* pairs is never MERGE_KEEP here */
    struct catalog catalog;
    struct qlist list;        /* queries.bin */
    struct merge_part *parts; /* bytewise by output */
    size_t n_parts, cap_parts;
    char now[24]; /* ISO 8601 */
    bool changed; /* something was loaded */
};

/* merge_parts.c: all sidecars into `part` and its tables. */
int merge_scan(struct merge *m, struct err *e);
void merge_parts_release(struct merge *m);

/* merge_hosts.c: a ledger's hosts, for a part that is new. */
int merge_hosts(struct merge *m, const char *output, struct err *e);

/* merge_queries.c */
int merge_queries(struct merge *m, struct err *e);

/* merge_counts.c: gather and balance; dedup and pack. */
int merge_gathered(struct merge *m, struct err *e);
int merge_balanced(struct merge *m, struct err *e);
int merge_packed(struct merge *m, struct err *e);

/* merge_pairs.c */
int merge_pairs(struct merge *m, struct err *e);

/*
 * Digest of `seed`, then output and content of all parts whose scope begins
 * with one of the n prefixes.
 */
void merge_digest(const struct merge *m, const char *seed,
                  const char *const *prefixes, size_t n, char out[SHA256_HEX]);

/* Begin loading a section unless its digest is the one loaded: *same says so.
 * Otherwise the section is forgotten and a transaction is open. */
int merge_begin(struct merge *m, const char *section, const char *digest,
                bool *same, struct err *e);
/* Set the digest and commit; or, with rc, roll back and return rc. */
int merge_end(struct merge *m, const char *section, const char *digest, int rc,
              struct err *e);

/* ---- the last round's caps ---- */

struct merge_caps {
    struct caps round[SELECTED_ROUNDS_MAX];
    unsigned n; /* rounds there are */
};

int merge_caps_open(struct merge *m, struct merge_caps *k, struct err *e);
void merge_caps_close(struct merge_caps *k);

/* Does query q pick the pair at the last round's cap?  kept: q is in its
 * keep, which settles it, for caps only grow. */
bool merge_picks(const struct merge *m, const struct merge_caps *k, uint32_t q,
                 const uint8_t uid[MD5_SIZE], unsigned round, bool kept);

/* The same for p->q[i] of a record of selected/. */
bool merge_pair_picked(const struct merge *m, const struct merge_caps *k,
                       const struct pair *p, uint32_t i, unsigned round);

/* ---- reading selected/ and survivors/ ---- */

/* All of selected/, bucket by bucket, in the order of pair_key_cmp over all
 * rounds. */
typedef int (*merge_pair_fn)(void *ctx, const struct pair *p, unsigned round,
                             struct err *e);
int merge_each_selected(struct merge *m, merge_pair_fn fn, void *ctx,
                        struct err *e);

/* Each text of survivors/, in order; row is its URL's place in the whole, from
 * 0, which is also the sample's place over all shards. */
typedef int (*merge_survivor_fn)(void *ctx, const struct survivor *s,
                                 const struct pair *text, uint64_t row,
                                 struct err *e);
int merge_each_survivor(struct merge *m, merge_survivor_fn fn, void *ctx,
                        struct err *e);

/* Samples a shard as pack was told; 0 when no shard is done. */
uint64_t merge_shard_samples(struct merge *m);
/* Is this output, or shard number k, done? */
bool merge_has(const struct merge *m, const char *output);
bool merge_shard_done(const struct merge *m, uint64_t k);
/* Rounds of selected/ that have an output: the last one + 1. */
unsigned merge_rounds(const struct merge *m);

#endif
