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
    struct ngrams_counter *counter = ngrams_take(r->ngrams);
    int rc = 0;

    for (size_t i = 0; !rc && i < r->files.n; i++)
        rc = textfiles_count(r->files.paths[i], counter, &r->drops, e);
    ngrams_give(r->ngrams, counter);
    return rc;
}

int queries_count(struct queries_job *r, struct err *e)
{
    const struct queries_config *c = r->c;
    const struct ngrams_config config = {
        .memory = c->memory,
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
