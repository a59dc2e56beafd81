#include "train/classifier.h"

#include <stdlib.h>
#include <string.h>

#include "train/dot.h"

#define PROMPT_MAX ((size_t)1 << 20) /* bytes of a name in a template */

/* ---- caption ---- */

/* The ids of the prompt, by way of the encoder's batch. */
static int put_prompt(struct classifier *c, size_t at, struct buf *text,
                      struct err *e)
{
    const size_t each = c->p->templates.n, context = (size_t)c->n->context;
    int rc;

    buf_clear(text);
    zeroshot_prompt(c->p->templates.v[at % each], c->p->names.v[at / each],
                    text);
    rc = text->rc ? err_set(e, -text->rc, "class %zu: a text", at / each)
                  : encoder_put(c->n, 0, buf_str(text), e);
    if (!rc)
        memcpy(c->ids + at * context, c->n->ids, context * sizeof *c->ids);
    return rc;
}

static int open_prompts(struct classifier *c, struct err *e)
{
    const size_t all = c->p->names.n * c->p->templates.n;
    struct buf text;
    int rc = 0;

    if (all > CLASSIFIER_PROMPTS_MAX)
        return err_set(e, E_TOOBIG,
                       "%zu classes in %zu templates: each is a pass through "
                       "the decoder for every picture; at most %zu",
                       c->p->names.n, c->p->templates.n,
                       CLASSIFIER_PROMPTS_MAX);
    c->ids = malloc(all * (size_t)c->n->context * sizeof *c->ids);
    c->likely = malloc((size_t)c->n->batch * all * sizeof *c->likely);
    if (!c->ids || !c->likely)
        return err_set(e, E_NOMEM, "no room for %zu prompts", all);
    buf_init(&text, PROMPT_MAX);
    for (size_t i = 0; !rc && i < all; i++)
        rc = put_prompt(c, i, &text, e);
    buf_release(&text);
    c->prompts = (struct captions){(int)all, c->n->context, c->ids};
    return rc;
}

/* Means over templates. */
static void sum_up(const struct classifier *c, int count, float *scores)
{
    const size_t each = c->p->templates.n;
    const size_t all = (size_t)count * c->p->names.n;

    for (size_t i = 0; i < all; i++) {
        double sum = 0;

        for (size_t t = 0; t < each; t++)
            sum += (double)c->likely[i * each + t];
        scores[i] = (float)(sum / (double)each);
    }
}

/* ---- all ---- */

static int open_rows(struct classifier *c, struct zeroshot_cache *cache,
                     struct err *e)
{
    c->features =
        malloc((size_t)c->n->batch * (size_t)c->n->dim * sizeof *c->features);
    if (!c->features)
        return err_set(e, E_NOMEM, "no room for a batch of %d", c->n->batch);
    return zeroshot_cached(c->p, c->n, cache, &c->rows, e);
}

int classifier_open(struct classifier *c, const struct zeroshot_prompts *p,
                    struct encoder *n, struct zeroshot_cache *cache,
                    struct err *e)
{
    int rc;

    *c = (struct classifier){.p = p, .n = n};
    cache->hit = false;
    rc = n->m->config.objective == OBJECTIVE_CAPTION ? open_prompts(c, e)
                                                     : open_rows(c, cache, e);
    if (rc)
        classifier_close(c);
    return rc;
}

void classifier_close(struct classifier *c)
{
    free(c->rows);
    free(c->features);
    free(c->ids);
    free(c->likely);
    *c = (struct classifier){0};
}

int classifier_score(struct classifier *c, int count, const uint8_t *rgb,
                     float *scores, struct err *e)
{
    const size_t classes = c->p->names.n, dim = (size_t)c->n->dim;
    int rc;

    if (!c->rows) {
        rc = encoder_captions(c->n, count, rgb, &c->prompts, c->likely, e);
        if (!rc)
            sum_up(c, count, scores);
        return rc;
    }
    rc = encoder_pictures(c->n, count, rgb, c->features, e);
    for (size_t i = 0; !rc && i < (size_t)count; i++)
        for (size_t k = 0; k < classes; k++)
            scores[i * classes + k] =
                dot(c->rows + k * dim, c->features + i * dim, c->n->dim);
    return rc;
}
