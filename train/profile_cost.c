/* What each op has to move at least, and the words for its shape. */
#include "train/profile.h"

#include <stdio.h>

/* Bytes of n numbers of the device's two types. */
static uint64_t act(const struct device *d, int64_t n)
{
    return (uint64_t)n * dtype_size(d->act);
}

static uint64_t real(const struct device *d, int64_t n)
{
    return (uint64_t)n * dtype_size(d->real);
}

static const char *act_name(enum act_kind kind)
{
    switch (kind) {
    case ACT_GELU:
        return " gelu";
    case ACT_QUICK_GELU:
        return " quick-gelu";
    case ACT_NONE:
        break;
    }
    return "";
}

/* Weights once, rows in and out. */
static void cost_product(const struct device *d, enum op_kind kind,
                         const void *op, struct profile_cost *c)
{
    int64_t m, n, k;
    enum act_kind a = ACT_NONE;

    if (kind == OP_linear) {
        const struct op_linear *o = op;

        m = o->m, n = o->n, k = o->k, a = o->act;
        c->bytes =
            act(d, m * k + n * k +
                       m * n * (1 + (o->pre != NULL) + (o->res != NULL)));
    } else if (kind == OP_linear_dx) {
        const struct op_linear_dx *o = op;

        m = o->m, n = o->n, k = o->k, a = o->act;
        c->bytes =
            act(d, m * n + n * k + m * k * (1 + (o->pre != NULL) + o->add));
    } else {
        const struct op_linear_dw *o = op;

        m = o->m, n = o->n, k = o->k;
        c->bytes = act(d, m * n + m * k) + real(d, 2 * n * k);
    }
    snprintf(c->shape, sizeof c->shape, "%lldx%lldx%lld%s", (long long)m,
             (long long)n, (long long)k, act_name(a));
}

static void cost_conv(const struct device *d, enum op_kind kind, const void *op,
                      struct profile_cost *c)
{
    const struct op_conv *o = op; /* all three begin alike */
    int64_t in = o->batch * o->h * o->w * o->in;
    int64_t out = o->batch * o->out *
                  op_conv_side(o->h, o->kernel, o->stride, o->pad) *
                  op_conv_side(o->w, o->kernel, o->stride, o->pad);
    int64_t weight = o->out * o->in * o->kernel * o->kernel;

    c->bytes = act(d, in + out);
    c->bytes += kind == OP_conv_dw ? real(d, 2 * weight) : act(d, weight);
    snprintf(c->shape, sizeof c->shape, "%lldx%lldx%lld %lld-%lld %dx%d/%d",
             (long long)o->batch, (long long)o->h, (long long)o->w,
             (long long)o->in, (long long)o->out, o->kernel, o->kernel,
             o->stride);
}

/* q and out are of q_rows rows; the keys are as many as the pairs tell, at
 * least one a sequence. */
static void cost_attention(const struct device *d, enum op_kind kind,
                           const void *op, struct profile_cost *c)
{
    const struct op_attention *o =
        kind == OP_attention ? op
                             : ((const struct op_attention_bwd *)op)->forward;
    int64_t width = (int64_t)o->heads * o->dim;
    int64_t keys = o->k_begin == o->q_begin ? o->q_rows : o->pairs;
    int64_t rows = o->q_rows + keys; /* q and out; k and v */

    c->bytes = act(d, (kind == OP_attention ? 2 : 4) * rows * width) +
               real(d, o->q_rows * o->heads);
    snprintf(c->shape, sizeof c->shape, "%d of <= %d x %d, %d heads%s", o->seqs,
             o->max_q, o->max_k, o->heads, o->causal ? ", causal" : "");
}

/* rows x dim, with so many arrays of act and of real numbers that size. */
static void cost_rows(const struct device *d, int64_t rows, int64_t dim,
                      int acts, int reals, struct profile_cost *c)
{
    c->bytes = act(d, acts * rows * dim) + real(d, reals * rows * dim);
    snprintf(c->shape, sizeof c->shape, "%lldx%lld", (long long)rows,
             (long long)dim);
}

