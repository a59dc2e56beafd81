#include "querylist/trie_make.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

#define FILTER_LEAST 512                /* bits */
#define FILTER_RATIO 8                  /* bits for a step, at least */
#define SEEDS        64                 /* that are tried */
#define SEED_SIZE    8                  /* bytes before the pilots */
#define SET_MAX      ((size_t)64 << 30) /* bytes of one */

static void put64(unsigned char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof v);
}

void trie_maker_init(struct trie_maker *m)
{
    *m = (struct trie_maker){.last_id = TRIE_NODES_MAX};
    strset_init(&m->words.set, SET_MAX);
    strset_init(&m->steps.set, SET_MAX);
    buf_init(&m->longer, (size_t)TRIE_NODES_MAX * TRIE_UNIT);
}

static void release_half(struct trie_half *h)
{
    strset_release(&h->set);
    free(h->value);
    free(h->slots);
    free(h->pilots);
}

void trie_maker_release(struct trie_maker *m)
{
    release_half(&m->words);
    release_half(&m->steps);
    free(m->filter);
    buf_release(&m->longer);
}

/* ---- nodes ---- */

/* A new long word's id. */
static int add_longer(struct trie_maker *m, struct str word, uint32_t *id)
{
    struct buf *b = &m->longer;
    size_t n = word.n < TRIE_UNIT ? word.n : word.n + 2;
    size_t units = (n + TRIE_UNIT) / TRIE_UNIT; /* a zero behind it, at least */
    char *to = buf_reserve(b, (units + 1) * TRIE_UNIT);

    if (!to)
        return b->rc;
    memset(to, 0, (units + 1) * TRIE_UNIT);
    if (b->n == 0) {
        to += TRIE_UNIT;
        b->n += TRIE_UNIT;
    }
    *id = (uint32_t)(b->n / TRIE_UNIT);
    if (word.n < TRIE_UNIT) {
        memcpy(to, word.p, word.n);
    } else {
        memcpy(to, word.p, TRIE_UNIT);
        to[TRIE_UNIT] = (char)(word.n & 0xff);
        to[TRIE_UNIT + 1] = (char)(word.n >> 8);
        memcpy(to + TRIE_UNIT + 2, word.p + TRIE_UNIT, word.n - TRIE_UNIT);
    }
    b->n += units * TRIE_UNIT;
    return 0;
}

/* A key's place in its table's set; a new one's value is 0. */
static int add(struct trie_half *h, struct str key, uint32_t *at)
{
    bool is_new;
    int rc = strset_add(&h->set, key, at, &is_new);

    if (rc)
        return rc;
    h->value = xgrow(h->value, &h->cap, h->set.n, sizeof *h->value);
    if (is_new)
        h->value[*at] = 0;
    return 0;
}

static int add_word(struct trie_maker *m, struct str word, uint32_t *at)
{
    int rc = add(&m->words, word, at);
    uint32_t id = 0;

    if (rc || m->words.value[*at])
        return rc;
    if (word.n > TRIE_SHORT) {
        rc = add_longer(m, word, &id);
        id |= TRIE_LONG;
    } else {
        id = --m->last_id;
    }
    m->words.value[*at] = id;
    return rc;
}

static int add_step(struct trie_maker *m, uint64_t key, uint32_t *at)
{
    unsigned char bytes[8];
    int rc;

    put64(bytes, key);
    rc = add(&m->steps, str_make((char *)bytes, sizeof bytes), at);
    if (!rc && !m->steps.value[*at])
        m->steps.value[*at] = --m->last_id;
    return rc;
}

/* The step from a node of the table `of` by a word; *at moves to it. */
static int go_on(struct trie_maker *m, struct trie_half *of, uint32_t *at,
                 uint32_t word)
{
    uint64_t before = of->value[*at] |= TRIE_BEGINS;
    uint64_t behind = m->words.value[word] |= TRIE_CONTINUES;

    return add_step(m, trie_step_key(trie_node(before), trie_node(behind)), at);
}

int trie_maker_add(struct trie_maker *m, struct str norm, uint32_t group)
{
    struct trie_half *of = NULL; /* the table of the last node */
    uint32_t at = 0, word;
    struct str rest = norm, field;

    assert(!memchr(norm.p, 0, norm.n));
    while (str_split(&rest, ' ', &field)) {
        int rc =
            field.n > TRIE_WORD_MAX ? -E_TOOBIG : add_word(m, field, &word);

        if (!rc && of) {
            rc = go_on(m, of, &at, word);
            of = &m->steps;
        } else {
            at = word;
            of = &m->words;
        }
        if (rc)
            return rc;
        if (m->longer.n / TRIE_UNIT + 2 * TRIE_WORD_MAX / TRIE_UNIT >
            m->last_id)
            return -E_TOOBIG;
    }
    if (of)
        of->value[at] = trie_node(of->value[at]) | (group + UINT64_C(1)) << 32;
    return 0;
}

