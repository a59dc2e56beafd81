#include "querylist/trie.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

#define FIRST_SLOTS  1024
#define FILLED_OF_8  5   /* eighths of the slots that are used at most */
#define FILTER_LEAST 512 /* bits */
#define FILTER_RATIO 8   /* bits for a step, at least */
#define WORD_ROOM    (TRIE_WORD_MAX + TRIE_UNIT)

_Static_assert((int)TRIE_WORD_NODE == (int)TRIE_STEP_NODE, "mark()");

/* ---- reading ---- */

/* Why a table cannot be searched without end or limit, or NULL. */
static const char *check_size(uint64_t bytes, const char *what)
{
    return bytes == 0 || bytes % TRIE_SLOT_SIZE ||
                   bytes / TRIE_SLOT_SIZE > 2 * (uint64_t)TRIE_NODES_MAX
               ? what
               : NULL;
}

static bool unit_is_there(const struct trie *t, uint32_t id, uint64_t bytes)
{
    uint64_t at = (uint64_t)id * TRIE_UNIT;

    if (at + TRIE_UNIT > bytes)
        return false;
    return at + 2 +
               (t->at[TRIE_LONGER][at] | (uint64_t)t->at[TRIE_LONGER][at + 1]
                                             << 8) <=
           bytes;
}

static const char *check_words(const struct trie *t, uint64_t longer,
                               uint64_t *where)
{
    uint64_t n_free = 0;

    for (uint64_t i = 0; i < t->words; i++) {
        const unsigned char *p = t->at[TRIE_WORDS] + i * TRIE_SLOT_SIZE;
        uint32_t node = trie_get32(p + TRIE_WORD_NODE);

        *where = i;
        n_free += !node;
        if (node && !(node & TRIE_ID))
            return "a word without a number, slot";
        if (node & TRIE_LONG && !unit_is_there(t, node & TRIE_ID, longer))
            return "a word outside the file, slot";
    }
    return n_free ? NULL : "a table of words without an end, slots";
}

static const char *check_steps(const struct trie *t, uint64_t *where)
{
    uint64_t n_free = 0;

    for (uint64_t i = 0; i < t->steps; i++) {
        const unsigned char *p = t->at[TRIE_STEPS] + i * TRIE_SLOT_SIZE;
        uint32_t before = trie_get32(p + TRIE_STEP_BEFORE);

        *where = i;
        n_free += !before;
        if (before &&
            (before & ~TRIE_ID || trie_get32(p + TRIE_STEP_WORD) & ~TRIE_ID ||
             !(trie_get32(p + TRIE_STEP_NODE) & TRIE_ID)))
            return "a step between no words, slot";
    }
    return n_free ? NULL : "a table of steps without an end, slots";
}

const char *trie_open(struct trie *t,
                      const unsigned char *const at[TRIE_SECTIONS],
                      const uint64_t bytes[TRIE_SECTIONS], uint64_t *where)
{
    const char *why = check_size(bytes[TRIE_WORDS], "no table of words, bytes");
    uint64_t bits = bytes[TRIE_FILTER] * 8;

    memcpy(t->at, at, sizeof t->at);
    t->words = bytes[TRIE_WORDS] / TRIE_SLOT_SIZE;
    t->steps = bytes[TRIE_STEPS] / TRIE_SLOT_SIZE;
    t->filter_mask = bits - 1;
    *where = bytes[TRIE_WORDS];
    if (!why) {
        *where = bytes[TRIE_STEPS];
        why = check_size(bytes[TRIE_STEPS], "no table of steps, bytes");
    }
    if (!why && (!bits || bits & (bits - 1))) {
        *where = bytes[TRIE_FILTER];
        why = "a filter that is no power of two, bytes";
    }
    if (!why)
        why = check_words(t, bytes[TRIE_LONGER], where);
    return why ? why : check_steps(t, where);
}

/* The node of a word, from whose begin 8 bytes can be read; *slot is where it
 * stands, or would. */
static struct trie_found find_word(const struct trie *t, const unsigned char *p,
                                   size_t n, uint64_t *slot)
{
    bool is_long = n > TRIE_SHORT;
    uint64_t key = is_long ? trie_long_key(p, n) : trie_short_key(p, n);

    *slot = trie_slot(trie_word_hash(key, is_long), t->words);
    for (;;) {
        struct trie_found f = trie_word(t, slot, key, is_long);

        if (!f.node || !is_long || trie_spells(t, f.node, p, n))
            return f;
        *slot = *slot + 1 == t->words ? 0 : *slot + 1;
    }
}

static struct trie_found nth_word(const struct trie *t, const struct words *w,
                                  size_t i)
{
    struct str word = words_at(w, i);
    uint64_t slot;

    return find_word(t, (const unsigned char *)word.p, word.n, &slot);
}

