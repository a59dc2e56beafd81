#include "tools/against.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/stream.h"
#include "shards/tar_read.h"

#define FOLDERS_DEEP 32
#define JSON_ARENA   (4 * AGAINST_SAMPLE_MAX) /* bytes of decoded strings */
#define TAR_HEAD     512

static const char *const tar_ends[] = {".tar",     ".tgz",     ".tar.gz",
                                       ".tar.bz2", ".tar.zst", NULL};
static const char *const json_ends[] = {
    ".jsonl",      ".ndjson",    ".jsonl.gz",   ".ndjson.gz", ".jsonl.bz2",
    ".ndjson.bz2", ".jsonl.zst", ".ndjson.zst", NULL};
static const char *const image_ends[] = {"jpg",  "jpeg", "png",
                                         "webp", "gif",  "avif"};

struct walk {
    against_fn fn;
    void *ctx;
    struct tally *skipped;
    const char *path; /* of the file at hand */
    struct arena arena;
    struct str texts[AGAINST_TEXTS_MAX];
    struct against_sample sample;
    struct buf name;
    bool images;
};

/* ---- which files ---- */

static bool ends_in(const char *name, const char *const *ends)
{
    for (; *ends; ends++)
        if (str_iends(str_of(name), str_of(*ends)))
            return true;
    return false;
}

static void add_file(struct io_list *files, const char *path)
{
    size_t n = files->n;

    if ((n & (n - 1)) == 0) /* full: it has room for a power of two */
        files->names =
            xrealloc_array(files->names, n ? 2 * n : 1, sizeof *files->names);
    files->names[files->n++] = xstrdup(path);
}

static bool has_dot(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strchr(slash ? slash + 1 : path, '.') != NULL;
}

/* What stat() has failed for.  A link to nothing stops the walk when it may
 * stand for samples or for a folder of them: without them the corpus would
 * keep what somebody wanted out.  One with another ending would not be read
 * if it led somewhere. */
static int unseen(const char *path, struct err *e)
{
    int number = errno;
    struct stat st;

    if (lstat(path, &st) || !S_ISLNK(st.st_mode) ||
        (number != ENOENT && number != ELOOP && number != ENOTDIR)) {
        errno = number;
        return err_errno(e, E_IO, "look at", path);
    }
    if (!ends_in(path, tar_ends) && !ends_in(path, json_ends) && has_dot(path))
        return 0;
    return err_set(e, E_NOTFOUND,
                   "%s is a symbolic link to nothing that can be found: bring "
                   "the samples it stands for, or remove it",
                   path);
}

static int add_folder(const char *path, unsigned deep, struct io_list *files,
                      struct err *e)
{
    char below[IO_PATH_MAX];
    struct io_list names;
    struct stat st;
    int rc;

    if (deep == FOLDERS_DEEP)
        return err_set(e, E_TOOBIG, "%s: over %d folders deep", path,
                       FOLDERS_DEEP);
    rc = io_list(path, &names, e);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < names.n; i++) {
        if (names.names[i][0] == '.')
            continue;
        rc = io_join(below, path, names.names[i], e);
        if (rc)
            break;
        if (stat(below, &st))
            rc = unseen(below, e);
        else if (S_ISDIR(st.st_mode))
            rc = add_folder(below, deep + 1, files, e);
        else if (ends_in(below, tar_ends) || ends_in(below, json_ends))
            add_file(files, below);
    }
    io_list_release(&names);
    return rc;
}

int against_files(const char *path, struct io_list *files, struct err *e)
{
    struct stat st;
    int rc = 0;

    *files = (struct io_list){0};
    if (stat(path, &st))
        return err_errno(e, E_NOTFOUND, "find", path);
    if (!S_ISDIR(st.st_mode)) {
        add_file(files, path);
        return 0;
    }
    rc = add_folder(path, 0, files, e);
    if (!rc && files->n == 0)
        rc = err_set(e, E_USAGE,
                     "%s holds no samples: .tar or .jsonl files (also "
                     "compressed) are looked for",
                     path);
    if (rc)
        io_list_release(files);
    return rc;
}

