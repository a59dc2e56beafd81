/*
 * make_ledgers - what a download would have written of a selection of any
 * size, without pictures: for tests and benches of `witmill dedup`.
 *
 *     make_ledgers CORPUS [--kind near] [--copies N] ...
 *
 * Reads selected/round-0 and writes images/GGG-00, ledgers and sidecars alone
 * (no tar: `pack` has nothing to take from).  The URLs' numbers, in the order
 * of the selection, say what their images are: phashes by tests/phashes.h, the
 * original bytes of one in `--copies` those of an earlier one.  `--images` of a
 * million URLs gave an image, the others 404.
 *
 * Printed is one JSON object: urls, images.  Memory: some MB for each of the
 * 256 groups; a million URLs take about 4 seconds of a core and 150 MB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ledger.h"
#include "base/mem.h"
#include "base/pair.h"
#include "base/stage.h"
#include "base/url.h"
#include "tests/phashes.h"

struct options {
    const char *corpus, *kind;
    uint64_t images, copies, seed;
};

#define NUMBER(field, option, value, high, text)                               \
    {                                                                          \
        .name = option, .type = OPT_U64,                                       \
        .at = offsetof(struct options, field), .arg = "N", .def = value,       \
        .max = high, .help = text, .flags = OPT_BYTES                          \
    }

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct options, corpus),
     .arg = "CORPUS",
     .flags = OPT_REQUIRED | OPT_POSITIONAL,
     .help = "The folder."},
    {.name = "kind",
     .type = OPT_STRING,
     .at = offsetof(struct options, kind),
     .arg = "KIND",
     .def = "near",
     .flags = OPT_BYTES,
     .help = "Of the phashes: random, near or crowds."},
    NUMBER(images, "images", "1000000", 1000000, "Images of a million URLs."),
    NUMBER(copies, "copies", "20000", 1000000,
           "Images of a million with the bytes of an earlier one."),
    NUMBER(seed, "seed", "0", 1e15, "Of what is an image and what a copy."),
};

static const struct opt_table table = {
    .command = "make_ledgers",
    .synopsis = "CORPUS [options]",
    .summary = "Ledgers of made-up images.",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct options),
};

struct group {
    struct stage_output out;
    struct jsonl_writer file;
    uint64_t urls, images, offset;
    bool open, done;
};

struct maker {
    const struct options *o;
    enum phashes_kind kind;
    struct corpus corpus;
    struct stage stage;
    struct stage_inputs no_inputs;
    struct group groups[LEDGER_GROUPS];
    struct buf url, line; /* url: the one before */
    uint64_t urls, images;
};

static struct ledger ledger_of(struct maker *m, struct str url, uint64_t i)
{
    struct ledger l = {.url = url,
                       .status = 404,
                       .tries = 1,
                       .outcome = LEDGER_FAILED,
                       .reason = STR("http-status"),
                       .fetched = STR("2026-11-21T12:00:00Z")};
    uint64_t r = phashes_mix(m->o->seed ^ phashes_mix(i)), original = i;

    if (r % 1000000 >= m->o->images)
        return l;
    r = phashes_mix(r);
    if (i && r % 1000000 < m->o->copies)
        original = phashes_mix(r) % i;
    l.outcome = LEDGER_IMAGE;
    l.reason = STR_NONE;
    l.status = 200;
    for (unsigned k = 0; k < SHA256_SIZE; k += 8) {
        uint64_t v = phashes_mix(original << 2 | k / 8);

        memcpy(l.sha256 + k, &v, 8);
    }
    l.phash = phashes_of(original, m->kind);
    l.width = 224 + (uint32_t)(r % 100);
    l.height = 224;
    l.original_width = l.width * 3;
    l.original_height = l.height * 3;
    l.bytes = 20000 + r % 20000;
    return l;
}

static int open_group(struct maker *m, struct group *g, uint32_t id,
                      struct err *e)
{
    char base[16], name[STAGE_NAME_MAX], path[IO_PATH_MAX];
    int rc;

    ledger_name(id, 0, base);
    snprintf(name, sizeof name, "images/%s", base);
    rc = stage_begin(&m->stage, &g->out, name, &m->no_inputs, &g->done, e);
    g->open = true;
    if (!rc && !g->done)
        rc = stage_path(&g->out, ".ledger.jsonl.zst", path, e);
    return rc || g->done ? rc : jsonl_open_write(&g->file, path, e);
}

