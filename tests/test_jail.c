/* base/jail: work that ends well, and work that crashes, spins, eats memory,
 * calls what it may not, or loses its parent. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jail.h"

#define SMALL 4096u

static uint64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The first byte of a request says what happens to it. */
static int work(void *ctx, struct str in, uint8_t *out, size_t cap, size_t *n)
{
    volatile uint64_t spin = 0;
    char *p;

    switch (in.n ? in.p[0] : 0) {
    case 'a': /* abort */
        abort();
    case 's': /* spin */
        for (;;)
            spin++;
    case 'm': /* eat memory, until there is none */
        for (size_t total = 0; total < (size_t)1 << 34; total += 1 << 20) {
            p = malloc(1 << 20);
            if (!p)
                return -E_NOMEM;
            memset(p, 1, 1 << 20);
        }
        return 0;
    case 'o': /* a forbidden file: refused, not fatal */
        return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
    case 'n': /* a socket: fatal */
        return socket(AF_INET, SOCK_STREAM, 0);
    case 'e': /* leave without a word */
        _exit(3);
    case 'c': /* burn processor time, then answer */
        for (clock_t end = clock() + CLOCKS_PER_SEC / 10; clock() < end;)
            spin++;
        break;
    case 'w': /* let a tenth of a second pass; sleeping is not allowed */
        for (uint64_t end = mono_ms() + 100; mono_ms() < end;)
            spin++;
        break;
    case 'p': { /* who am I */
        pid_t pid = getpid();

        memcpy(out, &pid, sizeof pid);
        *n = sizeof pid;
        return 0;
    }
    case 'l': /* claim more than fits */
        *n = cap + 1;
        return 0;
    default:
        break;
    }
    memcpy(out, in.p, in.n); /* echo, with the context behind it */
    out[in.n] = *(uint8_t *)ctx;
    *n = in.n + 1;
    return (int)in.n;
}

static uint8_t context = '!';

static struct jail_config config(unsigned workers, unsigned timeout_ms)
{
    struct jail_config c = jail_config_default(work, &context);

    c.workers = workers;
    c.in_max = c.out_max = SMALL;
    c.timeout_ms = timeout_ms;
    c.memory_max = 256u << 20;
    return c;
}

static struct jail *open_jail(unsigned workers, unsigned timeout_ms)
{
    struct jail_config c = config(workers, timeout_ms);
    struct jail *j;
    struct err e = ERR_INIT;

    if (jail_open(&j, &c, &e))
        fail_msg("%s", e.message);
    return j;
}

static void submit(struct jail *j, const char *text)
{
    assert_int_equal(jail_submit(j, str_of(text), (void *)text, NULL), 0);
}

static struct jail_done next(struct jail *j)
{
    struct jail_done d;

    assert_true(jail_wait(j, 30000, &d));
    return d;
}

static void expect_echo(const struct jail_done *d)
{
    struct str want = str_of(d->user);

    assert_int_equal(d->outcome, JAIL_DONE);
    assert_int_equal(d->rc, want.n);
    assert_int_equal(d->out.n, want.n + 1);
    assert_memory_equal(d->out.p, want.p, want.n);
    assert_int_equal(d->out.p[want.n], '!');
}

static void test_jail__answers_everything_once(void **state)
{
    enum { REQUESTS = 2000 };
    struct jail *j = open_jail(3, 20000);
    char text[REQUESTS][16];
    bool seen[REQUESTS] = {false};
    struct jail_done d;
    unsigned sent = 0, got = 0;

    (void)state;
    assert_int_equal(jail_slots(j), 12);
    while (got < REQUESTS) {
        if (sent < REQUESTS) {
            snprintf(text[sent], sizeof text[sent], "request %u", sent);
            if (jail_submit(j, str_of(text[sent]), text[sent], NULL) == 0) {
                sent++;
                continue;
            }
            assert_int_equal(jail_free(j), 0);
        }
        d = next(j);
        expect_echo(&d);
        got++;
        assert_false(seen[(char(*)[16])d.user - text]);
        seen[(char(*)[16])d.user - text] = true;
    }
    assert_int_equal(jail_free(j), 12);
    assert_false(jail_next(j, &d));
    assert_false(jail_wait(j, -1, &d)); /* nothing to wait for */
    assert_int_equal(jail_stats_of(j).done, REQUESTS);
    assert_int_equal(jail_stats_of(j).replaced, 0);
    jail_close(j);
}

