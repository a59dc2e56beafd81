#include "querylist/keytab.h"

#include <endian.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"

#define FIRST_SLOTS 1024u
#define FIRST_TAILS 4096u
#define HEAD        16u /* bytes of a key that lie in its entry */
#define SORTING     20u /* bytes a key while keys are sorted */

void keytab_init(struct keytab *t, size_t max_bytes)
{
    *t = (struct keytab){.max_bytes = max_bytes};
}

void keytab_release(struct keytab *t)
{
    free(t->v);
    free(t->slots);
    free(t->tails);
    keytab_init(t, t->max_bytes);
}

/* All memory goes back: tables that keep their size leave no room for others
 * to grow, and fresh zeros are cheaper than clearing what may not be filled. */
void keytab_reset(struct keytab *t)
{
    keytab_release(t);
}

/* ---- growing ---- */

static bool fits(const struct keytab *t, size_t cap, size_t slots, size_t tails)
{
    return cap * (sizeof *t->v + SORTING) + slots * sizeof *t->slots + tails <=
           t->max_bytes;
}

/* As many more as fit: the double of it, or half or a quarter of that. */
static size_t more_keys(const struct keytab *t)
{
    size_t cap = t->cap;

    for (size_t by = cap ? cap : FIRST_SLOTS / 2; by > 0 && by >= cap / 8;
         by /= 2)
        if (fits(t, cap + by, t->n_slots, t->cap_tails))
            return cap + by < KEYTAB_MAX - 1 ? cap + by : KEYTAB_MAX - 1;
    return cap;
}

static int grow_keys(struct keytab *t)
{
    size_t cap = more_keys(t);
    struct keytab_key *v;

    if (cap <= t->n)
        return -E_TOOBIG;
    v = realloc(t->v, cap * sizeof *v);
    if (!v)
        return -E_NOMEM;
    t->v = v;
    t->cap = (uint32_t)cap;
    return 0;
}

static int grow_tails(struct keytab *t, size_t need)
{
    size_t cap = t->cap_tails ? t->cap_tails * 2 : FIRST_TAILS;
    char *tails;

    while (cap < t->n_tails + need)
        cap *= 2;
    if (!fits(t, t->cap, t->n_slots, cap))
        cap = t->cap_tails + t->cap_tails / 8 + need;
    if (cap > UINT32_MAX || !fits(t, t->cap, t->n_slots, cap))
        return -E_TOOBIG;
    tails = realloc(t->tails, cap);
    if (!tails)
        return -E_NOMEM;
    t->tails = tails;
    t->cap_tails = cap;
    return 0;
}

static uint64_t hash_of(const struct keytab *t, const struct keytab_key *k)
{
    uint64_t h = keytab_hash(k->head, k->len);

    if (k->len > HEAD)
        h ^= hash_xxh3(str_make(t->tails + k->tail, k->len - HEAD));
    return h;
}

/* Twice the slots.  Where memory does not hold both tables, the old one is
 * used up to seven eighths. */
static int grow_slots(struct keytab *t)
{
    size_t n = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS, i;
    uint64_t *slots;

    if (!fits(t, t->cap, t->n_slots + n, t->cap_tails))
        return t->n < t->n_slots / 8 * 7 ? 0 : -E_TOOBIG;
    slots = calloc(n, sizeof *slots);
    if (!slots)
        return -E_NOMEM;
    for (uint32_t id = 0; id < t->n; id++) {
        uint64_t h = hash_of(t, &t->v[id]);

        for (i = (size_t)h & (n - 1); slots[i]; i = (i + 1) & (n - 1))
            ;
        slots[i] = (h >> 32) << 32 | (id + 1);
    }
    free(t->slots);
    t->slots = slots;
    t->n_slots = n;
    return 0;
}

static int grow(struct keytab *t)
{
    int rc = 0;

    if (t->n >= t->n_slots / 8 * 5)
        rc = grow_slots(t);
    if (!rc && t->n == t->cap)
        rc = grow_keys(t);
    return rc;
}

