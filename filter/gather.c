#include "filter/gather.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/workq.h"
#include "filter/counts.h"
#include "filter/gather_bucket.h"
#include "filter/match.h"
#include "filter/sorter.h"

#define INPUTS_ARENA ((size_t)1 << 20) /* bytes of names with escapes */

struct job {
    struct gather_bucket bucket;
    bool done_before;
    struct tally counts, drops;
};

struct gather {
    const struct corpus *corpus;
    const struct gather_config *config;
    struct stage stage;
    struct stage_inputs inputs; /* of every bucket: all matched parts */
    struct gather_source *sources;
    size_t n_sources;
    uint64_t bucket_bytes;        /* memory for the records of one */
    uint32_t next;                /* bucket to produce */
    char list_sha256[SHA256_HEX]; /* of queries.bin: what ids in q mean */
    struct gather_summary *sum;
    struct progress progress;
};

/* ---- the pipeline: an item is a bucket ---- */

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct gather *g = ctx;
    struct job *job = item;

    (void)e;
    while (g->next < corpus_buckets(g->corpus) &&
           !part_has(g->config->stage.part, g->next))
        g->next++;
    *more = g->next < corpus_buckets(g->corpus);
    job->bucket = (struct gather_bucket){.corpus = g->corpus,
                                         .sources = g->sources,
                                         .n_sources = g->n_sources,
                                         .exclude = g->config->exclude,
                                         .memory_bytes = g->bucket_bytes,
                                         .k = g->next++};
    return 0;
}

static int work(void *ctx, void *item, struct err *e)
{
    struct gather *g = ctx;
    struct job *job = item;
    char name[STAGE_NAME_MAX];
    struct stage stage = g->stage; /* commit marks its own copy */
    struct stage_output o;
    int rc;

    snprintf(name, sizeof name, "unique/bucket-%04u", job->bucket.k);
    rc = stage_begin(&stage, &o, name, &g->inputs, &job->done_before, e);
    tally_clear(&job->counts);
    tally_clear(&job->drops);
    if (!rc && job->done_before)
        rc = sidecar_add_tallies(g->corpus, name, &job->counts, &job->drops, e);
    else if (!rc)
        rc = gather_bucket(&job->bucket, &o, e);
    tally_add_all(&job->counts, &o.counts);
    tally_add_all(&job->drops, &o.drops);
    stage_output_release(&o);
    return rc;
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct gather *g = ctx;
    struct job *job = item;

    (void)e;
    g->sum->buckets++;
    g->sum->buckets_done_before += job->done_before;
    g->sum->spilled += job->bucket.spilled;
    tally_add_all(&g->sum->counts, &job->counts);
    tally_add_all(&g->sum->drops, &job->drops);
    progress_add(&g->progress, 1);
    return 0;
}

static const struct workq_ops pipeline = {produce, work, consume};

/* ---- finish ---- */

/* Parts that were run with other options, or beside other inputs, would give
 * buckets that do not belong together. */
static int same_making(struct gather *g, const char *name, bool is_first,
                       char first[SHA256_HEX], struct err *e)
{
    struct sidecar s;
    int rc = sidecar_read(&s, g->corpus, name, e);

    if (rc)
        return rc;
    if (is_first)
        memcpy(first, s.fingerprint, SHA256_HEX);
    else if (strcmp(first, s.fingerprint))
        rc = err_set(e, E_STALE,
                     "%s/%s was made with other options or inputs than "
                     "unique/bucket-0000: run gather again with --redo",
                     g->corpus->dir, name);
    sidecar_release(&s);
    return rc;
}

/* Inputs of counts.bin: the list and all buckets, which are of that list. */
static int add_buckets(struct gather *g, struct stage_inputs *in, struct err *e)
{
    struct stage_inputs list;
    char name[STAGE_NAME_MAX], first[SHA256_HEX];
    int rc = 0;

    stage_inputs_init(&list);
    stage_inputs_add(&list, "queries.bin", g->list_sha256);
    stage_inputs_add(in, "queries.bin", g->list_sha256);
    for (uint32_t k = 0; !rc && k < corpus_buckets(g->corpus); k++) {
        snprintf(name, sizeof name, "unique/bucket-%04u", k);
        rc = stage_inputs_add_output(in, g->corpus, name, "gather", e);
        if (!rc)
            rc = stage_made_from(g->corpus, name, "gather", &list, e);
        if (!rc)
            rc = same_making(g, name, k == 0, first, e);
        if (!rc && g->config->finish) { /* all of them are told of now */
            rc = sidecar_add_tallies(g->corpus, name, &g->sum->counts,
                                     &g->sum->drops, e);
            g->sum->buckets++;
            g->sum->buckets_done_before++;
        }
    }
    stage_inputs_release(&list);
    return rc;
}

