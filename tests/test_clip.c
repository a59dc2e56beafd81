/* A batch through the whole model: the ways to compute it agree, and its
 * gradient is the loss's. */
#include "tests/clip_world.h"
#include "train/collective.h"

static const char *const models[] = {"tiny-vit", "tiny-resnet"};
#define MODELS (sizeof models / sizeof *models)
#define BATCH  10

/* How far two orders of the same sums may lie apart. */
static const struct {
    enum world_device device;
    double limit;
} devices[] = {{REF_DOUBLE, 1e-9}, {CPU_FLOAT, 5e-4}, {CPU_BF16, 0.15}};
#define DEVICES (sizeof devices / sizeof *devices)

/* Two ways of one batch, on every model and device. */
static void compare(const struct clip_options *way,
                    const struct clip_options *other, bool bits)
{
    for (size_t m = 0; m < MODELS; m++)
        for (size_t k = 0; k < DEVICES; k++) {
            struct clip_config c = world_config(models[m]);

            world_two_ways(devices[k].device, &c, BATCH, way, other, bits,
                           devices[k].limit);
        }
}

static const struct clip_options plain = {0};

static void test_clip__chunks_equal_the_batch(void **state)
{
    /* every chunk holds whole groups, and the groups are the same */
    static const struct {
        int chunk, group;
    } cases[] = {{1, 1}, {2, 2}, {5, 5}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        compare(&(struct clip_options){.chunk = cases[i].chunk,
                                       .bn_batch = cases[i].group},
                &(struct clip_options){.bn_batch = cases[i].group}, false);
}

static void test_clip__a_last_chunk_may_be_smaller(void **state)
{
    (void)state;
    compare(&(struct clip_options){.chunk = 4, .bn_batch = 2, .packed = true},
            &(struct clip_options){.bn_batch = 2}, false);
}

static void test_clip__packed_equals_padded(void **state)
{
    (void)state;
    compare(&(struct clip_options){.packed = true}, &plain, false);
}

static void test_clip__reduced_equals_full(void **state)
{
    (void)state;
    compare(&(struct clip_options){.reduce = true}, &plain, false);
}

static void test_clip__all_at_once(void **state)
{
    (void)state;
    compare(&(struct clip_options){.chunk = 5,
                                   .bn_batch = 5,
                                   .packed = true,
                                   .reduce = true,
                                   .recompute = true},
            &(struct clip_options){.bn_batch = 5}, false);
}

static void test_clip__recompute_is_bit_equal(void **state)
{
    (void)state;
    compare(&(struct clip_options){.recompute = true}, &plain, true);
    compare(&(struct clip_options){.recompute = true,
                                   .packed = true,
                                   .reduce = true},
            &(struct clip_options){.packed = true, .reduce = true}, true);
}

static void test_clip__again_is_bit_equal(void **state)
{
    (void)state;
    compare(&plain, &plain, true);
}

static void test_clip__recompute_takes_less(void **state)
{
    struct clip_config c = world_config("tiny-vit");
    struct outcome stored, again;
    struct world w;

    (void)state;
    world_open(&w, REF_DOUBLE, &c, 4, 3);
    world_run(&w, &plain, &stored);
    world_run(&w, &(struct clip_options){.recompute = true}, &again);
    assert_true(again.peak < stored.peak);
    outcome_release(&stored);
    outcome_release(&again);
    world_close(&w);
}

/* Loss alone, of weights that were moved a little. */
static double loss_of(struct world *w, const struct clip_options *o)
{
    struct clip_batch b = world_batch(w);
    struct err e = ERR_INIT;
    double loss = 0;

    if (clip_gradients(&w->m, o, &b, &loss, NULL, NULL, &e))
        fail_msg("%s", e.message);
    return loss;
}

static void nudge(struct world *w, int tensor, int64_t number, double by)
{
    struct store *s = &w->m.store;
    int64_t n = s->list[tensor].count;
    double *x = malloc((size_t)n * sizeof *x);

    assert_non_null(x);
    store_get(s, &w->d, tensor, x, DTYPE_F64);
    x[number] += by;
    store_put(s, &w->d, tensor, x, DTYPE_F64);
    store_refresh(s, &w->d);
    free(x);
}

static double slope_of(struct world *w, const struct clip_options *o, int i,
                       int64_t k, double h)
{
    double up, down;

    nudge(w, i, k, h);
    up = loss_of(w, o);
    nudge(w, i, k, -2 * h);
    down = loss_of(w, o);
    nudge(w, i, k, h);
    return (up - down) / (2 * h);
}

/* Whether central differences give it.  A ReLU's kink between the two points
 * spoils one step; all three it does not. */
static bool slope_fits(struct world *w, const struct clip_options *o, int i,
                       int64_t k, double want)
{
    static const double steps[] = {1e-5, 1e-6, 1e-7};

    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        double slope = slope_of(w, o, i, k, steps[s]);

        if (fabs(slope - want) <= 1e-4 * fabs(slope) + 1e-8)
            return true;
    }
    return false;
}

