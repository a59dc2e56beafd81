/*
 * dedup_join - selected/ of all rounds beside the ledgers: each URL once, with
 * its pairs and its image.
 *
 * Model.   open finds the rounds and the ledgers and states them as inputs;
 *          then, for K = 0, 1, ... in order, dedup_join_bucket(K) and
 *          dedup_join_next() until *more is false; after each of these, who
 *          wants the URL's pairs calls dedup_join_pair() as long as it likes.
 *          URLs come in (H(url), url) order, their pairs by uid; buckets follow
 *          each other in H.  What the ledgers say comes from dedup_ledgers;
 *          URLs of theirs that are not in selected/ are passed over.
 * Owns.    All readers.  A URL is valid until the next one, a pair until the
 *          next call.
 * Fails.   -E_NOTFOUND when a stage before has not run (says which),
 *          -E_DAMAGED for records out of order or unreadable.
 * Threads. One.
 * Cost.    One pass over selected/ and all ledgers; a file a round open, and
 *          one ledger; memory_bytes, and 2 MiB a round, however many pairs a
 *          URL has.
 */
#ifndef FILTER_DEDUP_JOIN_H
#define FILTER_DEDUP_JOIN_H

#include "base/corpus.h"
#include "base/jsonl.h"
#include "base/ledger.h"
#include "base/pair.h"
#include "base/stage.h"
#include "filter/dedup_ledgers.h"
#include <stdbool.h>
#include <stdint.h>

/* What there is to read. */
struct dedup_sources {
    unsigned rounds;            /* selected/round-0 .. rounds - 1 */
    struct io_list ledgers;     /* "GGG-RR", bytewise order */
    struct stage_inputs inputs; /* selected/ by round and bucket, ledgers */
    uint64_t images;            /* in all ledgers */
};

int dedup_sources_open(struct dedup_sources *s, const struct corpus *c,
                       struct err *e);
void dedup_sources_release(struct dedup_sources *s);

/* One URL of selected/. */
struct dedup_url {
    struct str url;
    uint64_t h;
    bool asked;                 /* a ledger has it */
    const struct ledger *image; /* NULL: it gave none */
    const char *group;          /* "GGG-RR" of the image */
};

struct dedup_record;

struct dedup_join {
    const struct corpus *corpus;
    const struct dedup_sources *sources;
    struct dedup_record *rounds; /* a reader for each round */
    struct dedup_record *given;  /* its pair is with the caller; or NULL */
    struct dedup_ledgers ledgers;
    struct arena arena; /* of the URL last given */
    struct str url;     /* that one; empty: none yet */
    uint64_t h;
};

/* memory_bytes: of ledger records. */
int dedup_join_open(struct dedup_join *j, const struct corpus *c,
                    const struct dedup_sources *s, uint64_t memory_bytes,
                    struct err *e);
int dedup_join_bucket(struct dedup_join *j, uint32_t bucket, struct err *e);
int dedup_join_next(struct dedup_join *j, struct dedup_url *url, bool *more,
                    struct err *e);
/* The next pair of the URL last given; NULL when there is no further one. */
int dedup_join_pair(struct dedup_join *j, const struct pair **p, struct err *e);
void dedup_join_close(struct dedup_join *j);

#endif
