#include "filter/gather_bucket.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/jsonl.h"
#include "base/pair.h"
#include "filter/counts.h"
#include "filter/sorter.h"

#define RECORD_ARENA_MAX ((size_t)8 << 20) /* bytes one record decodes to */
#define AGAINST_SUFFIX   ".against.jsonl.zst"

struct writing {
    struct gather_bucket *b;
    struct stage_output *o;
    struct jsonl_writer kept;
    struct jsonl_writer against; /* open only with b->exclude */
    struct counts counts;
    struct exclude_scratch scratch;
    struct buf line;
    /* The record before, kept or not, and the URL of the last one kept. */
    uint8_t last_uid[MD5_SIZE];
    struct buf last_url, kept_url;
    uint64_t texts; /* kept of kept_url */
    uint64_t read, urls, several;
    bool any;
};

/* ---- reading ---- */

static int read_source(const struct gather_bucket *b, struct sorter *sorter,
                       struct arena *arena, const struct gather_source *s,
                       struct err *e)
{
    char name[STAGE_NAME_MAX + 16], path[IO_PATH_MAX];
    struct jsonl_reader r;
    struct pair p;
    struct str line;
    bool more;
    int rc;

    snprintf(name, sizeof name, "%s.jsonl.zst", s->name);
    rc = corpus_path(b->corpus, name, path, e);
    if (rc)
        return rc;
    rc = jsonl_open_range(&r, path, s->offsets[b->k], s->offsets[b->k + 1], e);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        arena_reset(arena);
        rc = pair_read(line, arena, &p, e);
        if (!rc)
            rc = sorter_add(sorter, corpus_url_hash(b->corpus, p.url), &p, line,
                            e);
        if (rc)
            rc = err_wrap(e, rc, "%s: frame %u, line %llu", path, b->k,
                          (unsigned long long)r.line);
    }
    jsonl_close(&r);
    return rc;
}

static int read_sources(const struct gather_bucket *b, struct sorter *sorter,
                        struct err *e)
{
    struct arena arena;
    int rc = 0;

    arena_init(&arena, RECORD_ARENA_MAX);
    for (size_t i = 0; !rc && i < b->n_sources; i++)
        if (b->sources[i].offsets[b->k] < b->sources[i].offsets[b->k + 1])
            rc = read_source(b, sorter, &arena, &b->sources[i], e);
    arena_release(&arena);
    return rc;
}

/* ---- writing ---- */

/* Say in the list what goes, and by which sample. */
static int write_against(struct writing *w, const struct sorter_record *r,
                         enum exclude_why why, const char *by, struct err *e)
{
    char hex[2 * MD5_SIZE + 1];
    struct json_out o;

    hash_hex(r->uid, MD5_SIZE, hex);
    buf_clear(&w->line);
    json_out_init(&o, &w->line);
    json_out_object(&o);
    json_put_string(&o, "uid", str_of(hex));
    json_put_string(&o, "url", sorter_field(r, SORTER_URL));
    json_put_string(&o, "text", sorter_field(r, SORTER_TEXT));
    json_put_string(&o, "why", str_of(exclude_reason(why)));
    json_put_string(&o, "by", str_of(by));
    json_out_end_object(&o);
    tally_add(&w->o->drops, exclude_reason(why), 1);
    return jsonl_write(&w->against, buf_str(&w->line), e);
}

static int count_queries(struct writing *w, const struct sorter_record *r,
                         struct err *e)
{
    const uint32_t *q = sorter_q(r);

    for (uint32_t k = 0; k < r->n_q; k++) {
        if (q[k] >= w->counts.n)
            return err_set(e, E_STALE,
                           "matched/ knows query %u, the list ends at %u: "
                           "run match again with --redo",
                           q[k], w->counts.n);
        w->counts.c[q[k]]++;
    }
    return 0;
}

static int keep(struct writing *w, const struct sorter_record *r, struct err *e)
{
    struct str url = sorter_field(r, SORTER_URL);
    int rc = count_queries(w, r, e);

    if (rc)
        return rc;
    if (w->urls && str_eq(buf_str(&w->kept_url), url)) {
        w->several += ++w->texts == 2;
    } else {
        buf_clear(&w->kept_url);
        buf_add(&w->kept_url, url);
        w->urls++;
        w->texts = 1;
    }
    return jsonl_write(&w->kept, sorter_line(r), e);
}

static int write_record(struct writing *w, const struct sorter_record *r,
                        struct err *e)
{
    struct str url = sorter_field(r, SORTER_URL);
    enum exclude_why why = EXCLUDE_NOT;
    const char *by;
    int rc = 0;

