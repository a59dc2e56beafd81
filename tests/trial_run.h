/*
 * trial_run - a model on a device, on a trial's weights: one step, or many.
 *
 * Model.   open() builds a model of the table on a device and gives it the
 *          trial's weights; step() computes loss and gradients of one batch,
 *          train() takes steps of AdamW.  each() then walks over all results
 *          in double: features, logits, running statistics, gradients (named
 *          "grad/" and the parameter).
 * Owns.    Device, model and results; close() frees them.
 * Fails.   As train/clip.h.
 * Threads. One.
 */
#ifndef TESTS_TRIAL_RUN_H
#define TESTS_TRIAL_RUN_H

#include "tests/trial.h"
#include "train/backend.h"
#include "train/clip.h"
#if defined(WITMILL_CUDA) || defined(WITMILL_EMULATED)
#include "train/cuda/cuda.h"
#define TRIAL_CUDA 1
#endif
#include "train/optim.h"
#include "train/ref/ref.h"

#define TRIAL_BATCHES 4 /* step s of training takes batch s mod 4 */

struct trial_run {
    struct device d;
    struct clip m;
    struct clip_options o;
    int n;      /* pairs of the batch */
    int number; /* which batch a single step takes */
    double loss;
    double *image, *text; /* [n, embed_dim] normalised features */
    double *eval;         /* the same by running statistics, or NULL */
    double *logits;       /* [n, n] */
};

/* "ref64", "ref32", "cpu", "bf16", and where there is a GPU or one is emulated
 * "cuda", "cuda-bf16"; threads 0: the backend's choice. */
static inline int trial_device(struct device *d, const char *name, int threads,
                               struct err *e)
{
    const struct backend_options o = {.threads = threads};

    if (strcmp(name, "ref64") == 0)
        return ref_open(d, DTYPE_F64, e);
    if (strcmp(name, "ref32") == 0)
        return ref_open(d, DTYPE_F32, e);
    if (strcmp(name, "cpu") == 0)
        return backend_open(d, BACKEND_CPU, DTYPE_F32, &o, e);
    if (strcmp(name, "bf16") == 0)
        return backend_open(d, BACKEND_CPU, DTYPE_BF16, &o, e);
#ifdef TRIAL_CUDA
    const struct cuda_options gpu = {.row_step = 8};

    if (strcmp(name, "cuda") == 0)
        return cuda_open(d, DTYPE_F32, &gpu, e);
    if (strcmp(name, "cuda-bf16") == 0)
        return cuda_open(d, DTYPE_BF16, &gpu, e);
#endif
    return err_set(e, E_USAGE, "no device is called %s", name);
}

static inline int trial_open(struct trial_run *r, const char *model,
                             const char *device, int threads, struct err *e)
{
    struct clip_config c;
    int rc;

    memset(r, 0, sizeof *r);
    rc = clip_config_find(&c, model, e);
    if (!rc)
        rc = trial_device(&r->d, device, threads, e);
    if (rc)
        return rc;
    rc = clip_open(&r->m, &r->d, &c, STORE_TRAIN, e);
    if (rc) {
        device_close(&r->d);
        return rc;
    }
    trial_weights(&r->m);
    return 0;
}

static inline void trial_close(struct trial_run *r)
{
    free(r->image);
    free(r->text);
    free(r->eval);
    free(r->logits);
    clip_close(&r->m);
    device_close(&r->d);
}

/* Features of the device's type as doubles; takes x. */
static inline double *trial_doubles(const struct device *d, void *x, size_t n)
{
    double *out = xmalloc(n * sizeof *out);

    dtype_convert(out, DTYPE_F64, x, d->real, n);
    free(x);
    return out;
}

/* s I T^T, s from the weights as they stand. */
static inline double *trial_logits(const struct trial_run *r)
{
    int n = r->n, dim = r->m.config.embed_dim;
    double *out = xmalloc((size_t)n * (size_t)n * sizeof *out), scale;

    store_get(&r->m.store, r->m.d, r->m.logit_scale, &scale, DTYPE_F64);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;

            for (int k = 0; k < dim; k++)
                sum += r->image[i * dim + k] * r->text[j * dim + k];
            out[i * n + j] = exp(scale) * sum;
        }
    return out;
}

/* Loss and gradients of one batch; features into image and text unless they
 * are NULL. */
static inline int trial_batch(struct trial_run *r, int batch, void *image,
                              void *text, struct err *e)
{
    struct clip_config *c = &r->m.config;
    int32_t *ids = trial_captions(batch, r->n, &c->text);
    void *pixels = trial_pixels(batch, r->n, c->vision.image_size, r->d.real);
    struct clip_batch b = {.n = r->n,
                           .pixels = {.x = pixels},
                           .captions = {r->n, c->text.context_length, ids}};
    int rc = clip_gradients(&r->m, &r->o, &b, &r->loss, image, text, e);

    free(pixels);
    free(ids);
    return rc;
}

