/*
 * clip_world - a small model, a batch, and all that a step leaves behind.
 *
 * Model.   world_open() on a kind of device (or world_begin() on one that the
 *          test has opened in w->d), world_run() for one batch under
 *          some options; the outcome holds loss, features, every gradient and
 *          the buffers in double, in the order of the store's list, so that
 *          two runs can be compared tensor by tensor.  Of other objectives
 *          than the contrastive the features are zeros.
 */
#ifndef TESTS_CLIP_WORLD_H
#define TESTS_CLIP_WORLD_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/bf16.h"
#include "train/backend.h"
#include "train/clip.h"
#include "train/random.h"
#include "train/ref/ref.h"

enum world_device { REF_DOUBLE, REF_FLOAT, CPU_FLOAT, CPU_BF16 };

struct world {
    struct device d;
    struct clip m;
    int n;
    struct pixels pixels; /* of n; the array is owned */
    int32_t *ids;
};

struct outcome {
    double loss;
    double *numbers;  /* gradients, then sums or values of buffers */
    double *features; /* image, then text */
    size_t peak;      /* bytes of activations */
};

/* A published tiny model, made smaller still: what these tests look at does
 * not grow with the sizes, the time of the naive backend does. */
static inline struct clip_config world_config(const char *name)
{
    struct err e = ERR_INIT;
    struct clip_config c;

    if (clip_config_find(&c, name, &e))
        fail_msg("%s", e.message);
    c.embed_dim = 16;
    c.vision.width = c.vision.kind == VISION_RESNET ? 4 : 32;
    c.vision.head_width = 16;
    c.text.vocab_size = 64;
    c.text.width = 32;
    return c;
}

/* Whether this machine and this build have it. */
static inline bool world_has(enum world_device kind)
{
    if (kind >= CPU_FLOAT && !backend_built(BACKEND_CPU))
        return false;
    return kind != CPU_BF16 || bf16_here();
}

static inline void world_device(struct device *d, enum world_device kind)
{
    const struct backend_options two = {.threads = 2};
    struct err e = ERR_INIT;
    int rc;

    if (kind == REF_DOUBLE || kind == REF_FLOAT)
        rc = ref_open(d, kind == REF_DOUBLE ? DTYPE_F64 : DTYPE_F32, &e);
    else
        rc = backend_open(d, BACKEND_CPU,
                          kind == CPU_FLOAT ? DTYPE_F32 : DTYPE_BF16, &two, &e);
    if (rc)
        fail_msg("%s", e.message);
}

/* Captions of 3 .. context tokens: SOT (vocab - 2), words, EOT (vocab - 1). */
static inline void world_captions(struct world *w, uint64_t seed)
{
    const struct text_config *c = &w->m.config.text;
    uint64_t s = random_stream(seed, STR("captions"));
    int context = c->context_length;

    for (int i = 0; i < w->n; i++) {
        int32_t *ids = w->ids + (int64_t)i * context;
        int len = 3 + (int)(random_bits(s, (uint64_t)i) % (context - 2u));

        memset(ids, 0, (size_t)context * sizeof *ids);
        for (int t = 1; t + 1 < len; t++)
            ids[t] = (int32_t)(random_bits(s, (uint64_t)(1000 + i * 100 + t)) %
                               (c->vocab_size - 2u));
        ids[0] = c->vocab_size - 2;
        ids[len - 1] = c->vocab_size - 1;
    }
}

/* Weights as published, the scales of BatchNorm that begin at zero lifted so
 * that every tensor has a gradient. */
static inline void world_weights(struct world *w, uint64_t seed)
{
    struct err e = ERR_INIT;

    assert_int_equal(clip_initialise(&w->m, seed, &e), 0);
    for (int i = 0; i < w->m.store.n; i++) {
        const struct tensor *t = &w->m.store.list[i];
        uint64_t s = random_stream(seed + 1, str_of(t->name));
        double *x;

        if (t->rank != 1 || t->buffer)
            continue;
        x = malloc((size_t)t->count * sizeof *x);
        assert_non_null(x);
        for (int64_t k = 0; k < t->count; k++)
            x[k] = (strstr(t->name, "bias") ? 0 : 0.75) +
                   0.5 * random_uniform(s, (uint64_t)k);
        store_put(&w->m.store, &w->d, i, x, DTYPE_F64);
        free(x);
    }
    store_refresh(&w->m.store, &w->d);
}

