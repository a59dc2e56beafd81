#include "train/run.h"

#include <fcntl.h>
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
#include "base/mem.h"
#include "base/progress.h"
#include "train/batches.h"
#include "train/feed.h"
#include "train/flops.h"
#include "train/median.h"
#include "train/profile.h"
#include "train/ranks.h"
#include "train/run_word.h"
#include "train/weights.h"

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
    struct loader *loader; /* of a dataset, or NULL; the ring's to close */
    struct batches batches;
    uint64_t waited_ns;     /* of the batches', told with a step already */
    struct clip_batch next; /* that was asked for ahead; n is 0: none */
    int late;               /* why it could not be had, ... */
    struct err late_why;    /* ... to be said when its turn comes */
    struct progress progress;
    struct median seconds; /* of the steps behind the first */
    uint64_t taken;        /* steps */
    int log;               /* descriptor, -1 without */
};

struct step {
    uint64_t number; /* from 1 */
    double loss, norm, logit_scale, seconds, waited, upload;
};

/* ---- the log ---- */

static int log_line(const struct run *r, const struct buf *line, struct err *e)
{
    if (line->rc)
        return err_set(e, -line->rc, "%s: a line", r->c->log);
    return io_write_full(r->log, line->p, line->n, r->c->log, e);
}

static int log_begin(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct json_out o;
    struct buf b;
    int rc;

    if (!c->log || !r->writes)
        return 0;
    r->log = open(c->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (r->log < 0)
        return err_errno(e, E_IO, "write", c->log);
    buf_init(&b, 1 << 16);
    json_out_init(&o, &b);
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
    buf_add_char(&b, '\n');
    rc = log_line(r, &b, e);
    buf_release(&b);
    return rc;
}

static int log_step(struct run *r, const struct step *s, struct err *e)
{
    struct json_out o;
    struct buf b;
    int rc;

    if (r->log < 0)
        return 0;
    buf_init(&b, 4096);
    json_out_init(&o, &b);
    json_out_object(&o);
    json_put_u64(&o, "step", s->number);
    json_put_double(&o, "loss", s->loss);
    json_put_double(&o, "lr", optim_rate(&r->c->optim, s->number - 1));
    json_put_double(&o, "norm", s->norm);
    json_put_double(&o, "logit_scale", s->logit_scale);
    json_put_double(&o, "seconds", s->seconds);
    json_put_double(&o, "waited", s->waited);
    if (r->loader) {
        struct load load;

        loader_of_step(r->loader, s->number - 1, &load);
        json_out_name(&o, "load");
        load_json(&load, &o);
    }
    json_put_double(&o, "upload", s->upload);
    json_out_end_object(&o);
    buf_add_char(&b, '\n');
    rc = log_line(r, &b, e);
    buf_release(&b);
    return rc;
}

/* ---- steps ---- */

/* What a person watching wants to know. */
static void say(struct run *r, const struct step *s)
{
    progress_note(&r->progress, "step %llu, loss %.4f, %.4g TFLOP/s useful",
                  (unsigned long long)s->number, s->loss,
                  s->seconds > 0 ? (double)r->sum->useful / s->seconds * 1e-12
                                 : 0);
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

static int take_batch(struct run *r, struct clip_batch *b, struct err *e)
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

/* norm and logit_scale are asked for where they are written down; the norm also
 * behind the last step, as no loss follows that would tell of a gradient that
 * is not finite. */
static int compute(struct run *r, uint64_t i, const struct clip_batch *b,
                   struct step *s, struct err *e)
{
    bool logs = r->log >= 0, last = i + 1 == r->c->steps;
    int rc;

    r->d.flops = 0;
    rc = clip_gradients(&r->m, &r->options, b, &s->loss, NULL, NULL, e);
    if (rc) /* the others may wait for what this rank did not send */
        return ranks_abort(&r->ranks, rc, e);
    if (!isfinite(s->loss))
        rc = err_set(e, E_RANGE, "step %llu: the loss is not finite",
                     (unsigned long long)s->number);
    if (!rc)
        rc = optim_step(&r->optim, i, logs || last ? &s->norm : NULL, e);
    if (!rc && logs) {
        store_get(&r->m.store, &r->d, r->m.logit_scale, &s->logit_scale,
                  DTYPE_F64);
        rc = device_check(&r->d, e);
    }
    return rc;
}

/* In front of a step, and behind the last one: the executed operations are
 * those of the step before. */
static int meet(struct run *r, double *waited, int rc, struct err *e)
{
    struct ranks_state state = {*waited, (double)r->d.flops};

    rc = ranks_meet(&r->ranks, &r->d, &state, rc, e);
    *waited = state.waited;
    r->sum->waited_s += state.waited;
    if (r->taken > 1 || (r->taken && r->c->steps == 1))
        r->sum->executed += state.flops;
    return rc;
}

/* The ranks meet when all have their pairs, or know that they get none. */
static int one_step(struct run *r, uint64_t i, struct step *s, struct err *e)
{
    uint64_t began = clock_mono_ns();
    double stood = device_stood(&r->d);
    struct clip_batch b;
    int rc;

    *s = (struct step){.number = i + 1};
    rc = take_batch(r, &b, e);
    s->waited = (double)(r->batches.waited_ns - r->waited_ns) * 1e-9;
    r->waited_ns = r->batches.waited_ns;
    rc = meet(r, &s->waited, rc, e);
    if (rc)
        return rc;
    rc = compute(r, i, &b, s, e);
    batches_done(&r->batches);
    s->upload = device_stood(&r->d) - stood;
    s->seconds = (double)(clock_mono_ns() - began) * 1e-9;
    r->taken = i + 1;
    return rc;
}

/* The first step's time is left out, unless it is the only one: it meets the
 * libraries' first calls. */
static void add_up(struct run *r, uint64_t i, const struct step *s)
{
    uint64_t n = r->c->steps, tenth = n / 10 ? n / 10 : 1;
    struct run_summary *sum = r->sum;

    if (!i)
        sum->first = s->loss;
    if (i >= n - tenth)
        sum->last += s->loss / (double)tenth;
    sum->upload_s += s->upload;
    if (!i && n > 1)
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

static int take_steps(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    double waited = 0;
    struct step s;
    int rc = 0;

    if (r->writes)
        progress_begin(&r->progress, "train", "images",
                       (uint64_t)c->batch * c->steps);
    for (uint64_t i = 0; !rc && i < c->steps; i++) {
        rc = one_step(r, i, &s, e);
        if (!rc)
            rc = log_step(r, &s, e);
        if (!rc)
            add_up(r, i, &s);
        if (!rc && r->writes)
            say(r, &s);
    }
    rc = meet(r, &waited, rc, e);
    if (r->writes)
        progress_end(&r->progress, rc);
    if (!rc) {
        r->sum->executed /= (double)r->sum->timed;
        r->sum->median_s = median_of(&r->seconds);
        r->sum->fast_s = median_share(&r->seconds, 0.1);
        r->sum->slow_s = median_share(&r->seconds, 0.9);
        r->sum->libraries = backend_counted(&r->d, r->c->backend);
    }
    if (!rc && r->loader)
        sum_up_load(r);
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

static int open_maker(struct run *r, struct batch_maker *maker, struct err *e)
{
    const struct run_config *c = r->c;
    uint64_t first = (uint64_t)r->share * (uint64_t)r->launch.rank;
    const struct feed_config f = {.pairs = &r->pairs,
                                  .n = r->share,
                                  .first = first,
                                  .stride = (uint64_t)c->batch,
                                  .threads = feed_threads(c)};
    const struct loader_config l = {.data = c->data,
                                    .n = r->share,
                                    .size = (int)c->model.vision.image_size,
                                    .context = c->model.text.context_length,
                                    .first = first,
                                    .stride = (uint64_t)c->batch,
                                    .workers = c->workers};
    int rc;

    if (c->data)
        return loader_open(&r->loader, &l, maker, e);
    rc = pairs_init(&r->pairs, &c->model, c->seed, c->caption_tokens, e);
    return rc ? rc : feed_open(&r->feed, &f, maker, e);
}

/* Before the device, whose libraries have threads of their own: makers may
 * fork.  One batch is computed, one is made, and between the two a GPU has one
 * that is on its way. */
static int open_batches(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    const struct batches_config b = {.buffers = c->data ? BATCHES_MAX
                                                : c->backend == BACKEND_CUDA
                                                    ? 3
                                                    : 2,
                                     .n = r->share,
                                     .size = (int)c->model.vision.image_size,
                                     .context = c->model.text.context_length,
                                     .end = c->steps + (c->profile != NULL)};
    struct batch_maker maker;
    int rc = batches_open(&r->batches, &b, e);

    if (!rc)
        rc = open_maker(r, &maker, e);
    if (!rc)
        batches_begin(&r->batches, &maker);
    return rc;
}

static int prepare(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct clip_options whole = {.loss = c->options.loss};
    int rc = clip_initialise(&r->m, c->seed, e);

    if (!rc)
        rc = flops_of_step(&c->model, &whole, c->batch, &r->sum->useful, e);
    if (!rc)
        rc = optim_open(&r->optim, &r->m, &c->optim, e);
    if (!rc)
        rc = clip_plan(&r->m, &r->options, r->share, e);
    if (rc)
        return rc;
    r->sum->activations = r->d.stack_size + r->d.landing_size;
    r->sum->weights = store_bytes(&r->m.store);
    return 0;
}

/* One more step, op by op. */
static int take_apart(struct run *r, struct err *e)
{
    struct profile *p = xmalloc(sizeof *p);
    struct clip_batch b;
    double loss;
    int rc = profile_begin(p, &r->d, e);

    if (!rc) {
        rc = take_batch(r, &b, e);
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
        rc = log_begin(r, e);
    rc = ranks_meet(&r->ranks, &r->d, NULL, rc, e);
    if (!rc)
        rc = take_steps(r, e);
    if (!rc && c->save)
        rc = save(r, e);
    if (!rc && c->profile)
        rc = take_apart(r, e);
    if (r->log >= 0 && close(r->log) && !rc)
        rc = err_errno(e, E_IO, "write", c->log);
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

    run_word(c, &a);
    rc = ranks_open(&r->ranks, &r->launch, &r->d, &a, rc, e);
    if (rc)
        return rc;
    r->options = c->options;
    r->options.pixels = PIXEL_BYTE;
    r->options.ahead = device_sends(&r->d);
    if (r->launch.size > 1)
        r->options.ranks = &r->ranks.c;
    r->sum->ranks = r->ranks.c.name;
    return train(r, e);
}

int run_train(const struct run_config *c, struct run_summary *s, struct err *e)
{
    struct run r = {.c = c, .sum = s, .log = -1, .launch = c->launch};
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
    return rc;
}
