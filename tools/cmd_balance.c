#include <stdio.h>

#include "base/selected.h"
#include "filter/balance.h"
#include "tools/command.h"
#include "tools/merge.h"
#include "tools/print.h"
#include "tools/summary.h"

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct balance_config, stage),
    {.name = "cap",
     .type = OPT_U64,
     .at = offsetof(struct balance_config, cap),
     .arg = "T",
     .def = "20000",
     .min = 1,
     .max = 1e15,
     .flags = OPT_BYTES,
     .help = "How many pairs a query may pick."},
    {.name = "target",
     .type = OPT_U64,
     .at = offsetof(struct balance_config, target),
     .arg = "N",
     .def = "0",
     .flags = OPT_BYTES,
     .help = "Instead of --cap: take the largest cap that keeps at most N "
             "pairs, and print it."},
    {.name = "exact",
     .type = OPT_BOOL,
     .at = offsetof(struct balance_config, exact),
     .flags = OPT_BYTES,
     .help = "Every query picks exactly min(T, its pairs), by rank, instead "
             "of that many in expectation. Needs 24 bytes of memory a match."},
    {.name = "round",
     .type = OPT_U64,
     .at = offsetof(struct balance_config, round),
     .arg = "R",
     .def = "0",
     .flags = OPT_BYTES,
     .help = "0 selects; R > 0 replaces what turned out dead or unusable in "
             "the downloads of the rounds before."},
    {.name = "rounds",
     .type = OPT_U64,
     .at = offsetof(struct balance_config, rounds),
     .arg = "N",
     .def = "3",
     .max = SELECTED_ROUNDS_MAX - 1,
     .help = "The last round that is allowed."},
    {.name = "plan",
     .type = OPT_BOOL,
     .at = offsetof(struct balance_config, plan),
     .help = "Only make caps.bin, which parts need; runs by itself when not "
             "a part."},
    {.name = "dry-run",
     .type = OPT_BOOL,
     .at = offsetof(struct balance_config, dry_run),
     .help = "Say what would be kept, and write nothing."},
    STAGE_OPTION_PART(struct balance_config, stage),
    STAGE_OPTION_THREADS(struct balance_config, stage),
    STAGE_OPTION_REDO(struct balance_config, stage),
};

static const struct opt_table table = {
    .command = "balance",
    .synopsis = "CORPUS [options]",
    .summary = "Let each query pick at most so many pairs.",
    .details = "Reads unique/, writes selected/round-R/. A pair is kept when "
               "at least one query picks it; each choice is a hash of seed, "
               "pair and query, so that a larger cap keeps a superset.",
    .examples = "witmill balance my-corpus --dry-run\n"
                "witmill balance my-corpus --target 1000000\n"
                "witmill balance my-corpus --round 1   # after a download",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct balance_config),
};

static void print(const struct balance_config *b,
                  const struct balance_summary *sum)
{
    printf("balance, round %llu%s: cap %s%s\n", (unsigned long long)b->round,
           b->dry_run ? " (dry run)" : "", print_n(sum->t),
           b->target && b->round == 0 ? ", found by --target" : "");
    summary_line("queries (groups)", sum->groups);
    summary_share("without a match", sum->zero, sum->groups);
    summary_share("tail, up to the cap", sum->tail, sum->groups);
    summary_share("head, above the cap", sum->head, sum->groups);
    summary_line("matches in all", sum->matches);
    summary_share("of the head", sum->head_matches, sum->matches);
    summary_share("of the tail", sum->matches - sum->head_matches,
                  sum->matches);
    summary_line("picks expected", sum->expected_picks);
    if (b->round)
        summary_line("queries that lost images", sum->raised);
    if (sum->planned_only)
        return;
    summary_line("pairs looked at", sum->pairs);
    summary_line(b->dry_run ? "picks" : "picks recorded", sum->picks);
    summary_share(b->round ? "pairs added" : "pairs kept", sum->kept,
                  sum->pairs);
}

static int run(const void *config, struct err *e)
{
    const struct balance_config *b = config;
    struct balance_summary sum;
    struct corpus c;
    int rc = corpus_open(&c, b->stage.corpus, e);

    if (rc)
        return rc;
    rc = balance_run(&c, &table, b, &sum, e);
    if (rc)
        return rc;
    print(b, &sum);
    return b->stage.part.n || b->dry_run || b->plan ? 0 : merge_stage(&c, e);
}

const struct command cmd_balance = {&table, run, true};