/* One number of every tensor: the largest, whose difference is clearest. */
static void check_gradient(const char *name, enum loss_kind kind)
{
    struct clip_config c = world_config(name);
    struct clip_options o = {
        .loss = kind, .packed = true, .reduce = true, .bn_batch = 2};
    struct outcome at;
    struct world w;
    int checked = 0;

    c.logit_bias = kind == LOSS_SIGMOID;
    c.init_logit_bias = -1;
    world_open(&w, REF_DOUBLE, &c, 4, 11);
    world_run(&w, &o, &at);
    for (int i = 0; i < w.m.store.n; i++) {
        const struct tensor *t = &w.m.store.list[i];
        const double *g = at.numbers + t->at;
        int64_t k = 0;

        if (t->buffer)
            continue;
        for (int64_t j = 0; j < t->count; j++)
            if (fabs(g[j]) > fabs(g[k]))
                k = j;
        if (!slope_fits(&w, &o, i, k, g[k]))
            fail_msg("%s[%lld]: %.9g is not the slope", t->name, (long long)k,
                     g[k]);
        checked += fabs(g[k]) > 1e-7;
    }
    assert_true(checked > w.m.store.n / 2);
    outcome_release(&at);
    world_close(&w);
}

static void test_clip__gradient_is_of_the_loss(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* the reference has one thread, and is slow enough without */
#endif
    for (size_t m = 0; m < MODELS; m++)
        check_gradient(models[m], LOSS_INFONCE);
    check_gradient("tiny-vit-quickgelu", LOSS_INFONCE);
    check_gradient("tiny-vit", LOSS_SIGMOID);
}

static void test_clip__refuses_split_groups(void **state)
{
    struct clip_config c = world_config("tiny-resnet");
    struct err e = ERR_INIT;
    struct collective two;
    struct world w;

    (void)state;
    world_open(&w, REF_FLOAT, &c, 6, 1);
    assert_int_equal(
        clip_plan(&w.m, &(struct clip_options){.chunk = 3, .bn_batch = 2}, 6,
                  &e),
        -E_RANGE);
    assert_non_null(strstr(e.message, "chunks of 3"));
    e = (struct err)ERR_INIT;
    assert_int_equal(
        clip_plan(&w.m, &(struct clip_options){.bn_batch = 4}, 6, &e),
        -E_RANGE);
    assert_non_null(strstr(e.message, "groups of 4"));
    e = (struct err)ERR_INIT;
    collective_self(&two);
    two.size = 2;
    assert_int_equal(
        clip_plan(&w.m, &(struct clip_options){.bn_batch = 8, .ranks = &two}, 6,
                  &e),
        -E_RANGE);
    assert_non_null(strstr(e.message, "groups of 8 reach over ranks of 6"));
    world_close(&w);
}

