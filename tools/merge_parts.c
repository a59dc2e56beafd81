/* Sidecars: what each stage says it made, counted and dropped. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tools/merge_private.h"

/* Folders whose sidecars are parts, and folders of such folders. */
static const char *const flat[] = {"", "images", "shards", "survivors",
                                   "unique"};
static const char *const nested[] = {"matched", "pairs", "selected"};

void merge_parts_release(struct merge *m)
{
    for (size_t i = 0; i < m->n_parts; i++)
        free(m->parts[i].output);
    free(m->parts);
    m->parts = NULL;
    m->n_parts = m->cap_parts = 0;
}

/* sha256 over all of a sidecar that is no date. */
static void content_of(const struct sidecar *s, char out[SHA256_HEX])
{
    struct sha256 h;
    struct json_out j;
    struct buf b;

    buf_init(&b, BUF_NO_LIMIT);
    json_out_init(&j, &b);
    json_out_array(&j);
    json_out_string(&j, str_of(s->fingerprint));
    for (size_t i = 0; i < s->n_files; i++) {
        json_out_string(&j, str_of(s->files[i].name));
        json_out_string(&j, str_of(s->files[i].sha256));
    }
    tally_json(&s->counts, &j);
    tally_json(&s->drops, &j);
    json_out_end_array(&j);
    sha256_init(&h);
    sha256_add(&h, buf_str(&b));
    sha256_final_hex(&h, out);
    buf_release(&b);
}

/* The folder of an output; download passes are told apart, and the lists that
 * stand beside the shards. */
static void scope_of(const char *output, char out[STAGE_NAME_MAX])
{
    const char *slash = strrchr(output, '/');
    const char *pass = strrchr(output, '-');

    uint64_t number;

    if (!slash)
        snprintf(out, STAGE_NAME_MAX, "%s", output);
    else if (str_starts(str_of(output), STR("images/")) && pass)
        snprintf(out, STAGE_NAME_MAX, "images/%s", pass + 1);
    else if (str_starts(str_of(output), STR("shards/")) &&
             str_u64(str_of(slash + 1), &number))
        snprintf(out, STAGE_NAME_MAX, "shards/lists");
    else
        snprintf(out, STAGE_NAME_MAX, "%.*s", (int)(slash - output), output);
}

/* When and for how long its stage ran: "run" of the sidecar. */
static void read_run(const struct sidecar *s, struct arena *a,
                     struct catalog_part *p)
{
    struct json j;
    struct str name;

    json_open(&j, buf_str(&s->bytes), a);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (!str_eq(name, STR("run"))) {
            json_skip(&j);
            continue;
        }
        json_object(&j);
        while (json_member(&j, &name)) {
            if (str_eq(name, STR("finished")))
                p->finished = json_string(&j);
            else if (str_eq(name, STR("seconds")))
                p->seconds = json_double(&j);
            else
                json_skip(&j);
        }
    }
}

static const struct stage_file *file_ending(const struct sidecar *s,
                                            const char *suffix)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (str_ends(str_of(s->files[i].name), str_of(suffix)))
            return &s->files[i];
    return NULL;
}

/* A tar in shards/ has a row of its own. */
static int put_shard(struct merge *m, const char *output,
                     const struct sidecar *s, struct err *e)
{
    const struct stage_file *tar = file_ending(s, ".tar");
    struct str number = str_of(strrchr(output, '/') + 1);
    char path[IO_PATH_MAX];
    uint64_t k, bytes;
    int rc;

    if (!tar || str_u64(number, &k))
        return 0;
    rc = corpus_path(m->corpus, tar->name, path, e);
    if (!rc)
        rc = io_size(path, &bytes, e);
    if (!rc)
        rc = catalog_load_shard(&m->catalog, output, k,
                                tally_get(&s->counts, "samples"), bytes,
                                tar->sha256, e);
    return rc;
}

static int put_part(struct merge *m, const struct merge_part *part,
                    const struct sidecar *s, struct err *e)
{
    struct catalog_part p = {
        .output = part->output,
        .stage = part->stage,
        .scope = part->scope,
        .fingerprint = s->fingerprint,
        .content = part->content,
        .seconds = -1,
        .merged = m->now,
        .counts = &s->counts,
        .drops = &s->drops,
    };
    struct arena a;
    int rc;

    arena_init(&a, 1 << 20);
    read_run(s, &a, &p);
    rc = catalog_part_put(&m->catalog, &p, e);
    arena_release(&a);
    if (!rc && str_starts(str_of(part->scope), STR("images/")))
        rc = merge_hosts(m, part->output, e);
    if (!rc && !strcmp(part->scope, "shards"))
        rc = put_shard(m, part->output, s, e);
    m->changed = true;
    return rc;
}

