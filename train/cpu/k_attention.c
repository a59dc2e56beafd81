/*
 * Attention forward.  Softmax is taken online (Milakov & Gimelshein 2018) over
 * tiles of keys, so that no more of the scores than a tile is ever there (Dao
 * et al. 2022): with m the largest score so far and l the sum of exp(s - m),
 * both and the weighted sum of values are scaled by exp(m - m') when a tile
 * brings a larger m'.
 */
#include <float.h>
#include <omp.h>
#include "train/cpu/k_attention.h"

/* A thread's tiles. */
struct forward {
    float *keys;   /* across: panels of [dim, GEMM_COLS] */
    float *values; /* [panel, row] */
    float *q;      /* [queries, row], times dim^-1/2 */
    float *out;    /* [queries, row], times l */
    float *scores; /* [queries, ATTEND_KEYS] */
    float *max;    /* [queries]: m */
    float *sum;    /* [queries]: l */
};

static struct forward carve(const struct head *h, float *at)
{
    size_t panel = (size_t)h->panel * (size_t)h->row;
    size_t block = (size_t)ATTEND_QUERIES * (size_t)h->row;
    struct forward f;

    f.keys = at;
    f.values = at + panel;
    f.q = at + 2 * panel;
    f.out = f.q + block;
    f.scores = f.out + block;
    f.max = f.scores + ATTEND_QUERIES * ATTEND_KEYS;
    f.sum = f.max + ATTEND_QUERIES;
    return f;
}

/* Queries q .. q + rows - 1 and the keys k .. k + n - 1, the at-th of the panel
 * and on. */
static void tile(const struct head *h, const struct forward *f, int q, int rows,
                 int k, int n, int at)
{
    struct gemm scores = {
        .m = rows,
        .n = gemm_width(n),
        .k = h->o->dim,
        .a = f->q,
        .a_row = h->row,
        .a_col = 1,
        .b = f->keys + (ptrdiff_t)at * h->o->dim,
        .b_row = GEMM_COLS,
        .b_panel = (ptrdiff_t)h->o->dim * GEMM_COLS,
        .c = f->scores,
        .c_row = ATTEND_KEYS,
    };
    struct gemm out = {
        .m = rows,
        .n = h->width,
        .k = n,
        .a = f->scores,
        .a_row = ATTEND_KEYS,
        .a_col = 1,
        .b = f->values + (ptrdiff_t)at * h->row,
        .b_row = h->row,
        .b_panel = GEMM_COLS,
        .c = f->out,
        .c_row = h->row,
        .add = true,
    };

    CPU(gemm)(&scores);
    for (int i = 0; i < rows; i++) {
        int seen = head_sees(h, q + i + 1) - k;
        float *s = f->scores + (ptrdiff_t)i * ATTEND_KEYS;
        float *o = f->out + (ptrdiff_t)i * h->row;
        float was = f->max[i], sum, shrink;

        seen = seen < 0 ? 0 : seen < n ? seen : n;
        sum = gemm_soften(s, seen, 1, &f->max[i]);
        shrink = k_exp(was - f->max[i]);
        f->sum[i] = f->sum[i] * shrink + sum;
        for (int j = (seen + VW - 1) & -VW; j < n; j++)
            s[j] = 0;
        if (shrink == 1 || k == 0)
            continue;
        for (int j = 0; j < h->width; j += VW)
            vf_store(o + j, vf_load(o + j) * shrink);
    }
    CPU(gemm)(&out);
}

static void finish(const struct head *h, const struct forward *f, int q,
                   int rows)
{
    int64_t ld = head_ld(h);
    float *lse = h->o->lse;

    for (int i = 0; i < rows; i++) {
        int64_t r = h->q_at + q + i;

        head_store(h, f->out + (ptrdiff_t)i * h->row,
                   f->sum[i] == 0 ? 0 : 1 / f->sum[i],
                   (act_t *)h->o->out + r * ld + h->column);
        lse[r * h->o->heads + h->column / h->o->dim] =
            f->max[i] + logf(f->sum[i]);
    }
}

static void forward(const struct head *h, const struct forward *f)
{
    const struct op_attention *o = h->o;
    int blocks = head_blocks(h), held = -1;

    for (int b = 0; b < blocks; b++) {
        int q = head_block(h, b), rows = head_block(h, b + 1) - q;
        int end = head_sees(h, q + rows);

        head_rows(h, rows, head_q(h, o->q, o->ldq, q), o->ldq, h->scale, f->q);
        memset(f->out, 0, sizeof *f->out * (size_t)rows * (size_t)h->row);
        for (int i = 0; i < rows; i++) {
            f->max[i] = -FLT_MAX;
            f->sum[i] = 0;
        }
        for (int p = 0; p < end; p += h->panel) {
            int n = h->nk - p < h->panel ? h->nk - p : h->panel;

            if (held != p) {
                head_across(h, n, head_k(h, o->k, o->ldk, p), o->ldk, f->keys);
                head_rows(h, n, head_k(h, o->v, o->ldv, p), o->ldv, 1,
                          f->values);
                held = p;
            }
            for (int at = 0; at < n && p + at < end; at += ATTEND_KEYS) {
                int left = (p + n < end ? p + n : end) - p - at;

                tile(h, f, q, rows, p + at,
                     left < ATTEND_KEYS ? left : ATTEND_KEYS, at);
            }
        }
        finish(h, f, q, rows);
    }
}

/* One query: every key and value is read once, where it stands. */
static void forward_one(const struct head *h, const struct forward *f)
{
    const struct op_attention *o = h->o;
    int n = head_sees(h, 1), dim = o->dim;
    float *s = f->scores, *q = f->q, *out = f->out;

    head_rows(h, 1, head_q(h, o->q, o->ldq, 0), 0, h->scale, q);
    for (int k = 0; k < n; k++) {
        const act_t *key = head_k(h, o->k, o->ldk, k);
        float dot = 0;

#pragma omp simd reduction(+ : dot)
        for (int j = 0; j < dim; j++)
            dot += q[j] * k_get(key[j]);
        s[k] = dot;
    }
    f->max[0] = -FLT_MAX;
    f->sum[0] = gemm_soften(s, n, 1, f->max);
    memset(out, 0, (size_t)h->row * sizeof *out);
    for (int k = 0; k < n; k++) {
        const act_t *value = head_k(h, o->v, o->ldv, k);
        float p = s[k];

        K_SIMD
        for (int j = 0; j < dim; j++)
            out[j] += p * k_get(value[j]);
    }
    finish(h, f, 0, 1);
}

void CPU(attention)(struct device *d, const struct op_attention *o)
{
    int threads = cpu_of(d)->threads, tasks = o->seqs * o->heads;
    int team = head_threads(d, o), chunk = head_chunk(o, team);
    size_t floats = attend_floats(o, 2);
    float *scratch = cpu_scratch(d, attend_bytes(o, threads));

    if (!scratch)
        return;
#pragma omp parallel for schedule(static, chunk) num_threads(team)
    for (int t = 0; t < tasks; t++) {
        struct head h = head_of(o, t);
        struct forward f =
            carve(&h, scratch + floats * (size_t)omp_get_thread_num());

        if (h.nq == 1 && h.nk <= ATTEND_ONE_MAX)
            forward_one(&h, &f);
        else
            forward(&h, &f);
    }
}
