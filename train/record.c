#include "train/record_private.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define MADE_MAX (1u << 16) /* bytes of what computes */

static bool writes(const struct record *r)
{
    return !r->c.reads_only;
}

/* ---- where a run begins ---- */

static int check_agree(const struct record *r, struct err *e)
{
    struct buf text;
    int rc = 0;

    buf_init(&text, RECORD_LINE_MAX);
    if (checkpoint_differs(CHECKPOINT_AGREE, r->meta.agree, r->c.agree, &text))
        rc = err_set(e, E_STALE,
                     "%s was made with %s; resume with the same, or choose "
                     "another --out",
                     r->found, text.p ? text.p : "");
    buf_release(&text);
    return rc;
}

static int find_checkpoint(struct record *r, struct err *e)
{
    struct err why = ERR_INIT;
    int rc =
        checkpoint_find(r->c.folder, CHECKPOINT_LAST, r->found, &r->meta, &why);

    if (rc == -E_NOTFOUND) {
        r->found[0] = 0;
        return 0;
    }
    if (rc)
        return err_set(e, -rc, "%s", why.message);
    if (!r->c.resume)
        return err_set(e, E_USAGE,
                       "%s holds a run up to step %llu; --resume goes on from "
                       "there, another --out begins a new one",
                       r->c.folder, (unsigned long long)r->meta.state.step);
    rc = check_agree(r, e);
    if (!rc) {
        r->state = r->meta.state;
        r->state.has_metric = false;
        r->saved = r->state.step;
    }
    return rc;
}

int record_find(struct record *r, const struct record_config *c, struct err *e)
{
    char lock[IO_PATH_MAX];
    int rc = 0;

    memset(r, 0, sizeof *r);
    r->c = *c;
    r->lock = r->log = -1;
    r->state.seed = c->seed;
    alarm_begin(&r->state.alarms);
    buf_init(&r->made, MADE_MAX);
    buf_init(&r->line, RECORD_LINE_MAX);
    rc = record_name_log(r, e);
    if (rc || !c->folder)
        return rc;
    if (writes(r)) {
        rc = io_mkdirs(c->folder, e);
        if (!rc)
            rc = io_join(lock, c->folder, "lock", e);
        if (!rc)
            rc = io_lock(lock, "this run's folder", &r->lock, e);
        if (!rc)
            rc = checkpoint_sweep(c->folder, e);
    }
    if (!rc)
        rc = find_checkpoint(r, e);
    if (!rc && writes(r) && !r->found[0])
        rc = record_check_log(r, e);
    return rc;
}

int record_load(struct record *r, struct optim *o, struct err *e)
{
    int rc;

    if (!r->found[0])
        return 0;
    rc = checkpoint_load(r->found, o->m, e);
    if (!rc)
        rc = optim_restore(o, r->state.applied, e);
    if (!rc && writes(r))
        log_event("resume", "%s: going on behind step %llu", r->found,
                  (unsigned long long)r->state.step);
    return rc;
}

/* ---- a run ---- */

/* What the curve was computed by so far, and goes on to be. */
static void tell_made(const struct record *r)
{
    struct buf text;

    buf_init(&text, RECORD_LINE_MAX);
    if (checkpoint_differs(CHECKPOINT_MADE, r->meta.made, buf_str(&r->made),
                           &text))
        log_event("warning",
                  "%s was computed with %s: the curve goes on equal to "
                  "rounding, not bit for bit",
                  r->found, text.p ? text.p : "");
    buf_release(&text);
}

int record_tidy(struct record *r, struct err *e)
{
    return writes(r) && r->found[0]
               ? checkpoint_prune(r->c.folder, &r->c.rules, r->state.step, e)
               : 0;
}

int record_begin(struct record *r, struct str made, struct str head,
                 struct err *e)
{
    int rc;

