#include "train/loader.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/loader_private.h"
#include "train/random.h"
#include "train/source.h"

#define WAIT_MS      20 /* for an answer, before looking for new batches */
#define REQUEST_MAX  ((size_t)20 << 20) /* bytes: a picture and what is near */
#define FILES_BESIDE 4 /* times the tars of a window: open at a time, about */

/* ---- samples ---- */

static void take_back(struct loader *l, struct job *j)
{
    pane_drop(j->pane);
    j->pane = NULL;
    j->next = l->free;
    l->free = j;
}

/* Give the sample's picture to a worker, or another's. */
static int submit(struct loader *l, struct job *j, struct err *e)
{
    const char *reason;
    uint64_t began;
    int rc;

    for (;;) {
        rc = sample_read(l, j, &reason, e);
        if (rc || !reason)
            break;
        rc = loader_draw_again(l, j, reason, e);
        if (rc)
            break;
    }
    if (rc)
        return rc;
    began = clock_mono_ns();
    rc = jail_submit(l->jail, buf_str(&l->request), j, e);
    j->batch->ns[STAGE_COPY] += clock_mono_ns() - began;
    l->waiting += !rc;
    return rc;
}

/* The window of a place; the one that its source was in is let go. */
static int enter_pane(struct loader *l, const struct order_place *p,
                      struct pane **pane, struct err *e)
{
    struct pane **now = &l->panes[p->source];
    int rc =
        pane_enter(now, l->c.data->order, &l->c.data->sources[p->source], p, e);

    if (rc)
        return rc;
    *pane = *now;
    pane_hold(*now);
    pane_used(*now, p->at);
    return 0;
}

/* The next position of a batch. */
static int take_up(struct loader *l, struct place *b, struct err *e)
{
    struct job *j = l->free;
    uint64_t began = clock_mono_ns();
    struct order_place p;
    int rc;

    j->batch = b;
    j->i = b->given;
    j->position = b->step * l->c.stride + l->c.first + (uint64_t)b->given;
    j->attempt = j->tried = j->left = 0;
    rc = order_find(l->c.data->order, j->position, &p, e);
    if (!rc)
        rc = enter_pane(l, &p, &j->pane, e);
    b->ns[STAGE_READ] += clock_mono_ns() - began;
    if (rc)
        return rc;
    j->item = j->pane->w.items[p.at];
    l->free = j->next;
    b->given++;
    return submit(l, j, e);
}

/* ---- answers ---- */

static void add_load(struct load *to, const struct load *x)
{
    to->samples += x->samples;
    to->replaced += x->replaced;
    to->bytes += x->bytes;
    to->read += x->read;
    to->tokenise += x->tokenise;
    to->copy += x->copy;
    to->decode += x->decode;
    to->resize += x->resize;
}

static void complete(struct loader *l, struct place *b)
{
    b->load.samples = (uint64_t)l->c.n;
    b->load.read = (double)b->ns[STAGE_READ] * 1e-9;
    b->load.tokenise = (double)b->ns[STAGE_TOKENISE] * 1e-9;
    b->load.copy = (double)b->ns[STAGE_COPY] * 1e-9;
    b->load.decode = (double)b->ns[STAGE_DECODE] * 1e-9;
    b->load.resize = (double)b->ns[STAGE_RESIZE] * 1e-9;
    pthread_mutex_lock(&l->lock);
    b->whole = true;
    pthread_cond_signal(&l->done);
    pthread_mutex_unlock(&l->lock);
}

