/* What is best of the counts of the whole, and what other thresholds would
 * give. */
#include <math.h>
#include <stdlib.h>

#include "querylist/ngrams_private.h"

const uint64_t ngrams_floors[NGRAMS_FLOORS] = {10, 20, 50, 100, 200, 500, 1000};

#define FIRST_BEST ((size_t)4096)
#define WHOLE_MAX  40 /* bits: with products of 84, it fits 128 */

/* ---- words ---- */

void ngrams_see_word(struct ngrams *n, uint64_t count)
{
    n->report.distinct++;
    for (int i = 0; i < NGRAMS_FLOORS && count >= ngrams_floors[i]; i++)
        n->report.words[i]++;
}

static int compare_counts(const void *a, const void *b)
{
    const struct query_candidate *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return str_cmp(x->text, y->text);
}

int ngrams_words(struct ngrams *n, struct query_candidates *c, struct err *e)
{
    (void)e;
    for (size_t i = 0; i < n->n_words; i++)
        if (n->words[i].n >= n->config.min_word_count)
            query_candidates_add(c, ngrams_text(n, (uint32_t)i))->count =
                n->words[i].n;
    if (c->n)
        qsort(c->v, c->n, sizeof *c->v, compare_counts);
    if (c->n > n->config.word_budget)
        c->n = (size_t)n->config.word_budget;
    return 0;
}

/* ---- bigrams ---- */

static double pmi(const struct ngrams *n, const struct ngrams_bigram *b)
{
    return log2((double)b->n) + log2((double)n->report.tokens) -
           log2((double)n->words[b->first].n) -
           log2((double)n->words[b->second].n);
}

/* Is x better than y?  n12 / (n1 n2): cross-multiplied, it is exact; N is the
 * same for all.  A tie goes to the bytewise smaller one: "a b" against "c d"
 * as their words are ordered, since a space sorts before every byte of one. */
static bool better(const struct ngrams *n, const struct ngrams_bigram *x,
                   const struct ngrams_bigram *y)
{
    unsigned __int128 l =
        (unsigned __int128)n->words[y->first].n * n->words[y->second].n * x->n;
    unsigned __int128 r =
        (unsigned __int128)n->words[x->first].n * n->words[x->second].n * y->n;

    if (l != r)
        return l > r;
    return x->first != y->first ? x->first < y->first : x->second < y->second;
}

/* PMI >= i for how many i from 0 on: n12 N against n1 n2 2^i, exactly. */
static void see_pmi(struct ngrams *n, const struct ngrams_bigram *b)
{
    unsigned __int128 l = (unsigned __int128)b->n * n->report.tokens;
    unsigned __int128 r =
        (unsigned __int128)n->words[b->first].n * n->words[b->second].n;

    n->report.bigrams++;
    for (int i = 0; i < NGRAMS_PMIS && l >= r; i++, r *= 2)
        n->report.pmi[i]++;
}

/* PMI >= min_pmi.  Of whole bits exactly, as see_pmi() counts them: logarithms
 * are a little off either way, and by how much is the library's affair. */
static bool reaches(const struct ngrams *n, const struct ngrams_bigram *b)
{
    double least = n->config.min_pmi;
    int bits = (int)least;
    unsigned __int128 l = (unsigned __int128)b->n * n->report.tokens;
    unsigned __int128 r =
        (unsigned __int128)n->words[b->first].n * n->words[b->second].n;

    if (bits < -WHOLE_MAX || bits > WHOLE_MAX || bits < least || bits > least)
        return pmi(n, b) >= least;
    return bits < 0 ? l << -bits >= r : l >= r << bits;
}

/* Down from i, where x goes or below: a parent is worse than its children. */
static void sift_down(struct ngrams *n, size_t i, struct ngrams_bigram x,
                      size_t size)
{
    struct ngrams_bigram *v = n->best;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= size)
            break;
        if (child + 1 < size && better(n, &v[child], &v[child + 1]))
            child++;
        if (!better(n, &x, &v[child]))
            break;
        v[i] = v[child];
        i = child;
    }
    v[i] = x;
}

static int add_best(struct ngrams *n, struct ngrams_bigram x, struct err *e)
{
    size_t i = n->n_best;

    /* Powers of two: room is asked for when one is reached. */
    if (i == 0 || (i >= FIRST_BEST && (i & (i - 1)) == 0)) {
        size_t cap = i ? 2 * i : FIRST_BEST;
        struct ngrams_bigram *v = realloc(n->best, cap * sizeof *v);

        if (!v)
            return err_set(e, E_NOMEM, "no memory for %zu bigrams", cap);
        n->best = v;
    }
    n->n_best++;
    for (; i && better(n, &n->best[(i - 1) / 2], &x); i = (i - 1) / 2)
        n->best[i] = n->best[(i - 1) / 2];
    n->best[i] = x;
    return 0;
}

int ngrams_see_bigram(struct ngrams *n, uint64_t pair, uint64_t count,
                      struct err *e)
{
    struct ngrams_bigram x = {count, (uint32_t)(pair >> 32), (uint32_t)pair};

    see_pmi(n, &x);
    if (n->n_best == n->config.bigram_budget && !better(n, &x, &n->best[0]))
        return 0;
    if (!reaches(n, &x))
        return 0;
    if (n->n_best < n->config.bigram_budget)
        return add_best(n, x, e);
    sift_down(n, 0, x, n->n_best);
    return 0;
}

/* The worst goes to the end, again and again. */
void ngrams_sort_best(struct ngrams *n)
{
    for (size_t size = n->n_best; size > 1; size--) {
        struct ngrams_bigram last = n->best[size - 1];

        n->best[size - 1] = n->best[0];
        sift_down(n, 0, last, size - 1);
    }
}

int ngrams_bigrams(struct ngrams *n, struct query_candidates *c, struct err *e)
{
    for (size_t i = 0; i < n->n_best; i++) {
        const struct ngrams_bigram *b = &n->best[i];
        struct str first = ngrams_text(n, b->first);
        struct str second = ngrams_text(n, b->second);
        size_t len = first.n + 1 + second.n;
        char *text = arena_alloc(&n->texts, len);
        struct query_candidate *to;

        if (!text)
            return err_set(e, E_TOOBIG, "texts of bigrams pass %zu bytes",
                           QUERY_LIST_BYTES);
        memcpy(text, first.p, first.n);
        text[first.n] = ' ';
        memcpy(text + first.n + 1, second.p, second.n);
        to = query_candidates_add(c, str_make(text, len));
        to->count = b->n;
        to->pmi = pmi(n, b);
    }
    return 0;
}

uint64_t ngrams_tokens(const struct ngrams *n)
{
    return n->report.tokens;
}

void ngrams_report(const struct ngrams *n, struct ngrams_report *r)
{
    *r = n->report;
}
