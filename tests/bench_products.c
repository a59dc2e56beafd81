/*
 * bench_products - the cpu backend's products beside oneDNN's own, in GFLOP/s.
 *
 *     bench_products [-r ROUNDS] [-t THREADS] [f32|bf16] [PART-OF-A-NAME]
 *
 * Every row is one of our ops on a layer's shape (ViT-B/32 of 64 pictures, its
 * text tower on 2,048 packed rows, RN50 of 16 pictures) beside what oneDNN
 * alone reaches there: the best of several ways to call it, weights laid out as
 * it likes and not counted.  Ours counts all that the op does: packing, bias,
 * activation, adding.  All rows are run in turn, ROUNDS times, and the best
 * time of each counts, so that a busy machine is unfair to all alike; with one
 * thread (-t 1) its processor time counts, which others disturb less.  `peak`
 * is ours against the largest number that oneDNN shows in the same run,
 * squares of 1,024 and 2,048 among its shapes.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <oneapi/dnnl/dnnl.h>

#include "base/mem.h"
#include "train/cpu/cpu.h"
#include "train/op.h"

#define ROWS_MAX 256
#define WAYS     3

/* ---- shapes ---- */

static const struct product {
    const char *name;
    int64_t m, n, k;
    enum act_kind act;
    bool res;
} products[] = {
    {"vit patches", 3136, 768, 3072, ACT_NONE, false},
    {"vit in_proj", 3200, 2304, 768, ACT_NONE, false},
    {"vit out_proj", 3200, 768, 768, ACT_NONE, true},
    {"vit c_fc", 3200, 3072, 768, ACT_QUICK_GELU, false},
    {"vit c_proj", 3200, 768, 3072, ACT_NONE, true},
    {"text in_proj", 2048, 1536, 512, ACT_NONE, false},
    {"text out_proj", 2048, 512, 512, ACT_NONE, true},
    {"text c_fc", 2048, 2048, 512, ACT_QUICK_GELU, false},
    {"text c_proj", 2048, 512, 2048, ACT_NONE, true},
};

static const struct image {
    const char *name;
    int side, in, out, kernel, stride;
} images[] = {
    {"rn50 stem 1", 224, 3, 32, 3, 2},   {"rn50 stem 3", 112, 32, 64, 3, 1},
    {"rn50 56 1x1", 56, 256, 64, 1, 1},  {"rn50 56 3x3", 56, 64, 64, 3, 1},
    {"rn50 28 1x1", 28, 128, 512, 1, 1}, {"rn50 28 3x3", 28, 128, 128, 3, 1},
    {"rn50 14 3x3", 14, 256, 256, 3, 1}, {"rn50 7 1x1", 7, 512, 2048, 1, 1},
    {"rn50 7 3x3", 7, 512, 512, 3, 1},
};

#define IMAGES 16 /* a batch */

/* ---- rows of the table ---- */

struct way { /* of oneDNN */
    dnnl_primitive_t p;
    dnnl_exec_arg_t arg[3];
};

struct row {
    char name[48];
    double flops;
    enum op_kind kind; /* OP_KINDS: oneDNN alone */
    union {
        struct op_linear y;
        struct op_linear_dx dx;
        struct op_linear_dw dw;
        struct op_conv conv;
        struct op_conv_dx conv_dx;
        struct op_conv_dw conv_dw;
    } op;
    struct way way[WAYS];
    int ways;
    bool sgemm;      /* one more way: the call without a primitive */
    int64_t m, n, k; /* of it: c[m, n] of k products each */
    char ta, tb;
    double ours, theirs; /* seconds, the best so far */
};

struct bench {
    struct device d;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_data_type_t type;
    void *a, *b, *c, *e; /* arrays that all rows share */
    struct row row[ROWS_MAX];
    int rows;
};

