/*
 * Linear layers as products.
 *
 * Fusion, in bytes of a number of the output (bfloat16, 2 bytes):
 *
 *   y = x w^T + b       the product's epilogue adds b: written once, 2
 *   ... + res           as the product's C (beta 1): 4, one read more
 *   act(... + b)        the product with b writes pre (2), a pass reads it and
 *                       writes y (4): 6.  Adding b in the pass instead would
 *                       have it write pre again: 8.  cuBLASLt's own GELU is the
 *                       tanh form, and it has no QuickGELU.
 *   dx = (dy w) act'()  the product writes (2), a pass reads both, writes (6)
 *   db                  columns of dy summed: nothing where the product for dw
 *                       sums what it reads anyway with the kernel it had had
 *                       without (product_sums_free), else a pass that reads
 *                       dy (2).  Another kernel for the sum's sake may be
 *                       slower than the pass: of k = 768 inputs the pass takes
 *                       a fourth of the product's time.
 *
 * cuBLASLt wants a bias of the output's type, so that in bfloat16 b is rounded
 * once more, to 2^-9 of itself: within the rounding of y.  One that does not
 * begin on 16 bytes is copied, too: others met faults of its kernels there,
 * although the alignment was told.
 *
 * Cost.  ViT-B/32, 50 x 4,096 rows, bfloat16: 0.97 TFLOP each for c_fc (4.1 GB,
 * its GELU among them), c_proj's dx (5.3 GB with act') and c_fc's dw (1.6 GB,
 * and 1.3 where db is a pass).
 */
#include "train/cuda/products.h"

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Row `row` of an act array, `width` numbers wide; NULL stays NULL. */
static void *at_row(const struct device *d, const void *p, int64_t row,
                    int64_t width)
{
    if (!p)
        return NULL;
    return (char *)(uintptr_t)p + (size_t)(row * width) * dtype_size(d->act);
}

/* A weight stands as [n, k], or [k, n]. */
static int64_t weight_ld(int64_t n, int64_t k, bool w_is_in_out)
{
    return w_is_in_out ? n : k;
}

void cuda_linear(struct device *d, const struct op_linear *o)
{
    bool copy = o->b && (d->act != d->real || (uintptr_t)o->b % 16);
    const char *s = cuda_scratch(
        d, LT_WORKSPACE + (copy ? (size_t)o->n * dtype_size(d->act) : 0));
    int64_t most = product_rows(d, larger(o->n, o->k));
    void *to = o->act ? o->pre : o->y;
    const void *res = o->act ? NULL : o->res;
    struct product p = {
        .n = o->n,
        .k = o->k,
        .b = o->w,
        .lda = o->k,
        .ldb = weight_ld(o->n, o->k, o->w_is_in_out),
        .b_turned = !o->w_is_in_out,
        .bias = copy ? product_scratch(s, LT_WORKSPACE) : o->b,
        .ldd = o->n,
        .workspace = product_scratch(s, 0),
    };

    if (copy)
        cuda_bias(d, o->n, o->b, (void *)(uintptr_t)p.bias);
    for (int64_t row = 0; row < o->m; row += most) {
        p.m = smaller(most, o->m - row);
        p.a = at_row(d, o->x, row, o->k);
        p.c = at_row(d, res, row, o->n);
        p.d = at_row(d, to, row, o->n);
        product(d, &p);
    }
    if (o->act)
        cuda_act(d, o->act, o->m * o->n, o->pre, o->res, o->y);
}

void cuda_linear_dx(struct device *d, const struct op_linear_dx *o)
{
    const char *s = cuda_scratch(d, LT_WORKSPACE);
    int64_t most = product_rows(d, larger(o->n, o->k));
    struct product p = {
        .n = o->k,
        .k = o->n,
        .b = o->w,
        .lda = o->n,
        .ldb = weight_ld(o->n, o->k, o->w_is_in_out),
        .b_turned = o->w_is_in_out,
        .ldd = o->k,
        .workspace = product_scratch(s, 0),
    };

    for (int64_t row = 0; row < o->m; row += most) {
        p.m = smaller(most, o->m - row);
        p.a = at_row(d, o->dy, row, o->n);
        p.d = at_row(d, o->dx, row, o->k);
        p.c = o->add ? p.d : NULL;
        product(d, &p);
    }
    if (o->act)
        cuda_act_bwd(d, o->act, o->m * o->k, o->pre, o->dx);
}

/* dw += dy^T x: a is dy, b is x; with w_is_in_out the other way round. */
void cuda_linear_dw(struct device *d, const struct op_linear_dw *o)
{
    bool io = o->w_is_in_out;
    int64_t most = product_rows(d, larger(o->n, o->k));
    const char *s =
        cuda_scratch(d, LT_WORKSPACE + (o->db ? SUMS_BYTES(o->n) : 0));
    float *sums = o->db ? product_scratch(s, LT_WORKSPACE) : NULL;
    struct product p = {
        .m = io ? o->k : o->n,
        .n = io ? o->n : o->k,
        .lda = io ? o->k : o->n,
        .ldb = io ? o->n : o->k,
        .a_turned = true,
        .real = true,
        .c = o->dw,
        .d = o->dw,
        .ldd = io ? o->n : o->k,
        .workspace = product_scratch(s, 0),
    };

    for (int64_t row = 0; row < o->m; row += most) {
        void *x = at_row(d, o->x, row, o->k);
        void *dy = at_row(d, o->dy, row, o->n);

        p.k = smaller(most, o->m - row);
        p.a = io ? x : dy;
        p.b = io ? dy : x;
        p.of = !o->db ? SUMS_NONE : io ? SUMS_B : SUMS_A;
        p.sums = sums;
        if (o->db && !product_sums_free(d, &p)) {
            p.of = SUMS_NONE;
            cuda_column_sums(d, p.k, o->n, dy, sums, o->db);
        }
        product(d, &p);
        if (p.of)
            cuda_sum_parts(d, 1, o->n, sums, o->db);
    }
}
