/*
 * resnet_world - a small ResNet on the reference in double, for tests.
 *
 * Model.   world_open() builds a net and fills it with numbers that are away
 *          from the special ones (gains of 0, biases of 0, means of 0).
 *          world_pass() runs pictures [at, at + n) forward and, asked to,
 *          backward from a fixed gradient of the features: that of the
 *          functional sum of dfeatures * features.
 * Owns.    All of it; world_close().
 * Threads. One.
 */
#ifndef TESTS_RESNET_WORLD_H
#define TESTS_RESNET_WORLD_H

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/op.h"
#include "train/random.h"
#include "train/ref/ref.h"
#include "train/tower.h"

struct shape {
    const char *label;
    int image, width, head; /* pixels, channels, columns */
    int stages[4];
    int n, group; /* pictures, of a BatchNorm group */
};

struct world {
    struct device d;
    struct clip_config c;
    struct store s;
    struct resnet r;
    struct pass p;
    int n;
    double *pixels;    /* [n, 3, size, size] */
    double *dfeatures; /* [n, embed_dim] */
};

static void world_fill(const char *name, int64_t n, double base, double scale,
                       double *out)
{
    uint64_t stream = random_stream(7, str_of(name));

    for (int64_t i = 0; i < n; i++)
        out[i] = base + scale * random_normal(stream, (uint64_t)i);
}

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), m = strlen(with);

    return n >= m && !memcmp(name + n - m, with, m);
}

static void world_weights(struct world *w)
{
    for (int i = 0; i < w->s.n; i++) {
        const struct tensor *t = &w->s.list[i];
        double *host = xmalloc((size_t)t->count * sizeof *host);
        double fan_in = 1;

        for (int k = 1; k < t->rank; k++)
            fan_in *= (double)t->shape[k];
        if (t->rank > 1)
            world_fill(t->name, t->count, 0, 1.4 / sqrt(fan_in), host);
        else if (ends(t->name, "weight"))
            world_fill(t->name, t->count, 1, 0.2, host);
        else if (ends(t->name, "running_var"))
            world_fill(t->name, t->count, 1.5, 0.1, host);
        else
            world_fill(t->name, t->count, 0, 0.2, host);
        store_put(&w->s, &w->d, i, host, DTYPE_F64);
        free(host);
    }
    store_refresh(&w->s, &w->d);
}

static size_t world_picture(const struct world *w)
{
    return 3 * (size_t)w->c.vision.image_size * (size_t)w->c.vision.image_size;
}

static struct clip_config world_config(const struct shape *k)
{
    struct clip_config c = {.embed_dim = 6};

    c.vision = (struct vision_config){.kind = VISION_RESNET,
                                      .image_size = k->image,
                                      .width = k->width,
                                      .head_width = k->head};
    memcpy(c.vision.stages, k->stages, sizeof k->stages);
    return c;
}

static void world_open(struct world *w, const struct shape *k)
{
    struct err e = {0};
    int64_t pixels;

    memset(w, 0, sizeof *w);
    w->c = world_config(k);
    w->n = k->n;
    if (ref_open(&w->d, DTYPE_F64, &e))
        abort();
    store_init(&w->s);
    resnet_init(&w->r, &w->s, &w->c);
    store_seal(&w->s);
    if (store_open(&w->s, &w->d, STORE_TRAIN, &e))
        abort();
    world_weights(w);
    w->p = (struct pass){.d = &w->d, .store = &w->s, .train = true};
    pixels = (int64_t)(world_picture(w) * (size_t)w->n);
    w->pixels = xmalloc((size_t)pixels * sizeof(double));
    world_fill("pixels", pixels, 0, 1, w->pixels);
    w->dfeatures = xmalloc(sizeof(double) * (size_t)(w->n * w->c.embed_dim));
    world_fill("dfeatures", w->n * w->c.embed_dim, 0, 1, w->dfeatures);
}

static void world_close(struct world *w)
{
    free(w->pixels);
    free(w->dfeatures);
    resnet_release(&w->r);
    store_release(&w->s, &w->d);
    device_close(&w->d);
}

/* What one call of clip.c does with the vision tower; features may be NULL. */
static void world_part(struct world *w, const struct resnet_batch *b, int at,
                       double *features)
{
    struct device *d = &w->d;
    size_t bytes = world_picture(w) * sizeof(double), mark = device_mark(d);
    int64_t count = (int64_t)b->n * w->c.embed_dim;
    struct resnet_batch with = *b;
    int grid = clip_config_grid(&w->c);
    struct rows rows;
    void *y = device_take_act(d, count);
    void *x = device_take(d, bytes * (size_t)b->n);
    void *dy;

    device_put(d, x, (char *)w->pixels + bytes * (size_t)at,
               bytes * (size_t)b->n);
    rows_pictures(d, b->n, grid * grid + 1, &rows);
    with.rows = &rows;
    resnet_forward(&w->p, &w->r, &with, &(struct pixels){.x = x}, y);
    if (features)
        device_get(d, features, y, (size_t)count * sizeof(double));
    if (w->p.train) {
        dy = device_take_act(d, count);
        device_put(d, dy, w->dfeatures + (int64_t)at * w->c.embed_dim,
                   (size_t)count * sizeof(double));
        resnet_backward(&w->p, &w->r, dy);
    }
    device_release(d, mark);
}

/* The same behind a dry run of it. */
static void world_pass(struct world *w, const struct resnet_batch *b, int at,
                       double *features)
{
    struct err e = {0};

    device_plan_begin(&w->d);
    world_part(w, b, at, NULL);
    if (device_plan_end(&w->d, &e))
        abort();
    world_part(w, b, at, features);
    if (device_check(&w->d, &e)) {
        fprintf(stderr, "%s\n", e.message);
        abort();
    }
}

static void world_zero(struct world *w)
{
    op_zero(&w->d,
            &(struct op_zero){.bytes = w->s.size * (int64_t)sizeof(double),
                              .x = w->s.grad});
}

/* A class on the host; the caller frees. */
static double *world_class(struct world *w, const void *class)
{
    size_t bytes = (size_t)w->s.size * sizeof(double);
    double *host = xmalloc(bytes);

    device_get(&w->d, host, class, bytes);
    return host;
}

#endif