static int finish(struct gather *g, struct err *e)
{
    char name[STAGE_NAME_MAX], path[IO_PATH_MAX], hex[SHA256_HEX];
    struct stage_inputs in;
    struct stage_output o;
    struct counts sum;
    bool done;
    int rc = 0;

    stage_inputs_init(&in);
    rc = stage_prune(&g->stage, "unique", "bucket-", corpus_buckets(g->corpus),
                     e);
    if (!rc)
        rc = add_buckets(g, &in, e);
    if (rc) {
        stage_inputs_release(&in);
        return rc;
    }
    counts_init(&sum, g->corpus->head.n_queries);
    rc = stage_begin(&g->stage, &o, "unique/counts", &in, &done, e);
    for (uint32_t k = 0; !rc && k < corpus_buckets(g->corpus); k++) {
        snprintf(name, sizeof name, "unique/bucket-%04u.counts", k);
        rc = corpus_path(g->corpus, name, path, e);
        if (!rc)
            rc = counts_add_sparse(&sum, path, e);
    }
    for (uint32_t q = 0; q < sum.n; q++)
        g->sum->matches += sum.c[q];
    if (!rc && !done) {
        tally_add(&o.counts, "matches", g->sum->matches);
        rc = stage_path(&o, ".bin", path, e);
        if (!rc)
            rc = counts_write(&sum, path, hex, e);
        if (!rc) {
            stage_file(&o, "unique/counts.bin", hex);
            rc = stage_commit(&o, e);
        }
    }
    counts_release(&sum);
    stage_output_release(&o);
    stage_inputs_release(&in);
    return rc;
}

/* ---- the stage ---- */

static int add_source(struct gather *g, const char *folder, const char *part,
                      size_t *cap, struct err *e)
{
    struct stage_inputs now;
    struct gather_source *s;
    char *pairs;
    int rc;

    g->sources = xgrow(g->sources, cap, g->n_sources + 1, sizeof *g->sources);
    s = &g->sources[g->n_sources++];
    s->offsets = NULL;
    s->name = xasprintf("%s/%s", folder, part);
    pairs = xasprintf("pairs%s", s->name + strlen("matched"));
    stage_inputs_init(&now);
    stage_inputs_add(&now, "queries.bin", g->list_sha256);
    rc = stage_inputs_add_output(&now, g->corpus, pairs, "match", NULL);
    if (rc == -E_NOTFOUND) /* pairs/ may have been moved away by now */
        rc = 0;
    if (!rc)
        rc = stage_made_from(g->corpus, s->name, "match", &now, e);
    stage_inputs_release(&now);
    free(pairs);
    if (!rc)
        rc = match_offsets(g->corpus, s->name, &s->offsets, e);
    if (!rc)
        rc =
            stage_inputs_add_output(&g->inputs, g->corpus, s->name, "match", e);
    return rc;
}

/* What a part was matched by, its pairs aside: options, lists, versions. */
static void matched_by(const struct sidecar *s, char hex[SHA256_HEX])
{
    struct arena arena;
    struct str name;
    struct sha256 h;
    struct json j;

    arena_init(&arena, INPUTS_ARENA);
    sha256_init(&h);
    sha256_add(&h, s->options);
    json_open(&j, s->inputs, &arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        struct str sha256 = json_string(&j);

        if (str_starts(name, STR("pairs/")))
            continue;
        sha256_add(&h, name);
        sha256_add(&h, sha256);
    }
    sha256_final_hex(&h, hex);
    arena_release(&arena);
}

/* The parts of a batch are matched by one set of rules: `match --part` sees
 * its own alone, and would leave two sets side by side.  batch: the first. */
static int same_rules(const struct gather *g, size_t batch, struct err *e)
{
    const struct gather_source *s = g->sources;
    char first[SHA256_HEX], hex[SHA256_HEX];

    for (size_t i = batch; i < g->n_sources; i++) {
        struct sidecar sidecar;
        int rc = sidecar_read(&sidecar, g->corpus, s[i].name, e);

        if (rc)
            return rc;
        matched_by(&sidecar, i == batch ? first : hex);
        sidecar_release(&sidecar);
        if (i > batch && strcmp(first, hex))
            return err_set(
                e, E_STALE,
                "%s/%s was matched with other options or lists than "
                "%s: run `witmill match %s --redo` with those wanted",
                g->corpus->dir, s[i].name, s[batch].name, g->corpus->dir);
    }
    return 0;
}

/* A pairs part that was not matched yet would silently be missing. */
static int batch_matched(struct gather *g, const char *batch, struct err *e)
{
    char folder[STAGE_NAME_MAX], to[STAGE_NAME_MAX];
    struct io_list pairs, all, *matched = &all;
    size_t k = 0;
    int rc;

    snprintf(folder, sizeof folder, "pairs/%s", batch);
    snprintf(to, sizeof to, "matched/%s", batch);
    rc = sidecar_list(g->corpus, folder, &pairs, e);
    if (rc)
        return rc;
    rc = sidecar_list(g->corpus, to, matched, e);
    for (size_t i = 0; !rc && i < pairs.n; i++) {
        while (k < matched->n && strcmp(matched->names[k], pairs.names[i]) < 0)
            k++;
        if (k == matched->n || strcmp(matched->names[k], pairs.names[i]))
            rc =
                err_set(e, E_NOTFOUND,
                        "%s/%s/%s is not matched yet: run `witmill match "
                        "%s` first",
                        g->corpus->dir, folder, pairs.names[i], g->corpus->dir);
    }
    io_list_release(matched);
    io_list_release(&pairs);
    return rc;
}

