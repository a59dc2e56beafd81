/* Sums, spreads and histograms. */
#include "catalog/ask.h"

#include <stdlib.h>

#include "base/mem.h"

static int totals(struct catalog *c, const char *sql, ask_total_fn fn,
                  void *ctx, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = true;
    int rc = db_prepare(&c->db, sql, &st, e);

    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        struct ask_total t = {
            .stage = db_get_text(&st, 0),
            .scope = db_get_text(&st, 1),
            .name = db_get_text(&st, 2),
            .n = db_get_u64(&st, 3),
        };

        rc = fn(ctx, &t, e);
    }
    db_stmt_release(&st);
    return rc;
}

int ask_counts(struct catalog *c, ask_total_fn fn, void *ctx, struct err *e)
{
    return totals(c,
                  "SELECT stage, scope, name, n FROM stage_total "
                  "ORDER BY stage, scope, name",
                  fn, ctx, e);
}

int ask_drops(struct catalog *c, ask_total_fn fn, void *ctx, struct err *e)
{
    return totals(c,
                  "SELECT stage, '', reason, sum(n) AS n FROM drop_total "
                  "GROUP BY stage, reason ORDER BY stage, n DESC, reason",
                  fn, ctx, e);
}

/* ---- how groups are spread ---- */

static int spread_entries(struct catalog *c, struct ask_spread *out,
                          struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = false;
    int rc = db_prepare(&c->db,
                        "SELECT count(*), count(*) - count(group_id), "
                        "count(DISTINCT group_id) FROM query",
                        &st, e);

    if (!rc)
        rc = db_row(&st, &more, e);
    if (!rc && more) {
        out->entries = db_get_u64(&st, 0);
        out->wordless = db_get_u64(&st, 1);
        out->groups = db_get_u64(&st, 2);
    }
    db_stmt_release(&st);
    return rc;
}

int ask_spread(struct catalog *c, const char *stage, uint64_t cap,
               struct ask_spread *out, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = true;
    int rc;

    *out = (struct ask_spread){.known = catalog_section_there(c, stage)};
    rc = spread_entries(c, out, e);
    if (!rc)
        rc = db_prepare(&c->db,
                        "SELECT contains, picks FROM query_count "
                        "WHERE stage=?",
                        &st, e);
    if (!rc)
        db_put_text(&st, str_of(stage));
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        uint64_t n = db_get_u64(&st, 0), picks = db_get_u64(&st, 1);

        out->zero += n == 0;
        out->tail += n > 0 && n <= cap;
        out->head += n > cap;
        *(n <= cap ? &out->tail_sum : &out->head_sum) += n;
        out->picks += picks;
        if (picks > out->most_picks)
            out->most_picks = picks;
    }
    db_stmt_release(&st);
    return rc;
}

int ask_curve(struct catalog *c, const char *stage, uint64_t **v, size_t *n,
              struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    size_t cap = 0;
    bool more = true;
    int rc = db_prepare(&c->db,
                        "SELECT contains FROM query_count WHERE stage=? "
                        "ORDER BY contains DESC",
                        &st, e);

    *v = NULL;
    *n = 0;
    if (!rc)
        db_put_text(&st, str_of(stage));
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        *v = xgrow(*v, &cap, *n + 1, sizeof **v);
        (*v)[(*n)++] = db_get_u64(&st, 0);
    }
    db_stmt_release(&st);
    if (rc) {
        free(*v);
        *v = NULL;
        *n = 0;
    }
    return rc;
}

/* ---- hosts ---- */

static int worst_reason(struct catalog *c, struct str host, struct buf *reason,
                        uint64_t *n, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = false;
    int rc = db_prepare(&c->db,
                        "SELECT reason, sum(n) AS n FROM host_failure "
                        "WHERE host=? GROUP BY reason "
                        "ORDER BY n DESC, reason LIMIT 1",
                        &st, e);

    buf_clear(reason);
    *n = 0;
    if (!rc) {
        db_put_text(&st, host);
        rc = db_row(&st, &more, e);
    }
    if (!rc && more) {
        buf_add(reason, db_get_text(&st, 0));
        *n = db_get_u64(&st, 1);
    }
    db_stmt_release(&st);
    return rc;
}

