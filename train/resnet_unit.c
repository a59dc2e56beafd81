#include "train/resnet_private.h"

#include <assert.h>
#include <math.h>

void unit_init(struct unit *u, struct store *s, double gain, const char *conv,
               const char *norm)
{
    const int64_t shape[4] = {u->out, u->in, u->kernel, u->kernel};
    const int64_t out = u->out;
    double fan_in = (double)u->in * u->kernel * u->kernel;
    struct init uniform = {INIT_UNIFORM, 1 / sqrt(fan_in)};
    struct init first = {INIT_CONSTANT, gain};
    struct init one = {INIT_CONSTANT, 1};
    struct init zero = {INIT_CONSTANT, 0};

    u->weight = store_add(s, uniform, 4, shape, "%s.weight", conv);
    u->norm.g = store_add(s, first, 1, &out, "%s.weight", norm);
    u->norm.b = store_add(s, zero, 1, &out, "%s.bias", norm);
    u->running_mean = store_add_buffer(s, zero, out, "%s.running_mean", norm);
    u->running_var = store_add_buffer(s, one, out, "%s.running_var", norm);
}

int unit_side(const struct unit *u)
{
    return (int)op_conv_side(u->side, u->kernel, u->stride, u->kernel / 2);
}

/* Rows of a batch's output, by groups whose statistics are their own. */
struct groups {
    int64_t n, per;
};

static struct groups unit_groups(const struct unit *u,
                                 const struct resnet_batch *b)
{
    int64_t pixels = (int64_t)unit_side(u) * unit_side(u);

    if (b->running || b->n <= b->group)
        return (struct groups){1, b->n * pixels};
    assert(b->group > 0 && b->n % b->group == 0);
    return (struct groups){b->n / b->group, b->group * pixels};
}

void *map_take(const struct pass *p, int n, int side, int dim)
{
    return device_take_act(p->d, (int64_t)n * side * side * dim);
}

void map_pool(const struct pass *p, int n, int side, int dim, int kernel,
              const void *x, void *y)
{
    op_avgpool(p->d, &(struct op_avgpool){.batch = n,
                                          .h = side,
                                          .w = side,
                                          .dim = dim,
                                          .kernel = kernel,
                                          .x = x,
                                          .y = y});
}

void map_pool_backward(const struct pass *p, int n, int side, int dim,
                       int kernel, const void *dy, void *dx)
{
    op_avgpool_bwd(p->d, &(struct op_avgpool_bwd){.batch = n,
                                                  .h = side,
                                                  .w = side,
                                                  .dim = dim,
                                                  .kernel = kernel,
                                                  .dy = dy,
                                                  .dx = dx});
}

void unit_take(const struct pass *p, struct unit *u,
               const struct resnet_batch *b)
{
    struct groups g = unit_groups(u, b);

    u->kept.z = map_take(p, b->n, unit_side(u), u->out);
    if (b->running) {
        u->kept.mean = store_real(p->store, u->running_mean);
        u->kept.var = store_real(p->store, u->running_var);
        return;
    }
    u->kept.mean = device_take_real(p->d, g.n * u->out);
    u->kept.var = device_take_real(p->d, g.n * u->out);
}

static void unit_collect(const struct pass *p, const struct unit *u,
                         struct groups g)
{
    op_batchnorm_collect(p->d,
                         &(struct op_batchnorm_collect){
                             .groups = g.n,
                             .per = g.per,
                             .dim = u->out,
                             .mean = u->kept.mean,
                             .var = u->kept.var,
                             .sum_mean = store_grad(p->store, u->running_mean),
                             .sum_var = store_grad(p->store, u->running_var)});
}

void unit_forward(const struct pass *p, struct unit *u,
                  const struct resnet_batch *b, const void *x, const void *res,
                  void *y)
{
    struct groups g = unit_groups(u, b);

    u->kept.x = x;
    u->kept.y = y;
    op_conv(p->d, &(struct op_conv){.batch = b->n,
                                    .h = u->side,
                                    .w = u->side,
                                    .in = u->in,
                                    .out = u->out,
                                    .kernel = u->kernel,
                                    .stride = u->stride,
                                    .pad = u->kernel / 2,
                                    .x = x,
                                    .weight = store_act(p->store, u->weight),
                                    .y = u->kept.z});
    op_batchnorm(p->d,
                 &(struct op_batchnorm){.groups = g.n,
                                        .per = g.per,
                                        .dim = u->out,
                                        .x = u->kept.z,
                                        .g = store_real(p->store, u->norm.g),
                                        .b = store_real(p->store, u->norm.b),
                                        .res = res,
                                        .relu = u->relu,
                                        .given = b->running,
                                        .mean = u->kept.mean,
                                        .var = u->kept.var,
                                        .y = y});
    if (b->collect && !b->running)
        unit_collect(p, u, g);
}

static void unit_norm_backward(const struct pass *p, const struct unit *u,
                               struct groups n, const struct unit_grad *g)
{
    op_batchnorm_bwd(p->d, &(struct op_batchnorm_bwd){
                               .groups = n.n,
                               .per = n.per,
                               .dim = u->out,
                               .x = u->kept.z,
                               .g = store_real(p->store, u->norm.g),
                               .mean = u->kept.mean,
                               .var = u->kept.var,
                               .y = u->relu ? u->kept.y : NULL,
                               .dy = g->dy,
                               .dx = g->dz,
                               .dres = g->dres,
                               .dg = store_grad(p->store, u->norm.g),
                               .db = store_grad(p->store, u->norm.b)});
}

void unit_backward(const struct pass *p, const struct unit *u,
                   const struct resnet_batch *b, const struct unit_grad *g)
{
    unit_norm_backward(p, u, unit_groups(u, b), g);
    op_conv_dw(
        p->d, &(struct op_conv_dw){.batch = b->n,
                                   .h = u->side,
                                   .w = u->side,
                                   .in = u->in,
                                   .out = u->out,
                                   .kernel = u->kernel,
                                   .stride = u->stride,
                                   .pad = u->kernel / 2,
                                   .x = u->kept.x,
                                   .dy = g->dz,
                                   .dweight = store_grad(p->store, u->weight)});
    if (!g->dx)
        return;
    op_conv_dx(p->d,
               &(struct op_conv_dx){.batch = b->n,
                                    .h = u->side,
                                    .w = u->side,
                                    .in = u->in,
                                    .out = u->out,
                                    .kernel = u->kernel,
                                    .stride = u->stride,
                                    .pad = u->kernel / 2,
                                    .dy = g->dz,
                                    .weight = store_act(p->store, u->weight),
                                    .add = g->add,
                                    .dx = g->dx});
}
