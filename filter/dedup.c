#include "filter/dedup.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "filter/dedup_private.h"

/* ---- outputs ---- */

/*
 * Every bucket depends on all of selected/ and all ledgers.  Rather than list
 * them in each of up to 8,192 sidecars, a bucket lists the fingerprint of the
 * duplicates, which hashes exactly these inputs.
 */
static int begin_bucket(struct dedup *d, uint32_t k, struct err *e)
{
    struct stage_inputs *in = &d->bucket_inputs[k];
    char name[STAGE_NAME_MAX];

    stage_inputs_init(in);
    stage_inputs_add(in, DEDUP_DUPLICATES " (fingerprint)",
                     d->duplicates.fingerprint);
    snprintf(name, sizeof name, "survivors/bucket-%04u", k);
    return stage_begin(&d->stage, &d->buckets[k], name, in, &d->bucket_done[k],
                       e);
}

/* Whether anything is left to do. */
static int begin_outputs(struct dedup *d, bool *work, struct err *e)
{
    uint32_t n = corpus_buckets(d->corpus);
    int rc = stage_prune(&d->stage, "survivors", "bucket-", n, e);

    if (!rc)
        rc = stage_begin(&d->stage, &d->duplicates, DEDUP_DUPLICATES,
                         &d->sources.inputs, &d->duplicates_done, e);
    *work = !d->duplicates_done;
    for (uint32_t k = 0; !rc && k < n; k++) {
        rc = begin_bucket(d, k, e);
        *work |= !d->bucket_done[k];
    }
    return rc;
}

/* ---- first sweep ---- */

static int add_image(struct dedup *d, const struct ledger *l, struct err *e)
{
    struct dedup_image *to;

    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 4096;
        void *images = realloc(d->images, cap * sizeof *d->images);
        void *exempt = NULL;

        if (images) {
            d->images = images;
            exempt = realloc(d->exempt, cap / 8);
        }
        if (!exempt)
            return err_set(e, E_NOMEM, "no memory for over %zu images", d->n);
        d->exempt = exempt;
        memset(d->exempt + d->cap / 8, 0, (cap - d->cap) / 8);
        d->cap = cap;
    }
    to = &d->images[d->n];
    memcpy(to->sha, l->sha256, sizeof to->sha);
    to->phash = l->phash;
    if (l->phash_exempt)
        d->exempt[d->n / 8] |= (uint8_t)(1u << d->n % 8);
    d->n++;
    return 0;
}

static int gather_bucket(struct dedup *d, struct dedup_join *j, struct err *e)
{
    struct dedup_url url;
    bool more;
    int rc;

    while (!(rc = dedup_join_next(j, &url, &more, e)) && more) {
        progress_add(&d->progress, 1);
        d->urls_seen++;
        d->unasked += !url.asked;
        if (!url.image)
            continue;
        for (size_t i = 0; d->is_exact && i < url.n_pairs; i++)
            dedup_exact_mark(&d->exact, &url.pairs[i]);
        rc = add_image(d, url.image, e);
        if (rc)
            break;
    }
    return rc;
}

static int gather(struct dedup *d, struct err *e)
{
    struct dedup_join j;
    int rc = dedup_join_open(&j, d->corpus, &d->sources, d->is_exact, e);

    if (rc)
        return rc;
    progress_begin(&d->progress, "dedup: compare", "urls", 0);
    for (uint32_t k = 0; !rc && k < corpus_buckets(d->corpus); k++) {
        rc = dedup_join_bucket(&j, k, e);
        if (!rc)
            rc = gather_bucket(d, &j, e);
    }
    progress_end(&d->progress, rc);
    dedup_join_close(&j);
    return rc;
}

