#include "querylist/queries.h"

#include <stdio.h>

#include "base/io.h"
#include "base/log.h"
#include "querylist/qlist.h"
#include "querylist/queries_job.h"

#define OUTPUT              "queries"
#define QUERIES_MAX         ((size_t)1 << 30) /* bytes of all --queries files */
#define QUERIES_ALIASES_MAX ((size_t)2 << 30) /* bytes of all redirects */
#define QUERY_BIN_MAX       ((size_t)16 << 30)

/* ---- the output ---- */

static void summarize(struct queries_job *r, struct tally *counts)
{
    struct queries_summary *s = r->summary;
    char name[TALLY_NAME_MAX];

    s->entries = r->list.n;
    s->groups = r->list.n_groups;
    for (size_t i = 0; i < r->list.n; i++) {
        s->no_words += (r->list.v[i].flags & QUERY_NO_WORDS) != 0;
        s->never += (r->list.v[i].flags & QUERY_NEVER) != 0;
    }
    tally_add(counts, "entries", s->entries);
    tally_add(counts, "groups", s->groups);
    tally_add(counts, "no-words", s->no_words);
    tally_add(counts, "never", s->never);
    tally_add(counts, "text-files", s->files);
    tally_add(counts, "text-words", s->words);
    if (s->wiki.pages) {
        tally_add(counts, "wiki-pages", s->wiki.pages);
        tally_add(counts, "wiki-articles", s->wiki.articles);
        tally_add(counts, "wiki-redirects", s->wiki.redirects);
        tally_add(counts, "wiki-text-bytes", s->wiki.text);
    }
    if (s->views.files) {
        tally_add(counts, "view-files", s->views.files);
        tally_add(counts, "view-lines", s->views.lines);
        tally_add(counts, "view-titles", s->views.titles);
        tally_add(counts, "view-titles-ranked", s->views.ranked);
    }
    for (int k = 0; k < QUERY_SOURCES; k++) {
        s->first[k] = r->list.first[k];
        snprintf(name, sizeof name, "first-%s",
                 query_source_name((enum query_source)k));
        tally_add(counts, name, s->first[k]);
    }
}

static int publish(struct queries_job *r, struct stage_output *o, struct err *e)
{
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    uint8_t sha[SHA256_SIZE];
    struct buf bytes;
    int rc;

    buf_init(&bytes, QUERY_BIN_MAX);
    rc = qlist_encode(&r->list, r->want[QUERY_WORDNET] ? &r->wordnet : NULL,
                      (enum query_policy)r->c->policy, r->c->seed,
                      (uint32_t)r->c->bucket_bits, &bytes, e);
    if (!rc)
        rc = stage_path(o, ".bin", path, e);
    if (!rc)
        rc = io_write_file(path, buf_str(&bytes), e);
    if (!rc) {
        hash_sha256(buf_str(&bytes), sha);
        hash_hex(sha, sizeof sha, hex);
        stage_file(o, QLIST_FILE, hex);
        r->summary->bytes = bytes.n;
        summarize(r, &o->counts);
        tally_add_all(&o->drops, &r->drops);
        tally_add_all(&o->drops, &r->list.drops);
        tally_add_all(&r->summary->drops, &o->drops);
        rc = stage_commit(o, e);
    }
    buf_release(&bytes);
    return rc;
}

/* What an earlier run made, when there is nothing to do. */
static int recall(struct queries_job *r, struct err *e)
{
    struct queries_summary *s = r->summary;
    struct sidecar old;
    char name[TALLY_NAME_MAX];
    int rc = sidecar_read(&old, &r->corpus, OUTPUT, e);

    if (rc)
        return rc;
    s->was_done = true;
    s->entries = tally_get(&old.counts, "entries");
    s->groups = tally_get(&old.counts, "groups");
    s->no_words = tally_get(&old.counts, "no-words");
    s->never = tally_get(&old.counts, "never");
    s->files = tally_get(&old.counts, "text-files");
    s->words = tally_get(&old.counts, "text-words");
    s->wiki.pages = tally_get(&old.counts, "wiki-pages");
    s->wiki.articles = tally_get(&old.counts, "wiki-articles");
    s->wiki.redirects = tally_get(&old.counts, "wiki-redirects");
    s->wiki.text = tally_get(&old.counts, "wiki-text-bytes");
    s->views.files = tally_get(&old.counts, "view-files");
    s->views.lines = tally_get(&old.counts, "view-lines");
    s->views.titles = tally_get(&old.counts, "view-titles");
    s->views.ranked = tally_get(&old.counts, "view-titles-ranked");
    for (int k = 0; k < QUERY_SOURCES; k++) {
        snprintf(name, sizeof name, "first-%s",
                 query_source_name((enum query_source)k));
        s->first[k] = tally_get(&old.counts, name);
    }
    tally_add_all(&s->drops, &old.drops);
    sidecar_release(&old);
    return 0;
}

/* Other options than the list was made with are known before anything is read,
 * which may take hours; what else is wrong stage_begin() says. */
static int check_made_with(struct queries_job *r, const struct opt_table *table,
                           struct err *e)
{
    struct sidecar old;
    struct stage stage;
    struct buf why;
    int rc = 0;

