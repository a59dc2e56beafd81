/* Runs, or tables that never filled, become counts of the whole: first words,
 * then bigrams in numbers of these. */
#include <stdlib.h>

#include "base/mem.h"
#include "querylist/ngrams_private.h"

/* What there is to merge: runs of all counters, or else their tables. */
struct parts {
    struct ngrams *n;
    bool on_disk;
    struct ngrams_run *runs;
    struct run *words; /* of each run, apart */
    size_t n_runs;
};

static uint64_t floor_of_words(const struct ngrams *n)
{
    uint64_t most = n->config.min_word_count;

    if (n->config.bigram_budget && n->config.min_bigram_count < most)
        most = n->config.min_bigram_count;
    return most ? most : 1;
}

/* ---- words ---- */

static int keep_word(struct ngrams *n, struct str text, uint64_t count,
                     struct err *e)
{
    if (n->n_words == n->cap_words) {
        size_t cap = n->cap_words ? n->cap_words + n->cap_words / 2 : 4096;
        struct ngrams_word *v = realloc(n->words, cap * sizeof *v);

        if (!v || n->n_words >= UINT32_MAX - 1)
            return err_set(e, E_NOMEM,
                           "no memory for %zu words that occur %llu times",
                           n->n_words, (unsigned long long)floor_of_words(n));
        n->words = v;
        n->cap_words = cap;
    }
    n->words[n->n_words++] =
        (struct ngrams_word){count, n->word_texts.n, (uint32_t)text.n};
    buf_add(&n->word_texts, text);
    return n->word_texts.rc ? err_set(e, E_NOMEM, "no memory for words") : 0;
}

static int merge_words(struct ngrams *n, struct keymerge *m, struct err *e)
{
    uint64_t least = floor_of_words(n), count;
    struct str text;
    bool more = true;
    int rc = 0;

    for (;;) {
        rc = keymerge_next(m, &text, &count, &more, e);
        if (rc || !more)
            return rc;
        ngrams_see_word(n, count);
        if (count >= least)
            rc = keep_word(n, text, count, e);
        if (rc)
            return rc;
    }
}

static int all_words(struct parts *p, struct err *e)
{
    struct ngrams *n = p->n;
    struct keymerge m = {0};
    struct keytab **tables;
    int rc;

    if (p->on_disk) {
        rc = keymerge_runs(&m, p->words, p->n_runs, true, &n->file, e);
    } else {
        tables = xcalloc(n->config.counters, sizeof *tables);
        for (unsigned i = 0; i < n->config.counters; i++)
            tables[i] = &n->counters[i].words;
        rc = keymerge_tables(&m, tables, n->config.counters, e);
        free(tables);
    }
    if (!rc)
        rc = merge_words(n, &m, e);
    keymerge_close(&m);
    return rc;
}

/* ---- the words of a part, as numbers of the whole ---- */

/* c is open and not yet stepped; n_words it will give. */
static int map_words(const struct ngrams *n, struct key_cursor *c,
                     size_t n_words, struct pair_map *m, struct err *e)
{
    uint64_t least = n->config.min_bigram_count;
    size_t at = 0;
    bool more;
    int rc = pair_map_init(m, n_words);

    for (size_t i = 0; !rc && i < n_words; i++) {
        rc = key_cursor_next(c, &more, e);
        if (rc || !more)
            return rc ? rc : run_reader_damaged(&c->in, e);
        while (at < n->n_words &&
               str_cmp(ngrams_text(n, (uint32_t)at), c->key) < 0)
            at++;
        if (at < n->n_words && n->words[at].n >= least &&
            str_eq(ngrams_text(n, (uint32_t)at), c->key))
            rc = pair_map_put(m, i, (uint32_t)at);
    }
    if (rc)
        return err_set(e, -rc, "no memory to number %zu words", n_words);
    pair_map_finish(m);
    return 0;
}

static int map_run(const struct ngrams *n, const struct run *words,
                   struct pair_map *m, struct err *e)
{
    struct key_cursor *c = xcalloc(1, sizeof *c);
    int rc = key_cursor_run(c, words, e);

    if (!rc)
        rc = map_words(n, c, (size_t)words->records, m, e);
    key_cursor_close(c);
    free(c);
    return rc;
}

static int map_table(const struct ngrams *n, const struct ngrams_counter *k,
                     struct pair_map *m, struct err *e)
{
    struct key_cursor *c = xcalloc(1, sizeof *c);
    int rc;

    key_cursor_table(c, &k->words);
    rc = map_words(n, c, k->words.n, m, e);
    free(c);
    return rc;
}

/* ---- bigrams ---- */

struct group {                   /* of parts whose bigrams are merged at once */
    struct pair_cursor *cursors; /* n are open, as are their maps */
    struct pair_map *maps;
    size_t n;
    struct pair_merge merge;
};

static void close_group(struct group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        pair_cursor_close(&g->cursors[i]);
        pair_map_release(&g->maps[i]);
    }
    pair_merge_end(&g->merge);
    g->n = 0;
}

/* Runs as counters wrote them have words of their own; those that passes made
 * have none and are in numbers of the whole. */
static int open_runs(const struct ngrams *n, struct group *g,
                     const struct ngrams_run *runs, size_t n_runs,
                     struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < n_runs; i++) {
        bool own = runs[i].words.file != NULL;

        if (own)
            rc = map_run(n, &runs[i].words, &g->maps[i], e);
        if (!rc)
            rc = pair_cursor_run(&g->cursors[i], &runs[i].pairs,
                                 own ? &g->maps[i] : NULL, e);
        g->n++;
    }
    return rc ? rc : pair_merge_start(&g->merge, g->cursors, g->n, e);
}

