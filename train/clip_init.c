/* A fresh model's numbers, each drawn by its tensor's name and its place. */
#include <stdlib.h>

#include "train/clip.h"
#include "train/random.h"

static void draw(const struct init *init, uint64_t stream, int64_t n,
                 float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)i;

        switch (init->kind) {
        case INIT_CONSTANT:
            out[i] = (float)init->scale;
            break;
        case INIT_NORMAL:
            out[i] = (float)(init->scale * random_normal(stream, at));
            break;
        case INIT_UNIFORM:
            out[i] =
                (float)(init->scale * (2 * random_uniform(stream, at) - 1));
            break;
        }
    }
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

        draw(&t->init, random_stream(seed, str_of(t->name)), t->count, host);
        store_put(&m->store, m->d, i, host, DTYPE_F32);
    }
    free(host);
    store_refresh(&m->store, m->d);
    return device_check(m->d, e);
}
