/*
 * count_text - words and bigrams of text, every one, as querylist/ngrams
 * counts them: for tests/check_counts.py.
 *
 *   count_text fold|keep MEMORY COUNTERS FOLDER FILE
 *
 * A line of the file is a text and an empty one ends a phrase.  With more than
 * one counter they take turns at empty lines.  Written: "word TAB count" and
 * "word word TAB count" lines, best first, then "= TAB words in all" and
 * "# TAB runs".
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/stream.h"
#include "querylist/ngrams.h"

#define COUNTERS 16u

static int count(struct ngrams *n, unsigned counters, const char *path,
                 struct err *e)
{
    struct ngrams_counter *c[COUNTERS];
    struct stream *in;
    struct lines lines;
    struct str line;
    unsigned turn = 0;
    bool more = true;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    lines_init(&lines, in, (size_t)64 << 20);
    for (unsigned i = 0; i < counters; i++)
        c[i] = ngrams_take(n);
    while (!rc) {
        rc = lines_next(&lines, &line, &more, e);
        if (rc || !more)
            break;
        if (str_trim(line).n) {
            rc = ngrams_add(c[turn], line, e);
        } else {
            ngrams_break(c[turn]);
            turn = (turn + 1) % counters;
        }
    }
    for (unsigned i = 0; i < counters; i++)
        ngrams_give(n, c[i]);
    lines_release(&lines);
    stream_close(in);
    return rc ? rc : ngrams_finish(n, e);
}

static void print(struct query_candidates *c)
{
    for (size_t i = 0; i < c->n; i++)
        printf("%.*s\t%llu\n", STR_ARG(c->v[i].text),
               (unsigned long long)c->v[i].count);
    query_candidates_release(c);
}

static int run(const struct ngrams_config *config, const char *path,
               struct err *e)
{
    struct query_candidates words = {0}, bigrams = {0};
    struct ngrams_report r;
    struct ngrams *n;
    int rc = ngrams_open(&n, config, e);

    if (rc)
        return rc;
    rc = count(n, config->counters, path, e);
    if (!rc)
        rc = ngrams_words(n, &words, e);
    if (!rc)
        rc = ngrams_bigrams(n, &bigrams, e);
    print(&words);
    print(&bigrams);
    ngrams_report(n, &r);
    printf("=\t%llu\n#\t%llu\n", (unsigned long long)r.tokens,
           (unsigned long long)r.runs);
    ngrams_close(n);
    return rc;
}

int main(int argc, char **argv)
{
    struct ngrams_config c = {.min_word_count = 1,
                              .word_budget = UINT64_MAX,
                              .min_bigram_count = 1,
                              .bigram_budget = UINT64_MAX,
                              .min_pmi = -1e9};
    struct err e = ERR_INIT;
    uint64_t counters;

    if (argc != 6 || str_u64(str_of(argv[2]), &c.memory) ||
        str_u64(str_of(argv[3]), &counters) || !counters ||
        counters > COUNTERS) {
        fprintf(stderr, "usage: count_text fold|keep MEMORY COUNTERS FOLDER "
                        "FILE\n");
        return 2;
    }
    c.letters =
        str_eq(str_of(argv[1]), STR("keep")) ? NGRAMS_KEEP : NGRAMS_FOLD;
    c.counters = (unsigned)counters;
    c.folder = argv[4];
    if (run(&c, argv[5], &e)) {
        fprintf(stderr, "count_text: %s\n", e.message);
        return 1;
    }
    return 0;
}
