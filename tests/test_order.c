/* train/order: what stands where.  Sources are made by hand, without files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/order.h"
#include "train/random.h"

#define SHARDS_MAX 64

/* A source without files: sizes of shards alone. */
struct made {
    struct source source;
    struct source_shard shards[SHARDS_MAX];
    struct balance balance;
    struct balance_shard kept[SHARDS_MAX];
};

static void make(struct made *m, const char *name, double weight,
                 const uint64_t *sizes, size_t n)
{
    memset(m, 0, sizeof *m);
    m->source = (struct source){.name = (char *)(uintptr_t)name,
                                .weight = weight,
                                .shards = m->shards,
                                .n_shards = n};
    for (size_t i = 0; i < n; i++) {
        m->shards[i].n = sizes[i];
        m->source.n += sizes[i];
    }
}

/* The same number for a sample whoever asks: shard * 1000 + sample. */
static uint32_t sample_at(struct order *o, uint64_t position, unsigned *source)
{
    struct err e = ERR_INIT;
    struct order_window w;
    struct order_place p;
    uint32_t sample;

    assert_int_equal(order_find(o, position, &p, &e), 0);
    assert_int_equal(order_window_open(o, p.source, p.epoch, p.window, &w, &e),
                     0);
    assert_true(p.at < w.n);
    sample = w.shards[w.items[p.at].shard] * 1000 + w.items[p.at].sample;
    order_window_close(&w);
    if (source)
        *source = p.source;
    return sample;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static const uint64_t sizes_a[] = {5, 1, 7, 3, 4, 0, 2, 6, 9, 5};
#define N_A 42

static void open_one(struct order *o, const struct made *m, uint64_t seed,
                     size_t window)
{
    const struct order_source s = {&m->source, NULL};
    const struct order_config c = {.seed = seed, .window = window};
    struct err e = ERR_INIT;

    assert_int_equal(order_open(o, &c, &s, 1, &e), 0);
}

static void test_order__every_sample_once_an_epoch(void **state)
{
    static const size_t windows[] = {1, 2, 3, 8, 10, 100};
    uint32_t got[N_A], first[N_A];
    struct made m;

    (void)state;
    make(&m, "a", 1, sizes_a, 10);
    for (size_t w = 0; w < 6; w++) {
        struct order o;

        open_one(&o, &m, 7, windows[w]);
        assert_int_equal(order_epoch(&o), N_A);
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            for (uint64_t i = 0; i < N_A; i++)
                got[i] = sample_at(&o, epoch * N_A + i, NULL);
            if (epoch) /* another order than the first */
                assert_memory_not_equal(got, first, sizeof got);
            else
                memcpy(first, got, sizeof got);
            qsort(got, N_A, sizeof *got, compare);
            for (uint32_t s = 0, at = 0; s < 10; s++)
                for (uint32_t i = 0; i < sizes_a[s]; i++)
                    assert_int_equal(got[at++], s * 1000 + i);
        }
        order_close(&o);
    }
}

/* A window's samples stand together, and are not in the order of the tar. */
static void test_order__windows_hold_whole_shards(void **state)
{
    struct err e = ERR_INIT;
    uint64_t position = 0;
    struct order_window w;
    struct order_place p;
    unsigned moved = 0;
    struct order o;
    struct made m;

    (void)state;
    make(&m, "a", 1, sizes_a, 10);
    open_one(&o, &m, 1, 4);
    for (uint64_t k = 0; k < 3; k++) {
        uint64_t n = 0;
        size_t ahead;

        assert_int_equal(order_window_open(&o, 0, 0, k, &w, &e), 0);
        assert_int_equal(w.n_shards, k < 2 ? 4 : 2);
        order_ahead(&o, &w, &ahead);
        assert_int_equal(ahead, k == 0 ? 4 : k == 1 ? 2 : 0);
        for (size_t i = 0; i < w.n_shards; i++)
            n += sizes_a[w.shards[i]];
        assert_int_equal(w.n, n);
        for (uint64_t i = 0; i < w.n; i++, position++) {
            assert_int_equal(order_find(&o, position, &p, &e), 0);
            assert_int_equal(p.window, k);
            assert_int_equal(p.at, i);
            moved += i && (w.items[i].shard < w.items[i - 1].shard);
        }
        order_window_close(&w);
    }
    assert_int_equal(position, N_A);
    assert_true(moved > 5);
    order_close(&o);
}

/* Positions asked for one by one, backwards, by ranks, or from the middle on:
 * the same samples. */
