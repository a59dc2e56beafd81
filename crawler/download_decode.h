/*
 * download_decode - pictures of strangers, decoded away from the event loop.
 *
 * Model.   open (forks the jail) -> put* -> done() for each -> close.  put()
 *          hands a body to a worker, or keeps a copy until one is free; ready()
 *          is called when fd is readable, makes the done() calls and feeds the
 *          workers.  A worker that dies, runs out of time, or answers with
 *          something that cannot be read costs its own picture, as a verdict.
 * Owns.    Copies of waiting bodies.  A result lives until done() returns.
 * Fails.   What a picture does is never an error: IMAGE_CRASHED,
 *          IMAGE_TIMEOUT.
 * Threads. open before any thread starts; all from one thread.
 * Cost.    Waiting bodies are not bounded here: the caller stops fetching while
 *          decode_waiting() is over what it allows.
 */
#ifndef CRAWLER_DOWNLOAD_DECODE_H
#define CRAWLER_DOWNLOAD_DECODE_H

#include "base/err.h"
#include "base/image.h"
#include "base/jail.h"
#include "base/str.h"
#include <stddef.h>

typedef void (*decode_done_fn)(void *ctx, void *user,
                               const struct image_result *r);

struct decode_body; /* one that waits for a worker */

struct download_decode {
    struct jail *jail;
    struct image_config config; /* what workers were started with */
    decode_done_fn done;
    void *ctx;
    struct decode_body *first, **last; /* FIFO */
    size_t waiting;                    /* bytes in it */
    size_t pending;                    /* put and not done */
    struct image_result result;
};

int decode_open(struct download_decode *d, const struct image_config *c,
                unsigned workers, decode_done_fn done, void *ctx,
                struct err *e);
void decode_close(struct download_decode *d); /* pending ones are dropped */

/* body: 0..IMAGE_BYTES_MAX bytes. */
int decode_put(struct download_decode *d, struct str body, void *user,
               struct err *e);

int decode_fd(const struct download_decode *d);
int decode_ready(struct download_decode *d, struct err *e);

static inline size_t decode_waiting(const struct download_decode *d)
{
    return d->waiting;
}

#endif
