/* Which tars an evaluation reads. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "train/evalset.h"
#include "train/source.h"

#define SMALL_FILE      ((size_t)4096) /* of nshards.txt, dataset_type.txt */
#define SPLITS_TOLD_MAX 512            /* bytes */

static bool is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int read_small(const char *path, struct buf *b, struct str *text,
                      struct err *e)
{
    int rc;

    buf_init(b, SMALL_FILE);
    rc = io_read_file(path, b, e);
    *text = str_trim(buf_str(b));
    return rc;
}

static void add(struct evalset *s, size_t *cap, const char *path)
{
    s->shards = xgrow(s->shards, cap, s->n_shards + 1, sizeof *s->shards);
    s->shards[s->n_shards++] = xstrdup(path);
}

/* FOLDER/0.tar to FOLDER/(n - 1).tar. */
static int list_numbered(struct evalset *s, const char *folder,
                         const char *count, struct err *e)
{
    char path[IO_PATH_MAX], name[32];
    struct str text;
    struct buf b;
    uint64_t n = 0;
    size_t cap = 0;
    int rc = read_small(count, &b, &text, e);

    if (!rc && (str_u64(text, &n) || !n || n > EVALSET_SHARDS_MAX))
        rc = err_set(e, E_FORMAT, "%s: not a number of shards from 1 to %zu",
                     count, EVALSET_SHARDS_MAX);
    buf_release(&b);
    for (uint64_t i = 0; !rc && i < n; i++) {
        snprintf(name, sizeof name, "%llu.tar", (unsigned long long)i);
        rc = io_join(path, folder, name, e);
        if (!rc && !io_exists(path))
            rc = err_set(e, E_NOTFOUND,
                         "%s is not there, of %llu that %s "
                         "promises",
                         path, (unsigned long long)n, count);
        if (!rc)
            add(s, &cap, path);
    }
    return rc;
}

static int list_folder(struct evalset *s, const char *folder, struct err *e)
{
    char path[IO_PATH_MAX];
    struct io_list l;
    size_t cap = 0;
    int rc = io_join(path, folder, "nshards.txt", e);

    if (rc || io_exists(path))
        return rc ? rc : list_numbered(s, folder, path, e);
    rc = io_list(folder, &l, e);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < l.n; i++) {
        if (!str_ends(str_of(l.names[i]), STR(".tar")))
            continue;
        rc = s->n_shards == EVALSET_SHARDS_MAX
                 ? err_set(e, E_TOOBIG, "%s: more than %zu tars", folder,
                           EVALSET_SHARDS_MAX)
                 : io_join(path, folder, l.names[i], e);
        if (!rc)
            add(s, &cap, path);
    }
    io_list_release(&l);
    return rc || s->n_shards
               ? rc
               : err_set(e, E_NOTFOUND, "%s: no .tar in this folder", folder);
}

static int read_type(struct evalset *s, struct err *e)
{
    static const char *const names[] = {"classification", "retrieval",
                                        "multilabel"};
    char path[IO_PATH_MAX];
    struct str text;
    struct buf b;
    int rc;

    if (!evalset_beside(s, "dataset_type.txt", path))
        return 0;
    rc = read_small(path, &b, &text, e);
    if (!rc) {
        size_t i = 0;

        while (i < 3 && !str_eq(text, str_of(names[i])))
            i++;
        if (i < 3)
            s->type = (enum evalset_type)i;
        else
            rc = err_set(e, E_UNSUPPORTED,
                         "%s: datasets of type \"%.*s\" are not read", path,
                         text.n < 40 ? (int)text.n : 40, text.p);
    }
    buf_release(&b);
    return rc;
}

static int list_names(struct evalset *s, struct err *e)
{
    size_t n, cap = 0;
    char **names;
    int rc = source_expand(str_of(s->c.data), &names, &n, e);

    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (!rc && !io_exists(names[i]))
            rc = err_set(e, E_NOTFOUND, "%s is not there", names[i]);
        if (!rc)
            add(s, &cap, names[i]);
        free(names[i]);
    }
    free(names);
    return rc;
}

bool evalset_beside(const struct evalset *s, const char *name, char path[])
{
    return s->root && !io_join(path, s->root, name, NULL) && io_exists(path);
}

/* A split that somebody named and that there is not: which ones there are. */
static int tell_splits(const struct evalset *s, struct err *e)
{
    const char *data = s->c.data, *split = s->c.split;
    char path[IO_PATH_MAX];
    struct io_list l;
    struct buf names;
    int rc = io_list(data, &l, e);

    if (rc)
        return rc;
    buf_init(&names, SPLITS_TOLD_MAX);
    for (size_t i = 0; i < l.n; i++)
        if (!io_join(path, data, l.names[i], NULL) && is_folder(path))
            buf_addf(&names, "%s%s", names.n ? ", " : "", l.names[i]);
    rc = err_set(e, E_NOTFOUND, "--split %s: no such folder in %s; there %s%s",
                 split, data, names.n ? "are: " : "is none at all",
                 names.n && !names.rc ? names.p : "");
    buf_release(&names);
    io_list_release(&l);
    return rc;
}

int evalset_list(struct evalset *s, struct err *e)
{
    const char *data = s->c.data, *split = s->c.split ? s->c.split : "test";
    char path[IO_PATH_MAX];
    size_t cap = 0;
    int rc;

    if (!is_folder(data)) {
        if (s->c.split)
            return err_set(e, E_USAGE,
                           "--split %s: %s is not a benchmark's folder", split,
                           data);
        if (!io_exists(data))
            return list_names(s, e);
        add(s, &cap, data); /* also one with braces in its name */
        return 0;
    }
    rc = io_join(path, data, split, e);
    if (!rc && is_folder(path)) {
        s->root = xstrdup(data);
        rc = read_type(s, e);
        return rc ? rc : list_folder(s, path, e);
    }
    if (!rc && s->c.split)
        return tell_splits(s, e);
    if (!rc)
        rc = io_join(path, data, "shards", e);
    return rc ? rc : list_folder(s, is_folder(path) ? path : data, e);
}