int ask_hosts(struct catalog *c, bool by_failures, uint64_t limit,
              ask_host_fn fn, void *ctx, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    struct buf reason;
    bool more = true;
    int rc =
        db_prepare(&c->db,
                   by_failures ? "SELECT host, asked, images FROM host_total "
                                 "WHERE asked > images "
                                 "ORDER BY asked - images DESC, host LIMIT ?"
                               : "SELECT host, asked, images FROM host_total "
                                 "ORDER BY asked DESC, host LIMIT ?",
                   &st, e);

    buf_init(&reason, 1 << 16);
    if (!rc)
        db_put_u64(&st, limit);
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        struct ask_host h = {
            .host = db_get_text(&st, 0),
            .asked = db_get_u64(&st, 1),
            .images = db_get_u64(&st, 2),
        };

        rc = worst_reason(c, h.host, &reason, &h.n, e);
        h.reason = buf_str(&reason);
        if (!rc)
            rc = fn(ctx, &h, e);
    }
    buf_release(&reason);
    db_stmt_release(&st);
    return rc;
}

/* ---- histograms ---- */

/* Values, ascending, with how often each is there. */
static const char *const measures[] = {
    [ASK_TEXT_BYTES] = "SELECT length(CAST(text AS BLOB)), count(*) FROM pair "
                       "GROUP BY 1 ORDER BY 1",
    /* Texts of one picture have neighbouring ids. */
    [ASK_SHORTER_SIDE] =
        "SELECT min(width, height), count(*) FROM pair p "
        "WHERE width IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pair q "
        "WHERE q.id = p.id - 1 AND q.url = p.url) GROUP BY 1 ORDER BY 1",
};

int ask_histogram(struct catalog *c, enum ask_measure what,
                  const uint64_t *edges, size_t n, uint64_t *counts,
                  struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = true;
    int rc = db_prepare(&c->db, measures[what], &st, e);

    for (size_t i = 0; i < n; i++)
        counts[i] = 0;
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        uint64_t v = db_get_u64(&st, 0);

        for (size_t i = 0; i < n; i++)
            if (edges[i] <= v && v < edges[i + 1])
                counts[i] += db_get_u64(&st, 1);
    }
    db_stmt_release(&st);
    return rc;
}

int ask_quantiles(struct catalog *c, enum ask_measure what,
                  const unsigned *permille, size_t n, uint64_t *quantiles,
                  struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    uint64_t total = 0, passed = 0;
    bool more = true;
    int rc = db_prepare(&c->db, measures[what], &st, e);

    for (size_t i = 0; i < n; i++)
        quantiles[i] = 0;
    while (!rc && !(rc = db_row(&st, &more, e)) && more)
        total += db_get_u64(&st, 1);
    more = !rc;
    while (!rc && more && !(rc = db_row(&st, &more, e)) && more) {
        uint64_t before = passed;

        passed += db_get_u64(&st, 1);
        for (size_t i = 0; i < n; i++) {
            /* Ceiling, and at least the first value. */
            uint64_t want = (total * permille[i] + 999) / 1000;

            want = want ? want : 1;
            if (before < want && want <= passed)
                quantiles[i] = db_get_u64(&st, 0);
        }
    }
    db_stmt_release(&st);
    return rc;
}

int ask_shards(struct catalog *c, struct ask_shard **v, size_t *n,
               struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    size_t cap = 0;
    bool more = true;
    int rc = db_prepare(
        &c->db, "SELECT shard, samples FROM shard ORDER BY shard", &st, e);

    *v = NULL;
    *n = 0;
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        *v = xgrow(*v, &cap, *n + 1, sizeof **v);
        (*v)[(*n)++] =
            (struct ask_shard){db_get_u64(&st, 0), db_get_u64(&st, 1)};
    }
    db_stmt_release(&st);
    if (rc) {
        free(*v);
        *v = NULL;
        *n = 0;
    }
    return rc;
}

int ask_pairs_loaded(struct catalog *c, uint64_t *n, struct err *e)
{
    int64_t v;
    int rc = db_value(&c->db, "SELECT count(*) FROM pair", &v, e);

    *n = rc ? 0 : (uint64_t)v;
    return rc;
}