int against_inputs(const struct opt_list *paths, struct stage_inputs *in,
                   struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < paths->n; i++) {
        struct io_list files;

        rc = against_files(paths->v[i], &files, e);
        if (rc)
            break;
        for (size_t k = 0; !rc && k < files.n; k++)
            rc = stage_inputs_add_file(in, files.names[k], e);
        io_list_release(&files);
    }
    return rc;
}

/* ---- one sample ---- */

static void begin_sample(struct walk *w)
{
    arena_reset(&w->arena);
    buf_clear(&w->name);
    w->sample = (struct against_sample){.texts = w->texts};
}

static void add_text(struct walk *w, struct str text)
{
    if (text.n == 0)
        return;
    if (w->sample.n_texts == AGAINST_TEXTS_MAX)
        tally_add(w->skipped, "texts", 1);
    else
        w->texts[w->sample.n_texts++] = text;
}

/* A string, or something else that is passed over. */
static struct str maybe_string(struct json *j)
{
    if (json_peek(j) == JSON_STRING)
        return json_string(j);
    json_skip(j);
    return STR_NONE;
}

/* Strings, or objects that have one as `text`. */
static void read_texts(struct walk *w, struct json *j)
{
    struct str name;

    if (json_peek(j) != JSON_ARRAY) {
        json_skip(j);
        return;
    }
    json_array(j);
    while (json_element(j)) {
        if (json_peek(j) != JSON_OBJECT) {
            add_text(w, maybe_string(j));
            continue;
        }
        json_object(j);
        while (json_member(j, &name)) {
            if (str_eq(name, STR("text")))
                add_text(w, maybe_string(j));
            else
                json_skip(j);
        }
    }
}

static int read_object(struct walk *w, struct str bytes, struct err *e)
{
    bool exempt = false; /* its phash is of too little to be compared */
    struct json j;
    struct str name;

    json_open(&j, bytes, &w->arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("url")))
            w->sample.url = maybe_string(&j);
        else if (str_eq(name, STR("caption")) || str_eq(name, STR("text")))
            add_text(w, maybe_string(&j));
        else if (str_eq(name, STR("texts")))
            read_texts(w, &j);
        else if (str_eq(name, STR("sha256")))
            w->sample.sha256 = maybe_string(&j);
        else if (str_eq(name, STR("phash")))
            w->sample.phash = maybe_string(&j);
        else if (str_eq(name, STR("phash_exempt")) &&
                 json_peek(&j) == JSON_BOOL)
            exempt = json_bool(&j);
        else
            json_skip(&j);
    }
    if (exempt)
        w->sample.phash = STR_NONE;
    return json_close(&j, e);
}

static int give(struct walk *w, struct err *e)
{
    struct against_sample *s = &w->sample;

    if (w->name.rc)
        return err_set(e, -w->name.rc, "%s: no memory", w->path);
    s->name = buf_str(&w->name);
    if (s->url.n == 0 && s->n_texts == 0 && s->image.n == 0 &&
        s->sha256.n == 0 && s->phash.n == 0) {
        tally_add(w->skipped, "nothing", 1);
        return 0;
    }
    return w->fn(w->ctx, s, e);
}

/* ---- tars ---- */

static int give_tar_sample(struct walk *w, const struct tar_samples *in,
                           const struct tar_sample *t, struct err *e)
{
    const struct tar_sample_member *m = tar_sample_find(t, "json");
    struct err inner = ERR_INIT;

    begin_sample(w);
    buf_add(&w->name, str_of(w->path));
    buf_add_char(&w->name, '/');
    buf_add(&w->name, t->key);
    if (m && read_object(w, tar_samples_data(in, m), &inner)) {
        tally_add(w->skipped, "json", 1);
        w->sample = (struct against_sample){.texts = w->texts};
    }
    m = tar_sample_find(t, "txt");
    if (m)
        add_text(w, tar_samples_data(in, m));
    for (unsigned i = 0; w->images && !w->sample.image.n && i < t->n; i++)
        for (size_t k = 0; k < sizeof image_ends / sizeof *image_ends; k++)
            if (!strcmp(t->v[i].ext, image_ends[k]))
                w->sample.image = tar_samples_data(in, &t->v[i]);
    return give(w, e);
}

