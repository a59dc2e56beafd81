/*
 * Convolutions.
 *
 * dweight never goes to cuDNN: its gradient of a bfloat16 filter is bfloat16
 * again, and what is to be added up over chunks of a batch would be rounded in
 * each.  As a product of dy and columns the sums are float throughout, and the
 * last pass adds them in the file's order.
 *
 * Columns for y and dx are planned for in any case: cuDNN may still refuse when
 * it is called, and then nothing can be allocated.
 *
 * Cost.  y and dx: cuDNN's.  Columns of a 3x3 kernel are written and read, 18
 * times the bytes of x, if mostly in the L2 cache: RN50's dweights, 1,024
 * images, 100 GB, 23 ms at 4.3 TB/s; their products 4.8 TFLOP, 6 ms.
 */
#include "train/cuda/conv.h"

#include "train/cuda/products.h"

#define COLUMNS_BYTES ((int64_t)64 << 20)

#define CONV_OF(o)                                                             \
    ((struct conv){(o)->batch, (o)->h, (o)->w, (o)->in, (o)->out,              \
                   op_conv_side((o)->h, (o)->kernel, (o)->stride, (o)->pad),   \
                   op_conv_side((o)->w, (o)->kernel, (o)->stride, (o)->pad),   \
                   (o)->kernel, (o)->stride, (o)->pad})

static bool is_product(const struct conv *c)
{
    return c->kernel == 1 && c->stride == 1 && c->pad == 0;
}

static int64_t pixels(const struct conv *c)
{
    return c->batch * c->oh * c->ow;
}

static int64_t round_up(int64_t x, int64_t to)
{
    return (x + to - 1) / to * to;
}

static size_t numbers(const struct device *d, int64_t n)
{
    return (size_t)round_up(n * (int64_t)dtype_size(d->act), DEVICE_ALIGN);
}

/* Rows of columns that are made at a time, of `total`. */
static int64_t rows_at_once(const struct device *d, int64_t total, int64_t ld)
{
    int64_t most = COLUMNS_BYTES / (ld * (int64_t)dtype_size(d->act));
    int64_t product = product_rows(d, ld);

    most = most > 64 ? most / 64 * 64 : 64;
    most = product < most ? product : most;
    return total < most ? total : most;
}

/* Columns of x as the forward direction sees it, or of dy turned. */
static struct columns columns_of(const struct conv *c, bool turned,
                                 const void *x)
{
    int64_t channels = turned ? c->out : c->in;

    return (struct columns){
        .grid_h = turned ? c->h : c->oh,
        .grid_w = turned ? c->w : c->ow,
        .h = turned ? c->oh : c->h,
        .w = turned ? c->ow : c->w,
        .channels = channels,
        .kernel = c->kernel,
        .stride = c->stride,
        .pad = c->pad,
        .turned = turned,
        .ld = round_up(c->kernel * c->kernel * channels, 8),
        .x = x,
    };
}

/* y from x, or, turned, dx from dy, as products of columns and weights. */
static void by_columns(struct device *d, const struct conv *c, bool turned,
                       const void *x, const void *weight, bool add, void *y)
{
    struct columns s = columns_of(c, turned, x);
    int64_t n = turned ? c->in : c->out;
    int64_t total = c->batch * s.grid_h * s.grid_w;
    int64_t rows = rows_at_once(d, total, s.ld);
    size_t weights = numbers(d, n * s.ld);
    const char *room =
        cuda_scratch(d, LT_WORKSPACE + weights + numbers(d, rows * s.ld));
    struct product p = {
        .n = n,
        .k = s.ld,
        .b = product_scratch(room, LT_WORKSPACE),
        .lda = s.ld,
        .ldb = s.ld,
        .b_turned = true,
        .ldd = n,
        .workspace = product_scratch(room, 0),
    };

    conv_weights(d, c, weight, turned, s.ld, (void *)(uintptr_t)p.b);
    s.y = product_scratch(room, LT_WORKSPACE + weights);
    for (s.first = 0; s.first < total; s.first += rows) {
        s.count = total - s.first < rows ? total - s.first : rows;
        conv_columns(d, &s);
        p.m = s.count;
        p.a = s.y;
        p.d = (char *)y + (size_t)(s.first * n) * dtype_size(d->act);
        p.c = add ? p.d : NULL;
        product(d, &p);
    }
}

/* ---- the ops ---- */

void cuda_conv(struct device *d, const struct op_conv *o)
{
    struct conv c = CONV_OF(o);

    if (is_product(&c)) {
        struct op_linear linear = {.m = pixels(&c),
                                   .n = c.out,
                                   .k = c.in,
                                   .x = o->x,
                                   .w = o->weight,
                                   .y = o->y};

        cuda_linear(d, &linear);
    } else if (!dnn_forward(d, &c, o->x, o->weight, o->y) || d->planning) {
        by_columns(d, &c, false, o->x, o->weight, false, o->y);
    }
}

void cuda_conv_dx(struct device *d, const struct op_conv_dx *o)
{
    struct conv c = CONV_OF(o);

    if (is_product(&c)) {
        struct op_linear_dx dx = {.m = pixels(&c),
                                  .n = c.out,
                                  .k = c.in,
                                  .dy = o->dy,
                                  .w = o->weight,
                                  .add = o->add,
                                  .dx = o->dx};

        cuda_linear_dx(d, &dx);
    } else if (!dnn_backward(d, &c, o->dy, o->weight, o->add, o->dx) ||
               d->planning) {
        by_columns(d, &c, true, o->dy, o->weight, o->add, o->dx);
    }
}

/* The columns' gradient: dy^T times columns, the kernel's places outside. */
static void dw_by_columns(struct device *d, const struct conv *c,
                          const struct op_conv_dw *o)
{
    struct columns s = columns_of(c, false, o->x);
    int64_t total = pixels(c), rows = rows_at_once(d, total, s.ld);
    size_t part = (size_t)round_up(c->out * s.ld * 4, DEVICE_ALIGN);
    const char *room =
        cuda_scratch(d, LT_WORKSPACE + part + numbers(d, rows * s.ld));
    struct product p = {
        .m = c->out,
        .n = s.ld,
        .lda = c->out,
        .ldb = s.ld,
        .a_turned = true,
        .real = true,
        .d = product_scratch(room, LT_WORKSPACE),
        .ldd = s.ld,
        .workspace = product_scratch(room, 0),
    };

    s.y = product_scratch(room, LT_WORKSPACE + part);
    for (s.first = 0; s.first < total; s.first += rows) {
        s.count = total - s.first < rows ? total - s.first : rows;
        conv_columns(d, &s);
        p.k = s.count;
        p.a = (const char *)o->dy +
              (size_t)(s.first * c->out) * dtype_size(d->act);
        p.b = s.y;
        p.c = s.first ? p.d : NULL;
        product(d, &p);
    }
    conv_add_weights(d, c, p.d, s.ld, o->dweight);
}

void cuda_conv_dw(struct device *d, const struct op_conv_dw *o)
{
    struct conv c = CONV_OF(o);

    if (is_product(&c)) {
        struct op_linear_dw dw = {.m = pixels(&c),
                                  .n = c.out,
                                  .k = c.in,
                                  .x = o->x,
                                  .dy = o->dy,
                                  .dw = o->dweight};

        cuda_linear_dw(d, &dw);
    } else {
        dw_by_columns(d, &c, o);
    }
}
