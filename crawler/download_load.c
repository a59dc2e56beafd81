#include "crawler/download_load.h"

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/url.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define LEDGER_MEMORY ((size_t)4 << 20) /* of one record's strings */

/* ---- ledgers: sorted sequences beside the list ---- */

struct closed {
    const struct corpus *corpus;
    struct jsonl_reader r;
    struct arena a;
    struct ledger l; /* where it stands */
    uint64_t h;
    bool more;
};

static int closed_next(struct closed *c, struct err *e)
{
    struct str line;
    int rc = jsonl_next(&c->r, &line, &c->more, e);

    if (rc || !c->more)
        return rc;
    arena_reset(&c->a);
    rc = ledger_read(line, &c->a, &c->l, e);
    if (rc)
        return err_wrap(e, rc, "%s:%llu", c->r.path,
                        (unsigned long long)c->r.line);
    c->h = corpus_url_hash(c->corpus, c->l.url);
    return 0;
}

static int key_cmp(uint64_t ha, struct str a, uint64_t hb, struct str b)
{
    return ha != hb ? (ha < hb ? -1 : 1) : str_cmp(a, b);
}

static int closed_has(struct closed *c, uint64_t h, struct str url, bool *has,
                      struct err *e)
{
    int rc = 0;

    while (!rc && c->more && key_cmp(c->h, c->l.url, h, url) < 0)
        rc = closed_next(c, e);
    *has = !rc && c->more && key_cmp(c->h, c->l.url, h, url) == 0;
    return rc;
}

/* Ledgers of this group: those of earlier passes, and its own if it is done.
 * c has room for all of them. */
static int closed_open_all(struct download_group *g, struct closed *c,
                           unsigned *n, struct err *e)
{
    const struct corpus *corpus = g->output.stage->corpus;

    for (uint32_t p = 0; p < g->pass_number + g->done; p++) {
        char base[16], name[64], path[IO_PATH_MAX];
        int rc;

        ledger_name(g->id, p, base);
        snprintf(name, sizeof name, "images/%s.meta.json", base);
        rc = corpus_path(corpus, name, path, e);
        if (rc)
            return rc;
        if (!io_exists(path))
            continue;
        snprintf(name, sizeof name, "images/%s.ledger.jsonl.zst", base);
        rc = corpus_path(corpus, name, path, e);
        if (!rc)
            rc = jsonl_open(&c[*n].r, path, e);
        if (rc)
            return rc;
        c[*n].corpus = corpus;
        arena_init(&c[*n].a, LEDGER_MEMORY);
        rc = closed_next(&c[(*n)++], e);
        if (rc)
            return rc;
    }
    return 0;
}

struct loading {
    struct download_group *g;
    struct closed *closed; /* one a ledger */
    unsigned n_closed;
    size_t resumed; /* of the journal: behind the URLs before */
    struct buf url; /* of that entry, when its hash had to be looked at */
};

static int in_journal(struct loading *l, uint64_t h, struct str url, bool *has,
                      struct err *e)
{
    struct download_journal *j = &l->g->journal;

    *has = false;
    for (; l->resumed < j->n && j->entries[l->resumed].h <= h; l->resumed++) {
        int cmp, rc;

        if (j->entries[l->resumed].h < h)
            continue;
        rc = journal_url(j, l->resumed, &l->url, e);
        if (rc)
            return rc;
        cmp = str_cmp(buf_str(&l->url), url);
        if (cmp > 0)
            break;
        *has = cmp == 0;
    }
    return 0;
}

static int load_url(struct loading *l, struct str url, uint64_t at,
                    struct err *e)
{
    uint64_t h = corpus_url_hash(l->g->output.stage->corpus, url);
    bool closed = false, has;
    int rc;

    for (unsigned i = 0; i < l->n_closed; i++) {
        rc = closed_has(&l->closed[i], h, url, &has, e);
        if (rc)
            return rc;
        closed |= has;
    }
    rc = in_journal(l, h, url, &has, e);
    if (rc)
        return rc;
    l->g->closed += closed;
    l->g->resumed += has && !closed;
    return closed || has ? 0 : group_add_url(l->g, url, at, e);
}

static int load_list(struct loading *l, const char *path, struct err *e)
{
    struct stream *in;
    struct lines lines;
    uint64_t at = 0;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    lines_init(&lines, in, URL_MAX + 1);
    for (;;) {
        struct str url;
        bool more;

        rc = lines_next(&lines, &url, &more, e);
        if (rc || !more)
            break;
        rc = load_url(l, url, at, e);
        if (rc)
            break;
        at += url.n + 1;
    }
    lines_release(&lines);
    stream_close(in);
    return rc;
}

int group_load(struct download_group *g, uint64_t urls, struct err *e)
{
    struct loading l = {.g = g};
    char path[IO_PATH_MAX];
    int rc;

    if (urls >= GROUP_NONE)
        return err_set(e, E_TOOBIG, "%s: %llu URLs in one group", g->base,
                       (unsigned long long)urls);
    g->cap = (uint32_t)urls;
    g->at = malloc(urls * sizeof *g->at);
    g->next = malloc(urls * sizeof *g->next);
    if (!g->at || !g->next)
        return err_set(e, E_NOMEM, "%s: no memory for %llu URLs", g->base,
                       (unsigned long long)urls);
    rc = stage_path(&g->output, ".todo", path, e);
    if (rc)
        return rc;
    l.closed = xcalloc(g->pass_number + 1, sizeof *l.closed);
    buf_init(&l.url, DOWNLOAD_LINE_MAX);
    rc = closed_open_all(g, l.closed, &l.n_closed, e);
    if (!rc)
        rc = journal_sort(&g->journal, e);
    if (!rc)
        rc = load_list(&l, path, e);
    for (unsigned i = 0; i < l.n_closed; i++) {
        jsonl_close(&l.closed[i].r);
        arena_release(&l.closed[i].a);
    }
    buf_release(&l.url);
    free(l.closed);
    g->open = g->n;
    if (rc || g->n == 0)
        return rc;
    g->list = open(path, O_RDONLY | O_CLOEXEC);
    return g->list < 0 ? err_errno(e, E_IO, "open", path) : 0;
}
