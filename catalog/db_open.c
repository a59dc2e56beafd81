/* Opening a database of ours, or a stranger's that claims to be one. */
#include "catalog/db.h"

#include "catalog/db_private.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Settings that belong to the connection.  The file may come from a stranger:
 * its schema may call no function, and every cell is checked as it is read.
 */
static int settle(struct db *db, unsigned flags, struct err *e)
{
    int rc;

    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, DB_BUSY_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    rc = db_exec(db,
                 "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                 "PRAGMA mmap_size=0; PRAGMA foreign_keys=OFF;"
                 "PRAGMA temp_store=FILE; PRAGMA cache_size=-" DB_CACHE_KIB,
                 e);
    if (!rc && flags & DB_WRITE)
        rc = db_exec(db,
                     flags & DB_DURABLE ? "PRAGMA synchronous=FULL"
                                        : "PRAGMA synchronous=NORMAL",
                     e);
    return rc;
}

static int run_check(struct db *db, const char *pragma, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = false;
    int rc = db_prepare(db, pragma, &st, e);

    if (!rc)
        rc = db_row(&st, &more, e);
    if (!rc && more && !str_eq(db_get_text(&st, 0), STR("ok")))
        rc = err_set(e, E_DAMAGED, "%s: %.*s", db->path,
                     STR_ARG(db_get_text(&st, 0)));
    db_stmt_release(&st);
    return rc;
}

/* A process that was killed left its log behind: look before trusting it. */
static int check_after_kill(struct db *db, struct err *e)
{
    return run_check(db, "PRAGMA quick_check(1)", e);
}

int db_check(struct db *db, struct err *e)
{
    return run_check(db, "PRAGMA integrity_check(1)", e);
}

static int create(struct db *db, const struct db_schema *schema, struct err *e)
{
    char stamp[80];
    int rc;

    snprintf(stamp, sizeof stamp,
             "PRAGMA application_id=%d; PRAGMA user_version=%d",
             (int)schema->application_id, schema->version);
    rc = db_begin(db, e);
    if (!rc)
        rc = db_exec(db, schema->sql, e);
    if (!rc)
        rc = db_exec(db, stamp, e);
    if (!rc)
        rc = db_commit(db, e);
    db_rollback(db);
    return rc;
}

static int migrate_one(struct db *db, const struct db_migration *m,
                       struct err *e)
{
    char stamp[48];
    int rc = db_begin(db, e);

    snprintf(stamp, sizeof stamp, "PRAGMA user_version=%d", m->from + 1);
    if (!rc)
        rc = db_exec(db, m->sql, e);
    if (!rc)
        rc = db_exec(db, stamp, e);
    if (!rc)
        rc = db_commit(db, e);
    db_rollback(db);
    return rc ? err_wrap(e, rc, "schema %d to %d", m->from, m->from + 1) : 0;
}

static int bring_forward(struct db *db, const struct db_schema *schema,
                         int version, struct err *e)
{
    if (!db->writable)
        return err_set(e, E_VERSION,
                       "%s: schema %d is older than this program's %d; run "
                       "`%s` to bring it forward",
                       db->path, version, schema->version, schema->maker);
    for (size_t i = 0; i < schema->n_migrations; i++) {
        const struct db_migration *m = &schema->migrations[i];
        int rc;

        if (m->from != version)
            continue;
        rc = migrate_one(db, m, e);
        if (rc)
            return rc;
        version++;
    }
    if (version == schema->version)
        return 0;
    return err_set(e, E_VERSION,
                   "%s: schema %d is too old for this program, which writes "
                   "%d and knows no way between; remove it and run `%s`",
                   db->path, version, schema->version, schema->maker);
}

static int check_schema(struct db *db, const struct db_schema *schema,
                        struct err *e)
{
    int64_t id, version, tables;
    int rc = db_value(db, "PRAGMA application_id", &id, e);

    if (!rc)
        rc = db_value(db, "PRAGMA user_version", &version, e);
    if (!rc)
        rc = db_value(db, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (rc)
        return rc;
    if (id == 0 && version == 0 && tables == 0 && db->writable)
        return create(db, schema, e);
    if (id != schema->application_id)
        return err_set(e, E_VERSION, "%s: is no %s of witmill", db->path,
                       schema->what);
    if (version > schema->version)
        return err_set(e, E_VERSION,
                       "%s: schema %d is newer than this program's %d; use "
                       "the witmill that wrote it, or a later one",
                       db->path, (int)version, schema->version);
    if (version < schema->version)
        return bring_forward(db, schema, (int)version, e);
    return 0;
}

/*
 * A WAL database in a folder that nobody here may write to cannot make its
 * shared-memory file.  Without a log beside it nothing can be writing, and
 * SQLite is told that the file stands still.
 */
static int open_handle(struct db *db, unsigned flags, bool left_log)
{
    char folder[IO_PATH_MAX], uri[3 * IO_PATH_MAX + 32];
    const char *slash = strrchr(db->path, '/');
    size_t at = 0;

    if (flags & DB_WRITE)
        return sqlite3_open_v2(db->path, &db->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                   SQLITE_OPEN_NOMUTEX,
                               NULL);
    snprintf(folder, sizeof folder, "%.*s",
             slash ? (int)(slash - db->path) + 1 : 1, slash ? db->path : ".");
    if (left_log || faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS) == 0)
        return sqlite3_open_v2(db->path, &db->handle,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                               NULL);
    at = (size_t)snprintf(uri, sizeof uri, "file:");
    for (const char *p = db->path; *p; p++)
        at += (size_t)snprintf(uri + at, sizeof uri - at,
                               *p == '%' || *p == '?' || *p == '#' ? "%%%02X"
                                                                   : "%c",
                               (unsigned char)*p);
    snprintf(uri + at, sizeof uri - at, "?immutable=1");
    return sqlite3_open_v2(
        uri, &db->handle,
        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
}

int db_open(struct db *db, const char *path, unsigned flags,
            const struct db_schema *schema, struct err *e)
{
    char log[IO_PATH_MAX + 8];
    uint64_t log_bytes = 0;
    bool left_log;
    int rc;

    db->handle = NULL;
    db->writable = flags & DB_WRITE;
    if (snprintf(db->path, sizeof db->path, "%s", path) >= (int)sizeof db->path)
        return err_set(e, E_TOOBIG, "%.60s...: path is too long", path);
    if (!db->writable && !io_exists(path))
        return err_set(e, E_NOTFOUND, "%s: no %s here yet; run `%s`", path,
                       schema->what, schema->maker);
    snprintf(log, sizeof log, "%s-wal", path);
    left_log =
        io_exists(log) && io_size(log, &log_bytes, NULL) == 0 && log_bytes > 0;
    rc = open_handle(db, flags, left_log);
    if (rc != SQLITE_OK) {
        rc = db_fail(db, rc, "open", e);
        goto out;
    }
    rc = settle(db, flags, e);
    if (!rc && db->writable && left_log)
        rc = check_after_kill(db, e);
    if (!rc)
        rc = check_schema(db, schema, e);
    /* Only now: a stranger's file keeps its mode. */
    if (!rc && db->writable)
        rc = db_exec(db, "PRAGMA journal_mode=WAL", e);
out:
    if (rc)
        db_close(db);
    return rc;
}

void db_close(struct db *db)
{
    if (!db->handle)
        return;
    db_rollback(db);
    (void)sqlite3_close_v2(db->handle);
    db->handle = NULL;
}
