/*
 * Attention backward (Dao et al. 2022, section 3 of the appendix).  With
 * p = exp(s - lse) made again and delta_i = dout[i] . out[i],
 *   dv[j] = sum_i p_ij dout[i],    ds_ij = p_ij (dout[i] . v[j] - delta_i),
 *   dq[i] = dim^-1/2 sum_j ds_ij k[j],   dk[j] = dim^-1/2 sum_i ds_ij q[i].
 * One sweep gives all three where a sequence's keys fit a panel.  Longer ones
 * take two, which make the scores twice but hold no more: panel by panel for dk
 * and dv, then block by block of queries for dq.
 */
#include <omp.h>
#include "train/cpu/k_attention.h"

enum { WANT_DQ = 1, WANT_DKV = 2 };

/* A thread's tiles. */
struct backward {
    const struct op_attention_bwd *b;
    int want;
    float *keys;    /* [panel, row] */
    float *across;  /* of keys: panels of [dim, GEMM_COLS] */
    float *values;  /* across, too */
    float *dk, *dv; /* [panel, row] */
    float *q;       /* [queries, row], times dim^-1/2 */
    float *dout;    /* [queries, row] */
    float *dq;      /* [queries, row] */
    float *p, *ds;  /* [queries, ATTEND_KEYS] */
    float *delta;   /* [queries] */
    float *lse;     /* [queries] */
};

static struct backward carve(const struct head *h,
                             const struct op_attention_bwd *b, float *at)
{
    size_t panel = (size_t)h->panel * (size_t)h->row;
    size_t block = (size_t)ATTEND_QUERIES * (size_t)h->row;
    size_t scores = (size_t)ATTEND_QUERIES * ATTEND_KEYS;
    struct backward w = {.b = b};

    w.keys = at;
    w.across = at + panel;
    w.values = at + 2 * panel;
    w.dk = at + 3 * panel;
    w.dv = at + 4 * panel;
    w.q = at + 5 * panel;
    w.dout = w.q + block;
    w.dq = w.dout + block;
    w.p = w.dq + block;
    w.ds = w.p + scores;
    w.delta = w.ds + scores;
    w.lse = w.delta + ATTEND_QUERIES;
    return w;
}

/* ---- what goes into the tiles, and out ---- */

static void load_panel(const struct head *h, const struct backward *w, int p,
                       int n)
{
    const struct op_attention *o = h->o;
    const act_t *k = head_k(h, o->k, o->ldk, p);

    head_across(h, n, k, o->ldk, w->across);
    head_across(h, n, head_k(h, o->v, o->ldv, p), o->ldv, w->values);
    if (w->want & WANT_DQ)
        head_rows(h, n, k, o->ldk, 1, w->keys);
}

static void load_block(const struct head *h, const struct backward *w, int q,
                       int rows)
{
    const struct op_attention *o = h->o;
    const float *lse = o->lse;
    int64_t ld = head_ld(h);
    const act_t *out = head_q(h, o->out, ld, q);
    const act_t *dout = head_q(h, w->b->dout, ld, q);
    int dim = o->dim;

    head_rows(h, rows, head_q(h, o->q, o->ldq, q), o->ldq, h->scale, w->q);
    head_rows(h, rows, dout, ld, 1, w->dout);
    for (int i = 0; i < rows; i++) {
        float dot = 0;

#pragma omp simd reduction(+ : dot)
        for (int j = 0; j < dim; j++)
            dot += k_get(out[i * ld + j]) * k_get(dout[i * ld + j]);
        w->delta[i] = dot;
        w->lse[i] = lse[(h->q_at + q + i) * o->heads + h->column / dim];
    }
    if (w->want & WANT_DQ)
        memset(w->dq, 0, sizeof *w->dq * (size_t)rows * (size_t)h->row);
}

static void store_dq(const struct head *h, const struct backward *w, int q,
                     int rows)
{
    int64_t ld = h->o->ldq;
    act_t *to = (act_t *)w->b->dq + (h->q_at + q) * ld + h->column;

    for (int i = 0; i < rows; i++)
        head_store(h, w->dq + (ptrdiff_t)i * h->row, h->scale, to + i * ld);
}

