#include "train/resnet_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define STAGES     4
#define STEM_UNITS 3
#define STEM_POOL  2
/* torch's BatchNorm2d: running = (1 - momentum) running + momentum batch. */
#define BN_MOMENTUM 0.1

struct resnet_stem {
    struct unit conv[STEM_UNITS];
    struct {
        void *pixels;        /* act, NHWC */
        void *y[STEM_UNITS]; /* of each unit */
    } kept;
};

/* ---- what it is made of ---- */

static void stem_init(struct resnet_stem *t, struct store *s, int size,
                      int width)
{
    const int in[STEM_UNITS] = {3, width / 2, width / 2};
    const int out[STEM_UNITS] = {width / 2, width / 2, width};
    char conv[32], norm[32];
    int side = size;

    for (int i = 0; i < STEM_UNITS; i++) {
        t->conv[i] = (struct unit){.side = side,
                                   .in = in[i],
                                   .out = out[i],
                                   .kernel = 3,
                                   .stride = i ? 1 : 2,
                                   .relu = true};
        snprintf(conv, sizeof conv, "visual.conv%d", i + 1);
        snprintf(norm, sizeof norm, "visual.bn%d", i + 1);
        unit_init(&t->conv[i], s, 1, conv, norm);
        side = unit_side(&t->conv[i]);
    }
}

static int stem_side(const struct resnet_stem *t)
{
    return unit_side(&t->conv[STEM_UNITS - 1]) / STEM_POOL;
}

/* Returns the side of the last map. */
static int blocks_init(struct resnet *r, struct store *s)
{
    int in = r->c.width, side = stem_side(r->stem), n = 0;
    char name[64];

    for (int stage = 0; stage < STAGES; stage++) {
        int planes = r->c.width << stage;

        for (int i = 0; i < r->c.stages[stage]; i++) {
            int stride = stage > 0 && i == 0 ? 2 : 1;

            snprintf(name, sizeof name, "visual.layer%d.%d", stage + 1, i);
            bottleneck_init(&r->blocks[n++], s, side, in, planes, stride, name);
            in = planes * BOTTLENECK_EXPANSION;
            side /= stride;
        }
    }
    return side;
}

void resnet_init(struct resnet *r, struct store *s, const struct clip_config *c)
{
    int dim = clip_config_features(c), side;

    *r = (struct resnet){.c = c->vision, .embed_dim = c->embed_dim};
    for (int i = 0; i < STAGES; i++)
        r->n += r->c.stages[i];
    r->blocks = xcalloc((size_t)r->n, sizeof *r->blocks);
    r->stem = xcalloc(1, sizeof *r->stem);
    r->pool = xcalloc(1, sizeof *r->pool);
    stem_init(r->stem, s, r->c.image_size, r->c.width);
    side = blocks_init(r, s);
    /* clip_config_check() lets only sizes through that fit. */
    assert(side == clip_config_grid(c));
    resnet_pool_init(r->pool, s, side * side, dim, clip_config_vision_heads(c),
                     r->embed_dim);
}

void resnet_release(struct resnet *r)
{
    free(r->blocks);
    free(r->stem);
    free(r->pool);
    *r = (struct resnet){0};
}

/* ---- the stem ---- */

static void stem_take(const struct pass *p, struct resnet_stem *t,
                      const struct resnet_batch *b)
{
    for (int i = 0; i < STEM_UNITS; i++) {
        struct unit *u = &t->conv[i];

        unit_take(p, u, b);
        t->kept.y[i] = map_take(p, b->n, unit_side(u), u->out);
    }
}

static void stem_forward(const struct pass *p, struct resnet_stem *t,
                         const struct resnet_batch *b, void *y)
{
    const struct unit *last = &t->conv[STEM_UNITS - 1];
    const void *x = t->kept.pixels;

    for (int i = 0; i < STEM_UNITS; i++) {
        unit_forward(p, &t->conv[i], b, x, NULL, t->kept.y[i]);
        x = t->kept.y[i];
    }
    map_pool(p, b->n, unit_side(last), last->out, STEM_POOL, x, y);
}

/* Nobody asks for the gradient of the pixels.  dy and spare are rooms of
 * largest_map() and change roles. */
static void stem_backward(const struct pass *p, const struct resnet_stem *t,
                          const struct resnet_batch *b, void *dy, void *spare)
{
    const struct unit *last = &t->conv[STEM_UNITS - 1];

    map_pool_backward(p, b->n, unit_side(last), last->out, STEM_POOL, dy,
                      spare);
    for (int i = STEM_UNITS; i-- > 0;) {
        void *d = spare;

        unit_backward(
            p, &t->conv[i], b,
            &(struct unit_grad){.dy = d, .dz = d, .dx = i ? dy : NULL});
        spare = dy;
        dy = d;
    }
}

/* ---- the trunk ---- */

static int64_t unit_numbers(const struct unit *u)
{
    return (int64_t)unit_side(u) * unit_side(u) * u->out;
}

/* Numbers of the largest map of one picture, inside the stem or between
 * blocks. */
