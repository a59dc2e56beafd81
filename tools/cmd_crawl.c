/* witmill crawl: parse, call, print. */
#include "crawler/crawl.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/merge.h"
#include "tools/net_options.h"
#include "tools/summary.h"
#include <stdio.h>

static const char *const scopes[] = {"host", "domain", "any", NULL};

#define AT(member) offsetof(struct crawl_config, member)

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct crawl_config, stage),
    {.name = "seed",
     .type = OPT_LIST,
     .at = AT(seed),
     .arg = "URL",
     .help = "Begin here (repeatable)."},
    {.name = "seeds",
     .type = OPT_STRING,
     .at = AT(seeds),
     .arg = "FILE",
     .help = "Begin at the URLs of FILE, one a line; blank lines and those "
             "that begin with # are skipped."},
    NET_OPTION_CONTACT(struct crawl_config, fetch),
    {.name = "scope",
     .type = OPT_CHOICE,
     .at = AT(scope),
     .arg = "WHICH",
     .def = "host",
     .help = "Follow links and redirects to the hosts of the seeds alone, to "
             "all hosts of their registrable domains (example.org and all "
             "below it), or to any.",
     .flags = OPT_BYTES,
     .choices = scopes},
    {.name = "max-depth",
     .type = OPT_U64,
     .at = AT(max_depth),
     .arg = "N",
     .def = "8000",
     .help = "Read pages at most N links away from the nearest seed; 0 reads "
             "the seeds alone.",
     .max = FRONTIER_DEPTH_MAX},
    {.name = "max-pages",
     .type = OPT_U64,
     .at = AT(max_pages),
     .arg = "N",
     .def = "0",
     .help = "Read at most N pages, all runs together; 0 sets no limit.",
     .max = 4e9},
    {.name = "max-pages-per-host",
     .type = OPT_U64,
     .at = AT(max_pages_per_host),
     .arg = "N",
     .def = "0",
     .help = "The same for each host.",
     .max = 4e9},
    {.name = "max-pages-per-domain",
     .type = OPT_U64,
     .at = AT(max_pages_per_domain),
     .arg = "N",
     .def = "0",
     .help = "The same for each registrable domain: what keeps a site with "
             "a new host name on every page from going on for ever.",
     .max = 4e9},
    {.name = "min-delay",
     .type = OPT_DOUBLE,
     .at = AT(fetch.min_delay_s),
     .arg = "SECONDS",
     .def = "-1",
     .help = "Wait so long between requests to a host whose address is "
             "inside --allow-net, or its Crawl-delay if that is longer. All "
             "others are asked once in a second at most, or in five times "
             "what their last answer took, or in their Crawl-delay, "
             "whichever is longest; -1: these too.",
     .min = -1,
     .max = 300},
    NET_OPTIONS_LOAD(struct crawl_config, fetch),
    {.name = "max-page-size",
     .type = OPT_SIZE,
     .at = AT(fetch.page_max),
     .arg = "SIZE",
     .def = "4M",
     .help = "Give up on a page that is larger, decoded.",
     .min = 1024,
     .max = 1 << 28},
    NET_OPTIONS_PATIENCE(struct crawl_config, fetch),
    {.name = "retry-failed",
     .type = OPT_BOOL,
     .at = AT(retry_failed),
     .help = "Ask again for what earlier runs gave up on after time-outs, "
             "broken connections, 429 and 5xx."},
    NET_OPTIONS_REACH(struct crawl_config, fetch),
    {.name = "part-size",
     .type = OPT_SIZE,
     .at = AT(part_bytes),
     .arg = "SIZE",
     .def = "64M",
     .help = "Begin a new file in pairs/crawl when one has reached SIZE.",
     .min = 1,
     .max = 1e12},
    {.name = "save-ms",
     .type = OPT_U64,
     .at = AT(save_ms),
     .arg = "MS",
     .def = "1000",
     .help = "Make what was read durable so often.",
     .flags = OPT_HIDDEN,
     .max = 3600000},
    {.name = "part",
     .type = OPT_PART,
     .at = AT(stage.part),
     .arg = "I/N",
     .help = "Ask only the hosts of part I (from 0) of N; `auto` asks Slurm's "
             "or Kubernetes' variables."},
    STAGE_OPTION_THREADS(struct crawl_config, stage),
    {.name = "redo",
     .type = OPT_BOOL,
     .at = AT(stage.redo),
     .help = "If the corpus holds a crawl of other seeds or another scope, "
             "remove it and begin anew, instead of stopping."},
};