static int scan_one(struct merge *m, const char *output, struct err *e)
{
    struct merge_part *part;
    struct sidecar s;
    bool same;
    int rc = sidecar_read(&s, m->corpus, output, e);

    if (rc)
        return rc;
    m->parts = xgrow(m->parts, &m->cap_parts, m->n_parts + 1, sizeof *m->parts);
    part = &m->parts[m->n_parts++];
    part->output = xstrdup(output);
    snprintf(part->stage, sizeof part->stage, "%s", s.stage);
    scope_of(output, part->scope);
    content_of(&s, part->content);
    rc = catalog_part_same(&m->catalog, output, part->content, &same, e);
    if (!rc && !same)
        rc = put_part(m, part, &s, e);
    sidecar_release(&s);
    return rc;
}

static int scan_folder(struct merge *m, const char *folder, struct err *e)
{
    char output[STAGE_NAME_MAX];
    struct io_list names;
    int rc = sidecar_list(m->corpus, folder, &names, e);

    if (rc)
        return rc;
    for (size_t i = 0; i < names.n && !rc; i++) {
        if (snprintf(output, sizeof output, "%s%s%s", folder,
                     *folder ? "/" : "", names.names[i]) >= (int)sizeof output)
            rc = err_set(e, E_TOOBIG, "%s/%s: name is too long", folder,
                         names.names[i]);
        else
            rc = scan_one(m, output, e);
    }
    io_list_release(&names);
    return rc;
}

static int scan_nested(struct merge *m, const char *folder, struct err *e)
{
    char path[IO_PATH_MAX], inner[STAGE_NAME_MAX];
    struct err ignored = ERR_INIT;
    struct io_list names;
    int rc = scan_folder(m, folder, e);

    if (!rc)
        rc = corpus_path(m->corpus, folder, path, e);
    if (rc)
        return rc;
    rc = io_list(path, &names, &ignored);
    if (rc)
        return rc == -E_NOTFOUND ? 0 : err_set(e, -rc, "%s", ignored.message);
    for (size_t i = 0; i < names.n && !rc; i++)
        if (snprintf(inner, sizeof inner, "%s/%s", folder, names.names[i]) <
            (int)sizeof inner)
            rc = scan_folder(m, inner, e);
    io_list_release(&names);
    return rc;
}

static int by_output(const void *a, const void *b)
{
    const struct merge_part *x = a, *y = b;

    return strcmp(x->output, y->output);
}

/* Parts that the catalogue knows and the folder has no more. */
static int forget_gone(struct merge *m, struct err *e)
{
    struct io_list known;
    int rc = catalog_parts(&m->catalog, &known, e);

    for (size_t i = 0; !rc && i < known.n; i++) {
        struct merge_part key = {.output = known.names[i]};

        if (m->n_parts &&
            bsearch(&key, m->parts, m->n_parts, sizeof *m->parts, by_output))
            continue;
        rc = catalog_part_forget(&m->catalog, known.names[i], e);
        m->changed = true;
    }
    io_list_release(&known);
    return rc;
}

int merge_scan(struct merge *m, struct err *e)
{
    int rc = db_begin(&m->catalog.db, e);

    for (size_t i = 0; i < sizeof flat / sizeof *flat && !rc; i++)
        rc = scan_folder(m, flat[i], e);
    for (size_t i = 0; i < sizeof nested / sizeof *nested && !rc; i++)
        rc = scan_nested(m, nested[i], e);
    if (m->n_parts)
        qsort(m->parts, m->n_parts, sizeof *m->parts, by_output);
    if (!rc)
        rc = forget_gone(m, e);
    if (!rc)
        rc = db_commit(&m->catalog.db, e);
    db_rollback(&m->catalog.db);
    return rc;
}

uint64_t merge_shard_samples(struct merge *m)
{
    uint64_t samples = 0;

    for (size_t i = 0; i < m->n_parts && !samples; i++) {
        struct sidecar s;
        struct json j;
        struct str name;

        if (strcmp(m->parts[i].scope, "shards") ||
            sidecar_read(&s, m->corpus, m->parts[i].output, NULL))
            continue;
        json_open(&j, s.options, NULL);
        json_object(&j);
        while (json_member(&j, &name)) {
            if (str_eq(name, STR("samples")))
                samples = json_u64(&j);
            else
                json_skip(&j);
        }
        sidecar_release(&s);
    }
    return samples;
}

bool merge_has(const struct merge *m, const char *output)
{
    char name[STAGE_NAME_MAX];
    struct merge_part key = {.output = name};

    snprintf(name, sizeof name, "%s", output);
    return m->n_parts &&
           bsearch(&key, m->parts, m->n_parts, sizeof *m->parts, by_output);
}

bool merge_shard_done(const struct merge *m, uint64_t k)
{
    char output[40];

    snprintf(output, sizeof output, "shards/%05llu", (unsigned long long)k);
    return merge_has(m, output);
}

unsigned merge_rounds(const struct merge *m)
{
    static const struct str folder = {"selected/round-", 15};
    unsigned rounds = 0;

    for (size_t i = 0; i < m->n_parts; i++) {
        struct str scope = str_of(m->parts[i].scope);
        uint64_t r;

        if (str_starts(scope, folder) &&
            !str_u64(str_slice(scope, folder.n, scope.n), &r) &&
            r < SELECTED_ROUNDS_MAX && r >= rounds)
            rounds = (unsigned)r + 1;
    }
    return rounds;
}
