#include "querylist/strset.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"

#define FIRST_SLOTS 1024

void strset_init(struct strset *s, size_t max_bytes)
{
    *s = (struct strset){.max_bytes = max_bytes, .seed = hash_secret()};
    arena_init(&s->arena, max_bytes);
}

void strset_release(struct strset *s)
{
    free(s->v);
    free(s->slots);
    arena_release(&s->arena);
    strset_init(s, s->max_bytes);
}

/* The slot that holds key, or the empty one where it would go. */
static size_t probe(const struct strset *s, struct str key, uint64_t h)
{
    size_t mask = s->n_slots - 1, i = (size_t)h & mask;

    for (;; i = (i + 1) & mask) {
        const struct strset_slot *slot = &s->slots[i];

        if (!slot->id || (slot->tag == (uint32_t)(h >> 32) &&
                          str_eq(s->v[slot->id - 1], key)))
            return i;
    }
}

/* Twice the slots, and room in v for as many strings as they can hold. */
static int grow(struct strset *s)
{
    size_t n = s->n_slots ? s->n_slots * 2 : FIRST_SLOTS, i, k;
    size_t bytes = n * sizeof *s->slots + n / 2 * sizeof *s->v;
    struct strset_slot *slots;
    struct str *v;

    if (n / 2 > STRSET_MAX || bytes > s->max_bytes ||
        s->arena.total > s->max_bytes - bytes)
        return -E_TOOBIG;
    v = realloc(s->v, n / 2 * sizeof *v);
    if (!v)
        return -E_NOMEM;
    s->v = v;
    s->cap = n / 2;
    slots = calloc(n, sizeof *slots);
    if (!slots)
        return -E_NOMEM;
    for (i = 0; i < s->n_slots; i++) {
        uint64_t h;

        if (!s->slots[i].id)
            continue;
        h = hash_xxh3_seeded(s->v[s->slots[i].id - 1], s->seed);
        for (k = (size_t)h & (n - 1); slots[k].id; k = (k + 1) & (n - 1))
            ;
        slots[k] = s->slots[i];
    }
    free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    s->arena.max = s->max_bytes - bytes;
    return 0;
}

int strset_add(struct strset *s, struct str key, uint32_t *id, bool *is_new)
{
    uint64_t h = hash_xxh3_seeded(key, s->seed);
    struct str copy;
    size_t i;
    int rc;

    if (s->n_slots) {
        i = probe(s, key, h);
        if (s->slots[i].id) {
            *id = s->slots[i].id - 1;
            *is_new = false;
            return 0;
        }
    }
    if (s->n >= s->n_slots / 2) {
        rc = grow(s);
        if (rc)
            return rc;
    }
    copy = arena_str(&s->arena, key);
    if (!copy.p)
        return -E_TOOBIG;
    i = probe(s, key, h);
    s->v[s->n] = copy;
    s->slots[i] = (struct strset_slot){(uint32_t)s->n + 1, (uint32_t)(h >> 32)};
    *id = (uint32_t)s->n++;
    *is_new = true;
    return 0;
}

uint32_t strset_find(const struct strset *s, struct str key)
{
    uint64_t h = hash_xxh3_seeded(key, s->seed);

    return s->n_slots ? s->slots[probe(s, key, h)].id - 1 : STRSET_NONE;
}
