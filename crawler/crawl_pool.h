/*
 * crawl_pool - threads that read pages while the event loop fetches others.
 *
 * Model.   give() hands a job to the workers, take() returns finished ones, in
 *          any order; both never wait.  wake(ctx) is called by a worker when a
 *          job is finished.  The pool is full when more than
 *          CRAWL_POOL_BYTES of bodies are in it: the caller then pauses the
 *          fetcher, whose requests in flight still find room.
 * Owns.    Jobs; get() gives an empty one (buffers kept from earlier use),
 *          give() takes it, take() gives it back, put() returns it.
 * Threads. All calls from one thread but what workers do inside.
 */
#ifndef CRAWLER_CRAWL_POOL_H
#define CRAWLER_CRAWL_POOL_H

#include "crawler/crawl_page.h"
#include <stdint.h>

#define CRAWL_POOL_BYTES (64u << 20) /* of bodies that wait to be read */

struct crawl_job {
    uint32_t url;        /* row that the page belongs to */
    uint32_t host;       /* the page's */
    uint32_t reserved;   /* host whose turn it was */
    const char *refused; /* signal in a header, static; NULL: none */
    bool no_links;
    struct buf final_url, content_type, body;
    struct crawl_page page; /* the result */
    int rc;                 /* of reading it: 0 or -E_NOMEM */
    struct crawl_job *next; /* private */
};

struct crawl_pool;

int crawl_pool_open(struct crawl_pool **p, unsigned threads,
                    const struct crawl_scope *scope, void (*wake)(void *ctx),
                    void *ctx, struct err *e);
void crawl_pool_close(struct crawl_pool *p); /* unread jobs are dropped */

struct crawl_job *crawl_pool_get(struct crawl_pool *p);
void crawl_pool_give(struct crawl_pool *p, struct crawl_job *j);
struct crawl_job *crawl_pool_take(struct crawl_pool *p); /* NULL: none now */
void crawl_pool_put(struct crawl_pool *p, struct crawl_job *j);

bool crawl_pool_full(const struct crawl_pool *p);
size_t crawl_pool_jobs(const struct crawl_pool *p); /* given, not taken */

#endif
