#include "train/cpu/products_private.h"

#include <string.h>

/*
 * How a convolution is computed is a function of its shape:
 *
 *   1x1, stride 1     a product of matrices; pixels are rows
 *   y                 oneDNN's convolution
 *   dx, stride 1      the same, of dy with the kernel turned round and its
 *                     channels exchanged; it adds where the backward one of
 *                     oneDNN cannot
 *   dx, other strides oneDNN's backward convolution
 *   dweight           products of tiles of pixels: dy^T times the pixels'
 *                     neighbourhoods side by side ("columns"); or oneDNN's
 *                     backward convolution, see by_columns()
 */

/* What the three ops have in common, by the forward direction. */
struct conv {
    int64_t batch, h, w, in, out, oh, ow;
    int64_t kernel, stride, pad;
};

#define CONV_OF(o)                                                             \
    ((struct conv){(o)->batch, (o)->h, (o)->w, (o)->in, (o)->out,              \
                   op_conv_side((o)->h, (o)->kernel, (o)->stride, (o)->pad),   \
                   op_conv_side((o)->w, (o)->kernel, (o)->stride, (o)->pad),   \
                   (o)->kernel, (o)->stride, (o)->pad})

enum {
    FLAG_TURNED = 1, /* weights stand as turn() lays them out */
    FLAG_ADD = 2     /* y += */
};

static bool is_product(const struct conv *c)
{
    return c->kernel == 1 && c->stride == 1 && c->pad == 0;
}

/* Whether dx is the convolution of dy with the kernel turned round. */
static bool is_turned(const struct conv *c)
{
    return c->stride == 1 && c->pad < c->kernel;
}

/* ---- primitives ---- */

static dnnl_memory_desc_t image_desc(int64_t n, int64_t c, int64_t h, int64_t w,
                                     dnnl_format_tag_t tag,
                                     dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {n, c, h, w};
    dnnl_memory_desc_t md;

    if (dnnl_memory_desc_init_by_tag(&md, 4, dims, type, tag))
        memset(&md, 0, sizeof md);
    return md;
}

/* What conv_make() and its like are told. */
struct conv_shape {
    const struct conv *c;
    int64_t flags;
};

struct conv_descs {
    dnnl_memory_desc_t x, y, any, plain; /* any, plain: the weights */
    dnnl_dims_t stride, pad;
};

static struct conv_descs descs_of(const struct products *s,
                                  const struct conv *c, bool turned,
                                  dnnl_data_type_t weights)
{
    return (struct conv_descs){
        .x = image_desc(c->batch, c->in, c->h, c->w, dnnl_nhwc, s->act),
        .y = image_desc(c->batch, c->out, c->oh, c->ow, dnnl_nhwc, s->act),
        .any = image_desc(c->out, c->in, c->kernel, c->kernel,
                          dnnl_format_tag_any, weights),
        .plain = image_desc(c->out, c->in, c->kernel, c->kernel,
                            turned ? dnnl_ohwi : dnnl_oihw, weights),
        .stride = {c->stride, c->stride},
        .pad = {c->pad, c->pad},
    };
}

static dnnl_status_t forward_desc(dnnl_convolution_desc_t *desc,
                                  const struct conv_descs *m)
{
    return dnnl_convolution_forward_desc_init(
        desc, dnnl_forward_training, dnnl_convolution_direct, &m->x, &m->any,
        NULL, &m->y, m->stride, m->pad, m->pad);
}

static dnnl_status_t conv_make(struct products *s, const void *shape,
                               struct prim *p)
{
    const struct conv_shape *t = (const struct conv_shape *)shape;
    struct conv_descs m = descs_of(s, t->c, t->flags & FLAG_TURNED, s->act);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_convolution_desc_t desc;
    dnnl_status_t st = dnnl_post_ops_create(&post);

    if (!st && t->flags & FLAG_ADD)
        st = dnnl_post_ops_append_sum(post, 1);
    if (!st)
        st = forward_desc(&desc, &m);
    if (!st)
        st = prim_create(s, p, &desc, post, NULL, &pd);
    if (!st)
        st = prim_pack(
            s, p, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0),
            &m.plain, false);
    dnnl_primitive_desc_destroy(pd);
    dnnl_post_ops_destroy(post);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_SRC, &m.x);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_WEIGHTS, &p->packed);
    return st ? st : prim_arg(s, p, DNNL_ARG_DST, &m.y);
}

