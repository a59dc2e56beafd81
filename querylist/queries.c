#include "querylist/queries.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/stream.h"
#include "querylist/ngrams.h"
#include "querylist/qlist.h"
#include "querylist/textfiles.h"

const char *const queries_case_names[] = {"auto", "fold", "keep", NULL};

#define OUTPUT        "queries"
#define QUERIES_MAX   ((size_t)1 << 30) /* bytes of all --queries files */
#define QUERY_BIN_MAX ((size_t)16 << 30)

/* All that a run holds; released in one place. */
struct run {
    const struct queries_config *c;
    struct corpus corpus;
    struct stage_inputs inputs;
    struct textfiles files;
    struct buf lines; /* of --queries */
    struct ngrams *ngrams;
    struct wordnet wordnet;
    struct query_candidates sources[QUERY_SOURCES];
    bool want[QUERY_SOURCES];
    struct query_list list;
    struct tally drops;
    struct queries_summary *summary;
};

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
static void default_sources(struct run *r)
{
    const struct queries_config *c = r->c;

    r->want[QUERY_FILE] = c->queries.n > 0;
    r->want[QUERY_WORD] = c->text.n > 0;
    r->want[QUERY_BIGRAM] = c->text.n > 0;
    r->want[QUERY_WORDNET] = c->queries.n == 0;
    r->want[QUERY_NUMERAL] =
        c->queries.n == 0 && c->order == QUERY_ORDER_METACLIP;
}

static int named_sources(struct run *r, struct err *e)
{
    struct str rest = str_of(r->c->sources), name;

    while (str_split(&rest, ',', &name)) {
        int s = source_named(str_trim(name));

        if (s == QUERY_TITLE)
            return err_set(e, E_UNSUPPORTED,
                           "--sources title: titles rank by page views, which "
                           "this version does not read");
        if (s < 0)
            return err_set(e, E_USAGE,
                           "--sources %.*s: expected file, word, bigram, "
                           "wordnet or numeral, with commas",
                           STR_ARG(name));
        r->want[s] = true;
    }
    if ((r->want[QUERY_WORD] || r->want[QUERY_BIGRAM]) && !r->c->text.n)
        return err_set(e, E_USAGE,
                       "--sources word and bigram count text: give --text");
    if (r->want[QUERY_FILE] != (r->c->queries.n > 0))
        return err_set(e, E_USAGE,
                       "--sources file and --queries FILE belong together");
    return 0;
}

/* ---- inputs, for the fingerprint ---- */

static int list_inputs(struct run *r, struct err *e)
{
    static const char *const wordnet[] = {
        "data.noun",  "data.verb",  "data.adj",  "data.adv",
        "index.noun", "index.verb", "index.adj", "index.adv"};
    const struct queries_config *c = r->c;
    char path[IO_PATH_MAX];
    int rc = 0;

    for (size_t i = 0; !rc && r->want[QUERY_FILE] && i < c->queries.n; i++)
        rc = stage_inputs_add_file(&r->inputs, c->queries.v[i], e);
    if (r->want[QUERY_WORD] || r->want[QUERY_BIGRAM])
        for (size_t i = 0; !rc && i < c->text.n; i++)
            rc = textfiles_list(&r->files, c->text.v[i], e);
    for (size_t i = 0; !rc && i < r->files.n; i++)
        rc = stage_inputs_add_file(&r->inputs, r->files.paths[i], e);
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

static int read_own_lists(struct run *r, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < r->c->queries.n; i++) {
        struct stream *in;

        rc = stream_open(&in, r->c->queries.v[i], e);
        if (rc)
            return rc;
        rc = stream_read_all(in, &r->lines, e);
        stream_close(in);
        buf_add_char(&r->lines, '\n'); /* a last line without one */
    }
    if (!rc)
        query_candidates_lines(&r->sources[QUERY_FILE], buf_str(&r->lines));
    return rc;
}

/* Matching under MetaCLIP's policy tells cases apart, as its counts do. */
static enum ngrams_case letters(const struct queries_config *c)
{
    if (c->count_case != QUERIES_CASE_AUTO)
        return c->count_case == QUERIES_CASE_KEEP ? NGRAMS_KEEP : NGRAMS_FOLD;
    return c->policy == QUERY_POLICY_METACLIP ? NGRAMS_KEEP : NGRAMS_FOLD;
}

static int count_files(struct run *r, struct err *e)
{
    struct ngrams_counter *counter = ngrams_take(r->ngrams);
    int rc = 0;

    for (size_t i = 0; !rc && i < r->files.n; i++)
        rc = textfiles_count(r->files.paths[i], counter, &r->drops, e);
    ngrams_give(r->ngrams, counter);
    return rc;
}

