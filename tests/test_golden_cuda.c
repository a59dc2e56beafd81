/* The recorded training steps (tests/golden/train) on the GPU, in float and in
 * bfloat16; without CUDA=1 the tiny ones, on the emulated one.
 *
 *     test_golden_cuda [PART-OF-A-FILE'S-NAME] */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/bf16.h"
#include "tests/golden_step.h"

#define FOLDER "tests/golden/train"

static const char *wanted = "";

/* Relative to the tensor; `absolute` is for tensors that are next to nothing
 * beside the largest gradient.  In bf16 the tiny models lie at 3% of logits
 * (small differences of large sums) and 12% of a gradient behind the ResNet's
 * ReLUs: their weights are large and random.  The cpu's bf16 has wider bounds
 * yet (test_golden_train.c). */
static const struct {
    const char *device;
    struct golden_bound bound;
} devices[] = {
    {"cuda", {1e-4, 1e-4, 1e-6}},
    {"cuda-bf16", {5e-2, 1e-1, 1e-2}},
    {"bf16", {0.08, 0.2, 0.01}}, /* the cpu's: test_golden_train.c */
};

/* Emulated, a step of a large model takes an hour. */
static bool plays(const char *name)
{
    if (!str_ends(str_of(name), STR(".txt")) || !strcmp(name, "steps.txt"))
        return false;
#ifdef WITMILL_EMULATED
    if (!str_starts(str_of(name), STR("tiny-")))
        return false;
#endif
    return strstr(name, wanted) != NULL;
}

static int replay(size_t device, const char *name, struct golden_worst *worst)
{
    const struct clip_options o = {.packed = true, .reduce = true};
    struct err e = ERR_INIT;
    struct trial_run r;
    struct golden g;
    char path[IO_PATH_MAX];
    int rc;

    if (io_join(path, FOLDER, name, &e) || golden_read(&g, path, &e))
        fail_msg("%s", e.message);
    rc = trial_open(&r, g.model, devices[device].device, 0, &e);
    if (rc == -E_UNSUPPORTED) {
        print_message("skipped: %s\n", e.message);
        golden_release(&g);
        skip();
    }
    r.number = g.number;
    if (rc || trial_step(&r, g.n, &o, &e) ||
        golden_compare(&g, &r, devices[device].bound, worst, &e))
        fail_msg("%s on %s: %s", name, devices[device].device, e.message);
    print_message("%s on %s: %.3f of the bound at %s\n", g.model,
                  devices[device].device, worst->by_bound, worst->name);
    print_message("%-18s %-9s relative: features and logits %.1e, gradient "
                  "%.1e; of %d tensors within 1e-2 %d, 1e-4 %d\n",
                  g.model, devices[device].device, worst->features,
                  golden_gradient(worst), worst->tensors, worst->percent,
                  worst->ten_thousandth);
    trial_close(&r);
    golden_release(&g);
    return !(worst->by_bound <= 1);
}

static void all_on(size_t device)
{
    struct golden_worst worst;
    struct io_list l;
    int wrong = 0, played = 0;

    assert_int_equal(io_list(FOLDER, &l, NULL), 0);
    for (size_t i = 0; i < l.n; i++)
        if (plays(l.names[i])) {
            wrong += replay(device, l.names[i], &worst);
            played++;
        }
    io_list_release(&l);
    if (wrong)
        fail_msg("%d of %d models are beyond their bound", wrong, played);
    assert_true(played > 0);
}

static void test_golden_cuda__float(void **state)
{
    (void)state;
    all_on(0);
}

static void test_golden_cuda__bf16(void **state)
{
    (void)state;
    all_on(1);
}

#ifdef WITMILL_EMULATED
/* What bf16 costs a whole model is the format's doing: another backend that
 * rounds activations to it is as far from the recorded steps. */
static void test_golden_cuda__bf16_as_others(void **state)
{
    static const char *const files[] = {"tiny-vit.txt", "tiny-resnet.txt"};

    (void)state;
    if (!backend_built(BACKEND_CPU) || !bf16_here())
        skip();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct golden_worst gpu, cpu;
        double features, gradient;

        if (!plays(files[i]))
            continue;
        assert_int_equal(replay(1, files[i], &gpu), 0);
        assert_int_equal(replay(2, files[i], &cpu), 0);
        features = gpu.features / cpu.features;
        gradient = golden_gradient(&gpu) / golden_gradient(&cpu);
        print_message("%s: bf16's errors by the cpu's: features %.2f, gradient "
                      "%.2f\n",
                      files[i], features, gradient);
        assert_true(features < 2 && gradient < 2);
    }
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_cuda__float),
        cmocka_unit_test(test_golden_cuda__bf16),
#ifdef WITMILL_EMULATED /* a GPU's build may have no cpu backend */
        cmocka_unit_test(test_golden_cuda__bf16_as_others),
#endif
    };

    if (argc > 1)
        wanted = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
