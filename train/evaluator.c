#include "train/evaluator.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "train/classifier.h"

#define NAMES     "classnames.txt"
#define TEMPLATES "zeroshot_classification_templates.txt"

#define CAPTION_MAX ((size_t)1 << 23) /* bytes of a prefix and a text */

/* ---- opening ---- */

static int open_prompts(struct evaluator *v, struct err *e)
{
    char names[IO_PATH_MAX], templates[IO_PATH_MAX];
    bool has_names = evalset_beside(&v->set, NAMES, names);
    bool has_templates = evalset_beside(&v->set, TEMPLATES, templates);
    int rc;

    if (!v->c.classnames && !has_names)
        return err_set(e, E_USAGE,
                       "%s has no " NAMES ": --classnames FILE, one name a "
                       "line, the first that of label 0",
                       v->c.data);
    rc = zeroshot_read(&v->prompts, v->c.classnames ? v->c.classnames : names,
                       v->c.templates  ? v->c.templates
                       : has_templates ? templates
                                       : NULL,
                       e);
    v->set.c.classes = v->prompts.names.n;
    return rc;
}

/* What the pictures themselves say is asked about them. */
static enum evaluator_task task_of(const struct evaluator *v)
{
    char path[IO_PATH_MAX];

    if (v->c.task != EVALUATE_AUTO)
        return v->c.task;
    if (v->set.type == EVALSET_RETRIEVAL)
        return EVALUATE_RETRIEVAL;
    return v->c.classnames || evalset_beside(&v->set, NAMES, path)
               ? EVALUATE_ZEROSHOT
               : EVALUATE_RETRIEVAL;
}

/* All pairs through a decoder are too many: of 1,000 pictures with five texts
 * each, five million captions. */
static int can_answer(const struct evaluator *v, struct err *e)
{
    if (v->c.objective != OBJECTIVE_CAPTION || v->c.task == EVALUATE_ZEROSHOT)
        return 0;
    return err_set(e, E_UNSUPPORTED,
                   "%s: no retrieval with a caption model: every pair of a "
                   "picture and a text would be a pass through its decoder, as "
                   "many as pictures times texts. Ask it for classes, or a "
                   "contrastive or bow model for retrieval",
                   v->c.data);
}

int evaluator_open(struct evaluator *v, const struct evaluator_config *c,
                   struct err *e)
{
    const struct evalset_config s = {.data = c->data,
                                     .split = c->split,
                                     .caption_key = c->caption_key,
                                     .size = c->size,
                                     .batch = c->batch,
                                     .workers = c->workers};
    int rc;

    *v = (struct evaluator){.c = *c};
    rc = evalset_open(&v->set, &s, e);
    if (rc)
        return rc;
    if (v->set.type == EVALSET_MULTILABEL)
        rc = err_set(e, E_UNSUPPORTED,
                     "%s: pictures with several labels each are not evaluated",
                     c->data);
    v->c.task = task_of(v);
    if (!rc)
        rc = can_answer(v, e);
    v->set.c.need =
        v->c.task == EVALUATE_ZEROSHOT ? EVALSET_LABELS : EVALSET_CAPTIONS;
    if (!rc && v->c.task == EVALUATE_ZEROSHOT)
        rc = open_prompts(v, e);
    if (rc)
        evaluator_close(v);
    return rc;
}

void evaluator_close(struct evaluator *v)
{
    if (!v->c.data)
        return;
    evalset_close(&v->set);
    zeroshot_prompts_release(&v->prompts);
    zeroshot_score_release(&v->score);
    *v = (struct evaluator){0};
}

/* ---- zero-shot ---- */

static int score_batches(struct evaluator *v, struct classifier *c,
                         struct err *e)
{
    const size_t classes = v->prompts.names.n;
    float *scores = malloc((size_t)v->c.batch * classes * sizeof *scores);
    struct evalset_batch b;
    int rc = 0;

    if (!scores)
        return err_set(e, E_NOMEM, "no room for scores of %zu classes",
                       classes);
    while (!(rc = evalset_next(&v->set, &b, e)) && b.n) {
        rc = classifier_score(c, b.n, b.rgb, scores, e);
        if (rc)
            break;
        for (int i = 0; i < b.n; i++)
            zeroshot_score_add(&v->score, scores + (size_t)i * classes,
                               b.items[i].label);
    }
    free(scores);
    return rc;
}

static int run_zeroshot(struct evaluator *v, struct encoder *n,
                        struct zeroshot_cache *cache, struct err *e)
{
    struct zeroshot_cache none = {0};
    uint64_t began = clock_mono_ns();
    struct classifier c;
    int rc;

