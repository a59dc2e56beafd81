#include "crawler/download_finish.h"

#include "base/jsonl.h"
#include "base/log.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LEDGER_MEMORY ((size_t)4 << 20) /* of one record's strings */

/* ---- finish ---- */

struct finish {
    struct download_group *g;
    const struct download_tar *tar;
    struct jsonl_writer ledger;
    struct buf line;
    struct arena a;
    uint64_t images; /* members so far: the number of the next */
};

static void count(struct stage_output *o, const struct ledger *l)
{
    char reason[TALLY_NAME_MAX];

    tally_add(&o->counts, "urls", 1);
    if (l->outcome == LEDGER_IMAGE) {
        tally_add(&o->counts, "images", 1);
        tally_add(&o->counts, "bytes", l->bytes);
        return;
    }
    tally_add(&o->counts, ledger_outcome_name(l->outcome), 1);
    snprintf(reason, sizeof reason, "%.*s", STR_ARG(l->reason));
    tally_add(&o->drops, reason, 1);
}

static int put_entry(struct finish *f, size_t i, struct err *e)
{
    struct ledger l;
    struct str jpeg;
    int rc;

    arena_reset(&f->a);
    rc = journal_read(&f->g->journal, i, &f->a, &l, &jpeg, e);
    if (rc)
        return rc;
    if (l.outcome == LEDGER_IMAGE) {
        char name[32];

        snprintf(name, sizeof name, "%08llu.jpg",
                 (unsigned long long)f->images++);
        l.bytes = jpeg.n;
        rc = f->tar->add(f->tar->ctx, str_of(name), jpeg, &l.offset, e);
        if (rc)
            return rc;
    }
    count(&f->g->output, &l);
    buf_clear(&f->line);
    ledger_write(&l, &f->line);
    return jsonl_write(&f->ledger, buf_str(&f->line), e);
}

static int put_all(struct finish *f, const atomic_bool *stop, struct err *e)
{
    struct download_journal *j = &f->g->journal;
    int rc = journal_sort(j, e);

    for (size_t i = 0; i < j->n && !rc; i++) {
        rc = put_entry(f, i, e);
        if (!rc && stop && atomic_load(stop))
            rc = err_set(e, E_CANCEL, "stopped on request");
    }
    return rc;
}

static void describe(struct download_group *g)
{
    struct json_out *o = &g->output.more;

    json_put_u64(o, "pass", g->pass_number);
    if (g->pass_number == g->pass->pass) {
        json_put_u64(o, "round", g->pass->round);
        json_put_string(o, "selected", str_of(g->pass->selected));
    }
}

/* Tar, ledger, sidecar: each durable before the next, the journal last. */
static int publish(struct finish *f, struct err *e)
{
    struct stage_output *o = &f->g->output;
    char name[STAGE_NAME_MAX + 32], sha[SHA256_HEX], path[IO_PATH_MAX];
    int rc = f->tar->publish(f->tar->ctx, sha, e);

    if (rc) {
        jsonl_abandon(&f->ledger);
        return rc;
    }
    snprintf(name, sizeof name, "%s.tar", o->name);
    stage_file(o, name, sha);
    rc = jsonl_publish(&f->ledger, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.ledger.jsonl.zst", o->name);
    stage_file(o, name, f->ledger.sha256);
    describe(f->g);
    rc = stage_commit(o, e);
    if (!rc)
        rc = stage_path(o, ".journal", path, e);
    if (!rc)
        rc = io_remove(path, e);
    if (!rc)
        rc = stage_path(o, ".todo", path, e);
    return rc ? rc : io_remove(path, e);
}

int group_finish(struct download_group *g, const struct download_tar *tar,
                 const atomic_bool *stop, struct err *e)
{
    struct finish f = {.g = g, .tar = tar};
    char path[IO_PATH_MAX];
    int rc = journal_sync(&g->journal, e);

    if (!rc)
        rc = stage_path(&g->output, ".tar", path, e);
    if (!rc)
        rc = tar->open(tar->ctx, path, e);
    if (rc)
        return rc;
    rc = stage_path(&g->output, ".ledger.jsonl.zst", path, e);
    if (!rc)
        rc = jsonl_open_write(&f.ledger, path, e);
    if (rc) {
        tar->abandon(tar->ctx);
        return rc;
    }
    arena_init(&f.a, LEDGER_MEMORY);
    buf_init(&f.line, DOWNLOAD_LINE_MAX);
    rc = put_all(&f, stop, e);
    if (rc) {
        tar->abandon(tar->ctx);
        jsonl_abandon(&f.ledger);
    } else {
        rc = publish(&f, e);
    }
    arena_release(&f.a);
    buf_release(&f.line);
    return rc;
}

/* ---- reopen ---- */

static int copy_record(struct download_group *g, int tar, const char *path,
                       const struct ledger *l, struct buf *jpeg, struct err *e)
{
    buf_clear(jpeg);
    if (l->outcome == LEDGER_IMAGE) {
        char *p = l->bytes <= DOWNLOAD_JPEG_MAX
                      ? buf_reserve(jpeg, (size_t)l->bytes)
                      : NULL;
        int rc;

        if (!p)
            return err_set(e, E_DAMAGED, "%s: an image of %llu bytes", path,
                           (unsigned long long)l->bytes);
        rc = io_pread_full(tar, p, (size_t)l->bytes, l->offset, path, e);
        if (rc)
            return rc;
        jpeg->n = (size_t)l->bytes;
    }
    return journal_add(&g->journal, l, buf_str(jpeg), e);
}

static int copy_all(struct download_group *g, struct jsonl_reader *r, int tar,
                    const char *path, struct err *e)
{
    struct buf jpeg;
    struct arena a;
    int rc;

    buf_init(&jpeg, DOWNLOAD_JPEG_MAX);
    arena_init(&a, LEDGER_MEMORY);
    for (;;) {
        struct ledger l;
        struct str line;
        bool more;

        rc = jsonl_next(r, &line, &more, e);
        if (rc || !more)
            break;
        arena_reset(&a);
        rc = ledger_read(line, &a, &l, e);
        if (!rc)
            rc = copy_record(g, tar, path, &l, &jpeg, e);
        if (rc)
            break;
    }
    arena_release(&a);
    buf_release(&jpeg);
    return rc;
}

int group_reopen(struct download_group *g, struct err *e)
{
    char path[IO_PATH_MAX];
    struct jsonl_reader r;
    int tar, rc;

    log_event("note",
              "%s is done, but selected/round-%u was made anew with %u URLs "
              "that it has not asked for: it is opened again, and what it "
              "holds is kept",
              g->base, g->pass->round, g->n);
    rc = stage_path(&g->output, ".ledger.jsonl.zst", path, e);
    if (!rc)
        rc = jsonl_open(&r, path, e);
    if (rc)
        return rc;
    rc = stage_path(&g->output, ".tar", path, e);
    if (rc) {
        jsonl_close(&r);
        return rc;
    }
    tar = open(path, O_RDONLY | O_CLOEXEC);
    rc = tar < 0 ? err_errno(e, E_IO, "open", path)
                 : copy_all(g, &r, tar, path, e);
    if (tar >= 0)
        close(tar);
    jsonl_close(&r);
    if (!rc)
        rc = journal_sync(&g->journal, e);
    if (!rc)
        rc = stage_path(&g->output, ".meta.json", path, e);
    if (!rc)
        rc = io_remove(path, e);
    if (!rc)
        rc = io_sync_parent(path, e);
    g->done = rc != 0;
    return rc;
}
