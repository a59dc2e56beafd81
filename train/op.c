#include "train/op.h"

#include <assert.h>
#include <math.h>

#include "train/profile.h"

int64_t op_conv_side(int64_t side, int kernel, int stride, int pad)
{
    return (side + 2 * pad - kernel) / stride + 1;
}

/* x to 16 significant bits. */
static float shortened(double x)
{
    int exponent;

    frexp(x, &exponent);
    return (float)ldexp(rint(ldexp(x, 16 - exponent)), exponent - 16);
}

struct pixel_norm pixel_norm_of(const double mean[3], const double std[3])
{
    struct pixel_norm n;

    for (int c = 0; c < 3; c++) {
        double scale = 1 / (255 * std[c]);

        assert(std[c] > 0);
        n.scale[c] = shortened(scale);
        n.rest[c] = shortened(scale - (double)n.scale[c]);
        n.shift[c] = (float)(-mean[c] / std[c]);
    }
    return n;
}

float pixel_value(const struct pixel_norm *n, int colour, uint8_t x)
{
    return (float)x * n->scale[colour] +
           ((float)x * n->rest[colour] + n->shift[colour]);
}

size_t pixel_bytes(enum pixel_kind kind, enum dtype real, int64_t size)
{
    return (size_t)(3 * size * size) *
           (kind == PIXEL_BYTE ? 1 : dtype_size(real));
}

const char *op_kind_name(enum op_kind kind)
{
    static const char *const names[] = {
#define X(name) #name,
        OP_MAP(X)
#undef X
    };

    return kind < OP_KINDS ? names[kind] : "?";
}

/* ---- what an op costs, and what it may not be given ---- */

static uint64_t conv_work(int64_t batch, int64_t h, int64_t w, int64_t in,
                          int64_t out, int kernel, int stride, int pad)
{
    int64_t rows = batch * op_conv_side(h, kernel, stride, pad) *
                   op_conv_side(w, kernel, stride, pad);

    assert(batch > 0 && h > 0 && w > 0 && in > 0 && out > 0);
    assert(kernel > 0 && stride > 0 && pad >= 0 && rows > 0);
    return 2u * (uint64_t)(rows * out * in) * (uint64_t)(kernel * kernel);
}

static uint64_t product_work(int64_t m, int64_t n, int64_t k)
{
    assert(m > 0 && n > 0 && k > 0);
    return 2u * (uint64_t)(m * n) * (uint64_t)k;
}

static uint64_t linear_work(const struct op_linear *o)
{
    assert(o->x && o->w && o->y && !o->pre == (o->act == ACT_NONE));
    return product_work(o->m, o->n, o->k);
}

static uint64_t linear_dx_work(const struct op_linear_dx *o)
{
    assert(o->dy && o->w && o->dx && !o->pre == (o->act == ACT_NONE));
    assert(!o->add || o->act == ACT_NONE);
    return product_work(o->m, o->n, o->k);
}

/* Two products of `dim` columns a head forward; five backward. */
static uint64_t attention_work(const struct op_attention *o, unsigned products)
{
    assert(o->seqs > 0 && o->heads > 0 && o->dim > 0);
    assert(o->max_q > 0 && o->max_k > 0 && o->q_rows > 0);
    assert(o->ldq >= o->heads * o->dim && o->ldk >= o->heads * o->dim);
    assert(o->ldv >= o->heads * o->dim);
    return 2u * products * (uint64_t)(o->pairs * o->heads) * (uint64_t)o->dim;
}

static uint64_t loss_work(int64_t rows, int64_t cols, int64_t first,
                          int64_t dim, unsigned products)
{
    assert(rows > 0 && dim > 0 && first >= 0 && first + rows <= cols);
    return products * product_work(rows, cols, dim);
}

/* None that counts. */
static uint64_t pixel_work(const struct pixels *x, int64_t channels)
{
    assert(x->x && (x->kind == PIXEL_REAL || channels == 3));
    (void)x;
    (void)channels;
    return 0;
}

uint64_t op_flops(enum op_kind kind, const void *op)
{
    switch (kind) {
    case OP_linear:
        return linear_work(op);
    case OP_linear_dx:
        return linear_dx_work(op);
    case OP_linear_dw: {
        const struct op_linear_dw *o = op;

        return product_work(o->m, o->n, o->k);
    }
    case OP_conv: {
        const struct op_conv *o = op;

        return conv_work(o->batch, o->h, o->w, o->in, o->out, o->kernel,
                         o->stride, o->pad);
    }
    case OP_conv_dx: {
        const struct op_conv_dx *o = op;

        return conv_work(o->batch, o->h, o->w, o->in, o->out, o->kernel,
                         o->stride, o->pad);
    }
    case OP_conv_dw: {
        const struct op_conv_dw *o = op;

        return conv_work(o->batch, o->h, o->w, o->in, o->out, o->kernel,
                         o->stride, o->pad);
    }
    case OP_attention:
        return attention_work(op, 2);
    case OP_attention_bwd:
        return attention_work(((const struct op_attention_bwd *)op)->forward,
                              5);
    case OP_patches: {
        const struct op_patches *o = op;

        return pixel_work(&o->x, o->channels);
    }
    case OP_nhwc: {
        const struct op_nhwc *o = op;

        return pixel_work(&o->x, o->channels);
    }
    case OP_nce: {
        const struct op_nce *o = op;

        return loss_work(o->rows, o->cols, o->first, o->dim, 1);
    }
    case OP_nce_bwd: {
        const struct op_nce_bwd *o = op;

        return loss_work(o->rows, o->cols, o->first, o->dim, 2);
    }
    case OP_sigmoid_loss: {
        const struct op_sigmoid_loss *o = op;

        return loss_work(o->rows, o->cols, o->first, o->dim, 2);
    }
    case OP_softmax_loss: {
        const struct op_softmax_loss *o = op;

        assert(o->rows > 0 && o->cols > 0 && o->most >= 0);
        assert(o->most <= OP_TARGETS_MAX);
        (void)o;
        return 0;
    }
    default:
        return 0; /* as many operations as numbers: memory decides */
    }
}

/* Whether the backend shall compute the op now. */
static bool start(struct device *d, enum op_kind kind, const void *op)
{
    d->flops += op_flops(kind, op);
    if (d->rc)
        return false;
    if (!d->planning) {
        if (d->profile)
            profile_before(d, kind, op);
        return true;
    }
    if (d->ops->plan)
        d->ops->plan(d, kind, op);
    return false;
}

#define X(name)                                                                \
    void op_##name(struct device *d, const struct op_##name *op)               \
    {                                                                          \
        if (!start(d, OP_##name, op))                                          \
            return;                                                            \
        d->ops->name(d, op);                                                   \
        if (d->profile)                                                        \
            profile_after(d);                                                  \
    }
OP_MAP(X)
#undef X
