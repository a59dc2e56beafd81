/*
 * crawl_private - what the files of the crawl share and nobody else needs:
 * crawl.c (start, loop, end), crawl_events.c (what the fetcher and the readers
 * bring), crawl_links.c (offering links), crawl_load.c (the scan at start).
 */
#ifndef CRAWLER_CRAWL_PRIVATE_H
#define CRAWLER_CRAWL_PRIVATE_H

#include "base/progress.h"
#include "crawler/crawl.h"
#include "crawler/crawl_pool.h"
#include "crawler/crawl_seeds.h"
#include "crawler/crawl_store.h"
#include "crawler/fetch.h"

#define CRAWL_AHEAD 16    /* URLs of a host that the fetcher holds */
#define CRAWL_QUEUE 32768 /* URLs that the fetcher holds */

/* A URL that the fetcher holds. */
struct crawl_ticket {
    uint32_t url, host;
    struct crawl_ticket *next; /* while it is free */
};

struct crawl {
    const struct crawl_config *config;
    struct crawl_scope scope;
    struct crawl_seeds seeds;
    struct stage_inputs inputs;
    struct stage stage;
    struct crawl_store store;
    struct frontier *frontier;
    struct crawl_pool *pool;
    struct fetch *fetch;
    struct crawl_ticket *tickets; /* CRAWL_QUEUE of them */
    struct crawl_ticket *free_tickets;
    struct crawldb_ids links;   /* of the page at hand */
    struct crawldb_ids lowered; /* whose links are to be offered anew */
    struct crawldb_ids targets; /* of one of those */
    struct progress progress;
    struct buf refused_from, refused_to; /* the redirect last refused */
    struct tally held; /* URLs left waiting because their host failed */
    uint64_t asked;
    uint64_t handed; /* links handed to other parts */
    unsigned warned; /* about seeds */
    bool stopping;
    int rc;          /* of a callback; ends the loop */
    struct err *err; /* of the caller */
};

/* Fill the frontier from crawl.db, then offer the seeds. */
int crawl_load(struct crawl *c, struct err *e);

/* A path of depth links leads to url: it is known from here on, at that depth
 * or its smaller one. */
int crawl_offer(struct crawl *c, struct str url, unsigned depth, uint32_t *id,
                struct err *e);

/* Is url's host this part's to ask? */
bool crawl_is_mine(const struct crawl *c, struct str url);

/* Callbacks of the fetcher. */
struct fetch_callbacks crawl_callbacks(struct crawl *c);

/* Take in what a reader made of a page. */
int crawl_page_done(struct crawl *c, struct crawl_job *j, struct err *e);

void crawl_ticket_put(struct crawl *c, struct crawl_ticket *t);

#endif
