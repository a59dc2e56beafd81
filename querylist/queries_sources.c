#include "querylist/queries_job.h"

#include <stdlib.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "querylist/list_io.h"
#include "querylist/pageviews.h"
#include "querylist/textfiles.h"

#define TWINS_MAX 5 /* of files given twice so many are named */

/* ---- which sources ---- */

static int source_named(struct str name)
{
    for (int s = 0; s < QUERY_SOURCES; s++)
        if (str_eq(name, str_of(query_source_name((enum query_source)s))))
            return s;
    return -1;
}

/* Without --sources: what there is input for, and WordNet unless the user
 * brought a list of his own; numerals belong to MetaCLIP's order. */
static void default_sources(struct queries_job *r)
{
    const struct queries_config *c = r->c;

    r->want[QUERY_FILE] = c->queries.n > 0;
    r->want[QUERY_WORD] = c->text.n || c->wiki.n;
    r->want[QUERY_BIGRAM] = c->text.n || c->wiki.n;
    r->want[QUERY_TITLE] = c->pageviews.n > 0;
    r->want[QUERY_WORDNET] = c->queries.n == 0;
    r->want[QUERY_NUMERAL] =
        c->queries.n == 0 && c->order == QUERY_ORDER_METACLIP;
}

bool queries_need_aliases(const struct queries_job *r)
{
    return r->want[QUERY_TITLE] && r->c->redirects != TITLES_OWN;
}

static int named_sources(struct queries_job *r, struct err *e)
{
    struct str rest = str_of(r->c->sources), name;

    while (str_split(&rest, ',', &name)) {
        int s = source_named(str_trim(name));

        if (s < 0)
            return err_set(e, E_USAGE,
                           "--sources %.*s: expected file, word, bigram, "
                           "title, wordnet or numeral, with commas",
                           STR_ARG(name));
        r->want[s] = true;
    }
    if ((r->want[QUERY_WORD] || r->want[QUERY_BIGRAM]) && !r->c->text.n &&
        !r->c->wiki.n)
        return err_set(e, E_USAGE,
                       "--sources word and bigram count text: give --wiki or "
                       "--text");
    if (r->c->wiki.n && !r->c->text_sink.put && !r->want[QUERY_WORD] &&
        !r->want[QUERY_BIGRAM] && !queries_need_aliases(r))
        return err_set(e, E_USAGE,
                       "--wiki is read for words, bigrams and redirects of "
                       "titles, and --sources asks for none of them");
    if (r->want[QUERY_TITLE] != (r->c->pageviews.n > 0))
        return err_set(e, E_USAGE,
                       "--sources title and --pageviews belong together");
    if (r->want[QUERY_FILE] != (r->c->queries.n > 0))
        return err_set(e, E_USAGE,
                       "--sources file and --queries FILE belong together");
    return 0;
}

static bool is_stream(const char *path)
{
    return strcmp(path, "-") == 0;
}

int queries_check_options(struct queries_job *r, struct err *e)
{
    const struct queries_config *c = r->c;
    struct pageviews_project project;
    size_t streams = 0;
    int rc = 0;

    if (c->sources)
        rc = named_sources(r, e);
    else
        default_sources(r);
    if (!rc && c->project)
        rc = pageviews_project(&project, c->project, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < c->wiki.n; i++)
        streams += is_stream(c->wiki.v[i]);
    if (streams > 1)
        return err_set(e, E_USAGE, "--wiki - is given twice");
    if (c->redirects != TITLES_OWN && (!c->wiki.n || !r->want[QUERY_TITLE]))
        return err_set(e, E_USAGE,
                       "--redirects %s is about views, and wants to know what "
                       "leads where: give --pageviews and --wiki",
                       titles_redirects_names[c->redirects]);
    return 0;
}

/* ---- inputs, for the fingerprint ---- */

/* Dumps but for what comes by standard input, whose hash nobody knows yet. */
static int list_dumps(struct queries_job *r, struct err *e)
{
    const struct opt_list *wiki = &r->c->wiki;
    int rc = 0;

    for (size_t i = 0; !rc && i < wiki->n; i++)
        if (!is_stream(wiki->v[i]))
            rc = stage_inputs_add_file(&r->inputs, wiki->v[i], e);
    return rc;
}