static clockid_t watch = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;

    clock_gettime(watch, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *numbers(size_t bytes, enum dtype type)
{
    size_t n = bytes / dtype_size(type);
    char *p = NULL;

    if (posix_memalign((void **)&p, 4096, bytes))
        abort();
    for (size_t i = 0; i < n; i++) {
        double x = (double)(i * 2654435761u >> 8 & 1023) / 1024 - 0.5;

        dtype_convert(p + i * dtype_size(type), type, &x, DTYPE_F64, 1);
    }
    return p;
}

static struct row *row_new(struct bench *b, enum op_kind kind, const char *name,
                           const char *what, double flops)
{
    struct row *r = &b->row[b->rows++];

    memset(r, 0, sizeof *r);
    snprintf(r->name, sizeof r->name, "%s %s", name, what);
    r->kind = kind;
    r->flops = flops;
    r->ours = r->theirs = 1e9;
    return r;
}

/* ---- oneDNN alone ---- */

static void die(dnnl_status_t st)
{
    if (st) {
        fprintf(stderr, "oneDNN: status %d\n", (int)st);
        exit(3);
    }
}

/* A way, with arrays of its own sizes; false: oneDNN has none. */
static void way_add(struct bench *b, struct row *r, const void *desc,
                    dnnl_primitive_desc_t hint, const dnnl_query_t *query,
                    const int *name)
{
    dnnl_primitive_desc_t pd;
    struct way *w = &r->way[r->ways];

    if (dnnl_primitive_desc_create(&pd, desc, NULL, b->engine, hint))
        return;
    die(dnnl_primitive_create(&w->p, pd));
    for (int i = 0; i < 3; i++) {
        const dnnl_memory_desc_t *md =
            dnnl_primitive_desc_query_md(pd, query[i], 0);

        w->arg[i].arg = name[i];
        die(dnnl_memory_create(&w->arg[i].memory, md, b->engine,
                               i == 0   ? b->a
                               : i == 1 ? b->b
                                        : b->e));
    }
    dnnl_primitive_desc_destroy(pd);
    r->ways++;
}

static dnnl_memory_desc_t matrix(int64_t rows, int64_t cols, bool t,
                                 dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {t ? 1 : cols, t ? rows : 1};
    dnnl_memory_desc_t md;

    die(dnnl_memory_desc_init_by_strides(&md, 2, dims, type, strides));
    return md;
}

/* c[m, n] = a b, a or b stored transposed: sgemm, a matmul of the arrays as
 * they stand, and one that lays out b as it likes. */
static void product_alone(struct bench *b, struct row *r, char ta, char tb,
                          int64_t m, int64_t n, int64_t k)
{
    static const dnnl_query_t query[] = {
        dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    static const int name[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    dnnl_memory_desc_t x = matrix(m, k, ta == 'T', b->type);
    dnnl_memory_desc_t w = matrix(k, n, tb == 'T', b->type), any = w;
    dnnl_memory_desc_t y = matrix(m, n, false, ta == 'T' ? dnnl_f32 : b->type);
    dnnl_matmul_desc_t desc;

    r->sgemm = b->type == dnnl_f32;
    r->m = m;
    r->n = n;
    r->k = k;
    r->ta = ta;
    r->tb = tb;
    die(dnnl_matmul_desc_init(&desc, &x, &w, NULL, &y));
    way_add(b, r, &desc, NULL, query, name);
    die(dnnl_memory_desc_init_by_tag(&any, 2, w.dims, b->type,
                                     dnnl_format_tag_any));
    die(dnnl_matmul_desc_init(&desc, &x, &any, NULL, &y));
    way_add(b, r, &desc, NULL, query, name);
}

static dnnl_memory_desc_t picture(int64_t n, int64_t c, int64_t side, bool any,
                                  dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {n, c, side, side};
    dnnl_memory_desc_t md;

    die(dnnl_memory_desc_init_by_tag(&md, 4, dims, type,
                                     any ? dnnl_format_tag_any : dnnl_nhwc));
    return md;
}

/* Both with pictures as we have them and as oneDNN likes them. */
static void conv_alone(struct bench *b, struct row *r, const struct image *i,
                       enum op_kind kind)
{
    static const dnnl_query_t query[3][3] = {
        {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
        {dnnl_query_diff_dst_md, dnnl_query_weights_md, dnnl_query_diff_src_md},
        {dnnl_query_src_md, dnnl_query_diff_dst_md,
         dnnl_query_diff_weights_md}};
    static const int name[3][3] = {
        {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
        {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS}};
    const dnnl_dims_t stride = {i->stride, i->stride};
    const dnnl_dims_t pad = {i->kernel / 2, i->kernel / 2};
    int64_t side = op_conv_side(i->side, i->kernel, i->stride, i->kernel / 2);
    int at = kind == OP_conv ? 0 : kind == OP_conv_dx ? 1 : 2;

    for (int any = 0; any < 2; any++) {
        dnnl_memory_desc_t x = picture(IMAGES, i->in, i->side, any, b->type);
        dnnl_memory_desc_t y = picture(IMAGES, i->out, side, any, b->type);
        dnnl_memory_desc_t w = picture(i->out, i->in, i->kernel, true, b->type);
        dnnl_memory_desc_t dw =
            picture(i->out, i->in, i->kernel, true, dnnl_f32);
        dnnl_convolution_desc_t forward, desc;
        dnnl_primitive_desc_t hint;

        die(dnnl_convolution_forward_desc_init(&forward, dnnl_forward_training,
                                               dnnl_convolution_direct, &x, &w,
                                               NULL, &y, stride, pad, pad));
        die(dnnl_primitive_desc_create(&hint, &forward, NULL, b->engine, NULL));
        if (at == 1)
            die(dnnl_convolution_backward_data_desc_init(
                &desc, dnnl_convolution_direct, &x, &w, &y, stride, pad, pad));
        if (at == 2)
            die(dnnl_convolution_backward_weights_desc_init(
                &desc, dnnl_convolution_direct, &x, &dw, NULL, &y, stride, pad,
                pad));
        way_add(b, r, at ? &desc : &forward, at ? hint : NULL, query[at],
                name[at]);
        dnnl_primitive_desc_destroy(hint);
    }
}

/* ---- laying out the rows ---- */

static void add_product(struct bench *b, const struct product *p)
{
    double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k;
    struct row *r = row_new(b, OP_linear, p->name, "y", flops);

    r->op.y = (struct op_linear){.m = p->m,
                                 .n = p->n,
                                 .k = p->k,
                                 .x = b->a,
                                 .w = b->b,
                                 .b = b->e,
                                 .act = p->act,
                                 .pre = p->act ? b->e : NULL,
                                 .res = p->res ? b->a : NULL,
                                 .y = b->c};
    product_alone(b, r, 'N', 'T', p->m, p->n, p->k);
    r = row_new(b, OP_linear_dx, p->name, "dx", flops);
    r->op.dx = (struct op_linear_dx){
        .m = p->m, .n = p->n, .k = p->k, .dy = b->a, .w = b->b, .dx = b->c};
    product_alone(b, r, 'N', 'N', p->m, p->k, p->n);
    r = row_new(b, OP_linear_dw, p->name, "dw", flops);
    r->op.dw = (struct op_linear_dw){.m = p->m,
                                     .n = p->n,
                                     .k = p->k,
                                     .x = b->a,
                                     .dy = b->c,
                                     .dw = b->e,
                                     .db = b->b};
    product_alone(b, r, 'T', 'N', p->n, p->k, p->m);
}

static void add_image(struct bench *b, const struct image *i)
{
    int64_t side = op_conv_side(i->side, i->kernel, i->stride, i->kernel / 2);
    double flops = 2.0 * IMAGES * (double)(side * side) * i->in * i->out *
                   i->kernel * i->kernel;
    struct row *r = row_new(b, OP_conv, i->name, "y", flops);
    int pad = i->kernel / 2;

    r->op.conv =
        (struct op_conv){IMAGES,    i->side, i->side, i->in, i->out, i->kernel,
                         i->stride, pad,     b->a,    b->b,  b->c};
    conv_alone(b, r, i, OP_conv);
    if (i->in > 3) { /* nobody asks for the gradient of pixels */
        r = row_new(b, OP_conv_dx, i->name, "dx", flops);
        r->op.conv_dx = (struct op_conv_dx){IMAGES, i->side,   i->side,   i->in,
                                            i->out, i->kernel, i->stride, pad,
                                            b->a,   b->b,      false,     b->c};
        conv_alone(b, r, i, OP_conv_dx);
    }
    r = row_new(b, OP_conv_dw, i->name, "dw", flops);
    r->op.conv_dw = (struct op_conv_dw){IMAGES, i->side,   i->side,   i->in,
                                        i->out, i->kernel, i->stride, pad,
                                        b->a,   b->c,      b->e};
    conv_alone(b, r, i, OP_conv_dw);
}

/* ---- running ---- */

static void run_ours(struct bench *b, struct row *r)
{
    double begin = now();

    switch (r->kind) {
    case OP_linear:
        op_linear(&b->d, &r->op.y);
        break;
    case OP_linear_dx:
        op_linear_dx(&b->d, &r->op.dx);
        break;
    case OP_linear_dw:
        op_linear_dw(&b->d, &r->op.dw);
        break;
    case OP_conv:
        op_conv(&b->d, &r->op.conv);
        break;
    case OP_conv_dx:
        op_conv_dx(&b->d, &r->op.conv_dx);
        break;
    case OP_conv_dw:
        op_conv_dw(&b->d, &r->op.conv_dw);
        break;
    default:
        return;
    }
    begin = now() - begin;
    if (begin < r->ours)
        r->ours = begin;
}

static void run_theirs(struct bench *b, struct row *r)
{
    for (int i = 0; i < r->ways + r->sgemm; i++) {
        double begin = now();

        if (i < r->ways)
            die(dnnl_primitive_execute(r->way[i].p, b->stream, 3,
                                       r->way[i].arg));
        else
            die(dnnl_sgemm(r->ta, r->tb, r->m, r->n, r->k, 1, b->a,
                           r->ta == 'T' ? r->m : r->k, b->b,
                           r->tb == 'T' ? r->k : r->n, 0, b->e, r->n));
        begin = now() - begin;
        if (begin < r->theirs)
            r->theirs = begin;
    }
}

static void print(const struct bench *b)
{
    double peak = 0;

    for (int i = 0; i < b->rows; i++)
        if (b->row[i].flops / b->row[i].theirs > peak)
            peak = b->row[i].flops / b->row[i].theirs;
    printf("%s, %d threads, oneDNN's peak %.0f GFLOP/s\n", dtype_name(b->d.act),
           cpu_of(&b->d)->threads, peak / 1e9);
    printf("%-22s %8s %8s %7s %7s\n", "", "ours", "oneDNN", "ratio", "peak");
    for (int i = 0; i < b->rows; i++) {
        const struct row *r = &b->row[i];

        if (r->kind == OP_KINDS)
            printf("%-22s %8s %8.0f\n", r->name, "",
                   r->flops / r->theirs / 1e9);
        else
            printf("%-22s %8.0f %8.0f %7.2f %7.2f\n", r->name,
                   r->flops / r->ours / 1e9, r->flops / r->theirs / 1e9,
                   r->theirs / r->ours, r->flops / r->ours / peak);
    }
}

static int bench(enum dtype type, int threads, int rounds, const char *only)
{
    static struct bench b;
    struct err e = ERR_INIT;

    memset(&b, 0, sizeof b);
    if (cpu_open(&b.d, type, threads, &e)) {
        printf("%s: %s\n", dtype_name(type), e.message);
        return e.code == E_UNSUPPORTED ? 0 : 3;
    }
    b.type = type == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
    die(dnnl_engine_create(&b.engine, dnnl_cpu, 0));
    die(dnnl_stream_create(&b.stream, b.engine, dnnl_stream_default_flags));
    b.a = numbers((size_t)64 << 20, type);
    b.b = numbers((size_t)64 << 20, type);
    b.c = numbers((size_t)64 << 20, type);
    b.e = numbers((size_t)64 << 20, DTYPE_F32);
    for (int64_t n = 1024; n <= 2048; n *= 2)
        product_alone(&b,
                      row_new(&b, OP_KINDS, "square",
                              n == 1024 ? "1024" : "2048",
                              2.0 * (double)(n * n * n)),
                      'N', 'N', n, n, n);
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (!only || strstr(products[i].name, only))
            add_product(&b, &products[i]);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        if (!only || strstr(images[i].name, only))
            add_image(&b, &images[i]);
    for (int round = 0; round <= rounds; round++)
        for (int i = 0; i < b.rows; i++) {
            run_ours(&b, &b.row[i]);
            run_theirs(&b, &b.row[i]);
        }
    if (device_check(&b.d, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return 3;
    }
    print(&b);
    for (int i = 0; i < b.rows; i++)
        for (int k = 0; k < b.row[i].ways; k++) {
            for (int j = 0; j < 3; j++)
                dnnl_memory_destroy(b.row[i].way[k].arg[j].memory);
            dnnl_primitive_destroy(b.row[i].way[k].p);
        }
    free(b.a);
    free(b.b);
    free(b.c);
    free(b.e);
    dnnl_stream_destroy(b.stream);
    dnnl_engine_destroy(b.engine);
    device_close(&b.d);
    return 0;
}

int main(int argc, char **argv)
{
    int option, rounds = 5, threads = 0, rc = 0;
    const char *type = NULL;

    while ((option = getopt(argc, argv, "r:t:")) != -1) {
        if (option == 'r')
            rounds = (int)strtol(optarg, NULL, 10);
        else if (option == 't')
            threads = (int)strtol(optarg, NULL, 10);
        else
            return 2;
    }
    if (optind < argc &&
        (!strcmp(argv[optind], "f32") || !strcmp(argv[optind], "bf16")))
        type = argv[optind++];
    if (!type || !strcmp(type, "f32"))
        rc = bench(DTYPE_F32, threads, rounds, argv[optind]);
    if (!rc && (!type || !strcmp(type, "bf16")))
        rc = bench(DTYPE_BF16, threads, rounds, argv[optind]);
    return rc;
}
