#include "tools/list_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/mem.h"
#include "querylist/list_check.h"
#include "querylist/list_io.h"
#include "querylist/qlist.h"
#include "tools/print.h"

#define CLASSES_MAX ((size_t)256 << 20) /* bytes of a file of class names */

const char *const list_show_forms[] = {"name", "text", "tsv", "json", NULL};

static int open_list(struct qlist *l, const char *corpus, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = io_join(path, corpus, QLIST_FILE, e);

    return rc ? rc : qlist_open(l, path, e);
}

/* ---- export ---- */

static int put_stdout(void *ctx, struct str bytes, struct err *e)
{
    (void)ctx;
    if (fwrite(bytes.p, 1, bytes.n, stdout) != bytes.n)
        return err_errno(e, E_IO, "write", "standard output");
    return 0;
}

static int put_file(void *ctx, struct str bytes, struct err *e)
{
    return io_file_write(ctx, bytes, e);
}

static int export_file(const struct qlist *l, enum query_form form,
                       const char *path, struct err *e)
{
    struct io_file f;
    int rc = io_file_open(&f, path, e);

    if (!rc)
        rc = query_list_export(l, form, put_file, &f, e);
    else
        return rc;
    if (!rc)
        return io_file_publish(&f, e);
    io_file_abandon(&f);
    return rc;
}

int list_show_export(const char *corpus, const char *path, int form,
                     struct err *e)
{
    enum query_form as =
        form ? (enum query_form)(form - 1) : query_form_of(path);
    struct qlist l;
    int rc = open_list(&l, corpus, e);

    if (rc)
        return rc;
    if (strcmp(path, "-") == 0)
        rc = query_list_export(&l, as, put_stdout, NULL, e);
    else
        rc = export_file(&l, as, path, e);
    qlist_close(&l);
    return rc;
}

/* ---- check ---- */

/* What one file's names came to. */
struct verdicts {
    uint64_t exact, norm;
    struct query_candidates missing;
};

static int judge(struct list_check *c, const struct query_candidates *names,
                 struct verdicts *v, struct err *e)
{
    enum list_check_result result;
    int rc = 0;

    for (size_t i = 0; !rc && i < names->n; i++) {
        rc = list_check_name(c, names->v[i].text, &result, e);
        if (rc)
            break;
        v->exact += result == LIST_CHECK_EXACT;
        v->norm += result != LIST_CHECK_MISSING;
        if (result == LIST_CHECK_MISSING)
            query_candidates_add(&v->missing, names->v[i].text);
    }
    return rc;
}

static void print_verdicts(const char *path, const struct verdicts *v,
                           const struct query_candidates *names)
{
    print_safe(stdout, str_of(strcmp(path, "-") ? path : "standard input"), 0);
    printf(": %s of %s class names are in the list, %s of them letter for "
           "letter\n",
           print_n(v->norm), print_n(names->n), print_n(v->exact));
    for (size_t i = 0; i < v->missing.n; i++) {
        fputs("  missing  ", stdout);
        print_safe(stdout, v->missing.v[i].text, 0);
        putchar('\n');
    }
}

/* Class names of a file; names and arena are the caller's to release. */
static int read_names(struct query_candidates *names, const char *path,
                      struct arena *arena, struct err *e)
{
    struct tally drops;
    int rc;

    tally_init(&drops);
    rc = query_list_read(names, path, arena, &drops, e);
    if (!rc && tally_sum(&drops))
        rc = err_set(e, E_FORMAT, "%s: a line of it is no class name", path);
    tally_release(&drops);
    return rc;
}

/* c NULL: the file is only read. */
static int check_file(struct list_check *c, const char *path, uint64_t *missing,
                      struct err *e)
{
    struct query_candidates names = {0};
    struct verdicts v = {0};
    struct arena arena;
    int rc;

    arena_init(&arena, CLASSES_MAX);
    rc = read_names(&names, path, &arena, e);
    if (!rc && c) {
        rc = judge(c, &names, &v, e);
        if (!rc)
            print_verdicts(path, &v, &names);
        *missing += v.missing.n;
    }
    query_candidates_release(&v.missing);
    query_candidates_release(&names);
    arena_release(&arena);
    return rc;
}

int list_show_check(const char *corpus, const struct opt_list *files,
                    struct err *e)
{
    struct list_check c;
    uint64_t missing = 0;
    struct qlist l;
    int rc = open_list(&l, corpus, e);

    if (rc)
        return rc;
    rc = list_check_open(&c, &l, e);
    for (size_t i = 0; !rc && i < files->n; i++)
        rc = check_file(&c, files->v[i], &missing, e);
    list_check_close(&c);
    qlist_close(&l);
    return rc ? rc : missing ? -E_NEGATIVE : 0;
}

/* ---- before there is a list ---- */

/* The bytes of path before its last slash; "." where there is none. */
static struct str folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? str_make(path, (size_t)(slash - path) + 1) : STR(".");
}

static struct str without_slashes(struct str s)
{
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    return s;
}

/* Is the folder of path the corpus, which need not be there yet? */
static bool is_in_corpus(const char *corpus, const char *path)
{
    struct str folder = folder_of(path);
    struct stat a, b;
    char *name;
    bool same;

    if (str_eq(without_slashes(folder), without_slashes(str_of(corpus))))
        return true;
    name = xasprintf("%.*s", STR_ARG(folder));
    same = stat(name, &a) == 0 && stat(corpus, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    free(name);
    return same;
}

/* Is path queries.bin, corpus.db or what belongs to them? */
static bool is_of_corpus(const char *corpus, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path);

    return (str_starts(name, STR("queries.")) ||
            str_starts(name, STR("corpus."))) &&
           is_in_corpus(corpus, path);
}

int list_show_can_write(const char *corpus, const char *option,
                        const char *path, struct err *e)
{
    struct io_file f;
    int rc;

    if (!path || strcmp(path, "-") == 0)
        return 0;
    if (str_iends(str_of(path), STR(".gz")) ||
        str_iends(str_of(path), STR(".bz2")) ||
        str_iends(str_of(path), STR(".zst")))
        return err_set(e, E_USAGE,
                       "%s %s: it is written as it is; compress the file, or "
                       "what %s - gives",
                       option, path, option);
    if (is_of_corpus(corpus, path))
        return err_set(e, E_USAGE,
                       "%s %s: the corpus keeps a file of its own there",
                       option, path);
    if (!io_exists(corpus) && is_in_corpus(corpus, path))
        return 0; /* the folder will be made */
    /* Whether a file can be made there shows when one is begun. */
    rc = io_file_open(&f, path, e);
    if (!rc)
        io_file_abandon(&f);
    return rc;
}

static bool is_read_once(const char *path)
{
    struct stat st;

    return strcmp(path, "-") == 0 ||
           (stat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
            !S_ISDIR(st.st_mode));
}

int list_show_can_check(const struct opt_list *files, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < files->n; i++)
        if (!is_read_once(files->v[i]))
            rc = check_file(NULL, files->v[i], NULL, e);
    return rc;
}
