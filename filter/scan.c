#include "filter/scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/pair_scan.h"
#include "base/progress.h"
#include "base/stage.h"
#include "base/workq.h"

#define RECORD_ARENA_MAX ((size_t)4 << 20) /* bytes for one record */

/* ---- one line ---- */

int scan_line(struct str line, uint32_t *ids, struct arena *a,
              struct scan_record *r, struct err *e)
{
    struct pair_scan plain;
    struct pair p;
    int rc;

    r->line = line;
    r->plain = pair_scan(line, &plain) && plain.matched && !plain.selected;
    if (r->plain && !hash_unhex(plain.uid, r->uid, MD5_SIZE)) {
        r->url = plain.url;
        r->q = ids;
        r->n_q = plain.n_q;
        pair_scan_ids(plain.q, ids);
        return 0;
    }
    arena_reset(a);
    rc = pair_read(line, a, &p, e);
    if (rc)
        return rc;
    memcpy(r->uid, p.uid, MD5_SIZE);
    r->url = p.url;
    r->q = p.q;
    r->n_q = p.n_q;
    return 0;
}

/* ---- all of them ---- */

struct scan {
    const struct corpus *corpus;
    const struct scan_config *config;
    const struct scan_ops *ops;
    void *ctx;
    uint32_t next;
    struct progress progress;
};

/* The caller's item stands behind the bucket's number. */
struct job {
    uint32_t bucket;
    uint32_t *ids;
    struct arena arena;
    _Alignas(16) char item[];
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct scan *s = ctx;
    struct job *job = item;
    uint32_t n = corpus_buckets(s->corpus);

    (void)e;
    while (s->next < n && !part_has(s->config->part, s->next))
        s->next++;
    *more = s->next < n;
    job->bucket = s->next++;
    return 0;
}

static int do_line(const struct scan *s, struct job *job, struct str line,
                   struct err *e)
{
    struct scan_record r;
    int rc = scan_line(line, job->ids, &job->arena, &r, e);

    if (rc)
        return rc;
    if (r.n_q && r.q[r.n_q - 1] >= s->config->n_queries)
        return err_set(e, E_STALE,
                       "it matches query %u, the list ends at %u: run match "
                       "and gather again with --redo",
                       r.q[r.n_q - 1], s->config->n_queries);
    return s->ops->record(s->ctx, job->item, &r, e);
}

static int read_bucket(const struct scan *s, struct job *job, struct err *e)
{
    char name[64];
    struct jsonl_reader r;
    struct str line;
    bool more;
    int rc;

    snprintf(name, sizeof name, "unique/bucket-%04u", job->bucket);
    rc = sidecar_open(&r, s->corpus, name, e);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        rc = do_line(s, job, line, e);
        if (rc)
            rc = err_wrap(e, rc, "%s: line %llu", r.path,
                          (unsigned long long)r.line);
    }
    jsonl_close(&r);
    return rc;
}

static int work(void *ctx, void *item, struct err *e)
{
    struct scan *s = ctx;
    struct job *job = item;
    bool skip = false;
    int rc = 0;

    if (s->ops->start)
        rc = s->ops->start(s->ctx, job->item, job->bucket, &skip, e);
    if (!rc && !skip)
        rc = read_bucket(s, job, e);
    if (!rc && s->ops->finish)
        rc = s->ops->finish(s->ctx, job->item, e);
    return rc;
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct scan *s = ctx;
    struct job *job = item;

    progress_add(&s->progress, 1);
    return s->ops->consume ? s->ops->consume(s->ctx, job->item, e) : 0;
}

static const struct workq_ops pipeline = {produce, work, consume};

static uint64_t buckets_of(const struct corpus *c, struct part part)
{
    uint64_t n = corpus_buckets(c);

    return part.n ? (n + part.n - 1 - part.i) / part.n : n;
}

static struct job *job_at(char *jobs, size_t size, unsigned i)
{
    return (void *)(jobs + i * size);
}

int scan_run(const struct corpus *c, const struct scan_config *config,
             const struct scan_ops *ops, void *ctx, struct err *e)
{
    struct scan s = {.corpus = c, .config = config, .ops = ops, .ctx = ctx};
    size_t size = (sizeof(struct job) + ops->item_size + 15) & ~(size_t)15;
    unsigned depth = 2 * config->threads;
    char *jobs = xcalloc(depth, size);
    int rc;

    for (unsigned i = 0; i < depth; i++) {
        struct job *job = job_at(jobs, size, i);

        job->ids = xcalloc(PAIR_MATCHES_MAX, sizeof *job->ids);
        arena_init(&job->arena, RECORD_ARENA_MAX);
        ops->init(ctx, job->item);
    }
    progress_begin(&s.progress, config->label, "buckets",
                   buckets_of(c, config->part));
    rc = workq_run(&pipeline, &s, jobs, size, depth, config->threads, e);
    progress_end(&s.progress, rc);
    for (unsigned i = 0; i < depth; i++) {
        struct job *job = job_at(jobs, size, i);

        ops->release(ctx, job->item);
        arena_release(&job->arena);
        free(job->ids);
    }
    free(jobs);
    return rc;
}