static void test_order__ranks_and_restarts_agree(void **state)
{
    enum { BATCH = 8, STEPS = 20, ALL = BATCH * STEPS };
    uint32_t whole[ALL];
    struct order o, other;
    struct made m;

    (void)state;
    make(&m, "a", 1, sizes_a, 10);
    open_one(&o, &m, 3, 3);
    for (uint64_t g = 0; g < ALL; g++)
        whole[g] = sample_at(&o, g, NULL);
    for (uint64_t g = ALL; g-- > 0;)
        assert_int_equal(sample_at(&o, g, NULL), whole[g]);
    for (unsigned ranks = 1; ranks <= 4; ranks *= 2)
        for (unsigned r = 0; r < ranks; r++) {
            open_one(&other, &m, 3, 3);
            for (uint64_t s = r; s < STEPS; s++) /* from another step each */
                for (uint64_t i = 0; i < BATCH / ranks; i++) {
                    uint64_t g = s * BATCH + r * (BATCH / ranks) + i;

                    assert_int_equal(sample_at(&other, g, NULL), whole[g]);
                }
            order_close(&other);
        }
    open_one(&other, &m, 4, 3); /* another seed */
    {
        unsigned same = 0;

        for (uint64_t g = 0; g < ALL; g++)
            same += sample_at(&other, g, NULL) == whole[g];
        assert_true(same < ALL / 4);
    }
    order_close(&other);
    order_close(&o);
}

/* The rule of the header, written again from it. */
static void test_order__by_its_words(void **state)
{
    uint32_t shards[10], items[N_A];
    size_t n = 0;
    uint64_t stream;
    struct order o;
    struct made m;

    (void)state;
    make(&m, "a", 1, sizes_a, 10);
    open_one(&o, &m, 11, 10); /* one window */
    for (uint32_t i = 0; i < 10; i++)
        shards[i] = i;
    stream = random_stream(11, STR("order-shards"));
    stream = random_bits(random_bits(random_bits(stream, 0), 2), 0);
    for (size_t i = 9; i > 0; i--) {
        size_t k =
            (size_t)(((unsigned __int128)random_bits(stream, i) * (i + 1)) >>
                     64);
        uint32_t swap = shards[i];

        shards[i] = shards[k];
        shards[k] = swap;
    }
    for (size_t s = 0; s < 10; s++)
        for (uint32_t i = 0; i < sizes_a[shards[s]]; i++)
            items[n++] = shards[s] * 1000 + i;
    stream = random_stream(11, STR("order-samples"));
    stream = random_bits(random_bits(random_bits(stream, 0), 2), 0);
    for (size_t i = N_A - 1; i > 0; i--) {
        size_t k =
            (size_t)(((unsigned __int128)random_bits(stream, i) * (i + 1)) >>
                     64);
        uint32_t swap = items[i];

        items[i] = items[k];
        items[k] = swap;
    }
    for (uint64_t i = 0; i < N_A; i++)
        assert_int_equal(sample_at(&o, 2 * N_A + i, NULL), items[i]);
    order_close(&o);
}

/* ---- several sources ---- */

static void test_order__blocks_hold_exact_quotas(void **state)
{
    static const struct {
        double weight[3];
        uint64_t size[3];
        unsigned quota[3];
    } cases[] = {
        {{1, 1, 1}, {100, 100, 100}, {342, 341, 341}},
        {{1, 2, 1}, {100, 100, 100}, {256, 512, 256}},
        {{1, 1, 1}, {10, 20, 30}, {171, 341, 512}},
        {{3, 0.5, 1}, {10, 20, 60}, {307, 103, 614}},
        {{1, 1, 1}, {1, 511, 512}, {1, 511, 512}},
    };
    struct made m[3];

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct order_config config = {.seed = 5, .window = 2};
        struct order_source s[3];
        struct err e = ERR_INIT;
        uint64_t ranks[3] = {0};
        struct order o;

        for (int i = 0; i < 3; i++) {
            make(&m[i], "x", cases[c].weight[i], &cases[c].size[i], 1);
            s[i] = (struct order_source){&m[i].source, NULL};
        }
        assert_int_equal(order_open(&o, &config, s, 3, &e), 0);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(order_quota(&o, i), cases[c].quota[i]);
        for (uint64_t block = 0; block < 3; block++) {
            unsigned seen[3] = {0}, first = 0;

            for (uint64_t i = 0; i < ORDER_BLOCK; i++) {
                struct order_place p;

                assert_int_equal(
                    order_find(&o, block * ORDER_BLOCK + i, &p, &e), 0);
                seen[p.source]++;
                if (i < 100)
                    first |= 1u << p.source;
            }
            for (int i = 0; i < 3; i++) {
                assert_int_equal(seen[i], cases[c].quota[i]);
                ranks[i] += seen[i];
            }
            assert_true(first > 2); /* they take turns */
        }
        order_close(&o);
    }
}

