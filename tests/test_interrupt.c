/* What Ctrl-C does while a stage listens, and after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
    signal(SIGHUP, on_reached);
    return 0;
}

/* As the terminal sends it: to the process; here, seconds at most, until it
 * has been seen. */
static bool is_seen(const atomic_bool *stop, int signal)
{
    kill(getpid(), signal);
    for (int i = 0; i < 5000 && !atomic_load(stop); i++)
        nanosleep(&(struct timespec){0, 1000 * 1000}, NULL);
    return atomic_load(stop);
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

static void test_interrupt__one_asks(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const atomic_bool *stop = interrupt_listen();
        struct err e = ERR_INIT;

        assert_false(atomic_load(stop));
        assert_true(is_seen(stop, signals[i]));
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
    for (size_t i = 0; i < 3; i++)
        raise(signals[i]);
    assert_int_equal(reached, 3);
    assert_int_equal(interrupt_end(-E_IO, &e), -E_IO);
}

static void test_interrupt__what_is_ignored_stays_so(void **state)
{
    const atomic_bool *stop;

    (void)state;
    signal(SIGHUP, SIG_IGN);
    stop = interrupt_listen();
    kill(getpid(), SIGHUP);
    assert_true(is_seen(stop, SIGTERM)); /* which came behind it */
    assert_int_equal(reached, 0);
    assert_int_equal(interrupt_end(0, NULL), -E_CANCEL);
    for (size_t i = 0; i < 3; i++)
        signal(signals[i], SIG_IGN);
    stop = interrupt_listen();
    for (size_t i = 0; i < 3; i++)
        kill(getpid(), signals[i]);
    assert_int_equal(interrupt_end(0, NULL), 0);
    assert_false(atomic_load(stop));
}

static void test_interrupt__a_second_ends(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        const atomic_bool *stop = interrupt_listen();

        if (is_seen(stop, SIGHUP))
            kill(getpid(), SIGTERM);
        sleep(10);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

/* A file that nobody else would miss goes with the process, at once; what
 * nobody asked to remove stays. */
static void test_interrupt__remove(void **state)
{
    char path[] = "/tmp/witmill-interrupt-XXXXXX";
    int fd = mkstemp(path), status;
    pid_t pid;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    for (int done = 1; done >= 0; done--) {
        pid = fork();
        if (pid == 0) {
            interrupt_remove(path);
            if (done)
                interrupt_end(0, NULL);
            signal(SIGTERM, SIG_DFL);
            kill(getpid(), SIGTERM);
            sleep(10);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGTERM);
        assert_int_equal(access(path, F_OK), done ? 0 : -1);
    }
}

static void *blocked(void *out)
{
    sigset_t now;

    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (size_t i = 0; i < 3; i++)
        *(int *)out += sigismember(&now, signals[i]);
    return NULL;
}

static void test_interrupt__no_thread_that_computes_is_hit(void **state)
{
    int here = 0, there = 0, behind = 0;
    pthread_t thread;

    (void)state;
    interrupt_listen();
    blocked(&here);
    assert_int_equal(pthread_create(&thread, NULL, blocked, &there), 0);
    pthread_join(thread, NULL);
    assert_int_equal(interrupt_end(0, NULL), 0);
    blocked(&behind);
    assert_int_equal(here, 3);
    assert_int_equal(there, 3);
    assert_int_equal(behind, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_interrupt__one_asks, set_up),
        cmocka_unit_test_setup(test_interrupt__not_after_the_stage, set_up),
        cmocka_unit_test_setup(test_interrupt__what_is_ignored_stays_so,
                               set_up),
        cmocka_unit_test_setup(test_interrupt__a_second_ends, set_up),
        cmocka_unit_test_setup(test_interrupt__remove, set_up),
        cmocka_unit_test_setup(test_interrupt__no_thread_that_computes_is_hit,
                               set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
