#include "filter/balance.h"

#include <stdio.h>

#include "filter/balance_private.h"
#include "filter/outcomes.h"
#include "filter/plan.h"
#include "filter/rounds.h"

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
    struct balance_summary sum = {0};

    balance_numbers(b, &p->caps, &sum);
    json_put_u64(&o->more, "passes_before", b->passes_before);
    json_put_u64(&o->more, "raised", p->raised);
    json_put_u64(&o->more, "cap", sum.t);
    json_put_u64(&o->more, "groups", sum.groups);
    json_put_u64(&o->more, "zero", sum.zero);
    json_put_u64(&o->more, "tail", sum.tail);
    json_put_u64(&o->more, "head", sum.head);
    json_put_u64(&o->more, "matches", sum.matches);
    json_put_u64(&o->more, "head_matches", sum.head_matches);
    json_put_u64(&o->more, "picks_expected", sum.expected_picks);
}

static int publish_plan(struct balance *b, struct stage_output *o,
                        const struct plan *p, struct err *e)
{
    char path[IO_PATH_MAX], name[STAGE_NAME_MAX + 8], hex[SHA256_HEX];
    int rc = stage_path(o, ".bin", path, e);

    if (!rc)
        rc = caps_write(&p->caps, p->depth, path, hex, e);
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
    struct outcomes outcomes = {.bits = 0};
    struct outcomes_config ledgers = {
        .passes = (unsigned)b->passes_before + b->round,
        .threads = stage_threads(&b->config->stage),
        .memory_bytes = b->config->memory_bytes / 4,
        .pairs = b->sum->unique};
    struct stage_output o = {.stage = NULL};
    unsigned passes = 0;
    bool done = false;
    int rc;

    stage_inputs_init(&in);
    rc = plan_inputs(b, &in, e);
    if (!rc && b->round)
        rc = outcomes_read(&outcomes, b->corpus, &ledgers, &in, e);
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

/* ---- the stage ---- */

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
    if (!rc)
        rc = balance_unique(b->corpus, &b->sum->unique, e);
    if (!rc)
        rc = draw_table_make(&b->draws, &b->list, b->corpus->head.seed,
                             b->counts.c, e);
    return rc;
}

/* Buckets say by which options they were selected: those of the plan, or they
 * would say what is not so. */
static int same_options(struct balance *b, const char *plan, struct err *e)
{
    struct sidecar s;
    struct buf why;
    int rc = sidecar_read(&s, b->corpus, plan, e);

    if (rc)
        return rc;
    buf_init(&why, BUF_NO_LIMIT);
    if (!str_eq(s.options, buf_str(&b->stage.options))) {
        stage_changes(&s, buf_str(&b->stage.options),
                      &(struct stage_inputs){.n = 0}, &why);
        rc = err_set(e, E_STALE,
                     "%s/%s was made %.*s: a part takes the options of the "
                     "plan, or run `witmill balance %s --plan --redo` with "
                     "those wanted first",
                     b->corpus->dir, plan, STR_ARG(buf_str(&why)),
                     b->corpus->dir);
    }
    buf_release(&why);
    sidecar_release(&s);
    return rc;
}

/* A part takes the plan as it is: it has to be one of this unique/, and of
 * these options. */
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
    if (!rc)
        rc = same_options(b, name, e);
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

/* The caps that buckets go by: of a dry run the plan's own, which nobody
 * publishes; else those on disk. */
static int take_caps(struct balance *b, struct plan *p, struct err *e)
{
    int rc = 0;

    if (b->config->dry_run) {
        b->caps = p->caps;
    } else {
        plan_release(p);
        rc = caps_open(&b->caps, b->corpus, b->round, e);
        if (!rc && b->round == 0)
            rc = read_passes_before(b, e);
    }
    if (rc)
        return rc;
    draw_table_caps(&b->draws, b->caps.t, b->round ? b->previous.t : NULL);
    balance_numbers(b, &b->caps, b->sum);
    b->sum->planned_only = b->config->plan;
    return 0;
}

static int run_round(struct balance *b, struct err *e)
{
    const struct balance_config *config = b->config;
    struct plan p = {.corpus = b->corpus,
                     .config = config,
                     .list = &b->list,
                     .counts = &b->counts,
                     .draws = &b->draws};
    bool is_part = config->stage.part.n > 0;
    bool whole = !config->dry_run && !is_part;
    int rc;

    if (is_part)
        rc = check_plan(b, e);
    else
        rc = make_plan(b, &p, !config->dry_run, e);
    if (!rc && whole)
        rc = prune_buckets(b, e);
    if (!rc)
        rc = take_caps(b, &p, e);
    if (!rc && !config->plan)
        rc = balance_select(b, e);
    if (!rc && whole && !config->plan)
        rc = prune_buckets(b, e);
    if (!config->dry_run)
        caps_close(&b->caps);
    plan_release(&p);
    return rc;
}

/* Options that contradict each other. */
static int check_options(const struct balance_config *config, struct err *e)
{
    if (config->round > config->rounds)
        return err_set(e, E_USAGE, "--round %u is above --rounds %u",
                       (unsigned)config->round, (unsigned)config->rounds);
    if ((config->cap != 0) + (config->target != 0) + (config->tail_share > 0) >
        1)
        return err_set(e, E_USAGE,
                       "--cap, --target and --tail-share each "
                       "give the cap: only one of them");
    if (config->plan && (config->dry_run || config->stage.part.n))
        return err_set(e, E_USAGE,
                       "--plan goes with neither --dry-run nor --part");
    /* A dry run makes its own plan, which reads every bucket. */
    if (config->dry_run && config->stage.part.n)
        return err_set(e, E_USAGE,
                       "--dry-run looks at the whole corpus: it "
                       "does not go with --part");
    return 0;
}

int balance_run(const struct corpus *c, const struct opt_table *table,
                const struct balance_config *given, struct balance_summary *sum,
                struct err *e)
{
    struct balance_config config = *given;
    struct balance b = {.corpus = c,
                        .config = &config,
                        .sum = sum,
                        .round = (unsigned)given->round};
    int rc = check_options(given, e);

    *sum = (struct balance_summary){0};
    if (rc)
        return rc;
    if (!config.cap && !config.target && !(config.tail_share > 0))
        config.cap = BALANCE_CAP;
    stage_init(&b.stage, c, "balance", BALANCE_VERSION, table, &config,
               config.stage.redo);
    rc = open_all(&b, e);
    if (!rc)
        rc = run_round(&b, e);
    caps_close(&b.previous);
    caps_close(&b.first);
    draw_table_release(&b.draws);
    counts_release(&b.counts);
    qlist_close(&b.list);
    stage_release(&b.stage);
    return rc;
}