/* ---- adding ---- */

static int add_new(struct keytab *t, const uint64_t head[2], struct str tail,
                   uint32_t len, uint64_t h, uint64_t n, uint32_t *id)
{
    size_t mask, i;
    int rc = 0;

    if (t->n >= t->n_slots / 8 * 5 || t->n == t->cap)
        rc = grow(t);
    if (!rc && tail.n > t->cap_tails - t->n_tails)
        rc = grow_tails(t, tail.n);
    if (rc)
        return rc;
    *id = t->n;
    t->v[t->n++] =
        (struct keytab_key){{head[0], head[1]}, n, len, (uint32_t)t->n_tails};
    if (tail.n)
        memcpy(t->tails + t->n_tails, tail.p, tail.n);
    t->n_tails += tail.n;
    mask = t->n_slots - 1;
    for (i = (size_t)h & mask; t->slots[i]; i = (i + 1) & mask)
        ;
    t->slots[i] = (h >> 32) << 32 | t->n;
    return 0;
}

static inline int add(struct keytab *t, const uint64_t head[2], uint32_t len,
                      struct str tail, uint64_t h, uint64_t n, uint32_t *id)
{
    size_t mask = t->n_slots - 1, i;

    if (!t->n_slots)
        return add_new(t, head, tail, len, h, n, id);
    for (i = (size_t)h & mask; t->slots[i]; i = (i + 1) & mask) {
        struct keytab_key *k;

        if (t->slots[i] >> 32 != h >> 32)
            continue;
        k = &t->v[(uint32_t)t->slots[i] - 1];
        if (k->head[0] != head[0] || k->head[1] != head[1] || k->len != len ||
            (tail.n && memcmp(t->tails + k->tail, tail.p, tail.n)))
            continue;
        if (__builtin_add_overflow(k->n, n, &k->n)) {
            k->n -= n;
            return -E_RANGE;
        }
        *id = (uint32_t)t->slots[i] - 1;
        return 0;
    }
    return add_new(t, head, tail, len, h, n, id);
}

int keytab_add_short(struct keytab *t, const uint64_t head[2], uint32_t len,
                     uint64_t n, uint32_t *id)
{
    return add(t, head, len, STR_NONE, keytab_hash(head, len), n, id);
}

int keytab_add(struct keytab *t, struct str key, uint64_t n, uint32_t *id)
{
    uint64_t head[2] = {0, 0};
    struct str tail = STR_NONE;
    uint64_t h;

    if (key.n > KEYTAB_KEY_MAX)
        return -E_RANGE;
    if (key.n)
        memcpy(head, key.p, key.n < HEAD ? key.n : HEAD);
    h = keytab_hash(head, (uint32_t)key.n);
    if (key.n > HEAD) {
        tail = str_make(key.p + HEAD, key.n - HEAD);
        h ^= hash_xxh3(tail);
    }
    return add(t, head, (uint32_t)key.n, tail, h, n, id);
}

struct str keytab_text(const struct keytab *t, uint32_t id, char *to)
{
    const struct keytab_key *k = &t->v[id];

    memcpy(to, k->head, HEAD);
    if (k->len > HEAD)
        memcpy(to + HEAD, t->tails + k->tail, k->len - HEAD);
    return str_make(to, k->len);
}

/* ---- sorting: multikey quicksort, eight bytes a step ---- */

struct item {
    uint64_t at; /* eight bytes of the key as a number, zeros behind its end */
    uint32_t id;
    uint32_t len;
};

/* Eight bytes of a key from `depth` on. */
static uint64_t bytes_at(const struct keytab *t, uint32_t id, uint32_t depth)
{
    const struct keytab_key *k = &t->v[id];
    uint64_t x = 0;

    if (depth < HEAD)
        return be64toh(k->head[depth / 8]);
    if (depth < k->len)
        memcpy(&x, t->tails + k->tail + (depth - HEAD),
               k->len - depth < 8 ? k->len - depth : 8);
    return be64toh(x);
}

