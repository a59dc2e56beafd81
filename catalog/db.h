/*
 * db - the house's way to SQLite: open, checked; statements; transactions.
 *
 * Model.   A database of ours carries an application_id (which kind it is) and
 *          a user_version (which schema).  db_open() makes an empty file into
 *          version `version`, carries an older one forward through the
 *          migrations in one transaction each, and refuses what it does not
 *          know.  WAL mode: one writer, any number of readers beside it.
 *          A statement is bound in the order of its ?s and then run:
 *
 *            db_prepare(&db, "INSERT INTO t VALUES(?,?)", &st, e);
 *            db_put_u64(&st, 7); db_put_text(&st, s); rc = db_run(&st, e);
 *
 *            db_prepare(&db, "SELECT a FROM t WHERE b=?", &st, e);
 *            db_put_u64(&st, 7);
 *            while (!(rc = db_row(&st, &more, e)) && more)
 *                ... db_get_u64(&st, 0) ...
 *          Either leaves the statement reset and ready to be bound anew.
 * Owns.    struct db the connection; struct db_stmt its statement, which is
 *          released before its db.  Bound texts are borrowed until the next
 *          db_run(), or until db_row() reports the end; texts read are valid
 *          until the next db_row() or db_reset().
 * Fails.   -E_NOTFOUND (reading what is not there), -E_VERSION (not of this
 *          kind, or newer than this program), -E_DAMAGED, -E_BUSY (another
 *          writer, after DB_BUSY_MS), -E_IO (full disk included), -E_DB.
 *          A bind that fails sticks in the statement and is reported by the
 *          next db_run() or db_row().  Values above INT64_MAX are -E_RANGE:
 *          hash bits go in as 16 hex digits or through db_put_i64.
 * Threads. A struct db and its statements belong to one thread at a time.
 */
#ifndef CATALOG_DB_H
#define CATALOG_DB_H

#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define DB_BUSY_MS 10000 /* how long to wait for another connection's lock */
/* Pages a connection keeps, and what a sort takes before it goes to a file. */
#define DB_CACHE_KIB "65536"

struct sqlite3; /* private to catalog/ */
struct sqlite3_stmt;

struct db_migration {
    int from;        /* user_version it starts at; it ends at from + 1 */
    const char *sql; /* run in one transaction with the new user_version */
};

struct db_schema {
    const char *what;       /* for messages: "corpus catalogue" */
    const char *maker;      /* command that makes it: "witmill merge" */
    int32_t application_id; /* four letters, e.g. 0x574d4331 "WMC1" */
    int version;            /* user_version this program writes */
    const char *sql;        /* creates that version in an empty file */
    const struct db_migration *migrations; /* ascending `from` */
    size_t n_migrations;
};

enum db_flags {
    DB_READ = 0,   /* must exist; nothing is written */
    DB_WRITE = 1,  /* created or migrated where needed */
    DB_DURABLE = 2 /* every commit survives a power cut (synchronous FULL);
                      else a cut may undo the last ones, and never corrupts */
};

struct db {
    struct sqlite3 *handle;
    char path[IO_PATH_MAX];
    bool writable;
};

#define DB_INIT                                                                \
    {                                                                          \
        .handle = NULL                                                         \
    }

/*
 * Flags of enum db_flags.  Opening to write after an unclean end (a -wal file
 * with bytes in it) checks the file before anything trusts it.
 *
 * Where a disk is full, -wal and -shm stay beside the file: what was committed
 * lies in the first and nowhere else, so nobody may remove them.  The next
 * connection, any SQLite tool's, reads them with the file, and the last writer
 * to close folds them in and removes them.
 */
int db_open(struct db *db, const char *path, unsigned flags,
            const struct db_schema *schema, struct err *e);
void db_close(struct db *db); /* also after a failed open; open transactions
                                 are rolled back */

/* Read all of it: pages, indexes, constraints; -E_DAMAGED with the first
 * thing that is wrong. */
int db_check(struct db *db, struct err *e);

/* Any number of statements without parameters or rows. */
int db_exec(struct db *db, const char *sql, struct err *e);

/* BEGIN IMMEDIATE: the write lock is taken here, not at the first write. */
int db_begin(struct db *db, struct err *e);
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db); /* a no-op outside a transaction */

/* The first column of the first row of sql; 0 when there is none. */
int db_value(struct db *db, const char *sql, int64_t *out, struct err *e);

/* True if the schema has a table or view of that name. */
bool db_has_table(struct db *db, const char *name);

struct db_stmt {
    struct sqlite3_stmt *handle;
    struct db *db;
    int at;    /* parameters bound so far */
    int rc;    /* sticky -E_* of a bind, cleared by run, row's end and reset */
    bool live; /* stepped and not yet reset */
};

#define DB_STMT_INIT                                                           \
    {                                                                          \
        .handle = NULL                                                         \
    }

/* -E_DB with the SQL when it does not compile. */
int db_prepare(struct db *db, const char *sql, struct db_stmt *st,
               struct err *e);
void db_stmt_release(struct db_stmt *st); /* NULL handle is fine */

/* Bind the next parameter. */
void db_put_u64(struct db_stmt *st, uint64_t v);
void db_put_i64(struct db_stmt *st, int64_t v);
void db_put_double(struct db_stmt *st, double v);
void db_put_text(struct db_stmt *st, struct str s); /* UTF-8, may be empty */
void db_put_blob(struct db_stmt *st, struct str s);
void db_put_null(struct db_stmt *st);

/* Run a statement that gives no rows, and reset it. */
int db_run(struct db_stmt *st, struct err *e);

/* The next row; at the end *more is false and the statement is reset. */
int db_row(struct db_stmt *st, bool *more, struct err *e);
void db_reset(struct db_stmt *st); /* stop early */

/* Columns of the current row, from 0. NULL reads as 0 and "". */
int db_columns(const struct db_stmt *st);
bool db_is_null(const struct db_stmt *st, int column);
uint64_t db_get_u64(const struct db_stmt *st, int column); /* negatives as 0 */
int64_t db_get_i64(const struct db_stmt *st, int column);
struct str db_get_text(const struct db_stmt *st, int column);

#endif
