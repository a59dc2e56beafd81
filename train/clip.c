#include "train/clip.h"

#include <assert.h>
#include <string.h>

enum which { IMAGE, TEXT };

/* One side's features of a whole batch, on the device's stack. */
struct side {
    void *y, *norm;   /* real [n, embed_dim], [n] */
    void *dy;         /* real [n, embed_dim] */
    void *lse, *loss; /* real [n] */
};

/* A batch being computed. */
struct job {
    struct clip *m;
    const struct clip_options *o;
    const struct clip_batch *b; /* NULL while planning */
    int n, chunk, group;        /* group: pictures a BatchNorm group */
    int64_t plan_rows;          /* packed rows to plan for; 0: the most */
    bool running;               /* BatchNorm by running statistics */
    struct side side[2];
};

static bool is_resnet(const struct clip *m)
{
    return m->config.vision.kind == VISION_RESNET;
}

int clip_open(struct clip *m, struct device *d, const struct clip_config *c,
              bool train, struct err *e)
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
    if (is_resnet(m))
        resnet_init(&m->vision.resnet, s, c);
    else
        vit_init(&m->vision.vit, s, c);
    store_seal(s);
    rc = store_open(s, d, train, e);
    if (rc)
        clip_close(m);
    return rc;
}

void clip_close(struct clip *m)
{
    if (!m->d)
        return;
    text_tower_release(&m->text);
    if (is_resnet(m))
        resnet_release(&m->vision.resnet);
    else
        vit_release(&m->vision.vit);
    store_release(&m->store, m->d);
    memset(m, 0, sizeof *m);
}

/* ---- towers over a chunk ---- */

static char *real_at(const struct job *j, void *p, int64_t number)
{
    return (char *)p + (size_t)number * dtype_size(j->m->d->real);
}

static struct pass pass_of(const struct job *j, bool train)
{
    return (struct pass){.d = j->m->d,
                         .store = &j->m->store,
                         .train = train,
                         .recompute = j->o->recompute,
                         .reduce = j->o->reduce};
}

/* Pictures [at, at + n) to features; first: not made again, so that what
 * BatchNorm collects is collected once. */
static void forward_images(const struct job *j, int at, int n, bool train,
                           bool first, void *features)
{
    struct clip *m = j->m;
    struct pass p = pass_of(j, train);
    struct pixels pixels = {.kind = j->o->pixels};
    size_t bytes;
    void *x;

    if (j->b)
        pixels = j->b->pixels;
    bytes = pixel_bytes(pixels.kind, m->d->real, m->config.vision.image_size);
    x = device_take(m->d, (size_t)n * bytes);
    if (j->b)
        device_put(m->d, x, (const char *)pixels.x + (size_t)at * bytes,
                   (size_t)n * bytes);
    pixels.x = x;
    if (is_resnet(m)) {
        struct resnet_batch batch = {.n = n,
                                     .group = j->group,
                                     .running = j->running,
                                     .collect = first && !j->running};

        resnet_forward(&p, &m->vision.resnet, &batch, &pixels, features);
    } else {
        vit_forward(&p, &m->vision.vit, n, &pixels, features);
    }
}

static void forward_texts(const struct job *j, int at, int n, bool train,
                          void *features)
{
    struct clip *m = j->m;
    struct pass p = pass_of(j, train);
    struct captions c = {.n = n, .context = m->config.text.context_length};
    struct caption_rows rows;

    if (j->b)
        c.ids = j->b->captions.ids + (int64_t)at * c.context;
    rows_captions(m->d, &c, j->o->packed, j->plan_rows, &rows);
    text_tower_forward(&p, &m->text, &rows, features);
}

/* Features of a chunk of one side, normalised into y; with train, what
 * backward_chunk() reads stays on the stack. */
