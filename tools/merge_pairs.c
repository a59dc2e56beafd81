/* Selected pairs, all or a sample, and what became of them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/url.h"
#include "tools/merge_private.h"

#define BATCH 200000 /* pairs or fates a transaction, to bound the log */

struct loading {
    struct merge *m;
    struct merge_caps caps;
    struct catalog_loader loader;
    bool sampled; /* only pairs whose uid hashes to limit at most */
    uint64_t limit;
    uint64_t *urls; /* sampled: H(url) of what was loaded, ascending */
    size_t n_urls, cap_urls;
    bool *picked; /* of one record */
    size_t cap_picked;
    uint64_t in_batch;
    uint64_t samples; /* pack: rows a shard; 0: not packed */
    uint64_t last_row; /* whose pairs have their sample */
};

static uint64_t uid_hash(const uint8_t uid[MD5_SIZE])
{
    return hash_xxh3(str_make((const char *)uid, MD5_SIZE));
}

/* ---- the sample: the N smallest hashes ---- */

struct heap {
    uint64_t *v; /* the largest first */
    size_t n, max;
};

static void sift_down(struct heap *h, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;
        uint64_t swap;

        if (child >= h->n)
            return;
        if (child + 1 < h->n && h->v[child + 1] > h->v[child])
            child++;
        if (h->v[i] >= h->v[child])
            return;
        swap = h->v[i];
        h->v[i] = h->v[child];
        h->v[child] = swap;
        i = child;
    }
}

static void sift_up(struct heap *h, size_t i)
{
    while (i && h->v[(i - 1) / 2] < h->v[i]) {
        uint64_t swap = h->v[i];

        h->v[i] = h->v[(i - 1) / 2];
        h->v[(i - 1) / 2] = swap;
        i = (i - 1) / 2;
    }
}

static int offer(void *ctx, const struct pair *p, unsigned round, struct err *e)
{
    struct heap *h = ctx;
    uint64_t hash = uid_hash(p->uid);

    (void)round;
    (void)e;
    if (h->n < h->max) {
        h->v[h->n] = hash;
        sift_up(h, h->n++);
    } else if (hash < h->v[0]) {
        h->v[0] = hash;
        sift_down(h, 0);
    }
    return 0;
}

/* The pass that finds the limit is spared when all pairs fit. */
static int find_limit(struct loading *l, uint64_t n, struct err *e)
{
    struct heap h = {.max = n};
    uint64_t selected = 0;
    struct buf fact;
    int rc;

    buf_init(&fact, 64);
    rc = catalog_fact(&l->m->catalog, "selected", &fact, e);
    if (!rc && fact.n)
        rc = str_u64(buf_str(&fact), &selected);
    buf_release(&fact);
    if (rc || selected <= n)
        return rc;
    h.v = malloc(n * sizeof *h.v + 1);
    if (!h.v)
        return err_set(e, E_NOMEM, "a sample of %llu pairs",
                       (unsigned long long)n);
    rc = merge_each_selected(l->m, offer, &h, e);
    l->sampled = true;
    l->limit = h.n ? h.v[0] : 0;
    free(h.v);
    return rc;
}

/* ---- pairs ---- */

static int next_batch(struct loading *l, struct err *e)
{
    int rc;

    if (++l->in_batch % BATCH)
        return 0;
    rc = db_commit(&l->m->catalog.db, e);
    return rc ? rc : db_begin(&l->m->catalog.db, e);
}

static int load_pair(void *ctx, const struct pair *p, unsigned round,
                     struct err *e)
{
    struct loading *l = ctx;
    struct url_parts u = {.host = STR_NONE};
    int rc;

    if (l->sampled && uid_hash(p->uid) > l->limit)
        return 0;
    (void)url_split(p->url, &u);
    l->picked = xgrow(l->picked, &l->cap_picked, p->n_q + 1, sizeof *l->picked);
    for (uint32_t i = 0; i < p->n_q; i++)
        l->picked[i] = merge_pair_picked(l->m, &l->caps, p, i, round);
    if (l->sampled) {
        l->urls = xgrow(l->urls, &l->cap_urls, l->n_urls + 1, sizeof *l->urls);
        l->urls[l->n_urls++] = corpus_url_hash(l->m->corpus, p->url);
    }
    rc = catalog_load_pair(&l->loader, p, u.host, round, l->picked, e);
    return rc ? rc : next_batch(l, e);
}

/* ---- what became of them ---- */

