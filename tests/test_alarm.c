/* Alarms on series that are made to set them off, and on such that must not;
 * the state written down in the middle changes nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "train/alarm.h"
#include "train/random.h"

static const struct alarm_rules rules = {
    .chance = 4.0, .begin = 2.6592, .most = 4.6051701859880914, .warmup = 100};

/* A run that goes well. */
static struct alarm_point healthy(uint64_t step)
{
    double x = (double)step;

    return (struct alarm_point){.step = step,
                                .loss = 1 + 3 * exp(-x / 300),
                                .norm = 2 + sin(x),
                                .logit_scale = fmin(2.6592 + x * 1e-4, 4.6)};
}

static unsigned play(struct alarm_state *s, const struct alarm_point *p)
{
    return alarm_step(&rules, s, p);
}

static void test_alarm__healthy(void **state)
{
    struct alarm_state s;

    (void)state;
    alarm_begin(&s);
    for (uint64_t i = 1; i <= 5000; i++) {
        struct alarm_point p = healthy(i);

        assert_int_equal(play(&s, &p), 0);
    }
    assert_true(alarm_limit(&rules, &s) > 15);
    assert_true(alarm_limit(&rules, &s) < 25);
}

static void test_alarm__stuck(void **state)
{
    static const struct {
        double loss;
        bool off;
    } cases[] = {{4.0, true}, {3.93, true}, {3.91, false}, {5.5, true}};

    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct alarm_state s;
        uint64_t times = 0;

        alarm_begin(&s);
        for (uint64_t i = 1; i <= 1500; i++) {
            struct alarm_point p = healthy(i);
            unsigned off;

            p.loss = cases[k].loss;
            off = play(&s, &p);
            assert_int_equal(off & ~(1u << ALARM_STUCK), 0);
            if (off) {
                assert_int_equal((i - rules.warmup) % ALARM_STUCK_STEPS,
                                 ALARM_MEAN);
                times++;
            }
        }
        assert_int_equal(times, cases[k].off ? 3 : 0);
    }
}

/* Without a loss of chance there is nothing to be stuck at; and who has left
 * it is not stuck, whatever it began with. */
static void test_alarm__not_stuck(void **state)
{
    struct alarm_rules sigmoid = rules;
    struct alarm_state s;

    (void)state;
    sigmoid.chance = 0;
    alarm_begin(&s);
    for (uint64_t i = 1; i <= 1500; i++) {
        struct alarm_point p = healthy(i);

        p.loss = 4;
        assert_int_equal(alarm_step(&sigmoid, &s, &p), 0);
    }
    alarm_begin(&s);
    for (uint64_t i = 1; i <= 1500; i++) {
        struct alarm_point p = healthy(i);

        p.loss = i < 110 ? 4 : 2;
        assert_int_equal(play(&s, &p), 0);
    }
}

static void test_alarm__clamped(void **state)
{
    struct alarm_state s;
    uint64_t times = 0;

    (void)state;
    alarm_begin(&s);
    for (uint64_t i = 1; i <= 4000; i++) {
        struct alarm_point p = healthy(i);

        /* at it from 500 on, away from it once at 2,000 */
        p.logit_scale = i < 500 || i == 2000 ? 4.5 : rules.most;
        if (play(&s, &p) == 1u << ALARM_CLAMPED) {
            assert_int_equal(i, times ? 3000 : 1499);
            times++;
        }
    }
    assert_int_equal(times, 2);
}

static void test_alarm__collapsing(void **state)
{
    struct alarm_state s;
    int times = 0;

    (void)state;
    alarm_begin(&s);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct alarm_point p = healthy(i);

        p.logit_scale = i < 300 ? 2.6592 - log(2.9) : 2.6592 - log(3.1);
        if (play(&s, &p)) {
            char text[ALARM_TEXT_MAX];

            assert_int_equal(i, 300 + ALARM_COLLAPSED_STEPS - 1);
            alarm_text(ALARM_COLLAPSING, &rules, &s, &p, text);
            assert_non_null(strstr(text, "step 399: "));
            times++;
        }
    }
    assert_int_equal(times, 1);
}

static void test_alarm__spike(void **state)
{
    struct alarm_state s, before;
    char text[ALARM_TEXT_MAX];

    (void)state;
    alarm_begin(&s);
    assert_true(alarm_limit(&rules, &s) == 0);
    for (uint64_t i = 1; i <= 300; i++) {
        struct alarm_point p = healthy(i);
        unsigned off;

        p.norm = i == 10 || i == 200 || i == 250 ? 30 : i == 220 ? 19 : 2;
        p.left_out = i == 200;
        before = s;
        off = play(&s, &p);
        /* at 10 nobody knows yet what is usual */
        assert_int_equal(off, i == 200 || i == 250 ? 1u << ALARM_SPIKED : 0);
        if (i == 200) {
            alarm_text(ALARM_SPIKED, &rules, &before, &p, text);
            assert_non_null(strstr(text, "step 200: "));
            assert_non_null(strstr(text, "is 30, 15.0 times"));
            assert_non_null(strstr(text, "left out"));
        } else if (i == 250) {
            alarm_text(ALARM_SPIKED, &rules, &before, &p, text);
            assert_non_null(strstr(text, "taken all the same"));
        }
    }
    assert_true(alarm_limit(&rules, &s) == 20);
}

