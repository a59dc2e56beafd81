#include "querylist/ngrams.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "querylist/ngrams_private.h"

#define AHEAD 16u /* words looked up before they are counted: a power of two   \
                   */

/* ---- counters ---- */

static int open_counter(struct ngrams_counter *c, struct ngrams *n,
                        size_t memory, struct err *e)
{
    size_t words = n->config.bigram_budget ? memory / 4 : memory;

    c->n = n;
    c->bigrams = n->config.bigram_budget > 0;
    words_init(&c->split);
    /* A quarter for words, each of some 80 bytes, the rest for bigrams of 11
     * to 21 bytes: in real text they are some twenty times as many when the
     * counter is full. */
    keytab_init(&c->words, words);
    pairtab_init(&c->pairs, memory - words);
    return runfile_open(&c->file, n->config.folder ? n->config.folder : "", e);
}

static void close_counter(struct ngrams_counter *c)
{
    words_release(&c->split);
    keytab_release(&c->words);
    pairtab_release(&c->pairs);
    runfile_close(&c->file);
    free(c->runs);
}

int ngrams_open(struct ngrams **out, const struct ngrams_config *c,
                struct err *e)
{
    struct ngrams *n = xcalloc(1, sizeof *n);
    uint64_t memory = c->memory / c->counters;
    int rc;

    if (memory < NGRAMS_MEMORY_MIN)
        memory = NGRAMS_MEMORY_MIN;
    n->config = *c;
    pthread_mutex_init(&n->lock, NULL);
    n->counters = xcalloc(c->counters, sizeof *n->counters);
    buf_init(&n->word_texts, BUF_NO_LIMIT);
    arena_init(&n->texts, QUERY_LIST_BYTES);
    rc = runfile_open(&n->file, c->folder ? c->folder : "", e);
    for (unsigned i = 0; !rc && i < c->counters; i++)
        rc = open_counter(&n->counters[i], n, (size_t)memory, e);
    if (rc) {
        ngrams_close(n);
        n = NULL;
    }
    *out = n;
    return rc;
}

