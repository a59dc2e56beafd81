#include "querylist/textfiles.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/markup.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/utf8.h"

void textfiles_init(struct textfiles *t)
{
    *t = (struct textfiles){0};
}

void textfiles_release(struct textfiles *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->paths[i]);
    free(t->paths);
    textfiles_init(t);
}

static bool is_html(const char *path)
{
    static const char *const ends[] = {".html", ".htm", ".xhtml", ".xht"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (str_iends(str_of(path), str_of(ends[i])))
            return true;
    return false;
}

static bool is_text(const char *path)
{
    return str_iends(str_of(path), STR(".txt")) ||
           str_iends(str_of(path), STR(".text"));
}

/* ---- which files ---- */

static int add(struct textfiles *t, const char *path, struct err *e)
{
    if (t->n >= TEXTFILES_MAX)
        return err_set(e, E_TOOBIG, "more than %u files to count words in",
                       TEXTFILES_MAX);
    t->paths = xgrow(t->paths, &t->cap, t->n + 1, sizeof *t->paths);
    t->paths[t->n++] = xstrdup(path);
    return 0;
}

static int add_folder(struct textfiles *t, const char *folder, int depth,
                      struct err *e)
{
    struct io_list names;
    char path[IO_PATH_MAX];
    struct stat st;
    int rc;

    if (depth > TEXTFILES_DEPTH)
        return err_set(e, E_TOOBIG, "%s: more than %d folders deep", folder,
                       TEXTFILES_DEPTH);
    rc = io_list(folder, &names, e);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < names.n; i++) {
        rc = io_join(path, folder, names.names[i], e);
        if (rc)
            break;
        if (lstat(path, &st))
            rc = err_errno(e, E_IO, "stat", path);
        else if (S_ISDIR(st.st_mode))
            rc = add_folder(t, path, depth + 1, e);
        else if (S_ISREG(st.st_mode) && (is_html(path) || is_text(path)))
            rc = add(t, path, e);
    }
    io_list_release(&names);
    return rc;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int textfiles_list(struct textfiles *t, const char *path, struct err *e)
{
    size_t from = t->n;
    struct stat st;
    int rc;

    if (stat(path, &st))
        return err_set(e, E_NOTFOUND, "--text %s: no such file or folder",
                       path);
    if (!S_ISDIR(st.st_mode))
        return add(t, path, e);
    rc = add_folder(t, path, 0, e);
    /* Folder by folder is not path order: "a/b" comes after "a.txt". */
    if (!rc && t->n > from)
        qsort(t->paths + from, t->n - from, sizeof *t->paths, compare_paths);
    if (!rc && t->n == from)
        return err_set(e, E_NOTFOUND,
                       "--text %s: no .txt, .text, .html, .htm, .xhtml or "
                       ".xht file in it",
                       path);
    return rc;
}

/* ---- counting ---- */

static int count_line(struct str line, struct ngrams_counter *n,
                      struct tally *drops, struct err *e)
{
    if (!utf8_valid(line)) {
        tally_add(drops, "charset", 1);
        ngrams_break(n);
        return 0;
    }
    if (!str_trim(line).n) {
        ngrams_break(n);
        return 0;
    }
    return ngrams_add(n, line, e);
}

static int count_plain(struct stream *in, struct ngrams_counter *n,
                       struct tally *drops, struct err *e)
{
    struct lines lines;
    struct str line;
    uint64_t too_long = 0;
    bool more;
    int rc;

    lines_init(&lines, in, TEXTFILES_LINE_MAX);
    for (;;) {
        rc = lines_next(&lines, &line, &more, e);
        if (rc || !more)
            break;
        if (lines.too_long != too_long) {
            ngrams_break(n);
            too_long = lines.too_long;
        }
        rc = count_line(line, n, drops, e);
        if (rc)
            break;
    }
    if (lines.too_long)
        tally_add(drops, "too-long", lines.too_long);
    lines_release(&lines);
    return rc;
}

static int count_html(struct stream *in, const char *path,
                      struct ngrams_counter *n, struct tally *drops,
                      struct err *e)
{
    struct buf html, text;
    struct str rest, line;
    struct err inner = ERR_INIT;
    int rc;

    buf_init(&html, TEXTFILES_PAGE_MAX);
    buf_init(&text, BUF_NO_LIMIT);
    rc = stream_read_all(in, &html, &inner);
    if (rc == -E_TOOBIG) {
        tally_add(drops, "too-long", 1);
        rc = 0;
        goto out;
    }
    if (rc) {
        rc = err_set(e, -rc, "%s", inner.message);
        goto out;
    }
    rc = markup_text(buf_str(&html), STR_NONE, &text);
    if (rc)
        rc = err_set(e, -rc, "%s: %s", path, err_name(rc));
    rest = buf_str(&text);
    while (!rc && str_split(&rest, '\n', &line)) {
        rc = count_line(line, n, drops, e);
        ngrams_break(n);
    }
out:
    buf_release(&html);
    buf_release(&text);
    return rc;
}

int textfiles_count(const char *path, struct ngrams_counter *n,
                    struct tally *drops, struct err *e)
{
    struct stream *in;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    ngrams_break(n);
    if (is_html(path))
        rc = count_html(in, path, n, drops, e);
    else
        rc = count_plain(in, n, drops, e);
    stream_close(in);
    return rc;
}
