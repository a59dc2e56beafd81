#include "shards/pack.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/workq.h"
#include "shards/pack_shard.h"
#include "shards/sample.h"

#define COUNTS_MAX ((size_t)4 << 30) /* bytes of counts.tsv */

struct pack {
    const struct corpus *corpus;
    const struct pack_config *config;
    struct pack_plan plan;
    struct stage stage;
    uint64_t shards, next; /* of the corpus; the next to look at */
    struct pack_summary *summary;
    struct progress progress;
};

/* A shard on its way through the queue. */
struct job {
    struct stage_output output;
    struct stage_inputs inputs;
    struct pack_shard shard;
    bool begun; /* output and inputs are to be released */
};

static void job_release(struct job *job)
{
    if (job->begun) {
        stage_output_release(&job->output);
        stage_inputs_release(&job->inputs);
    }
    job->begun = false;
}

/* The buckets it reads, and where in the first of them it begins: that
 * depends on how many rows the buckets before have. */
static void shard_inputs(const struct pack *p, uint64_t first, uint64_t n,
                         struct stage_inputs *in)
{
    uint32_t k = pack_bucket_of(&p->plan, first);
    uint8_t raw[SHA256_SIZE];
    char hex[SHA256_HEX], text[128];

    snprintf(text, sizeof text, "%llu rows from row %llu of bucket %u",
             (unsigned long long)n,
             (unsigned long long)(first - p->plan.buckets[k].first), k);
    hash_sha256(str_of(text), raw);
    hash_hex(raw, sizeof raw, hex);
    stage_inputs_init(in);
    stage_inputs_add(in, text, hex);
    for (; k < p->plan.n_buckets && p->plan.buckets[k].first < first + n; k++) {
        snprintf(text, sizeof text, "survivors/bucket-%04u.jsonl.zst", k);
        stage_inputs_add(in, text, p->plan.buckets[k].sha256);
    }
}

static int next_shard(void *ctx, void *item, bool *more, struct err *e)
{
    struct pack *p = ctx;
    struct job *job = item;
    bool done = true;
    int rc = 0;

    job_release(job); /* of an earlier shard that failed */
    while (done && !rc && p->next < p->shards) {
        uint64_t k = p->next++, first = k * p->config->samples;
        uint64_t n = p->plan.rows - first;
        char name[STAGE_NAME_MAX];

        if (!part_has(p->config->stage.part, k))
            continue;
        if (n > p->config->samples)
            n = p->config->samples;
        snprintf(name, sizeof name, "shards/%05llu", (unsigned long long)k);
        shard_inputs(p, first, n, &job->inputs);
        rc = stage_begin(&p->stage, &job->output, name, &job->inputs, &done, e);
        job->begun = true;
        job->shard =
            (struct pack_shard){.number = k,
                                .first = first,
                                .n = n,
                                .digits = sample_digits(p->config->samples)};
        if (!rc && !done)
            rc = stage_path(&job->output, "", job->shard.base, e);
        if (rc || done)
            job_release(job);
    }
    *more = !rc && !done;
    return rc;
}

static int make_shard(void *ctx, void *item, struct err *e)
{
    struct pack *p = ctx;
    struct job *job = item;
    int rc = pack_shard_write(&job->shard, &p->plan, e);

    if (!rc)
        progress_add(&p->progress, job->shard.n);
    return rc;
}

static int commit_shard(void *ctx, void *item, struct err *e)
{
    struct pack *p = ctx;
    struct job *job = item;
    const struct pack_shard *s = &job->shard;
    struct tally *counts = &job->output.counts;
    char name[STAGE_NAME_MAX + 16];
    int rc;

    snprintf(name, sizeof name, "%s.tar", job->output.name);
    stage_file(&job->output, name, s->tar_sha256);
    snprintf(name, sizeof name, "%s_stats.json", job->output.name);
    stage_file(&job->output, name, s->stats_sha256);
    snprintf(name, sizeof name, "%s.idx", job->output.name);
    stage_file(&job->output, name, s->index_sha256);
    tally_add(counts, "samples", s->n);
    tally_add(counts, "texts", s->texts);
    tally_add(counts, "texts-cut", s->texts_cut);
    tally_add(counts, "image-bytes", s->image_bytes);
    tally_add(counts, "tar-bytes", s->tar_bytes);
    rc = stage_commit(&job->output, e);
    tally_add_all(&p->summary->counts, counts);
    p->summary->made += !rc;
    job_release(job);
    return rc;
}

