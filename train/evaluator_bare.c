/* A build that reads no shards evaluates nothing (train/evaluator.h). */
#include "train/evaluator.h"

int evaluator_open(struct evaluator *v, const struct evaluator_config *c,
                   struct err *e)
{
    *v = (struct evaluator){.c = *c};
    return err_set(e, E_UNSUPPORTED,
                   "%s: this build has no part that reads shards", c->data);
}

void evaluator_close(struct evaluator *v)
{
    *v = (struct evaluator){0};
}

int evaluator_try(struct evaluator *v, struct err *e)
{
    return err_set(e, E_UNSUPPORTED, "%s: not read by this build", v->c.data);
}

int evaluator_run(struct evaluator *v, struct clip *m,
                  const struct clip_options *o, const struct tokenizer *t,
                  struct zeroshot_cache *cache, double *metric, struct err *e)
{
    (void)m;
    (void)o;
    (void)t;
    (void)cache;
    *metric = 0;
    return err_set(e, E_UNSUPPORTED, "%s: not read by this build", v->c.data);
}

size_t evaluator_numbers(const struct evaluator *v,
                         struct record_eval list[RECORD_EVALS_MAX])
{
    (void)v;
    (void)list;
    return 0;
}
