/* counts and caps: what is written is read, the bytes are those of the golden
 * files, and no flipped byte goes unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/draw.h"

static char folder[] = "/tmp/witmill-counts-XXXXXX";
static struct corpus corpus;

/* What the golden files hold (made by this test with WITMILL_WRITE_GOLDEN=1).
 */
static uint64_t values[5] = {3, 0, 70000, UINT64_C(1) << 40, 1};
static uint64_t caps_t[5] = {20000, 0, 20000, 80000, 20000};
static uint64_t first[6] = {0, 3, 3, 4, 4, 5};
static uint64_t ranks[5] = {1, 1, 2, UINT64_MAX, 0};
/* The first two of query 0 have one h. */
static struct caps_tie ties[2] = {{0, 0, 0, {0}}, {0, 0, 1, {1}}};

static const char *at(const char *name)
{
    static char path[4][IO_PATH_MAX];
    static int turn;
    char *to = path[turn++ % 4];

    snprintf(to, IO_PATH_MAX, "%s/%s", folder, name);
    return to;
}

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(corpus.dir, sizeof corpus.dir, "%s", folder);
    corpus.head.n_queries = 5;
    return io_mkdirs(at("selected/round-0"), NULL) ||
           io_mkdirs(at("unique"), NULL);
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct caps sample(bool exact)
{
    return (struct caps){.n = 5,
                         .exact = exact,
                         .t = caps_t,
                         .c = values,
                         .first = exact ? first : NULL,
                         .ranks = exact ? ranks : NULL,
                         .ties = exact ? ties : NULL,
                         .n_ties = exact ? 2 : 0};
}

/* ---- the four files ---- */

static int write_one(int which, const char *path)
{
    struct counts t = {values, 5};
    struct caps k = sample(which == 3);
    char hex[SHA256_HEX];

    return which == 0   ? counts_write_sparse(&t, path, hex, NULL)
           : which == 1 ? counts_write(&t, path, hex, NULL)
                        : caps_write(&k, UINT64_MAX, path, hex, NULL);
}

static int read_one(int which, const char *path, struct err *e)
{
    struct counts t = {0};
    struct caps k;
    int rc;

    if (which == 0) {
        counts_init(&t, 5);
        rc = counts_add_sparse(&t, path, e);
    } else if (which == 1) {
        rc = counts_read(&t, path, e);
    } else {
        rc = caps_open(&k, &corpus, 0, e); /* path is where it looks */
        if (!rc) {
            assert_int_equal(k.exact, which == 3);
            assert_memory_equal(k.t, caps_t, sizeof caps_t);
            assert_memory_equal(k.c, values, sizeof values);
            if (k.exact) {
                assert_memory_equal(k.ranks, ranks, sizeof ranks);
                assert_int_equal(k.n_ties, 2);
                assert_memory_equal(k.ties, ties, sizeof ties);
            }
        }
        caps_close(&k);
    }
    if (!rc && which < 2)
        assert_memory_equal(t.c, values, sizeof values);
    counts_release(&t);
    return rc;
}

static const char *const golden[4] = {
    "tests/golden/bucket-v1.counts", "tests/golden/counts-v1.bin",
    "tests/golden/caps-v2.bin", "tests/golden/caps-exact-v2.bin"};
static const char *const names[4] = {"x.counts", "counts.bin",
                                     "selected/round-0/caps.bin",
                                     "selected/round-0/caps.bin"};

static void test_counts__golden(void **state)
{
    struct buf want, got;

    (void)state;
    buf_init(&want, 1 << 20);
    buf_init(&got, 1 << 20);
    for (int i = 0; i < 4; i++) {
        struct err e = ERR_INIT;

        buf_clear(&want);
        buf_clear(&got);
        assert_int_equal(write_one(i, at(names[i])), 0);
        assert_int_equal(io_read_file(at(names[i]), &got, NULL), 0);
        if (getenv("WITMILL_WRITE_GOLDEN"))
            io_write_file(golden[i], buf_str(&got), NULL);
        assert_int_equal(io_read_file(golden[i], &want, NULL), 0);
        assert_int_equal(want.n, got.n);
        assert_memory_equal(want.p, got.p, got.n);
        if (read_one(i, at(names[i]), &e))
            fail_msg("%s: %s", golden[i], e.message);
    }
    buf_release(&want);
    buf_release(&got);
}

