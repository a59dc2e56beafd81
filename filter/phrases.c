#include "filter/phrases.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define NO_NORM UINT32_MAX

struct phrases_slot {
    uint64_t print; /* fingerprint of a word sequence, 0: free */
    uint32_t norm;  /* index into norms, or NO_NORM: only a prefix */
    uint32_t more;  /* whether longer norms begin with it */
};

void phrases_init(struct phrases *p)
{
    *p = (struct phrases){0};
}

void phrases_release(struct phrases *p)
{
    free(p->norms);
    free(p->slots);
    *p = (struct phrases){0};
}

void phrases_add(struct phrases *p, uint32_t id, struct str norm)
{
    p->norms = xgrow(p->norms, &p->cap_norms, p->n_norms + 1, sizeof *p->norms);
    p->norms[p->n_norms++] = (struct phrase){norm, id};
}

/* The sequence's fingerprint with one more word; the multiplier is 2^64 over
 * the golden ratio, the fold brings its high half down. */
static uint64_t extend(uint64_t print, uint64_t word)
{
    unsigned __int128 wide =
        (unsigned __int128)(print ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t next = (uint64_t)wide ^ (uint64_t)(wide >> 64) ^ (word << 1);

    return next ? next : 1;
}

static struct phrases_slot *slot_of(const struct phrases *p, uint64_t print)
{
    uint64_t at = print & p->mask;

    while (p->slots[at].print && p->slots[at].print != print)
        at = (at + 1) & p->mask;
    return &p->slots[at];
}

/* Enter one norm; false when its fingerprint is another norm's. */
static bool enter(struct phrases *p, uint32_t index)
{
    struct str rest = p->norms[index].norm, word;
    struct phrases_slot *s = NULL;
    uint64_t print = p->salt;

    while (str_split(&rest, ' ', &word)) {
        if (s)
            s->more = 1;
        print = extend(print, hash_xxh3_seeded(word, p->salt));
        s = slot_of(p, print);
        if (!s->print)
            *s = (struct phrases_slot){.print = print, .norm = NO_NORM};
    }
    if (!s || s->norm != NO_NORM)
        return !s;
    s->norm = index;
    return true;
}

static size_t count_words(const struct phrases *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_norms; i++) {
        struct str norm = p->norms[i].norm;

        n++;
        for (size_t k = 0; k < norm.n; k++)
            n += norm.p[k] == ' ';
    }
    return n;
}

int phrases_build(struct phrases *p, struct err *e)
{
    size_t want = 2 * count_words(p), size = 1024;

    while (size < want)
        size *= 2;
    for (p->salt = 1;; p->salt++) {
        uint32_t i = 0;

        free(p->slots);
        p->slots = calloc(size, sizeof *p->slots);
        if (!p->slots)
            return err_set(e, E_NOMEM, "no memory for a table of %zu norms",
                           p->n_norms);
        p->mask = size - 1;
        while (i < p->n_norms && enter(p, i))
            i++;
        if (i == p->n_norms)
            return 0;
    }
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void sort_unique(struct phrase_ids *ids)
{
    size_t kept = 0;

    if (ids->n < 2)
        return;
    qsort(ids->v, ids->n, sizeof *ids->v, by_id);
    for (size_t i = 0; i < ids->n; i++)
        if (kept == 0 || ids->v[kept - 1] != ids->v[i])
            ids->v[kept++] = ids->v[i];
    ids->n = kept;
}

/* Does the text from word first to word last spell the norm? */
static bool spells(const struct words *w, size_t first, size_t last,
                   struct str norm)
{
    size_t from = w->span[first].at;
    size_t to = (size_t)w->span[last].at + w->span[last].n;

    return str_eq(str_make(w->text.p + from, to - from), norm);
}

void phrases_find(const struct phrases *p, const struct words *w,
                  struct phrase_ids *ids)
{
    ids->n = 0;
    for (size_t i = 0; i < w->n; i++) {
        uint64_t print = p->salt;

        for (size_t k = i; k < w->n; k++) {
            const struct phrases_slot *s;

            print = extend(print, hash_xxh3_seeded(words_at(w, k), p->salt));
            s = slot_of(p, print);
            if (!s->print)
                break;
            if (s->norm != NO_NORM && spells(w, i, k, p->norms[s->norm].norm)) {
                ids->v = xgrow(ids->v, &ids->cap, ids->n + 1, sizeof *ids->v);
                ids->v[ids->n++] = p->norms[s->norm].id;
            }
            if (!s->more)
                break;
        }
    }
    sort_unique(ids);
}

void phrase_ids_release(struct phrase_ids *ids)
{
    free(ids->v);
    *ids = (struct phrase_ids){0};
}
