/* querylist/keycount, and keytab, keyrun, runfile below it: against sorted
 * arrays, for many ceilings of memory, and with a disk that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "querylist/keycount.h"
#include "querylist/keytab.h"
#include "tests/deleted_file.h"
#include "tests/folder.h"

static uint64_t next_random(uint64_t *x)
{
    *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *x >> 33;
}

/* Keys that share much, are empty, hold zeros, or end where words of eight
 * bytes do. */
static struct str random_key(uint64_t *x, unsigned kinds, char *to)
{
    static const size_t shared[] = {0, 0, 0, 7, 8, 9, 15, 16, 17, 40, 2000};
    uint64_t which = next_random(x) % kinds;
    size_t n = shared[which % (sizeof shared / sizeof *shared)];

    memset(to, which % 3 ? 'a' : 0, n);
    for (; which; which /= 5)
        to[n++] = "ab\0\xff "[which % 5];
    return str_make(to, n);
}

struct pair {
    struct str key;
    uint64_t n;
};

static int compare_pairs(const void *a, const void *b)
{
    return str_cmp(((const struct pair *)a)->key,
                   ((const struct pair *)b)->key);
}

/* Adds of one test; sorted and summed by naive(). */
struct adds {
    struct pair *v;
    size_t n;
    struct arena arena;
};

static void make_adds(struct adds *a, size_t n, unsigned kinds, uint64_t seed)
{
    char key[KEYTAB_KEY_MAX];
    uint64_t x = seed;

    arena_init(&a->arena, SIZE_MAX);
    a->v = calloc(n + 1, sizeof *a->v);
    a->n = n;
    for (size_t i = 0; i < n; i++) {
        a->v[i].key = arena_str(&a->arena, random_key(&x, kinds, key));
        a->v[i].n = next_random(&x) % 1000;
    }
}

static void naive(struct adds *a)
{
    size_t n = 0;

    qsort(a->v, a->n, sizeof *a->v, compare_pairs);
    for (size_t i = 0; i < a->n; i++)
        if (n && str_eq(a->v[n - 1].key, a->v[i].key))
            a->v[n - 1].n += a->v[i].n;
        else
            a->v[n++] = a->v[i];
    a->n = n;
}

static void release_adds(struct adds *a)
{
    free(a->v);
    arena_release(&a->arena);
}

static void check_merge(struct keycount *const *k, size_t n,
                        const struct adds *want)
{
    struct keycount_merge *m;
    struct str key;
    uint64_t sum;
    size_t i = 0;
    bool more;

    assert_int_equal(keycount_merge_open(&m, k, n, NULL), 0);
    for (;;) {
        assert_int_equal(keycount_merge_next(m, &key, &sum, &more, NULL), 0);
        if (!more)
            break;
        assert_true(i < want->n);
        assert_true(str_eq(key, want->v[i].key));
        assert_int_equal(sum, want->v[i++].n);
    }
    assert_int_equal(i, want->n);
    keycount_merge_close(m);
}

/* Adds dealt to some keycounts of so much memory; bytes that went to disk. */
static uint64_t check_counts(size_t adds, unsigned kinds, size_t counts,
                             uint64_t memory)
{
    struct keycount *k[4];
    struct adds a;
    uint64_t spilled = 0, x = 7;

    make_adds(&a, adds, kinds, adds + kinds);
    for (size_t i = 0; i < counts; i++)
        assert_int_equal(keycount_open(&k[i], memory, folder, NULL), 0);
    for (size_t i = 0; i < a.n; i++)
        assert_int_equal(keycount_add(k[next_random(&x) % counts], a.v[i].key,
                                      a.v[i].n, NULL),
                         0);
    naive(&a);
    check_merge(k, counts, &a);
    for (size_t i = 0; i < counts; i++) {
        spilled += keycount_spilled(k[i]);
        keycount_close(k[i]);
    }
    release_adds(&a);
    return spilled;
}

static void test_keycount__equals_sorting(void **state)
{
    (void)state;
    for (size_t counts = 1; counts <= 4; counts++) {
        assert_int_equal(check_counts(0, 1, counts, 1 << 20), 0);
        assert_int_equal(check_counts(5000, 300, counts, 1 << 24), 0);
        for (uint64_t memory = 1; memory < 1 << 20; memory *= 16)
            assert_true(check_counts(20000, 15000, counts, memory) > 0);
    }
}

/* More runs than are merged at once. */
static void test_keycount__passes(void **state)
{
    (void)state;
    assert_true(check_counts(150000, 1000000, 2, 1) > 0);
}

static void test_keycount__without_a_folder(void **state)
{
    struct err e = ERR_INIT;
    struct keycount *k;
    char key[32];
    int rc = 0;

    (void)state;
    assert_int_equal(keycount_open(&k, 1 << 16, NULL, &e), 0);
    for (int i = 0; !rc && i < 100000; i++)
        rc = keycount_add(
            k, str_make(key, (size_t)snprintf(key, sizeof key, "%d", i)), 1,
            &e);
    assert_int_equal(rc, -E_TOOBIG);
    keycount_close(k);
}

