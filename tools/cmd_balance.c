#include "base/selected.h"
#include "filter/balance.h"
#include "tools/balance_print.h"
#include "tools/command.h"
#include "tools/merge.h"

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct balance_config, stage),
    {.name = "cap",
     .type = OPT_U64,
     .at = offsetof(struct balance_config, cap),
     .arg = "T",
     .min = 1,
     .max = 1e15,
     .flags = OPT_BYTES,
     .help = "How many pairs a query may pick: 20000, unless one of the next "
             "two says otherwise."},
    {.name = "target",
     .type = OPT_U64,
     .at = offsetof(struct balance_config, target),
     .arg = "N",
     .min = 1,
     .max = 1e15,
     .flags = OPT_BYTES,
     .help = "Instead of --cap: take the largest cap that keeps at most N "
             "pairs, and print it. Where even a cap of 1 keeps more, none are "
             "kept, and a warning names the smallest N that keeps any."},
    {.name = "tail-share",
     .type = OPT_DOUBLE,
     .at = offsetof(struct balance_config, tail_share),
     .arg = "P",
     .def = "0",
     .max = 1,
     .flags = OPT_BYTES,
     .help = "Instead of --cap: the cap at which queries with fewer matches "
             "hold the share P of all matches, 0.06 for example, so that a "
             "list of another language or size is balanced as the one that P "
             "was read off."},
    {.name = "exact",
     .type = OPT_BOOL,
     .at = offsetof(struct balance_config, exact),
     .flags = OPT_BYTES,
     .help = "Every query picks exactly min(T, its pairs), by rank, instead "
             "of that many in expectation. Takes one more reading, and while "
             "it sorts 28 bytes of disk a pick."},
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
     .help = "Only make caps.bin, which parts need, with the options that "
             "they are given; runs by itself when not a part."},
    {.name = "dry-run",
     .type = OPT_BOOL,
     .at = offsetof(struct balance_config, dry_run),
     .help = "Say what would be kept, and write nothing."},
    {.name = "json",
     .type = OPT_BOOL,
     .at = offsetof(struct balance_config, json),
     .help = "Print the summary as one JSON object, for scripts."},
    {.name = "memory",
     .type = OPT_SIZE,
     .at = offsetof(struct balance_config, memory_bytes),
     .arg = "SIZE",
     .def = "1G",
     .min = 1 << 24,
     .max = 1e15,
     .help = "For what is sorted or looked up while a plan is made, all "
             "threads together."},
    {.name = "rank-slack",
     .type = OPT_U64,
     .at = offsetof(struct balance_config, slack),
     .def = "8",
     .max = 1000,
     .flags = OPT_HIDDEN,
     .help = "Standard deviations of candidates beyond the ranks wanted."},
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
               "pair and query, so that a larger cap keeps a superset.\n\n"
               "The summary gives the numbers that published pools are "
               "described by; --dry-run prints them before anything is "
               "written or downloaded. docs/balancing.md explains them.",
    .examples = "witmill balance my-corpus --dry-run\n"
                "witmill balance my-corpus --target 1000000\n"
                "witmill balance my-corpus --round 1   # after a download",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct balance_config),
};

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
    if (b->json)
        balance_print_json(b, &sum);
    else
        balance_print(b, &sum);
    return b->stage.part.n || b->dry_run || b->plan ? 0 : merge_stage(&c, e);
}

const struct command cmd_balance = {&table, run, true};
