#include "querylist/queries_job.h"

#include "querylist/textfiles.h"

const char *const queries_case_names[] = {"auto", "fold", "keep", NULL};

/* Matching under MetaCLIP's policy tells cases apart, as its counts do. */
static enum ngrams_case letters(const struct queries_config *c)
{
    if (c->count_case != QUERIES_CASE_AUTO)
        return c->count_case == QUERIES_CASE_KEEP ? NGRAMS_KEEP : NGRAMS_FOLD;
    return c->policy == QUERY_POLICY_METACLIP ? NGRAMS_KEEP : NGRAMS_FOLD;
}

static int count_files(struct queries_job *r, struct err *e)
{
    struct ngrams_counter *counter;
    int rc = 0;

    if (!r->ngrams)
        return 0;
    counter = ngrams_take(r->ngrams);
    for (size_t i = 0; !rc && i < r->files.n; i++)
        rc = textfiles_count(r->files.paths[i], counter, &r->drops, e);
    ngrams_give(r->ngrams, counter);
    return rc;
}

/* The dumps in order; what comes by standard input has its hash only now. */
static int read_dumps(struct queries_job *r, struct err *e)
{
    const struct queries_config *c = r->c;
    const struct wikipedia_config config = {
        .threads = stage_threads(&c->stage),
        .dump = {.allow_truncated = c->allow_truncated},
        .ngrams = r->ngrams,
        .aliases = queries_need_aliases(r) ? &r->aliases : NULL,
        .sink = c->text_sink,
    };
    char sha256[SHA256_HEX];
    int rc = 0;

    for (size_t i = 0; !rc && i < c->wiki.n; i++) {
        bool is_stream = strcmp(c->wiki.v[i], "-") == 0;

        rc = wikipedia_read(c->wiki.v[i], &config, &r->summary->wiki, &r->drops,
                            is_stream ? sha256 : NULL, e);
        if (!rc && is_stream)
            stage_inputs_add(&r->inputs, "-", sha256);
    }
    return rc;
}

int queries_read_texts(struct queries_job *r, bool count, struct err *e)
{
    const struct queries_config *c = r->c;
    const struct ngrams_config config = {
        .memory = c->memory,
        .counters = stage_threads(&c->stage),
        .folder = r->corpus.dir,
        .letters = letters(c),
        .min_word_count = c->min_word_count,
        .word_budget = c->word_budget,
        .min_bigram_count = c->min_bigram_count,
        .bigram_budget = r->want[QUERY_BIGRAM] ? c->bigram_budget : 0,
        .min_pmi = c->min_pmi,
    };
    int rc = 0;

    r->texts_read = true;
    if (count && (r->want[QUERY_WORD] || r->want[QUERY_BIGRAM]))
        rc = ngrams_open(&r->ngrams, &config, e);
    if (!rc)
        rc = read_dumps(r, e);
    if (!rc)
        rc = count_files(r, e);
    return rc;
}

int queries_count(struct queries_job *r, struct err *e)
{
    int rc = r->texts_read ? 0 : queries_read_texts(r, true, e);

    if (rc || !r->ngrams)
        return rc;
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
