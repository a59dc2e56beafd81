#include "train/clip_private.h"

#include <string.h>

#include "train/collective.h"

/* ---- towers over a chunk ---- */

static char *real_at(const struct job *j, void *p, int64_t number)
{
    return (char *)p + (size_t)number * dtype_size(j->m->d->real);
}

struct pass job_pass(const struct job *j, bool train)
{
    return (struct pass){.d = j->m->d,
                         .store = &j->m->store,
                         .train = train,
                         .recompute = j->o->recompute,
                         .reduce = j->o->reduce};
}

/* `bytes` a picture; NULL while planning. */
static const void *pixels_at(const struct clip_batch *b, int at, size_t bytes)
{
    return b ? (const char *)b->pixels.x + (size_t)at * bytes : NULL;
}

/* Let the pixels of a chunk of b travel, which is put next. */
static void send_of(const struct job *j, const struct clip_batch *b, int at)
{
    const struct clip *m = j->m;
    int left = (b ? b->n : j->n) - at, n = left < j->chunk ? left : j->chunk;
    size_t bytes = pixel_bytes(b ? b->pixels.kind : j->o->pixels, m->d->real,
                               m->config.vision.image_size);

    if (j->o->ahead)
        device_send(m->d, pixels_at(b, at, bytes), (size_t)n * bytes);
}

void job_send(const struct job *j, int at)
{
    send_of(j, j->b, at);
}

void job_send_next(const struct job *j)
{
    const struct clip_batch *next = NULL;

    if (j->b && j->b->next && j->o->ahead)
        next = j->b->next(j->b->ctx);
    if (next || !j->b)
        send_of(j, next, 0);
}

void job_put(const struct job *j, enum which side, int at, int n,
             struct input *in)
{
    struct clip *m = j->m;
    struct captions c = {.n = n, .context = m->config.text.context_length};
    size_t bytes;
    int grid = (int)clip_config_grid(&m->config);

    *in = (struct input){.n = n};
    if (side == IMAGE) {
        in->pixels =
            j->b ? j->b->pixels : (struct pixels){.kind = j->o->pixels};
        bytes = pixel_bytes(in->pixels.kind, m->d->real,
                            m->config.vision.image_size);
        in->pixels.x =
            device_bring(m->d, pixels_at(j->b, at, bytes), (size_t)n * bytes);
        rows_pictures(m->d, n, grid * grid + 1, &in->pictures);
        return;
    }
    if (j->b)
        c.ids = j->b->captions.ids + (int64_t)at * c.context;
    rows_captions(m->d, &c, j->o->packed, j->plan_rows, &in->at);
}

void job_forward_images(const struct job *j, const struct input *in, bool train,
                        bool first, void *features)
{
    struct clip *m = j->m;
    struct pass p = job_pass(j, train);
    struct resnet_batch batch = {.n = in->n,
                                 .group = j->group,
                                 .rows = &in->pictures,
                                 .running = j->running,
                                 .collect = first && !j->running};

    if (job_is_resnet(m))
        resnet_forward(&p, &m->vision.resnet, &batch, &in->pixels, features);
    else
        vit_forward(&p, &m->vision.vit, &in->pictures, &in->pixels, features);
}

void job_forward(const struct job *j, enum which side, const struct input *in,
                 bool train, bool first, void *y, void *norm)
{
    struct device *d = j->m->d;
    int64_t dim = j->m->config.embed_dim;
    void *features = device_take_act(d, in->n * dim);
    struct pass p = job_pass(j, train);

    if (side == IMAGE)
        job_forward_images(j, in, train, first, features);
    else
        text_tower_forward(&p, &j->m->text, &in->at, features);
    op_l2norm(
        d, &(struct op_l2norm){
               .rows = in->n, .dim = dim, .x = features, .norm = norm, .y = y});
}

void job_backward_images(const struct job *j, const void *dfeatures)
{
    struct pass p = job_pass(j, true);

    if (job_is_resnet(j->m))
        resnet_backward(&p, &j->m->vision.resnet, dfeatures);
    else
        vit_backward(&p, &j->m->vision.vit, dfeatures);
}

