/*
 * trial - weights, pictures and captions that both sides compute by formula.
 *
 * Model.   tools/trial.py in C, to the last bit; the formulas stand there.  A
 *          trial's numbers are exact in float, so a device of any precision
 *          starts from the same ones.
 * Owns.    Arrays that come back are the caller's to free.
 * Threads. One.
 */
#ifndef TESTS_TRIAL_H
#define TESTS_TRIAL_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "train/clip.h"
#include "train/random.h"

#define TRIAL_SEED        1
#define TRIAL_PROJECTIONS 8
#define TRIAL_LOGIT_SCALE 2.65625
#define TRIAL_CELL        32 /* pixels a side */

struct trial_law {
    double centre, scale;
    bool shut; /* the other sign where u < -3/4 */
};

/* In [-1, 1). */
static inline double trial_u(uint64_t stream, uint64_t i)
{
    return (double)(random_bits(stream, i) >> 40) * 0x1p-23 - 1;
}

static inline bool trial_has(const char *name, const char *part)
{
    return str_find(str_of(name), str_of(part), 0) != SIZE_MAX;
}

static inline bool trial_ends(const char *name, const char *end)
{
    return str_ends(str_of(name), str_of(end));
}

static inline struct trial_law trial_batchnorm(const char *name)
{
    if (trial_ends(name, ".weight"))
        return (struct trial_law){0.1875, 0.015625, false};
    if (trial_has(name, ".layer") && trial_has(name, ".bn3."))
        return (struct trial_law){0.375, 0.03125, false};
    return (struct trial_law){1, 0.0625, !trial_has(name, ".downsample.")};
}

static inline struct trial_law trial_law(const struct tensor *t)
{
    const char *name = t->name;
    bool in_out = trial_ends(name, "proj") || trial_ends(name, "projection");
    int64_t rows = t->rank ? t->shape[0] : 1;

    if (strcmp(name, "logit_scale") == 0)
        return (struct trial_law){TRIAL_LOGIT_SCALE, 0, false};
    if (trial_ends(name, ".running_mean"))
        return (struct trial_law){0, 0.25, false};
    if (trial_ends(name, ".running_var"))
        return (struct trial_law){1, 0.125, false};
    if (trial_has(name, ".bn") || trial_has(name, ".downsample.1."))
        return trial_batchnorm(name);
    if (t->rank == 1 && trial_ends(name, ".weight"))
        return (struct trial_law){1, 0.125, false};
    if (t->rank == 1 && trial_ends(name, "bias"))
        return (struct trial_law){0, 0.0625, false};
    if (trial_ends(name, "class_embedding") ||
        strcmp(name, "token_embedding.weight") == 0)
        return (struct trial_law){0, 1, false};
    if (trial_ends(name, "positional_embedding"))
        return (struct trial_law){0, 0.5, false};
    return (struct trial_law){
        0, sqrt(3.0 / (double)(in_out ? rows : t->count / rows)), false};
}

static inline void trial_tensor(const struct tensor *t, float *out)
{
    uint64_t stream = random_stream(TRIAL_SEED, str_of(t->name));
    struct trial_law law = trial_law(t);

    for (int64_t i = 0; i < t->count; i++) {
        double u = trial_u(stream, (uint64_t)i);
        double x = u * law.scale + law.centre;

        out[i] = (float)(law.shut && u < -0.75 ? -x : x);
    }
}

/* All of a model's tensors. */
static inline void trial_weights(struct clip *m)
{
    struct store *s = &m->store;

    for (int i = 0; i < s->n; i++) {
        float *x = xmalloc((size_t)s->list[i].count * sizeof *x);

        trial_tensor(&s->list[i], x);
        store_put(s, m->d, i, x, DTYPE_F32);
        free(x);
    }
    store_refresh(s, m->d);
}

static inline uint64_t trial_stream(const char *what, int batch)
{
    char name[64];
    const char *tail = strchr(what, '/');
    int head = tail ? (int)(tail - what) : (int)strlen(what);

    snprintf(name, sizeof name, "%.*s/%d%s", head, what, batch,
             tail ? tail : "");
    return random_stream(TRIAL_SEED, str_of(name));
}

/* n pictures of a batch, [n, 3, size, size], of a device's `real`. */
static inline void *trial_pixels(int batch, int n, int size, enum dtype real)
{
    uint64_t colour = trial_stream("pixels/colour", batch);
    uint64_t cell = trial_stream("pixels/cell", batch);
    uint64_t grain = trial_stream("pixels/grain", batch);
    size_t count = (size_t)n * 3 * (size_t)size * (size_t)size;
    uint64_t cells = (uint64_t)((size + TRIAL_CELL - 1) / TRIAL_CELL);
    float *x = xmalloc(count * sizeof *x);
    void *out = xmalloc(count * dtype_size(real));
    size_t i = 0;

    for (uint64_t nc = 0; nc < (uint64_t)n * 3; nc++)
        for (int row = 0; row < size; row++)
            for (int col = 0; col < size; col++, i++) {
                uint64_t at =
                    (nc * cells + (uint64_t)(row / TRIAL_CELL)) * cells +
                    (uint64_t)(col / TRIAL_CELL);

                x[i] = (float)(trial_u(colour, nc) + trial_u(cell, at) +
                               trial_u(grain, i) / 2);
            }
    dtype_convert(out, real, x, DTYPE_F32, count);
    free(x);
    return out;
}

/* n captions of a batch, [n, context]. */
static inline int32_t *trial_captions(int batch, int n,
                                      const struct text_config *c)
{
    uint64_t lengths = trial_stream("length", batch);
    uint64_t words = trial_stream("ids", batch);
    int context = c->context_length;
    int32_t *ids = xcalloc((size_t)n * (size_t)context, sizeof *ids);

    for (int i = 0; i < n; i++) {
        int32_t *id = ids + (ptrdiff_t)i * context;
        int length = 3 + (int)(random_bits(lengths, (uint64_t)i) %
                               (uint64_t)(context - 2));

        if (i < 2)
            length = i ? 3 : context;
        for (int t = 1; t < length - 1; t++)
            id[t] =
                1 + (int32_t)(random_bits(words, (uint64_t)(i * context + t)) %
                              (uint64_t)(c->vocab_size - 3));
        id[0] = c->vocab_size - 2;
        id[length - 1] = c->vocab_size - 1;
    }
    return ids;
}

/* The norm, then eight projections. */
static inline void trial_project(const char *name, const double *x, int64_t n,
                                 double out[1 + TRIAL_PROJECTIONS])
{
    char full[256];
    double sum[1 + TRIAL_PROJECTIONS] = {0};
    uint64_t stream;

    snprintf(full, sizeof full, "projection/%s", name);
    stream = random_stream(TRIAL_SEED, str_of(full));
    for (int64_t i = 0; i < n; i++) {
        uint64_t sign = random_bits(stream, (uint64_t)i);

        sum[0] += x[i] * x[i];
        for (int k = 0; k < TRIAL_PROJECTIONS; k++)
            sum[1 + k] += x[i] * (1 - 2 * (double)(sign >> k & 1));
    }
    sum[0] = sqrt(sum[0]);
    memcpy(out, sum, sizeof sum);
}

#endif
