#include "train/batches.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

static size_t rounded(size_t bytes)
{
    return (bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
}

static uint8_t *pixels_of(const struct batches *b, uint64_t step)
{
    return (uint8_t *)b->memory[step % (uint64_t)b->c.buffers];
}

static int32_t *ids_of(const struct batches *b, uint64_t step)
{
    return (int32_t *)(void *)(b->memory[step % (uint64_t)b->c.buffers] +
                               b->ids_at);
}

int batches_open(struct batches *b, const struct batches_config *c,
                 struct err *e)
{
    size_t n = (size_t)c->n, size = (size_t)c->size;

    assert(c->buffers >= 2 && c->buffers <= BATCHES_MAX && c->n > 0);
    memset(b, 0, sizeof *b);
    b->c = *c;
    b->started = b->next = b->done = c->begin;
    b->ids_at = rounded(n * pixel_bytes(PIXEL_BYTE, DTYPE_F32, (int64_t)size));
    b->bytes = b->ids_at + n * (size_t)c->context * sizeof(int32_t);
    for (int i = 0; i < c->buffers; i++) {
        void *p = mmap(NULL, b->bytes, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
            batches_close(b);
            return err_set(e, E_NOMEM, "no room for %d batches of %zu bytes",
                           c->buffers, b->bytes);
        }
        b->memory[i] = p;
    }
    return 0;
}

/* Let every free buffer be filled. */
static void start(struct batches *b)
{
    while (b->started < b->c.end &&
           b->started - b->done < (uint64_t)b->c.buffers) {
        b->maker.start(b->maker.ctx, b->started, pixels_of(b, b->started),
                       ids_of(b, b->started));
        b->started++;
    }
}

void batches_begin(struct batches *b, const struct batch_maker *m)
{
    assert(!b->begun);
    b->maker = *m;
    b->begun = true;
    start(b);
}

void batches_close(struct batches *b)
{
    assert(!b->pinned);
    if (b->begun)
        b->maker.close(b->maker.ctx);
    for (int i = 0; i < BATCHES_MAX; i++)
        if (b->memory[i])
            munmap(b->memory[i], b->bytes);
    memset(b, 0, sizeof *b);
}

int batches_next(struct batches *b, struct clip_batch *out, struct err *e)
{
    uint64_t began = clock_mono_ns();
    int rc;

    assert(b->begun && b->next < b->started);
    assert(b->next - b->done < BATCHES_OUT);
    rc = b->maker.finish(b->maker.ctx, b->next, e);
    b->waited_ns += clock_mono_ns() - began;
    if (rc)
        return rc;
    *out = (struct clip_batch){
        .n = b->c.n,
        .pixels = {.kind = PIXEL_BYTE,
                   .x = pixels_of(b, b->next),
                   .norm = b->maker.norm},
        .captions = {b->c.n, b->c.context, ids_of(b, b->next)}};
    b->next++;
    return 0;
}

void batches_done(struct batches *b)
{
    assert(b->done < b->next);
    b->done++;
    start(b);
}

void batches_pin(struct batches *b, struct device *d)
{
    assert(!b->pinned);
    for (int i = 0; i < b->c.buffers; i++)
        device_pin(d, b->memory[i], b->bytes);
    b->pinned = d;
}

void batches_unpin(struct batches *b)
{
    for (int i = 0; b->pinned && i < b->c.buffers; i++)
        device_unpin(b->pinned, b->memory[i]);
    b->pinned = NULL;
}
