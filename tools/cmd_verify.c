#include <stdio.h>

#include "catalog/catalog.h"
#include "shards/verify.h"
#include "tools/command.h"
#include "tools/print.h"
#include "tools/summary.h"

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct verify_config, corpus),
     .arg = "CORPUS",
     .help = "The corpus folder.",
     .flags = OPT_REQUIRED | OPT_POSITIONAL},
    {.name = "deep",
     .type = OPT_BOOL,
     .at = offsetof(struct verify_config, deep),
     .help = "Also decode every JPEG and recompute every uid."},
    {.name = "threads",
     .type = OPT_U64,
     .at = offsetof(struct verify_config, threads),
     .arg = "N",
     .def = "0",
     .max = 1024,
     .help = "Worker threads; 0 means one a core."},
};

static const struct opt_table table = {
    .command = "verify",
    .synopsis = "CORPUS [--deep]",
    .summary = "Look whether everything that is done is still whole.",
    .details = "Holds every output against its sidecar: files there, content "
               "hashes equal, records sound and in order, tars whole, indexes "
               "and sizes right, corpus.db sound. One line for each damage, "
               "with what to do about it; nothing is changed. Exit code 1 "
               "when something is damaged.",
    .examples = "witmill verify my-corpus\n"
                "witmill verify my-corpus --deep",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct verify_config),
};

static void print_damage(void *ctx, struct str line)
{
    (void)ctx;
    print_safe(stdout, line, 0);
    putchar('\n');
}

/* corpus.db is made of the rest, so a damaged one is no loss. */
static int check_catalog(const struct corpus *c, struct verify_summary *sum)
{
    struct catalog catalog = CATALOG_INIT;
    struct err e = ERR_INIT;
    int rc = catalog_open(&catalog, c->dir, DB_READ, &e);

    if (rc == -E_NOTFOUND)
        return 0;
    if (!rc)
        rc = db_check(&catalog.db, &e);
    catalog_close(&catalog);
    if (rc) {
        sum->damages++;
        for (char *p = e.message; *p; p++)
            if (*p == '\n')
                *p = ' ';
        printf("%s; remove %s/" CATALOG_FILE " and run `witmill merge %s`\n",
               e.message, c->dir, c->dir);
    }
    return 0;
}

static int run(const void *config, struct err *e)
{
    const struct verify_config *v = config;
    const struct verify_hooks hooks = {.damage = print_damage};
    struct verify_summary sum;
    struct corpus c;
    int rc = corpus_open(&c, v->corpus, e);

    if (!rc)
        rc = verify_run(&c, v, &hooks, &sum, e);
    if (!rc)
        rc = check_catalog(&c, &sum);
    if (rc)
        return rc;
    printf("verify%s: %s\n", v->deep ? " --deep" : "",
           sum.damages ? "damage found" : "all is whole");
    summary_line("outputs", sum.outputs);
    summary_line("files", sum.files);
    summary_line("bytes", sum.bytes);
    summary_line("damages", sum.damages);
    return sum.damages ? -E_NEGATIVE : 0;
}

const struct command cmd_verify = {.options = &table, .run = run};
