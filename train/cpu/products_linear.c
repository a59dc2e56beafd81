#include "train/cpu/products_private.h"

/* Scratch for the op and, of a dry run, nothing more: NULL. */
static void *scratch_of(struct device *d, size_t bytes, bool dry)
{
    void *p = cpu_scratch(d, bytes ? bytes : 1);

    return dry ? NULL : p;
}

/* In bf16 oneDNN adds bias and residual while it still has the sums in float;
 * in f32 one pass behind the product does all that is left. */
void products_linear(struct device *d, const struct op_linear *o, bool dry)
{
    const struct cpu_passes *pass = &cpu_of(d)->passes;
    bool fused = cpu_of(d)->act == DTYPE_BF16;
    struct gemm g = {.m = o->m,
                     .n = o->n,
                     .k = o->k,
                     .b_is_nk = !o->w_is_in_out,
                     .bias = fused && o->b,
                     .res = fused && o->res && !o->act};
    bool left = o->act || (!fused && (o->b || o->res));
    void *out = o->act ? o->pre : o->y, *scratch;

    if (!gemm_prepare(d, &g))
        return;
    scratch = scratch_of(d, g.scratch, dry);
    if (!scratch || !gemm_begin(d, &g, o->w, scratch))
        return;
    for (int64_t i = 0; i < g.tiles.n; i++) {
        int64_t row = i * g.tiles.rows, rows = tile_rows(&g.tiles, i);
        void *pre = row_at(d, out, row, o->n);
        const void *res = o->res ? row_at(d, o->res, row, o->n) : NULL;

        if (!gemm_tile(d, &g, i, row_at(d, o->x, row, o->k), o->w,
                       (const float *)o->b, res, pre, scratch))
            return;
        if (left)
            pass->bias_act(d, o->act, rows, o->n,
                           fused ? NULL : (const float *)o->b, pre, res,
                           row_at(d, o->y, row, o->n));
    }
}

void products_linear_dx(struct device *d, const struct op_linear_dx *o,
                        bool dry)
{
    struct gemm g = {.m = o->m,
                     .n = o->k,
                     .k = o->n,
                     .b_is_nk = o->w_is_in_out,
                     .add = o->add};
    void *scratch;

    if (!gemm_prepare(d, &g))
        return;
    scratch = scratch_of(d, g.scratch, dry);
    if (!scratch || !gemm_begin(d, &g, o->w, scratch))
        return;
    for (int64_t i = 0; i < g.tiles.n; i++) {
        int64_t row = i * g.tiles.rows, rows = tile_rows(&g.tiles, i);
        void *dx = row_at(d, o->dx, row, o->k);

        if (!gemm_tile(d, &g, i, row_at(d, o->dy, row, o->n), o->w, NULL, NULL,
                       dx, scratch))
            return;
        if (o->act)
            cpu_of(d)->passes.act_bwd(d, o->act, rows * o->k,
                                      row_at(d, o->pre, row, o->k), dx);
    }
}

void products_linear_dw(struct device *d, const struct op_linear_dw *o,
                        bool dry)
{
    bool io = o->w_is_in_out;
    struct wgrad g = {.m = o->m, .p = io ? o->k : o->n, .q = io ? o->n : o->k};
    void *scratch;

    if (!wgrad_prepare(d, &g))
        return;
    scratch = scratch_of(d, g.scratch, dry);
    if (!scratch)
        return;
    if (!wgrad_run(d, &g, io ? o->x : o->dy, io ? o->dy : o->x, (float *)o->dw,
                   scratch))
        return;
    if (o->db)
        cpu_of(d)->passes.colsum(d, o->m, o->n, o->dy, (float *)o->db);
}
