/* Reading caps, selected/ and survivors/ for the catalogue. */
#include <stdio.h>

#include "base/jsonl.h"
#include "filter/draw.h"
#include "tools/merge_private.h"

#define LINE_ARENA ((size_t)64 << 20) /* ceiling of one line's members */

/* ---- caps ---- */

int merge_caps_open(struct merge *m, struct merge_caps *k, struct err *e)
{
    *k = (struct merge_caps){.n = 0};
    for (unsigned round = 0; round < SELECTED_ROUNDS_MAX; round++) {
        struct err inner = ERR_INIT;
        int rc = caps_open(&k->round[round], m->corpus, round, &inner);

        if (rc == -E_NOTFOUND)
            return 0;
        if (!rc && k->round[round].n != m->corpus->head.n_queries) {
            caps_close(&k->round[round]);
            rc = err_set(&inner, E_STALE,
                         "selected/round-%u/caps.bin is of another query "
                         "list: run `witmill balance %s --redo`",
                         round, m->corpus->dir);
        }
        if (rc) {
            merge_caps_close(k);
            return err_set(e, -rc, "%s", inner.message);
        }
        k->n = round + 1;
    }
    return 0;
}

void merge_caps_close(struct merge_caps *k)
{
    for (unsigned i = 0; i < k->n; i++)
        caps_close(&k->round[i]);
    k->n = 0;
}

bool merge_picks(const struct merge *m, const struct merge_caps *k, uint32_t q,
                 const uint8_t uid[MD5_SIZE], unsigned round, bool kept)
{
    const struct caps *last = &k->round[k->n - 1];
    uint64_t h;

    if (kept)
        return true;
    /* Its own round left it out; only a cap that grew since can differ. */
    if (round < k->n && last->t[q] == k->round[round].t[q])
        return false;
    h = draw_hash(m->corpus->head.seed, uid, qlist_norm(&m->list, q));
    return caps_draw(last, q, h, uid) < last->t[q];
}

/* Ids of a record must be groups of the list: the numbers index arrays. */
static int check_ids(const struct merge *m, const struct pair *p,
                     const char *path, uint64_t line, struct err *e)
{
    for (uint32_t i = 0; i < p->n_q; i++)
        if (p->q[i] >= m->corpus->head.n_queries)
            return err_set(e, E_DAMAGED,
                           "%s:%llu: query %u, but the list ends at %u", path,
                           (unsigned long long)line, p->q[i],
                           m->corpus->head.n_queries);
    return 0;
}

/* ---- selected/, all rounds at once ---- */

struct source {
    struct jsonl_reader reader;
    struct arena arena;
    struct pair pair;
    struct pair_key key;
    unsigned round;
    bool open, more;
};

static int advance(const struct merge *m, struct source *s, struct err *e)
{
    struct str line;
    int rc = jsonl_next(&s->reader, &line, &s->more, e);

    if (rc || !s->more)
        return rc;
    arena_reset(&s->arena);
    rc = pair_read(line, &s->arena, &s->pair, e);
    if (rc)
        return err_wrap(e, rc, "%s:%llu", s->reader.path,
                        (unsigned long long)s->reader.line);
    s->key = (struct pair_key){corpus_url_hash(m->corpus, s->pair.url),
                               s->pair.url, s->pair.uid};
    return check_ids(m, &s->pair, s->reader.path, s->reader.line, e);
}

/* Open bucket k of a round; a bucket that is not there gives no rows. */
static int open_source(const struct merge *m, struct source *s, unsigned round,
                       uint32_t k, struct err *e)
{
    char output[STAGE_NAME_MAX];
    int rc;

    s->round = round;
    snprintf(output, sizeof output, "selected/round-%u/bucket-%04u", round, k);
    if (!merge_has(m, output))
        return 0;
    rc = sidecar_open(&s->reader, m->corpus, output, e);
    if (rc)
        return rc;
    arena_init(&s->arena, LINE_ARENA);
    s->open = true;
    return advance(m, s, e);
}

static int merge_bucket(struct merge *m, struct source *sources, unsigned n,
                        merge_pair_fn fn, void *ctx, struct err *e)
{
    for (;;) {
        struct source *first = NULL;
        int rc;

        for (unsigned i = 0; i < n; i++)
            if (sources[i].open && sources[i].more &&
                (!first || pair_key_cmp(&sources[i].key, &first->key) < 0))
                first = &sources[i];
        if (!first)
            return 0;
        rc = fn(ctx, &first->pair, first->round, e);
        if (!rc)
            rc = advance(m, first, e);
        if (rc)
            return rc;
    }
}

int merge_each_selected(struct merge *m, merge_pair_fn fn, void *ctx,
                        struct err *e)
{
    struct source sources[SELECTED_ROUNDS_MAX];
    unsigned rounds = merge_rounds(m);
    int rc = 0;

    for (uint32_t k = 0; k < corpus_buckets(m->corpus) && !rc; k++) {
        memset(sources, 0, sizeof sources);
        for (unsigned r = 0; r < rounds && !rc; r++)
            rc = open_source(m, &sources[r], r, k, e);
        if (!rc)
            rc = merge_bucket(m, sources, rounds, fn, ctx, e);
        for (unsigned r = 0; r < rounds; r++) {
            if (!sources[r].open)
                continue;
            jsonl_close(&sources[r].reader);
            arena_release(&sources[r].arena);
        }
    }
    return rc;
}

/* ---- survivors/ ---- */

static int each_text(struct merge *m, const struct survivor *s,
                     const char *path, uint64_t line, uint64_t row,
                     struct arena *a, merge_survivor_fn fn, void *ctx,
                     struct err *e)
{
    struct json j;
    struct pair text;
    bool more = true;
    int rc = 0;

    survivor_texts_open(&j, s);
    while (!rc && !(rc = survivor_texts_next(&j, a, &text, &more, e)) && more) {
        rc = check_ids(m, &text, path, line, e);
        if (!rc)
            rc = fn(ctx, s, &text, row, e);
    }
    return rc;
}

static int survivors_of(struct merge *m, const char *path, uint64_t *rows,
                        merge_survivor_fn fn, void *ctx, struct err *e)
{
    struct jsonl_reader r;
    struct arena a;
    struct str line;
    bool more = true;
    int rc = jsonl_open(&r, path, e);

    if (rc)
        return rc;
    arena_init(&a, LINE_ARENA);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        struct survivor s;

        arena_reset(&a);
        rc = survivor_read(line, &a, &s, e);
        if (rc) {
            rc = err_wrap(e, rc, "%s:%llu", path, (unsigned long long)r.line);
            break;
        }
        if (!s.more)
            ++*rows;
        rc = each_text(m, &s, path, r.line, *rows - 1, &a, fn, ctx, e);
    }
    arena_release(&a);
    jsonl_close(&r);
    return rc;
}

int merge_each_survivor(struct merge *m, merge_survivor_fn fn, void *ctx,
                        struct err *e)
{
    uint64_t rows = 0;
    int rc = 0;

    for (uint32_t k = 0; k < corpus_buckets(m->corpus) && !rc; k++) {
        char output[40], name[64], path[IO_PATH_MAX];

        snprintf(output, sizeof output, "survivors/bucket-%04u", k);
        if (!merge_has(m, output))
            continue;
        snprintf(name, sizeof name, "%s.jsonl.zst", output);
        rc = corpus_path(m->corpus, name, path, e);
        if (!rc)
            rc = survivors_of(m, path, &rows, fn, ctx, e);
    }
    return rc;
}
