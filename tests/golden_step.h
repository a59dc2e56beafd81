/*
 * golden_step - a recorded training step, and how far a replay lies from it.
 *
 * Model.   A golden file (tests/golden/train/MODEL.txt, its head says what is
 *          in it) holds of every tensor the norm and eight projections, as
 *          open_clip computed them in float64.  golden_compare() takes a
 *          trial_run behind its step and gives the largest difference by the
 *          bound that the caller states:
 *              relative * norm + absolute * largest gradient's norm,
 *          without the second part for what is no gradient.
 * Owns.    golden_release() frees the rows.
 * Fails.   -E_FORMAT; -E_NOTFOUND for a tensor that only one side has.
 * Threads. One.
 */
#ifndef TESTS_GOLDEN_STEP_H
#define TESTS_GOLDEN_STEP_H

#include "base/io.h"
#include "tests/trial_run.h"

#define GOLDEN_NUMBERS  (1 + TRIAL_PROJECTIONS)
#define GOLDEN_FILE_MAX (16u << 20) /* bytes */

struct golden_row {
    char name[160];
    double v[GOLDEN_NUMBERS];
    bool seen;
};

struct golden {
    char model[CONFIG_NAME_MAX];
    int n;                   /* pairs of the batch */
    int number;              /* which of the trial's batches */
    double loss, largest;    /* largest: norm of a gradient */
    struct golden_row *rows; /* in the file's order */
    size_t count, cap;
};

struct golden_bound {
    double features; /* relative: features, logits, statistics */
    double gradients, absolute;
};

struct golden_worst {
    double by_bound; /* 1 is at the bound */
    char name[160];
    /* A projection by signs that chance drew is as large, squared and on
     * average, as the tensor: so the eight of an error say how large it is,
     * beside the tensor's norm, to a fourth of it or so. */
    double features;    /* the largest of what is no gradient */
    double apart, norm; /* squared: of all gradients as one vector */
    int tensors;        /* in all; their errors are within 1e-2, 1e-4 of the */
    int percent, ten_thousandth; /* tensor's norm */
};

/* Of all gradients as one vector. */
static inline double golden_gradient(const struct golden_worst *w)
{
    return w->norm > 0 ? sqrt(w->apart / w->norm) : 0;
}

static inline int golden_row(struct golden *g, struct str line)
{
    struct golden_row *row;
    struct str word;
    int rc = 0;

    g->rows = xgrow(g->rows, &g->cap, g->count + 1, sizeof *g->rows);
    row = &g->rows[g->count++];
    *row = (struct golden_row){.seen = false};
    str_split(&line, ' ', &word);
    snprintf(row->name, sizeof row->name, "%.*s", STR_ARG(word));
    for (int k = 0; !rc && k < GOLDEN_NUMBERS; k++)
        rc = str_split(&line, ' ', &word) ? str_double(word, &row->v[k])
                                          : -E_FORMAT;
    if (!rc && trial_has(row->name, "grad/") && row->v[0] > g->largest)
        g->largest = row->v[0];
    return rc;
}

static inline int golden_line(struct golden *g, struct str line)
{
    struct str rest = line, word;
    uint64_t n;
    int rc;

    if (!line.n || line.p[0] == '#')
        return 0;
    str_split(&rest, ' ', &word);
    if (str_eq(word, STR("model"))) {
        snprintf(g->model, sizeof g->model, "%.*s", STR_ARG(rest));
        return 0;
    }
    if (str_eq(word, STR("batch"))) {
        rc = str_u64(rest, &n);
        g->n = (int)n;
        return rc;
    }
    if (str_eq(word, STR("number"))) {
        rc = str_u64(rest, &n);
        g->number = (int)n;
        return rc;
    }
    if (str_eq(word, STR("loss")))
        return str_double(rest, &g->loss);
    return golden_row(g, line);
}

