/* catalog/db: opening, schema versions, statements, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "catalog/db.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct db_migration to_two[] = {
    {1, "ALTER TABLE t ADD COLUMN c TEXT NOT NULL DEFAULT 'new'"},
};
static const struct db_schema one = {
    "test base",
    "make one",
    0x74657374,
    1,
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)",
    NULL,
    0,
};
static const struct db_schema two = {
    "test base",
    "make two",
    0x74657374,
    2,
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c TEXT)",
    to_two,
    1,
};
static const struct db_schema other = {
    "other base", "make other", 0x6f746872, 1, "CREATE TABLE u(a)", NULL, 0,
};

struct fixture {
    char dir[64], path[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/test_db.XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/a.db", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[128];

    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", f->path, ends[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

static void fill(const char *path, int rows)
{
    struct db db = DB_INIT;
    struct db_stmt st = DB_STMT_INIT;
    struct err e = ERR_INIT;

    assert_int_equal(db_open(&db, path, DB_WRITE, &one, &e), 0);
    assert_int_equal(db_begin(&db, &e), 0);
    assert_int_equal(db_prepare(&db, "INSERT INTO t VALUES(?,?)", &st, &e), 0);
    for (int i = 0; i < rows; i++) {
        db_put_u64(&st, (uint64_t)i);
        db_put_text(&st, i % 2 ? STR("odd") : STR(""));
        assert_int_equal(db_run(&st, &e), 0);
    }
    db_stmt_release(&st);
    assert_int_equal(db_commit(&db, &e), 0);
    db_close(&db);
}

static void test_db__rows_come_back(void **state)
{
    struct fixture *f = *state;
    struct db db = DB_INIT;
    struct db_stmt st = DB_STMT_INIT;
    struct err e = ERR_INIT;
    bool more;

    fill(f->path, 3);
    assert_int_equal(db_open(&db, f->path, DB_READ, &one, &e), 0);
    assert_true(db_has_table(&db, "t"));
    assert_false(db_has_table(&db, "u"));
    assert_int_equal(
        db_prepare(&db, "SELECT a, b, NULL FROM t WHERE a>=? ORDER BY a", &st,
                   &e),
        0);
    for (int round = 0; round < 2; round++) { /* reset by its end */
        db_put_i64(&st, 1);
        for (int i = 1; i < 3; i++) {
            assert_int_equal(db_row(&st, &more, &e), 0);
            assert_true(more);
            assert_int_equal(db_get_u64(&st, 0), i);
            assert_true(
                str_eq(db_get_text(&st, 1), i % 2 ? STR("odd") : STR("")));
            assert_false(db_is_null(&st, 1)); /* empty text is not NULL */
            assert_true(db_is_null(&st, 2));
        }
        assert_int_equal(db_row(&st, &more, &e), 0);
        assert_false(more);
    }
    db_stmt_release(&st);
    db_close(&db);
}

static void test_db__reading_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct db db = DB_INIT;
    struct err e = ERR_INIT;

    assert_int_equal(db_open(&db, f->path, DB_READ, &one, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "make one"));
    assert_false(io_exists(f->path));
}

static void test_db__a_bind_that_fails_sticks(void **state)
{
    struct fixture *f = *state;
    struct db db = DB_INIT;
    struct db_stmt st = DB_STMT_INIT;
    struct err e = ERR_INIT;
    int64_t n;

    fill(f->path, 0);
    assert_int_equal(db_open(&db, f->path, DB_WRITE, &one, &e), 0);
    assert_int_equal(db_prepare(&db, "INSERT INTO t VALUES(?,?)", &st, &e), 0);
    db_put_u64(&st, UINT64_MAX);
    db_put_text(&st, STR("x"));
    assert_int_equal(db_run(&st, &e), -E_RANGE);
    db_put_u64(&st, INT64_MAX); /* and is forgotten by then */
    db_put_text(&st, STR("x"));
    assert_int_equal(db_run(&st, NULL), 0);
    db_put_u64(&st, 1);
    db_put_text(&st, STR("x"));
    db_put_text(&st, STR("one too many"));
    assert_int_equal(db_run(&st, NULL), -E_DB);
    db_stmt_release(&st);
    assert_int_equal(db_value(&db, "SELECT count(*) FROM t", &n, NULL), 0);
    assert_int_equal(n, 1);
    db_close(&db);
}

static void test_db__rollback_and_close_undo(void **state)
{
    struct fixture *f = *state;
    struct db db = DB_INIT;
    int64_t n;

    fill(f->path, 1);
    for (int how = 0; how < 2; how++) {
        assert_int_equal(db_open(&db, f->path, DB_WRITE, &one, NULL), 0);
        assert_int_equal(db_begin(&db, NULL), 0);
        assert_int_equal(db_exec(&db, "DELETE FROM t", NULL), 0);
        if (how)
            db_rollback(&db);
        db_close(&db);
        assert_int_equal(db_open(&db, f->path, DB_READ, &one, NULL), 0);
        assert_int_equal(db_value(&db, "SELECT count(*) FROM t", &n, NULL), 0);
        assert_int_equal(n, 1);
        db_close(&db);
    }
}

