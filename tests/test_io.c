/* io, stream, jsonl, workq: what reads and writes files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/jsonl.h"
#include "base/stream.h"
#include "base/workq.h"
#include "tests/folder.h"

/* In the place of libc's: the process is killed where a file is about to lose
 * its name. */
static bool kill_at_unlink;

int unlink(const char *path)
{
    if (kill_at_unlink)
        raise(SIGKILL);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* Likewise: file systems with and without locks. */
static bool no_locks;

int flock(int fd, int operation)
{
    if (!no_locks)
        return (int)syscall(SYS_flock, fd, operation);
    errno = EOPNOTSUPP;
    return -1;
}

static void test_io__publish_replaces_whole(void **state)
{
    struct io_file f;
    struct buf b;
    struct err e = ERR_INIT;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(io_write_file(at("a"), STR("old"), &e), 0);
    assert_int_equal(io_file_open(&f, at("a"), &e), 0);
    io_file_write(&f, STR("new"), &e);
    /* Not published: the old bytes stand. */
    assert_int_equal(io_read_file(at("a"), &b, &e), 0);
    assert_string_equal(b.p, "old");
    assert_int_equal(io_file_publish(&f, &e), 0);
    buf_clear(&b);
    assert_int_equal(io_read_file(at("a"), &b, &e), 0);
    assert_string_equal(b.p, "new");
    assert_false(io_exists(at("a.tmp")));
    buf_release(&b);
}

/* A pipe stays a pipe. */
static void test_io__special_files_stay(void **state)
{
    struct err e = ERR_INIT;
    struct io_file f;
    struct stat st;

    (void)state;
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(io_file_open(&f, at("pipe"), &e), -E_USAGE);
    assert_non_null(strstr(e.message, "no regular file"));
    assert_int_equal(lstat(at("pipe"), &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_false(io_exists(at("pipe.tmp")));
    assert_int_equal(io_remove(at("pipe"), NULL), 0);
}

static void test_io__abandon_leaves_nothing(void **state)
{
    struct io_file f;

    (void)state;
    assert_int_equal(io_file_open(&f, at("b"), NULL), 0);
    io_file_write(&f, STR("x"), NULL);
    io_file_abandon(&f);
    assert_false(io_exists(at("b")));
    assert_false(io_exists(at("b.tmp")));
    /* Nor where the bytes are not hashed, as of every packed part. */
    assert_int_equal(io_file_open(&f, at("b"), NULL), 0);
    io_file_unhashed(&f);
    io_file_write(&f, STR("x"), NULL);
    io_file_abandon(&f);
    io_file_abandon(&f); /* a no-op */
    assert_false(io_exists(at("b")));
    assert_false(io_exists(at("b.tmp")));
}

static void test_io__one_writer_at_a_time(void **state)
{
    struct io_file one, two;
    struct buf b;
    struct err e = ERR_INIT;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(io_file_open(&one, at("w"), &e), 0);
    io_file_write(&one, STR("first"), &e);
    assert_int_equal(io_file_open(&two, at("w"), &e), -E_BUSY);
    assert_non_null(strstr(e.message, "another witmill process"));
    io_file_abandon(&two); /* takes nothing from the first */
    assert_int_equal(io_file_publish(&one, NULL), 0);
    assert_int_equal(io_file_open(&two, at("w"), NULL), 0);
    io_file_abandon(&two);
    assert_int_equal(io_read_file(at("w"), &b, NULL), 0);
    assert_string_equal(b.p, "first");
    buf_release(&b);
}

/* Where locks do not keep two apart, each has bytes of its own. */
static void test_io__shared_files_are_whole(void **state)
{
    struct io_file one, two;
    struct io_list l;
    struct buf b;
    struct err e = ERR_INIT;

    (void)state;
    buf_init(&b, 100);
    assert_false(io_mkdirs(at("shared"), &e));
    assert_false(io_file_open_shared(&one, at("shared/a"), &e));
    assert_int_equal(io_file_open_shared(&two, at("shared/a"), &e), -E_BUSY);
    io_file_abandon(&two);
    io_file_abandon(&one);
    no_locks = true;
    for (int first = 0; first < 2; first++) {
        assert_int_equal(io_file_open_shared(&one, at("shared/a"), NULL), 0);
        io_file_write(&one, STR("whole"), NULL);
        assert_int_equal(io_file_open_shared(&two, at("shared/a"), NULL), 0);
        io_file_write(&two, STR("who"), NULL);
        assert_int_equal(io_file_publish(first ? &two : &one, NULL), 0);
        assert_int_equal(io_read_file(at("shared/a"), &b, NULL), 0);
        assert_string_equal(b.p, first ? "who" : "whole");
        if (first)
            io_file_abandon(&one);
        else
            assert_int_equal(io_file_publish(&two, NULL), 0);
        buf_clear(&b);
    }
    no_locks = false;
    assert_false(io_list(at("shared"), &l, &e));
    assert_int_equal(l.n, 1);
    io_list_release(&l);
    buf_release(&b);
}

static void test_io__full_disk_sticks_and_says_so(void **state)
{
    struct err e = ERR_INIT;
    int fd;

    (void)state;
    fd = open("/dev/full", 1);
    if (fd < 0)
        skip();
    assert_int_equal(io_write_full(fd, "x", 1, "/dev/full", &e), -E_IO);
    assert_non_null(strstr(e.message, "free some space"));
    close(fd);
}

static void test_io__read_has_a_ceiling(void **state)
{
    struct buf b;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(io_write_file(at("c"), STR("0123456789"), &e), 0);
    buf_init(&b, 10);
    assert_int_equal(io_read_file(at("c"), &b, &e), 0);
    assert_int_equal(b.n, 10);
    buf_release(&b);
    buf_init(&b, 9);
    assert_int_equal(io_read_file(at("c"), &b, &e), -E_TOOBIG);
    buf_release(&b);
    assert_int_equal(io_read_file(at("none"), &b, NULL), -E_NOTFOUND);
}

static void test_io__lock_excludes(void **state)
{
    struct err e = ERR_INIT;
    int one, two;

    (void)state;
    assert_int_equal(io_lock(at("lock"), "the corpus", &one, &e), 0);
    assert_int_equal(io_lock(at("lock"), "the corpus", &two, &e), -E_BUSY);
    io_unlock(one);
    assert_int_equal(io_lock(at("lock"), "the corpus", &two, NULL), 0);
    no_locks = true;
    assert_int_equal(io_lock(at("lock"), "the corpus", &one, &e), 0);
    no_locks = false;
    io_unlock(one);
    io_unlock(two);
}

/* ---- stream ---- */

static void read_back(const char *path, struct buf *b, int want)
{
    struct stream *s;
    struct err e = ERR_INIT;
    int rc = stream_open(&s, path, &e);

    assert_int_equal(rc, 0);
    rc = stream_read_all(s, b, &e);
    if (rc != want)
        fail_msg("%s: %d %s", path, rc, e.message);
    stream_close(s);
}

static void test_stream__by_content(void **state)
{
    static const char *const tools[] = {"cat", "gzip -c", "bzip2 -c"};
    struct buf plain, got;
    char command[IO_PATH_MAX * 3];

    (void)state;
    buf_init(&plain, BUF_NO_LIMIT);
    buf_init(&got, BUF_NO_LIMIT);
    for (int i = 0; i < 60000; i++)
        buf_addf(&plain, "line %d of many\n", i * 7919 % 60000);
    assert_int_equal(io_write_file(at("plain"), buf_str(&plain), NULL), 0);
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        /* Two members, one behind the other. */
        snprintf(command, sizeof command, "%s <%s >%s; %s <%s >>%s", tools[i],
                 at("plain"), at("packed"), tools[i], at("plain"),
                 at("packed"));
        if (system(command))
            skip();
        buf_clear(&got);
        read_back(at("packed"), &got, 0);
        assert_int_equal(got.n, 2 * plain.n);
        assert_memory_equal(got.p, plain.p, plain.n);
        assert_memory_equal(got.p + plain.n, plain.p, plain.n);
        if (i == 0)
            continue;
        snprintf(command, sizeof command, "head -c 5000 %s >%s", at("packed"),
                 at("cut"));
        assert_int_equal(system(command), 0);
        buf_clear(&got);
        read_back(at("cut"), &got, -E_FORMAT);
    }
    buf_release(&plain);
    buf_release(&got);
}

static void test_stream__lines(void **state)
{
    struct stream *s;
    struct lines l;
    struct str line;
    bool more;

    (void)state;
    assert_int_equal(
        stream_open_memory(&s, STR("a\r\n\nlonglonglong\nb"), "memory", NULL),
        0);
    lines_init(&l, s, 5);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && str_eq(line, STR("a")));
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && line.n == 0);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && str_eq(line, STR("b")));
    assert_int_equal(l.number, 4);
    assert_int_equal(l.too_long, 1);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_false(more);
    lines_release(&l);
    stream_close(s);
}

