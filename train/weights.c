#include "train/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "train/resize.h"
#include "train/weights_names.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "safetensors are little-endian, and so is what is read here");

/* A model being loaded. */
struct loading {
    struct clip *m;
    const char *path;
    bool resize;
    struct safetensors file;
    struct weights_index index;
    struct weights_pieces pieces;
    float *host; /* the tensor in hand */
    struct err *e;
};

/* ---- does what the file says fit the model? ---- */

static int check_said(struct loading *l)
{
    const struct clip_config *c = &l->m->config;
    struct weights_said said;
    const char *what = NULL;
    int rc = weights_said(&said, &l->file, l->path, l->e);

    if (rc)
        return rc;
    if (said.activation == SAYS_NOTHING)
        log_event("warning", "%s does not say its activation; it runs with %s",
                  l->path, weights_activation(c->quick_gelu));
    else if ((said.activation == SAYS_QUICK_GELU) != c->quick_gelu)
        return err_set(l->e, E_STALE,
                       "%s: weights of a model with %s, but this model runs "
                       "with %s",
                       l->path, weights_activation(!c->quick_gelu),
                       weights_activation(c->quick_gelu));
    if (said.has_config) {
        if (l->resize) { /* these two may differ then */
            said.config.vision.image_size = c->vision.image_size;
            said.config.text.context_length = c->text.context_length;
        }
        what = clip_config_differs(&said.config, c);
    }
    if (what)
        return err_set(l->e, E_STALE,
                       "%s: weights of another model: its %s is not this "
                       "model's",
                       l->path, what);
    return 0;
}

/* ---- numbers ---- */

/* An IEEE half as float: five bits of exponent, ten of fraction. */
static float half_to_float(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float x;

    if (exponent == 31)
        x = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        x = ldexpf((float)fraction, -24);
    else
        x = ldexpf((float)(fraction + 1024), exponent - 25);
    return h >> 15 ? -x : x;
}

/* All numbers of t, which need not be aligned. */
static int numbers(struct loading *l, const struct safetensor *t, float *to)
{
    const uint8_t *from = t->data;
    uint16_t h;
    double d;

    switch (t->dtype) {
    case ST_F32:
        memcpy(to, from, t->size);
        return 0;
    case ST_F16:
        for (uint64_t i = 0; i < t->count; i++) {
            memcpy(&h, from + 2 * i, sizeof h);
            to[i] = half_to_float(h);
        }
        return 0;
    case ST_BF16:
        for (uint64_t i = 0; i < t->count; i++) {
            memcpy(&h, from + 2 * i, sizeof h);
            to[i] = bf16_to_float(h);
        }
        return 0;
    case ST_F64:
        for (uint64_t i = 0; i < t->count; i++) {
            memcpy(&d, from + 8 * i, sizeof d);
            to[i] = (float)d;
        }
        return 0;
    default:
        return err_set(l->e, E_FORMAT,
                       "%s: tensor %.*s is of %s; F16, BF16, F32 or F64 is "
                       "needed",
                       l->path, STR_ARG(t->name),
                       safetensors_dtype_name(t->dtype));
    }
}

/* ---- one piece ---- */

/* "[2, 3]" */
static void print_shape(char *out, size_t size, const uint64_t *shape, int rank)
{
    size_t n = (size_t)snprintf(out, size, "[");

    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%llu", i ? ", " : "",
                              (unsigned long long)shape[i]);
    if (n < size)
        snprintf(out + n, size - n, "]");
}

static int wrong_shape(struct loading *l, const struct weights_piece *p,
                       const struct safetensor *t)
{
    char has[SAFETENSORS_RANK_MAX * 22 + 3], needs[sizeof has];

    print_shape(has, sizeof has, t->shape, t->rank);
    print_shape(needs, sizeof needs, p->shape, p->rank);
    return err_set(l->e, E_RANGE, "%s: tensor %.*s is %s; the model needs %s%s",
                   l->path, STR_ARG(t->name), has, needs,
                   p->resize && !l->resize ? " (no resizing was asked for)"
                                           : "");
}

static bool same_shape(const struct weights_piece *p,
                       const struct safetensor *t)
{
    if (p->rank == 0) /* some write a scalar as a row of one */
        return t->rank <= 1 && t->count == 1;
    return t->rank == p->rank &&
           memcmp(t->shape, p->shape, (size_t)p->rank * sizeof *t->shape) == 0;
}

