#include "tools/train_setup.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/image.h"
#include "base/log.h"

#define WARMUP 2000 /* steps, as published */

/* A name that there is not is told as an option that is not. */
static int find_model(struct clip_config *c, const char *name, struct err *e)
{
    struct err why = ERR_INIT;

    return clip_config_find(c, name, &why)
               ? err_set(e, E_USAGE, "--model: %s", why.message)
               : 0;
}

static int read_model(struct clip_config *c, const struct train_options *t,
                      struct err *e)
{
    struct buf b;
    int rc;

    if (!str_ends(str_of(t->model), STR(".json")))
        rc = find_model(c, t->model, e);
    else {
        buf_init(&b, CONFIG_JSON_MAX);
        rc = io_read_file(t->model, &b, e);
        if (!rc)
            rc = clip_config_parse(c, buf_str(&b), t->model, e);
        buf_release(&b);
    }
    if (!rc && t->objective)
        c->objective = (enum objective)t->objective;
    if (!rc && t->loss == LOSS_SIGMOID && !c->logit_bias) {
        c->logit_bias = true; /* as Zhai et al. 2023 begin */
        c->init_logit_bias = -10;
        c->init_logit_scale = log(10);
    }
    return rc;
}

static void optimiser(struct optim_config *o, const struct train_options *t,
                      const struct clip_config *model, uint64_t steps)
{
    uint64_t tenth = steps / 10;

    optim_defaults(o, model);
    o->total = steps;
    o->rule = (enum decay_rule)t->rule;
    o->decay = t->decay;
    o->clip_norm = t->clip_norm;
    o->stochastic = t->stochastic;
    o->warmup = t->warmup ? t->warmup : tenth < WARMUP ? tenth : WARMUP;
    o->lr = t->lr > 0 ? t->lr : o->lr;
    o->beta1 = t->beta1 > 0 ? t->beta1 : o->beta1;
    o->beta2 = t->beta2 > 0 ? t->beta2 : o->beta2;
    o->eps = t->eps > 0 ? t->eps : o->eps;
}

static void fill(struct run_config *c, const struct train_options *t)
{
    c->backend = (enum backend)t->device;
    c->device.threads = (int)t->threads;
    c->device.tune = t->tune;
    c->act = t->precision ? DTYPE_BF16 : DTYPE_F32;
    c->options = (struct clip_options){.chunk = (int)t->chunk,
                                       .bn_batch = (int)t->bn_batch,
                                       .packed = t->packed,
                                       .reduce = t->reduce,
                                       .recompute = t->recompute,
                                       .loss = (enum loss_kind)t->loss};
    c->half_moments = t->moments == 1;
    c->batch = (int)t->batch;
    c->seed = t->seed;
    c->caption_tokens = (int)t->caption_tokens;
    c->feed_threads = (int)t->feed_threads;
    c->init = t->init;
    c->log = t->log;
    c->save = t->save;
    c->resume = t->resume;
    c->checkpoint_every = t->checkpoint_every;
    c->checkpoint_minutes = t->checkpoint_minutes;
    c->keep = (struct checkpoint_rules){t->keep, t->keep_every};
    c->skip_spikes = t->skip_spikes;
}

/* A rank's own share of the processors, where nobody has bound it to some. */
static int threads_of(const struct launch *l)
{
    long all = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t mine;

    if (l->here < 2 || sched_getaffinity(0, sizeof mine, &mine) ||
        CPU_COUNT(&mine) < all)
        return 0;
    return all > l->here ? (int)(all / l->here) : 1;
}

/* Which GPU, which processors. */
static int place(struct run_config *c, const struct train_options *t,
                 struct err *e)
{
    uint64_t gpu = (uint64_t)c->launch.gpu;

    if (t->gpu && c->backend != BACKEND_CUDA)
        return err_set(e, E_USAGE, "--gpu %s: --device is %s", t->gpu,
                       backend_names[c->backend]);
    if (t->gpu && (str_u64(str_of(t->gpu), &gpu) || gpu > 1023))
        return err_set(e, E_USAGE, "--gpu %s: not a number from 0 to 1023",
                       t->gpu);
    if (t->gpu && c->launch.here > 1)
        log_event("warning",
                  "rank %d of %d takes GPU %s, as --gpu says, and not the one "
                  "of its number",
                  c->launch.rank, c->launch.size, t->gpu);
    c->device.gpu = (int)gpu;
    if (!c->device.threads)
        c->device.threads = threads_of(&c->launch);
    c->workers = t->data.workers ? (unsigned)t->data.workers
                                 : (unsigned)threads_of(&c->launch);
    return 0;
}

/* --out, or models/NAME of the corpus; "" for none. */
static int name_folder(const struct train_options *t, char out[IO_PATH_MAX],
                       struct err *e)
{
    const char *slash = strrchr(t->model, '/');
    struct str name = str_of(slash ? slash + 1 : t->model);
    int n;

