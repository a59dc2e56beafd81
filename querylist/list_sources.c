#include "querylist/list.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

void query_candidates_release(struct query_candidates *c)
{
    free(c->v);
    *c = (struct query_candidates){0};
}

struct query_candidate *query_candidates_add(struct query_candidates *c,
                                             struct str text)
{
    c->v = xgrow(c->v, &c->cap, c->n + 1, sizeof *c->v);
    c->v[c->n] = (struct query_candidate){.text = text, .synset = QUERY_NONE};
    return &c->v[c->n++];
}

/* ---- WordNet ---- */

/* What decides between synsets of one name. */
struct named {
    struct str name;
    unsigned rank; /* part of speech */
    uint32_t sense;
    uint32_t synset;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = str_cmp(x->name, y->name);

    if (order)
        return order;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->sense != y->sense)
        return x->sense < y->sense ? -1 : 1;
    return x->synset < y->synset ? -1 : x->synset > y->synset;
}

static bool is_punctuation(struct str s)
{
    return s.n == 1 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", s.p[0]);
}

void query_candidates_wordnet(struct query_candidates *c,
                              const struct wordnet *w)
{
    struct named *v = xcalloc(w->n + 1, sizeof *v);
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++) {
        const struct synset *s = &w->synsets[i];

        if (!s->name.n || is_punctuation(s->name))
            continue;
        v[n++] = (struct named){
            .name = s->name,
            .rank = (unsigned)(strchr("nvasr", s->pos) - "nvasr"),
            .sense = s->sense,
            .synset = (uint32_t)i,
        };
    }
    qsort(v, n, sizeof *v, compare_named);
    for (size_t i = 0; i < n; i++)
        if (!i || !str_eq(v[i].name, v[i - 1].name))
            query_candidates_add(c, v[i].name)->synset = v[i].synset;
    free(v);
}

/* ---- numerals ---- */

void query_candidates_numerals(struct query_candidates *c)
{
    static const char digits[] = "0123456789";
    static const char twos[] = "10111213141516171819"
                               "20212223242526272829"
                               "30313233343536373839"
                               "40414243444546474849"
                               "50515253545556575859"
                               "60616263646566676869"
                               "70717273747576777879"
                               "80818283848586878889"
                               "90919293949596979899";

    for (unsigned first = 0; first < 10; first++) {
        query_candidates_add(c, str_make(&digits[first], 1));
        for (unsigned second = 0; first && second < 10; second++)
            query_candidates_add(
                c, str_make(&twos[(first - 1) * 20 + second * 2], 2));
    }
}

/* ---- a list of the user's own ---- */

void query_candidates_lines(struct query_candidates *c, struct str lines)
{
    struct str line;

    if (str_starts(lines, STR("\xef\xbb\xbf"))) /* a byte order mark */
        lines = str_slice(lines, 3, lines.n);
    while (str_split(&lines, '\n', &line)) {
        line = str_trim(line);
        if (line.n)
            query_candidates_add(c, line);
    }
}
