#include "filter/match.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/pair.h"
#include "base/progress.h"
#include "base/workq.h"
#include "filter/matcher.h"
#include "filter/spool.h"
#include "querylist/qlist.h"

#define BATCH_LINES 1024
#define RECORD_IDS_MAX ((size_t)4 << 20) /* bytes of ids and strings a batch */

/* Where one record of a batch's output lies, and its bucket. */
struct placed {
    uint32_t bucket;
    size_t at, n;
};

/* Some lines on their way through the pipeline. */
struct batch {
    struct buf in;          /* lines with their newlines */
    uint64_t first_line;    /* number of the first one */
    struct buf out;         /* records, without newlines */
    struct placed placed[BATCH_LINES];
    size_t n_placed, n_in;
    struct tally drops;
    struct arena arena;
    struct matcher_batch match;
};

struct match {
    const struct corpus *corpus;
    const struct match_config *config;
    struct qlist list;
    struct matcher matcher;
    struct batch *batches;
    unsigned depth;
    struct jsonl_reader in;   /* of the part at hand */
    struct spool out;
    struct stage_output *output;
    struct progress progress;
};

/* ---- one record ---- */

static int match_line(struct match *m, struct batch *b, struct str line,
                      struct err *e)
{
    const struct words *plain;
    const char *reason;
    struct placed *to;
    struct pair p;
    size_t n = 0;
    int rc;

    arena_reset(&b->arena);
    rc = pair_read(line, &b->arena, &p, e);
    if (!rc)
        rc = matcher_batch_cut(&m->matcher, &b->match, p.text, &plain, e);
    if (rc)
        return rc;
    reason = textrules_verdict(&m->config->rules, p.url, p.text, plain);
    if (!reason) {
        matcher_batch_clear(&b->match);
        matcher_batch_add(&m->matcher, &b->match);
        matcher_batch_find(&m->matcher, &b->match);
        p.q = matcher_batch_ids(&b->match, 0, &n);
        if (n == 0)
            reason = "no-match";
    }
    if (reason) {
        tally_add(&b->drops, reason, 1);
        return 0;
    }
    p.matched = true;
    p.n_q = (uint32_t)n;
    to = &b->placed[b->n_placed++];
    to->bucket = corpus_bucket(m->corpus, corpus_url_hash(m->corpus, p.url));
    to->at = b->out.n;
    pair_write(&p, &b->out);
    to->n = b->out.n - to->at;
    return 0;
}

/* ---- the pipeline ---- */

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct match *m = ctx;
    struct batch *b = item;
    struct str line;
    int rc = 0;

    buf_clear(&b->in);
    b->first_line = m->in.line + 1;
    b->n_in = 0;
    *more = true;
    while (!rc && b->n_in < BATCH_LINES) {
        bool got;

        rc = jsonl_next(&m->in, &line, &got, e);
        if (rc || !got)
            break;
        buf_add(&b->in, line);
        buf_add_char(&b->in, '\n');
        b->n_in++;
    }
    *more = b->n_in > 0;
    return rc;
}

static int work(void *ctx, void *item, struct err *e)
{
    struct match *m = ctx;
    struct batch *b = item;
    struct str rest = buf_str(&b->in), line;

    buf_clear(&b->out);
    tally_clear(&b->drops);
    b->n_placed = 0;
    for (size_t i = 0; i < b->n_in; i++) {
        int rc;

        str_split(&rest, '\n', &line);
        rc = match_line(m, b, line, e);
        if (rc)
            return err_wrap(e, rc, "%s: line %llu", m->in.path,
                            (unsigned long long)(b->first_line + i));
    }
    return b->out.rc ? err_set(e, -b->out.rc, "no memory for a batch") : 0;
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct match *m = ctx;
    struct batch *b = item;
    int rc = 0;

    for (size_t i = 0; !rc && i < b->n_placed; i++) {
        struct placed *p = &b->placed[i];

        rc = spool_add(&m->out, p->bucket, str_make(b->out.p + p->at, p->n),
                       e);
    }
    tally_add(&m->output->counts, "records", b->n_placed);
    tally_add(&m->output->counts, "read", b->n_in);
    tally_add_all(&m->output->drops, &b->drops);
    progress_add(&m->progress, b->n_in);
    return rc;
}

static const struct workq_ops pipeline = {produce, work, consume};

/* ---- one part ---- */

static int write_frames(struct match *m, struct jsonl_writer *w,
                        struct err *e)
{
    struct json_out *o = &m->output->more;
    uint64_t offset = 0;
    int rc = 0;

