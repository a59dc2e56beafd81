/*
 * crawl_store - what a crawl keeps: crawl.db and pairs/crawl, in step.
 *
 * Model.   Rows go into crawl.db's open transaction and pairs into a buffer as
 *          they arise; crawl_store_save() makes both durable, in this order:
 *
 *            append the pairs as one frame, fsync   (a torn tail from here ...
 *            record the part's new length           ... to here is cut off by
 *            COMMIT                                  the next start)
 *
 *          so that a kill at any instant loses only what is fetched anew, and
 *          nothing is ever there twice.  A part that has reached its size, and
 *          the last one at the crawl's end, is closed: marked so in crawl.db,
 *          then given its sidecar.  A kill between the two leaves the sidecar
 *          to the next start.
 * Owns.    The lock crawl.lock, crawl.db, the part.
 * Fails.   -E_BUSY if another crawl of this corpus runs; -E_STALE if it was
 *          begun with other seeds or scope, unless the stage's redo removes
 *          all of it; -E_DAMAGED if crawl.db and the parts contradict each
 *          other.  After an error nothing more may be saved: close.
 * Threads. One at a time.
 * Cost.    Two fsyncs a save.
 */
#ifndef CRAWLER_CRAWL_STORE_H
#define CRAWLER_CRAWL_STORE_H

#include "base/jsonl.h"
#include "base/stage.h"
#include "catalog/crawldb.h"

#define CRAWL_FOLDER "pairs/crawl" /* of the parts, in the corpus */

struct crawl_store {
    struct crawldb *db;
    struct stage *stage;               /* borrowed */
    const struct stage_inputs *inputs; /* borrowed */
    int lock;
    uint64_t part_bytes; /* a part of so many bytes is closed */
    uint64_t save_ms;    /* a save is due after so long */
    struct jsonl_append part;
    struct crawldb_part row; /* of the part; number is valid before it opens */
    bool part_open;
    struct buf pairs;                        /* lines not yet saved */
    struct tally tallies[CRAWLDB_DROPS + 1]; /* not yet saved, by kind */
    uint64_t changes;  /* pages, links... since the last save */
    uint64_t saved_ms; /* when that was (clock_mono_ms) */
};

/* stage: initialised, with its redo. */
int crawl_store_open(struct crawl_store *s, struct stage *stage,
                     const struct stage_inputs *inputs, uint64_t part_bytes,
                     uint64_t save_ms, struct err *e);

/* What was not saved is dropped. */
void crawl_store_close(struct crawl_store *s);

/* Is it time to save? */
bool crawl_store_due(const struct crawl_store *s);
int crawl_store_save(struct crawl_store *s, struct err *e);

/* Save, and close the part, if there is one or none ever was. */
int crawl_store_finish(struct crawl_store *s, struct err *e);

#endif
