#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/version.h"
#include "train/run_private.h"

/* ---- what is written down ---- */

static void put_head(const struct run *r, struct buf *b)
{
    const struct run_config *c = r->c;
    struct json_out o;

    json_out_init(&o, b);
    json_out_object(&o);
    json_put_string(&o, "model", str_of(c->model.name));
    json_put_string(&o, "device", str_of(r->sum->device));
    json_put_string(&o, "precision", str_of(dtype_name(r->d.act)));
    json_put_u64(&o, "ranks", (uint64_t)r->launch.size);
    json_put_u64(&o, "useful_flops", r->sum->useful);
    json_put_u64(&o, "activation_bytes", r->sum->activations);
    json_put_u64(&o, "weight_bytes", r->sum->weights);
    json_out_name(&o, "settings");
    json_out_raw(&o, c->settings.n ? c->settings : STR("{}"));
    json_out_end_object(&o);
}

/* What a curve is equal bit for bit with. */
static void put_made(const struct run *r, struct buf *b)
{
    struct json_out o;

    json_out_init(&o, b);
    json_out_object(&o);
    json_put_string(&o, "device", str_of(r->sum->device));
    json_put_u64(&o, "ranks", (uint64_t)r->launch.size);
    json_put_string(&o, "witmill", STR(WITMILL_VERSION));
    backend_libraries(r->c->backend, &o);
    if (r->c->put_libraries)
        r->c->put_libraries(&o);
    json_out_end_object(&o);
}

int run_begin_record(struct run *r, struct err *e)
{
    struct buf head, made;
    int rc;

    buf_init(&head, RECORD_LINE_MAX);
    buf_init(&made, RECORD_LINE_MAX);
    put_head(r, &head);
    put_made(r, &made);
    rc = head.rc || made.rc
             ? err_set(e, E_TOOBIG, "the settings of a run")
             : record_begin(&r->record, buf_str(&made), buf_str(&head), e);
    buf_release(&head);
    buf_release(&made);
    return rc;
}

/* Settings that the mark of what the shards hold stands for: names of files,
 * which may lie elsewhere when the run goes on. */
static bool is_marked(struct str name)
{
    return str_eq(name, STR("data")) || str_eq(name, STR("vocabulary"));
}

/* The settings, and what the shards hold. */
static int put_agree(struct run *r, struct err *e)
{
    const struct dataset *d = r->c->data;
    struct buf *b = &r->agree;
    struct str name;
    struct json j;

    json_open(&j, r->c->settings.n ? r->c->settings : STR("{}"), NULL);
    json_object(&j);
    buf_add_char(b, '{');
    while (json_member(&j, &name)) {
        struct str value = json_raw(&j);

        if (!d || !is_marked(name))
            buf_addf(b, "%s\"%.*s\":%.*s", b->n > 1 ? "," : "", STR_ARG(name),
                     STR_ARG(value));
    }
    if (d)
        buf_addf(b, "%s\"shards\":\"%llu samples in %llu tars, %016llx\"",
                 b->n > 1 ? "," : "", (unsigned long long)d->samples,
                 (unsigned long long)d->shards, (unsigned long long)d->mark);
    buf_add_char(b, '}');
    return b->rc ? err_set(e, -b->rc, "the settings of a run") : 0;
}

/* Other losses than InfoNCE's have no loss of chance that all have. */
static struct alarm_rules alarm_rules_of(const struct run_config *c)
{
    bool nce = c->options.loss == LOSS_INFONCE &&
               c->model.objective == OBJECTIVE_CONTRASTIVE;

    return (struct alarm_rules){.chance = nce ? log(c->batch) : 0,
                                .begin = c->model.init_logit_scale,
                                .most = OPTIM_LOGIT_SCALE_MAX,
                                .warmup = c->optim.warmup,
                                .spike = c->skip_spikes};
}

