#include "base/workq.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_BUSY, SLOT_DONE };

struct slot {
    enum slot_state state;
    int rc;
    struct err err;
};

/*
 * A ring of `depth` slots.  head: produced, tail: consumed, next: taken by
 * workers; tail <= next <= head, all counting up without wrapping.
 */
struct ring {
    const struct workq_ops *ops;
    void *ctx;
    char *items;
    size_t item_size;
    unsigned depth;
    struct slot *slots;
    uint64_t head, next, tail;
    bool closed; /* nothing more will be produced */
    bool failed; /* skip the work of what is left */
    pthread_mutex_t lock;
    pthread_cond_t ready; /* for workers */
    pthread_cond_t done;  /* for the caller */
};

static void *item_at(const struct ring *r, uint64_t k)
{
    return r->items + (k % r->depth) * r->item_size;
}

/* Called with the lock held; takes and does one item if there is one. */
static bool work_one(struct ring *r)
{
    struct slot *s;
    uint64_t k;
    bool skip;

    if (r->next == r->head)
        return false;
    k = r->next++;
    s = &r->slots[k % r->depth];
    s->state = SLOT_BUSY;
    skip = r->failed;
    pthread_mutex_unlock(&r->lock);
    s->err = (struct err)ERR_INIT;
    s->rc = skip ? 0 : r->ops->work(r->ctx, item_at(r, k), &s->err);
    pthread_mutex_lock(&r->lock);
    s->state = SLOT_DONE;
    pthread_cond_signal(&r->done);
    return true;
}

static void *worker(void *arg)
{
    struct ring *r = arg;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        if (work_one(r))
            continue;
        if (r->closed)
            break;
        pthread_cond_wait(&r->ready, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Consume the oldest item; the lock is held. */
static int consume_one(struct ring *r, int rc, struct err *e)
{
    struct slot *s = &r->slots[r->tail % r->depth];

    pthread_mutex_unlock(&r->lock);
    if (!rc && s->rc) {
        rc = s->rc;
        if (e)
            *e = s->err;
    }
    if (!rc)
        rc = r->ops->consume(r->ctx, item_at(r, r->tail), e);
    pthread_mutex_lock(&r->lock);
    s->state = SLOT_FREE;
    r->tail++;
    if (rc)
        r->failed = true;
    return rc;
}

/* The caller's side: keep the ring full, take what is done, help meanwhile.
 * What produce() fails with stands behind the items before it: one of them may
 * have failed earlier in the order. */
static int drive(struct ring *r, struct err *e)
{
    struct err late = ERR_INIT;
    bool more = true;
    int rc = 0, late_rc = 0;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        if (r->tail < r->head &&
            r->slots[r->tail % r->depth].state == SLOT_DONE) {
            rc = consume_one(r, rc, e);
            continue;
        }
        if (more && !rc && r->head - r->tail < r->depth) {
            pthread_mutex_unlock(&r->lock);
            late_rc =
                r->ops->produce(r->ctx, item_at(r, r->head), &more, &late);
            pthread_mutex_lock(&r->lock);
            if (late_rc)
                more = false;
            if (more) {
                r->slots[r->head % r->depth].state = SLOT_READY;
                r->head++;
                pthread_cond_signal(&r->ready);
            }
            continue;
        }
        if (r->tail == r->head)
            break;
        if (!work_one(r))
            pthread_cond_wait(&r->done, &r->lock);
    }
    r->closed = true;
    pthread_cond_broadcast(&r->ready);
    pthread_mutex_unlock(&r->lock);
    if (rc || !late_rc)
        return rc;
    if (e && !e->code)
        *e = late;
    return late_rc;
}

int workq_run(const struct workq_ops *ops, void *ctx, void *items,
              size_t item_size, unsigned depth, unsigned threads,
              struct err *e)
{
    struct ring r = {.ops = ops,
                     .ctx = ctx,
                     .items = items,
                     .item_size = item_size,
                     .depth = depth,
                     .slots = xcalloc(depth, sizeof(struct slot))};
    unsigned extra = threads > 1 ? threads - 1 : 0, started = 0;
    pthread_t *ids = xcalloc(extra, sizeof *ids);
    int rc;

    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.ready, NULL);
    pthread_cond_init(&r.done, NULL);
    /* Fewer threads than asked for are slower, not wrong. */
    while (started < extra &&
           pthread_create(&ids[started], NULL, worker, &r) == 0)
        started++;
    rc = drive(&r, e);
    for (unsigned i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    pthread_cond_destroy(&r.done);
    pthread_cond_destroy(&r.ready);
    pthread_mutex_destroy(&r.lock);
    free(ids);
    free(r.slots);
    return rc;
}