    if (!writes(r))
        return 0;
    buf_add(&r->made, made);
    if (r->made.rc)
        return err_set(e, -r->made.rc, "what computes");
    if (r->found[0])
        tell_made(r);
    r->saved_ms = clock_mono_ms();
    rc = record_open_log(r, head, e);
    if (!rc)
        rc = record_tidy(r, e);
    if (rc || !r->c.folder)
        return rc;
    r->has_events = true;
    /* also of a new run: one may have been killed before its checkpoint */
    return events_open(&r->events, r->c.folder, r->state.step + 1, e);
}

bool record_wants(const struct record *r)
{
    return r->log >= 0 || r->has_events;
}

/* ---- a step ---- */

static uint64_t host_bytes(void)
{
    struct rusage u;

    return getrusage(RUSAGE_SELF, &u) ? 0 : (uint64_t)u.ru_maxrss * 1024;
}

static double per_second(double n, double seconds)
{
    return seconds > 0 ? n / seconds : 0;
}

static int log_step(struct record *r, const struct record_step *s,
                    struct err *e)
{
    const struct checkpoint_state *now = &r->state;
    struct json_out o;

    if (r->log < 0)
        return 0;
    buf_clear(&r->line);
    json_out_init(&o, &r->line);
    json_out_object(&o);
    json_put_u64(&o, "step", s->number);
    json_put_u64(&o, "samples", now->samples);
    if (r->c.epoch)
        json_put_double(&o, "epoch", (double)now->samples / (double)r->c.epoch);
    json_put_double(&o, "loss", s->loss);
    json_put_double(&o, "lr", s->lr);
    json_put_double(&o, "norm", s->norm < 0 ? NAN : s->norm); /* null */
    json_put_double(&o, "logit_scale", s->logit_scale);
    if (s->left_out)
        json_put_bool(&o, "left_out", true);
    json_put_double(&o, "seconds", s->seconds);
    json_put_double(&o, "waited", s->waited);
    json_put_double(&o, "upload", s->upload);
    json_put_double(&o, "images_per_second",
                    per_second((double)r->c.batch, s->seconds));
    json_put_double(&o, "useful_tflops",
                    per_second(s->useful * 1e-12, s->seconds));
    json_put_u64(&o, "device_bytes", s->device_bytes);
    json_put_u64(&o, "host_bytes", host_bytes());
    if (s->stages.n) {
        json_out_name(&o, "load");
        json_out_raw(&o, s->stages);
    }
    json_out_end_object(&o);
    return record_write_line(r, e);
}

static int put_events(struct record *r, const struct record_step *s,
                      struct err *e)
{
    const struct events_scalar list[] = {
        {"train/loss", s->loss},
        {"train/lr", s->lr},
        {"train/logit_scale", s->logit_scale},
        {"train/images_per_second", per_second((double)r->c.batch, s->seconds)},
        {"train/waited", s->waited},
        {"train/norm", s->norm}, /* the last, left out where not known */
    };
    size_t n = sizeof list / sizeof *list - (s->norm < 0);

    return r->has_events ? events_put(&r->events, s->number, list, n, e) : 0;
}

static int log_alarm(struct record *r, enum alarm_kind k, uint64_t step,
                     const char *text, struct err *e)
{
    struct json_out o;

    log_event("alarm", "%s", text);
    if (r->log < 0)
        return 0;
    buf_clear(&r->line);
    json_out_init(&o, &r->line);
    json_out_object(&o);
    json_put_u64(&o, "step", step);
    json_put_string(&o, "alarm", str_of(alarm_name(k)));
    json_put_string(&o, "message", str_of(text));
    json_out_end_object(&o);
    return record_write_line(r, e);
}

/* On every rank, since the state decides what is left out; said by one. */
static int alarms(struct record *r, const struct record_step *s, struct err *e)
{
    const struct alarm_point p = {.step = s->number,
                                  .loss = s->loss,
                                  .norm = s->norm,
                                  .logit_scale = s->logit_scale,
                                  .left_out = s->left_out};
    struct alarm_state before = r->state.alarms;
    unsigned off = alarm_step(&r->c.alarms, &r->state.alarms, &p);
    int rc = 0;

    for (enum alarm_kind k = 0; k < ALARM_KINDS && writes(r) && !rc; k++) {
        char text[ALARM_TEXT_MAX];

        if (!(off >> k & 1))
            continue;
        alarm_text(k, &r->c.alarms, &before, &p, text);
        rc = log_alarm(r, k, s->number, text, e);
    }
    return rc;
}

