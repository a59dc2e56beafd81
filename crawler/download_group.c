#include "crawler/download_group.h"

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/url.h"
#include "crawler/download_finish.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAMES_MEMORY  ((size_t)4 << 30) /* ceiling of one group's host names */
#define LEDGER_MEMORY ((size_t)4 << 20) /* of one record's strings */

/* ---- check ---- */

static int remove_file(struct download_group *g, const char *suffix,
                       struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = stage_path(&g->output, suffix, path, e);

    return rc ? rc : io_remove(path, e);
}

/* The member "selected" of the sidecar's extra object. */
static int made_from(struct download_group *g, char out[SHA256_HEX],
                     struct err *e)
{
    struct sidecar s;
    struct str name;
    struct arena a;
    struct json j;
    int rc = sidecar_read(&s, g->output.stage->corpus, g->output.name, e);

    if (rc)
        return rc;
    out[0] = 0;
    arena_init(&a, LEDGER_MEMORY);
    json_open(&j, s.extra, &a);
    json_object(&j);
    while (json_member(&j, &name)) {
        struct str v = STR_NONE;

        if (str_eq(name, STR("selected")))
            v = json_string(&j);
        else
            json_skip(&j);
        if (v.n && v.n < SHA256_HEX) {
            memcpy(out, v.p, v.n);
            out[v.n] = 0;
        }
    }
    rc = json_close(&j, e);
    arena_release(&a);
    sidecar_release(&s);
    return rc;
}

void group_init(struct download_group *g)
{
    memset(g, 0, sizeof *g);
    g->list = -1;
    g->journal.fd = -1;
    arena_init(&g->names, NAMES_MEMORY);
}

/* Begin the output.  One that --redo gives up loses its files at once: nobody
 * may make them anew, if its pass is over. */
static int begin(struct download_group *g, struct stage *stage,
                 const char *name, struct err *e)
{
    static const struct stage_inputs no_inputs;
    char file[STAGE_NAME_MAX], path[IO_PATH_MAX];
    bool was_done;
    int rc;

    snprintf(file, sizeof file, "%s.meta.json", name);
    rc = corpus_path(stage->corpus, file, path, e);
    if (rc)
        return rc;
    was_done = io_exists(path);
    rc = stage_begin(stage, &g->output, name, &no_inputs, &g->done, e);
    g->begun = true;
    if (rc == -E_STALE)
        return err_wrap(e, rc,
                        "the image options are others than before, and the "
                        "originals were not kept");
    if (rc || !was_done || g->done)
        return rc;
    rc = remove_file(g, ".tar", e);
    return rc ? rc : remove_file(g, ".ledger.jsonl.zst", e);
}

int group_check(struct download_group *g, struct stage *stage,
                const struct download_pass *pass, uint32_t id,
                uint32_t pass_number, bool *settled, struct err *e)
{
    char name[64], from[SHA256_HEX];
    int rc;

    group_init(g);
    *settled = false;
    g->pass = pass;
    g->id = id;
    g->pass_number = pass_number;
    ledger_name(id, pass_number, g->base);
    snprintf(name, sizeof name, "images/%s", g->base);
    rc = begin(g, stage, name, e);
    if (!rc)
        rc = remove_file(g, ".todo", e);
    if (rc || !g->done)
        return rc;
    rc = remove_file(g, ".journal", e); /* killed between sidecar and this */
    if (!rc)
        rc = made_from(g, from, e);
    *settled = !rc && !strcmp(from, pass->selected);
    return rc;
}

/* ---- hosts ---- */

static uint32_t *slot_of(const struct download_group *g, struct str name)
{
    uint32_t i = (uint32_t)hash_xxh3(name) & (g->n_slots - 1);

    while (g->slots[i] && !str_eq(g->hosts[g->slots[i] - 1].name, name))
        i = (i + 1) & (g->n_slots - 1);
    return &g->slots[i];
}

struct group_host *group_host(struct download_group *g, struct str name)
{
    uint32_t s = g->n_slots ? *slot_of(g, name) : 0;

    return s ? &g->hosts[s - 1] : NULL;
}

static int grow_slots(struct download_group *g, struct err *e)
{
    uint32_t *old = g->slots;
    uint32_t n = g->n_slots ? 2 * g->n_slots : 64;

    g->slots = calloc(n, sizeof *g->slots);
    if (!g->slots) {
        g->slots = old;
        return err_set(e, E_NOMEM, "%s: no memory for its hosts", g->base);
    }
    free(old);
    g->n_slots = n;
    for (uint32_t i = 0; i < g->n_hosts; i++)
        *slot_of(g, g->hosts[i].name) = i + 1;
    return 0;
}

static int add_host(struct download_group *g, struct str name,
                    struct group_host **out, struct err *e)
{
    struct group_host *h;
    uint32_t *slot;
    int rc;