/* A backward convolution is made from its forward's description. */
static dnnl_status_t hint_of(struct products *s, const struct conv *c,
                             dnnl_primitive_desc_t *hint)
{
    struct conv_descs m = descs_of(s, c, false, s->act);
    dnnl_convolution_desc_t desc;
    dnnl_status_t st = forward_desc(&desc, &m);

    *hint = NULL;
    return st ? st
              : dnnl_primitive_desc_create(hint, &desc, NULL, s->engine, NULL);
}

static dnnl_status_t conv_dx_make(struct products *s, const void *shape,
                                  struct prim *p)
{
    const struct conv_shape *t = (const struct conv_shape *)shape;
    struct conv_descs m = descs_of(s, t->c, false, s->act);
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_convolution_desc_t desc;
    dnnl_status_t st = hint_of(s, t->c, &hint);

    if (!st)
        st = dnnl_convolution_backward_data_desc_init(
            &desc, dnnl_convolution_direct, &m.x, &m.any, &m.y, m.stride, m.pad,
            m.pad);
    if (!st)
        st = prim_create(s, p, &desc, NULL, hint, &pd);
    if (!st)
        st = prim_pack(
            s, p, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0),
            &m.plain, false);
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(hint);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_DIFF_DST, &m.y);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_WEIGHTS, &p->packed);
    return st ? st : prim_arg(s, p, DNNL_ARG_DIFF_SRC, &m.x);
}

static dnnl_status_t conv_dw_make(struct products *s, const void *shape,
                                  struct prim *p)
{
    const struct conv_shape *t = (const struct conv_shape *)shape;
    struct conv_descs m = descs_of(s, t->c, false, dnnl_f32);
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_convolution_desc_t desc;
    dnnl_status_t st = hint_of(s, t->c, &hint);

    if (!st)
        st = dnnl_convolution_backward_weights_desc_init(
            &desc, dnnl_convolution_direct, &m.x, &m.any, NULL, &m.y, m.stride,
            m.pad, m.pad);
    if (!st)
        st = prim_create(s, p, &desc, NULL, hint, &pd);
    if (!st)
        st = prim_pack(
            s, p,
            dnnl_primitive_desc_query_md(pd, dnnl_query_diff_weights_md, 0),
            &m.plain, true);
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(hint);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_SRC, &m.x);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_DIFF_DST, &m.y);
    return st ? st : prim_arg(s, p, DNNL_ARG_DIFF_WEIGHTS, &p->packed);
}

static struct prim *conv_get(struct device *d, enum prim_kind kind,
                             const struct conv *c, int64_t flags)
{
    struct conv_shape shape = {c, flags};
    struct prim_key key = {.kind = kind,
                           .flags = flags,
                           .dim = {c->batch, c->h, c->w, c->in, c->out,
                                   c->kernel, c->stride, c->pad}};

    return prim_get(d, &key, &shape,
                    kind == PRIM_CONV      ? conv_make
                    : kind == PRIM_CONV_DX ? conv_dx_make
                                           : conv_dw_make);
}

/* What it wants for itself and for its reorder, one after the other. */
static size_t scratchpad_bytes(const struct prim *p)
{
    size_t own = p->scratchpad, pack = p->pack ? p->pack->scratchpad : 0;

    return round_up(own > pack ? own : pack);
}

/* Pack the weights into `packed` and run; arrays as x, weights, y. */
static void pack_and_run(struct device *d, const struct prim *p, const void *x,
                         const void *weights, void *y, void *packed,
                         void *scratchpad)
{
    const void *pack[] = {weights, packed};
    const void *arrays[] = {x, p->pack ? packed : weights, y};

    if (!p->pack || prim_run(d, p->pack, pack, scratchpad))
        prim_run(d, p, arrays, scratchpad);
}

/* ---- y ---- */

void products_conv(struct device *d, const struct op_conv *o, bool dry)
{
    struct conv c = CONV_OF(o);
    struct prim *p;
    char *scratch;

    if (is_product(&c)) {
        products_linear(d,
                        &(struct op_linear){.m = c.batch * c.h * c.w,
                                            .n = c.out,
                                            .k = c.in,
                                            .x = o->x,
                                            .w = o->weight,
                                            .y = o->y},
                        dry);
        return;
    }
    p = conv_get(d, PRIM_CONV, &c, 0);
    scratch = p ? (char *)cpu_scratch(d, scratchpad_bytes(p) +
                                             round_up(p->packed_bytes) + 1)
                : NULL;
    if (scratch && !dry)
        pack_and_run(d, p, o->x, o->weight, o->y, scratch + scratchpad_bytes(p),
                     scratch);
}

