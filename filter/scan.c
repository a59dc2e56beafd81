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

/* A bucket that is cut between two frames reads well; its sidecar knows. */
static int all_read(const struct corpus *c, uint32_t bucket,
                    const struct jsonl_reader *r, struct err *e)
{
    struct sidecar s;
    char name[64];
    uint64_t want;
    int rc;

    snprintf(name, sizeof name, "unique/bucket-%04u", bucket);
    rc = sidecar_read(&s, c, name, e);
    if (rc)
        return rc;
    want = tally_get(&s.counts, "records");
    sidecar_release(&s);
    return want == r->line
               ? 0
               : err_set(e, E_DAMAGED,
                         "%s has %llu records, its sidecar says %llu: remove "
                         "the sidecar and run gather again",
                         r->path, (unsigned long long)r->line,
                         (unsigned long long)want);
}

static int read_bucket(const struct scan *s, struct job *job, struct err *e)
{
    char name[64], path[IO_PATH_MAX];
    struct jsonl_reader r;
    struct arena arena;
    struct str line;
    bool more;
    int rc;

    snprintf(name, sizeof name, "unique/bucket-%04u.jsonl.zst", job->bucket);
    rc = corpus_path(s->corpus, name, path, e);
    if (rc)
        return rc;
    arena_init(&arena, RECORD_ARENA_MAX);
    rc = jsonl_open(&r, path, e);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        struct pair p;

        arena_reset(&arena);
        rc = pair_read(line, &arena, &p, e);
        if (!rc)
            rc = s->ops->pair(s->ctx, job->item, &p, e);
        if (rc)
            rc = err_wrap(e, rc, "%s: line %llu", path,
                          (unsigned long long)r.line);
    }
    if (!rc)
        rc = all_read(s->corpus, job->bucket, &r, e);
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
