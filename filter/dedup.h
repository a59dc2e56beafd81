/*
 * dedup - leave out images that repeat an earlier one; write who survives.
 *
 * Model.   DESIGN section 4, "Duplicates": compared are the images of all URLs
 *          in selected/, every round.  An image goes if one with smaller
 *          (H(url), url) has the same sha256, or a phash within `radius` bits,
 *          whether that one stays or not.  Two sweeps over selected/ beside
 *          the ledgers (dedup_join): the first gathers hashes, which
 *          dedup_search judges; the second writes
 *
 *            survivors/bucket-KKKK.jsonl.zst   base/survivor, with counts
 *                urls, images, rows, texts, and where each frame of
 *                SURVIVOR_FRAME_ROWS rows begins
 *            survivors/duplicates.jsonl.zst    {url, h, reason, by, bits}: who
 *                went, the URL that pushed it out, phash bits between them
 *            survivors/against.jsonl.zst       with an evaluation set: the
 *                same of images that it holds, `by` naming its sample
 *
 *          Images of an evaluation set come before all others and push out
 *          theirs alike; of its reasons and another the set's counts.
 *          With ranks (balance --exact) `keep` is rewritten (dedup_exact), and
 *          texts, then URLs, left without one go as "over-cap".
 *          A URL whose texts pass a ceiling of bytes keeps the first ones by
 *          (s, uid); counts has the others as "texts-over-ceiling".
 * Fails.   As base/stage; -E_NOMEM; -E_DAMAGED for records out of order.
 * Threads. Comparing uses config->stage.threads; the sweeps one.
 * Cost.    Memory: about config->memory_bytes; the join's ledgers beside it,
 *          and where a URL has so many texts, twice their ceiling.
 *          Disk: dedup_search's, and the URLs of dedup_mail.
 */
#ifndef FILTER_DEDUP_H
#define FILTER_DEDUP_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/opt.h"
#include "base/stage.h"
#include "filter/dedup_exact.h"
#include "filter/dedup_search.h"
#include "filter/dedup_set.h"
#include <stdint.h>

#define DEDUP_VERSION 1
#define DEDUP_MEMORY  ((uint64_t)1 << 30) /* bytes */

/* The output that is done last, and lists all inputs. */
#define DEDUP_DUPLICATES "survivors/duplicates"
#define DEDUP_AGAINST    "survivors/against"

struct dedup_config {
    struct stage_options stage;
    uint64_t radius;             /* bits, 0..DEDUP_RADIUS_MAX */
    uint64_t memory_bytes;       /* of the search; 0: DEDUP_MEMORY */
    size_t texts_bytes;          /* of one URL; 0: DEDUP_TEXTS_BYTES */
    struct opt_list against;     /* paths of evaluation sets, for tools/ */
    const struct dedup_set *set; /* what they hold; NULL: none */
};

struct dedup_summary {
    struct tally counts; /* urls, images, rows, texts, texts-over-... */
    struct tally drops;  /* duplicate-exact, duplicate-near, over-cap,
                           against-exact, against-near */
};

/* table is the option table that config belongs to; ranks NULL unless exact.
 * summary is set up here; release its tallies. */
int dedup_run(const struct corpus *c, const struct dedup_config *config,
              const struct opt_table *table, const struct dedup_ranks *ranks,
              struct dedup_summary *summary, struct err *e);

#endif
