/*
 * The whole chain from one INI file.  Sections are read into the same option
 * tables as the command line, all of them before the first stage starts, so
 * that a wrong key costs a second and not a night.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/selected.h"
#include "base/stage.h"
#include "filter/balance.h"
#include "tools/command.h"

#define RUN_CONFIG_MAX 4096 /* bytes of a stage's config struct */
#define RUN_SECTIONS   256

struct run_config {
    const char *corpus;
    const char *file;
    uint64_t rounds;
    uint64_t threads;
    bool redo;
};

static const struct opt rows[] = {
    {.name = "CORPUS", .type = OPT_STRING,
     .at = offsetof(struct run_config, corpus),
     .flags = OPT_REQUIRED | OPT_POSITIONAL,
     .help = "The corpus folder; made if it is not there."},
    {.name = "FILE", .type = OPT_STRING,
     .at = offsetof(struct run_config, file),
     .flags = OPT_REQUIRED | OPT_POSITIONAL,
     .help = "INI file: a section per stage, its keys are the stage's long "
             "options. [queries] is needed once; [crawl] and [import NAME] "
             "run when they stand there; the other stages run with their "
             "defaults when they have no section."},
    {.name = "rounds", .type = OPT_U64,
     .at = offsetof(struct run_config, rounds), .arg = "N", .def = "3",
     .max = SELECTED_ROUNDS_MAX - 1,
     .help = "At most so many rounds that replace pairs whose image turned "
             "out dead or unusable."},
    {.name = "threads", .type = OPT_U64,
     .at = offsetof(struct run_config, threads), .arg = "N", .def = "0",
     .max = 1024, .help = "For every stage; 0: as its section says."},
    {.name = "redo", .type = OPT_BOOL,
     .at = offsetof(struct run_config, redo),
     .help = "Replace outputs that were made with other options or inputs."},
};

static const struct opt_table table = {
    .command = "run",
    .synopsis = "CORPUS FILE.ini [options]",
    .summary = "Run all stages, rounds included, continuing where it stopped.",
    .details = "Killed at any moment, the same command continues. A stage "
               "whose options changed stops with a message; --redo makes it "
               "and what comes after anew. Exit code 1, at the end, when "
               "[queries] has a check = FILE and the list lacks a class name "
               "of it.",
    .examples = "witmill run my-corpus my-corpus.ini\n"
                "witmill run my-corpus my-corpus.ini --rounds 1 --threads 8",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct run_config),
};

/* One section: the command it belongs to and its filled config. */
struct section {
    const struct command *command;
    struct str name; /* as in the file, owned */
    struct opt_set set;
    _Alignas(16) char config[RUN_CONFIG_MAX];
};

struct run {
    const struct run_config *config;
    struct section *sections[RUN_SECTIONS];
    size_t n;
    bool negative; /* a stage answered so, like --check of [queries] */
};

/* ---- the file ---- */

static struct str first_word(struct str s, struct str *rest)
{
    size_t space = str_find_char(s, ' ', 0);

    *rest = str_trim(str_slice(s, space == SIZE_MAX ? s.n : space, s.n));
    return str_slice(s, 0, space);
}

static const struct command *stage_of(struct str word)
{
    char name[32];

    if (word.n >= sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s", STR_ARG(word));
    return command_find(name);
}

static int add_section(struct run *r, struct str name, struct section **out,
                       struct err *e)
{
    struct str batch, word = first_word(name, &batch);
    const struct command *c = stage_of(word);
    struct section *s;

    if (!c || !c->stage || (batch.n && !str_eq(word, STR("import"))))
        return err_set(e, E_USAGE, "no stage is called [%.*s]", STR_ARG(name));
    if (r->n == RUN_SECTIONS || c->options->config_size > RUN_CONFIG_MAX)
        return err_set(e, E_TOOBIG, "too many sections");
    s = xcalloc(1, sizeof *s);
    s->command = c;
    s->name = (struct str){xstrndup(name), name.n};
    opt_init(&s->set, c->options, s->config);
    r->sections[r->n++] = s;
    *out = s;
    return batch.n ? opt_put(&s->set, STR("as"), batch, e) : 0;
}

static struct section *find_section(struct run *r, struct str name)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(r->sections[i]->name, name))
            return r->sections[i];
    return NULL;
}

static int take_pair(void *ctx, struct str section, struct str name,
                     struct str value, struct err *e)
{
    struct run *r = ctx;
    struct section *s = find_section(r, section);
    int rc = 0;

    if (section.n == 0)
        return err_set(e, E_USAGE, "a key before the first [section]");
    if (!s)
        rc = add_section(r, section, &s, e);
    return rc || name.n == 0 ? rc : opt_put(&s->set, name, value, e);
}

/* What the command line says for all stages; rows that a table lacks are not
 * its business. */
