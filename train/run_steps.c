#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "train/run_private.h"

/* What a person watching wants to know. */
static void say(struct run *r, const struct record_step *s)
{
    char loss[32] = "not finite";

    if (isfinite(s->loss))
        snprintf(loss, sizeof loss, "%.4f", s->loss);
    progress_note(&r->progress,
                  "step %llu, loss %s, waited %.0f%%, %.1f GiB, %.4g TFLOP/s",
                  (unsigned long long)s->number, loss,
                  s->seconds > 0 ? 100 * s->waited / s->seconds : 0,
                  (double)s->device_bytes * 0x1p-30,
                  s->seconds > 0 ? s->useful / s->seconds * 1e-12 : 0);
    progress_add(&r->progress, (uint64_t)r->c->batch);
}

/* Asked for while the device computes the batch before. */
static const struct clip_batch *next_batch(void *ctx)
{
    struct run *r = ctx;

    if (r->batches.next == r->batches.c.end)
        return NULL;
    r->late = batches_next(&r->batches, &r->next, &r->late_why);
    return r->late ? NULL : &r->next;
}

int run_take_batch(struct run *r, struct clip_batch *b, struct err *e)
{
    int rc = r->late;

    if (rc)
        err_set(e, -rc, "%s", r->late_why.message);
    else if (!r->next.n)
        rc = batches_next(&r->batches, &r->next, e);
    *b = r->next;
    b->next = next_batch;
    b->ctx = r;
    r->next.n = 0;
    return rc;
}

/* What is not finite, loss or gradient, ends the run; or is left out, so many
 * times in a row. */
static int check_finite(const struct run *r, const struct record_step *s,
                        struct err *e)
{
    unsigned long long number = s->number;
    bool norm = s->norm < 0 || isfinite(s->norm);

    if (isfinite(s->loss) && norm)
        return 0;
    if (!r->optim.c.leave_out)
        return err_set(e, E_RANGE, "step %llu: the loss is not finite", number);
    if (r->record.state.alarms.not_finite < ALARM_NOT_FINITE_MOST)
        return 0;
    return err_set(e, E_RANGE,
                   "step %llu: the loss or the gradient is not finite, and %d "
                   "steps before it were left out for that; look at the "
                   "learning rate and at the precision",
                   number, ALARM_NOT_FINITE_MOST);
}

/* norm and logit_scale are asked for where they are written down or decide; the
 * norm also behind the last step, as no loss follows that would tell of a
 * gradient that is not finite. */
static int learn(struct run *r, const struct clip_batch *b,
                 struct record_step *s, struct err *e)
{
    struct optim *o = &r->optim;
    bool last = s->number == r->c->steps;
    bool asks = record_wants(&r->record) || last || o->c.leave_out;
    int rc;

    optim_keep(o);
    rc = clip_gradients(&r->m, &r->options, b, &s->loss, NULL, NULL, e);
    if (rc) /* the others may wait for what this rank did not send */
        return ranks_abort(&r->ranks, rc, e);
    rc = check_finite(r, s, e);
    if (rc)
        return rc;
    if (!isfinite(s->loss)) {
        optim_leave(o);
        s->left_out = true;
        return device_check(&r->d, e);
    }
    o->limit = alarm_limit(&r->record.c.alarms, &r->record.state.alarms);
    rc = optim_step(o, s->number - 1, asks ? &s->norm : NULL, e);
    s->left_out = o->left_out;
    if (asks)
        s->logit_scale = o->logit_scale;
    return rc ? rc : check_finite(r, s, e);
}

/* In front of a step, and behind the last one: the executed operations are
 * those of the step before.  All stop when one of them is asked to. */
static int meet(struct run *r, double *waited, int rc, struct err *e)
{
    bool stop = r->c->stop && atomic_load(r->c->stop);
    struct ranks_state state = {*waited, (double)r->d.flops, stop, r->unfed};

    rc = ranks_meet(&r->ranks, &r->d, &state, rc, e);
    *waited = state.waited;
    r->sum->waited_s += state.waited;
    if (r->taken > 1 || (r->taken && r->c->steps == r->begin + 1))
        r->sum->executed += state.flops;
    r->d.flops = 0; /* told */
    r->unfed = state.unfed;
    r->sum->stopped = state.stop && r->begin + r->taken < r->c->steps;
    return rc;
}

