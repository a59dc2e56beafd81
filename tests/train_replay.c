/*
 * train_replay - one training step, or many, on a trial's weights.
 *
 * Model.   The C side of tools/parity.py: computes a batch of a model on its
 *          formula weights and writes features, logits, loss, running
 *          statistics and all gradients as safetensors; or trains and prints a
 *          loss a line; or saves and loads weights files and writes the
 *          features that they give.
 *
 * usage: train_replay MODEL [--device cpu|bf16|ref32|ref64] [--threads N]
 *        [--batch N] [--number N] [--chunk N] [--packed] [--reduce]
 * [--recompute]
 *        [--recompute] [--out FILE] [--golden FILE] [--features FILE]
 *        [--load FILE] [--save FILE] [--layout open_clip|transformers]
 *        [--steps N --lr X --warmup N]
 */
#include <getopt.h>
#include <time.h>

#include "tests/golden_step.h"
#include "train/safetensors.h"
#include "train/weights.h"

struct replay {
    const char *model, *device, *out, *golden, *features, *load, *save;
    enum weights_layout layout;
    int threads, batch, number, steps, warmup;
    double lr;
    struct clip_options o;
};

/* ---- results as a file ---- */

struct out_file {
    struct safetensor *list;
    size_t n, cap;
    struct safetensors_out to;
    size_t next;
    struct err *e;
};

/* Gradients in float, the few others in double. */
static bool is_gradient(const char *name)
{
    return str_starts(str_of(name), STR("grad/"));
}

static int list_result(void *ctx, const char *name, const double *x, int rank,
                       const int64_t *shape)
{
    struct out_file *f = ctx;
    struct safetensor *t;

    (void)x;
    f->list = xgrow(f->list, &f->cap, f->n + 1, sizeof *f->list);
    t = &f->list[f->n++];
    *t = (struct safetensor){.name = str_of(xstrdup(name)),
                             .dtype = is_gradient(name) ? ST_F32 : ST_F64,
                             .rank = rank,
                             .count = 1};
    for (int i = 0; i < rank; i++) {
        t->shape[i] = (uint64_t)shape[i];
        t->count *= t->shape[i];
    }
    t->size = t->count * safetensors_dtype_size(t->dtype);
    return 0;
}

static int write_result(void *ctx, const char *name, const double *x, int rank,
                        const int64_t *shape)
{
    struct out_file *f = ctx;
    const struct safetensor *t = &f->list[f->next++];
    float *small = NULL;
    int rc;

    (void)name, (void)rank, (void)shape;
    if (t->dtype == ST_F32) {
        small = xmalloc(t->size);
        dtype_convert(small, DTYPE_F32, x, DTYPE_F64, t->count);
    }
    rc = safetensors_write(
        &f->to, str_make(small ? (char *)small : (const char *)x, t->size),
        f->e);
    free(small);
    return rc;
}

static int write_all(const struct trial_run *r, const char *path, struct err *e)
{
    struct out_file f = {.e = e};
    int rc;

    list_result(&f, "loss", &r->loss, 0, NULL);
    rc = trial_each(r, list_result, &f);
    if (!rc)
        rc = safetensors_create(&f.to, path, f.list, f.n, NULL, 0, e);
    if (!rc) {
        rc = write_result(&f, "loss", &r->loss, 0, NULL);
        if (!rc)
            rc = trial_each(r, write_result, &f);
        if (!rc)
            rc = safetensors_publish(&f.to, e);
        else
            safetensors_abandon(&f.to);
    }
    for (size_t i = 0; i < f.n; i++)
        free((void *)(uintptr_t)f.list[i].name.p);
    free(f.list);
    return rc;
}

/* ---- what is asked for ---- */

static int compare(const struct trial_run *r, const char *path, struct err *e)
{
    struct golden_bound bound = {1e-4, 1e-3, 1e-6};
    struct golden_worst worst = {.by_bound = 0};
    struct golden g;
    int rc = golden_read(&g, path, e);

    if (!rc)
        rc = golden_compare(&g, r, bound, &worst, e);
    golden_release(&g);
    if (!rc)
        printf("%.3f of the bound: %s\n", worst.by_bound, worst.name);
    if (!rc && !(worst.by_bound <= 1))
        rc = err_set(e, E_NEGATIVE, "%s is %.3g times its bound off",
                     worst.name, worst.by_bound);
    return rc;
}

static int step(struct trial_run *r, const struct replay *a, struct err *e)
{
    struct timespec began, done;
    int rc;

    clock_gettime(CLOCK_MONOTONIC, &began);
    rc = trial_step(r, a->batch, &a->o, e);
    clock_gettime(CLOCK_MONOTONIC, &done);
    if (rc)
        return rc;
    printf("loss %.9f in %.2f s\n", r->loss,
           (double)(done.tv_sec - began.tv_sec) +
               1e-9 * (double)(done.tv_nsec - began.tv_nsec));
    if (a->out)
        rc = write_all(r, a->out, e);
    if (!rc && a->golden)
        rc = compare(r, a->golden, e);
    return rc;
}

static int train(struct trial_run *r, const struct replay *a, struct err *e)
{
    double *losses = xcalloc((size_t)a->steps, sizeof *losses);
    int rc =
        trial_train(r, a->batch, &a->o, a->steps, a->lr, a->warmup, losses, e);

    for (int s = 0; !rc && s < a->steps; s++)
        printf("%.9f\n", losses[s]);
    free(losses);
    return rc;
}

