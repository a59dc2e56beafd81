#include "crawler/download_finisher.h"

#include <string.h>

static void *work(void *arg)
{
    struct download_finisher *f = arg;

    pthread_mutex_lock(&f->lock);
    for (;;) {
        struct err e = ERR_INIT;
        struct download_group *g;
        int rc;

        while (f->n_in == 0 && !f->ending)
            pthread_cond_wait(&f->given, &f->lock);
        if (f->ending || f->rc)
            break;
        g = f->in[0];
        memmove(f->in, f->in + 1, --f->n_in * sizeof *f->in);
        pthread_mutex_unlock(&f->lock);
        rc = group_finish(g, f->tar, &f->cancel, &e);
        pthread_mutex_lock(&f->lock);
        if (rc) {
            f->rc = rc;
            f->e = e;
        } else {
            f->out[f->n_out++] = g;
        }
        f->wake(f->ctx);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int finisher_start(struct download_finisher *f, const struct download_tar *tar,
                   void (*wake)(void *ctx), void *ctx, struct err *e)
{
    memset(f, 0, sizeof *f);
    f->tar = tar;
    f->wake = wake;
    f->ctx = ctx;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->given, NULL);
    if (pthread_create(&f->thread, NULL, work, f)) {
        pthread_cond_destroy(&f->given);
        pthread_mutex_destroy(&f->lock);
        return err_set(e, E_IO, "cannot start a thread");
    }
    return 0;
}

void finisher_give(struct download_finisher *f, struct download_group *g)
{
    pthread_mutex_lock(&f->lock);
    f->in[f->n_in++] = g;
    f->held++;
    pthread_cond_signal(&f->given);
    pthread_mutex_unlock(&f->lock);
}

struct download_group *finisher_take(struct download_finisher *f, int *rc,
                                     struct err *e)
{
    struct download_group *g = NULL;

    pthread_mutex_lock(&f->lock);
    *rc = 0;
    if (f->n_out) {
        g = f->out[0];
        memmove(f->out, f->out + 1, --f->n_out * sizeof *f->out);
        f->held--;
    } else if (f->rc) {
        *rc = err_set(e, -f->rc, "%s", f->e.message);
    }
    pthread_mutex_unlock(&f->lock);
    return g;
}

void finisher_stop(struct download_finisher *f)
{
    atomic_store(&f->cancel, true);
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_signal(&f->given);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->given);
    pthread_mutex_destroy(&f->lock);
}
