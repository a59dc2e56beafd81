/*
 * cmocka.h - the part of cmocka that our tests use, where it is not installed.
 *
 * Model.   `make train-only` puts this folder into the include path, so that
 *          tests run on a machine with a C compiler and nothing else; every
 *          other build takes the real one.  A failing assertion prints where
 *          and leaves the test by longjmp; the lines printed are cmocka's.
 *          main() is in the only source of a test program, and so are the
 *          static variables here.
 * Threads. Assertions in the thread that runs the tests.
 */
#ifndef TESTS_BARE_CMOCKA_H
#define TESTS_BARE_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

enum bare_outcome { BARE_PASSED = 1, BARE_FAILED, BARE_SKIPPED };

static jmp_buf bare_leave;

static inline void bare_say(FILE *to, const char *format, va_list ap)
{
    vfprintf(to, format, ap);
    fflush(to);
}

__attribute__((format(printf, 1, 2), unused)) static void
print_message(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    bare_say(stdout, format, ap);
    va_end(ap);
}

__attribute__((format(printf, 1, 2), unused)) static void
print_error(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    bare_say(stderr, format, ap);
    va_end(ap);
}

__attribute__((noreturn, unused)) static void bare_fail(const char *file,
                                                        int line)
{
    print_error("[   LINE   ] --- %s:%d: error: Failure!\n", file, line);
    longjmp(bare_leave, BARE_FAILED);
}

#define fail_msg(...)                                                          \
    do {                                                                       \
        print_error("[  ERROR   ] --- " __VA_ARGS__);                          \
        print_error("\n");                                                     \
        bare_fail(__FILE__, __LINE__);                                         \
    } while (0)
#define fail() bare_fail(__FILE__, __LINE__)
#define skip() longjmp(bare_leave, BARE_SKIPPED)

#define bare_expect(good, ...)                                                 \
    do {                                                                       \
        if (!(good))                                                           \
            fail_msg(__VA_ARGS__);                                             \
    } while (0)

#define assert_true(x)     bare_expect((x), "%s", #x)
#define assert_false(x)    bare_expect(!(x), "!(%s)", #x)
#define assert_non_null(p) bare_expect((p) != NULL, "%s", #p)
#define assert_null(p)     bare_expect((p) == NULL, "%s is not NULL", #p)

/* Both sides once, as integers of 64 bits. */
#define bare_compare(a, op, b)                                                 \
    do {                                                                       \
        long long bare_a = (long long)(a), bare_b = (long long)(b);            \
                                                                               \
        bare_expect(bare_a op bare_b, "%s %s %s: 0x%llx, 0x%llx", #a, #op, #b, \
                    (unsigned long long)bare_a, (unsigned long long)bare_b);   \
    } while (0)
#define assert_int_equal(a, b)     bare_compare(a, ==, b)
#define assert_int_not_equal(a, b) bare_compare(a, !=, b)
#define assert_ptr_equal(a, b)     bare_expect((a) == (b), "%s == %s", #a, #b)
#define assert_ptr_not_equal(a, b) bare_expect((a) != (b), "%s != %s", #a, #b)

static inline bool bare_within(unsigned long long x, unsigned long long low,
                               unsigned long long high)
{
    return x >= low && x <= high;
}

#define assert_in_range(x, low, high)                                          \
    bare_expect(bare_within((unsigned long long)(x),                           \
                            (unsigned long long)(low),                         \
                            (unsigned long long)(high)),                       \
                "%s is not in %s..%s", #x, #low, #high)
#define assert_memory_equal(a, b, n)                                           \
    bare_expect(memcmp((a), (b), (n)) == 0, "%s and %s differ", #a, #b)

#define assert_string_equal(a, b)                                              \
    do {                                                                       \
        const char *bare_s = (a), *bare_t = (b);                               \
                                                                               \
        bare_expect(strcmp(bare_s, bare_t) == 0, "\"%s\" != \"%s\"", bare_s,   \
                    bare_t);                                                   \
    } while (0)
#define assert_string_not_equal(a, b)                                          \
    bare_expect(strcmp((a), (b)) != 0, "%s and %s are equal", #a, #b)

#define cmocka_unit_test(f)                                                    \
    {                                                                          \
#f, f, NULL, NULL                                                      \
    }
#define cmocka_unit_test_setup(f, s)                                           \
    {                                                                          \
#f, f, s, NULL                                                         \
    }
#define cmocka_unit_test_setup_teardown(f, s, t)                               \
    {                                                                          \
#f, f, s, t                                                            \
    }

__attribute__((unused)) static enum bare_outcome
bare_run(const struct CMUnitTest *t, void *state)
{
    volatile enum bare_outcome out = BARE_PASSED;
    void *own = state;
    int left;

    printf("[ RUN      ] %s\n", t->name);
    fflush(stdout);
    left = setjmp(bare_leave);
    if (left)
        out = (enum bare_outcome)left;
    else if (t->setup && t->setup(&own))
        out = BARE_FAILED;
    else
        t->test(&own);
    if (t->teardown && !setjmp(bare_leave) && t->teardown(&own))
        out = BARE_FAILED;
    printf("[  %s ] %s\n",
           out == BARE_PASSED    ? "     OK"
           : out == BARE_SKIPPED ? "SKIPPED"
                                 : "FAILED ",
           t->name);
    fflush(stdout);
    return out;
}

__attribute__((unused)) static int
bare_run_group(const struct CMUnitTest *tests, size_t n,
               int (*setup)(void **state), int (*teardown)(void **state))
{
    unsigned counts[BARE_SKIPPED + 1] = {0};
    void *state = NULL;

    printf("[==========] Running %zu test(s).\n", n);
    if (setup && setup(&state)) {
        print_error("[  FAILED  ] GROUP SETUP\n");
        return (int)n;
    }
    for (size_t i = 0; i < n; i++)
        counts[bare_run(&tests[i], state)]++;
    if (teardown && teardown(&state))
        print_error("[  FAILED  ] GROUP TEARDOWN\n");
    printf("[==========] %zu test(s) run.\n", n);
    printf("[  PASSED  ] %u test(s).\n", counts[BARE_PASSED]);
    if (counts[BARE_SKIPPED])
        printf("[  SKIPPED ] %u test(s).\n", counts[BARE_SKIPPED]);
    if (counts[BARE_FAILED])
        printf("[  FAILED  ] %u test(s).\n", counts[BARE_FAILED]);
    return (int)counts[BARE_FAILED];
}

#define cmocka_run_group_tests(tests, setup, teardown)                         \
    bare_run_group(tests, sizeof(tests) / sizeof(tests)[0], setup, teardown)

#endif
