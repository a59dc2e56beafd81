/*
 * trie - the match table of queries.bin: all norms, word by word.
 *
 * Model.   A node is a sequence of words that some norm is or begins with.
 *          Nodes of one word stand in a hash table of words; longer ones in a
 *          second, of steps, by the node before and the word that follows:
 *
 *              trie_word()    bytes of a word      -> its node, or none
 *              trie_step()    node, word's node    -> the longer node, or none
 *
 *          A node knows the group whose norm it is, if any, and whether longer
 *          norms begin with it; a word also whether it stands anywhere behind
 *          the first one.  So most words that begin nothing, or are followed
 *          by what continues nothing, cost no second look-up; and of the
 *          others a bit of the filter tells most steps that there are none.
 *
 *          Nothing rests on hashes being distinct.  A step is its two nodes;
 *          a word of up to 8 bytes is those bytes; a longer one has a hash in
 *          its slot and is compared with bytes elsewhere (trie_spells()).
 *
 *          Words never hold a NUL byte, so that zeros behind a short word say
 *          where it ends.
 * Layout.  Four sections of queries.bin (docs/formats/queries.md).  Slots are
 *          found by the upper bits of a hash, times their number; then one
 *          after another, the first behind the last.
 * Owns.    struct trie is a view; struct trie_maker its tables.
 * Fails.   trie_check: the number of what is wrong, as said there.  Making one:
 *          -E_NOMEM; -E_TOOBIG past TRIE_NODES_MAX.
 * Threads. A view is constant; a maker has one thread.
 * Cost.    A look-up is a line of memory, and rarely a second: slots have 16
 *          bytes and are at most 5/8 full.  The caller asks for it
 *          (trie_fetch(), trie_fetch_filter()) some look-ups ahead.
 */
#ifndef QUERYLIST_TRIE_H
#define QUERYLIST_TRIE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/buf.h"
#include "base/str.h"
#include "querylist/words.h"

#define TRIE_SLOT_SIZE 16u        /* bytes, of either table */
#define TRIE_UNIT      16u        /* bytes that long words come in */
#define TRIE_SHORT     8u         /* bytes of the longest short word */
#define TRIE_WORD_MAX  UINT16_MAX /* bytes of any word */
#define TRIE_NODES_MAX (UINT32_C(1) << 29)
#define TRIE_NO_GROUP  UINT32_MAX

/* A node as slots and look-ups have it: an id from 1 and what is known. */
#define TRIE_ID        (TRIE_NODES_MAX - 1)
#define TRIE_LONG      (UINT32_C(1) << 29) /* the id is the word's unit */
#define TRIE_BEGINS    (UINT32_C(1) << 30) /* longer norms begin with it */
#define TRIE_CONTINUES (UINT32_C(1) << 31) /* a norm has it behind another */

enum trie_section {
    TRIE_WORDS,  /* slots: u64 key, u32 node, u32 group; node 0 is free */
    TRIE_LONGER, /* long words: u16 bytes, the bytes, zeros up to a unit;
                    the first unit is empty */
    TRIE_STEPS,  /* slots: u32 node before, u32 word, u32 node, u32 group;
                    node before 0 is free; ids alone but for `node` */
    TRIE_FILTER, /* bits: that of each step's hash is set */
    TRIE_SECTIONS
};

/* Where in a slot a field stands. */
enum {
    TRIE_WORD_KEY = 0,
    TRIE_WORD_NODE = 8,
    TRIE_STEP_BEFORE = 0,
    TRIE_STEP_WORD = 4,
    TRIE_STEP_NODE = 8,
    TRIE_SLOT_GROUP = 12 /* in either */
};

struct trie {
    const unsigned char *at[TRIE_SECTIONS];
    uint64_t words, steps; /* slots */
    uint64_t filter_mask;  /* bits of the filter - 1 */
};

/* What a look-up finds: node 0 for nothing. */
struct trie_found {
    uint32_t node;
    uint32_t group; /* or TRIE_NO_GROUP */
};

/* ---- reading ---- */

