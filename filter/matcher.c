#include "filter/matcher.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define NO_NORM UINT32_MAX

struct matcher_slot {
    uint64_t print; /* fingerprint of a word sequence, 0: free */
    uint32_t norm;  /* index into norms, or NO_NORM: only a prefix */
    uint32_t more;  /* whether longer norms begin with it */
};

void matcher_init(struct matcher *m)
{
    *m = (struct matcher){0};
}

void matcher_release(struct matcher *m)
{
    free(m->norms);
    free(m->slots);
    *m = (struct matcher){0};
}

void matcher_add(struct matcher *m, uint32_t group, struct str norm)
{
    m->norms = xgrow(m->norms, &m->cap_norms, m->n_norms + 1, sizeof *m->norms);
    m->norms[m->n_norms++] = (struct matcher_norm){norm, group};
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

static struct matcher_slot *slot_of(const struct matcher *m, uint64_t print)
{
    uint64_t at = print & m->mask;

    while (m->slots[at].print && m->slots[at].print != print)
        at = (at + 1) & m->mask;
    return &m->slots[at];
}

/* Enter one norm; false when its fingerprint is another norm's. */
static bool enter(struct matcher *m, uint32_t index)
{
    struct str rest = m->norms[index].norm, word;
    struct matcher_slot *s = NULL;
    uint64_t print = m->salt;

    while (str_split(&rest, ' ', &word)) {
        if (s)
            s->more = 1;
        print = extend(print, hash_xxh3_seeded(word, m->salt));
        s = slot_of(m, print);
        if (!s->print)
            *s = (struct matcher_slot){.print = print, .norm = NO_NORM};
    }
    if (!s || s->norm != NO_NORM)
        return !s;
    s->norm = index;
    return true;
}

static size_t count_words(const struct matcher *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_norms; i++) {
        struct str norm = m->norms[i].norm;

        n++;
        for (size_t k = 0; k < norm.n; k++)
            n += norm.p[k] == ' ';
    }
    return n;
}

int matcher_build(struct matcher *m, struct err *e)
{
    size_t want = 2 * count_words(m), size = 1024;

    while (size < want)
        size *= 2;
    for (m->salt = 1;; m->salt++) {
        uint32_t i = 0;

        free(m->slots);
        m->slots = calloc(size, sizeof *m->slots);
        if (!m->slots)
            return err_set(e, E_NOMEM, "no memory for a matcher of %zu norms",
                           m->n_norms);
        m->mask = size - 1;
        while (i < m->n_norms && enter(m, i))
            i++;
        if (i == m->n_norms)
            return 0;
    }
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void sort_unique(struct match_ids *ids)
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

void matcher_find(const struct matcher *m, const struct words *w,
                  struct match_ids *ids)
{
    ids->n = 0;
    for (size_t i = 0; i < w->n; i++) {
        uint64_t print = m->salt;

        for (size_t k = i; k < w->n; k++) {
            const struct matcher_slot *s;

            print = extend(print, hash_xxh3_seeded(words_at(w, k), m->salt));
            s = slot_of(m, print);
            if (!s->print)
                break;
            if (s->norm != NO_NORM && spells(w, i, k, m->norms[s->norm].norm)) {
                ids->v = xgrow(ids->v, &ids->cap, ids->n + 1, sizeof *ids->v);
                ids->v[ids->n++] = m->norms[s->norm].group;
            }
            if (!s->more)
                break;
        }
    }
    sort_unique(ids);
}

void match_ids_release(struct match_ids *ids)
{
    free(ids->v);
    *ids = (struct match_ids){0};
}

/* ---- over a list, by batches ---- */

int matcher_open(struct matcher *m, const struct qlist *l, struct err *e)
{
    int rc;

    matcher_init(m);
    m->policy = qlist_policy(l);
    for (uint32_t id = 0; id < qlist_count(l); id++)
        if (qlist_group(l, id) == id)
            matcher_add(m, id, qlist_norm(l, id));
    rc = matcher_build(m, e);
    if (rc)
        matcher_release(m);
    return rc;
}

void matcher_close(struct matcher *m)
{
    matcher_release(m);
}

void matcher_batch_init(struct matcher_batch *b)
{
    *b = (struct matcher_batch){0};
    words_init(&b->words);
    words_init(&b->plain);
}

void matcher_batch_release(struct matcher_batch *b)
{
    for (size_t i = 0; i < MATCHER_BATCH; i++)
        match_ids_release(&b->ids[i]);
    words_release(&b->words);
    words_release(&b->plain);
}

void matcher_batch_clear(struct matcher_batch *b)
{
    b->n = 0;
}

int matcher_batch_cut(const struct matcher *m, struct matcher_batch *b,
                      struct str text, const struct words **plain,
                      struct err *e)
{
    int rc = words_split(&b->words, m->policy, text);

    if (plain)
        *plain = &b->words;
    if (!rc && plain && m->policy != QUERY_POLICY_WORDS) {
        rc = words_split(&b->plain, QUERY_POLICY_WORDS, text);
        *plain = &b->plain;
    }
    return rc ? err_set(e, -rc, "text: %s", err_name(rc)) : 0;
}

void matcher_batch_add(const struct matcher *m, struct matcher_batch *b)
{
    matcher_find(m, &b->words, &b->ids[b->n++]);
}

void matcher_batch_find(const struct matcher *m, struct matcher_batch *b)
{
    (void)m;
    (void)b;
}

const uint32_t *matcher_batch_ids(const struct matcher_batch *b, size_t i,
                                  size_t *n)
{
    *n = b->ids[i].n;
    return b->ids[i].v;
}
