/*
 * train_bench - training steps of a model on generated pairs, timed.
 *
 * usage: train_bench MODEL fp32|bf16 BATCH STEPS [option...]
 *        tokens=N   words a caption, SOT and EOT included (20; 0: 3..77)
 *        chunk=N    pairs at a time (0: the batch)
 *        packed=0|1 reduce=0|1 recompute=0|1   (1 1 0)
 *        threads=N  (0: all)
 *
 * Prints one JSON object: seconds of every step (gradients and optimiser, the
 * first one left out), images a second of the fastest and the median, useful
 * operations of a step, bytes of activations and of weights with gradients
 * and moments.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "train/clip.h"
#include "train/cpu/cpu.h"
#include "train/optim.h"
#include "train/random.h"

struct settings {
    struct clip_config model;
    struct clip_options o;
    enum dtype act;
    int batch, steps, tokens, threads;
};

static int word(const char *arg, const char *name, int *out)
{
    size_t n = strlen(name);

    if (strncmp(arg, name, n) || arg[n] != '=')
        return 0;
    *out = (int)strtol(arg + n + 1, NULL, 10);
    return 1;
}

static int parse(struct settings *s, int argc, char **argv, struct err *e)
{
    int packed = 1, reduce = 1, recompute = 0, rc;

    *s = (struct settings){.tokens = 20};
    if (argc < 5)
        return err_set(e, E_USAGE, "MODEL fp32|bf16 BATCH STEPS [option...]");
    rc = clip_config_find(&s->model, argv[1], e);
    if (rc)
        return rc;
    s->act = strcmp(argv[2], "bf16") ? DTYPE_F32 : DTYPE_BF16;
    s->batch = (int)strtol(argv[3], NULL, 10);
    s->steps = (int)strtol(argv[4], NULL, 10);
    for (int i = 5; i < argc; i++)
        if (!word(argv[i], "tokens", &s->tokens) &&
            !word(argv[i], "chunk", &s->o.chunk) &&
            !word(argv[i], "packed", &packed) &&
            !word(argv[i], "reduce", &reduce) &&
            !word(argv[i], "recompute", &recompute) &&
            !word(argv[i], "threads", &s->threads))
            return err_set(e, E_USAGE, "%s: no such option", argv[i]);
    s->o.packed = packed;
    s->o.reduce = reduce;
    s->o.recompute = recompute;
    if (s->batch < 1 || s->steps < 1)
        return err_set(e, E_USAGE, "BATCH and STEPS are at least 1");
    return 0;
}

static void captions(const struct settings *s, int32_t *ids)
{
    const struct text_config *c = &s->model.text;
    uint64_t stream = random_stream(1, STR("captions"));
    unsigned context = (unsigned)c->context_length;

    memset(ids, 0, (size_t)s->batch * context * sizeof *ids);
    for (unsigned i = 0; i < (unsigned)s->batch; i++) {
        int32_t *at = ids + (size_t)i * context;
        unsigned len =
            s->tokens ? (unsigned)s->tokens
                      : 3 + (unsigned)(random_bits(stream, i) % (context - 2));

        if (len > context)
            len = context;
        for (unsigned t = 1; t + 1 < len; t++)
            at[t] = (int32_t)(random_bits(stream, 1000 + i * context + t) %
                              (uint64_t)(c->vocab_size - 2));
        at[0] = c->vocab_size - 2;
        at[len - 1] = c->vocab_size - 1;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print(const struct settings *s, const struct clip *m,
                  double *seconds, uint64_t flops, double loss)
{
    int n = s->steps;

    printf("{\"model\":\"%s\",\"precision\":\"%s\",\"batch\":%d,"
           "\"packed\":%s,\"tokens\":%d,\"step_s\":[",
           s->model.name, dtype_name(s->act), s->batch,
           s->o.packed ? "true" : "false", s->tokens);
    for (int i = 0; i < n; i++)
        printf("%s%.4f", i ? "," : "", seconds[i]);
    qsort(seconds, (size_t)n, sizeof *seconds, compare);
    printf("],\"images_per_s\":%.3f,\"images_per_s_median\":%.3f,"
           "\"gflop\":%.1f,\"gflop_per_s\":%.1f,\"loss\":%.5f,"
           "\"activations_mb\":%.1f,\"weights_mb\":%.1f}\n",
           s->batch / seconds[0], s->batch / seconds[n / 2],
           (double)flops * 1e-9, (double)flops * 1e-9 / seconds[0], loss,
           (double)m->d->stack_size * 1e-6,
           (double)m->store.size *
               (double)(4 * m->store.real_size +
                        (m->store.act != m->store.real) * m->store.act_size) *
               1e-6);
}

static int run(struct settings *s, struct clip *m, double *seconds,
               float *pixels, int32_t *ids, struct err *e)
{
    size_t side = (size_t)s->model.vision.image_size;
    size_t count = (size_t)s->batch * 3 * side * side;
    struct clip_batch b = {
        .n = s->batch,
        .pixels = {.x = pixels},
        .captions = {s->batch, s->model.text.context_length, ids}};
    struct optim_config c;
    struct optim optim;
    uint64_t flops = 0;
    double loss = 0;
    int rc;

    for (size_t i = 0; i < count; i++)
        pixels[i] = (float)(4 * random_uniform(1, i) - 2);
    captions(s, ids);
    optim_defaults(&c, &s->model);
    c.total = 1000000;
    rc = optim_open(&optim, m, &c, e);
    if (rc)
        return rc;
    rc = clip_initialise(m, 1, e);
    if (!rc)
        rc = clip_plan(m, &s->o, s->batch, e);
    for (int i = -1; !rc && i < s->steps; i++) {
        uint64_t began = clock_mono_ms();

        m->d->flops = 0;
        rc = clip_gradients(m, &s->o, &b, &loss, NULL, NULL, e);
        if (!rc)
            rc = optim_step(&optim, (uint64_t)(i + 1), NULL, e);
        flops = m->d->flops;
        if (i >= 0)
            seconds[i] = (double)(clock_mono_ms() - began) * 1e-3;
    }
    if (!rc)
        print(s, m, seconds, flops, loss);
    optim_close(&optim);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct settings s;
    struct device d;
    struct clip m;
    size_t side, steps;
    double *seconds;
    float *pixels;
    int32_t *ids;
    int rc = parse(&s, argc, argv, &e);

    if (!rc)
        rc = cpu_open(&d, s.act, s.threads, &e);
    if (!rc) {
        rc = clip_open(&m, &d, &s.model, STORE_TRAIN, &e);
        if (rc)
            device_close(&d);
    }
    if (rc) {
        fprintf(stderr, "train_bench: %s\n", e.message);
        return rc == -E_USAGE ? 2 : 3;
    }
    side = (size_t)s.model.vision.image_size;
    steps = (size_t)s.steps;
    seconds = calloc(steps, sizeof *seconds);
    pixels = malloc((size_t)s.batch * 3 * side * side * sizeof *pixels);
    ids = malloc((size_t)s.batch * (size_t)s.model.text.context_length *
                 sizeof *ids);
    rc = seconds && pixels && ids
             ? run(&s, &m, seconds, pixels, ids, &e)
             : err_set(&e, E_NOMEM, "no room for a batch of %d", s.batch);
    if (rc)
        fprintf(stderr, "train_bench: %s\n", e.message);
    free(seconds);
    free(pixels);
    free(ids);
    clip_close(&m);
    device_close(&d);
    return rc ? 3 : 0;
}
