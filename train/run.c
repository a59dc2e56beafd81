#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "train/batches.h"
#include "train/feed.h"
#include "train/flops.h"
#include "train/median.h"
#include "train/profile.h"
#include "train/record.h"
#include "train/weights.h"

/* One that is computed, one that is made or on its way to the device. */
#define BUFFERS 2

/* A run under way. */
struct run {
    const struct run_config *c;
    struct run_summary *sum;
    struct device d;
    struct clip m;
    struct clip_options options; /* c's, of pictures in bytes */
    struct pairs pairs;
    struct optim optim;
    struct feed feed;
    struct batches batches;
    struct progress progress;
    struct median seconds; /* of the steps behind the first */
    struct record record;
    uint64_t begin; /* the first step taken here */
    uint64_t last;  /* steps of the last tenth that were */
};

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
    json_out_end_object(&o);
}

static int begin_record(struct run *r, struct err *e)
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

/* Sigmoid loss has no loss of chance that is the same for all. */
static int find_record(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    const struct record_config record = {
        .folder = c->folder,
        .log = c->log,
        .resume = c->resume,
        .every = c->checkpoint_every,
        .minutes = c->checkpoint_minutes,
        .rules = c->keep,
        .agree = c->settings,
        .seed = c->seed,
        .batch = (uint64_t)c->batch,
        .alarms = {.chance =
                       c->options.loss == LOSS_INFONCE ? log(c->batch) : 0,
                   .begin = c->model.init_logit_scale,
                   .most = OPTIM_LOGIT_SCALE_MAX,
                   .warmup = c->optim.warmup,
                   .spike = c->skip_spikes}};
    int rc = record_find(&r->record, &record, e);

    r->begin = r->record.state.step;
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
    if (!rc)
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

static int one_step(struct run *r, uint64_t i, struct record_step *s,
                    struct err *e)
{
    uint64_t began = clock_mono_ns(), waited = r->batches.waited_ns;
    struct clip_batch b;
    int rc;

    *s = (struct record_step){.number = i + 1,
                              .lr = optim_rate(&r->c->optim, i),
                              .norm = -1,
                              .logit_scale = NAN,
                              .useful = (double)r->sum->useful,
                              .device_bytes =
                                  r->sum->activations + r->sum->weights};
    rc = batches_next(&r->batches, &b, e);
    if (rc)
        return rc;
    s->waited = (double)(r->batches.waited_ns - waited) * 1e-9;
    r->d.flops = 0;
    rc = learn(r, &b, s, e);
    batches_done(&r->batches);
    s->seconds = (double)(clock_mono_ns() - began) * 1e-9;
    return rc;
}

/* The first step's time is left out, unless it is the only one: it meets the
 * libraries' first calls. */
static void add_up(struct run *r, const struct record_step *s)
{
    uint64_t n = r->c->steps, tenth = n / 10 ? n / 10 : 1;
    struct run_summary *sum = r->sum;
    bool first = s->number == r->begin + 1;

    sum->steps++;
    sum->left_out += s->left_out;
    if (first)
        sum->first = s->loss;
    if (s->number > n - tenth) {
        r->last++;
        sum->last += (s->loss - sum->last) / (double)r->last;
    }
    sum->waited_s += s->waited;
    if (first && n > r->begin + 1)
        return;
    sum->timed++;
    sum->seconds += s->seconds;
    sum->executed += (double)r->d.flops;
    median_add(&r->seconds, s->seconds);
}

static bool is_stopped(const struct run *r)
{
    return r->c->stop && atomic_load(r->c->stop);
}

/* Behind a step: written down, and saved where it is time. */
static int settle(struct run *r, const struct record_step *s, struct err *e)
{
    int rc = record_step(&r->record, s, e);

    r->sum->stopped = s->number < r->c->steps && is_stopped(r);
    if (!rc &&
        (r->sum->stopped || s->number == r->c->steps || record_due(&r->record)))
        rc = record_save(&r->record, &r->m, e);
    return rc;
}

static int take_steps(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct record_step s;
    int rc = 0;

    progress_begin(&r->progress, "train", "images",
                   (uint64_t)c->batch * (c->steps - r->begin));
    for (uint64_t i = r->begin; !rc && i < c->steps && !r->sum->stopped; i++) {
        rc = one_step(r, i, &s, e);
        if (!rc)
            rc = settle(r, &s, e);
        if (!rc) {
            add_up(r, &s);
            say(r, &s);
        }
    }
    progress_end(&r->progress, rc);
    if (!rc) {
        if (r->sum->timed)
            r->sum->executed /= (double)r->sum->timed;
        r->sum->median_s = median_of(&r->seconds);
        r->sum->libraries = backend_counted(&r->d, r->c->backend);
    }
    return rc;
}

/* ---- a run ---- */

/* Nobody wants to learn behind the last step that nothing can be written. */
static int check_save(const char *path, struct err *e)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    char folder[IO_PATH_MAX] = ".";
    struct stat s;

    if (!path)
        return 0;
    if (strlen(path) >= sizeof folder)
        return err_set(e, E_RANGE, "a path of %zu bytes", strlen(path));
    if (slash)
        snprintf(folder, sizeof folder, "%.*s",
                 slash == path ? 1 : (int)(slash - path), path);
    if (!stat(path, &s) && S_ISDIR(s.st_mode))
        return err_set(e, E_IO, "write %s: is a folder", path);
    if (!(slash ? slash[1] : *path))
        return err_set(e, E_RANGE, "write \"%s\": not a file's name", path);
    if (stat(folder, &s))
        return err_errno(e, E_IO, "write into", folder);
    if (!S_ISDIR(s.st_mode))
        return err_set(e, E_IO, "write into %s: not a folder", folder);
    return access(folder, W_OK | X_OK)
               ? err_errno(e, E_IO, "write into", folder)
               : 0;
}