void ngrams_close(struct ngrams *n)
{
    if (!n)
        return;
    for (unsigned i = 0; i < n->config.counters; i++)
        close_counter(&n->counters[i]);
    free(n->counters);
    runfile_close(&n->file);
    free(n->words);
    buf_release(&n->word_texts);
    free(n->best);
    arena_release(&n->texts);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

struct ngrams_counter *ngrams_take(struct ngrams *n)
{
    struct ngrams_counter *c;

    pthread_mutex_lock(&n->lock);
    c = n->idle;
    if (c) {
        n->idle = c->next;
    } else {
        assert(n->taken < n->config.counters);
        c = &n->counters[n->taken++];
    }
    pthread_mutex_unlock(&n->lock);
    ngrams_break(c);
    return c;
}

void ngrams_give(struct ngrams *n, struct ngrams_counter *c)
{
    pthread_mutex_lock(&n->lock);
    c->next = n->idle;
    n->idle = c;
    pthread_mutex_unlock(&n->lock);
}

/* ---- a full counter ---- */

int ngrams_sort(struct ngrams_counter *c, struct err *e)
{
    uint32_t n = c->words.n;
    uint32_t *rank = malloc(((size_t)n + 1) * sizeof *rank);
    int rc;

    if (!rank)
        return err_set(e, E_NOMEM, "no memory to sort %u words", n);
    keytab_sort(&c->words);
    for (uint32_t i = 0; i < n; i++)
        rank[keytab_number(keytab_at(&c->words, i))] = i;
    rc = pairtab_sort(&c->pairs, rank);
    free(rank);
    return rc ? err_set(e, -rc, "no memory to sort bigrams") : 0;
}

static int write_pairs(struct ngrams_counter *c, struct run *r, struct err *e)
{
    struct pairtab_walk walk = {0, 0};
    struct pairrun_writer w;
    uint64_t pair, n;
    int rc = pairrun_open(&w, &c->file, e), rc_close;

    while (!rc && pairtab_next(&c->pairs, &walk, &pair, &n))
        rc = pairrun_put(&w, pair, n, e);
    rc_close = pairrun_close(&w, r, e);
    return rc ? rc : rc_close;
}

int ngrams_spill(struct ngrams_counter *c, struct err *e)
{
    struct ngrams_run *r;
    int rc;

    if (!c->n->config.folder)
        return err_set(e, E_TOOBIG,
                       "%u distinct words and %zu distinct bigrams pass the "
                       "memory ceiling of %llu bytes; raise --memory or "
                       "give less text",
                       c->words.n, c->pairs.n,
                       (unsigned long long)c->n->config.memory);
    rc = ngrams_sort(c, e);
    if (rc)
        return rc;
    c->runs = xgrow(c->runs, &c->cap_runs, c->n_runs + 1, sizeof *c->runs);
    r = &c->runs[c->n_runs++];
    *r = (struct ngrams_run){.words = {.file = &c->file},
                             .pairs = {.file = &c->file}};
    rc = keyrun_write(&c->words, &c->file, &r->words, e);
    if (!rc)
        rc = write_pairs(c, &r->pairs, e);
    keytab_reset(&c->words);
    pairtab_reset(&c->pairs);
    return rc;
}

/* Make room in the middle of a text: its last word goes on in the new run,
 * where it counts nothing. */
static int start_over(struct ngrams_counter *c, struct err *e)
{
    char text[KEYTAB_KEY_MAX];
    struct str last = STR_NONE;
    int rc;

    if (c->has_last)
        last = keytab_text(&c->words, keytab_find(&c->words, c->last), text);
    rc = ngrams_spill(c, e);
    if (!rc && c->has_last)
        rc = keytab_add(&c->words, last, 0, &c->last);
    return rc;
}

/* ---- adding ---- */

/* Room for one word more and the bigram that ends with it. */
static int count_word(struct ngrams_counter *c, const struct keytab_lookup *l,
                      struct err *e)
{
    uint32_t id;
    int rc = keytab_finish(&c->words, l, 1, &id);

    if (rc == -E_TOOBIG) {
        rc = start_over(c, e);
        if (!rc)
            rc = keytab_finish(&c->words, l, 1, &id);
    }
    if (!rc && c->has_last && c->bigrams)
        rc = pairtab_add(&c->pairs, c->last, id);
    c->last = id;
    c->has_last = true;
    if (!rc && pairtab_full(&c->pairs))
        rc = start_over(c, e);
    return rc ? err_set(e, -rc, "no memory to count words") : 0;
}

static inline void look_up(const struct ngrams_counter *c,
                           struct keytab_lookup *l, size_t i)
{
    if (c->split.span[i].n <= NGRAMS_WORD_MAX)
        keytab_look_up(&c->words, &l[i % AHEAD], words_at(&c->split, i));
}

/* The words of c->split, a few of them looked up ahead. */
static int count_words(struct ngrams_counter *c, struct err *e)
{
    const struct words *w = &c->split;
    struct keytab_lookup l[AHEAD];
    int rc = 0;

    for (size_t i = 0; i < AHEAD && i < w->n; i++)
        look_up(c, l, i);
    for (size_t i = 0; !rc && i < w->n; i++) {
        bool counts = w->span[i].n <= NGRAMS_WORD_MAX;

        if (w->stop[i] || !counts)
            c->has_last = false;
        if (counts)
            rc = count_word(c, &l[i % AHEAD], e);
        if (i + AHEAD < w->n)
            look_up(c, l, i + AHEAD);
    }
    return rc;
}

int ngrams_add(struct ngrams_counter *c, struct str text, struct err *e)
{
    struct words *w = &c->split;
    int rc;

    rc = c->n->config.letters == NGRAMS_KEEP
             ? words_split_kept(w, text)
             : words_split(w, QUERY_POLICY_WORDS, text);
    if (rc)
        return err_set(e, -rc, "text to be counted: %s", err_name(rc));
    if (w->n > NGRAMS_TOKENS_MAX - c->tokens)
        return err_set(e, E_TOOBIG, "more than %llu words of text",
                       (unsigned long long)NGRAMS_TOKENS_MAX);
    rc = count_words(c, e);
    c->tokens += w->n;
    if (w->stop_behind)
        c->has_last = false;
    return rc;
}

void ngrams_break(struct ngrams_counter *c)
{
    c->has_last = false;
}
