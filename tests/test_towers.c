/* text and ViT: gradients against central differences, forms that must be
 * equal, the stack, the published model's tensors and operations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/random.h"
#include "train/ref/ref.h"
#include "train/tower.h"

#define SAMPLES 3

/* Odd sizes: a rest of a pixel at the edge, heads of 3 and 5 columns. */
static const struct clip_config tiny = {
    .embed_dim = 5,
    .vision = {.kind = VISION_VIT,
               .image_size = 10,
               .width = 9,
               .layers = 2,
               .patch_size = 3,
               .head_width = 3,
               .mlp_ratio = 1.5},
    .text = {.context_length = 7,
             .vocab_size = 11,
             .width = 10,
             .heads = 2,
             .layers = 3,
             .mlp_ratio = 2.1},
};

/* Behind the first EOT (10) stands what nobody may see. */
static const int32_t ids[SAMPLES * 7] = {
    9, 1,  2, 10, 6, 10, 4,  /* 4 rows */
    9, 10, 8, 8,  8, 8,  8,  /* 2 rows */
    9, 3,  1, 0,  5, 7,  10, /* 7 rows */
};
static const struct captions captions = {SAMPLES, 7, ids};

enum which { TEXT, VIT };

/* How a tower is run; none of it may matter. */
struct form {
    bool packed, reduce, recompute;
    int row_step;
};

/* A tower on a double device, its input and a random linear functional of its
 * features. */
struct world {
    enum which which;
    struct device d;
    struct store s;
    struct text_tower text;
    struct vit vit;
    double *pixels; /* device memory, which the host can read here */
    double *weight; /* of the functional, [SAMPLES, embed_dim] */
    double features[SAMPLES * 5];
    size_t kept; /* bytes of the stack between forward and backward */
};

/* Weights of a size that makes every part matter: gains about 1, the rest
 * about 0.4, biases too. */
static void fill_weights(struct world *w)
{
    for (int i = 0; i < w->s.n; i++) {
        const struct tensor *t = &w->s.list[i];
        uint64_t stream = random_stream(5, str_of(t->name));
        bool gain = t->init.kind == INIT_CONSTANT && t->init.scale == 1;
        double *x = store_real(&w->s, i);

        for (int64_t k = 0; k < t->count; k++)
            x[k] = (gain ? 1 : 0) + 0.4 * random_normal(stream, (uint64_t)k);
    }
}

static double *numbers(struct device *d, int64_t n, const char *name)
{
    double *x = device_alloc(d, (size_t)n * sizeof *x, NULL);

    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = random_normal(random_stream(6, str_of(name)), (uint64_t)i);
    return x;
}

static struct world *open_world(enum which which, bool quick)
{
    struct clip_config c = tiny;
    struct world *w = xcalloc(1, sizeof *w);
    int side = c.vision.image_size;
    struct err e = ERR_INIT;

    c.quick_gelu = quick;
    w->which = which;
    assert_int_equal(0, ref_open(&w->d, DTYPE_F64, &e));
    store_init(&w->s);
    if (which == TEXT)
        text_tower_init(&w->text, &w->s, &c);
    else
        vit_init(&w->vit, &w->s, &c);
    store_seal(&w->s);
    assert_int_equal(0, store_open(&w->s, &w->d, STORE_TRAIN, &e));
    fill_weights(w);
    w->pixels = numbers(&w->d, SAMPLES * 3 * side * side, "pixels");
    w->weight = numbers(&w->d, SAMPLES * c.embed_dim, "weight");
    return w;
}

static void close_world(struct world *w)
{
    if (w->which == TEXT)
        text_tower_release(&w->text);
    else
        vit_release(&w->vit);
    device_free(&w->d, w->pixels);
    device_free(&w->d, w->weight);
    store_release(&w->s, &w->d);
    device_close(&w->d);
    free(w);
}