void job_backward(const struct job *j, enum which side, int n, const void *y,
                  const void *norm, const void *dy)
{
    struct clip *m = j->m;
    struct pass p = job_pass(j, true);
    int64_t dim = m->config.embed_dim;
    size_t mark = device_mark(m->d);
    void *dx = device_take_act(m->d, n * dim);

    op_l2norm_bwd(
        m->d,
        &(struct op_l2norm_bwd){
            .rows = n, .dim = dim, .y = y, .norm = norm, .dy = dy, .dx = dx});
    if (side == TEXT)
        text_tower_backward(&p, &m->text, dx);
    else
        job_backward_images(j, dx);
    device_release(m->d, mark);
}

/* ---- loss ---- */

static void nce(const struct job *j, const struct side *a, const struct side *b)
{
    const struct clip *m = j->m;

    op_nce(m->d,
           &(struct op_nce){.rows = j->n,
                            .cols = j->all,
                            .first = j->first,
                            .dim = m->config.embed_dim,
                            .a = a->y,
                            .b = b->all_y,
                            .log_scale = store_real(&m->store, m->logit_scale),
                            .lse = a->lse,
                            .loss = a->loss});
}

static void nce_bwd(const struct job *j, const struct side *a,
                    const struct side *b, void *dlog_scale)
{
    const struct clip *m = j->m;

    op_nce_bwd(m->d, &(struct op_nce_bwd){
                         .rows = j->n,
                         .cols = j->all,
                         .first = j->first,
                         .dim = m->config.embed_dim,
                         .a = a->y,
                         .b = b->all_y,
                         .log_scale = store_real(&m->store, m->logit_scale),
                         .lse_a = a->lse,
                         .lse_b = b->all_lse,
                         .da = a->dy,
                         .dlog_scale = dlog_scale});
}

/* The whole of it from the side `a`; the other side's gradient alone where
 * there is no room for a loss. */
static void sigmoid(const struct job *j, const struct side *a,
                    const struct side *b, bool whole)
{
    const struct clip *m = j->m;
    const struct store *s = &m->store;

    op_sigmoid_loss(
        m->d, &(struct op_sigmoid_loss){
                  .rows = j->n,
                  .cols = j->all,
                  .first = j->first,
                  .dim = m->config.embed_dim,
                  .a = a->y,
                  .b = b->all_y,
                  .log_scale = store_real(s, m->logit_scale),
                  .bias = store_real(s, m->logit_bias),
                  .loss = whole ? a->loss : NULL,
                  .da = a->dy,
                  .dlog_scale = whole ? store_grad(s, m->logit_scale) : NULL,
                  .dbias = whole ? store_grad(s, m->logit_bias) : NULL});
}

double job_sum(const struct job *j, const void *column, int64_t n)
{
    struct device *d = j->m->d;
    size_t mark = device_host_mark(d);
    size_t bytes = (size_t)n * dtype_size(d->real);
    void *host = device_host_take(d, bytes);
    double sum = 0;

    device_get(d, host, column, bytes);
    for (int64_t i = 0; !d->planning && !d->rc && i < n; i++)
        sum += d->real == DTYPE_F64 ? ((const double *)host)[i]
                                    : (double)((const float *)host)[i];
    device_host_release(d, mark);
    return sum;
}

/* What every rank has of its own pairs: a row of `dim` numbers each. */
static void gather(const struct job *j, const void *mine, void *all,
                   int64_t dim)
{
    struct collective *c = j->o->ranks;
    size_t bytes = (size_t)(j->n * dim) * dtype_size(j->m->d->real);

    if (all != mine)
        c->gather(c, j->m->d, mine, all, (int64_t)bytes);
}

/* The losses of this rank's rows, and the gradients of both sides' features:
 * complete, since a rank has all columns. */
static void compute_loss(const struct job *j)
{
    const struct clip *m = j->m;
    const struct side *image = &j->side[IMAGE], *text = &j->side[TEXT];

    gather(j, image->y, image->all_y, m->config.embed_dim);
    gather(j, text->y, text->all_y, m->config.embed_dim);
    if (j->o->loss == LOSS_SIGMOID) {
        sigmoid(j, image, text, true);
        sigmoid(j, text, image, false);
        return;
    }
    nce(j, image, text);
    nce(j, text, image);
    gather(j, image->lse, image->all_lse, 1);
    gather(j, text->lse, text->all_lse, 1);
    nce_bwd(j, image, text, store_grad(&m->store, m->logit_scale));
    nce_bwd(j, text, image, NULL);
}