static int add_url(struct maker *m, struct str url, struct err *e)
{
    struct ledger l = ledger_of(m, url, m->urls);
    struct url_parts parts;
    struct group *g;
    uint32_t id;
    int rc = 0;

    if (!url_split(url, &parts))
        return err_set(e, E_FORMAT, "no URL: %.*s", STR_ARG(url));
    id = ledger_group(parts.host);
    g = &m->groups[id];
    if (!g->open)
        rc = open_group(m, g, id, e);
    m->urls++;
    g->urls++;
    if (l.outcome == LEDGER_IMAGE) {
        l.offset = 512 + g->offset;
        g->offset += (l.bytes + 511) / 512 * 512 + 512; /* as in a tar */
        g->images++;
        m->images++;
    }
    if (rc || g->done)
        return rc;
    buf_clear(&m->line);
    ledger_write(&l, &m->line);
    return jsonl_write(&g->file, buf_str(&m->line), e);
}

static int read_bucket(struct maker *m, uint32_t k, struct arena *a,
                       struct err *e)
{
    struct jsonl_reader in;
    char name[64];
    bool more = true;
    int rc;

    snprintf(name, sizeof name, "selected/round-0/bucket-%04u", k);
    rc = sidecar_open(&in, &m->corpus, name, e);
    if (rc)
        return rc;
    while (!rc) {
        struct str line;
        struct pair p;

        rc = jsonl_next(&in, &line, &more, e);
        if (rc || !more)
            break;
        arena_reset(a);
        rc = pair_read(line, a, &p, e);
        if (rc || str_eq(p.url, buf_str(&m->url)))
            continue;
        buf_clear(&m->url);
        buf_add(&m->url, p.url);
        rc = add_url(m, p.url, e);
    }
    jsonl_close(&in);
    return rc;
}

static int close_group(struct group *g, struct err *e)
{
    char name[STAGE_NAME_MAX + 32];
    int rc = jsonl_publish(&g->file, e);

    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.ledger.jsonl.zst", g->out.name);
    stage_file(&g->out, name, g->file.sha256);
    tally_add(&g->out.counts, "urls", g->urls);
    tally_add(&g->out.counts, "images", g->images);
    tally_add(&g->out.drops, "http-status", g->urls - g->images);
    return stage_commit(&g->out, e);
}

static int make_all(struct maker *m, struct err *e)
{
    struct arena a;
    int rc = 0;

    arena_init(&a, 64 << 20);
    for (uint32_t k = 0; !rc && k < corpus_buckets(&m->corpus); k++)
        rc = read_bucket(m, k, &a, e);
    for (uint32_t id = 0; id < LEDGER_GROUPS; id++) {
        struct group *g = &m->groups[id];

        if (g->open && !g->done) {
            if (rc)
                jsonl_abandon(&g->file);
            else
                rc = close_group(g, e);
        }
        if (g->open)
            stage_output_release(&g->out);
    }
    arena_release(&a);
    return rc;
}

static int run(const struct options *o, struct err *e)
{
    struct maker *m = xcalloc(1, sizeof *m);
    int rc, kind = phashes_kind_of(o->kind);

    m->o = o;
    m->kind = (enum phashes_kind)kind;
    rc = kind < 0 ? err_set(e, E_USAGE, "--kind %s: none of ours", o->kind)
                  : corpus_open(&m->corpus, o->corpus, e);
    if (!rc) {
        stage_inputs_init(&m->no_inputs);
        stage_init(&m->stage, &m->corpus, "download", 1, &table, o, true);
        buf_init(&m->url, BUF_NO_LIMIT);
        buf_init(&m->line, BUF_NO_LIMIT);
        rc = make_all(m, e);
        buf_release(&m->url);
        buf_release(&m->line);
        stage_release(&m->stage);
        stage_inputs_release(&m->no_inputs);
    }
    if (!rc)
        printf("{\"urls\":%llu,\"images\":%llu}\n", (unsigned long long)m->urls,
               (unsigned long long)m->images);
    free(m);
    return rc;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = ERR_INIT;
    struct opt_set set;
    int rc;

    opt_init(&set, &table, &o);
    rc = opt_argv(&set, argc - 1, argv + 1, &e);
    if (!rc)
        rc = opt_finish(&set, &e);
    if (!rc)
        rc = run(&o, &e);
    if (rc)
        fprintf(stderr, "make_ledgers: %s\n", e.message);
    opt_release(&set);
    return rc ? 1 : 0;
}
