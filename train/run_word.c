#include "train/run_word.h"

#include <string.h>

#include "base/version.h"

/* What all ranks must mean alike: names and numbers. */
static const char *const settings[] = {
    "version",
    "model",
    "--batch",
    "--steps",
    "--seed",
    "--device",
    "--precision",
    "--chunk",
    "--bn-batch",
    "--packed",
    "--reduce",
    "--recompute",
    "--loss",
    "--caption-tokens",
    "optimiser",
    "--profile",
    "--moments",
    "--tune",
    "what the shards hold",
    "--skip-spikes",
    "the checkpoint's step",
    "--init",
};

void run_word(const struct run_config *c, uint64_t begin, struct agreement *a)
{
    const struct clip_options *o = &c->options;
    const struct optim_config *p = &c->optim;
    const double rule[] = {p->lr,
                           p->beta1,
                           p->beta2,
                           p->eps,
                           p->decay,
                           p->clip_norm,
                           (double)p->rule,
                           (double)p->warmup,
                           (double)p->total,
                           (double)p->stochastic};
    const uint64_t numbers[] = {
        (uint64_t)c->batch,    c->steps,          c->seed,
        (uint64_t)c->backend,  (uint64_t)c->act,  (uint64_t)o->chunk,
        (uint64_t)o->bn_batch, o->packed,         o->reduce,
        o->recompute,          (uint64_t)o->loss, (uint64_t)c->caption_tokens};
    struct buf model;

    agree_init(&a->word, 0, NULL);
    agree_bytes(&a->word, WITMILL_VERSION, strlen(WITMILL_VERSION));
    buf_init(&model, CONFIG_JSON_MAX);
    clip_config_write(&c->model, &model);
    agree_bytes(&a->word, model.p, model.n);
    buf_release(&model);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        agree_number(&a->word, numbers[i]);
    agree_bytes(&a->word, rule, sizeof rule);
    agree_number(&a->word, c->profile != NULL);
    agree_number(&a->word, c->half_moments);
    agree_number(&a->word, c->device.tune);
    agree_number(&a->word, c->data ? c->data->mark : 0);
    agree_bytes(&a->word, &c->skip_spikes, sizeof c->skip_spikes);
    agree_number(&a->word, begin);
    agree_bytes(&a->word, c->init ? c->init : "",
                c->init ? strlen(c->init) : 0);
    a->names = settings;
    a->gpus = c->backend == BACKEND_CUDA;
}
