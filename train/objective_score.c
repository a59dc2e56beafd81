#include "train/objective_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/sheet.h"

/* Pictures' features being scored. */
struct scoring {
    const struct job *j;
    const struct captions *c; /* the candidates */
    float *classes;           /* bow: [c->n, embed_dim], the mean of each
                                 candidate's rows of bow.weight */
    double *row;              /* [embed_dim] */
};

/* ---- caption: pair by pair ---- */

/* Picture p / c->n with caption p % c->n, for a chunk of pairs from p, behind
 * the last one that again: chunks of one size are what was planned for.  The
 * ids come on the host's stack, what conditions each into `own`. */
static struct captions take_pairs(const struct scoring *s, const void *first,
                                  int pictures, int64_t p, void *own)
{
    struct device *d = s->j->m->d;
    const int n = s->j->chunk;
    const int64_t last = (int64_t)pictures * s->c->n - 1;
    const int64_t width = s->j->m->config.text.width;
    const size_t row = (size_t)s->c->context * sizeof(int32_t);
    struct captions out = {.n = n, .context = s->c->context};
    char *ids = device_host_take(d, (size_t)n * row);
    struct op_gather gather = {
        .n = n, .dim = width, .total = pictures, .x = first, .y = own};
    int32_t *rows;
    struct sheet t;

    sheet_open(&t, d, n);
    gather.rows = sheet_take(&t, n, &rows);
    for (int i = 0; sheet_writable(&t) && i < n; i++) {
        int64_t pair = p + i < last ? p + i : last;

        rows[i] = (int32_t)(pair / s->c->n);
        memcpy(ids + (size_t)i * row,
               s->c->ids + pair % s->c->n * s->c->context, row);
    }
    sheet_close(&t);
    op_gather(d, &gather);
    out.ids = (const int32_t *)(const void *)ids;
    return out;
}

/* Minus the sums of the losses of the first n captions' rows. */
static void add_losses(const struct scoring *s, const struct captions *c, int n,
                       const void *column, int64_t rows, float *scores)
{
    struct device *d = s->j->m->d;
    size_t bytes = (size_t)rows * dtype_size(d->real);
    void *host = device_host_take(d, bytes);
    int64_t row = 0;

    device_get(d, host, column, bytes);
    for (int i = 0; !d->planning && !d->rc && i < n; i++) {
        int eot = caption_eot(c->ids + (int64_t)i * c->context, c->context);
        double sum = 0;

        for (int t = 0; t < eot; t++)
            sum += d->real == DTYPE_F64
                       ? ((const double *)host)[row + t]
                       : (double)((const float *)host)[row + t];
        scores[i] = (float)-sum;
        row += s->j->o->packed ? eot + 1 : c->context;
    }
}

/* A chunk of captions through the decoder, `own` conditioning each. */
static void decode(const struct scoring *s, const struct captions *c,
                   const void *own, int n, float *scores)
{
    const struct job *j = s->j;
    struct device *d = j->m->d;
    const struct pass pass = job_pass(j, false);
    struct prediction q = {.dx = NULL};
    struct caption_rows at;
    void *y;

    rows_captions(d, c, j->o->packed, j->plan_rows, &at);
    targets_next(d, c, j->o->packed, at.rows.total, &q.targets);
    q.x = y = device_take_act(d, at.rows.total * j->m->config.text.width);
    q.loss = device_take_real(d, at.rows.total);
    text_decoder_forward(&pass, &j->m->text, &at, own, y);
    objective_predict(j, &q);
    add_losses(s, c, n, q.loss, at.rows.total, scores);
}

/* The first n pairs from p, at most a chunk of them. */
static void score_pairs(const struct scoring *s, const void *first,
                        int pictures, int64_t p, int n, float *scores)
{
    struct device *d = s->j->m->d;
    const size_t mark = device_mark(d), host = device_host_mark(d);
    void *own =
        device_take_act(d, (int64_t)s->j->chunk * s->j->m->config.text.width);
    struct captions c = take_pairs(s, first, pictures, p, own);

    if (!d->rc) /* else there may be no ids */
        decode(s, &c, own, n, scores);
    device_host_release(d, host);
    device_release(d, mark);
}

static void score_captions(const struct scoring *s, const void *features, int n,
                           float *scores)
{
    const struct job *j = s->j;
    const struct pass pass = job_pass(j, false);
    const struct product project = objective_projection(j, &pass);
    const int64_t pairs = (int64_t)n * s->c->n;
    void *first =
        device_take_act(j->m->d, (int64_t)n * j->m->config.text.width);

    product_forward(&pass, &project, n, features, NULL, first);
    for (int64_t p = 0; p < pairs; p += j->chunk) {
        int64_t left = pairs - p;

        score_pairs(s, first, n, p, left < j->chunk ? (int)left : j->chunk,
                    scores ? scores + p : NULL);
    }
}

/* ---- bow: one product ---- */

/* The mean of the logits of a caption's words is the product with the mean of
 * their rows. */