static int all_matched(struct gather *g, struct err *e)
{
    struct io_list batches;
    char path[IO_PATH_MAX];
    int rc = corpus_path(g->corpus, "pairs", path, e);

    if (rc || !io_exists(path))
        return rc;
    rc = io_list(path, &batches, e);
    for (size_t i = 0; !rc && i < batches.n; i++)
        rc = batch_matched(g, batches.names[i], e);
    io_list_release(&batches);
    return rc;
}

static int find_sources(struct gather *g, struct err *e)
{
    char path[IO_PATH_MAX], folder[STAGE_NAME_MAX];
    struct io_list batches, parts;
    struct err inner = ERR_INIT;
    size_t cap = 0, batch;
    int rc = corpus_path(g->corpus, "matched", path, e);

    if (rc)
        return rc;
    rc = io_list(path, &batches, &inner);
    if (rc == -E_NOTFOUND)
        return err_set(e, E_NOTFOUND,
                       "%s has nothing in matched/: run `witmill match` first",
                       g->corpus->dir);
    if (rc)
        return err_set(e, -rc, "%s", inner.message);
    rc = all_matched(g, e);
    for (size_t i = 0; !rc && i < batches.n; i++) {
        snprintf(folder, sizeof folder, "matched/%s", batches.names[i]);
        rc = sidecar_list(g->corpus, folder, &parts, e);
        batch = g->n_sources;
        for (size_t k = 0; !rc && k < parts.n; k++)
            rc = add_source(g, folder, parts.names[k], &cap, e);
        if (!rc)
            rc = same_rules(g, batch, e);
        io_list_release(&parts);
    }
    io_list_release(&batches);
    return rc;
}

/* The evaluation sets' files, each by what is in it. */
static void add_excluded(struct gather *g)
{
    if (g->config->exclude_inputs)
        stage_inputs_add_all(&g->inputs, g->config->exclude_inputs);
}

static void release(struct gather *g)
{
    for (size_t i = 0; i < g->n_sources; i++) {
        free(g->sources[i].name);
        free(g->sources[i].offsets);
    }
    free(g->sources);
    stage_inputs_release(&g->inputs);
    stage_release(&g->stage);
}

static int all_buckets(struct gather *g, struct err *e)
{
    unsigned threads = stage_threads(&g->config->stage);
    struct job *jobs;
    int rc = gather_share(g->config->memory_bytes, threads, g->n_sources,
                          corpus_buckets(g->corpus), &g->bucket_bytes, e);

    if (rc)
        return rc;
    jobs = xcalloc(2 * threads, sizeof *jobs);
    progress_begin(&g->progress, "gather", "buckets",
                   corpus_buckets(g->corpus));
    rc = workq_run(&pipeline, g, jobs, sizeof *jobs, 2 * threads, threads, e);
    progress_end(&g->progress, rc);
    for (unsigned i = 0; i < 2 * threads; i++) {
        tally_release(&jobs[i].counts);
        tally_release(&jobs[i].drops);
    }
    free(jobs);
    return rc;
}

int gather_run(const struct corpus *c, const struct opt_table *table,
               const struct gather_config *config, struct gather_summary *sum,
               struct err *e)
{
    struct gather g = {.corpus = c, .config = config, .sum = sum};
    char path[IO_PATH_MAX];
    int rc = corpus_path(c, "queries.bin", path, e);

    *sum = (struct gather_summary){0};
    stage_init(&g.stage, c, "gather", GATHER_VERSION, table, config,
               config->stage.redo);
    stage_inputs_init(&g.inputs);
    if (config->finish && config->stage.part.n)
        rc = err_set(e, E_USAGE,
                     "--finish adds up all buckets: it does not "
                     "go with --part");
    if (!rc)
        rc = io_sha256_file(path, g.list_sha256, e);
    stage_inputs_add(&g.inputs, "queries.bin", g.list_sha256);
    if (!rc && !config->finish) {
        rc = find_sources(&g, e);
        if (!rc)
            add_excluded(&g);
        if (!rc)
            rc = all_buckets(&g, e);
        /* Of a list with more buckets. */
        if (!rc && config->stage.part.n == 0)
            rc = stage_prune(&g.stage, "unique", "bucket-", corpus_buckets(c),
                             e);
    }
    if (!rc && config->stage.part.n == 0)
        rc = finish(&g, e);
    release(&g);
    return rc;
}
