/* train/balance: counts.tsv, thresholds, what an epoch keeps; and
 * train/texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/shards_world.h"
#include "train/balance.h"
#include "train/balance_private.h"
#include "train/random.h"
#include "train/texts.h"

/* ---- counts.tsv ---- */

static void test_balance__counts(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"0\tdog\t40\t20\n3\tolive oil\t7\t7\n", 0},
        {"3\tcat\t7\t7", 0}, /* no line feed at the end */
        {"0\t\t1\t1\n", 0},
        {"", -E_FORMAT},
        {"\n", -E_FORMAT},
        {"0\tdog\t40\n", -E_FORMAT},
        {"0\tdog\t40\t20\t1\n", -E_FORMAT},
        {"-1\tdog\t40\t20\n", -E_FORMAT},
        {"0\tdog\tx\t20\n", -E_FORMAT},
        {"0\tdog\t40\t20\r\n", -E_FORMAT},
        {"16777216\tdog\t40\t20\n", -E_TOOBIG},
        {"99999999999999999999\tdog\t40\t20\n", -E_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct balance_counts c;
        struct err e = ERR_INIT;

        assert_int_equal(
            balance_counts_parse(&c, str_of(cases[i].text), "x", &e),
            cases[i].rc);
        if (i == 0) {
            assert_int_equal(c.n, 4);
            assert_int_equal(c.c[0], 40);
            assert_int_equal(c.c[1], 0);
            assert_int_equal(c.c[3], 7);
        }
        if (!cases[i].rc)
            balance_counts_release(&c);
        else
            assert_non_null(strstr(e.message, "x"));
    }
}

static void test_balance__thresholds(void **state)
{
    uint64_t counts[] = {100, 10, 1000, 0};
    const struct balance_counts c = {counts, 4, 0};
    static const uint32_t q[] = {0, 2, 1, 3, 4};
    struct err e = ERR_INIT;
    uint64_t t;
    double p;

    (void)state;
    assert_int_equal(balance_threshold(&c, 20, q, 2, &t, &e), 0);
    p = 1 - (1 - 20 / 100.0) * (1 - 20 / 1000.0);
    assert_true(fabs((double)t / 0x1p64 - p) < 1e-12);
    assert_int_equal(balance_threshold(&c, 20, q, 3, &t, &e), 0);
    assert_true(t == BALANCE_ALL); /* a rare query keeps it */
    assert_int_equal(balance_threshold(&c, 20, q, 0, &t, &e), 0);
    assert_true(t == 0);
    assert_int_equal(balance_threshold(&c, 20, q + 3, 1, &t, &e), -E_FORMAT);
    assert_int_equal(balance_threshold(&c, 20, q + 4, 1, &t, &e), -E_FORMAT);
    assert_true(balance_below(UINT64_MAX, BALANCE_ALL));
    assert_false(balance_below(0, 0));
}

/* ---- a corpus ---- */

#define SAMPLES 400

static int queries(int i, int *ids)
{
    int n = 0;

    ids[n++] = 0; /* in all */
    if (i % 3 == 0)
        ids[n++] = 1;
    if (i % 50 == 0)
        ids[n++] = 5;
    return i % 7 == 6 ? 0 : n; /* some match nothing */
}

static const char counts_tsv[] = "0\tof\t4000\t20\n1\tdog\t1500\t20\n"
                                 "5\trare\t8\t8\n7\tother\t9\t9\n";

static void make_corpus(const char *name, const struct world *w)
{
    char path[IO_PATH_MAX];

    world_folder(w, name, SAMPLES, 150);
    WORLD_MUST(io_join(path, at(name), "counts.tsv", we));
    WORLD_MUST(io_write_file(path, str_of(counts_tsv), we));
}