/* Forward, and with `train` backward: what one dry and one real run do. */
static void run_once(struct world *w, const struct form *f, bool train)
{
    struct device *d = &w->d;
    struct pass p = {.d = d,
                     .store = &w->s,
                     .train = train,
                     .recompute = f->recompute,
                     .reduce = f->reduce};
    double *features = device_take_act(d, SAMPLES * tiny.embed_dim);
    struct caption_rows at;
    struct rows rows;

    if (w->which == TEXT) {
        rows_captions(d, &captions, f->packed, 0, &at);
        text_tower_forward(&p, &w->text, &at, features);
    } else {
        rows_pictures(d, SAMPLES, w->vit.grid * w->vit.grid + 1, &rows);
        vit_forward(&p, &w->vit, &rows, &(struct pixels){.x = w->pixels},
                    features);
    }
    device_get(d, w->features, features, sizeof w->features);
    w->kept = device_mark(d);
    if (!train)
        return;
    if (w->which == TEXT)
        text_tower_backward(&p, &w->text, w->weight);
    else
        vit_backward(&p, &w->vit, w->weight);
    assert_int_equal(device_mark(d), w->kept);
}

/* The functional of the features; with `train` the gradients, too.  The stack
 * holds no number when the run begins: what is read was written. */
static double run(struct world *w, const struct form *f, bool train)
{
    size_t bytes = (size_t)w->s.size * sizeof(double);
    struct err e = ERR_INIT;
    double sum = 0;

    w->d.row_step = f->row_step;
    device_plan_begin(&w->d);
    run_once(w, f, train);
    assert_int_equal(0, device_plan_end(&w->d, &e));
    memset(w->d.stack, 0xff, w->d.stack_size);
    memset(w->s.grad, 0, bytes);
    run_once(w, f, train);
    device_release(&w->d, 0);
    assert_int_equal(0, device_check(&w->d, &e));
    for (int i = 0; i < SAMPLES * tiny.embed_dim; i++)
        sum += w->weight[i] * w->features[i];
    return sum;
}

static double largest(const double *x, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

/* ---- gradients ---- */

static double nudged(struct world *w, const struct form *f, double *x,
                     double by)
{
    double was = *x, sum;

    *x = was + by;
    sum = run(w, f, false);
    *x = was;
    return sum;
}

/* Every step-th number of every tensor, by a difference of fourth order. */
static void check_gradients(enum which which, bool quick, struct form f,
                            int step)
{
    const double h = 2e-3;
    struct world *w = open_world(which, quick);

    run(w, &f, true);
    for (int i = 0; i < w->s.n; i++) {
        const struct tensor *t = &w->s.list[i];
        size_t bytes = (size_t)t->count * sizeof(double);
        double *x = store_real(&w->s, i), *got = xmalloc(bytes), most;

        memcpy(got, store_grad(&w->s, i), bytes);
        most = largest(got, t->count);
        assert_true(most > 1e-3); /* every tensor takes part */
        for (int64_t k = 0; k < t->count; k += step) {
            double near = nudged(w, &f, x + k, h) - nudged(w, &f, x + k, -h);
            double far =
                nudged(w, &f, x + k, 2 * h) - nudged(w, &f, x + k, -2 * h);
            double want = (8 * near - far) / (12 * h);

            if (!(fabs(got[k] - want) <= 1e-6 * (most + fabs(want))))
                fail_msg("%s[%lld]: %.12g, difference %.12g", t->name,
                         (long long)k, got[k], want);
        }
        run(w, &f, true);
        assert_memory_equal(got, store_grad(&w->s, i), bytes);
        free(got);
    }
    close_world(w);
}

static void test_text__gradients(void **state)
{
    (void)state;
    check_gradients(TEXT, false, (struct form){false, false, false, 1}, 5);
    check_gradients(TEXT, true, (struct form){true, true, false, 4}, 1);
}

static void test_vit__gradients(void **state)
{
    (void)state;
    check_gradients(VIT, false, (struct form){false, false, false, 1}, 5);
    check_gradients(VIT, true, (struct form){false, true, false, 1}, 1);
}

/* ---- forms ---- */

/* Features and gradients of one form. */
struct result {
    double features[SAMPLES * 5];
    double *grad;
    size_t kept;
    uint64_t flops;
};

static struct result run_form(struct world *w, struct form f)
{
    struct result r = {.grad = NULL};
    size_t bytes = (size_t)w->s.size * sizeof(double);
    uint64_t before = w->d.flops;

    run(w, &f, true);
    memcpy(r.features, w->features, sizeof r.features);
    r.grad = xmalloc(bytes);
    memcpy(r.grad, w->s.grad, bytes);
    r.kept = w->kept;
    r.flops = w->d.flops - before;
    return r;
}

static void check_near(const double *a, const double *b, int64_t n,
                       const char *what)
{
    double most = largest(a, n);

    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= 1e-12 * most))
            fail_msg("%s[%lld]: %.17g and %.17g", what, (long long)i, a[i],
                     b[i]);
}

