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

/* What an earlier run with an evaluation set left, or one with more buckets. */
static int prune(struct dedup *d, struct err *e)
{
    bool against = d->config->set != NULL;
    uint32_t n = corpus_buckets(d->corpus);
    struct io_list keep = {.names = xcalloc(n + 2, sizeof *keep.names)};
    int rc;

    if (against)
        keep.names[keep.n++] = xstrdup("against");
    for (uint32_t k = 0; k < n; k++)
        keep.names[keep.n++] = xasprintf("bucket-%04u", k);
    keep.names[keep.n++] = xstrdup("duplicates");
    rc = stage_prune_others(&d->stage, "survivors", &keep, e);
    io_list_release(&keep);
    return rc;
}

/* Whether anything is left to do. */
static int begin_outputs(struct dedup *d, bool *work, struct err *e)
{
    uint32_t n = corpus_buckets(d->corpus);
    int rc = stage_begin(&d->stage, &d->duplicates, DEDUP_DUPLICATES,
                         &d->sources.inputs, &d->duplicates_done, e);

    if (!rc)
        rc = prune(d, e);
    d->against_done = true;
    if (!rc && d->config->set)
        rc = stage_begin(&d->stage, &d->against, DEDUP_AGAINST,
                         &d->sources.inputs, &d->against_done, e);
    *work = !d->duplicates_done || !d->against_done;
    for (uint32_t k = 0; !rc && k < n; k++) {
        rc = begin_bucket(d, k, e);
        *work |= !d->bucket_done[k];
    }
    return rc;
}

/* ---- first sweep ---- */

/* Which pairs' URLs gave an image, for --exact. */
static int mark_pairs(struct dedup *d, struct dedup_join *j, struct err *e)
{
    const struct pair *p;
    int rc;

    while (!(rc = dedup_join_pair(j, &p, e)) && p)
        dedup_exact_mark(&d->exact, p);
    return rc;
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
        rc = dedup_search_add(
            &d->search, url.image->sha256,
            url.image->phash_exempt ? NULL : &url.image->phash, e);
        if (!rc && d->is_exact)
            rc = mark_pairs(d, j, e);
        if (rc)
            break;
    }
    return rc;
}

static int gather(struct dedup *d, struct err *e)
{
    struct dedup_join j;
    int rc = dedup_join_open(&j, d->corpus, &d->sources,
                             d->search.config.memory_bytes / LEDGER_SHARE, e);

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

/* The images of the evaluation set get the first ids. */
static int open_search(struct dedup *d, struct err *e)
{
    const struct dedup_set *set = d->config->set;
    struct dedup_search_config c = {
        .folder = d->corpus->dir,
        .memory_bytes =
            d->config->memory_bytes ? d->config->memory_bytes : DEDUP_MEMORY,
        .expect = d->sources.images + (set ? set->n : 0),
        .radius = (unsigned)d->config->radius,
        .threads = stage_threads(&d->config->stage)};
    int rc = dedup_search_open(&d->search, &c, e);

    for (size_t i = 0; !rc && set && i < set->n; i++) {
        const struct dedup_set_image *image = &set->images[i];

        rc = dedup_search_add(&d->search, image->has_sha ? image->sha : NULL,
                              image->has_phash ? &image->phash : NULL, e);
    }
    if (!rc)
        dedup_search_set_ends(&d->search);
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
        rc = open_search(d, e);
    if (!rc)
        rc = gather(d, e);
    if (!rc && d->is_exact)
        dedup_exact_cut(&d->exact);
    if (!rc)
        rc = dedup_search_finish(&d->search, e);
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
    stage_output_release(&d->against);
    dedup_search_close(&d->search);
    stage_release(&d->stage);
    dedup_sources_release(&d->sources);
    dedup_exact_release(&d->exact);
    free(d->buckets);
    free(d->bucket_inputs);
    free(d->bucket_done);
    free(d->keep);
    dedup_texts_release(&d->texts);
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
    buf_init(&d.line, JSONL_LINE_MAX);
    dedup_texts_init(&d.texts, config->texts_bytes ? config->texts_bytes
                                                   : DEDUP_TEXTS_BYTES);
    stage_init(&d.stage, c, "dedup", DEDUP_VERSION, table, config,
               config->stage.redo);
    if (ranks && ranks->inputs)
        stage_inputs_add_all(&d.sources.inputs, ranks->inputs);
    if (config->set)
        stage_inputs_add_all(&d.sources.inputs, &config->set->inputs);
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
