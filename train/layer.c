#include "train/layer.h"

struct norm_at norm_init(struct store *store, int64_t dim, const char *prefix,
                         const char *name)
{
    const struct init one = {INIT_CONSTANT, 1}, zero = {INIT_CONSTANT, 0};
    struct norm_at at;

    at.g = store_add(store, one, 1, &dim, "%s%s.weight", prefix, name);
    at.b = store_add(store, zero, 1, &dim, "%s%s.bias", prefix, name);
    return at;
}

void norm_forward(const struct pass *p, struct norm_at at, int64_t rows,
                  int64_t dim, const void *x, struct norm_kept *k, void *y)
{
    struct op_layernorm op = {.rows = rows, .dim = dim, .x = x, .y = y};

    op.g = store_real(p->store, at.g);
    op.b = store_real(p->store, at.b);
    op.mean = k->mean = device_take_real(p->d, rows);
    op.rstd = k->rstd = device_take_real(p->d, rows);
    op_layernorm(p->d, &op);
}

void norm_backward(const struct pass *p, struct norm_at at, int64_t rows,
                   int64_t dim, const void *x, const struct norm_kept *k,
                   const void *dy, const void *res, void *dx)
{
    struct op_layernorm_bwd op = {.rows = rows, .dim = dim, .x = x};

    op.g = store_real(p->store, at.g);
    op.mean = k->mean;
    op.rstd = k->rstd;
    op.dy = dy;
    op.res = res;
    op.dx = dx;
    op.dg = store_grad(p->store, at.g);
    op.db = store_grad(p->store, at.b);
    op_layernorm_bwd(p->d, &op);
}

/* n numbers behind p in a class of numbers of so many bytes. */
static void *behind(void *p, int64_t n, size_t number_bytes)
{
    return p ? (char *)p + (size_t)n * number_bytes : NULL;
}

struct product product_of(const struct pass *p, struct linear_at at,
                          int64_t first, int64_t n, int64_t k)
{
    const struct store *s = p->store;
    struct product l = {.n = n, .k = k};

    l.w = (const char *)store_act(s, at.w) + (size_t)(first * k) * s->act_size;
    l.dw = behind(store_grad(s, at.w), first * k, s->real_size);
    if (at.b >= 0) {
        l.b = behind(store_real(s, at.b), first, s->real_size);
        l.db = behind(store_grad(s, at.b), first, s->real_size);
    }
    return l;
}

struct product product_projection(const struct pass *p, int w, int64_t n,
                                  int64_t k)
{
    struct product l = product_of(p, (struct linear_at){w, -1}, 0, n, k);

    l.w_is_in_out = true;
    return l;
}

static struct op_linear op_of(const struct product *l, int64_t m, const void *x,
                              void *y)
{
    return (struct op_linear){.m = m,
                              .n = l->n,
                              .k = l->k,
                              .x = x,
                              .w = l->w,
                              .w_is_in_out = l->w_is_in_out,
                              .b = l->b,
                              .y = y};
}

void product_forward(const struct pass *p, const struct product *l, int64_t m,
                     const void *x, const void *res, void *y)
{
    struct op_linear op = op_of(l, m, x, y);

    op.res = res;
    op_linear(p->d, &op);
}

void product_forward_act(const struct pass *p, const struct product *l,
                         int64_t m, const void *x, enum act_kind act, void *pre,
                         void *y)
{
    struct op_linear op = op_of(l, m, x, y);

    op.act = act;
    op.pre = pre;
    op_linear(p->d, &op);
}

static void backward(const struct pass *p, const struct product *l, int64_t m,
                     const void *x, enum act_kind act, const void *pre,
                     const void *dy, void *dx)
{
    struct op_linear_dw dw = {.m = m, .n = l->n, .k = l->k, .x = x, .dy = dy};
    struct op_linear_dx op = {.m = m, .n = l->n, .k = l->k, .dy = dy};

    dw.w_is_in_out = op.w_is_in_out = l->w_is_in_out;
    dw.dw = l->dw;
    dw.db = l->db;
    op_linear_dw(p->d, &dw);
    if (!dx)
        return;
    op.w = l->w;
    op.act = act;
    op.pre = pre;
    op.dx = dx;
    op_linear_dx(p->d, &op);
}

void product_backward(const struct pass *p, const struct product *l, int64_t m,
                      const void *x, const void *dy, void *dx)
{
    backward(p, l, m, x, ACT_NONE, NULL, dy, dx);
}

void product_backward_act(const struct pass *p, const struct product *l,
                          int64_t m, const void *x, enum act_kind act,
                          const void *pre, const void *dy, void *dpre)
{
    backward(p, l, m, x, act, pre, dy, dpre);
}