int record_step(struct record *r, const struct record_step *s, struct err *e)
{
    int rc = 0;

    r->state.step = s->number;
    r->state.samples += r->c.batch;
    r->state.has_metric = false;
    if (!s->left_out)
        r->state.applied = s->number;
    if (writes(r))
        rc = log_step(r, s, e);
    if (!rc && writes(r))
        rc = put_events(r, s, e);
    return rc ? rc : alarms(r, s, e);
}

int record_eval(struct record *r, const struct record_eval *list, size_t n,
                double metric, struct err *e)
{
    struct events_scalar scalars[RECORD_EVALS_MAX];
    char tags[RECORD_EVALS_MAX][EVENTS_TAG_MAX + 1];
    struct json_out o;
    int rc = 0;

    if (n > RECORD_EVALS_MAX)
        return err_set(e, E_TOOBIG, "an evaluation of %zu numbers", n);
    r->state.has_metric = isfinite(metric);
    r->state.metric = isfinite(metric) ? metric : 0;
    if (r->log >= 0) {
        buf_clear(&r->line);
        json_out_init(&o, &r->line);
        json_out_object(&o);
        json_put_u64(&o, "step", r->state.step);
        json_out_name(&o, "eval");
        json_out_object(&o);
        for (size_t i = 0; i < n; i++)
            json_put_double(&o, list[i].name, list[i].value);
        json_out_end_object(&o);
        json_out_end_object(&o);
        rc = record_write_line(r, e);
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(tags[i], sizeof tags[i], "eval/%s", list[i].name);
        scalars[i] = (struct events_scalar){tags[i], list[i].value};
    }
    return rc || !r->has_events
               ? rc
               : events_put(&r->events, r->state.step, scalars, n, e);
}

/* ---- checkpoints ---- */

bool record_due(const struct record *r)
{
    uint64_t step = r->state.step;

    if (!r->c.folder || !writes(r) || step == r->saved)
        return false;
    if (r->c.every && step % r->c.every == 0)
        return true;
    return r->c.minutes > 0 &&
           (double)(clock_mono_ms() - r->saved_ms) >= r->c.minutes * 60000;
}

/* Nothing that a checkpoint counts on may be lost when the power is. */
static int settle_log(const struct record *r, struct err *e)
{
    return r->log >= 0 && fdatasync(r->log)
               ? err_errno(e, E_IO, "flush", r->log_path)
               : 0;
}

int record_save(struct record *r, const struct clip *m, struct err *e)
{
    const struct checkpoint_out out = {.folder = r->c.folder,
                                       .m = m,
                                       .state = &r->state,
                                       .agree = r->c.agree,
                                       .made = buf_str(&r->made),
                                       .beside = r->c.beside,
                                       .beside_n = r->c.beside_n};
    int rc;

    if (!r->c.folder || !writes(r) || r->saved == r->state.step)
        return 0;
    rc = settle_log(r, e);
    if (!rc)
        rc = checkpoint_write(&out, e);
    if (!rc)
        rc = checkpoint_prune(r->c.folder, &r->c.rules, r->state.step, e);
    r->saved = r->state.step;
    r->saved_ms = clock_mono_ms();
    return rc;
}

int record_close(struct record *r, int rc, struct err *e)
{
    int own = 0;

    if (r->log >= 0 && close(r->log))
        own = err_errno(e, E_IO, "write", r->log_path);
    r->log = -1;
    if (r->has_events && events_close(&r->events, own ? NULL : e) && !own)
        own = r->events.rc;
    r->has_events = false;
    if (r->lock >= 0)
        io_unlock(r->lock);
    r->lock = -1;
    checkpoint_meta_release(&r->meta);
    buf_release(&r->made);
    buf_release(&r->line);
    return rc ? rc : own;
}
