/* What stages lean on when inputs are damaged or two of them run at once: cut
 * parts, sidecars of another format, one output made twice, errors in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/jsonl.h"
#include "base/mem.h"
#include "base/stage.h"
#include "base/stream.h"
#include "base/workq.h"
#include "tests/folder.h"

/* ---- frames ---- */

static int count_range(const char *path, uint64_t from, uint64_t to,
                       unsigned *lines, struct err *e)
{
    struct jsonl_reader r;
    struct str line;
    bool more = true;
    int rc = jsonl_open_range(&r, path, from, to, e);

    *lines = 0;
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more)
        ++*lines;
    jsonl_close(&r);
    return rc;
}

/* Three frames of 1, 0 and 2 lines, cut at every byte: a range is read whole
 * or not at all; what lies wholly behind the cut is not an empty frame. */
static void test_jsonl__a_range_behind_the_end_is_an_error(void **state)
{
    static const unsigned want[3] = {1, 0, 2};
    uint64_t offsets[4] = {0};
    struct jsonl_writer w;
    struct buf b;
    char *name = xstrdup(at("cut.jsonl.zst"));

    (void)state;
    assert_int_equal(jsonl_open_write(&w, name, NULL), 0);
    w.manual = true;
    assert_int_equal(jsonl_write(&w, STR("{\"a\":1}"), NULL), 0);
    assert_int_equal(jsonl_frame(&w, &offsets[1], NULL), 0);
    assert_int_equal(jsonl_frame(&w, &offsets[2], NULL), 0);
    assert_int_equal(jsonl_write_block(&w, STR("{}\n[]\n"), NULL), 0);
    assert_int_equal(jsonl_frame(&w, &offsets[3], NULL), 0);
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    buf_init(&b, 1 << 20);
    assert_int_equal(io_read_file(name, &b, NULL), 0);
    assert_int_equal(b.n, offsets[3]);
    for (size_t n = b.n + 1; n-- > 0;) {
        assert_int_equal(truncate(name, (off_t)n), 0);
        for (int k = 0; k < 3; k++) {
            struct err e = ERR_INIT;
            unsigned lines;
            int rc = count_range(name, offsets[k], offsets[k + 1], &lines, &e);

            assert_int_equal(rc, n >= offsets[k + 1] ? 0 : -E_FORMAT);
            if (rc)
                assert_non_null(strstr(e.message, "cut.jsonl.zst"));
            else
                assert_int_equal(lines, want[k]);
        }
    }
    assert_int_equal(count_range(name, 7, 3, &(unsigned){0}, NULL), -E_FORMAT);
    buf_release(&b);
    free(name);
}

/* ---- streams ---- */

static void test_stream__cut_or_padded(void **state)
{
    static const char *const packers[] = {"gzip -c", "bzip2 -c", "zstd -qc"};
    char command[512];
    struct buf b, all;

    (void)state;
    buf_init(&b, 1 << 20);
    buf_init(&all, 1 << 20);
    for (int i = 0; i < 3; i++) {
        snprintf(command, sizeof command,
                 "seq 1 5000 | %s > %s/packed 2>/dev/null", packers[i], folder);
        buf_clear(&b);
        if (system(command) || io_read_file(at("packed"), &b, NULL) || !b.n)
            continue; /* that packer is not installed */
        for (size_t cut = 0; cut < b.n; cut += cut < 40 ? 1 : 97) {
            struct stream *s;
            struct err e = ERR_INIT;
            int rc;

            buf_clear(&all);
            rc = stream_open_memory(&s, str_slice(buf_str(&b), 0, b.n - cut),
                                    "packed", &e);
            if (!rc)
                rc = stream_read_all(s, &all, &e);
            stream_close(s);
            if (cut && b.n - cut > 8)
                assert_int_equal(rc, -E_FORMAT);
            else if (!cut)
                assert_int_equal(rc, 0);
            if (!cut)
                assert_int_equal(all.n, 23893);
            assert_true(all.n <= 23893);
        }
    }
    buf_release(&b);
    buf_release(&all);
}

