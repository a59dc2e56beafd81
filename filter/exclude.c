#include "filter/exclude.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/url.h"

#define FIRST_SLOTS 1024

/* Seeds of the two halves of a hash, by what is hashed. */
enum { SEED_URL = 11, SEED_TEXT = 12, SEED_SECOND = 100 };

void exclude_scratch_init(struct exclude_scratch *s)
{
    words_init(&s->words);
    buf_init(&s->url, URL_MAX * 4);
}

void exclude_scratch_release(struct exclude_scratch *s)
{
    words_release(&s->words);
    buf_release(&s->url);
}

void exclude_open(struct exclude *x, uint64_t min_words, uint64_t memory_max)
{
    *x = (struct exclude){.min_words = min_words, .memory_max = memory_max};
    buf_init(&x->names, BUF_NO_LIMIT);
    exclude_scratch_init(&x->scratch);
    tally_init(&x->counts);
}

void exclude_close(struct exclude *x)
{
    free(x->slots);
    x->slots = NULL;
    buf_release(&x->names);
    exclude_scratch_release(&x->scratch);
    tally_release(&x->counts);
}

/* ---- the table: open addressing, at most half full ---- */

static struct exclude_slot *slot_of(struct exclude_slot *slots, size_t cap,
                                    uint64_t a, uint64_t b)
{
    size_t at = (size_t)a & (cap - 1);

    while ((slots[at].a || slots[at].b) &&
           (slots[at].a != a || slots[at].b != b))
        at = (at + 1) & (cap - 1);
    return &slots[at];
}

/* Whether slots and names may take so much. */
static int allow(const struct exclude *x, uint64_t n_slots, uint64_t names,
                 struct err *e)
{
    uint64_t bytes = n_slots * sizeof *x->slots + names;

    if (bytes <= x->memory_max)
        return 0;
    return err_set(e, E_TOOBIG,
                   "the evaluation sets have over %zu texts and URLs, which "
                   "with the names of their samples take %llu bytes; "
                   "--against-memory allows %llu",
                   x->n, (unsigned long long)bytes,
                   (unsigned long long)x->memory_max);
}

/* While they move, old and new slots are held. */
static int grow(struct exclude *x, struct err *e)
{
    size_t cap = x->cap ? 2 * x->cap : FIRST_SLOTS;
    int rc = allow(x, x->cap + cap, x->names.cap, e);
    struct exclude_slot *slots = rc ? NULL : calloc(cap, sizeof *slots);

    if (rc)
        return rc;
    if (!slots)
        return err_set(e, E_NOMEM,
                       "no memory for %zu texts and URLs to leave "
                       "out",
                       cap / 2);
    for (size_t i = 0; i < x->cap; i++)
        if (x->slots[i].a || x->slots[i].b)
            *slot_of(slots, cap, x->slots[i].a, x->slots[i].b) = x->slots[i];
    free(x->slots);
    x->slots = slots;
    x->cap = cap;
    return 0;
}

static void hash_of(struct str s, uint64_t seed, uint64_t h[2])
{
    h[0] = hash_xxh3_seeded(s, seed);
    h[1] = hash_xxh3_seeded(s, seed + SEED_SECOND);
    h[1] += !h[0] && !h[1]; /* which would look empty */
}

/* names doubles as it grows. */
static int add_name(struct exclude *x, struct str name, struct err *e)
{
    size_t want = x->names.n + name.n + 2;
    int rc = want <= x->names.cap ? 0 : allow(x, x->cap, 2 * want, e);

    if (rc)
        return rc;
    buf_add(&x->names, name);
    buf_add_char(&x->names, '\0');
    return x->names.rc ? err_set(e, E_NOMEM, "no memory for names of samples")
                       : 0;
}

/* Keep key for name; *named is where the name lies once it does. */
static int add_key(struct exclude *x, struct str key, uint64_t seed,
                   struct str name, uint64_t *named, const char *count,
                   struct err *e)
{
    struct exclude_slot *slot;
    uint64_t h[2];
    int rc = 0;

    hash_of(key, seed, h);
    slot = x->cap ? slot_of(x->slots, x->cap, h[0], h[1]) : NULL;
    if (slot && (slot->a || slot->b))
        return 0;
    if (x->n * 2 >= x->cap) {
        rc = grow(x, e);
        if (rc)
            return rc;
        slot = slot_of(x->slots, x->cap, h[0], h[1]);
    }
    if (*named == UINT64_MAX) {
        uint64_t at = x->names.n;

        rc = add_name(x, name, e);
        if (rc)
            return rc;
        *named = at;
    }
    *slot = (struct exclude_slot){h[0], h[1], *named};
    x->n++;
    tally_add(&x->counts, count, 1);
    return 0;
}

/* ---- texts and URLs ---- */

/* The words of a text that is long enough; false when it is not looked for,
 * for the reason given. */
static bool text_key(const struct exclude *x, struct words *w, struct str text,
                     struct str *key, const char **why, int *rc)
{
    *rc = words_split(w, QUERY_POLICY_WORDS, text);
    if (*rc == -E_FORMAT || *rc == -E_TOOBIG) {
        *why = "text-charset";
        *rc = 0;
        return false;
    }
    if (*rc || w->n == 0 || w->n < x->min_words) {
        *why = "text-short";
        return false;
    }
    *key = buf_str(&w->text);
    return true;
}

int exclude_add(struct exclude *x, struct str name, struct str url,
                const struct str *texts, size_t n_texts, struct err *e)
{
    struct exclude_scratch *s = &x->scratch;
    uint64_t named = UINT64_MAX;
    int rc = 0;

    if (url.n && url_resolve(STR_NONE, url, &s->url) == URL_OK)
        rc = add_key(x, buf_str(&s->url), SEED_URL, name, &named, "urls", e);
    else if (url.n)
        tally_add(&x->counts, "url-unusable", 1);
    for (size_t i = 0; !rc && i < n_texts; i++) {
        const char *why;
        struct str key;

        if (text_key(x, &s->words, texts[i], &key, &why, &rc))
            rc = add_key(x, key, SEED_TEXT, name, &named, "texts", e);
        else if (rc)
            err_set(e, -rc, "%.*s: text: %s", STR_ARG(name), err_name(rc));
        else
            tally_add(&x->counts, why, 1);
    }
    return rc;
}

const char *exclude_reason(enum exclude_why why)
{
    return why == EXCLUDE_URL    ? "against-url"
           : why == EXCLUDE_TEXT ? "against-text"
                                 : "";
}

static bool has(const struct exclude *x, struct str key, uint64_t seed,
                const char **name)
{
    const struct exclude_slot *slot;
    uint64_t h[2];

    if (!x->cap)
        return false;
    hash_of(key, seed, h);
    slot = slot_of(x->slots, x->cap, h[0], h[1]);
    if (!slot->a && !slot->b)
        return false;
    *name = x->names.p + slot->name;
    return true;
}

int exclude_find(const struct exclude *x, struct exclude_scratch *s,
                 struct str url, struct str text, enum exclude_why *why,
                 const char **name, struct err *e)
{
    const char *unused;
    struct str key;
    int rc = 0;

    *why = EXCLUDE_NOT;
    *name = "";
    if (has(x, url, SEED_URL, name))
        *why = EXCLUDE_URL;
    else if (text_key(x, &s->words, text, &key, &unused, &rc) &&
             has(x, key, SEED_TEXT, name))
        *why = EXCLUDE_TEXT;
    return rc ? err_set(e, -rc, "text: %s", err_name(rc)) : 0;
}
