/*
 * sheet - index arrays that belong together, put on the device in one go.
 *
 * Model.   Open with the numbers of all arrays together, take each, fill them
 *          through the host's pointers where sheet_writable(), close: they
 *          stand next to each other on the device's stack.
 * Owns.    Room on the device's stack; the host's until sheet_close().
 * Fails.   Sticky in the device: -E_TOOBIG for more than was planned.
 * Threads. The device's.
 */
#ifndef TRAIN_SHEET_H
#define TRAIN_SHEET_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include "train/device.h"

struct sheet {
    struct device *d;
    int32_t *host, *device;
    int64_t used, size; /* numbers */
    size_t mark;        /* of the host's stack */
};

static inline void sheet_open(struct sheet *t, struct device *d, int64_t size)
{
    size_t bytes = (size_t)size * sizeof(int32_t);

    *t = (struct sheet){.d = d, .size = size, .mark = device_host_mark(d)};
    t->device = device_take_index(d, size);
    if (!d->planning && d->host_used + bytes > d->host_size)
        device_fail(d, E_TOOBIG, "more rows of tokens than planned for");
    if (!d->rc)
        t->host = device_host_take(d, bytes);
}

/* Whether there is memory behind the pointers. */
static inline bool sheet_writable(const struct sheet *t)
{
    return !t->d->planning && !t->d->rc;
}

/* n numbers: their place on the device; on the host through `host`. */
static inline const int32_t *sheet_take(struct sheet *t, int64_t n,
                                        int32_t **host)
{
    int64_t at = sheet_writable(t) ? t->used : 0;

    t->used += n;
    assert(t->used <= t->size);
    *host = t->host ? t->host + at : NULL;
    return t->device + at;
}

static inline void sheet_close(struct sheet *t)
{
    if (sheet_writable(t))
        device_put(t->d, t->device, t->host, (size_t)t->used * sizeof(int32_t));
    device_host_release(t->d, t->mark);
}

#endif
