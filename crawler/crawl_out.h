/*
 * crawl_out - links that a part of a crawl hands to another part.
 *
 * Model.   With --part I/N a host belongs to the part that the hash of its
 *          registrable domain says; no other part asks it for anything.  A
 *          link to another part's host goes, with its depth, into
 *          pairs/crawl/out-I-to-J.jsonl.zst, once, and again when the depth
 *          sinks.  Part J reads all out-*-to-J at its start.  The crawl is
 *          done when a pass of all parts adds nothing.
 *
 *          Files grow like parts do: a frame is appended and fsynced, then
 *          the transaction records its end (meta "out-J"), and what is behind
 *          that is cut off by the next start.  A reader takes every whole
 *          frame: what is cut off later was a true link all the same.
 * Owns.    The files of part I.
 * Fails.   -E_IO, -E_DAMAGED, -E_FORMAT.
 * Threads. One at a time; parts may run at once.
 */
#ifndef CRAWLER_CRAWL_OUT_H
#define CRAWLER_CRAWL_OUT_H

#include "base/corpus.h"
#include "base/jsonl.h"
#include "base/part.h"
#include "catalog/crawldb.h"

struct crawl_out_file {
    struct jsonl_append file;
    bool open;
    struct buf lines; /* not yet saved */
};

struct crawl_out {
    const struct corpus *corpus; /* borrowed */
    struct part part;            /* n 0: no others, nothing is done */
    struct crawl_out_file *to;   /* by part; [part.i] is unused */
};

/* Cut the files to their durable lengths. */
int crawl_out_open(struct crawl_out *o, const struct corpus *corpus,
                   struct part part, struct crawldb *db, struct err *e);
void crawl_out_close(struct crawl_out *o);

/* The part that domain belongs to; 0 without parts. */
uint32_t crawl_out_owner(const struct crawl_out *o, struct str domain);

void crawl_out_add(struct crawl_out *o, uint32_t owner, struct str url,
                   unsigned depth);

/* Append what was added, and record it in db's transaction. */
int crawl_out_save(struct crawl_out *o, struct crawldb *db, struct err *e);

/* Bytes that wait for save. */
size_t crawl_out_waiting(const struct crawl_out *o);

/* Every link that other parts have handed to this one. */
typedef int (*crawl_out_fn)(void *ctx, struct str url, unsigned depth,
                            struct err *e);
int crawl_out_read(const struct crawl_out *o, crawl_out_fn fn, void *ctx,
                   struct err *e);

/* Remove the files of part from the corpus. */
int crawl_out_remove(const struct corpus *corpus, struct part part,
                     struct err *e);

#endif
