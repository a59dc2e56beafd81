#include "train/retrieval.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/workq.h"
#include "train/dot.h"

#define TILE        32 /* pictures that a text is held against while it is near */
#define THREADS_MAX 64

_Static_assert(TILE <= UINT8_MAX, "a tile's pictures before a text are a byte");

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

/* All pictures against all texts, tile by tile. */
struct comparing {
    const struct retrieval *r;
    struct goal *pictures, *texts;
    size_t next; /* picture that the next tile begins with */
};

/* A tile: its pictures are nobody else's, so they are counted in their place;
 * what stands before a text is added up when the tile is taken. */
struct tile {
    size_t from, to; /* pictures */
    uint8_t *before; /* [n_texts] */
};

static int next_tile(void *ctx, void *item, bool *more, struct err *e)
{
    struct comparing *c = ctx;
    struct tile *t = item;
    size_t left = c->r->n_pictures - c->next;

    (void)e;
    *more = left != 0;
    t->from = c->next;
    t->to = c->next += left < TILE ? left : TILE;
    return 0;
}

static int compare_tile(void *ctx, void *item, struct err *e)
{
    const struct comparing *c = ctx;
    const struct retrieval *r = c->r;
    struct tile *tile = item;

    (void)e;
    for (size_t t = 0; t < r->n_texts; t++) {
        struct goal g = {.product = c->texts[t].product, .at = c->texts[t].at};

        for (size_t i = tile->from; i < tile->to; i++) {
            float x = product(r, i, t);

            look(&c->pictures[i], x, t);
            look(&g, x, i);
        }
        tile->before[t] = (uint8_t)g.before;
    }
    return 0;
}

static int take_tile(void *ctx, void *item, struct err *e)
{
    struct comparing *c = ctx;
    const struct tile *tile = item;

    (void)e;
    for (size_t t = 0; t < c->r->n_texts; t++)
        c->texts[t].before += tile->before[t];
    return 0;
}

static unsigned threads_of(const struct retrieval *r, unsigned threads)
{
    long here = sysconf(_SC_NPROCESSORS_ONLN);
    size_t tiles = (r->n_pictures + TILE - 1) / TILE;

    if (!threads)
        threads = here > 0 ? (unsigned)here : 1;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    return threads > tiles ? (unsigned)tiles : threads;
}

static int compare_all(const struct retrieval *r, unsigned threads,
                       struct goal *pictures, struct goal *texts, struct err *e)
{
    static const struct workq_ops ops = {next_tile, compare_tile, take_tile};
    struct comparing c = {.r = r, .pictures = pictures, .texts = texts};
    struct tile tiles[2 * THREADS_MAX] = {0};
    unsigned team = threads_of(r, threads), depth = 2 * team;
    uint8_t *before = calloc(depth, r->n_texts);
    int rc;

    if (!before)
        return err_set(e, E_NOMEM, "no room for ranks of %zu texts",
                       r->n_texts);
    for (unsigned i = 0; i < depth; i++)
        tiles[i].before = before + i * r->n_texts;
    rc = workq_run(&ops, &c, tiles, sizeof *tiles, depth, team, e);
    free(before);
    return rc;
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

int retrieval_score(const struct retrieval *r, unsigned threads,
                    struct retrieval_result *out, struct err *e)
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
    if (!rc)
        rc = compare_all(r, threads, pictures, texts, e);
    if (!rc) {
        sum_up(pictures, r->n_pictures, out->to_text, &out->rank_text);
        sum_up(texts, r->n_texts, out->to_picture, &out->rank_picture);
    }
    free(pictures);
    free(texts);
    return rc;
}
