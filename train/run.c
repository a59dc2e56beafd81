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
    int log;               /* descriptor, -1 without */
};

struct step {
    uint64_t number; /* from 1 */
    double loss, norm, logit_scale, seconds, waited;
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

    if (!c->log)
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

/* norm and logit_scale are asked for where they are written down; the norm also
 * behind the last step, as no loss follows that would tell of a gradient that
 * is not finite. */
static int one_step(struct run *r, uint64_t i, struct step *s, struct err *e)
{
    uint64_t began = clock_mono_ns(), waited = r->batches.waited_ns;
    struct clip_batch b;
    bool logs = r->log >= 0, last = i + 1 == r->c->steps;
    int rc;

    *s = (struct step){.number = i + 1};
    rc = batches_next(&r->batches, &b, e);
    if (rc)
        return rc;
    s->waited = (double)(r->batches.waited_ns - waited) * 1e-9;
    r->d.flops = 0;
    rc = clip_gradients(&r->m, &r->options, &b, &s->loss, NULL, NULL, e);
    if (!rc && !isfinite(s->loss))
        rc = err_set(e, E_RANGE, "step %llu: the loss is not finite",
                     (unsigned long long)s->number);
    if (!rc)
        rc = optim_step(&r->optim, i, logs || last ? &s->norm : NULL, e);
    if (!rc && logs) {
        store_get(&r->m.store, &r->d, r->m.logit_scale, &s->logit_scale,
                  DTYPE_F64);
        rc = device_check(&r->d, e);
    }
    batches_done(&r->batches);
    s->seconds = (double)(clock_mono_ns() - began) * 1e-9;
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
    sum->waited_s += s->waited;
    if (!i && n > 1)
        return;
    sum->timed++;
    sum->seconds += s->seconds;
    sum->executed += (double)r->d.flops;
    median_add(&r->seconds, s->seconds);
}

static int take_steps(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct step s;
    int rc = 0;

    progress_begin(&r->progress, "train", "images",
                   (uint64_t)c->batch * c->steps);
    for (uint64_t i = 0; !rc && i < c->steps; i++) {
        rc = one_step(r, i, &s, e);
        if (!rc)
            rc = log_step(r, &s, e);
        if (!rc) {
            add_up(r, i, &s);
            say(r, &s);
        }
    }
    progress_end(&r->progress, rc);
    if (!rc) {
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
        rc = clip_plan(&r->m, &r->options, c->batch, e);
    if (rc)
        return rc;
    r->sum->activations = r->d.stack_size;
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
        rc = log_begin(r, e);
    if (!rc)
        rc = take_steps(r, e);
    if (!rc && c->save)
        rc = weights_save(&r->m, WEIGHTS_OPEN_CLIP, c->save, e);
    if (!rc && c->profile)
        rc = take_apart(r, e);
    if (r->log >= 0 && close(r->log) && !rc)
        rc = err_errno(e, E_IO, "write", c->log);
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

int run_train(const struct run_config *c, struct run_summary *s, struct err *e)
{
    struct run r = {.c = c, .sum = s, .log = -1};
    int rc = check_save(c->save, e);

    memset(s, 0, sizeof *s);
    if (rc)
        return rc;
    r.options = c->options;
    r.options.pixels = PIXEL_BYTE;
    rc = open_batches(&r, e);
    if (!rc)
        rc = backend_open(&r.d, c->backend, c->act, &c->device, e);
    if (!rc) {
        backend_describe(&r.d, c->backend, s->device, sizeof s->device);
        rc = train_on(&r, e);
        device_close(&r.d);
    }
    batches_close(&r.batches);
    pairs_release(&r.pairs);
    return rc;
}