static void forward_chunk(const struct job *j, enum which side, int at, int n,
                          bool train, bool first, void *y, void *norm)
{
    struct device *d = j->m->d;
    int64_t dim = j->m->config.embed_dim;
    void *features = device_take_act(d, n * dim);

    if (side == IMAGE)
        forward_images(j, at, n, train, first, features);
    else
        forward_texts(j, at, n, train, features);
    op_l2norm(d,
              &(struct op_l2norm){
                  .rows = n, .dim = dim, .x = features, .norm = norm, .y = y});
}

/* The same into the chunk's place in the batch. */
static void forward_part(const struct job *j, enum which side, int at, int n,
                         bool train, bool first)
{
    const struct side *s = &j->side[side];

    forward_chunk(j, side, at, n, train, first,
                  real_at(j, s->y, (int64_t)at * j->m->config.embed_dim),
                  real_at(j, s->norm, at));
}

static void backward_part(const struct job *j, enum which side, int at, int n)
{
    struct clip *m = j->m;
    const struct side *s = &j->side[side];
    struct pass p = pass_of(j, true);
    int64_t dim = m->config.embed_dim;
    size_t mark = device_mark(m->d);
    void *dx = device_take_act(m->d, n * dim);

    op_l2norm_bwd(m->d,
                  &(struct op_l2norm_bwd){.rows = n,
                                          .dim = dim,
                                          .y = real_at(j, s->y, at * dim),
                                          .norm = real_at(j, s->norm, at),
                                          .dy = real_at(j, s->dy, at * dim),
                                          .dx = dx});
    if (side == TEXT)
        text_tower_backward(&p, &m->text, dx);
    else if (is_resnet(m))
        resnet_backward(&p, &m->vision.resnet, dx);
    else
        vit_backward(&p, &m->vision.vit, dx);
    device_release(m->d, mark);
}

static int chunk_at(const struct job *j, int at)
{
    return j->n - at < j->chunk ? j->n - at : j->chunk;
}

/* ---- loss ---- */

static void nce(const struct job *j, const struct side *a, const struct side *b)
{
    const struct clip *m = j->m;

    op_nce(m->d,
           &(struct op_nce){.rows = j->n,
                            .cols = j->n,
                            .dim = m->config.embed_dim,
                            .a = a->y,
                            .b = b->y,
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
                         .cols = j->n,
                         .dim = m->config.embed_dim,
                         .a = a->y,
                         .b = b->y,
                         .log_scale = store_real(&m->store, m->logit_scale),
                         .lse_a = a->lse,
                         .lse_b = b->lse,
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
                  .cols = j->n,
                  .dim = m->config.embed_dim,
                  .a = a->y,
                  .b = b->y,
                  .log_scale = store_real(s, m->logit_scale),
                  .bias = store_real(s, m->logit_bias),
                  .loss = whole ? a->loss : NULL,
                  .da = a->dy,
                  .dlog_scale = whole ? store_grad(s, m->logit_scale) : NULL,
                  .dbias = whole ? store_grad(s, m->logit_bias) : NULL});
}

/* Sum of a column of losses, in order. */
static double sum_rows(const struct job *j, const void *column)
{
    struct device *d = j->m->d;
    size_t mark = device_host_mark(d);
    size_t bytes = (size_t)j->n * dtype_size(d->real);
    void *host = device_host_take(d, bytes);
    double sum = 0;

    device_get(d, host, column, bytes);
    for (int i = 0; !d->planning && !d->rc && i < j->n; i++)
        sum += d->real == DTYPE_F64 ? ((const double *)host)[i]
                                    : (double)((const float *)host)[i];
    device_host_release(d, mark);
    return sum;
}

/* The batch's loss, and the gradients of both sides' features. */
static double loss_of(const struct job *j)
{
    const struct clip *m = j->m;
    const struct side *image = &j->side[IMAGE], *text = &j->side[TEXT];

    if (j->o->loss == LOSS_SIGMOID) {
        sigmoid(j, image, text, true);
        sigmoid(j, text, image, false);
        return sum_rows(j, image->loss) / j->n;
    }
    nce(j, image, text);
    nce(j, text, image);
    nce_bwd(j, image, text, store_grad(&m->store, m->logit_scale));
    nce_bwd(j, text, image, NULL);
    return (sum_rows(j, image->loss) + sum_rows(j, text->loss)) / (2.0 * j->n);
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
}