static inline void world_begin(struct world *w, const struct clip_config *c,
                               int n, uint64_t seed)
{
    struct err e = ERR_INIT;
    size_t side = (size_t)c->vision.image_size, count = 3 * side * side;
    uint64_t s = random_stream(seed, STR("pixels"));
    void *pixels;
    double *x;

    if (clip_open(&w->m, &w->d, c, STORE_TRAIN, &e))
        fail_msg("%s", e.message);
    w->n = n;
    count *= (size_t)n;
    pixels = malloc(count * dtype_size(w->d.real));
    w->ids =
        malloc((size_t)n * (size_t)c->text.context_length * sizeof *w->ids);
    x = malloc(count * sizeof *x);
    assert_true(pixels && w->ids && x);
    for (size_t i = 0; i < count; i++)
        x[i] = 4 * random_uniform(s, i) - 2;
    dtype_convert(pixels, w->d.real, x, DTYPE_F64, count);
    w->pixels = (struct pixels){.x = pixels};
    free(x);
    world_captions(w, seed);
    world_weights(w, seed);
}

static inline void world_open(struct world *w, enum world_device kind,
                              const struct clip_config *c, int n, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    world_device(&w->d, kind);
    world_begin(w, c, n, seed);
}

/* The world's pictures become random bytes or, with `numbers`, what these stand
 * for, normalised here. */
static inline void world_bytes(struct world *w, bool numbers)
{
    static const double mean[] = {0.48145466, 0.4578275, 0.40821073};
    static const double std[] = {0.26862954, 0.26130258, 0.27577711};
    const struct pixel_norm norm = pixel_norm_of(mean, std);
    size_t side = (size_t)w->m.config.vision.image_size, plane = side * side;
    size_t count = (size_t)w->n * 3 * plane;
    uint64_t stream = random_stream(11, STR("bytes"));
    uint8_t *bytes = malloc(count);
    float *reals = malloc(count * sizeof *reals);

    assert_true(bytes && reals);
    for (size_t i = 0; i < count; i++) {
        size_t n = i / (3 * plane), at = i / 3 % plane, c = i % 3;

        bytes[i] = (uint8_t)random_bits(stream, i);
        reals[(n * 3 + c) * plane + at] = pixel_value(&norm, (int)c, bytes[i]);
    }
    if (numbers) {
        dtype_convert((void *)w->pixels.x, w->d.real, reals, DTYPE_F32, count);
        free(bytes);
    } else {
        free((void *)w->pixels.x);
        w->pixels = (struct pixels){PIXEL_BYTE, bytes, norm};
    }
    free(reals);
}

static inline void world_close(struct world *w)
{
    clip_close(&w->m);
    device_close(&w->d);
    free((void *)w->pixels.x);
    free(w->ids);
}

static inline struct clip_batch world_batch(const struct world *w)
{
    return (struct clip_batch){
        .n = w->n,
        .pixels = w->pixels,
        .captions = {.n = w->n,
                     .context = w->m.config.text.context_length,
                     .ids = w->ids}};
}

/* All tensors' gradients; of buffers their values. */
static inline double *world_numbers(const struct world *w)
{
    const struct store *s = &w->m.store;
    double *out = malloc((size_t)s->size * sizeof *out);

    assert_non_null(out);
    for (int i = 0; i < s->n; i++) {
        double *at = out + s->list[i].at;

        if (s->list[i].buffer)
            store_get(s, w->m.d, i, at, DTYPE_F64);
        else
            store_get_grad(s, w->m.d, i, at, DTYPE_F64);
    }
    return out;
}

