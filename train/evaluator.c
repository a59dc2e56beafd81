#include "train/evaluator.h"

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
    v->c.task = task_of(v);
    v->many =
        v->c.task == EVALUATE_ZEROSHOT && v->set.type == EVALSET_MULTILABEL;
    v->set.c.need = v->many                          ? EVALSET_LABEL_SETS
                    : v->c.task == EVALUATE_ZEROSHOT ? EVALSET_LABELS
                                                     : EVALSET_CAPTIONS;
    rc = can_answer(v, e);
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
    precision_release(&v->precision);
    *v = (struct evaluator){0};
}

int evaluator_try(struct evaluator *v, struct err *e)
{
    struct evalset_batch b;
    int rc = evalset_next(&v->set, &b, e);

    if (!rc)
        rc = evalset_check(&v->set, e);
    evalset_rewind(&v->set);
    return rc;
}

/* ---- zero-shot ---- */

static int add_scores(struct evaluator *v, const struct evalset_item *it,
                      const float *scores, struct err *e)
{
    if (v->many)
        return precision_add(&v->precision, scores, it->labels, it->n_labels,
                             e);
    zeroshot_score_add(&v->score, scores, it->label);
    return 0;
}

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
        rc = evalset_check(&v->set, e);
        if (!rc)
            rc = classifier_score(c, b.n, b.rgb, scores, e);
        for (int i = 0; !rc && i < b.n; i++)
            rc = add_scores(v, &b.items[i], scores + (size_t)i * classes, e);
        if (rc)
            break;
    }
    free(scores);
    if (!rc)
        rc = evalset_check(&v->set, e);
    return rc || !v->many ? rc : precision_of(&v->precision, &v->mean, e);
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
    precision_release(&v->precision);
    precision_init(&v->precision, v->prompts.names.n);
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
    *metric = v->many ? v->mean
              : v->c.task == EVALUATE_ZEROSHOT
                  ? (double)v->score.right / (double)v->score.images
                  : (v->found.to_text[0] + v->found.to_picture[0]) / 2;
    return 0;
}
