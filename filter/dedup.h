/*
 * dedup - leave out images that repeat an earlier one; write who survives.
 *
 * Model.   DESIGN section 4, "Duplicates": compared are the images of all URLs
 *          in selected/, every round.  An image goes if one with smaller
 *          (H(url), url) has the same sha256, or a phash within `radius` bits,
 *          whether that one stays or not.  Two sweeps over selected/ beside
 *          the ledgers (dedup_join): the first gathers hashes, which
 *          dedup_near judges; the second writes
 *
 *            survivors/bucket-KKKK.jsonl.zst   base/survivor, with counts
 *                urls, images, rows, texts, and where each frame of
 *                SURVIVOR_FRAME_ROWS rows begins
 *            survivors/duplicates.jsonl.zst    {url, h, reason, by, bits}: who
 *                went, the URL that pushed it out, phash bits between them
 *
 *          With ranks (balance --exact) `keep` is rewritten (dedup_exact), and
 *          texts, then URLs, left without one go as "over-cap".
 * Fails.   As base/stage; -E_NOMEM; -E_DAMAGED for records out of order.
 * Threads. Comparing uses config->stage.threads; the sweeps one.
 * Cost.    Memory: 80 bytes an image at the peak, 2 MiB a ledger.
 */
#ifndef FILTER_DEDUP_H
#define FILTER_DEDUP_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/stage.h"
#include "filter/dedup_exact.h"
#include <stdint.h>

#define DEDUP_VERSION 1

/* The output that is done last, and lists all inputs. */
#define DEDUP_DUPLICATES "survivors/duplicates"

struct dedup_config {
    struct stage_options stage;
    uint64_t radius; /* bits, 0..DEDUP_RADIUS_MAX */
};

struct dedup_summary {
    struct tally counts; /* urls, images, rows, texts */
    struct tally drops;  /* duplicate-exact, duplicate-near, over-cap */
};

/* table is the option table that config belongs to; ranks NULL unless exact.
 * summary is set up here; release its tallies. */
int dedup_run(const struct corpus *c, const struct dedup_config *config,
              const struct opt_table *table, const struct dedup_ranks *ranks,
              struct dedup_summary *summary, struct err *e);

#endif
