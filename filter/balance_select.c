/* Buckets of unique/ to those of selected/round-R. */
#include "filter/balance_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/mem.h"
#include "filter/scan.h"

#define ARENA_MAX ((size_t)4 << 20) /* bytes for one record read whole */

struct select_item {
    struct stage_output output;
    bool open; /* output is to be released */
    bool done_before;
    struct stage stage; /* a copy for this worker */
    struct stage_inputs inputs;
    struct jsonl_writer w;
    bool writing;
    struct draw_bytes bytes;
    struct arena arena;
    uint32_t *keep;
    struct buf line;
    uint64_t pairs, kept, picks;
    double expected; /* kept, by their chances */
};

static void select_init(void *ctx, void *item)
{
    struct select_item *s = item;

    (void)ctx;
    s->keep = xcalloc(PAIR_MATCHES_MAX, sizeof *s->keep);
    buf_init(&s->line, BUF_NO_LIMIT);
    arena_init(&s->arena, ARENA_MAX);
    stage_inputs_init(&s->inputs);
}

static void select_release(void *ctx, void *item)
{
    struct select_item *s = item;

    (void)ctx;
    if (s->writing)
        jsonl_abandon(&s->w);
    if (s->open)
        stage_output_release(&s->output);
    stage_inputs_release(&s->inputs);
    arena_release(&s->arena);
    buf_release(&s->line);
    free(s->keep);
}

static int bucket_inputs(struct balance *b, struct select_item *s,
                         uint32_t bucket, struct err *e)
{
    char name[STAGE_NAME_MAX];
    int rc;

    stage_inputs_clear(&s->inputs);
    stage_inputs_add(&s->inputs, "queries.bin", b->list_sha256);
    snprintf(name, sizeof name, "unique/bucket-%04u", bucket);
    rc = stage_inputs_add_output(&s->inputs, b->corpus, name, "gather", e);
    for (unsigned r = b->round ? b->round - 1 : 0; !rc && r <= b->round; r++) {
        snprintf(name, sizeof name, "selected/round-%u/caps", r);
        rc = stage_inputs_add_output(&s->inputs, b->corpus, name,
                                     "balance --plan", e);
    }
    return rc;
}

static int select_start(void *ctx, void *item, uint32_t bucket, bool *skip,
                        struct err *e)
{
    struct balance *b = ctx;
    struct select_item *s = item;
    char name[STAGE_NAME_MAX], path[IO_PATH_MAX];
    int rc;

    s->pairs = s->kept = s->picks = 0;
    s->expected = 0;
    s->done_before = false;
    if (b->config->dry_run)
        return 0;
    rc = bucket_inputs(b, s, bucket, e);
    if (rc)
        return rc;
    s->stage = b->stage;
    snprintf(name, sizeof name, "selected/round-%u/bucket-%04u", b->round,
             bucket);
    s->open = true;
    rc = stage_begin(&s->stage, &s->output, name, &s->inputs, &s->done_before,
                     e);
    *skip = s->done_before;
    if (rc || s->done_before)
        return rc;
    rc = stage_path(&s->output, ".jsonl.zst", path, e);
    if (!rc)
        rc = jsonl_open_write(&s->w, path, e);
    s->writing = !rc;
    return rc;
}

/* ---- one record ---- */

struct choice {
    uint64_t s;      /* the smallest draw */
    uint32_t n_keep; /* queries that pick it */
    double misses;   /* chance that none does */
    bool before;     /* an earlier round selected it */
};

static struct choice choose(const struct balance *b, struct select_item *s,
                            const struct scan_record *r)
{
    struct choice c = {.s = UINT64_MAX, .misses = 1};

    draw_table_fetch(&b->draws, r->q, r->n_q);
    draw_begin(&s->bytes, b->draws.seed, r->uid);
    for (uint32_t i = 0; i < r->n_q; i++) {
        uint32_t q = r->q[i];
        const struct draw_row *row = &b->draws.rows[q];
        uint64_t h = draw_table_hash(&b->draws, q, &s->bytes);
        uint64_t d = b->caps.exact ? caps_draw(&b->caps, q, h, r->uid)
                                   : draw_below(h, row->c);

        c.s = d < c.s ? d : c.s;
        if (d < row->t)
            s->keep[c.n_keep++] = q;
        c.misses *= row->misses;
        /* Caps only grow: what an earlier round selected, the last one did. */
        c.before = c.before || d < row->before;
    }
    return c;
}

