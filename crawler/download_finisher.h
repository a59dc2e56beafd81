/*
 * download_finisher - the thread that turns journals into tars.
 *
 * Model.   start -> (give | take)* -> stop.  give() queues a group; take()
 *          returns one that is finished, or failed.  A tar of many gigabytes
 *          must not stop the event loop, whose transfers would time out.
 * Owns.    A group belongs to the thread between give() and take().
 * Fails.   An error ends the thread's work; take() hands it over.
 * Threads. All calls from one thread.
 */
#ifndef CRAWLER_DOWNLOAD_FINISHER_H
#define CRAWLER_DOWNLOAD_FINISHER_H

#include "crawler/download_group.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct download_finisher {
    const struct download_tar *tar;
    void (*wake)(void *ctx); /* called when a group is ready to be taken */
    void *ctx;
    pthread_t thread;
    unsigned held;        /* given and not taken; the caller's alone */
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t given;
    struct download_group *in[LEDGER_GROUPS], *out[LEDGER_GROUPS];
    unsigned n_in, n_out;
    bool ending;        /* no more will be given */
    atomic_bool cancel; /* end the group in work too */
    int rc;
    struct err e;
};

int finisher_start(struct download_finisher *f, const struct download_tar *tar,
                   void (*wake)(void *ctx), void *ctx, struct err *e);
void finisher_give(struct download_finisher *f, struct download_group *g);

/* A finished group, or NULL with *rc 0 (none yet) or the error. */
struct download_group *finisher_take(struct download_finisher *f, int *rc,
                                     struct err *e);

/* End the thread; what it had not begun, or is told to leave, stays a
 * journal. */
void finisher_stop(struct download_finisher *f);

#endif
