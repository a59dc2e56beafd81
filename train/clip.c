#include "train/clip_private.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "train/collective.h"

/* The tensors of other objectives, drawn as the tables beside them are. */
static void add_objective(struct clip *m, const struct clip_config *c)
{
    const int64_t bow[] = {c->text.vocab_size, c->embed_dim};
    const int64_t caption[] = {c->embed_dim, c->text.width};
    const double projection = pow(c->embed_dim, -0.5);

    m->bow = m->caption = -1;
    if (c->objective == OBJECTIVE_BOW)
        m->bow = store_add(&m->store, (struct init){INIT_NORMAL, 0.02}, 2, bow,
                           "bow.weight");
    if (c->objective == OBJECTIVE_CAPTION)
        m->caption =
            store_add(&m->store, (struct init){INIT_NORMAL, projection}, 2,
                      caption, "caption.projection");
}

int clip_open(struct clip *m, struct device *d, const struct clip_config *c,
              enum store_use use, struct err *e)
{
    struct store *s = &m->store;
    int rc = clip_config_check(c, e);

    memset(m, 0, sizeof *m);
    if (rc)
        return rc;
    m->config = *c;
    m->d = d;
    store_init(s);
    text_tower_init(&m->text, s, c);
    m->logit_scale =
        store_add(s, (struct init){INIT_CONSTANT, c->init_logit_scale}, 0, NULL,
                  "logit_scale");
    m->logit_bias = -1;
    if (c->logit_bias)
        m->logit_bias =
            store_add(s, (struct init){INIT_CONSTANT, c->init_logit_bias}, 0,
                      NULL, "logit_bias");
    if (job_is_resnet(m))
        resnet_init(&m->vision.resnet, s, c);
    else
        vit_init(&m->vision.vit, s, c);
    add_objective(m, c);
    store_seal(s);
    rc = store_open(s, d, use, e);
    if (rc)
        clip_close(m);
    return rc;
}

struct pixel_norm clip_pixel_norm(const struct clip_config *c)
{
    return pixel_norm_of(c->pictures.mean, c->pictures.std);
}

void clip_close(struct clip *m)
{
    if (!m->d)
        return;
    text_tower_release(&m->text);
    if (job_is_resnet(m))
        resnet_release(&m->vision.resnet);
    else
        vit_release(&m->vision.vit);
    store_release(&m->store, m->d);
    memset(m, 0, sizeof *m);
}

/* ---- a batch ---- */

/* Indices of rows are of 32 bits, and so are the numbers of tokens. */
static int check_tokens(const struct job *j, struct err *e)
{
    const struct clip *m = j->m;
    int64_t grid = clip_config_grid(&m->config);
    int64_t len = grid * grid + 1;

    if (len < m->config.text.context_length)
        len = m->config.text.context_length;
    if (j->chunk <= (INT32_MAX - m->d->row_step) / len)
        return 0;
    return err_set(e, E_RANGE,
                   "%d pairs of %lld tokens at a time; choose a smaller chunk",
                   j->chunk, (long long)len);
}

/* Sizes of a batch of n, checked. */
static int lay_job(struct job *j, struct clip *m, const struct clip_options *o,
                   int n, struct err *e)
{
    memset(j, 0, sizeof *j);
    j->m = m;
    j->o = o;
    j->n = n;
    j->chunk = o->chunk > 0 && o->chunk < n ? o->chunk : n;
    j->group = o->bn_batch > 0 && o->bn_batch < n ? o->bn_batch : n;
    if (n < 1 || (o->ranks && n > INT32_MAX / o->ranks->size))
        return err_set(e, E_RANGE, "a batch of %d pairs on each of %d ranks", n,
                       o->ranks ? o->ranks->size : 1);
    j->all = n * (o->ranks ? o->ranks->size : 1);
    j->first = n * (o->ranks ? o->ranks->rank : 0);
    if (o->loss == LOSS_SIGMOID && m->logit_bias < 0)
        return err_set(e, E_RANGE,
                       "the sigmoid loss needs a model with a logit_bias");
    if (o->loss != LOSS_INFONCE && m->config.objective)
        return err_set(e, E_RANGE,
                       "the sigmoid loss is contrastive; the objective is %s",
                       objective_names[m->config.objective]);
    if (!job_is_resnet(m))
        return check_tokens(j, e);
    if (j->all > n && o->bn_batch > n)
        return err_set(e, E_RANGE,
                       "BatchNorm groups of %d reach over ranks of %d pairs "
                       "each; choose at most that",
                       o->bn_batch, n);
    if (n % j->group)
        return err_set(e, E_RANGE,
                       "a batch of %d is not made of BatchNorm groups of %d; "
                       "choose a multiple",
                       n, j->group);
    if (j->chunk < n && j->chunk % j->group)
        return err_set(e, E_RANGE,
                       "chunks of %d split BatchNorm groups of %d; choose a "
                       "multiple",
                       j->chunk, j->group);
    return check_tokens(j, e);
}

