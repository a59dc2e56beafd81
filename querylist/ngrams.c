#include "querylist/ngrams.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "querylist/strset.h"

#define FIRST_SLOTS 4096

struct bigram {
    uint32_t first, second; /* numbers of words + 1; 0: empty slot */
    uint64_t n;
};

struct ngrams {
    struct ngrams_config config;
    struct words words; /* scratch */
    struct strset set;  /* the distinct words */
    uint64_t *counts;   /* per word */
    size_t cap_counts;
    struct bigram *slots; /* a power of two, at most half full */
    size_t n_slots, n_bigrams;
    uint64_t tokens;
    uint32_t last;      /* number + 1 of the word before, 0: none */
    struct arena texts; /* of bigrams that became candidates */
};

struct ngrams *ngrams_open(const struct ngrams_config *c)
{
    struct ngrams *n = xcalloc(1, sizeof *n);

    n->config = *c;
    words_init(&n->words);
    /* Half for words, half for pairs: their number in real text is some 20
     * times that of words, but words carry their strings. */
    strset_init(&n->set, (size_t)(c->memory / 2));
    arena_init(&n->texts, QUERY_LIST_BYTES);
    return n;
}

void ngrams_close(struct ngrams *n)
{
    if (!n)
        return;
    words_release(&n->words);
    strset_release(&n->set);
    arena_release(&n->texts);
    free(n->counts);
    free(n->slots);
    free(n);
}

static int too_big(const struct ngrams *n, struct err *e)
{
    return err_set(e, E_TOOBIG,
                   "%zu distinct words and %zu distinct bigrams pass the "
                   "memory ceiling of %llu bytes; raise --count-memory or "
                   "give less text",
                   n->set.n, n->n_bigrams,
                   (unsigned long long)n->config.memory);
}

/* ---- pairs ---- */

static struct bigram *probe(struct bigram *slots, size_t n_slots,
                            uint32_t first, uint32_t second)
{
    uint64_t h = (uint64_t)first << 32 | second;
    size_t mask = n_slots - 1, i;

    /* Numbers are dense: multiply, then fold the high bits down. */
    h *= UINT64_C(0x9e3779b97f4a7c15);
    h ^= h >> 32;
    for (i = (size_t)h & mask;; i = (i + 1) & mask)
        if (!slots[i].first ||
            (slots[i].first == first && slots[i].second == second))
            return &slots[i];
}

static int grow_bigrams(struct ngrams *n, struct err *e)
{
    size_t slots = n->n_slots ? n->n_slots * 2 : FIRST_SLOTS, i;
    struct bigram *v;

    if (slots * sizeof *v > n->config.memory / 2)
        return too_big(n, e);
    v = calloc(slots, sizeof *v);
    if (!v)
        return err_set(e, E_NOMEM, "no memory for %zu bigrams", slots);
    for (i = 0; i < n->n_slots; i++)
        if (n->slots[i].first)
            *probe(v, slots, n->slots[i].first, n->slots[i].second) =
                n->slots[i];
    free(n->slots);
    n->slots = v;
    n->n_slots = slots;
    return 0;
}

static int count_bigram(struct ngrams *n, uint32_t first, uint32_t second,
                        struct err *e)
{
    struct bigram *b;
    int rc;

    if (n->n_bigrams >= n->n_slots / 2) {
        rc = grow_bigrams(n, e);
        if (rc)
            return rc;
    }
    b = probe(n->slots, n->n_slots, first, second);
    if (!b->first) {
        b->first = first;
        b->second = second;
        n->n_bigrams++;
    }
    b->n++;
    return 0;
}

/* ---- words ---- */

static int count_word(struct ngrams *n, struct str word, uint32_t *id,
                      struct err *e)
{
    bool is_new;
    int rc = strset_add(&n->set, word, id, &is_new);

    if (rc == -E_TOOBIG)
        return too_big(n, e);
    if (rc)
        return err_set(e, -rc, "counting words");
    if (is_new) {
        size_t was = n->cap_counts;

        n->counts =
            xgrow(n->counts, &n->cap_counts, n->set.n, sizeof *n->counts);
        memset(n->counts + was, 0, (n->cap_counts - was) * sizeof *n->counts);
    }
    n->counts[*id]++;
    return 0;
}