/* Position embeddings of another number of places into the host's. */
static int resized(struct loading *l, const struct weights_piece *p,
                   const struct safetensor *t)
{
    size_t n = (size_t)t->shape[0], wanted = (size_t)p->shape[0];
    size_t width = (size_t)p->shape[1];
    size_t side = 0, to_side = (size_t)lround(sqrt((double)wanted - 1));
    float *from;
    int rc;

    if (p->resize == RESIZE_GRID && n > 1)
        side = (size_t)lround(sqrt((double)n - 1));
    if (t->rank != 2 || t->shape[1] != width || n == 0 ||
        (p->resize == RESIZE_GRID && (side == 0 || side * side + 1 != n)))
        return wrong_shape(l, p, t);
    from = malloc((size_t)t->count * sizeof *from);
    if (!from)
        return err_set(l->e, E_NOMEM, "%s: no room for %zu positions", l->path,
                       n);
    rc = numbers(l, t, from);
    if (!rc && p->resize == RESIZE_LINE) {
        resize_line(l->host, wanted, from, n, width);
    } else if (!rc) {
        memcpy(l->host, from, width * sizeof *from);
        rc = resize_grid(l->host + width, to_side, from + width, side, width,
                         l->e);
    }
    free(from);
    return rc;
}

static int turned(struct loading *l, const struct weights_piece *p,
                  const struct safetensor *t)
{
    float *from = malloc((size_t)p->count * sizeof *from);
    int rc;

    if (!from)
        return err_set(l->e, E_NOMEM, "%s: no room for %lld numbers", l->path,
                       (long long)p->count);
    rc = numbers(l, t, from);
    if (!rc)
        weights_transpose(l->host + p->from, from, (size_t)p->shape[0],
                          (size_t)p->shape[1]);
    free(from);
    return rc;
}

static int read_piece(struct loading *l, const struct weights_piece *p)
{
    struct weights_entry *at = weights_index_find(&l->index, p->name);

    if (at)
        at->used = true;
    if (p->tensor < 0)
        return 0;
    if (!at)
        return err_set(l->e, E_NOTFOUND, "%s: tensor %.*s is missing", l->path,
                       STR_ARG(p->name));
    if (same_shape(p, at->t))
        return p->transposed ? turned(l, p, at->t)
                             : numbers(l, at->t, l->host + p->from);
    if (p->resize && l->resize)
        return resized(l, p, at->t);
    return wrong_shape(l, p, at->t);
}

/* ---- the whole ---- */

/* Pieces of one tensor are neighbours. */
static int read_all(struct loading *l)
{
    int rc = 0;

    for (size_t i = 0; i < l->pieces.n && !rc; i++) {
        const struct weights_piece *p = &l->pieces.list[i];
        bool last = i + 1 == l->pieces.n || p[1].tensor != p->tensor;

        rc = read_piece(l, p);
        if (!rc && last && p->tensor >= 0)
            store_put(&l->m->store, l->m->d, p->tensor, l->host, DTYPE_F32);
    }
    return rc;
}

/* What stands in files beside weights and carries none. */
static bool carries_none(struct str name)
{
    return str_ends(name, STR("embeddings.position_ids")) ||
           str_eq(name, STR("input_resolution")) ||
           str_eq(name, STR("context_length")) ||
           str_eq(name, STR("vocab_size"));
}

static int check_rest(const struct loading *l)
{
    for (size_t i = 0; i < l->index.n; i++) {
        const struct weights_entry *at = &l->index.list[i];

        if (!at->used && !carries_none(at->name))
            return err_set(l->e, E_FORMAT,
                           "%s: tensor %.*s belongs to no part of this model",
                           l->path, STR_ARG(at->t->name));
    }
    return 0;
}

static int make_room(struct loading *l)
{
    int64_t most = 1;

    for (int i = 0; i < l->m->store.n; i++)
        if (l->m->store.list[i].count > most)
            most = l->m->store.list[i].count;
    l->host = malloc((size_t)most * sizeof *l->host);
    return l->host ? 0
                   : err_set(l->e, E_NOMEM,
                             "%s: no room for a tensor of %lld numbers",
                             l->path, (long long)most);
}

int weights_load(struct clip *m, const char *path, bool resize, struct err *e)
{
    struct loading l = {.m = m, .path = path, .resize = resize, .e = e};
    int rc = safetensors_open(&l.file, path, e);

    if (rc)
        return rc;
    rc = check_said(&l);
    if (!rc)
        rc = weights_index_make(&l.index, &l.file, path, e);
    if (!rc) {
        rc = weights_pieces_make(&l.pieces, m, weights_layout_of(&l.file), e);
        if (rc)
            err_wrap(e, rc, "%s", path);
    }
    if (!rc)
        rc = make_room(&l);
    if (!rc)
        rc = read_all(&l);
    if (!rc)
        rc = check_rest(&l);
    if (!rc) {
        store_refresh(&m->store, m->d);
        rc = device_check(m->d, e);
    }
    free(l.host);
    weights_pieces_release(&l.pieces);
    weights_index_release(&l.index);
    safetensors_close(&l.file);
    return rc;
}
