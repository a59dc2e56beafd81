/* Reading what base/stage.c writes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/stage.h"

#define SIDECAR_MAX ((size_t)1 << 30) /* bytes; offsets of 2^13 frames fit */

static void read_tally(struct json *j, struct tally *t)
{
    struct str name;

    json_object(j);
    while (json_member(j, &name)) {
        char text[TALLY_NAME_MAX];
        uint64_t n = json_u64(j);

        snprintf(text, sizeof text, "%.*s", STR_ARG(name));
        if (!j->rc)
            tally_add(t, text, n);
    }
}

static void bad(struct json *j)
{
    j->rc = j->rc ? j->rc : -E_FORMAT;
}

static void copy_text(char *to, size_t size, struct str s)
{
    snprintf(to, size, "%.*s", STR_ARG(s));
}

/* "files" stands before "sha256" in what we write. */
static void read_files(struct json *j, struct sidecar *s)
{
    size_t cap = 0;

    json_array(j);
    while (json_element(j)) {
        struct str name = json_string(j);

        if (name.n >= STAGE_NAME_MAX) {
            bad(j);
            return;
        }
        s->files = xgrow(s->files, &cap, s->n_files + 1, sizeof *s->files);
        s->files[s->n_files].sha256[0] = 0;
        copy_text(s->files[s->n_files++].name, STAGE_NAME_MAX, name);
    }
}

static void read_hash(struct json *j, struct sidecar *s, struct str name)
{
    struct str hex = json_string(j);

    if (hex.n != SHA256_HEX - 1) {
        bad(j);
        return;
    }
    for (size_t i = 0; i < s->n_files; i++) {
        if (name.p && !str_eq(name, str_of(s->files[i].name)))
            continue;
        copy_text(s->files[i].sha256, SHA256_HEX, hex);
        return;
    }
    bad(j);
}

static void read_hashes(struct json *j, struct sidecar *s)
{
    struct str name;

    if (json_peek(j) == JSON_STRING) {
        read_hash(j, s, STR_NONE);
        return;
    }
    json_object(j);
    while (json_member(j, &name))
        read_hash(j, s, name);
}

/* *format is 0 when it is not there. */
static void parse(struct sidecar *s, struct json *j, uint64_t *format)
{
    struct str name;

    json_object(j);
    while (json_member(j, &name)) {
        if (str_eq(name, STR("format")))
            *format = json_u64(j);
        else if (str_eq(name, STR("stage")))
            copy_text(s->stage, sizeof s->stage, json_string(j));
        else if (str_eq(name, STR("fingerprint")))
            copy_text(s->fingerprint, sizeof s->fingerprint, json_string(j));
        else if (str_eq(name, STR("files")))
            read_files(j, s);
        else if (str_eq(name, STR("sha256")))
            read_hashes(j, s);
        else if (str_eq(name, STR("counts")))
            read_tally(j, &s->counts);
        else if (str_eq(name, STR("drops")))
            read_tally(j, &s->drops);
        else if (str_eq(name, STR("options")))
            s->options = json_raw(j);
        else if (str_eq(name, STR("inputs")))
            s->inputs = json_raw(j);
        else if (str_eq(name, STR("extra")))
            s->extra = json_raw(j);
        else
            json_skip(j);
    }
}

static bool all_hashed(const struct sidecar *s)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (!s->files[i].sha256[0])
            return false;
    return s->n_files > 0;
}

int sidecar_read(struct sidecar *s, const struct corpus *c, const char *name,
                 struct err *e)
{
    char file[STAGE_NAME_MAX + 16], path[IO_PATH_MAX];
    struct err inner = ERR_INIT;
    struct arena arena;
    struct json j;
    uint64_t format = 0;
    int rc;

    *s = (struct sidecar){.stage = ""};
    buf_init(&s->bytes, SIDECAR_MAX);
    snprintf(file, sizeof file, "%s.meta.json", name);
    rc = corpus_path(c, file, path, e);
    if (!rc)
        rc = io_read_file(path, &s->bytes, e);
    if (rc) {
        sidecar_release(s);
        return rc;
    }
    arena_init(&arena, 1 << 24);
    json_open(&j, buf_str(&s->bytes), &arena);
    parse(s, &j, &format);
    rc = json_close(&j, &inner);
    arena_release(&arena);
    if (!rc && format && format != SIDECAR_FORMAT) {
        sidecar_release(s);
        return err_set(e, E_VERSION,
                       "%s has format version %llu, this witmill reads %d",
                       path, (unsigned long long)format, SIDECAR_FORMAT);
    }
    if (!rc && (!format || !s->fingerprint[0] || !all_hashed(s)))
        rc = err_set(&inner, E_FORMAT, "format, fingerprint or sha256 missing");
    if (rc) {
        sidecar_release(s);
        return err_set(e, E_DAMAGED, "%s is no sidecar: %s", path,
                       inner.message);
    }
    return 0;
}

