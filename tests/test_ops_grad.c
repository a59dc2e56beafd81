/* Every op's gradient against differences: each case of tests/op_cases.h on
 * the reference in double, every number of every input nudged.  The difference
 * is of fourth order, f' = (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h, whose
 * own error is h^4 f'''''/30; what an op adds to is random before, so a
 * gradient that overwrites instead fails, too. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op_cases.h"
#include "train/ref/ref.h"

#define STEP  3e-5
#define BOUND 1e-8 /* of the slot's largest difference, or of FLOOR */
#define FLOOR 1e-2

static double loss_at(struct play *p, play_case *run, int slot, int64_t at,
                      double by)
{
    p->nudge_slot = slot;
    p->nudge_at = at;
    p->nudge = by;
    play_run(p, run);
    return play_loss(p);
}

static double difference(struct play *p, play_case *run, int slot, int64_t at)
{
    double near =
        loss_at(p, run, slot, at, STEP) - loss_at(p, run, slot, at, -STEP);
    double far = loss_at(p, run, slot, at, 2 * STEP) -
                 loss_at(p, run, slot, at, -2 * STEP);

    return (8 * near - far) / (12 * STEP);
}

/* All gradients of a play; how many numbers were compared. */
static int64_t check_play(const struct op_case *c, uint64_t seed,
                          struct device *d, double *worst)
{
    struct play p, nudged;
    int64_t compared = 0;

    play_open(&p, d, seed);
    play_open(&nudged, d, seed);
    play_run(&p, c->run);
    for (int i = 0; i < p.n && !p.kinked; i++) {
        const struct play_slot *s = &p.slot[i];
        double most = FLOOR, apart = 0;

        if (s->role == PLAY_IN || s->of < 0)
            continue;
        for (int64_t k = 0; k < s->n; k++) {
            double want = difference(&nudged, c->run, s->of, k);
            double gap = fabs(play_gradient(&p, i, k) - want);

            most = fmax(most, fabs(want));
            apart = gap <= apart ? apart : gap;
        }
        if (!(apart <= BOUND * most))
            fail_msg("%s, seed %llu: %s is %.3g from the difference, of %.3g",
                     c->name, (unsigned long long)seed, s->name, apart, most);
        *worst = fmax(*worst, apart / most);
        compared += s->n;
    }
    play_close(&p);
    play_close(&nudged);
    return compared;
}

static void test_ops_grad__differences(void **state)
{
    struct err e = ERR_INIT;
    struct device d;

    (void)state;
    assert_int_equal(ref_open(&d, DTYPE_F64, &e), 0);
    for (size_t i = 0; i < OP_CASES; i++) {
        const struct op_case *c = &op_cases[i];
        uint64_t seen = 0;
        int64_t compared = 0;
        double worst = 0;

        if (!c->gradient)
            continue;
        for (uint64_t seed = 0; seed < c->seeds; seed++) {
            int64_t n = check_play(c, seed, &d, &worst);

            seen += n > 0;
            compared += n;
        }
        assert_true(seen >= c->seeds * 3 / 4); /* kinks take the rest */
        print_message("%-14s %3llu plays, %6lld gradients, worst %.1e\n",
                      c->name, (unsigned long long)seen, (long long)compared,
                      worst);
    }
    device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_grad__differences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
