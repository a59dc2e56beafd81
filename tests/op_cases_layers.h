/*
 * op_cases_layers - products, attention and norms on random shapes.
 */
#ifndef TESTS_OP_CASES_LAYERS_H
#define TESTS_OP_CASES_LAYERS_H

#include "tests/op_play.h"

/* ---- products ---- */

/* y = act(x w^T + b) + res, then another product on it, as in an MLP, so that
 * the activation's derivative is taken where layers take it. */
static inline void case_linear(struct play *p)
{
    bool io = play_flag(p), bias = play_flag(p), res = play_flag(p);
    enum act_kind act = (enum act_kind)play_pick(p, 3);
    int64_t m = play_size(p, 7, 130), k = play_size(p, 7, 257);
    int64_t h = play_size(p, 7, 257), n = play_size(p, 5, 130);
    struct op_linear one = {
        .m = m,
        .n = h,
        .k = k,
        .x = play_in(p, "x", PLAY_ACT, m * k),
        .w = play_in(p, "w1", PLAY_ACT, h * k),
        .w_is_in_out = io,
        .b = bias ? play_in(p, "b1", PLAY_REAL, h) : NULL,
        .act = act,
        .pre = act ? play_out(p, "pre", PLAY_ACT, m * h) : NULL,
        .y = play_out(p, "hidden", PLAY_ACT, m * h),
    };

    op_linear(p->d, &one);
    play_step(p);

    struct op_linear two = {
        .m = m,
        .n = n,
        .k = h,
        .x = one.y,
        .w = play_in(p, "w2", PLAY_ACT, n * h),
        .w_is_in_out = io,
        .b = bias ? play_in(p, "b2", PLAY_REAL, n) : NULL,
        .res = res ? play_in(p, "res", PLAY_ACT, m * n) : NULL,
        .y = play_out(p, "y", PLAY_ACT, m * n),
    };

    op_linear(p->d, &two);
    play_step(p);

    const void *dy = play_dout(p, "dy", two.y);
    struct op_linear_dw dw2 = {
        .m = m,
        .n = n,
        .k = h,
        .x = two.x,
        .dy = dy,
        .w_is_in_out = io,
        .dw = play_dweight(p, "dw2", two.w),
        .db = bias ? play_dsum(p, "db2", two.b) : NULL,
    };

    op_linear_dw(p->d, &dw2);
    play_step(p);

    struct op_linear_dx dhidden = {
        .m = m,
        .n = n,
        .k = h,
        .dy = dy,
        .w = two.w,
        .w_is_in_out = io,
        .act = act,
        .pre = one.pre,
        .dx = play_out(p, "dpre", PLAY_ACT, m * h),
    };

    op_linear_dx(p->d, &dhidden);
    play_step(p);

    struct op_linear_dw dw1 = {
        .m = m,
        .n = h,
        .k = k,
        .x = one.x,
        .dy = dhidden.dx,
        .w_is_in_out = io,
        .dw = play_dweight(p, "dw1", one.w),
        .db = bias ? play_dsum(p, "db1", one.b) : NULL,
    };

    op_linear_dw(p->d, &dw1);
    play_step(p);

    bool add = play_flag(p);
    struct op_linear_dx dx = {
        .m = m,
        .n = h,
        .k = k,
        .dy = dhidden.dx,
        .w = one.w,
        .w_is_in_out = io,
        .add = add,
        .dx = add ? play_dsum(p, "dx", one.x) : play_din(p, "dx", one.x),
    };

    op_linear_dx(p->d, &dx);
    play_step(p);
}

