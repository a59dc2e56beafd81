#include "train/objective_private.h"

#include <string.h>

#include "train/sheet.h"

/* Pictures' features being scored. */
struct scoring {
    const struct job *j;
    const struct captions *c; /* caption: the candidates */
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

/* ---- bow: a row a picture ---- */

/* [n, embed_dim + 1]: features, and minus the log of their softmax's sum. */
static void put_words(const struct scoring *s, const void *features, int n,
                      float *rows)
{
    struct device *d = s->j->m->d;
    const size_t dim = (size_t)s->j->m->config.embed_dim;
    const size_t act = dtype_size(d->act), real = dtype_size(d->real);
    const struct captions nothing = {.n = n, .ids = &(int32_t){0}};
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
    for (size_t i = 0; !d->planning && !d->rc && i < (size_t)n; i++) {
        float *row = rows + i * (dim + 1);
        double log_sum;

        dtype_convert(row, DTYPE_F32, x + i * dim * act, d->act, dim);
        dtype_convert(&log_sum, DTYPE_F64, lse + i * real, d->real, 1);
        row[dim] = (float)-log_sum;
    }
    device_host_release(d, mark);
}

/* ---- all ---- */

/* Numbers of a picture. */
static size_t width_of(const struct scoring *s)
{
    const struct clip_config *c = &s->j->m->config;

    return c->objective == OBJECTIVE_BOW ? (size_t)c->embed_dim + 1
                                         : (size_t)s->c->n;
}

/* out: NULL while planning. */
static void score(const struct scoring *s, float *out)
{
    const struct job *j = s->j;
    struct clip *m = j->m;

    for (int at = 0; at < j->n; at += j->chunk) {
        int n = job_chunk_at(j, at);
        void *features =
            device_take_act(m->d, (int64_t)n * m->config.embed_dim);
        float *to = out ? out + (size_t)at * width_of(s) : NULL;
        size_t mark = device_mark(m->d);
        struct input in;

        job_put(j, IMAGE, at, n, &in);
        job_forward_images(j, &in, false, false, features);
        device_release(m->d, mark);
        if (m->config.objective == OBJECTIVE_BOW)
            put_words(s, features, n, to);
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

/* What is asked of a model must be what it was trained for. */
static int check(const struct clip *m, enum objective asked, struct err *e)
{
    if (m->config.objective == asked)
        return 0;
    return err_set(e, E_UNSUPPORTED,
                   "a %s model does not say how likely %s; %s",
                   objective_names[m->config.objective],
                   asked == OBJECTIVE_BOW ? "single words are" : "a caption is",
                   m->config.objective ? "ask it for what it predicts"
                                       : "compare features");
}

static int run(struct scoring *s, struct clip *m, const struct clip_options *o,
               int n, const struct pixels *pixels, float *out, struct err *e)
{
    const struct clip_batch b = {.n = n, .pixels = *pixels};
    struct job j;
    int rc = job_lay_encode(&j, m, o, n, e);

    if (rc)
        return rc;
    j.b = &b;
    s->j = &j;
    score(s, out);
    return device_check(m->d, e);
}

int objective_score(struct clip *m, const struct clip_options *o, int n,
                    const struct pixels *pixels,
                    const struct captions *captions, float *scores,
                    struct err *e)
{
    struct scoring s = {.c = captions};
    int rc = check(m, OBJECTIVE_CAPTION, e);

    if (!rc)
        rc = captions_check(captions, m->config.text.vocab_size, e);
    return rc ? rc : run(&s, m, o, n, pixels, scores, e);
}

int objective_pictures(struct clip *m, const struct clip_options *o, int n,
                       const struct pixels *pixels, float *rows, struct err *e)
{
    struct scoring s = {.c = NULL};
    int rc = check(m, OBJECTIVE_BOW, e);

    return rc ? rc : run(&s, m, o, n, pixels, rows, e);
}

int objective_words(const struct clip *m, const float *table,
                    const struct captions *captions, float *rows, struct err *e)
{
    const size_t dim = (size_t)m->config.embed_dim;
    int rc = captions_check(captions, m->config.text.vocab_size, e);

    for (int i = 0; !rc && i < captions->n; i++) {
        const int32_t *ids = captions->ids + (int64_t)i * captions->context;
        float *row = rows + (size_t)i * (dim + 1);
        int words = caption_eot(ids, captions->context) - 1;

        if (words < 1)
            return err_set(e, E_RANGE, "caption %d has no words", i);
        for (size_t k = 0; k < dim; k++) {
            double sum = 0;

            for (int t = 1; t <= words; t++)
                sum += (double)table[(size_t)ids[t] * dim + k];
            row[k] = (float)(sum / words);
        }
        row[dim] = 1;
    }
    return rc;
}
