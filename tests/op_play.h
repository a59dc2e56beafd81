/*
 * op_play - ops on random numbers, played again on any device.
 *
 * Model.   A case is a function that lays out arrays and runs ops on them, as
 *          a layer does.  A struct play is what it runs on: a device and a
 *          seed.  Shapes, flags and numbers are a function of the seed, so
 *          the same case can be played again:
 *
 *          - with one number of one input nudged: play_loss() of both sides
 *            gives a central difference (tests/test_ops_grad.c);
 *          - on another device, with the first play as its oracle: then
 *            play_compare() tells how far apart they are.  Behind each op
 *            (play_step) both go on from the oracle's numbers, so that every
 *            op is measured alone.
 *
 *          Arrays have a role.  play_in: random numbers.  play_out: what an
 *          op overwrites (it holds random numbers before).  play_sum: what an
 *          op adds to.  play_dout: an input, the gradient that comes in for an
 *          output.  play_din and play_dsum: the gradient that goes out for an
 *          input, play_dweight: for a weight; play_becomes: as play_din, but
 *          in place of another array.  An op's arrays are laid out behind the
 *          op before and its play_step.
 * Owns.    Arrays and their copies; play_close() frees them.
 * Fails.   By cmocka's asserts.
 */
#ifndef TESTS_OP_PLAY_H
#define TESTS_OP_PLAY_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/device.h"
#include "train/op.h"

#define PLAY_SLOTS 48

enum play_type {
    PLAY_ACT,   /* the device's act */
    PLAY_REAL,  /* the device's real */
    PLAY_INDEX, /* int32_t */
    PLAY_BYTE,  /* uint8_t */
    PLAY_DOUBLE /* double on every device */
};

enum play_role { PLAY_IN, PLAY_OUT, PLAY_SUM };

struct play_slot {
    const char *name;
    enum play_type type;
    enum play_role role;
    int of;              /* the slot whose gradient this is, or -1 */
    int64_t n;           /* numbers */
    void *p;             /* in the device's memory */
    bool borrowed;       /* p is another slot's */
    bool taken;          /* `end` is filled */
    double *begin, *end; /* [n] before the first op; behind the op that wrote */
};

struct play {
    struct device *d;
    uint64_t seed;
    bool large; /* shapes that fill vectors and tiles, not gradient checks */
    bool bf16;  /* act arrays hold numbers that bfloat16 holds, too */
    const struct play *oracle; /* or NULL */
    int nudge_slot;            /* or -1 */
    int64_t nudge_at;
    double nudge;
    bool kinked; /* a ReLU's input came too near to 0 for differences */
    uint64_t drawn, flags; /* of this run */
    int n, made;           /* slots of this run; allocated */
    struct play_slot slot[PLAY_SLOTS];
};

typedef void play_case(struct play *p);

/* ---- life ---- */

static inline void play_open(struct play *p, struct device *d, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    p->d = d;
    p->seed = seed;
    p->nudge_slot = -1;
}

static inline void play_close(struct play *p)
{
    for (int i = 0; i < p->made; i++) {
        if (!p->slot[i].borrowed)
            device_free(p->d, p->slot[i].p);
        free(p->slot[i].begin);
        free(p->slot[i].end);
    }
    p->made = p->n = 0;
}

static inline void play_once(struct play *p, play_case *run)
{
    p->n = 0;
    p->drawn = 0;
    p->flags = p->seed;
    p->kinked = false;
    run(p);
}

/* Run the case; first dry, where the backend wants to prepare its shapes. */
static inline void play_run(struct play *p, play_case *run)
{
    struct err e = ERR_INIT;

    if (p->d->ops->plan) {
        device_plan_begin(p->d);
        play_once(p, run);
        if (device_plan_end(p->d, &e))
            fail_msg("plan: %s", e.message);
    }
    play_once(p, run);
    if (device_check(p->d, &e))
        fail_msg("%s", e.message);
}

/* ---- what a case asks for ---- */

