#include <stdio.h>

#include "crawler/import.h"
#include "tools/command.h"
#include "tools/merge.h"
#include "tools/summary.h"

static const char *const formats[] = {"auto", "tsv", "csv", "jsonl", NULL};
static const char *const headers[] = {"auto", "yes", "no", NULL};

#define COLUMN(flag, which, text)                                              \
    {                                                                          \
        .name = flag, .type = OPT_STRING,                                      \
        .at = offsetof(struct import_config, table.column[which]),             \
        .arg = "NAME|N", .flags = OPT_BYTES, .help = text                      \
    }

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct import_config, stage),
    {.name = "html",
     .type = OPT_LIST,
     .at = offsetof(struct import_config, html),
     .arg = "DIR",
     .help = "A saved site: all .html, .htm, .xhtml and .xht files below DIR. "
             "Repeatable, each with its --base."},
    {.name = "base",
     .type = OPT_LIST,
     .at = offsetof(struct import_config, bases),
     .arg = "URL",
     .help = "The URL that DIR was saved from."},
    {.name = "links",
     .type = OPT_LIST,
     .at = offsetof(struct import_config, links),
     .arg = "FILE",
     .help = "A list of image URLs and texts: TSV, CSV or JSON lines, plain "
             "or compressed by gzip, bzip2, zstd. Repeatable."},
    {.name = "as",
     .type = OPT_STRING,
     .at = offsetof(struct import_config, batch),
     .arg = "NAME",
     .def = "import",
     .help = "The batch's name under pairs/."},
    {.name = "format",
     .type = OPT_CHOICE,
     .at = offsetof(struct import_config, table.format),
     .def = "auto",
     .choices = formats,
     .flags = OPT_BYTES,
     .help = "Of the lists; auto looks at the name, then at the first line."},
    {.name = "header",
     .type = OPT_CHOICE,
     .at = offsetof(struct import_config, table.header),
     .def = "auto",
     .choices = headers,
     .flags = OPT_BYTES,
     .help = "Whether a list's first line names its columns; auto: when one "
             "of them is a usual name for the URL."},
    COLUMN("url-column", TABLE_URL,
           "Column of the URL: its name, or its number from 1. Usual names "
           "are found by themselves; without a header it is the first."),
    COLUMN("text-column", TABLE_TEXT,
           "Column of the text; without a header the second."),
    COLUMN("page-column", TABLE_PAGE, "Column of the page's URL, if any."),
    COLUMN("uid-column", TABLE_UID,
           "Column of the list's own id, kept as list_uid."),
    STAGE_OPTION_PART(struct import_config, stage),
    STAGE_OPTION_THREADS(struct import_config, stage),
    STAGE_OPTION_REDO(struct import_config, stage),
};

static const struct opt_table table = {
    .command = "import",
    .synopsis = "CORPUS --html DIR --base URL | --links FILE [options]",
    .summary = "Take candidate pairs from saved sites and link lists.",
    .details = "Writes pairs/NAME/: for each image every text that speaks of "
               "it (alt, title, aria-label, captions, og), each a pair.",
    .examples =
        "witmill import my-corpus --html saved/ --base https://example.org/\n"
        "witmill import my-corpus --links laion.tsv.gz --as laion\n"
        "witmill import my-corpus --links cc12m.tsv --header no --as cc12m",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct import_config),
};

static int run(const void *config, struct err *e)
{
    const struct import_config *m = config;
    struct import_summary sum;
    struct corpus c;
    char title[STAGE_NAME_MAX];
    int rc = corpus_open(&c, m->stage.corpus, e);

    if (rc)
        return rc;
    rc = import_run(&c, &table, m, &sum, e);
    if (!rc) {
        snprintf(title, sizeof title, "import, batch %s", m->batch);
        summary_outputs(title, sum.parts, "part", sum.parts_done_before);
        summary_line("pages", tally_get(&sum.counts, "pages"));
        summary_line("images on them", tally_get(&sum.counts, "images"));
        summary_line("list rows", tally_get(&sum.counts, "rows"));
        summary_line("pairs", tally_get(&sum.counts, "records"));
        summary_tally("left out", &sum.drops);
        if (m->stage.part.n == 0)
            rc = merge_stage(&c, e);
    }
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    return rc;
}

const struct command cmd_import = {&table, run, true};
