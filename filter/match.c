#include "filter/match.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/progress.h"
#include "filter/match_part.h"
#include "filter/matcher.h"
#include "querylist/qlist.h"

struct match {
    const struct corpus *corpus;
    const struct match_config *config;
    struct qlist list;
    struct matcher matcher;
    struct textrules rules;
    struct match_with with;
    struct match_part part;
    struct progress progress;
};

/* ---- the stage ---- */

static int open_list(struct match *m, const char *path, struct err *e)
{
    int rc = qlist_open(&m->list, path, e);

    if (!rc)
        matcher_open(&m->matcher, &m->list);
    return rc;
}

static int run_part(struct match *m, struct stage *s, const char *batch,
                    const char *part, const char *list_sha256,
                    struct match_summary *sum, struct err *e)
{
    char source[STAGE_NAME_MAX], name[STAGE_NAME_MAX];
    struct stage_inputs in;
    struct stage_output o;
    bool done;
    int rc;

    snprintf(source, sizeof source, "pairs/%s/%s", batch, part);
    snprintf(name, sizeof name, "matched/%s/%s", batch, part);
    stage_inputs_init(&in);
    stage_inputs_add(&in, "queries.bin", list_sha256);
    textrules_add_inputs(&m->rules, &in);
    rc = stage_inputs_add_output(&in, m->corpus, source, "import", e);
    if (!rc) {
        rc = stage_begin(s, &o, name, &in, &done, e);
        if (!rc && done)
            rc = sidecar_add_tallies(m->corpus, name, &sum->counts,
                                     &sum->drops, e);
        else if (!rc)
            rc = match_part_make(&m->part, source, &o, e);
        sum->parts++;
        sum->parts_done_before += !rc && done;
        tally_add_all(&sum->counts, &o.counts);
        tally_add_all(&sum->drops, &o.drops);
        stage_output_release(&o);
    }
    stage_inputs_release(&in);
    return rc;
}

static bool wanted(const struct match_config *c, const char *batch)
{
    for (size_t i = 0; i < c->batches.n; i++)
        if (!strcmp(c->batches.v[i], batch))
            return true;
    return c->batches.n == 0;
}

/* A batch that was asked for by a name that is none. */
static int known_batches(const struct match *m, const struct io_list *batches,
                         struct err *e)
{
    const struct opt_list *asked = &m->config->batches;

    for (size_t i = 0; i < asked->n; i++) {
        size_t k = 0;

        while (k < batches->n && strcmp(asked->v[i], batches->names[k]))
            k++;
        if (k == batches->n)
            return err_set(e, E_USAGE, "--batch %s: %s/pairs has no such batch",
                           asked->v[i], m->corpus->dir);
    }
    return 0;
}

/* All parts of the wanted batches, in order; k numbers them over batches, so
 * that machines share them evenly. */
static int each_part(struct match *m, struct stage *s, const char *list_sha256,
                     struct match_summary *sum, struct err *e)
{
    char path[IO_PATH_MAX], folder[STAGE_NAME_MAX];
    struct io_list batches, parts;
    uint64_t k = 0;
    int rc = corpus_path(m->corpus, "pairs", path, e);

    if (!rc && !io_exists(path))
        rc = err_set(e, E_NOTFOUND,
                     "%s has no pairs yet: run `witmill import` or `witmill "
                     "crawl` first",
                     m->corpus->dir);
    if (!rc)
        rc = io_list(path, &batches, e);
    if (rc)
        return rc;
    rc = known_batches(m, &batches, e);
    for (size_t i = 0; !rc && i < batches.n; i++) {
        if (!wanted(m->config, batches.names[i]))
            continue;
        snprintf(folder, sizeof folder, "pairs/%s", batches.names[i]);
        rc = sidecar_list(m->corpus, folder, &parts, e);
        for (size_t p = 0; !rc && p < parts.n; p++)
            if (part_has(m->config->stage.part, k++))
                rc = run_part(m, s, batches.names[i], parts.names[p],
                              list_sha256, sum, e);
        if (!rc && m->config->stage.part.n == 0) {
            snprintf(folder, sizeof folder, "matched/%s", batches.names[i]);
            /* A crawl of several --part leaves gaps between its numbers. */
            rc = stage_prune_others(s, folder, &parts, e);
        }
        io_list_release(&parts);
    }
    io_list_release(&batches);
    if (!rc && k == 0)
        rc = err_set(e, E_NOTFOUND,
                     "%s has no finished parts in pairs/: run `witmill "
                     "import` or `witmill crawl` to their end first",
                     m->corpus->dir);
    return rc;
}

int match_run(const struct corpus *c, const struct opt_table *table,
              const struct match_config *config, struct match_summary *sum,
              struct err *e)
{
    struct match m = {.corpus = c, .config = config};
    char sha256[SHA256_HEX], path[IO_PATH_MAX];
    struct stage s;
    int rc;

    *sum = (struct match_summary){0};
    rc = corpus_path(c, "queries.bin", path, e);
    if (!rc)
        rc = io_sha256_file(path, sha256, e);
    if (rc)
        return rc;
    stage_init(&s, c, "match", MATCH_VERSION, table, config,
               config->stage.redo);
    rc = open_list(&m, path, e);
    if (!rc)
        rc = textrules_open(&m.rules, &config->rules, e);
    m.with = (struct match_with){c, &m.matcher, &m.rules};
    match_part_open(&m.part, &m.with, config->memory_bytes,
                    stage_threads(&config->stage), &m.progress);
    progress_begin(&m.progress, "match", "records", 0);
    if (!rc)
        rc = each_part(&m, &s, sha256, sum, e);
    progress_end(&m.progress, rc);
    match_part_close(&m.part);
    textrules_close(&m.rules);
    qlist_close(&m.list);
    stage_release(&s);
    return rc;
}

int match_offsets(const struct corpus *c, const char *name, uint64_t **offsets,
                  struct err *e)
{
    uint32_t n = corpus_buckets(c) + 1, got = 0;
    struct sidecar s;
    struct str key;
    struct json j;
    int rc = sidecar_read(&s, c, name, e);

    *offsets = NULL;
    if (rc)
        return rc;
    *offsets = xcalloc(n, sizeof **offsets);
    json_open(&j, s.extra, NULL);
    json_object(&j);
    while (json_member(&j, &key)) {
        if (!str_eq(key, STR("offsets"))) {
            json_skip(&j);
            continue;
        }
        json_array(&j);
        while (json_element(&j)) {
            uint64_t at = json_u64(&j);

            if (got < n)
                (*offsets)[got] = at;
            if (got && got < n && at < (*offsets)[got - 1])
                j.rc = -E_RANGE;
            got++;
        }
    }
    rc = json_close(&j, NULL);
    if (rc || got != n) {
        free(*offsets);
        *offsets = NULL;
        rc = err_set(e, E_DAMAGED,
                     "%s/%s.meta.json: %u frame offsets expected; remove it "
                     "and run match again",
                     c->dir, name, n);
    }
    sidecar_release(&s);
    return rc;
}
