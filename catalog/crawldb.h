/*
 * crawldb - crawl.db, the durable half of a crawl (catalog/crawl.sql).
 *
 * Model.   Rows go into an open transaction as they arise; the crawl commits
 *          it when the pairs that belong to it are durable.  URLs are found by
 *          row id alone: which id a URL has is known to crawler/frontier, in
 *          memory, filled by one scan at start.
 * Owns.    The connection and its statements.  Strings given to a scan's
 *          callback or read are valid as their comment says.
 * Fails.   As catalog/db; -E_DAMAGED for rows that cannot be ours.
 * Threads. One at a time.
 * Cost.    A row is one append to a table by ascending id; a change of state
 *          or depth one look-up by id.
 */
#ifndef CATALOG_CRAWLDB_H
#define CATALOG_CRAWLDB_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/tally.h"
#include <stdbool.h>
#include <stdint.h>

#define CRAWLDB_LINKS_MAX 100000 /* targets kept of one page */

/* url.state; CRAWLDB_REASON + reason.id for what ended without a page */
enum crawldb_state {
    CRAWLDB_WAITING = 0,
    CRAWLDB_PAGE = 1,
    CRAWLDB_REDIRECT = 2,
    CRAWLDB_WITHHELD = 3, /* links followed, pairs refused */
    CRAWLDB_FOREIGN = 4,  /* another part's; handed to it at this depth */
    CRAWLDB_REASON = 16
};

struct crawldb;

/* Created if absent.  Every commit survives a power cut. */
int crawldb_open(struct crawldb **db, const char *path, struct err *e);
void crawldb_close(struct crawldb *db); /* rolls back; NULL is fine */

int crawldb_begin(struct crawldb *db, struct err *e); /* no-op when open */
int crawldb_commit(struct crawldb *db, struct err *e);

/* Facts of meta.  get: value is cleared and filled; *found false if absent. */
int crawldb_get_meta(struct crawldb *db, const char *name, struct buf *value,
                     bool *found, struct err *e);
int crawldb_put_meta(struct crawldb *db, const char *name, struct str value,
                     struct err *e);
int crawldb_drop_meta(struct crawldb *db, const char *name, struct err *e);

struct crawldb_url {
    uint32_t id, host;
    unsigned depth;
    unsigned state;  /* enum crawldb_state, or above CRAWLDB_REASON */
    struct str text; /* valid for the callback, or until the next get */
};

int crawldb_put_host(struct crawldb *db, uint32_t id, struct str name,
                     struct err *e);
int crawldb_put_url(struct crawldb *db, const struct crawldb_url *u,
                    struct err *e);
int crawldb_get_url(struct crawldb *db, uint32_t id, struct crawldb_url *u,
                    struct err *e);
int crawldb_set_state(struct crawldb *db, uint32_t url, unsigned state,
                      struct err *e);
int crawldb_set_depth(struct crawldb *db, uint32_t url, unsigned depth,
                      struct err *e);

/* url.state for a reason, whose row is made if it is new. */
int crawldb_reason_state(struct crawldb *db, const char *reason,
                         unsigned *state, struct err *e);

/* URLs that ended for reason wait again.  Reads the whole table. */
int crawldb_wait_again(struct crawldb *db, const char *reason, struct err *e);

int crawldb_put_refusal(struct crawldb *db, uint32_t url, const char *signal,
                        struct err *e);

/* Row ids, ascending and distinct. */
struct crawldb_ids {
    uint32_t *v;
    size_t n, cap;
};

void crawldb_ids_add(struct crawldb_ids *ids, uint32_t id);
void crawldb_ids_sort(struct crawldb_ids *ids); /* and make distinct */
void crawldb_ids_release(struct crawldb_ids *ids);

/* ids must be sorted. */
int crawldb_put_links(struct crawldb *db, uint32_t page,
                      const struct crawldb_ids *ids, struct err *e);
/* Cleared and filled; empty when none are kept. */
int crawldb_get_links(struct crawldb *db, uint32_t page,
                      struct crawldb_ids *ids, struct err *e);

struct crawldb_robots {
    int status;
    int64_t fetched_s; /* seconds since 1970 */
    struct str body;   /* read: valid until the next get */
};

int crawldb_put_robots(struct crawldb *db, struct str origin,
                       const struct crawldb_robots *r, struct err *e);
int crawldb_get_robots(struct crawldb *db, struct str origin,
                       struct crawldb_robots *r, bool *found, struct err *e);

/* ---- parts of pairs/crawl ---- */

struct crawldb_part {
    uint32_t number;
    uint64_t bytes; /* durable length */
    bool closed;
};

enum crawldb_count {
    CRAWLDB_COUNTS,  /* "pages", "records"... */
    CRAWLDB_REFUSED, /* pages not taken, by signal or policy */
    CRAWLDB_FAILED,  /* pages not got, by reason */
    CRAWLDB_DROPS    /* pairs not taken, by reason */
};

int crawldb_put_part(struct crawldb *db, const struct crawldb_part *p,
                     struct err *e);
/* The part with the least number >= from; *found false at the end. */
int crawldb_next_part(struct crawldb *db, uint32_t from, struct crawldb_part *p,
                      bool *found, struct err *e);

/* Add t's numbers to those of a part. */
int crawldb_add_counts(struct crawldb *db, uint32_t part,
                       enum crawldb_count kind, const struct tally *t,
                       struct err *e);
/* Added to t; of all parts when part is UINT32_MAX. */
int crawldb_get_counts(struct crawldb *db, uint32_t part,
                       enum crawldb_count kind, struct tally *t, struct err *e);

/* ---- scans, by ascending id; fn's error ends them ---- */

typedef int (*crawldb_host_fn)(void *ctx, uint32_t id, struct str name,
                               struct err *e);
typedef int (*crawldb_url_fn)(void *ctx, const struct crawldb_url *u,
                              struct err *e);
int crawldb_scan_hosts(struct crawldb *db, crawldb_host_fn fn, void *ctx,
                       struct err *e);
int crawldb_scan_urls(struct crawldb *db, crawldb_url_fn fn, void *ctx,
                      struct err *e);

#endif
