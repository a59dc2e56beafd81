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
#include "train/ranks.h"
#include "train/record.h"
#include "train/run_word.h"
#include "train/weights.h"

/* One that is computed, one that is made or on its way to the device. */
#define BUFFERS 2

/* A run under way. */
struct run {
    const struct run_config *c;
    struct run_summary *sum;
    struct device d;
    struct clip m;
    struct clip_options options; /* c's, of pictures in bytes, with ranks */
    struct launch launch;
    struct ranks ranks;
    bool writes; /* rank 0: log, weights, progress */
    int share;   /* pairs of a batch that are this rank's */
    struct pairs pairs;
    struct optim optim;
    struct feed feed;
    struct batches batches;
    struct progress progress;
    struct median seconds; /* of the steps behind the first */
    struct record record;
    bool recorded;  /* it is open */
    uint64_t begin; /* steps taken before */
    uint64_t taken; /* and here; */
    uint64_t last;  /* of the last tenth */
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
        .reads_only = !r->writes,
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

    r->recorded = true;
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
    r->sum->stopped = state.stop && r->begin + r->taken < r->c->steps;
    return rc;
}

/* The ranks meet when all have their pairs, or know that they get none. */
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
    s->waited = (double)(r->batches.waited_ns - waited) * 1e-9;
    rc = meet(r, &s->waited, rc, e);
    if (rc || r->sum->stopped)
        return rc;
    r->d.flops = 0;
    rc = learn(r, &b, s, e);
    batches_done(&r->batches);
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
    if (r->taken == 1 && n > r->begin + 1)
        return;
    sum->timed++;
    sum->seconds += s->seconds;
    median_add(&r->seconds, s->seconds);
}

/* A step, written down, and saved where it is time; the others wait at the next
 * meeting. */
static int go_on(struct run *r, uint64_t i, struct err *e)
{
    struct record_step s;
    int rc = one_step(r, i, &s, e);

    if (rc || r->sum->stopped)
        return rc;
    rc = record_step(&r->record, &s, e);
    if (!rc && (s.number == r->c->steps || record_due(&r->record)))
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
}

static int take_steps(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    double waited = 0;
    int rc = 0;

    if (r->writes)
        progress_begin(&r->progress, "train", "images",
                       (uint64_t)c->batch * (c->steps - r->begin));
    for (uint64_t i = r->begin; !rc && i < c->steps && !r->sum->stopped; i++)
        rc = go_on(r, i, e);
    if (r->sum->stopped)
        rc = record_save(&r->record, &r->m, e);
    rc = meet(r, &waited, rc, e);
    if (r->writes)
        progress_end(&r->progress, rc);
    if (!rc)
        sum_up(r);
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
                                     .n = r->share,
                                     .size = (int)c->model.vision.image_size,
                                     .context = c->model.text.context_length,
                                     .begin = r->begin,
                                     .end = c->steps + (c->profile != NULL)};
    const struct feed_config f = {.pairs = &r->pairs,
                                  .n = r->share,
                                  .first = (uint64_t)r->share *
                                           (uint64_t)r->launch.rank,
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
        rc = clip_plan(&r->m, &r->options, r->share, e);
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
    return rc ? ranks_abort(&r->ranks, rc, e) : 0;
}

/* Rank 0 writes; the others learn how that went. */
static int save(struct run *r, struct err *e)
{
    int rc = 0;

    if (r->writes)
        rc = weights_save(&r->m, WEIGHTS_OPEN_CLIP, r->c->save, e);
    return ranks_meet(&r->ranks, &r->d, NULL, rc, e);
}

static int train(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    int rc;

    batches_pin(&r->batches, &r->d);
    median_init(&r->seconds, c->steps);
    rc = prepare(r, e);
    if (!rc)
        rc = begin_record(r, e);
    rc = ranks_meet(&r->ranks, &r->d, NULL, rc, e);
    if (!rc)
        rc = take_steps(r, e);
    if (!rc && c->save && !r->sum->stopped)
        rc = save(r, e);
    if (!rc && c->profile && !r->sum->stopped)
        rc = take_apart(r, e);
    if (r->optim.m)
        optim_close(&r->optim);
    median_release(&r->seconds);
    batches_unpin(&r->batches);
    return rc;
}

/* What this process can prepare without the others. */
static int open_alone(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    int size = r->launch.size, rc = 0;

    r->share = c->batch / size;
    if (c->batch % size)
        return err_set(e, E_RANGE,
                       "a batch of %d pairs is not shared out evenly among %d "
                       "ranks; %d or %d is",
                       c->batch, size, r->share ? r->share * size : size,
                       (r->share ? r->share + 1 : 2) * size);
    if (r->writes)
        rc = check_save(c->save, e);
    if (!rc)
        rc = find_record(r, e);
    if (!rc)
        rc = open_batches(r, e);
    if (!rc)
        rc = backend_open(&r->d, c->backend, c->act, &c->device, e);
    if (rc)
        return rc;
    backend_describe(&r->d, c->backend, r->sum->device, sizeof r->sum->device);
    return clip_open(&r->m, &r->d, &c->model,
                     c->half_moments ? STORE_TRAIN_HALF : STORE_TRAIN, e);
}

static int run_all(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct agreement a;
    int rc = c->unready ? c->unready : open_alone(r, e);

    run_word(c, r->begin, &a);
    rc = ranks_open(&r->ranks, &r->launch, &r->d, &a, rc, e);
    if (rc)
        return rc;
    r->options = c->options;
    r->options.pixels = PIXEL_BYTE;
    if (r->launch.size > 1)
        r->options.ranks = &r->ranks.c;
    r->sum->ranks = r->ranks.c.name;
    r->sum->begin = r->begin;
    if (r->begin < c->steps)
        return train(r, e);
    if (r->writes)
        log_event("resume", "%s: all %llu steps have been taken",
                  r->record.found, (unsigned long long)c->steps);
    return 0;
}

int run_train(const struct run_config *c, struct run_summary *s, struct err *e)
{
    struct run r = {.c = c, .sum = s, .launch = c->launch};
    int rc;

    memset(s, 0, sizeof *s);
    if (!r.launch.size)
        r.launch = (struct launch){.size = 1, .here = 1, .by = "alone"};
    r.writes = !r.launch.rank;
    rc = run_all(&r, e);
    ranks_close(&r.ranks);
    if (r.m.d)
        clip_close(&r.m);
    if (r.d.ops)
        device_close(&r.d);
    batches_close(&r.batches);
    pairs_release(&r.pairs);
    return r.recorded ? record_close(&r.record, rc, e) : rc;
}
