/* The ordered dump by which two catalogues are compared. */
#include "catalog/catalog.h"

#include "base/json.h"

static void put_cell(struct json_out *o, const struct db_stmt *st, int column)
{
    if (db_is_null(st, column))
        json_out_null(o);
    else
        json_out_string(o, db_get_text(st, column));
}

static int dump_table(struct catalog *c, struct str name, struct buf *out,
                      struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    struct json_out o;
    struct buf sql;
    bool more = true;
    int rc;

    buf_init(&sql, 4096);
    /* Rows sorted by all columns; names are the schema's own. */
    buf_addf(&sql, "SELECT * FROM \"%.*s\" ORDER BY 1, 2%s", STR_ARG(name),
             str_eq(name, STR("host_failure")) ? ", 3, 4" : "");
    rc = db_prepare(&c->db, buf_str(&sql).p, &st, e);
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        buf_add(out, name);
        buf_add_char(out, ' ');
        json_out_init(&o, out);
        json_out_array(&o);
        for (int i = 0; i < db_columns(&st); i++)
            put_cell(&o, &st, i);
        json_out_end_array(&o);
        buf_add_char(out, '\n');
        if (out->rc)
            rc = err_set(e, -out->rc, "%s: dump is over its ceiling",
                         c->db.path);
    }
    db_stmt_release(&st);
    buf_release(&sql);
    return rc;
}

int catalog_dump(struct catalog *c, struct buf *out, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = true;
    int rc = db_prepare(&c->db,
                        "SELECT name FROM sqlite_schema WHERE type='table' "
                        "AND name<>'run' AND name NOT LIKE 'sqlite_%' "
                        "ORDER BY name",
                        &st, e);

    while (!rc && !(rc = db_row(&st, &more, e)) && more)
        rc = dump_table(c, db_get_text(&st, 0), out, e);
    db_stmt_release(&st);
    return rc;
}
