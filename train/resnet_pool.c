#include "train/resnet_private.h"

#include <math.h>

static struct linear_at init_linear(struct store *s, int in, int out,
                                    const char *name)
{
    const int64_t shape[2] = {out, in};
    struct init normal = {INIT_NORMAL, 1 / sqrt(in)};
    struct init uniform = {INIT_UNIFORM, 1 / sqrt(in)};
    struct linear_at at;

    at.w = store_add(s, normal, 2, shape, "visual.attnpool.%s.weight", name);
    at.b = store_add(s, uniform, 1, shape, "visual.attnpool.%s.bias", name);
    return at;
}

void resnet_pool_init(struct resnet_pool *a, struct store *s, int pixels,
                      int dim, int heads, int out)
{
    const int64_t shape[2] = {pixels + 1, dim};
    struct init normal = {INIT_NORMAL, 1 / sqrt(dim)};

    *a = (struct resnet_pool){
        .pixels = pixels, .dim = dim, .heads = heads, .out = out};
    a->position =
        store_add(s, normal, 2, shape, "visual.attnpool.positional_embedding");
    a->k = init_linear(s, dim, dim, "k_proj");
    a->q = init_linear(s, dim, dim, "q_proj");
    a->v = init_linear(s, dim, dim, "v_proj");
    a->c = init_linear(s, dim, out, "c_proj");
}

/* One of the projections that keep the width. */
static struct product square(const struct pass *p, const struct resnet_pool *a,
                             struct linear_at at)
{
    return product_of(p, at, 0, a->dim, a->dim);
}

/* One query a picture over all its tokens. */
static struct op_attention attention(const struct resnet_pool *a)
{
    struct op_attention t = {.heads = a->heads,
                             .dim = a->dim / a->heads,
                             .q = a->kept.q,
                             .k = a->kept.k,
                             .v = a->kept.v,
                             .ldq = a->dim,
                             .ldk = a->dim,
                             .ldv = a->dim,
                             .out = a->kept.out,
                             .lse = a->kept.lse};

    rows_attend_read(&a->kept.rows, &t);
    return t;
}

static void pool_take(const struct pass *p, struct resnet_pool *a, int n)
{
    int64_t all = (int64_t)n * (a->pixels + 1) * a->dim;
    int64_t one = (int64_t)n * a->dim;

    a->kept.tokens = device_take_act(p->d, all);
    a->kept.means = device_take_act(p->d, one);
    a->kept.q = device_take_act(p->d, one);
    a->kept.k = device_take_act(p->d, all);
    a->kept.v = device_take_act(p->d, all);
    a->kept.out = device_take_act(p->d, one);
    a->kept.lse = device_take_real(p->d, (int64_t)n * a->heads);
}

void resnet_pool_forward(const struct pass *p, struct resnet_pool *a,
                         const struct rows *rows, const void *x, void *y)
{
    const int n = rows->reads;
    const struct rows *r = &a->kept.rows;
    struct product q = square(p, a, a->q), k = square(p, a, a->k);
    struct product v = square(p, a, a->v);
    struct product c = product_of(p, a->c, 0, a->out, a->dim);
    struct op_attention t;

    a->kept.rows = *rows;
    pool_take(p, a, n);
    op_tokens(p->d,
              &(struct op_tokens){.batch = n,
                                  .n = a->pixels,
                                  .dim = a->dim,
                                  .x = x,
                                  .position = store_real(p->store, a->position),
                                  .y = a->kept.tokens});
    op_gather(p->d, &(struct op_gather){.n = n,
                                        .dim = a->dim,
                                        .total = r->total,
                                        .rows = r->read,
                                        .x = a->kept.tokens,
                                        .y = a->kept.means});
    product_forward(p, &q, n, a->kept.means, NULL, a->kept.q);
    product_forward(p, &k, r->total, a->kept.tokens, NULL, a->kept.k);
    product_forward(p, &v, r->total, a->kept.tokens, NULL, a->kept.v);
    t = attention(a);
    op_attention(p->d, &t);
    product_forward(p, &c, n, a->kept.out, NULL, y);
}

/* dx += the gradient through l. */
static void product_add(const struct pass *p, const struct product *l,
                        int64_t rows, const void *dy, void *dx)
{
    op_linear_dx(p->d, &(struct op_linear_dx){.m = rows,
                                              .n = l->n,
                                              .k = l->k,
                                              .dy = dy,
                                              .w = l->w,
                                              .add = true,
                                              .dx = dx});
}

/* From the gradient of attention's output, which is spoilt, to that of the
 * tokens. */
static void attention_backward(const struct pass *p,
                               const struct resnet_pool *a, int n, void *dout,
                               void *dtokens)
{
    const struct rows *r = &a->kept.rows;
    struct product q = square(p, a, a->q), k = square(p, a, a->k);
    struct product v = square(p, a, a->v);
    size_t mark = device_mark(p->d);
    struct op_attention t = attention(a);
    void *dq = device_take_act(p->d, (int64_t)n * a->dim);
    void *dk = device_take_act(p->d, r->total * a->dim);
    void *dv = device_take_act(p->d, r->total * a->dim);

    op_attention_bwd(
        p->d, &(struct op_attention_bwd){
                  .forward = &t, .dout = dout, .dq = dq, .dk = dk, .dv = dv});
    product_backward(p, &k, r->total, a->kept.tokens, dk, dtokens);
    product_backward(p, &v, r->total, a->kept.tokens, dv, NULL);
    product_add(p, &v, r->total, dv, dtokens);
    /* dout has been read: it takes the gradient of the means. */
    product_backward(p, &q, n, a->kept.means, dq, dout);
    op_scatter_add(p->d, &(struct op_scatter_add){.n = n,
                                                  .dim = a->dim,
                                                  .total = r->total,
                                                  .rows = r->read,
                                                  .y = dout,
                                                  .x = dtokens});
    device_release(p->d, mark);
}

void resnet_pool_backward(const struct pass *p, const struct resnet_pool *a,
                          int n, const void *dy, void *dx)
{
    struct product c = product_of(p, a->c, 0, a->out, a->dim);
    size_t mark = device_mark(p->d);
    void *dtokens = device_take_act(p->d, a->kept.rows.total * a->dim);
    void *dout = device_take_act(p->d, (int64_t)n * a->dim);

    product_backward(p, &c, n, a->kept.out, dy, dout);
    attention_backward(p, a, n, dout, dtokens);
    op_tokens_bwd(p->d, &(struct op_tokens_bwd){
                            .batch = n,
                            .n = a->pixels,
                            .dim = a->dim,
                            .dy = dtokens,
                            .dx = dx,
                            .dposition = store_grad(p->store, a->position)});
    device_release(p->d, mark);
}
