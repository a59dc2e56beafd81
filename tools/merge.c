#include "tools/merge.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "tools/merge_private.h"

int merge_parse_catalog(const char *text, struct merge_config *config,
                        struct err *e)
{
    struct str s = str_of(text);
    static const struct str sample = {"sample:", 7};

    *config = (struct merge_config)MERGE_CONFIG_DEFAULT;
    if (s.n == 0)
        return 0;
    if (str_eq(s, STR("full")))
        config->pairs = MERGE_FULL;
    else if (str_eq(s, STR("none")))
        config->pairs = MERGE_NONE;
    else if (str_starts(s, sample) &&
             !str_u64(str_slice(s, sample.n, s.n), &config->sample) &&
             config->sample > 0 && config->sample <= UINT32_MAX)
        config->pairs = MERGE_SAMPLED;
    else
        return err_set(e, E_USAGE,
                       "--catalog %s: expected full, none or sample:N with N "
                       "from 1 to 4294967295",
                       text);
    return 0;
}

void merge_digest(const struct merge *m, const char *seed,
                  const char *const *prefixes, size_t n, char out[SHA256_HEX])
{
    struct sha256 h;
    char head[128];

    sha256_init(&h);
    snprintf(head, sizeof head, "%d %llu %u %u %016llx\n", CATALOG_VERSION,
             (unsigned long long)m->corpus->head.seed,
             m->corpus->head.bucket_bits, m->corpus->head.n_queries,
             (unsigned long long)m->corpus->head.body_xxh3);
    sha256_add(&h, str_of(head));
    sha256_add(&h, str_of(seed));
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct merge_part *p = &m->parts[i];

        for (size_t k = 0; k < n; k++) {
            if (!str_starts(str_of(p->scope), str_of(prefixes[k])))
                continue;
            sha256_add(&h, STR("\n"));
            sha256_add(&h, str_of(p->output));
            sha256_add(&h, STR("\n"));
            sha256_add(&h, str_of(p->content));
        }
    }
    sha256_final_hex(&h, out);
}

int merge_begin(struct merge *m, const char *section, const char *digest,
                bool *same, struct err *e)
{
    int rc = catalog_section_same(&m->catalog, section, digest, same, e);

    if (rc || *same)
        return rc;
    m->changed = true;
    rc = db_begin(&m->catalog.db, e);
    return rc ? rc : catalog_section_forget(&m->catalog, section, e);
}

int merge_end(struct merge *m, const char *section, const char *digest, int rc,
              struct err *e)
{
    if (!rc)
        rc = catalog_section_set(&m->catalog, section, digest, e);
    if (!rc)
        rc = db_commit(&m->catalog.db, e);
    db_rollback(&m->catalog.db);
    return rc;
}

/* What `--catalog` was when the catalogue was last loaded. */
static int keep_mode(struct merge *m, struct err *e)
{
    struct buf fact;
    int rc;

    if (m->config.pairs != MERGE_KEEP)
        return 0;
    buf_init(&fact, 64);
    rc = catalog_fact(&m->catalog, "catalog", &fact, e);
    if (!rc)
        rc = merge_parse_catalog(buf_str(&fact).p, &m->config, e);
    buf_release(&fact);
    if (!rc && m->config.pairs == MERGE_KEEP)
        m->config = (struct merge_config){MERGE_SAMPLED, MERGE_SAMPLE};
    return rc;
}

static int all_sections(struct merge *m, struct err *e)
{
    int rc = keep_mode(m, e);

    if (!rc)
        rc = merge_scan(m, e);
    if (!rc)
        rc = merge_queries(m, e);
    if (!rc)
        rc = merge_gathered(m, e);
    if (!rc)
        rc = merge_balanced(m, e);
    if (!rc)
        rc = merge_packed(m, e);
    if (!rc)
        rc = merge_pairs(m, e);
    if (!rc)
        rc = catalog_index(&m->catalog, e);
    return rc;
}

int merge_corpus(const struct corpus *c, const struct merge_config *config,
                 struct err *e)
{
    struct merge m = {.corpus = c, .config = *config};
    char lock[IO_PATH_MAX], list[IO_PATH_MAX];
    int fd, rc = corpus_path(c, "merge.lock", lock, e);

    if (!rc)
        rc = io_lock(lock, "witmill merge", &fd, e);
    if (rc)
        return rc;
    clock_iso(clock_wall_s(), m.now);
    rc = corpus_path(c, QLIST_FILE, list, e);
    if (!rc)
        rc = qlist_open(&m.list, list, e);
    if (!rc) {
        rc = catalog_open(&m.catalog, c->dir, DB_WRITE, e);
        if (!rc)
            rc = all_sections(&m, e);
        catalog_close(&m.catalog);
        qlist_close(&m.list);
    }
    merge_parts_release(&m);
    io_unlock(fd);
    return rc;
}

int merge_stage(const struct corpus *c, struct err *e)
{
    const struct merge_config config = MERGE_CONFIG_DEFAULT;
    struct err inner = ERR_INIT;
    int rc = merge_corpus(c, &config, &inner);

    if (rc == -E_BUSY) {
        log_event("warning", "%s; run `witmill merge %s` when it is done",
                  inner.message, c->dir);
        return 0;
    }
    return rc ? err_set(e, -rc, "%s", inner.message) : 0;
}