/* The ranks meet when all have their pairs, or know that they get none: then
 * the steps end for all, and whoever had none says why behind them. */
static int one_step(struct run *r, uint64_t i, struct record_step *s,
                    struct err *e)
{
    uint64_t began = clock_mono_ns();
    double stood = device_stood(&r->d);
    struct clip_batch b;
    int rc, fed;

    *s = (struct record_step){.number = i + 1,
                              .lr = optim_rate(&r->c->optim, i),
                              .norm = -1,
                              .logit_scale = NAN,
                              .useful = (double)r->sum->useful,
                              .device_bytes =
                                  r->sum->activations + r->sum->weights};
    fed = run_take_batch(r, &b, e);
    r->unfed = fed != 0;
    s->waited = (double)(r->batches.waited_ns - r->waited_ns) * 1e-9;
    r->waited_ns = r->batches.waited_ns;
    rc = meet(r, &s->waited, 0, e);
    if (rc || r->unfed || r->sum->stopped)
        return rc ? rc : fed;
    rc = learn(r, &b, s, e);
    if (!rc) /* else its copies may still be on their way */
        batches_done(&r->batches);
    s->upload = device_stood(&r->d) - stood;
    s->seconds = (double)(clock_mono_ns() - began) * 1e-9;
    r->taken++;
    return rc;
}

/* The first step's time is left out, unless it is the only one: it meets the
 * libraries' first calls. */
static void add_up(struct run *r, const struct record_step *s)
{
    uint64_t n = r->c->steps, tenth = n / 10 ? n / 10 : 1;
    struct run_summary *sum = r->sum;

    sum->steps = r->taken;
    sum->left_out += s->left_out;
    if (r->taken == 1)
        sum->first = s->loss;
    if (s->number > n - tenth) {
        r->last++;
        sum->last += (s->loss - sum->last) / (double)r->last;
    }
    sum->upload_s += s->upload;
    if (r->taken == 1 && n > r->begin + 1)
        return;
    sum->timed++;
    sum->seconds += s->seconds;
    median_add(&r->seconds, s->seconds);
}

static void sum_up_load(struct run *r)
{
    struct run_summary *s = r->sum;
    struct json_out o;
    struct buf b;

    loader_of_all(r->loader, &s->load);
    s->workers = loader_workers(r->loader);
    buf_init(&b, sizeof s->replaced - 1);
    json_out_init(&o, &b);
    loader_reasons_json(r->loader, &o);
    snprintf(s->replaced, sizeof s->replaced, "%s", b.rc || !b.p ? "{}" : b.p);
    buf_release(&b);
}

/* What loading the step's pairs cost. */
static void put_load(struct run *r, struct record_step *s)
{
    struct json_out o;
    struct load load;

    if (!r->loader || !record_wants(&r->record))
        return;
    loader_of_step(r->loader, s->number - 1, &load);
    buf_clear(&r->load);
    json_out_init(&o, &r->load);
    load_json(&load, &o);
    s->stages = buf_str(&r->load);
}

/* The model as it stands behind step `number`, of pixels that are not sent
 * ahead: the next batch's may be on their way.  Its operations are no step's.
 * The first evaluation fails for how it was asked for, and ends the run.  A
 * later one fails for what became of its data since: not worth a run. */
