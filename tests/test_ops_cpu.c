/* Every op of the cpu backend against the reference in float: the cases of
 * tests/op_cases.h on random shapes, for every instruction set this machine
 * has, both types of activation, one thread and two.  A bound is the largest
 * difference by the largest number of an array; in bf16 the inputs are rounded
 * before both backends see them, so that only the outputs' rounding and sums in
 * another order remain. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/bf16.h"
#include "tests/op_cases.h"
#include "train/cpu/cpu.h"
#include "train/cpu/k.h"
#include "train/ref/ref.h"

#define HALF 0.0040 /* 2^-8: where a sum falls on the other side of a tie */

/* One row for each case: bounds of what is `act` and of what is `real`, and
 * whether the thread count changes no bit. */
static const struct bound {
    const char *name;
    double act_f32, real_f32, act_bf16, real_bf16;
    bool same;
} bounds[] = {
    {"linear", 5e-6, 5e-6, 3 * HALF, 5e-6, false},
    {"conv", 5e-6, 5e-6, 2 * HALF, 5e-6, false},
    {"attention", 1e-5, 1e-5, HALF, 1e-5, true},
    {"attention_one", 1e-5, 1e-5, HALF, 1e-5, true},
    {"layernorm", 2e-6, 2e-6, HALF, 2e-6, true},
    {"batchnorm", 2e-6, 2e-6, HALF, 2e-6, true},
    {"batchnorm_running", 1e-6, 1e-6, HALF, 1e-6, true},
    {"l2norm", 1e-6, 1e-6, HALF, 1e-6, true},
    {"embed", 1e-6, 1e-6, HALF, 1e-6, true},
    {"pixels", 0, 0, HALF, 0, true},
    {"tokens", 1e-6, 1e-6, HALF, 1e-6, true},
    {"avgpool", 1e-6, 1e-6, HALF, 1e-6, true},
    {"gather", 1e-6, 1e-6, HALF, 1e-6, true},
    /* similarities up to 100, each a float: 2^-24 of that, a few times */
    {"nce", 5e-5, 5e-5, HALF, 5e-5, true},
    {"sigmoid_loss", 5e-5, 5e-5, HALF, 5e-5, true},
    {"softmax_loss", 2e-6, 2e-6, HALF, 2e-6, true},
    {"adamw", 1e-6, 1e-6, HALF, 1e-6, true},
    {"small", 1e-6, 1e-6, HALF, 1e-6, true},
};

#define BOUNDS (sizeof bounds / sizeof *bounds)

static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};

static const struct op_case *find_case(const char *name)
{
    for (size_t i = 0; i < OP_CASES; i++)
        if (!strcmp(op_cases[i].name, name))
            return &op_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

/* Small arrays use all threads, too. */
static void open_cpu(struct device *d, enum dtype act, int threads,
                     enum cpu_isa isa)
{
    struct err e = ERR_INIT;

    if (cpu_open_isa(d, act, threads, isa, &e))
        fail_msg("%s", e.message);
    cpu_of(d)->worth = 0;
}

static void test_ops_cpu__every_case_has_a_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < OP_CASES; i++) {
        size_t k = 0;

        while (k < BOUNDS && strcmp(bounds[k].name, op_cases[i].name) != 0)
            k++;
        if (k == BOUNDS)
            fail_msg("no bound for %s", op_cases[i].name);
    }
}

static void test_ops_cpu__against_reference(void **state)
{
    struct device ref, d;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (int t = 0; t < bf16_types(); t++)
        for (int isa = CPU_BASE; isa <= (int)cpu_isa_best(); isa++) {
            /* the best set sees every seed, the others every fifth: an odd
             * step, because a seed's bits are the flags */
            const uint64_t step = isa == (int)cpu_isa_best() ? 1 : 5;

            open_cpu(&d, acts[t], 1 + isa % 2, (enum cpu_isa)isa);
            for (size_t i = 0; i < BOUNDS; i++) {
                const struct bound *b = &bounds[i];
                const struct op_case *c = find_case(b->name);
                double worst[2] = {0, 0};

                for (uint64_t seed = 0; seed < c->seeds; seed += step)
                    play_compare(c->name, c->run, seed, &d, &ref,
                                 t ? b->act_bf16 : b->act_f32,
                                 t ? b->real_bf16 : b->real_f32, worst);
                print_message("%-4s %-4s %-18s act %.1e real %.1e\n",
                              cpu_isa_name((enum cpu_isa)isa),
                              dtype_name(acts[t]), b->name, worst[0], worst[1]);
            }
            device_close(&d);
        }
    device_close(&ref);
}