    w->manual = true;
    json_out_name(o, "offsets");
    json_out_array(o);
    json_out_u64(o, 0);
    for (uint32_t k = 0; !rc && k < corpus_buckets(m->corpus); k++) {
        rc = spool_drain(&m->out, k, w, e);
        if (!rc)
            rc = jsonl_frame(w, &offset, e);
        json_out_u64(o, offset);
    }
    json_out_end_array(o);
    return rc;
}

static int match_part(struct match *m, struct stage_output *o,
                      const char *source, struct err *e)
{
    char to[IO_PATH_MAX], name[STAGE_NAME_MAX + 16];
    struct jsonl_writer w;
    int rc = stage_path(o, ".jsonl.zst", to, e);

    m->output = o;
    if (!rc)
        rc = sidecar_open(&m->in, m->corpus, source, e);
    if (rc)
        return rc;
    rc = spool_open(&m->out, m->corpus->dir, corpus_buckets(m->corpus),
                    m->config->memory_bytes, e);
    if (!rc)
        rc = workq_run(&pipeline, m, m->batches, sizeof *m->batches, m->depth,
                       stage_threads(&m->config->stage), e);
    jsonl_close(&m->in);
    if (!rc)
        rc = jsonl_open_write(&w, to, e);
    if (!rc) {
        rc = write_frames(m, &w, e);
        if (rc)
            jsonl_abandon(&w);
        else
            rc = jsonl_publish(&w, e);
    }
    spool_close(&m->out);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", o->name);
    stage_file(o, name, w.sha256);
    return stage_commit(o, e);
}

/* ---- the stage ---- */

static int open_list(struct match *m, const char *path, struct err *e)
{
    int rc = qlist_open(&m->list, path, e);

    if (!rc)
        matcher_open(&m->matcher, &m->list);
    return rc;
}

static void open_batches(struct match *m, unsigned threads)
{
    m->depth = 4 * threads;
    m->batches = xcalloc(m->depth, sizeof *m->batches);
    for (unsigned i = 0; i < m->depth; i++) {
        struct batch *b = &m->batches[i];

        buf_init(&b->in, BUF_NO_LIMIT);
        buf_init(&b->out, BUF_NO_LIMIT);
        tally_init(&b->drops);
        arena_init(&b->arena, RECORD_IDS_MAX);
        matcher_batch_init(&b->match);
    }
}

static void close_batches(struct match *m)
{
    for (unsigned i = 0; i < m->depth; i++) {
        struct batch *b = &m->batches[i];

        buf_release(&b->in);
        buf_release(&b->out);
        tally_release(&b->drops);
        arena_release(&b->arena);
        matcher_batch_release(&b->match);
    }
    free(m->batches);
}

static int run_part(struct match *m, struct stage *s, const char *batch,
                    const char *part, const char *list_sha256,
                    struct match_summary *sum, struct err *e)
{
    char source[STAGE_NAME_MAX], name[STAGE_NAME_MAX];
    struct stage_inputs in;
    struct stage_output o;
    bool done;
    int rc;

    snprintf(source, sizeof source, "pairs/%s/%s", batch, part);
    snprintf(name, sizeof name, "matched/%s/%s", batch, part);
    stage_inputs_init(&in);
    stage_inputs_add(&in, "queries.bin", list_sha256);
    rc = stage_inputs_add_output(&in, m->corpus, source, "import", e);
    if (!rc) {
        rc = stage_begin(s, &o, name, &in, &done, e);
        if (!rc && done)
            rc = sidecar_add_tallies(m->corpus, name, &sum->counts,
                                     &sum->drops, e);
        else if (!rc)
            rc = match_part(m, &o, source, e);
        sum->parts++;
        sum->parts_done_before += !rc && done;
        tally_add_all(&sum->counts, &o.counts);
        tally_add_all(&sum->drops, &o.drops);
        stage_output_release(&o);
    }
    stage_inputs_release(&in);
    return rc;
}

static bool wanted(const struct match_config *c, const char *batch)
{
    for (size_t i = 0; i < c->batches.n; i++)
        if (!strcmp(c->batches.v[i], batch))
            return true;
    return c->batches.n == 0;
}

/* A batch that was asked for by a name that is none. */
static int known_batches(const struct match *m, const struct io_list *batches,
                         struct err *e)
{
    const struct opt_list *asked = &m->config->batches;

