#include "querylist/trie.h"

#include "base/err.h"

#define SEED_SIZE 8 /* bytes before the pilots */

/* ---- words ---- */

uint64_t trie_tail_hash(const unsigned char *p, size_t n, uint64_t seed)
{
    uint64_t h = n * TRIE_K2 ^ seed;

    for (p += TRIE_UNIT, n -= TRIE_UNIT; n > TRIE_UNIT;
         n -= TRIE_UNIT, p += TRIE_UNIT)
        h = trie_mix(trie_head(p, TRIE_UNIT), h);
    return trie_mix(trie_head(p, n), h);
}

bool trie_spells(const struct trie *t, uint32_t node, struct trie_head w,
                 const unsigned char *p, size_t n)
{
    const unsigned char *at = t->longer + (size_t)(node & TRIE_ID) * TRIE_UNIT;
    bool head = trie_get64(at) == w.lo && trie_get64(at + 8) == w.hi;

    /* The zero that ends a shorter word is the head's. */
    if (!head || n < TRIE_UNIT)
        return head;
    at += TRIE_UNIT;
    return trie_get16(at) == n &&
           memcmp(at + 2, p + TRIE_UNIT, n - TRIE_UNIT) == 0;
}

/* ---- opening ---- */

static bool open_table(struct trie_table *t,
                       const unsigned char *const at[TRIE_SECTIONS],
                       const uint64_t bytes[TRIE_SECTIONS],
                       enum trie_section slots, enum trie_section pilots)
{
    if (bytes[slots] < TRIE_SLOT_SIZE || bytes[slots] % TRIE_SLOT_SIZE ||
        bytes[slots] / TRIE_SLOT_SIZE > 2 * (uint64_t)TRIE_NODES_MAX ||
        bytes[pilots] < SEED_SIZE + 2 || bytes[pilots] % 2)
        return false;
    *t = (struct trie_table){.slot = at[slots],
                             .pilot = at[pilots] + SEED_SIZE,
                             .n_slots = bytes[slots] / TRIE_SLOT_SIZE,
                             .n_pilots = (bytes[pilots] - SEED_SIZE) / 2,
                             .seed = trie_get64(at[pilots])};
    return true;
}

static bool unit_is_there(const struct trie *t, uint32_t id, uint64_t bytes)
{
    uint64_t at = (uint64_t)id * TRIE_UNIT;

    if (at + TRIE_UNIT > bytes)
        return false;
    at += TRIE_UNIT;
    if (!t->longer[at - 1])
        return true; /* a word within the unit */
    return at + 2 <= bytes &&
           at - TRIE_UNIT + 2 + trie_get16(t->longer + at) <= bytes;
}

/* Is it a word of up to TRIE_SHORT bytes, none of them zero?  Others are what
 * stands for no word (filter/matcher.c), which nothing may be found by. */
static bool spells_short(uint64_t key)
{
    while (key & 0xff)
        key >>= 8;
    return key == 0;
}

static const char *check_words(const struct trie *t, uint64_t longer,
                               uint64_t *where)
{
    for (uint64_t i = 0; i < t->words.n_slots; i++) {
        const unsigned char *p = t->words.slot + i * TRIE_SLOT_SIZE;
        uint64_t key = trie_get64(p), value = trie_get64(p + 8);
        uint32_t node = trie_node(value);
        bool is_long = node & TRIE_LONG;

        *where = i;
        if (value && !(node & TRIE_ID))
            return "a word without a number, slot";
        if (value && is_long != trie_key_is_long(key))
            return "a word of another length than its key's, slot";
        if (value && !is_long && !spells_short(key))
            return "a word with a zero byte, slot";
        if (is_long && !unit_is_there(t, node & TRIE_ID, longer))
            return "a word outside the file, slot";
    }
    return NULL;
}

static const char *check_steps(const struct trie *t, uint64_t *where)
{
    for (uint64_t i = 0; i < t->steps.n_slots; i++) {
        const unsigned char *p = t->steps.slot + i * TRIE_SLOT_SIZE;
        uint64_t key = trie_get64(p), value = trie_get64(p + 8);
        uint32_t before = (uint32_t)key, word = (uint32_t)(key >> 32);

        *where = i;
        if (value && ((before | word) & ~TRIE_ID || !before ||
                      !(trie_node(value) & TRIE_ID)))
            return "a step between no words, slot";
    }
    return NULL;
}

const char *trie_open(struct trie *t,
                      const unsigned char *const at[TRIE_SECTIONS],
                      const uint64_t bytes[TRIE_SECTIONS], uint64_t *where)
{
    uint64_t bits = bytes[TRIE_FILTER] * 8;
    const char *why;

    t->longer = at[TRIE_LONGER];
    t->filter = at[TRIE_FILTER];
    t->filter_mask = bits - 1;
    *where = bytes[TRIE_WORDS];
    if (!open_table(&t->words, at, bytes, TRIE_WORDS, TRIE_WORD_PILOTS))
        return "no table of words, bytes";
    *where = bytes[TRIE_STEPS];
    if (!open_table(&t->steps, at, bytes, TRIE_STEPS, TRIE_STEP_PILOTS))
        return "no table of steps, bytes";
    *where = bytes[TRIE_FILTER];
    if (!bits || bits & (bits - 1))
        return "a filter that is no power of two, bytes";
    why = check_words(t, bytes[TRIE_LONGER], where);
    return why ? why : check_steps(t, where);
}

/* ---- one text ---- */

static uint64_t find(const struct trie_table *t, uint64_t key)
{
    return trie_at(t, trie_slot(t, trie_hash(key, t->seed)), key);
}

static uint64_t nth_word(const struct trie *t, const struct words *words,
                         size_t i)
{
    struct str word = words_at(words, i);
    const unsigned char *p = (const unsigned char *)word.p;
    struct trie_head w = trie_head(p, word.n);
    uint64_t value =
        find(&t->words, trie_word_key(w, p, word.n, t->words.seed));

    return value && word.n > TRIE_SHORT &&
                   !trie_spells(t, trie_node(value), w, p, word.n)
               ? 0
               : value;
}

bool trie_has_any(const struct trie *t, const struct words *w)
{
    for (size_t i = 0; i < w->n; i++) {
        uint64_t at = nth_word(t, w, i);

        for (size_t k = i + 1;; k++) {
            uint64_t next;

            if (trie_group(at) != TRIE_NO_GROUP)
                return true;
            if (k >= w->n || !(trie_node(at) & TRIE_BEGINS))
                break;
            next = nth_word(t, w, k);
            if (!(trie_node(next) & TRIE_CONTINUES))
                break;
            at = find(&t->steps, trie_step_key(trie_node(at), trie_node(next)));
        }
    }
    return false;
}
