#include <stdio.h>
#include <unistd.h>

#include "filter/match.h"
#include "tools/command.h"
#include "tools/match_stdin.h"
#include "tools/merge.h"
#include "tools/summary.h"

struct match_options {
    struct match_config config; /* first: rows of the stage count from it */
    bool texts;                 /* --stdin */
};

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct match_config, stage),
    {.name = "batch", .type = OPT_LIST,
     .at = offsetof(struct match_config, batches), .arg = "NAME",
     .help = "Match only this batch of pairs/ (repeatable); all by default."},
    {.name = "min-words", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.min_words), .arg = "N",
     .def = "2", .flags = OPT_BYTES,
     .help = "Leave out texts of fewer words; 0 gives the published "
             "behaviour."},
    {.name = "max-words", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.max_words), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts of more words; 0 is no bound."},
    {.name = "min-chars", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.min_chars), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts of fewer characters."},
    {.name = "rule-svg", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.svg), .def = "yes",
     .flags = OPT_BYTES, .help = "Keep pairs whose URL ends in .svg or .svgz "
                                 "(by default they are left out)."},
    {.name = "rule-boilerplate", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.boilerplate), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Keep texts that consist of navigation words alone: next, home, "
             "back to top."},
    {.name = "rule-filename", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.filename), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Keep texts that are an image's file name and little else."},
    {.name = "rule-repetition", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.repetition), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Keep texts that repeat a few words over and over."},
    {.name = "memory", .type = OPT_SIZE,
     .at = offsetof(struct match_config, memory_bytes), .arg = "SIZE",
     .def = "256M", .min = 1 << 20, .max = 1e15,
     .help = "Records kept in memory until their bucket's frame is written; "
             "more go to a temporary file."},
    {.name = "stdin", .type = OPT_BOOL,
     .at = offsetof(struct match_options, texts), .def = "no",
     .help = "Match texts from standard input instead, one a line, and print "
             "a line of JSON for each: q, the groups it matches, and queries, "
             "their entries with id, text and group. A text is matched as it "
             "is, text rules aside, and answered before the next is waited "
             "for; one that cannot be, has an error instead. Nothing is "
             "written to the corpus."},
    STAGE_OPTION_PART(struct match_config, stage),
    STAGE_OPTION_THREADS(struct match_config, stage),
    STAGE_OPTION_REDO(struct match_config, stage),
};

static const struct opt_table table = {
    .command = "match",
    .synopsis = "CORPUS [options] | CORPUS --stdin",
    .summary = "Find the queries that each text contains.",
    .details = "Reads pairs/, writes matched/: the pairs that pass the text "
               "rules and match at least one query of the list. What is left "
               "out is counted by reason.",
    .examples = "witmill match my-corpus\n"
                "witmill match my-corpus --min-words 0 --no-rule-filename\n"
                "witmill match my-corpus --part auto   # in a Slurm array\n"
                "echo 'a dog on a beach' | witmill match my-corpus --stdin",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct match_options),
};

static int run(const void *config, struct err *e)
{
    const struct match_options *options = config;
    const struct match_config *m = &options->config;
    struct match_summary sum;
    struct corpus c;
    int rc = corpus_open(&c, m->stage.corpus, e);

    if (rc)
        return rc;
    if (options->texts)
        return match_stdin(&c, STDIN_FILENO, STDOUT_FILENO, e);
    rc = match_run(&c, &table, m, &sum, e);
    if (!rc) {
        summary_outputs("match", sum.parts, "part", sum.parts_done_before);
        summary_line("pairs read", tally_get(&sum.counts, "read"));
        summary_share("matched", tally_get(&sum.counts, "records"),
                      tally_get(&sum.counts, "read"));
        summary_tally("left out", &sum.drops);
        if (m->stage.part.n == 0)
            rc = merge_stage(&c, e);
    }
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    return rc;
}

const struct command cmd_match = {&table, run, true};
