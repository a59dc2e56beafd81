#include <stdio.h>

#include "filter/gather.h"
#include "tools/against.h"
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
     .def = "1536M",
     .min = 1 << 24,
     .max = 1e15,
     .help = "For the buckets being sorted, all threads together; what does "
             "not fit is sorted on disk."},
    {.name = "against",
     .type = OPT_LIST,
     .at = offsetof(struct gather_config, against),
     .arg = "SHARDS|PAIRS",
     .help = "Leave out what an evaluation set has: tars of samples, or JSON "
             "lines with url, text, caption or texts; a file, or a folder of "
             "them. Pairs go by their URL, or by their text: the same words "
             "in the same order, whatever their case and what stands between "
             "them. They are listed in unique/bucket-KKKK.against.jsonl.zst. "
             "Repeatable."},
    {.name = "against-min-words",
     .type = OPT_U64,
     .at = offsetof(struct gather_config, against_min_words),
     .arg = "N",
     .def = "5",
     .flags = OPT_BYTES,
     .help = "Texts of fewer words than that are not looked for in "
             "evaluation sets: many an \"a dog\" of the web is no copy of "
             "theirs. URLs always are."},
    {.name = "against-memory",
     .type = OPT_SIZE,
     .at = offsetof(struct gather_config, against_memory),
     .arg = "SIZE",
     .def = "4G",
     .min = 1 << 16,
     .max = 1e15,
     .help = "Most that the evaluation sets may take in memory, beside "
             "--memory: 48 to 144 bytes for each text and URL, and the name "
             "of each sample. Larger ones stop the stage."},
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
                "witmill gather my-corpus --against evals/coco --against "
                "evals/flickr30k.jsonl\n"
                "witmill gather my-corpus --part 0/4   # and 1/4, 2/4, 3/4\n"
                "witmill gather my-corpus --finish     # when those are done",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct gather_config),
};

/* ---- evaluation sets ---- */

struct sets {
    struct exclude exclude;
    struct stage_inputs inputs;
    struct tally skipped;
};

static int add_sample(void *ctx, const struct against_sample *s, struct err *e)
{
    struct exclude *x = ctx;

    return exclude_add(x, s->name, s->url, s->texts, s->n_texts, e);
}

static int read_sets(struct sets *s, const struct gather_config *g,
                     struct err *e)
{
    int rc = against_inputs(&g->against, &s->inputs, e);

    for (size_t i = 0; !rc && i < g->against.n; i++)
        rc = against_walk(g->against.v[i], false, add_sample, &s->exclude,
                          &s->skipped, e);
    tally_add_all(&s->exclude.counts, &s->skipped);
    return rc;
}

/* ---- the command ---- */

static void print_summary(const struct gather_config *g,
                          const struct gather_summary *sum)
{
    uint64_t records = tally_get(&sum->counts, "records");
    uint64_t urls = tally_get(&sum->counts, "urls");

    summary_outputs("gather", sum->buckets, "bucket",
                    sum->buckets_done_before);
    summary_line("records read", tally_get(&sum->counts, "read"));
    summary_line("unique pairs", records);
    summary_line("of how many URLs", urls);
    summary_line("URLs with several texts",
                 tally_get(&sum->counts, "urls-with-texts"));
    summary_line("further texts of these", records - urls);
    if (g->stage.part.n == 0)
        summary_line("matches in all", sum->matches);
    if (sum->spilled)
        summary_line("bytes sorted on disk", sum->spilled);
    summary_tally("left out", &sum->drops);
}

static int gather(const struct gather_config *g, struct err *e)
{
    struct gather_summary sum;
    struct corpus c;
    int rc = corpus_open(&c, g->stage.corpus, e);

    if (rc)
        return rc;
    rc = gather_run(&c, &table, g, &sum, e);
    if (!rc) {
        print_summary(g, &sum);
        if (g->exclude)
            summary_tally("of the evaluation sets", &g->exclude->counts);
        if (g->stage.part.n == 0)
            rc = merge_stage(&c, e);
    }
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    return rc;
}

static int run(const void *config, struct err *e)
{
    struct gather_config g = *(const struct gather_config *)config;
    struct sets sets = {0};
    int rc;

    if (g.finish || g.against.n == 0)
        return gather(&g, e);
    exclude_open(&sets.exclude, g.against_min_words, g.against_memory);
    stage_inputs_init(&sets.inputs);
    tally_init(&sets.skipped);
    rc = read_sets(&sets, &g, e);
    g.exclude = &sets.exclude;
    g.exclude_inputs = &sets.inputs;
    if (!rc)
        rc = gather(&g, e);
    exclude_close(&sets.exclude);
    stage_inputs_release(&sets.inputs);
    tally_release(&sets.skipped);
    return rc;
}

const struct command cmd_gather = {&table, run, true};