    if (r->c->stage.redo || sidecar_read(&old, &r->corpus, OUTPUT, NULL))
        return 0;
    stage_init(&stage, &r->corpus, OUTPUT, QUERIES_VERSION, table, r->c, false);
    buf_init(&why, ERR_MESSAGE_MAX);
    if (!str_eq(old.options, buf_str(&stage.options))) {
        stage_changes(&old, buf_str(&stage.options), &r->inputs, &why);
        rc = err_set(e, E_STALE,
                     "%s/%s was made %.*s; --redo replaces it, and what came "
                     "from it after",
                     r->corpus.dir, OUTPUT, STR_ARG(buf_str(&why)));
    }
    buf_release(&why);
    stage_release(&stage);
    sidecar_release(&old);
    return rc;
}

/* What comes by standard input can be read once, and only then is it known
 * whether the list was made from it: so it is counted first. */
static int read_stream(struct queries_job *r, const struct opt_table *table,
                       struct err *e)
{
    int rc;

    for (size_t i = 0; i < r->c->wiki.n; i++)
        if (strcmp(r->c->wiki.v[i], "-") == 0) {
            rc = check_made_with(r, table, e);
            return rc ? rc : queries_read_texts(r, true, e);
        }
    return 0;
}

/* The list is there; somebody may want to see the articles yet. */
static int show_texts(struct queries_job *r, struct err *e)
{
    if (!r->c->text_sink.put || r->texts_read)
        return 0;
    return queries_read_texts(r, false, e);
}

/* Done, but queries.bin has been removed or is damaged: without this the same
 * command would say "done before" for ever.  It is made anew, the same bytes.
 */
static int look_again(struct queries_job *r, struct stage_output *o, bool *done,
                      struct err *e)
{
    char path[IO_PATH_MAX];
    struct err why = ERR_INIT;
    struct stage *stage = o->stage;
    struct qlist list;
    int rc = corpus_path(&r->corpus, QLIST_FILE, path, e);

    if (rc)
        return rc;
    if (qlist_open(&list, path, &why) == 0) {
        qlist_close(&list);
        return 0;
    }
    log_event("warning", "%s: the list is made anew", why.message);
    rc = corpus_path(&r->corpus, OUTPUT ".meta.json", path, e);
    if (!rc)
        rc = io_remove(path, e);
    if (!rc)
        rc = io_sync_folder(r->corpus.dir, e);
    stage_output_release(o);
    return rc ? rc : stage_begin(stage, o, OUTPUT, &r->inputs, done, e);
}

static int make(struct queries_job *r, const struct opt_table *table,
                struct err *e)
{
    struct stage_output o;
    struct stage stage;
    bool done = false;
    int rc;

    stage_init(&stage, &r->corpus, OUTPUT, QUERIES_VERSION, table, r->c,
               r->c->stage.redo);
    rc = stage_begin(&stage, &o, OUTPUT, &r->inputs, &done, e);
    if (!rc && done)
        rc = look_again(r, &o, &done, e);
    if (!rc && done)
        rc = show_texts(r, e);
    if (!rc && done)
        rc = recall(r, e);
    else if (!rc)
        rc = queries_gather(r, e);
    if (!rc && !done)
        rc = publish(r, &o, e);
    stage_output_release(&o);
    stage_release(&stage);
    return rc;
}

static int open_corpus(struct queries_job *r, struct err *e)
{
    const char *dir = r->c->stage.corpus;

    if (strlen(dir) >= sizeof r->corpus.dir)
        return err_set(e, E_TOOBIG, "path too long: %.400s", dir);
    memcpy(r->corpus.dir, dir, strlen(dir) + 1);
    r->corpus.head = (struct corpus_header){
        .seed = r->c->seed, .bucket_bits = (uint32_t)r->c->bucket_bits};
    return io_mkdirs(dir, e);
}

static void release(struct queries_job *r)
{
    query_list_release(&r->list);
    for (int s = 0; s < QUERY_SOURCES; s++)
        query_candidates_release(&r->sources[s]);
    ngrams_close(r->ngrams);
    titles_close(r->titles);
    titles_aliases_release(&r->aliases);
    io_list_release(&r->view_files);
    wordnet_release(&r->wordnet);
    arena_release(&r->own);
    textfiles_release(&r->files);
    stage_inputs_release(&r->inputs);
    tally_release(&r->drops);
}

int queries_run(const struct queries_config *c, const struct opt_table *table,
                struct queries_summary *s, struct err *e)
{
    struct queries_job r = {.c = c, .summary = s};
    char lock[IO_PATH_MAX];
    int rc, fd = -1;

    *s = (struct queries_summary){0};
    tally_init(&s->drops);
    tally_init(&r.drops);
    stage_inputs_init(&r.inputs);
    textfiles_init(&r.files);
    titles_aliases_init(&r.aliases, QUERIES_ALIASES_MAX);
    arena_init(&r.own, QUERIES_MAX);
    rc = queries_check_options(&r, e);
    if (!rc)
        rc = open_corpus(&r, e);
    if (!rc)
        rc = corpus_path(&r.corpus, "queries.lock", lock, e);
    if (!rc)
        rc = io_lock(lock, "witmill queries", &fd, e);
    if (!rc)
        rc = queries_list_inputs(&r, e);
    if (!rc)
        rc = read_stream(&r, table, e);
    if (!rc)
        rc = make(&r, table, e);
    if (fd >= 0)
        io_unlock(fd);
    release(&r);
    return rc;
}

void queries_summary_release(struct queries_summary *s)
{
    tally_release(&s->drops);
}
