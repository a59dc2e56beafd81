#include "querylist/keytab.h"

#include <endian.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "querylist/bigmem.h"

#define FIRST_SLOTS 512u
#define FIRST_TAILS 4096u
#define ID_BITS     25u
#define LEN_BITS    13u
#define LEN_MASK    ((1u << LEN_BITS) - 1)
#define FETCH_AHEAD 16u /* keys */

void keytab_init(struct keytab *t, size_t max_bytes)
{
    *t = (struct keytab){.max_bytes = max_bytes,
                         .key = {hash_secret(), hash_secret() | 1}};
}

void keytab_release(struct keytab *t)
{
    bigmem_free(t->slots, t->n_slots * sizeof *t->slots);
    free(t->tails);
    /* The key stays: a look-up may be on its way. */
    *t = (struct keytab){.max_bytes = t->max_bytes,
                         .key = {t->key[0], t->key[1]}};
}

/* All memory goes back: tables that keep their size leave no room for others
 * to grow, and fresh zeros are cheaper than clearing what may not be filled. */
void keytab_reset(struct keytab *t)
{
    keytab_release(t);
}

static inline uint32_t length(const struct keytab_slot *s)
{
    return (uint32_t)(s->meta >> ID_BITS) & LEN_MASK;
}

/* Of a key over KEYTAB_SHORT bytes what the slot does not hold. */
static struct str tail_of(const struct keytab *t, const struct keytab_slot *s)
{
    return str_make(t->tails + s->head[1], length(s) - 8);
}

static inline void fetch_tail(const struct keytab *t,
                              const struct keytab_slot *s)
{
    if (length(s) > KEYTAB_SHORT)
        __builtin_prefetch(tail_of(t, s).p);
}

struct str keytab_text(const struct keytab *t, const struct keytab_slot *s,
                       char *to)
{
    uint32_t len = length(s);

    memcpy(to, s->head, KEYTAB_SHORT);
    if (len > KEYTAB_SHORT)
        memcpy(to + 8, tail_of(t, s).p, len - 8);
    return str_make(to, len);
}

struct str keytab_text_at(const struct keytab *t, uint32_t place, char *to)
{
    if (t->n - place > FETCH_AHEAD)
        fetch_tail(t, &t->slots[place + FETCH_AHEAD]);
    return keytab_text(t, &t->slots[place], to);
}

/* ---- hashing ---- */

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* second: of a short key its second word, of a long one its tail's hash. */
static inline uint64_t hash_of(const struct keytab *t, const uint64_t head[2],
                               uint32_t len, uint64_t second)
{
    return mix(head[0] ^ t->key[0] ^ (uint64_t)len << 56, second ^ t->key[1]);
}

static inline uint64_t hash(const struct keytab *t, const uint64_t head[2],
                            uint32_t len, const char *tail)
{
    return hash_of(t, head, len,
                   len > KEYTAB_SHORT
                       ? hash_xxh3_seeded(str_make(tail, len - 8), t->key[0])
                       : head[1]);
}

static inline size_t home(uint64_t h, size_t n_slots)
{
    return (size_t)((unsigned __int128)h * n_slots >> 64);
}

/* What a slot has above its number: the low bits of the hash, the high ones
 * having led to it. */
static inline uint64_t label(uint64_t h, uint32_t len)
{
    return (h & ((UINT64_C(1) << (64 - ID_BITS - LEN_BITS)) - 1)) << LEN_BITS |
           len;
}

/* ---- growing ---- */

static bool fits(const struct keytab *t, size_t slots, size_t tails)
{
    return slots * sizeof *t->slots + tails <= t->max_bytes;
}

static int grow_tails(struct keytab *t, size_t need)
{
    size_t cap = t->cap_tails ? t->cap_tails * 2 : FIRST_TAILS;
    char *tails;

    while (cap < t->n_tails + need)
        cap *= 2;
    if (!fits(t, t->n_slots, cap))
        cap = t->cap_tails + t->cap_tails / 8 + need;
    if (!fits(t, t->n_slots, cap))
        return -E_TOOBIG;
    tails = realloc(t->tails, cap);
    if (!tails)
        return -E_NOMEM;
    t->tails = tails;
    t->cap_tails = cap;
    return 0;
}

/* Twice the slots, or as many as fit beside those that are. */
static int grow_slots(struct keytab *t)
{
    size_t n = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS, i;
    struct keytab_slot *slots;

    while (n > t->n_slots && !fits(t, t->n_slots + n, t->cap_tails))
        n -= n / 16;
    if (n < t->n_slots + t->n_slots / 8)
        return -E_TOOBIG;
    slots = bigmem_new(n * sizeof *slots);
    if (!slots)
        return -E_NOMEM;
    for (size_t k = 0; k < t->n_slots; k++) {
        const struct keytab_slot *s = &t->slots[k];
        uint32_t len = length(s);

        if (!s->meta)
            continue;
        i = home(
            hash(t, s->head, len, len > KEYTAB_SHORT ? tail_of(t, s).p : NULL),
            n);
        while (slots[i].meta)
            i = i + 1 == n ? 0 : i + 1;
        slots[i] = *s;
    }
    bigmem_free(t->slots, t->n_slots * sizeof *slots);
    t->slots = slots;
    t->n_slots = n;
    return 0;
}

