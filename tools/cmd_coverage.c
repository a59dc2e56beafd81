#include <stddef.h>

#include "tools/command.h"
#include "tools/coverage.h"

struct config {
    const char *corpus, *query, *under;
    bool json;
    uint64_t top;
};

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct config, corpus),
     .arg = "CORPUS",
     .help = "The corpus folder.",
     .flags = OPT_REQUIRED | OPT_POSITIONAL},
    {.name = "QUERY",
     .type = OPT_STRING,
     .at = offsetof(struct config, query),
     .arg = "QUERY",
     .help = "One entry of the list, in any case: its numbers at each stage, "
             "and example pairs.",
     .flags = OPT_POSITIONAL},
    {.name = "under",
     .type = OPT_STRING,
     .at = offsetof(struct config, under),
     .arg = "SYNSET",
     .help = "Every hyponym of a WordNet synset, dog.n.01 for example, with "
             "its numbers."},
    {.name = "top",
     .type = OPT_U64,
     .at = offsetof(struct config, top),
     .arg = "N",
     .def = "20",
     .max = 100000,
     .help = "Rows of the head, tail and zero tables; a quarter of it is the "
             "number of example pairs of a query."},
    {.name = "json",
     .type = OPT_BOOL,
     .at = offsetof(struct config, json),
     .help = "One JSON object instead, for scripts."},
};

static const struct opt_table table = {
    .command = "coverage",
    .synopsis = "CORPUS [QUERY | --under SYNSET] [--json]",
    .summary = "Show the funnel, and which queries the corpus covers.",
    .details =
        "Numbers are of pairs, a text and the URL of a picture. found: pairs "
        "that contain the query, c(q). picks: selected pairs that the query "
        "itself drew, at most its cap in the mean. selected: selected pairs "
        "that contain it, by whomever they were drawn; a common word is "
        "contained in many that others picked. survived: those with a "
        "picture that is no duplicate. packed: those in shards.\n\n"
        "Exit code 1 when the query or synset is not in the list.",
    .examples = "witmill coverage my-corpus\n"
                "witmill coverage my-corpus \"olive oil\"\n"
                "witmill coverage my-corpus --under dog.n.01",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct config),
};

static int run(const void *config, struct err *e)
{
    const struct config *cfg = config;
    struct catalog catalog = CATALOG_INIT;
    struct corpus c;
    struct coverage v = {.corpus = &c,
                         .catalog = &catalog,
                         .out = stdout,
                         .json = cfg->json,
                         .top = cfg->top};
    int rc;

    if (cfg->query && cfg->under)
        return err_set(e, E_USAGE, "a query or --under, not both");
    rc = corpus_open(&c, cfg->corpus, e);
    if (!rc)
        rc = catalog_open(&catalog, c.dir, DB_READ, e);
    if (rc)
        return rc;
    if (cfg->query)
        rc = coverage_query(&v, cfg->query, e);
    else if (cfg->under)
        rc = coverage_under(&v, cfg->under, e);
    else
        rc = coverage_summary(&v, e);
    catalog_close(&catalog);
    return rc;
}

const struct command cmd_coverage = {.options = &table, .run = run};