static void store_dkv(const struct head *h, const struct backward *w, int p,
                      int n)
{
    int64_t ldk = h->o->ldk, ldv = h->o->ldv;
    act_t *dk = (act_t *)w->b->dk + (h->k_at + p) * ldk + h->column;
    act_t *dv = (act_t *)w->b->dv + (h->k_at + p) * ldv + h->column;

    for (int i = 0; i < n; i++) {
        head_store(h, w->dk + (ptrdiff_t)i * h->row, 1, dk + i * ldk);
        head_store(h, w->dv + (ptrdiff_t)i * h->row, 1, dv + i * ldv);
    }
}

/* ---- a tile ---- */

/* s becomes p, dp becomes ds; both 0 from `seen` to n. */
static void unsoften(float *s, float *dp, int seen, int n, float lse,
                     float delta)
{
    int whole = (seen + VW - 1) & -VW;

    K_SIMD
    for (int j = 0; j < whole; j++) {
        float p = k_exp(s[j] - lse);

        s[j] = p;
        dp[j] = p * (dp[j] - delta);
    }
    for (int j = seen; j < n; j++)
        s[j] = dp[j] = 0;
}

/* Rows of x against columns of a panel: scores, and dout . v. */
static void against(const struct head *h, const float *x, int rows,
                    const float *across, int n, int at, float *to)
{
    struct gemm g = {
        .m = rows,
        .n = gemm_width(n),
        .k = h->o->dim,
        .a = x,
        .a_row = h->row,
        .a_col = 1,
        .b = across + (ptrdiff_t)at * h->o->dim,
        .b_row = GEMM_COLS,
        .b_panel = (ptrdiff_t)h->o->dim * GEMM_COLS,
        .c = to,
        .c_row = ATTEND_KEYS,
    };

    CPU(gemm)(&g);
}

/* to += x y, or x^T y, for a tile x of rows queries and n keys. */
static void gather_up(const struct head *h, const float *x, bool turned,
                      int rows, int n, const float *y, float *to)
{
    struct gemm g = {
        .m = turned ? n : rows,
        .n = h->width,
        .k = turned ? rows : n,
        .a = x,
        .a_row = turned ? 1 : ATTEND_KEYS,
        .a_col = turned ? ATTEND_KEYS : 1,
        .b = y,
        .b_row = h->row,
        .b_panel = GEMM_COLS,
        .c = to,
        .c_row = h->row,
        .add = true,
    };

    CPU(gemm)(&g);
}

/* Queries q .. q + rows - 1 and the keys k .. k + n - 1, the at-th of the panel
 * and on. */
static void tile(const struct head *h, const struct backward *w, int q,
                 int rows, int k, int n, int at)
{
    ptrdiff_t row = (ptrdiff_t)at * h->row;

    against(h, w->q, rows, w->across, n, at, w->p);
    against(h, w->dout, rows, w->values, n, at, w->ds);
    for (int i = 0; i < rows; i++) {
        int seen = head_sees(h, q + i + 1) - k;
        ptrdiff_t s = (ptrdiff_t)i * ATTEND_KEYS;

        seen = seen < 0 ? 0 : seen < n ? seen : n;
        unsoften(w->p + s, w->ds + s, seen, n, w->lse[i], w->delta[i]);
    }
    if (w->want & WANT_DQ)
        gather_up(h, w->ds, false, rows, n, w->keys + row, w->dq);
    if (w->want & WANT_DKV) {
        gather_up(h, w->ds, true, rows, n, w->q, w->dk + row);
        gather_up(h, w->p, true, rows, n, w->dout, w->dv + row);
    }
}

/* A block of queries against a panel's keys. */
static void block(const struct head *h, const struct backward *w, int q,
                  int rows, int p, int n)
{
    int end = head_sees(h, q + rows);

    end = end < p + n ? end : p + n;
    for (int k = p; k < end; k += ATTEND_KEYS)
        tile(h, w, q, rows, k, end - k < ATTEND_KEYS ? end - k : ATTEND_KEYS,
             k - p);
}

/* ---- sweeps ---- */

static int panel_keys(const struct head *h, int p)
{
    return h->nk - p < h->panel ? h->nk - p : h->panel;
}

