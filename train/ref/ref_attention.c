/* Softmax attention: the scores are made again wherever they are needed. */
#include <math.h>
#include <string.h>

#include "train/ref/real.h"

/* One head of one sequence: rows from its first query and key. */
struct head {
    const real *q, *k, *v; /* this head's columns of the first row */
    int64_t ldq, ldk, ldv, dim;
    int64_t queries, keys; /* rows */
    bool causal;
};

static struct head head_of(const struct op_attention *f, int s, int a)
{
    int64_t q = f->q_begin[s], k = f->k_begin[s], at = (int64_t)a * f->dim;

    return (struct head){
        .q = (const real *)f->q + q * f->ldq + at,
        .k = (const real *)f->k + k * f->ldk + at,
        .v = (const real *)f->v + k * f->ldv + at,
        .ldq = f->ldq,
        .ldk = f->ldk,
        .ldv = f->ldv,
        .dim = f->dim,
        .queries = f->q_end[s] - q,
        .keys = f->k_end[s] - k,
        .causal = f->causal,
    };
}

/* One behind the last key that query i sees. */
static int64_t sees(const struct head *h, int64_t i)
{
    return h->causal ? least(i + 1, h->keys) : h->keys;
}

/* dim^-1/2 q[i] . k[j] */
static double score(const struct head *h, int64_t i, int64_t j)
{
    return dot(h->dim, h->q + i * h->ldq, h->k + j * h->ldk) /
           sqrt((double)h->dim);
}

/* log sum_j exp score_ij, by the largest score, so that nothing overflows. */
static double lse_of(const struct head *h, int64_t i)
{
    double most = -INFINITY, sum = 0;

    for (int64_t j = 0; j < sees(h, i); j++)
        most = fmax(most, score(h, i, j));
    for (int64_t j = 0; j < sees(h, i); j++)
        sum += exp(score(h, i, j) - most);
    return most + log(sum);
}

/* out[i] = sum_j p_ij v[j] */
static void attend(const struct head *h, int64_t i, double lse, real *out)
{
    double sum[REF_BLOCK];

    for (int64_t from = 0; from < h->dim; from += REF_BLOCK) {
        int64_t cols = least(REF_BLOCK, h->dim - from);

        memset(sum, 0, sizeof sum);
        for (int64_t j = 0; j < sees(h, i); j++)
            add_scaled(cols, exp(score(h, i, j) - lse),
                       h->v + j * h->ldv + from, sum);
        for (int64_t c = 0; c < cols; c++)
            out[from + c] = (real)sum[c];
    }
}

void REF(attention)(struct device *d, const struct op_attention *op)
{
    int64_t width = (int64_t)op->heads * op->dim;
    real *out = op->out, *lses = op->lse;

    (void)d;
    for (int s = 0; s < op->seqs; s++)
        for (int a = 0; a < op->heads; a++) {
            struct head h = head_of(op, s, a);

            for (int64_t i = 0; i < h.queries; i++) {
                int64_t row = op->q_begin[s] + i;
                double lse = lse_of(&h, i);

                lses[row * op->heads + a] = (real)lse;
                attend(&h, i, lse, out + row * width + (int64_t)a * op->dim);
            }
        }
}

/*
 * With p_ij saved by lse and g = dout:
 *   dv_j = sum_i p_ij g_i
 *   ds_ij = p_ij (g_i . v_j - D_i),  D_i = sum_j p_ij g_i . v_j = g_i . out_i
 *   dq_i = dim^-1/2 sum_j ds_ij k_j,  dk_j = dim^-1/2 sum_i ds_ij q_i
 */
struct head_bwd {
    struct head h;
    const real *out, *dout; /* this head's columns of the first query row */
    const real *lse;        /* this head's of the first query row */
    int64_t width, heads;   /* numbers from a row to the next: of out; lse */
};

static double p_of(const struct head_bwd *b, int64_t i, int64_t j)
{
    return exp(score(&b->h, i, j) - (double)b->lse[i * b->heads]);
}

static double ds_of(const struct head_bwd *b, int64_t i, int64_t j)
{
    const real *g = b->dout + i * b->width;

    return p_of(b, i, j) * (dot(b->h.dim, g, b->h.v + j * b->h.ldv) -
                            dot(b->h.dim, g, b->out + i * b->width));
}

/* The columns from.. of dq_i. */
static void dq_block(const struct head_bwd *b, int64_t i, int64_t from,
                     int64_t cols, real *dq)
{
    double sum[REF_BLOCK] = {0};

    for (int64_t j = 0; j < sees(&b->h, i); j++)
        add_scaled(cols, ds_of(b, i, j), b->h.k + j * b->h.ldk + from, sum);
    for (int64_t c = 0; c < cols; c++)
        dq[from + c] = (real)(sum[c] / sqrt((double)b->h.dim));
}

/* The columns from.. of dk_j and dv_j. */
static void dkv_block(const struct head_bwd *b, int64_t j, int64_t from,
                      int64_t cols, real *dk, real *dv)
{
    double k[REF_BLOCK] = {0}, v[REF_BLOCK] = {0};

    for (int64_t i = 0; i < b->h.queries; i++) {
        if (j >= sees(&b->h, i))
            continue;
        add_scaled(cols, ds_of(b, i, j), b->h.q + i * b->h.ldq + from, k);
        add_scaled(cols, p_of(b, i, j), b->dout + i * b->width + from, v);
    }
    for (int64_t c = 0; c < cols; c++) {
        dk[from + c] = (real)(k[c] / sqrt((double)b->h.dim));
        dv[from + c] = (real)v[c];
    }
}

void REF(attention_bwd)(struct device *d, const struct op_attention_bwd *op)
{
    const struct op_attention *f = op->forward;
    int64_t width = (int64_t)f->heads * f->dim;

    (void)d;
    for (int s = 0; s < f->seqs; s++)
        for (int a = 0; a < f->heads; a++) {
            int64_t q = f->q_begin[s], k = f->k_begin[s];
            int64_t at = (int64_t)a * f->dim;
            struct head_bwd b = {
                .h = head_of(f, s, a),
                .out = (const real *)f->out + q * width + at,
                .dout = (const real *)op->dout + q * width + at,
                .lse = (const real *)f->lse + q * f->heads + a,
                .width = width,
                .heads = f->heads,
            };
            real *dq = (real *)op->dq + q * f->ldq + at;
            real *dk = (real *)op->dk + k * f->ldk + at;
            real *dv = (real *)op->dv + k * f->ldv + at;

            for (int64_t from = 0; from < f->dim; from += REF_BLOCK) {
                int64_t cols = least(REF_BLOCK, f->dim - from);

                for (int64_t i = 0; i < b.h.queries; i++)
                    dq_block(&b, i, from, cols, dq + i * f->ldq);
                for (int64_t j = 0; j < b.h.keys; j++)
                    dkv_block(&b, j, from, cols, dk + j * f->ldk,
                              dv + j * f->ldv);
            }
        }
}