int clip_gradients(struct clip *m, const struct clip_options *o,
                   const struct clip_batch *b, double *loss, void *image,
                   void *text, struct err *e)
{
    struct device *d = m->d;
    struct job j;
    size_t bytes;
    int rc = lay_job(&j, m, o, b->n, e);

    assert(m->store.grad && b->captions.n == b->n);
    assert(b->captions.context == m->config.text.context_length);
    if (!rc)
        rc = captions_check(&b->captions, m->config.text.vocab_size, e);
    if (rc)
        return rc;
    j.b = b;
    if (m->config.objective) {
        assert(!image && !text);
        *loss = objective_run(&j);
        device_release(d, 0);
        return device_check(d, e);
    }
    *loss = job_run(&j);
    bytes = (size_t)b->n * (size_t)m->config.embed_dim * dtype_size(d->real);
    if (image)
        device_get(d, image, j.side[IMAGE].y, bytes);
    if (text)
        device_get(d, text, j.side[TEXT].y, bytes);
    device_release(d, 0);
    return device_check(d, e);
}

/* ---- features alone ---- */

/* features: host memory; NULL while planning. */
static void encode(const struct job *j, enum which side, char *features)
{
    struct device *d = j->m->d;
    int64_t dim = j->m->config.embed_dim;
    size_t row = (size_t)dim * dtype_size(d->real);

    for (int at = 0; at < j->n; at += j->chunk) {
        int n = job_chunk_at(j, at);
        void *y = device_take_real(d, n * dim);
        void *norm = device_take_real(d, n);
        struct input in;

        job_put(j, side, at, n, &in);
        if (device_graph_begin(d, job_key(j, ENCODE, side, &in))) {
            job_forward(j, side, &in, false, false, y, norm);
            device_graph_end(d);
        }
        if (features)
            device_get(d, features + (size_t)at * row, y, (size_t)n * row);
        device_release(d, 0);
    }
}

int job_lay_encode(struct job *j, struct clip *m, const struct clip_options *o,
                   int n, struct err *e)
{
    if (n < 1)
        return err_set(e, E_RANGE, "a batch of %d", n);
    memset(j, 0, sizeof *j);
    j->m = m;
    j->o = o;
    j->n = n;
    j->chunk = o->chunk > 0 && o->chunk < n ? o->chunk : n;
    j->group = j->chunk;
    j->running = true;
    if (check_tokens(j, e))
        return -E_RANGE;
    return device_check(m->d, e);
}

int clip_encode_images(struct clip *m, const struct clip_options *o, int n,
                       const struct pixels *pixels, void *features,
                       struct err *e)
{
    struct clip_batch b = {.n = n, .pixels = *pixels};
    struct job j;
    int rc = job_lay_encode(&j, m, o, n, e);

    if (rc)
        return rc;
    j.b = &b;
    encode(&j, IMAGE, features);
    return device_check(m->d, e);
}

int clip_encode_texts(struct clip *m, const struct clip_options *o,
                      const struct captions *c, void *features, struct err *e)
{
    struct clip_batch b = {.n = c->n, .captions = *c};
    struct job j;
    int rc = job_lay_encode(&j, m, o, c->n, e);

    assert(c->context == m->config.text.context_length);
    if (!rc && m->config.objective)
        rc = err_set(e, E_UNSUPPORTED,
                     "a model of the objective %s has no features of texts",
                     objective_names[m->config.objective]);
    if (!rc)
        rc = captions_check(c, m->config.text.vocab_size, e);
    if (rc)
        return rc;
    j.b = &b;
    encode(&j, TEXT, features);
    return device_check(m->d, e);
}

/* ---- planning ---- */

static void plan_rows(const struct job *j, int n, bool train)
{
    struct device *d = j->m->d;
    void *y = device_take_real(d, (int64_t)n * j->m->config.embed_dim);
    void *norm = device_take_real(d, n);
    struct input in;

    job_put(j, TEXT, 0, n, &in);
    job_forward(j, TEXT, &in, train, false, y, norm);
    if (train)
        job_backward(j, TEXT, n, y, norm, y);
}

/* Packed captions take a number of rows that only the batch knows; a backend
 * that keeps something per shape sees all of them here. */
static void plan_packed(struct job *j, int n, bool train)
{
    struct device *d = j->m->d;
    int64_t most = rows_captions_max(d, n, j->m->config.text.context_length);
    size_t mark = device_mark(d);

    if (!d->ops->plan || !j->o->packed)
        return;
    for (int64_t rows = d->row_step; rows <= most; rows += d->row_step) {
        j->plan_rows = rows;
        if (j->m->config.objective)
            objective_plan_rows(j, n, train);
        else
            plan_rows(j, n, train);
        device_release(d, mark);
    }
    j->plan_rows = 0;
}

int clip_plan(struct clip *m, const struct clip_options *o, int n,
              struct err *e)
{
    struct device *d = m->d;
    struct job j;
    int rc;

    device_plan_begin(d);
    if (m->store.grad) {
        rc = lay_job(&j, m, o, n, e);
        if (rc) {
            device_plan_end(d, NULL);
            return rc;
        }
        if (m->config.objective)
            objective_run(&j);
        else
            job_run(&j);
        device_release(d, 0); /* of the step; these are no part of it */
        plan_packed(&j, j.chunk, true);
        if (n % j.chunk)
            plan_packed(&j, n % j.chunk, true);
        device_release(d, 0);
    }
    rc = job_lay_encode(&j, m, o, n, e);
    if (!rc) {
        encode(&j, IMAGE, NULL);
        if (m->config.objective)
            objective_plan_scores(&j);
        else
            encode(&j, TEXT, NULL);
        device_release(d, 0);
        plan_packed(&j, j.chunk, false);
        if (n % j.chunk)
            plan_packed(&j, n % j.chunk, false);
        device_release(d, 0);
    }
    if (rc)
        device_plan_end(d, NULL);
    return rc ? rc : device_plan_end(d, e);
}
