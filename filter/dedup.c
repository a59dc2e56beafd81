#include "filter/dedup.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/survivor.h"
#include "filter/dedup_join.h"
#include "filter/dedup_near.h"

#define DUPLICATES "survivors/duplicates"

/* A URL that pushed another out, met in the second sweep. */
struct pusher {
    uint32_t id;
    size_t at, n; /* of its URL in dedup.urls */
};

struct dedup {
    const struct corpus *corpus;
    const struct dedup_config *config;
    struct dedup_sources sources;
    struct stage stage;
    struct stage_output duplicates, *buckets;
    struct stage_inputs *bucket_inputs;
    bool duplicates_done, *bucket_done;
    /* Gathered by the first sweep; ids are indexes. */
    struct dedup_image *images;
    uint8_t *exempt; /* a bit per id */
    size_t n, cap;
    struct dedup_verdict *verdicts;
    struct dedup_exact exact;
    bool is_exact;
    /* Of the second. */
    uint8_t *is_pusher;     /* a bit per id */
    struct pusher *pushers; /* ascending ids */
    size_t n_pushers, cap_pushers;
    struct buf urls;
    struct jsonl_writer dup_out, out;
    struct stage_output *bucket; /* being written, or NULL */
    bool frames_open;            /* an array of offsets is being written */
    uint64_t rows;               /* in the bucket */
    struct buf line;
    uint32_t *keep; /* scratch of PAIR_MATCHES_MAX ids a text */
    size_t cap_keep;
    struct progress progress;
};

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
    stage_inputs_add(in, DUPLICATES " (fingerprint)",
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
        rc = stage_begin(&d->stage, &d->duplicates, DUPLICATES,
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

/* ---- second sweep ---- */

static void remember_pusher(struct dedup *d, uint32_t id, struct str url)
{
    struct pusher *p;

    d->pushers = xgrow(d->pushers, &d->cap_pushers, d->n_pushers + 1,
                       sizeof *d->pushers);
    p = &d->pushers[d->n_pushers++];
    *p = (struct pusher){id, d->urls.n, url.n};
    buf_add(&d->urls, url);
}

static struct str pusher_url(const struct dedup *d, uint32_t id)
{
    size_t lo = 0, hi = d->n_pushers;

    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;

        if (d->pushers[mid].id <= id)
            lo = mid;
        else
            hi = mid;
    }
    return str_slice(buf_str(&d->urls), d->pushers[lo].at,
                     d->pushers[lo].at + d->pushers[lo].n);
}

/* Count, and put into survivors/duplicates unless that is there already. */
static int write_duplicate(struct dedup *d, const struct dedup_url *url,
                           uint32_t id, struct err *e)
{
    struct dedup_verdict v = d->verdicts[id];
    const char *reason = v.exact ? "duplicate-exact" : "duplicate-near";
    uint64_t diff = d->images[id].phash ^ d->images[v.by].phash;
    struct json_out o;
    char h[17];

    if (d->bucket)
        tally_add(&d->bucket->drops, reason, 1);
    if (d->duplicates_done)
        return 0;
    tally_add(&d->duplicates.counts, reason, 1);
    snprintf(h, sizeof h, "%016llx", (unsigned long long)url->h);
    buf_clear(&d->line);
    json_out_init(&o, &d->line);
    json_out_object(&o);
    json_put_string(&o, "url", url->url);
    json_put_string(&o, "h", str_of(h));
    json_put_string(&o, "reason", str_of(reason));
    json_put_string(&o, "by", pusher_url(d, v.by));
    json_put_u64(&o, "bits", (uint64_t)__builtin_popcountll(diff));
    json_out_end_object(&o);
    return jsonl_write(&d->dup_out, buf_str(&d->line), e);
}

static int by_survival(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->s != y->s)
        return x->s < y->s ? -1 : 1;
    return memcmp(x->uid, y->uid, MD5_SIZE);
}

/* With --exact, rewrite keep and drop the texts that are left without one. */
static void cut_texts(struct dedup *d, struct dedup_url *url)
{
    size_t kept = 0, at = 0, want = 0;

    for (size_t i = 0; i < url->n_pairs; i++)
        want += url->pairs[i].n_q;
    d->keep = xgrow(d->keep, &d->cap_keep, want + 1, sizeof *d->keep);
    for (size_t i = 0; i < url->n_pairs; i++) {
        struct pair p = url->pairs[i];

        p.keep = d->keep + at;
        p.n_keep = dedup_exact_keep(&d->exact, &p, d->keep + at);
        at += p.n_keep;
        if (p.n_keep)
            url->pairs[kept++] = p;
    }
    tally_add(&d->bucket->counts, "texts-over-cap", url->n_pairs - kept);
    url->n_pairs = kept;
}

