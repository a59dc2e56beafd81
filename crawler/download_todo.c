#include "crawler/download_todo.h"

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/pair.h"
#include "base/selected.h"
#include "base/url.h"
#include <stdio.h>
#include <stdlib.h>

#define RECORD_MEMORY ((size_t)8 << 20) /* of one pair's strings and ids */

/* ---- which pass ---- */

static int read_before(const struct corpus *c, uint32_t *before, struct err *e)
{
    uint64_t v = UINT64_MAX;
    struct sidecar s;
    int rc;

    rc = sidecar_read(&s, c, "selected/round-0/bucket-0000", e);
    if (rc)
        return err_wrap(e, rc, "run `witmill balance %s` first", c->dir);
    rc = sidecar_extra_u64(&s, "passes_before", &v, e);
    if (!rc && v > DOWNLOAD_PASS_MAX)
        rc = err_set(e, E_DAMAGED,
                     "selected/round-0/bucket-0000.meta.json: passes_before "
                     "is missing or over %d",
                     DOWNLOAD_PASS_MAX);
    *before = (uint32_t)v;
    sidecar_release(&s);
    return rc;
}

static void bucket_name(uint32_t round, uint32_t k, char out[STAGE_NAME_MAX])
{
    snprintf(out, STAGE_NAME_MAX, "selected/round-%u/bucket-%04u", round, k);
}

/* The sidecar of 256 groups should not repeat the sha256 of 8,192 buckets. */
static int digest(const struct corpus *c, struct download_pass *p,
                  struct err *e)
{
    struct stage_inputs in;
    struct sha256 h;
    size_t of_round = corpus_buckets(c); /* the last so many are the round's */
    int rc;

    stage_inputs_init(&in);
    rc = selected_check(c, p->round + 1, &in, e);
    sha256_init(&h);
    for (size_t i = in.n < of_round ? 0 : in.n - of_round; i < in.n; i++) {
        sha256_add(&h, str_of(in.v[i].name));
        sha256_add(&h, STR(" "));
        sha256_add(&h, str_of(in.v[i].sha256));
        sha256_add(&h, STR("\n"));
    }
    sha256_final_hex(&h, p->selected);
    stage_inputs_release(&in);
    return rc;
}

int todo_pass(const struct corpus *c, int64_t round, struct download_pass *p,
              struct err *e)
{
    unsigned rounds;
    int rc = 0;

    memset(p, 0, sizeof *p);
    if (round > DOWNLOAD_PASS_MAX)
        return err_set(e, E_USAGE, "--round: at most %d", DOWNLOAD_PASS_MAX);
    if (round >= 0)
        p->round = (uint32_t)round;
    else if (!(rc = selected_rounds(c, &rounds, e)))
        p->round = rounds - 1;
    if (!rc)
        rc = read_before(c, &p->before, e);
    if (rc)
        return rc;
    p->pass = p->before + p->round;
    if (p->pass > DOWNLOAD_PASS_MAX)
        return err_set(e, E_RANGE, "download pass %u: a corpus has at most %d",
                       p->pass, DOWNLOAD_PASS_MAX);
    return digest(c, p, e);
}

/* ---- partition ---- */

struct partition {
    const struct corpus *corpus;
    const struct download_pass *pass;
    struct part part;
    const bool *skip;
    struct download_todo *todo;
    struct io_file *files; /* one a group; fd < 0 while not open */
    struct buf last;       /* the URL before */
    uint64_t last_h;
};

static int list_open(struct partition *p, uint32_t group, struct err *e)
{
    char name[64], base[16], path[IO_PATH_MAX];
    int rc;

    ledger_name(group, p->pass->pass, base);
    snprintf(name, sizeof name, "images/%s.todo", base);
    rc = corpus_path(p->corpus, name, path, e);
    return rc ? rc : io_file_open(&p->files[group], path, e);
}

static int take(struct partition *p, struct str url, const char *from,
                struct err *e)
{
    uint64_t h = corpus_url_hash(p->corpus, url);
    struct url_parts parts;
    uint32_t group;
    int cmp, rc;

    cmp = h != p->last_h ? (h < p->last_h ? -1 : 1)
                         : str_cmp(url, buf_str(&p->last));
    if (cmp == 0 && p->last.n)
        return 0; /* another text for the same image */
    if (cmp < 0)
        return err_set(e, E_DAMAGED, "%s: %.*s is not in order", from,
                       STR_ARG(url));
    p->last_h = h;
    buf_clear(&p->last);
    buf_add(&p->last, url);
    if (!url_split(url, &parts))
        return err_set(e, E_DAMAGED, "%s: %.*s is no canonical URL", from,
                       STR_ARG(url));
    group = ledger_group(parts.host);
    if (!part_has(p->part, group) || p->skip[group])
        return 0;
    if (p->todo->urls[group]++ == 0) {
        rc = list_open(p, group, e);
        if (rc)
            return rc;
    }
    p->todo->total++;
    rc = io_file_write(&p->files[group], url, e);
    return rc ? rc : io_file_write(&p->files[group], STR("\n"), e);
}

static int bucket(struct partition *p, uint32_t k, struct arena *a,
                  struct err *e)
{
    char name[STAGE_NAME_MAX];
    struct jsonl_reader r;
    int rc;

    bucket_name(p->pass->round, k, name);
    rc = sidecar_open(&r, p->corpus, name, e);
    if (rc)
        return rc;
    for (;;) {
        struct pair pair;
        struct str line;
        bool more;

        rc = jsonl_next(&r, &line, &more, e);
        if (rc || !more)
            break;
        arena_reset(a);
        rc = pair_read(line, a, &pair, e);
        if (rc)
            rc = err_wrap(e, rc, "%s:%llu", r.path,
                          (unsigned long long)r.line);
        else
            rc = take(p, pair.url, r.path, e);
        if (rc)
            break;
        p->todo->records++;
    }
    jsonl_close(&r);
    return rc;
}

int todo_partition(const struct corpus *c, const struct download_pass *pass,
                   struct part part, const bool skip[LEDGER_GROUPS],
                   const atomic_bool *stop, struct download_todo *t,
                   struct err *e)
{
    struct partition p = {
        .corpus = c, .pass = pass, .part = part, .skip = skip, .todo = t};
    struct arena a;
    int rc = 0;

    memset(t, 0, sizeof *t);
    p.files = xcalloc(LEDGER_GROUPS, sizeof *p.files);
    for (unsigned g = 0; g < LEDGER_GROUPS; g++)
        p.files[g].fd = -1;
    buf_init(&p.last, JSONL_LINE_MAX);
    arena_init(&a, RECORD_MEMORY);
    for (uint32_t k = 0; k < corpus_buckets(c) && !rc; k++) {
        rc = bucket(&p, k, &a, e);
        if (!rc && stop && atomic_load(stop))
            rc = err_set(e, E_CANCEL,
                         "stopped on request; run the same command again");
    }
    for (unsigned g = 0; g < LEDGER_GROUPS; g++) {
        if (t->urls[g] == 0)
            continue;
        if (rc)
            io_file_abandon(&p.files[g]);
        else
            rc = io_file_publish(&p.files[g], e);
    }
    arena_release(&a);
    buf_release(&p.last);
    free(p.files);
    return rc;
}