/* A batch larger than the plan is refused, not written behind the stack. */
static void test_clip__a_batch_beyond_the_plan(void **state)
{
    const struct clip_options one = {.chunk = 1};
    struct clip_config c = world_config("tiny-vit");
    struct err e = ERR_INIT;
    struct clip_batch b;
    struct world w;
    double loss;

    (void)state;
    world_open(&w, REF_FLOAT, &c, 6, 1);
    assert_int_equal(clip_plan(&w.m, &plain, 3, &e), 0);
    b = world_batch(&w);
    assert_int_equal(clip_gradients(&w.m, &plain, &b, &loss, NULL, NULL, &e),
                     -E_TOOBIG);
    world_close(&w);

    /* more losses than the host has room for, too */
    world_open(&w, REF_FLOAT, &c, 200, 1);
    assert_int_equal(clip_plan(&w.m, &one, 1, &e), 0);
    b = world_batch(&w);
    e = (struct err)ERR_INIT;
    assert_int_equal(clip_gradients(&w.m, &one, &b, &loss, NULL, NULL, &e),
                     -E_TOOBIG);
    /* and the device goes on */
    assert_int_equal(clip_plan(&w.m, &one, 200, &e), 0);
    e = (struct err)ERR_INIT;
    if (clip_gradients(&w.m, &one, &b, &loss, NULL, NULL, &e))
        fail_msg("%s", e.message);
    world_close(&w);
}

/* Ids come from outside; they index a table. */
static void test_clip__refuses_ids_and_sizes(void **state)
{
    struct clip_config c = world_config("tiny-vit");
    const int32_t bad[] = {-1, INT32_MIN, c.text.vocab_size, INT32_MAX};
    const int context = c.text.context_length;
    struct err e = ERR_INIT;
    float features[4 * 64];
    struct clip_batch b;
    struct world w;
    double loss;

    (void)state;
    assert_true(c.embed_dim <= 64);
    world_open(&w, REF_FLOAT, &c, 4, 1);
    b = world_batch(&w);
    assert_int_equal(clip_plan(&w.m, &plain, 4, &e), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        w.ids[3 * context - 1] = bad[i]; /* behind the EOT, or in its place */
        e = (struct err)ERR_INIT;
        assert_int_equal(
            clip_gradients(&w.m, &plain, &b, &loss, NULL, NULL, &e), -E_RANGE);
        assert_non_null(strstr(e.message, "caption 2: id"));
        assert_int_equal(
            clip_encode_texts(&w.m, &plain, &b.captions, features, NULL),
            -E_RANGE);
    }
    w.ids[3 * context - 1] = c.text.vocab_size - 1;
    if (clip_gradients(&w.m, &plain, &b, &loss, NULL, NULL, &e))
        fail_msg("%s", e.message);
    e = (struct err)ERR_INIT;
    assert_int_equal(clip_plan(&w.m, &plain, 1 << 28, &e), -E_RANGE);
    assert_non_null(strstr(e.message, "smaller chunk"));
    world_close(&w);
}

/* Encoding in chunks gives what encoding whole gives, and for a ViT what
 * training saw. */
static void test_clip__encode(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        struct clip_config c = world_config(models[m]);
        struct clip_options parts = {.chunk = 4, .bn_batch = 2, .packed = true};
        size_t side = (size_t)BATCH * (size_t)c.embed_dim;
        double *whole = malloc(side * 8), *part = malloc(side * 8);
        struct err e = ERR_INIT;
        struct outcome at;
        struct clip_batch b;
        struct world w;

        assert_true(whole && part);
        world_open(&w, REF_DOUBLE, &c, BATCH, 5);
        b = world_batch(&w);
        world_run(&w, &plain, &at);
        assert_int_equal(
            clip_encode_images(&w.m, &plain, BATCH, &b.pixels, whole, &e), 0);
        if (c.vision.kind == VISION_VIT)
            for (size_t i = 0; i < side; i++)
                assert_true(fabs(whole[i] - at.features[i]) < 1e-12);
        assert_int_equal(clip_plan(&w.m, &parts, BATCH, &e), 0);
        assert_int_equal(
            clip_encode_images(&w.m, &parts, BATCH, &b.pixels, part, &e), 0);
        for (size_t i = 0; i < side; i++)
            assert_true(fabs(whole[i] - part[i]) < 1e-12);
        assert_int_equal(clip_encode_texts(&w.m, &parts, &b.captions, part, &e),
                         0);
        for (size_t i = 0; i < side; i++)
            assert_true(fabs(part[i] - at.features[side + i]) < 1e-12);
        outcome_release(&at);
        world_close(&w);
        free(whole);
        free(part);
    }
}

