/*
 * resnet_plain - CLIP's ResNet forward as its formula stands, for tests.
 *
 * Model.   A second writing of facts that train/resnet*.c has from ops: maps
 *          are NCHW, tensors are found by name, every loop is over the output.
 *          BatchNorm by groups of pictures, whose statistics are added up as
 *          the trainer should, or by running statistics.
 * Owns.    Maps lie in an arena; plain_release() frees them.
 * Threads. One.
 */
#ifndef TESTS_RESNET_PLAIN_H
#define TESTS_RESNET_PLAIN_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "train/config.h"
#include "train/store.h"

struct plain {
    const struct store *s;
    const double *weights; /* [s->size], tensor t at t.at */
    double *sums;          /* the same, for what running statistics move by */
    int group;             /* pictures; 0: running statistics */
    struct arena room;
};

struct map {
    int n, c, side;
    double *v; /* [n, c, side, side] */
};

static const struct tensor *plain_tensor(const struct plain *p,
                                         const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const struct tensor *plain_tensor(const struct plain *p,
                                         const char *format, ...)
{
    char name[128];
    va_list ap;
    int i;

    va_start(ap, format);
    vsnprintf(name, sizeof name, format, ap);
    va_end(ap);
    i = store_find(p->s, str_of(name));
    if (i < 0) {
        fprintf(stderr, "no tensor %s\n", name);
        abort();
    }
    return &p->s->list[i];
}

static struct map plain_map(struct plain *p, int n, int c, int side)
{
    size_t bytes = (size_t)n * c * side * side * sizeof(double);
    struct map m = {n, c, side, arena_alloc(&p->room, bytes)};

    if (!m.v)
        abort();
    return m;
}

static double *map_at(struct map m, int n, int c, int i, int j)
{
    return m.v + (((int64_t)n * m.c + c) * m.side + i) * m.side + j;
}

static double conv_sum(struct map x, const double *w, int kernel, int n, int i,
                       int j)
{
    double sum = 0;

    for (int c = 0; c < x.c; c++)
        for (int a = 0; a < kernel; a++)
            for (int b = 0; b < kernel; b++, w++)
                if (i + a >= 0 && i + a < x.side && j + b >= 0 &&
                    j + b < x.side)
                    sum += *map_at(x, n, c, i + a, j + b) * *w;
    return sum;
}

static struct map plain_conv(struct plain *p, struct map x, int stride,
                             const char *name)
{
    const struct tensor *t = plain_tensor(p, "%s.weight", name);
    int kernel = (int)t->shape[2], pad = kernel / 2;
    int side = (x.side + 2 * pad - kernel) / stride + 1;
    struct map y = plain_map(p, x.n, (int)t->shape[0], side);
    int64_t one = t->count / t->shape[0];

    for (int n = 0; n < y.n; n++)
        for (int c = 0; c < y.c; c++)
            for (int i = 0; i < side; i++)
                for (int j = 0; j < side; j++)
                    *map_at(y, n, c, i, j) =
                        conv_sum(x, p->weights + t->at + c * one, kernel, n,
                                 i * stride - pad, j * stride - pad);
    return y;
}

/* Mean and biased variance of channel c over pictures [from, to). */
static void channel_moments(struct map x, int from, int to, int c, double *mean,
                            double *var)
{
    double count = (double)(to - from) * x.side * x.side;

    *mean = *var = 0;
    for (int n = from; n < to; n++)
        for (int i = 0; i < x.side * x.side; i++)
            *mean += map_at(x, n, c, 0, 0)[i] / count;
    for (int n = from; n < to; n++)
        for (int i = 0; i < x.side * x.side; i++)
            *var += pow(map_at(x, n, c, 0, 0)[i] - *mean, 2) / count;
}

static void normalise(struct map x, int from, int to, int c, double mean,
                      double var, double g, double b)
{
    for (int n = from; n < to; n++)
        for (int i = 0; i < x.side * x.side; i++) {
            double *v = &map_at(x, n, c, 0, 0)[i];

            *v = (*v - mean) / sqrt(var + 1e-5) * g + b;
        }
}

/* In place. */
static void plain_norm(struct plain *p, struct map x, const char *name)
{
    const double *g = p->weights + plain_tensor(p, "%s.weight", name)->at;
    const double *b = p->weights + plain_tensor(p, "%s.bias", name)->at;
    int64_t mean_at = plain_tensor(p, "%s.running_mean", name)->at;
    int64_t var_at = plain_tensor(p, "%s.running_var", name)->at;
    int group = p->group && p->group < x.n ? p->group : x.n;
    double per = (double)group * x.side * x.side, mean, var;

    for (int c = 0; c < x.c; c++)
        for (int n = 0; n < x.n; n += group) {
            channel_moments(x, n, n + group, c, &mean, &var);
            p->sums[mean_at + c] += mean;
            p->sums[var_at + c] += var * (per > 1 ? per / (per - 1) : 1);
            if (!p->group) {
                mean = p->weights[mean_at + c];
                var = p->weights[var_at + c];
            }
            normalise(x, n, n + group, c, mean, var, g[c], b[c]);
        }
}

static void plain_relu(struct map x)
{
    for (int64_t i = 0; i < (int64_t)x.n * x.c * x.side * x.side; i++)
        x.v[i] = x.v[i] > 0 ? x.v[i] : 0;
}

static struct map plain_mean(struct plain *p, struct map x, int kernel)
{
    struct map y = plain_map(p, x.n, x.c, x.side / kernel);
    double area = kernel * kernel;

    memset(y.v, 0, sizeof *y.v * y.n * y.c * y.side * y.side);
    for (int n = 0; n < y.n; n++)
        for (int c = 0; c < y.c; c++)
            for (int i = 0; i < y.side * kernel; i++)
                for (int j = 0; j < y.side * kernel; j++)
                    *map_at(y, n, c, i / kernel, j / kernel) +=
                        *map_at(x, n, c, i, j) / area;
    return y;
}

static struct map plain_bottleneck(struct plain *p, struct map x, int stride,
                                   bool down, const char *name)
{
    char part[128];
    struct map y = x, res = x;

    for (int i = 1; i <= 3; i++) {
        if (i == 3 && stride > 1)
            y = plain_mean(p, y, stride);
        snprintf(part, sizeof part, "%s.conv%d", name, i);
        y = plain_conv(p, y, 1, part);
        snprintf(part, sizeof part, "%s.bn%d", name, i);
        plain_norm(p, y, part);
        if (i < 3)
            plain_relu(y);
    }
    if (down) {
        if (stride > 1)
            res = plain_mean(p, x, stride);
        snprintf(part, sizeof part, "%s.downsample.0", name);
        res = plain_conv(p, res, 1, part);
        snprintf(part, sizeof part, "%s.downsample.1", name);
        plain_norm(p, res, part);
    }
    for (int64_t i = 0; i < (int64_t)y.n * y.c * y.side * y.side; i++)
        y.v[i] += res.v[i];
    plain_relu(y);
    return y;
}

/* y = w x + b */
static void plain_linear(const struct plain *p, const char *name,
                         const double *x, double *y)
{
    const struct tensor *w = plain_tensor(p, "visual.attnpool.%s.weight", name);
    const struct tensor *b = plain_tensor(p, "visual.attnpool.%s.bias", name);

    for (int64_t o = 0; o < w->shape[0]; o++) {
        y[o] = p->weights[b->at + o];
        for (int64_t i = 0; i < w->shape[1]; i++)
            y[o] += p->weights[w->at + o * w->shape[1] + i] * x[i];
    }
}

/* One picture: its mean asks, [len, dim] tokens answer. */
static void plain_attend(struct plain *p, const double *tokens, int len,
                         int dim, int head, double *y)
{
    size_t all = (size_t)len * dim * sizeof(double);
    double *q = arena_alloc(&p->room, (size_t)dim * sizeof *q);
    double *k = arena_alloc(&p->room, all), *v = arena_alloc(&p->room, all);
    double *out = arena_alloc(&p->room, (size_t)dim * sizeof *out);

    plain_linear(p, "q_proj", tokens, q);
    for (int t = 0; t < len; t++) {
        plain_linear(p, "k_proj", tokens + t * dim, k + t * dim);
        plain_linear(p, "v_proj", tokens + t * dim, v + t * dim);
    }
    memset(out, 0, (size_t)dim * sizeof *out);
    for (int h = 0; h < dim; h += head) {
        double total = 0;

        for (int t = 0; t < len; t++) {
            double s = 0;

            for (int i = h; i < h + head; i++)
                s += q[i] * k[t * dim + i] / sqrt(head);
            total += exp(s);
            for (int i = h; i < h + head; i++)
                out[i] += exp(s) * v[t * dim + i];
        }
        for (int i = h; i < h + head; i++)
            out[i] /= total;
    }
    plain_linear(p, "c_proj", out, y);
}

static void plain_pool(struct plain *p, struct map x, int head, int embed,
                       double *features)
{
    const double *position =
        p->weights +
        plain_tensor(p, "visual.attnpool.positional_embedding")->at;
    int pixels = x.side * x.side, len = pixels + 1;
    double *tokens = arena_alloc(&p->room, (size_t)len * x.c * sizeof *tokens);

    for (int n = 0; n < x.n; n++) {
        for (int c = 0; c < x.c; c++) {
            const double *v = map_at(x, n, c, 0, 0);
            double mean = 0;

            for (int i = 0; i < pixels; i++) {
                mean += v[i] / pixels;
                tokens[(1 + i) * x.c + c] = v[i] + position[(1 + i) * x.c + c];
            }
            tokens[c] = mean + position[c];
        }
        plain_attend(p, tokens, len, x.c, head, features + n * embed);
    }
}

/* pixels [n, 3, size, size] to features [n, embed_dim]. */
static void plain_resnet(struct plain *p, const struct clip_config *c, int n,
                         const double *pixels, double *features)
{
    struct map x = plain_map(p, n, 3, c->vision.image_size);
    char name[64], norm[64];

    memcpy(x.v, pixels, sizeof *pixels * n * 3 * x.side * x.side);
    for (int i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, "visual.conv%d", i);
        x = plain_conv(p, x, i == 1 ? 2 : 1, name);
        snprintf(norm, sizeof norm, "visual.bn%d", i);
        plain_norm(p, x, norm);
        plain_relu(x);
    }
    x = plain_mean(p, x, 2);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < c->vision.stages[stage]; i++) {
            snprintf(name, sizeof name, "visual.layer%d.%d", stage + 1, i);
            x = plain_bottleneck(p, x, stage && !i ? 2 : 1, i == 0, name);
        }
    plain_pool(p, x, c->vision.head_width, c->embed_dim, features);
}

#endif
