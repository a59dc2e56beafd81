#include "shards/verify.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/workq.h"
#include "shards/verify_output.h"

#define FOLDER_DEPTH 4 /* pairs/BATCH/... is the deepest there is */

struct verify {
    const struct corpus *corpus;
    const struct verify_config *config;
    const struct verify_hooks *hooks;
    struct verify_summary *sum;
    char **names; /* of outputs, relative to the corpus */
    size_t n, cap, next;
    struct progress progress;
};

/* ---- saying what is wrong ---- */

static void say_line(struct verify_output *o, const char *place,
                     const char *what)
{
    buf_addf(&o->lines, "%s/%s", o->corpus->dir, o->file);
    if (place[0])
        buf_addf(&o->lines, ": %s", place);
    buf_addf(&o->lines, ": %s; remove %s.meta.json and run `witmill %s %s`\n",
             what, o->name, o->sidecar.stage[0] ? o->sidecar.stage : "run",
             o->corpus->dir);
}

void verify_say(struct verify_output *o, const char *place, const char *format,
                ...)
{
    char what[512];
    va_list ap;

    o->damages++;
    if (++o->lines_of_file > VERIFY_LINES)
        return;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    /* One line a damage, whatever bytes a damaged file put into it. */
    for (char *c = what; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    say_line(o, place, what);
}

void verify_hash(struct verify_output *o, const char *found,
                 const char *expected)
{
    verify_say(o, "",
               "its content has sha256 %.16s..., its sidecar says "
               "%.16s...",
               found, expected);
}

/* ---- one output ---- */

static void check_plain(struct verify_output *o, const char *path,
                        const char *sha256)
{
    struct err e = ERR_INIT;
    char found[SHA256_HEX];

    if (io_sha256_file(path, found, &e))
        verify_say(o, "", "%s", e.message);
    else if (strcmp(found, sha256))
        verify_hash(o, found, sha256);
}

static void check_file(struct verify_output *o, const struct stage_file *f)
{
    struct str name = str_of(f->name), owner = str_of(o->name);
    char path[IO_PATH_MAX];
    uint64_t size;

    o->file = f->name;
    o->lines_of_file = 0;
    o->files++;
    if (corpus_path(o->corpus, f->name, path, NULL) ||
        io_size(path, &size, NULL)) {
        verify_say(o, "", "is not there");
        return;
    }
    o->bytes += size;
    if (str_ends(name, STR(".jsonl.zst"))) {
        verify_records(o, path, f->sha256);
        return;
    }
    check_plain(o, path, f->sha256);
    if (!str_ends(name, STR(".tar")))
        return;
    if (str_starts(owner, STR("images/")))
        verify_image_tar(o, path);
    else if (str_starts(owner, STR("shards/")))
        verify_shard_tar(o, path);
}

/* Ledgers before tars: they say where the images should be. */
static void check_files(struct verify_output *o)
{
    for (int tars = 0; tars < 2; tars++)
        for (size_t i = 0; i < o->sidecar.n_files; i++) {
            const struct stage_file *f = &o->sidecar.files[i];

            if (str_ends(str_of(f->name), STR(".tar")) == tars)
                check_file(o, f);
        }
}

static int look(void *ctx, void *item, struct err *e)
{
    struct verify *v = ctx;
    struct verify_output *o = item;
    struct err inner = ERR_INIT;
    char name[STAGE_NAME_MAX + 16];

    (void)e;
    if (sidecar_read(&o->sidecar, o->corpus, o->name, &inner)) {
        snprintf(name, sizeof name, "%s.meta.json", o->name);
        o->file = name;
        verify_say(o, "", "%s", inner.message);
        return 0;
    }
    check_files(o);
    if (!strcmp(o->name, "shards/sizes")) {
        char path[IO_PATH_MAX];

        o->file = "shards/sizes.json";
        if (!corpus_path(o->corpus, o->file, path, NULL) && io_exists(path))
            verify_sizes(o, path);
    }
    sidecar_release(&o->sidecar);
    progress_add(&v->progress, 1);
    return 0;
}

static int next_output(void *ctx, void *item, bool *more, struct err *e)
{
    struct verify *v = ctx;
    struct verify_output *o = item;

    (void)e;
    *more = v->next < v->n;
    if (!*more)
        return 0;
    buf_release(&o->lines);
    buf_release(&o->image_ranges);
    *o = (struct verify_output){.corpus = v->corpus, .deep = v->config->deep};
    buf_init(&o->lines, 1 << 20);
    buf_init(&o->image_ranges, BUF_NO_LIMIT);
    snprintf(o->name, sizeof o->name, "%s", v->names[v->next++]);
    return 0;
}

static int report(void *ctx, void *item, struct err *e)
{
    struct verify *v = ctx;
    struct verify_output *o = item;
    struct str rest = buf_str(&o->lines), line;
    uint64_t said = 0;
    char more[128];

    (void)e;
    while (str_split(&rest, '\n', &line))
        if (line.n) {
            v->hooks->damage(v->hooks->ctx, line);
            said++;
        }
    if (said < o->damages) {
        snprintf(more, sizeof more, "%.80s: and %llu more", o->name,
                 (unsigned long long)(o->damages - said));
        v->hooks->damage(v->hooks->ctx, str_of(more));
    }
    v->sum->outputs++;
    v->sum->files += o->files;
    v->sum->bytes += o->bytes;
    v->sum->damages += o->damages;
    return 0;
}

/* ---- the folder ---- */

static int add_outputs(struct verify *v, const char *folder, struct err *e)
{
    struct io_list names;
    int rc = sidecar_list(v->corpus, folder, &names, e);

    for (size_t i = 0; !rc && i < names.n; i++) {
        v->names = xgrow(v->names, &v->cap, v->n + 1, sizeof *v->names);
        v->names[v->n++] = folder[0]
                               ? xasprintf("%s/%s", folder, names.names[i])
                               : xstrdup(names.names[i]);
    }
    io_list_release(&names);
    return rc;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Outputs of folder and of those below it; "" is the corpus itself. */
static int find_outputs(struct verify *v, const char *folder, unsigned depth,
                        struct err *e)
{
    struct io_list names;
    char path[IO_PATH_MAX], below[IO_PATH_MAX];
    int rc = add_outputs(v, folder, e);

    if (!rc)
        rc = corpus_path(v->corpus, folder, path, e);
    if (!rc)
        rc = io_list(path, &names, e);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < names.n; i++) {
        rc = io_join(below, path, names.names[i], e);
        if (rc || !is_folder(below) || depth == FOLDER_DEPTH)
            continue;
        if (folder[0])
            rc = io_join(below, folder, names.names[i], e);
        else
            snprintf(below, sizeof below, "%s", names.names[i]);
        if (!rc)
            rc = find_outputs(v, below, depth + 1, e);
    }
    io_list_release(&names);
    return rc;
}

/* queries.bin is checked by its own header: every later stage trusts it. */
static void check_queries(struct verify *v)
{
    struct verify_output o = {.corpus = v->corpus, .file = "queries.bin"};
    struct buf bytes;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];

    snprintf(o.name, sizeof o.name, "queries");
    snprintf(o.sidecar.stage, sizeof o.sidecar.stage, "queries");
    buf_init(&o.lines, 1 << 20);
    buf_init(&bytes, BUF_NO_LIMIT);
    if (corpus_path(v->corpus, o.file, path, &e) ||
        io_read_file(path, &bytes, &e))
        verify_say(&o, "", "%s", e.message);
    else if (hash_xxh3(str_slice(buf_str(&bytes), CORPUS_HEADER_SIZE,
                                 bytes.n)) != v->corpus->head.body_xxh3)
        verify_say(&o, "", "its checksum does not hold");
    report(v, &o, NULL);
    v->sum->outputs--; /* counted with its sidecar */
    buf_release(&bytes);
    buf_release(&o.lines);
}

int verify_run(const struct corpus *c, const struct verify_config *config,
               const struct verify_hooks *hooks, struct verify_summary *sum,
               struct err *e)
{
    static const struct workq_ops ops = {next_output, look, report};
    struct stage_options threads = {.threads = config->threads};
    struct verify v = {
        .corpus = c, .config = config, .hooks = hooks, .sum = sum};
    unsigned n = stage_threads(&threads);
    struct verify_output *items = xcalloc(n + 1, sizeof *items);
    int rc;

    *sum = (struct verify_summary){0};
    rc = find_outputs(&v, "", 0, e);
    if (!rc) {
        check_queries(&v);
        progress_begin(&v.progress, "verify", "outputs", v.n);
        rc = workq_run(&ops, &v, items, sizeof *items, n + 1, n, e);
        progress_end(&v.progress, rc);
    }
    for (unsigned i = 0; i < n + 1; i++) {
        buf_release(&items[i].lines);
        buf_release(&items[i].image_ranges);
    }
    free(items);
    for (size_t i = 0; i < v.n; i++)
        free(v.names[i]);
    free(v.names);
    return rc;
}