/* P of the i-th, by the formula. */
static double chance(int i)
{
    static const double c[] = {4000, 1500, 0, 0, 0, 8};
    double out = 1;
    int ids[8], n = queries(i, ids);

    for (int k = 0; k < n; k++)
        out *= 1 - fmin(1, 300 / c[ids[k]]);
    return 1 - out;
}

static void test_balance__keeps_what_the_formula_says(void **state)
{
    static const struct world w = {.q = queries};
    const struct source_options so = {.threads = 2};
    struct balance_options o = {.cap = 300, .seed = 5, .threads = 2};
    double expected = 0;
    struct source s;
    struct balance b;
    struct err e = ERR_INIT;

    (void)state;
    make_corpus("c", &w);
    for (int i = 0; i < SAMPLES; i++)
        expected += chance(i);
    for (int again = 0; again < 2; again++) { /* then from .keep files */
        o.maps = (size_t)again; /* and all but one of them copied */
        assert_int_equal(source_open(&s, str_of(at("c")), &so, &e), 0);
        assert_int_equal(balance_open(&b, &s, &o, &e), 0);
        assert_true(fabs((double)b.mean - expected) <= 1);
        for (uint64_t epoch = 0; epoch < 50; epoch++) {
            uint64_t stream =
                random_bits(random_stream(5, STR("balance")), epoch);
            uint64_t n = 0, sum, counts[3];

            for (int i = 0; i < SAMPLES; i++) {
                uint64_t half = __builtin_bswap32(world_uid(i));
                uint64_t uid = half << 32 | half;
                double u = (double)random_bits(stream, uid) / 0x1p64;
                bool keeps = balance_keeps(&b, (size_t)i / 150,
                                           (uint64_t)i % 150, epoch);

                assert_int_equal(keeps, u < chance(i) || chance(i) >= 1);
                n += keeps;
            }
            assert_int_equal(balance_count(&b, epoch, 1, 2, &sum, counts, &e),
                             0);
            assert_int_equal(sum, n);
            assert_int_equal(counts[0] + counts[1] + counts[2], n);
        }
        balance_close(&b);
        source_close(&s);
    }
}

static void touch_counts(const char *more)
{
    struct buf t;

    buf_init(&t, 1 << 16);
    buf_add(&t, str_of(counts_tsv));
    buf_add(&t, str_of(more));
    WORLD_MUST(io_write_file(at("c/counts.tsv"), buf_str(&t), we));
    buf_release(&t);
}

static void test_balance__stale_thresholds_are_made_anew(void **state)
{
    const struct source_options so = {.threads = 1};
    struct balance_options o = {.cap = 300, .seed = 5, .threads = 1};
    const char *keep = "c/00000.keep";
    struct stat first, next;
    struct source s;
    struct balance b;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(source_open(&s, str_of(at("c")), &so, &e), 0);
    for (int i = 0; i < 5; i++) {
        if (i == 1)
            o.cap = 200;
        if (i == 2)
            touch_counts("9\tnew\t10\t10\n");
        if (i == 3)
            WORLD_MUST(io_write_file(at(keep), STR("nonsense"), we));
        assert_int_equal(stat(at(keep), &first), 0);
        assert_int_equal(balance_open(&b, &s, &o, &e), 0);
        balance_close(&b);
        assert_int_equal(stat(at(keep), &next), 0);
        assert_int_equal(first.st_ino != next.st_ino, i >= 1 && i <= 3);
    }
    source_close(&s);
}

static void make_keeps(const char *name)
{
    const struct source_options so = {.threads = 1};
    const struct balance_options o = {.cap = 300, .seed = 5, .threads = 1};
    struct source s;
    struct balance b;

    WORLD_MUST(source_open(&s, str_of(at(name)), &so, we));
    WORLD_MUST(balance_open(&b, &s, &o, we));
    balance_close(&b);
    source_close(&s);
}

/* What another process makes is waited for and taken: the tar, away, is not
 * read for it. */
