#include "train/feed.h"

#include <assert.h>
#include <string.h>

/* Slice `number` of a batch. */
static void fill(const struct feed *f, const struct feed_job *job, int number)
{
    const struct pairs *p = f->c.pairs;
    size_t picture = 3 * (size_t)p->size * (size_t)p->size;
    uint64_t first = job->step * f->c.stride + f->c.first;
    int64_t from = (int64_t)f->c.n * number / f->threads;
    int64_t to = (int64_t)f->c.n * (number + 1) / f->threads;

    for (int64_t i = from; i < to; i++) {
        pairs_picture(p, first + (uint64_t)i,
                      job->pixels + (size_t)i * picture);
        pairs_caption(p, first + (uint64_t)i,
                      job->ids + (size_t)i * (size_t)p->context);
    }
}

/* A thread's life: its slice of one batch after the other.  It sleeps until
 * the first is started, which feed_open() has counted the threads for. */
static void *thread_main(void *arg)
{
    const struct feed_thread *t = arg;
    struct feed *f = t->f;

    pthread_mutex_lock(&f->lock);
    for (uint64_t at = 0;; at++) {
        struct feed_job *job = &f->job[at % BATCHES_MAX];
        struct feed_job now;

        while (!f->stop && at == f->started)
            pthread_cond_wait(&f->more, &f->lock);
        if (f->stop)
            break;
        now = *job;
        pthread_mutex_unlock(&f->lock);
        fill(f, &now, t->number);
        pthread_mutex_lock(&f->lock);
        if (!--job->slices)
            pthread_cond_signal(&f->filled);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void feed_start(void *ctx, uint64_t step, uint8_t *pixels, int32_t *ids)
{
    struct feed *f = ctx;

    pthread_mutex_lock(&f->lock);
    assert(f->started - f->finished < BATCHES_MAX);
    f->job[f->started++ % BATCHES_MAX] = (struct feed_job){
        .step = step, .pixels = pixels, .ids = ids, .slices = f->threads};
    pthread_cond_broadcast(&f->more);
    pthread_mutex_unlock(&f->lock);
}

static int feed_finish(void *ctx, uint64_t step, struct err *e)
{
    struct feed *f = ctx;
    const struct feed_job *job;

    (void)e;
    pthread_mutex_lock(&f->lock);
    job = &f->job[f->finished % BATCHES_MAX];
    assert(f->finished < f->started && job->step == step);
    while (job->slices)
        pthread_cond_wait(&f->filled, &f->lock);
    f->finished++;
    pthread_mutex_unlock(&f->lock);
    (void)step;
    return 0;
}

static void feed_close(void *ctx)
{
    struct feed *f = ctx;

    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_broadcast(&f->more);
    pthread_mutex_unlock(&f->lock);
    for (int i = 0; i < f->threads; i++)
        pthread_join(f->thread[i].id, NULL);
    pthread_cond_destroy(&f->filled);
    pthread_cond_destroy(&f->more);
    pthread_mutex_destroy(&f->lock);
    memset(f, 0, sizeof *f);
}

int feed_open(struct feed *f, const struct feed_config *c,
              struct batch_maker *out, struct err *e)
{
    assert(c->threads >= 1 && c->threads <= FEED_THREADS_MAX);
    memset(f, 0, sizeof *f);
    f->c = *c;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->more, NULL);
    pthread_cond_init(&f->filled, NULL);
    /* with fewer than asked for, slices are larger */
    for (int i = 0; i < c->threads; i++) {
        struct feed_thread *t = &f->thread[f->threads];

        *t = (struct feed_thread){.f = f, .number = f->threads};
        f->threads += !pthread_create(&t->id, NULL, thread_main, t);
    }
    if (!f->threads) {
        feed_close(f);
        return err_set(e, E_NOMEM, "no thread can be started");
    }
    *out = (struct batch_maker){.ctx = f,
                                .norm = pairs_norm(),
                                .start = feed_start,
                                .finish = feed_finish,
                                .close = feed_close};
    return 0;
}
