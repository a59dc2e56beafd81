#include "train/block.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NAME_MAX_BYTES 128

/*
 * A part of in_proj: the outputs [first * dim, (first + n) * dim) on some rows.
 * A full block has one, q, k and v (0, 3) on all rows.  A reduced one has two:
 * q (0, 1) on the rows that are read, k and v (1, 2) on all.  Either way the
 * queries begin the first part, and keys and values end the last.
 */
struct in_part {
    int first, n;
    int64_t rows;
    const void *x; /* act [rows, dim] */
    void *y;       /* act [rows, n * dim] */
};

struct block_kept {
    bool reduced;
    int64_t rows;     /* that ask and go on: all, or the read ones */
    const void *x;    /* act [total, dim]; borrowed */
    void *normed;     /* act [total, dim] */
    const void *base; /* act [rows, dim]: x at the rows that go on */
    struct norm_kept norm_1, norm_2;
    int parts;
    struct in_part part[2];
    void *mixed;    /* act [rows, dim]: what attention gives */
    void *lse;      /* real [rows, heads] */
    void *x1;       /* act [rows, dim] */
    void *normed_2; /* act [rows, dim] */
    void *pre;      /* act [rows, hidden] */
    void *active;   /* act [rows, hidden] */
};

/* ---- tensors ---- */

/* Scales of the four products of a block: of the weights, of the biases. */
struct block_scales {
    struct init in_w, out_w, fc_w, fc_b, proj_w, proj_b;
};

static struct block_scales scales_of(enum block_init init, int layers, int dim,
                                     int hidden)
{
    double d = pow(dim, -0.5), h = pow(hidden, -0.5);
    double deep = pow(2.0 * layers, -0.5); /* keeps the sum of 2L residuals */
    struct block_scales s = {
        .in_w = {INIT_UNIFORM, sqrt(6.0 / (4.0 * dim))}, /* Xavier, [3d, d] */
        .out_w = {INIT_UNIFORM, d},
        .fc_w = {INIT_UNIFORM, d},
        .fc_b = {INIT_UNIFORM, d},
        .proj_w = {INIT_UNIFORM, h},
        .proj_b = {INIT_UNIFORM, h},
    };

    if (init == BLOCK_INIT_TEXT) {
        s.in_w = (struct init){INIT_NORMAL, d};
        s.out_w = s.proj_w = (struct init){INIT_NORMAL, d * deep};
        s.fc_w = (struct init){INIT_NORMAL, pow(2.0 * dim, -0.5)};
    }
    return s;
}

/* Two tensors of a product [n, k]: PREFIXNAME.weight and PREFIXNAME.bias. */
static struct linear_at product_init(struct store *store, struct init w,
                                     struct init b, int64_t n, int64_t k,
                                     const char *prefix, const char *name)
{
    const int64_t shape[] = {n, k};
    struct linear_at at;

    at.w = store_add(store, w, 2, shape, "%s%s.weight", prefix, name);
    at.b = store_add(store, b, 1, shape, "%s%s.bias", prefix, name);
    return at;
}

static void block_init(struct block *b, struct store *store,
                       const struct block_scales *s, const char *prefix)
{
    const struct init zero = {INIT_CONSTANT, 0};
    const int64_t dim = b->dim, in[] = {3 * dim, dim};

    b->ln_1 = norm_init(store, dim, prefix, "ln_1");
    b->in_proj.w =
        store_add(store, s->in_w, 2, in, "%sattn.in_proj_weight", prefix);
    b->in_proj.b = store_add(store, zero, 1, in, "%sattn.in_proj_bias", prefix);
    b->out_proj =
        product_init(store, s->out_w, zero, dim, dim, prefix, "attn.out_proj");
    b->ln_2 = norm_init(store, dim, prefix, "ln_2");
    b->c_fc = product_init(store, s->fc_w, s->fc_b, b->hidden, dim, prefix,
                           "mlp.c_fc");
    b->c_proj = product_init(store, s->proj_w, s->proj_b, dim, b->hidden,
                             prefix, "mlp.c_proj");
}

void block_stack_init(struct block_stack *s, struct store *store, int layers,
                      int dim, int heads, int hidden, enum act_kind act,
                      enum block_init init, const char *prefix)
{
    struct block_scales scales = scales_of(init, layers, dim, hidden);
    char name[NAME_MAX_BYTES];