static void *open_waiting(void *rc)
{
    const struct source_options so = {.threads = 1};
    const struct balance_options o = {.cap = 300, .seed = 5, .threads = 1};
    struct source s;
    struct balance b;
    struct err e = ERR_INIT;

    *(int *)rc = source_open(&s, str_of(at("wait")), &so, &e);
    assert_int_equal(rename(at("wait/00000.tar"), at("wait/away")), 0);
    if (!*(int *)rc)
        *(int *)rc = balance_open(&b, &s, &o, &e);
    if (!*(int *)rc)
        balance_close(&b);
    source_close(&s);
    return NULL;
}

static void test_balance__waits_for_another_process(void **state)
{
    static const struct world w = {.q = queries};
    struct err e = ERR_INIT;
    struct io_file f;
    struct buf bytes;
    pthread_t waits;
    int rc = -1;

    (void)state;
    make_corpus("wait", &w);
    open_waiting(&rc);
    assert_int_equal(rc, -E_IO); /* nobody makes it */
    assert_int_equal(rename(at("wait/away"), at("wait/00000.tar")), 0);
    make_keeps("wait");
    buf_init(&bytes, 1 << 16);
    WORLD_MUST(io_read_file(at("wait/00000.keep"), &bytes, we));
    assert_int_equal(unlink(at("wait/00000.keep")), 0);
    assert_int_equal(io_file_open(&f, at("wait/00000.keep"), &e), 0);
    assert_int_equal(pthread_create(&waits, NULL, open_waiting, &rc), 0);
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    assert_int_equal(io_file_write(&f, buf_str(&bytes), &e), 0);
    assert_int_equal(io_file_publish(&f, &e), 0);
    pthread_join(waits, NULL);
    assert_int_equal(rc, 0);
    buf_release(&bytes);
}

static int unknown_query(int i, int *ids)
{
    ids[0] = i == 7 ? 3 : 0;
    return 1;
}

static void test_balance__says_what_is_wrong(void **state)
{
    static const struct world no_q = {0}, bad_q = {.q = unknown_query};
    const struct source_options so = {.threads = 1};
    const struct balance_options o = {.cap = 300, .seed = 5, .threads = 1};
    static const struct {
        const char *spec;
        int rc;
        const char *says;
    } cases[] = {{"none", -E_NOTFOUND, "counts.tsv"},
                 {"c/00000.tar", -E_NOTFOUND, "counts.tsv"},
                 {"noq", -E_FORMAT, "`q`"},
                 {"badq", -E_FORMAT, "000000007"}};

    (void)state;
    world_folder(&no_q, "none", 3, 3);
    make_corpus("noq", &no_q);
    make_corpus("badq", &bad_q);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source s;
        struct balance b;
        struct err e = ERR_INIT;

        assert_int_equal(source_open(&s, str_of(at(cases[i].spec)), &so, &e),
                         0);
        assert_int_equal(balance_open(&b, &s, &o, &e), cases[i].rc);
        assert_non_null(strstr(e.message, cases[i].says));
        source_close(&s);
    }
}

static void test_balance__damaged_thresholds_are_refused(void **state)
{
    const struct balance_head h = {3, 20, 77, 99};
    const struct balance_sample v[3] = {{1, 2}, {3, 4}, {5, 6}}, *got;
    struct err e = ERR_INIT;
    struct buf b;
    char *copy;

    (void)state;
    buf_init(&b, 1 << 16);
    balance_keep_write(&b, &h, v);
    assert_int_equal(b.n, BALANCE_HEAD + sizeof v);
    copy = malloc(b.n);
    memcpy(copy, b.p, b.n);
    assert_int_equal(balance_keep_parse(str_make(copy, b.n), &h, &got, "x", &e),
                     0);
    assert_memory_equal(got, v, sizeof v);
    for (size_t i = 0; i < b.n; i++) {
        if ((i >= 12 && i < 16) || (i >= 56 && i < 64))
            continue; /* reserved */
        copy[i] = (char)(copy[i] ^ 1);
        assert_int_not_equal(
            balance_keep_parse(str_make(copy, b.n), &h, &got, "x", NULL), 0);
        copy[i] = b.p[i];
    }
    for (size_t n = 0; n < b.n; n++)
        assert_int_not_equal(
            balance_keep_parse(str_make(copy, n), &h, &got, "x", NULL), 0);
    free(copy);
    buf_release(&b);
}