static void test_stream__a_line_over_every_buffer(void **state)
{
    struct buf b;
    struct stream *s;
    struct lines l;
    struct str line;
    bool more;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    for (int i = 0; i < 900000; i++)
        buf_add_char(&b, 'x');
    buf_add(&b, STR("\nnext\n"));
    assert_int_equal(stream_open_memory(&s, buf_str(&b), "memory", NULL), 0);
    lines_init(&l, s, 1000);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && str_eq(line, STR("next")));
    assert_int_equal(l.too_long, 1);
    assert_int_equal(l.number, 2);
    lines_release(&l);
    stream_close(s);
    buf_release(&b);
}

/* ---- jsonl ---- */

static uint64_t count_lines(const char *path, uint64_t from, uint64_t to,
                            int want)
{
    struct jsonl_reader r;
    struct err e = ERR_INIT;
    struct str line;
    bool more = true;
    int rc = jsonl_open_range(&r, path, from, to, &e);
    uint64_t n = 0;

    while (!rc && !(rc = jsonl_next(&r, &line, &more, &e)) && more)
        n++;
    if (rc != want)
        fail_msg("%s: %d %s", path, rc, e.message);
    jsonl_close(&r);
    return n;
}

static void test_jsonl__frames_read_alone(void **state)
{
    struct jsonl_writer w;
    uint64_t offset[4] = {0};
    char hex[SHA256_HEX];

    (void)state;
    assert_int_equal(jsonl_open_write(&w, at("p.jsonl.zst"), NULL), 0);
    w.manual = true;
    for (int f = 0; f < 3; f++) {
        for (int i = 0; i < f * 1000; i++)
            jsonl_write(&w, STR("{\"a\":1}"), NULL);
        assert_int_equal(jsonl_frame(&w, &offset[f + 1], NULL), 0);
    }
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    for (int f = 0; f < 3; f++)
        assert_int_equal(
            count_lines(at("p.jsonl.zst"), offset[f], offset[f + 1], 0),
            f * 1000);
    assert_int_equal(count_lines(at("p.jsonl.zst"), 0, UINT64_MAX, 0), 3000);
    assert_int_equal(jsonl_sha256(at("p.jsonl.zst"), hex, NULL), 0);
    assert_string_equal(hex, w.sha256);
}

