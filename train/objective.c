#include "train/objective_private.h"

#include "train/collective.h"

_Static_assert(OP_TARGETS_MAX >= CONFIG_CONTEXT_MAX,
               "a caption's words are one row's targets");

/* ---- the output layer ---- */

#define ROWS_STEP 128 /* products like their rows in multiples of it */

static struct product output(const struct job *j, const struct pass *p)
{
    const struct clip *m = j->m;
    bool bow = m->config.objective == OBJECTIVE_BOW;
    struct linear_at at = {bow ? m->bow : m->text.token, -1};

    return product_of(p, at, 0, m->config.text.vocab_size,
                      bow ? m->config.embed_dim : m->config.text.width);
}

/* Rows whose logits exist at a time. */
static int64_t rows_at_once(const struct job *j, int64_t rows)
{
    int64_t most = j->o->logits > 0 ? j->o->logits : OBJECTIVE_LOGITS;

    most /= j->m->config.text.vocab_size;
    if (most > ROWS_STEP)
        most -= most % ROWS_STEP;
    if (most < 1)
        most = 1;
    return rows < most ? rows : most;
}

static void *at_row(const void *x, int64_t row, int64_t dim, size_t number)
{
    return x ? (char *)x + (size_t)(row * dim) * number : NULL;
}

void objective_predict(const struct job *j, const struct prediction *q)
{
    struct device *d = j->m->d;
    const struct pass p = job_pass(j, q->by != NULL);
    const struct product w = output(j, &p);
    const int64_t rows = q->targets.rows, step = rows_at_once(j, rows);
    const size_t act = dtype_size(d->act), real = dtype_size(d->real);
    const size_t mark = device_mark(d);
    void *logits = device_take_act(d, step * w.n);

    for (int64_t r = 0; r < rows; r += step) {
        int64_t n = rows - r < step ? rows - r : step;
        const void *x = at_row(q->x, r, w.k, act);

        product_forward(&p, &w, n, x, NULL, logits);
        op_softmax_loss(d, &(struct op_softmax_loss){
                               .rows = n,
                               .cols = w.n,
                               .most = q->targets.most,
                               .x = logits,
                               .at = q->targets.at + r,
                               .ids = q->targets.ids,
                               .by = q->by,
                               .loss = at_row(q->loss, r, 1, real),
                               .lse = at_row(q->lse, r, 1, real),
                           });
        if (q->by)
            product_backward(&p, &w, n, x, logits, at_row(q->dx, r, w.k, act));
    }
    device_release(d, mark);
}

struct product objective_projection(const struct job *j, const struct pass *p)
{
    const struct clip_config *c = &j->m->config;

    return product_projection(p, j->m->caption, c->text.width, c->embed_dim);
}

/* ---- a chunk ---- */

/* What all chunks of a batch share. */
struct tally {
    void *by;     /* real [1]: 1 / what is predicted, on all ranks */
    void *loss;   /* real, a row after the other */
    int64_t rows; /* of losses so far */
};

static struct captions captions_at(const struct job *j, int at, int n)
{
    struct captions c = {.n = n, .context = j->m->config.text.context_length};

    if (j->b)
        c.ids = j->b->captions.ids + (int64_t)at * c.context;
    return c;
}

/* Words from features; their gradient. */
static void bow_part(const struct job *j, const struct captions *c,
                     const void *features, void *dfeatures, struct tally *t)
{
    struct device *d = j->m->d;
    struct prediction q = {.x = features, .dx = dfeatures, .by = t->by};

    targets_words(d, c, &q.targets);
    q.loss = at_row(t->loss, t->rows, 1, dtype_size(d->real));
    objective_predict(j, &q);
    t->rows += q.targets.rows;
}