    if (!cache)
        cache = &none;
    rc = classifier_open(&c, &v->prompts, n, cache, e);
    if (rc)
        return rc;
    v->cached = cache->hit;
    v->classifier_s = (double)(clock_mono_ns() - began) * 1e-9;
    zeroshot_score_release(&v->score);
    zeroshot_score_init(&v->score, v->prompts.names.n);
    rc = score_batches(v, &c, e);
    classifier_close(&c);
    return rc;
}

/* ---- retrieval ---- */

/* Captions wait until there is a batch of them. */
struct finding {
    struct evaluator *v;
    struct encoder *n;
    struct retrieval r;
    float *features; /* [batch, dim] */
    size_t *owner;   /* [batch] of the captions that wait */
    int waiting;
    struct buf caption;
};

static int flush(struct finding *f, struct err *e)
{
    size_t dim = (size_t)f->n->dim;
    int rc = 0;

    if (f->waiting)
        rc = encoder_texts(f->n, f->waiting, f->features, e);
    for (int i = 0; !rc && i < f->waiting; i++)
        rc = retrieval_text(&f->r, f->features + (size_t)i * dim, f->owner[i],
                            e);
    f->waiting = 0;
    return rc;
}

static int add_caption(struct finding *f, struct str text, size_t owner,
                       struct err *e)
{
    const char *prefix = f->v->c.prefix;
    int rc;

    buf_clear(&f->caption);
    if (prefix)
        buf_add(&f->caption, str_of(prefix));
    buf_add(&f->caption, text);
    rc = f->caption.rc
             ? err_set(e, -f->caption.rc, "a text of %zu bytes", text.n)
             : encoder_put(f->n, f->waiting, buf_str(&f->caption), e);
    if (rc)
        return rc;
    f->owner[f->waiting++] = owner;
    return f->waiting == f->n->batch ? flush(f, e) : 0;
}

static int find_batch(struct finding *f, const struct evalset_batch *b,
                      struct err *e)
{
    size_t dim = (size_t)f->n->dim, first = f->r.n_pictures;
    int rc = encoder_pictures(f->n, b->n, b->rgb, f->features, e);

    for (int i = 0; !rc && i < b->n; i++)
        rc = retrieval_picture(&f->r, f->features + (size_t)i * dim, e);
    for (int i = 0; !rc && i < b->n; i++)
        for (size_t k = 0; !rc && k < b->items[i].n_texts; k++)
            rc = add_caption(f, b->items[i].texts[k], first + (size_t)i, e);
    return rc;
}

static int run_retrieval(struct evaluator *v, struct encoder *n, struct err *e)
{
    struct finding f = {.v = v, .n = n};
    struct evalset_batch b;
    int rc;

    f.features = malloc((size_t)n->batch * (size_t)n->dim * sizeof *f.features);
    if (!f.features)
        return err_set(e, E_NOMEM, "no room for a batch of %d", n->batch);
    f.owner = xcalloc((size_t)n->batch, sizeof *f.owner);
    buf_init(&f.caption, CAPTION_MAX);
    retrieval_init(&f.r, n->dim);
    while (!(rc = evalset_next(&v->set, &b, e)) && b.n)
        if ((rc = find_batch(&f, &b, e)))
            break;
    if (!rc)
        rc = flush(&f, e);
    if (!rc)
        rc = evalset_check(&v->set, e);
    if (!rc)
        rc = retrieval_score(&f.r, v->c.threads, &v->found, e);
    retrieval_release(&f.r);
    buf_release(&f.caption);
    free(f.owner);
    free(f.features);
    return rc;
}

/* ---- either ---- */

int evaluator_run(struct evaluator *v, struct clip *m,
                  const struct clip_options *o, const struct tokenizer *t,
                  struct zeroshot_cache *cache, double *metric, struct err *e)
{
    uint64_t began = clock_mono_ns();
    struct encoder n;
    int rc = encoder_open_products(&n, m, o, v->c.batch, t, e);

    evalset_rewind(&v->set);
    if (!rc)
        rc = v->c.task == EVALUATE_ZEROSHOT ? run_zeroshot(v, &n, cache, e)
                                            : run_retrieval(v, &n, e);
    encoder_close(&n);
    if (!rc)
        rc = evalset_check(&v->set, e);
    v->seconds = (double)(clock_mono_ns() - began) * 1e-9;
    if (rc || !metric)
        return rc;
    *metric = v->c.task == EVALUATE_ZEROSHOT
                  ? (double)v->score.right / (double)v->score.images
                  : (v->found.to_text[0] + v->found.to_picture[0]) / 2;
    return 0;
}

