#include "tools/train_eval.h"

#include "train/dataset.h"

static int ask(void *ctx, struct clip *m, const struct clip_options *o,
               struct record_eval *list, size_t *n, double *metric,
               struct err *e)
{
    struct train_eval *t = ctx;
    int rc = evaluator_run(&t->v, m, o, t->tokenizer, NULL, metric, e);

    if (!rc)
        *n = evaluator_numbers(&t->v, list);
    return rc;
}

int train_eval_open(struct train_eval *t, const struct train_eval_options *o,
                    struct run_config *c, struct err *e)
{
    int share = c->batch / (c->launch.size > 1 ? c->launch.size : 1);
    int chunk = c->options.chunk;
    const struct evaluator_config v = {
        .task = EVALUATE_AUTO,
        .data = o->data,
        .classnames = o->classnames,
        .templates = o->templates,
        .caption_key = o->caption_key,
        .size = (uint32_t)c->model.vision.image_size,
        .objective = c->model.objective,
        .batch = chunk > 0 && chunk < share ? chunk
                 : share > 0                ? share
                                            : 1,
        .workers = c->workers,
        .threads = (unsigned)c->device.threads};
    int rc;

    *t = (struct train_eval){0};
    if (!o->data) {
        if (o->classnames || o->templates || o->caption_key)
            return err_set(e, E_USAGE,
                           "--eval-...: of which data? --eval SPEC");
        return 0;
    }
    if (!c->data)
        return err_set(e, E_USAGE,
                       "--eval %s: generated captions have no vocabulary",
                       o->data);
    if (c->launch.rank)
        return 0;
    rc = evaluator_open(&t->v, &v, e);
    if (!rc)
        rc = evaluator_try(&t->v, e); /* not only behind --eval-every steps */
    if (rc)
        return rc;
    t->tokenizer = c->data->tokenizer;
    c->eval = (struct run_eval){ask, t, o->every};
    return 0;
}

void train_eval_close(struct train_eval *t)
{
    evaluator_close(&t->v);
    *t = (struct train_eval){0};
}