/* Of each source, too, every sample once in its own epoch. */
static void test_order__sources_have_epochs_of_their_own(void **state)
{
    static const uint64_t sizes_b[] = {300, 211};
    const struct order_config c = {.seed = 9, .window = 2};
    struct made a, b;
    struct order o;
    struct order_source s[2];
    struct err e = ERR_INIT;
    uint32_t seen_a[N_A] = {0}, seen_b[511] = {0};
    uint64_t all = 8 * ORDER_BLOCK, turns[2] = {0};

    (void)state;
    make(&a, "a", 6, sizes_a, 10);
    make(&b, "b", 1, sizes_b, 2);
    s[0] = (struct order_source){&a.source, NULL};
    s[1] = (struct order_source){&b.source, NULL};
    assert_int_equal(order_open(&o, &c, s, 2, &e), 0);
    assert_int_equal(order_epoch(&o), 6 * N_A + 511);
    for (uint64_t g = 0; g < all; g++) {
        unsigned source;
        uint32_t x = sample_at(&o, g, &source), at = x % 1000;
        uint64_t turn = turns[source]++;

        for (uint32_t k = 0; k < x / 1000; k++)
            at += (uint32_t)(source ? sizes_b : sizes_a)[k];
        if (source) {
            seen_b[at]++;
            if ((turn + 1) % 511 == 0)
                for (int i = 0; i < 511; i++)
                    assert_int_equal(seen_b[i], (turn + 1) / 511);
        } else {
            seen_a[at]++;
            if ((turn + 1) % N_A == 0)
                for (int i = 0; i < N_A; i++)
                    assert_int_equal(seen_a[i], (turn + 1) / N_A);
        }
    }
    assert_true(turns[0] / N_A > 60 && turns[1] / 511 > 9);
    order_close(&o);
}

static void test_order__refuses_a_share_of_nothing(void **state)
{
    static const uint64_t small[] = {1}, large[] = {1000000};
    const struct order_config c = {.seed = 0, .window = 1};
    struct order_source s[2];
    struct err e = ERR_INIT;
    struct made a, b;
    struct order o;

    (void)state;
    make(&a, "small", 1, small, 1);
    make(&b, "large", 1, large, 1);
    s[0] = (struct order_source){&b.source, NULL};
    s[1] = (struct order_source){&a.source, NULL};
    assert_int_equal(order_open(&o, &c, s, 2, &e), -E_RANGE);
    assert_non_null(strstr(e.message, "small"));
}

/* ---- balanced ---- */

/* Thresholds that keep about a third, some never, some always. */
static void add_balance(struct made *m, uint64_t seed)
{
    m->balance = (struct balance){.stream = random_stream(seed, STR("balance")),
                                  .shards = m->kept,
                                  .n_shards = m->source.n_shards};
    for (size_t k = 0; k < m->source.n_shards; k++) {
        uint64_t n = m->shards[k].n;
        struct balance_sample *v = xcalloc(n + 1, sizeof *v);

        for (uint64_t i = 0; i < n; i++)
            v[i] = (struct balance_sample){random_mix(k * 1000 + i),
                                           i % 5 == 4   ? 0
                                           : i % 5 == 3 ? BALANCE_ALL
                                                        : UINT64_MAX / 3};
        m->kept[k] = (struct balance_shard){.v = v, .n = n};
    }
    m->balance.mean = m->source.n / 3;
}

static void drop_balance(struct made *m)
{
    for (size_t k = 0; k < m->source.n_shards; k++)
        free((void *)(uintptr_t)m->kept[k].v);
}

static void test_order__balanced_epochs_are_the_kept_ones(void **state)
{
    const struct order_config c = {.seed = 2, .window = 3};
    struct order o, later;
    struct order_source s;
    struct err e = ERR_INIT;
    uint64_t g = 0, sizes[10], kept_sum = 0;
    struct made m;

    (void)state;
    for (int i = 0; i < 10; i++)
        sizes[i] = 20 + 7 * (uint64_t)i;
    make(&m, "a", 1, sizes, 10);
    add_balance(&m, 2);
    s = (struct order_source){&m.source, &m.balance};
    assert_int_equal(order_open(&o, &c, &s, 1, &e), 0);
    for (uint64_t epoch = 0; epoch < 4; epoch++) {
        uint32_t expect[1000], got[1000];
        size_t n = 0;

        for (uint32_t k = 0; k < 10; k++) /* by the words of balance.h */
            for (uint32_t i = 0; i < sizes[k]; i++) {
                uint64_t stream =
                    random_bits(random_stream(2, STR("balance")), epoch);
                uint64_t bits = random_bits(stream, m.kept[k].v[i].uid);
                uint64_t t = m.kept[k].v[i].threshold;

                if (t == BALANCE_ALL || bits < t)
                    expect[n++] = k * 1000 + i;
            }
        kept_sum += n;
        for (size_t i = 0; i < n; i++)
            got[i] = sample_at(&o, g++, NULL);
        qsort(got, n, sizeof *got, compare);
        assert_memory_equal(got, expect, n * sizeof *got);
    }
    /* about 2/5 of a third, 1/5 of all ... of 4 epochs */
    assert_in_range(kept_sum, 4 * m.source.n * 32 / 100,
                    4 * m.source.n * 50 / 100);
    /* taken up again in the last epoch */
    assert_int_equal(order_open(&later, &c, &s, 1, &e), 0);
    for (uint64_t i = g - 20; i < g; i++)
        assert_int_equal(sample_at(&later, i, NULL), sample_at(&o, i, NULL));
    assert_int_equal(sample_at(&later, 3, NULL), sample_at(&o, 3, NULL));
    order_close(&later);
    order_close(&o);
    drop_balance(&m);
}