/* Every byte, one of its bits in turn, and every length. */
static void test_counts__no_damage_goes_unseen(void **state)
{
    struct buf b, bad;

    (void)state;
    buf_init(&b, 1 << 20);
    buf_init(&bad, 1 << 20);
    for (int i = 0; i < 4; i++) {
        const char *path = at(names[i]);

        buf_clear(&b);
        assert_int_equal(io_read_file(golden[i], &b, NULL), 0);
        for (size_t k = 0; k < 2 * b.n + 1; k++) {
            struct err e = ERR_INIT;
            FILE *f = fopen(path, "wb");
            int rc;

            assert_non_null(f);
            buf_clear(&bad);
            buf_add(&bad, buf_str(&b));
            if (k < b.n)
                bad.p[k] ^= (char)(1 << k % 8);
            else if (k < 2 * b.n)
                bad.n = k - b.n;
            else
                buf_add_char(&bad, 0);
            fwrite(bad.p, 1, bad.n, f);
            fclose(f);
            rc = read_one(i, path, &e);
            if (rc != -E_DAMAGED && rc != -E_VERSION && rc != -E_STALE)
                fail_msg("%s: case %zu: %d %s", golden[i], k, rc, e.message);
            assert_non_null(strstr(e.message, names[i]));
        }
    }
    buf_release(&b);
    buf_release(&bad);
}

static void test_counts__sparse_files_add_up(void **state)
{
    struct counts a = {values, 5}, sum, small;
    char hex[SHA256_HEX];
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(counts_write_sparse(&a, at("a.counts"), hex, NULL), 0);
    counts_init(&sum, 5);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(counts_add_sparse(&sum, at("a.counts"), NULL), 0);
        for (int q = 0; q < 5; q++)
            assert_int_equal(sum.c[q], i * values[q]);
    }
    counts_release(&sum);
    /* A list that has become shorter. */
    counts_init(&small, 4);
    assert_int_equal(counts_add_sparse(&small, at("a.counts"), &e), -E_DAMAGED);
    assert_non_null(strstr(e.message, "query 4 of 4"));
    counts_release(&small);
    assert_int_equal(counts_read(&small, at("a.counts"), NULL), -E_DAMAGED);
    assert_int_equal(counts_read(&small, at("none"), NULL), -E_NOTFOUND);
}

static void test_counts__of_a_corpus(void **state)
{
    struct counts a = {values, 4}, t;
    char hex[SHA256_HEX];
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(counts_open(&t, &corpus, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "witmill gather"));
    e = (struct err)ERR_INIT;
    assert_int_equal(counts_write(&a, at("unique/counts.bin"), hex, NULL), 0);
    assert_int_equal(counts_open(&t, &corpus, &e), -E_STALE);
    e = (struct err)ERR_INIT;
    assert_int_equal(caps_open(&(struct caps){0}, &corpus, 7, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "--plan"));
}

/* ---- draws ---- */

static void test_caps__draw_vectors(void **state)
{
    static const struct {
        uint64_t seed, h;
    } cases[] = {
        {0, UINT64_C(0xce23de3b2c2d2089)},
        {1, UINT64_C(0x137ebd9f73f807a7)},
        {UINT64_C(12345678901234567890), UINT64_C(0xfe322d342c8d82a3)}};
    uint8_t uid[MD5_SIZE];

    (void)state;
    pair_uid(STR("a dog"), STR("http://manual.test/a.jpg"), uid);
    for (int i = 0; i < 3; i++)
        assert_true(draw_hash(cases[i].seed, uid, STR("dog")) == cases[i].h);
    assert_int_equal(draw_below(UINT64_MAX, 7), 6);
    assert_int_equal(draw_below(0, 7), 0);
    assert_int_equal(draw_below(UINT64_MAX, 0), 0);
    assert_int_equal(draw_below(UINT64_C(1) << 63, 7), 3);
    assert_true(draw_below(UINT64_MAX, UINT64_MAX) == UINT64_MAX - 1);
}