/* The batch's loss; waits for the device. */
static double read_loss(const struct job *j)
{
    const struct side *image = &j->side[IMAGE], *text = &j->side[TEXT];
    double sum = job_sum(j, image->loss, j->n);

    if (j->o->loss == LOSS_INFONCE)
        sum = (sum + job_sum(j, text->loss, j->n)) / 2;
    if (j->all > j->n)
        sum = collective_sum_host(j->o->ranks, j->m->d, sum);
    return sum / j->all;
}

/* ---- a batch ---- */

static void take_side(const struct job *j, struct side *s)
{
    struct device *d = j->m->d;
    int64_t dim = j->m->config.embed_dim;

    s->y = device_take_real(d, j->n * dim);
    s->dy = device_take_real(d, j->n * dim);
    s->norm = device_take_real(d, j->n);
    s->lse = device_take_real(d, j->n);
    s->loss = device_take_real(d, j->n);
    s->all_y = s->y;
    s->all_lse = s->lse;
    if (j->all > j->n) {
        s->all_y = device_take_real(d, j->all * dim);
        s->all_lse = device_take_real(d, j->all);
    }
}

void job_begin_gradients(const struct job *j)
{
    const struct store *s = &j->m->store;

    op_zero(j->m->d, &(struct op_zero){
                         .bytes = (int64_t)((size_t)s->size * s->real_size),
                         .x = s->grad});
}

/* ---- graphs: what may be repeated, and under which key ---- */

static uint64_t mix(uint64_t key, uint64_t x)
{
    key = (key ^ x) * 0x9e3779b97f4a7c15u;
    return key ^ key >> 32;
}

/* How bytes are normalised stands in the op. */
static uint64_t mix_pixels(uint64_t key, const struct pixels *p)
{
    float f[sizeof p->norm / sizeof(float)];
    uint32_t bits;

    memcpy(f, &p->norm, sizeof f);
    key = mix(key, p->kind);
    for (int i = 0; p->kind == PIXEL_BYTE && i < (int)(sizeof f / sizeof *f);
         i++) {
        memcpy(&bits, &f[i], sizeof bits);
        key = mix(key, bits);
    }
    return key;
}

uint64_t job_key(const struct job *j, enum phase phase, enum which side,
                 const struct input *in)
{
    const struct clip_options *o = j->o;
    const uint64_t parts[] = {
        (uint64_t)(uintptr_t)j->m,
        phase,
        side,
        (uint64_t)(in ? in->n : 0),
        (uint64_t)(in ? in->at.rows.total : 0),
        (uint64_t)j->n,
        (uint64_t)j->chunk,
        (uint64_t)j->group,
        (uint64_t)j->all,
        (uint64_t)j->first,
        (uint64_t)(uintptr_t)o->ranks,
        (uint64_t)j->running,
        (uint64_t)o->packed << 2 | (uint64_t)o->reduce << 1 |
            (uint64_t)o->recompute,
        o->loss,
    };
    uint64_t key = 0;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        key = mix(key, parts[i]);
    if (j->b && (side == IMAGE || phase == WHOLE))
        key = mix_pixels(key, &j->b->pixels);
    return key;
}

/* Whether what ranks do together may be part of a graph: where there is only
 * one.  NCCL wants all ranks to record a call, or none, and packed captions
 * give each of them other sizes in other steps, so other keys; and it does not
 * close before the last graph that holds a call of its is gone. */
static bool records_ranks(const struct job *j)
{
    return j->all == j->n;
}

/* All ranks' gradients, and their statistics, which stand in the same class. */
void job_finish_gradients(const struct job *j)
{
    struct collective *c = j->o->ranks;
    struct pass p = job_pass(j, true);

    if (j->all > j->n)
        c->sum(c, j->m->d, j->m->store.grad, j->m->store.size);
    if (job_is_resnet(j->m))
        resnet_move_statistics(&p, j->all / j->group);
}