/* Features of batch 0 as the weights stand: two tensors, in float. */
static int features(struct trial_run *r, const struct replay *a, struct err *e)
{
    struct clip_config *c = &r->m.config;
    size_t count = (size_t)a->batch * (size_t)c->embed_dim;
    struct safetensor list[2] = {{.name = STR("image_features")},
                                 {.name = STR("text_features")}};
    void *pixels = trial_pixels(0, a->batch, c->vision.image_size, DTYPE_F32);
    int32_t *ids = trial_captions(0, a->batch, &c->text);
    struct captions captions = {a->batch, c->text.context_length, ids};
    float *x[2];
    struct safetensors_out to;
    int rc = clip_plan(&r->m, &a->o, a->batch, e);

    for (int i = 0; i < 2; i++) {
        x[i] = xcalloc(count, sizeof *x[i]);
        list[i].dtype = ST_F32;
        list[i].rank = 2;
        list[i].shape[0] = (uint64_t)a->batch;
        list[i].shape[1] = (uint64_t)c->embed_dim;
        list[i].count = count;
        list[i].size = count * sizeof *x[i];
    }
    if (!rc)
        rc = clip_encode_images(&r->m, &a->o, a->batch,
                                &(struct pixels){.x = pixels}, x[0], e);
    if (!rc)
        rc = clip_encode_texts(&r->m, &a->o, &captions, x[1], e);
    if (!rc)
        rc = safetensors_create(&to, a->features, list, 2, NULL, 0, e);
    for (int i = 0; !rc && i < 2; i++)
        rc = safetensors_write(&to, str_make((char *)x[i], list[i].size), e);
    if (!rc)
        rc = safetensors_publish(&to, e);
    free(x[0]);
    free(x[1]);
    free(pixels);
    free(ids);
    return rc;
}

static int replay(const struct replay *a, struct err *e)
{
    struct trial_run r;
    int rc = trial_open(&r, a->model, a->device, a->threads, e);

    if (rc)
        return rc;
    r.number = a->number;
    if (a->load)
        rc = weights_load(&r.m, a->load, false, e);
    if (!rc && a->save)
        rc = weights_save(&r.m, a->layout, a->save, e);
    if (!rc && a->features)
        rc = features(&r, a, e);
    if (!rc && a->steps)
        rc = train(&r, a, e);
    else if (!rc && !a->save && !a->features)
        rc = step(&r, a, e);
    trial_close(&r);
    return rc;
}

/* ---- the command line ---- */

static int whole(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static int usage(void)
{
    fputs("usage: train_replay MODEL [options]; see its source\n", stderr);
    return 2;
}

static bool set(struct replay *a, const char *name, const char *value)
{
    struct {
        const char *name;
        int *to;
    } ints[] = {
        {"threads", &a->threads}, {"number", &a->number},
        {"batch", &a->batch},     {"chunk", &a->o.chunk},
        {"steps", &a->steps},     {"warmup", &a->warmup},
    };
    struct {
        const char *name;
        bool *to;
    } flags[] = {
        {"packed", &a->o.packed},
        {"reduce", &a->o.reduce},
        {"recompute", &a->o.recompute},
    };
    struct {
        const char *name;
        const char **to;
    } texts[] = {
        {"device", &a->device}, {"out", &a->out},   {"golden", &a->golden},
        {"load", &a->load},     {"save", &a->save}, {"features", &a->features},
    };

    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        if (strcmp(ints[i].name, name) == 0)
            return *ints[i].to = whole(value), true;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(flags[i].name, name) == 0)
            return *flags[i].to = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].name, name) == 0)
            return *texts[i].to = value, true;
    if (strcmp(name, "lr") == 0)
        return a->lr = strtod(value, NULL), true;
    if (strcmp(name, "layout") == 0)
        return a->layout = strcmp(value, "transformers") == 0
                               ? WEIGHTS_TRANSFORMERS
                               : WEIGHTS_OPEN_CLIP,
               true;
    return false;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"device", 1, NULL, 0},   {"threads", 1, NULL, 0},
        {"batch", 1, NULL, 0},    {"number", 1, NULL, 0},
        {"chunk", 1, NULL, 0},    {"packed", 0, NULL, 0},
        {"reduce", 0, NULL, 0},   {"recompute", 0, NULL, 0},
        {"out", 1, NULL, 0},      {"golden", 1, NULL, 0},
        {"features", 1, NULL, 0}, {"load", 1, NULL, 0},
        {"save", 1, NULL, 0},     {"layout", 1, NULL, 0},
        {"steps", 1, NULL, 0},    {"lr", 1, NULL, 0},
        {"warmup", 1, NULL, 0},   {NULL, 0, NULL, 0},
    };
    struct replay a = {.device = "cpu", .batch = 4, .lr = 5e-4, .warmup = 5};
    struct err e = ERR_INIT;
    int at, c, rc;

    while ((c = getopt_long(argc, argv, "", options, &at)) == 0)
        if (!set(&a, options[at].name, optarg))
            return usage();
    if (c != -1 || optind + 1 != argc)
        return usage();
    a.model = argv[optind];
    rc = replay(&a, &e);
    if (rc)
        fprintf(stderr, "train_replay: %s\n", e.message);
    return rc == -E_NEGATIVE ? 1 : rc ? 3 : 0;
}