/* Two threads give the bits of one, or at least those of the run before: the
 * sources are the same for every instruction set, so one is looked at. */
static void test_ops_cpu__threads_change_no_bit(void **state)
{
    struct device one, two;

    (void)state;
    for (int t = 0; t < bf16_types(); t++) {
        open_cpu(&one, acts[t], 1, cpu_isa_best());
        open_cpu(&two, acts[t], 2, cpu_isa_best());
        for (size_t i = 0; i < BOUNDS; i++) {
            const struct op_case *c = find_case(bounds[i].name);

            for (uint64_t seed = 0; seed < c->seeds; seed += 3)
                play_compare(c->name, c->run, seed, &two,
                             bounds[i].same ? &one : &two, 0, 0, NULL);
        }
        device_close(&one);
        device_close(&two);
    }
}

/* ---- long sums ---- */

#define LONG_ROWS 75003 /* more than a block in each of the most chunks */
#define LONG_DIM  31

/* A mean far from 0, so that sums of squares would cancel. */
static void long_case(struct play *p)
{
    int64_t n = (int64_t)LONG_ROWS * LONG_DIM;
    struct op_batchnorm f = {
        .groups = 1,
        .per = LONG_ROWS,
        .dim = LONG_DIM,
        .x = play_in_range(p, "x", PLAY_ACT, n, 20, 24),
        .g = play_in(p, "g", PLAY_REAL, LONG_DIM),
        .b = play_in(p, "b", PLAY_REAL, LONG_DIM),
        .relu = true,
        .mean = play_out(p, "mean", PLAY_REAL, LONG_DIM),
        .var = play_out(p, "var", PLAY_REAL, LONG_DIM),
        .y = play_out(p, "y", PLAY_ACT, n),
    };

    op_batchnorm(p->d, &f);
    play_step(p);

    struct op_batchnorm_bwd b = {
        .groups = 1,
        .per = LONG_ROWS,
        .dim = LONG_DIM,
        .x = f.x,
        .g = f.g,
        .mean = f.mean,
        .var = f.var,
        .y = f.y,
        .dy = play_dout(p, "dy", f.y),
        .dg = play_dsum(p, "dg", f.g),
        .db = play_dsum(p, "db", f.b),
        .dx = play_din(p, "dx", f.x),
    };

    op_batchnorm_bwd(p->d, &b);
    play_step(p);
}

static void test_ops_cpu__long_batchnorm(void **state)
{
    struct device ref, d;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (int t = 0; t < bf16_types(); t++) {
        double worst[2] = {0, 0};

        open_cpu(&d, acts[t], 2, cpu_isa_best());
        play_compare("long", long_case, 0, &d, &ref, t ? HALF : 2e-6, 2e-6,
                     worst);
        print_message("long %s: act %.1e real %.1e\n", dtype_name(acts[t]),
                      worst[0], worst[1]);
        device_close(&d);
    }
    device_close(&ref);
}

/* ---- passes around products ---- */

#define PASS_ROWS 20011
#define PASS_DIM  453 /* about a strip; all blocks of a chunk */

static float pass_number(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return (float)((double)(z >> 43) * 0x1p-20 - 0.5);
}

static void check_colsum(struct device *d)
{
    const int64_t m = PASS_ROWS, n = PASS_DIM;
    struct err e = ERR_INIT;
    char *x = (char *)device_alloc(d, (size_t)(m * n) * dtype_size(d->act), &e);
    float *sums = (float *)xcalloc(PASS_DIM, sizeof *sums);
    double *want = (double *)xcalloc(PASS_DIM, sizeof *want);
    double most = 0;

    assert_non_null(x);
    for (int64_t i = 0; i < m * n; i++) {
        float v = pass_number((uint64_t)i);
        float back;

        dtype_convert(x + (size_t)i * dtype_size(d->act), d->act, &v, DTYPE_F32,
                      1);
        dtype_convert(&back, DTYPE_F32, x + (size_t)i * dtype_size(d->act),
                      d->act, 1);
        want[i % n] += (double)back;
    }
    for (int64_t c = 0; c < n; c++)
        sums[c] = 3;
    cpu_of(d)->passes.colsum(d, m, n, x, sums);
    for (int64_t c = 0; c < n; c++)
        most = fmax(most, fabs((double)sums[c] / (want[c] + 3) - 1));
    print_message("colsum %s %s: %.1e\n", cpu_isa_name(cpu_of(d)->isa),
                  dtype_name(d->act), most);
    assert_true(most < 2e-7);
    device_free(d, x);
    free(sums);
    free(want);
}

