#include "filter/dedup_join.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/selected.h"

#define LINE_MEMORY ((size_t)8 << 20) /* bytes of one record, decoded */

/* ---- sources ---- */

static int add_selected(struct dedup_sources *s, const struct corpus *c,
                        struct err *e)
{
    int rc = selected_rounds(c, &s->rounds, e);

    return rc ? rc : selected_check(c, s->rounds, &s->inputs, e);
}

/* A selection of nothing has no ledgers, and is no reason to stop. */
static int nothing_to_ask(const struct dedup_sources *s, const struct corpus *c,
                          struct err *e)
{
    struct tally counts = {0}, drops = {0};
    char name[STAGE_NAME_MAX];
    int rc = 0;

    for (unsigned r = 0; !rc && r < s->rounds; r++)
        for (uint32_t k = 0; !rc && k < corpus_buckets(c); k++) {
            snprintf(name, sizeof name, "selected/round-%u/bucket-%04u", r, k);
            rc = sidecar_add_tallies(c, name, &counts, &drops, e);
        }
    if (!rc && tally_get(&counts, "records"))
        rc = err_set(e, E_NOTFOUND,
                     "%s has no images/ yet: run `witmill download %s` first",
                     c->dir, c->dir);
    tally_release(&counts);
    tally_release(&drops);
    return rc;
}

int dedup_sources_open(struct dedup_sources *s, const struct corpus *c,
                       struct err *e)
{
    struct tally counts = {0}, drops = {0};
    char name[STAGE_NAME_MAX];
    int rc;

    *s = (struct dedup_sources){0};
    stage_inputs_init(&s->inputs);
    rc = add_selected(s, c, e);
    if (!rc)
        rc = sidecar_list(c, "images", &s->ledgers, e);
    for (size_t i = 0; !rc && i < s->ledgers.n; i++) {
        snprintf(name, sizeof name, "images/%s", s->ledgers.names[i]);
        rc = stage_inputs_add_output(&s->inputs, c, name, "download", e);
        if (!rc)
            rc = sidecar_add_tallies(c, name, &counts, &drops, e);
    }
    s->images = tally_get(&counts, "images");
    tally_release(&counts);
    tally_release(&drops);
    if (!rc && s->ledgers.n == 0)
        rc = nothing_to_ask(s, c, e);
    if (rc)
        dedup_sources_release(s);
    return rc;
}

void dedup_sources_release(struct dedup_sources *s)
{
    io_list_release(&s->ledgers);
    stage_inputs_release(&s->inputs);
}

/* ---- one reader of pairs ---- */

struct dedup_record {
    struct jsonl_reader in;
    bool open, ready; /* ready: line, pair and key are the next record */
    struct str line;
    struct arena arena; /* of pair */
    struct pair pair;
    struct pair_key key;
    uint64_t last_h; /* to see that records ascend */
};

static int bad_record(const struct jsonl_reader *in, const char *what,
                      struct err *e)
{
    return err_set(e, E_DAMAGED,
                   "%s, line %llu: %s; run `witmill verify`, remove its "
                   "sidecar and run `witmill balance` again",
                   in->path, (unsigned long long)in->line, what);
}

static int advance_pair(struct dedup_join *j, struct dedup_record *r,
                        struct err *e)
{
    struct err inner = ERR_INIT;
    bool more;
    int rc;

    r->ready = false;
    if (!r->open)
        return 0;
    rc = jsonl_next(&r->in, &r->line, &more, e);
    if (rc || !more)
        return rc;
    arena_reset(&r->arena);
    if (pair_read(r->line, &r->arena, &r->pair, &inner))
        return bad_record(&r->in, inner.message, e);
    r->key = (struct pair_key){corpus_url_hash(j->corpus, r->pair.url),
                               r->pair.url, r->pair.uid};
    if (r->key.h < r->last_h)
        return bad_record(&r->in, "records out of order", e);
    r->last_h = r->key.h;
    r->ready = true;
    return 0;
}

int dedup_join_bucket(struct dedup_join *j, uint32_t bucket, struct err *e)
{
    char name[STAGE_NAME_MAX];

    j->given = NULL;
    for (unsigned i = 0; i < j->sources->rounds; i++) {
        struct dedup_record *r = &j->rounds[i];
        int rc;

        if (r->open)
            jsonl_close(&r->in);
        r->open = false;
        r->last_h = 0;
        snprintf(name, sizeof name, "selected/round-%u/bucket-%04u", i, bucket);
        rc = sidecar_open(&r->in, j->corpus, name, e);
        r->open = true;
        if (!rc)
            rc = advance_pair(j, r, e);
        if (rc)
            return rc;
    }
    return 0;
}

/* The round whose record comes next, or NULL. */
static struct dedup_record *least_round(struct dedup_join *j)
{
    struct dedup_record *least = NULL;

    for (unsigned i = 0; i < j->sources->rounds; i++) {
        struct dedup_record *r = &j->rounds[i];

        if (r->ready && (!least || pair_key_cmp(&r->key, &least->key) < 0))
            least = r;
    }
    return least;
}

/* ---- the join ---- */

int dedup_join_open(struct dedup_join *j, const struct corpus *c,
                    const struct dedup_sources *s, uint64_t memory_bytes,
                    struct err *e)
{
    int rc;

    *j = (struct dedup_join){.corpus = c, .sources = s};
    rc = dedup_ledgers_open(&j->ledgers, c, &s->ledgers, memory_bytes, e);
    if (rc)
        return rc;
    arena_init(&j->arena, LINE_MEMORY);
    j->rounds = xcalloc(s->rounds, sizeof *j->rounds);
    for (unsigned i = 0; i < s->rounds; i++)
        arena_init(&j->rounds[i].arena, LINE_MEMORY);
    io_allow_files(s->rounds);
    return 0;
}

int dedup_join_pair(struct dedup_join *j, const struct pair **p, struct err *e)
{
    struct dedup_record *r;
    int rc = j->given ? advance_pair(j, j->given, e) : 0;

    *p = NULL;
    j->given = NULL;
    if (rc)
        return rc;
    r = least_round(j);
    if (!r || r->key.h != j->h || !str_eq(r->key.url, j->url))
        return 0;
    j->given = r;
    *p = &r->pair;
    return 0;
}

int dedup_join_next(struct dedup_join *j, struct dedup_url *url, bool *more,
                    struct err *e)
{
    struct dedup_answer answer;
    struct dedup_record *r;
    const struct pair *p = NULL;
    int rc;

    *url = (struct dedup_url){0};
    do { /* those that nobody asked for */
        rc = dedup_join_pair(j, &p, e);
    } while (!rc && p);
    r = rc ? NULL : least_round(j);
    *more = r != NULL;
    if (!r)
        return rc;
    arena_reset(&j->arena);
    url->h = j->h = r->key.h;
    url->url = j->url = arena_str(&j->arena, r->key.url);
    if (!j->url.p)
        return err_set(e, E_NOMEM, "no memory for a URL");
    rc = dedup_ledgers_find(&j->ledgers, url->url, url->h, &answer, e);
    url->asked = answer.asked;
    url->image = answer.image;
    url->group = answer.group;
    return rc;
}

void dedup_join_close(struct dedup_join *j)
{
    for (unsigned i = 0; i < j->sources->rounds; i++) {
        if (j->rounds[i].open)
            jsonl_close(&j->rounds[i].in);
        arena_release(&j->rounds[i].arena);
    }
    dedup_ledgers_close(&j->ledgers);
    free(j->rounds);
    arena_release(&j->arena);
}