/* ---- one output, two processes ---- */

static void test_io__one_process_makes_a_file(void **state)
{
    struct io_file f, g;
    struct err e = ERR_INIT;
    struct buf b;
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(io_file_open(&f, at("one"), NULL), 0);
    io_file_write(&f, STR("mine"), NULL);
    child = fork();
    if (child == 0) {
        int rc = io_file_open(&g, at("one"), &e);

        io_file_abandon(&g);
        _exit(rc == -E_BUSY && strstr(e.message, "one.tmp") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(io_file_publish(&f, NULL), 0);
    /* The next is made anew, and the published one stands meanwhile. */
    assert_int_equal(io_file_open(&g, at("one"), NULL), 0);
    buf_init(&b, 100);
    assert_int_equal(io_read_file(at("one"), &b, NULL), 0);
    assert_string_equal(b.p, "mine");
    io_file_abandon(&g);
    buf_release(&b);
}

/* What a killed process left is written over, longer or not. */
static void test_io__leftover_is_emptied(void **state)
{
    struct io_file f;
    struct buf b;

    (void)state;
    assert_int_equal(io_write_file(at("left.tmp"), STR("longer than it"), NULL),
                     0);
    assert_int_equal(io_file_open(&f, at("left"), NULL), 0);
    io_file_write(&f, STR("new"), NULL);
    assert_int_equal(io_file_publish(&f, NULL), 0);
    buf_init(&b, 100);
    assert_int_equal(io_read_file(at("left"), &b, NULL), 0);
    assert_string_equal(b.p, "new");
    buf_release(&b);
}

/* Many processes publish the same file again and again: each of them makes it
 * whole or is told that another does. */
static void test_io__a_crowd_publishes_whole_files(void **state)
{
    enum { CROWD = 4, TIMES = 60, SIZE = 20000 };
    char *bytes = xmalloc(SIZE);
    struct buf b;

    (void)state;
    for (int k = 0; k < CROWD; k++)
        if (fork() == 0) {
            memset(bytes, 'a' + k, SIZE);
            for (int i = 0; i < TIMES; i++) {
                struct io_file f;

                if (io_file_open(&f, at("crowd"), NULL))
                    continue;
                for (int n = 0; n < 4; n++)
                    io_file_write(&f, str_make(bytes, SIZE / 4), NULL);
                if (io_file_publish(&f, NULL))
                    _exit(1);
            }
            _exit(0);
        }
    buf_init(&b, 1 << 20);
    for (int left = CROWD; left;) {
        int status;

        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
        buf_clear(&b);
        if (io_read_file(at("crowd"), &b, NULL))
            continue; /* not yet there */
        assert_int_equal(b.n, SIZE);
        for (int i = 1; i < SIZE; i++)
            assert_int_equal(b.p[i], b.p[0]);
    }
    buf_release(&b);
    free(bytes);
}

/* ---- sidecars ---- */

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_sidecar__refuses(void **state)
{
    static const struct {
        const char *bytes;
        int rc;
    } cases[] = {
        {"{\"format\":1,\"fingerprint\":\"f\",\"files\":[\"a\"],"
         "\"sha256\":\"" HEX64 "\"}",
         0},
        {"{\"format\":1,\"fingerprint\":\"f\",\"files\":[\"a\",\"b\"],"
         "\"sha256\":{\"b\":\"" HEX64 "\",\"a\":\"" HEX64 "\"},\"new\":[1]}",
         0},
        {"{\"format\":2,\"fingerprint\":\"f\",\"files\":[\"a\"],"
         "\"sha256\":\"" HEX64 "\"}",
         -E_VERSION},
        {"{\"fingerprint\":\"f\",\"files\":[\"a\"],"
         "\"sha256\":\"" HEX64 "\"}",
         -E_DAMAGED},
        {"{\"format\":1,\"files\":[\"a\"],\"sha256\":\"" HEX64 "\"}",
         -E_DAMAGED},
        {"{\"format\":1,\"fingerprint\":\"f\",\"files\":[],"
         "\"sha256\":{}}",
         -E_DAMAGED},
        {"{\"format\":1,\"fingerprint\":\"f\",\"files\":[\"a\",\"b\"],"
         "\"sha256\":\"" HEX64 "\"}",
         -E_DAMAGED},
        {"{\"format\":1,\"fingerprint\":\"f\",\"files\":[\"a\"],"
         "\"sha256\":{\"c\":\"" HEX64 "\"}}",
         -E_DAMAGED},
        {"{\"format\":1,\"fingerprint\":\"f\",\"files\":[\"a\"],"
         "\"sha256\":\"0123\"}",
         -E_DAMAGED},
        {"{\"format\":1,\"fingerprint\":\"f\",\"files\":[\"a\"],"
         "\"sha256\":\"" HEX64 "\"",
         -E_DAMAGED},
        {"", -E_DAMAGED},
        {"[]", -E_DAMAGED},
    };
    struct corpus c = {.dir = ""};

    (void)state;
    snprintf(c.dir, sizeof c.dir, "%s", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        struct sidecar s;
        int rc;

        io_write_file(at("x.meta.json"), str_of(cases[i].bytes), NULL);
        rc = sidecar_read(&s, &c, "x", &e);
        if (rc != cases[i].rc)
            fail_msg("case %zu: %d %s", i, rc, e.message);
        if (rc)
            assert_non_null(strstr(e.message, "x.meta.json"));
        else
            sidecar_release(&s);
    }
}

/* ---- errors in the order of items ---- */

struct numbers {
    int next, fail_work, fail_produce;
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct numbers *n = ctx;

    *more = true;
    *(int *)item = n->next++;
    return *(int *)item == n->fail_produce
               ? err_set(e, E_IO, "produce %d", n->fail_produce)
               : 0;
}

/* The failing item takes its time, so that the caller reads on meanwhile. */
static int work(void *ctx, void *item, struct err *e)
{
    struct numbers *n = ctx;

    if (*(int *)item != n->fail_work)
        return 0;
    usleep(2000);
    return err_set(e, E_FORMAT, "work %d", n->fail_work);
}

static int consume(void *ctx, void *item, struct err *e)
{
    (void)ctx, (void)item, (void)e;
    return 0;
}

static void test_workq__a_failing_read_stands_behind_what_it_read(void **state)
{
    static const struct workq_ops ops = {produce, work, consume};
    static const struct {
        int work, produce;
        const char *says;
        int rc;
    } cases[] = {{100, 104, "work 100", -E_FORMAT},
                 {103, 104, "work 103", -E_FORMAT},
                 {-1, 104, "produce 104", -E_IO},
                 {200, 104, "produce 104", -E_IO},
                 {-1, 0, "produce 0", -E_IO}};
    int items[8];

    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct numbers n = {.fail_work = cases[i].work,
                                .fail_produce = cases[i].produce};
            struct err e = ERR_INIT;

            assert_int_equal(
                workq_run(&ops, &n, items, sizeof *items, 8, threads, &e),
                cases[i].rc);
            assert_string_equal(e.message, cases[i].says);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl__a_range_behind_the_end_is_an_error),
        cmocka_unit_test(test_stream__cut_or_padded),
        cmocka_unit_test(test_io__one_process_makes_a_file),
        cmocka_unit_test(test_io__leftover_is_emptied),
        cmocka_unit_test(test_io__a_crowd_publishes_whole_files),
        cmocka_unit_test(test_sidecar__refuses),
        cmocka_unit_test(test_workq__a_failing_read_stands_behind_what_it_read),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
