/* plan: the cap of the next round; balance: options that do not go together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filter/plan.h"

#define BIG (UINT64_C(1) << 62)

/* want: pairs below the first cap; usable: of those below t, with an image. */
static void test_plan__raised_cap(void **state)
{
    static const struct {
        uint64_t t, c, want, usable, next;
    } cases[] = {
        {10, 100, 10, 10, 10}, /* nothing lost */
        {10, 100, 10, 12, 10}, /* more than wanted, after a round */
        {10, 10, 10, 3, 10},   /* nothing left to draw */
        {10, 5, 5, 3, 10},     /* t above c from the start */
        {10, 100, 10, 9, 12},  /* ceil(100 / 9) */
        {10, 100, 10, 5, 20},  /* exactly twice */
        {10, 100, 10, 3, 34},  /* ceil(100 / 3): want < 4 u */
        {10, 100, 12, 3, 40},  /* want = 4 u: four times */
        {10, 100, 10, 2, 40},  /* want > 4 u: no more than four times */
        {10, 100, 10, 0, 40},  /* no image at all counts as one */
        {10, 100, 3, 0, 30},   /* likewise, but want < 4 u */
        {10, 35, 10, 0, 35},   /* c is the most */
        {10, 11, 10, 5, 11},   /* likewise, by ceil */
        {40, 100, 10, 8, 50},  /* a later round: t grown, want not */
        {5, 20, 1, 0, 5},      /* u is 1: one dead of one raises nothing */
        {BIG, BIG + 1, 8, 1, BIG + 1}, /* 4 t does not fit in 64 bits */
        {BIG, UINT64_MAX, 3, 2, BIG + BIG / 2},
        {0, 100, 0, 0, 0}, /* no cap, nothing wanted */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t next = plan_raised_cap(cases[i].t, cases[i].c, cases[i].want,
                                        cases[i].usable);

        if (next != cases[i].next)
            fail_msg("case %zu: %llu, expected %llu", i,
                     (unsigned long long)next,
                     (unsigned long long)cases[i].next);
    }
}

/* A cap never falls, never passes c unless it did before, and grows by at
 * most four times. */
static void test_plan__raised_cap_is_bounded(void **state)
{
    (void)state;
    for (uint64_t t = 1; t < 12; t++)
        for (uint64_t c = 0; c < 60; c++)
            for (uint64_t want = 0; want < 14; want++)
                for (uint64_t usable = 0; usable < 14; usable++) {
                    uint64_t next = plan_raised_cap(t, c, want, usable);

                    assert_true(next >= t);
                    assert_true(next <= 4 * t);
                    assert_true(next == t || next <= c);
                    assert_true((next > t) ==
                                (usable < want && want > 1 && t < c));
                }
}

static void test_balance__options_that_do_not_go_together(void **state)
{
    static const struct {
        struct balance_config config;
        const char *says;
    } cases[] = {
        {{.round = 4, .rounds = 3}, "--rounds 3"},
        {{.plan = true, .dry_run = true}, "--plan"},
        {{.plan = true, .stage.part = {0, 2}}, "--plan"},
        {{.dry_run = true, .stage.part = {1, 2}}, "--dry-run"},
        {{.cap = 5, .target = 7}, "only one"},
        {{.cap = 5, .tail_share = 0.1}, "only one"},
        {{.target = 5, .tail_share = 0.1}, "only one"},
    };
    struct corpus c = {.dir = "/nowhere"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct balance_summary sum;
        struct err e = ERR_INIT;

        assert_int_equal(balance_run(&c, NULL, &cases[i].config, &sum, &e),
                         -E_USAGE);
        assert_non_null(strstr(e.message, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__raised_cap),
        cmocka_unit_test(test_plan__raised_cap_is_bounded),
        cmocka_unit_test(test_balance__options_that_do_not_go_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
