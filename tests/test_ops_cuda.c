/* Every op of the cuda backend against the reference in float: the cases of
 * tests/op_cases.h on random shapes, both types of activation.  With CUDA=1 on
 * a GPU; else the kernels run on the processor (tests/emulate), under three
 * orders of a block's threads, which must give the same bits: an order that
 * matters is a barrier that is missing.  A bound is the largest difference by
 * the largest number of an array; in bf16 the inputs are rounded before both
 * backends see them.
 *
 *     test_ops_cuda [PART-OF-A-CASE'S-NAME] */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/cuda_play.h"
#include "tests/op_cases.h"
#include "train/ref/ref.h"

#define HALF 0.0040 /* 2^-8: where a sum falls on the other side of a tie */

static const struct bound {
    const char *name;
    double act_f32, real_f32, act_bf16, real_bf16;
    uint64_t step; /* emulated: every so many seeds, odd for the flags' sake */
} bounds[] = {
    {"linear", 5e-6, 5e-6, 3 * HALF, 5e-6, 1},
    {"conv", 5e-6, 5e-6, 2 * HALF, 5e-6, 1},
    /* p and its gradient are rounded to bf16 on their way into products; more
     * of attention in test_attention_cuda */
    {"attention", 1e-5, 1e-5, 3 * HALF, 1e-5, 3},
    {"attention_one", 1e-5, 1e-5, 3 * HALF, 1e-5, 3},
    {"layernorm", 2e-6, 2e-6, HALF, 2e-6, 1},
    {"batchnorm", 2e-6, 2e-6, HALF, 2e-6, 1},
    {"batchnorm_running", 1e-6, 1e-6, HALF, 1e-6, 1},
    {"l2norm", 1e-6, 1e-6, HALF, 1e-6, 1},
    {"embed", 1e-6, 1e-6, HALF, 1e-6, 1},
    {"pixels", 0, 0, HALF, 0, 1},
    {"tokens", 1e-6, 1e-6, HALF, 1e-6, 1},
    {"avgpool", 1e-6, 1e-6, HALF, 1e-6, 1},
    {"gather", 1e-6, 1e-6, HALF, 1e-6, 1},
    /* similarities up to 100, each a float: 2^-24 of that, a few times */
    {"nce", 5e-5, 5e-5, HALF, 5e-5, 1},
    {"sigmoid_loss", 5e-5, 5e-5, HALF, 5e-5, 1},
    {"softmax_loss", 2e-6, 2e-6, HALF, 2e-6, 1},
    /* m all but cancels with the gradient of a single number */
    {"adamw", 1e-6, 5e-6, HALF, 5e-6, 1},
    {"small", 1e-6, 1e-6, HALF, 1e-6, 1},
};

#define BOUNDS (sizeof bounds / sizeof *bounds)

static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};
static const char *wanted = "";

static const struct op_case *find_case(const char *name)
{
    for (size_t i = 0; i < OP_CASES; i++)
        if (!strcmp(op_cases[i].name, name))
            return &op_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

static void test_ops_cuda__every_case_has_a_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < OP_CASES; i++) {
        size_t k = 0;

        while (k < BOUNDS && strcmp(bounds[k].name, op_cases[i].name) != 0)
            k++;
        if (k == BOUNDS)
            fail_msg("no bound for %s", op_cases[i].name);
    }
}

static void against(struct device *d, struct device *ref, const struct bound *b,
                    bool bf16)
{
    const struct op_case *c = find_case(b->name);
    double worst[2] = {0, 0};

    for (uint64_t seed = 0; seed < c->seeds; seed += b->step)
        play_compare(c->name, c->run, seed, d, ref,
                     bf16 ? b->act_bf16 : b->act_f32,
                     bf16 ? b->real_bf16 : b->real_f32, worst);
    print_message("%-4s %-18s act %.1e real %.1e\n", dtype_name(d->act),
                  b->name, worst[0], worst[1]);
}

static void test_ops_cuda__against_reference(void **state)
{
    struct device ref, d;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    for (int t = 0; t < 2; t++) {
        open_cuda(&d, acts[t]);
        for (size_t i = 0; i < BOUNDS; i++)
            if (strstr(bounds[i].name, wanted))
                against(&d, &ref, &bounds[i], t);
        device_close(&d);
    }
    device_close(&ref);
}

/* A second run, on a GPU; other orders of a block's threads, emulated. */
static void test_ops_cuda__same_bits(void **state)
{
    struct device one, two;

    (void)state;
    for (int t = 0; t < 2; t++) {
        open_cuda(&one, acts[t]);
        open_cuda(&two, acts[t]);
        for (size_t i = 0; i < BOUNDS; i++) {
            const struct op_case *c = find_case(bounds[i].name);

            if (!strstr(bounds[i].name, wanted))
                continue;
            for (uint64_t seed = 0; seed < c->seeds; seed += 3 * bounds[i].step)
                play_again(c->name, c->run, seed, true, &one, &two, 1 + seed);
        }
        device_close(&one);
        device_close(&two);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_cuda__every_case_has_a_bound),
        cmocka_unit_test(test_ops_cuda__against_reference),
        cmocka_unit_test(test_ops_cuda__same_bits),
    };

    if (argc > 1)
        wanted = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
