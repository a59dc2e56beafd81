/*
 * all_scores - how well every caption fits every picture, of a model that
 * predicts captions: what train/objective.h gives either objective for.
 *
 * Model.   out[i * captions->n + k]: for bow the product of the two rows, in
 *          double; for caption objective_score().
 */
#ifndef TESTS_ALL_SCORES_H
#define TESTS_ALL_SCORES_H

#include <stdlib.h>

#include "base/mem.h"
#include "train/objective.h"

static inline double all_scores_product(const float *a, const float *b,
                                        size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static inline int all_scores_bow(struct clip *m, const struct clip_options *o,
                                 int n, const struct pixels *pixels,
                                 const struct captions *c, float *out,
                                 struct err *e)
{
    const size_t dim = (size_t)m->config.embed_dim, wide = dim + 1;
    size_t vocab = (size_t)m->config.text.vocab_size, of = (size_t)c->n;
    float *table = xcalloc(vocab * dim, sizeof *table);
    float *pictures = xcalloc((size_t)n * wide, sizeof *pictures);
    float *texts = xcalloc(of * wide, sizeof *texts);
    int rc;

    store_get(&m->store, m->d, m->bow, table, DTYPE_F32);
    rc = objective_pictures(m, o, n, pixels, pictures, e);
    if (!rc)
        rc = objective_words(m, table, c, texts, e);
    for (size_t i = 0; !rc && i < (size_t)n * of; i++)
        out[i] = (float)all_scores_product(pictures + i / of * wide,
                                           texts + i % of * wide, wide);
    free(table);
    free(pictures);
    free(texts);
    return rc;
}

static inline int all_scores(struct clip *m, const struct clip_options *o,
                             int n, const struct pixels *pixels,
                             const struct captions *c, float *out,
                             struct err *e)
{
    return m->config.objective == OBJECTIVE_BOW
               ? all_scores_bow(m, o, n, pixels, c, out, e)
               : objective_score(m, o, n, pixels, c, out, e);
}

#endif
