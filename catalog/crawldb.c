#include "base/embed.h"
#include "base/mem.h"
#include "catalog/crawldb_private.h"
#include <stdlib.h>

EMBED_TEXT(crawl_sql, "catalog/crawl.sql");

#define REASONS_MAX 4096 /* rows of reason: names are the program's own */

static const char *const sql[STATEMENTS] = {
    [GET_META] = "SELECT value FROM meta WHERE name=?",
    [PUT_META] = "INSERT OR REPLACE INTO meta VALUES(?,?)",
    [DROP_META] = "DELETE FROM meta WHERE name=?",
    [PUT_HOST] = "INSERT INTO host VALUES(?,?)",
    [PUT_URL] = "INSERT INTO url VALUES(?,?,?,?,?)",
    [GET_URL] = "SELECT host, depth, state, text FROM url WHERE id=?",
    [SET_STATE] = "UPDATE url SET state=? WHERE id=?",
    [SET_DEPTH] = "UPDATE url SET depth=? WHERE id=?",
    [GET_REASON] = "SELECT id FROM reason WHERE name=?",
    [PUT_REASON] = "INSERT OR IGNORE INTO reason(name) VALUES(?)",
    [WAIT_AGAIN] = "UPDATE url SET state=0 "
                   "WHERE state=16+(SELECT id FROM reason WHERE name=?)",
    [PUT_REFUSAL] = "INSERT OR REPLACE INTO refusal VALUES(?,?,NULL)",
    [PUT_LINKS] = "INSERT OR REPLACE INTO link VALUES(?,?)",
    [GET_LINKS] = "SELECT targets FROM link WHERE page=?",
    [PUT_ROBOTS] = "INSERT OR REPLACE INTO robots VALUES(?,?,?,?)",
    [GET_ROBOTS] = "SELECT status, fetched, body FROM robots WHERE origin=?",
    [PUT_PART] = "INSERT OR REPLACE INTO part VALUES(?,?,?)",
    [NEXT_PART] = "SELECT number, bytes, closed FROM part WHERE number>=? "
                  "ORDER BY number LIMIT 1",
    [ADD_COUNT] = "INSERT INTO part_count VALUES(?,?,?,?) "
                  "ON CONFLICT DO UPDATE SET n=n+excluded.n",
    [GET_COUNTS] = "SELECT name, n FROM part_count "
                   "WHERE kind=? AND (?=-1 OR part=?)",
    [SCAN_HOSTS] = "SELECT id, name FROM host ORDER BY id",
    [SCAN_URLS] = "SELECT id, host, depth, state, text FROM url ORDER BY id",
};

static const struct db_schema schema = {
    .what = "crawl frontier",
    .maker = "witmill crawl",
    .application_id = 0x574d4652, /* "WMFR" */
    .version = 1,
    .sql = crawl_sql,
};

int crawldb_open(struct crawldb **out, const char *path, struct err *e)
{
    struct crawldb *db = xcalloc(1, sizeof *db);
    int rc;

    buf_init(&db->text, BUF_NO_LIMIT);
    buf_init(&db->body, BUF_NO_LIMIT);
    buf_init(&db->blob, BUF_NO_LIMIT);
    rc = db_open(&db->db, path, DB_WRITE | DB_DURABLE, &schema, e);
    for (int i = 0; !rc && i < STATEMENTS; i++)
        rc = db_prepare(&db->db, sql[i], &db->st[i], e);
    if (rc) {
        crawldb_close(db);
        db = NULL;
    }
    *out = db;
    return rc;
}

void crawldb_close(struct crawldb *db)
{
    if (!db)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        db_stmt_release(&db->st[i]);
    if (db->open)
        db_rollback(&db->db);
    db_close(&db->db);
    buf_release(&db->text);
    buf_release(&db->body);
    buf_release(&db->blob);
    free(db);
}

int crawldb_begin(struct crawldb *db, struct err *e)
{
    int rc = db->open ? 0 : db_begin(&db->db, e);

    if (!rc)
        db->open = true;
    return rc;
}

int crawldb_commit(struct crawldb *db, struct err *e)
{
    int rc = db->open ? db_commit(&db->db, e) : 0;

    if (!rc)
        db->open = false;
    return rc;
}

int crawldb_run(struct crawldb *db, enum crawldb_statement which, struct err *e)
{
    int rc = crawldb_begin(db, e);

    return rc ? rc : db_run(&db->st[which], e);
}

/* ---- meta ---- */

int crawldb_get_meta(struct crawldb *db, const char *name, struct buf *value,
                     bool *found, struct err *e)
{
    struct db_stmt *st = &db->st[GET_META];
    int rc;

    buf_clear(value);
    db_put_text(st, str_of(name));
    rc = db_row(st, found, e);
    if (!rc && *found) {
        buf_add(value, db_get_text(st, 0));
        db_reset(st);
    }
    return rc;
}

int crawldb_put_meta(struct crawldb *db, const char *name, struct str value,
                     struct err *e)
{
    db_put_text(&db->st[PUT_META], str_of(name));
    db_put_blob(&db->st[PUT_META], value);
    return crawldb_run(db, PUT_META, e);
}