static int count_text(struct run *r, struct err *e)
{
    const struct queries_config *c = r->c;
    const struct ngrams_config config = {
        .memory = c->count_memory,
        .counters = 1,
        .folder = r->corpus.dir,
        .letters = letters(c),
        .min_word_count = c->min_word_count,
        .word_budget = c->word_budget,
        .min_bigram_count = c->min_bigram_count,
        .bigram_budget = r->want[QUERY_BIGRAM] ? c->bigram_budget : 0,
        .min_pmi = c->min_pmi,
    };
    int rc = ngrams_open(&r->ngrams, &config, e);

    if (!rc)
        rc = count_files(r, e);
    if (!rc)
        rc = ngrams_finish(r->ngrams, e);
    if (!rc && r->want[QUERY_WORD])
        rc = ngrams_words(r->ngrams, &r->sources[QUERY_WORD], e);
    if (!rc && r->want[QUERY_BIGRAM])
        rc = ngrams_bigrams(r->ngrams, &r->sources[QUERY_BIGRAM], e);
    if (rc)
        return rc;
    ngrams_report(r->ngrams, &r->summary->counted);
    r->summary->files = r->files.n;
    r->summary->words = r->summary->counted.tokens;
    return 0;
}

static int gather(struct run *r, struct err *e)
{
    struct query_list_config config = {
        .order = (enum query_order)r->c->order,
        .policy = (enum query_policy)r->c->policy,
        .size = r->c->size,
    };
    int rc = 0;

    if (r->want[QUERY_FILE])
        rc = read_own_lists(r, e);
    if (!rc && r->files.n)
        rc = count_text(r, e);
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

/* ---- the output ---- */

static void summarize(struct run *r, struct tally *counts)
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
    for (int k = 0; k < QUERY_SOURCES; k++) {
        s->first[k] = r->list.first[k];
        snprintf(name, sizeof name, "first-%s",
                 query_source_name((enum query_source)k));
        tally_add(counts, name, s->first[k]);
    }
}

static int publish(struct run *r, struct stage_output *o, struct err *e)
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
static int recall(struct run *r, struct err *e)
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
    for (int k = 0; k < QUERY_SOURCES; k++) {
        snprintf(name, sizeof name, "first-%s",
                 query_source_name((enum query_source)k));
        s->first[k] = tally_get(&old.counts, name);
    }
    tally_add_all(&s->drops, &old.drops);
    sidecar_release(&old);
    return 0;
}

static int make(struct run *r, const struct opt_table *table, struct err *e)
{
    struct stage_output o;
    struct stage stage;
    bool done = false;
    int rc;

    stage_init(&stage, &r->corpus, OUTPUT, QUERIES_VERSION, table, r->c,
               r->c->stage.redo);
    rc = stage_begin(&stage, &o, OUTPUT, &r->inputs, &done, e);
    if (!rc && done)
        rc = recall(r, e);
    else if (!rc)
        rc = gather(r, e);
    if (!rc && !done)
        rc = publish(r, &o, e);
    stage_output_release(&o);
    stage_release(&stage);
    return rc;
}

static int open_corpus(struct run *r, struct err *e)
{
    const char *dir = r->c->stage.corpus;

    if (strlen(dir) >= sizeof r->corpus.dir)
        return err_set(e, E_TOOBIG, "path too long: %.400s", dir);
    memcpy(r->corpus.dir, dir, strlen(dir) + 1);
    r->corpus.head = (struct corpus_header){
        .seed = r->c->seed, .bucket_bits = (uint32_t)r->c->bucket_bits};
    return io_mkdirs(dir, e);
}

static void release(struct run *r)
{
    query_list_release(&r->list);
    for (int s = 0; s < QUERY_SOURCES; s++)
        query_candidates_release(&r->sources[s]);
    ngrams_close(r->ngrams);
    wordnet_release(&r->wordnet);
    buf_release(&r->lines);
    textfiles_release(&r->files);
    stage_inputs_release(&r->inputs);
    tally_release(&r->drops);
}

int queries_run(const struct queries_config *c, const struct opt_table *table,
                struct queries_summary *s, struct err *e)
{
    struct run r = {.c = c, .summary = s};
    char lock[IO_PATH_MAX];
    int rc, fd = -1;

    *s = (struct queries_summary){0};
    tally_init(&s->drops);
    tally_init(&r.drops);
    stage_inputs_init(&r.inputs);
    textfiles_init(&r.files);
    buf_init(&r.lines, QUERIES_MAX);
    if (c->sources)
        rc = named_sources(&r, e);
    else
        default_sources(&r), rc = 0;
    if (!rc)
        rc = open_corpus(&r, e);
    if (!rc)
        rc = corpus_path(&r.corpus, "queries.lock", lock, e);
    if (!rc)
        rc = io_lock(lock, "witmill queries", &fd, e);
    if (!rc)
        rc = list_inputs(&r, e);
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