/* SplitMix64 of the seed and of how often was asked. */
static inline uint64_t play_bits(struct play *p)
{
    uint64_t z =
        (p->seed + 1) * 0x9e3779b97f4a7c15u + ++p->drawn * 0xd1342543de82ef95u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In [-1, 1), 2^-20 apart, so that float holds it, too. */
static inline double play_uniform(struct play *p)
{
    return (double)(play_bits(p) >> 43) * 0x1p-20 - 1;
}

/* 0..n-1. */
static inline int play_pick(struct play *p, int n)
{
    return (int)(play_bits(p) % (uint64_t)n);
}

/* The seed's bits, one after the other: seeds 0 .. 2^k - 1 are all settings of
 * a case's k flags. */
static inline bool play_flag(struct play *p)
{
    bool flag = p->flags & 1;

    p->flags >>= 1;
    return flag;
}

/* A size, many of them odd, up to a limit for each kind of play. */
static inline int64_t play_size(struct play *p, int small_max, int large_max)
{
    static const int sizes[] = {1,  2,  3,  4,  5,   7,   8,   9,   16,  17, 31,
                                33, 48, 64, 65, 100, 127, 128, 130, 257, 300};
    int max = p->large ? large_max : small_max;
    int n = 0;

    while (n < (int)(sizeof sizes / sizeof *sizes) && sizes[n] <= max)
        n++;
    return sizes[play_pick(p, n)];
}

/* A size over which is normalised.  Of one or two numbers that gradient is 0 or
 * all but: its differences say that, a comparison of rounding errors nothing.
 */
static inline int64_t play_size_of_norm(struct play *p, int small_max,
                                        int large_max)
{
    return (p->large ? 4 : 0) + play_size(p, small_max, large_max);
}

/* ---- arrays ---- */

static inline size_t play_number(const struct play *p, enum play_type type)
{
    switch (type) {
    case PLAY_ACT:
        return dtype_size(p->d->act);
    case PLAY_REAL:
        return dtype_size(p->d->real);
    case PLAY_INDEX:
        return sizeof(int32_t);
    case PLAY_BYTE:
        return 1;
    case PLAY_DOUBLE:
        break;
    }
    return sizeof(double);
}

static inline int play_find(const struct play *p, const void *array)
{
    for (int i = 0; i < p->n; i++)
        if (p->slot[i].p == array && !p->slot[i].borrowed)
            return i;
    fail_msg("no such array in this play");
    return -1;
}

/* Host numbers into a slot's array. */
static inline void play_put(struct play *p, const struct play_slot *s,
                            const double *from)
{
    size_t n = (size_t)s->n;
    void *raw = xmalloc(n * play_number(p, s->type) + 1);

    if (s->type == PLAY_INDEX)
        for (size_t i = 0; i < n; i++)
            ((int32_t *)raw)[i] = (int32_t)from[i];
    else if (s->type == PLAY_BYTE)
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)raw)[i] = (uint8_t)from[i];
    else
        dtype_convert(raw,
                      s->type == PLAY_ACT    ? p->d->act
                      : s->type == PLAY_REAL ? p->d->real
                                             : DTYPE_F64,
                      from, DTYPE_F64, n);
    device_put(p->d, s->p, raw, n * play_number(p, s->type));
    free(raw);
}

static inline void play_get(struct play *p, const struct play_slot *s,
                            double *to)
{
    size_t n = (size_t)s->n;
    void *raw = xcalloc(n + 1, play_number(p, s->type));

    device_get(p->d, raw, s->p, n * play_number(p, s->type));
    if (s->type == PLAY_INDEX)
        for (size_t i = 0; i < n; i++)
            to[i] = ((int32_t *)raw)[i];
    else if (s->type == PLAY_BYTE)
        for (size_t i = 0; i < n; i++)
            to[i] = ((uint8_t *)raw)[i];
    else
        dtype_convert(to, DTYPE_F64, raw,
                      s->type == PLAY_ACT    ? p->d->act
                      : s->type == PLAY_REAL ? p->d->real
                                             : DTYPE_F64,
                      n);
    free(raw);
}

/* The next slot: its array is allocated once and found again by later runs. */
static inline struct play_slot *play_slot(struct play *p, const char *name,
                                          enum play_type type,
                                          enum play_role role, int64_t n,
                                          void *borrowed, int of)
{
    struct play_slot *s = &p->slot[p->n];
    struct err e = ERR_INIT;

    assert_true(p->n < PLAY_SLOTS);
    if (p->n == p->made) {
        s->p = borrowed;
        s->borrowed = borrowed != NULL;
        if (!borrowed)
            s->p = device_alloc(p->d, (size_t)n * play_number(p, type), &e);
        if (!s->p)
            fail_msg("%s", e.message);
        s->begin = xcalloc((size_t)n + 1, sizeof(double));
        s->end = xcalloc((size_t)n + 1, sizeof(double));
        s->n = n;
        p->made++;
    }
    assert_int_equal(s->n, n);
    s->name = name;
    s->type = type;
    s->role = role;
    s->of = of;
    s->taken = false;
    p->n++;
    return s;
}

/* Numbers in [low, high) into a fresh slot; the nudged one is nudged. */
static inline void *play_fill(struct play *p, struct play_slot *s, double low,
                              double high)
{
    for (int64_t i = 0; i < s->n; i++) {
        double x = low + (high - low) * (play_uniform(p) + 1) / 2;

        if (s->type == PLAY_ACT && p->bf16)
            x = (double)bf16_to_float(bf16_from_float((float)x));
        s->begin[i] = s->type == PLAY_DOUBLE ? x : (double)(float)x;
    }
    if (s - p->slot == p->nudge_slot)
        s->begin[p->nudge_at] += p->nudge;
    play_put(p, s, s->begin);
    return s->p;
}

