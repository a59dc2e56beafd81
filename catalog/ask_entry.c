/* Entries of the list with their numbers, and their pairs. */
#include "catalog/ask.h"

#define COLUMNS                                                                \
    "c.id, c.group_id, c.text, c.norm, c.sources, c.found, c.cap, c.picks, "   \
    "c.selected, c.survived_picks, c.survived, c.packed_picks, c.packed"

static uint64_t known(const struct db_stmt *st, int column)
{
    return db_is_null(st, column) ? CATALOG_NONE : db_get_u64(st, column);
}

/* Behind COLUMNS: synset, gloss, depth where there are more columns. */
static struct ask_entry entry(const struct db_stmt *st)
{
    struct ask_entry row = {
        .id = known(st, 0),
        .group_id = known(st, 1),
        .text = db_get_text(st, 2),
        .norm = db_get_text(st, 3),
        .sources = db_get_text(st, 4),
        .found = known(st, 5),
        .cap = known(st, 6),
        .picks = known(st, 7),
        .selected = known(st, 8),
        .survived_picks = known(st, 9),
        .survived = known(st, 10),
        .packed_picks = known(st, 11),
        .packed = known(st, 12),
    };

    if (db_columns(st) > 13) {
        row.synset = db_get_text(st, 13);
        row.gloss = db_get_text(st, 14);
        row.depth = db_get_u64(st, 15);
    }
    return row;
}

static int entries(struct db_stmt *st, int rc, ask_entry_fn fn, void *ctx,
                   struct err *e)
{
    bool more = true;

    while (!rc && !(rc = db_row(st, &more, e)) && more) {
        struct ask_entry row = entry(st);

        rc = fn(ctx, &row, e);
    }
    db_stmt_release(st);
    return rc;
}

/* Many entries are found once or never: a fixed shuffle of their ids shows some
 * of all the list rather than its first letters. */
#define SHUFFLED "(c.id * 2654435761) & 4294967295"

int ask_entries(struct catalog *c, enum ask_list list, uint64_t limit,
                ask_entry_fn fn, void *ctx, struct err *e)
{
    static const char *const sql[] = {
        [ASK_HEAD] = "SELECT " COLUMNS " FROM coverage c "
                     "WHERE c.id = c.group_id AND c.found > 0 "
                     "ORDER BY c.found DESC, c.id LIMIT ?",
        [ASK_TAIL] = "SELECT " COLUMNS " FROM coverage c "
                     "WHERE c.id = c.group_id AND c.found > 0 "
                     "ORDER BY c.found, " SHUFFLED " LIMIT ?",
        [ASK_ZERO] = "SELECT " COLUMNS " FROM coverage c "
                     "WHERE c.id = c.group_id AND c.found = 0 "
                     "ORDER BY " SHUFFLED " LIMIT ?",
    };
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db, sql[list], &st, e);

    if (!rc)
        db_put_u64(&st, limit);
    return entries(&st, rc, fn, ctx, e);
}

/* The columns of ask_under, for one synset at most: the entry's first. */
#define WITH_SYNSET                                                            \
    "SELECT " COLUMNS ", q.synset, s.gloss, 0 FROM coverage c "                \
    "JOIN query q ON q.id = c.id LEFT JOIN synset s ON s.name = q.synset "

int ask_norm(struct catalog *c, struct str norm, ask_entry_fn fn, void *ctx,
             struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db, WITH_SYNSET "WHERE q.norm = ? ORDER BY q.id",
                        &st, e);

    if (!rc)
        db_put_text(&st, norm);
    return entries(&st, rc, fn, ctx, e);
}

int ask_text(struct catalog *c, struct str text, ask_entry_fn fn, void *ctx,
             struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(&c->db, WITH_SYNSET "WHERE q.text = ? ORDER BY q.id",
                        &st, e);

    if (!rc)
        db_put_text(&st, text);
    return entries(&st, rc, fn, ctx, e);
}

/*
 * UNION, not UNION ALL: WordNet is a graph in which a synset may be reached in
 * several ways; the number of (synset, depth) is small all the same.
 */
int ask_under(struct catalog *c, struct str name, ask_entry_fn fn, void *ctx,
              struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    int rc = db_prepare(
        &c->db,
        "WITH RECURSIVE under(id, depth) AS ("
        "SELECT id, 0 FROM synset WHERE name = ? UNION "
        "SELECT p.child, u.depth + 1 FROM synset_parent p "
        "JOIN under u ON p.parent = u.id WHERE u.depth < 64), "
        "nearest(id, depth) AS (SELECT id, min(depth) FROM under GROUP BY id) "
        "SELECT " COLUMNS ", s.name, s.gloss, n.depth FROM nearest n "
        "JOIN synset s ON s.id = n.id "
        "LEFT JOIN coverage c ON c.id = s.query_id ORDER BY s.name",
        &st, e);

    if (!rc)
        db_put_text(&st, name);
    return entries(&st, rc, fn, ctx, e);
}

int ask_pairs(struct catalog *c, uint64_t group_id, uint64_t limit,
              ask_pair_fn fn, void *ctx, struct err *e)
{
    struct db_stmt st = DB_STMT_INIT;
    bool more = true;
    int rc = db_prepare(
        &c->db,
        "SELECT p.uid, p.url, p.text, p.page, p.found_as, p.outcome, "
        "p.reason, p.round, p.sample, q.picked FROM pair_query q "
        "JOIN pair p ON p.id = q.pair_id WHERE q.group_id = ? "
        "ORDER BY q.picked DESC, p.sample IS NULL, p.uid LIMIT ?",
        &st, e);

    if (!rc) {
        db_put_u64(&st, group_id);
        db_put_u64(&st, limit);
    }
    while (!rc && !(rc = db_row(&st, &more, e)) && more) {
        struct ask_pair p = {
            .uid = db_get_text(&st, 0),
            .url = db_get_text(&st, 1),
            .text = db_get_text(&st, 2),
            .page = db_get_text(&st, 3),
            .found_as = db_get_text(&st, 4),
            .outcome = db_get_text(&st, 5),
            .reason = db_get_text(&st, 6),
            .round = db_get_u64(&st, 7),
            .sample = known(&st, 8),
            .picked = db_get_u64(&st, 9) != 0,
        };

        rc = fn(ctx, &p, e);
    }
    db_stmt_release(&st);
    return rc;
}