/* ---- adding ---- */

static __attribute__((noinline)) int add_new(struct keytab *t,
                                             const struct keytab_lookup *l,
                                             uint64_t n, uint32_t *id)
{
    uint64_t second = l->head[1];
    size_t i;
    int rc = t->n < KEYTAB_MAX - 1 ? 0 : -E_TOOBIG;

    if (!rc && t->n >= t->n_slots / 4 * 3)
        rc = grow_slots(t);
    if (!rc && l->len > KEYTAB_SHORT && l->len > t->cap_tails - t->n_tails)
        rc = grow_tails(t, l->len);
    if (rc)
        return rc;
    if (l->len > KEYTAB_SHORT) {
        second = t->n_tails;
        memcpy(t->tails + t->n_tails, l->p + 8, l->len - 8);
        t->n_tails += l->len - 8;
    }
    i = home(l->h, t->n_slots);
    while (t->slots[i].meta)
        i = i + 1 == t->n_slots ? 0 : i + 1;
    *id = t->n++;
    t->slots[i] = (struct keytab_slot){
        {l->head[0], second}, n, label(l->h, l->len) << ID_BITS | t->n};
    return 0;
}

static inline bool is_key(const struct keytab *t, const struct keytab_slot *s,
                          const struct keytab_lookup *l, bool is_short)
{
    if (s->head[0] != l->head[0])
        return false;
    if (is_short)
        return s->head[1] == l->head[1];
    return memcmp(tail_of(t, s).p, l->p + 8, l->len - 8) == 0;
}

static inline int finish(struct keytab *t, const struct keytab_lookup *l,
                         uint64_t n, uint32_t *id, bool is_short)
{
    uint64_t want = label(l->h, l->len);
    size_t i;

    if (!t->n_slots)
        return add_new(t, l, n, id);
    for (i = home(l->h, t->n_slots);; i = i + 1 == t->n_slots ? 0 : i + 1) {
        struct keytab_slot *s = &t->slots[i];

        if (!s->meta)
            return add_new(t, l, n, id);
        if (s->meta >> ID_BITS != want || !is_key(t, s, l, is_short))
            continue;
        if (__builtin_add_overflow(s->n, n, &s->n)) {
            s->n -= n;
            return -E_RANGE;
        }
        *id = keytab_number(s);
        return 0;
    }
}

/* Apart, for what it calls: short keys, which most are, save no registers. */
static __attribute__((noinline)) int finish_long(struct keytab *t,
                                                 const struct keytab_lookup *l,
                                                 uint64_t n, uint32_t *id)
{
    return finish(t, l, n, id, false);
}

int keytab_finish(struct keytab *t, const struct keytab_lookup *l, uint64_t n,
                  uint32_t *id)
{
    return l->len > KEYTAB_SHORT ? finish_long(t, l, n, id)
                                 : finish(t, l, n, id, true);
}

/* First 16 bytes of p[0, n), n <= 16, zeros behind: without a branch, which
 * the length of words would mislead. */
static inline void load_head(const char *p, size_t n, uint64_t head[2])
{
    static const unsigned char ones[32] = {255, 255, 255, 255, 255, 255,
                                           255, 255, 255, 255, 255, 255,
                                           255, 255, 255, 255};
    uint64_t first, second, mask;

    memcpy(&first, p, 8);
    memcpy(&mask, ones + 16 - n, 8);
    head[0] = first & mask;
    memcpy(&second, p + 8, 8);
    memcpy(&mask, ones + 24 - n, 8);
    head[1] = second & mask;
}

static inline void fetch(const struct keytab *t, uint64_t h)
{
    if (t->n_slots)
        __builtin_prefetch(&t->slots[home(h, t->n_slots)], 1);
}

static __attribute__((noinline)) void look_up_long(const struct keytab *t,
                                                   struct keytab_lookup *l)
{
    l->h = hash(t, l->head, l->len, l->p + 8);
    fetch(t, l->h);
}

void keytab_look_up(const struct keytab *t, struct keytab_lookup *l,
                    struct str key)
{
    l->p = key.p;
    l->len = (uint32_t)key.n;
    load_head(key.p, key.n < KEYTAB_SHORT ? key.n : KEYTAB_SHORT, l->head);
    if (key.n > KEYTAB_SHORT) {
        look_up_long(t, l);
        return;
    }
    l->h = hash_of(t, l->head, l->len, l->head[1]);
    fetch(t, l->h);
}

int keytab_add(struct keytab *t, struct str key, uint64_t n, uint32_t *id)
{
    struct keytab_lookup l = {{0, 0}, 0, (uint32_t)key.n, key.p};

    if (key.n > KEYTAB_KEY_MAX)
        return -E_RANGE;
    if (key.n)
        memcpy(l.head, key.p, key.n < KEYTAB_SHORT ? key.n : KEYTAB_SHORT);
    l.h = hash(t, l.head, l.len, l.len > KEYTAB_SHORT ? key.p + 8 : NULL);
    return keytab_finish(t, &l, n, id);
}

