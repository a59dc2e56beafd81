/* A fresh model's numbers, each drawn by its tensor's name and its place: so on
 * any number of threads they are the same.  One takes 19 s for a ViT-L/14. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "train/clip.h"
#include "train/random.h"

#define THREADS_MOST 16
#define EACH_LEAST   65536 /* numbers worth a thread */

/* Numbers [begin, end) of a tensor. */
struct part {
    const struct init *init;
    uint64_t stream;
    int64_t begin, end;
    float *out; /* of the whole tensor */
    pthread_t thread;
    bool runs;
};

static void *draw(void *arg)
{
    const struct part *p = arg;
    double scale = p->init->scale;

    for (int64_t i = p->begin; i < p->end; i++) {
        uint64_t at = (uint64_t)i;

        switch (p->init->kind) {
        case INIT_CONSTANT:
            p->out[i] = (float)scale;
            break;
        case INIT_NORMAL:
            p->out[i] = (float)(scale * random_normal(p->stream, at));
            break;
        case INIT_UNIFORM:
            p->out[i] =
                (float)(scale * (2 * random_uniform(p->stream, at) - 1));
            break;
        }
    }
    return NULL;
}

static void draw_tensor(const struct tensor *t, uint64_t stream, float *out)
{
    int64_t n = sysconf(_SC_NPROCESSORS_ONLN), most = t->count / EACH_LEAST;
    struct part part[THREADS_MOST];

    n = n < THREADS_MOST ? n : THREADS_MOST;
    n = n < most ? n : most;
    n = n < 1 ? 1 : n;
    for (int64_t i = 0; i < n; i++) {
        struct part *p = &part[i];

        *p = (struct part){.init = &t->init,
                           .stream = stream,
                           .begin = t->count * i / n,
                           .end = t->count * (i + 1) / n,
                           .out = out};
        p->runs = i && !pthread_create(&p->thread, NULL, draw, p);
    }
    for (int64_t i = 0; i < n; i++)
        if (!part[i].runs)
            draw(&part[i]);
    for (int64_t i = 1; i < n; i++)
        if (part[i].runs)
            pthread_join(part[i].thread, NULL);
}

int clip_initialise(struct clip *m, uint64_t seed, struct err *e)
{
    int64_t most = 1;
    float *host;

    for (int i = 0; i < m->store.n; i++)
        if (m->store.list[i].count > most)
            most = m->store.list[i].count;
    host = malloc((size_t)most * sizeof *host);
    if (!host)
        return err_set(e, E_NOMEM, "no room for a tensor of %lld numbers",
                       (long long)most);
    for (int i = 0; i < m->store.n; i++) {
        const struct tensor *t = &m->store.list[i];

        draw_tensor(t, random_stream(seed, str_of(t->name)), host);
        store_put(&m->store, m->d, i, host, DTYPE_F32);
    }
    free(host);
    store_refresh(&m->store, m->d);
    return device_check(m->d, e);
}
