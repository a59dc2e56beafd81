#include "train/cpu/products_private.h"

/* Rows of a tile.  Of 512 rows a bf16 product is a tenth slower than of 1,024,
 * of 256 by a third; more than 1,024 gain nothing. */
#define TILE_ROWS 1024

/* Rows that a gradient of weights adds up in one piece: every piece reads and
 * writes the whole gradient. */
#define WGRAD_ROWS 4096

/* A gradient of so many numbers is large: a matmul of a^T, which is the fastest
 * way to a small one (by a third over dnnl_sgemm), loses there to dnnl_sgemm in
 * f32 and to an inner product's backward (by a quarter) in bf16, although that
 * cannot add and writes the gradient once more. */
#define WGRAD_LARGE (3 << 19)

/* From so many rows on packing the weights is won back. */
#define PACK_ROWS 512

enum { FLAG_NK = 1, FLAG_BIAS = 2, FLAG_RES = 4, FLAG_ADD = 8, FLAG_PACK = 16 };

struct tiles tiles_of(int64_t m, int64_t rows)
{
    struct tiles t = {.n = m / rows, .rows = rows, .last = m};

    if (t.n > 1)
        t.last = m - (t.n - 1) * rows;
    else
        t.n = 1;
    return t;
}

static int64_t flags_of(const struct gemm *g, bool pack)
{
    return (g->b_is_nk ? FLAG_NK : 0) | (g->bias ? FLAG_BIAS : 0) |
           (g->res ? FLAG_RES : 0) | (g->add ? FLAG_ADD : 0) |
           (pack ? FLAG_PACK : 0);
}

/* ---- c = a b ---- */

/* What gemm_make() is told: the product, rows of this tile, and the packed
 * weights to take, if another tile has chosen already. */
struct gemm_shape {
    const struct gemm *g;
    int64_t rows;
    bool pack;
    const dnnl_memory_desc_t *packed;
};

static dnnl_status_t gemm_post(const struct gemm *g,
                               const dnnl_memory_desc_t *res,
                               dnnl_post_ops_t *post)
{
    dnnl_status_t st = dnnl_post_ops_create(post);

    if (!st && g->add)
        st = dnnl_post_ops_append_sum(*post, 1);
    if (!st && g->res)
        st = dnnl_post_ops_append_binary(*post, dnnl_binary_add, res);
    return st;
}

static dnnl_status_t gemm_args(struct products *s, struct prim *p,
                               const struct gemm *g,
                               const dnnl_memory_desc_t *a,
                               const dnnl_memory_desc_t *c,
                               const dnnl_memory_desc_t *bias)
{
    dnnl_status_t st = prim_arg(s, p, DNNL_ARG_SRC, a);

    if (!st)
        st = prim_arg(s, p, DNNL_ARG_WEIGHTS, &p->packed);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_DST, c);
    if (!st && g->bias)
        st = prim_arg(s, p, DNNL_ARG_BIAS, bias);
    if (!st && g->res)
        st = prim_arg(s, p, DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                      c);
    return st;
}

static dnnl_status_t gemm_make(struct products *s, const void *shape,
                               struct prim *p)
{
    const struct gemm_shape *t = (const struct gemm_shape *)shape;
    const struct gemm *g = t->g;
    dnnl_memory_desc_t a = matrix_desc(t->rows, g->k, false, s->act);
    dnnl_memory_desc_t b = matrix_desc(g->k, g->n, g->b_is_nk, s->act);
    dnnl_memory_desc_t c = matrix_desc(t->rows, g->n, false, s->act);
    dnnl_memory_desc_t bias = matrix_desc(1, g->n, false, dnnl_f32), wish = b;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_matmul_desc_t desc;
    dnnl_status_t st = gemm_post(g, &c, &post);

    if (t->packed)
        wish = *t->packed;
    else if (t->pack)
        st = dnnl_memory_desc_init_by_tag(&wish, 2, b.dims, s->act,
                                          dnnl_format_tag_any);
    if (!st)
        st =
            dnnl_matmul_desc_init(&desc, &a, &wish, g->bias ? &bias : NULL, &c);
    if (!st)
        st = prim_create(s, p, &desc, post, NULL, &pd);
    if (!st)
        st = prim_pack(
            s, p, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0),
            &b, false);
    dnnl_primitive_desc_destroy(pd);
    dnnl_post_ops_destroy(post);
    return st ? st : gemm_args(s, p, g, &a, &c, &bias);
}

