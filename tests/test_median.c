/* The median of a series: exact while all of it is kept, near it behind. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/median.h"

/* Of 0 .. n - 1 in some order: times an odd number, modulo a power of two. */
static void add_shuffled(struct median *m, uint64_t n)
{
    uint64_t whole = 1;

    while (whole < n)
        whole *= 2;
    for (uint64_t i = 0; i < whole; i++)
        if (i * 40503 % whole < n)
            median_add(m, (double)(i * 40503 % whole));
}

static void test_median__exact(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 10, 1001, 65535, MEDIAN_SIZE};
    struct median m;

    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        median_init(&m, sizes[k]);
        assert_true(median_of(&m) == 0);
        add_shuffled(&m, sizes[k]);
        assert_int_equal(m.n, sizes[k]);
        assert_true(median_of(&m) == (double)(sizes[k] / 2));
        assert_true(median_share(&m, 0) == 0);
        assert_true(median_share(&m, 1) == (double)(sizes[k] - 1));
        median_release(&m);
    }
    median_init(&m, 100); /* fewer than foretold */
    add_shuffled(&m, 7);
    assert_true(median_of(&m) == 3);
    median_release(&m);
}

/* Of 65,536 drawn, the middle one's place has a deviation of 0.2 percent; a
 * sample of the first ones alone, or of the last, would be far off. */
static void test_median__sample(void **state)
{
    enum { COUNT = 500000 };
    double found[2];

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct median m;

        median_init(&m, UINT64_C(1000000000));
        assert_int_equal(m.most, MEDIAN_SIZE);
        for (int i = 0; i < COUNT; i++)
            median_add(&m, i);
        found[k] = median_of(&m);
        median_release(&m);
    }
    assert_true(found[0] == found[1]);
    assert_true(fabs(found[0] / COUNT - 0.5) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median__exact),
        cmocka_unit_test(test_median__sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