static void test_keycount__limits(void **state)
{
    static char big[KEYTAB_KEY_MAX + 1];
    struct keycount *k;
    int rc = 0;

    (void)state;
    assert_int_equal(keycount_open(&k, 0, folder, NULL), 0);
    assert_int_equal(keycount_add(k, str_make(big, sizeof big), 1, NULL),
                     -E_RANGE);
    for (int i = 0; i < 100; i++) { /* each spills the one before */
        memset(big, i, sizeof big);
        assert_int_equal(
            keycount_add(k, str_make(big, KEYTAB_KEY_MAX), 1, NULL), 0);
    }
    assert_int_equal(keycount_add(k, STR("a"), UINT64_MAX, NULL), 0);
    assert_int_equal(keycount_add(k, STR("a"), 1, NULL), -E_RANGE);
    keycount_close(k);
    assert_int_equal(keycount_open(&k, 0, at("absent"), NULL), 0);
    for (int i = 0; !rc && i < 100000; i++) {
        snprintf(big, 32, "%d", i);
        rc = keycount_add(k, str_of(big), 1, NULL);
    }
    assert_int_equal(rc, -E_IO);
    keycount_close(k);
}

/* A sum that passes 64 bits only where runs meet. */
static void test_keycount__sum_of_runs(void **state)
{
    struct keycount *k[2];
    struct keycount_merge *m;
    struct str key;
    uint64_t sum;
    bool more;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(keycount_open(&k[i], 1 << 20, folder, NULL), 0);
        assert_int_equal(keycount_add(k[i], STR("a"), UINT64_MAX, NULL), 0);
    }
    assert_int_equal(keycount_merge_open(&m, k, 2, NULL), 0);
    assert_int_equal(keycount_merge_next(m, &key, &sum, &more, NULL), -E_RANGE);
    keycount_merge_close(m);
    keycount_close(k[0]);
    keycount_close(k[1]);
}

/* Every byte of the file matters, whether of a header or a record. */
static void test_keycount__damage(void **state)
{
    uint64_t x = 3;

    (void)state;
    for (int i = 0; i < 40; i++) {
        struct keycount_merge *m;
        struct keycount *k;
        struct adds a;
        struct str key;
        uint64_t sum, at;
        bool more = true;
        int rc;

        make_adds(&a, 3000, 100000, 5);
        assert_int_equal(keycount_open(&k, 1, folder, NULL), 0);
        for (size_t j = 0; j < a.n; j++)
            assert_int_equal(keycount_add(k, a.v[j].key, 1, NULL), 0);
        at = i < 16 ? (uint64_t)i : next_random(&x) % keycount_spilled(k);
        deleted_file_flip(folder, at);
        rc = keycount_merge_open(&m, &k, 1, NULL);
        while (!rc && more)
            rc = keycount_merge_next(m, &key, &sum, &more, NULL);
        assert_int_equal(rc, -E_DAMAGED);
        keycount_merge_close(m);
        keycount_close(k);
        release_adds(&a);
    }
}

/* Nothing with a name is left, at any time. */
static void test_keycount__no_names(void **state)
{
    struct keycount *k;
    struct io_list names;
    char key[32];

    (void)state;
    assert_int_equal(keycount_open(&k, 1, folder, NULL), 0);
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(keycount_add(k, str_of(key), 1, NULL), 0);
    }
    assert_true(keycount_spilled(k) > 0);
    assert_int_equal(io_list(folder, &names, NULL), 0);
    assert_int_equal(names.n, 0);
    io_list_release(&names);
    keycount_close(k);
}

/* The quick way in is the other one. */
static void test_keycount__look_up(void **state)
{
    struct keytab t;
    struct keytab_lookup l;
    char padded[64] = {0};
    uint64_t x = 1;
    uint32_t one, two;

    (void)state;
    keytab_init(&t, 1 << 20);
    for (int i = 0; i < 20000; i++) {
        uint32_t n = (uint32_t)(next_random(&x) % 30);

        for (uint32_t k = 0; k < 40; k++)
            padded[k] = (char)('a' + (next_random(&x) % 16 == 0));
        keytab_look_up(&t, &l, str_make(padded, n));
        assert_int_equal(keytab_add(&t, str_make(padded, n), 1, &one), 0);
        assert_int_equal(keytab_finish(&t, &l, 1, &two), 0);
        assert_int_equal(one, two);
    }
    keytab_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keycount__equals_sorting),
        cmocka_unit_test(test_keycount__passes),
        cmocka_unit_test(test_keycount__without_a_folder),
        cmocka_unit_test(test_keycount__limits),
        cmocka_unit_test(test_keycount__sum_of_runs),
        cmocka_unit_test(test_keycount__damage),
        cmocka_unit_test(test_keycount__no_names),
        cmocka_unit_test(test_keycount__look_up),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
