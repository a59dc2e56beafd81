#include "train/resnet_private.h"

#include <assert.h>
#include <stdio.h>

static void init_unit(struct unit *u, struct store *s, const char *block,
                      const char *conv, const char *norm, double gain)
{
    char conv_name[128], norm_name[128];

    snprintf(conv_name, sizeof conv_name, "%s.%s", block, conv);
    snprintf(norm_name, sizeof norm_name, "%s.%s", block, norm);
    unit_init(u, s, gain, conv_name, norm_name);
}

void bottleneck_init(struct bottleneck *k, struct store *s, int side, int in,
                     int planes, int stride, const char *name)
{
    int out = planes * BOTTLENECK_EXPANSION;
    int small = side / stride;

    *k = (struct bottleneck){
        .side = side, .stride = stride, .down = stride > 1 || in != out};
    k->conv1 = (struct unit){.side = side,
                             .in = in,
                             .out = planes,
                             .kernel = 1,
                             .stride = 1,
                             .relu = true};
    k->conv2 = (struct unit){.side = side,
                             .in = planes,
                             .out = planes,
                             .kernel = 3,
                             .stride = 1,
                             .relu = true};
    k->conv3 = (struct unit){.side = small,
                             .in = planes,
                             .out = out,
                             .kernel = 1,
                             .stride = 1,
                             .relu = true};
    k->shortcut = (struct unit){
        .side = small, .in = in, .out = out, .kernel = 1, .stride = 1};

    /* A bottleneck begins as its shortcut: its last gain is 0. */
    init_unit(&k->conv1, s, name, "conv1", "bn1", 1);
    init_unit(&k->conv2, s, name, "conv2", "bn2", 1);
    init_unit(&k->conv3, s, name, "conv3", "bn3", 0);
    if (k->down)
        init_unit(&k->shortcut, s, name, "downsample.0", "downsample.1", 1);
}

void bottleneck_take(const struct pass *p, struct bottleneck *k,
                     const struct resnet_batch *b)
{
    unit_take(p, &k->conv1, b);
    k->kept.y1 = map_take(p, b->n, k->side, k->conv1.out);
    unit_take(p, &k->conv2, b);
    k->kept.y2 = map_take(p, b->n, k->side, k->conv2.out);
    k->kept.pooled = k->kept.y2;
    if (k->stride > 1)
        k->kept.pooled = map_take(p, b->n, k->conv3.side, k->conv3.in);
    unit_take(p, &k->conv3, b);
    k->kept.pooled_x = NULL;
    if (!k->down)
        return;
    if (k->stride > 1)
        k->kept.pooled_x = map_take(p, b->n, k->shortcut.side, k->shortcut.in);
    unit_take(p, &k->shortcut, b);
}

static const void *shortcut_forward(const struct pass *p, struct bottleneck *k,
                                    const struct resnet_batch *b, const void *x)
{
    void *y;

    if (!k->down)
        return x;
    if (k->stride > 1) {
        map_pool(p, b->n, k->side, k->shortcut.in, k->stride, x,
                 k->kept.pooled_x);
        x = k->kept.pooled_x;
    }
    y = map_take(p, b->n, k->shortcut.side, k->shortcut.out);
    unit_forward(p, &k->shortcut, b, x, NULL, y);
    return y;
}

void bottleneck_forward(const struct pass *p, struct bottleneck *k,
                        const struct resnet_batch *b, const void *x, void *y)
{
    size_t mark = device_mark(p->d);
    const void *res = shortcut_forward(p, k, b, x);

    k->kept.x = x;
    k->kept.y = y;
    unit_forward(p, &k->conv1, b, x, NULL, k->kept.y1);
    unit_forward(p, &k->conv2, b, k->kept.y1, NULL, k->kept.y2);
    if (k->stride > 1)
        map_pool(p, b->n, k->side, k->conv2.out, k->stride, k->kept.y2,
                 k->kept.pooled);
    unit_forward(p, &k->conv3, b, k->kept.pooled, res, y);
    /* The shortcut's unit has no ReLU, so nobody reads its output again. */
    device_release(p->d, mark);
}

/* dy, the gradient of the shortcut's output, into dx. */
static void shortcut_backward(const struct pass *p, const struct bottleneck *k,
                              const struct resnet_batch *b, void *dy, void *dx)
{
    size_t mark = device_mark(p->d);
    void *dpooled = dx;

    if (k->stride > 1)
        dpooled = map_take(p, b->n, k->shortcut.side, k->shortcut.in);
    unit_backward(p, &k->shortcut, b,
                  &(struct unit_grad){.dy = dy, .dz = dy, .dx = dpooled});
    if (k->stride > 1)
        map_pool_backward(p, b->n, k->side, k->shortcut.in, k->stride, dpooled,
                          dx);
    device_release(p->d, mark);
}

void *bottleneck_backward(const struct pass *p, const struct bottleneck *k,
                          const struct resnet_batch *b, void *dy, void *spare)
{
    size_t mark = device_mark(p->d);
    void *d2 = map_take(p, b->n, k->side, k->conv2.out);
    void *d1 = map_take(p, b->n, k->side, k->conv1.out);
    /* d1 is free until conv2's backward fills it, and large enough. */
    void *dpooled = k->stride > 1 ? d1 : d2;
    void *dx = k->down ? spare : dy;

    unit_backward(
        p, &k->conv3, b,
        &(struct unit_grad){.dy = dy, .dz = spare, .dres = dy, .dx = dpooled});
    if (k->stride > 1)
        map_pool_backward(p, b->n, k->side, k->conv2.out, k->stride, dpooled,
                          d2);
    unit_backward(p, &k->conv2, b,
                  &(struct unit_grad){.dy = d2, .dz = d2, .dx = d1});
    /* Without a unit of its own the shortcut's part is in dx already. */
    if (k->down)
        shortcut_backward(p, k, b, dy, dx);
    unit_backward(
        p, &k->conv1, b,
        &(struct unit_grad){.dy = d1, .dz = d1, .dx = dx, .add = true});
    device_release(p->d, mark);
    return dx;
}