/* Taken up far ahead: many epochs are counted at a time, by several threads. */
static void test_order__balanced_far_ahead(void **state)
{
    enum { SHARDS = 40, EPOCHS = 100 };
    uint64_t sizes[SHARDS], begins[EPOCHS + 1] = {0}, samples = 0;
    struct order_source s;
    struct made m;

    (void)state;
    for (uint64_t i = 0; i < SHARDS; i++)
        samples += sizes[i] = 1500 + 31 * i;
    make(&m, "a", 1, sizes, SHARDS);
    add_balance(&m, 2);
    assert_true(samples * BALANCE_EPOCHS > 1 << 21); /* worth threads */
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        begins[epoch + 1] = begins[epoch];
        for (uint32_t k = 0; k < SHARDS; k++)
            for (uint64_t i = 0; i < sizes[k]; i++)
                begins[epoch + 1] += balance_keeps(&m.balance, k, i, epoch);
    }
    s = (struct order_source){&m.source, &m.balance};
    for (unsigned threads = 1; threads <= 4; threads += 3)
        for (uint64_t epoch = EPOCHS - 1; epoch; epoch /= 3)
            for (int edge = 0; edge < 2; edge++) {
                const struct order_config c = {9, 3, threads};
                uint64_t g = edge ? begins[epoch + 1] - 1 : begins[epoch];
                struct err e = ERR_INIT;
                struct order_window w;
                struct order_place p;
                struct order o;

                assert_int_equal(order_open(&o, &c, &s, 1, &e), 0);
                assert_int_equal(order_find(&o, g, &p, &e), 0);
                assert_int_equal(p.epoch, epoch);
                assert_int_equal(p.window, edge ? (SHARDS - 1) / 3 : 0);
                assert_int_equal(
                    order_window_open(&o, 0, p.epoch, p.window, &w, &e), 0);
                assert_int_equal(p.at, edge ? w.n - 1 : 0);
                order_window_close(&w);
                order_close(&o);
            }
    drop_balance(&m);
}

static void test_order__nothing_kept_is_an_error(void **state)
{
    const struct order_config c = {.seed = 2, .window = 3};
    struct order_source s;
    struct order_place p;
    struct err e = ERR_INIT;
    struct order o;
    struct made m;

    (void)state;
    make(&m, "a", 1, sizes_a, 10);
    add_balance(&m, 2);
    for (size_t k = 0; k < 10; k++)
        for (uint64_t i = 0; i < sizes_a[k]; i++)
            ((struct balance_sample *)(uintptr_t)m.kept[k].v)[i].threshold = 0;
    s = (struct order_source){&m.source, &m.balance};
    assert_int_equal(order_open(&o, &c, &s, 1, &e), 0);
    assert_int_equal(order_find(&o, 0, &p, &e), -E_RANGE);
    order_close(&o);
    m.balance.mean = 0;
    e = (struct err)ERR_INIT;
    assert_int_equal(order_open(&o, &c, &s, 1, &e), -E_RANGE);
    assert_non_null(strstr(e.message, "balancing"));
    drop_balance(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order__every_sample_once_an_epoch),
        cmocka_unit_test(test_order__windows_hold_whole_shards),
        cmocka_unit_test(test_order__ranks_and_restarts_agree),
        cmocka_unit_test(test_order__by_its_words),
        cmocka_unit_test(test_order__blocks_hold_exact_quotas),
        cmocka_unit_test(test_order__sources_have_epochs_of_their_own),
        cmocka_unit_test(test_order__refuses_a_share_of_nothing),
        cmocka_unit_test(test_order__balanced_epochs_are_the_kept_ones),
        cmocka_unit_test(test_order__balanced_far_ahead),
        cmocka_unit_test(test_order__nothing_kept_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