static void cost_norm(const struct device *d, enum op_kind kind, const void *op,
                      struct profile_cost *c)
{
    switch (kind) {
    case OP_layernorm: {
        const struct op_layernorm *o = op;

        cost_rows(d, o->rows, o->dim, 2, 0, c);
        return;
    }
    case OP_layernorm_bwd: {
        const struct op_layernorm_bwd *o = op;

        cost_rows(d, o->rows, o->dim, 3 + (o->res != NULL), 0, c);
        return;
    }
    case OP_batchnorm: {
        const struct op_batchnorm *o = op;

        /* the statistics are needed before the first output: x twice */
        cost_rows(d, o->groups * o->per, o->dim,
                  2 + !o->given + (o->res != NULL), 0, c);
        return;
    }
    case OP_batchnorm_bwd: {
        const struct op_batchnorm_bwd *o = op;

        cost_rows(d, o->groups * o->per, o->dim,
                  5 + 2 * (o->y != NULL) + (o->dres != NULL), 0, c);
        return;
    }
    case OP_batchnorm_collect: {
        const struct op_batchnorm_collect *o = op;

        cost_rows(d, o->groups, o->dim, 0, 2, c);
        return;
    }
    case OP_l2norm: {
        const struct op_l2norm *o = op;

        cost_rows(d, o->rows, o->dim, 1, 1, c);
        return;
    }
    default: {
        const struct op_l2norm_bwd *o = op;

        cost_rows(d, o->rows, o->dim, 1, 2, c);
        return;
    }
    }
}

static void cost_tokens(const struct device *d, enum op_kind kind,
                        const void *op, struct profile_cost *c)
{
    switch (kind) {
    case OP_embed: {
        const struct op_embed *o = op;

        cost_rows(d, o->rows, o->dim, 1, 1, c);
        return;
    }
    case OP_embed_bwd: {
        const struct op_embed_bwd *o = op;

        cost_rows(d, o->rows, o->dim, 1, 2, c);
        return;
    }
    case OP_patches: {
        const struct op_patches *o = op;

        cost_rows(d, o->batch * o->channels, o->size * o->size, 1, 0, c);
        c->bytes +=
            (uint64_t)o->batch * pixel_bytes(o->x.kind, d->real, o->size);
        return;
    }
    case OP_nhwc: {
        const struct op_nhwc *o = op;

        cost_rows(d, o->batch * o->channels, o->h * o->w, 1,
                  o->x.kind == PIXEL_REAL, c);
        if (o->x.kind == PIXEL_BYTE)
            c->bytes += (uint64_t)(o->batch * o->channels * o->h * o->w);
        return;
    }
    case OP_tokens: {
        const struct op_tokens *o = op;

        cost_rows(d, o->batch * o->n, o->dim, 2, 0, c);
        return;
    }
    case OP_tokens_bwd: {
        const struct op_tokens_bwd *o = op;

        cost_rows(d, o->batch * o->n, o->dim, 2, 0, c);
        return;
    }
    case OP_avgpool: {
        const struct op_avgpool *o = op;

        cost_rows(d, o->batch * o->h * o->w, o->dim, 1, 0, c);
        c->bytes += c->bytes / (uint64_t)(o->kernel * o->kernel);
        return;
    }
    case OP_avgpool_bwd: {
        const struct op_avgpool_bwd *o = op;

        cost_rows(d, o->batch * o->h * o->w, o->dim, 1, 0, c);
        c->bytes += c->bytes / (uint64_t)(o->kernel * o->kernel);
        return;
    }
    case OP_gather: {
        const struct op_gather *o = op;

        cost_rows(d, o->n, o->dim, 2, 0, c);
        return;
    }
    default: {
        const struct op_scatter_add *o = op;

        cost_rows(d, o->n, o->dim, 3, 0, c);
        return;
    }
    }
}

