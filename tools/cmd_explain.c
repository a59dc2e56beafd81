#include <stddef.h>

#include "tools/command.h"
#include "tools/explain.h"

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct explain_config, corpus),
     .arg = "CORPUS",
     .help = "The corpus folder.",
     .flags = OPT_REQUIRED | OPT_POSITIONAL},
    {.name = "URL",
     .type = OPT_STRING,
     .at = offsetof(struct explain_config, url),
     .arg = "URL",
     .help = "A picture's URL, in any spelling: its canonical form is looked "
             "for.",
     .flags = OPT_REQUIRED | OPT_POSITIONAL},
    {.name = "everywhere",
     .type = OPT_BOOL,
     .at = offsetof(struct explain_config, everywhere),
     .help = "Read all of pairs/ for every place where the URL was found, "
             "also the ones that were dropped or repeat another. Without it "
             "that is done only when no later stage knows the URL."},
};

static const struct opt_table table = {
    .command = "explain",
    .synopsis = "CORPUS URL [--everywhere]",
    .summary = "Tell what became of one picture, stage by stage.",
    .details =
        "Where it was found, which queries its texts contain, in how many "
        "pairs c each of those is, its draw against its cap (a query picks "
        "the pair when the draw, from 0 to c - 1, is below the cap), the "
        "round that selected it, the outcome of the download, what it "
        "duplicates, and its shard and key.\n\n"
        "Exit code 1 when the corpus has never met the URL.",
    .examples = "witmill explain my-corpus http://manual.test/images/a.png",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct explain_config),
};

static int run(const void *config, struct err *e)
{
    const struct explain_config *cfg = config;
    struct corpus c;
    int rc = corpus_open(&c, cfg->corpus, e);

    return rc ? rc : explain_url(&c, cfg, stdout, e);
}

const struct command cmd_explain = {.options = &table, .run = run};
