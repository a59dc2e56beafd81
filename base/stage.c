#include "base/stage.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SIDECAR_SUFFIX ".meta.json"

unsigned stage_threads(const struct stage_options *o)
{
    cpu_set_t set;

    if (o->threads)
        return (unsigned)o->threads;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* ---- inputs ---- */

void stage_inputs_init(struct stage_inputs *in)
{
    *in = (struct stage_inputs){0};
}

void stage_inputs_clear(struct stage_inputs *in)
{
    for (size_t i = 0; i < in->n; i++)
        free(in->v[i].name);
    in->n = 0;
}

void stage_inputs_release(struct stage_inputs *in)
{
    stage_inputs_clear(in);
    free(in->v);
    *in = (struct stage_inputs){0};
}

void stage_inputs_add(struct stage_inputs *in, const char *name,
                      const char *sha256)
{
    struct stage_input *to;

    in->v = xgrow(in->v, &in->cap, in->n + 1, sizeof *in->v);
    to = &in->v[in->n++];
    to->key = to->name = xstrdup(name);
    snprintf(to->sha256, sizeof to->sha256, "%s", sha256);
}

int stage_inputs_add_output(struct stage_inputs *in, const struct corpus *c,
                            const char *name, const char *maker, struct err *e)
{
    struct err inner = ERR_INIT;
    struct sidecar s;
    size_t command = strcspn(maker, " ");
    int rc = sidecar_read(&s, c, name, &inner);

    if (rc == -E_NOTFOUND)
        return err_set(e, E_NOTFOUND,
                       "%s/%s is not there yet: run `witmill %.*s %s%s` "
                       "first",
                       c->dir, name, (int)command, maker, c->dir,
                       maker + command);
    if (rc) {
        if (e)
            *e = inner;
        return rc;
    }
    for (size_t i = 0; i < s.n_files; i++)
        stage_inputs_add(in, s.files[i].name, s.files[i].sha256);
    sidecar_release(&s);
    return 0;
}

int stage_inputs_add_file(struct stage_inputs *in, const char *path,
                          struct err *e)
{
    char hex[SHA256_HEX];
    struct stage_input *to;
    const char *slash;
    struct stat st;
    int rc;

    /* A pipe has been read to its end when its hash is known, and would then
     * be an empty input. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return err_set(e, E_USAGE,
                       "%s is no file but a pipe or device, and is to be read "
                       "twice, first for its hash: write it to a file",
                       path);
    rc = io_sha256_file(path, hex, e);
    if (!rc) {
        stage_inputs_add(in, path, hex);
        to = &in->v[in->n - 1];
        slash = strrchr(to->name, '/');
        if (slash && slash[1])
            to->key = slash + 1;
    }
    return rc;
}

void stage_inputs_add_all(struct stage_inputs *in,
                          const struct stage_inputs *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct stage_input *v = &from->v[i];

        stage_inputs_add(in, v->name, v->sha256);
        in->v[in->n - 1].key = in->v[in->n - 1].name + (v->key - v->name);
    }
}

/* ---- a stage and its outputs ---- */

void stage_init(struct stage *s, const struct corpus *c, const char *name,
                unsigned version, const struct opt_table *table,
                const void *config, bool redo)
{
    *s = (struct stage){
        .corpus = c, .name = name, .version = version, .redo = redo};
    buf_init(&s->options, BUF_NO_LIMIT);
    opt_json(table, config, &s->options);
}

void stage_release(struct stage *s)
{
    buf_release(&s->options);
}

/* One line a fact; lengths are not needed because no part holds a newline
 * (names with one are written as JSON strings). */
static void fingerprint(const struct stage *s, const struct stage_inputs *in,
                        char out[SHA256_HEX])
{
    struct buf b;
    struct json_out j;
    struct sha256 h;

    buf_init(&b, BUF_NO_LIMIT);
    buf_addf(&b, "%s\n%u\n%llu\n%s\n", s->name, s->version,
             (unsigned long long)s->corpus->head.seed, s->options.p);
    for (size_t i = 0; i < in->n; i++) {
        json_out_init(&j, &b);
        json_out_string(&j, str_of(in->v[i].key));
        buf_addf(&b, " %s\n", in->v[i].sha256);
    }
    sha256_init(&h);
    sha256_add(&h, buf_str(&b));
    sha256_final_hex(&h, out);
    buf_release(&b);
}

static int sidecar_path(const struct corpus *c, const char *name, char *out,
                        struct err *e)
{
    char file[STAGE_NAME_MAX + sizeof SIDECAR_SUFFIX];

    snprintf(file, sizeof file, "%s" SIDECAR_SUFFIX, name);
    return corpus_path(c, file, out, e);
}

static int remove_sidecar(const struct corpus *c, const char *name,
                          struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = sidecar_path(c, name, path, e);

    if (!rc)
        rc = io_remove(path, e);
    return rc ? rc : io_sync_parent(path, e);
}

static int make_folder_of(const char *path, struct err *e)
{
    char folder[IO_PATH_MAX];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return io_mkdirs(folder, e);
}

static int stale(const struct stage_output *o, const struct sidecar *old,
                 struct err *e)
{
    struct buf why;
    int rc;

    buf_init(&why, ERR_MESSAGE_MAX);
    stage_changes(old, buf_str(&o->stage->options), o->inputs, &why);
    rc = err_set(e, E_STALE,
                 "%s/%s was made %.*s (fingerprint %.16s... there, %.16s... "
                 "now); --redo replaces it, and what came from it after",
                 o->stage->corpus->dir, o->name, STR_ARG(buf_str(&why)),
                 old->fingerprint, o->fingerprint);
    buf_release(&why);
    return rc;
}

int stage_begin(struct stage *s, struct stage_output *o, const char *name,
                const struct stage_inputs *in, bool *done, struct err *e)
{
    struct err inner = ERR_INIT;
    struct sidecar old;
    char path[IO_PATH_MAX];
    int rc;

    *o = (struct stage_output){
        .stage = s, .inputs = in, .began_ms = clock_mono_ms()};
    *done = false;
    snprintf(o->name, sizeof o->name, "%s", name);
    tally_init(&o->counts);
    tally_init(&o->drops);
    buf_init(&o->extra, BUF_NO_LIMIT);
    json_out_init(&o->more, &o->extra);
    fingerprint(s, in, o->fingerprint);
    rc = sidecar_path(s->corpus, name, path, e);
    if (!rc)
        rc = make_folder_of(path, e);
    if (rc)
        return rc;
    rc = sidecar_read(&old, s->corpus, name, &inner);
    if (rc == -E_NOTFOUND)
        return 0;
    if (!rc) {
        *done = !strcmp(old.fingerprint, o->fingerprint);
        if (!*done && !s->redo)
            rc = stale(o, &old, e);
        sidecar_release(&old);
    } else if (!s->redo) {
        return err_set(e, -rc, "%s; --redo makes it anew", inner.message);
    } else {
        rc = 0;
    }
    if (!rc && !*done)
        rc = remove_sidecar(s->corpus, name, e);
    return rc;
}

int stage_path(const struct stage_output *o, const char *suffix, char *out,
               struct err *e)
{
    char file[STAGE_NAME_MAX + 64];

    snprintf(file, sizeof file, "%s%s", o->name, suffix);
    return corpus_path(o->stage->corpus, file, out, e);
}

void stage_file(struct stage_output *o, const char *name, const char *sha256)
{
    struct stage_file *f;

    o->files = xgrow(o->files, &o->cap_files, o->n_files + 1, sizeof *o->files);
    f = &o->files[o->n_files++];
    snprintf(f->name, sizeof f->name, "%s", name);
    snprintf(f->sha256, sizeof f->sha256, "%s", sha256);
}

/* DESIGN section 4: a string, or an object where one sidecar stands for
 * several files. */
static void write_hashes(const struct stage_output *o, struct json_out *j)
{
    json_out_name(j, "files");
    json_out_array(j);
    for (size_t i = 0; i < o->n_files; i++)
        json_out_string(j, str_of(o->files[i].name));
    json_out_end_array(j);
    json_out_name(j, "sha256");
    if (o->n_files == 1) {
        json_out_string(j, str_of(o->files[0].sha256));
        return;
    }
    json_out_object(j);
    for (size_t i = 0; i < o->n_files; i++)
        json_put_string(j, o->files[i].name, str_of(o->files[i].sha256));
    json_out_end_object(j);
}

static void write_inputs(const struct stage_output *o, struct json_out *j)
{
    json_out_name(j, "inputs");
    json_out_object(j);
    for (size_t i = 0; i < o->inputs->n; i++)
        json_put_string(j, o->inputs->v[i].name,
                        str_of(o->inputs->v[i].sha256));
    json_out_end_object(j);
}

int stage_commit(struct stage_output *o, struct err *e)
{
    const struct stage *s = o->stage;
    char path[IO_PATH_MAX], date[24];
    struct buf b;
    struct json_out j;
    int rc = sidecar_path(s->corpus, o->name, path, e);

    if (rc)
        return rc;
    buf_init(&b, BUF_NO_LIMIT);
    json_out_init(&j, &b);
    json_out_object(&j);
    json_put_u64(&j, "format", SIDECAR_FORMAT);
    json_put_string(&j, "stage", str_of(s->name));
    json_put_u64(&j, "version", s->version);
    json_put_u64(&j, "seed", s->corpus->head.seed);
    json_put_string(&j, "fingerprint", str_of(o->fingerprint));
    json_out_name(&j, "options");
    json_out_raw(&j, buf_str(&s->options));
    write_inputs(o, &j);
    write_hashes(o, &j);
    json_out_name(&j, "counts");
    tally_json(&o->counts, &j);
    json_out_name(&j, "drops");
    tally_json(&o->drops, &j);
    json_out_name(&j, "extra");
    buf_addf(&b, "{%s}", buf_str(&o->extra).p);
    j.comma = true;
    json_out_name(&j, "run");
    json_out_object(&j);
    clock_iso(clock_wall_s(), date);
    json_put_string(&j, "finished", str_of(date));
    json_put_double(&j, "seconds",
                    (double)(clock_mono_ms() - o->began_ms) / 1000);
    json_out_end_object(&j);
    json_out_end_object(&j);
    buf_add_char(&b, '\n');
    rc = io_write_file(path, buf_str(&b), e);
    buf_release(&b);
    if (!rc)
        o->stage->merge_needed = true;
    return rc;
}

void stage_output_release(struct stage_output *o)
{
    free(o->files);
    o->files = NULL;
    o->n_files = o->cap_files = 0;
    tally_release(&o->counts);
    tally_release(&o->drops);
    buf_release(&o->extra);
}

/* Remove an output: the sidecar first, so that a kill in between leaves an
 * output without one, which the next run replaces. */
static int remove_output(const struct corpus *c, const char *name,
                         struct err *e)
{
    struct err inner = ERR_INIT;
    struct sidecar old;
    char path[IO_PATH_MAX];
    int rc = sidecar_read(&old, c, name, &inner);

    if (rc)
        return remove_sidecar(c, name, e);
    rc = remove_sidecar(c, name, e);
    for (size_t i = 0; !rc && i < old.n_files; i++) {
        rc = corpus_path(c, old.files[i].name, path, e);
        if (!rc)
            rc = io_remove(path, e);
    }
    sidecar_release(&old);
    return rc;
}

static int prune(struct stage *s, const char *folder, const char *name,
                 struct err *e)
{
    char full[STAGE_NAME_MAX];

    snprintf(full, sizeof full, "%s/%s", folder, name);
    return s->redo ? remove_output(s->corpus, full, e)
                   : err_set(e, E_STALE,
                             "%s/%s is left from an earlier run with more "
                             "inputs; --redo removes it",
                             s->corpus->dir, full);
}

int stage_prune(struct stage *s, const char *folder, const char *prefix,
                uint64_t n, struct err *e)
{
    struct io_list names;
    int rc = sidecar_list(s->corpus, folder, &names, e);

    for (size_t i = 0; !rc && i < names.n; i++) {
        struct str name = str_of(names.names[i]);
        uint64_t k;

        if (!str_starts(name, str_of(prefix)) ||
            str_u64(str_slice(name, strlen(prefix), name.n), &k) || k < n)
            continue;
        rc = prune(s, folder, names.names[i], e);
    }
    io_list_release(&names);
    return rc;
}

int stage_prune_others(struct stage *s, const char *folder,
                       const struct io_list *keep, struct err *e)
{
    struct io_list names;
    size_t k = 0;
    int rc = sidecar_list(s->corpus, folder, &names, e);

    for (size_t i = 0; !rc && i < names.n; i++) {
        while (k < keep->n && strcmp(keep->names[k], names.names[i]) < 0)
            k++;
        if (k == keep->n || strcmp(keep->names[k], names.names[i]))
            rc = prune(s, folder, names.names[i], e);
    }
    io_list_release(&names);
    return rc;
}

int stage_drop_folder(const struct corpus *c, const char *folder, struct err *e)
{
    char path[IO_PATH_MAX], file[IO_PATH_MAX];
    struct io_list names;
    int rc = corpus_path(c, folder, path, e);

    if (rc || !io_exists(path))
        return rc;
    rc = sidecar_list(c, folder, &names, e);
    for (size_t i = 0; !rc && i < names.n; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, names.names[i]);
        rc = remove_sidecar(c, file, e);
    }
    io_list_release(&names);
    if (!rc)
        rc = io_list(path, &names, e);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < names.n; i++) {
        rc = io_join(file, path, names.names[i], e);
        if (!rc)
            rc = io_remove(file, e);
    }
    io_list_release(&names);
    if (!rc && rmdir(path))
        rc = err_errno(e, E_IO, "remove folder", path);
    return rc ? rc : io_sync_parent(path, e);
}