    assert(layers > 0 && layers <= BLOCK_STACK_MAX);
    assert(heads > 0 && dim % heads == 0 && hidden > 0);
    s->n = layers;
    s->blocks = xcalloc((size_t)layers, sizeof *s->blocks);
    s->kept = xcalloc((size_t)layers, sizeof *s->kept);
    for (int i = 0; i < layers; i++) {
        struct block *b = &s->blocks[i];

        *b = (struct block){
            .dim = dim, .heads = heads, .hidden = hidden, .act = act};
        snprintf(name, sizeof name, "%s.resblocks.%d.", prefix, i);
        block_init(b, store, &scales, name);
    }
}

void block_stack_release(struct block_stack *s)
{
    free(s->blocks);
    free(s->kept);
    memset(s, 0, sizeof *s);
}

/* ---- shapes and places that forward and backward share ---- */

static void *at_act(const struct pass *p, void *x, int64_t n)
{
    return (char *)x + (size_t)n * dtype_size(p->d->act);
}

static struct product part_of(const struct pass *p, const struct block *b,
                              const struct in_part *part)
{
    int64_t dim = b->dim;

    return product_of(p, b->in_proj, part->first * dim, part->n * dim, dim);
}

/* The other products. */
static struct product out_of(const struct pass *p, const struct block *b)
{
    return product_of(p, b->out_proj, 0, b->dim, b->dim);
}

static struct product fc_of(const struct pass *p, const struct block *b)
{
    return product_of(p, b->c_fc, 0, b->hidden, b->dim);
}

static struct product proj_of(const struct pass *p, const struct block *b)
{
    return product_of(p, b->c_proj, 0, b->dim, b->hidden);
}

static void attention_of(const struct pass *p, const struct block *b,
                         const struct rows *r, const struct block_kept *k,
                         struct op_attention *a)
{
    const struct in_part *q = &k->part[0], *kv = &k->part[k->parts - 1];
    int64_t dim = b->dim;

    *a = (struct op_attention){
        .heads = b->heads,
        .dim = b->dim / b->heads,
        .q = q->y,
        .k = at_act(p, kv->y, (kv->n - 2) * dim),
        .v = at_act(p, kv->y, (kv->n - 1) * dim),
        .ldq = q->n * dim,
        .ldk = kv->n * dim,
        .ldv = kv->n * dim,
        .out = k->mixed,
        .lse = k->lse,
    };
    if (k->reduced)
        rows_attend_read(r, a);
    else
        rows_attend(r, a);
}

/* x at the rows that are read. */
static void *gather(const struct pass *p, const struct rows *r, int64_t dim,
                    const void *x, void *y)
{
    struct op_gather op = {.n = r->reads,
                           .dim = dim,
                           .total = r->total,
                           .rows = r->read,
                           .x = x,
                           .y = y};

    op_gather(p->d, &op);
    return y;
}

static void scatter_add(const struct pass *p, const struct rows *r, int64_t dim,
                        const void *y, void *x)
{
    struct op_scatter_add op = {.n = r->reads,
                                .dim = dim,
                                .total = r->total,
                                .rows = r->read,
                                .y = y,
                                .x = x};

    op_scatter_add(p->d, &op);
}

static void zero(const struct pass *p, int64_t count, void *x)
{
    struct op_zero op = {.bytes = count * (int64_t)dtype_size(p->d->act),
                         .x = x};

    op_zero(p->d, &op);
}

/* ---- forward ---- */

/* ln_1 and what in_proj reads of it. */
static void project_in(const struct pass *p, const struct block *b,
                       const struct rows *r, struct block_kept *k)
{
    int64_t dim = b->dim;

    k->normed = device_take_act(p->d, r->total * dim);
    norm_forward(p, b->ln_1, r->total, dim, k->x, &k->norm_1, k->normed);
    if (k->reduced) {
        void *base = device_take_act(p->d, k->rows * dim);
        void *asks = device_take_act(p->d, k->rows * dim);

        k->base = gather(p, r, dim, k->x, base);
        k->parts = 2;
        k->part[0] = (struct in_part){0, 1, k->rows,
                                      gather(p, r, dim, k->normed, asks), NULL};
        k->part[1] = (struct in_part){1, 2, r->total, k->normed, NULL};
    } else {
        k->base = k->x;
        k->parts = 1;
        k->part[0] = (struct in_part){0, 3, r->total, k->normed, NULL};
    }
    for (int i = 0; i < k->parts; i++) {
        struct in_part *part = &k->part[i];
        struct product l = part_of(p, b, part);

        part->y = device_take_act(p->d, part->rows * l.n);
        product_forward(p, &l, part->rows, part->x, NULL, part->y);
    }
}

