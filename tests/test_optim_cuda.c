/* The optimiser on the GPU (without one: tests/emulate): arrays longer than a
 * grid, rounding by chance, and whole steps beside the reference, in which the
 * host waits for nothing but the norm. */
#include "tests/moments.h"

#include "tests/cuda_play.h"
#include "train/optim.h"
#include "train/ref/ref.h"

static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};

static void open_ref(struct device *d)
{
    struct err e = ERR_INIT;

    assert_int_equal(ref_open(d, DTYPE_F32, &e), 0);
}

static void test_optim_cuda__rounding(void **state)
{
    struct device d, ref;

    (void)state;
    open_ref(&ref);
    for (int t = 0; t < 2; t++) {
        open_cuda(&d, acts[t]);
        rounding_keeps(&d);
        rounding_agrees(&d, &ref);
        device_close(&d);
    }
    device_close(&ref);
}

static void test_optim_cuda__half_moments(void **state)
{
    struct device d, ref;

    (void)state;
    open_ref(&ref);
    for (int t = 0; t < 2; t++) {
        open_cuda(&d, acts[t]);
        moments_agree(&d, &ref);
        moments_near(&d, &ref);
        device_close(&d);
    }
    device_close(&ref);
}

/* Numbers far apart in size, over several chunks and an end. */
static double sumsq(struct device *d, int64_t n, const float *x)
{
    struct op_sumsq op = {.n = n, .x = rounding_real(d, n, x)};
    struct err e = ERR_INIT;
    double sum = 0.5;

    op.out = device_alloc(d, sizeof sum, &e);
    assert_non_null(op.out);
    device_put(d, op.out, &sum, sizeof sum);
    device_plan_begin(d);
    op_sumsq(d, &op);
    assert_int_equal(device_plan_end(d, &e), 0);
    op_sumsq(d, &op);
    device_get(d, &sum, op.out, sizeof sum);
    assert_int_equal(device_check(d, &e), 0);
    device_free(d, (void *)op.x);
    device_free(d, op.out);
    return sum;
}

static void test_optim_cuda__long_sum_of_squares(void **state)
{
    static const int64_t sizes[] = {1, 1023, 32768, 32769, 131071, 200001};
    float *x = xcalloc(200001, sizeof *x);
    struct device d;

    (void)state;
    open_cuda(&d, DTYPE_F32);
    for (int i = 0; i < 200001; i++)
        x[i] = (float)(int32_t)random_bits(1, (uint64_t)i) *
               (i % 1000 ? 1e-9f : 1e9f);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        long double want = 0.5L;
        double sum = sumsq(&d, sizes[k], x), again;

        for (int64_t i = 0; i < sizes[k]; i++)
            want += (long double)x[i] * (long double)x[i];
        if (!(fabs(sum - (double)want) <= 1e-13 * (double)want))
            fail_msg("%lld squares: %.17g, not %.17g", (long long)sizes[k], sum,
                     (double)want);
#ifdef WITMILL_EMULATED
        emulate_schedule(k + 1);
#endif
        again = sumsq(&d, sizes[k], x);
#ifdef WITMILL_EMULATED
        emulate_schedule(0);
#endif
        assert_true(sum == again);
    }
    device_close(&d);
    free(x);
}

/* ---- whole steps ---- */

/* A model as far as an optimiser sees it: tensors that decay and do not, a
 * scale, and more numbers than a grid takes at once (emulated: 12,288). */
static void open_model(struct clip *m, struct device *d)
{
    static const struct {
        const char *name;
        int rank;
        int64_t shape[2];
    } tensors[] = {{"token_embedding.weight", 2, {211, 67}},
                   {"ln_final.weight", 1, {67}},
                   {"ln_final.bias", 1, {67}},
                   {"text_projection", 2, {67, 3}},
                   {"positional_embedding", 2, {129, 67}}};
    const struct init init = {INIT_CONSTANT, 0};
    struct err e = ERR_INIT;
    struct store *s = &m->store;

    memset(m, 0, sizeof *m);
    m->d = d;
    store_init(s);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        store_add(s, init, tensors[i].rank, tensors[i].shape, "%s",
                  tensors[i].name);
    m->logit_scale = store_add(s, init, 0, NULL, "logit_scale");
    store_add_buffer(s, init, 67, "running_mean");
    store_seal(s);
    assert_int_equal(store_open(s, d, STORE_TRAIN, &e), 0);
}

