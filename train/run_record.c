#include <math.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/version.h"
#include "train/run_private.h"

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
