#include "filter/balance.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/mem.h"
#include "filter/outcomes.h"
#include "filter/plan.h"
#include "filter/rounds.h"
#include "filter/scan.h"

struct balance {
    const struct corpus *corpus;
    const struct balance_config *config;
    struct balance_summary *sum;
    struct stage stage;
    struct qlist list;
    struct counts counts;
    struct caps caps;       /* of this round */
    struct caps previous;   /* of the round before; n 0 in round 0 */
    struct caps first;      /* of round 0; likewise */
    uint64_t passes_before; /* B */
    char list_sha256[SHA256_HEX];
    unsigned round;
};

/* ---- the plan ---- */

/* B of round 0: what its plan recorded, so that every later round and every
 * restart agree on which ledgers count. */
static int read_passes_before(struct balance *b, struct err *e)
{
    struct sidecar s;
    int rc = sidecar_read(&s, b->corpus, "selected/round-0/caps", e);

    if (rc)
        return rc;
    rc = sidecar_extra_u64(&s, "passes_before", &b->passes_before, e);
    sidecar_release(&s);
    return rc;
}

static int plan_inputs(struct balance *b, struct stage_inputs *in,
                       struct err *e)
{
    char name[STAGE_NAME_MAX];
    int rc;

    stage_inputs_add(in, "queries.bin", b->list_sha256);
    rc = stage_inputs_add_output(in, b->corpus, "unique/counts", "gather", e);
    /* counts.bin stands for the buckets' counts; the records themselves
     * decide the caps of --target, --exact and later rounds. */
    for (uint32_t k = 0; !rc && k < corpus_buckets(b->corpus); k++) {
        snprintf(name, sizeof name, "unique/bucket-%04u", k);
        rc = stage_inputs_add_output(in, b->corpus, name, "gather", e);
    }
    /* c(q) is of these very buckets, and they of this list. */
    if (!rc)
        rc = stage_made_from(b->corpus, "unique/counts", "gather", in, e);
    if (!rc && b->round) {
        snprintf(name, sizeof name, "selected/round-%u/caps", b->round - 1);
        rc = stage_inputs_add_output(in, b->corpus, name, "balance", e);
        if (!rc)
            rc = stage_made_from(b->corpus, name, "balance", in, e);
    }
    return rc;
}

static void plan_extra(struct balance *b, struct stage_output *o,
                       const struct plan *p)
{
    json_put_u64(&o->more, "passes_before", b->passes_before);
    json_put_u64(&o->more, "raised", p->raised);
}