int run_find_record(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct record_config record = {.folder = c->folder,
                                   .log = c->log,
                                   .resume = c->resume,
                                   .reads_only = !r->writes,
                                   .every = c->checkpoint_every,
                                   .minutes = c->checkpoint_minutes,
                                   .rules = c->keep,
                                   .seed = c->seed,
                                   .batch = (uint64_t)c->batch,
                                   .alarms = alarm_rules_of(c)};
    int rc;

    buf_init(&r->agree, RECORD_LINE_MAX);
    buf_init(&r->load, RECORD_LINE_MAX);
    rc = put_agree(r, e);
    record.agree = buf_str(&r->agree);
    record.settings = c->settings.n ? c->settings : STR("{}");
    if (c->data) {
        record.epoch = c->data->epoch;
        r->vocabulary = (struct checkpoint_beside){"vocabulary.txt",
                                                   dataset_vocabulary(c->data)};
        record.beside = &r->vocabulary;
        record.beside_n = 1;
    }
    if (rc)
        return rc;
    rc = record_find(&r->record, &record, e);
    r->recorded = true;
    r->begin = r->record.state.step;
    return rc;
}

int run_close_record(struct run *r, int rc, struct err *e)
{
    if (r->recorded)
        rc = record_close(&r->record, rc, e);
    buf_release(&r->agree);
    buf_release(&r->load);
    return rc;
}

/* ---- steps ---- */

/* What a person watching wants to know. */
static void say(struct run *r, const struct record_step *s)
{
    progress_note(&r->progress,
                  "step %llu, loss %.4f, waited %.0f%%, %.1f GiB, %.4g TFLOP/s",
                  (unsigned long long)s->number, s->loss,
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
    struct ranks_state state = {*waited, (double)r->d.flops, stop};

    rc = ranks_meet(&r->ranks, &r->d, &state, rc, e);
    *waited = state.waited;
    r->sum->waited_s += state.waited;
    if (r->taken > 1 || (r->taken && r->c->steps == r->begin + 1))
        r->sum->executed += state.flops;
    r->d.flops = 0; /* told */
    r->sum->stopped = state.stop && r->begin + r->taken < r->c->steps;
    return rc;
}

/* The ranks meet when all have their pairs, or know that they get none. */
static int one_step(struct run *r, uint64_t i, struct record_step *s,
                    struct err *e)
{
    uint64_t began = clock_mono_ns();
    double stood = device_stood(&r->d);
    struct clip_batch b;
    int rc;

    *s = (struct record_step){.number = i + 1,
                              .lr = optim_rate(&r->c->optim, i),
                              .norm = -1,
                              .logit_scale = NAN,
                              .useful = (double)r->sum->useful,
                              .device_bytes =
                                  r->sum->activations + r->sum->weights};
    rc = run_take_batch(r, &b, e);
    s->waited = (double)(r->batches.waited_ns - r->waited_ns) * 1e-9;
    r->waited_ns = r->batches.waited_ns;
    rc = meet(r, &s->waited, rc, e);
    if (rc || r->sum->stopped)
        return rc;
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
    r->sum->evals++;
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
    int rc = one_step(r, i, &s, e);
    bool due;

    if (rc || r->sum->stopped)
        return rc;
    put_load(r, &s);
    rc = record_step(&r->record, &s, e);
    due = s.number == r->c->steps || record_due(&r->record);
    if (!rc && asks(r, s.number)) {
        rc = ask(r, s.number, e);
        due = true;
    }
    if (!rc && due)
        rc = record_save(&r->record, &r->m, e);
    if (rc)
        return rc;
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

int run_take_steps(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    double waited = 0;
    int rc = 0;

    if (r->writes)
        progress_begin(&r->progress, "train", "images",
                       (uint64_t)c->batch * (c->steps - r->begin));
    for (uint64_t i = r->begin; !rc && i < c->steps && !r->sum->stopped; i++)
        rc = go_on(r, i, e);
    /* A Ctrl-C reaches what makes pairs, too: that a batch failed then is no
     * failure of the run. */
    if (r->sum->stopped)
        rc = stop(r, e);
    rc = meet(r, &waited, rc, e);
    if (r->writes)
        progress_end(&r->progress, rc);
    if (!rc)
        sum_up(r);
    return rc;
}
