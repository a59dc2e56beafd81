/*
 * resnet_private - the rooms of the ResNet: unit, bottleneck, pooling.
 *
 * Model.   A picture's map of side s and c channels is [s * s, c], so a batch
 *          of maps is one matrix and a 1x1 convolution a product; it goes
 *          through op_conv like all others, a backend may map it.  A unit is
 *          a convolution, its BatchNorm and what may follow at once (ReLU,
 *          a residual); stem, bottleneck and shortcut are made of units.
 *          Every part has the same three steps: take (room for what backward
 *          reads), forward, backward.  Forward leaves the stack as it found
 *          it, so a caller that does not train, or recomputes, releases to
 *          its mark in front of the take.
 * Owns.    Nothing but what struct resnet owns; `kept` points into the
 *          device's stack.
 * Threads. The device's.
 * Cost.    A unit keeps its convolution's output and, of each group, the
 *          statistics; its own output is its reader's input and kept there.
 */
#ifndef TRAIN_RESNET_PRIVATE_H
#define TRAIN_RESNET_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include "train/layer.h"
#include "train/rows.h"
#include "train/store.h"
#include "train/tower.h"

/* ---- unit: train/resnet_unit.c ---- */

struct unit {
    int side;           /* of the input, pixels */
    int in, out;        /* channels */
    int kernel, stride; /* pixels; padded by kernel / 2 */
    bool relu;
    int weight; /* indices into the store */
    struct norm_at norm;
    int running_mean, running_var;
    struct {
        const void *x;    /* act [n * side^2, in], the caller's */
        void *z;          /* act, the convolution's output */
        void *mean, *var; /* real [groups, out], of z */
        const void *y;    /* act, shape of z, the caller's */
    } kept;
};

/* Declares CONV.weight and NORM.{weight,bias,running_mean,running_var}; sizes
 * are set by the caller.  gain: the norm's first weight, 1 or 0. */
void unit_init(struct unit *u, struct store *s, double gain, const char *conv,
               const char *norm);

int unit_side(const struct unit *u); /* of the output, pixels */

void unit_take(const struct pass *p, struct unit *u,
               const struct resnet_batch *b);

/* y = relu?(norm(conv(x)) + res); res may be NULL.  y: act. */
void unit_forward(const struct pass *p, struct unit *u,
                  const struct resnet_batch *b, const void *x, const void *res,
                  void *y);

/* Where gradients go.  dz and dres may be dy, one of them. */
struct unit_grad {
    const void *dy; /* act, shape of y */
    void *dz;       /* room of the same shape, spoilt */
    void *dres;     /* gradient of res, or NULL */
    void *dx;       /* act, or NULL: nobody asks for it */
    bool add;       /* dx += */
};

void unit_backward(const struct pass *p, const struct unit *u,
                   const struct resnet_batch *b, const struct unit_grad *g);

/* Mean over kernel x kernel pixels of n maps. */
void map_pool(const struct pass *p, int n, int side, int dim, int kernel,
              const void *x, void *y);
void map_pool_backward(const struct pass *p, int n, int side, int dim,
                       int kernel, const void *dy, void *dx);

/* Room for n maps. */
void *map_take(const struct pass *p, int n, int side, int dim);

/* ---- bottleneck: train/resnet_block.c ---- */

#define BOTTLENECK_EXPANSION 4

/*
 * conv1 1x1, conv2 3x3, mean over stride x stride, conv3 1x1, + shortcut.  The
 * stride is in the means, of both branches: CLIP's anti-aliased ResNet.
 */
struct bottleneck {
    int side, stride; /* of the input, pixels */
    bool down;        /* the shortcut has a unit of its own */
    struct unit conv1, conv2, conv3, shortcut;
    struct {
        const void *x;  /* act, the caller's */
        void *y;        /* act, the caller's: the next one's input */
        void *y1, *y2;  /* of conv1 and conv2 */
        void *pooled;   /* what conv3 reads; y2 with stride 1 */
        void *pooled_x; /* what the shortcut's unit reads */
    } kept;
};

/* Declares NAME.conv1.weight and the rest. */
void bottleneck_init(struct bottleneck *k, struct store *s, int side, int in,
                     int planes, int stride, const char *name);
void bottleneck_take(const struct pass *p, struct bottleneck *k,
                     const struct resnet_batch *b);
void bottleneck_forward(const struct pass *p, struct bottleneck *k,
                        const struct resnet_batch *b, const void *x, void *y);

/* The gradient of y, in dy, into that of x, which comes back in dy (where
 * shapes are equal) or spare.  Both are rooms for the larger map of the two;
 * what else is in them is spoilt. */
void *bottleneck_backward(const struct pass *p, const struct bottleneck *k,
                          const struct resnet_batch *b, void *dy, void *spare);

/* ---- attention pooling: train/resnet_pool.c ---- */

/* The mean of a picture's pixels asks, pixels and mean answer. */
struct resnet_pool {
    int pixels, dim, heads, out; /* tokens but the mean; columns */
    int position;                /* indices into the store */
    struct linear_at q, k, v, c;
    struct {
        struct rows rows;
        void *tokens;          /* act [rows.total, dim] */
        void *means;           /* act [n, dim]: the tokens that ask */
        void *q, *k, *v, *out; /* act */
        void *lse;             /* real [n, heads] */
    } kept;
};

void resnet_pool_init(struct resnet_pool *a, struct store *s, int pixels,
                      int dim, int heads, int out);

/* n = rows->reads pictures; x: act [n * pixels, dim]; y: act [n, out].  Takes
 * what it keeps. */
void resnet_pool_forward(const struct pass *p, struct resnet_pool *a,
                         const struct rows *rows, const void *x, void *y);
void resnet_pool_backward(const struct pass *p, const struct resnet_pool *a,
                          int n, const void *dy, void *dx);

#endif