/* x1 = x + out(attention): the rows that go on. */
static void mix(const struct pass *p, const struct block *b,
                const struct rows *r, struct block_kept *k)
{
    struct product out = out_of(p, b);
    struct op_attention a;

    k->mixed = device_take_act(p->d, k->rows * b->dim);
    k->lse = device_take_real(p->d, k->rows * b->heads);
    k->x1 = device_take_act(p->d, k->rows * b->dim);
    attention_of(p, b, r, k, &a);
    op_attention(p->d, &a);
    product_forward(p, &out, k->rows, k->mixed, k->base, k->x1);
}

/* All that backward reads: everything but the last product. */
static void block_forward(const struct pass *p, const struct block *b,
                          const struct rows *r, bool reduced, const void *x,
                          struct block_kept *k)
{
    struct product fc = fc_of(p, b);

    k->reduced = reduced;
    k->rows = reduced ? r->reads : r->total;
    k->x = x;
    project_in(p, b, r, k);
    mix(p, b, r, k);
    k->normed_2 = device_take_act(p->d, k->rows * b->dim);
    k->pre = device_take_act(p->d, k->rows * b->hidden);
    k->active = device_take_act(p->d, k->rows * b->hidden);
    norm_forward(p, b->ln_2, k->rows, b->dim, k->x1, &k->norm_2, k->normed_2);
    product_forward_act(p, &fc, k->rows, k->normed_2, b->act, k->pre,
                        k->active);
}

/* y = x1 + proj(...), act [k->rows, dim]. */
static void block_output(const struct pass *p, const struct block *b,
                         const struct block_kept *k, void *y)
{
    struct product proj = proj_of(p, b);

    product_forward(p, &proj, k->rows, k->active, k->x1, y);
}

/*
 * An output lies on top of what its block keeps, so that the last one can go as
 * soon as the read rows are taken from it; or, where a block keeps nothing,
 * below what is dropped again.  Without training two outputs take turns.
 */
void block_stack_forward(const struct pass *p, struct block_stack *s,
                         const struct rows *r, const void *x, void *y)
{
    const bool keep = p->train && !p->recompute;
    const size_t base = device_mark(p->d);
    const int64_t dim = s->blocks[0].dim;
    void *turns[2] = {NULL, NULL}, *out = NULL;
    size_t below = base;

    for (int i = 0; !p->train && i < 2; i++)
        turns[i] = device_take_act(p->d, r->total * dim);
    for (int i = 0; i < s->n; i++) {
        bool last = i == s->n - 1, reduced = p->reduce && last && !r->all;
        bool direct = reduced || (r->all && last);
        size_t mark;

        if (direct)
            out = y;
        else if (!p->train)
            out = turns[i % 2];
        else if (!keep) {
            below = device_mark(p->d);
            out = device_take_act(p->d, r->total * dim);
        }
        mark = device_mark(p->d);
        block_forward(p, &s->blocks[i], r, reduced, x, &s->kept[i]);
        if (keep && !direct) {
            below = device_mark(p->d);
            out = device_take_act(p->d, r->total * dim);
        }
        block_output(p, &s->blocks[i], &s->kept[i], out);
        if (!keep)
            device_release(p->d, mark);
        x = out;
    }
    if (x != y) {
        gather(p, r, dim, x, y);
        device_release(p->d, below);
    }
    if (!p->train)
        device_release(p->d, base);
}

/* ---- backward ---- */