static void cost_loss(const struct device *d, enum op_kind kind, const void *op,
                      struct profile_cost *c)
{
    int64_t rows, cols, dim;

    if (kind == OP_softmax_loss) {
        const struct op_softmax_loss *o = op;

        c->bytes = act(d, (o->by ? 3 : 2) * o->rows * o->cols);
        snprintf(c->shape, sizeof c->shape, "%lldx%lld", (long long)o->rows,
                 (long long)o->cols);
        return;
    }
    if (kind == OP_nce) {
        const struct op_nce *o = op;

        rows = o->rows, cols = o->cols, dim = o->dim;
    } else if (kind == OP_nce_bwd) {
        const struct op_nce_bwd *o = op;

        rows = o->rows, cols = o->cols, dim = o->dim;
    } else {
        const struct op_sigmoid_loss *o = op;

        rows = o->rows, cols = o->cols, dim = o->dim;
    }
    c->bytes = real(d, (rows + cols) * dim);
    if (kind != OP_nce)
        c->bytes += real(d, rows * dim);
    snprintf(c->shape, sizeof c->shape, "%lldx%lldx%lld", (long long)rows,
             (long long)cols, (long long)dim);
}

static void cost_small(const struct device *d, enum op_kind kind,
                       const void *op, struct profile_cost *c)
{
    int64_t n = 0;

    switch (kind) {
    case OP_adamw: {
        const struct op_adamw *o = op;

        n = o->n;
        c->bytes =
            o->half_moments ? real(d, 3 * n) + 8 * (uint64_t)n : real(d, 7 * n);
        c->bytes += o->copy ? act(d, n) : 0;
        break;
    }
    case OP_sumsq:
        n = ((const struct op_sumsq *)op)->n;
        c->bytes = real(d, n);
        break;
    case OP_cast:
        n = ((const struct op_cast *)op)->n;
        c->bytes = real(d, n) + act(d, n);
        break;
    case OP_add:
        n = ((const struct op_add *)op)->n;
        c->bytes = act(d, 3 * n);
        break;
    case OP_axpby:
        n = ((const struct op_axpby *)op)->n;
        c->bytes = real(d, 3 * n);
        break;
    case OP_clamp:
        n = ((const struct op_clamp *)op)->n;
        c->bytes = real(d, 2 * n);
        break;
    case OP_zero:
        n = ((const struct op_zero *)op)->bytes;
        c->bytes = (uint64_t)n;
        break;
    default:
        n = ((const struct op_copy *)op)->bytes;
        c->bytes = 2 * (uint64_t)n;
        break;
    }
    snprintf(c->shape, sizeof c->shape, "%lld", (long long)n);
}

struct profile_cost profile_cost(const struct device *d, enum op_kind kind,
                                 const void *op)
{
    struct profile_cost c = {.flops = op_flops(kind, op)};

    switch (kind) {
    case OP_linear:
    case OP_linear_dx:
    case OP_linear_dw:
        cost_product(d, kind, op, &c);
        break;
    case OP_conv:
    case OP_conv_dx:
    case OP_conv_dw:
        cost_conv(d, kind, op, &c);
        break;
    case OP_attention:
    case OP_attention_bwd:
        cost_attention(d, kind, op, &c);
        break;
    case OP_layernorm:
    case OP_layernorm_bwd:
    case OP_batchnorm:
    case OP_batchnorm_bwd:
    case OP_batchnorm_collect:
    case OP_l2norm:
    case OP_l2norm_bwd:
        cost_norm(d, kind, op, &c);
        break;
    case OP_nce:
    case OP_nce_bwd:
    case OP_sigmoid_loss:
    case OP_softmax_loss:
        cost_loss(d, kind, op, &c);
        break;
    case OP_adamw:
    case OP_sumsq:
    case OP_cast:
    case OP_add:
    case OP_axpby:
    case OP_clamp:
    case OP_zero:
    case OP_copy:
        cost_small(d, kind, op, &c);
        break;
    default:
        cost_tokens(d, kind, op, &c);
        break;
    }
    return c;
}