static void check_equal_forms(enum which which, const struct form *forms, int n)
{
    for (int quick = 0; quick < 2; quick++) {
        struct world *w = open_world(which, quick);
        struct result first = run_form(w, forms[0]);

        for (int i = 1; i < n; i++) {
            struct result r = run_form(w, forms[i]);

            check_near(first.features, r.features, SAMPLES * 5, "features");
            for (int k = 0; k < w->s.n; k++) {
                const struct tensor *t = &w->s.list[k];

                check_near(first.grad + t->at, r.grad + t->at, t->count,
                           t->name);
            }
            free(r.grad);
        }
        free(first.grad);
        close_world(w);
    }
}

static void test_text__forms_are_equal(void **state)
{
    static const struct form forms[] = {
        {false, false, false, 1}, {true, false, false, 1},
        {true, false, false, 16}, {true, true, false, 1},
        {true, true, false, 16},  {false, true, false, 1},
        {true, true, true, 5},    {false, false, true, 1},
    };

    (void)state;
    check_equal_forms(TEXT, forms, sizeof forms / sizeof *forms);
}

static void test_vit__forms_are_equal(void **state)
{
    static const struct form forms[] = {
        {false, false, false, 1},
        {false, true, false, 1},
        {false, true, true, 1},
        {false, false, true, 1},
    };

    (void)state;
    check_equal_forms(VIT, forms, sizeof forms / sizeof *forms);
}

/* Made again is bit-equal to kept, and keeps less. */
static void check_recompute(enum which which, bool reduce)
{
    struct world *w = open_world(which, false);
    struct form f = {true, reduce, false, 4};
    struct result kept = run_form(w, f), again;

    f.recompute = true;
    again = run_form(w, f);
    assert_memory_equal(kept.features, again.features, sizeof kept.features);
    assert_memory_equal(kept.grad, again.grad,
                        (size_t)w->s.size * sizeof(double));
    assert_true(again.kept < kept.kept);
    assert_true(again.flops > kept.flops);
    free(kept.grad);
    free(again.grad);
    close_world(w);
}

static void test_towers__recompute_is_bit_equal(void **state)
{
    (void)state;
    for (int reduce = 0; reduce < 2; reduce++) {
        check_recompute(TEXT, reduce);
        check_recompute(VIT, reduce);
    }
}