static void test_jsonl__torn_tail_costs_one_frame(void **state)
{
    struct jsonl_append a;
    struct buf lines;
    uint64_t ends[3], whole, n;

    (void)state;
    buf_init(&lines, BUF_NO_LIMIT);
    for (int i = 0; i < 500; i++)
        buf_addf(&lines, "{\"n\":%d}\n", i * i);
    assert_int_equal(jsonl_append_open(&a, at("t.jsonl.zst"), 0, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jsonl_append(&a, buf_str(&lines), NULL), 0);
        ends[i] = a.bytes;
    }
    jsonl_append_close(&a);
    for (uint64_t cut = ends[1]; cut <= ends[2]; cut += 37) {
        assert_int_equal(truncate(at("t.jsonl.zst"), (off_t)cut), 0);
        assert_int_equal(jsonl_whole_bytes(at("t.jsonl.zst"), &whole, &n, NULL),
                         0);
        assert_int_equal(whole, ends[1]);
        assert_int_equal(n, 1000);
        if (cut > ends[1])
            count_lines(at("t.jsonl.zst"), 0, UINT64_MAX, -E_FORMAT);
        assert_int_equal(jsonl_append_open(&a, at("t.jsonl.zst"), whole, NULL),
                         0);
        assert_int_equal(jsonl_append(&a, buf_str(&lines), NULL), 0);
        jsonl_append_close(&a);
        assert_int_equal(count_lines(at("t.jsonl.zst"), 0, UINT64_MAX, 0),
                         1500);
    }
    buf_release(&lines);
}

static void test_jsonl__flipped_byte_is_found(void **state)
{
    struct jsonl_writer w;
    struct buf b, copy;

    (void)state;
    assert_int_equal(jsonl_open_write(&w, at("f.jsonl.zst"), NULL), 0);
    for (int i = 0; i < 50; i++)
        jsonl_write(&w, STR("{\"text\":\"a dog and a cat\"}"), NULL);
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    buf_init(&b, BUF_NO_LIMIT);
    buf_init(&copy, BUF_NO_LIMIT);
    assert_int_equal(io_read_file(at("f.jsonl.zst"), &b, NULL), 0);
    for (size_t i = 0; i < b.n; i++) {
        struct jsonl_reader r;
        struct str line;
        bool more = true;
        char hex[SHA256_HEX] = "";
        int rc;

        buf_clear(&copy);
        buf_add(&copy, buf_str(&b));
        copy.p[i] ^= 1;
        assert_int_equal(io_write_file(at("g.jsonl.zst"), buf_str(&copy), NULL),
                         0);
        rc = jsonl_open(&r, at("g.jsonl.zst"), NULL);
        while (!rc && !(rc = jsonl_next(&r, &line, &more, NULL)) && more)
            ;
        jsonl_close(&r);
        /* Found by the frame, or the content is what it was (a flag that
         * decides nothing). */
        if (!rc && !jsonl_sha256(at("g.jsonl.zst"), hex, NULL))
            assert_string_equal(hex, w.sha256);
    }
    buf_release(&b);
    buf_release(&copy);
}