static void test_jail__bounds_inputs_and_outputs(void **state)
{
    static char large[SMALL + 1];
    struct jail *j = open_jail(1, 20000);
    struct err e = ERR_INIT;
    struct jail_done d;

    (void)state;
    assert_int_equal(jail_submit(j, str_make(large, sizeof large), NULL, &e),
                     -E_TOOBIG);
    submit(j, "l");
    d = next(j);
    assert_int_equal(d.outcome, JAIL_CRASHED);
    assert_int_equal(d.out.n, 0);
    assert_int_equal(jail_submit(j, STR_NONE, NULL, NULL), 0);
    d = next(j);
    assert_int_equal(d.outcome, JAIL_DONE);
    assert_int_equal(d.out.n, 1);
    jail_close(j);
}

/* One dies, the three behind it at the same worker are answered. */
static void test_jail__a_crash_costs_one_request(void **state)
{
    static const char *const killers[] = {"a", "e"};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct jail *j = open_jail(1, 20000);
        unsigned crashed = 0, done = 0;

        submit(j, "before");
        submit(j, killers[k]);
        submit(j, "behind");
        submit(j, "third");
        for (int i = 0; i < 4; i++) {
            struct jail_done d = next(j);

            if (d.outcome == JAIL_CRASHED) {
                assert_string_equal(d.user, killers[k]);
                assert_int_equal(d.signal, k ? 0 : SIGABRT);
                crashed++;
            } else {
                expect_echo(&d);
                done++;
            }
        }
        assert_int_equal(crashed, 1);
        assert_int_equal(done, 3);
        assert_int_equal(jail_stats_of(j).replaced, 1);
        assert_int_equal(jail_stats_of(j).crashed, 1);
        jail_close(j);
    }
}

static void test_jail__survives_many_crashes(void **state)
{
    struct jail *j = open_jail(2, 20000);
    unsigned crashed = 0;

    (void)state;
    for (int round = 0; round < 20; round++) {
        submit(j, "a");
        submit(j, "a");
        submit(j, "fine");
        for (int i = 0; i < 3; i++) {
            struct jail_done d = next(j);

            if (d.outcome == JAIL_CRASHED)
                crashed++;
            else
                expect_echo(&d);
        }
    }
    assert_int_equal(crashed, 40);
    jail_close(j);
}

static void test_jail__stops_the_clock(void **state)
{
    struct jail *j = open_jail(1, 600);
    struct jail_done d;

    (void)state;
    submit(j, "s");
    submit(j, "behind");
    d = next(j);
    assert_int_equal(d.outcome, JAIL_TIMEOUT);
    assert_string_equal(d.user, "s");
    d = next(j);
    expect_echo(&d);
    assert_int_equal(jail_stats_of(j).timed_out, 1);
    jail_close(j);
}

/* A verdict is final, so a parent that was stopped (and its workers with it)
 * must not give one for the time it did not live through. */
static void test_jail__forgives_a_sleeping_parent(void **state)
{
    struct jail *j = open_jail(1, 400);
    struct jail_done d;
    uint64_t woke;

    (void)state;
    submit(j, "s");
    usleep(900000);
    woke = mono_ms();
    d = next(j);
    assert_int_equal(d.outcome, JAIL_TIMEOUT);
    assert_true(mono_ms() - woke >= 390);
    jail_close(j);
}

/* The clock is a request's, not the queue's: twelve requests of a tenth of a
 * second wait for one another under a limit of 0.8. */
static void test_jail__the_clock_is_of_one_request(void **state)
{
    struct jail_config c = config(1, 800);
    struct jail *j;

    (void)state;
    c.depth = 12;
    assert_int_equal(jail_open(&j, &c, NULL), 0);
    for (int i = 0; i < 12; i++)
        submit(j, "w");
    for (int i = 0; i < 12; i++) {
        struct jail_done d = next(j);

        expect_echo(&d);
    }
    jail_close(j);
}

static void test_jail__bounds_memory(void **state)
{
#ifdef WITMILL_SANITIZED
    (void)state;
    print_message("skipped: no memory limit under sanitizers\n");
    skip();
#else
    struct jail *j = open_jail(1, 20000);
    struct jail_done d;

    (void)state;
    submit(j, "m");
    d = next(j);
    assert_int_equal(d.outcome, JAIL_DONE);
    assert_int_equal(d.rc, -E_NOMEM);
    jail_close(j);
#endif
}

