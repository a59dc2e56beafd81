/*
 * match_batch - some lines of pairs/ on their way to matched/.
 *
 * Model.   Lines come in, in `lines`, or in `packed` as frames that are decoded
 *          first; match_batch_work() judges each text by the rules, finds the
 *          groups of what is left, asks for the language of what matches, and
 *          puts the records that stay into `run`, by bucket of H(url), in each
 *          bucket in the order they came.
 *          A record whose line is plain (base/pair_scan.h) goes out as it
 *          stands, with `,"q":[...]` put into it; any other is written anew.
 * Owns.    Its buffers, kept from use to use.
 * Fails.   -E_FORMAT for a line that is no pair, with the line's number when
 *          lines were given, without words when frames were: then the part is
 *          to be read by lines, which finds the words.
 * Threads. One thread a batch; struct match_with is shared and constant.
 * Cost.    Nothing is allocated once a batch has met its largest input.
 */
#ifndef FILTER_MATCH_BATCH_H
#define FILTER_MATCH_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/corpus.h"
#include "base/err.h"
#include "base/jsonl_frames.h"
#include "base/pair.h"
#include "base/tally.h"
#include "filter/matcher.h"
#include "filter/spool.h"
#include "filter/textrules.h"

/* What records are matched with. */
struct match_with {
    const struct corpus *corpus;
    const struct matcher *matcher;
    const struct textrules *rules;
};

/* A record between the rules and the finding of its groups. */
struct match_waiting {
    struct str text;
    struct str line;  /* if plain */
    struct pair pair; /* else */
    bool plain;
    uint32_t bucket;
};

/* A record to be written: the line up to where q goes, then bytes of tails. */
struct match_placed {
    const char *head;
    size_t head_n;
    size_t tail, tail_n; /* offset and bytes in tails */
    uint32_t bucket;
};

struct match_batch {
    struct buf packed;   /* whole frames, or empty */
    size_t content;      /* bytes they decode to */
    struct buf lines;    /* with newlines */
    uint64_t first_line; /* number of the first one, where lines were given */
    /* what comes out */
    struct spool_run run;
    uint64_t read, written; /* records */
    struct tally drops;
    uint64_t unknown; /* texts kept whose language nobody could tell */
    /* scratch */
    struct jsonl_unpacker unpacker;
    struct matcher_batch match;
    struct textrules_seen rules;
    struct arena arena; /* of the records waiting that are not plain */
    struct match_waiting waiting[MATCHER_BATCH];
    struct match_placed *placed;
    size_t n_placed, cap_placed;
    struct buf tails;
    const char *reason; /* that the last record was dropped for */
    uint64_t n_reason;  /* in a row, not yet in drops */
};

void match_batch_init(struct match_batch *b, const struct corpus *c);
void match_batch_release(struct match_batch *b);

int match_batch_work(const struct match_with *with, struct match_batch *b,
                     struct err *e);

#endif