/* The line with s and keep as its last members. */
static int put_line(struct select_item *s, const struct scan_record *r,
                    const struct choice *c, struct err *e)
{
    struct json_out o;
    struct pair p;
    int rc = 0;

    buf_clear(&s->line);
    if (r->plain) {
        buf_add(&s->line, str_slice(r->line, 0, r->line.n - 1));
        json_out_init(&o, &s->line);
        o.comma = true;
        json_put_u64(&o, "s", c->s);
        json_out_name(&o, "keep");
        json_out_array(&o);
        for (uint32_t i = 0; i < c->n_keep; i++)
            json_out_u64(&o, s->keep[i]);
        json_out_end_array(&o);
        json_out_end_object(&o);
    } else {
        arena_reset(&s->arena);
        rc = pair_read(r->line, &s->arena, &p, e);
        p.selected = true;
        p.s = c->s;
        p.keep = s->keep;
        p.n_keep = c->n_keep;
        if (!rc)
            pair_write(&p, &s->line);
    }
    if (!rc && s->line.rc)
        rc = err_set(e, -s->line.rc, "no memory for a record");
    return rc ? rc : jsonl_write(&s->w, buf_str(&s->line), e);
}

static int select_record(void *ctx, void *item, const struct scan_record *r,
                         struct err *e)
{
    struct balance *b = ctx;
    struct select_item *s = item;
    struct choice c = choose(b, s, r);

    s->pairs++;
    s->expected += 1 - c.misses;
    if (c.n_keep == 0 || c.before)
        return 0;
    s->kept++;
    s->picks += c.n_keep;
    return b->config->dry_run ? 0 : put_line(s, r, &c, e);
}

/* ---- one bucket ---- */

static uint64_t rounded(double expected)
{
    return (uint64_t)(expected + 0.5);
}

static int select_finish(void *ctx, void *item, struct err *e)
{
    struct balance *b = ctx;
    struct select_item *s = item;
    char name[STAGE_NAME_MAX + 16];
    int rc;

    if (b->config->dry_run || s->done_before)
        return 0;
    s->writing = false;
    rc = jsonl_publish(&s->w, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", s->output.name);
    stage_file(&s->output, name, s->w.sha256);
    tally_add(&s->output.counts, "read", s->pairs);
    tally_add(&s->output.counts, "records", s->kept);
    tally_add(&s->output.counts, "picks", s->picks);
    json_put_u64(&s->output.more, "passes_before", b->passes_before);
    if (b->round == 0)
        json_put_u64(&s->output.more, "expected", rounded(s->expected));
    return stage_commit(&s->output, e);
}

/* What was done before still counts in the summary. */
static int count_done(struct balance *b, const char *name, struct err *e)
{
    struct balance_summary *sum = b->sum;
    uint64_t expected = 0;
    struct sidecar s;
    int rc = sidecar_read(&s, b->corpus, name, e);

    if (rc)
        return rc;
    sum->pairs += tally_get(&s.counts, "read");
    sum->kept += tally_get(&s.counts, "records");
    sum->picks += tally_get(&s.counts, "picks");
    rc = sidecar_extra_u64(&s, "expected", &expected, e);
    sum->expected += expected;
    sidecar_release(&s);
    return rc;
}

static int select_consume(void *ctx, void *item, struct err *e)
{
    struct balance *b = ctx;
    struct select_item *s = item;
    int rc = s->done_before ? count_done(b, s->output.name, e) : 0;

    b->sum->pairs += s->pairs;
    b->sum->kept += s->kept;
    b->sum->picks += s->picks;
    if (b->round == 0)
        b->sum->expected += rounded(s->expected);
    if (s->open)
        stage_output_release(&s->output);
    s->open = false;
    return rc;
}

static const struct scan_ops select_ops = {.item_size =
                                               sizeof(struct select_item),
                                           .init = select_init,
                                           .start = select_start,
                                           .record = select_record,
                                           .finish = select_finish,
                                           .consume = select_consume,
                                           .release = select_release};

int balance_select(struct balance *b, struct err *e)
{
    struct scan_config scan = {.part = b->config->stage.part,
                               .threads = stage_threads(&b->config->stage),
                               .n_queries = b->counts.n,
                               .label = "balance"};

    return scan_run(b->corpus, &scan, &select_ops, b, e);
}
