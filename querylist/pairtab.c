#include "querylist/pairtab.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "querylist/bigmem.h"

#define COUNT_BITS  14u
#define COUNT_MAX   ((UINT64_C(1) << COUNT_BITS) - 1)
#define NUMBER_MASK ((UINT64_C(1) << PAIRTAB_BITS) - 1)
#define FIRST_SLOTS ((size_t)4096)

void pairtab_init(struct pairtab *t, size_t max_bytes)
{
    *t = (struct pairtab){.max_bytes = max_bytes, .key = hash_secret() | 1};
}

void pairtab_release(struct pairtab *t)
{
    bigmem_free(t->slots, t->mapped);
    free(t->big);
    pairtab_init(t, t->max_bytes);
}

void pairtab_reset(struct pairtab *t)
{
    pairtab_release(t);
}

/* Two steps that lose nothing: the first spreads pairs that follow each other,
 * the second, a product with a number that nobody knows, those that somebody
 * chose. */
static inline uint64_t hash(uint64_t key, uint64_t pair)
{
    pair *= UINT64_C(0x9e3779b97f4a7c15);
    pair ^= pair >> 32;
    return pair * key;
}

static inline size_t home(uint64_t h, size_t n_slots)
{
    return (size_t)((unsigned __int128)h * n_slots >> 64);
}

/* ---- counts over 14 bits ---- */

static struct pairtab_big *find_big(uint64_t key, struct pairtab_big *big,
                                    size_t cap, uint64_t pair)
{
    size_t i = home(hash(key, pair), cap);

    while (big[i].pair && big[i].pair != pair)
        i = (i + 1) & (cap - 1);
    return &big[i];
}

static __attribute__((noinline)) int carry(struct pairtab *t, uint64_t pair)
{
    struct pairtab_big *b;

    if (2 * t->n_big >= t->cap_big) {
        size_t cap = t->cap_big ? t->cap_big * 2 : 64;
        struct pairtab_big *big = calloc(cap, sizeof *big);

        if (!big)
            return -E_NOMEM;
        for (size_t i = 0; i < t->cap_big; i++)
            if (t->big[i].pair)
                *find_big(t->key, big, cap, t->big[i].pair) = t->big[i];
        free(t->big);
        t->big = big;
        t->cap_big = cap;
    }
    b = find_big(t->key, t->big, t->cap_big, pair);
    t->n_big += !b->pair;
    b->pair = pair;
    b->n += COUNT_MAX + 1;
    return 0;
}

/* ---- the table ---- */

static void reinsert(uint64_t key, uint64_t *slots, size_t n, uint64_t slot)
{
    size_t i = home(hash(key, slot >> COUNT_BITS), n);

    while (slots[i])
        i = i + 1 == n ? 0 : i + 1;
    slots[i] = slot;
}

/* Sizes are the last one halved so often, and that one is two thirds of the
 * ceiling: it and the one before it together. */
static size_t next_size(const struct pairtab *t)
{
    size_t most = t->max_bytes / sizeof *t->slots / 3 * 2, n = most;

    if (most < FIRST_SLOTS)
        return t->n_slots ? 0 : FIRST_SLOTS;
    if (t->n_slots == most)
        return 0;
    while (n / 2 > t->n_slots && n / 2 >= FIRST_SLOTS)
        n /= 2;
    return n;
}

static __attribute__((noinline)) int grow(struct pairtab *t)
{
    size_t n = next_size(t), bytes = n * sizeof *t->slots;
    uint64_t *slots;

    if (!n) {
        t->full = true;
        return 0;
    }
    slots = bigmem_new(bytes);
    if (!slots)
        return -E_NOMEM;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i])
            reinsert(t->key, slots, n, t->slots[i]);
    bigmem_free(t->slots, t->mapped);
    t->slots = slots;
    t->n_slots = n;
    t->most = n / 4 * 3 - PAIRTAB_AHEAD; /* which may still come when full */
    t->mapped = bytes;
    return 0;
}

static inline int count(struct pairtab *t, uint64_t pair)
{
    size_t i = home(hash(t->key, pair), t->n_slots);

    for (;; i = i + 1 == t->n_slots ? 0 : i + 1) {
        uint64_t slot = t->slots[i];

        if (slot >> COUNT_BITS == pair) {
            if ((slot & COUNT_MAX) == COUNT_MAX) {
                t->slots[i] = pair << COUNT_BITS;
                return carry(t, pair);
            }
            t->slots[i] = slot + 1;
            return 0;
        }
        if (!slot) {
            t->slots[i] = pair << COUNT_BITS | 1;
            return ++t->n < t->most || t->full ? 0 : grow(t);
        }
    }
}