bool trie_has_any(const struct trie *t, const struct words *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct trie_found at = nth_word(t, w, i);

        for (size_t k = i + 1;; k++) {
            struct trie_found next;
            uint32_t before = at.node & TRIE_ID, id;

            if (at.node && at.group != TRIE_NO_GROUP)
                return true;
            if (k >= w->n || !(at.node & TRIE_BEGINS))
                break;
            next = nth_word(t, w, k);
            id = next.node & TRIE_ID;
            if (!(next.node & TRIE_CONTINUES))
                break;
            at = trie_step(t, trie_step_hash(before, id), before, id);
        }
    }
    return false;
}

/* ---- making: tables ---- */

static void put32(unsigned char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof v);
}

static void put64(unsigned char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

static bool is_free(const unsigned char *slot, bool words)
{
    return !trie_get32(slot + (words ? TRIE_WORD_NODE : TRIE_STEP_BEFORE));
}

static uint64_t hash_of(const unsigned char *slot, bool words)
{
    return words ? trie_word_hash(trie_get64(slot + TRIE_WORD_KEY),
                                  trie_get32(slot + TRIE_WORD_NODE) & TRIE_LONG)
                 : trie_step_hash(trie_get32(slot + TRIE_STEP_BEFORE),
                                  trie_get32(slot + TRIE_STEP_WORD));
}

/* The same in so many slots, entered in the order in which they stand. */
static int resize(struct trie_table *t, uint64_t slots, bool words)
{
    unsigned char *p = calloc(slots, TRIE_SLOT_SIZE);

    if (!p)
        return -E_NOMEM;
    for (uint64_t i = 0; i < t->slots; i++) {
        const unsigned char *from = t->p + i * TRIE_SLOT_SIZE;
        uint64_t to;

        if (is_free(from, words))
            continue;
        to = trie_slot(hash_of(from, words), slots);
        while (!is_free(p + to * TRIE_SLOT_SIZE, words))
            to = to + 1 == slots ? 0 : to + 1;
        memcpy(p + to * TRIE_SLOT_SIZE, from, TRIE_SLOT_SIZE);
    }
    free(t->p);
    t->p = p;
    t->slots = slots;
    return 0;
}

/* Room for one more. */
static int grow(struct trie_table *t, bool words)
{
    if ((t->used + 1) * 8 <= t->slots * FILLED_OF_8)
        return 0;
    return resize(t, t->slots ? 2 * t->slots : FIRST_SLOTS, words);
}

/* ---- making: nodes ---- */

void trie_maker_init(struct trie_maker *m)
{
    *m = (struct trie_maker){.last_id = TRIE_NODES_MAX};
    buf_init(&m->longer, (size_t)TRIE_NODES_MAX * TRIE_UNIT);
}

void trie_maker_release(struct trie_maker *m)
{
    free(m->words.p);
    free(m->steps.p);
    free(m->filter);
    buf_release(&m->longer);
}

static struct trie view(const struct trie_maker *m)
{
    return (struct trie){
        .at = {[TRIE_WORDS] = m->words.p,
               [TRIE_LONGER] = (const unsigned char *)m->longer.p,
               [TRIE_STEPS] = m->steps.p},
        .words = m->words.slots,
        .steps = m->steps.slots,
    };
}

/* A new long word's id. */
static int add_longer(struct trie_maker *m, const unsigned char *p, size_t n,
                      uint32_t *id)
{
    struct buf *b = &m->longer;
    char *to = buf_reserve(b, TRIE_UNIT + 2 + n + TRIE_UNIT);

    if (!to)
        return b->rc;
    if (b->n == 0) {
        memset(to, 0, TRIE_UNIT);
        to += TRIE_UNIT;
        b->n += TRIE_UNIT;
    }
    *id = (uint32_t)(b->n / TRIE_UNIT);
    memset(to, 0, (2 + n + TRIE_UNIT - 1) / TRIE_UNIT * TRIE_UNIT);
    to[0] = (char)(n & 0xff);
    to[1] = (char)(n >> 8);
    memcpy(to + 2, p, n);
    b->n += (2 + n + TRIE_UNIT - 1) / TRIE_UNIT * TRIE_UNIT;
    return 0;
}

/* The slot of a word of n bytes at p, with slack behind, made if need be. */
static int word_slot(struct trie_maker *m, const unsigned char *p, size_t n,
                     unsigned char **slot)
{
    bool is_long = n > TRIE_SHORT;
    uint64_t key = is_long ? trie_long_key(p, n) : trie_short_key(p, n), at;
    int rc = grow(&m->words, true);
    struct trie_found f;
    struct trie t;
    uint32_t id = 0;

    if (rc)
        return rc;
    t = view(m);
    f = find_word(&t, p, n, &at);
    *slot = m->words.p + at * TRIE_SLOT_SIZE;
    if (f.node)
        return 0;
    if (is_long)
        rc = add_longer(m, p, n, &id);
    else
        id = --m->last_id;
    if (rc)
        return rc;
    put64(*slot + TRIE_WORD_KEY, key);
    put32(*slot + TRIE_WORD_NODE, id | (is_long ? TRIE_LONG : 0));
    put32(*slot + TRIE_SLOT_GROUP, TRIE_NO_GROUP);
    m->words.used++;
    return 0;
}

static int step_slot(struct trie_maker *m, uint32_t before, uint32_t word,
                     unsigned char **slot)
{
    int rc = grow(&m->steps, false);
    uint64_t at;

    if (rc)
        return rc;
    at = trie_slot(trie_step_hash(before, word), m->steps.slots);
    for (;; at = at + 1 == m->steps.slots ? 0 : at + 1) {
        *slot = m->steps.p + at * TRIE_SLOT_SIZE;
        if (is_free(*slot, false))
            break;
        if (trie_get32(*slot + TRIE_STEP_BEFORE) == before &&
            trie_get32(*slot + TRIE_STEP_WORD) == word)
            return 0;
    }
    put32(*slot + TRIE_STEP_BEFORE, before);
    put32(*slot + TRIE_STEP_WORD, word);
    put32(*slot + TRIE_STEP_NODE, --m->last_id);
    put32(*slot + TRIE_SLOT_GROUP, TRIE_NO_GROUP);
    m->steps.used++;
    return 0;
}

/* Set a flag of the slot's node (which stands at one place in both tables);
 * returns its id. */
static uint32_t mark(unsigned char *slot, uint32_t flag)
{
    uint32_t node = trie_get32(slot + TRIE_WORD_NODE);

    put32(slot + TRIE_WORD_NODE, node | flag);
    return node & TRIE_ID;
}

int trie_maker_add(struct trie_maker *m, struct str norm, uint32_t group)
{
    unsigned char padded[WORD_ROOM], *last = NULL, *word;
    struct str rest = norm, field;
    int rc;

    assert(!memchr(norm.p, 0, norm.n));
    while (str_split(&rest, ' ', &field)) {
        uint32_t before = last ? mark(last, TRIE_BEGINS) : 0, id;

        if (field.n > TRIE_WORD_MAX)
            return -E_TOOBIG;
        if (field.n)
            memcpy(padded, field.p, field.n);
        memset(padded + field.n, 0, TRIE_UNIT);
        rc = word_slot(m, padded, field.n, &word);
        if (rc)
            return rc;
        if (last) {
            id = mark(word, TRIE_CONTINUES);
            rc = step_slot(m, before, id, &last);
            if (rc)
                return rc;
        } else {
            last = word;
        }
        if (m->longer.n / TRIE_UNIT + 2 * TRIE_WORD_MAX / TRIE_UNIT >
            m->last_id)
            return -E_TOOBIG;
    }
    if (last)
        put32(last + TRIE_SLOT_GROUP, group);
    return 0;
}

void trie_made(struct trie *t, const struct str sections[TRIE_SECTIONS])
{
    for (int s = 0; s < TRIE_SECTIONS; s++)
        t->at[s] = (const unsigned char *)sections[s].p;
    t->words = sections[TRIE_WORDS].n / TRIE_SLOT_SIZE;
    t->steps = sections[TRIE_STEPS].n / TRIE_SLOT_SIZE;
    t->filter_mask = sections[TRIE_FILTER].n * 8 - 1;
}

static int make_filter(struct trie_maker *m, struct str *section)
{
    uint64_t bits = FILTER_LEAST;
    unsigned char *p;

    while (bits < FILTER_RATIO * m->steps.used)
        bits *= 2;
    p = calloc(bits / 8, 1);
    if (!p)
        return -E_NOMEM;
    for (uint64_t i = 0; i < m->steps.slots; i++) {
        const unsigned char *slot = m->steps.p + i * TRIE_SLOT_SIZE;
        uint64_t bit = hash_of(slot, false) & (bits - 1);

        if (!is_free(slot, false))
            p[bit >> 3] |= (unsigned char)(1u << (bit & 7));
    }
    m->filter = p;
    *section = str_make((char *)p, bits / 8);
    return 0;
}

int trie_maker_finish(struct trie_maker *m, struct str sections[TRIE_SECTIONS])
{
    int rc = resize(&m->words, m->words.used * 8 / FILLED_OF_8 + 1, true);

    if (!rc)
        rc = resize(&m->steps, m->steps.used * 8 / FILLED_OF_8 + 1, false);
    if (!rc)
        rc = make_filter(m, &sections[TRIE_FILTER]);
    if (rc)
        return rc;
    sections[TRIE_WORDS] =
        str_make((char *)m->words.p, m->words.slots * TRIE_SLOT_SIZE);
    sections[TRIE_STEPS] =
        str_make((char *)m->steps.p, m->steps.slots * TRIE_SLOT_SIZE);
    sections[TRIE_LONGER] = buf_str(&m->longer);
    return 0;
}