static int see_all(struct ngrams *n, struct group *g, struct err *e)
{
    uint64_t pair, count;
    bool more = true;
    int rc = 0;

    while (!rc) {
        rc = pair_merge_next(&g->merge, &pair, &count, &more, e);
        if (rc || !more)
            break;
        if (count >= n->config.min_bigram_count)
            rc = ngrams_see_bigram(n, pair, count, e);
    }
    return rc;
}

/* The first NGRAMS_FAN runs become one, which goes to the end. */
static int pass(struct parts *p, struct group *g, struct err *e)
{
    struct ngrams_run made = {.words = {.file = NULL}};
    struct pairrun_writer w;
    uint64_t pair, count;
    bool more = true;
    int rc = open_runs(p->n, g, p->runs, NGRAMS_FAN, e), rc_close;

    if (rc)
        return rc;
    rc = pairrun_open(&w, &p->n->file, e);
    while (!rc) {
        rc = pair_merge_next(&g->merge, &pair, &count, &more, e);
        if (rc || !more)
            break;
        rc = pairrun_put(&w, pair, count, e);
    }
    rc_close = pairrun_close(&w, &made.pairs, e);
    close_group(g);
    if (rc || rc_close)
        return rc ? rc : rc_close;
    for (size_t i = 0; i < NGRAMS_FAN; i++)
        runfile_release(&p->runs[i].pairs);
    p->n_runs -= NGRAMS_FAN - 1;
    memmove(p->runs, p->runs + NGRAMS_FAN, (p->n_runs - 1) * sizeof *p->runs);
    p->runs[p->n_runs - 1] = made;
    return 0;
}

static int runs_of_bigrams(struct parts *p, struct group *g, struct err *e)
{
    int rc = 0;

    while (!rc && p->n_runs > NGRAMS_FAN)
        rc = pass(p, g, e);
    if (!rc)
        rc = open_runs(p->n, g, p->runs, p->n_runs, e);
    return rc ? rc : see_all(p->n, g, e);
}

static int tables_of_bigrams(struct ngrams *n, struct group *g, struct err *e)
{
    unsigned counters = n->config.counters;
    int rc = 0;

    for (unsigned i = 0; !rc && i < counters; i++) {
        rc = map_table(n, &n->counters[i], &g->maps[i], e);
        pair_cursor_table(&g->cursors[i], &n->counters[i].pairs, &g->maps[i]);
        g->n++;
    }
    if (!rc)
        rc = pair_merge_start(&g->merge, g->cursors, g->n, e);
    return rc ? rc : see_all(n, g, e);
}

/* ---- the whole ---- */

/* One counter that spilled has all of them spill: what then is merged needs
 * the memory. */
static int take_stock(struct parts *p, struct err *e)
{
    struct ngrams *n = p->n;
    size_t cap = 0;
    int rc = 0;

    for (unsigned i = 0; i < n->config.counters; i++)
        p->on_disk |= n->counters[i].n_runs > 0;
    for (unsigned i = 0; !rc && i < n->config.counters; i++) {
        struct ngrams_counter *c = &n->counters[i];

        n->report.tokens += c->tokens;
        if (!p->on_disk)
            rc = ngrams_sort(c, e);
        else if (c->words.n)
            rc = ngrams_spill(c, e);
        if (rc || !c->n_runs)
            continue;
        p->runs = xgrow(p->runs, &cap, p->n_runs + c->n_runs, sizeof *p->runs);
        memcpy(p->runs + p->n_runs, c->runs, c->n_runs * sizeof *c->runs);
        p->n_runs += c->n_runs;
    }
    n->report.runs = p->n_runs;
    p->words = xcalloc(p->n_runs + 1, sizeof *p->words);
    for (size_t i = 0; i < p->n_runs; i++)
        p->words[i] = p->runs[i].words;
    if (!rc && n->report.tokens > NGRAMS_TOKENS_MAX)
        rc = err_set(e, E_TOOBIG, "more than %llu words of text",
                     (unsigned long long)NGRAMS_TOKENS_MAX);
    return rc;
}

static int all_bigrams(struct parts *p, struct err *e)
{
    struct ngrams *n = p->n;
    size_t most = p->on_disk ? NGRAMS_FAN : n->config.counters;
    struct group g = {.cursors = xcalloc(most, sizeof *g.cursors),
                      .maps = xcalloc(most, sizeof *g.maps)};
    int rc =
        p->on_disk ? runs_of_bigrams(p, &g, e) : tables_of_bigrams(n, &g, e);

    close_group(&g);
    free(g.cursors);
    free(g.maps);
    return rc;
}

int ngrams_finish(struct ngrams *n, struct err *e)
{
    struct parts p = {.n = n};
    int rc = take_stock(&p, e);

    if (!rc)
        rc = all_words(&p, e);
    if (!rc && n->config.bigram_budget)
        rc = all_bigrams(&p, e);
    if (!rc)
        ngrams_sort_best(n);
    n->report.disk = n->file.end;
    for (unsigned i = 0; i < n->config.counters; i++) {
        struct ngrams_counter *c = &n->counters[i];

        n->report.disk += c->file.end;
        keytab_reset(&c->words);
        pairtab_reset(&c->pairs);
    }
    free(p.runs);
    free(p.words);
    return rc;
}
