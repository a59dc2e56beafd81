/* What every query found, picked, kept and got into the shards. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tools/merge_private.h"

/* Numbers by query id while a stage is counted. */
struct numbers {
    struct merge *m;
    struct merge_caps caps;
    uint64_t *picks, *contains;
    uint64_t pairs;           /* in all */
    uint64_t samples, in_row; /* pack: rows a shard */
    bool packed;              /* count the rows of done shards alone */
    uint64_t known_shard;     /* whose state is_done tells */
    bool is_done;
};

static int numbers_init(struct numbers *n, struct merge *m, struct err *e)
{
    uint32_t queries = m->corpus->head.n_queries;

    *n = (struct numbers){.m = m, .known_shard = UINT64_MAX};
    n->picks = calloc((size_t)queries + 1, sizeof *n->picks);
    n->contains = calloc((size_t)queries + 1, sizeof *n->contains);
    if (!n->picks || !n->contains)
        return err_set(e, E_NOMEM, "counts of %u queries", queries);
    return merge_caps_open(m, &n->caps, e);
}

static void numbers_release(struct numbers *n)
{
    merge_caps_close(&n->caps);
    free(n->picks);
    free(n->contains);
}

/* Rows of all groups of the list; arrays are by query id. */
static int load(struct merge *m, const char *stage, const uint64_t *cap,
                const uint64_t *picks, const uint64_t *contains, struct err *e)
{
    uint32_t n = m->corpus->head.n_queries, groups = 0;
    uint32_t *ids = calloc((size_t)n + 1, sizeof *ids);
    uint64_t *v = calloc(3 * ((size_t)n + 1), sizeof *v);
    int rc;

    if (!ids || !v) {
        free(ids);
        free(v);
        return err_set(e, E_NOMEM, "counts of %u queries", n);
    }
    for (uint32_t q = 0; q < n; q++) {
        if (qlist_group(&m->list, q) != q)
            continue;
        v[groups] = cap ? cap[q] : 0;
        v[n + groups] = picks ? picks[q] : 0;
        v[2 * (size_t)n + groups] = contains[q];
        ids[groups++] = q;
    }
    rc = catalog_load_counts(
        &m->catalog,
        &(struct catalog_counts){.stage = stage,
                                 .n = groups,
                                 .group_id = ids,
                                 .cap = cap ? v : NULL,
                                 .picks = picks ? v + n : NULL,
                                 .contains = v + 2 * (size_t)n},
        e);
    free(ids);
    free(v);
    return rc;
}

/* A stage that has nothing to show is taken out of the catalogue. */
static int clear(struct merge *m, const char *stage, struct err *e)
{
    int rc;

    if (!catalog_section_there(&m->catalog, stage))
        return 0;
    rc = db_begin(&m->catalog.db, e);
    if (!rc)
        rc = catalog_clear_counts(&m->catalog, stage, e);
    if (!rc)
        rc = catalog_section_forget(&m->catalog, stage, e);
    if (!rc)
        rc = db_commit(&m->catalog.db, e);
    db_rollback(&m->catalog.db);
    m->changed = true;
    return rc;
}

/* ---- gather ---- */

int merge_gathered(struct merge *m, struct err *e)
{
    static const char *const from[] = {"unique"};
    struct counts counts = {NULL, 0};
    char digest[SHA256_HEX];
    bool same;
    int rc;

    if (!merge_has(m, "unique/counts"))
        return clear(m, "gather", e);
    merge_digest(m, "gather", from, 1, digest);
    rc = merge_begin(m, "gather", digest, &same, e);
    if (rc || same)
        return rc;
    rc = counts_open(&counts, m->corpus, e);
    if (!rc && counts.n != m->corpus->head.n_queries)
        rc = err_set(e, E_STALE,
                     "unique/counts.bin is of another query list: run "
                     "`witmill gather %s --redo`",
                     m->corpus->dir);
    if (!rc)
        rc = load(m, "gather", NULL, NULL, counts.c, e);
    counts_release(&counts);
    return merge_end(m, "gather", digest, rc, e);
}

/* ---- balance ---- */

