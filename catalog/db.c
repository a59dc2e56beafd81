#include "catalog/db.h"

#include "catalog/db_private.h"
#include <errno.h>
#include <sqlite3.h>

/* What an SQLite result means to the caller. */
static int code_of(int sqlite_rc)
{
    switch (sqlite_rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return E_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return E_DAMAGED;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return E_IO;
    case SQLITE_NOMEM:
        return E_NOMEM;
    default:
        return E_DB;
    }
}

int db_fail(struct db *db, int sqlite_rc, const char *doing, struct err *e)
{
    int code = code_of(sqlite_rc);
    int system_errno = db->handle ? sqlite3_system_errno(db->handle) : 0;

    if (code == E_BUSY)
        return err_set(e, E_BUSY, "%s: another process is writing to it",
                       db->path);
    if (code == E_IO && (system_errno || sqlite_rc == SQLITE_FULL)) {
        errno = system_errno ? system_errno : ENOSPC;
        return err_errno(e, E_IO, doing, db->path);
    }
    return err_set(e, code, "%s: %s: %s", db->path, doing,
                   db->handle ? sqlite3_errmsg(db->handle)
                              : sqlite3_errstr(sqlite_rc));
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : db_fail(db, rc, "write", e);
}

int db_begin(struct db *db, struct err *e)
{
    int rc = sqlite3_exec(db->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : db_fail(db, rc, "begin a transaction in", e);
}

int db_commit(struct db *db, struct err *e)
{
    int rc = sqlite3_exec(db->handle, "COMMIT", NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        return 0;
    rc = db_fail(db, rc, "commit to", e);
    db_rollback(db);
    return rc;
}

void db_rollback(struct db *db)
{
    if (db->handle && !sqlite3_get_autocommit(db->handle))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int db_value(struct db *db, const char *sql, int64_t *out, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = false;
    int rc = db_prepare(db, sql, &st, e);

    *out = 0;
    if (!rc)
        rc = db_row(&st, &more, e);
    if (!rc && more)
        *out = db_get_i64(&st, 0);
    db_stmt_release(&st);
    return rc;
}

bool db_has_table(struct db *db, const char *name)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = false;
    int rc =
        db_prepare(db, "SELECT 1 FROM sqlite_schema WHERE name=?", &st, NULL);

    if (!rc) {
        db_put_text(&st, str_of(name));
        rc = db_row(&st, &more, NULL);
    }
    db_stmt_release(&st);
    return !rc && more;
}

/* ---- statements ---- */

int db_prepare(struct db *db, const char *sql, struct db_stmt *st,
               struct err *e)
{
    int rc;

    *st = (struct db_stmt){.db = db};
    rc = sqlite3_prepare_v2(db->handle, sql, -1, &st->handle, NULL);
    return rc == SQLITE_OK ? 0 : db_fail(db, rc, sql, e);
}

void db_stmt_release(struct db_stmt *st)
{
    (void)sqlite3_finalize(st->handle);
    *st = (struct db_stmt)DB_STMT_INIT;
}

void db_reset(struct db_stmt *st)
{
    (void)sqlite3_reset(st->handle);
    st->at = 0;
    st->rc = 0;
    st->live = false;
}

static void bound(struct db_stmt *st, int rc)
{
    if (rc != SQLITE_OK && !st->rc)
        st->rc = -code_of(rc);
}

void db_put_i64(struct db_stmt *st, int64_t v)
{
    bound(st, sqlite3_bind_int64(st->handle, ++st->at, v));
}

void db_put_u64(struct db_stmt *st, uint64_t v)
{
    if (v > INT64_MAX) {
        st->at++;
        if (!st->rc)
            st->rc = -E_RANGE;
        return;
    }
    db_put_i64(st, (int64_t)v);
}

void db_put_double(struct db_stmt *st, double v)
{
    bound(st, sqlite3_bind_double(st->handle, ++st->at, v));
}

void db_put_text(struct db_stmt *st, struct str s)
{
    /* A NULL pointer would bind NULL where an empty text is meant. */
    bound(st, sqlite3_bind_text64(st->handle, ++st->at, s.p ? s.p : "", s.n,
                                  SQLITE_STATIC, SQLITE_UTF8));
}

void db_put_blob(struct db_stmt *st, struct str s)
{
    bound(st, sqlite3_bind_blob64(st->handle, ++st->at, s.p ? s.p : "", s.n,
                                  SQLITE_STATIC));
}

void db_put_null(struct db_stmt *st)
{
    bound(st, sqlite3_bind_null(st->handle, ++st->at));
}

static int step(struct db_stmt *st, bool *more, struct err *e)
{
    int rc;

    *more = false;
    if (st->rc) {
        rc = err_set(e, -st->rc, "%s: a value does not fit: %s", st->db->path,
                     sqlite3_sql(st->handle));
        db_reset(st);
        return rc;
    }
    rc = sqlite3_step(st->handle);
    st->live = true;
    if (rc == SQLITE_ROW) {
        *more = true;
        return 0;
    }
    rc = rc == SQLITE_DONE
             ? 0
             : db_fail(st->db, rc,
                       sqlite3_stmt_readonly(st->handle) ? "read" : "write", e);
    db_reset(st);
    return rc;
}

int db_run(struct db_stmt *st, struct err *e)
{
    bool more;
    int rc = step(st, &more, e);

    if (more)
        db_reset(st);
    return rc;
}

int db_row(struct db_stmt *st, bool *more, struct err *e)
{
    return step(st, more, e);
}

int db_columns(const struct db_stmt *st)
{
    return sqlite3_column_count(st->handle);
}

bool db_is_null(const struct db_stmt *st, int column)
{
    return sqlite3_column_type(st->handle, column) == SQLITE_NULL;
}

int64_t db_get_i64(const struct db_stmt *st, int column)
{
    return sqlite3_column_int64(st->handle, column);
}

uint64_t db_get_u64(const struct db_stmt *st, int column)
{
    int64_t v = sqlite3_column_int64(st->handle, column);

    return v < 0 ? 0 : (uint64_t)v;
}

struct str db_get_text(const struct db_stmt *st, int column)
{
    /* The length is asked after the text: the text may be converted. */
    const void *p = sqlite3_column_text(st->handle, column);

    return str_make(p ? p : "",
                    (size_t)sqlite3_column_bytes(st->handle, column));
}
