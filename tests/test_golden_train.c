/* Training steps recorded from open_clip in float64 (tests/golden/train), made
 * again: small models on every device and with every way of computing that
 * must not matter, ViT-B/32 and RN50 on the CPU in float. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/bf16.h"
#include "tests/golden_step.h"

/* The double reference has the golden file's digits; float what rounding
 * leaves of it (open_clip's own float32 lies at a tenth of this); bfloat16 has
 * eight bits. */
static const struct golden_bound exact = {2e-6, 2e-6, 1e-9};
static const struct golden_bound rounded = {2e-5, 2e-4, 1e-6};
static const struct golden_bound coarse = {0.08, 0.2, 0.01};

static void set_off(struct trial_run *r, const char *name)
{
    struct store *s = &r->m.store;
    int i = store_find(s, str_of(name));
    float *x;

    assert_true(i >= 0);
    x = xmalloc((size_t)s->list[i].count * sizeof *x);
    store_get(s, r->m.d, i, x, DTYPE_F32);
    x[s->list[i].count - 1] += 0.125f;
    store_put(s, r->m.d, i, x, DTYPE_F32);
    store_refresh(s, r->m.d);
    free(x);
}

/* How far a step lies from the file's.  `wrong` (or NULL) names a tensor whose
 * last number is set off by an eighth before. */
static struct golden_worst distance(const char *model, const char *device,
                                    struct golden_bound bound,
                                    struct clip_options o, const char *wrong)
{
    struct err e = ERR_INIT;
    struct golden_worst worst = {.by_bound = 0};
    struct trial_run r;
    struct golden g;
    char path[128];

    snprintf(path, sizeof path, "tests/golden/train/%s.txt", model);
    if (golden_read(&g, path, &e) || trial_open(&r, model, device, 0, &e))
        fail_msg("%s", e.message);
    assert_string_equal(g.model, model);
    r.number = g.number;
    if (wrong)
        set_off(&r, wrong);
    if (trial_step(&r, g.n, &o, &e) ||
        golden_compare(&g, &r, bound, &worst, &e))
        fail_msg("%s on %s: %s", model, device, e.message);
    trial_close(&r);
    golden_release(&g);
    return worst;
}

static void replay(const char *model, const char *device,
                   struct golden_bound bound, struct clip_options o)
{
    struct golden_worst worst = distance(model, device, bound, o, NULL);

    print_message("%s on %s: %.3f of the bound at %s\n", model, device,
                  worst.by_bound, worst.name);
    if (!(worst.by_bound <= 1))
        fail_msg("%s is %.3g times its bound off", worst.name, worst.by_bound);
}

static const char *const small[] = {"tiny-vit", "tiny-vit-quickgelu",
                                    "tiny-resnet"};

static const struct {
    const char *device;
    const struct golden_bound *bound;
} devices[] = {
    {"ref64", &exact},
    {"ref32", &rounded},
    {"cpu", &rounded},
    {"bf16", &coarse},
};

static void needs_cpu(void)
{
    if (!backend_built(BACKEND_CPU)) {
        print_message("skipped: this build has no cpu backend\n");
        skip();
    }
}

static void small_on(size_t device)
{
    struct clip_options plain = {0};

    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        replay(small[i], devices[device].device, *devices[device].bound, plain);
}

static void test_golden_train__ref_double(void **state)
{
    (void)state;
    small_on(0);
}

static void test_golden_train__ref_float(void **state)
{
    (void)state;
    small_on(1);
}

static void test_golden_train__cpu_float(void **state)
{
    (void)state;
    needs_cpu();
    small_on(2);
}

static void test_golden_train__cpu_bf16(void **state)
{
    (void)state;
    if (!bf16_here())
        skip();
    small_on(3);
}

/* One number of a bias, a weight, an embedding, a running statistic off, and
 * the comparison sees it. */
static void test_golden_train__notices(void **state)
{
    static const struct {
        const char *model, *tensor;
    } cases[] = {
        {"tiny-vit", "logit_scale"},
        {"tiny-vit", "visual.positional_embedding"},
        {"tiny-vit", "transformer.resblocks.1.attn.out_proj.bias"},
        {"tiny-vit", "visual.transformer.resblocks.0.mlp.c_fc.weight"},
        {"tiny-resnet", "visual.layer2.0.downsample.0.weight"},
        {"tiny-resnet", "visual.layer4.0.bn3.running_var"},
    };
    struct clip_options plain = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct golden_worst worst =
            distance(cases[i].model, "ref32", rounded, plain, cases[i].tensor);

        if (worst.by_bound <= 1)
            fail_msg("%s: not noticed", cases[i].tensor);
    }
}

/* Chunks leave the ResNet out: its one BatchNorm group is the batch. */
static void test_golden_train__ways_to_compute(void **state)
{
    static const struct {
        const char *model;
        struct clip_options o;
    } cases[] = {
        {"tiny-vit", {.packed = true}},
        {"tiny-vit", {.reduce = true}},
        {"tiny-vit", {.recompute = true}},
        {"tiny-vit", {.chunk = 2}},
        {"tiny-vit",
         {.chunk = 1, .packed = true, .reduce = true, .recompute = true}},
        {"tiny-resnet", {.packed = true, .reduce = true, .recompute = true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        replay(cases[i].model, "ref64", exact, cases[i].o);
        if (backend_built(BACKEND_CPU))
            replay(cases[i].model, "cpu", rounded, cases[i].o);
    }
}

/* Too slow where every load is watched. */
static void whole(const char *model)
{
    struct clip_options fast = {.packed = true, .reduce = true};

    needs_cpu();
#ifdef WITMILL_SANITIZED
    print_message("skipped: %s under sanitizers\n", model);
    skip();
#endif
    replay(model, "cpu", rounded, fast);
}

static void test_golden_train__vit_b_32(void **state)
{
    (void)state;
    whole("ViT-B-32");
}

static void test_golden_train__rn50(void **state)
{
    (void)state;
    whole("RN50");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_train__ref_double),
        cmocka_unit_test(test_golden_train__ref_float),
        cmocka_unit_test(test_golden_train__cpu_float),
        cmocka_unit_test(test_golden_train__cpu_bf16),
        cmocka_unit_test(test_golden_train__notices),
        cmocka_unit_test(test_golden_train__ways_to_compute),
        cmocka_unit_test(test_golden_train__vit_b_32),
        cmocka_unit_test(test_golden_train__rn50),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