static inline void *play_in_range(struct play *p, const char *name,
                                  enum play_type type, int64_t n, double low,
                                  double high)
{
    return play_fill(p, play_slot(p, name, type, PLAY_IN, n, NULL, -1), low,
                     high);
}

static inline void *play_in(struct play *p, const char *name,
                            enum play_type type, int64_t n)
{
    return play_in_range(p, name, type, n, -1, 1);
}

static inline void *play_out(struct play *p, const char *name,
                             enum play_type type, int64_t n)
{
    return play_fill(p, play_slot(p, name, type, PLAY_OUT, n, NULL, -1), -1, 1);
}

static inline void *play_sum(struct play *p, const char *name,
                             enum play_type type, int64_t n)
{
    return play_fill(p, play_slot(p, name, type, PLAY_SUM, n, NULL, -1), -1, 1);
}

/* A byte for each bit of `bits`, the lowest first. */
static inline uint8_t *play_bytes(struct play *p, const char *name, int64_t n,
                                  uint64_t bits)
{
    struct play_slot *s = play_slot(p, name, PLAY_BYTE, PLAY_IN, n, NULL, -1);

    for (int64_t i = 0; i < n; i++)
        s->begin[i] = (double)(bits >> i % 64 & 1);
    play_put(p, s, s->begin);
    return s->p;
}

/* One double. */
static inline double *play_number_in(struct play *p, const char *name, double x)
{
    struct play_slot *s = play_slot(p, name, PLAY_DOUBLE, PLAY_IN, 1, NULL, -1);

    s->begin[0] = x;
    play_put(p, s, s->begin);
    return s->p;
}

/* Indices from host memory. */
static inline int32_t *play_index(struct play *p, const char *name, int64_t n,
                                  const int32_t *from)
{
    struct play_slot *s = play_slot(p, name, PLAY_INDEX, PLAY_IN, n, NULL, -1);

    for (int64_t i = 0; i < n; i++)
        s->begin[i] = from[i];
    play_put(p, s, s->begin);
    return s->p;
}

/* Bytes of all values. */
static inline uint8_t *play_pixels(struct play *p, const char *name, int64_t n)
{
    struct play_slot *s = play_slot(p, name, PLAY_BYTE, PLAY_IN, n, NULL, -1);

    for (int64_t i = 0; i < n; i++)
        s->begin[i] = play_pick(p, 256);
    play_put(p, s, s->begin);
    return s->p;
}

static inline void *play_dout(struct play *p, const char *name,
                              const void *output)
{
    int of = play_find(p, output);
    struct play_slot *s =
        play_slot(p, name, p->slot[of].type, PLAY_IN, p->slot[of].n, NULL, of);

    return play_fill(p, s, -1, 1);
}

/* For losses, whose gradient is a given number. */
static inline void play_weigh(struct play *p, const char *name,
                              const void *output, double by)
{
    int of = play_find(p, output);
    struct play_slot *s =
        play_slot(p, name, p->slot[of].type, PLAY_IN, p->slot[of].n, NULL, of);

    for (int64_t i = 0; i < s->n; i++)
        s->begin[i] = by;
}

/* `spread`: what stands there before, 0 where an op does not write all of it.
 */
static inline void *play_din_over(struct play *p, const char *name,
                                  const void *input, double spread)
{
    int of = play_find(p, input);
    struct play_slot *s =
        play_slot(p, name, p->slot[of].type, PLAY_OUT, p->slot[of].n, NULL, of);

    return play_fill(p, s, -spread, spread);
}

static inline void *play_din(struct play *p, const char *name,
                             const void *input)
{
    return play_din_over(p, name, input, 1);
}

static inline void *play_dsum(struct play *p, const char *name,
                              const void *input)
{
    int of = play_find(p, input);
    struct play_slot *s =
        play_slot(p, name, p->slot[of].type, PLAY_SUM, p->slot[of].n, NULL, of);

    return play_fill(p, s, -1, 1);
}

/* Of what products read as `act`, but is a parameter: its gradient is real. */
static inline void *play_dweight(struct play *p, const char *name,
                                 const void *input)
{
    int of = play_find(p, input);
    struct play_slot *s =
        play_slot(p, name, PLAY_REAL, PLAY_SUM, p->slot[of].n, NULL, of);

    return play_fill(p, s, -1, 1);
}

/* The gradient of `input` comes where `array` was (an op's "may be dy"). */
static inline void *play_becomes(struct play *p, const char *name,
                                 const void *array, const void *input)
{
    struct play_slot *was = &p->slot[play_find(p, array)];
    int of = play_find(p, input);

    return play_slot(p, name, was->type, PLAY_OUT, was->n, was->p, of)->p;
}

