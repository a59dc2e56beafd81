/* The embedding's backward of the cuda backend where test_ops_cuda's shapes do
 * not reach: lists of several tiles and many chunks, keys of one to three
 * digits, entries in every caption.  Numbers are small multiples of 2^-6, so
 * that sums are exact and must equal the reference's to the last bit, in any
 * order of a block's threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/emulate/emulate.h"
#include "train/cuda/cuda.h"
#include "train/op.h"
#include "train/random.h"
#include "train/ref/ref.h"

#define CONTEXT 77

static const struct shape {
    int64_t rows, dim, vocab;
    bool captions; /* ids as captions have them; else all are the last one */
} shapes[] = {
    {1, 8, 1, false},        {63, 8, 2, false},       {64, 8, 300, false},
    {65, 8, 300, false},     {128, 12, 70000, false}, {2048, 8, 256, true},
    {2049, 8, 257, true},    {4500, 16, 49408, true}, {5000, 5, 70000, true},
    {1300, 2056, 300, true}, {4097, 8, 2, false},     {20000, 8, 300, false},
    {16500, 8, 300, true},
};

#define SHAPES (sizeof shapes / sizeof *shapes)

struct batch {
    int32_t *ids, *places;
    float *dx, *token, *position; /* the last two: before */
};

static float *numbers(int64_t n, const char *name)
{
    uint64_t s = random_stream(1, str_of(name));
    float *x = xmalloc((size_t)n * sizeof *x);

    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_bits(s, (uint64_t)i) % 129) / 64 - 1;
    return x;
}

/* Captions of 2 to 77 tokens: the last id but one, words, the last id, pads. */
static void fill(const struct shape *s, struct batch *b)
{
    uint64_t stream = random_stream(2, STR("ids"));
    int64_t len = 0, at = 0;

    for (int64_t r = 0; r < s->rows; r++, at++) {
        uint64_t bits = random_bits(stream, (uint64_t)r);

        if (at == CONTEXT)
            at = 0;
        if (!at)
            len = 2 + (int64_t)(bits % (CONTEXT - 1));
        b->places[r] = (int32_t)at;
        if (!s->captions || at == len - 1)
            b->ids[r] = (int32_t)s->vocab - 1;
        else if (at == 0)
            b->ids[r] = (int32_t)s->vocab - 2;
        else
            b->ids[r] =
                at < len ? (int32_t)((bits >> 8) % (uint64_t)s->vocab) : 0;
    }
}

static void open_batch(const struct shape *s, struct batch *b)
{
    b->ids = xmalloc((size_t)s->rows * sizeof *b->ids);
    b->places = xmalloc((size_t)s->rows * sizeof *b->places);
    fill(s, b);
    b->dx = numbers(s->rows * s->dim, "dx");
    b->token = numbers(s->vocab * s->dim, "token");
    b->position = numbers(CONTEXT * s->dim, "position");
}

static void close_batch(struct batch *b)
{
    free(b->ids);
    free(b->places);
    free(b->dx);
    free(b->token);
    free(b->position);
}

static void *given(struct device *d, const void *host, size_t bytes)
{
    void *p = device_alloc(d, bytes, NULL);

    assert_non_null(p);
    device_put(d, p, host, bytes);
    return p;
}

/* dtoken, then dposition, behind the op. */
static float *run(struct device *d, const struct shape *s,
                  const struct batch *b)
{
    size_t rows = (size_t)s->rows, dx = rows * (size_t)s->dim;
    size_t token = (size_t)(s->vocab * s->dim) * sizeof(float);
    size_t position = (size_t)(CONTEXT * s->dim) * sizeof(float);
    float *out = xmalloc(token + position);
    void *host = xmalloc(dx * dtype_size(d->act));
    struct op_embed_bwd o = {
        .rows = s->rows,
        .dim = s->dim,
        .vocab = s->vocab,
        .places_max = CONTEXT,
        .ids = given(d, b->ids, rows * sizeof *b->ids),
        .places = given(d, b->places, rows * sizeof *b->places),
        .dtoken = given(d, b->token, token),
        .dposition = given(d, b->position, position),
    };
    struct err e = ERR_INIT;

    dtype_convert(host, d->act, b->dx, DTYPE_F32, dx);
    o.dx = given(d, host, dx * dtype_size(d->act));
    device_plan_begin(d);
    op_embed_bwd(d, &o);
    assert_int_equal(device_plan_end(d, &e), 0);
    op_embed_bwd(d, &o);
    device_get(d, out, o.dtoken, token);
    device_get(d, (char *)out + token, o.dposition, position);
    if (device_check(d, &e))
        fail_msg("%s", e.message);
    device_free(d, (void *)o.ids);
    device_free(d, (void *)o.places);
    device_free(d, (void *)o.dx);
    device_free(d, o.dtoken);
    device_free(d, o.dposition);
    free(host);
    return out;
}

static void compare(struct device *d, struct device *ref)
{
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        int64_t count = (s->vocab + CONTEXT) * s->dim;
        struct batch b;
        float *want, *got;

        open_batch(s, &b);
        want = run(ref, s, &b);
        for (uint64_t order = 0; order < 3; order++) {
#ifdef WITMILL_EMULATED
            emulate_schedule(order);
#endif
            got = run(d, s, &b);
            for (int64_t k = 0; k < count; k++)
                if (got[k] != want[k])
                    fail_msg("%s, shape %zu, order %d: [%lld] is %.9g, not "
                             "%.9g",
                             dtype_name(d->act), i, (int)order, (long long)k,
                             (double)got[k], (double)want[k]);
            free(got);
        }
        free(want);
        close_batch(&b);
    }
#ifdef WITMILL_EMULATED
    emulate_schedule(0);
#endif
}

static void test_embed_cuda__sums_are_the_reference_s(void **state)
{
    static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};
    struct device ref, d;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (int t = 0; t < 2; t++) {
        int rc = cuda_open(&d, acts[t], &(struct cuda_options){0}, &e);

        if (rc == -E_UNSUPPORTED) {
            device_close(&ref);
            print_message("skipped: %s\n", e.message);
            skip();
        }
        assert_int_equal(rc, 0);
        compare(&d, &ref);
        device_close(&d);
    }
    device_close(&ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_cuda__sums_are_the_reference_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
