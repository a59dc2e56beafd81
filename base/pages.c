#include "base/pages.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/mem.h"

static bool is_page(struct str name)
{
    return str_iends(name, STR(".html")) || str_iends(name, STR(".htm")) ||
           str_iends(name, STR(".xhtml")) || str_iends(name, STR(".xht"));
}

static int add(struct pages *p, const char *path, struct err *e)
{
    if (p->n == PAGES_MAX)
        return err_set(e, E_TOOBIG, "more than %d pages in one folder",
                       PAGES_MAX);
    p->paths = xgrow(p->paths, &p->cap, p->n + 1, sizeof p->paths[0]);
    p->paths[p->n++] = xstrdup(path);
    return 0;
}

static int walk(const char *folder, const char *under, int depth,
                struct pages *p, struct err *e);

/* One name of a folder; path is its own, relative to the top. */
static int visit(const char *folder, const char *path, int depth,
                 struct pages *p, struct err *e)
{
    char full[IO_PATH_MAX];
    struct stat st;
    int rc = io_join(full, folder, path, e);

    if (rc)
        return rc;
    if (lstat(full, &st))
        return err_errno(e, E_IO, "read", full);
    if (S_ISDIR(st.st_mode))
        return walk(folder, path, depth + 1, p, e);
    return S_ISREG(st.st_mode) && is_page(str_of(path)) ? add(p, path, e) : 0;
}

static int walk(const char *folder, const char *under, int depth,
                struct pages *p, struct err *e)
{
    char full[IO_PATH_MAX], path[IO_PATH_MAX];
    struct io_list l;
    int rc;

    if (depth > PAGES_DEPTH_MAX)
        return err_set(e, E_TOOBIG, "%s/%s: over %d folders deep", folder,
                       under, PAGES_DEPTH_MAX);
    rc = under[0] ? io_join(full, folder, under, e) : 0;
    if (rc)
        return rc;
    rc = io_list(under[0] ? full : folder, &l, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < l.n && !rc; i++) {
        if (under[0]) {
            rc = io_join(path, under, l.names[i], e);
            if (!rc)
                rc = visit(folder, path, depth, p, e);
        } else {
            rc = visit(folder, l.names[i], depth, p, e);
        }
    }
    io_list_release(&l);
    return rc;
}

static int path_cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted at the end: a/b comes behind a-b as a path, before it as a folder. */
int pages_list(const char *folder, struct pages *p, struct err *e)
{
    int rc;

    *p = (struct pages){0};
    rc = walk(folder, "", 0, p, e);
    if (rc)
        pages_release(p);
    else if (p->n)
        qsort(p->paths, p->n, sizeof p->paths[0], path_cmp);
    return rc;
}

void pages_release(struct pages *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->paths[i]);
    free(p->paths);
    *p = (struct pages){0};
}

enum url_reason pages_url(struct str base, struct str path, struct buf *out)
{
    struct buf raw;
    enum url_reason reason;

    buf_init(&raw, BUF_NO_LIMIT);
    buf_add(&raw, base);
    if (!str_ends(base, STR("/")))
        buf_add_char(&raw, '/');
    for (size_t i = 0; i < path.n; i++) {
        switch (path.p[i]) {
        case '%':
            buf_add(&raw, STR("%25"));
            break;
        case '?':
            buf_add(&raw, STR("%3F"));
            break;
        case '#':
            buf_add(&raw, STR("%23"));
            break;
        default:
            buf_add_char(&raw, path.p[i]);
        }
    }
    reason = raw.rc ? URL_LENGTH : url_resolve(STR_NONE, buf_str(&raw), out);
    buf_release(&raw);
    return reason;
}
