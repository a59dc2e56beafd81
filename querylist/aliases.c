#include "querylist/aliases.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"

#define OFFSET_BITS 40

void titles_aliases_init(struct titles_aliases *a, size_t max_bytes)
{
    *a = (struct titles_aliases){.max_bytes = max_bytes, .seed = hash_secret()};
    if (max_bytes > (UINT64_C(1) << OFFSET_BITS) - 2)
        a->max_bytes = (UINT64_C(1) << OFFSET_BITS) - 2;
    buf_init(&a->names, a->max_bytes);
}

void titles_aliases_release(struct titles_aliases *a)
{
    buf_release(&a->names);
    free(a->slots);
    *a = (struct titles_aliases){0};
}

static struct str name_at(const struct titles_aliases *a, uint64_t offset)
{
    const char *p = a->names.p + offset;

    return str_make(p + 2, (unsigned char)p[0]);
}

static struct str target_at(const struct titles_aliases *a, uint64_t offset)
{
    const char *p = a->names.p + offset;

    return str_make(p + 2 + (unsigned char)p[0], (unsigned char)p[1]);
}

/* The slot of name, or the empty one where it would stand. */
static uint64_t *slot_of(const struct titles_aliases *a, struct str name)
{
    uint64_t hash = hash_xxh3_seeded(name, a->seed), tag = hash >> OFFSET_BITS;
    size_t at = hash & (a->n_slots - 1);

    for (;; at = (at + 1) & (a->n_slots - 1)) {
        uint64_t slot = a->slots[at];
        uint64_t offset = (slot & ((UINT64_C(1) << OFFSET_BITS) - 1)) - 1;

        if (!slot ||
            (slot >> OFFSET_BITS == tag && str_eq(name_at(a, offset), name)))
            return &a->slots[at];
    }
}

static void put(struct titles_aliases *a, uint64_t offset)
{
    struct str name = name_at(a, offset);
    uint64_t *slot = slot_of(a, name);

    *slot = (hash_xxh3_seeded(name, a->seed) >> OFFSET_BITS) << OFFSET_BITS |
            (offset + 1);
}

/* Twice the slots. */
static int grow(struct titles_aliases *a)
{
    size_t n = a->n_slots ? 2 * a->n_slots : 1024;
    uint64_t *old = a->slots, offset = 0;

    if (n * sizeof *a->slots > a->max_bytes - a->names.n)
        return -E_TOOBIG;
    a->slots = calloc(n, sizeof *a->slots);
    if (!a->slots) {
        a->slots = old;
        return -E_NOMEM;
    }
    free(old);
    a->n_slots = n;
    for (size_t i = 0; i < a->n; i++) {
        put(a, offset);
        offset += 2 + name_at(a, offset).n + target_at(a, offset).n;
    }
    return 0;
}

int titles_aliases_add(struct titles_aliases *a, struct str name,
                       struct str target)
{
    uint64_t offset = a->names.n;
    int rc;

    target = str_trim(str_slice(target, 0, str_find_char(target, '#', 0)));
    if (!name.n || !target.n || name.n > ALIASES_NAME_MAX ||
        target.n > ALIASES_NAME_MAX || str_eq(name, target))
        return 0;
    if (a->n_slots - a->n_slots / 4 <= a->n) {
        rc = grow(a);
        if (rc)
            return rc;
    }
    if (*slot_of(a, name))
        return 0;
    if (a->names.n + 2 + name.n + target.n + a->n_slots * sizeof *a->slots >
        a->max_bytes)
        return -E_TOOBIG;
    if (!buf_reserve(&a->names, 2 + name.n + target.n))
        return a->names.rc;
    buf_add_char(&a->names, (char)name.n);
    buf_add_char(&a->names, (char)target.n);
    buf_add(&a->names, name);
    buf_add(&a->names, target);
    put(a, offset);
    a->n++;
    return 0;
}

struct str titles_aliases_target(const struct titles_aliases *a,
                                 struct str name)
{
    struct str way[ALIASES_STEPS], at = name;

    for (int i = 0; a && a->n && i < ALIASES_STEPS; i++) {
        uint64_t slot = *slot_of(a, at);

        if (!slot)
            break;
        way[i] = at;
        at = target_at(a, (slot & ((UINT64_C(1) << OFFSET_BITS) - 1)) - 1);
        for (int k = 0; k <= i; k++)
            if (str_eq(at, way[k]))
                return name; /* into a circle, which leads nowhere */
    }
    return at;
}
