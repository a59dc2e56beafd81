/* random: its numbers, pinned; store: names, layout, classes, conversion. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/op.h"
#include "train/random.h"
#include "train/ref/ref.h"
#include "train/store.h"

/* From a second implementation of the header's formulas, in Python. */
static const struct {
    uint64_t seed;
    const char *name;
    uint64_t i, stream, bits;
    double uniform, normal;
} draws[] = {
    {0, "", 0, 0xf52a15e9a9b5e89b, 0xe587d3dff9e92ed0, 0x1.cb0fa6p-1,
     1.2135497809746019},
    {1, "visual.proj", 0, 0xb0b73571665889e9, 0xd97fc231d285fbd2, 0x1.b2ff84p-1,
     1.7290757526103264},
    {1, "visual.proj", 1, 0xb0b73571665889e9, 0xec8ea3b1ac8c4adf, 0x1.d91d46p-1,
     -0.7068902131396566},
    {42, "token_embedding.weight", 1000000, 0xbeebf8d0852dcef5,
     0x05cce9ba8917213e, 0x1.733a4p-6, 0.16620009112924997},
    {UINT64_MAX, "\xc3\xa4", 9223372036854775806, 0xf1bfd3f70691f0e0,
     0x7e5f60f65ffd6c2c, 0x1.f97d8p-2, -0.042418758583697466},
    {UINT64_MAX, "logit_scale", 7, 0x20422a3838a0f290, 0xa65e8f360806b14f,
     0x1.4cbd1ep-1, -0.012283538571613448},
};

static void test_random__numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
        uint64_t s = random_stream(draws[i].seed, str_of(draws[i].name));
        double normal = random_normal(s, draws[i].i);

        assert_int_equal(s, draws[i].stream);
        assert_int_equal(random_bits(s, draws[i].i), draws[i].bits);
        assert_true(random_uniform(s, draws[i].i) == draws[i].uniform);
        assert_true(fabs(normal - draws[i].normal) < 1e-14);
    }
    /* SplitMix64 from seed 0, as its authors print it. */
    assert_int_equal(random_bits(0, 0), 0xe220a8397b1dcdaf);
    assert_int_equal(random_bits(0, 1), 0x6e789e6aa1b965f4);
}

static void test_random__moments(void **state)
{
    enum { N = 100000 };
    uint64_t s = random_stream(7, STR("moments"));
    double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n4 = 0;

    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        double u = random_uniform(s, i), n = random_normal(s, i);

        assert_true(u >= 0 && u < 1 && isfinite(n));
        u1 += u / N;
        u2 += u * u / N;
        n1 += n / N;
        n2 += n * n / N;
        n4 += n * n * n * n / N;
    }
    assert_true(fabs(u1 - 0.5) < 0.004 && fabs(u2 - 1.0 / 3) < 0.004);
    assert_true(fabs(n1) < 0.014 && fabs(n2 - 1) < 0.02);
    assert_true(fabs(n4 - 3) < 0.15);
}

/* ---- store ---- */

struct world {
    struct device d;
    struct store s;
    int matrix, scalar, buffer, vector;
};

static struct world *open_world(enum dtype type, enum store_use use)
{
    const struct init init = {INIT_NORMAL, 0.5};
    const int64_t matrix[] = {5, 13}, vector[] = {64};
    struct world *w = xcalloc(1, sizeof *w);
    struct err e = ERR_INIT;

    assert_int_equal(0, ref_open(&w->d, type, &e));
    store_init(&w->s);
    w->matrix = store_add(&w->s, init, 2, matrix, "block.%d.weight", 11);
    w->buffer = store_add_buffer(&w->s, (struct init){INIT_CONSTANT, 1}, 7,
                                 "running_%s", "var");
    w->scalar = store_add(&w->s, init, 0, NULL, "logit_scale");
    w->vector = store_add(&w->s, init, 1, vector, "bias");
    store_seal(&w->s);
    assert_int_equal(0, store_open(&w->s, &w->d, use, &e));
    return w;
}

static void close_world(struct world *w)
{
    store_release(&w->s, &w->d);
    device_close(&w->d);
    free(w);
}

