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
#include "train/flops.h"
#include "train/profile.h"
#include "train/run_private.h"
#include "train/run_word.h"
#include "train/weights.h"

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
                                    .norm = clip_pixel_norm(&c->model),
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
 * that is on its way; of a dataset there are more, as samples differ in what
 * they take. */
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
                                     .begin = r->begin,
                                     .end = c->steps + (c->profile != NULL)};
    struct batch_maker maker;
    int rc = batches_open(&r->batches, &b, e);

    if (!rc)
        rc = open_maker(r, &maker, e);
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

static int load_first(struct run *r, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = checkpoint_find_weights(r->c->init, CHECKPOINT_LAST, path, e);

    return rc ? rc : weights_load(&r->m, path, true, e);
}

static int prepare(struct run *r, struct err *e)
{
    const struct run_config *c = r->c;
    struct clip_options whole = {.loss = c->options.loss};
    bool init = c->init && !r->record.found[0]; /* may be gone by then */
    int rc = init ? load_first(r, e) : clip_initialise(&r->m, c->seed, e);

    if (!rc)
        rc = flops_of_step(&c->model, &whole, c->batch, &r->sum->useful, e);
    if (!rc)
        rc = open_optim(r, e);
    if (!rc)
        rc = clip_plan(&r->m, &r->options, r->share, e);
    if (rc)
        return rc;
    r->sum->activations = r->d.stack_size + r->d.landing_size;
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
        rc = run_take_batch(r, &b, e);
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
        rc = run_begin_record(r, e);
    rc = ranks_meet(&r->ranks, &r->d, NULL, rc, e);
    if (!rc)
        rc = run_take_steps(r, e);
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
        rc = run_find_record(r, e);
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
    r->options.ahead = device_sends(&r->d);
    if (r->launch.size > 1)
        r->options.ranks = &r->ranks.c;
    r->sum->ranks = r->ranks.c.name;
    r->sum->begin = r->begin;
    if (r->writes && r->begin >= c->steps)
        log_event("resume", "%s: all %llu steps have been taken",
                  r->record.found, (unsigned long long)c->steps);
    /* one that was killed behind its last step may not have saved */
    return r->begin < c->steps || c->save || c->profile
               ? train(r, e)
               : record_tidy(&r->record, e);
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
    return run_close_record(&r, rc, e);
}