static void test_ops_cpu__colsum(void **state)
{
    struct device d;

    (void)state;
    for (int t = 0; t < bf16_types(); t++)
        for (int isa = CPU_BASE; isa <= (int)cpu_isa_best(); isa++) {
            open_cpu(&d, acts[t], 2, (enum cpu_isa)isa);
            check_colsum(&d);
            device_close(&d);
        }
}

/* Formulas of train/op.h in double. */
static double exact_act(enum act_kind kind, double x)
{
    return kind == ACT_GELU         ? 0.5 * x * (1 + erf(x / sqrt(2)))
           : kind == ACT_QUICK_GELU ? x / (1 + exp(-1.702 * x))
                                    : x;
}

static double exact_slope(enum act_kind kind, double x)
{
    double s = 1 / (1 + exp(-1.702 * x));

    return kind == ACT_GELU ? 0.5 * (1 + erf(x / sqrt(2))) +
                                  x * exp(-x * x / 2) / sqrt(2 * M_PI)
           : kind == ACT_QUICK_GELU ? s + 1.702 * x * s * (1 - s)
                                    : 1;
}

#define ACT_NUMBERS 30011 /* -15 .. 15 */

static void check_act(struct device *d, enum act_kind kind)
{
    const struct cpu_passes *k = &cpu_of(d)->passes;
    const double bound = d->act == DTYPE_BF16 ? 0x1p-8 : 2e-6;
    float *x = (float *)xcalloc(ACT_NUMBERS, sizeof *x);
    float *out = (float *)xcalloc(ACT_NUMBERS, sizeof *out);
    uint16_t *pre = (uint16_t *)xcalloc(ACT_NUMBERS, sizeof *x);
    uint16_t *y = (uint16_t *)xcalloc(ACT_NUMBERS, sizeof *x);

    for (int i = 0; i < ACT_NUMBERS; i++)
        x[i] = (float)(i - ACT_NUMBERS / 2) * 1e-3f;
    k->from_float(d, ACT_NUMBERS, x, pre);
    k->to_float(d, ACT_NUMBERS, pre, x);
    k->act(d, kind, ACT_NUMBERS, pre, pre, y);
    k->to_float(d, ACT_NUMBERS, y, out);
    for (int i = 0; i < ACT_NUMBERS; i++) {
        double want = exact_act(kind, (double)x[i]) + (double)x[i];

        if (!(fabs((double)out[i] - want) <= bound * fmax(fabs(want), 1)))
            fail_msg("act %d of %g: %g, not %g", kind, x[i], out[i], want);
    }
    for (int i = 0; i < ACT_NUMBERS; i++)
        out[i] = 2;
    k->from_float(d, ACT_NUMBERS, out, y);
    k->act_bwd(d, kind, ACT_NUMBERS, pre, y);
    k->to_float(d, ACT_NUMBERS, y, out);
    for (int i = 0; i < ACT_NUMBERS; i++) {
        double want = 2 * exact_slope(kind, (double)x[i]);

        if (!(fabs((double)out[i] - want) <= bound * fmax(fabs(want), 1)))
            fail_msg("slope %d of %g: %g, not %g", kind, x[i], out[i], want);
    }
    free(x);
    free(out);
    free(pre);
    free(y);
}

static void test_ops_cpu__activations(void **state)
{
    struct device d;

    (void)state;
    for (int t = 0; t < bf16_types(); t++)
        for (int isa = CPU_BASE; isa <= (int)cpu_isa_best(); isa++) {
            open_cpu(&d, acts[t], 2, (enum cpu_isa)isa);
            check_act(&d, ACT_NONE);
            check_act(&d, ACT_GELU);
            check_act(&d, ACT_QUICK_GELU);
            device_close(&d);
        }
}

