#include "filter/match_part.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/workq.h"

void match_part_open(struct match_part *p, const struct match_with *with,
                     uint64_t memory_bytes, unsigned threads,
                     struct progress *progress)
{
    *p = (struct match_part){.with = with,
                             .memory_bytes = memory_bytes,
                             .threads = threads,
                             .depth = threads > 1 ? 3 * threads : 1,
                             .progress = progress};
    p->batches = xcalloc(p->depth, sizeof *p->batches);
    p->frames = xcalloc(p->depth, sizeof *p->frames);
    for (unsigned i = 0; i < p->depth; i++) {
        match_batch_init(&p->batches[i], with->corpus);
        buf_init(&p->frames[i].lines, BUF_NO_LIMIT);
        buf_init(&p->frames[i].packed, BUF_NO_LIMIT);
    }
}

void match_part_close(struct match_part *p)
{
    for (unsigned i = 0; i < p->depth; i++) {
        match_batch_release(&p->batches[i]);
        buf_release(&p->frames[i].lines);
        buf_release(&p->frames[i].packed);
        jsonl_packer_release(&p->frames[i].packer);
    }
    free(p->batches);
    free(p->frames);
    if (p->spooling)
        spool_close(&p->spool);
    *p = (struct match_part){.spooling = false};
}

/* ---- the records: pairs/ to the spool ---- */

static int produce_frames(void *ctx, void *item, bool *more, struct err *e)
{
    struct match_part *p = ctx;
    struct match_batch *b = item;

    return jsonl_frames_next(&p->packed, &b->packed, &b->content, more, e);
}

static int produce_lines(void *ctx, void *item, bool *more, struct err *e)
{
    struct match_part *p = ctx;
    struct match_batch *b = item;
    struct str line;
    int rc = 0;

    buf_clear(&b->packed);
    buf_clear(&b->lines);
    b->first_line = p->lines.line + 1;
    for (bool got = true; !rc && got && b->lines.n < JSONL_FRAMES_FEW;) {
        rc = jsonl_next(&p->lines, &line, &got, e);
        if (rc || !got)
            break;
        buf_add(&b->lines, line);
        buf_add_char(&b->lines, '\n');
    }
    *more = b->lines.n > 0;
    return !rc && b->lines.rc ? err_set(e, E_NOMEM, "no memory for a batch")
                              : rc;
}

static int work_batch(void *ctx, void *item, struct err *e)
{
    struct match_part *p = ctx;
    struct match_batch *b = item;
    int rc = match_batch_work(p->with, b, e);

    return rc && !b->packed.n ? err_wrap(e, rc, "%s", p->lines.path) : rc;
}

static int consume_batch(void *ctx, void *item, struct err *e)
{
    struct match_part *p = ctx;
    struct match_batch *b = item;

    tally_add(&p->output->counts, "records", b->written);
    tally_add(&p->output->counts, "read", b->read);
    tally_add(&p->output->counts, "language-unknown", b->unknown);
    tally_add_all(&p->output->drops, &b->drops);
    progress_add(p->progress, b->read);
    p->read += b->read;
    return spool_take(&p->spool, &b->run, e);
}

static int run_batches(struct match_part *p, const struct workq_ops *ops,
                       struct err *e)
{
    p->read = 0;
    return workq_run(ops, p, p->batches, sizeof *p->batches, p->depth,
                     p->threads, e);
}

/* -E_FORMAT: read it by lines. */
static int read_frames(struct match_part *p, struct err *e)
{
    static const struct workq_ops ops = {produce_frames, work_batch,
                                         consume_batch};
    struct err inner = ERR_INIT; /* words are for whoever reads by lines */
    int rc = jsonl_frames_open(&p->packed, p->lines.path, e);

    if (!rc)
        rc = run_batches(p, &ops, &inner);
    jsonl_frames_close(&p->packed);
    if (!rc && p->lines.expect != UINT64_MAX && p->read != p->lines.expect)
        rc = -E_FORMAT;
    return rc == -E_IO ? err_set(e, E_IO, "%s", inner.message) : rc;
}

static int read_records(struct match_part *p, struct err *e)
{
    static const struct workq_ops ops = {produce_lines, work_batch,
                                         consume_batch};
    uint64_t done = p->progress->done;
    int rc = read_frames(p, e);

    if (!rc || rc == -E_IO)
        return rc;
    spool_clear(&p->spool);
    tally_clear(&p->output->counts);
    tally_clear(&p->output->drops);
    p->progress->done = done;
    return run_batches(p, &ops, e);
}

/* ---- the file: the spool to matched/ ---- */

static int produce_frame(void *ctx, void *item, bool *more, struct err *e)
{
    struct match_part *p = ctx;
    struct match_frame *f = item;

    return spool_next(&p->spool, &f->lines, &f->ends, more, e);
}

static int work_frame(void *ctx, void *item, struct err *e)
{
    struct match_frame *f = item;

    (void)ctx;
    return jsonl_pack(&f->packer, buf_str(&f->lines), &f->packed, e);
}

static int consume_frame(void *ctx, void *item, struct err *e)
{
    struct match_part *p = ctx;
    struct match_frame *f = item;
    int rc = jsonl_write_packed(&p->out, buf_str(&f->lines), 0,
                                buf_str(&f->packed), e);

    if (!rc && f->ends)
        json_out_u64(&p->output->more, p->out.file.bytes);
    return rc;
}

static int write_frames(struct match_part *p, struct err *e)
{
    static const struct workq_ops ops = {produce_frame, work_frame,
                                         consume_frame};
    struct json_out *o = &p->output->more;
    int rc;

    json_out_name(o, "offsets");
    json_out_array(o);
    json_out_u64(o, 0);
    rc = workq_run(&ops, p, p->frames, sizeof *p->frames, p->depth, p->threads,
                   e);
    json_out_end_array(o);
    return rc;
}

static int write_file(struct match_part *p, char *sha256, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = stage_path(p->output, ".jsonl.zst", path, e);

    if (!rc)
        rc = jsonl_open_write(&p->out, path, e);
    if (rc)
        return rc;
    rc = write_frames(p, e);
    if (rc)
        jsonl_abandon(&p->out);
    else
        rc = jsonl_publish(&p->out, e);
    memcpy(sha256, p->out.sha256, SHA256_HEX);
    return rc;
}

/* ---- the part ---- */

static int open_spool(struct match_part *p, struct err *e)
{
    const struct corpus *c = p->with->corpus;
    int rc;

    if (p->spooling) {
        spool_clear(&p->spool);
        return 0;
    }
    rc = spool_open(&p->spool, c->dir, corpus_buckets(c), p->memory_bytes, e);
    p->spooling = !rc;
    return rc;
}

int match_part_make(struct match_part *p, const char *source,
                    struct stage_output *o, struct err *e)
{
    char name[STAGE_NAME_MAX + 16], sha256[SHA256_HEX];
    int rc = sidecar_open(&p->lines, p->with->corpus, source, e);

    p->output = o;
    if (rc)
        return rc;
    rc = open_spool(p, e);
    if (!rc)
        rc = read_records(p, e);
    jsonl_close(&p->lines);
    if (!rc)
        rc = write_file(p, sha256, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", o->name);
    stage_file(o, name, sha256);
    return stage_commit(o, e);
}
