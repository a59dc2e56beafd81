#include "train/optim.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/adamw.h"
#include "train/op.h"

#define RESTORE_PART (1 << 20) /* numbers on the host at a time */

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

/* ---- a step ---- */

static void square(const struct optim *o)
{
    const struct store *s = &o->m->store;

    op_zero(o->m->d,
            &(struct op_zero){.bytes = sizeof *o->sumsq, .x = o->sumsq});
    op_sumsq(o->m->d, &(struct op_sumsq){
                          .n = s->parameters, .x = s->grad, .out = o->sumsq});
}

static void adamw(const struct optim *o, uint64_t step, const double *sumsq)
{
    const struct store *s = &o->m->store;
    const struct optim_config *c = &o->c;

    op_adamw(o->m->d, &(struct op_adamw){
                          .n = s->parameters,
                          .p = s->real,
                          .m = s->m,
                          .v = s->v,
                          .g = s->grad,
                          .copy = s->act != s->real ? s->act : NULL,
                          .decays = o->decays,
                          .sumsq = sumsq,
                          .lr = optim_rate(c, step),
                          .beta1 = c->beta1,
                          .beta2 = c->beta2,
                          .eps = c->eps,
                          .decay = c->decay,
                          .clip_norm = c->clip_norm,
                          .skip_norm = c->leave_out ? o->limit : 0,
                          .t = step + 1,
                          .rounding = c->stochastic,
                          .half_moments = s->half_moments,
                      });
}

/* What a step tells the host, in one piece: `sumsq` and behind it this. */
static void *scale_told(const struct optim *o)
{
    return o->sumsq + 1;
}

/* All of a step that the device does. */
static void enqueue(const struct optim *o, uint64_t step, bool norm)
{
    const struct clip *m = o->m;
    struct op_clamp clamp = {.n = 1, .low = 0, .high = OPTIM_LOGIT_SCALE_MAX};

    if (norm)
        square(o);
    adamw(o, step, norm ? o->sumsq : NULL);
    clamp.x = store_real(&m->store, m->logit_scale);
    op_clamp(m->d, &clamp);
    if (norm)
        op_copy(m->d, &(struct op_copy){.bytes = (int64_t)m->store.real_size,
                                        .x = clamp.x,
                                        .y = scale_told(o)});
}

/* The running statistics, to where they are kept or back. */
static void copy_statistics(const struct optim *o, bool back)
{
    const struct store *s = &o->m->store;
    char *at = s->real + (size_t)s->parameters * s->real_size;
    int64_t bytes = (s->size - s->parameters) * (int64_t)s->real_size;

    if (o->kept)
        op_copy(o->m->d, &(struct op_copy){.bytes = bytes,
                                           .x = back ? o->kept : at,
                                           .y = back ? at : o->kept});
}

void optim_keep(struct optim *o)
{
    copy_statistics(o, false);
}

void optim_leave(struct optim *o)
{
    copy_statistics(o, true);
}

/* What the device tells behind a step whose norm was taken. */
static double read_told(struct optim *o)
{
    struct device *d = o->m->d;
    double told[2] = {0, 0};

    device_get(d, told, o->sumsq, sizeof told);
    dtype_convert(&o->logit_scale, DTYPE_F64, &told[1], d->real, 1);
    return told[0];
}

int optim_step(struct optim *o, uint64_t step, double *norm, struct err *e)
{
    bool taken = norm || o->c.clip_norm > 0 || o->c.leave_out;
    double sum = 0;
    int rc;

    enqueue(o, step, taken);
    if (taken)
        sum = read_told(o);
    rc = device_check(o->m->d, e);
    if (rc)
        return rc;
    o->left_out = o->c.leave_out &&
                  (!isfinite(sum) || (o->limit > 0 && sqrt(sum) > o->limit));
    if (!isfinite(sum) && !o->left_out)
        return err_set(e, E_RANGE, "step %llu: the gradient is not finite",
                       (unsigned long long)step + 1);
    if (o->left_out)
        optim_leave(o);
    if (norm)
        *norm = sqrt(sum);
    return 0;
}