static void swap(struct item *a, struct item *b)
{
    struct item x = *a;

    *a = *b;
    *b = x;
}

static int compare_from(const struct keytab *t, const struct item *a,
                        const struct item *b, uint32_t depth)
{
    uint64_t x = a->at, y = b->at;

    while (x == y) {
        depth += 8;
        if (a->len <= depth || b->len <= depth)
            return a->len < b->len ? -1 : a->len > b->len;
        x = bytes_at(t, a->id, depth);
        y = bytes_at(t, b->id, depth);
    }
    return x < y ? -1 : 1;
}

static void insertion_sort(const struct keytab *t, struct item *v, size_t n,
                           uint32_t depth)
{
    for (size_t i = 1; i < n; i++) {
        struct item x = v[i];
        size_t k = i;

        for (; k > 0 && compare_from(t, &x, &v[k - 1], depth) < 0; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
}

static uint64_t middle(uint64_t a, uint64_t b, uint64_t c)
{
    if (a < b)
        return b < c ? b : a < c ? c : a;
    return a < c ? a : b < c ? c : b;
}

/* Keys equal up to depth + 8: those that end there are one another's
 * beginnings, shorter first; returns how many. */
static size_t ended_first(struct item *v, size_t n, uint32_t depth)
{
    size_t ended = 0;

    for (size_t i = 0; i < n; i++)
        if (v[i].len <= depth + 8)
            swap(&v[i], &v[ended++]);
    for (size_t i = 1; i < ended; i++) /* nine lengths at most */
        for (size_t k = i; k > 0 && v[k].len < v[k - 1].len; k--)
            swap(&v[k], &v[k - 1]);
    return ended;
}

static void sort(const struct keytab *t, struct item *v, size_t n,
                 uint32_t depth);

/* The part of equal bytes: one step deeper. */
static void sort_equal(const struct keytab *t, struct item *v, size_t n,
                       uint32_t depth)
{
    size_t ended = ended_first(v, n, depth);

    for (size_t i = ended; i < n; i++)
        v[i].at = bytes_at(t, v[i].id, depth + 8);
    sort(t, v + ended, n - ended, depth + 8);
}

/* Below, equal, above; the equal ones are at a depth that grows by eight, so
 * that calls nest as deep as keys are long and parts are halved. */
static void sort(const struct keytab *t, struct item *v, size_t n,
                 uint32_t depth)
{
    while (n > 12) {
        uint64_t pivot =
            middle(middle(v[0].at, v[1].at, v[2].at),
                   middle(v[n / 2 - 1].at, v[n / 2].at, v[n / 2 + 1].at),
                   middle(v[n - 3].at, v[n - 2].at, v[n - 1].at));
        size_t low = 0, i = 0, high = n;

        while (i < high) {
            if (v[i].at < pivot)
                swap(&v[i++], &v[low++]);
            else if (v[i].at > pivot)
                swap(&v[i], &v[--high]);
            else
                i++;
        }
        sort_equal(t, v + low, high - low, depth);
        if (low < n - high) {
            sort(t, v, low, depth);
            v += high;
            n -= high;
        } else {
            sort(t, v + high, n - high, depth);
            n = low;
        }
    }
    insertion_sort(t, v, n, depth);
}

uint32_t *keytab_sort(struct keytab *t)
{
    struct item *items;
    uint32_t *order;

    free(t->slots); /* their memory is what the items take */
    t->slots = NULL;
    t->n_slots = 0;
    items = malloc(((size_t)t->n + 1) * sizeof *items);
    order = malloc(((size_t)t->n + 1) * sizeof *order);
    if (items && order) {
        for (uint32_t id = 0; id < t->n; id++)
            items[id] =
                (struct item){be64toh(t->v[id].head[0]), id, t->v[id].len};
        sort(t, items, t->n, 0);
        for (uint32_t i = 0; i < t->n; i++)
            order[i] = items[i].id;
    } else {
        free(order);
        order = NULL;
    }
    free(items);
    return order;
}