/* The array's number `at`, by its type. */
static inline void *play_at(struct play *p, const void *array, int64_t at)
{
    const struct play_slot *s = &p->slot[play_find(p, array)];

    return (char *)s->p + (size_t)at * play_number(p, s->type);
}

/* Behind an op: take what it wrote, and go on from the oracle's. */
static inline void play_step(struct play *p)
{
    if (p->d->planning)
        return;
    for (int i = 0; i < p->n; i++) {
        struct play_slot *s = &p->slot[i];
        const double *next = p->oracle ? p->oracle->slot[i].end : s->end;

        if (s->taken || s->role == PLAY_IN)
            continue;
        play_get(p, s, s->end);
        s->taken = true;
        if (p->oracle || (p->bf16 && s->type == PLAY_ACT)) {
            struct play_slot to = *s;

            to.end = xcalloc((size_t)s->n + 1, sizeof(double));
            for (int64_t k = 0; k < s->n; k++)
                to.end[k] =
                    p->bf16 && s->type == PLAY_ACT
                        ? (double)bf16_to_float(bf16_from_float((float)next[k]))
                        : next[k];
            play_put(p, &to, to.end);
            free(to.end);
        }
    }
}

/* ---- what a test asks for ---- */

/* Sum over the outputs of their numbers times the gradient that comes in. */
static inline double play_loss(const struct play *p)
{
    double loss = 0;

    for (int i = 0; i < p->n; i++) {
        const struct play_slot *s = &p->slot[i];

        const struct play_slot *of = &p->slot[s->of < 0 ? 0 : s->of];

        if (s->role != PLAY_IN || s->of < 0)
            continue;
        /* of an input: it reaches the loss on another way, too */
        assert_true(of->taken || of->role == PLAY_IN);
        for (int64_t k = 0; k < s->n; k++)
            loss +=
                s->begin[k] * (of->role == PLAY_IN ? of->begin : of->end)[k];
    }
    return loss;
}

/* The gradient that slot i has received, number k. */
static inline double play_gradient(const struct play *p, int i, int64_t k)
{
    const struct play_slot *s = &p->slot[i];

    return s->end[k] - (s->role == PLAY_SUM ? s->begin[k] : 0);
}

/* The array called `name`: its numbers behind the op that wrote it, or, of an
 * input, before. */
static inline const double *play_numbers(const struct play *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->slot[i].name, name))
            return p->slot[i].role == PLAY_IN ? p->slot[i].begin
                                              : p->slot[i].end;
    fail_msg("no array %s in this play", name);
    return NULL;
}

/* The largest |p - oracle| of slot i by the largest |oracle|; infinite where
 * one is finite and the other is not. */
static inline double play_apart(const struct play *p, int i)
{
    const struct play_slot *a = &p->slot[i], *b = &p->oracle->slot[i];
    double most = 0, apart = 0;

    assert_int_equal(a->n, b->n);
    for (int64_t k = 0; k < a->n; k++) {
        double gap = fabs(a->end[k] - b->end[k]);

        if (a->end[k] != b->end[k] && !(gap <= apart))
            apart = isnan(gap) ? INFINITY : gap;
        if (fabs(b->end[k]) > most)
            most = fabs(b->end[k]);
    }
    return most > 0 ? apart / most : apart;
}

/* Play a case on a device and on its oracle; every output within `act` or
 * `real`, relative to its largest number.  Gives the worst of each type back in
 * worst[2] (by PLAY_ACT and PLAY_REAL), if not NULL. */
static inline void play_compare(const char *name, play_case *run, uint64_t seed,
                                struct device *d, struct device *oracle,
                                double act, double real, double *worst)
{
    struct play a, b;

    play_open(&b, oracle, seed);
    b.large = true;
    b.bf16 = d->act == DTYPE_BF16;
    play_run(&b, run);
    play_open(&a, d, seed);
    a.large = true;
    a.bf16 = b.bf16;
    a.oracle = &b;
    play_run(&a, run);
    assert_int_equal(a.n, b.n);
    for (int i = 0; i < a.n; i++) {
        const struct play_slot *s = &a.slot[i];
        double apart, bound = s->type == PLAY_ACT ? act : real;

        if (s->role == PLAY_IN)
            continue;
        apart = play_apart(&a, i);
        if (!(apart <= bound))
            fail_msg("%s, seed %llu: %s is %.3g from the reference, more "
                     "than %.3g",
                     name, (unsigned long long)seed, s->name, apart, bound);
        if (worst && apart > worst[s->type != PLAY_ACT])
            worst[s->type != PLAY_ACT] = apart;
    }
    play_close(&a);
    play_close(&b);
}

#endif
