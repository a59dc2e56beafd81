/* The log and the results of a run; pictures and queries: report_search.c. */
#include "tools/report_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/stream.h"

/* ---- log.jsonl ---- */

/* One line: settings, a step, an alarm or an evaluation. */
struct line {
    bool is_step;
    double loss; /* NAN: none, or not finite when it was written */
    uint64_t step, samples, batch;
    double epochs;
    bool head, infonce, contrastive;
};

static double number_or_nan(struct json *j)
{
    if (json_peek(j) == JSON_NUMBER)
        return json_double(j);
    json_skip(j);
    return NAN;
}

static void read_settings(struct json *j, struct line *l)
{
    struct str name;

    l->head = true;
    json_object(j);
    while (json_member(j, &name)) {
        if (str_eq(name, STR("batch")))
            l->batch = json_u64(j);
        else if (str_eq(name, STR("loss")))
            l->infonce = str_eq(json_string(j), STR("infonce"));
        else if (str_eq(name, STR("objective")))
            l->contrastive = str_eq(json_string(j), STR("contrastive"));
        else
            json_skip(j);
    }
}

static int read_line(struct str text, struct line *l, struct arena *arena,
                     struct err *e)
{
    struct str name;
    struct json j;

    *l = (struct line){.loss = NAN};
    arena_reset(arena);
    json_open(&j, text, arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("settings"))) {
            read_settings(&j, l);
        } else if (str_eq(name, STR("loss"))) {
            l->is_step = true;
            l->loss = number_or_nan(&j);
        } else if (str_eq(name, STR("step"))) {
            l->step = json_u64(&j);
        } else if (str_eq(name, STR("samples"))) {
            l->samples = json_u64(&j);
        } else if (str_eq(name, STR("epoch"))) {
            l->epochs = json_double(&j);
        } else {
            json_skip(&j);
        }
    }
    return json_close(&j, e);
}

static int take_line(struct report_run *r, const struct line *l, struct err *e)
{
    if (l->head) {
        r->batch = l->batch;
        r->infonce = l->infonce && l->contrastive;
    }
    if (!l->is_step)
        return 0;
    if (r->n == REPORT_RUN_STEPS_MAX)
        return err_set(e, E_TOOBIG, "more than %zu steps",
                       REPORT_RUN_STEPS_MAX);
    r->losses = xgrow(r->losses, &r->cap, r->n + 1, sizeof *r->losses);
    r->losses[r->n++] = (float)l->loss;
    r->steps = l->step;
    r->samples = l->samples;
    r->epochs = l->epochs;
    return 0;
}

int report_run_log(struct report_run *r, const char *folder, struct err *e)
{
    struct stream *in;
    struct arena arena;
    struct lines l;
    struct line line;
    struct str text;
    char path[IO_PATH_MAX];
    bool more = true;
    int rc = io_join(path, folder, "log.jsonl", e);

    if (!rc && !io_exists(path))
        rc = err_set(e, E_NOTFOUND, "%s: no log of a training run", path);
    if (!rc)
        rc = stream_open(&in, path, e);
    if (rc)
        return rc;
    arena_init(&arena, REPORT_RUN_LINE_MAX);
    lines_init(&l, in, REPORT_RUN_LINE_MAX);
    while (!rc) {
        rc = lines_next(&l, &text, &more, e);
        if (rc || !more)
            break;
        rc = read_line(text, &line, &arena, e);
        if (!rc)
            rc = take_line(r, &line, e);
        if (rc)
            rc = err_wrap(e, rc, "%s: line %llu", path,
                          (unsigned long long)l.number);
    }
    lines_release(&l);
    stream_close(in);
    arena_release(&arena);
    return rc;
}

double report_run_last(const struct report_run *r)
{
    size_t tenth = r->n / 10 ? r->n / 10 : r->n;
    double sum = 0;

    for (size_t i = r->n - tenth; i < r->n; i++)
        sum += r->losses[i];
    return tenth ? sum / (double)tenth : NAN;
}

/* ---- results ---- */