static bool loaded(const struct loading *l, struct str url)
{
    uint64_t h;
    size_t lo = 0, hi = l->n_urls;

    if (!l->sampled)
        return true;
    h = corpus_url_hash(l->m->corpus, url);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (l->urls[mid] == h)
            return true;
        if (l->urls[mid] < h)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static int load_ledger(struct loading *l, const char *path, struct err *e)
{
    struct jsonl_reader r;
    struct arena a;
    struct str line;
    bool more = true;
    int rc = jsonl_open(&r, path, e);

    if (rc)
        return rc;
    arena_init(&a, 1 << 26);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        struct ledger row;

        arena_reset(&a);
        rc = ledger_read(line, &a, &row, e);
        if (rc) {
            rc = err_wrap(e, rc, "%s:%llu", path, (unsigned long long)r.line);
        } else if (loaded(l, row.url)) {
            bool image = row.outcome == LEDGER_IMAGE;

            rc = catalog_load_outcome(
                &l->loader, row.url, str_of(ledger_outcome_name(row.outcome)),
                row.reason, image ? row.width : 0, image ? row.height : 0, e);
            if (!rc)
                rc = next_batch(l, e);
        }
    }
    arena_release(&a);
    jsonl_close(&r);
    return rc;
}

static int load_sample(void *ctx, const struct survivor *s,
                       const struct pair *text, uint64_t row, struct err *e)
{
    struct loading *l = ctx;
    int rc;

    /* One text is enough: all pairs of the URL are found by it. */
    (void)text;
    if (row == l->last_row)
        return 0;
    l->last_row = row;
    if (!loaded(l, s->url) || !merge_shard_done(l->m, row / l->samples))
        return 0;
    rc = catalog_load_sample(&l->loader, s->url, row, e);
    return rc ? rc : next_batch(l, e);
}

static int load_fates(struct loading *l, struct err *e)
{
    struct merge *m = l->m;
    int rc = catalog_load_fates(&l->loader, &m->catalog, e);

    for (size_t i = 0; i < m->n_parts && !rc; i++) {
        char name[STAGE_NAME_MAX + 32], path[IO_PATH_MAX];

        if (!str_starts(str_of(m->parts[i].scope), STR("images/")))
            continue;
        snprintf(name, sizeof name, "%s.ledger.jsonl.zst", m->parts[i].output);
        rc = corpus_path(m->corpus, name, path, e);
        if (!rc)
            rc = load_ledger(l, path, e);
    }
    if (!rc && l->samples)
        rc = merge_each_survivor(m, load_sample, l, e);
    catalog_loader_release(&l->loader);
    return rc;
}

/* ---- the section ---- */

static int load_all(struct loading *l, struct err *e)
{
    struct merge *m = l->m;
    int rc = catalog_load_pairs(&l->loader, &m->catalog, e);

    if (!rc && m->config.pairs == MERGE_SAMPLED)
        rc = find_limit(l, m->config.sample, e);
    if (!rc && m->config.pairs != MERGE_NONE)
        rc = merge_each_selected(m, load_pair, l, e);
    catalog_loader_release(&l->loader);
    if (!rc)
        rc = catalog_index(&m->catalog, e);
    if (!rc && m->config.pairs != MERGE_NONE)
        rc = load_fates(l, e);
    return rc;
}

static int set_facts(struct merge *m, struct err *e)
{
    static const char *const names[] = {"", "full", "sample", "none"};
    char text[40];

    if (m->config.pairs == MERGE_SAMPLED)
        snprintf(text, sizeof text, "sample:%llu",
                 (unsigned long long)m->config.sample);
    else
        snprintf(text, sizeof text, "%s", names[m->config.pairs]);
    return catalog_fact_set(&m->catalog, "catalog", str_of(text), e);
}

int merge_pairs(struct merge *m, struct err *e)
{
    static const char *const from[] = {"selected", "images", "survivors",
                                       "shards"};
    char digest[SHA256_HEX], seed[64];
    struct loading l = {.m = m, .last_row = UINT64_MAX};
    bool same;
    int rc;

    snprintf(seed, sizeof seed, "pairs %d %llu", (int)m->config.pairs,
             (unsigned long long)m->config.sample);
    merge_digest(m, seed, from, 4, digest);
    rc = merge_begin(m, "pairs", digest, &same, e);
    if (rc || same)
        return rc;
    l.samples = merge_shard_samples(m);
    rc = merge_caps_open(m, &l.caps, e);
    if (!rc && !l.caps.n && m->config.pairs != MERGE_NONE && merge_rounds(m))
        rc = err_set(e, E_NOTFOUND, "%s/selected/round-0/caps.bin is missing",
                     m->corpus->dir);
    if (!rc)
        rc = load_all(&l, e);
    if (!rc)
        rc = set_facts(m, e);
    merge_caps_close(&l.caps);
    free(l.urls);
    free(l.picked);
    return merge_end(m, "pairs", digest, rc, e);
}