static inline uint32_t trie_get32(const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t trie_get64(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* The product's halves, folded. */
static inline uint64_t trie_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 wide = (unsigned __int128)a * b;

    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

/* Odd numbers without a pattern: digits of the square roots of 2, 3 and 5. */
#define TRIE_K0 UINT64_C(0x6a09e667f3bcc909)
#define TRIE_K1 UINT64_C(0xbb67ae8584caa73b)
#define TRIE_K2 UINT64_C(0x3c6ef372fe94f82b)

static inline uint64_t trie_word_hash(uint64_t key, bool is_long)
{
    return is_long ? key : trie_fold(key ^ TRIE_K0, TRIE_K1);
}

/* Key of a word of more than TRIE_SHORT bytes. */
static inline uint64_t trie_long_key(const unsigned char *p, size_t n)
{
    uint64_t h = n * TRIE_K2;

    for (; n > 16; n -= 16, p += 16)
        h = trie_fold(trie_get64(p) ^ TRIE_K0 ^ h, trie_get64(p + 8) ^ TRIE_K1);
    return n > 8 ? trie_fold(trie_get64(p) ^ TRIE_K0 ^ h,
                             trie_get64(p + n - 8) ^ TRIE_K1)
                 : trie_fold(trie_get64(p + n - 8) ^ TRIE_K0 ^ h, TRIE_K1);
}

/* Key of a word of up to TRIE_SHORT bytes; 8 bytes can be read at p. */
static inline uint64_t trie_short_key(const unsigned char *p, size_t n)
{
    static const uint64_t mask[TRIE_SHORT + 1] = {0,
                                                  0xff,
                                                  0xffff,
                                                  0xffffff,
                                                  0xffffffff,
                                                  UINT64_C(0xffffffffff),
                                                  UINT64_C(0xffffffffffff),
                                                  UINT64_C(0xffffffffffffff),
                                                  UINT64_MAX};

    return trie_get64(p) & mask[n];
}

static inline uint64_t trie_step_hash(uint32_t before, uint32_t word)
{
    return trie_fold((before | (uint64_t)word << 32) ^ TRIE_K0, TRIE_K2);
}

static inline uint64_t trie_slot(uint64_t hash, uint64_t slots)
{
    return (uint64_t)(((unsigned __int128)hash * slots) >> 64);
}

static inline void trie_fetch(const unsigned char *table, uint64_t slot)
{
    __builtin_prefetch(table + slot * TRIE_SLOT_SIZE);
}

/* Is it the bytes of that long word? */
static inline bool trie_spells(const struct trie *t, uint32_t node,
                               const unsigned char *p, size_t n)
{
    const unsigned char *w =
        t->at[TRIE_LONGER] + (size_t)(node & TRIE_ID) * TRIE_UNIT;

    return (w[0] | (size_t)w[1] << 8) == n && memcmp(w + 2, p, n) == 0;
}

/* The next word from slot on that has the key and is short or long as asked;
 * *slot moves to it.  Of a long one only the key is compared: where
 * trie_spells() says no, ask again from the slot behind. */
static inline struct trie_found trie_word(const struct trie *t, uint64_t *slot,
                                          uint64_t key, bool is_long)
{
    const unsigned char *p = t->at[TRIE_WORDS] + *slot * TRIE_SLOT_SIZE;
    struct trie_found f;

    for (;;) {
        f.node = trie_get32(p + TRIE_WORD_NODE);
        f.group = trie_get32(p + TRIE_SLOT_GROUP);
        if (!f.node ||
            (trie_get64(p) == key && !(f.node & TRIE_LONG) == !is_long))
            return f;
        p += TRIE_SLOT_SIZE;
        if (++*slot == t->words) {
            *slot = 0;
            p = t->at[TRIE_WORDS];
        }
    }
}

static inline void trie_fetch_filter(const struct trie *t, uint64_t hash)
{
    __builtin_prefetch(t->at[TRIE_FILTER] + ((hash & t->filter_mask) >> 3));
}

/* Can there be a step of that hash?  False is certain. */
static inline bool trie_may_step(const struct trie *t, uint64_t hash)
{
    uint64_t bit = hash & t->filter_mask;

    return t->at[TRIE_FILTER][bit >> 3] >> (bit & 7) & 1;
}

/* before, word: ids alone. */
static inline struct trie_found trie_step(const struct trie *t, uint64_t hash,
                                          uint32_t before, uint32_t word)
{
    uint64_t slot = trie_slot(hash, t->steps);
    const unsigned char *p = t->at[TRIE_STEPS] + slot * TRIE_SLOT_SIZE;
    uint64_t want = before | (uint64_t)word << 32;

    for (;;) {
        uint64_t key = trie_get64(p);

        if (key == want)
            return (struct trie_found){trie_get32(p + TRIE_STEP_NODE),
                                       trie_get32(p + TRIE_SLOT_GROUP)};
        if (!(uint32_t)key)
            return (struct trie_found){0, TRIE_NO_GROUP};
        p += TRIE_SLOT_SIZE;
        if (++slot == t->steps) {
            slot = 0;
            p = t->at[TRIE_STEPS];
        }
    }
}

/* The view over sections of so many bytes.  Is anything in them that a look-up
 * could go wrong by?  NULL, or what; *where: which slot.  Groups are the
 * caller's to check. */
const char *trie_open(struct trie *t,
                      const unsigned char *const at[TRIE_SECTIONS],
                      const uint64_t bytes[TRIE_SECTIONS], uint64_t *where);

/* Does some norm stand in the words, one at a time and without a batch? */
bool trie_has_any(const struct trie *t, const struct words *w);

/* ---- making ---- */

struct trie_table {
    unsigned char *p;
    uint64_t slots, used;
};

struct trie_maker { /* private */
    struct trie_table words, steps;
    struct buf longer;
    unsigned char *filter;
    uint32_t last_id; /* ids of what is no long word count down */
};

void trie_maker_init(struct trie_maker *m);
void trie_maker_release(struct trie_maker *m);

/* One norm: words with one space between two.  Norms are distinct, and hold no
 * NUL byte. */
int trie_maker_add(struct trie_maker *m, struct str norm, uint32_t group);

/* Nothing is added after it; the sections' bytes, in turn, until release. */
int trie_maker_finish(struct trie_maker *m, struct str sections[TRIE_SECTIONS]);

/* A view over sections that were just made, for as long as they are there. */
void trie_made(struct trie *t, const struct str sections[TRIE_SECTIONS]);

#endif