int pairtab_add(struct pairtab *t, uint32_t first, uint32_t second)
{
    /* The first number goes up by one, so that no pair is 0. */
    uint64_t pair = ((uint64_t)first + 1) << PAIRTAB_BITS | second;
    unsigned at = t->next;
    uint64_t due = t->waiting[at];

    t->waiting[at] = pair;
    t->next = (at + 1) % PAIRTAB_AHEAD;
    if (!due) /* there may be no table either */
        return t->slots ? 0 : grow(t);
    __builtin_prefetch(&t->slots[home(hash(t->key, pair), t->n_slots)], 1);
    return count(t, due);
}

/* What waits. */
static int enter(struct pairtab *t)
{
    int rc = 0;

    for (unsigned i = 0; !rc && i < PAIRTAB_AHEAD; i++) {
        if (t->waiting[i])
            rc = count(t, t->waiting[i]);
        t->waiting[i] = 0;
    }
    return rc;
}

/* ---- sorting: by bytes from the highest, in place ---- */

static void insertion_sort(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t k = i;

        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
}

/* v by the eight bits from `shift` on and, below them, the rest; each cycle of
 * misplaced elements is turned round. */
static void radix_sort(uint64_t *v, size_t n, unsigned shift)
{
    size_t end[256] = {0}, next[256], sum = 0, from = 0;

    if (n <= 48) {
        insertion_sort(v, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        end[v[i] >> shift & 255]++;
    if (end[v[0] >> shift & 255] == n && shift > COUNT_BITS) {
        radix_sort(v, n, shift - 8);
        return;
    }
    for (unsigned b = 0; b < 256; b++) {
        next[b] = sum;
        end[b] = sum += end[b];
    }
    for (unsigned b = 0; b < 256; b++)
        while (next[b] < end[b]) {
            uint64_t x = v[next[b]], y;

            for (unsigned to; (to = x >> shift & 255) != b; x = y) {
                y = v[next[to]];
                v[next[to]++] = x;
            }
            v[next[b]++] = x;
        }
    if (shift <= COUNT_BITS) /* below lies the count: pairs differ above */
        return;
    for (unsigned b = 0; b < 256; from = end[b++])
        if (end[b] - from > 1)
            radix_sort(v + from, end[b] - from, shift - 8);
}

static uint64_t renamed(uint64_t pair, const uint32_t *rank)
{
    return ((uint64_t)rank[(pair >> PAIRTAB_BITS) - 1] + 1) << PAIRTAB_BITS |
           rank[pair & NUMBER_MASK];
}

static int compare_big(const void *a, const void *b)
{
    const struct pairtab_big *x = a, *y = b;

    return x->pair < y->pair ? -1 : x->pair > y->pair;
}

int pairtab_sort(struct pairtab *t, const uint32_t *rank)
{
    size_t n = 0;
    int rc = enter(t);

    if (rc)
        return rc;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i])
            t->slots[n++] = renamed(t->slots[i] >> COUNT_BITS, rank)
                                << COUNT_BITS |
                            (t->slots[i] & COUNT_MAX);
    radix_sort(t->slots, n, 64 - 8);
    n = 0;
    for (size_t i = 0; i < t->cap_big; i++)
        if (t->big[i].pair)
            t->big[n++] = (struct pairtab_big){renamed(t->big[i].pair, rank),
                                               t->big[i].n};
    if (n)
        qsort(t->big, n, sizeof *t->big, compare_big);
    return 0;
}

bool pairtab_next(const struct pairtab *t, struct pairtab_walk *w,
                  uint64_t *pair, uint64_t *n)
{
    uint64_t key;

    if (w->at == t->n)
        return false;
    key = t->slots[w->at] >> COUNT_BITS;
    *n = t->slots[w->at++] & COUNT_MAX;
    if (w->at_big < t->n_big && t->big[w->at_big].pair == key)
        *n += t->big[w->at_big++].n;
    *pair = ((key >> PAIRTAB_BITS) - 1) << 32 | (key & NUMBER_MASK);
    return true;
}
