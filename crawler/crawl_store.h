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
 *
 *          With --part I/N all that is part I's alone: crawl-I-of-N.db, its
 *          lock, the files part-K with K mod N = I, and what crawl_out writes.
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
#include "crawler/crawl_out.h"

#define CRAWL_FOLDER "pairs/crawl" /* of the parts, in the corpus */

struct crawl_store_config {
    struct stage *stage; /* initialised, with its redo; borrowed */
    const struct stage_inputs *inputs; /* borrowed */
    struct part part;                  /* whose hosts; n 0: all */
    uint64_t part_bytes; /* a file of pairs of so many bytes is closed */
    uint64_t save_ms;    /* a save is due after so long */
};

struct crawl_store {
    struct crawl_store_config config;
    struct crawldb *db;
    struct crawl_out out; /* links for other parts */
    int lock;
    struct jsonl_append part;
    struct crawldb_part row; /* of the part; number is valid before it opens */
    bool part_open;
    struct buf pairs;                        /* lines not yet saved */
    struct tally tallies[CRAWLDB_DROPS + 1]; /* not yet saved, by kind */
    uint64_t changes;  /* pages, links... since the last save */
    uint64_t saved_ms; /* when that was (clock_mono_ms) */
};

int crawl_store_open(struct crawl_store *s, const struct crawl_store_config *c,
                     struct err *e);

/* What was not saved is dropped. */
void crawl_store_close(struct crawl_store *s);

/* Is it time to save? */
bool crawl_store_due(const struct crawl_store *s);
int crawl_store_save(struct crawl_store *s, struct err *e);

/* Save, and close the part, if there is one or none ever was. */
int crawl_store_finish(struct crawl_store *s, struct err *e);

#endif
