/* What Ctrl-C does while a stage listens, and after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>

#include "tools/interrupt.h"

static int reached; /* by signals that nobody listened to */

static void on_reached(int signal)
{
    (void)signal;
    reached++;
}

static int set_up(void **state)
{
    (void)state;
    reached = 0;
    signal(SIGINT, on_reached);
    signal(SIGTERM, on_reached);
    return 0;
}

static void test_interrupt__one_asks(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const atomic_bool *stop = interrupt_listen();
        struct err e = ERR_INIT;

        assert_false(atomic_load(stop));
        raise(signals[i]);
        assert_true(atomic_load(stop));
        assert_int_equal(reached, 0);
        assert_int_equal(interrupt_end(0, &e), -E_CANCEL);
        assert_int_equal(e.code, -E_CANCEL);
    }
}

static void test_interrupt__not_after_the_stage(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    interrupt_listen();
    assert_int_equal(interrupt_end(0, &e), 0);
    raise(SIGINT);
    raise(SIGTERM);
    assert_int_equal(reached, 2);
    assert_int_equal(interrupt_end(-E_IO, &e), -E_IO);
}

static void test_interrupt__what_is_ignored_stays_so(void **state)
{
    const atomic_bool *stop;

    (void)state;
    signal(SIGINT, SIG_IGN);
    stop = interrupt_listen();
    raise(SIGINT);
    assert_false(atomic_load(stop));
    assert_int_equal(interrupt_end(0, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_interrupt__one_asks, set_up),
        cmocka_unit_test_setup(test_interrupt__not_after_the_stage, set_up),
        cmocka_unit_test_setup(test_interrupt__what_is_ignored_stays_so,
                               set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
