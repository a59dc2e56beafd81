/* Attention and losses of the cpu backend where their tiles end: shapes beside
 * those of tests/op_cases.h, against the reference in float, for every
 * instruction set this machine has and both types of activation; and the same
 * bits with one thread and two. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/bf16.h"
#include "tests/op_play.h"
#include "train/cpu/cpu.h"
#include "train/cpu/tiles.h"
#include "train/ref/ref.h"

#define HALF 0.0040 /* 2^-8: where a sum falls on the other side of a tie */

static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};

static void open_cpu(struct device *d, enum dtype act, int threads,
                     enum cpu_isa isa)
{
    struct err e = ERR_INIT;

    if (cpu_open_isa(d, act, threads, isa, &e))
        fail_msg("%s", e.message);
    cpu_of(d)->worth = 0;
}

/* ---- attention ---- */

#define SEQS_MAX 5

/* Rows of the sequences (keys: 0 as many as queries), and how many numbers and
 * rows lie between what is theirs. */
struct attend_shape {
    const char *name;
    int heads, dim, apart, gap;
    bool causal;
    int queries[SEQS_MAX], keys[SEQS_MAX];
};

static const struct attend_shape attend_shapes[] = {
    {"a row each", 2, 64, 0, 0, true, {1, 1, 4, 1}, {0}},
    {"short ones", 3, 64, 5, 1, true, {1, 20, 2, 33, 7}, {0}},
    {"one number", 2, 1, 0, 0, false, {5, 17}, {0}},
    {"odd dim", 2, 37, 3, 2, false, {31, 3}, {0}},
    {"ViT-B/32", 2, 64, 0, 0, false, {50}, {0}},
    {"text", 2, 64, 0, 0, true, {77}, {0}},
    {"a block", 1, 64, 0, 0, true, {64, 65}, {0}},
    {"a tile", 1, 64, 0, 0, false, {128, 129}, {0}},
    {"causal tiles", 1, 64, 1, 1, true, {128, 257}, {0}},
    {"ViT-L/14", 1, 64, 0, 0, false, {257}, {0}},
    {"wide, two panels", 1, 256, 0, 0, false, {170}, {0}},
    {"wider than a panel", 1, 1300, 0, 0, true, {40}, {0}},
    {"causal panels", 1, 64, 7, 3, true, {650}, {0}},
    {"more keys", 1, 64, 0, 1, false, {3, 100}, {70, 650}},
    {"fewer keys", 2, 24, 0, 0, false, {100, 3}, {5, 2}},
    {"one query", 2, 80, 3, 1, false, {1, 1, 1}, {1, 50, 197}},
    {"one query, most", 1, 4, 0, 0, false, {1}, {ATTEND_ONE_MAX}},
    {"one query, tiles", 1, 4, 0, 0, false, {1}, {ATTEND_ONE_MAX + 1}},
};

#define ATTEND_SHAPES (sizeof attend_shapes / sizeof *attend_shapes)

static const struct attend_shape *attend_shape;

static void *between(struct play *p, const char *name, int64_t rows, int64_t ld)
{
    return play_in_range(p, name, PLAY_ACT, rows * ld, -2, 2);
}

static void attend_case(struct play *p)
{
    const struct attend_shape *a = attend_shape;
    int32_t at[2] = {0, 0}, begin[2][SEQS_MAX], end[2][SEQS_MAX];
    int64_t width = (int64_t)a->heads * a->dim, ld = width + a->apart;
    struct op_attention f = {
        .heads = a->heads, .dim = a->dim, .causal = a->causal};
    int *longest[2] = {&f.max_q, &f.max_k};

    for (int s = 0; s < SEQS_MAX && a->queries[s]; s++, f.seqs++)
        for (int i = 0; i < 2; i++) {
            int n = i && a->keys[s] ? a->keys[s] : a->queries[s];

            begin[i][s] = at[i] + a->gap;
            at[i] = end[i][s] = begin[i][s] + n;
            if (n > *longest[i])
                *longest[i] = n;
        }
    f.q_begin = play_index(p, "q_begin", f.seqs, begin[0]);
    f.q_end = play_index(p, "q_end", f.seqs, end[0]);
    f.k_begin = play_index(p, "k_begin", f.seqs, begin[1]);
    f.k_end = play_index(p, "k_end", f.seqs, end[1]);
    f.q_rows = at[0] + a->gap;
    f.ldq = ld;
    f.ldk = ld + a->apart;
    f.ldv = ld + 2 * a->apart;
    f.q = between(p, "q", f.q_rows, f.ldq);
    f.k = between(p, "k", at[1] + a->gap, f.ldk);
    f.v = between(p, "v", at[1] + a->gap, f.ldv);
    f.out = play_out(p, "out", PLAY_ACT, f.q_rows * width);
    f.lse = play_out(p, "lse", PLAY_REAL, f.q_rows * f.heads);
    op_attention(p->d, &f);
    play_step(p);

    /* What lies between is random, too, and must be left as it is. */
    struct op_attention_bwd b = {
        .forward = &f,
        .dout = play_dout(p, "dout", f.out),
        .dq = play_din(p, "dq", f.q),
        .dk = play_din(p, "dk", f.k),
        .dv = play_din(p, "dv", f.v),
    };

    op_attention_bwd(p->d, &b);
    play_step(p);
}

