/*
 * small_catalog - merging tests/small_images.h's corpus and looking at its
 * corpus.db.
 */
#ifndef TESTS_SMALL_CATALOG_H
#define TESTS_SMALL_CATALOG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catalog/ask.h"
#include "tests/small_images.h"
#include "tools/merge.h"

static inline void merge(struct small *s, enum merge_pairs pairs,
                         uint64_t sample)
{
    struct merge_config config = {pairs, sample};
    struct err e = ERR_INIT;
    int rc = merge_corpus(&s->corpus, &config, &e);

    if (rc)
        fail_msg("merge: %s", e.message);
}

static inline void open_db(struct small *s, struct catalog *c)
{
    struct err e = ERR_INIT;

    if (catalog_open(c, s->dir, DB_READ, &e))
        fail_msg("%s", e.message);
}

static inline int64_t ask(struct small *s, const char *sql)
{
    struct catalog c = CATALOG_INIT;
    struct err e = ERR_INIT;
    int64_t v;

    open_db(s, &c);
    if (db_value(&c.db, sql, &v, &e))
        fail_msg("%s", e.message);
    catalog_close(&c);
    return v;
}

static inline void dump(struct small *s, struct buf *out)
{
    struct catalog c = CATALOG_INIT;

    buf_init(out, 1 << 24);
    open_db(s, &c);
    assert_int_equal(catalog_dump(&c, out, NULL), 0);
    catalog_close(&c);
}

#endif