static bool has_id(const uint32_t *v, uint32_t n, uint32_t id)
{
    uint32_t lo = 0, hi = n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (v[mid] == id)
            return true;
        if (v[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

bool merge_pair_picked(const struct merge *m, const struct merge_caps *k,
                       const struct pair *p, uint32_t i, unsigned round)
{
    return merge_picks(m, k, p->q[i], p->uid, round,
                       has_id(p->keep, p->n_keep, p->q[i]));
}

static int count_selected(void *ctx, const struct pair *p, unsigned round,
                          struct err *e)
{
    struct numbers *n = ctx;

    (void)e;
    n->pairs++;
    for (uint32_t i = 0; i < p->n_q; i++) {
        n->contains[p->q[i]]++;
        n->picks[p->q[i]] += merge_pair_picked(n->m, &n->caps, p, i, round);
    }
    return 0;
}

static int set_number(struct merge *m, const char *fact, uint64_t n,
                      struct err *e)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    return catalog_fact_set(&m->catalog, fact, str_of(text), e);
}

/* The cap that balance was told: t(q) of round 0, before any round raised it,
 * and at most c(q). */
static uint64_t told_cap(const struct caps *k)
{
    uint64_t cap = 0;

    for (uint32_t q = 0; q < k->n; q++)
        if (k->t[q] > cap)
            cap = k->t[q];
    return cap;
}

int merge_balanced(struct merge *m, struct err *e)
{
    static const char *const from[] = {"selected"};
    char digest[SHA256_HEX];
    struct numbers n;
    bool same;
    int rc;

    if (!merge_rounds(m))
        return clear(m, "balance", e);
    merge_digest(m, "balance", from, 1, digest);
    rc = merge_begin(m, "balance", digest, &same, e);
    if (rc || same)
        return rc;
    rc = numbers_init(&n, m, e);
    if (!rc && !n.caps.n)
        rc = err_set(e, E_NOTFOUND,
                     "%s/selected/round-0/caps.bin is missing: run `witmill "
                     "balance %s`",
                     m->corpus->dir, m->corpus->dir);
    if (!rc)
        rc = merge_each_selected(m, count_selected, &n, e);
    if (!rc)
        rc = load(m, "balance", n.caps.round[n.caps.n - 1].t, n.picks,
                  n.contains, e);
    if (!rc)
        rc = set_number(m, "selected", n.pairs, e);
    if (!rc)
        rc = set_number(m, "cap", told_cap(&n.caps.round[0]), e);
    numbers_release(&n);
    return merge_end(m, "balance", digest, rc, e);
}

/* ---- dedup and pack ---- */

/*
 * A row of survivors/ does not say in which round its text was selected; the
 * draw against the last cap settles it whatever the round.  With --exact,
 * dedup rewrote keep: it is the pick.
 */
static int count_survivor(void *ctx, const struct survivor *s,
                          const struct pair *p, uint64_t row, struct err *e)
{
    struct numbers *n = ctx;
    bool exact = n->caps.n && n->caps.round[n->caps.n - 1].exact;

    (void)s;
    (void)e;
    if (n->packed) {
        uint64_t shard = row / n->samples;

        if (shard != n->known_shard) {
            n->known_shard = shard;
            n->is_done = merge_shard_done(n->m, shard);
        }
        if (!n->is_done)
            return 0;
    }
    for (uint32_t i = 0; i < p->n_q; i++) {
        uint32_t q = p->q[i];
        bool kept = has_id(p->keep, p->n_keep, q);

        n->contains[q]++;
        n->picks[q] += kept || (!exact && n->caps.n &&
                                merge_picks(n->m, &n->caps, q, p->uid,
                                            SELECTED_ROUNDS_MAX, false));
    }
    return 0;
}

static int survivors_section(struct merge *m, const char *stage,
                             const char *const *from, size_t n_from,
                             uint64_t samples, struct err *e)
{
    char digest[SHA256_HEX];
    struct numbers n;
    bool same;
    int rc;

    merge_digest(m, stage, from, n_from, digest);
    rc = merge_begin(m, stage, digest, &same, e);
    if (rc || same)
        return rc;
    rc = numbers_init(&n, m, e);
    n.packed = samples > 0;
    n.samples = samples;
    if (!rc)
        rc = merge_each_survivor(m, count_survivor, &n, e);
    if (!rc)
        rc = load(m, stage, n.caps.n ? n.caps.round[n.caps.n - 1].t : NULL,
                  n.picks, n.contains, e);
    if (!rc && samples)
        rc = set_number(m, "samples", samples, e);
    numbers_release(&n);
    return merge_end(m, stage, digest, rc, e);
}

static bool any_in(const struct merge *m, const char *scope)
{
    for (size_t i = 0; i < m->n_parts; i++)
        if (!strcmp(m->parts[i].scope, scope))
            return true;
    return false;
}

int merge_packed(struct merge *m, struct err *e)
{
    static const char *const from[] = {"selected", "survivors", "shards"};
    uint64_t samples = merge_shard_samples(m);
    int rc;

    rc = any_in(m, "survivors") ? survivors_section(m, "dedup", from, 2, 0, e)
                                : clear(m, "dedup", e);
    if (rc)
        return rc;
    return samples && any_in(m, "survivors")
               ? survivors_section(m, "pack", from, 3, samples, e)
               : clear(m, "pack", e);
}
