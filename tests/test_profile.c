/* profile: what ops cost, and a step's table on the cpu. */
#include "tests/clip_world.h"
#include "train/profile.h"

/* Sizes of numbers are all that costs ask of it. */
static const struct device device = {.act = DTYPE_BF16, .real = DTYPE_F32};

/* By hand: bf16 activations of 2 bytes, float of 4. */
static void test_profile__costs(void **state)
{
    char x[1];
    const struct op_linear y = {.m = 10,
                                .n = 30,
                                .k = 20,
                                .x = x,
                                .w = x,
                                .act = ACT_GELU,
                                .pre = x,
                                .res = x,
                                .y = x};
    const struct op_linear_dx dx = {
        .m = 10, .n = 30, .k = 20, .dy = x, .w = x, .add = true, .dx = x};
    const struct op_linear_dw dw = {.m = 10, .n = 30, .k = 20, .x = x, .dy = x};
    const struct op_conv conv = {.batch = 2,
                                 .h = 8,
                                 .w = 6,
                                 .in = 4,
                                 .out = 5,
                                 .kernel = 3,
                                 .stride = 2,
                                 .pad = 1};
    const struct op_conv_dw conv_dw = {.batch = 2,
                                       .h = 8,
                                       .w = 6,
                                       .in = 4,
                                       .out = 5,
                                       .kernel = 3,
                                       .stride = 2,
                                       .pad = 1};
    const struct op_layernorm_bwd norm = {.rows = 7, .dim = 9, .res = x};
    const struct op_batchnorm bn = {.groups = 2, .per = 3, .dim = 4};
    const struct op_zero zero = {.bytes = 77};
    const struct {
        enum op_kind kind;
        const void *op;
        uint64_t flops, bytes;
        const char *shape;
    } cases[] = {
        {OP_linear, &y, 12000, 2 * (200 + 600 + 3 * 300), "10x30x20 gelu"},
        {OP_linear_dx, &dx, 12000, 2 * (300 + 600 + 2 * 200), "10x30x20"},
        {OP_linear_dw, &dw, 12000, 2 * (300 + 200) + 2 * 4 * 600, "10x30x20"},
        {OP_conv, &conv, 2 * 2 * 4 * 3 * 5 * 4 * 9,
         2 * (2 * 48 * 4 + 2 * 12 * 5 + 180), "2x8x6 4-5 3x3/2"},
        {OP_conv_dw, &conv_dw, 2 * 2 * 4 * 3 * 5 * 4 * 9,
         2 * (2 * 48 * 4 + 2 * 12 * 5) + 2 * 4 * 180, "2x8x6 4-5 3x3/2"},
        {OP_layernorm_bwd, &norm, 0, 2 * 4 * 63, "7x9"},
        {OP_batchnorm, &bn, 0, 2 * 3 * 24, "6x4"},
        {OP_zero, &zero, 0, 77, "77"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct profile_cost c =
            profile_cost(&device, cases[i].kind, cases[i].op);

        assert_int_equal(c.flops, cases[i].flops);
        assert_int_equal(c.bytes, cases[i].bytes);
        assert_string_equal(c.shape, cases[i].shape);
    }
}

/* A step's ops are all in the table, with the operations the device counted
 * and times that are some; the step's numbers stay the same bits. */
static void test_profile__a_step(void **state)
{
    struct profile *p = malloc(sizeof *p);
    struct clip_options o = {.packed = true};
    struct clip_config c = world_config("tiny-resnet");
    struct outcome plain, profiled;
    struct err e = ERR_INIT;
    uint64_t flops = 0, calls = 0, before;
    struct world w;
    struct buf text;

    (void)state;
    assert_non_null(p);
    world_open(&w, CPU_FLOAT, &c, 4, 1);
    world_run(&w, &o, &plain);
    world_close(&w);
    world_open(&w, CPU_FLOAT, &c, 4, 1);
    assert_int_equal(clip_plan(&w.m, &o, 4, &e), 0);
    assert_int_equal(profile_begin(p, &w.d, &e), 0);
    assert_true(p->flops_s > 1e6 && p->bytes_s > 1e6);
    assert_int_equal(p->n, 0);
    before = w.d.flops;
    world_run(&w, &o, &profiled);
    profile_end(p, &w.d);
    assert_null(w.d.profile);
    outcome_equal(&w, &profiled, &plain);
    for (int i = 0; i < p->n; i++) {
        flops += p->row[i].flops;
        calls += p->row[i].calls;
        assert_true(p->row[i].seconds > 0);
        for (int k = 0; k < i; k++)
            assert_true(p->row[i].kind != p->row[k].kind ||
                        strcmp(p->row[i].shape, p->row[k].shape) != 0);
    }
    assert_true(calls > 100);
    /* the plan inside world_run counts once more or oftener */
    assert_true(flops > 0 && 2 * flops <= w.d.flops - before);
    buf_init(&text, 1 << 20);
    profile_print(p, &text);
    assert_int_equal(text.rc, 0);
    buf_add_char(&text, '\0');
    assert_non_null(strstr(text.p, "conv_dw"));
    assert_non_null(strstr(text.p, "\nall "));
    buf_release(&text);
    outcome_release(&plain);
    outcome_release(&profiled);
    world_close(&w);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile__costs),
        cmocka_unit_test(test_profile__a_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