    for (size_t i = 0; i < asked->n; i++) {
        size_t k = 0;

        while (k < batches->n && strcmp(asked->v[i], batches->names[k]))
            k++;
        if (k == batches->n)
            return err_set(e, E_USAGE, "--batch %s: %s/pairs has no such batch",
                           asked->v[i], m->corpus->dir);
    }
    return 0;
}

/* All parts of the wanted batches, in order; k numbers them over batches, so
 * that machines share them evenly. */
static int each_part(struct match *m, struct stage *s, const char *list_sha256,
                     struct match_summary *sum, struct err *e)
{
    char path[IO_PATH_MAX], folder[STAGE_NAME_MAX];
    struct io_list batches, parts;
    uint64_t k = 0;
    int rc = corpus_path(m->corpus, "pairs", path, e);

    if (!rc && !io_exists(path))
        rc = err_set(e, E_NOTFOUND,
                     "%s has no pairs yet: run `witmill import` or `witmill "
                     "crawl` first",
                     m->corpus->dir);
    if (!rc)
        rc = io_list(path, &batches, e);
    if (rc)
        return rc;
    rc = known_batches(m, &batches, e);
    for (size_t i = 0; !rc && i < batches.n; i++) {
        if (!wanted(m->config, batches.names[i]))
            continue;
        snprintf(folder, sizeof folder, "pairs/%s", batches.names[i]);
        rc = sidecar_list(m->corpus, folder, &parts, e);
        for (size_t p = 0; !rc && p < parts.n; p++)
            if (part_has(m->config->stage.part, k++))
                rc = run_part(m, s, batches.names[i], parts.names[p],
                              list_sha256, sum, e);
        if (!rc && m->config->stage.part.n == 0) {
            snprintf(folder, sizeof folder, "matched/%s", batches.names[i]);
            /* A crawl of several --part leaves gaps between its numbers. */
            rc = stage_prune_others(s, folder, &parts, e);
        }
        io_list_release(&parts);
    }
    io_list_release(&batches);
    if (!rc && k == 0)
        rc = err_set(e, E_NOTFOUND,
                     "%s has no finished parts in pairs/: run `witmill "
                     "import` or `witmill crawl` to their end first",
                     m->corpus->dir);
    return rc;
}

int match_run(const struct corpus *c, const struct opt_table *table,
              const struct match_config *config, struct match_summary *sum,
              struct err *e)
{
    struct match m = {.corpus = c, .config = config};
    char sha256[SHA256_HEX], path[IO_PATH_MAX];
    struct stage s;
    int rc;

    *sum = (struct match_summary){0};
    rc = corpus_path(c, "queries.bin", path, e);
    if (!rc)
        rc = io_sha256_file(path, sha256, e);
    if (rc)
        return rc;
    stage_init(&s, c, "match", MATCH_VERSION, table, config,
               config->stage.redo);
    open_batches(&m, stage_threads(&config->stage));
    rc = open_list(&m, path, e);
    progress_begin(&m.progress, "match", "records", 0);
    if (!rc)
        rc = each_part(&m, &s, sha256, sum, e);
    progress_end(&m.progress, rc);
    close_batches(&m);
    qlist_close(&m.list);
    stage_release(&s);
    return rc;
}

int match_offsets(const struct corpus *c, const char *name, uint64_t **offsets,
                  struct err *e)
{
    uint32_t n = corpus_buckets(c) + 1, got = 0;
    struct sidecar s;
    struct str key;
    struct json j;
    int rc = sidecar_read(&s, c, name, e);

    *offsets = NULL;
    if (rc)
        return rc;
    *offsets = xcalloc(n, sizeof **offsets);
    json_open(&j, s.extra, NULL);
    json_object(&j);
    while (json_member(&j, &key)) {
        if (!str_eq(key, STR("offsets"))) {
            json_skip(&j);
            continue;
        }
        json_array(&j);
        while (json_element(&j)) {
            uint64_t at = json_u64(&j);

            if (got < n)
                (*offsets)[got] = at;
            if (got && got < n && at < (*offsets)[got - 1])
                j.rc = -E_RANGE;
            got++;
        }
    }
    rc = json_close(&j, NULL);
    if (rc || got != n) {
        free(*offsets);
        *offsets = NULL;
        rc = err_set(e, E_DAMAGED,
                     "%s/%s.meta.json: %u frame offsets expected; remove it "
                     "and run match again",
                     c->dir, name, n);
    }
    sidecar_release(&s);
    return rc;
}