static inline void case_conv(struct play *p)
{
    bool add = play_flag(p);
    int kernel = play_flag(p) ? 1 : 3, stride = play_flag(p) ? 2 : 1;
    int pad = play_flag(p);
    int64_t batch = play_size(p, 2, 3);
    int64_t h = kernel + play_size(p, 4, 17), w = kernel + play_size(p, 4, 17);
    int64_t in = play_size(p, 5, 65), out = play_size(p, 3, 65);
    int64_t oh = op_conv_side(h, kernel, stride, pad);
    int64_t ow = op_conv_side(w, kernel, stride, pad);
    int64_t weights = out * in * kernel * kernel;
    struct op_conv f = {
        .batch = batch,
        .h = h,
        .w = w,
        .in = in,
        .out = out,
        .kernel = kernel,
        .stride = stride,
        .pad = pad,
        .x = play_in(p, "x", PLAY_ACT, batch * h * w * in),
        .weight = play_in(p, "weight", PLAY_ACT, weights),
        .y = play_out(p, "y", PLAY_ACT, batch * oh * ow * out),
    };

    op_conv(p->d, &f);
    play_step(p);

    struct op_conv_dx dx = {
        .batch = batch,
        .h = h,
        .w = w,
        .in = in,
        .out = out,
        .kernel = kernel,
        .stride = stride,
        .pad = pad,
        .dy = play_dout(p, "dy", f.y),
        .weight = f.weight,
        .add = add,
        .dx = add ? play_dsum(p, "dx", f.x) : play_din(p, "dx", f.x),
    };
    struct op_conv_dw dw = {
        .batch = batch,
        .h = h,
        .w = w,
        .in = in,
        .out = out,
        .kernel = kernel,
        .stride = stride,
        .pad = pad,
        .x = f.x,
        .dy = dx.dy,
        .dweight = play_dweight(p, "dweight", f.weight),
    };

    op_conv_dx(p->d, &dx);
    op_conv_dw(p->d, &dw);
    play_step(p);
}

/* ---- attention ---- */

/* Forward and backward of f; keys and values stand side by side in kv, and
 * behind the queries when that is the same array, as in_proj leaves them.
 * `gaps`: there are rows outside every range, whose gradient stays as it is. */
static inline void play_attend(struct play *p, struct op_attention *f,
                               const void *q, const void *kv, bool gaps)
{
    int64_t width = (int64_t)f->heads * f->dim;
    bool self = q == kv;
    int64_t key = self ? width : 0;

    f->q = q;
    f->k = play_at(p, kv, key);
    f->v = play_at(p, kv, key + width);
    f->ldq = self ? 3 * width : width;
    f->ldk = f->ldv = key + 2 * width;
    f->pairs = f->seqs; /* counts work, computes nothing */
    f->out = play_out(p, "out", PLAY_ACT, f->q_rows * width);
    f->lse = play_out(p, "lse", PLAY_REAL, f->q_rows * f->heads);
    op_attention(p->d, f);
    play_step(p);

    const void *dout = play_dout(p, "dout", f->out);
    void *dq = play_din_over(p, "dq", q, !gaps);
    void *dkv = self ? dq : play_din_over(p, "dkv", kv, !gaps);
    struct op_attention_bwd b = {
        .forward = f,
        .dout = dout,
        .dq = dq,
        .dk = play_at(p, dkv, key),
        .dv = play_at(p, dkv, key + width),
    };

    op_attention_bwd(p->d, &b);
    play_step(p);
}

static inline int play_head_dim(struct play *p)
{
    static const int large[] = {64, 64, 80, 88, 104, 32, 16, 24, 7};

    if (!p->large)
        return (int)play_size(p, 5, 5);
    return large[play_pick(p, sizeof large / sizeof *large)];
}

/* `seqs` ranges one behind the other, with gaps or without; gives the rows. */
static inline int32_t play_ranges(struct play *p, int seqs, bool gaps,
                                  bool equal, int longest, int32_t *begin,
                                  int32_t *end, int *max)
{
    int same = 1 + play_pick(p, longest);
    int32_t at = 0;

    *max = 0;
    for (int s = 0; s < seqs; s++) {
        begin[s] = at + (gaps ? play_pick(p, 3) : 0);
        end[s] = begin[s] + (equal ? same : 1 + play_pick(p, longest));
        at = end[s];
        if (end[s] - begin[s] > *max)
            *max = end[s] - begin[s];
    }
    return at + (gaps ? 2 : 0);
}

static inline void case_attention(struct play *p)
{
    bool causal = play_flag(p), gaps = play_flag(p), equal = play_flag(p);
    int32_t begin[8], end[8];
    struct op_attention f = {
        .seqs = 1 + play_pick(p, 4),
        .heads = 1 + play_pick(p, 3),
        .dim = play_head_dim(p),
        .causal = causal,
    };

    f.q_rows = play_ranges(p, f.seqs, gaps, equal, p->large ? 90 : 5, begin,
                           end, &f.max_q);
    f.max_k = f.max_q;
    f.q_begin = f.k_begin = play_index(p, "begin", f.seqs, begin);
    f.q_end = f.k_end = play_index(p, "end", f.seqs, end);

    const void *qkv = play_in_range(
        p, "qkv", PLAY_ACT, f.q_rows * 3 * (int64_t)f.heads * f.dim, -2, 2);

    play_attend(p, &f, qkv, qkv, gaps);
}