/* Everything is kept from forward to backward. */
static void whole(const struct job *j)
{
    const struct side *s = j->side;
    struct device *d = j->m->d;
    struct input in[2];

    for (enum which k = IMAGE; k <= TEXT; k++)
        job_put(j, k, 0, j->n, &in[k]);
    if (records_ranks(j) &&
        !device_graph_begin(d, job_key(j, WHOLE, TEXT, &in[TEXT])))
        return;
    job_begin_gradients(j);
    for (enum which k = IMAGE; k <= TEXT; k++)
        job_forward(j, k, &in[k], true, true, s[k].y, s[k].norm);
    compute_loss(j);
    job_backward(j, TEXT, j->n, s[TEXT].y, s[TEXT].norm, s[TEXT].dy);
    job_backward(j, IMAGE, j->n, s[IMAGE].y, s[IMAGE].norm, s[IMAGE].dy);
    job_finish_gradients(j);
    if (records_ranks(j))
        device_graph_end(d);
}

/* A chunk's features and their gradient at a fixed place, so that one graph
 * serves all chunks. */
struct part {
    void *y, *norm, *dy; /* real [chunk, dim], [chunk], [chunk, dim] */
};

static void copy_real(const struct job *j, const void *x, void *y, int64_t n)
{
    int64_t bytes = n * (int64_t)dtype_size(j->m->d->real);

    op_copy(j->m->d, &(struct op_copy){.bytes = bytes, .x = x, .y = y});
}

static void first_pass(const struct job *j, enum which k, int at,
                       const struct part *t)
{
    struct device *d = j->m->d;
    int64_t dim = j->m->config.embed_dim;
    int n = job_chunk_at(j, at);
    struct input in;

    job_put(j, k, at, n, &in);
    if (k == IMAGE) /* behind the last one, the second pass's first */
        job_send(j, at + n < j->n ? at + n : 0);
    if (device_graph_begin(d, job_key(j, FORWARD, k, &in))) {
        job_forward(j, k, &in, false, true, t->y, t->norm);
        device_graph_end(d);
    }
    copy_real(j, t->y, real_at(j, j->side[k].y, at * dim), n * dim);
}

static void second_pass(const struct job *j, enum which k, int at,
                        const struct part *t)
{
    struct device *d = j->m->d;
    int64_t dim = j->m->config.embed_dim;
    int n = job_chunk_at(j, at);
    struct input in;

    job_put(j, k, at, n, &in);
    if (k == IMAGE && at + n < j->n)
        job_send(j, at + n);
    copy_real(j, real_at(j, j->side[k].dy, at * dim), t->dy, n * dim);
    if (device_graph_begin(d, job_key(j, AGAIN, k, &in))) {
        job_forward(j, k, &in, true, false, t->y, t->norm);
        job_backward(j, k, n, t->y, t->norm, t->dy);
        device_graph_end(d);
    }
}

/* Gradient caching: features are kept, activations made again. */
static void by_chunks(const struct job *j)
{
    struct device *d = j->m->d;
    int64_t dim = j->m->config.embed_dim;
    struct part t = {.y = device_take_real(d, j->chunk * dim),
                     .norm = device_take_real(d, j->chunk),
                     .dy = device_take_real(d, j->chunk * dim)};
    size_t mark = device_mark(d);

    job_begin_gradients(j);
    for (enum which k = IMAGE; k <= TEXT; k++)
        for (int at = 0; at < j->n; at += j->chunk) {
            first_pass(j, k, at, &t);
            device_release(d, mark);
        }
    if (!records_ranks(j)) {
        compute_loss(j);
    } else if (device_graph_begin(d, job_key(j, LOSS, IMAGE, NULL))) {
        compute_loss(j);
        device_graph_end(d);
    }
    for (enum which k = IMAGE; k <= TEXT; k++)
        for (int at = 0; at < j->n; at += j->chunk) {
            second_pass(j, k, at, &t);
            device_release(d, mark);
        }
    job_finish_gradients(j);
}

double job_run(struct job *j)
{
    take_side(j, &j->side[IMAGE]);
    take_side(j, &j->side[TEXT]);
    if (j->chunk < j->n)
        by_chunks(j);
    else
        whole(j);
    job_send_next(j);
    return read_loss(j);
}