static int make_shards(struct pack *p, struct err *e)
{
    static const struct workq_ops ops = {next_shard, make_shard, commit_shard};
    unsigned threads = stage_threads(&p->config->stage);
    struct job *jobs = xcalloc(threads + 1, sizeof *jobs);
    int rc;

    progress_begin(&p->progress, "pack", "samples", p->plan.rows);
    rc = workq_run(&ops, p, jobs, sizeof *jobs, threads + 1, threads, e);
    progress_end(&p->progress, rc);
    for (unsigned i = 0; i < threads + 1; i++)
        job_release(&jobs[i]);
    free(jobs);
    return rc;
}

/* ---- sizes.json and counts.tsv ---- */

static void render_sizes(const struct pack *p, struct buf *out)
{
    uint64_t left = p->plan.rows;

    buf_add_char(out, '{');
    for (uint64_t k = 0; k < p->shards; k++) {
        uint64_t n = left < p->config->samples ? left : p->config->samples;

        buf_addf(out, "%s\n    \"%05llu.tar\": %llu", k ? "," : "",
                 (unsigned long long)k, (unsigned long long)n);
        left -= n;
    }
    buf_add(out, p->shards ? STR("\n}\n") : STR("}\n"));
}

static void render_counts(const struct pack_counts *counts, struct buf *out)
{
    for (uint64_t i = 0; i < counts->n; i++) {
        struct pack_query q;

        if (!counts->get(counts->ctx, i, &q))
            continue;
        buf_addf(out, "%llu\t", (unsigned long long)q.id);
        for (size_t c = 0; c < q.text.n; c++)
            buf_add_char(out,
                         (unsigned char)q.text.p[c] < 0x20 ? ' ' : q.text.p[c]);
        buf_addf(out, "\t%llu\t%llu\n", (unsigned long long)q.c,
                 (unsigned long long)q.t);
    }
}

static void sha_of(struct str s, char hex[SHA256_HEX])
{
    uint8_t raw[SHA256_SIZE];

    hash_sha256(s, raw);
    hash_hex(raw, sizeof raw, hex);
}

static int write_file(struct stage_output *o, const struct corpus *c,
                      const char *name, struct str content, struct err *e)
{
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    int rc = corpus_path(c, name, path, e);

    if (!rc)
        rc = io_write_file(path, content, e);
    sha_of(content, hex);
    stage_file(o, name, hex);
    return rc;
}

/* Small enough to be rendered whole; what they say is their own input. */
static int write_lists(struct pack *p, const struct pack_counts *counts,
                       struct err *e)
{
    struct stage_output o;
    struct stage_inputs in;
    struct buf sizes, tsv;
    char hex[SHA256_HEX];
    bool done = false;
    int rc = 0;

    buf_init(&sizes, COUNTS_MAX);
    buf_init(&tsv, COUNTS_MAX);
    stage_inputs_init(&in);
    render_sizes(p, &sizes);
    sha_of(buf_str(&sizes), hex);
    stage_inputs_add(&in, "sizes", hex);
    if (counts) {
        render_counts(counts, &tsv);
        sha_of(buf_str(&tsv), hex);
        stage_inputs_add(&in, "counts", hex);
    }
    if (sizes.rc || tsv.rc)
        rc = err_set(e, E_NOMEM, "no memory for sizes.json and counts.tsv");
    if (!rc) {
        rc = stage_begin(&p->stage, &o, "shards/sizes", &in, &done, e);
        if (!rc && !done)
            rc = write_file(&o, p->corpus, "shards/sizes.json", buf_str(&sizes),
                            e);
        if (!rc && !done && counts)
            rc = write_file(&o, p->corpus, "shards/counts.tsv", buf_str(&tsv),
                            e);
        if (!rc && !done)
            rc = stage_commit(&o, e);
        stage_output_release(&o);
    }
    stage_inputs_release(&in);
    buf_release(&sizes);
    buf_release(&tsv);
    return rc;
}

int pack_run(const struct corpus *c, const struct pack_config *config,
             const struct opt_table *table, const struct pack_counts *counts,
             struct pack_summary *summary, struct err *e)
{
    struct pack p = {.corpus = c, .config = config, .summary = summary};
    int rc;

    *summary = (struct pack_summary){0};
    tally_init(&summary->counts);
    rc = pack_plan_open(&p.plan, c, e);
    if (rc)
        return rc;
    p.shards = (p.plan.rows + config->samples - 1) / config->samples;
    summary->shards = p.shards;
    summary->samples = p.plan.rows;
    stage_init(&p.stage, c, "pack", PACK_VERSION, table, config,
               config->stage.redo);
    if (part_has(config->stage.part, 0))
        rc = stage_prune(&p.stage, "shards", "", p.shards, e);
    if (!rc)
        rc = make_shards(&p, e);
    if (!rc && part_has(config->stage.part, 0))
        rc = write_lists(&p, counts, e);
    stage_release(&p.stage);
    pack_plan_close(&p.plan);
    return rc;
}
