/* bins: what goes in comes out, however little memory there is, from one
 * thread and from several; and open blocks stay within it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "filter/bins.h"

enum { PARTS = 37, RECORDS = 30000, THREADS = 3 };

struct record {
    uint32_t n, part, fill[5]; /* 28 bytes: some lie across blocks */
};

static struct record record_of(uint32_t n)
{
    uint32_t part = (n * 2654435761u >> 7) % PARTS;

    return (struct record){n, part, {1, 2, 3, 4, ~n}};
}

struct adding {
    struct bins *bins;
    uint32_t from, to;
    int rc;
};

static void *add(void *ctx)
{
    struct adding *a = ctx;

    for (uint32_t n = a->from; !a->rc && n < a->to; n++) {
        struct record r = record_of(n);

        a->rc = bins_add(a->bins, r.part, &r, sizeof r, NULL);
    }
    return NULL;
}

static void add_all(struct bins *b, unsigned threads)
{
    struct adding a[THREADS];
    pthread_t id[THREADS];

    for (unsigned i = 0; i < threads; i++) {
        a[i] = (struct adding){b, RECORDS * i / threads,
                               RECORDS * (i + 1) / threads, 0};
        assert_int_equal(pthread_create(&id[i], NULL, add, &a[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        assert_int_equal(a[i].rc, 0);
    }
}

static void check(const struct bins *b, bool in_order)
{
    bool *seen = xcalloc(RECORDS, sizeof *seen);
    size_t all = 0;

    for (uint32_t part = 0; part < PARTS; part++) {
        size_t n = (size_t)(bins_bytes(b, part) / sizeof(struct record));
        struct record *v = xcalloc(n + 1, sizeof *v);

        assert_int_equal(bins_read(b, part, 0, v, n * sizeof *v, NULL), 0);
        for (size_t i = 0; i < n; i++) {
            struct record want = record_of(v[i].n);

            assert_memory_equal(&v[i], &want, sizeof want);
            assert_int_equal(v[i].part, part);
            assert_false(seen[v[i].n]);
            seen[v[i].n] = true;
            assert_true(!in_order || !i || v[i - 1].n < v[i].n);
        }
        all += n;
        free(v);
    }
    assert_int_equal(all, RECORDS);
    free(seen);
}

static void test_bins__any_memory_and_threads(void **state)
{
    static const uint64_t memories[] = {0, 1 << 18, 1 << 20, 1 << 28};
    struct bins_store store;
    struct bins bins;

    (void)state;
    for (size_t m = 0; m < 4; m++)
        for (unsigned threads = 0; threads <= THREADS; threads += THREADS) {
            uint64_t memory = memories[m], at_once;

            assert_int_equal(
                bins_store_open_for(&store, "/tmp", memory, PARTS, NULL), 0);
            at_once = (store.max_memory + (uint64_t)PARTS) * store.block_bytes;
            assert_true(at_once <= memory || store.max_memory == 0);
            assert_true(store.block_bytes * PARTS <= memory / 2 ||
                        store.block_bytes == BINS_BLOCK_MIN);
            assert_int_equal(bins_open(&bins, &store, PARTS, NULL), 0);
            if (threads)
                bins_share(&bins);
            add_all(&bins, threads ? threads : 1);
            check(&bins, !threads);
            assert_int_equal(store.written_bytes > 0, m < 2);
            bins_close(&bins);
            /* All blocks are free again: none is new. */
            at_once = store.n_memory + (uint64_t)store.n_file;
            assert_int_equal(bins_open(&bins, &store, PARTS, NULL), 0);
            add_all(&bins, 1);
            assert_int_equal(store.n_memory + (uint64_t)store.n_file, at_once);
            check(&bins, true);
            bins_close(&bins);
            bins_store_close(&store);
        }
}

static void test_bins__how_many_parts(void **state)
{
    struct bins_store none = {0};
    struct bins nothing = {0};

    (void)state;
    assert_int_equal(bins_most(0), 16);
    assert_int_equal(bins_most(1 << 20), 128);
    assert_int_equal(bins_most(UINT64_MAX), INT32_MAX);
    /* Never opened: nothing is closed, descriptor 0 least of all. */
    bins_close(&nothing);
    bins_store_close(&none);
    assert_true(lseek(STDIN_FILENO, 0, SEEK_CUR) >= 0 || errno != EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bins__any_memory_and_threads),
        cmocka_unit_test(test_bins__how_many_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
