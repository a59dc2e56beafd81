/* Phashes and sha256 that were chosen: what they cost is counted in rows moved,
 * and is no more than for any others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filter/dedup_keys.h"
#include "filter/dedup_search.h"
#include "tests/corpus_fixture.h"

enum { N = 1000000 };

/* x with x * odd = 1. */
static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd;

    for (int i = 0; i < 6; i++)
        x *= 2 - odd * x;
    return x;
}

/* Rows of which every tenth repeats the one five before it; the others are
 * such that a hash by multiplication has them all in one place. */
static size_t original(size_t i)
{
    return i % 10 == 9 ? i - 5 : i;
}

static void test_keys__sorted_and_stable(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 300, 2047, 2048, 50000};
    static const uint64_t masks[] = {0, 1, 0xff00, UINT64_MAX << 40,
                                     UINT64_MAX};
    struct fixture f = {.random = 1};

    (void)state;
    for (size_t c = 0; c < 7 * 5; c++) {
        size_t n = sizes[c / 5];
        uint64_t mask = masks[c % 5], *mine = xcalloc(n + 1, sizeof *mine);
        struct dedup_keys v = {xcalloc(n + 1, 8), xcalloc(n + 1, 4)};
        struct dedup_keys room = {xcalloc(n + 1, 8), xcalloc(n + 1, 4)};

        for (size_t i = 0; i < n; i++) {
            v.key[i] = mine[i] = fixture_random(&f) & mask;
            v.at[i] = (uint32_t)i;
        }
        assert_true(dedup_keys_sort(&v, &room, n) <= 8 * n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(v.key[i], mine[v.at[i]]);
            if (i)
                assert_true(
                    v.key[i - 1] < v.key[i] ||
                    (v.key[i - 1] == v.key[i] && v.at[i - 1] < v.at[i]));
        }
        free(mine);
        free(v.key);
        free(v.at);
        free(room.key);
        free(room.at);
    }
}

static void test_part__folds_chosen_phashes(void **state)
{
    const uint64_t unit = inverse(UINT64_C(0x9e3779b97f4a7c15));
    const struct dedup_scan *scans[DEDUP_SCANS_MAX];
    struct dedup_part p;
    struct err e = ERR_INIT;
    size_t kept = 0;

    (void)state;
    dedup_scans(scans);
    dedup_part_init(&p, scans[0]);
    fixture_must(dedup_part_reserve(&p, N, &e), &e);
    p.n = N;
    for (size_t i = 0; i < N; i++)
        p.rows[i] = (struct dedup_look){unit * original(i), (uint32_t)(7 * i),
                                        DEDUP_NONE};
    alarm(100); /* a row that looks at all others would be at it for hours */
    dedup_part_fold(&p);
    alarm(0);
    assert_true(p.moved <= 6 * (uint64_t)N);
    assert_int_equal(p.n, N / 10 * 9);
    assert_int_equal(p.n_twins, N / 10);
    for (size_t i = 0; i < N; i++) {
        if (i % 10 == 9) {
            assert_int_equal(p.twins[i / 10].id, 7 * i);
            assert_int_equal(p.twins[i / 10].look, 7 * (i - 5));
        } else {
            assert_int_equal(p.rows[kept].phash, unit * i);
            assert_int_equal(p.rows[kept++].id, 7 * i);
        }
    }
    dedup_part_release(&p);
}

/* All in one part, sharing their first half; the others ascend or descend or
 * come as they like. */
static void search(uint64_t memory, size_t n, uint64_t unit, uint64_t most)
{
    char dir[] = "/tmp/witmill-dedup-XXXXXX";
    struct dedup_search_config c = {
        .folder = dir, .memory_bytes = memory, .threads = 1};
    struct dedup_search s;
    struct err e = ERR_INIT;
    size_t seen = 0;

    assert_non_null(mkdtemp(dir));
    fixture_must(dedup_search_open(&s, &c, &e), &e);
    for (size_t i = 0; i < n; i++) {
        uint64_t sha[2] = {5, unit * original(i)};

        fixture_must(dedup_search_add(&s, (const uint8_t *)sha, NULL, &e), &e);
    }
    alarm(200);
    fixture_must(dedup_search_finish(&s, &e), &e);
    alarm(0);
    if (s.moved > most)
        fail_msg("%llu moves of %zu rows", (unsigned long long)s.moved, n);
    for (uint32_t r = 0; r < s.ranges; r++) {
        struct dedup_range range;

        fixture_must(dedup_search_range(&s, r, &range, &e), &e);
        for (uint32_t i = 0; i < range.n; i++, seen++) {
            size_t by = original(seen);

            assert_int_equal(range.verdicts[i].by,
                             by == seen ? DEDUP_NONE : by);
            assert_true(by == seen || range.verdicts[i].exact);
        }
        dedup_range_release(&range);
    }
    assert_int_equal(seen, n);
    dedup_search_close(&s);
    fixture_remove_dir(dir);
}

static void test_search__chosen_sha256(void **state)
{
    const uint64_t unit =
        inverse(UINT64_C(0xd6e8feb86659fd93) * UINT64_C(0x9e3779b97f4a7c15));

    (void)state;
    search(1 << 30, N, unit, 6 * (uint64_t)N);
    search(1 << 30, N, 1, 6 * (uint64_t)N);
}

/* With room for 131,072 of them: five readings, in each of which memory is
 * filled at most five times. */
static void test_search__chosen_sha256_beyond_memory(void **state)
{
    enum { ROWS = 300000, ROOM = 131072 };

    (void)state;
    search(DEDUP_MEMORY_MIN, ROWS, UINT64_MAX, 5 * 5 * 6 * (uint64_t)ROOM);
    search(DEDUP_MEMORY_MIN, ROWS, 1, 5 * 5 * 6 * (uint64_t)ROOM);
    search(DEDUP_MEMORY_MIN, ROWS, UINT64_C(0x9e3779b97f4a7c15),
           5 * 5 * 6 * (uint64_t)ROOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__sorted_and_stable),
        cmocka_unit_test(test_part__folds_chosen_phashes),
        cmocka_unit_test(test_search__chosen_sha256),
        cmocka_unit_test(test_search__chosen_sha256_beyond_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