static void read_class(struct json *j, struct report_run_zeroshot *z)
{
    struct report_run_class c = {.name = STR_NONE};
    struct str name;

    json_object(j);
    while (json_member(j, &name)) {
        if (str_eq(name, STR("name")))
            c.name = json_string(j);
        else if (str_eq(name, STR("images")))
            c.images = json_u64(j);
        else if (str_eq(name, STR("right")))
            c.right = json_u64(j);
        else
            json_skip(j);
    }
    if (j->rc || z->n == REPORT_RUN_CLASSES_MAX)
        return;
    z->classes = xgrow(z->classes, &z->cap, z->n + 1, sizeof *z->classes);
    z->classes[z->n++] = c;
}

static void zeroshot_member(struct report_run *r, struct json *j,
                            struct str name)
{
    struct report_run_zeroshot *z = &r->zeroshot;

    if (str_eq(name, STR("images"))) {
        z->images = json_u64(j);
    } else if (str_eq(name, STR("top1"))) {
        z->top1 = json_double(j);
    } else if (str_eq(name, STR("mean_per_class_recall"))) {
        z->recall = json_double(j);
    } else if (str_eq(name, STR("per_class"))) {
        json_array(j);
        while (json_element(j))
            read_class(j, z);
    } else {
        json_skip(j);
    }
}

static void retrieval_member(struct report_run *r, struct json *j,
                             struct str name)
{
    static const char *const k[REPORT_RUN_KS] = {"r1", "r5", "r10"};
    struct report_run_retrieval *v = &r->retrieval;
    char wanted[32];

    for (int i = 0; i < REPORT_RUN_KS; i++) {
        snprintf(wanted, sizeof wanted, "image_to_text_%s", k[i]);
        if (str_eq(name, str_of(wanted))) {
            v->to_text[i] = json_double(j);
            return;
        }
        snprintf(wanted, sizeof wanted, "text_to_image_%s", k[i]);
        if (str_eq(name, str_of(wanted))) {
            v->to_picture[i] = json_double(j);
            return;
        }
    }
    if (str_eq(name, STR("images")))
        v->images = json_u64(j);
    else if (str_eq(name, STR("texts")))
        v->texts = json_u64(j);
    else
        json_skip(j);
}

static int read_result(struct report_run *r, const char *folder,
                       const char *file, const char *task,
                       void member(struct report_run *, struct json *,
                                   struct str),
                       bool *known, struct err *e)
{
    char path[IO_PATH_MAX];
    struct str name, said = STR_NONE;
    struct json j;
    struct buf b;
    int rc = io_join(path, folder, file, e);

    if (rc || !io_exists(path))
        return rc;
    buf_init(&b, REPORT_RUN_JSON_MAX);
    rc = io_read_file(path, &b, e);
    if (!rc) {
        /* A copy: names stay when b is gone. */
        json_open(&j, arena_str(&r->arena, buf_str(&b)), &r->arena);
        json_object(&j);
        while (json_member(&j, &name)) {
            if (str_eq(name, STR("task")))
                said = json_string(&j);
            else
                member(r, &j, name);
        }
        rc = json_close(&j, e);
        if (!rc && !str_eq(said, str_of(task)))
            rc = err_set(e, E_FORMAT, "no result of witmill eval %s", task);
        if (rc)
            rc = err_wrap(e, rc, "%s", path);
    }
    *known = !rc;
    buf_release(&b);
    return rc;
}

int report_run_results(struct report_run *r, const char *folder, struct err *e)
{
    int rc = read_result(r, folder, "zeroshot.json", "zeroshot",
                         zeroshot_member, &r->zeroshot.known, e);

    return rc ? rc
              : read_result(r, folder, "retrieval.json", "retrieval",
                            retrieval_member, &r->retrieval.known, e);
}

/* ---- all of it ---- */

int report_run_read(struct report_run *r, const char *folder, struct err *e)
{
    int rc;

    *r = (struct report_run){.n = 0};
    arena_init(&r->arena, (size_t)4 << 30);
    rc = report_run_log(r, folder, e);
    if (!rc)
        rc = report_run_results(r, folder, e);
    if (!rc)
        rc = report_run_search(r, folder, e);
    if (rc)
        report_run_release(r);
    return rc;
}

void report_run_release(struct report_run *r)
{
    free(r->losses);
    free(r->zeroshot.classes);
    arena_release(&r->arena);
    *r = (struct report_run){.n = 0};
}