/* ---- in words ---- */

size_t evaluator_numbers(const struct evaluator *v,
                         struct record_eval list[RECORD_EVALS_MAX])
{
    const struct retrieval_result *r = &v->found;
    const struct zeroshot_score *s = &v->score;
    double images = (double)s->images;
    size_t n = 0;

    if (v->c.task == EVALUATE_ZEROSHOT) {
        list[n++] =
            (struct record_eval){"zeroshot_top1", (double)s->right / images};
        if (s->classes > 5)
            list[n++] =
                (struct record_eval){"zeroshot_top5", (double)s->top5 / images};
        list[n++] = (struct record_eval){"zeroshot_recall", zeroshot_recall(s)};
        return n;
    }
    list[n++] = (struct record_eval){"retrieval_r1",
                                     (r->to_text[0] + r->to_picture[0]) / 2};
    list[n++] = (struct record_eval){"image_to_text_r1", r->to_text[0]};
    list[n++] = (struct record_eval){"image_to_text_r5", r->to_text[1]};
    list[n++] = (struct record_eval){"image_to_text_r10", r->to_text[2]};
    list[n++] = (struct record_eval){"text_to_image_r1", r->to_picture[0]};
    list[n++] = (struct record_eval){"text_to_image_r5", r->to_picture[1]};
    list[n++] = (struct record_eval){"text_to_image_r10", r->to_picture[2]};
    return n;
}

static void put_share(struct json_out *o, const char *name, uint64_t part,
                      uint64_t whole)
{
    json_put_double(o, name, (double)part / (double)whole);
}

static void put_table(const struct evaluator *v, struct json_out *o)
{
    json_out_name(o, "per_class");
    json_out_array(o);
    for (size_t i = 0; i < v->score.classes; i++) {
        const struct zeroshot_class *k = &v->score.of[i];

        json_out_object(o);
        json_put_string(o, "name", v->prompts.names.v[i]);
        json_put_u64(o, "images", k->images);
        json_put_u64(o, "right", k->right);
        json_put_u64(o, "top5", k->top5);
        json_put_u64(o, "told", k->told);
        json_out_end_object(o);
    }
    json_out_end_array(o);
}

static void put_zeroshot(const struct evaluator *v, bool table,
                         struct json_out *o)
{
    const struct zeroshot_score *s = &v->score;

    json_put_u64(o, "classes", s->classes);
    json_put_u64(o, "templates", v->prompts.templates.n);
    put_share(o, "top1", s->right, s->images);
    if (s->classes > 5)
        put_share(o, "top5", s->top5, s->images);
    json_put_double(o, "mean_per_class_recall", zeroshot_recall(s));
    json_put_double(o, "chance", 1 / (double)s->classes);
    if (table)
        put_table(v, o);
}

static void put_retrieval(const struct evaluator *v, struct json_out *o)
{
    const struct retrieval_result *r = &v->found;
    char name[64];

    json_put_u64(o, "texts", r->texts);
    for (int k = 0; k < RETRIEVAL_KS; k++) {
        snprintf(name, sizeof name, "image_to_text_r%d", retrieval_k[k]);
        json_put_double(o, name, r->to_text[k]);
    }
    for (int k = 0; k < RETRIEVAL_KS; k++) {
        snprintf(name, sizeof name, "text_to_image_r%d", retrieval_k[k]);
        json_put_double(o, name, r->to_picture[k]);
    }
    json_put_double(o, "image_to_text_median_rank", r->rank_text);
    json_put_double(o, "text_to_image_median_rank", r->rank_picture);
}

void evaluator_json(const struct evaluator *v, bool table, struct json_out *o)
{
    bool zeroshot = v->c.task == EVALUATE_ZEROSHOT;

    json_put_string(o, "task", zeroshot ? STR("zeroshot") : STR("retrieval"));
    json_put_string(o, "data", str_of(v->c.data));
    json_put_u64(o, "samples", v->set.seen);
    json_put_u64(o, "images", v->set.given);
    json_out_name(o, "left_out");
    tally_json(&v->set.left_out, o);
    json_out_name(o, "members_left_out");
    tally_json(&v->set.members, o);
    if (zeroshot)
        put_zeroshot(v, table, o);
    else
        put_retrieval(v, o);
    json_put_double(o, "seconds", v->seconds);
}