const struct keytab_slot *keytab_find(const struct keytab *t, uint32_t id)
{
    size_t i = 0;

    while (i < t->n_slots &&
           (!t->slots[i].meta || keytab_number(&t->slots[i]) != id))
        i++;
    return i < t->n_slots ? &t->slots[i] : NULL;
}

/* ---- sorting: multikey quicksort, eight bytes a step ---- */

/* Eight bytes of a key from `depth` on, at least 8, zeros behind its end. */
static inline uint64_t load_at(const struct keytab *t,
                               const struct keytab_slot *s, uint32_t depth)
{
    uint32_t len = length(s);
    uint64_t x = 0;

    if (len <= KEYTAB_SHORT)
        return depth == 8 ? s->head[1] : 0;
    if (depth < len)
        memcpy(&x, tail_of(t, s).p + depth - 8,
               len - depth < 8 ? len - depth : 8);
    return x;
}

/* While keys are sorted from a depth on, head[0] holds their bytes there: all
 * keys of a part share what is above. */
static inline uint64_t top(const struct keytab_slot *s)
{
    return be64toh(s->head[0]);
}

static void swap(struct keytab_slot *a, struct keytab_slot *b)
{
    struct keytab_slot x = *a;

    *a = *b;
    *b = x;
}

static int compare_from(const struct keytab *t, const struct keytab_slot *a,
                        const struct keytab_slot *b, uint32_t depth)
{
    uint64_t x = top(a), y = top(b);

    for (;;) {
        if (x != y)
            return x < y ? -1 : 1;
        /* One ends: it is what the other begins with. */
        if (length(a) <= depth + 8 || length(b) <= depth + 8)
            return length(a) < length(b) ? -1 : length(a) > length(b);
        depth += 8;
        x = be64toh(load_at(t, a, depth));
        y = be64toh(load_at(t, b, depth));
    }
}

static void insertion_sort(const struct keytab *t, struct keytab_slot *v,
                           size_t n, uint32_t depth)
{
    for (size_t i = 1; i < n; i++) {
        struct keytab_slot x = v[i];
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
static size_t ended_first(struct keytab_slot *v, size_t n, uint32_t depth)
{
    size_t ended = 0;

    for (size_t i = 0; i < n; i++)
        if (length(&v[i]) <= depth + 8)
            swap(&v[i], &v[ended++]);
    for (size_t i = 1; i < ended; i++) /* nine lengths at most */
        for (size_t k = i; k > 0 && length(&v[k]) < length(&v[k - 1]); k--)
            swap(&v[k], &v[k - 1]);
    return ended;
}

static uint64_t pivot_of(const struct keytab_slot *v, size_t n)
{
    uint64_t x[3];

    for (size_t i = 0; i < 3; i++) {
        const struct keytab_slot *s = v + i * (n / 2 - 1);

        x[i] = middle(top(s), top(s + 1), top(s + (i == 2 ? 0 : 2)));
    }
    return middle(x[0], x[1], x[2]);
}

static void sort(const struct keytab *t, struct keytab_slot *v, size_t n,
                 uint32_t depth);

/* Keys that are equal above `depth` and go on there: their bytes are fetched
 * once, from where nothing is near to anything, and then lie in a row. */
static void sort_deeper(const struct keytab *t, struct keytab_slot *v, size_t n,
                        uint32_t depth)
{
    uint64_t above = n ? v->head[0] : 0;

    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++) {
        if (i + FETCH_AHEAD < n)
            fetch_tail(t, &v[i + FETCH_AHEAD]);
        v[i].head[0] = load_at(t, &v[i], depth);
    }
    sort(t, v, n, depth);
    for (size_t i = 0; i < n; i++)
        v[i].head[0] = above;
}

/* Below, equal, above; the equal ones are at a depth that grows by eight, so
 * that calls nest as deep as keys are long and parts are halved. */
static void sort(const struct keytab *t, struct keytab_slot *v, size_t n,
                 uint32_t depth)
{
    while (n > 12) {
        uint64_t pivot = pivot_of(v, n);
        size_t low = 0, i = 0, high = n, ended;

        while (i < high) {
            uint64_t at = top(&v[i]);

            if (at < pivot)
                swap(&v[i++], &v[low++]);
            else if (at > pivot)
                swap(&v[i], &v[--high]);
            else
                i++;
        }
        ended = ended_first(v + low, high - low, depth);
        sort_deeper(t, v + low + ended, high - low - ended, depth + 8);
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

void keytab_sort_least(struct keytab *t, uint64_t least)
{
    uint32_t n = 0;

    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i].meta && t->slots[i].n >= least)
            t->slots[n++] = t->slots[i];
    t->n = n;
    sort(t, t->slots, n, 0);
}

void keytab_sort(struct keytab *t)
{
    keytab_sort_least(t, 0);
}