static void test_store__layout(void **state)
{
    struct world *w = open_world(DTYPE_F32, STORE_READ);
    const struct tensor *t = w->s.list;

    (void)state;
    assert_int_equal(w->s.n, 4);
    assert_string_equal(t[w->matrix].name, "block.11.weight");
    assert_string_equal(t[w->buffer].name, "running_var");
    assert_int_equal(t[w->matrix].rank, 2);
    assert_int_equal(t[w->matrix].shape[1], 13);
    assert_int_equal(t[w->matrix].count, 65);
    assert_int_equal(t[w->scalar].rank, 0);
    assert_int_equal(t[w->scalar].count, 1);
    assert_int_equal(t[w->buffer].rank, 1);
    assert_true(t[w->buffer].buffer && !t[w->vector].buffer);
    /* 65 numbers take two steps of 64; the buffer comes behind all. */
    assert_int_equal(t[w->matrix].at, 0);
    assert_int_equal(t[w->scalar].at, 128);
    assert_int_equal(t[w->vector].at, 192);
    assert_int_equal(t[w->buffer].at, 256);
    assert_int_equal(w->s.parameters, 256);
    assert_int_equal(w->s.size, 320);
    assert_int_equal(store_find(&w->s, STR("logit_scale")), w->scalar);
    assert_int_equal(store_find(&w->s, STR("logit_scal")), -1);
    assert_int_equal(store_find(&w->s, STR("")), -1);
    close_world(w);
}

static void test_store__classes(void **state)
{
    (void)state;
    for (int train = 0; train < 2; train++) {
        struct world *w =
            open_world(DTYPE_F64, train ? STORE_TRAIN : STORE_READ);
        const double *real = store_real(&w->s, 0);
        const double *grad = store_grad(&w->s, 0);

        assert_ptr_equal(store_act(&w->s, w->vector),
                         store_real(&w->s, w->vector));
        assert_true(!grad == !train && !w->s.m == !train && !w->s.v == !train);
        for (int64_t i = 0; i < w->s.size; i++) {
            assert_true(real[i] == 0);
            assert_true(!grad || grad[i] == 0);
            assert_true(!train || ((double *)w->s.m)[i] == 0);
            assert_true(!train || ((double *)w->s.v)[i] == 0);
        }
        close_world(w);
    }
}

static void test_store__half_moments(void **state)
{
    static const struct {
        enum store_use use;
        size_t moment_size;
        uint64_t bytes; /* a number, all classes together */
    } cases[] = {
        {STORE_READ, 4, 4}, {STORE_TRAIN, 4, 16}, {STORE_TRAIN_HALF, 2, 12}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world *w = open_world(DTYPE_F32, cases[i].use);
        const uint16_t *m = (const uint16_t *)(const void *)w->s.m;

        assert_int_equal(w->s.half_moments, cases[i].use == STORE_TRAIN_HALF);
        assert_int_equal(w->s.moment_size, cases[i].moment_size);
        assert_int_equal(store_bytes(&w->s),
                         (uint64_t)w->s.size * cases[i].bytes);
        for (int64_t k = 0; w->s.half_moments && k < w->s.size; k++)
            assert_int_equal(m[k], 0);
        close_world(w);
        if (i)
            continue;
        w = open_world(DTYPE_F64, STORE_TRAIN_HALF);
        assert_int_equal(store_bytes(&w->s), (uint64_t)w->s.size * 20);
        close_world(w);
    }
}

/* The reference with activations in bfloat16, as far as the store goes: it has
 * no ops of its own for that, so the cast is the test's. */
static int casts;

static void cast_to_bf16(struct device *d, const struct op_cast *op)
{
    casts++;
    dtype_convert(op->y, d->act, op->x, d->real, (size_t)op->n);
}