static int by_content(const void *a, const void *b)
{
    const struct stage_input *const *x = a, *const *y = b;
    int c = strcmp((*x)->sha256, (*y)->sha256);

    return c ? c : strcmp((*x)->name, (*y)->name);
}

/* What is counted is counted as often as it is given, which nobody means. */
static void warn_of_twins(const struct stage_inputs *in, size_t from)
{
    size_t n = in->n - from, twins = 0;
    const struct stage_input **v = xcalloc(n + 1, sizeof(struct stage_input *));

    for (size_t i = 0; i < n; i++)
        v[i] = &in->v[from + i];
    qsort(v, n, sizeof *v, by_content);
    for (size_t i = 1; i < n; i++)
        if (strcmp(v[i - 1]->sha256, v[i]->sha256) == 0 && ++twins <= TWINS_MAX)
            log_event("warning",
                      "%s and %s are the same bytes, and each is counted",
                      v[i - 1]->name, v[i]->name);
    if (twins > TWINS_MAX)
        log_event("warning", "%zu more files are given twice",
                  twins - TWINS_MAX);
    free(v);
}

int queries_list_inputs(struct queries_job *r, struct err *e)
{
    static const char *const wordnet[] = {
        "data.noun",  "data.verb",  "data.adj",  "data.adv",
        "index.noun", "index.verb", "index.adj", "index.adv"};
    const struct queries_config *c = r->c;
    char path[IO_PATH_MAX];
    size_t from;
    int rc = 0;

    for (size_t i = 0; !rc && r->want[QUERY_FILE] && i < c->queries.n; i++)
        rc = stage_inputs_add_file(&r->inputs, c->queries.v[i], e);
    from = r->inputs.n;
    if (!rc)
        rc = list_dumps(r, e);
    if (r->want[QUERY_WORD] || r->want[QUERY_BIGRAM])
        for (size_t i = 0; !rc && i < c->text.n; i++)
            rc = textfiles_list(&r->files, c->text.v[i], e);
    for (size_t i = 0; !rc && i < r->files.n; i++)
        rc = stage_inputs_add_file(&r->inputs, r->files.paths[i], e);
    if (!rc)
        warn_of_twins(&r->inputs, from);
    from = r->inputs.n;
    if (!rc && r->want[QUERY_TITLE])
        rc = queries_list_views(r, e);
    if (!rc)
        warn_of_twins(&r->inputs, from);
    for (size_t i = 0; !rc && r->want[QUERY_WORDNET] && i < 8; i++) {
        rc = io_join(path, c->wordnet, wordnet[i], e);
        if (!rc && !io_exists(path))
            rc = err_set(e, E_NOTFOUND,
                         "%s is not there: install Debian's wordnet-base, say "
                         "--wordnet DIR, or leave it out with --sources",
                         path);
        if (!rc)
            rc = stage_inputs_add_file(&r->inputs, path, e);
    }
    return rc;
}

/* ---- gathering ---- */

static int read_own_lists(struct queries_job *r, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < r->c->queries.n; i++)
        rc = query_list_read(&r->sources[QUERY_FILE], r->c->queries.v[i],
                             &r->own, &r->drops, e);
    return rc;
}

int queries_gather(struct queries_job *r, struct err *e)
{
    struct query_list_config config = {
        .order = (enum query_order)r->c->order,
        .policy = (enum query_policy)r->c->policy,
        .size = r->c->size,
    };
    int rc = 0;

    if (r->want[QUERY_FILE])
        rc = read_own_lists(r, e);
    if (!rc)
        rc = queries_count(r, e);
    if (!rc && r->want[QUERY_TITLE])
        rc = queries_rank_titles(r, e);
    if (!rc && r->want[QUERY_WORDNET])
        rc = wordnet_load(&r->wordnet, r->c->wordnet, e);
    if (rc)
        return rc;
    if (r->want[QUERY_WORDNET])
        query_candidates_wordnet(&r->sources[QUERY_WORDNET], &r->wordnet);
    if (r->want[QUERY_NUMERAL])
        query_candidates_numerals(&r->sources[QUERY_NUMERAL]);
    for (int s = 0; s < QUERY_SOURCES; s++)
        if (r->want[s])
            config.sources[s] = &r->sources[s];
    return query_list_build(&r->list, &config, e);
}
