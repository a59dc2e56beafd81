#include "filter/scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/stage.h"
#include "base/workq.h"
#include "filter/draw.h"

#define RECORD_ARENA_MAX ((size_t)4 << 20) /* bytes for one record */

struct scan {
    const struct corpus *corpus;
    struct part part;
    const struct scan_ops *ops;
    void *ctx;
    uint32_t next;
    struct progress progress;
};

/* The caller's item stands behind the bucket's number. */
struct job {
    uint32_t bucket;
    _Alignas(16) char item[];
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct scan *s = ctx;
    struct job *job = item;

    (void)e;
    while (s->next < corpus_buckets(s->corpus) && !part_has(s->part, s->next))
        s->next++;
    *more = s->next < corpus_buckets(s->corpus);
    job->bucket = s->next++;
    return 0;
}

static int read_bucket(const struct scan *s, struct job *job, struct err *e)
{
    char name[64];
    struct jsonl_reader r;
    struct arena arena;
    struct str line;
    bool more;
    int rc;

    snprintf(name, sizeof name, "unique/bucket-%04u", job->bucket);
    arena_init(&arena, RECORD_ARENA_MAX);
    rc = sidecar_open(&r, s->corpus, name, e);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        struct pair p;

        arena_reset(&arena);
        rc = pair_read(line, &arena, &p, e);
        if (!rc)
            rc = s->ops->pair(s->ctx, job->item, &p, e);
        if (rc)
            rc = err_wrap(e, rc, "%s: line %llu", r.path,
                          (unsigned long long)r.line);
    }
    jsonl_close(&r);
    arena_release(&arena);
    return rc;
}

static int work(void *ctx, void *item, struct err *e)
{
    struct scan *s = ctx;
    struct job *job = item;
    bool skip = false;
    int rc = s->ops->start(s->ctx, job->item, job->bucket, &skip, e);

    if (!rc && !skip)
        rc = read_bucket(s, job, e);
    return rc ? rc : s->ops->finish(s->ctx, job->item, e);
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct scan *s = ctx;
    struct job *job = item;

    progress_add(&s->progress, 1);
    return s->ops->consume(s->ctx, job->item, e);
}

static const struct workq_ops pipeline = {produce, work, consume};

int scan_run(const struct corpus *c, struct part part, unsigned threads,
             const char *label, const struct scan_ops *ops, void *ctx,
             struct err *e)
{
    struct scan s = {.corpus = c, .part = part, .ops = ops, .ctx = ctx};
    size_t size = (sizeof(struct job) + ops->item_size + 15) & ~(size_t)15;
    unsigned depth = 2 * threads;
    char *jobs = xcalloc(depth, size);
    int rc;

    for (unsigned i = 0; i < depth; i++)
        ops->init(ctx, ((struct job *)(void *)(jobs + i * size))->item);
    progress_begin(&s.progress, label, "buckets",
                   part.n ? (corpus_buckets(c) + part.n - 1 - part.i) / part.n
                          : corpus_buckets(c));
    rc = workq_run(&pipeline, &s, jobs, size, depth, threads, e);
    progress_end(&s.progress, rc);
    for (unsigned i = 0; i < depth; i++)
        ops->release(ctx, ((struct job *)(void *)(jobs + i * size))->item);
    free(jobs);
    return rc;
}

int scan_draws(const struct corpus *c, const struct qlist *list,
               const struct caps *caps, const struct pair *p, uint64_t *d,
               struct err *e)
{
    for (uint32_t i = 0; i < p->n_q; i++) {
        uint32_t q = p->q[i];

        if (q >= caps->n)
            return err_set(e, E_STALE,
                           "it matches query %u, the list ends at %u: run "
                           "match and gather again with --redo",
                           q, caps->n);
        d[i] = caps_draw(caps, q,
                         draw_hash(c->head.seed, p->uid, qlist_norm(list, q)),
                         p->uid);
        if (d[i] == UINT64_MAX)
            return err_set(e, E_STALE,
                           "a pair without a rank: caps.bin is of another "
                           "unique/; run balance --plan --redo");
    }
    return 0;
}
