#include "catalog/load.h"

void catalog_loader_release(struct catalog_loader *l)
{
    db_stmt_release(&l->a);
    db_stmt_release(&l->b);
    db_stmt_release(&l->c);
}

static int begin(struct catalog_loader *l, struct catalog *c, const char *empty,
                 const char *a, const char *b, const char *third, struct err *e)
{
    int rc = 0;

    *l = (struct catalog_loader){.catalog = c};
    if (empty)
        rc = db_exec(&c->db, empty, e);
    if (!rc)
        rc = db_prepare(&c->db, a, &l->a, e);
    if (!rc)
        rc = db_prepare(&c->db, b, &l->b, e);
    if (!rc && third)
        rc = db_prepare(&c->db, third, &l->c, e);
    if (rc)
        catalog_loader_release(l);
    return rc;
}

static void put_known(struct db_stmt *st, uint64_t v)
{
    if (v == CATALOG_NONE)
        db_put_null(st);
    else
        db_put_u64(st, v);
}

static void put_said(struct db_stmt *st, struct str s)
{
    if (s.n)
        db_put_text(st, s);
    else
        db_put_null(st);
}

/* ---- the query list ---- */

int catalog_load_queries(struct catalog_loader *l, struct catalog *c,
                         struct err *e)
{
    return begin(l, c,
                 "DROP INDEX IF EXISTS query_norm;"
                 "DROP INDEX IF EXISTS query_group;"
                 "DROP INDEX IF EXISTS synset_name;"
                 "DROP INDEX IF EXISTS synset_query;"
                 "DELETE FROM query; DELETE FROM synset;"
                 "DELETE FROM synset_parent",
                 "INSERT INTO query(id, text, norm, group_id, sources, cannot, "
                 "count, pmi, views, synset) VALUES(?,?,?,?,?,?,?,?,?,?)",
                 "INSERT INTO synset(id, name, query_id, gloss) "
                 "VALUES(?,?,?,?)",
                 "INSERT OR IGNORE INTO synset_parent(child, parent) "
                 "VALUES(?,?)",
                 e);
}

int catalog_load_query(struct catalog_loader *l, const struct catalog_query *q,
                       struct err *e)
{
    struct db_stmt *st = &l->a;

    db_put_u64(st, q->id);
    db_put_text(st, q->text);
    db_put_text(st, q->norm);
    put_known(st, q->group_id);
    db_put_text(st, q->sources);
    put_said(st, q->cannot);
    put_known(st, q->count);
    if (q->has_pmi)
        db_put_double(st, q->pmi);
    else
        db_put_null(st);
    put_known(st, q->views);
    put_said(st, q->synset);
    l->rows++;
    return db_run(st, e);
}

int catalog_load_synset(struct catalog_loader *l, uint64_t id, struct str name,
                        uint64_t query_id, struct str gloss, struct err *e)
{
    db_put_u64(&l->b, id);
    db_put_text(&l->b, name);
    put_known(&l->b, query_id);
    db_put_text(&l->b, gloss);
    return db_run(&l->b, e);
}

int catalog_load_parent(struct catalog_loader *l, uint64_t child,
                        uint64_t parent, struct err *e)
{
    db_put_u64(&l->c, child);
    db_put_u64(&l->c, parent);
    return db_run(&l->c, e);
}

/* ---- counts ---- */

