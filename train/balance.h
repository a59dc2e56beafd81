/*
 * balance - CLIP's balancing made anew in every epoch, from the shards alone.
 *
 * Model.   For a corpus built with a larger cap than one trains with.  With
 *          cap T, query q keeps a text that matches it with probability
 *          p = min(1, T / c(q)), and a sample is kept with
 *
 *              P = 1 - product over its q of (1 - p)
 *
 *          c(q) from counts.tsv beside the shards, q from the sample's .json
 *          (DESIGN section 4; the q of the caption, cut where `q_total`
 *          stands).  In epoch e a sample is kept iff
 *
 *              bits(bits(stream(seed, "balance"), e), uid) < P * 2^64
 *
 *          (train/random.h) with uid = index_identity() of the sample.  So each
 *          epoch draws anew, and what it draws is a function of (seed, epoch,
 *          sample).  A sample that matches no query is never kept.
 *
 *          Thresholds are computed once a shard and kept in NAME.keep beside
 *          its tar, or in the cache (docs/formats/shards.md); made anew when
 *          T, counts.tsv or the index is another.
 * Owns.    struct balance maps its files.
 * Fails.   -E_NOTFOUND without counts.tsv; -E_FORMAT for what it cannot be,
 *          and for a sample with an id that is not in it or a shard without
 *          any id at all; as source_shard_open().
 * Threads. Constant behind balance_open(), which has threads of its own.
 * Cost.    Once, by one of several processes: every .json is read.  Then 16
 *          bytes a sample, mapped; in memory of this process for the shards
 *          behind the options' `maps`.
 */
#ifndef TRAIN_BALANCE_H
#define TRAIN_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "train/source.h"

#define BALANCE_VERSION  1
#define BALANCE_ID_MAX   ((uint64_t)1 << 24) /* of a query in counts.tsv */
#define BALANCE_FILE_MAX ((uint64_t)1 << 32) /* bytes of counts.tsv */
#define BALANCE_HEAD     64                  /* bytes of a .keep's head */
#define BALANCE_EPOCHS   32                  /* counted at a time, at most */
#define BALANCE_ALL      UINT64_MAX          /* a threshold: always kept */

/* ---- counts.tsv ---- */

struct balance_counts {
    uint64_t *c;    /* [n], 0 where there is no such query */
    uint64_t n;     /* largest id and one */
    uint64_t check; /* XXH3-64 of the file */
};

int balance_counts_parse(struct balance_counts *c, struct str text,
                         const char *name, struct err *e);
int balance_counts_read(struct balance_counts *c, const char *path,
                        struct err *e);
void balance_counts_release(struct balance_counts *c);

/* P * 2^64 of a text that matches these queries, BALANCE_ALL where P is 1.
 * -E_FORMAT for an id that has no count. */
int balance_threshold(const struct balance_counts *c, uint64_t cap,
                      const uint32_t *q, size_t n, uint64_t *threshold,
                      struct err *e);

/* ---- thresholds ---- */

struct balance_sample {
    uint64_t uid;
    uint64_t threshold;
};

struct balance_shard {
    const struct balance_sample *v;
    uint64_t n;
    void *map;       /* the file, a copy of v, or NULL */
    size_t map_size; /* bytes; 0 of a copy */
};

struct balance {
    uint64_t stream;
    struct balance_shard *shards;
    size_t n_shards;
    uint64_t counts; /* check of counts.tsv */
    uint64_t mean;   /* samples kept in an epoch, on average, rounded */
};

/* Bytes of a .keep as a shard's thresholds, which stay in bytes.  expect:
 * what its head must say. */
struct balance_head {
    uint64_t n, cap;
    uint64_t counts, index; /* checks of counts.tsv and of the index */
};
int balance_keep_parse(struct str bytes, const struct balance_head *expect,
                       const struct balance_sample **v, const char *name,
                       struct err *e);

struct balance_options {
    uint64_t cap, seed;
    unsigned threads; /* for computing thresholds, 0: one a processor */
    size_t maps;      /* shards whose file stays mapped, 0: all */
};

int balance_open(struct balance *b, const struct source *s,
                 const struct balance_options *o, struct err *e);
void balance_close(struct balance *b);

static inline bool balance_below(uint64_t bits, uint64_t threshold)
{
    return bits < threshold || threshold == BALANCE_ALL;
}

bool balance_keeps(const struct balance *b, size_t shard, uint64_t sample,
                   uint64_t epoch);

/* Samples that are kept in the epochs from `first` on, n of them: sums[n]; and
 * of each shard in the last of these: counts[n_shards].  threads: 0, one a
 * processor; where there is little to count, the caller's alone. */
int balance_count(const struct balance *b, uint64_t first, unsigned n,
                  unsigned threads, uint64_t *sums, uint64_t *counts,
                  struct err *e);

#endif