static int take(struct loader *l, const struct jail_done *done, struct err *e)
{
    struct job *j = done->user;
    struct place *b = j->batch;
    enum image_reason reason;
    const uint8_t *rgb;
    uint64_t began, decode_ns, resize_ns;
    int rc;

    l->waiting--;
    rc = picture_answer(done, (uint32_t)l->c.size, &reason, &rgb);
    if (rc == -E_IO)
        return err_set(e, E_IO, "the processes that decode pictures are gone");
    if (rc) { /* whatever has taken that process over came with this picture */
        reason = IMAGE_CRASHED;
    } else {
        picture_times(done, &decode_ns, &resize_ns);
        b->ns[STAGE_DECODE] += decode_ns;
        b->ns[STAGE_RESIZE] += resize_ns;
    }
    if (reason != IMAGE_OK) {
        rc = loader_draw_again(l, j, image_reason_name(reason), e);
        return rc ? rc : submit(l, j, e);
    }
    began = clock_mono_ns();
    memcpy(b->pixels + (size_t)j->i * l->picture, rgb, l->picture);
    b->ns[STAGE_COPY] += clock_mono_ns() - began;
    take_back(l, j);
    if (--b->left == 0)
        complete(l, b);
    return 0;
}

/* ---- the thread ---- */

/* Is there anything to do?  Waits until there is; false: stop. */
static bool wait_for_work(struct loader *l, uint64_t *started)
{
    bool stop;

    pthread_mutex_lock(&l->lock);
    while (!l->stop && !l->waiting && l->taken == l->started)
        pthread_cond_wait(&l->more, &l->lock);
    *started = l->started;
    stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    return !stop;
}

/* As many samples on their way as there are slots; then take what answers
 * there are, and wait for one only where nothing else can be done. */
static int work(struct loader *l, uint64_t started, struct err *e)
{
    struct jail_done done;
    bool some = false;
    int rc = 0;

    while (!rc && l->taken < started && l->free && jail_free(l->jail)) {
        struct place *b = &l->place[l->taken % BATCHES_MAX];

        rc = take_up(l, b, e);
        if (b->given == l->c.n)
            l->taken++;
        /* a slow disk must not keep finished pictures waiting */
        if (!rc && jail_next(l->jail, &done))
            rc = take(l, &done, e);
    }
    while (!rc && jail_next(l->jail, &done)) {
        some = true;
        rc = take(l, &done, e);
    }
    if (!rc && !some && l->waiting && jail_wait(l->jail, WAIT_MS, &done))
        rc = take(l, &done, e);
    return rc;
}

