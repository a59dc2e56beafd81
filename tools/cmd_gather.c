#include <stdio.h>

#include "filter/gather.h"
#include "tools/command.h"
#include "tools/merge.h"
#include "tools/summary.h"

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct gather_config, stage),
    {.name = "finish",
     .type = OPT_BOOL,
     .at = offsetof(struct gather_config, finish),
     .help = "Only add up the counts of all buckets into counts.bin: once, "
             "when all parts are done."},
    {.name = "memory",
     .type = OPT_SIZE,
     .at = offsetof(struct gather_config, memory_bytes),
     .arg = "SIZE",
     .def = "2G",
     .min = 1 << 24,
     .max = 1e15,
     .help = "For the buckets being sorted, all threads together."},
    STAGE_OPTION_PART(struct gather_config, stage),
    STAGE_OPTION_THREADS(struct gather_config, stage),
    STAGE_OPTION_REDO(struct gather_config, stage),
};

static const struct opt_table table = {
    .command = "gather",
    .synopsis = "CORPUS [options]",
    .summary = "Sort pairs by image, drop duplicates, count each query.",
    .details = "Reads matched/, writes unique/: one record per pair, those of "
               "an image side by side, and counts.bin, how many pairs match "
               "each query.",
    .examples = "witmill gather my-corpus\n"
                "witmill gather my-corpus --part 0/4   # and 1/4, 2/4, 3/4\n"
                "witmill gather my-corpus --finish     # when those are done",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct gather_config),
};

static int run(const void *config, struct err *e)
{
    const struct gather_config *g = config;
    struct gather_summary sum;
    struct corpus c;
    int rc = corpus_open(&c, g->stage.corpus, e);

    if (rc)
        return rc;
    rc = gather_run(&c, &table, g, &sum, e);
    if (!rc) {
        summary_outputs("gather", sum.buckets, "bucket",
                        sum.buckets_done_before);
        summary_line("records read", tally_get(&sum.counts, "read"));
        summary_line("unique pairs", tally_get(&sum.counts, "records"));
        if (g->stage.part.n == 0)
            summary_line("matches in all", sum.matches);
        summary_tally("left out", &sum.drops);
        if (g->stage.part.n == 0)
            rc = merge_stage(&c, e);
    }
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    return rc;
}

const struct command cmd_gather = {&table, run, true};