static void test_db__versions(void **state)
{
    struct fixture *f = *state;
    struct db db = DB_INIT;
    struct err e = ERR_INIT;
    int64_t n;

    fill(f->path, 2);
    /* Another kind of database, and no database at all. */
    assert_int_equal(db_open(&db, f->path, DB_WRITE, &other, &e), -E_VERSION);
    assert_non_null(strstr(e.message, "is no other base"));
    /* Older: a reader says what to run, a writer carries it forward. */
    e.code = 0;
    assert_int_equal(db_open(&db, f->path, DB_READ, &two, &e), -E_VERSION);
    assert_non_null(strstr(e.message, "make two"));
    assert_int_equal(db_open(&db, f->path, DB_WRITE, &two, NULL), 0);
    assert_int_equal(
        db_value(&db, "SELECT count(*) FROM t WHERE c='new'", &n, NULL), 0);
    assert_int_equal(n, 2);
    db_close(&db);
    assert_int_equal(db_open(&db, f->path, DB_READ, &two, NULL), 0);
    db_close(&db);
    /* Newer than the program. */
    e.code = 0;
    assert_int_equal(db_open(&db, f->path, DB_WRITE, &one, &e), -E_VERSION);
    assert_non_null(strstr(e.message, "newer"));
}

static void test_db__a_stranger_s_database_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct buf before, after;
    struct db db = DB_INIT;
    struct err e = ERR_INIT;

    buf_init(&before, 1 << 20);
    buf_init(&after, 1 << 20);
    fill(f->path, 2);
    assert_int_equal(io_read_file(f->path, &before, NULL), 0);
    assert_int_equal(db_open(&db, f->path, DB_WRITE, &other, &e), -E_VERSION);
    assert_int_equal(io_read_file(f->path, &after, NULL), 0);
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    buf_release(&before);
    buf_release(&after);

    assert_int_equal(io_write_file(f->path,
                                   STR("not a database, but long enough to be "
                                       "looked at as one by its first bytes, "
                                       "all hundred of the header of a file"),
                                   NULL),
                     0);
    assert_int_equal(db_open(&db, f->path, DB_READ, &one, NULL), -E_DAMAGED);
    assert_int_equal(db_open(&db, f->path, DB_WRITE, &one, NULL), -E_DAMAGED);
}

static void test_db__two_writers(void **state)
{
    struct fixture *f = *state;
    struct db a = DB_INIT, b = DB_INIT;
    struct err e = ERR_INIT;
    int64_t n;

    fill(f->path, 1);
    assert_int_equal(db_open(&a, f->path, DB_WRITE, &one, NULL), 0);
    assert_int_equal(db_open(&b, f->path, DB_WRITE, &one, NULL), 0);
    assert_int_equal(db_exec(&b, "PRAGMA busy_timeout=1", NULL), 0);
    assert_int_equal(db_begin(&a, NULL), 0);
    assert_int_equal(db_begin(&b, &e), -E_BUSY);
    assert_non_null(strstr(e.message, "another process"));
    /* A reader is not held up, and sees what was committed. */
    assert_int_equal(db_exec(&a, "DELETE FROM t", NULL), 0);
    assert_int_equal(db_value(&b, "SELECT count(*) FROM t", &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(db_commit(&a, NULL), 0);
    assert_int_equal(db_begin(&b, NULL), 0);
    db_close(&b);
    db_close(&a);
}

/* Every damaged byte gives right rows, or an error; never a crash. */
static void test_db__flipped_bytes(void **state)
{
    struct fixture *f = *state;
    struct buf whole;
    int refused = 0;

    buf_init(&whole, 1 << 22);
    fill(f->path, 2000);
    assert_int_equal(io_read_file(f->path, &whole, NULL), 0);
    for (size_t at = 0; at < whole.n; at += at < 4096 ? 37 : 1021) {
        struct db db = DB_INIT;
        struct db_stmt st = DB_STMT_INIT;
        bool more = true;
        int rc, fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_true(fd >= 0);
        whole.p[at] ^= 0x55;
        assert_int_equal(io_write_full(fd, whole.p, whole.n, f->path, NULL), 0);
        whole.p[at] ^= 0x55;
        close(fd);
        rc = db_open(&db, f->path, DB_READ, &one, NULL);
        if (!rc)
            rc = db_prepare(&db, "SELECT a, b FROM t ORDER BY b, a", &st, NULL);
        while (!rc && more)
            rc = db_row(&st, &more, NULL);
        if (rc)
            refused++;
        db_stmt_release(&st);
        db_close(&db);
    }
    buf_release(&whole);
    assert_true(refused > 5);
}

static void test_db__a_folder_that_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    struct db db = DB_INIT;
    struct err e = ERR_INIT;
    int64_t n;

    fill(f->path, 4);
    assert_int_equal(chmod(f->dir, 0555), 0);
    if (geteuid() == 0) /* root writes everywhere: be nobody for a while */
        assert_int_equal(seteuid(65534), 0);
    assert_int_equal(db_open(&db, f->path, DB_READ, &one, &e), 0);
    assert_int_equal(db_value(&db, "SELECT count(*) FROM t", &n, NULL), 0);
    assert_int_equal(n, 4);
    db_close(&db);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(f->dir, 0700), 0);
}

int main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_db__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(rows_come_back),
        T(reading_what_is_not_there),
        T(a_bind_that_fails_sticks),
        T(rollback_and_close_undo),
        T(versions),
        T(a_stranger_s_database_is_left_alone),
        T(two_writers),
        T(flipped_bytes),
        T(a_folder_that_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
