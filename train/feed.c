#include "train/feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static size_t picture_bytes(const struct feed *f)
{
    return 3 * (size_t)f->size * (size_t)f->size;
}

static void *fill(void *arg)
{
    const struct feed_slice *s = arg;
    const struct feed *f = s->f;
    uint64_t first = f->next * (uint64_t)f->n;
    int at = (int)(f->next % 2);

    for (int i = s->from; i < s->to; i++) {
        pairs_picture(f->p, first + (uint64_t)i,
                      f->buffer[at].pixels + (size_t)i * picture_bytes(f));
        pairs_caption(f->p, first + (uint64_t)i,
                      f->buffer[at].ids + (size_t)i * (size_t)f->context);
    }
    return NULL;
}

/* Let the batch f->next be made; whatever gets no thread is made here. */
static void start(struct feed *f)
{
    f->running = 0;
    if (f->next == f->end)
        return;
    for (int i = 0; i < f->threads; i++) {
        struct feed_slice *s = &f->slice[f->running];

        *s = (struct feed_slice){f, (int)((int64_t)f->n * i / f->threads),
                                 (int)((int64_t)f->n * (i + 1) / f->threads)};
        if (pthread_create(&f->thread[f->running], NULL, fill, s))
            fill(s);
        else
            f->running++;
    }
}

static void finish(struct feed *f)
{
    for (int i = 0; i < f->running; i++)
        pthread_join(f->thread[i], NULL);
    f->running = 0;
}

int feed_open(struct feed *f, const struct pairs *p, int n, uint64_t begin,
              uint64_t end, int threads, struct err *e)
{
    size_t pixels, ids;

    memset(f, 0, sizeof *f);
    f->p = p;
    f->n = n;
    f->size = p->size;
    f->context = p->context;
    f->begin = f->next = begin;
    f->end = end;
    f->threads = threads < 1                  ? 1
                 : threads > FEED_THREADS_MAX ? FEED_THREADS_MAX
                                              : threads;
    pixels = (size_t)n * picture_bytes(f);
    ids = (size_t)n * (size_t)f->context * sizeof(int32_t);
    for (int i = 0; i < 2; i++) {
        f->buffer[i].pixels = malloc(pixels);
        f->buffer[i].ids = malloc(ids);
        if (!f->buffer[i].pixels || !f->buffer[i].ids) {
            feed_close(f);
            return err_set(e, E_NOMEM, "no room for two batches of %zu bytes",
                           pixels + ids);
        }
    }
    start(f);
    return 0;
}

void feed_close(struct feed *f)
{
    finish(f);
    for (int i = 0; i < 2; i++) {
        free(f->buffer[i].pixels);
        free(f->buffer[i].ids);
    }
    memset(f, 0, sizeof *f);
}

void feed_next(struct feed *f, struct clip_batch *b)
{
    uint64_t began = clock_mono_ns();
    int at = (int)(f->next % 2);

    assert(f->next < f->end);
    finish(f);
    f->waited_ns += clock_mono_ns() - began;
    *b = (struct clip_batch){.n = f->n,
                             .pixels = {.kind = PIXEL_BYTE,
                                        .x = f->buffer[at].pixels,
                                        .norm = pairs_norm()},
                             .captions = {f->n, f->context, f->buffer[at].ids}};
    f->next++;
    start(f);
}