static void put_numbers(struct clip *m, uint64_t stream, bool gradient,
                        double by)
{
    struct store *s = &m->store;

    for (int i = 0; i < s->n; i++) {
        const struct tensor *t = &s->list[i];
        float *x = xcalloc((size_t)t->count, sizeof *x);

        for (int64_t k = 0; k < t->count; k++)
            x[k] =
                (float)(int32_t)random_bits(stream + (uint64_t)i, (uint64_t)k) *
                (float)by;
        if (gradient)
            device_put(m->d, store_grad(s, i), x, (size_t)t->count * sizeof *x);
        else
            store_put(s, m->d, i, x, DTYPE_F32);
        free(x);
    }
}

/* Weights and their copies; moments. */
static void check_same(struct clip *a, struct clip *ref)
{
    const struct store *s = &a->store;
    size_t n = (size_t)s->size, bytes = n * sizeof(float);
    float *x = xcalloc(n, sizeof *x), *y = xcalloc(n, sizeof *y);
    const char *of[] = {s->real, s->m, s->v};
    const char *want[] = {ref->store.real, ref->store.m, ref->store.v};

    for (int k = 0; k < 3; k++) {
        device_get(a->d, x, of[k], bytes);
        device_get(ref->d, y, want[k], bytes);
        for (size_t i = 0; i < n; i++)
            if (!(fabsf(x[i] - y[i]) <= 2e-6f * fmaxf(fabsf(y[i]), 1e-2f)))
                fail_msg("class %d, number %zu: %g, not %g", k, i, (double)x[i],
                         (double)y[i]);
    }
    if (s->act != s->real) {
        uint16_t *copy = xcalloc(n, sizeof *copy);

        device_get(a->d, x, s->real, bytes);
        device_get(a->d, copy, s->act, n * sizeof *copy);
        for (size_t i = 0; i < (size_t)s->list[a->logit_scale].at; i++)
            assert_int_equal(copy[i], bf16_from_float(x[i]));
        free(copy);
    }
    free(x);
    free(y);
}

/* One step, and what it cost: kernels, and times that the host waited. */
static void step(struct optim *o, uint64_t at, double *norm, int want,
                 unsigned kernels, unsigned waits)
{
    struct err e = ERR_INIT;
    double sum;
#ifdef WITMILL_EMULATED
    struct emulate_counts before, after;

    device_get(o->m->d, &sum, o->sumsq, sizeof sum);
    before = emulate_counted();
#endif
    assert_int_equal(optim_step(o, at, norm, &e), want);
#ifdef WITMILL_EMULATED
    after = emulate_counted();
    assert_int_equal(after.waits - before.waits, waits);
    assert_int_equal(after.allocations - before.allocations, 0);
    device_get(o->m->d, &sum, o->sumsq, sizeof sum); /* now all are done */
    after = emulate_counted();
    assert_int_equal(after.kernels - before.kernels, kernels);
#else
    (void)kernels;
    (void)waits;
    (void)sum;
#endif
}