/* Norms that rise for good are usual half a window later. */
static void test_alarm__higher_for_good(void **state)
{
    struct alarm_state s;
    int spikes = 0;

    (void)state;
    alarm_begin(&s);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct alarm_point p = healthy(i);

        p.norm = i < 500 ? 1 : 100;
        spikes += play(&s, &p) != 0;
    }
    assert_int_equal(spikes, ALARM_WINDOW / 2);
}

static void test_alarm__unknown(void **state)
{
    struct alarm_state s;

    (void)state;
    alarm_begin(&s);
    for (uint64_t i = 1; i <= 3000; i++) {
        struct alarm_point p = healthy(i);

        p.norm = -1;
        p.logit_scale = NAN;
        assert_int_equal(play(&s, &p), 0);
    }
    assert_int_equal(s.norms_n, 0);
}

static void test_alarm__not_finite(void **state)
{
    struct alarm_state s, before;
    char text[ALARM_TEXT_MAX];
    struct alarm_point p = {.step = 7,
                            .loss = NAN,
                            .norm = -1,
                            .logit_scale = NAN,
                            .left_out = true};

    (void)state;
    alarm_begin(&s);
    before = s;
    assert_int_equal(play(&s, &p), 1u << ALARM_NOT_FINITE);
    assert_int_equal(s.not_finite, 1);
    alarm_text(ALARM_NOT_FINITE, &rules, &before, &p, text);
    assert_non_null(strstr(text, "step 7: the loss is not finite, and was "
                                 "left out"));
    assert_null(strstr(text, "-1")); /* a norm that nobody knows */
    p.loss = 1;
    p.norm = INFINITY;
    assert_int_equal(play(&s, &p), 1u << ALARM_NOT_FINITE);
    assert_int_equal(s.not_finite, 2);
    alarm_text(ALARM_NOT_FINITE, &rules, &before, &p, text);
    assert_non_null(strstr(text, "step 7: the gradient is not finite"));
    assert_int_equal(s.norms_n, 0);
    assert_int_equal(s.mean_n, 0);
    p.norm = 1;
    assert_int_equal(play(&s, &p), 0);
    assert_int_equal(s.not_finite, 0);
}

/* Written down and read at any place, the rest goes on as it would have. */
static void test_alarm__resumed(void **state)
{
    struct alarm_state a, b;
    uint64_t alarms = 0;

    (void)state;
    alarm_begin(&a);
    alarm_begin(&b);
    for (uint64_t i = 1; i <= 700; i++) {
        struct alarm_point p = healthy(i);
        unsigned off;

        /* numbers of all their bits */
        p.norm = (double)(random_bits(1, i) >> 11) * 0x1p-53;
        p.norm = i % 37 ? p.norm : 30 * p.norm;
        p.loss = 4 + 1e-3 * p.norm;
        p.logit_scale = 0.1;
        off = play(&a, &p);
        assert_int_equal(off, play(&b, &p));
        alarms += off != 0;
        if (i % 50 == 3) {
            struct json_out o;
            struct err e = ERR_INIT;
            struct json j;
            struct buf text;

            buf_init(&text, 1 << 16);
            json_out_init(&o, &text);
            alarm_write(&b, &o);
            memset(&b, 0x55, sizeof b);
            json_open(&j, buf_str(&text), NULL);
            if (alarm_read(&b, &j, &e))
                fail_msg("%s", e.message);
            assert_int_equal(json_close(&j, NULL), 0);
            buf_release(&text);
            assert_memory_equal(&a, &b, sizeof a);
        }
    }
    assert_true(alarms > 5);
}

static void test_alarm__bad_states(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"{}", 0},
        {"{\"norms_n\":1,\"norms\":[1.5],\"later\":{}}", 0},
        {"{\"norms_n\":2,\"norms\":[1.5]}", -E_RANGE},
        {"{\"norms_n\":0,\"norms\":[1.5]}", -E_RANGE},
        {"{\"norms_n\":1,\"norms\":[-1]}", -E_RANGE},
        {"{\"norms_n\":1,\"norms\":[null]}", -E_FORMAT},
        {"{\"norms_n\":-1}", -E_RANGE},
        {"{\"mean\":\"x\"}", -E_FORMAT},
        {"[]", -E_FORMAT},
        {"{\"norms_n\":1", -E_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct alarm_state s;
        struct err e = ERR_INIT;
        struct json j;
        int rc;

        json_open(&j, str_of(cases[i].text), NULL);
        rc = alarm_read(&s, &j, &e);
        if (rc != cases[i].rc)
            fail_msg("%s: %d, not %d", cases[i].text, rc, cases[i].rc);
        assert_int_equal(rc != 0, e.message[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alarm__healthy),
        cmocka_unit_test(test_alarm__stuck),
        cmocka_unit_test(test_alarm__not_stuck),
        cmocka_unit_test(test_alarm__clamped),
        cmocka_unit_test(test_alarm__collapsing),
        cmocka_unit_test(test_alarm__spike),
        cmocka_unit_test(test_alarm__higher_for_good),
        cmocka_unit_test(test_alarm__unknown),
        cmocka_unit_test(test_alarm__not_finite),
        cmocka_unit_test(test_alarm__resumed),
        cmocka_unit_test(test_alarm__bad_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