/* ---- functions of k.h (the base variant; inline) ---- */

static double apart(double is, double want)
{
    return fabs(is / want - 1);
}

static void test_ops_cpu__functions(void **state)
{
    double exps = 0, erfs = 0, sigmoids = 0, plus = 0;

    (void)state;
    for (int i = -870000; i <= 870000; i += 7) {
        float x = (float)i * 1e-4f;
        double v = (double)x;

        exps = fmax(exps, apart((double)k_exp(x), exp(v)));
        erfs = fmax(erfs, fabs((double)k_erf(x) - erf(v)));
        sigmoids =
            fmax(sigmoids, apart((double)k_sigmoid(x), 1 / (1 + exp(-v))));
        plus = fmax(plus, apart((double)k_softplus(x),
                                log1p(exp(-fabs(v))) + fmax(v, 0)));
    }
    print_message("exp %.1e erf %.1e sigmoid %.1e softplus %.1e\n", exps, erfs,
                  sigmoids, plus);
    assert_true(exps < 2e-7);
    assert_true(erfs < 5e-7);
    assert_true(sigmoids < 5e-7);
    assert_true(plus < 5e-7);
    assert_true(k_exp(-INFINITY) == 0 && k_exp(-1e9f) == 0);
    assert_true(isinf(k_exp(INFINITY)) && isinf(k_exp(89)));
    assert_true(k_exp(0) == 1 && k_erf(0) == 0);
    assert_true(k_erf(INFINITY) == k_erf(4) && k_softplus(INFINITY) > 1e38f);
    assert_true(isnan(k_exp(NAN)) && isnan(k_erf(NAN)));
    assert_true(isnan(k_sigmoid(NAN)) && isnan(k_softplus(NAN)));
}

/* Every bfloat16 comes back, and every kind of float rounds as on the host. */
static void test_ops_cpu__bf16_rounds_as_the_host(void **state)
{
    struct device d;
    float x[64], back[64];
    uint16_t y[64];

    (void)state;
    if (!bf16_here())
        skip();
    for (int isa = CPU_BASE; isa <= (int)cpu_isa_best(); isa++) {
        open_cpu(&d, DTYPE_BF16, 1, (enum cpu_isa)isa);
        for (uint32_t i = 0; i < 1u << 20; i++) {
            uint32_t u = i << 12 | (i & 1 ? 0x7ff : 0x800);

            memcpy(&x[i % 64], &u, sizeof u);
            if (i % 64 != 63)
                continue;
            cpu_of(&d)->passes.from_float(&d, 64, x, y);
            cpu_of(&d)->passes.to_float(&d, 64, y, back);
            for (int k = 0; k < 64; k++) {
                uint16_t want = bf16_from_float(x[k]);

                assert_int_equal(y[k], want);
                assert_true(back[k] == bf16_to_float(want) || isnan(back[k]));
            }
        }
        device_close(&d);
    }
}

/* ---- opening ---- */

static void test_ops_cpu__open_refuses(void **state)
{
    struct device d;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(cpu_open(&d, DTYPE_F64, 1, &e), -E_USAGE);
    assert_non_null(strstr(e.message, "f64"));
    e = (struct err)ERR_INIT;
    assert_int_equal(cpu_open(&d, DTYPE_F32, -1, &e), -E_USAGE);
    if (cpu_isa_best() < CPU_V4) {
        e = (struct err)ERR_INIT;
        assert_int_equal(cpu_open_isa(&d, DTYPE_F32, 1, CPU_V4, &e),
                         -E_UNSUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_cpu__every_case_has_a_bound),
        cmocka_unit_test(test_ops_cpu__against_reference),
        cmocka_unit_test(test_ops_cpu__threads_change_no_bit),
        cmocka_unit_test(test_ops_cpu__long_batchnorm),
        cmocka_unit_test(test_ops_cpu__colsum),
        cmocka_unit_test(test_ops_cpu__activations),
        cmocka_unit_test(test_ops_cpu__functions),
        cmocka_unit_test(test_ops_cpu__bf16_rounds_as_the_host),
        cmocka_unit_test(test_ops_cpu__open_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