/* ---- texts ---- */

static void test_texts__which_is_read(void **state)
{
    static const char three[] =
        "{\"caption\":\"c\",\"texts\":[{\"text\":\"a\"},{\"s\":1,\"text\":"
        "\"b\\u0041\"},{\"text\":\" c \"}],\"alt\":\"one\",\"list\":[\"x\",1,"
        "\"y\"]}";
    static const struct {
        enum texts_rule rule;
        const char *key, *txt, *json, *all; /* |: one of; NULL: none */
    } cases[] = {
        {TEXTS_DRAW, NULL, "t", three, "a|bA|c"},
        {TEXTS_FIRST, NULL, "t", three, "a"},
        {TEXTS_WHOLE, NULL, "t\nu", three, "t\nu"},
        {TEXTS_DRAW, NULL, " t \r\n\nu\n", "", "t|u"},
        {TEXTS_FIRST, NULL, "\nt\nu\n", "", "t"},
        {TEXTS_DRAW, NULL, "t", "{\"texts\":[]}", "t"},
        {TEXTS_DRAW, NULL, "t", "{\"texts\":7}", "t"},
        {TEXTS_DRAW, NULL, "t", "{\"texts\":[{\"text\":\"a\"}", "t"},
        {TEXTS_DRAW, NULL, " \n ", "", NULL},
        {TEXTS_WHOLE, NULL, " \n ", "", NULL},
        {TEXTS_DRAW, NULL, "", "{}", NULL},
        {TEXTS_DRAW, "alt", "t", three, "one"},
        {TEXTS_DRAW, "list", "t", three, "x|y"},
        {TEXTS_FIRST, "list", "t", three, "x"},
        {TEXTS_WHOLE, "list", "t", three, "x"},
        {TEXTS_DRAW, "none", "t", three, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char seen[64] = "";
        struct texts t;
        struct str text;

        texts_init(&t, cases[i].rule, cases[i].key);
        for (uint64_t draw = 0; draw < 100; draw++) {
            char name[32];

            if (!texts_pick(&t, str_of(cases[i].txt), str_of(cases[i].json),
                            random_bits(1, draw), &text))
                break;
            snprintf(name, sizeof name, "%s%.*s", *seen ? "|" : "",
                     STR_ARG(text));
            if (!strstr(seen, name + (*seen != 0)))
                strncat(seen, name, sizeof seen - strlen(seen) - 1);
        }
        if (!cases[i].all)
            assert_string_equal(seen, "");
        else {
            assert_int_equal(strlen(seen), strlen(cases[i].all));
            for (const char *p = seen; *p; p = strchrnul(p, '|') + 1) {
                char one[32];

                snprintf(one, sizeof one, "%.*s", (int)(strchrnul(p, '|') - p),
                         p);
                assert_non_null(strstr(cases[i].all, one));
                if (!*strchrnul(p, '|'))
                    break;
            }
        }
        texts_release(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balance__counts),
        cmocka_unit_test(test_balance__thresholds),
        cmocka_unit_test(test_balance__keeps_what_the_formula_says),
        cmocka_unit_test(test_balance__stale_thresholds_are_made_anew),
        cmocka_unit_test(test_balance__waits_for_another_process),
        cmocka_unit_test(test_balance__says_what_is_wrong),
        cmocka_unit_test(test_balance__damaged_thresholds_are_refused),
        cmocka_unit_test(test_texts__which_is_read),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