/* ---- workq ---- */

struct numbers {
    int next, last, seen, fail_at;
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct numbers *n = ctx;

    (void)e;
    *more = n->next < n->last;
    *(int *)item = n->next++;
    return 0;
}

static int square(void *ctx, void *item, struct err *e)
{
    struct numbers *n = ctx;
    int *v = item;

    if (n->fail_at && *v >= n->fail_at)
        return err_set(e, E_FORMAT, "item %d", *v);
    *v = *v * *v;
    return 0;
}

static int in_order(void *ctx, void *item, struct err *e)
{
    struct numbers *n = ctx;

    (void)e;
    assert_int_equal(*(int *)item, n->seen * n->seen);
    n->seen++;
    return 0;
}

static void test_workq__consumes_in_order(void **state)
{
    static const struct workq_ops ops = {produce, square, in_order};
    int items[16];

    (void)state;
    for (unsigned threads = 1; threads <= 5; threads++) {
        struct numbers n = {.last = 2000};

        assert_int_equal(
            workq_run(&ops, &n, items, sizeof *items, 16, threads, NULL), 0);
        assert_int_equal(n.seen, 2000);
    }
}

static void test_workq__first_error_in_order(void **state)
{
    static const struct workq_ops ops = {produce, square, in_order};
    int items[8];

    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct numbers n = {.last = 2000, .fail_at = 100};
        struct err e = ERR_INIT;

        assert_int_equal(
            workq_run(&ops, &n, items, sizeof *items, 8, threads, &e),
            -E_FORMAT);
        assert_string_equal(e.message, "item 100");
        assert_int_equal(n.seen, 100);
    }
}

/* Files without names leave none behind, nor does a kill in the one instant in
 * which some of them have one, once the next is opened. */
static void test_io__unlinked_leave_nothing(void **state)
{
    char dir[] = "/tmp/witmill-io-XXXXXX", path[IO_PATH_MAX];
    struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct io_list l;
    int fd, other, status;
    pid_t child;

    (void)state;
    assert_non_null(mkdtemp(dir));
    child = fork();
    if (child == 0) {
        kill_at_unlink = true;
        _exit(io_open_unlinked(dir, &fd, NULL));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(io_list(dir, &l, NULL), 0);
    assert_int_equal(l.n, 1);
    /* For all the next one knows its process still is about to unlink it. */
    assert_int_equal(io_open_unlinked(dir, &other, NULL), 0);
    assert_int_equal(rmdir(dir), -1);
    snprintf(path, sizeof path, "%s/%s", dir, l.names[0]);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    io_list_release(&l);
    assert_int_equal(io_open_unlinked(dir, &fd, NULL), 0);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(rmdir(dir), 0); /* it is empty */
    close(fd);
    close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io__publish_replaces_whole),
        cmocka_unit_test(test_io__unlinked_leave_nothing),
        cmocka_unit_test(test_io__special_files_stay),
        cmocka_unit_test(test_io__abandon_leaves_nothing),
        cmocka_unit_test(test_io__one_writer_at_a_time),
        cmocka_unit_test(test_io__shared_files_are_whole),
        cmocka_unit_test(test_io__full_disk_sticks_and_says_so),
        cmocka_unit_test(test_io__read_has_a_ceiling),
        cmocka_unit_test(test_io__lock_excludes),
        cmocka_unit_test(test_stream__by_content),
        cmocka_unit_test(test_stream__lines),
        cmocka_unit_test(test_stream__a_line_over_every_buffer),
        cmocka_unit_test(test_jsonl__frames_read_alone),
        cmocka_unit_test(test_jsonl__torn_tail_costs_one_frame),
        cmocka_unit_test(test_jsonl__flipped_byte_is_found),
        cmocka_unit_test(test_workq__consumes_in_order),
        cmocka_unit_test(test_workq__first_error_in_order),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