/* ---- bytes ---- */

/* A batch in chunks, then features alone. */
static void run_bytes(const char *model, enum world_device device, bool numbers,
                      struct world *w, struct outcome *out, double *features)
{
    const struct clip_options o = {
        .chunk = 4,
        .bn_batch = 2,
        .pixels = numbers ? PIXEL_REAL : PIXEL_BYTE,
    };
    struct clip_config c = world_config(model);
    struct err e = ERR_INIT;

    world_open(w, device, &c, BATCH, 7);
    world_bytes(w, numbers);
    world_run(w, &o, out);
    if (clip_encode_images(&w->m, &o, BATCH, &w->pixels, features, &e))
        fail_msg("%s", e.message);
}

/* Bytes give what the same numbers normalised on the host give, to the last
 * bit on every device, and take no more room: both are read where they lie. */
static void test_clip__bytes_equal_numbers(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        for (enum world_device k = REF_DOUBLE; k <= CPU_BF16; k++) {
            struct clip_config c = world_config(models[m]);
            size_t size = (size_t)BATCH * (size_t)c.embed_dim * 8;
            double *x = calloc(1, size), *y = calloc(1, size);
            struct outcome a, b;
            struct world w, v;

            if (world_has(k)) {
                assert_true(x && y);
                run_bytes(models[m], k, true, &w, &a, x);
                run_bytes(models[m], k, false, &v, &b, y);
                outcome_equal(&w, &a, &b);
                assert_memory_equal(x, y, size);
                assert_true(b.peak <= a.peak);
                outcome_release(&a);
                outcome_release(&b);
                world_close(&w);
                world_close(&v);
            }
            free(x);
            free(y);
        }
}

/* A plan sees packed captions in all their sizes, one after the other: the
 * largest is what a step takes that computes all of every caption. */
static void test_clip__packed_plans_no_more(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        const struct clip_options padded = {0}, packed = {.packed = true};
        struct clip_config c = world_config(models[m]);
        struct err e = ERR_INIT;
        struct world w;
        size_t most;

        if (!world_has(CPU_FLOAT))
            continue;
        world_open(&w, CPU_FLOAT, &c, BATCH, 5);
        assert_int_equal(clip_plan(&w.m, &padded, BATCH, &e), 0);
        most = w.d.peak;
        assert_int_equal(clip_plan(&w.m, &packed, BATCH, &e), 0);
        assert_true(w.d.peak <= most + most / 4); /* rows are padded */
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip__packed_plans_no_more),
        cmocka_unit_test(test_clip__chunks_equal_the_batch),
        cmocka_unit_test(test_clip__a_last_chunk_may_be_smaller),
        cmocka_unit_test(test_clip__packed_equals_padded),
        cmocka_unit_test(test_clip__reduced_equals_full),
        cmocka_unit_test(test_clip__all_at_once),
        cmocka_unit_test(test_clip__recompute_is_bit_equal),
        cmocka_unit_test(test_clip__again_is_bit_equal),
        cmocka_unit_test(test_clip__recompute_takes_less),
        cmocka_unit_test(test_clip__gradient_is_of_the_loss),
        cmocka_unit_test(test_clip__refuses_split_groups),
        cmocka_unit_test(test_clip__a_batch_beyond_the_plan),
        cmocka_unit_test(test_clip__refuses_ids_and_sizes),
        cmocka_unit_test(test_clip__encode),
        cmocka_unit_test(test_clip__bytes_equal_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