/* One query a sequence: attention pooling, and the last block's read rows. */
static inline void case_attention_one(struct play *p)
{
    bool gaps = play_flag(p), equal = play_flag(p);
    int32_t begin[8], end[8], one[8];
    struct op_attention f = {
        .seqs = 1 + play_pick(p, 4),
        .heads = 1 + play_pick(p, 3),
        .dim = play_head_dim(p),
        .max_q = 1,
    };
    int64_t width = (int64_t)f.heads * f.dim;
    int32_t rows = play_ranges(p, f.seqs, gaps, equal, p->large ? 90 : 5, begin,
                               end, &f.max_k);

    for (int s = 0; s <= f.seqs; s++)
        one[s] = s;
    f.q_rows = f.seqs;
    f.q_begin = play_index(p, "one", f.seqs + 1, one);
    f.q_end = f.q_begin + 1;
    f.k_begin = play_index(p, "begin", f.seqs, begin);
    f.k_end = play_index(p, "end", f.seqs, end);

    const void *q = play_in_range(p, "q", PLAY_ACT, f.q_rows * width, -2, 2);
    const void *kv = play_in_range(p, "kv", PLAY_ACT, rows * 2 * width, -2, 2);

    play_attend(p, &f, q, kv, gaps);
}

/* ---- normalisation ---- */

static inline void play_layernorm(struct play *p, int64_t rows, int64_t dim)
{
    bool res = play_flag(p), over_dy = play_flag(p), over_res = play_flag(p);
    struct op_layernorm f = {
        .rows = rows,
        .dim = dim,
        .x = play_in(p, "x", PLAY_ACT, rows * dim),
        .g = play_in(p, "g", PLAY_REAL, dim),
        .b = play_in(p, "b", PLAY_REAL, dim),
        .mean = play_out(p, "mean", PLAY_REAL, rows),
        .rstd = play_out(p, "rstd", PLAY_REAL, rows),
        .y = play_out(p, "y", PLAY_ACT, rows * dim),
    };

    op_layernorm(p->d, &f);
    play_step(p);

    /* x also reaches the loss beside the norm: that is what res is. */
    struct op_layernorm_bwd b = {
        .rows = rows,
        .dim = dim,
        .x = f.x,
        .g = f.g,
        .mean = f.mean,
        .rstd = f.rstd,
        .dy = play_dout(p, "dy", f.y),
        .res = res ? play_dout(p, "res", f.x) : NULL,
        .dg = play_dsum(p, "dg", f.g),
        .db = play_dsum(p, "db", f.b),
    };

    b.dx = over_dy           ? play_becomes(p, "dx", b.dy, f.x)
           : res && over_res ? play_becomes(p, "dx", b.res, f.x)
                             : play_din(p, "dx", f.x);
    op_layernorm_bwd(p->d, &b);
    play_step(p);
}

static inline void case_layernorm(struct play *p)
{
    int64_t rows = play_size(p, 7, 130);

    play_layernorm(p, rows, play_size_of_norm(p, 8, 300));
}

/* Whether a ReLU cuts within reach of a central difference: then the two sides
 * of it are no gradient. */
static inline bool play_near_kink(struct play *p, struct op_batchnorm f,
                                  int64_t n)
{
    struct play_slot *s;
    bool near = false;

    if (p->large || !f.relu)
        return false;
    f.relu = false;
    f.y = play_out(p, "unbent", PLAY_ACT, n);
    s = &p->slot[play_find(p, f.y)];
    op_batchnorm(p->d, &f);
    play_step(p);
    for (int64_t i = 0; i < n; i++)
        near = near || fabs(s->end[i]) < 2e-3;
    return near;
}

