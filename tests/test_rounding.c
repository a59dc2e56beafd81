/* Weights rounded to bfloat16 by chance: right on average, the same bits on
 * every backend.  (On the GPU: tests/test_optim_cuda.c.) */
#include "tests/rounding.h"

#include "tests/bf16.h"
#include "train/adamw.h"
#include "train/cpu/cpu.h"
#include "train/ref/ref.h"

static void open_ref(struct device *d, enum dtype type)
{
    struct err e = ERR_INIT;

    assert_int_equal(ref_open(d, type, &e), 0);
}

/* Four numbers of a draw, the lowest bits first. */
static void test_rounding__chance(void **state)
{
    const struct op_adamw op = {.t = 7, .rounding = 5};
    uint64_t stream = adamw_stream(&op), bits = random_bits(stream, 2);

    (void)state;
    assert_true(stream == random_bits(5, 7));
    for (uint64_t k = 0; k < 4; k++)
        assert_int_equal(adamw_chance(stream, 8 + k), bits >> 16 * k & 0xffff);
}

/* The least chance that rounds up is what is missing to 2^16. */
static void test_rounding__threshold(void **state)
{
    static const struct {
        uint32_t bits, chance, want;
    } cases[] = {
        {0x3f800000, 0xffff, 0x3f800000}, {0x3f800001, 0xfffe, 0x3f800000},
        {0x3f800001, 0xffff, 0x3f810000}, {0x3f808000, 0x7fff, 0x3f800000},
        {0x3f808000, 0x8000, 0x3f810000}, {0xbf808000, 0x8000, 0xbf810000},
        {0x3fffffff, 0x0001, 0x40000000}, {0x00000001, 0xffff, 0x00010000},
        {0x7f7fffff, 0x0001, 0x7f800000}, {0x7f800000, 0xffff, 0x7f800000},
        {0x7f800001, 0xffff, 0x7fc00000}, {0xffffffff, 0xffff, 0xffff0000},
        {0x80000000, 0xffff, 0x80000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (adamw_round(cases[i].bits, cases[i].chance) != cases[i].want)
            fail_msg("%08x by %04x", cases[i].bits, cases[i].chance);
}

#define DRAWS 65536

/* Of DRAWS copies of x as many are above it as the remainder says, within five
 * deviations of the mean, and none is further than a neighbour. */
static void on_average(const float *copy, float x)
{
    uint32_t bits;
    float down, up;
    double sum = 0, unit, rest, bound;

    memcpy(&bits, &x, sizeof bits);
    down = bf16_to_float((uint16_t)(bits >> 16));
    up = bf16_to_float((uint16_t)((bits >> 16) + 1));
    unit = (double)up - (double)down;
    rest = ((double)x - (double)down) / unit;
    bound = 5 * fabs(unit) * sqrt(rest * (1 - rest) / DRAWS);
    for (int i = 0; i < DRAWS; i++) {
        if (copy[i] != down && copy[i] != up)
            fail_msg("%a became %a", (double)x, (double)copy[i]);
        sum += (double)copy[i] - (double)x;
    }
    if (!(fabs(sum / DRAWS) <= bound))
        fail_msg("%a is %g off on average, more than %g", (double)x,
                 sum / DRAWS, bound);
}

static const float examples[] = {
    1.0019531f, -1.0019531f, 0.70001f, -3.14159f,   1e-3f,
    65000.5f,   1e-41f,      -2e30f,   1.00003052f, 255.99f,
};

#define EXAMPLES (sizeof examples / sizeof *examples)

/* Over places of one step, and over steps at one place. */
static void test_rounding__is_right_on_average(void **state)
{
    float *p = xcalloc(DRAWS, sizeof *p), *copy = xcalloc(DRAWS, sizeof *copy);
    struct device d;

    (void)state;
    open_ref(&d, DTYPE_F32);
    for (size_t k = 0; k < EXAMPLES; k++) {
        for (int i = 0; i < DRAWS; i++)
            p[i] = examples[k];
        rounding_copy(&d, DRAWS, p, 1, k + 1, copy);
        on_average(copy, examples[k]);
    }
    for (size_t k = 0; k < EXAMPLES; k++) {
        for (int i = 0; i < DRAWS; i++) {
            const struct op_adamw op = {.t = 1 + (uint64_t)i, .rounding = 1};
            uint32_t bits, chance = adamw_chance(adamw_stream(&op), k);

            memcpy(&bits, &examples[k], sizeof bits);
            bits = adamw_round(bits, chance);
            memcpy(&copy[i], &bits, sizeof bits);
        }
        on_average(copy, examples[k]);
    }
    device_close(&d);
    free(p);
    free(copy);
}

static void test_rounding__reference_keeps(void **state)
{
    struct device d, other;

    (void)state;
    open_ref(&d, DTYPE_F32);
    open_ref(&other, DTYPE_F64);
    rounding_keeps(&d);
    rounding_agrees(&d, &other);
    device_close(&d);
    device_close(&other);
}

static void test_rounding__cpu(void **state)
{
    static const enum dtype acts[] = {DTYPE_F32, DTYPE_BF16};
    struct device ref, d;
    struct err e = ERR_INIT;

    (void)state;
    open_ref(&ref, DTYPE_F32);
    for (int t = 0; t < bf16_types(); t++)
        for (int isa = CPU_BASE; isa <= (int)cpu_isa_best(); isa++) {
            if (cpu_open_isa(&d, acts[t], 2, (enum cpu_isa)isa, &e))
                fail_msg("%s", e.message);
            cpu_of(&d)->worth = 0; /* small arrays use both threads, too */
            rounding_keeps(&d);
            rounding_agrees(&d, &ref);
            device_close(&d);
        }
    device_close(&ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding__chance),
        cmocka_unit_test(test_rounding__threshold),
        cmocka_unit_test(test_rounding__is_right_on_average),
        cmocka_unit_test(test_rounding__reference_keeps),
        cmocka_unit_test(test_rounding__cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