static inline void world_run(struct world *w, const struct clip_options *o,
                             struct outcome *out)
{
    struct err e = ERR_INIT;
    struct clip_batch b = world_batch(w);
    size_t side = (size_t)w->n * (size_t)w->m.config.embed_dim;
    void *image = calloc(side, 8), *text = calloc(side, 8);
    bool features = !w->m.config.objective;

    assert_true(image && text);
    if (clip_plan(&w->m, o, w->n, &e) ||
        clip_gradients(&w->m, o, &b, &out->loss, features ? image : NULL,
                       features ? text : NULL, &e))
        fail_msg("%s", e.message);
    out->peak = w->d.peak;
    assert_true(w->d.peak <= w->d.stack_size);
    out->numbers = world_numbers(w);
    out->features = malloc(2 * side * sizeof *out->features);
    assert_non_null(out->features);
    dtype_convert(out->features, DTYPE_F64, image, w->d.real, side);
    dtype_convert(out->features + side, DTYPE_F64, text, w->d.real, side);
    free(image);
    free(text);
}

static inline void outcome_release(struct outcome *o)
{
    free(o->numbers);
    free(o->features);
}

/* Largest |a - b| of a tensor over the largest |b| of it or, for tensors
 * whose gradient is next to nothing, a thousandth of the model's largest. */
static inline void outcome_compare(const struct world *w,
                                   const struct outcome *a,
                                   const struct outcome *b, double limit)
{
    const struct store *s = &w->m.store;
    size_t side = (size_t)w->n * (size_t)w->m.config.embed_dim;
    double top = 0;

    for (int64_t k = 0; k < s->parameters; k++)
        top = fmax(top, fabs(b->numbers[k]));
    assert_true(top > 0);
    if (fabs(a->loss - b->loss) > limit * fabs(b->loss))
        fail_msg("loss %.17g, not %.17g", a->loss, b->loss);
    for (size_t k = 0; k < 2 * side; k++)
        if (fabs(a->features[k] - b->features[k]) > limit)
            fail_msg("feature %zu: %.17g, not %.17g", k, a->features[k],
                     b->features[k]);
    for (int i = 0; i < s->n; i++) {
        const struct tensor *t = &s->list[i];
        double worst = 0, most = 1e-3 * top;

        for (int64_t k = 0; k < t->count; k++) {
            double x = a->numbers[t->at + k], y = b->numbers[t->at + k];

            assert_true(isfinite(x) && isfinite(y));
            worst = fmax(worst, fabs(x - y));
            most = fmax(most, fabs(y));
        }
        if (worst > limit * most)
            fail_msg("%s: off by %.3g of %.3g", t->name, worst, most);
    }
}

/* To the last bit. */
static inline void outcome_equal(const struct world *w, const struct outcome *a,
                                 const struct outcome *b)
{
    const struct store *s = &w->m.store;
    size_t side = (size_t)w->n * (size_t)w->m.config.embed_dim;

    assert_memory_equal(&a->loss, &b->loss, sizeof a->loss);
    assert_memory_equal(a->features, b->features,
                        2 * side * sizeof *a->features);
    for (int i = 0; i < s->n; i++)
        if (memcmp(a->numbers + s->list[i].at, b->numbers + s->list[i].at,
                   (size_t)s->list[i].count * sizeof *a->numbers))
            fail_msg("%s differs", s->list[i].name);
}

/* Two ways of one batch of n on a device, if it is there: equal to the last
 * bit, or within limit. */
static inline void world_two_ways(enum world_device device,
                                  const struct clip_config *c, int n,
                                  const struct clip_options *way,
                                  const struct clip_options *other, bool bits,
                                  double limit)
{
    struct outcome a, b;
    struct world w;

    if (!world_has(device))
        return;
    /* buffers move by a step, so each way has a world of its own */
    world_open(&w, device, c, n, 7);
    world_run(&w, way, &a);
    world_close(&w);
    world_open(&w, device, c, n, 7);
    world_run(&w, other, &b);
    if (bits)
        outcome_equal(&w, &a, &b);
    else
        outcome_compare(&w, &a, &b, limit);
    outcome_release(&a);
    outcome_release(&b);
    world_close(&w);
}

#endif