static int64_t largest_map(const struct resnet *r)
{
    int64_t most = unit_numbers(&r->stem->conv[STEM_UNITS - 1]);

    for (int i = 0; i < r->n; i++) {
        int64_t count = unit_numbers(&r->blocks[i].conv3);

        most = count > most ? count : most;
    }
    return most;
}

/* Room for map i: 0 is the stem's, i + 1 that of block i.  Training keeps all;
 * else two rooms do by turns. */
static void *trunk_map(const struct pass *p, const struct resnet *r, int i,
                       void *const rooms[2])
{
    const struct unit *u;

    if (!p->train)
        return rooms[i % 2];
    if (i == 0)
        return map_take(p, r->batch.n, stem_side(r->stem), r->c.width);
    u = &r->blocks[i - 1].conv3;
    return map_take(p, r->batch.n, u->side, u->out);
}

/* Behind a part's forward: what it took stays for backward, or it does not. */
static void trunk_keep(const struct pass *p, size_t mark)
{
    if (!p->train || p->recompute)
        device_release(p->d, mark);
}

/* The last map of all. */
static const void *trunk_forward(const struct pass *p, struct resnet *r,
                                 void *const rooms[2])
{
    void *x = trunk_map(p, r, 0, rooms);
    size_t mark = device_mark(p->d);

    stem_take(p, r->stem, &r->batch);
    stem_forward(p, r->stem, &r->batch, x);
    trunk_keep(p, mark);
    for (int i = 0; i < r->n; i++) {
        void *y = trunk_map(p, r, i + 1, rooms);

        mark = device_mark(p->d);
        bottleneck_take(p, &r->blocks[i], &r->batch);
        bottleneck_forward(p, &r->blocks[i], &r->batch, x, y);
        trunk_keep(p, mark);
        x = y;
    }
    return x;
}

void resnet_forward(const struct pass *p, struct resnet *r,
                    const struct resnet_batch *b, const struct pixels *pixels,
                    void *features)
{
    size_t mark = device_mark(p->d);
    int size = r->c.image_size;
    void *rooms[2] = {NULL, NULL};
    const void *last;

    assert(!(p->train && b->running)); /* backward is of batch statistics */
    assert(b->rows && b->rows->reads == b->n);
    r->batch = *b;
    if (!p->train) {
        rooms[0] = device_take_act(p->d, b->n * largest_map(r));
        rooms[1] = device_take_act(p->d, b->n * largest_map(r));
    }
    r->stem->kept.pixels = map_take(p, b->n, size, 3);
    op_nhwc(p->d, &(struct op_nhwc){.batch = b->n,
                                    .channels = 3,
                                    .h = size,
                                    .w = size,
                                    .x = *pixels,
                                    .y = r->stem->kept.pixels});
    last = trunk_forward(p, r, rooms);
    resnet_pool_forward(p, r->pool, b->rows, last, features);
    if (!p->train)
        device_release(p->d, mark);
}

/* ---- back ---- */

/* What forward did not keep, made again into the same maps: the same ops on
 * the same numbers write the same bits, and statistics are not collected a
 * second time. */
static void block_again(const struct pass *p, struct bottleneck *k,
                        const struct resnet_batch *b)
{
    if (!p->recompute)
        return;
    bottleneck_take(p, k, b);
    bottleneck_forward(p, k, b, k->kept.x, k->kept.y);
}

static void stem_again(const struct pass *p, struct resnet_stem *t,
                       const struct resnet_batch *b)
{
    void *y;

    if (!p->recompute)
        return;
    /* Its output is the first block's business alone. */
    y = map_take(p, b->n, stem_side(t), t->conv[STEM_UNITS - 1].out);
    stem_take(p, t, b);
    stem_forward(p, t, b, y);
}

void resnet_backward(const struct pass *p, struct resnet *r,
                     const void *dfeatures)
{
    struct resnet_batch b = r->batch;
    int64_t map = b.n * largest_map(r);
    size_t mark = device_mark(p->d), inner;
    void *dy = device_take_act(p->d, map);
    void *spare = device_take_act(p->d, map);

    b.collect = false;
    inner = device_mark(p->d);
    resnet_pool_backward(p, r->pool, b.n, dfeatures, dy);
    for (int i = r->n; i-- > 0;) {
        struct bottleneck *k = &r->blocks[i];

        block_again(p, k, &b);
        if (bottleneck_backward(p, k, &b, dy, spare) == spare) {
            void *dx = spare;

            spare = dy;
            dy = dx;
        }
        device_release(p->d, inner);
    }
    stem_again(p, r->stem, &b);
    stem_backward(p, r->stem, &b, dy, spare);
    device_release(p->d, mark);
}

void resnet_move_statistics(const struct pass *p, int64_t groups)
{
    const struct store *s = p->store;
    size_t at = (size_t)s->parameters * s->real_size;

    /* The only buffers of a model are BatchNorm's, and they stand together. */
    op_axpby(p->d, &(struct op_axpby){.n = s->size - s->parameters,
                                      .a = BN_MOMENTUM / (double)groups,
                                      .b = 1 - BN_MOMENTUM,
                                      .x = s->grad + at,
                                      .y = s->real + at});
}