/* Captions from features; their gradient. */
static void caption_part(const struct job *j, const struct captions *c,
                         const void *features, void *dfeatures, struct tally *t)
{
    struct device *d = j->m->d;
    const struct pass p = job_pass(j, true);
    const int64_t width = j->m->config.text.width;
    const struct product project = objective_projection(j, &p);
    void *first = device_take_act(d, c->n * width), *y;
    struct prediction q = {.by = t->by};
    struct caption_rows at;

    rows_captions(d, c, j->o->packed, j->plan_rows, &at);
    targets_next(d, c, j->o->packed, at.rows.total, &q.targets);
    y = device_take_act(d, at.rows.total * width);
    product_forward(&p, &project, c->n, features, NULL, first);
    text_decoder_forward(&p, &j->m->text, &at, first, y);
    q.x = q.dx = y;
    q.loss = at_row(t->loss, t->rows, 1, dtype_size(d->real));
    objective_predict(j, &q);
    text_decoder_backward(&p, &j->m->text, y, first);
    product_backward(&p, &project, c->n, features, first, dfeatures);
    t->rows += at.rows.total;
}

/* Pairs [at, at + n): forward and backward. */
static void chunk(const struct job *j, int at, int n, struct tally *t)
{
    const struct clip *m = j->m;
    const struct captions c = captions_at(j, at, n);
    const int64_t count = (int64_t)n * m->config.embed_dim;
    void *features = device_take_act(m->d, count);
    void *dfeatures = device_take_act(m->d, count);
    struct input in;
    size_t mark;

    job_put(j, IMAGE, at, n, &in);
    job_forward_images(j, &in, true, true, features);
    mark = device_mark(m->d);
    if (m->config.objective == OBJECTIVE_BOW)
        bow_part(j, &c, features, dfeatures, t);
    else
        caption_part(j, &c, features, dfeatures, t);
    device_release(m->d, mark);
    job_backward_images(j, dfeatures);
}

/* ---- a batch ---- */

/* What this rank's captions give to predict. */
static double to_predict(const struct job *j)
{
    struct captions c = captions_at(j, 0, j->n);

    if (!j->b)
        return 1;
    return (double)(j->m->config.objective == OBJECTIVE_BOW
                        ? targets_words_count(&c)
                        : targets_next_count(&c));
}

/* The most losses that all chunks have together. */
static int64_t losses(const struct job *j)
{
    const int context = j->m->config.text.context_length;
    const int rest = j->n % j->chunk;
    int64_t most;

    if (j->m->config.objective == OBJECTIVE_BOW)
        return j->n;
    most = j->n / j->chunk * rows_captions_max(j->m->d, j->chunk, context);
    return most + (rest ? rows_captions_max(j->m->d, rest, context) : 0);
}

static void put_real(struct device *d, void *to, double x)
{
    float f = (float)x;

    if (d->real == DTYPE_F64)
        device_put(d, to, &x, sizeof x);
    else
        device_put(d, to, &f, sizeof f);
}

/* Over all ranks. */
static double total(const struct job *j, double x)
{
    return j->all > j->n ? collective_sum_host(j->o->ranks, j->m->d, x) : x;
}

double objective_run(struct job *j)
{
    struct device *d = j->m->d;
    struct tally t = {.by = device_take_real(d, 1),
                      .loss = device_take_real(d, losses(j))};
    const size_t mark = device_mark(d);
    double count = total(j, to_predict(j));

    if (count < 1)
        count = 1; /* nobody says anything: no loss, no gradient */
    put_real(d, t.by, 1 / count);
    job_begin_gradients(j);
    for (int at = 0; at < j->n; at += j->chunk) {
        int n = job_chunk_at(j, at);

        chunk(j, at, n, &t);
        if (at + n < j->n)
            job_send(j, at + n);
        device_release(d, mark);
    }
    job_send_next(j);
    job_finish_gradients(j);
    return total(j, job_sum(j, t.loss, t.rows)) / count;
}

/* A chunk's captions alone. */
static void plan_captions(const struct job *j, int n)
{
    struct device *d = j->m->d;
    const int64_t count = (int64_t)n * j->m->config.embed_dim;
    const struct captions c = captions_at(j, 0, n);
    struct tally t = {.by = device_take_real(d, 1),
                      .loss = device_take_real(d, j->plan_rows)};
    void *features = device_take_act(d, count);
    void *dfeatures = device_take_act(d, count);

    caption_part(j, &c, features, dfeatures, &t);
}

void objective_plan_rows(const struct job *j, int n, bool train)
{
    if (j->m->config.objective == OBJECTIVE_BOW)
        return; /* a row a caption, packed or not */
    if (train)
        plan_captions(j, n);
    else if (n == j->chunk) /* pairs are always as many */
        objective_plan_pairs(j);
}