/* What a ResNet makes of the batch by its running statistics. */
static inline int trial_eval(struct trial_run *r, struct err *e)
{
    struct clip_config *c = &r->m.config;
    size_t count = (size_t)r->n * (size_t)c->embed_dim;
    void *pixels =
        trial_pixels(r->number, r->n, c->vision.image_size, r->d.real);
    void *features = xmalloc(count * dtype_size(r->d.real));
    int rc = clip_encode_images(&r->m, &r->o, r->n,
                                &(struct pixels){.x = pixels}, features, e);

    r->eval = trial_doubles(&r->d, features, count);
    free(pixels);
    return rc;
}

/* One step on one batch; the weights stay, running statistics move. */
static inline int trial_step(struct trial_run *r, int n,
                             const struct clip_options *o, struct err *e)
{
    size_t count = (size_t)n * (size_t)r->m.config.embed_dim;
    void *image = xmalloc(count * dtype_size(r->d.real));
    void *text = xmalloc(count * dtype_size(r->d.real));
    int rc;

    r->n = n;
    r->o = *o;
    rc = clip_plan(&r->m, o, n, e);
    if (!rc && r->m.config.vision.kind == VISION_RESNET)
        rc = trial_eval(r, e);
    if (!rc)
        rc = trial_batch(r, r->number, image, text, e);
    r->image = trial_doubles(&r->d, image, count);
    r->text = trial_doubles(&r->d, text, count);
    if (!rc)
        r->logits = trial_logits(r);
    return rc;
}

/* The loss before each of `steps` steps of AdamW. */
static inline int trial_train(struct trial_run *r, int n,
                              const struct clip_options *o, int steps,
                              double lr, int warmup, double *losses,
                              struct err *e)
{
    bool vit = r->m.config.vision.kind == VISION_VIT;
    struct optim_config c = {.lr = lr,
                             .beta1 = 0.9,
                             .beta2 = vit ? 0.98 : 0.999,
                             .eps = vit ? 1e-6 : 1e-8,
                             .decay = 0.2,
                             .rule = DECAY_PAPER,
                             .warmup = (uint64_t)warmup,
                             .total = (uint64_t)steps};
    struct optim optim;
    int rc = optim_open(&optim, &r->m, &c, e);

    if (rc)
        return rc;
    r->n = n;
    r->o = *o;
    rc = clip_plan(&r->m, o, n, e);
    for (int s = 0; !rc && s < steps; s++) {
        rc = trial_batch(r, s % TRIAL_BATCHES, NULL, NULL, e);
        losses[s] = r->loss;
        if (!rc)
            rc = optim_step(&optim, (uint64_t)s, NULL, e);
    }
    optim_close(&optim);
    return rc;
}

/* One result: name, numbers, shape. */
typedef int trial_visit(void *ctx, const char *name, const double *x, int rank,
                        const int64_t *shape);

static inline int trial_each_tensor(const struct trial_run *r,
                                    trial_visit *visit, void *ctx)
{
    const struct store *s = &r->m.store;
    int rc = 0;

    for (int i = 0; !rc && i < s->n; i++) {
        const struct tensor *t = &s->list[i];
        double *x = xmalloc((size_t)t->count * sizeof *x);
        char name[256];

        if (t->buffer)
            store_get(s, r->m.d, i, x, DTYPE_F64);
        else
            store_get_grad(s, r->m.d, i, x, DTYPE_F64);
        snprintf(name, sizeof name, "%s%s", t->buffer ? "" : "grad/", t->name);
        rc = visit(ctx, name, x, t->rank, t->shape);
        free(x);
    }
    return rc;
}

/* All results; the first answer that is not 0 ends it and comes back. */
static inline int trial_each(const struct trial_run *r, trial_visit *visit,
                             void *ctx)
{
    int64_t features[] = {r->n, r->m.config.embed_dim};
    int64_t square[] = {r->n, r->n};
    int rc = visit(ctx, "image_features", r->image, 2, features);

    if (!rc)
        rc = visit(ctx, "text_features", r->text, 2, features);
    if (!rc && r->eval)
        rc = visit(ctx, "image_features_eval", r->eval, 2, features);
    if (!rc)
        rc = visit(ctx, "logits", r->logits, 2, square);
    return rc ? rc : trial_each_tensor(r, visit, ctx);
}

#endif