static int finish_section(struct run *r, struct section *s, struct err *e)
{
    char *corpus[1] = {(char *)(uintptr_t)r->config->corpus};
    char threads[24];
    int rc = opt_argv(&s->set, 1, corpus, e);

    snprintf(threads, sizeof threads, "%llu",
             (unsigned long long)r->config->threads);
    for (size_t i = 0; !rc && i < s->command->options->n; i++) {
        const char *name = s->command->options->rows[i].name;

        if (r->config->threads && !strcmp(name, "threads"))
            rc = opt_put(&s->set, STR("threads"), str_of(threads), e);
        if (!rc && r->config->redo && !strcmp(name, "redo"))
            rc = opt_put(&s->set, STR("redo"), STR("yes"), e);
    }
    if (!rc)
        rc = opt_finish(&s->set, e);
    return rc ? err_wrap(e, rc, "%s: [%.*s]", r->config->file,
                         STR_ARG(s->name))
              : 0;
}

static void release(struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        opt_release(&r->sections[i]->set);
        free((char *)(uintptr_t)r->sections[i]->name.p);
        free(r->sections[i]);
    }
}

/* Every stage that always runs gets a section, if only an empty one. */
static int read_file(struct run *r, struct err *e)
{
    static const char *const always[] = {"match", "gather", "balance",
                                         "download", "dedup", "pack",
                                         "report"};
    struct section *s;
    int rc = opt_ini(r->config->file, take_pair, r, e);

    for (size_t i = 0; !rc && i < sizeof always / sizeof *always; i++)
        if (!find_section(r, str_of(always[i])))
            rc = add_section(r, str_of(always[i]), &s, e);
    for (size_t i = 0; !rc && i < r->n; i++)
        rc = finish_section(r, r->sections[i], e);
    return rc;
}

/* ---- the chain ---- */

/* A negative answer stops nothing: it is the whole run's in the end. */
static int run_section(struct run *r, struct section *s, struct err *e)
{
    int rc;

    printf("\n== %.*s ==\n", STR_ARG(s->name));
    fflush(stdout);
    rc = s->command->run(s->config, e);
    fflush(stdout);
    if (rc == -E_NEGATIVE) {
        r->negative = true;
        return 0;
    }
    return rc ? err_wrap(e, rc, "%.*s", STR_ARG(s->name)) : 0;
}

/* All sections of one stage, in the order of the file. */
static int run_stage(struct run *r, const char *stage, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < r->n; i++)
        if (!strcmp(r->sections[i]->command->options->command, stage))
            rc = run_section(r, r->sections[i], e);
    return rc;
}

static int run_round(struct run *r, const char *stage, unsigned round,
                     struct err *e)
{
    struct section *s = find_section(r, str_of(stage));
    char text[16];
    int rc;

    snprintf(text, sizeof text, "%u", round);
    rc = opt_put(&s->set, STR("round"), str_of(text), e);
    return rc ? rc : run_section(r, s, e);
}

/* How many queries' caps a round's plan raised. */
static int raised(const struct corpus *c, unsigned round, uint64_t *n,
                  struct err *e)
{
    char name[64];
    struct sidecar s;
    int rc;

    *n = 0;
    snprintf(name, sizeof name, "selected/round-%u/caps", round);
    rc = sidecar_read(&s, c, name, e);
    if (rc)
        return rc;
    rc = sidecar_extra_u64(&s, "raised", n, e);
    sidecar_release(&s);
    return rc;
}

/* The last round: what the command line says, or less if [balance] says so.
 * It goes into [balance], which refuses rounds above its own. */
static int last_round(struct run *r, uint64_t *last, struct err *e)
{
    struct section *s = find_section(r, STR("balance"));
    const struct balance_config *b = (const void *)s->config;
    char text[24];

    *last = r->config->rounds;
    for (size_t i = 0; i < s->set.table->n; i++)
        if (!strcmp(s->set.table->rows[i].name, "rounds") && s->set.given[i] &&
            b->rounds < *last)
            *last = b->rounds;
    snprintf(text, sizeof text, "%llu", (unsigned long long)*last);
    return opt_put(&s->set, STR("rounds"), str_of(text), e);
}

static int run_rounds(struct run *r, struct err *e)
{
    struct corpus c;
    uint64_t last = 0;
    int rc = corpus_open(&c, r->config->corpus, e);

    if (!rc)
        rc = last_round(r, &last, e);
    for (unsigned round = 0; !rc && round <= last; round++) {
        uint64_t n = 0;

        rc = run_round(r, "balance", round, e);
        if (!rc && round)
            rc = raised(&c, round, &n, e);
        if (!rc && round && n == 0) {
            printf("no query needs more: no further rounds\n");
            break;
        }
        if (!rc)
            rc = run_round(r, "download", round, e);
    }
    return rc;
}

static int run(const void *config, struct err *e)
{
    static const char *const before[] = {"queries", "crawl", "import",
                                         "match", "gather"};
    static const char *const after[] = {"dedup", "pack", "report"};
    struct run r = {.config = config};
    int rc = read_file(&r, e);

    for (size_t i = 0; !rc && i < sizeof before / sizeof *before; i++)
        rc = run_stage(&r, before[i], e);
    if (!rc)
        rc = run_rounds(&r, e);
    for (size_t i = 0; !rc && i < sizeof after / sizeof *after; i++)
        rc = run_stage(&r, after[i], e);
    release(&r);
    return rc ? rc : r.negative ? -E_NEGATIVE : 0;
}

const struct command cmd_run = {&table, run, false};