static void test_jail__confines(void **state)
{
    struct jail *j = open_jail(1, 20000);
    struct jail_done d;

    submit(j, "ready");
    d = next(j);
    expect_echo(&d);
    if (!jail_stats_of(j).confined) {
        jail_close(j);
        print_message("skipped: no seccomp here, or sanitizers\n");
        (void)state;
        skip();
    }
    submit(j, "o");
    d = next(j);
    assert_int_equal(d.outcome, JAIL_DONE);
    assert_int_equal(d.rc, EACCES);
    submit(j, "n");
    d = next(j);
    assert_int_equal(d.outcome, JAIL_CRASHED);
    assert_int_equal(d.signal, SIGSYS);
    jail_close(j);
}

static void test_jail__worn_workers_are_replaced(void **state)
{
    struct jail_config c = config(1, 20000);
    struct jail *j;

    (void)state;
    c.cpu_max_s = 1;
    assert_int_equal(jail_open(&j, &c, NULL), 0);
    for (int i = 0; i < 15; i++) {
        struct jail_done d;

        submit(j, "c");
        d = next(j);
        expect_echo(&d);
    }
    assert_true(jail_stats_of(j).replaced >= 1);
    assert_int_equal(jail_stats_of(j).crashed, 0);
    jail_close(j);
}

static void test_jail__has_a_descriptor_to_poll(void **state)
{
    struct jail *j = open_jail(1, 20000);
    struct pollfd p = {jail_fd(j), POLLIN, 0};
    struct jail_done d;

    (void)state;
    assert_false(jail_next(j, &d));
    assert_int_equal(poll(&p, 1, 0), 0);
    submit(j, "a");
    submit(j, "fine");
    for (int got = 0; got < 2;) {
        assert_int_equal(poll(&p, 1, 30000), 1);
        while (jail_next(j, &d))
            got++;
    }
    jail_close(j);
}

static bool is_gone(pid_t pid)
{
    for (int i = 0; i < 500; i++) {
        char path[64], state = 0;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        f = fopen(path, "r");
        if (!f)
            return true;
        if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            state = 'Z';
        fclose(f);
        if (state == 'Z') /* dead, its new parent has not looked yet */
            return true;
        usleep(10000);
    }
    return false;
}

/* A parent that is killed takes warden and workers along, busy or idle. */
static void test_jail__dies_with_its_parent(void **state)
{
    pid_t parent, worker = 0;
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    parent = fork();
    if (parent == 0) {
        struct jail *j = open_jail(1, 60000);
        struct jail_done d;

        submit(j, "p");
        d = next(j);
        submit(j, "s");
        usleep(100000);
        if (write(pair[1], d.out.p, d.out.n) < 0)
            _exit(1);
        pause();
        _exit(0);
    }
    close(pair[1]);
    assert_int_equal(read(pair[0], &worker, sizeof worker), sizeof worker);
    close(pair[0]);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_true(worker > 0);
    assert_true(is_gone(worker));
}

/* Locks and connections of the parent must not live on in the jail. */
static void test_jail__inherits_no_descriptors(void **state)
{
    struct jail *j;
    struct jail_done d;
    int pair[2];
    char c;

    (void)state;
    assert_int_equal(pipe(pair), 0);
    j = open_jail(2, 20000);
    submit(j, "up");
    d = next(j);
    expect_echo(&d);
    close(pair[1]);
    /* End of file, for nobody else holds the writing end. */
    assert_int_equal(read(pair[0], &c, 1), 0);
    close(pair[0]);
    jail_close(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jail__answers_everything_once),
        cmocka_unit_test(test_jail__bounds_inputs_and_outputs),
        cmocka_unit_test(test_jail__a_crash_costs_one_request),
        cmocka_unit_test(test_jail__survives_many_crashes),
        cmocka_unit_test(test_jail__stops_the_clock),
        cmocka_unit_test(test_jail__forgives_a_sleeping_parent),
        cmocka_unit_test(test_jail__the_clock_is_of_one_request),
        cmocka_unit_test(test_jail__bounds_memory),
        cmocka_unit_test(test_jail__confines),
        cmocka_unit_test(test_jail__worn_workers_are_replaced),
        cmocka_unit_test(test_jail__has_a_descriptor_to_poll),
        cmocka_unit_test(test_jail__dies_with_its_parent),
        cmocka_unit_test(test_jail__inherits_no_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