/* ---- losses ---- */

struct loss_shape {
    int rows, cols, first, dim;
    double log_scale, bias;
};

static const struct loss_shape loss_shapes[] = {
    {1, 1, 0, 1, 0, 0},
    {2, 2, 0, 512, 4.6, -10},   /* the largest scale, about 100 */
    {37, 300, 263, 513, 2, -5}, /* the last rank; columns beyond a depth */
    {36, 128, 0, 16, 3, 0},     /* a block, a tile */
    {37, 129, 92, 257, 4.6, 1}, /* one more of each */
    {200, 200, 0, 64, 4.6, -10},
    {77, 1000, 500, 33, 1, 3},
    {1200, 1200, 0, 9, 4, -3}, /* larger blocks */
};

#define LOSS_SHAPES (sizeof loss_shapes / sizeof *loss_shapes)

static const struct loss_shape *loss_shape;

/* Rows of norm 1. */
static void *features(struct play *p, const char *name, int64_t rows,
                      int64_t dim)
{
    void *x = play_in(p, "raw", PLAY_ACT, rows * dim);
    struct op_l2norm o = {
        .rows = rows,
        .dim = dim,
        .x = x,
        .norm = play_out(p, "norm", PLAY_REAL, rows),
        .y = play_out(p, name, PLAY_REAL, rows * dim),
    };

    op_l2norm(p->d, &o);
    play_step(p);
    return o.y;
}

static const void *number(struct play *p, const char *name, double x)
{
    return play_in_range(p, name, PLAY_REAL, 1, x, x);
}

static void nce_case(struct play *p)
{
    const struct loss_shape *s = loss_shape;
    struct op_nce f = {
        .rows = s->rows, .cols = s->cols, .first = s->first, .dim = s->dim};

    f.a = features(p, "a", s->rows, s->dim);
    f.b = features(p, "b", s->cols, s->dim);
    f.log_scale = number(p, "log_scale", s->log_scale);
    f.lse = play_out(p, "lse", PLAY_REAL, s->rows);
    f.loss = play_out(p, "loss", PLAY_REAL, s->rows);
    op_nce(p->d, &f);
    play_step(p);

    /* Any numbers will do for the other side's: near this side's. */
    double most = exp(s->log_scale);
    struct op_nce_bwd b = {
        .rows = s->rows,
        .cols = s->cols,
        .first = s->first,
        .dim = s->dim,
        .a = f.a,
        .b = f.b,
        .log_scale = f.log_scale,
        .lse_a = f.lse,
        .lse_b = play_in_range(p, "lse_b", PLAY_REAL, s->cols, most, most + 1),
        .da = play_din(p, "da", f.a),
        .dlog_scale = play_dsum(p, "dlog_scale", f.log_scale),
    };

    op_nce_bwd(p->d, &b);
    b.dlog_scale = NULL;
    b.da = play_din(p, "da again", f.a);
    op_nce_bwd(p->d, &b);
    play_step(p);
}

static void sigmoid_case(struct play *p)
{
    const struct loss_shape *s = loss_shape;
    struct op_sigmoid_loss o = {
        .rows = s->rows, .cols = s->cols, .first = s->first, .dim = s->dim};

    o.a = features(p, "a", s->rows, s->dim);
    o.b = features(p, "b", s->cols, s->dim);
    o.log_scale = number(p, "log_scale", s->log_scale);
    o.bias = number(p, "bias", s->bias);
    o.loss = play_out(p, "loss", PLAY_REAL, s->rows);
    o.da = play_din(p, "da", o.a);
    o.dlog_scale = play_dsum(p, "dlog_scale", o.log_scale);
    o.dbias = play_dsum(p, "dbias", o.bias);
    op_sigmoid_loss(p->d, &o);
    o.loss = o.dlog_scale = o.dbias = NULL;
    o.da = play_din(p, "da again", o.a);
    op_sigmoid_loss(p->d, &o);
    play_step(p);
}

/* ---- every shape, on every variant ---- */

struct worst {
    double of[2]; /* of act, of real */
};