static struct prim *gemm_get(struct device *d, const struct gemm *g,
                             int64_t rows, const dnnl_memory_desc_t *packed)
{
    bool pack = g->m >= PACK_ROWS;
    struct gemm_shape shape = {g, rows, pack, packed};
    struct prim_key key = {.kind = PRIM_GEMM,
                           .flags = flags_of(g, pack),
                           .dim = {rows, g->n, g->k}};

    return prim_get(d, &key, &shape, gemm_make);
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What packed weights look like is the whole tile's choice, even where no tile
 * is whole: a primitive is found again by its rows, and has one order. */
bool gemm_prepare(struct device *d, struct gemm *g)
{
    g->tiles = tiles_of(g->m, TILE_ROWS);
    g->tile = g->last = NULL;
    g->scratch = 0;
    if (cpu_of(d)->act == DTYPE_F32)
        return true;
    if (g->m >= PACK_ROWS) {
        g->tile = gemm_get(d, g, TILE_ROWS, NULL);
        g->last =
            g->tile ? gemm_get(d, g, g->tiles.last, &g->tile->packed) : NULL;
    } else {
        g->tile = g->last = gemm_get(d, g, g->m, NULL);
    }
    if (!g->last)
        return false;
    g->scratch = most(g->tile->scratchpad, g->last->scratchpad);
    if (g->tile->pack)
        g->scratch = most(g->scratch, g->tile->pack->scratchpad);
    g->scratch = round_up(g->scratch) + round_up(g->tile->packed_bytes);
    return true;
}

/* The packed weights are the scratch's begin, the scratchpad its end. */
static void *scratchpad_of(const struct gemm *g, void *scratch)
{
    return (char *)scratch + round_up(g->tile->packed_bytes);
}

bool gemm_begin(struct device *d, const struct gemm *g, const void *b,
                void *scratch)
{
    const void *arrays[] = {b, scratch};

    if (!g->tile || !g->tile->pack)
        return true;
    return prim_run(d, g->tile->pack, arrays, scratchpad_of(g, scratch));
}

static bool sgemm(struct device *d, char ta, char tb, int64_t m, int64_t n,
                  int64_t k, const void *a, const void *b, bool add, void *c)
{
    dnnl_status_t st = dnnl_sgemm(
        ta, tb, m, n, k, 1, (const float *)a, ta == 'T' ? m : k,
        (const float *)b, tb == 'T' ? k : n, add ? 1 : 0, (float *)c, n);

    if (st)
        device_fail(d, E_NOMEM, "cpu: oneDNN computes no product (status %d)",
                    (int)st);
    return !st;
}

bool gemm_tile(struct device *d, const struct gemm *g, int64_t i, const void *a,
               const void *b, const float *bias, const void *res, void *c,
               void *scratch)
{
    const void *arrays[PRIM_ARGS] = {a, b, c};
    const struct prim *p = i < g->tiles.n - 1 ? g->tile : g->last;
    int n = 3;

    if (!p)
        return sgemm(d, 'N', g->b_is_nk ? 'T' : 'N', tile_rows(&g->tiles, i),
                     g->n, g->k, a, b, g->add, c);
    if (g->tile->pack)
        arrays[1] = scratch;
    if (g->bias)
        arrays[n++] = bias;
    if (g->res)
        arrays[n++] = res;
    return prim_run(d, p, arrays, scratchpad_of(g, scratch));
}

/* ---- c += a^T b ---- */

/* What wgrad_make() is told: the product, and rows of this tile. */
struct wgrad_shape {
    const struct wgrad *g;
    int64_t rows;
};

static dnnl_status_t wgrad_small(struct products *s, const void *shape,
                                 struct prim *p)
{
    const struct wgrad_shape *t = (const struct wgrad_shape *)shape;
    const struct wgrad *g = t->g;
    dnnl_memory_desc_t a = matrix_desc(g->p, t->rows, true, s->act);
    dnnl_memory_desc_t b = matrix_desc(t->rows, g->q, false, s->act);
    dnnl_memory_desc_t c = matrix_desc(g->p, g->q, false, dnnl_f32);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_matmul_desc_t desc;
    dnnl_status_t st = dnnl_post_ops_create(&post);

    if (!st)
        st = dnnl_post_ops_append_sum(post, 1);
    if (!st)
        st = dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c);
    if (!st)
        st = prim_create(s, p, &desc, post, NULL, &pd);
    dnnl_primitive_desc_destroy(pd);
    dnnl_post_ops_destroy(post);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_SRC, &a);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_WEIGHTS, &b);
    return st ? st : prim_arg(s, p, DNNL_ARG_DST, &c);
}

