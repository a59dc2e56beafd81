#include "querylist/displace.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"

#define GROUP_MAX 64u /* keys that one pilot may place */

struct builder {
    const uint64_t *hash;
    size_t n;
    uint64_t n_pilots, n_slots;
    uint32_t *first; /* n_pilots + 1: where a group begins in `key` */
    uint32_t *key;   /* n: keys, group by group */
    uint32_t *group; /* n_pilots: groups, the largest first */
    uint64_t *taken; /* bits of the slots */
};

static uint64_t group_of(const struct builder *b, size_t key)
{
    return displace_group(b->hash[key], b->n_pilots);
}

static size_t size_of(const struct builder *b, uint32_t group)
{
    return b->first[group + 1] - b->first[group];
}

static void group_keys(struct builder *b)
{
    for (size_t i = 0; i < b->n; i++)
        b->first[group_of(b, i) + 1]++;
    for (uint64_t g = 0; g < b->n_pilots; g++)
        b->first[g + 1] += b->first[g];
    /* first[g] moves on to its end, which is the next one's begin. */
    for (size_t i = 0; i < b->n; i++)
        b->key[b->first[group_of(b, i)]++] = (uint32_t)i;
    for (uint64_t g = b->n_pilots; g > 0; g--)
        b->first[g] = b->first[g - 1];
    b->first[0] = 0;
}

/* False: some group is larger than any pilot could place. */
static bool order_groups(struct builder *b)
{
    size_t at[GROUP_MAX + 2] = {0};

    for (uint32_t g = 0; g < b->n_pilots; g++) {
        if (size_of(b, g) > GROUP_MAX)
            return false;
        at[size_of(b, g)]++;
    }
    for (size_t size = GROUP_MAX; size > 0; size--)
        at[size - 1] += at[size];
    /* at[size] is now the end of those; filled from there down. */
    for (uint32_t g = (uint32_t)b->n_pilots; g-- > 0;)
        b->group[--at[size_of(b, g)]] = g;
    return true;
}

static uint64_t bit(uint64_t slot)
{
    return UINT64_C(1) << (slot & 63);
}

/* Take the slots that the pilot gives the group's keys; none if two are one or
 * any is taken. */
static bool place(struct builder *b, uint32_t group, uint16_t pilot)
{
    const uint32_t *key = b->key + b->first[group];
    size_t n = size_of(b, group), i;

    for (i = 0; i < n; i++) {
        uint64_t s = displace_slot(b->hash[key[i]], pilot, b->n_slots);

        if (b->taken[s >> 6] & bit(s))
            break;
        b->taken[s >> 6] |= bit(s);
    }
    if (i == n)
        return true;
    while (i-- > 0) {
        uint64_t s = displace_slot(b->hash[key[i]], pilot, b->n_slots);

        b->taken[s >> 6] &= ~bit(s);
    }
    return false;
}

static int find_pilots(struct builder *b, uint16_t *pilot)
{
    group_keys(b);
    if (!order_groups(b))
        return -E_NOTFOUND;
    for (uint64_t i = 0; i < b->n_pilots; i++) {
        uint32_t group = b->group[i], p = 0;

        while (p <= UINT16_MAX && !place(b, group, (uint16_t)p))
            p++;
        if (p > UINT16_MAX)
            return -E_NOTFOUND;
        pilot[group] = (uint16_t)p;
    }
    return 0;
}

int displace_build(const uint64_t *hash, size_t n, uint16_t *pilot)
{
    struct builder b = {.hash = hash,
                        .n = n,
                        .n_pilots = displace_pilots(n),
                        .n_slots = displace_slots(n)};
    int rc = -E_NOMEM;

    if (n > DISPLACE_KEYS_MAX)
        return -E_TOOBIG;
    b.first = calloc(b.n_pilots + 1, sizeof *b.first);
    b.key = calloc(n + 1, sizeof *b.key);
    b.group = calloc(b.n_pilots, sizeof *b.group);
    b.taken = calloc(b.n_slots / 64 + 1, sizeof *b.taken);
    if (b.first && b.key && b.group && b.taken)
        rc = find_pilots(&b, pilot);
    free(b.first);
    free(b.key);
    free(b.group);
    free(b.taken);
    return rc;
}
