#include "crawler/download_group.h"

#include "base/mem.h"
#include "base/url.h"
#include "crawler/download_finish.h"
#include "crawler/download_load.h"
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

int group_add_url(struct download_group *g, struct str url, uint64_t at,
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
        rc = group_load(g, urls, e);
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