    if (str_ends(name, STR(".json")))
        name = str_slice(name, 0, name.n - 5);
    if (t->out)
        n = snprintf(out, IO_PATH_MAX, "%s", t->out);
    else if (t->data.corpus)
        n = snprintf(out, IO_PATH_MAX, "%s/models/%.*s", t->data.corpus,
                     STR_ARG(name));
    else
        n = out[0] = 0;
    if (n >= IO_PATH_MAX)
        return err_set(e, E_TOOBIG, "--out: path too long");
    if (t->resume && !out[0])
        return err_set(e, E_USAGE,
                       "--resume: of which run? name its folder with --out");
    return 0;
}

static int check_paths(const struct train_options *t, struct err *e)
{
    const struct {
        const char *option, *path;
    } list[] = {{"out", t->out},
                {"log", t->log},
                {"save", t->save},
                {"init", t->init},
                {"vocabulary", t->data.vocabulary}};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].path && !list[i].path[0])
            return err_set(e, E_USAGE, "--%s: an empty name", list[i].option);
    if (t->save && !str_ends(str_of(t->save), STR(".safetensors")))
        return err_set(e, E_USAGE,
                       "--save %s: weights are looked for in files that end in "
                       ".safetensors",
                       t->save);
    return 0;
}

/* Pairs made here show how fast a model learns; shards are there to be learned
 * from, for days, and a corpus has a folder for what comes of it. */
static int check_kept(const struct train_options *t, struct err *e)
{
    if (t->data.generated || t->data.corpus || t->out || t->save || t->log ||
        t->profile)
        return 0;
    return err_set(e, E_USAGE,
                   "nothing of this run would be kept: --out FOLDER for a run "
                   "that can go on, or --save FILE for its weights alone");
}

int train_setup_check(const struct train_options *t, struct err *e)
{
    int rc = train_data_check(&t->data, e);

    if (!rc)
        rc = check_paths(t, e);
    if (!rc)
        rc = check_kept(t, e);
    if (rc)
        return rc;
    if (t->skip_spikes > 0 && t->skip_spikes < 1)
        return err_set(e, E_USAGE,
                       "--skip-spikes %g: would leave out gradients shorter "
                       "than the median, more than half of all; 1 is the "
                       "least, 0 leaves out none",
                       t->skip_spikes);
    if (t->loss == LOSS_SIGMOID && t->objective)
        return err_set(e, E_USAGE,
                       "--loss sigmoid is contrastive; --objective is %s",
                       objective_names[t->objective]);
    if (t->precision && t->device == BACKEND_REF)
        return err_set(e, E_USAGE,
                       "--precision bf16: --device ref computes in float");
    if (t->stochastic && !t->precision)
        return err_set(e, E_USAGE,
                       "--stochastic: rounds weights to bf16, --precision is "
                       "fp32");
    return 0;
}

/* Alone a pair has nothing to be told from: the loss would be 0.  Groups are
 * those of one process; that those of several are whole is for clip_plan(),
 * where the ranks know of each other. */
static int check_batch(const struct run_config *c, struct err *e)
{
    int n = c->batch, group = c->options.bn_batch, chunk = c->options.chunk;
    bool tells = c->model.objective == OBJECTIVE_CONTRASTIVE;
    bool alone = c->launch.size < 2 && c->model.vision.kind == VISION_RESNET &&
                 group > 0 && group < n;

    if (tells && n < 2)
        return err_set(e, E_USAGE,
                       "--batch %d: a pair is told from the others of its "
                       "batch; 2 are the least",
                       n);
    if (alone && n % group)
        return err_set(e, E_USAGE,
                       "--batch %d is not made of BatchNorm groups of "
                       "--bn-batch %d; choose a multiple",
                       n, group);
    if (alone && chunk > 0 && chunk < n && chunk % group)
        return err_set(e, E_USAGE,
                       "--chunk %d splits BatchNorm groups of --bn-batch %d; "
                       "choose a multiple",
                       chunk, group);
    return 0;
}

int train_setup(struct run_config *c, const struct train_options *t,
                char folder[IO_PATH_MAX], struct dataset *d,
                struct train_eval *v, struct err *e)
{
    bool own = str_ends(str_of(t->model), STR(".json"));
    int rc = read_model(&c->model, t, e);

    fill(c, t);
    if (!rc)
        rc = check_batch(c, e);
    if (!rc)
        rc = place(c, t, e);
    if (!rc)
        rc = name_folder(t, folder, e);
    if (!rc && !t->data.generated) {
        rc = train_data_open(&t->data, t->seed, t->batch, &c->model, own, d, e);
        c->data = d;
#ifndef WITMILL_TRAIN_ONLY /* which has no codecs */
        c->put_libraries = image_libraries;
#endif
    }
    if (!rc)
        rc = train_data_steps(&t->data, c->data, t->batch, &c->steps, e);
    if (rc)
        return rc;
    c->folder = folder[0] ? folder : NULL;
    optimiser(&c->optim, t, &c->model, c->steps);
    if (c->caption_tokens > c->model.text.context_length)
        c->caption_tokens = c->model.text.context_length;
    return train_eval_open(v, &t->eval, c, e);
}