/* From dy to dx1, act [k->rows, dim]; they may be one. */
static void mlp_backward(const struct pass *p, const struct block *b,
                         const struct block_kept *k, const void *dy, void *dx1)
{
    size_t mark = device_mark(p->d);
    void *dpre = device_take_act(p->d, k->rows * b->hidden);
    void *dnormed = device_take_act(p->d, k->rows * b->dim);
    struct product fc = fc_of(p, b), proj = proj_of(p, b);

    product_backward_act(p, &proj, k->rows, k->active, b->act, k->pre, dy,
                         dpre);
    product_backward(p, &fc, k->rows, k->normed_2, dpre, dnormed);
    norm_backward(p, b->ln_2, k->rows, b->dim, k->x1, &k->norm_2, dnormed, dy,
                  dx1);
    device_release(p->d, mark);
}

/* Through attention: gradients of in_proj's parts, taken from the stack. */
static void mix_backward(const struct pass *p, const struct block *b,
                         const struct rows *r, const struct block_kept *k,
                         const void *dmixed, void *dpart[2])
{
    struct op_attention forward;
    struct op_attention_bwd op = {.forward = &forward, .dout = dmixed};
    const struct in_part *kv = &k->part[k->parts - 1];

    for (int i = 0; i < k->parts; i++) {
        int64_t count = k->part[i].rows * k->part[i].n * b->dim;

        dpart[i] = device_take_act(p->d, count);
        /* Keys behind an EOT, and of pads, are in no range that is read. */
        if (k->reduced && r->causal && i > 0)
            zero(p, count, dpart[i]);
    }
    attention_of(p, b, r, k, &forward);
    op.dq = dpart[0];
    op.dk = at_act(p, dpart[k->parts - 1], (kv->n - 2) * (int64_t)b->dim);
    op.dv = at_act(p, dpart[k->parts - 1], (kv->n - 1) * (int64_t)b->dim);
    op_attention_bwd(p->d, &op);
}

/* From a part's gradient to those of its weight and, dx, of its input. */
static void part_backward(const struct pass *p, const struct block *b,
                          const struct in_part *part, const void *dy, void *dx)
{
    struct product l = part_of(p, b, part);

    product_backward(p, &l, part->rows, part->x, dy, dx);
}

/* From dx1, act [k->rows, dim], to dx, act [total, dim]; in a full block they
 * may be one. */
static void attention_backward(const struct pass *p, const struct block *b,
                               const struct rows *r, const struct block_kept *k,
                               const void *dx1, void *dx)
{
    size_t mark = device_mark(p->d);
    void *dmixed = device_take_act(p->d, k->rows * b->dim);
    void *dnormed = device_take_act(p->d, r->total * b->dim);
    struct product out = out_of(p, b);
    void *dpart[2];

    product_backward(p, &out, k->rows, k->mixed, dx1, dmixed);
    mix_backward(p, b, r, k, dmixed, dpart);
    part_backward(p, b, &k->part[k->parts - 1], dpart[k->parts - 1], dnormed);
    if (k->reduced) {
        void *dasks = dmixed; /* of its shape, and done with */

        part_backward(p, b, &k->part[0], dpart[0], dasks);
        scatter_add(p, r, b->dim, dasks, dnormed);
    }
    norm_backward(p, b->ln_1, r->total, b->dim, k->x, &k->norm_1, dnormed,
                  k->reduced ? NULL : dx1, dx);
    if (k->reduced)
        scatter_add(p, r, b->dim, dx1, dx);
    device_release(p->d, mark);
}

/* The gradient runs through the blocks in place, in the caller's dx. */
void block_stack_backward(const struct pass *p, struct block_stack *s,
                          const struct rows *r, const void *dy, void *dx)
{
    const int64_t dim = s->blocks[0].dim;

    if (!p->reduce && !r->all) {
        zero(p, r->total * dim, dx);
        scatter_add(p, r, dim, dy, dx);
        dy = dx;
    }
    for (int i = s->n - 1; i >= 0; i--) {
        const struct block *b = &s->blocks[i];
        struct block_kept *k = &s->kept[i];
        size_t mark = device_mark(p->d);
        void *dx1 = dx;

        if (k->reduced)
            dx1 = device_take_act(p->d, k->rows * dim);
        if (p->recompute)
            block_forward(p, b, r, k->reduced, k->x, k);
        mlp_backward(p, b, k, dy, dx1);
        attention_backward(p, b, r, k, dx1, dx);
        device_release(p->d, mark);
        dy = dx;
    }
}