static int ask(struct run *r, uint64_t number, struct err *e)
{
    struct record_eval list[RECORD_EVALS_MAX];
    struct err why = ERR_INIT;
    struct clip_options o = r->options;
    uint64_t began = clock_mono_ns(), flops = r->d.flops;
    double metric;
    size_t n = 0;
    int rc;

    o.ranks = NULL;
    o.ahead = false;
    rc = r->c->eval.ask(r->c->eval.ctx, &r->m, &o, list, &n, &metric, &why);
    r->d.flops = flops;
    r->sum->eval_s += (double)(clock_mono_ns() - began) * 1e-9;
    if (rc && r->sum->evals && !r->d.rc) {
        log_event("warning", "not evaluated behind step %llu: %s",
                  (unsigned long long)number, why.message);
        return 0;
    }
    if (rc)
        return err_set(e, -rc, "%s", why.message);
    if (!r->sum->evals++ || metric > r->sum->best) {
        r->sum->best = metric;
        r->sum->best_step = number;
    }
    r->sum->metric = metric;
    log_event("eval", "behind step %llu: %s %.4f", (unsigned long long)number,
              n ? list[0].name : "metric", n ? list[0].value : metric);
    return record_eval(&r->record, list, n, metric, e);
}

static bool asks(const struct run *r, uint64_t number)
{
    const struct run_eval *v = &r->c->eval;

    return r->writes && v->ask &&
           (number == r->c->steps || (v->every && number % v->every == 0));
}

/* A step, written down, and saved where it is time; the others wait at the next
 * meeting. */
static int go_on(struct run *r, uint64_t i, struct err *e)
{
    struct record_step s;
    int rc = one_step(r, i, &s, e), asked = 0;
    bool due;

    if (rc || r->unfed || r->sum->stopped)
        return rc;
    put_load(r, &s);
    rc = record_step(&r->record, &s, e);
    due = s.number == r->c->steps || record_due(&r->record);
    if (!rc && asks(r, s.number)) {
        asked = ask(r, s.number, e);
        due = true;
    }
    if (!rc && due && !r->d.rc) /* also what could not be evaluated */
        rc = record_save(&r->record, &r->m, asked ? NULL : e);
    if (asked || rc)
        return asked ? asked : rc;
    add_up(r, &s);
    if (r->writes)
        say(r, &s);
    return 0;
}

static void sum_up(struct run *r)
{
    struct run_summary *s = r->sum;

    if (s->timed)
        s->executed /= (double)s->timed;
    s->median_s = median_of(&r->seconds);
    s->fast_s = median_share(&r->seconds, 0.1);
    s->slow_s = median_share(&r->seconds, 0.9);
    s->libraries = backend_counted(&r->d, r->c->backend);
    if (r->loader)
        sum_up_load(r);
}

/* Said before the ranks part: who starts them may end all when one ends. */
static int stop(struct run *r, struct err *e)
{
    int rc = record_save(&r->record, &r->m, e);

    if (!rc && r->writes)
        log_event("stopped", "on request, behind step %llu",
                  (unsigned long long)r->record.state.step);
    return rc;
}

/* Pairs are missing, a shard is gone or has changed: what was learned from the
 * others is whole, and there is going on from it once they are back. */
static void keep(struct run *r)
{
    struct err why = ERR_INIT;
    uint64_t saved = r->record.saved, step = r->record.state.step;
    int rc = record_save(&r->record, &r->m, &why);

    if (rc)
        log_event("warning", "no checkpoint behind step %llu: %s",
                  (unsigned long long)step, why.message);
    else if (r->record.saved != saved)
        log_event("stopped",
                  "behind step %llu, with a checkpoint; --resume goes on from "
                  "there",
                  (unsigned long long)step);
}

int run_take_steps(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    double waited = 0;
    int rc = 0;

    if (r->writes)
        progress_begin(&r->progress, "train", "images",
                       (uint64_t)c->batch * (c->steps - r->begin));
    for (uint64_t i = r->begin;
         !rc && i < c->steps && !r->unfed && !r->sum->stopped; i++)
        rc = go_on(r, i, e);
    /* A Ctrl-C reaches what makes pairs, too: that a batch failed then is no
     * failure of the run. */
    if (r->sum->stopped)
        rc = stop(r, e);
    else if (r->unfed)
        keep(r);
    rc = meet(r, &waited, rc, e);
    if (r->writes)
        progress_end(&r->progress, rc);
    if (!rc)
        sum_up(r);
    return rc;
}