int ngrams_add(struct ngrams *n, struct str text, struct err *e)
{
    const struct words *w = &n->words;
    uint32_t id;
    int rc;

    rc = words_split(&n->words, QUERY_POLICY_WORDS, text);
    if (rc)
        return err_set(e, -rc, "text to be counted: %s", err_name(rc));
    if (w->n > NGRAMS_TOKENS_MAX - n->tokens)
        return err_set(e, E_TOOBIG, "more than %llu words of text",
                       (unsigned long long)NGRAMS_TOKENS_MAX);
    for (size_t i = 0; i < w->n; i++) {
        rc = count_word(n, words_at(w, i), &id, e);
        if (!rc && n->last && !w->stop[i])
            rc = count_bigram(n, n->last, id + 1, e);
        if (rc)
            return rc;
        n->last = id + 1;
    }
    n->tokens += w->n;
    if (w->stop_behind)
        n->last = 0;
    return 0;
}

void ngrams_break(struct ngrams *n)
{
    n->last = 0;
}

uint64_t ngrams_tokens(const struct ngrams *n)
{
    return n->tokens;
}

/* ---- candidates ---- */

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
    for (uint32_t id = 0; id < n->set.n; id++)
        if (n->counts[id] >= n->config.min_word_count)
            query_candidates_add(c, strset_at(&n->set, id))->count =
                n->counts[id];
    if (c->n)
        qsort(c->v, c->n, sizeof *c->v, compare_counts);
    if (c->n > n->config.word_budget)
        c->n = (size_t)n->config.word_budget;
    return 0;
}

/* What a bigram is ranked by; N is the same for all and left out. */
struct ranked {
    uint64_t n12, n1, n2;
    struct str a, b;
};

/* n12 / (n1 n2), the larger first: cross-multiplied, it is exact. */
static int compare_pmi(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    unsigned __int128 l = (unsigned __int128)y->n1 * y->n2 * x->n12;
    unsigned __int128 r = (unsigned __int128)x->n1 * x->n2 * y->n12;
    int order;

    if (l != r)
        return l > r ? -1 : 1;
    /* "a b" against "c d": a space sorts before every byte of a word. */
    order = str_cmp(x->a, y->a);
    return order ? order : str_cmp(x->b, y->b);
}

static double pmi(const struct ngrams *n, const struct ranked *r)
{
    return log2((double)r->n12) + log2((double)n->tokens) -
           log2((double)r->n1) - log2((double)r->n2);
}

static int add_bigram(struct ngrams *n, const struct ranked *r,
                      struct query_candidates *c, struct err *e)
{
    struct query_candidate *to;
    size_t len = r->a.n + 1 + r->b.n;
    char *text = arena_alloc(&n->texts, len);

    if (!text)
        return err_set(e, E_TOOBIG, "texts of bigrams pass %zu bytes",
                       QUERY_LIST_BYTES);
    memcpy(text, r->a.p, r->a.n);
    text[r->a.n] = ' ';
    memcpy(text + r->a.n + 1, r->b.p, r->b.n);
    to = query_candidates_add(c, str_make(text, len));
    to->count = r->n12;
    to->pmi = pmi(n, r);
    return 0;
}

int ngrams_bigrams(struct ngrams *n, struct query_candidates *c, struct err *e)
{
    struct ranked *v = NULL;
    size_t count = 0, cap = 0;
    int rc = 0;

    for (size_t i = 0; i < n->n_slots; i++) {
        const struct bigram *b = &n->slots[i];
        struct ranked r;

        if (!b->first || b->n < n->config.min_bigram_count)
            continue;
        r = (struct ranked){b->n, n->counts[b->first - 1],
                            n->counts[b->second - 1],
                            strset_at(&n->set, b->first - 1),
                            strset_at(&n->set, b->second - 1)};
        if (pmi(n, &r) < n->config.min_pmi)
            continue;
        v = xgrow(v, &cap, count + 1, sizeof *v);
        v[count++] = r;
    }
    if (count)
        qsort(v, count, sizeof *v, compare_pmi);
    for (size_t i = 0; !rc && i < count && i < n->config.bigram_budget; i++)
        rc = add_bigram(n, &v[i], c, e);
    free(v);
    return rc;
}