static inline void play_batchnorm(struct play *p, int64_t per, int64_t dim)
{
    bool relu = play_flag(p), res = play_flag(p), over_dy = play_flag(p);
    int64_t groups = play_flag(p) ? 3 : 1;
    int64_t n = groups * per * dim;
    struct op_batchnorm f = {
        .groups = groups,
        .per = per,
        .dim = dim,
        .x = play_in(p, "x", PLAY_ACT, n),
        .g = play_in(p, "g", PLAY_REAL, dim),
        .b = play_in(p, "b", PLAY_REAL, dim),
        .res = res ? play_in(p, "res", PLAY_ACT, n) : NULL,
        .relu = relu,
        .mean = play_out(p, "mean", PLAY_REAL, groups * dim),
        .var = play_out(p, "var", PLAY_REAL, groups * dim),
    };

    p->kinked = play_near_kink(p, f, n);
    f.y = play_out(p, "y", PLAY_ACT, n);
    op_batchnorm(p->d, &f);
    play_step(p);

    struct op_batchnorm_bwd b = {
        .groups = groups,
        .per = per,
        .dim = dim,
        .x = f.x,
        .g = f.g,
        .mean = f.mean,
        .var = f.var,
        .y = relu ? f.y : NULL,
        .dy = play_dout(p, "dy", f.y),
        .dg = play_dsum(p, "dg", f.g),
        .db = play_dsum(p, "db", f.b),
    };
    bool dres_over = play_flag(p);

    if (res)
        b.dres = over_dy && dres_over ? play_becomes(p, "dres", b.dy, f.res)
                                      : play_din(p, "dres", f.res);
    b.dx = over_dy && !dres_over ? play_becomes(p, "dx", b.dy, f.x)
                                 : play_din(p, "dx", f.x);
    op_batchnorm_bwd(p->d, &b);
    play_step(p);
}

static inline void case_batchnorm(struct play *p)
{
    int64_t per = play_size_of_norm(p, 7, 130);

    play_batchnorm(p, per, play_size(p, 5, 130));
}

/* Running statistics: given to the norm, and what they are moved by. */
static inline void case_batchnorm_running(struct play *p)
{
    bool relu = play_flag(p), res = play_flag(p);
    int64_t per = play_size(p, 7, 130), dim = play_size(p, 5, 130);
    int64_t groups = 1 + play_pick(p, 4);
    struct op_batchnorm f = {
        .groups = 1,
        .per = per,
        .dim = dim,
        .x = play_in(p, "x", PLAY_ACT, per * dim),
        .g = play_in(p, "g", PLAY_REAL, dim),
        .b = play_in(p, "b", PLAY_REAL, dim),
        .res = res ? play_in(p, "res", PLAY_ACT, per * dim) : NULL,
        .relu = relu,
        .given = true,
        .mean = play_in(p, "mean", PLAY_REAL, dim),
        .var = play_in_range(p, "var", PLAY_REAL, dim, 0.1, 2),
        .y = play_out(p, "y", PLAY_ACT, per * dim),
    };
    struct op_batchnorm_collect c = {
        .groups = groups,
        .per = per,
        .dim = dim,
        .mean = play_in(p, "means", PLAY_REAL, groups * dim),
        .var = play_in_range(p, "vars", PLAY_REAL, groups * dim, 0, 2),
        .sum_mean = play_sum(p, "sum_mean", PLAY_REAL, dim),
        .sum_var = play_sum(p, "sum_var", PLAY_REAL, dim),
    };

    op_batchnorm(p->d, &f);
    op_batchnorm_collect(p->d, &c);
    play_step(p);
}

static inline void play_l2norm(struct play *p, int64_t rows, int64_t dim)
{
    struct op_l2norm f = {
        .rows = rows,
        .dim = dim,
        .x = play_in(p, "x", PLAY_ACT, rows * dim),
        .norm = play_out(p, "norm", PLAY_REAL, rows),
        .y = play_out(p, "y", PLAY_REAL, rows * dim),
    };

    op_l2norm(p->d, &f);
    play_step(p);

    struct op_l2norm_bwd b = {
        .rows = rows,
        .dim = dim,
        .y = f.y,
        .norm = f.norm,
        .dy = play_dout(p, "dy", f.y),
        .dx = play_din(p, "dx", f.x),
    };

    op_l2norm_bwd(p->d, &b);
    play_step(p);
}

static inline void case_l2norm(struct play *p)
{
    int64_t rows = play_size(p, 7, 130);

    play_l2norm(p, rows, play_size_of_norm(p, 8, 300));
}

#endif
