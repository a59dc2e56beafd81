/* spool: what goes in by runs comes out by buckets, from memory or from the
 * file, in pieces of whole lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "filter/spool.h"

#define BUCKETS 4

/* Run number `run`: of bucket k the lines "k RUN LINE xxx", as many as said,
 * `fill` bytes of x in each. */
static void fill(struct spool_run *r, unsigned run, const unsigned *lines,
                 size_t fill)
{
    buf_clear(&r->lines);
    for (unsigned k = 0; k < BUCKETS; k++) {
        r->at[k] = r->lines.n;
        for (unsigned i = 0; i < lines[k]; i++) {
            buf_addf(&r->lines, "%u %u %u ", k, run, i);
            for (size_t x = 0; x < fill; x++)
                buf_add_char(&r->lines, 'x');
            buf_add_char(&r->lines, '\n');
        }
    }
    r->at[BUCKETS] = r->lines.n;
}

struct got {
    struct buf all;
    size_t pieces, largest, ends;
};

static void drain(struct spool *s, struct got *g)
{
    struct buf piece;
    bool more = true, ends;

    buf_init(&piece, BUF_NO_LIMIT);
    g->pieces = g->largest = g->ends = 0;
    buf_init(&g->all, BUF_NO_LIMIT);
    for (;;) {
        assert_int_equal(spool_next(s, &piece, &ends, &more, NULL), 0);
        if (!more)
            break;
        if (piece.n)
            assert_int_equal(piece.p[piece.n - 1], '\n');
        if (piece.n > g->largest)
            g->largest = piece.n;
        g->pieces++;
        g->ends += ends;
        buf_add(&g->all, buf_str(&piece));
    }
    assert_int_equal(g->ends, BUCKETS);
    buf_release(&piece);
}

/* All lines of bucket 0 by run and line, then of bucket 1... */
static void in_order(const struct got *g, unsigned runs, const unsigned *lines)
{
    struct str rest = buf_str(&g->all), line;

    for (unsigned k = 0; k < BUCKETS; k++)
        for (unsigned run = 0; run < runs; run++)
            for (unsigned i = 0; i < lines[k]; i++) {
                char want[64];

                snprintf(want, sizeof want, "%u %u %u ", k, run, i);
                assert_true(str_split(&rest, '\n', &line));
                if (!str_starts(line, str_of(want)))
                    fail_msg("%.*s, not %s", 20, line.p, want);
            }
    assert_int_equal(rest.n, 0);
}

static void round_trip(struct spool *s, unsigned runs, const unsigned *lines,
                       size_t bytes, struct got *g)
{
    struct spool_run r;

    spool_run_init(&r, BUCKETS);
    for (unsigned i = 0; i < runs; i++) {
        fill(&r, i, lines, bytes);
        assert_int_equal(spool_take(s, &r, NULL), 0);
    }
    spool_run_release(&r);
    drain(s, g);
    in_order(g, runs, lines);
}

static void test_spool__memory_and_file_alike(void **state)
{
    static const unsigned lines[BUCKETS] = {3, 0, 40, 1};
    static const uint64_t memory[] = {1, 10000, 1 << 20, UINT64_MAX};
    struct got one, g;

    (void)state;
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        struct spool s;

        assert_int_equal(spool_open(&s, "/tmp", BUCKETS, memory[i], NULL), 0);
        round_trip(&s, 50, lines, 20, &g);
        assert_int_equal(s.fd >= 0, memory[i] < 1 << 20);
        if (i == 0) {
            one = g;
        } else {
            assert_true(str_eq(buf_str(&g.all), buf_str(&one.all)));
            buf_release(&g.all);
        }
        spool_close(&s);
    }
    buf_release(&one.all);
}

static void test_spool__pieces_are_bounded(void **state)
{
    static const unsigned lines[BUCKETS] = {300, 1, 0, 200};
    static const uint64_t memory[] = {3000000, UINT64_MAX};
    struct got g;
    size_t pieces = 0;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct spool s;

        assert_int_equal(spool_open(&s, "/tmp", BUCKETS, memory[i], NULL), 0);
        round_trip(&s, 20, lines, 1000, &g);
        assert_true(g.largest <= JSONL_FRAME);
        assert_in_range(g.pieces, 10, 16); /* of 10 MB */
        if (i) /* where they end does not depend on the memory */
            assert_int_equal(g.pieces, pieces);
        pieces = g.pieces;
        buf_release(&g.all);
        spool_close(&s);
    }
}

static void test_spool__lines_longer_than_a_piece(void **state)
{
    static const unsigned lines[BUCKETS] = {1, 2, 0, 0};
    struct spool s;
    struct got g;

    (void)state;
    assert_int_equal(spool_open(&s, "/tmp", BUCKETS, 1, NULL), 0);
    round_trip(&s, 3, lines, 3 * JSONL_FRAME, &g);
    buf_release(&g.all);
    spool_close(&s);
}

static void test_spool__memory_is_used_again(void **state)
{
    static const unsigned lines[BUCKETS] = {3, 3, 3, 3};
    struct spool s;
    struct got g;
    size_t made;

    (void)state;
    assert_int_equal(spool_open(&s, "/tmp", BUCKETS, UINT64_MAX, NULL), 0);
    round_trip(&s, 10, lines, 100, &g);
    buf_release(&g.all);
    made = s.n_made;
    spool_clear(&s);
    drain(&s, &g);
    assert_int_equal(g.all.n, 0);
    buf_release(&g.all);
    spool_clear(&s);
    round_trip(&s, 10, lines, 100, &g);
    assert_int_equal(s.n_made, made);
    buf_release(&g.all);
    spool_close(&s);
}

static void test_spool__a_folder_that_is_not_there(void **state)
{
    static const unsigned lines[BUCKETS] = {3, 3, 3, 3};
    struct err e = ERR_INIT;
    struct spool_run r;
    struct spool s;

    (void)state;
    assert_int_equal(spool_open(&s, "/tmp/no-such-folder", BUCKETS, 1, &e), 0);
    spool_run_init(&r, BUCKETS);
    fill(&r, 0, lines, 10);
    assert_int_equal(spool_take(&s, &r, &e), -E_IO);
    assert_non_null(strstr(e.message, "/tmp/no-such-folder"));
    spool_run_release(&r);
    spool_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spool__memory_and_file_alike),
        cmocka_unit_test(test_spool__pieces_are_bounded),
        cmocka_unit_test(test_spool__lines_longer_than_a_piece),
        cmocka_unit_test(test_spool__memory_is_used_again),
        cmocka_unit_test(test_spool__a_folder_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