static inline int golden_read(struct golden *g, const char *path, struct err *e)
{
    struct buf b;
    struct str rest, line;
    int rc;

    memset(g, 0, sizeof *g);
    buf_init(&b, GOLDEN_FILE_MAX);
    rc = io_read_file(path, &b, e);
    rest = buf_str(&b);
    while (!rc && str_split(&rest, '\n', &line))
        if (golden_line(g, line))
            rc = err_set(e, E_FORMAT, "%s: %.*s", path, STR_ARG(line));
    if (!rc && (!g->n || !g->model[0] || !g->count))
        rc = err_set(e, E_FORMAT, "%s: no model, batch or tensor", path);
    buf_release(&b);
    return rc;
}

static inline void golden_release(struct golden *g)
{
    free(g->rows);
}

struct golden_walk {
    struct golden *g;
    struct golden_bound bound;
    struct golden_worst *worst;
    struct err *e;
};

/* How far a tensor is off, beside its norm.  A gradient that is nothing but
 * rounding (of a bias that BatchNorm or softmax cancels) is not counted. */
static inline void golden_apart(struct golden_walk *walk,
                                const struct golden_row *row, const double *got)
{
    struct golden_worst *w = walk->worst;
    bool gradient = trial_has(row->name, "grad/");
    double apart = 0, part;

    for (int k = 1; k < GOLDEN_NUMBERS; k++)
        apart +=
            (got[k] - row->v[k]) * (got[k] - row->v[k]) / TRIAL_PROJECTIONS;
    if (gradient && row->v[0] <= 1e-6 * walk->g->largest)
        return;
    part = sqrt(apart) / row->v[0];
    w->tensors++;
    w->percent += part <= 1e-2;
    w->ten_thousandth += part <= 1e-4;
    if (gradient) {
        w->apart += apart;
        w->norm += row->v[0] * row->v[0];
    } else if (!(part <= w->features)) {
        w->features = part;
    }
}

static inline int golden_one(struct golden_walk *w, const char *name,
                             const double *x, int64_t n)
{
    double got[GOLDEN_NUMBERS], bound;
    struct golden_row *row = NULL;

    for (size_t i = 0; i < w->g->count; i++)
        if (strcmp(w->g->rows[i].name, name) == 0)
            row = &w->g->rows[i];
    if (!row || row->seen)
        return err_set(w->e, E_NOTFOUND, "%s: not in the golden file, or twice",
                       name);
    row->seen = true;
    trial_project(name, x, n, got);
    golden_apart(w, row, got);
    bound = trial_has(name, "grad/") ? w->bound.gradients * row->v[0] +
                                           w->bound.absolute * w->g->largest
                                     : w->bound.features * row->v[0];
    for (int k = 0; k < GOLDEN_NUMBERS; k++) {
        double by = fabs(got[k] - row->v[k]) / bound;

        if (!(by <= w->worst->by_bound)) {
            w->worst->by_bound = by;
            snprintf(w->worst->name, sizeof w->worst->name, "%s", name);
        }
    }
    return 0;
}

/* Query, key and value parts of in_proj apart. */
static inline int golden_visit(void *ctx, const char *name, const double *x,
                               int rank, const int64_t *shape)
{
    int64_t count = 1;
    int rc = 0;

    for (int i = 0; i < rank; i++)
        count *= shape[i];
    if (!trial_has(name, "in_proj_"))
        return golden_one(ctx, name, x, count);
    for (int i = 0; !rc && i < 3; i++) {
        char part[200];

        snprintf(part, sizeof part, "%s/%c", name, "qkv"[i]);
        rc = golden_one(ctx, part, x + i * (count / 3), count / 3);
    }
    return rc;
}

static inline int golden_compare(struct golden *g, const struct trial_run *r,
                                 struct golden_bound bound,
                                 struct golden_worst *worst, struct err *e)
{
    struct golden_walk w = {g, bound, worst, e};
    int rc;

    *worst = (struct golden_worst){.by_bound = fabs(r->loss - g->loss) /
                                               (bound.features * fabs(g->loss)),
                                   .name = "loss"};
    rc = trial_each(r, golden_visit, &w);
    for (size_t i = 0; !rc && i < g->count; i++)
        if (!g->rows[i].seen)
            rc = err_set(e, E_NOTFOUND, "%s: not computed", g->rows[i].name);
    return rc;
}

#endif