static int make_classes(struct scoring *s, struct err *e)
{
    const struct clip *m = s->j->m;
    const size_t dim = (size_t)m->config.embed_dim;
    const size_t vocab = (size_t)m->config.text.vocab_size;
    float *w = malloc(vocab * dim * sizeof *w);

    s->classes = malloc((size_t)s->c->n * dim * sizeof *s->classes);
    s->row = calloc(dim, sizeof *s->row);
    if (!w || !s->classes || !s->row) {
        free(w);
        return err_set(e, E_NOMEM, "no room for %d captions' words", s->c->n);
    }
    memset(w, 0, vocab * dim * sizeof *w); /* a get that fails reads none */
    store_get(&m->store, m->d, m->bow, w, DTYPE_F32);
    for (int i = 0; i < s->c->n; i++) {
        const int32_t *ids = s->c->ids + (int64_t)i * s->c->context;
        int words = caption_eot(ids, s->c->context) - 1;

        for (size_t k = 0; k < dim; k++) {
            double sum = 0;

            for (int t = 1; t <= words; t++)
                sum += (double)w[(size_t)ids[t] * dim + k];
            s->classes[(size_t)i * dim + k] = (float)(sum / words);
        }
    }
    free(w);
    return 0;
}

/* One picture's, from its features and the log of its softmax's sum. */
static void score_row(const struct scoring *s, double lse, float *scores)
{
    const int dim = s->j->m->config.embed_dim;

    for (int i = 0; i < s->c->n; i++) {
        const float *w = s->classes + (int64_t)i * dim;
        double sum = 0;

        for (int k = 0; k < dim; k++)
            sum += s->row[k] * (double)w[k];
        scores[i] = (float)(sum - lse);
    }
}

static void score_words(const struct scoring *s, const void *features, int n,
                        float *scores)
{
    struct device *d = s->j->m->d;
    const size_t dim = (size_t)s->j->m->config.embed_dim;
    const size_t act = dtype_size(d->act), real = dtype_size(d->real);
    const struct captions nothing = {.n = n, .ids = s->c->ids};
    const size_t mark = device_host_mark(d);
    char *x = device_host_take(d, (size_t)n * dim * act);
    char *lse = device_host_take(d, (size_t)n * real);
    struct prediction q = {.x = features,
                           .loss = device_take_real(d, n),
                           .lse = device_take_real(d, n)};

    targets_words(d, &nothing, &q.targets);
    objective_predict(s->j, &q);
    device_get(d, x, features, (size_t)n * dim * act);
    device_get(d, lse, q.lse, (size_t)n * real);
    for (int i = 0; !d->planning && !d->rc && i < n; i++) {
        double log_sum;

        dtype_convert(s->row, DTYPE_F64, x + (size_t)i * dim * act, d->act,
                      dim);
        dtype_convert(&log_sum, DTYPE_F64, lse + (size_t)i * real, d->real, 1);
        score_row(s, log_sum, scores + (int64_t)i * s->c->n);
    }
    device_host_release(d, mark);
}

/* ---- all ---- */

/* scores: NULL while planning. */
static void score(const struct scoring *s, float *scores)
{
    const struct job *j = s->j;
    struct clip *m = j->m;

    for (int at = 0; at < j->n; at += j->chunk) {
        int n = job_chunk_at(j, at);
        void *features =
            device_take_act(m->d, (int64_t)n * m->config.embed_dim);
        float *to = scores ? scores + (int64_t)at * s->c->n : NULL;
        size_t mark = device_mark(m->d);
        struct input in;

        job_put(j, IMAGE, at, n, &in);
        job_forward_images(j, &in, false, false, features);
        device_release(m->d, mark);
        if (m->config.objective == OBJECTIVE_BOW)
            score_words(s, features, n, to);
        else
            score_captions(s, features, n, to);
        device_release(m->d, 0);
    }
}

/* One caption a picture, in whole chunks: as many as any number of pairs takes
 * at a time. */
void objective_plan_scores(const struct job *j)
{
    const struct captions c = {.n = 1,
                               .context = j->m->config.text.context_length};
    const struct scoring s = {.j = j, .c = &c};

    score(&s, NULL);
}

void objective_plan_pairs(const struct job *j)
{
    const struct captions c = {.n = 1,
                               .context = j->m->config.text.context_length};
    const struct scoring s = {.j = j, .c = &c};
    void *first =
        device_take_act(j->m->d, (int64_t)j->chunk * j->m->config.text.width);

    score_pairs(&s, first, j->chunk, 0, j->chunk, NULL);
}

static int check(const struct clip *m, const struct captions *c, struct err *e)
{
    if (m->config.objective == OBJECTIVE_CONTRASTIVE)
        return err_set(e, E_UNSUPPORTED,
                       "a contrastive model does not say how likely a caption "
                       "is; compare features");
    for (int i = 0; m->config.objective == OBJECTIVE_BOW && i < c->n; i++)
        if (caption_eot(c->ids + (int64_t)i * c->context, c->context) < 2)
            return err_set(e, E_RANGE, "caption %d has no words", i);
    return captions_check(c, m->config.text.vocab_size, e);
}

int objective_score(struct clip *m, const struct clip_options *o, int n,
                    const struct pixels *pixels,
                    const struct captions *captions, float *scores,
                    struct err *e)
{
    const struct clip_batch b = {.n = n, .pixels = *pixels};
    struct scoring s = {.c = captions};
    struct job j;
    int rc = check(m, captions, e);

    if (!rc)
        rc = job_lay_encode(&j, m, o, n, e);
    if (rc)
        return rc;
    j.b = &b;
    s.j = &j;
    if (m->config.objective == OBJECTIVE_BOW)
        rc = make_classes(&s, e);
    if (!rc) {
        score(&s, scores);
        rc = device_check(m->d, e);
    }
    free(s.classes);
    free(s.row);
    return rc;
}