static int write_survivor(struct dedup *d, struct dedup_url *url, struct err *e)
{
    struct survivor s = {.url = url->url,
                         .h = url->h,
                         .group = str_of(url->group),
                         .image = *url->image};

    if (!d->bucket)
        return 0;
    if (d->is_exact)
        cut_texts(d, url);
    if (!url->n_pairs) {
        tally_add(&d->bucket->drops, "over-cap", 1);
        return 0;
    }
    qsort(url->pairs, url->n_pairs, sizeof *url->pairs, by_survival);
    if (d->rows++ % SURVIVOR_FRAME_ROWS == 0) {
        uint64_t offset;
        int rc = d->rows == 1 ? 0 : jsonl_frame(&d->out, &offset, e);

        if (rc)
            return rc;
        json_out_u64(&d->bucket->more, d->rows == 1 ? 0 : offset);
    }
    tally_add(&d->bucket->counts, "rows", 1);
    tally_add(&d->bucket->counts, "texts", url->n_pairs);
    return survivor_write(&d->out, &s, url->pairs, url->n_pairs, &d->line, e);
}

static int open_bucket(struct dedup *d, uint32_t k, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc;

    d->bucket = NULL;
    if (d->bucket_done[k])
        return 0;
    rc = stage_path(&d->buckets[k], ".jsonl.zst", path, e);
    if (!rc)
        rc = jsonl_open_write(&d->out, path, e);
    if (rc)
        return rc;
    d->out.manual = true;
    d->bucket = &d->buckets[k];
    d->rows = 0;
    tally_add(&d->bucket->counts, "urls", 0);
    tally_add(&d->bucket->counts, "images", 0);
    tally_add(&d->bucket->counts, "rows", 0);
    tally_add(&d->bucket->counts, "texts", 0);
    json_put_u64(&d->bucket->more, "frame_rows", SURVIVOR_FRAME_ROWS);
    json_out_name(&d->bucket->more, "frames");
    json_out_array(&d->bucket->more);
    return 0;
}

static int close_bucket(struct dedup *d, struct err *e)
{
    struct stage_output *o = d->bucket;
    char name[STAGE_NAME_MAX + 16];
    int rc;

    if (!o)
        return 0;
    d->bucket = NULL;
    json_out_end_array(&o->more);
    rc = jsonl_publish(&d->out, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", o->name);
    stage_file(o, name, d->out.sha256);
    return stage_commit(o, e);
}

static int write_bucket(struct dedup *d, struct dedup_join *j, size_t *id,
                        struct err *e)
{
    struct dedup_url url;
    bool more;
    int rc;

    while (!(rc = dedup_join_next(j, &url, &more, e)) && more) {
        uint32_t me = (uint32_t)*id;

        progress_add(&d->progress, 1);
        if (d->bucket)
            tally_add(&d->bucket->counts, "urls", 1);
        if (!url.image)
            continue;
        if (d->bucket)
            tally_add(&d->bucket->counts, "images", 1);
        if (*id == d->n) /* the files changed between the sweeps */
            return err_set(e, E_DAMAGED,
                           "%s: images/ or selected/ changed "
                           "while dedup ran; run it again",
                           d->corpus->dir);
        ++*id;
        if (d->is_pusher[me / 8] >> me % 8 & 1)
            remember_pusher(d, me, url.url);
        rc = d->verdicts[me].by != DEDUP_NONE ? write_duplicate(d, &url, me, e)
                                              : write_survivor(d, &url, e);
        if (rc)
            break;
    }
    return rc;
}

/* ---- the run ---- */

static int sweep(struct dedup *d, bool second, struct err *e)
{
    struct dedup_join j;
    size_t id = 0;
    int rc =
        dedup_join_open(&j, d->corpus, &d->sources, second || d->is_exact, e);

    if (rc)
        return rc;
    progress_begin(&d->progress, second ? "dedup: write" : "dedup: compare",
                   "urls", 0);
    for (uint32_t k = 0; !rc && k < corpus_buckets(d->corpus); k++) {
        rc = dedup_join_bucket(&j, k, e);
        if (!rc && !second)
            rc = gather_bucket(d, &j, e);
        if (rc || !second)
            continue;
        rc = open_bucket(d, k, e);
        if (!rc)
            rc = write_bucket(d, &j, &id, e);
        if (!rc)
            rc = close_bucket(d, e);
    }
    if (d->bucket)
        jsonl_abandon(&d->out);
    progress_end(&d->progress);
    dedup_join_close(&j);
    return rc;
}

static int write_all(struct dedup *d, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = 0;

    if (!d->duplicates_done) {
        rc = stage_path(&d->duplicates, ".jsonl.zst", path, e);
        if (!rc)
            rc = jsonl_open_write(&d->dup_out, path, e);
    }
    if (rc)
        return rc;
    rc = sweep(d, true, e);
    if (d->duplicates_done)
        return rc;
    if (rc) {
        jsonl_abandon(&d->dup_out);
        return rc;
    }
    rc = jsonl_publish(&d->dup_out, e);
    if (rc)
        return rc;
    stage_file(&d->duplicates, DUPLICATES ".jsonl.zst", d->dup_out.sha256);
    return stage_commit(&d->duplicates, e);
}

static int do_work(struct dedup *d, const struct dedup_ranks *ranks,
                   struct err *e)
{
    int rc = 0;

    if (d->is_exact)
        rc = dedup_exact_init(&d->exact, ranks, e);
    if (!rc)
        rc = sweep(d, false, e);
    if (!rc && d->is_exact)
        dedup_exact_cut(&d->exact);
    if (!rc)
        rc = judge(d, e);
    return rc ? rc : write_all(d, e);
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
    if (!rc)
        rc = summarise(&d, summary, e);
    release(&d);
    return rc;
}