static void *run(void *arg)
{
    struct loader *l = arg;
    struct err e = ERR_INIT;
    uint64_t started;
    int rc = 0;

    while (!rc && wait_for_work(l, &started))
        rc = work(l, started, &e);
    pthread_mutex_lock(&l->lock);
    l->rc = rc;
    l->err = e;
    pthread_cond_signal(&l->done);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- the maker ---- */

static void start(void *ctx, uint64_t step, uint8_t *pixels, int32_t *ids)
{
    struct loader *l = ctx;

    pthread_mutex_lock(&l->lock);
    l->place[l->started % BATCHES_MAX] = (struct place){
        .step = step, .pixels = pixels, .ids = ids, .left = l->c.n};
    l->started++;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
}

static int finish(void *ctx, uint64_t step, struct err *e)
{
    struct loader *l = ctx;
    struct place *b = &l->place[l->finished % BATCHES_MAX];
    int rc = 0;

    assert(b->step == step);
    pthread_mutex_lock(&l->lock);
    while (!b->whole && !l->rc)
        pthread_cond_wait(&l->done, &l->lock);
    if (b->whole) {
        l->kept[step % LOADER_KEPT] = b->load;
        add_load(&l->all, &b->load);
        l->finished++;
    } else
        rc = err_set(e, -l->rc, "%s", l->err.message);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

static void stop(struct loader *l)
{
    if (!l->running)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    l->running = false;
}

static void close_loader(void *ctx)
{
    struct loader *l = ctx;

    stop(l);
    jail_close(l->jail); /* drops what was asked of it */
    for (unsigned i = 0; l->jobs && i < l->slots; i++)
        pane_drop(l->jobs[i].pane);
    for (size_t i = 0; l->panes && i < 2 * l->c.data->n; i++)
        pane_drop(l->panes[i]);
    free(l->jobs);
    free(l->panes);
    picture_scratch_release(&l->scratch);
    texts_release(&l->texts);
    tokenizer_scratch_release(&l->tokens);
    buf_release(&l->request);
    buf_release(&l->members);
    tally_release(&l->reasons);
    pthread_cond_destroy(&l->more);
    pthread_cond_destroy(&l->done);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* ---- opening ---- */

static void init(struct loader *l, const struct loader_config *c)
{
    const struct dataset *d = c->data;

    l->c = *c;
    l->picture = picture_bytes((uint32_t)c->size);
    l->crop = random_stream(d->c.seed, STR("crop"));
    l->text = random_stream(d->c.seed, STR("text"));
    l->again = random_stream(d->c.seed, STR("again"));
    l->scratch = (struct picture_scratch)PICTURE_SCRATCH_INIT;
    l->panes = xcalloc(2 * d->n, sizeof *l->panes);
    texts_init(&l->texts, d->c.texts, d->c.caption_key);
    tokenizer_scratch_init(&l->tokens);
    buf_init(&l->request, REQUEST_MAX);
    buf_init(&l->members, REQUEST_MAX);
    tally_init(&l->reasons);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    pthread_cond_init(&l->done, NULL);
    io_allow_files(FILES_BESIDE * d->n * d->c.window);
}

/* Those that this process may use: a rank can be bound to its share. */
static unsigned processors(void)
{
    cpu_set_t mine;

    if (sched_getaffinity(0, sizeof mine, &mine))
        return 1;
    return (unsigned)CPU_COUNT(&mine);
}

static int open_jail(struct loader *l, struct err *e)
{
    struct jail_config c = picture_jail(&l->scratch, (uint32_t)l->c.size);
    int rc;

    l->workers = l->c.workers ? l->c.workers : processors();
    if (l->workers > JAIL_WORKERS_MAX)
        l->workers = JAIL_WORKERS_MAX;
    c.workers = l->workers;
    rc = jail_open(&l->jail, &c, e);
    if (rc)
        return rc;
    l->slots = jail_slots(l->jail);
    l->jobs = xcalloc(l->slots, sizeof *l->jobs);
    for (unsigned i = 0; i < l->slots; i++) {
        l->jobs[i].next = l->free;
        l->free = &l->jobs[i];
    }
    return 0;
}

int loader_open(struct loader **out, const struct loader_config *c,
                struct batch_maker *maker, struct err *e)
{
    struct loader *l = xcalloc(1, sizeof *l);
    int rc;

    *out = NULL;
    init(l, c);
    rc = open_jail(l, e);
    if (!rc && pthread_create(&l->thread, NULL, run, l))
        rc = err_set(e, E_NOMEM, "no thread for the loader");
    if (rc) {
        close_loader(l);
        return rc;
    }
    l->running = true;
    *out = l;
    *maker = (struct batch_maker){.ctx = l,
                                  .norm = c->norm,
                                  .start = start,
                                  .finish = finish,
                                  .close = close_loader};
    return 0;
}

unsigned loader_workers(const struct loader *l)
{
    return l->workers;
}

void loader_of_step(struct loader *l, uint64_t step, struct load *out)
{
    pthread_mutex_lock(&l->lock);
    *out = l->kept[step % LOADER_KEPT];
    pthread_mutex_unlock(&l->lock);
}

void loader_of_all(struct loader *l, struct load *out)
{
    pthread_mutex_lock(&l->lock);
    *out = l->all;
    pthread_mutex_unlock(&l->lock);
}

void loader_reasons_json(struct loader *l, struct json_out *o)
{
    pthread_mutex_lock(&l->lock);
    tally_json(&l->reasons, o);
    pthread_mutex_unlock(&l->lock);
}