static void steps(struct device *d, struct device *ref, double clip_norm)
{
    const struct optim_config c = {.lr = 1e-2,
                                   .beta1 = 0.9,
                                   .beta2 = 0.98,
                                   .eps = 1e-6,
                                   .decay = 0.2,
                                   .total = 10,
                                   .clip_norm = clip_norm};
    struct optim o, of_ref;
    struct err e = ERR_INIT;
    struct clip m, r;
    double norm, want;
    float bad = INFINITY;

    open_model(&m, d);
    open_model(&r, ref);
    assert_int_equal(optim_open(&o, &m, &c, &e), 0);
    assert_int_equal(optim_open(&of_ref, &r, &c, &e), 0);
    put_numbers(&m, 100, false, 0x1p-31);
    put_numbers(&r, 100, false, 0x1p-31);
    store_refresh(&m.store, d);
    for (uint64_t at = 0; at < 3; at++) {
        put_numbers(&m, 200 + 10 * at, true, 0x1p-37);
        put_numbers(&r, 200 + 10 * at, true, 0x1p-37);
        if (at == 1) /* nobody asks */
            step(&o, at, NULL, 0, clip_norm > 0 ? 4 : 2, clip_norm > 0);
        else
            step(&o, at, &norm, 0, 4, 1);
        assert_int_equal(optim_step(&of_ref, at, &want, &e), 0);
        if (at != 1)
            assert_true(fabs(norm - want) <= 1e-12 * want);
        check_same(&m, &r);
    }
    device_put(d, store_grad(&m.store, 1), &bad, sizeof bad);
    step(&o, 3, &norm, -E_RANGE, 4, 1);
    check_same(&m, &r);
    optim_close(&o);
    optim_close(&of_ref);
    store_release(&m.store, d);
    store_release(&r.store, ref);
}

/* As if the batch had moved them. */
static void move_statistics(struct clip *m)
{
    struct store *s = &m->store;
    float *x = xcalloc((size_t)s->list[s->n - 1].count, sizeof *x);

    store_put(s, m->d, s->n - 1, x, DTYPE_F32);
    free(x);
}

/* Of the device itself, without a wait more: weights, moments and copies stay,
 * and statistics are what they were. */
static void leaves_out(struct device *d, struct device *ref)
{
    const struct optim_config c = {.lr = 1e-2,
                                   .beta1 = 0.9,
                                   .beta2 = 0.98,
                                   .eps = 1e-6,
                                   .total = 10,
                                   .leave_out = true};
    static const double limits[] = {1e-9, 1e9, 0, 0};
    struct optim o, of_ref;
    struct err e = ERR_INIT;
    struct clip m, r;
    double norm, want;
    float bad = NAN;

    open_model(&m, d);
    open_model(&r, ref);
    assert_int_equal(optim_open(&o, &m, &c, &e), 0);
    assert_int_equal(optim_open(&of_ref, &r, &c, &e), 0);
    put_numbers(&m, 100, false, 0x1p-31);
    put_numbers(&r, 100, false, 0x1p-31);
    store_refresh(&m.store, d);
    for (uint64_t at = 0; at < 4; at++) {
        bool out = at == 0 || at == 3;

        put_numbers(&m, 200 + 10 * at, true, 0x1p-37);
        put_numbers(&r, 200 + 10 * at, true, 0x1p-37);
        if (at == 3) {
            device_put(d, store_grad(&m.store, 1), &bad, sizeof bad);
            device_put(ref, store_grad(&r.store, 1), &bad, sizeof bad);
        }
        o.limit = of_ref.limit = limits[at];
        optim_keep(&o);
        optim_keep(&of_ref);
        if (out)
            move_statistics(&m);
        step(&o, at, &norm, 0, 4, 1);
        assert_int_equal(o.left_out, out);
        assert_int_equal(optim_step(&of_ref, at, &want, &e), 0);
        assert_int_equal(of_ref.left_out, out);
        assert_true(fabs(o.logit_scale - of_ref.logit_scale) < 1e-6);
        check_same(&m, &r);
    }
    optim_close(&o);
    optim_close(&of_ref);
    store_release(&m.store, d);
    store_release(&r.store, ref);
}

static void test_optim_cuda__steps(void **state)
{
    struct device d, ref;

    (void)state;
    open_ref(&ref);
    for (int t = 0; t < 2; t++) {
        open_cuda(&d, acts[t]);
        for (uint64_t order = 0; order < 3; order++) {
#ifdef WITMILL_EMULATED
            emulate_schedule(order);
#endif
            steps(&d, &ref, 0.25);
            steps(&d, &ref, 0);
            leaves_out(&d, &ref);
        }
        device_close(&d);
    }
#ifdef WITMILL_EMULATED
    emulate_schedule(0);
#endif
    device_close(&ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optim_cuda__rounding),
        cmocka_unit_test(test_optim_cuda__half_moments),
        cmocka_unit_test(test_optim_cuda__long_sum_of_squares),
        cmocka_unit_test(test_optim_cuda__steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