    if (2 * (g->n_hosts + 1) > g->n_slots) {
        rc = grow_slots(g, e);
        if (rc)
            return rc;
    }
    if (g->n_hosts == g->cap_hosts) {
        uint32_t cap = g->cap_hosts ? 2 * g->cap_hosts : 64;

        h = realloc(g->hosts, cap * sizeof *h);
        if (!h)
            return err_set(e, E_NOMEM, "%s: no memory for hosts", g->base);
        g->hosts = h;
        g->cap_hosts = cap;
    }
    slot = slot_of(g, name);
    h = &g->hosts[g->n_hosts++];
    *slot = g->n_hosts;
    *h = (struct group_host){.name = arena_str(&g->names, name),
                             .head = GROUP_NONE,
                             .tail = GROUP_NONE,
                             .group = g->id};
    if (!h->name.p)
        return err_set(e, E_NOMEM, "%s: no memory for host names", g->base);
    *out = h;
    return 0;
}

/* The URL whose line begins at `at` goes to the end of its host's chain. */
static int add_url(struct download_group *g, struct str url, uint64_t at,
                   struct err *e)
{
    struct group_host *h;
    struct url_parts parts;

    if (g->n == g->cap || !url_split(url, &parts))
        return err_set(e, E_DAMAGED, "%s.todo changed while it was read",
                       g->base);
    h = group_host(g, parts.host);
    if (!h) {
        int rc = add_host(g, parts.host, &h, e);

        if (rc)
            return rc;
    }
    g->at[g->n] = at;
    g->next[g->n] = GROUP_NONE;
    if (h->head == GROUP_NONE)
        h->head = g->n;
    else
        g->next[h->tail] = g->n;
    h->tail = g->n++;
    return 0;
}

/* ---- what is closed already: sorted sequences beside the list ---- */

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
    return closed || has ? 0 : add_url(l->g, url, at, e);
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

static int load(struct download_group *g, uint64_t urls, struct err *e)
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

/* ---- open, take, answer ---- */

static int open_journal(struct download_group *g, struct err *e)
{
    struct err inner = ERR_INIT;
    char path[IO_PATH_MAX];
    int rc = stage_path(&g->output, ".journal", path, e);

    if (rc)
        return rc;
    rc = journal_open(&g->journal, g->output.stage->corpus, path,
                      g->output.fingerprint, &inner);
    if (rc == -E_STALE && g->output.stage->redo) {
        inner = (struct err)ERR_INIT;
        rc = io_remove(path, &inner);
        if (!rc)
            rc = journal_open(&g->journal, g->output.stage->corpus, path,
                              g->output.fingerprint, &inner);
    }
    return rc ? err_set(e, -rc, "%s", inner.message) : 0;
}

int group_open(struct download_group *g, uint64_t urls, struct err *e)
{
    int rc = 0;

    if (!g->done)
        rc = open_journal(g, e);
    if (!rc && urls)
        rc = load(g, urls, e);
    if (rc || !g->done || g->n == 0)
        return rc;
    rc = open_journal(g, e);
    return rc ? rc : group_reopen(g, e);
}

int group_take(struct download_group *g, struct group_host *h, struct buf *out,
               struct err *e)
{
    uint32_t i = h->head;
    const char *end = NULL;
    ssize_t got = -1;
    char *p;

    buf_clear(out);
    p = buf_reserve(out, URL_MAX + 1);
    if (p)
        got = pread(g->list, p, URL_MAX + 1, (off_t)g->at[i]);
    if (got < 0)
        return err_errno(e, E_IO, "read the list of", g->base);
    end = memchr(p, '\n', (size_t)got);
    if (!end)
        return err_set(e, E_DAMAGED, "%s.todo changed while in use", g->base);
    out->n = (size_t)(end - p);
    h->head = g->next[i];
    return 0;
}

int group_answer(struct download_group *g, const struct ledger *l,
                 struct str jpeg, struct err *e)
{
    int rc = journal_add(&g->journal, l, jpeg, e);

    if (!rc)
        g->open--;
    return rc;
}

bool group_empty(const struct download_group *g)
{
    return g->journal.n == 0;
}

void group_forget_list(struct download_group *g)
{
    free(g->at);
    free(g->next);
    free(g->hosts);
    free(g->slots);
    g->at = NULL;
    g->next = g->slots = NULL;
    g->hosts = NULL;
    g->n = g->cap = g->n_hosts = g->cap_hosts = g->n_slots = 0;
    arena_release(&g->names);
    if (g->list >= 0)
        close(g->list);
    g->list = -1;
}

void group_release(struct download_group *g)
{
    group_forget_list(g);
    journal_close(&g->journal);
    if (g->begun)
        stage_output_release(&g->output);
    g->begun = false;
}

size_t group_memory(const struct download_group *g)
{
    return g->cap * (sizeof *g->at + sizeof *g->next) +
           g->cap_hosts * sizeof *g->hosts + g->n_slots * sizeof *g->slots +
           g->names.total + g->journal.cap * sizeof *g->journal.entries;
}