static int feed_threads(const struct run_config *c)
{
    long here = sysconf(_SC_NPROCESSORS_ONLN);

    if (c->feed_threads)
        return c->feed_threads;
    /* a GPU leaves the processor free; the other two are on it */
    return c->backend == BACKEND_CUDA && here > 2 ? (int)(here / 2) : 1;
}

/* Before the device, whose libraries have threads of their own: makers may
 * fork. */
static int open_batches(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    const struct batches_config b = {.buffers = BUFFERS,
                                     .n = c->batch,
                                     .size = (int)c->model.vision.image_size,
                                     .context = c->model.text.context_length,
                                     .begin = r->begin,
                                     .end = c->steps + (c->profile != NULL)};
    const struct feed_config f = {.pairs = &r->pairs,
                                  .n = c->batch,
                                  .stride = (uint64_t)c->batch,
                                  .threads = feed_threads(c)};
    struct batch_maker maker;
    int rc = pairs_init(&r->pairs, &c->model, c->seed, c->caption_tokens, e);

    if (!rc)
        rc = batches_open(&r->batches, &b, e);
    if (!rc)
        rc = feed_open(&r->feed, &f, &maker, e);
    if (!rc)
        batches_begin(&r->batches, &maker);
    return rc;
}

static int open_optim(struct run *r, struct err *e)
{
    struct optim_config c = r->c->optim;

    c.leave_out = r->c->skip_spikes > 0;
    return optim_open(&r->optim, &r->m, &c, e);
}

static int prepare(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct clip_options whole = {.loss = c->options.loss};
    int rc = clip_initialise(&r->m, c->seed, e);

    if (!rc)
        rc = flops_of_step(&c->model, &whole, c->batch, &r->sum->useful, e);
    if (!rc)
        rc = open_optim(r, e);
    if (!rc)
        rc = clip_plan(&r->m, &r->options, c->batch, e);
    if (rc)
        return rc;
    r->sum->activations = r->d.stack_size;
    r->sum->weights = store_bytes(&r->m.store);
    return record_load(&r->record, &r->optim, e);
}

/* One more step, op by op. */
static int take_apart(struct run *r, struct err *e)
{
    struct profile *p = xmalloc(sizeof *p);
    struct clip_batch b;
    double loss;
    int rc = profile_begin(p, &r->d, e);

    if (!rc) {
        rc = batches_next(&r->batches, &b, e);
        if (!rc)
            rc = clip_gradients(&r->m, &r->options, &b, &loss, NULL, NULL, e);
        if (!rc)
            rc = optim_step(&r->optim, r->c->steps, NULL, e);
        profile_end(p, &r->d);
    }
    if (!rc)
        profile_print(p, r->c->profile);
    free(p);
    return rc;
}

static int train(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    int rc = prepare(r, e);

    if (!rc)
        rc = begin_record(r, e);
    if (!rc)
        rc = take_steps(r, e);
    if (!rc && c->save && !r->sum->stopped)
        rc = weights_save(&r->m, WEIGHTS_OPEN_CLIP, c->save, e);
    if (!rc && c->profile && !r->sum->stopped)
        rc = take_apart(r, e);
    if (r->optim.m)
        optim_close(&r->optim);
    return rc;
}

/* On a device that stands: a model, and steps of it. */
static int train_on(struct run *r, struct err *e)
{
    int rc = clip_open(&r->m, &r->d, &r->c->model,
                       r->c->half_moments ? STORE_TRAIN_HALF : STORE_TRAIN, e);

    if (rc)
        return rc;
    batches_pin(&r->batches, &r->d);
    median_init(&r->seconds, r->c->steps);
    rc = train(r, e);
    median_release(&r->seconds);
    clip_close(&r->m);
    batches_unpin(&r->batches);
    return rc;
}

/* Batches, a device for them. */
static int train_all(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    int rc = open_batches(r, e);

    if (!rc)
        rc = backend_open(&r->d, c->backend, c->act, &c->device, e);
    if (!rc) {
        backend_describe(&r->d, c->backend, r->sum->device,
                         sizeof r->sum->device);
        rc = train_on(r, e);
        device_close(&r->d);
    }
    batches_close(&r->batches);
    pairs_release(&r->pairs);
    return rc;
}

int run_train(const struct run_config *c, struct run_summary *s, struct err *e)
{
    struct run r = {.c = c, .sum = s};
    int rc = check_save(c->save, e);

    memset(s, 0, sizeof *s);
    if (rc)
        return rc;
    r.options = c->options;
    r.options.pixels = PIXEL_BYTE;
    rc = find_record(&r, e);
    if (!rc && r.begin >= c->steps)
        log_event("resume", "%s: all %llu steps have been taken",
                  r.record.found, (unsigned long long)c->steps);
    else if (!rc)
        rc = train_all(&r, e);
    s->begin = r.begin;
    return record_close(&r.record, rc, e);
}
