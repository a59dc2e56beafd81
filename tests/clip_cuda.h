/*
 * clip_cuda - whole batches on the cuda backend: the worlds and the ways that
 * its tests share.  On a GPU with CUDA=1, else emulated (tests/emulate).
 */
#ifndef TESTS_CLIP_CUDA_H
#define TESTS_CLIP_CUDA_H

#include "tests/clip_world.h"
#include "tests/emulate/emulate.h"
#include "train/cuda/cuda.h"
#include "train/objective.h"

#define BATCH 6

static const char *const models[] = {"tiny-vit", "tiny-resnet"};
#define MODELS (sizeof models / sizeof *models)

static const struct {
    enum dtype act;
    double limit[MODELS]; /* of the loss, features and gradients, see
                             outcome_compare(); 0: norm_limit of the whole
                             gradient instead.  BatchNorm over two pictures of
                             a ResNet four channels wide turns bf16's roundings
                             into half of some gradients; the cpu's does so,
                             too */
    double norm_limit;
} types[] = {{DTYPE_F32, {5e-4, 5e-4}, 0}, {DTYPE_BF16, {0.15, 0}, 0.4}};
#define TYPES (sizeof types / sizeof *types)

static const struct clip_options ways[] = {
    {.bn_batch = 2},
    {.bn_batch = 2, .packed = true, .reduce = true},
    {.bn_batch = 2, .chunk = 4, .packed = true, .recompute = true},
};
#define WAYS (sizeof ways / sizeof *ways)

/* Skips the test where there is no GPU. */
static inline void open_config(struct world *w, enum dtype act, bool eager,
                               const struct clip_config *c, uint64_t seed)
{
    const struct cuda_options o = {.row_step = 16, .eager = eager};
    struct err e = ERR_INIT;
    int rc;

    memset(w, 0, sizeof *w);
    rc = cuda_open(&w->d, act, &o, &e);
    if (rc == -E_UNSUPPORTED)
        skip();
    if (rc)
        fail_msg("%s", e.message);
    world_begin(w, c, BATCH, seed);
}

static inline void open_cuda(struct world *w, enum dtype act, bool eager,
                             const char *model, uint64_t seed)
{
    struct clip_config c = world_config(model);

    open_config(w, act, eager, &c, seed);
}

/* ||a - b|| by ||b||, of all gradients as one vector. */
static inline void compare_norms(const struct world *w, const struct outcome *a,
                                 const struct outcome *b, double limit)
{
    double apart = 0, norm = 0;

    for (int i = 0; i < w->m.store.n; i++) {
        const struct tensor *t = &w->m.store.list[i];

        for (int64_t k = t->at; k < t->at + t->count; k++) {
            apart += (a->numbers[k] - b->numbers[k]) *
                     (a->numbers[k] - b->numbers[k]);
            norm += b->numbers[k] * b->numbers[k];
        }
    }
    print_message("gradient %.3g apart\n", sqrt(apart / norm));
    if (!(apart <= limit * limit * norm))
        fail_msg("the gradient is %.3g from the reference, more than %.3g",
                 sqrt(apart / norm), limit);
}

static inline void check(size_t model, size_t type, size_t way,
                         enum objective what)
{
    struct clip_config c = world_config(models[model]);
    struct outcome got, want;
    struct world w, ref;

    c.objective = what;
    open_config(&w, types[type].act, true, &c, 7);
    world_open(&ref, REF_DOUBLE, &c, BATCH, 7);
    world_run(&ref, &ways[way], &want);
    world_run(&w, &ways[way], &got);
    if (types[type].limit[model] > 0)
        outcome_compare(&ref, &got, &want, types[type].limit[model]);
    else
        compare_norms(&ref, &got, &want, types[type].norm_limit);
    outcome_release(&got);
    outcome_release(&want);
    world_close(&ref);
    world_close(&w);
}

/* One batch's outcome. */
static inline void compute(struct world *w, const struct clip_options *o,
                           const struct clip_batch *b, struct outcome *out)
{
    size_t side = (size_t)w->n * (size_t)w->m.config.embed_dim;
    float *features = calloc(2 * side, sizeof *features);
    struct err e = ERR_INIT;

    assert_non_null(features);
    if (clip_gradients(&w->m, o, b, &out->loss, features, features + side, &e))
        fail_msg("%s", e.message);
    out->numbers = world_numbers(w);
    out->features = calloc(2 * side, sizeof *out->features);
    assert_non_null(out->features);
    dtype_convert(out->features, DTYPE_F64, features, DTYPE_F32, 2 * side);
    free(features);
}

#endif
