#include "catalog/catalog.h"

#include "base/embed.h"
#include "base/mem.h"
#include <stdlib.h>

EMBED_TEXT(catalog_schema_sql, "catalog/schema.sql");
EMBED_TEXT(catalog_index_sql, "catalog/index.sql");

static struct db_schema schema(void)
{
    return (struct db_schema){
        .what = "corpus catalogue",
        .maker = "witmill merge",
        .application_id = 0x574d4344, /* "WMCD" */
        .version = CATALOG_VERSION,
        .sql = catalog_schema_sql,
    };
}

int catalog_open(struct catalog *c, const char *dir, unsigned flags,
                 struct err *e)
{
    struct db_schema s = schema();
    char path[IO_PATH_MAX];
    int rc = io_join(path, dir, CATALOG_FILE, e);

    c->db.handle = NULL;
    return rc ? rc : db_open(&c->db, path, flags, &s, e);
}

void catalog_close(struct catalog *c)
{
    db_close(&c->db);
}

/* ---- one statement, a few texts ---- */

/* Run sql with the n texts bound in order. */
static int run_texts(struct catalog *c, const char *sql,
                     const struct str *texts, size_t n, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db, sql, &st, e);

    if (!rc) {
        for (size_t i = 0; i < n; i++)
            db_put_text(&st, texts[i]);
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

/* The first column of the row that key names; *found false: none. */
static int ask_text(struct catalog *c, const char *sql, const char *key,
                    struct buf *out, bool *found, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db, sql, &st, e);

    *found = false;
    if (!rc) {
        db_put_text(&st, str_of(key));
        rc = db_row(&st, found, e);
    }
    if (!rc && *found)
        buf_add(out, db_get_text(&st, 0));
    db_stmt_release(&st);
    return rc;
}

static int ask_same(struct catalog *c, const char *sql, const char *key,
                    const char *digest, bool *same, struct err *e)
{
    struct buf b;
    bool found;
    int rc;

    buf_init(&b, 4096);
    rc = ask_text(c, sql, key, &b, &found, e);
    *same = !rc && found && str_eq(buf_str(&b), str_of(digest));
    buf_release(&b);
    return rc;
}

/* ---- sections and facts ---- */

int catalog_section_same(struct catalog *c, const char *name,
                         const char *digest, bool *same, struct err *e)
{
    return ask_same(c, "SELECT digest FROM section WHERE name=?", name, digest,
                    same, e);
}

int catalog_section_set(struct catalog *c, const char *name, const char *digest,
                        struct err *e)
{
    const struct str v[] = {str_of(name), str_of(digest)};

    return run_texts(c, "REPLACE INTO section(name, digest) VALUES(?,?)", v, 2,
                     e);
}

int catalog_section_forget(struct catalog *c, const char *name, struct err *e)
{
    const struct str v[] = {str_of(name)};

    return run_texts(c, "DELETE FROM section WHERE name=?", v, 1, e);
}

bool catalog_section_there(struct catalog *c, const char *name)
{
    struct buf b;
    bool found;
    int rc;

    buf_init(&b, 4096);
    rc = ask_text(c, "SELECT digest FROM section WHERE name=?", name, &b,
                  &found, NULL);
    buf_release(&b);
    return !rc && found;
}

int catalog_fact_set(struct catalog *c, const char *name, struct str value,
                     struct err *e)
{
    const struct str v[] = {str_of(name), value};

    return run_texts(c, "REPLACE INTO fact(name, value) VALUES(?,?)", v, 2, e);
}

int catalog_fact(struct catalog *c, const char *name, struct buf *out,
                 struct err *e)
{
    bool found;

    return ask_text(c, "SELECT value FROM fact WHERE name=?", name, out, &found,
                    e);
}

/* ---- parts ---- */

int catalog_part_same(struct catalog *c, const char *output,
                      const char *content, bool *same, struct err *e)
{
    return ask_same(c, "SELECT content FROM part WHERE output=?", output,
                    content, same, e);
}

int catalog_part_forget(struct catalog *c, const char *output, struct err *e)
{
    static const char *const sql[] = {
        "DELETE FROM stage_count WHERE output=?",
        "DELETE FROM drop_count WHERE output=?",
        "DELETE FROM host WHERE output=?",
        "DELETE FROM host_failure WHERE output=?",
        "DELETE FROM shard WHERE output=?",
        "DELETE FROM run WHERE output=?",
        "DELETE FROM part WHERE output=?",
    };
    const struct str v[] = {str_of(output)};
    int rc = 0;

    for (size_t i = 0; i < sizeof sql / sizeof *sql && !rc; i++)
        rc = run_texts(c, sql[i], v, 1, e);
    return rc;
}

static int put_tally(struct catalog *c, const char *sql, const char *output,
                     const struct tally *t, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db, sql, &st, e);

    for (size_t i = 0; i < t->n && !rc; i++) {
        db_put_text(&st, str_of(output));
        db_put_text(&st, str_of(t->rows[i].name));
        db_put_u64(&st, t->rows[i].n);
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

static int put_run(struct catalog *c, const struct catalog_part *p,
                   struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(
        &c->db,
        "INSERT INTO run(output, finished, seconds, merged) VALUES(?,?,?,?)",
        &st, e);

    if (!rc) {
        db_put_text(&st, str_of(p->output));
        if (p->finished.n)
            db_put_text(&st, p->finished);
        else
            db_put_null(&st);
        if (p->seconds >= 0)
            db_put_double(&st, p->seconds);
        else
            db_put_null(&st);
        db_put_text(&st, str_of(p->merged));
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

int catalog_part_put(struct catalog *c, const struct catalog_part *p,
                     struct err *e)
{
    const struct str v[] = {str_of(p->output), str_of(p->stage),
                            str_of(p->scope), str_of(p->fingerprint),
                            str_of(p->content)};
    int rc = catalog_part_forget(c, p->output, e);

    if (!rc)
        rc = run_texts(c,
                       "INSERT INTO part(output, stage, scope, fingerprint, "
                       "content) VALUES(?,?,?,?,?)",
                       v, 5, e);
    if (!rc)
        rc = put_tally(c,
                       "INSERT INTO stage_count(output, name, n) "
                       "VALUES(?,?,?)",
                       p->output, p->counts, e);
    if (!rc)
        rc = put_tally(c,
                       "INSERT INTO drop_count(output, reason, n) "
                       "VALUES(?,?,?)",
                       p->output, p->drops, e);
    return rc ? rc : put_run(c, p, e);
}

int catalog_parts(struct catalog *c, struct io_list *outputs, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    size_t cap = 0;
    bool more = true;
    int rc =
        db_prepare(&c->db, "SELECT output FROM part ORDER BY output", &st, e);

    *outputs = (struct io_list){0};
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        outputs->names =
            xgrow(outputs->names, &cap, outputs->n + 1, sizeof *outputs->names);
        outputs->names[outputs->n++] = xstrndup(db_get_text(&st, 0));
    }
    db_stmt_release(&st);
    if (rc)
        io_list_release(outputs);
    return rc;
}

int catalog_index(struct catalog *c, struct err *e)
{
    return db_exec(&c->db, catalog_index_sql, e);
}