static void test_store__mixed(void **state)
{
    struct err e = ERR_INIT;
    struct device d;
    struct ops ops;
    struct store s;
    const int64_t shape[] = {3};
    const float in[] = {1, -2.5f, 1.00390625f};
    int at;

    (void)state;
    assert_int_equal(0, ref_open(&d, DTYPE_F32, &e));
    ops = *d.ops;
    ops.cast = cast_to_bf16;
    d.ops = &ops;
    d.act = DTYPE_BF16;
    store_init(&s);
    at = store_add(&s, (struct init){INIT_CONSTANT, 1}, 1, shape, "w");
    store_seal(&s);
    assert_int_equal(0, store_open(&s, &d, STORE_READ, &e));
    assert_true(s.act != s.real && s.act_size == 2 && s.real_size == 4);
    store_put(&s, &d, at, in, DTYPE_F32);
    casts = 0;
    store_refresh(&s, &d);
    assert_int_equal(casts, 1);
    for (int i = 0; i < 3; i++) {
        uint16_t act = ((const uint16_t *)store_act(&s, at))[i];

        assert_int_equal(act, bf16_from_float(in[i]));
    }
    store_release(&s, &d);
    device_close(&d);
}

/* Into a type and back; larger than what is converted at a time. */
static void test_store__put_get(void **state)
{
    enum { N = 300001 };
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F64};
    float *in = xcalloc(N, sizeof *in), *out = xcalloc(N, sizeof *out);
    double *wide = xcalloc(N, sizeof *wide);
    const int64_t shape[] = {N};

    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = (float)sin(i);
    for (int i = 0; i < 2; i++) {
        struct err e = ERR_INIT;
        struct device d;
        struct store s;
        int at;

        assert_int_equal(0, ref_open(&d, types[i], &e));
        store_init(&s);
        store_add(&s, (struct init){INIT_CONSTANT, 0}, 0, NULL, "before");
        at = store_add(&s, (struct init){INIT_CONSTANT, 0}, 1, shape, "x");
        store_seal(&s);
        assert_int_equal(0, store_open(&s, &d, STORE_TRAIN, &e));
        store_put(&s, &d, at, in, DTYPE_F32);
        store_refresh(&s, &d); /* nothing to do, and no harm */
        store_get(&s, &d, at, out, DTYPE_F32);
        store_get(&s, &d, at, wide, DTYPE_F64);
        assert_memory_equal(in, out, N * sizeof *in);
        for (int k = 0; k < N; k++)
            assert_true(wide[k] == (double)in[k]);
        store_get_grad(&s, &d, at, wide, DTYPE_F64);
        for (int k = 0; k < N; k++)
            assert_true(wide[k] == 0);
        assert_int_equal(0, device_check(&d, &e));
        store_release(&s, &d);
        device_close(&d);
    }
    free(in);
    free(out);
    free(wide);
}

/* A device without memory for the n-th class. */
static int left;
static void *(*ref_alloc)(struct device *d, size_t bytes);

static void *scarce(struct device *d, size_t bytes)
{
    return left-- > 0 ? ref_alloc(d, bytes) : NULL;
}

static void test_store__no_memory(void **state)
{
    const char *const names[] = {"weights", "gradients", "first moments",
                                 "second moments"};

    (void)state;
    for (int n = 0; n < 4; n++) {
        struct err e = ERR_INIT;
        struct device d;
        struct ops ops;
        struct store s;

        assert_int_equal(0, ref_open(&d, DTYPE_F32, &e));
        ops = *d.ops;
        ref_alloc = ops.alloc;
        ops.alloc = scarce;
        d.ops = &ops;
        store_init(&s);
        store_add(&s, (struct init){INIT_CONSTANT, 0}, 0, NULL, "x");
        store_seal(&s);
        left = n;
        assert_int_equal(-E_NOMEM, store_open(&s, &d, STORE_TRAIN, &e));
        assert_non_null(strstr(e.message, names[n]));
        assert_non_null(strstr(e.message, "256 bytes"));
        assert_null(s.real);
        left = 4;
        e = (struct err)ERR_INIT;
        assert_int_equal(0, store_open(&s, &d, STORE_TRAIN, &e));
        store_release(&s, &d);
        device_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random__numbers),
        cmocka_unit_test(test_random__moments),
        cmocka_unit_test(test_store__layout),
        cmocka_unit_test(test_store__classes),
        cmocka_unit_test(test_store__half_moments),
        cmocka_unit_test(test_store__mixed),
        cmocka_unit_test(test_store__put_get),
        cmocka_unit_test(test_store__no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