/* ---- tables ---- */

static uint64_t word_key(struct str word, uint64_t seed)
{
    unsigned char padded[TRIE_WORD_MAX + TRIE_UNIT];

    if (word.n)
        memcpy(padded, word.p, word.n);
    memset(padded + word.n, 0, TRIE_UNIT);
    return trie_word_key(trie_head(padded, word.n), padded, word.n, seed);
}

static uint64_t step_key(struct str step, uint64_t seed)
{
    (void)seed;
    return trie_get64((const unsigned char *)step.p);
}

/* Pilots of one seed; -E_NOTFOUND if there are none. */
static int place(const struct trie_half *h, uint64_t *key, uint64_t *hash,
                 uint16_t *pilot, uint64_t seed,
                 uint64_t (*key_of)(struct str, uint64_t))
{
    for (size_t i = 0; i < h->set.n; i++) {
        key[i] = key_of(strset_at(&h->set, (uint32_t)i), seed);
        hash[i] = trie_hash(key[i], seed);
    }
    return displace_build(hash, h->set.n, pilot);
}

/* A table's two sections. */
static void put_table(struct trie_half *h, const uint64_t *key,
                      const uint64_t *hash, const uint16_t *pilot,
                      uint64_t seed, struct str *slots, struct str *pilots)
{
    size_t n = h->set.n, n_pilots = displace_pilots(n);
    struct trie_table t = {.pilot = h->pilots + SEED_SIZE,
                           .n_pilots = n_pilots,
                           .n_slots = displace_slots(n)};

    put64(h->pilots, seed);
    for (size_t i = 0; i < n_pilots; i++) {
        h->pilots[SEED_SIZE + 2 * i] = (unsigned char)(pilot[i] & 0xff);
        h->pilots[SEED_SIZE + 2 * i + 1] = (unsigned char)(pilot[i] >> 8);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char *to = h->slots + trie_slot(&t, hash[i]) * TRIE_SLOT_SIZE;

        put64(to, key[i]);
        put64(to + 8, h->value[i]);
    }
    *slots = str_make((char *)h->slots, t.n_slots * TRIE_SLOT_SIZE);
    *pilots = str_make((char *)h->pilots, SEED_SIZE + 2 * n_pilots);
}

static int make_table(struct trie_half *h,
                      uint64_t (*key_of)(struct str, uint64_t),
                      struct str *slots, struct str *pilots)
{
    size_t n = h->set.n, n_pilots = displace_pilots(n);
    uint64_t *key = calloc(n + 1, sizeof *key);
    uint64_t *hash = calloc(n + 1, sizeof *hash), seed = 0;
    uint16_t *pilot = calloc(n_pilots, sizeof *pilot);
    int rc = -E_NOMEM;

    h->slots = calloc(displace_slots(n), TRIE_SLOT_SIZE);
    h->pilots = calloc(SEED_SIZE + 2 * n_pilots, 1);
    if (key && hash && pilot && h->slots && h->pilots)
        rc = place(h, key, hash, pilot, seed, key_of);
    for (int i = 1; rc == -E_NOTFOUND && i < SEEDS; i++) {
        seed = trie_fold(seed ^ TRIE_K0, TRIE_K2);
        rc = place(h, key, hash, pilot, seed, key_of);
    }
    if (!rc)
        put_table(h, key, hash, pilot, seed, slots, pilots);
    free(key);
    free(hash);
    free(pilot);
    return rc == -E_NOTFOUND ? -E_FORMAT : rc;
}

static int make_filter(struct trie_maker *m, uint64_t seed, struct str *section)
{
    const struct strset *set = &m->steps.set;
    uint64_t bits = FILTER_LEAST;

    while (bits < FILTER_RATIO * set->n)
        bits *= 2;
    m->filter = calloc(bits / 8, 1);
    if (!m->filter)
        return -E_NOMEM;
    for (size_t i = 0; i < set->n; i++) {
        uint64_t key = step_key(strset_at(set, (uint32_t)i), seed);
        uint64_t bit = trie_hash(key, seed) & (bits - 1);

        m->filter[bit >> 3] |= (unsigned char)(1u << (bit & 7));
    }
    *section = str_make((char *)m->filter, bits / 8);
    return 0;
}

int trie_maker_finish(struct trie_maker *m, struct str sections[TRIE_SECTIONS])
{
    int rc = make_table(&m->words, word_key, &sections[TRIE_WORDS],
                        &sections[TRIE_WORD_PILOTS]);

    if (!rc)
        rc = make_table(&m->steps, step_key, &sections[TRIE_STEPS],
                        &sections[TRIE_STEP_PILOTS]);
    if (!rc)
        rc =
            make_filter(m, trie_get64(m->steps.pilots), &sections[TRIE_FILTER]);
    sections[TRIE_LONGER] = buf_str(&m->longer);
    return rc;
}