/* Where name stands in now; the search goes on behind the last hit, so that
 * lists of one order cost one pass. */
static const struct stage_input *find_input(const struct stage_inputs *now,
                                            struct str name, size_t *from)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct stage_input *at = &now->v[(*from + i) % now->n];

        if (!str_eq(name, str_of(at->name)))
            continue;
        *from = (*from + i + 1) % now->n;
        return at;
    }
    return NULL;
}

static int made_from(const struct corpus *c, const char *output,
                     const char *maker, const struct stage_inputs *now,
                     bool all, struct err *e)
{
    const struct stage_input *changed = NULL, *at;
    size_t hits = 0;
    struct str name, hex;
    struct sidecar s;
    struct arena arena;
    struct json j;
    size_t from = 0;
    int rc = sidecar_read(&s, c, output, e);

    if (rc)
        return rc;
    arena_init(&arena, SIDECAR_MAX);
    json_open(&j, s.inputs.n ? s.inputs : STR("{}"), &arena);
    json_object(&j);
    while (!changed && json_member(&j, &name)) {
        hex = json_string(&j);
        at = find_input(now, name, &from);
        hits += at != NULL;
        if (!j.rc && at && !str_eq(hex, str_of(at->sha256)))
            changed = at;
    }
    if (changed)
        rc = err_set(e, E_STALE,
                     "%s/%s was made from another %s than the one there: run "
                     "`witmill %s %s --redo` first",
                     c->dir, output, changed->name, maker, c->dir);
    else
        rc = json_close(&j, e);
    if (!rc && all && hits < now->n)
        rc = err_set(e, E_STALE,
                     "%s/%s does not know %zu of %zu files that are there by "
                     "now: run `witmill %s %s --redo` first",
                     c->dir, output, now->n - hits, now->n, maker, c->dir);
    arena_release(&arena);
    sidecar_release(&s);
    return rc;
}

int stage_made_from(const struct corpus *c, const char *output,
                    const char *maker, const struct stage_inputs *now,
                    struct err *e)
{
    return made_from(c, output, maker, now, false, e);
}

int stage_made_from_all(const struct corpus *c, const char *output,
                        const char *maker, const struct stage_inputs *now,
                        struct err *e)
{
    return made_from(c, output, maker, now, true, e);
}

void sidecar_release(struct sidecar *s)
{
    buf_release(&s->bytes);
    free(s->files);
    s->files = NULL;
    s->n_files = 0;
    tally_release(&s->counts);
    tally_release(&s->drops);
}

int sidecar_open(struct jsonl_reader *r, const struct corpus *c,
                 const char *name, struct err *e)
{
    char file[STAGE_NAME_MAX + 16], path[IO_PATH_MAX];
    struct sidecar s;
    uint64_t n;
    int rc;

    *r = (struct jsonl_reader){.fd = -1};
    snprintf(file, sizeof file, "%s.jsonl.zst", name);
    rc = corpus_path(c, file, path, e);
    if (!rc)
        rc = sidecar_read(&s, c, name, e);
    if (rc)
        return rc;
    n = tally_get(&s.counts, "records"); /* a 0 is not written */
    sidecar_release(&s);
    rc = jsonl_open(r, path, e);
    if (n)
        r->expect = n;
    return rc;
}

int sidecar_add_tallies(const struct corpus *c, const char *name,
                        struct tally *counts, struct tally *drops,
                        struct err *e)
{
    struct sidecar s;
    int rc = sidecar_read(&s, c, name, e);

    if (rc)
        return rc;
    tally_add_all(counts, &s.counts);
    tally_add_all(drops, &s.drops);
    sidecar_release(&s);
    return 0;
}

int sidecar_list(const struct corpus *c, const char *folder,
                 struct io_list *names, struct err *e)
{
    static const struct str suffix = {".meta.json", 10};
    struct err inner = ERR_INIT;
    char path[IO_PATH_MAX];
    size_t kept = 0;
    int rc = corpus_path(c, folder, path, e);

    *names = (struct io_list){0};
    if (rc)
        return rc;
    rc = io_list(path, names, &inner);
    if (rc == -E_NOTFOUND)
        return 0;
    if (rc)
        return err_set(e, -rc, "%s", inner.message);
    for (size_t i = 0; i < names->n; i++) {
        char *name = names->names[i];

        if (!str_ends(str_of(name), suffix)) {
            free(name);
            continue;
        }
        name[strlen(name) - suffix.n] = 0;
        names->names[kept++] = name;
    }
    names->n = kept;
    return 0;
}

int sidecar_extra_u64(const struct sidecar *s, const char *name,
                      uint64_t *value, struct err *e)
{
    struct str key;
    struct json j;

    json_open(&j, s->extra, NULL);
    json_object(&j);
    while (json_member(&j, &key)) {
        if (str_eq(key, str_of(name)))
            *value = json_u64(&j);
        else
            json_skip(&j);
    }
    return json_close(&j, e);
}