/* ---- dx ---- */

/* The kernel turned round, channels exchanged: t[c, p, q, o] =
 * w[o, c, kernel - 1 - p, kernel - 1 - q], of numbers of `size` bytes. */
static void turn(const struct conv *c, size_t size, const void *w, void *t)
{
    int64_t taps = c->kernel * c->kernel;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < c->in; i++)
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t o = 0; o < c->out; o++) {
                int64_t to = (i * taps + tap) * c->out + o;
                int64_t from = (o * c->in + i) * taps + taps - 1 - tap;

                if (size == sizeof(uint16_t))
                    ((uint16_t *)t)[to] = ((const uint16_t *)w)[from];
                else
                    ((uint32_t *)t)[to] = ((const uint32_t *)w)[from];
            }
}

/* dx as the convolution of dy with the turned kernel. */
static void dx_turned(struct device *d, const struct op_conv_dx *o,
                      const struct conv *c, bool dry)
{
    struct conv back = {
        c->batch, c->oh, c->ow,     c->out, c->in,
        c->h,     c->w,  c->kernel, 1,      c->kernel - 1 - c->pad};
    struct prim *p =
        conv_get(d, PRIM_CONV, &back, FLAG_TURNED | (o->add ? FLAG_ADD : 0));
    size_t size = dtype_size(d->act);
    size_t weights =
        round_up((size_t)(c->in * c->out * c->kernel * c->kernel) * size);
    char *scratch;

    if (!p)
        return;
    scratch = (char *)cpu_scratch(d, weights + round_up(p->packed_bytes) +
                                         scratchpad_bytes(p) + 1);
    if (!scratch || dry)
        return;
    turn(c, size, o->weight, scratch);
    pack_and_run(d, p, o->dy, scratch, o->dx, scratch + weights,
                 scratch + weights + round_up(p->packed_bytes));
}

/* oneDNN's backward convolution overwrites: to add, it writes to the scratch.
 */
static void dx_backward(struct device *d, const struct op_conv_dx *o,
                        const struct conv *c, bool dry)
{
    struct prim *p = conv_get(d, PRIM_CONV_DX, c, 0);
    int64_t count = c->batch * c->h * c->w * c->in;
    size_t sum = o->add ? round_up((size_t)count * dtype_size(d->act)) : 0;
    char *scratch;

    if (!p)
        return;
    scratch = (char *)cpu_scratch(d, sum + round_up(p->packed_bytes) +
                                         scratchpad_bytes(p) + 1);
    if (!scratch || dry)
        return;
    pack_and_run(d, p, o->dy, o->weight, o->add ? scratch : o->dx,
                 scratch + sum, scratch + sum + round_up(p->packed_bytes));
    if (o->add)
        cpu_of(d)->passes.act(d, ACT_NONE, count, scratch, o->dx, o->dx);
}

void products_conv_dx(struct device *d, const struct op_conv_dx *o, bool dry)
{
    struct conv c = CONV_OF(o);

    if (is_product(&c))
        products_linear_dx(d,
                           &(struct op_linear_dx){.m = c.batch * c.h * c.w,
                                                  .n = c.out,
                                                  .k = c.in,
                                                  .dy = o->dy,
                                                  .w = o->weight,
                                                  .add = o->add,
                                                  .dx = o->dx},
                           dry);
    else if (is_turned(&c))
        dx_turned(d, o, &c, dry);
    else
        dx_backward(d, o, &c, dry);
}

/* ---- dweight ---- */

/* Pixels whose neighbourhoods are laid out at a time: few enough for these to
 * stay in the cache until the product has read them. */
#define COLUMN_ROWS 1024

/* Numbers in a neighbourhood that are worth a product. */
#define COLUMNS_WIDE 256

/* oneDNN's backward convolution in bf16 works on whole lines of pixels, and
 * lines of few leave it half idle: on maps of 7x7 columns are faster by half,
 * from 14x14 on it is, by two. */
#define LINE_SHORT 8

static bool by_columns(const struct device *d, const struct conv *c)
{
    return cpu_of(d)->act == DTYPE_BF16 && c->ow <= LINE_SHORT &&
           c->kernel * c->kernel * c->in >= COLUMNS_WIDE;
}

/* Neighbourhoods of `rows` pixels of y from `first` on, zero outside of x:
 * to[row, p, q, c] = x[n, i * stride - pad + p, j * stride - pad + q, c]. */