static int judge(struct dedup *d, struct err *e)
{
    int rc;

    d->verdicts = malloc((d->n + 1) * sizeof *d->verdicts);
    d->is_pusher = calloc(d->n / 8 + 1, 1);
    if (!d->verdicts || !d->is_pusher)
        return err_set(e, E_NOMEM, "no memory to compare %zu images", d->n);
    rc = dedup_judge(d->images, d->exempt, d->n, (unsigned)d->config->radius,
                     stage_threads(&d->config->stage), d->verdicts, e);
    for (size_t i = 0; !rc && i < d->n; i++) {
        uint32_t by = d->verdicts[i].by;

        if (by != DEDUP_NONE)
            d->is_pusher[by / 8] |= (uint8_t)(1u << by % 8);
    }
    return rc;
}

/* ---- the run ---- */

static int do_work(struct dedup *d, const struct dedup_ranks *ranks,
                   struct err *e)
{
    int rc = 0;

    if (d->is_exact)
        rc = dedup_exact_init(&d->exact, ranks, e);
    if (!rc)
        rc = gather(d, e);
    if (!rc && d->is_exact)
        dedup_exact_cut(&d->exact);
    if (!rc)
        rc = judge(d, e);
    return rc ? rc : dedup_write_all(d, e);
}

/* What all buckets say, whether made in this run or before. */
static int summarise(struct dedup *d, struct dedup_summary *to, struct err *e)
{
    for (uint32_t k = 0; k < corpus_buckets(d->corpus); k++) {
        struct sidecar s;
        int rc = sidecar_read(&s, d->corpus, d->buckets[k].name, e);

        if (rc)
            return rc;
        tally_add_all(&to->counts, &s.counts);
        tally_add_all(&to->drops, &s.drops);
        sidecar_release(&s);
    }
    return 0;
}

static void release(struct dedup *d)
{
    for (uint32_t k = 0; k < corpus_buckets(d->corpus); k++) {
        stage_output_release(&d->buckets[k]);
        stage_inputs_release(&d->bucket_inputs[k]);
    }
    stage_output_release(&d->duplicates);
    stage_release(&d->stage);
    dedup_sources_release(&d->sources);
    dedup_exact_release(&d->exact);
    free(d->buckets);
    free(d->bucket_inputs);
    free(d->bucket_done);
    free(d->images);
    free(d->exempt);
    free(d->verdicts);
    free(d->is_pusher);
    free(d->pushers);
    free(d->keep);
    buf_release(&d->urls);
    buf_release(&d->line);
}

int dedup_run(const struct corpus *c, const struct dedup_config *config,
              const struct opt_table *table, const struct dedup_ranks *ranks,
              struct dedup_summary *summary, struct err *e)
{
    struct dedup d = {.corpus = c, .config = config, .is_exact = ranks != NULL};
    uint32_t n = corpus_buckets(c);
    bool work;
    int rc;

    tally_init(&summary->counts);
    tally_init(&summary->drops);
    rc = dedup_sources_open(&d.sources, c, e);
    if (rc)
        return rc;
    d.buckets = xcalloc(n, sizeof *d.buckets);
    d.bucket_inputs = xcalloc(n, sizeof *d.bucket_inputs);
    d.bucket_done = xcalloc(n, sizeof *d.bucket_done);
    buf_init(&d.urls, BUF_NO_LIMIT);
    buf_init(&d.line, JSONL_LINE_MAX);
    stage_init(&d.stage, c, "dedup", DEDUP_VERSION, table, config,
               config->stage.redo);
    for (size_t i = 0; ranks && ranks->inputs && i < ranks->inputs->n; i++)
        stage_inputs_add(&d.sources.inputs, ranks->inputs->v[i].name,
                         ranks->inputs->v[i].sha256);
    rc = begin_outputs(&d, &work, e);
    if (!rc && work)
        rc = do_work(&d, ranks, e);
    if (!rc && d.unasked)
        log_event("warning",
                  "%llu of %llu selected URLs have not been asked yet: after "
                  "`witmill download %s`, dedup --redo takes their images in",
                  (unsigned long long)d.unasked,
                  (unsigned long long)d.urls_seen, c->dir);
    if (!rc)
        rc = summarise(&d, summary, e);
    release(&d);
    return rc;
}
