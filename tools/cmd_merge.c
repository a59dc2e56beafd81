#include <stddef.h>
#include <stdio.h>

#include "catalog/catalog.h"
#include "tools/command.h"
#include "tools/merge.h"

struct config {
    const char *corpus, *catalog;
};

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct config, corpus),
     .arg = "CORPUS",
     .help = "The corpus folder.",
     .flags = OPT_REQUIRED | OPT_POSITIONAL},
    {.name = "catalog",
     .type = OPT_STRING,
     .at = offsetof(struct config, catalog),
     .arg = "WHAT",
     .help = "Which selected pairs the catalogue lists: full, sample:N (the "
             "same N for every merge of equal corpora) or none. Without it "
             "what the last merge was told; at first sample:1000000."},
};

static const struct opt_table table = {
    .command = "merge",
    .synopsis = "CORPUS [--catalog full|sample:N|none]",
    .summary = "Fold what the stages wrote into corpus.db.",
    .details =
        "A stage that is not run in parts merges by itself. After the last "
        "part of a stage, run this once, on one machine. Only what changed "
        "since the last merge is read. corpus.db can be removed at any time: "
        "the next merge makes it anew.\n\n"
        "corpus.db is an SQLite database that any tool opens, also while "
        "stages run; docs/queries.md has ready questions.",
    .examples = "# after all parts of a stage\n"
                "witmill merge my-corpus\n"
                "# with every selected pair\n"
                "witmill merge my-corpus --catalog full",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct config),
};

static int run(const void *config, struct err *e)
{
    const struct config *cfg = config;
    struct merge_config merge = MERGE_CONFIG_DEFAULT;
    struct corpus c;
    int rc = corpus_open(&c, cfg->corpus, e);

    if (!rc && cfg->catalog)
        rc = merge_parse_catalog(cfg->catalog, &merge, e);
    if (!rc)
        rc = merge_corpus(&c, &merge, e);
    if (!rc)
        printf("%s/%s is up to date\n", c.dir, CATALOG_FILE);
    return rc;
}

const struct command cmd_merge = {.options = &table, .run = run};