static int publish_plan(struct balance *b, struct stage_output *o,
                        const struct plan *p, struct err *e)
{
    char path[IO_PATH_MAX], name[STAGE_NAME_MAX + 8], hex[SHA256_HEX];
    int rc = stage_path(o, ".bin", path, e);

    if (!rc)
        rc = caps_write(&p->caps, path, hex, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.bin", o->name);
    stage_file(o, name, hex);
    plan_extra(b, o, p);
    return stage_commit(o, e);
}

/* Ledgers are inputs of a later round's plan, so they are read before it is
 * known whether the plan on disk still stands. */
static int make_plan(struct balance *b, struct plan *p, bool publish,
                     struct err *e)
{
    char name[STAGE_NAME_MAX];
    struct stage_inputs in;
    struct outcomes outcomes = {0};
    struct stage_output o = {.stage = NULL};
    unsigned passes = (unsigned)b->passes_before + b->round;
    bool done = false;
    int rc;

    stage_inputs_init(&in);
    rc = plan_inputs(b, &in, e);
    if (!rc && b->round)
        rc = outcomes_read(&outcomes, b->corpus, passes, &in, e);
    snprintf(name, sizeof name, "selected/round-%u/caps", b->round);
    if (!rc && publish) {
        rc = stage_begin(&b->stage, &o, name, &in, &done, e);
        if (!rc && !done)
            rc = rounds_prune(&b->stage, b->round, e);
        if (!rc && !done && b->round == 0)
            rc = outcomes_passes(b->corpus, &passes, e);
        if (!done && b->round == 0)
            b->passes_before = passes;
    }
    if (!rc && !done)
        rc = b->round ? plan_next(p, &b->first, &b->previous, &outcomes, e)
                      : plan_first(p, e);
    if (!rc && !done && publish)
        rc = publish_plan(b, &o, p, e);
    if (publish)
        stage_output_release(&o);
    outcomes_release(&outcomes);
    stage_inputs_release(&in);
    return rc;
}

/* ---- the buckets ---- */

struct select_item {
    struct stage_output output;
    bool open;            /* output is to be released */
    bool done_before;
    struct stage stage;   /* a copy for this worker */
    struct stage_inputs inputs;
    struct jsonl_writer w;
    bool writing;
    uint64_t *d;
    uint32_t *keep;
    struct buf line;
    uint64_t pairs, kept, picks;
};

static void select_init(void *ctx, void *item)
{
    struct select_item *s = item;

    (void)ctx;
    s->d = xcalloc(PAIR_MATCHES_MAX, sizeof *s->d);
    s->keep = xcalloc(PAIR_MATCHES_MAX, sizeof *s->keep);
    buf_init(&s->line, BUF_NO_LIMIT);
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
    buf_release(&s->line);
    free(s->d);
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

static int select_pair(void *ctx, void *item, const struct pair *pair,
                       struct err *e)
{
    struct balance *b = ctx;
    struct select_item *s = item;
    struct pair out = *pair;
    bool before = false;
    int rc = scan_draws(b->corpus, &b->list, &b->caps, pair, s->d, e);

    if (rc)
        return rc;
    s->pairs++;
    out.selected = true;
    out.s = UINT64_MAX;
    out.keep = s->keep;
    out.n_keep = 0;
    for (uint32_t i = 0; i < pair->n_q; i++) {
        uint32_t q = pair->q[i];

        if (s->d[i] < out.s)
            out.s = s->d[i];
        if (s->d[i] < b->caps.t[q])
            s->keep[out.n_keep++] = q;
        /* Caps only grow: what an earlier round selected, the last one did. */
        before = before || (b->round && s->d[i] < b->previous.t[q]);
    }
    if (out.n_keep == 0 || before)
        return 0;
    s->kept++;
    s->picks += out.n_keep;
    if (b->config->dry_run)
        return 0;
    buf_clear(&s->line);
    pair_write(&out, &s->line);
    if (s->line.rc)
        return err_set(e, -s->line.rc, "no memory for a record");
    return jsonl_write(&s->w, buf_str(&s->line), e);
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
    return stage_commit(&s->output, e);
}

/* What was done before still counts in the summary. */
static int count_done(struct balance *b, const char *name, struct err *e)
{
    struct sidecar s;
    int rc = sidecar_read(&s, b->corpus, name, e);

    if (rc)
        return rc;
    b->sum->pairs += tally_get(&s.counts, "read");
    b->sum->kept += tally_get(&s.counts, "records");
    b->sum->picks += tally_get(&s.counts, "picks");
    sidecar_release(&s);
    return 0;
}

static int select_consume(void *ctx, void *item, struct err *e)
{
    struct balance *b = ctx;
    struct select_item *s = item;
    int rc = s->done_before ? count_done(b, s->output.name, e) : 0;

    b->sum->pairs += s->pairs;
    b->sum->kept += s->kept;
    b->sum->picks += s->picks;
    if (s->open)
        stage_output_release(&s->output);
    s->open = false;
    return rc;
}

static const struct scan_ops select_ops = {
    sizeof(struct select_item), select_init,    select_start,  select_pair,
    select_finish,              select_consume, select_release};

/* ---- the stage ---- */

static void summarize(struct balance *b, const struct caps *caps)
{
    struct balance_summary *sum = b->sum;

    for (uint32_t q = 0; q < b->counts.n; q++) {
        uint64_t c = b->counts.c[q], t = caps->t[q];

        if (qlist_group(&b->list, q) != q)
            continue;
        sum->groups++;
        sum->matches += c;
        sum->expected_picks += c < t ? c : t;
        sum->zero += c == 0;
        sum->tail += c > 0 && c <= t;
        sum->head += c > t;
        sum->head_matches += c > t ? c : 0;
        if (t > sum->t)
            sum->t = t;
        if (b->round)
            sum->raised += t != b->previous.t[q];
    }
}

static int open_all(struct balance *b, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = corpus_path(b->corpus, "queries.bin", path, e);

    if (!rc)
        rc = io_sha256_file(path, b->list_sha256, e);
    if (!rc)
        rc = qlist_open(&b->list, path, e);
    if (!rc)
        rc = counts_open(&b->counts, b->corpus, e);
    if (!rc && b->round)
        rc = caps_open(&b->previous, b->corpus, b->round - 1, e);
    if (!rc && b->round)
        rc = caps_open(&b->first, b->corpus, 0, e);
    if (!rc && b->round)
        rc = read_passes_before(b, e);
    return rc;
}

/* A part takes the plan as it is: it has to be one of this unique/. */
static int check_plan(struct balance *b, struct err *e)
{
    char name[STAGE_NAME_MAX];
    struct stage_inputs in;
    int rc;

    stage_inputs_init(&in);
    rc = plan_inputs(b, &in, e);
    snprintf(name, sizeof name, "selected/round-%u/caps", b->round);
    if (!rc)
        rc = stage_made_from(b->corpus, name, "balance --plan", &in, e);
    stage_inputs_release(&in);
    return rc;
}

/* Buckets of a list with more --bucket-bits. */
static int prune_buckets(struct balance *b, struct err *e)
{
    char folder[STAGE_NAME_MAX];

    snprintf(folder, sizeof folder, "selected/round-%u", b->round);
    return stage_prune(&b->stage, folder, "bucket-", corpus_buckets(b->corpus),
                       e);
}

static int run_round(struct balance *b, struct err *e)
{
    const struct balance_config *config = b->config;
    struct plan p = {.corpus = b->corpus,
                     .config = config,
                     .list = &b->list,
                     .counts = &b->counts};
    bool is_part = config->stage.part.n > 0;
    char folder[32];
    int rc = 0;

    if (!is_part)
        rc = make_plan(b, &p, !config->dry_run, e);
    if (is_part)
        rc = check_plan(b, e);
    else if (!config->dry_run && !rc)
        rc = prune_buckets(b, e);
    if (!rc && config->dry_run) {
        b->caps = p.caps; /* borrowed from the plan */
    } else if (!rc) {
        rc = caps_open(&b->caps, b->corpus, b->round, e);
        if (!rc && b->round == 0)
            rc = read_passes_before(b, e);
    }
    if (!rc) {
        summarize(b, &b->caps);
        b->sum->planned_only = config->plan;
    }
    if (!rc && !config->plan)
        rc = scan_run(b->corpus, config->stage.part,
                      stage_threads(&config->stage), "balance", &select_ops,
                      b, e);
    /* Of a list with more buckets. */
    snprintf(folder, sizeof folder, "selected/round-%u", b->round);
    if (!rc && !config->plan && !config->dry_run && !is_part)
        rc = stage_prune(&b->stage, folder, "bucket-",
                         corpus_buckets(b->corpus), e);
    if (!config->dry_run)
        caps_close(&b->caps);
    plan_release(&p);
    return rc;
}

int balance_run(const struct corpus *c, const struct opt_table *table,
                const struct balance_config *config,
                struct balance_summary *sum, struct err *e)
{
    struct balance b = {.corpus = c,
                        .config = config,
                        .sum = sum,
                        .round = (unsigned)config->round};
    int rc;

    *sum = (struct balance_summary){0};
    if (config->round > config->rounds)
        return err_set(e, E_USAGE, "--round %u is above --rounds %u",
                       (unsigned)config->round, (unsigned)config->rounds);
    if (config->plan && (config->dry_run || config->stage.part.n))
        return err_set(e, E_USAGE,
                       "--plan goes with neither --dry-run nor --part");
    /* A dry run makes its own plan, which reads every bucket. */
    if (config->dry_run && config->stage.part.n)
        return err_set(e, E_USAGE, "--dry-run looks at the whole corpus: it "
                                   "does not go with --part");
    stage_init(&b.stage, c, "balance", BALANCE_VERSION, table, config,
               config->stage.redo);
    rc = open_all(&b, e);
    if (!rc)
        rc = run_round(&b, e);
    caps_close(&b.previous);
    caps_close(&b.first);
    counts_release(&b.counts);
    qlist_close(&b.list);
    stage_release(&b.stage);
    return rc;
}
