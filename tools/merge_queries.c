/* queries.bin into query, synset and synset_parent. */
#include <stdio.h>

#include "tools/merge_private.h"

static void source_names(uint32_t bits, struct buf *out)
{
    buf_clear(out);
    for (int s = 0; s < QUERY_SOURCES; s++) {
        if (!(bits & 1u << s))
            continue;
        if (out->n)
            buf_add_char(out, ',');
        buf_add(out, str_of(query_source_name((enum query_source)s)));
    }
}

static int load_entries(struct merge *m, struct catalog_loader *l,
                        struct err *e)
{
    struct buf sources;
    int rc = 0;

    buf_init(&sources, 4096);
    for (uint32_t id = 0; id < qlist_count(&m->list) && !rc; id++) {
        struct query_entry q;
        struct qlist_synset s = {.id = STR_NONE};

        qlist_entry(&m->list, id, &q);
        if (q.synset != QUERY_NONE)
            qlist_synset(&m->list, q.synset, &s);
        source_names(q.sources, &sources);
        rc = catalog_load_query(
            l,
            &(struct catalog_query){
                .id = id,
                .text = q.text,
                .norm = q.norm,
                .group_id = q.group == QUERY_NONE ? CATALOG_NONE : q.group,
                .sources = buf_str(&sources),
                .cannot = q.flags & QUERY_NO_WORDS ? STR("no-words")
                          : q.flags & QUERY_NEVER  ? STR("spacing")
                                                   : STR_NONE,
                .count = q.count ? q.count : CATALOG_NONE,
                .has_pmi = q.sources & 1u << QUERY_BIGRAM,
                .pmi = q.pmi,
                .views = q.views ? q.views : CATALOG_NONE,
                .synset = s.id,
            },
            e);
    }
    buf_release(&sources);
    return rc;
}

static int load_synsets(struct merge *m, struct catalog_loader *l,
                        struct err *e)
{
    int rc = 0;

    for (uint32_t i = 0; i < qlist_synsets(&m->list) && !rc; i++) {
        struct qlist_synset s;

        qlist_synset(&m->list, i, &s);
        rc = catalog_load_synset(l, i, s.id,
                                 s.query == QUERY_NONE ? CATALOG_NONE : s.query,
                                 s.gloss, e);
        for (uint32_t k = 0; k < s.n_parents && !rc; k++)
            rc = catalog_load_parent(
                l, i, qlist_parent(&m->list, s.first_parent + k), e);
    }
    return rc;
}

static int set_facts(struct merge *m, struct err *e)
{
    const struct corpus_header *h = &m->corpus->head;
    char seed[24], bits[16];
    int rc;

    snprintf(seed, sizeof seed, "%llu", (unsigned long long)h->seed);
    snprintf(bits, sizeof bits, "%u", h->bucket_bits);
    rc = catalog_fact_set(&m->catalog, "seed", str_of(seed), e);
    if (!rc)
        rc = catalog_fact_set(&m->catalog, "bucket_bits", str_of(bits), e);
    if (!rc)
        rc = catalog_fact_set(&m->catalog, "policy",
                              str_of(query_policy_names[h->policy]), e);
    return rc;
}

int merge_queries(struct merge *m, struct err *e)
{
    struct catalog_loader l = CATALOG_LOADER_INIT;
    char digest[SHA256_HEX];
    bool same;
    int rc;

    merge_digest(m, "queries", NULL, 0, digest);
    rc = merge_begin(m, "queries", digest, &same, e);
    if (rc || same)
        return rc;
    rc = catalog_load_queries(&l, &m->catalog, e);
    if (!rc)
        rc = load_entries(m, &l, e);
    if (!rc)
        rc = load_synsets(m, &l, e);
    catalog_loader_release(&l);
    if (!rc)
        rc = set_facts(m, e);
    return merge_end(m, "queries", digest, rc, e);
}