/* Everything is kept from forward to backward. */
static double whole(const struct job *j)
{
    double loss;

    forward_part(j, IMAGE, 0, j->n, true, true);
    forward_part(j, TEXT, 0, j->n, true, true);
    loss = loss_of(j);
    backward_part(j, TEXT, 0, j->n);
    backward_part(j, IMAGE, 0, j->n);
    return loss;
}

/* Gradient caching: features are kept, activations made again. */
static double by_chunks(const struct job *j)
{
    struct device *d = j->m->d;
    size_t mark = device_mark(d);
    double loss;

    for (enum which s = IMAGE; s <= TEXT; s++)
        for (int at = 0; at < j->n; at += j->chunk) {
            forward_part(j, s, at, chunk_at(j, at), false, true);
            device_release(d, mark);
        }
    loss = loss_of(j);
    for (enum which s = IMAGE; s <= TEXT; s++)
        for (int at = 0; at < j->n; at += j->chunk) {
            forward_part(j, s, at, chunk_at(j, at), true, false);
            backward_part(j, s, at, chunk_at(j, at));
            device_release(d, mark);
        }
    return loss;
}

static double run(struct job *j)
{
    struct clip *m = j->m;
    struct store *s = &m->store;
    double loss;

    op_zero(m->d, &(struct op_zero){
                      .bytes = (int64_t)((size_t)s->size * s->real_size),
                      .x = s->grad});
    take_side(j, &j->side[IMAGE]);
    take_side(j, &j->side[TEXT]);
    loss = j->chunk < j->n ? by_chunks(j) : whole(j);
    if (is_resnet(m)) {
        struct pass p = pass_of(j, true);

        resnet_move_statistics(&p, j->n / j->group);
    }
    return loss;
}

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
    if (n < 1)
        return err_set(e, E_RANGE, "a batch of %d pairs", n);
    if (o->loss == LOSS_SIGMOID && m->logit_bias < 0)
        return err_set(e, E_RANGE,
                       "the sigmoid loss needs a model with a logit_bias");
    if (!is_resnet(m))
        return check_tokens(j, e);
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
    *loss = run(&j);
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
        int n = chunk_at(j, at);
        void *y = device_take_real(d, n * dim);
        void *norm = device_take_real(d, n);

        forward_chunk(j, side, at, n, false, false, y, norm);
        if (features)
            device_get(d, features + (size_t)at * row, y, (size_t)n * row);
        device_release(d, 0);
    }
}

static int lay_encode(struct job *j, struct clip *m,
                      const struct clip_options *o, int n, struct err *e)
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
    int rc = lay_encode(&j, m, o, n, e);

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
    int rc = lay_encode(&j, m, o, c->n, e);

    assert(c->context == m->config.text.context_length);
    if (!rc)
        rc = captions_check(c, m->config.text.vocab_size, e);
    if (rc)
        return rc;
    j.b = &b;
    encode(&j, TEXT, features);
    return device_check(m->d, e);
}

/* ---- planning ---- */

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
        void *y = device_take_real(d, (int64_t)n * j->m->config.embed_dim);
        void *norm = device_take_real(d, n);

        j->plan_rows = rows;
        forward_chunk(j, TEXT, 0, n, train, false, y, norm);
        if (train)
            backward_part(j, TEXT, 0, n);
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
        run(&j);
        plan_packed(&j, j.chunk, true);
        if (n % j.chunk)
            plan_packed(&j, n % j.chunk, true);
        device_release(d, 0);
    }
    rc = lay_encode(&j, m, o, n, e);
    if (!rc) {
        encode(&j, IMAGE, NULL);
        encode(&j, TEXT, NULL);
        plan_packed(&j, j.chunk, false);
        if (n % j.chunk)
            plan_packed(&j, n % j.chunk, false);
        device_release(d, 0);
    }
    if (rc)
        device_plan_end(d, NULL);
    return rc ? rc : device_plan_end(d, e);
}