static void test_caps__ranks_are_found(void **state)
{
    static const uint8_t none[MD5_SIZE] = {9}, zero[MD5_SIZE],
                         one[MD5_SIZE] = {1};
    struct caps k = sample(true), plain = sample(false);

    (void)state;
    assert_int_equal(caps_draw(&k, 0, 1, zero), 0);
    assert_int_equal(caps_draw(&k, 0, 1, one), 1);
    assert_int_equal(caps_draw(&k, 0, 2, none), 2);
    assert_int_equal(caps_draw(&k, 2, UINT64_MAX, none), 0);
    assert_int_equal(caps_draw(&k, 4, 0, none), 0);
    assert_true(caps_draw(&k, 0, 1, none) == UINT64_MAX);
    assert_true(caps_draw(&k, 0, 0, none) == UINT64_MAX);
    assert_true(caps_draw(&k, 0, 3, none) == UINT64_MAX);
    assert_true(caps_draw(&k, 1, 1, none) == UINT64_MAX);
    assert_true(caps_draw(&k, 2, 1, zero) == UINT64_MAX);
    assert_int_equal(caps_draw(&plain, 0, UINT64_MAX, none), 2);
    assert_int_equal(caps_draw(&plain, 1, UINT64_MAX, none), 0);
}

/* Any spread of h: each of them is found at its place, and what stands between
 * two of them is found nowhere. */
static void test_caps__ranks_of_any_spread(void **state)
{
    enum { N = 3000 };
    static uint64_t v[N], ends[2] = {0, 0};
    static const uint8_t uid[MD5_SIZE];
    struct caps k = {.n = 1, .exact = true, .first = ends, .ranks = v};

    (void)state;
    for (int spread = 0; spread < 5; spread++)
        for (uint64_t n = 1; n <= N; n = n * 3 + 1) {
            ends[1] = n;
            for (uint64_t i = 0; i < n; i++)
                v[i] = spread == 0   ? 3 + 2 * i
                       : spread == 1 ? i * i * i + 2 * i + 3
                       : spread == 2 ? (UINT64_MAX / N) * i + 3
                       : spread == 3 ? UINT64_MAX - 3 * (n - i)
                       : i + 1 < n   ? 3 * i + 3
                                     : UINT64_MAX;
            for (uint64_t i = 0; i < n; i++) {
                assert_int_equal(caps_draw(&k, 0, v[i], uid), i);
                assert_true(caps_draw(&k, 0, v[i] - 1, uid) == UINT64_MAX);
            }
        }
}

/* What is cut off is gone, and the ties of what is left still know it. */
static void test_caps__cut_at_a_depth(void **state)
{
    static const uint8_t zero[MD5_SIZE], one[MD5_SIZE] = {1};
    struct caps k = sample(true), read;
    char hex[SHA256_HEX];
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(
        caps_write(&k, 1, at("selected/round-0/caps.bin"), hex, &e), 0);
    assert_int_equal(caps_open(&read, &corpus, 0, &e), 0);
    assert_int_equal(read.first[5], 3);
    assert_int_equal(read.n_ties, 1);
    assert_int_equal(caps_draw(&read, 0, 1, zero), 0);
    assert_true(caps_draw(&read, 0, 1, one) == UINT64_MAX);
    assert_true(caps_draw(&read, 0, 2, zero) == UINT64_MAX);
    assert_int_equal(caps_draw(&read, 2, UINT64_MAX, zero), 0);
    caps_close(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts__golden),
        cmocka_unit_test(test_counts__no_damage_goes_unseen),
        cmocka_unit_test(test_counts__sparse_files_add_up),
        cmocka_unit_test(test_counts__of_a_corpus),
        cmocka_unit_test(test_caps__draw_vectors),
        cmocka_unit_test(test_caps__ranks_are_found),
        cmocka_unit_test(test_caps__ranks_of_any_spread),
        cmocka_unit_test(test_caps__cut_at_a_depth),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
