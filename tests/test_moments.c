/* AdamW's moments in bfloat16: the same bits on every backend, right on average
 * where rounding to nearest stands still, half of the bytes, and a run that
 * learns as with floats.  (On the GPU: tests/test_optim_cuda.c.) */
#include "tests/moments.h"

#include <stdio.h>

#include "base/io.h"
#include "base/log.h"
#include "tests/bf16.h"
#include "tests/folder.h"
#include "train/adamw.h"
#include "train/cpu/cpu.h"
#include "train/ref/ref.h"
#include "train/run.h"

static void open_ref(struct device *d, enum dtype type)
{
    struct err e = ERR_INIT;

    assert_int_equal(ref_open(d, type, &e), 0);
}

static void test_moments__reference(void **state)
{
    struct device d, other;

    (void)state;
    open_ref(&d, DTYPE_F32);
    open_ref(&other, DTYPE_F64);
    moments_agree(&d, &other);
    device_close(&d);
    device_close(&other);
}

static void test_moments__cpu(void **state)
{
    static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};
    struct device ref, d;
    struct err e = ERR_INIT;

    (void)state;
    open_ref(&ref, DTYPE_F32);
    for (int t = 0; t < bf16_types(); t++)
        for (int isa = CPU_BASE; isa <= (int)cpu_isa_best(); isa++) {
            if (cpu_open_isa(&d, acts[t], 2, (enum cpu_isa)isa, &e))
                fail_msg("%s", e.message);
            cpu_of(&d)->worth = 0; /* small arrays use both threads, too */
            moments_agree(&d, &ref);
            moments_near(&d, &ref);
            device_close(&d);
        }
    device_close(&ref);
}

/* ---- what rounding does to a mean ---- */

#define N     512
#define STEPS 2500 /* up with a gradient of 1, and as many down with 0 */

/* v of one number as floats would have it, and rounded to nearest. */
struct walk {
    float exact, nearest;
};

static void walk(const struct op_adamw *o, float g, int steps, struct walk *w)
{
    const struct adamw_step s = adamw_step_of(o);

    for (int i = 0; i < steps; i++) {
        float p = 0, m = 0;

        adamw_number(&s, 1, g, &p, &m, &w->exact);
        adamw_number(&s, 1, g, &p, &m, &w->nearest);
        w->nearest = bf16_to_float(bf16_from_float(w->nearest));
    }
}

/* The mean of N numbers behind as many steps of the op. */
static double mean_of_v(struct moments *w, float g, int steps)
{
    float numbers[N];
    uint16_t *v;
    double sum = 0;

    for (int i = 0; i < N; i++)
        numbers[i] = g;
    moments_set_gradient(w, numbers);
    for (int i = 0; i < steps; i++, w->op.t++)
        op_adamw(w->d, &w->op);
    v = moments_get(w, w->op.v);
    for (int i = 0; i < N; i++)
        sum += (double)bf16_to_float(v[i]) / N;
    free(v);
    return sum;
}

static void test_moments__follow_small_changes(void **state)
{
    static const uint16_t zeros[N];
    struct walk one = {0, 0};
    struct moments w;
    struct device d;
    double mean;

    (void)state;
    open_ref(&d, DTYPE_F32);
    moments_open(&w, &d, N);
    w.op.beta2 = 0.999;
    device_put(&d, w.op.v, zeros, sizeof zeros);

    walk(&w.op, 1, STEPS, &one);
    mean = mean_of_v(&w, 1, STEPS);
    print_message("up: %.4f, by chance %.4f, to nearest %.4f\n",
                  (double)one.exact, mean, (double)one.nearest);
    assert_true(fabs(mean - (double)one.exact) < 0.01 * (double)one.exact);
    assert_true((double)one.nearest < 0.3 * (double)one.exact);

    one.nearest = one.exact;
    walk(&w.op, 0, STEPS, &one);
    mean = mean_of_v(&w, 0, STEPS);
    print_message("down: %.4f, by chance %.4f, to nearest %.4f\n",
                  (double)one.exact, mean, (double)one.nearest);
    assert_true(fabs(mean - (double)one.exact) < 0.02 * (double)one.exact);
    assert_true((double)one.nearest > 10 * (double)one.exact);
    moments_close(&w);
    device_close(&d);
}

/* A gradient that is not finite leaves moments as they are. */
static void test_moments__left_out(void **state)
{
    static const double sumsq = INFINITY;
    uint16_t *before, *after;
    struct moments w;
    struct device d;

    (void)state;
    open_ref(&d, DTYPE_F32);
    moments_open(&w, &d, N);
    w.op.sumsq = &sumsq;
    before = moments_get(&w, w.op.v);
    op_adamw(&d, &w.op);
    after = moments_get(&w, w.op.v);
    assert_memory_equal(before, after, N * sizeof *before);
    free(before);
    free(after);
    moments_close(&w);
    device_close(&d);
}

/* ---- runs ---- */

static struct run_config small_run(uint64_t steps, bool half)
{
    bool cpu = backend_built(BACKEND_CPU);
    struct run_config c = {.backend = cpu ? BACKEND_CPU : BACKEND_REF,
                           .batch = cpu ? 16 : 8,
                           .steps = steps,
                           .caption_tokens = 12,
                           .half_moments = half,
                           .options = {.packed = true, .reduce = true}};

    assert_int_equal(clip_config_find(&c.model, "tiny-vit", NULL), 0);
    optim_defaults(&c.optim, &c.model);
    c.optim.lr = 1e-3;
    c.optim.warmup = 10;
    c.optim.total = steps;
    c.device.threads = 1;
    return c;
}

static void play(const struct run_config *c, struct run_summary *s)
{
    struct err e = ERR_INIT;

    if (run_train(c, s, &e))
        fail_msg("%s", e.message);
}

static void test_moments__learn(void **state)
{
    uint64_t steps = backend_built(BACKEND_CPU) ? 120 : 40;
    struct run_summary s[2];

    (void)state;
    for (int half = 0; half < 2; half++) {
        struct run_config c = small_run(steps, half);

        play(&c, &s[half]);
    }
    print_message("loss %.4f, with half moments %.4f; weights of %llu bytes, "
                  "then %llu\n",
                  s[0].last, s[1].last, (unsigned long long)s[0].weights,
                  (unsigned long long)s[1].weights);
    assert_true(s[1].first == s[0].first);
    assert_true(s[1].last != s[0].last);
    assert_true(fabs(s[1].last - s[0].last) < 0.05 * s[0].last);
    assert_true(s[0].weights - s[1].weights == s[0].weights / 4);
}

static void test_moments__same_bytes(void **state)
{
    struct buf file[2];
    struct run_summary s;

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct run_config c = small_run(4, true);

        c.device.threads = 1 + k;
        c.save = at("w.safetensors");
        play(&c, &s);
        buf_init(&file[k], BUF_NO_LIMIT);
        assert_int_equal(io_read_file(c.save, &file[k], NULL), 0);
    }
    assert_true(str_eq(buf_str(&file[0]), buf_str(&file[1])));
    buf_release(&file[0]);
    buf_release(&file[1]);
}

static int setup(void **state)
{
    log_quiet(true);
    return folder_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments__reference),
        cmocka_unit_test(test_moments__cpu),
        cmocka_unit_test(test_moments__follow_small_changes),
        cmocka_unit_test(test_moments__left_out),
        cmocka_unit_test(test_moments__learn),
        cmocka_unit_test(test_moments__same_bytes),
    };

    return cmocka_run_group_tests(tests, setup, folder_teardown);
}