static int walk_tar(struct walk *w, struct err *e)
{
    static const char *const all[] = {"json", "txt", "jpg",  "jpeg", "png",
                                      "webp", "gif", "avif", NULL};
    static const char *const words[] = {"json", "txt", NULL};
    const struct tar_sample *t;
    struct tar_samples in;
    struct tar_reader r;
    bool more = true;
    int rc = tar_reader_open(&r, w->path, AGAINST_SAMPLE_MAX, e);

    if (rc)
        return rc;
    tar_samples_init(&in, &r, w->images ? all : words, AGAINST_SAMPLE_MAX);
    while (!rc && !(rc = tar_samples_next(&in, &t, &more, e)) && more)
        rc = give_tar_sample(w, &in, t, e);
    tally_add_all(w->skipped, &r.skipped);
    tar_samples_release(&in);
    tar_reader_close(&r);
    return rc;
}

/* ---- JSON lines ---- */

static int walk_lines(struct walk *w, struct stream *in, struct err *e)
{
    struct lines l;
    struct str line;
    bool more = true;
    int rc = 0;

    lines_init(&l, in, AGAINST_SAMPLE_MAX);
    while (!rc && !(rc = lines_next(&l, &line, &more, e)) && more) {
        struct err inner = ERR_INIT;

        if (str_trim(line).n == 0)
            continue;
        begin_sample(w);
        buf_addf(&w->name, "%s:%llu", w->path, (unsigned long long)l.number);
        rc = read_object(w, line, &inner);
        if (rc)
            rc = err_set(e, -rc, "%s: no JSON object: %s", w->name.p,
                         inner.message);
        else
            rc = give(w, e);
    }
    if (l.too_long)
        tally_add(w->skipped, "too-large", l.too_long);
    lines_release(&l);
    return rc;
}

/* A name of no known end: what do the bytes say? */
static int looks_like_tar(const char *path, bool *tar, struct err *e)
{
    char head[TAR_HEAD];
    size_t have = 0, got = 1;
    struct stream *in;
    int rc = stream_open(&in, path, e);

    *tar = false;
    if (rc)
        return rc;
    while (!rc && got && have < sizeof head) {
        rc = stream_read(in, head + have, sizeof head - have, &got, e);
        have += rc ? 0 : got;
    }
    stream_close(in);
    *tar = !rc && have == sizeof head && !memcmp(head + 257, "ustar", 5);
    return rc;
}

static int walk_file(struct walk *w, struct err *e)
{
    bool tar = ends_in(w->path, tar_ends);
    struct stream *in;
    int rc = 0;

    if (!tar && !ends_in(w->path, json_ends))
        rc = looks_like_tar(w->path, &tar, e);
    if (rc)
        return rc;
    if (tar)
        return walk_tar(w, e);
    rc = stream_open(&in, w->path, e);
    if (rc)
        return rc;
    rc = walk_lines(w, in, e);
    stream_close(in);
    return rc;
}

int against_walk(const char *path, bool images, against_fn fn, void *ctx,
                 struct tally *skipped, struct err *e)
{
    struct io_list files;
    struct walk *w;
    int rc = against_files(path, &files, e);

    if (rc)
        return rc;
    w = xcalloc(1, sizeof *w);
    w->fn = fn;
    w->ctx = ctx;
    w->skipped = skipped;
    w->images = images;
    arena_init(&w->arena, JSON_ARENA);
    buf_init(&w->name, 2 * IO_PATH_MAX);
    for (size_t i = 0; !rc && i < files.n; i++) {
        w->path = files.names[i];
        rc = walk_file(w, e);
    }
    arena_release(&w->arena);
    buf_release(&w->name);
    free(w);
    io_list_release(&files);
    return rc;
}