static size_t taken(int64_t numbers_taken, size_t number_bytes)
{
    size_t bytes = (size_t)numbers_taken * number_bytes;

    return (bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
}

/* What stands on the stack between forward and backward: nothing that backward
 * does not read. */
static void test_vit__keeps(void **state)
{
    const int64_t n = SAMPLES, d = 9, h = 13, r = n * 10; /* 9 squares, class */
    const size_t row = taken(r * d, 8), stats = 2 * taken(r, 8);
    const size_t read = taken(n * d, 8), read_stats = 2 * taken(n, 8);
    const size_t tower = taken(n * 5, 8) + taken(5 * n + 1, 4) +
                         taken(n * 9 * 27, 8) + 2 * row + stats + 2 * read +
                         read_stats;
    const size_t block = 4 * row + taken(3 * r * d, 8) + 2 * taken(r * h, 8) +
                         taken(3 * r, 8) + 2 * stats;
    const size_t reduced = row + stats + 6 * read + taken(2 * r * d, 8) +
                           2 * taken(n * h, 8) + taken(3 * n, 8) + read_stats;
    const struct {
        bool reduce, recompute;
        size_t kept;
    } want[] = {
        {false, false, tower + 2 * block + row},
        {true, false, tower + block + row + reduced},
        {false, true, tower + row},
        {true, true, tower + row},
    };

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct form f = {false, want[i].reduce, want[i].recompute, 1};
        struct world *w = open_world(VIT, false);
        struct result got = run_form(w, f);

        assert_int_equal(got.kept, want[i].kept);
        free(got.grad);
        close_world(w);
    }
}

/* Without training the features are the same bits, and the blocks leave nothing
 * on the stack. */
static void test_towers__encode(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct world *w = open_world(i & 1 ? TEXT : VIT, false);
        struct form f = {i & 2, i & 4, false, 4};
        struct result r = run_form(w, f);

        run(w, &f, false);
        assert_memory_equal(r.features, w->features, sizeof r.features);
        assert_true(w->kept < r.kept);
        free(r.grad);
        close_world(w);
    }
}

/* What stands behind an EOT changes no bit. */
static void test_text__behind_eot(void **state)
{
    int32_t other[SAMPLES * 7];
    struct device *d;

    (void)state;
    memcpy(other, ids, sizeof other);
    for (int i = 0; i < SAMPLES; i++)
        for (int k = caption_eot(ids + 7 * i, 7) + 1; k < 7; k++)
            other[7 * i + k] = (other[7 * i + k] + 3) % 10;
    for (int reduce = 0; reduce < 2; reduce++) {
        struct world *w = open_world(TEXT, false);
        const struct captions c = {SAMPLES, 7, other};
        struct form f = {false, reduce, false, 1};
        struct pass p = {.d = &w->d, .store = &w->s, .reduce = reduce};
        double features[SAMPLES * 5], *out;
        struct caption_rows at;

        d = &w->d;
        run(w, &f, false);
        out = device_take_act(d, SAMPLES * 5);
        rows_captions(d, &c, false, 0, &at);
        text_tower_forward(&p, &w->text, &at, out);
        device_get(d, features, out, sizeof features);
        assert_memory_equal(features, w->features, sizeof features);
        close_world(w);
    }
}

/* Gradients are added to what is there: two runs are twice one. */
static void test_towers__gradients_add(void **state)
{
    (void)state;
    for (int which = TEXT; which <= VIT; which++) {
        struct form f = {true, true, false, 4};
        struct world *w = open_world((enum which)which, false);
        struct result r = run_form(w, f);
        const double *grad = (const double *)w->s.grad;

        run_once(w, &f, true);
        for (int64_t i = 0; i < w->s.size; i++)
            assert_true(fabs(grad[i] - 2 * r.grad[i]) <=
                        1e-12 * largest(r.grad, w->s.size));
        free(r.grad);
        close_world(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__gradients),
        cmocka_unit_test(test_vit__gradients),
        cmocka_unit_test(test_text__forms_are_equal),
        cmocka_unit_test(test_vit__forms_are_equal),
        cmocka_unit_test(test_towers__recompute_is_bit_equal),
        cmocka_unit_test(test_vit__keeps),
        cmocka_unit_test(test_towers__encode),
        cmocka_unit_test(test_text__behind_eot),
        cmocka_unit_test(test_towers__gradients_add),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