/* Against the reference, and with one thread against two. */
static void play_shape(const char *name, play_case *run, struct device *ref,
                       struct device *d, struct device *one, double act,
                       double real, struct worst *w)
{
    play_compare(name, run, 1, d, ref, act, real, w->of);
    play_compare(name, run, 1, d, one, 0, 0, NULL);
}

static void every_shape(struct device *ref, enum dtype act, enum cpu_isa isa)
{
    struct worst attend = {{0, 0}}, nce = {{0, 0}}, sigmoid = {{0, 0}};
    double bound = act == DTYPE_BF16 ? HALF : 1e-5;
    struct device one, two;

    open_cpu(&one, act, 1, isa);
    open_cpu(&two, act, 2, isa);
    for (size_t i = 0; i < ATTEND_SHAPES; i++) {
        attend_shape = &attend_shapes[i];
        play_shape(attend_shape->name, attend_case, ref, &two, &one, bound,
                   1e-5, &attend);
    }
    for (size_t i = 0; i < LOSS_SHAPES; i++) {
        char name[64];

        /* A float similarity of 100 is off by a few 2^-24 of that. */
        loss_shape = &loss_shapes[i];
        (void)snprintf(name, sizeof name, "rows %d cols %d dim %d",
                       loss_shape->rows, loss_shape->cols, loss_shape->dim);
        play_shape(name, nce_case, ref, &two, &one, bound, 5e-5, &nce);
        play_shape(name, sigmoid_case, ref, &two, &one, bound, 5e-5, &sigmoid);
    }
    print_message("%-4s %-4s attention %.1e, lse %.1e; nce %.1e; sigmoid "
                  "%.1e\n",
                  cpu_isa_name(isa), dtype_name(act), attend.of[0],
                  attend.of[1], nce.of[1], sigmoid.of[1]);
    device_close(&one);
    device_close(&two);
}

static void against_reference(enum cpu_isa isa)
{
    struct device ref;
    struct err e = ERR_INIT;

    if (isa > cpu_isa_best())
        skip();
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (int t = 0; t < bf16_types(); t++)
        every_shape(&ref, acts[t], isa);
    device_close(&ref);
}

static void test_tiles_cpu__base(void **state)
{
    (void)state;
    against_reference(CPU_BASE);
}

static void test_tiles_cpu__v3(void **state)
{
    (void)state;
    against_reference(CPU_V3);
}

static void test_tiles_cpu__v4(void **state)
{
    (void)state;
    against_reference(CPU_V4);
}

/* Where every pair is told apart, nothing is left to learn of the scale: its
 * gradient is 0, not what a row's own match leaves among the others. */
static void test_tiles_cpu__own_match_counts_once(void **state)
{
    static const float eye[16] = {1, 0, 0, 0, 0, 1, 0, 0,
                                  0, 0, 1, 0, 0, 0, 0, 1};
    const float log_scale = logf(100), bias = -10;

    (void)state;
    for (int isa = CPU_BASE; isa <= (int)cpu_isa_best(); isa++) {
        float loss[4], da[16], dlog_scale = 0, dbias = 0;
        struct op_sigmoid_loss o = {.rows = 4,
                                    .cols = 4,
                                    .dim = 4,
                                    .a = eye,
                                    .b = eye,
                                    .log_scale = &log_scale,
                                    .bias = &bias,
                                    .loss = loss,
                                    .da = da,
                                    .dlog_scale = &dlog_scale,
                                    .dbias = &dbias};
        struct err e = ERR_INIT;
        struct device d;

        open_cpu(&d, DTYPE_F32, 1, (enum cpu_isa)isa);
        op_sigmoid_loss(&d, &o);
        assert_int_equal(device_check(&d, &e), 0);
        assert_true(fabsf(dlog_scale) < 1e-20f);
        assert_true(fabs((double)dbias - 3 / (1 + exp(10))) < 1e-9);
        device_close(&d);
    }
}

/* A batch of 32,768 needs no memory that grows with its square. */
static void test_tiles_cpu__scratch_is_small(void **state)
{
    struct op_nce o = {.rows = 32768, .cols = 32768, .dim = 512};
    struct op_attention a = {.dim = 64, .max_q = 1 << 20, .max_k = 1 << 20};
    struct op_attention_bwd b = {.forward = &a};
    struct cpu c = {.threads = 2};

    (void)state;
    assert_in_range(cpu_scratch_need(&c, OP_nce, &o), 1, 1 << 20);
    assert_in_range(cpu_scratch_need(&c, OP_attention_bwd, &b), 1, 3 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles_cpu__base),
        cmocka_unit_test(test_tiles_cpu__v3),
        cmocka_unit_test(test_tiles_cpu__v4),
        cmocka_unit_test(test_tiles_cpu__own_match_counts_once),
        cmocka_unit_test(test_tiles_cpu__scratch_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