static dnnl_status_t wgrad_large(struct products *s, const void *shape,
                                 struct prim *p)
{
    const struct wgrad_shape *t = (const struct wgrad_shape *)shape;
    const struct wgrad *g = t->g;
    dnnl_memory_desc_t a = matrix_desc(t->rows, g->p, false, s->act);
    dnnl_memory_desc_t b = matrix_desc(t->rows, g->q, false, s->act);
    dnnl_memory_desc_t w = matrix_desc(g->p, g->q, false, s->act);
    dnnl_memory_desc_t c = matrix_desc(g->p, g->q, false, dnnl_f32);
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_inner_product_desc_t desc;
    dnnl_status_t st = dnnl_inner_product_forward_desc_init(
        &desc, dnnl_forward_training, &b, &w, NULL, &a);

    if (!st)
        st = dnnl_primitive_desc_create(&hint, &desc, NULL, s->engine, NULL);
    if (!st)
        st = dnnl_inner_product_backward_weights_desc_init(&desc, &b, &c, NULL,
                                                           &a);
    if (!st)
        st = prim_create(s, p, &desc, NULL, hint, &pd);
    if (!st)
        st = prim_pack(s, p, &c, &c, true);
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(hint);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_DIFF_DST, &a);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_SRC, &b);
    return st ? st : prim_arg(s, p, DNNL_ARG_DIFF_WEIGHTS, &c);
}

static bool is_large(const struct wgrad *g)
{
    return g->p * g->q >= WGRAD_LARGE;
}

static struct prim *wgrad_get(struct device *d, const struct wgrad *g,
                              int64_t rows)
{
    struct wgrad_shape shape = {g, rows};
    struct prim_key key = {.kind = PRIM_WGRAD, .dim = {rows, g->p, g->q}};

    return prim_get(d, &key, &shape, is_large(g) ? wgrad_large : wgrad_small);
}

/* Where it cannot add: the gradient first, then the scratchpad. */
static size_t wgrad_scratch(const struct prim *p)
{
    return round_up(p->packed_bytes) +
           round_up(most(p->scratchpad, p->pack ? p->pack->scratchpad : 0));
}

bool wgrad_prepare(struct device *d, struct wgrad *g)
{
    g->tiles = tiles_of(g->m, WGRAD_ROWS);
    g->tile = g->last = NULL;
    g->scratch = 0;
    if (cpu_of(d)->act == DTYPE_F32 && is_large(g))
        return true;
    g->last = wgrad_get(d, g, g->tiles.last);
    g->tile = g->tiles.n > 1 ? wgrad_get(d, g, g->tiles.rows) : g->last;
    if (!g->last || !g->tile)
        return false;
    g->scratch = most(wgrad_scratch(g->tile), wgrad_scratch(g->last));
    return true;
}

bool wgrad_run(struct device *d, const struct wgrad *g, const void *a,
               const void *b, float *c, void *scratch)
{
    if (!g->tile)
        return sgemm(d, 'T', 'N', g->p, g->q, g->m, a, b, true, c);
    for (int64_t i = 0; i < g->tiles.n; i++) {
        int64_t row = i * g->tiles.rows;
        const struct prim *p = i < g->tiles.n - 1 ? g->tile : g->last;
        void *scratchpad = (char *)scratch + round_up(p->packed_bytes);
        const void *run[] = {row_at(d, a, row, g->p), row_at(d, b, row, g->q),
                             p->pack ? scratch : c};
        const void *add[] = {scratch, c};

        if (!prim_run(d, p, run, scratchpad) ||
            (p->pack && !prim_run(d, p->pack, add, scratchpad)))
            return false;
    }
    return true;
}
