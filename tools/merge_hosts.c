/* A ledger's outcomes, counted by host. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/ledger.h"
#include "base/mem.h"
#include "base/url.h"
#include "tools/merge_private.h"

#define PENDING 65536 /* outcomes gathered before they are added up */

struct outcome {
    char *key; /* host, outcome, reason, a newline between two */
    uint64_t n;
};

struct outcomes {
    struct outcome *v;
    size_t n, cap;
    size_t settled; /* the first ones are sorted and distinct */
};

static int by_key(const void *a, const void *b)
{
    const struct outcome *x = a, *y = b;

    return strcmp(x->key, y->key);
}

/* Add up what came since: memory follows distinct keys, not URLs. */
static void settle(struct outcomes *o)
{
    size_t kept = 0;

    if (o->n)
        qsort(o->v, o->n, sizeof *o->v, by_key);
    for (size_t i = 0; i < o->n; i++) {
        if (kept && !strcmp(o->v[kept - 1].key, o->v[i].key)) {
            o->v[kept - 1].n += o->v[i].n;
            free(o->v[i].key);
        } else {
            o->v[kept++] = o->v[i];
        }
    }
    o->n = o->settled = kept;
}

static void release(struct outcomes *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->v[i].key);
    free(o->v);
}

static void note(struct outcomes *o, const struct ledger *l)
{
    struct url_parts u;

    if (!url_split(l->url, &u))
        return;
    o->v = xgrow(o->v, &o->cap, o->n + 1, sizeof *o->v);
    o->v[o->n++] = (struct outcome){xasprintf("%.*s\n%s\n%.*s", STR_ARG(u.host),
                                              ledger_outcome_name(l->outcome),
                                              STR_ARG(l->reason)),
                                    1};
    if (o->n - o->settled >= PENDING + o->settled)
        settle(o);
}

static int gather(const char *path, struct outcomes *o, struct err *e)
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
        struct ledger l;

        arena_reset(&a);
        rc = ledger_read(line, &a, &l, e);
        if (!rc)
            note(o, &l);
        else
            rc = err_wrap(e, rc, "%s:%llu", path, (unsigned long long)r.line);
    }
    arena_release(&a);
    jsonl_close(&r);
    settle(o);
    return rc;
}

/* Rows of one host: o->v[*i] on, up to the next host. */
static int put_host(struct merge *m, const char *output,
                    const struct outcomes *o, size_t *i, struct err *e)
{
    struct str rest = str_of(o->v[*i].key), host, key, outcome;
    uint64_t asked = 0, images = 0;
    int rc = 0;

    str_split(&rest, '\n', &host);
    for (; *i < o->n && !rc; (*i)++) {
        rest = str_of(o->v[*i].key);
        str_split(&rest, '\n', &key);
        if (!str_eq(key, host))
            break;
        str_split(&rest, '\n', &outcome);
        asked += o->v[*i].n;
        if (str_eq(outcome, str_of(ledger_outcome_name(LEDGER_IMAGE))))
            images += o->v[*i].n;
        else
            rc = catalog_load_host_failure(&m->catalog, output, host, outcome,
                                           rest, o->v[*i].n, e);
    }
    return rc ? rc
              : catalog_load_host(&m->catalog, output, host, asked, images, e);
}

int merge_hosts(struct merge *m, const char *output, struct err *e)
{
    char name[STAGE_NAME_MAX + 32], path[IO_PATH_MAX];
    struct outcomes o = {0};
    int rc;

    snprintf(name, sizeof name, "%s.ledger.jsonl.zst", output);
    rc = corpus_path(m->corpus, name, path, e);
    if (!rc)
        rc = gather(path, &o, e);
    for (size_t i = 0; i < o.n && !rc;)
        rc = put_host(m, output, &o, &i, e);
    release(&o);
    return rc;
}
