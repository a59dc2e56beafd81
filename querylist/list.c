#include "querylist/list.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

const char *const query_order_names[] = {"clip", "metaclip", NULL};

static const enum query_source orders[][QUERY_SOURCES] = {
    [QUERY_ORDER_CLIP] = {QUERY_FILE, QUERY_WORD, QUERY_BIGRAM, QUERY_TITLE,
                          QUERY_WORDNET, QUERY_NUMERAL},
    [QUERY_ORDER_METACLIP] = {QUERY_FILE, QUERY_NUMERAL, QUERY_WORDNET,
                              QUERY_WORD, QUERY_BIGRAM, QUERY_TITLE},
};

const char *query_source_name(enum query_source s)
{
    static const char *const names[] = {
#define X(name, text) text,
        QUERY_SOURCE_MAP(X)
#undef X
    };

    return (unsigned)s < QUERY_SOURCES ? names[s] : "unknown";
}

struct builder {
    struct query_list *l;
    const struct query_list_config *c;
    uint64_t coming; /* entries that WordNet and numerals will still add */
    bool full;       /* the titles have reached the size */
};

/* NULL, or why text cannot be an entry. */
static const char *refusal(struct str text)
{
    size_t i;

    if (!text.n)
        return "empty";
    if (text.n > QUERY_ENTRY_MAX)
        return "too-long";
    if (!utf8_valid(text))
        return "charset";
    for (i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ')
            return "control";
    return NULL;
}

static bool has(const struct query_candidates *c, struct str text)
{
    size_t lo = 0, hi = c ? c->n : 0;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = str_cmp(c->v[mid].text, text);

        if (!order)
            return true;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* WordNet and numerals are sorted bytewise, so whether they will bring text
 * is found by halving. */
static bool will_come(const struct builder *b, struct str text)
{
    return has(b->c->sources[QUERY_WORDNET], text) ||
           has(b->c->sources[QUERY_NUMERAL], text);
}

static uint64_t count_coming(const struct builder *b)
{
    static const enum query_source two[] = {QUERY_WORDNET, QUERY_NUMERAL};
    const struct query_candidates *wordnet = b->c->sources[QUERY_WORDNET];
    uint64_t n = 0;

    for (size_t i = 0; i < 2; i++) {
        const struct query_candidates *c = b->c->sources[two[i]];

        for (size_t k = 0; c && k < c->n; k++)
            if (strset_find(&b->l->texts, c->v[k].text) == STRSET_NONE &&
                !(two[i] == QUERY_NUMERAL && has(wordnet, c->v[k].text)))
                n++;
    }
    return n;
}

static void know(struct query_entry *entry, enum query_source source,
                 const struct query_candidate *c)
{
    entry->sources |= 1u << source;
    if (c->count)
        entry->count = c->count;
    if (c->views)
        entry->views = c->views;
    if (source == QUERY_BIGRAM || (source == QUERY_FILE && c->pmi != 0))
        entry->pmi = c->pmi;
    if (c->synset != QUERY_NONE)
        entry->synset = c->synset;
}

static int add(struct builder *b, enum query_source source,
               const struct query_candidate *c, struct err *e)
{
    struct query_list *l = b->l;
    const char *why = refusal(c->text);
    uint32_t id = strset_find(&l->texts, c->text);
    bool is_new;
    int rc;

    if (why) {
        tally_add(&l->drops, why, 1);
        return 0;
    }
    if (id != STRSET_NONE) {
        know(&l->v[id], source, c);
        return 0;
    }
    if (source == QUERY_TITLE) {
        b->full = l->n + b->coming >= b->c->size;
        if (b->full)
            return 0;
        if (b->coming && will_come(b, c->text))
            b->coming--;
    }
    if (l->n >= b->c->size) {
        tally_add(&l->drops, "size", 1);
        return 0;
    }
    rc = strset_add(&l->texts, c->text, &id, &is_new);
    if (rc)
        return err_set(e, -rc, "the query list needs more than %zu bytes",
                       QUERY_LIST_BYTES);
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = (struct query_entry){
        .text = strset_at(&l->texts, id),
        .group = QUERY_NONE,
        .synset = QUERY_NONE,
    };
    l->first[source]++;
    know(&l->v[id], source, c);
    return 0;
}

static int unite(struct builder *b, struct err *e)
{
    const enum query_source *order = orders[b->c->order];
    int rc = 0;

    for (size_t i = 0; !rc && i < QUERY_SOURCES; i++) {
        const struct query_candidates *c = b->c->sources[order[i]];

        if (order[i] == QUERY_TITLE && c)
            b->coming = count_coming(b);
        for (size_t k = 0; !rc && c && k < c->n && !b->full; k++)
            rc = add(b, order[i], &c->v[k], e);
        b->full = false;
    }
    return rc;
}

/* ---- norms and groups ---- */

/* The characters that MetaCLIP's rule sets apart. */
static bool is_spaced(char c)
{
    return c && strchr(",.;:?!`", c);
}

bool query_is_never(enum query_policy policy, struct str entry)
{
    const char *p = entry.p;
    size_t n = entry.n;

    if (policy != QUERY_POLICY_METACLIP)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\t' || p[i] == '\n' || p[i] == '\r')
            return true;
        if (!is_spaced(p[i]))
            continue;
        if ((i && p[i - 1] != ' ') || (i + 1 < n && p[i + 1] != ' '))
            return true;
        if (i + 2 < n && is_spaced(p[i + 2]))
            return true;
    }
    return false;
}

static int group(struct query_list *l, enum query_policy policy,
                 struct words *w, uint32_t id, uint32_t *group_of_norm,
                 struct err *e)
{
    struct query_entry *entry = &l->v[id];
    uint32_t k;
    bool is_new;
    int rc;

    rc = words_norm(w, policy, entry->text);
    if (!rc && (w->n == 0 || w->text.n == 0)) {
        entry->norm = STR("");
        entry->flags |= QUERY_NO_WORDS;
        return 0;
    }
    if (!rc)
        rc = strset_add(&l->norms, buf_str(&w->text), &k, &is_new);
    if (rc)
        return err_set(e, -rc, "norm of query %u", id);
    if (is_new) {
        group_of_norm[k] = id;
        l->n_groups++;
    }
    entry->norm = strset_at(&l->norms, k);
    entry->group = group_of_norm[k];
    if (query_is_never(policy, entry->text))
        entry->flags |= QUERY_NEVER;
    return 0;
}

static int make_groups(struct query_list *l, enum query_policy policy,
                       struct err *e)
{
    uint32_t *group_of_norm = xcalloc(l->n + 1, sizeof *group_of_norm);
    struct words w;
    int rc = 0;

    words_init(&w);
    for (size_t id = 0; !rc && id < l->n; id++)
        rc = group(l, policy, &w, (uint32_t)id, group_of_norm, e);
    words_release(&w);
    free(group_of_norm);
    return rc;
}

int query_list_build(struct query_list *l, const struct query_list_config *c,
                     struct err *e)
{
    struct builder b = {.l = l, .c = c};
    int rc;

    *l = (struct query_list){0};
    strset_init(&l->texts, QUERY_LIST_BYTES);
    strset_init(&l->norms, QUERY_LIST_BYTES);
    tally_init(&l->drops);
    rc = unite(&b, e);
    if (!rc)
        rc = make_groups(l, c->policy, e);
    if (rc)
        query_list_release(l);
    return rc;
}

void query_list_release(struct query_list *l)
{
    free(l->v);
    strset_release(&l->texts);
    strset_release(&l->norms);
    tally_release(&l->drops);
    *l = (struct query_list){0};
}