int crawldb_drop_meta(struct crawldb *db, const char *name, struct err *e)
{
    db_put_text(&db->st[DROP_META], str_of(name));
    return crawldb_run(db, DROP_META, e);
}

/* ---- hosts and URLs ---- */

int crawldb_put_host(struct crawldb *db, uint32_t id, struct str name,
                     struct err *e)
{
    db_put_u64(&db->st[PUT_HOST], id);
    db_put_text(&db->st[PUT_HOST], name);
    return crawldb_run(db, PUT_HOST, e);
}

int crawldb_put_url(struct crawldb *db, const struct crawldb_url *u,
                    struct err *e)
{
    struct db_stmt *st = &db->st[PUT_URL];

    db_put_u64(st, u->id);
    db_put_u64(st, u->host);
    db_put_u64(st, u->depth);
    db_put_u64(st, u->state);
    db_put_text(st, u->text);
    return crawldb_run(db, PUT_URL, e);
}

int crawldb_get_url(struct crawldb *db, uint32_t id, struct crawldb_url *u,
                    struct err *e)
{
    struct db_stmt *st = &db->st[GET_URL];
    bool found;
    int rc;

    db_put_u64(st, id);
    rc = db_row(st, &found, e);
    if (rc)
        return rc;
    if (!found)
        return err_set(e, E_DAMAGED, "%s: url %u is missing", db->db.path, id);
    buf_clear(&db->text);
    buf_add(&db->text, db_get_text(st, 3));
    *u = (struct crawldb_url){.id = id,
                              .host = (uint32_t)db_get_u64(st, 0),
                              .depth = (unsigned)db_get_u64(st, 1),
                              .state = (unsigned)db_get_u64(st, 2),
                              .text = buf_str(&db->text)};
    db_reset(st);
    return 0;
}

int crawldb_set_state(struct crawldb *db, uint32_t url, unsigned state,
                      struct err *e)
{
    db_put_u64(&db->st[SET_STATE], state);
    db_put_u64(&db->st[SET_STATE], url);
    return crawldb_run(db, SET_STATE, e);
}

int crawldb_set_depth(struct crawldb *db, uint32_t url, unsigned depth,
                      struct err *e)
{
    db_put_u64(&db->st[SET_DEPTH], depth);
    db_put_u64(&db->st[SET_DEPTH], url);
    return crawldb_run(db, SET_DEPTH, e);
}

int crawldb_reason_state(struct crawldb *db, const char *reason,
                         unsigned *state, struct err *e)
{
    struct db_stmt *st = &db->st[GET_REASON];
    bool found = false;
    int rc;

    for (int turn = 0; turn < 2; turn++) {
        db_put_text(st, str_of(reason));
        rc = db_row(st, &found, e);
        if (rc)
            return rc;
        if (found)
            break;
        db_put_text(&db->st[PUT_REASON], str_of(reason));
        rc = crawldb_run(db, PUT_REASON, e);
        if (rc)
            return rc;
    }
    *state = found ? CRAWLDB_REASON + (unsigned)db_get_u64(st, 0) : 0;
    if (found)
        db_reset(st);
    if (*state <= CRAWLDB_REASON || *state > CRAWLDB_REASON + REASONS_MAX)
        return err_set(e, E_DAMAGED, "%s: reason %s has no usable id",
                       db->db.path, reason);
    return 0;
}

int crawldb_wait_again(struct crawldb *db, const char *reason, struct err *e)
{
    db_put_text(&db->st[WAIT_AGAIN], str_of(reason));
    return crawldb_run(db, WAIT_AGAIN, e);
}

int crawldb_put_refusal(struct crawldb *db, uint32_t url, const char *signal,
                        struct err *e)
{
    db_put_u64(&db->st[PUT_REFUSAL], url);
    db_put_text(&db->st[PUT_REFUSAL], str_of(signal));
    return crawldb_run(db, PUT_REFUSAL, e);
}

/* ---- robots.txt ---- */

int crawldb_put_robots(struct crawldb *db, struct str origin,
                       const struct crawldb_robots *r, struct err *e)
{
    struct db_stmt *st = &db->st[PUT_ROBOTS];

    db_put_text(st, origin);
    db_put_i64(st, r->status);
    db_put_i64(st, r->fetched_s);
    db_put_blob(st, r->body);
    return crawldb_run(db, PUT_ROBOTS, e);
}

int crawldb_get_robots(struct crawldb *db, struct str origin,
                       struct crawldb_robots *r, bool *found, struct err *e)
{
    struct db_stmt *st = &db->st[GET_ROBOTS];
    int rc;

    db_put_text(st, origin);
    rc = db_row(st, found, e);
    if (rc || !*found)
        return rc;
    buf_clear(&db->body);
    buf_add(&db->body, db_get_text(st, 2));
    *r = (struct crawldb_robots){.status = (int)db_get_i64(st, 0),
                                 .fetched_s = db_get_i64(st, 1),
                                 .body = buf_str(&db->body)};
    db_reset(st);
    return 0;
}