    w->read++;
    if (w->any && !memcmp(w->last_uid, r->uid, MD5_SIZE) &&
        str_eq(buf_str(&w->last_url), url)) {
        tally_add(&w->o->drops, "duplicate-uid", 1);
        return 0;
    }
    w->any = true;
    memcpy(w->last_uid, r->uid, MD5_SIZE);
    buf_clear(&w->last_url);
    buf_add(&w->last_url, url);
    if (w->b->exclude)
        rc = exclude_find(w->b->exclude, &w->scratch, url,
                          sorter_field(r, SORTER_TEXT), &why, &by, e);
    if (rc)
        return rc;
    return why == EXCLUDE_NOT ? keep(w, r, e) : write_against(w, r, why, by, e);
}

/* ---- the files ---- */

/* o's name and a suffix, with the sha256 of its content. */
static void add_file(struct stage_output *o, const char *suffix,
                     const char *sha256)
{
    char name[STAGE_NAME_MAX + 32];

    snprintf(name, sizeof name, "%s%s", o->name, suffix);
    stage_file(o, name, sha256);
}

static int open_files(struct writing *w, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = stage_path(w->o, ".jsonl.zst", path, e);

    if (!rc)
        rc = jsonl_open_write(&w->kept, path, e);
    if (rc)
        return rc;
    rc = stage_path(w->o, AGAINST_SUFFIX, path, e);
    if (!rc && w->b->exclude)
        rc = jsonl_open_write(&w->against, path, e);
    else if (!rc)
        rc = io_remove(path, e); /* of an earlier run with --against */
    if (rc)
        jsonl_abandon(&w->kept);
    return rc;
}

static int publish(struct writing *w, struct err *e)
{
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    struct stage_output *o = w->o;
    int rc = jsonl_publish(&w->kept, e);

    if (rc) {
        if (w->b->exclude)
            jsonl_abandon(&w->against);
        return rc;
    }
    add_file(o, ".jsonl.zst", w->kept.sha256);
    rc = stage_path(o, ".counts", path, e);
    if (!rc)
        rc = counts_write_sparse(&w->counts, path, hex, e);
    if (!rc)
        add_file(o, ".counts", hex);
    if (w->b->exclude && rc) {
        jsonl_abandon(&w->against);
    } else if (w->b->exclude) {
        rc = jsonl_publish(&w->against, e);
        add_file(o, AGAINST_SUFFIX, w->against.sha256);
    }
    return rc ? rc : stage_commit(o, e);
}

static int write_sorted(struct writing *w, struct sorter *sorter, struct err *e)
{
    const struct sorter_record *r;
    int rc = open_files(w, e);

    if (rc)
        return rc;
    while (!rc && !(rc = sorter_next(sorter, &r, e)) && r)
        rc = write_record(w, r, e);
    if (rc) {
        jsonl_abandon(&w->kept);
        if (w->b->exclude)
            jsonl_abandon(&w->against);
        return rc;
    }
    tally_add(&w->o->counts, "records", w->kept.lines);
    tally_add(&w->o->counts, "read", w->read);
    tally_add(&w->o->counts, "urls", w->urls);
    tally_add(&w->o->counts, "urls-with-texts", w->several);
    return publish(w, e);
}

/* Runs on disk take what does not fit. */
int gather_share(uint64_t memory_bytes, unsigned threads, size_t sources,
                 uint32_t buckets, uint64_t *bucket_bytes, struct err *e)
{
    uint64_t offsets = sources * ((uint64_t)buckets + 1) * sizeof(uint64_t);
    uint64_t memory = (uint64_t)threads * SORTER_MEMORY_MIN;

    memory = memory > memory_bytes ? memory : memory_bytes;
    if (offsets > memory / 2)
        return err_set(e, E_USAGE,
                       "%zu parts in matched/ have %llu MiB of frame offsets: "
                       "--memory has to be twice that",
                       sources, (unsigned long long)(offsets >> 20) + 1);
    *bucket_bytes = (memory - offsets) / threads;
    if (*bucket_bytes < SORTER_MEMORY_MIN)
        *bucket_bytes = SORTER_MEMORY_MIN;
    return 0;
}

int gather_bucket(struct gather_bucket *b, struct stage_output *o,
                  struct err *e)
{
    struct writing w = {.b = b, .o = o};
    struct sorter sorter;
    int rc;

    buf_init(&w.line, BUF_NO_LIMIT);
    buf_init(&w.last_url, BUF_NO_LIMIT);
    buf_init(&w.kept_url, BUF_NO_LIMIT);
    exclude_scratch_init(&w.scratch);
    counts_init(&w.counts, b->corpus->head.n_queries);
    rc = sorter_open(&sorter, b->corpus->dir, b->corpus->head.bucket_bits,
                     b->memory_bytes, e);
    if (!rc)
        rc = read_sources(b, &sorter, e);
    if (!rc)
        rc = sorter_sort(&sorter, e);
    if (!rc)
        rc = write_sorted(&w, &sorter, e);
    b->spilled = sorter.spilled;
    sorter_close(&sorter);
    counts_release(&w.counts);
    exclude_scratch_release(&w.scratch);
    buf_release(&w.line);
    buf_release(&w.last_url);
    buf_release(&w.kept_url);
    return rc;
}