static const struct opt_table table = {
    .command = "crawl",
    .synopsis = "CORPUS --seed URL... --contact URL|MAIL [options]",
    .summary = "Find candidate pairs on the live web, politely.",
    .details =
        "Reads pages from the seeds on, nearest first, and writes the images "
        "and the texts that speak of them to pairs/crawl. robots.txt is "
        "always obeyed; pages that forbid it by Content-Signal, X-Robots-Tag "
        "or a robots meta element give no pairs. One request at a time goes "
        "to a host, after a pause.\n\n"
        "Stopped by Ctrl-C or killed, it loses at most what it fetched in the "
        "last second: run it again to go on. An interrupted run ends with "
        "exit code 3. When it is done, a run with the same budgets does "
        "nothing, one with larger budgets goes on.\n\n"
        "Seeds and --scope hold for the whole crawl: with others than before "
        "it stops, and --redo begins anew.\n\n"
        "With --part I/N a machine asks only the hosts whose registrable "
        "domain hashes to I, and hands links to other hosts to their parts. "
        "Run all parts with the same seeds and scope, at once or in turn, "
        "until each says that it has nothing to do; page budgets are then "
        "each part's own.",
    .examples =
        "witmill crawl my-corpus --seed https://example.org/ --contact "
        "https://example.org/crawl.html\n"
        "# all hosts of the domains in a list, a thousand pages of each\n"
        "witmill crawl my-corpus --seeds sites.txt --scope domain "
        "--max-pages-per-domain 1000 --contact me@example.org",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct crawl_config),
};

static const char *end_text(const struct crawl_result *r)
{
    switch (r->end) {
    case CRAWL_ALL:
        return r->asked ? "nothing is left to follow"
                        : "nothing to do: all was read before";
    case CRAWL_DEPTH:
        return r->asked ? "all within --max-depth is read"
                        : "nothing to do: all within --max-depth was read "
                          "before; a larger one goes on";
    case CRAWL_BUDGET:
        return r->asked ? "a page budget is used up; a larger one goes on"
                        : "nothing to do: a page budget is used up; a larger "
                          "one goes on";
    case CRAWL_DOWN:
        return "hosts that are down wait; run it again to try them";
    case CRAWL_STOPPED:
        break;
    }
    return "stopped on request; run it again to continue";
}

static void print_result(const struct crawl_result *r, bool part)
{
    printf("crawl: %s\n", end_text(r));
    if (part && r->handed)
        printf("  links went to other parts: run all parts again\n");
    summary_line("pages read", tally_get(&r->counts, "pages"));
    summary_line("pairs found", tally_get(&r->counts, "records"));
    summary_line("pages read for links alone",
                 tally_get(&r->counts, "withheld"));
    summary_line("redirects", tally_get(&r->counts, "redirects"));
    summary_line("URLs known", r->frontier.urls);
    summary_line("hosts", r->frontier.hosts);
    if (r->frontier.waiting)
        summary_line("URLs that wait", r->frontier.waiting);
    if (r->frontier.deeper)
        summary_line("URLs behind --max-depth", r->frontier.deeper);
    if (part)
        summary_line("links handed to other parts", r->handed);
    summary_line("requests in this run", r->requests);
    summary_tally("left for a later run", &r->held);
    summary_tally("pages refused", &r->refused);
    summary_tally("pages failed", &r->failed);
    summary_tally("pairs left out", &r->drops);
}

static int run(const void *given, struct err *e)
{
    struct crawl_config config = *(const struct crawl_config *)given;
    struct crawl_result result;
    struct corpus c;
    int rc = corpus_open(&c, config.stage.corpus, e);

    if (rc)
        return rc;
    config.stop = interrupt_listen();
    crawl_result_init(&result);
    rc = crawl_run(&c, &config, &table, &result, e);
    rc = interrupt_end(rc, e);
    if (!rc || rc == -E_CANCEL)
        print_result(&result, config.stage.part.n > 0);
    if (!rc && result.published && config.stage.part.n == 0)
        rc = merge_stage(&c, e);
    crawl_result_release(&result);
    return rc;
}

const struct command cmd_crawl = {&table, run, true};