int catalog_clear_counts(struct catalog *c, const char *stage, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc =
        db_prepare(&c->db, "DELETE FROM query_count WHERE stage=?", &st, e);

    if (!rc) {
        db_put_text(&st, str_of(stage));
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

int catalog_load_counts(struct catalog *c, const struct catalog_counts *v,
                        struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = catalog_clear_counts(c, v->stage, e);

    if (!rc)
        rc = db_prepare(&c->db,
                        "INSERT INTO query_count(stage, group_id, cap, "
                        "picks, contains) VALUES(?,?,?,?,?)",
                        &st, e);
    for (size_t i = 0; i < v->n && !rc; i++) {
        db_put_text(&st, str_of(v->stage));
        db_put_u64(&st, v->group_id[i]);
        put_known(&st, v->cap ? v->cap[i] : CATALOG_NONE);
        put_known(&st, v->picks ? v->picks[i] : CATALOG_NONE);
        db_put_u64(&st, v->contains[i]);
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

/* ---- ledgers and shards ---- */

int catalog_load_host(struct catalog *c, const char *output, struct str host,
                      uint64_t asked, uint64_t images, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db,
                        "INSERT INTO host(output, host, asked, images) "
                        "VALUES(?,?,?,?)",
                        &st, e);

    if (!rc) {
        db_put_text(&st, str_of(output));
        db_put_text(&st, host);
        db_put_u64(&st, asked);
        db_put_u64(&st, images);
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

int catalog_load_host_failure(struct catalog *c, const char *output,
                              struct str host, struct str outcome,
                              struct str reason, uint64_t n, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db,
                        "INSERT INTO host_failure(output, host, outcome, "
                        "reason, n) VALUES(?,?,?,?,?)",
                        &st, e);

    if (!rc) {
        db_put_text(&st, str_of(output));
        db_put_text(&st, host);
        db_put_text(&st, outcome);
        db_put_text(&st, reason);
        db_put_u64(&st, n);
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

int catalog_load_shard(struct catalog *c, const char *output, uint64_t shard,
                       uint64_t samples, uint64_t bytes, const char *sha256,
                       struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db,
                        "INSERT INTO shard(output, shard, samples, bytes, "
                        "sha256) VALUES(?,?,?,?,?)",
                        &st, e);

    if (!rc) {
        db_put_text(&st, str_of(output));
        db_put_u64(&st, shard);
        db_put_u64(&st, samples);
        db_put_u64(&st, bytes);
        db_put_text(&st, str_of(sha256));
        rc = db_run(&st, e);
    }
    db_stmt_release(&st);
    return rc;
}

/* ---- pairs ---- */

int catalog_load_pairs(struct catalog_loader *l, struct catalog *c,
                       struct err *e)
{
    return begin(l, c,
                 "DROP INDEX IF EXISTS pair_url;"
                 "DROP INDEX IF EXISTS pair_host;"
                 "DROP INDEX IF EXISTS pair_query_group;"
                 "DELETE FROM pair; DELETE FROM pair_query",
                 "INSERT INTO pair(id, uid, url, host, text, origin, page, "
                 "found_as, round, s) VALUES(?,?,?,?,?,?,?,?,?,?)",
                 "INSERT INTO pair_query(pair_id, group_id, picked) "
                 "VALUES(?,?,?)",
                 NULL, e);
}

int catalog_load_pair(struct catalog_loader *l, const struct pair *p,
                      struct str host, uint32_t round, const bool *picked,
                      struct err *e)
{
    char uid[2 * MD5_SIZE + 1];
    uint64_t id = ++l->rows;
    int rc;

    hash_hex(p->uid, MD5_SIZE, uid);
    db_put_u64(&l->a, id);
    db_put_text(&l->a, str_of(uid));
    db_put_text(&l->a, p->url);
    db_put_text(&l->a, host);
    db_put_text(&l->a, p->text);
    db_put_text(&l->a, p->origin);
    db_put_text(&l->a, p->page);
    db_put_text(&l->a, p->from);
    db_put_u64(&l->a, round);
    db_put_u64(&l->a, p->s);
    rc = db_run(&l->a, e);
    for (uint32_t i = 0; i < p->n_q && !rc; i++) {
        db_put_u64(&l->b, id);
        db_put_u64(&l->b, p->q[i]);
        db_put_u64(&l->b, picked[i]);
        rc = db_run(&l->b, e);
    }
    return rc;
}

int catalog_load_fates(struct catalog_loader *l, struct catalog *c,
                       struct err *e)
{
    return begin(l, c, NULL,
                 "UPDATE pair SET outcome=?, reason=?, width=?, height=? "
                 "WHERE url=?",
                 "UPDATE pair SET sample=? WHERE url=?", NULL, e);
}

int catalog_load_outcome(struct catalog_loader *l, struct str url,
                         struct str outcome, struct str reason, uint32_t width,
                         uint32_t height, struct err *e)
{
    db_put_text(&l->a, outcome);
    put_said(&l->a, reason);
    put_known(&l->a, width ? width : CATALOG_NONE);
    put_known(&l->a, width ? height : CATALOG_NONE);
    db_put_text(&l->a, url);
    return db_run(&l->a, e);
}

int catalog_load_sample(struct catalog_loader *l, struct str url,
                        uint64_t sample, struct err *e)
{
    db_put_u64(&l->b, sample);
    db_put_text(&l->b, url);
    return db_run(&l->b, e);
}
