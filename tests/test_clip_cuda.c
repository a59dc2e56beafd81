/* A batch through the whole model on the cuda backend: near the reference in
 * double, the same bits op by op and in graphs, without waiting in the midst.
 * On a GPU with CUDA=1, else emulated (tests/emulate). */
#include "tests/clip_cuda.h"

static void test_clip_cuda__against_reference(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        for (size_t t = 0; t < TYPES; t++)
            for (size_t i = 0; i < WAYS; i++)
                check(m, t, i, OBJECTIVE_CONTRASTIVE);
}

static void step(struct world *w, const struct clip_options *o, uint64_t seed,
                 struct outcome *out)
{
    struct clip_batch b;

    world_captions(w, seed);
    b = world_batch(w);
    compute(w, o, &b, out);
}

/* Six batches, whose packed captions take different numbers of rows, twice:
 * recorded, repeated, taken up again. */
static void test_clip_cuda__graphs_change_no_bit(void **state)
{
    static const uint64_t seeds[] = {1, 1, 2, 3, 2, 1, 4, 3, 4, 2};

    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        for (size_t i = 0; i < WAYS; i++) {
            struct world w, eager;
            struct err e = ERR_INIT;

            open_cuda(&w, DTYPE_BF16, false, models[m], 7);
            open_cuda(&eager, DTYPE_BF16, true, models[m], 7);
            assert_int_equal(clip_plan(&w.m, &ways[i], BATCH, &e), 0);
            assert_int_equal(clip_plan(&eager.m, &ways[i], BATCH, &e), 0);
            for (size_t k = 0; k < sizeof seeds / sizeof *seeds; k++) {
                struct outcome a, b;

                step(&w, &ways[i], seeds[k], &a);
                step(&eager, &ways[i], seeds[k], &b);
                outcome_equal(&w, &a, &b);
                outcome_release(&a);
                outcome_release(&b);
            }
            world_close(&w);
            world_close(&eager);
        }
}

#ifdef WITMILL_EMULATED
/* Graphs that do not fit: others make room, or steps go on op by op, with the
 * same bits; a step never fails for it. */
static void test_clip_cuda__graphs_without_memory(void **state)
{
    struct world w, eager;
    struct err e = ERR_INIT;
    uint64_t graphs = 0;

    (void)state;
    open_cuda(&w, DTYPE_BF16, false, "tiny-vit", 7);
    open_cuda(&eager, DTYPE_BF16, true, "tiny-vit", 7);
    assert_int_equal(clip_plan(&w.m, &ways[2], BATCH, &e), 0);
    assert_int_equal(clip_plan(&eager.m, &ways[2], BATCH, &e), 0);
    for (int i = 0; i < 8; i++) {
        struct outcome a, b;

        emulate_refuse_graphs(i == 3 ? 1 : 0);
        emulate_memory(i == 4 || i == 5 ? 1 << 20 : SIZE_MAX);
        graphs = emulate_counted().graphs;
        step(&w, &ways[2], (uint64_t)(i / 2), &a);
        step(&eager, &ways[2], (uint64_t)(i / 2), &b);
        outcome_equal(&w, &a, &b);
        outcome_release(&a);
        outcome_release(&b);
        graphs = emulate_counted().graphs - graphs;
    }
    assert_true(graphs > 0);
    emulate_memory(SIZE_MAX);
    world_close(&w);
    world_close(&eager);
}

/* A plan leaves some memory to what comes later. */
static void test_clip_cuda__leaves_memory(void **state)
{
    struct err e = ERR_INIT;
    struct device d;

    (void)state;
    assert_int_equal(cuda_open(&d, DTYPE_BF16, &(struct cuda_options){0}, &e),
                     0);
    emulate_memory((size_t)1200 << 20);
    device_plan_begin(&d);
    device_take(&d, (size_t)200 << 20);
    assert_int_equal(device_plan_end(&d, &e), -E_NOMEM);
    device_plan_begin(&d);
    device_take(&d, (size_t)170 << 20);
    assert_int_equal(device_plan_end(&d, &e), 0);
    emulate_memory(SIZE_MAX);
    device_close(&d);
}

/* A step of a whole batch waits for the two columns of losses, and for nothing
 * else; it allocates nothing, and what repeats is launched as graphs. */
static void test_clip_cuda__waits_at_the_end(void **state)
{
    struct emulate_counts before, behind;
    struct clip_batch b;
    struct err e = ERR_INIT;
    struct world w;
    double loss;

    (void)state;
    open_cuda(&w, DTYPE_BF16, false, "tiny-vit", 7);
    b = world_batch(&w);
    assert_int_equal(clip_plan(&w.m, &ways[1], BATCH, &e), 0);
    for (int i = 0; i < 4; i++) {
        before = emulate_counted();
        assert_int_equal(
            clip_gradients(&w.m, &ways[1], &b, &loss, NULL, NULL, &e), 0);
        behind = emulate_counted();
        assert_int_equal(behind.waits - before.waits, 2);
        assert_int_equal(behind.allocations, before.allocations);
        assert_int_equal(behind.graphs - before.graphs, i > 0);
        assert_true(behind.kernels > before.kernels);
    }
    world_close(&w);
}
#endif

/* On a device with memory of its own, room that was planned for bytes is too
 * small for numbers. */
static void test_clip_cuda__numbers_where_bytes_were_planned(void **state)
{
    const struct clip_options o = {.pixels = PIXEL_BYTE};
    struct err e = ERR_INIT;
    struct clip_batch b;
    struct world w;
    double loss;

    (void)state;
    open_cuda(&w, DTYPE_F32, true, "tiny-vit", 1);
    assert_int_equal(clip_plan(&w.m, &o, BATCH, &e), 0);
    b = world_batch(&w);
    assert_int_equal(clip_gradients(&w.m, &o, &b, &loss, NULL, NULL, &e),
                     -E_TOOBIG);
    world_bytes(&w, false);
    b = world_batch(&w);
    e = (struct err)ERR_INIT;
    if (clip_gradients(&w.m, &o, &b, &loss, NULL, NULL, &e))
        fail_msg("%s", e.message);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip_cuda__against_reference),
        cmocka_unit_test(test_clip_cuda__graphs_change_no_bit),
#ifdef WITMILL_EMULATED
        cmocka_unit_test(test_clip_cuda__numbers_where_bytes_were_planned),
        cmocka_unit_test(test_clip_cuda__graphs_without_memory),
        cmocka_unit_test(test_clip_cuda__leaves_memory),
        cmocka_unit_test(test_clip_cuda__waits_at_the_end),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
