#include "train/optim.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "train/op.h"

#define LOGIT_SCALE_MAX 4.6051701859880914 /* ln 100 */

/* Whether a name is the model's, whatever its activation. */
static bool is_model(const char *name, const char *model)
{
    size_t n = strlen(model);

    return !strncmp(name, model, n) &&
           (!name[n] || !strcmp(name + n, "-quickgelu"));
}

void optim_defaults(struct optim_config *c, const struct clip_config *model)
{
    bool resnet = model->vision.kind == VISION_RESNET;
    /* learning rates by model: tables 18-20 of the paper */
    static const struct {
        const char *name;
        double lr;
    } rates[] = {{"RN50x16", 4e-4},
                 {"RN50x64", 3.6e-4},
                 {"ViT-L-14", 4e-4},
                 {"ViT-L-14-336", 2e-5}};

    *c = (struct optim_config){.lr = 5e-4,
                               .beta1 = 0.9,
                               .beta2 = resnet ? 0.999 : 0.98,
                               .eps = resnet ? 1e-8 : 1e-6,
                               .decay = 0.2,
                               .rule = DECAY_PAPER,
                               .warmup = 2000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (is_model(model->name, rates[i].name))
            c->lr = rates[i].lr;
}

double optim_rate(const struct optim_config *c, uint64_t step)
{
    double done, of;

    if (step < c->warmup)
        return c->lr * (double)(step + 1) / (double)c->warmup;
    if (step >= c->total)
        return 0;
    done = (double)(step - c->warmup);
    of = (double)(c->total - c->warmup);
    return 0.5 * c->lr * (1 + cos(M_PI * done / of));
}

bool optim_decays(enum decay_rule rule, const struct tensor *t)
{
    static const char *const words[] = {"bn", "ln", "bias", "logit_scale"};

    if (t->buffer || t->rank < 2)
        return false;
    if (rule == DECAY_RANK)
        return !strstr(t->name, "positional_embedding") &&
               !strstr(t->name, "class_embedding");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(t->name, words[i]))
            return false;
    return true;
}

/* Norm of the whole gradient; what stands between tensors is zero. */
static double gradient_norm(struct clip *m)
{
    struct device *d = m->d;
    size_t mark = device_mark(d);
    double *sum = device_take(d, sizeof *sum);
    double host = 0;

    op_zero(d, &(struct op_zero){.bytes = sizeof *sum, .x = sum});
    op_sumsq(d, &(struct op_sumsq){
                    .n = m->store.parameters, .x = m->store.grad, .out = sum});
    device_get(d, &host, sum, sizeof host);
    device_release(d, mark);
    return sqrt(host);
}

/* Tensors [from, to), neighbours in memory that decay alike, in one op. */
static void adamw(struct clip *m, const struct optim_config *c, uint64_t step,
                  double scale, bool decays, int64_t at, int64_t n)
{
    const struct store *s = &m->store;
    size_t real = (size_t)at * s->real_size;
    bool copy = s->act != s->real;

    op_adamw(m->d, &(struct op_adamw){
                       .n = n,
                       .p = s->real + real,
                       .m = s->m + real,
                       .v = s->v + real,
                       .g = s->grad + real,
                       .copy = copy ? s->act + (size_t)at * s->act_size : NULL,
                       .lr = optim_rate(c, step),
                       .beta1 = c->beta1,
                       .beta2 = c->beta2,
                       .eps = c->eps,
                       .decay = decays ? c->decay : 0,
                       .grad_scale = scale,
                       .t = step + 1});
}

int optim_step(struct clip *m, const struct optim_config *c, uint64_t step,
               double *norm, struct err *e)
{
    const struct store *s = &m->store;
    double scale = 1, length;
    int rc;

    assert(s->grad);
    if (norm || c->clip_norm > 0) {
        length = gradient_norm(m);
        rc = device_check(m->d, e);
        if (rc)
            return rc;
        if (!isfinite(length))
            return err_set(e, E_RANGE, "step %llu: the gradient is not finite",
                           (unsigned long long)step);
        if (c->clip_norm > 0 && length > c->clip_norm)
            scale =
                c->clip_norm / (length + 1e-6); /* torch's clip_grad_norm_ */
        if (norm)
            *norm = length;
    }
    for (int i = 0; i < s->n; i++) {
        const struct tensor *t = &s->list[i];
        int64_t end = t->at + t->count;
        bool decays = optim_decays(c->rule, t);
        int last = i;

        if (t->buffer)
            continue;
        /* padding between tensors is zero in every class and stays so */
        while (last + 1 < s->n && !s->list[last + 1].buffer &&
               s->list[last + 1].at >= end &&
               s->list[last + 1].at - end < STORE_ALIGN &&
               optim_decays(c->rule, &s->list[last + 1]) == decays) {
            last++;
            end = s->list[last].at + s->list[last].count;
        }
        adamw(m, c, step, scale, decays, t->at, end - t->at);
        i = last;
    }
    op_clamp(m->d, &(struct op_clamp){.n = 1,
                                      .low = 0,
                                      .high = LOGIT_SCALE_MAX,
                                      .x = store_real(s, m->logit_scale)});
    return device_check(m->d, e);
}
