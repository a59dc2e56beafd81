#include <stddef.h>
#include <stdio.h>

#include "tools/command.h"
#include "tools/report.h"

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct report_config, corpus),
     .arg = "CORPUS",
     .help = "The corpus folder.",
     .flags = OPT_REQUIRED | OPT_POSITIONAL},
    {.name = "out",
     .type = OPT_STRING,
     .at = offsetof(struct report_config, out),
     .arg = "FILE",
     .help = "Where to write the page; CORPUS/report.html without it."},
    {.name = "title",
     .type = OPT_STRING,
     .at = offsetof(struct report_config, title),
     .arg = "TEXT",
     .def = "Corpus report",
     .help = "Heading of the page."},
    {.name = "model",
     .type = OPT_STRING,
     .at = offsetof(struct report_config, model),
     .arg = "RUN",
     .help = "A section about the model trained in this folder: its curve, "
             "and what of zeroshot.json, retrieval.json (witmill eval --json), "
             "pictures.npy, queries.npy (witmill embed), queries.txt and "
             "queries.keys lies there."},
    {.name = "pictures",
     .type = OPT_U64,
     .at = offsetof(struct report_config, pictures),
     .arg = "N",
     .def = "60",
     .max = 1000,
     .help = "Sample pictures at most; fewer when they would make the page "
             "larger than about 3 MB."},
    {.name = "top",
     .type = OPT_U64,
     .at = offsetof(struct report_config, top),
     .arg = "N",
     .def = "20",
     .min = 1,
     .max = 1000,
     .help = "Rows of the tables of queries and hosts."},
};

static const struct opt_table table = {
    .command = "report",
    .synopsis = "CORPUS [--out FILE]",
    .summary = "Write report.html: the corpus on one page, with pictures.",
    .details =
        "Funnel, coverage before and after balancing, head and tail, drops, "
        "hosts, sizes, and a page of pictures with their texts and queries. "
        "The page is one file that fetches nothing and runs nothing, for a "
        "screen of any size or for paper. Equal corpora give equal bytes.",
    .examples = "witmill report my-corpus\n"
                "witmill report my-corpus --out /tmp/corpus.html\n"
                "witmill report my-corpus --model my-corpus/models/ViT-B-32",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct report_config),
};

static int run(const void *config, struct err *e)
{
    const struct report_config *cfg = config;
    struct corpus c;
    int rc = corpus_open(&c, cfg->corpus, e);

    if (!rc)
        rc = report_run(&c, cfg, e);
    if (rc)
        return rc;
    if (cfg->out)
        printf("%s\n", cfg->out);
    else
        printf("%s/report.html\n", c.dir);
    return 0;
}

const struct command cmd_report = {&table, run, true};