/* ---- going on ---- */

/* A part of the copy, rounded as op_adamw would have. */
static void round_copy(const struct optim *o, uint64_t applied, int64_t at,
                       int64_t n, float *real, uint16_t *copy)
{
    const struct store *s = &o->m->store;
    const struct op_adamw op = {.t = applied, .rounding = o->c.stochastic};
    uint64_t stream = adamw_stream(&op);

    memset(real, 0, (size_t)n * sizeof *real); /* a get that fails reads none */
    device_get(o->m->d, real, s->real + (size_t)at * sizeof *real,
               (size_t)n * sizeof *real);
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &real[i], sizeof bits);
        bits = adamw_round(bits, adamw_chance(stream, (uint64_t)(at + i)));
        copy[i] = (uint16_t)(bits >> 16);
    }
    device_put(o->m->d, s->act + (size_t)at * sizeof *copy, copy,
               (size_t)n * sizeof *copy);
}

int optim_restore(struct optim *o, uint64_t applied, struct err *e)
{
    struct store *s = &o->m->store;
    struct device *d = o->m->d;
    uint16_t *copy;
    float *real;

    store_refresh(s, d);
    if (!o->c.stochastic || !applied || d->act != DTYPE_BF16)
        return device_check(d, e);
    real = malloc(RESTORE_PART * sizeof *real);
    copy = malloc(RESTORE_PART * sizeof *copy);
    for (int64_t at = 0; real && copy && at < s->parameters;
         at += RESTORE_PART) {
        int64_t left = s->parameters - at;

        round_copy(o, applied, at, left < RESTORE_PART ? left : RESTORE_PART,
                   real, copy);
    }
    if (!real || !copy)
        device_fail(d, E_NOMEM, "no room to round weights");
    free(real);
    free(copy);
    return device_check(d, e);
}

/* ---- opening ---- */

/* Whether each run of numbers decays, on the host; padding goes with the
 * tensor before it, being zero in every class. */
static uint8_t *decay_runs(const struct store *s, enum decay_rule rule)
{
    uint8_t *runs = xcalloc((size_t)(s->parameters / STORE_ALIGN), 1);

    for (int i = 0; i < s->n; i++) {
        const struct tensor *t = &s->list[i];
        size_t n = (size_t)((t->count + STORE_ALIGN - 1) / STORE_ALIGN);

        if (!t->buffer)
            memset(runs + t->at / STORE_ALIGN, optim_decays(rule, t), n);
    }
    return runs;
}

int optim_open(struct optim *o, struct clip *m, const struct optim_config *c,
               struct err *e)
{
    const struct store *s = &m->store;
    size_t n = (size_t)(s->parameters / STORE_ALIGN);
    uint8_t *runs;
    char *block;
    int rc;

    static_assert(STORE_ALIGN == OP_DECAY_RUN, "a run is of one tensor");
    assert(s->grad);
    *o = (struct optim){.m = m, .c = *c};
    block = device_alloc(m->d, DEVICE_ALIGN + n, e);
    if (!block)
        return err_wrap(e, -E_NOMEM, "optimiser");
    o->sumsq = (double *)(void *)block;
    o->decays = (uint8_t *)block + DEVICE_ALIGN;
    if (c->leave_out && s->size > s->parameters) {
        o->kept = device_alloc(
            m->d, (size_t)(s->size - s->parameters) * s->real_size, e);
        if (!o->kept) {
            optim_close(o);
            return err_wrap(e, -E_NOMEM, "statistics, kept");
        }
    }
    runs = decay_runs(s, c->rule);
    device_put(m->d, o->decays, runs, n);
    free(runs);
    device_plan_begin(m->d);
    optim_keep(o);
    enqueue(o, 0, true);
    optim_leave(o);
    rc = device_plan_end(m->d, e); /* what stuck before, too */
    if (rc)
        optim_close(o);
    return rc;
}

void optim_close(struct optim *o)
{
    device_free(o->m->d, o->sumsq);
    device_free(o->m->d, o->kept);
    o->kept = NULL;
    o->sumsq = NULL;
    o->decays = NULL;
}