static void by_panels(const struct head *h, struct backward *w, int want)
{
    int blocks = head_blocks(h);

    w->want = want;
    for (int p = 0; p < h->nk; p += h->panel) {
        int n = panel_keys(h, p);
        size_t bytes = sizeof *w->dk * (size_t)n * (size_t)h->row;

        load_panel(h, w, p, n);
        memset(w->dk, 0, bytes);
        memset(w->dv, 0, bytes);
        for (int b = 0; b < blocks; b++) {
            int q = head_block(h, b), rows = head_block(h, b + 1) - q;

            if (head_sees(h, q + rows) <= p)
                continue;
            load_block(h, w, q, rows);
            block(h, w, q, rows, p, n);
            if (want & WANT_DQ)
                store_dq(h, w, q, rows);
        }
        store_dkv(h, w, p, n);
    }
}

static void by_queries(const struct head *h, struct backward *w)
{
    int blocks = head_blocks(h);

    w->want = WANT_DQ;
    for (int b = 0; b < blocks; b++) {
        int q = head_block(h, b), rows = head_block(h, b + 1) - q;
        int end = head_sees(h, q + rows);

        load_block(h, w, q, rows);
        for (int p = 0; p < end; p += h->panel) {
            load_panel(h, w, p, panel_keys(h, p));
            block(h, w, q, rows, p, panel_keys(h, p));
        }
        store_dq(h, w, q, rows);
    }
}

/* One query: every key and value is read once, where it stands, and its
 * gradient is a multiple of a row. */
static void one(const struct head *h, struct backward *w)
{
    const struct op_attention *o = h->o;
    int n = head_sees(h, 1), dim = o->dim;
    float *q = w->q, *dout = w->dout, *dq = w->dq;

    w->want = WANT_DQ;
    load_block(h, w, 0, 1);
    for (int k = 0; k < n; k++) {
        const act_t *key = head_k(h, o->k, o->ldk, k);
        const act_t *value = head_k(h, o->v, o->ldv, k);
        float s = 0, dp = 0;

#pragma omp simd reduction(+ : s, dp)
        for (int j = 0; j < dim; j++) {
            s += q[j] * k_get(key[j]);
            dp += dout[j] * k_get(value[j]);
        }
        w->p[k] = s;
        w->ds[k] = dp;
    }
    unsoften(w->p, w->ds, n, h->nk, w->lse[0], w->delta[0]);
    for (int k = 0; k < h->nk; k++) {
        const act_t *key = head_k(h, o->k, o->ldk, k);
        int64_t row = h->k_at + k;
        act_t *dk = (act_t *)w->b->dk + row * o->ldk + h->column;
        act_t *dv = (act_t *)w->b->dv + row * o->ldv + h->column;
        float p = w->p[k], ds = w->ds[k];

        K_SIMD
        for (int j = 0; j < dim; j++) {
            dq[j] += ds * k_get(key[j]);
            dk[j] = k_put(ds * q[j]);
            dv[j] = k_put(p * dout[j]);
        }
    }
    store_dq(h, w, 0, 1);
}

void CPU(attention_bwd)(struct device *d, const struct op_attention_bwd *b)
{
    const struct op_attention *o = b->forward;
    int threads = cpu_of(d)->threads, tasks = o->seqs * o->heads;
    int team = head_threads(d, o), chunk = head_chunk(o, team);
    size_t floats = attend_floats(o, 5);
    float *scratch = cpu_scratch(d, attend_bwd_bytes(b, threads));

    if (!scratch)
        return;
#pragma omp parallel for schedule(static, chunk) num_threads(team)
    for (int t = 0; t < tasks; t++) {
        struct head h = head_of(o, t);
        struct backward w =
            carve(&h, b, scratch + floats * (size_t)omp_get_thread_num());

        if (h.nq == 1 && h.nk <= ATTEND_ONE_MAX) {
            one(&h, &w);
        } else if (h.nk <= h.panel) {
            by_panels(&h, &w, WANT_DQ | WANT_DKV);
        } else {
            by_panels(&h, &w, WANT_DKV);
            by_queries(&h, &w);
        }
    }
}