static void columns(const struct conv *c, size_t size, const char *x,
                    int64_t first, int64_t rows, char *to)
{
    size_t pixel = (size_t)c->in * size;
    size_t line = (size_t)c->kernel * pixel, row = (size_t)c->kernel * line;

#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        int64_t n = (first + r) / (c->oh * c->ow);
        int64_t i = (first + r) / c->ow % c->oh, j = (first + r) % c->ow;
        int64_t top = i * c->stride - c->pad, left = j * c->stride - c->pad;
        int64_t from = left < 0 ? -left : 0;
        int64_t end = left + c->kernel > c->w ? c->w - left : c->kernel;

        for (int64_t p = 0; p < c->kernel; p++) {
            char *out = to + (size_t)r * row + (size_t)p * line;

            if (top + p < 0 || top + p >= c->h || from >= end) {
                memset(out, 0, line);
                continue;
            }
            memset(out, 0, (size_t)from * pixel);
            memcpy(out + (size_t)from * pixel,
                   x + (size_t)((n * c->h + top + p) * c->w + left + from) *
                           pixel,
                   (size_t)(end - from) * pixel);
            memset(out + (size_t)end * pixel, 0,
                   (size_t)(c->kernel - end) * pixel);
        }
    }
}

/* dw[o, c, tap] += sum[o, tap, c]. */
static void add_columns(const struct conv *c, const float *sum, float *dw)
{
    int64_t taps = c->kernel * c->kernel;

#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < c->out; o++)
        for (int64_t i = 0; i < c->in; i++)
            for (int64_t tap = 0; tap < taps; tap++)
                dw[(o * c->in + i) * taps + tap] +=
                    sum[(o * taps + tap) * c->in + i];
}

static void dw_columns(struct device *d, const struct op_conv_dw *o,
                       const struct conv *c, bool dry)
{
    int64_t width = c->kernel * c->kernel * c->in;
    struct tiles t = tiles_of(c->batch * c->oh * c->ow, COLUMN_ROWS);
    struct wgrad tile = {
        .m = t.n > 1 ? t.rows : t.last, .p = c->out, .q = width};
    struct wgrad last = {.m = t.last, .p = c->out, .q = width};
    size_t sum = round_up((size_t)(c->out * width) * sizeof(float));
    size_t cols = round_up((size_t)(t.last * width) * dtype_size(d->act));
    char *scratch;

    if (!wgrad_prepare(d, &tile) || !wgrad_prepare(d, &last))
        return;
    scratch = (char *)cpu_scratch(
        d, sum + cols +
               (tile.scratch > last.scratch ? tile.scratch : last.scratch));
    if (!scratch || dry)
        return;
    memset(scratch, 0, sum);
    for (int64_t i = 0; i < t.n; i++) {
        int64_t first = i * t.rows;

        columns(c, dtype_size(d->act), (const char *)o->x, first,
                tile_rows(&t, i), scratch + sum);
        if (!wgrad_run(d, i < t.n - 1 ? &tile : &last,
                       row_at(d, o->dy, first, c->out), scratch + sum,
                       (float *)scratch, scratch + sum + cols))
            return;
    }
    add_columns(c, (const float *)scratch, (float *)o->dweight);
}

static void dw_backward(struct device *d, const struct op_conv_dw *o,
                        const struct conv *c, bool dry)
{
    struct prim *p = conv_get(d, PRIM_CONV_DW, c, 0);
    char *scratch = p ? (char *)cpu_scratch(d, scratchpad_bytes(p) +
                                                   round_up(p->packed_bytes))
                      : NULL;
    char *packed;

    if (!scratch || dry)
        return;
    packed = scratch + scratchpad_bytes(p);
    if (prim_run(d, p, (const void *const[]){o->x, o->dy, packed}, scratch))
        prim_run(d, p->pack, (const void *const[]){packed, o->dweight},
                 scratch);
}

void products_conv_dw(struct device *d, const struct op_conv_dw *o, bool dry)
{
    struct conv c = CONV_OF(o);

    if (is_product(&c))
        products_linear_dw(d,
                           &(struct op_linear_dw){.m = c.batch * c.h * c.w,
                                                  .n = c.out,
                                                  .k = c.in,
                                                  .x = o->x,
                                                  .dy = o->dy,
                                                  .dw = o->dweight},
                           dry);
    else if (by_columns(d, &c))
        dw_columns(d, o, &c, dry);
    else
        dw_backward(d, o, &c, dry);
}
