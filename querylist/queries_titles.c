/* The source `title`: view files, ranked. */
#include "querylist/queries_job.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"

#define VIEW_FILES_MAX 1000000u /* 114 years of hours */

/* ---- which files ---- */

static int add_file(struct queries_job *r, const char *path, struct err *e)
{
    struct io_list *l = &r->view_files;

    if (l->n >= VIEW_FILES_MAX)
        return err_set(e, E_TOOBIG, "more than %u files of page views",
                       VIEW_FILES_MAX);
    l->names = xrealloc_array(l->names, l->n + 1, sizeof *l->names);
    l->names[l->n++] = xstrdup(path);
    return stage_inputs_add_file(&r->inputs, path, e);
}

/* Of a folder, the files that are named like Wikimedia's. */
static int add_folder(struct queries_job *r, const char *folder, struct err *e)
{
    struct io_list names;
    char path[IO_PATH_MAX];
    size_t before = r->view_files.n;
    int rc = io_list(folder, &names, e);

    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < names.n; i++) {
        struct str name = str_of(names.names[i]);

        if (!str_starts(name, STR("pageviews-")) &&
            !str_starts(name, STR("pagecounts-")))
            continue;
        rc = io_join(path, folder, names.names[i], e);
        if (!rc)
            rc = add_file(r, path, e);
    }
    io_list_release(&names);
    if (!rc && r->view_files.n == before)
        return err_set(e, E_NOTFOUND,
                       "--pageviews %s: no file named pageviews-* or "
                       "pagecounts-* in it",
                       folder);
    return rc;
}

int queries_list_views(struct queries_job *r, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < r->c->pageviews.n; i++) {
        const char *path = r->c->pageviews.v[i];
        struct stat st;

        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            rc = add_folder(r, path, e);
        else
            rc = add_file(r, path, e);
    }
    return rc;
}

/* ---- their titles ---- */

int queries_rank_titles(struct queries_job *r, struct err *e)
{
    const struct queries_config *c = r->c;
    const struct titles_config config = {
        .project = c->project,
        .min_hour_views = c->min_hour_views,
        .min_views = c->min_views,
        /* As many again may be in the list already, and take no room. */
        .keep = 2 * c->size,
        .redirects = (enum titles_redirects)c->redirects,
        .aliases = &r->aliases,
        .threads = stage_threads(&c->stage),
        .memory = c->memory,
        .folder = r->corpus.dir,
    };
    int rc = titles_open(&r->titles, &config, e);

    if (!rc)
        rc = titles_read(r->titles, r->view_files.names, r->view_files.n,
                         &r->drops, e);
    if (!rc)
        rc = titles_rank(r->titles, &r->sources[QUERY_TITLE], e);
    if (rc)
        return rc;
    titles_stats(r->titles, &r->summary->views);
    if (!r->summary->views.lines)
        log_event("warning",
                  "no line of --project %s in %zu files of page views: is it "
                  "they that --pageviews means?",
                  c->project, r->view_files.n);
    return 0;
}
