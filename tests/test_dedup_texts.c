/* Which texts stay: dedup_texts against sorting all of them, in every order of
 * adding; what dedup_exact keeps bits of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/dedup_exact.h"
#include "filter/dedup_texts.h"

enum { N = 400 };

struct world {
    char text[N][80];
    struct pair pairs[N]; /* ascending (s, uid) */
    size_t bytes[N];      /* of the record */
    uint64_t random;
};

static uint64_t draw(struct world *w)
{
    w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return w->random >> 33;
}

/* Records of very different lengths; several with one s. */
static void make(struct world *w)
{
    struct buf line;

    buf_init(&line, 1 << 20);
    for (size_t i = 0; i < N; i++) {
        struct pair *p = &w->pairs[i];

        memset(w->text[i], 'a', sizeof w->text[i]);
        *p = (struct pair){.url = STR("http://a.test/x.jpg"),
                           .text = str_make(w->text[i], 1 + draw(w) % 79),
                           .from = STR("alt"),
                           .origin = STR("crawl"),
                           .selected = true,
                           .s = i / 3};
        p->uid[0] = (uint8_t)(i % 3);
        p->uid[15] = (uint8_t)draw(w);
        buf_clear(&line);
        pair_write(p, &line);
        w->bytes[i] = line.n;
    }
    buf_release(&line);
}

static size_t stay(const struct world *w, size_t max)
{
    size_t n = 0;

    for (size_t sum = 0; n < N && (sum += w->bytes[n]) <= max;)
        n++;
    return n;
}

static void check(struct world *w, struct dedup_texts *t, const size_t *order)
{
    size_t want = stay(w, t->max_bytes), most = 0;
    struct buf line;
    struct err e = ERR_INIT;

    dedup_texts_clear(t);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(dedup_texts_add(t, &w->pairs[order[i]], &e), 0);
        most = t->lines.n > most ? t->lines.n : most;
    }
    dedup_texts_sort(t);
    assert_int_equal(t->n, want);
    assert_int_equal(t->left_out, N - want);
    assert_true(most <= 2 * t->max_bytes + 1);
    buf_init(&line, 1 << 20);
    for (size_t i = 0; i < want; i++) {
        buf_clear(&line);
        pair_write(&w->pairs[i], &line);
        assert_true(str_eq(t->texts[i], buf_str(&line)));
    }
    buf_release(&line);
}

static void test_texts__the_first_ones_in_any_order(void **state)
{
    static const size_t ceilings[] = {0, 100, 1000, 5000, 20000, SIZE_MAX / 4};
    struct world *w = calloc(1, sizeof *w);
    size_t order[N];

    (void)state;
    assert_non_null(w);
    make(w);
    for (size_t c = 0; c < sizeof ceilings / sizeof *ceilings; c++) {
        struct dedup_texts t;

        dedup_texts_init(&t, ceilings[c]);
        for (size_t i = 0; i < N; i++)
            order[i] = i;
        check(w, &t, order);
        for (size_t i = 0; i < N; i++)
            order[i] = N - 1 - i;
        check(w, &t, order);
        for (int round = 0; round < 20; round++) {
            for (size_t i = N - 1; i; i--) {
                size_t k = draw(w) % (i + 1), swap = order[i];

                order[i] = order[k];
                order[k] = swap;
            }
            check(w, &t, order);
        }
        dedup_texts_release(&t);
    }
    free(w);
}

static void test_exact__keeps_bits_where_some_may_go(void **state)
{
    static const uint64_t t0[] = {5, 5, 5, 0, 5, 5, 5};
    static const uint64_t t_last[] = {5, 9, 9, 9, UINT64_MAX, UINT64_MAX, 20};
    static const uint64_t c[] = {100, 100, 7, 100, 6, 5, 3};
    static const uint64_t bits[] = {0, 9, 7, 0, 6, 0, 0};
    static const uint64_t unmarked[] = {5, 9, 7, 0, 6, 5, 3};
    enum { KINDS = sizeof c / sizeof *c };
    struct dedup_ranks ranks = {.t0 = t0, .t_last = t_last, .c = c, .n = KINDS};
    struct dedup_exact x;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(dedup_exact_init(&x, &ranks, &e), 0);
    dedup_exact_cut(&x);
    for (size_t q = 0; q < KINDS; q++) {
        assert_int_equal(x.first[q + 1] - x.first[q], bits[q]);
        assert_int_equal(x.cut[q], unmarked[q]);
    }
    dedup_exact_release(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts__the_first_ones_in_any_order),
        cmocka_unit_test(test_exact__keeps_bits_where_some_may_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
