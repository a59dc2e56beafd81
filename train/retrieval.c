#include "train/retrieval.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/dot.h"

#define TILE 32 /* pictures that a text is held against while it is near */

const int retrieval_k[RETRIEVAL_KS] = {1, 5, 10};

void retrieval_init(struct retrieval *r, int dim)
{
    *r = (struct retrieval){.dim = dim};
}

void retrieval_release(struct retrieval *r)
{
    free(r->pictures);
    free(r->texts);
    free(r->owner);
    *r = (struct retrieval){0};
}

/* Room for one more of size bytes, doubling. */
static int grow(void **p, size_t *room, size_t n, size_t size, struct err *e)
{
    size_t more = *room ? 2 * *room : 1024;
    void *q;

    if (n < *room)
        return 0;
    q = more < SIZE_MAX / size ? realloc(*p, more * size) : NULL;
    if (!q)
        return err_set(e, E_NOMEM, "no room for %zu features", more);
    *p = q;
    *room = more;
    return 0;
}

static int add(float **to, size_t *room, size_t n, const float *feature,
               int dim, struct err *e)
{
    size_t row = (size_t)dim * sizeof *feature;
    void *p = *to;
    int rc = grow(&p, room, n, row, e);

    *to = p;
    if (!rc)
        memcpy(*to + n * (size_t)dim, feature, row);
    return rc;
}

int retrieval_picture(struct retrieval *r, const float *feature, struct err *e)
{
    int rc =
        add(&r->pictures, &r->room_pictures, r->n_pictures, feature, r->dim, e);

    r->n_pictures += !rc;
    return rc;
}

int retrieval_text(struct retrieval *r, const float *feature, size_t owner,
                   struct err *e)
{
    void *p = r->owner;
    int rc = grow(&p, &r->room_owner, r->n_texts, sizeof *r->owner, e);

    assert(owner < r->n_pictures);
    r->owner = p;
    if (!rc)
        rc = add(&r->texts, &r->room_texts, r->n_texts, feature, r->dim, e);
    if (rc)
        return rc;
    r->owner[r->n_texts++] = owner;
    return 0;
}

/* ---- scores ---- */

/* What one that looks is looking for: its best own counterpart. */
struct goal {
    float product;
    size_t at;     /* SIZE_MAX: none yet */
    size_t before; /* others that stand before it */
};

static float product(const struct retrieval *r, size_t picture, size_t text)
{
    size_t dim = (size_t)r->dim;

    return dot(r->pictures + picture * dim, r->texts + text * dim, r->dim);
}

static int set_goals(const struct retrieval *r, struct goal *pictures,
                     struct goal *texts, struct err *e)
{
    for (size_t i = 0; i < r->n_pictures; i++)
        pictures[i] = (struct goal){.at = SIZE_MAX};
    for (size_t t = 0; t < r->n_texts; t++) {
        struct goal *g = &pictures[r->owner[t]];
        float x = product(r, r->owner[t], t);

        texts[t] = (struct goal){.product = x, .at = r->owner[t]};
        if (g->at == SIZE_MAX || x > g->product)
            *g = (struct goal){.product = x, .at = t};
    }
    for (size_t i = 0; i < r->n_pictures; i++)
        if (pictures[i].at == SIZE_MAX)
            return err_set(e, E_RANGE, "picture %zu has no text", i);
    return 0;
}

static void look(struct goal *g, float x, size_t at)
{
    g->before += x > g->product || (x == g->product && at < g->at);
}

static void compare_all(const struct retrieval *r, struct goal *pictures,
                        struct goal *texts)
{
    for (size_t from = 0; from < r->n_pictures; from += TILE) {
        size_t to = from + TILE < r->n_pictures ? from + TILE : r->n_pictures;

        for (size_t t = 0; t < r->n_texts; t++)
            for (size_t i = from; i < to; i++) {
                float x = product(r, i, t);

                look(&pictures[i], x, t);
                look(&texts[t], x, i);
            }
    }
}

static int by_before(const void *a, const void *b)
{
    const struct goal *x = a, *y = b;

    return (x->before > y->before) - (x->before < y->before);
}

/* Sorts the goals. */
static void sum_up(struct goal *g, size_t n, double *share, double *rank)
{
    qsort(g, n, sizeof *g, by_before);
    for (int k = 0; k < RETRIEVAL_KS; k++) {
        size_t found = 0;

        while (found < n && g[found].before < (size_t)retrieval_k[k])
            found++;
        share[k] = (double)found / (double)n;
    }
    *rank = 1 + ((double)g[(n - 1) / 2].before + (double)g[n / 2].before) / 2;
}

int retrieval_score(const struct retrieval *r, struct retrieval_result *out,
                    struct err *e)
{
    struct goal *pictures, *texts;
    int rc = 0;

    *out = (struct retrieval_result){.pictures = r->n_pictures,
                                     .texts = r->n_texts};
    if (!r->n_pictures)
        return err_set(e, E_RANGE, "no picture to look for");
    pictures = calloc(r->n_pictures, sizeof *pictures);
    texts = calloc(r->n_texts ? r->n_texts : 1, sizeof *texts);
    if (!pictures || !texts)
        rc = err_set(e, E_NOMEM, "no room for ranks");
    if (!rc)
        rc = set_goals(r, pictures, texts, e);
    if (!rc) {
        compare_all(r, pictures, texts);
        sum_up(pictures, r->n_pictures, out->to_text, &out->rank_text);
        sum_up(texts, r->n_texts, out->to_picture, &out->rank_picture);
    }
    free(pictures);
    free(texts);
    return rc;
}
