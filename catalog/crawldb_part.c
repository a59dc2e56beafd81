#include "base/mem.h"
#include "catalog/crawldb_private.h"
#include <stdlib.h>

/* ---- links ---- */

void crawldb_ids_add(struct crawldb_ids *ids, uint32_t id)
{
    ids->v = xgrow(ids->v, &ids->cap, ids->n + 1, sizeof *ids->v);
    ids->v[ids->n++] = id;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

void crawldb_ids_sort(struct crawldb_ids *ids)
{
    size_t n = 0;

    if (ids->n > 1)
        qsort(ids->v, ids->n, sizeof *ids->v, compare_ids);
    for (size_t i = 0; i < ids->n; i++)
        if (n == 0 || ids->v[n - 1] != ids->v[i])
            ids->v[n++] = ids->v[i];
    ids->n = n;
}

void crawldb_ids_release(struct crawldb_ids *ids)
{
    free(ids->v);
    *ids = (struct crawldb_ids){0};
}

int crawldb_put_links(struct crawldb *db, uint32_t page,
                      const struct crawldb_ids *ids, struct err *e)
{
    uint32_t last = 0;

    buf_clear(&db->blob);
    for (size_t i = 0; i < ids->n; i++) {
        uint32_t d = ids->v[i] - last;

        last = ids->v[i];
        for (; d >= 0x80; d >>= 7)
            buf_add_char(&db->blob, (char)(0x80 | (d & 0x7f)));
        buf_add_char(&db->blob, (char)d);
    }
    db_put_u64(&db->st[PUT_LINKS], page);
    db_put_blob(&db->st[PUT_LINKS], buf_str(&db->blob));
    return crawldb_run(db, PUT_LINKS, e);
}

static int read_links(struct str s, struct crawldb_ids *ids)
{
    uint64_t last = 0;

    for (size_t at = 0; at < s.n;) {
        uint64_t d = 0;
        unsigned shift = 0;
        uint8_t byte;

        do {
            if (at == s.n || shift > 28)
                return -E_DAMAGED;
            byte = (uint8_t)s.p[at++];
            d |= (uint64_t)(byte & 0x7f) << shift;
            shift += 7;
        } while (byte & 0x80);
        last += d;
        if (d == 0 || last > UINT32_MAX || ids->n == CRAWLDB_LINKS_MAX)
            return -E_DAMAGED;
        crawldb_ids_add(ids, (uint32_t)last);
    }
    return 0;
}

int crawldb_get_links(struct crawldb *db, uint32_t page,
                      struct crawldb_ids *ids, struct err *e)
{
    struct db_stmt *st = &db->st[GET_LINKS];
    bool found;
    int rc;

    ids->n = 0;
    db_put_u64(st, page);
    rc = db_row(st, &found, e);
    if (rc || !found)
        return rc;
    rc = read_links(db_get_text(st, 0), ids);
    db_reset(st);
    return rc ? err_set(e, E_DAMAGED, "%s: links of url %u", db->db.path, page)
              : 0;
}

/* ---- parts ---- */

int crawldb_put_part(struct crawldb *db, const struct crawldb_part *p,
                     struct err *e)
{
    struct db_stmt *st = &db->st[PUT_PART];

    db_put_u64(st, p->number);
    db_put_u64(st, p->bytes);
    db_put_u64(st, p->closed);
    return crawldb_run(db, PUT_PART, e);
}

int crawldb_next_part(struct crawldb *db, uint32_t from, struct crawldb_part *p,
                      bool *found, struct err *e)
{
    struct db_stmt *st = &db->st[NEXT_PART];
    int rc;

    db_put_u64(st, from);
    rc = db_row(st, found, e);
    if (rc || !*found)
        return rc;
    *p = (struct crawldb_part){.number = (uint32_t)db_get_u64(st, 0),
                               .bytes = db_get_u64(st, 1),
                               .closed = db_get_u64(st, 2) != 0};
    db_reset(st);
    return 0;
}

int crawldb_add_counts(struct crawldb *db, uint32_t part,
                       enum crawldb_count kind, const struct tally *t,
                       struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < t->n; i++) {
        db_put_u64(&db->st[ADD_COUNT], part);
        db_put_u64(&db->st[ADD_COUNT], kind);
        db_put_text(&db->st[ADD_COUNT], str_of(t->rows[i].name));
        db_put_u64(&db->st[ADD_COUNT], t->rows[i].n);
        rc = crawldb_run(db, ADD_COUNT, e);
    }
    return rc;
}

int crawldb_get_counts(struct crawldb *db, uint32_t part,
                       enum crawldb_count kind, struct tally *t, struct err *e)
{
    struct db_stmt *st = &db->st[GET_COUNTS];
    int64_t which = part == UINT32_MAX ? -1 : (int64_t)part;
    bool more;
    int rc;

    db_put_u64(st, kind);
    db_put_i64(st, which);
    db_put_i64(st, which);
    while ((rc = db_row(st, &more, e)) == 0 && more) {
        char name[TALLY_NAME_MAX];
        struct str s = db_get_text(st, 0);

        s.n = s.n < sizeof name ? s.n : sizeof name - 1;
        memcpy(name, s.p, s.n);
        name[s.n] = 0;
        tally_add(t, name, db_get_u64(st, 1));
    }
    return rc;
}

/* ---- scans ---- */

int crawldb_scan_hosts(struct crawldb *db, crawldb_host_fn fn, void *ctx,
                       struct err *e)
{
    struct db_stmt *st = &db->st[SCAN_HOSTS];
    bool more;
    int rc;

    while ((rc = db_row(st, &more, e)) == 0 && more) {
        rc = fn(ctx, (uint32_t)db_get_u64(st, 0), db_get_text(st, 1), e);
        if (rc)
            break;
    }
    db_reset(st);
    return rc;
}

int crawldb_scan_urls(struct crawldb *db, crawldb_url_fn fn, void *ctx,
                      struct err *e)
{
    struct db_stmt *st = &db->st[SCAN_URLS];
    bool more;
    int rc;

    while ((rc = db_row(st, &more, e)) == 0 && more) {
        struct crawldb_url u = {.id = (uint32_t)db_get_u64(st, 0),
                                .host = (uint32_t)db_get_u64(st, 1),
                                .depth = (unsigned)db_get_u64(st, 2),
                                .state = (unsigned)db_get_u64(st, 3),
                                .text = db_get_text(st, 4)};
        rc = fn(ctx, &u, e);
        if (rc)
            break;
    }
    db_reset(st);
    return rc;
}
