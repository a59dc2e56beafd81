/*
 * trie - the match table of queries.bin: all norms, word by word.
 *
 * Model.   A node is a sequence of words that some norm is or begins with.
 *          Nodes of one word stand in a table of words; longer ones in a
 *          second, of steps, by the node before and the word that follows.
 *
 *          A node knows the group whose norm it is, if any, and whether longer
 *          norms begin with it; a word also whether it stands anywhere behind
 *          the first one.  So most words that begin nothing, or are followed
 *          by what continues nothing, cost no second look-up; and of the
 *          others a bit of the filter tells most steps that there are none.
 *
 *          Nothing rests on hashes being distinct.  A step's key is its two
 *          nodes; a word of up to 8 bytes is its own key; a longer one's is a
 *          hash, and its bytes stand elsewhere to be compared (trie_spells()).
 *
 *          Words never hold a NUL byte, so that zeros behind a word say where
 *          it ends, and no word's bytes are the key of a long one.
 * Layout.  Six sections of queries.bin (docs/formats/queries.md).  Each key has
 *          one slot where it can stand (querylist/displace.h).
 * Owns.    struct trie is a view of its sections.  They are made by
 *          querylist/trie_make.h.
 * Fails.   trie_open: what is wrong, as said there.
 * Threads. A view is constant.
 * Cost.    A look-up is a pilot, a line of memory that holds the slot, and no
 *          branch that depends on either.  The caller asks for the line
 *          (trie_fetch()) some look-ups ahead.
 */
#ifndef QUERYLIST_TRIE_H
#define QUERYLIST_TRIE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/str.h"
#include "querylist/displace.h"
#include "querylist/words.h"

#define TRIE_SLOT_SIZE 16u        /* bytes, of either table */
#define TRIE_UNIT      16u        /* bytes that long words come in */
#define TRIE_SHORT     8u         /* bytes of the longest short word */
#define TRIE_WORD_MAX  UINT16_MAX /* bytes of any word */
#define TRIE_NODES_MAX (UINT32_C(1) << 29)
#define TRIE_NO_GROUP  UINT32_MAX

/* A node as values and look-ups have it: an id from 1 and what is known. */
#define TRIE_ID        (TRIE_NODES_MAX - 1)
#define TRIE_LONG      (UINT32_C(1) << 29) /* the id is the word's unit */
#define TRIE_BEGINS    (UINT32_C(1) << 30) /* longer norms begin with it */
#define TRIE_CONTINUES (UINT32_C(1) << 31) /* a norm has it behind another */

enum trie_section {
    TRIE_WORDS,       /* slots: u64 key of a word, u64 value */
    TRIE_WORD_PILOTS, /* u64 seed; u16 each */
    TRIE_LONGER,      /* long words: the bytes, zeros up to a unit; of one of a
                         unit or more, its length (u16) behind the first unit's
                         bytes; the first unit is empty */
    TRIE_STEPS,       /* slots: u32 node before, u32 node of the word that
                         follows, ids alone; u64 value */
    TRIE_STEP_PILOTS, /* as those of words */
    TRIE_FILTER,      /* bits: that of each step's hash is set */
    TRIE_SECTIONS
};

struct trie_table {
    const unsigned char *slot, *pilot;
    uint64_t n_slots, n_pilots;
    uint64_t seed; /* of the hash */
};

struct trie {
    struct trie_table words, steps;
    const unsigned char *longer, *filter;
    uint64_t filter_mask; /* bits of the filter - 1 */
};

/* ---- values ---- */

/* What a look-up finds: a node in the lower half, in the upper one the group
 * whose norm it is, plus 1.  0: nothing. */
static inline uint32_t trie_node(uint64_t value)
{
    return (uint32_t)value;
}

/* Or TRIE_NO_GROUP. */
static inline uint32_t trie_group(uint64_t value)
{
    return (uint32_t)(value >> 32) - 1;
}

/* 1 where longer norms begin with the one and some have the other, a word,
 * behind another word; else 0. */
static inline uint32_t trie_goes_on(uint32_t one, uint32_t word)
{
    return one >> 30 & word >> 31;
}

/* ---- reading ---- */

static inline uint64_t trie_get64(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static inline uint32_t trie_get16(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8;
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

/* A word as its first TRIE_UNIT bytes, zeros behind it. */
struct trie_head {
    uint64_t lo, hi;
};

/* Of n bytes at p, where TRIE_UNIT can be read. */
static inline struct trie_head trie_head(const unsigned char *p, size_t n)
{
    static const unsigned char ones[2 * TRIE_UNIT] = {
        255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255};
    const unsigned char *mask =
        ones + TRIE_UNIT - (n < TRIE_UNIT ? n : TRIE_UNIT);

    return (struct trie_head){trie_get64(p) & trie_get64(mask),
                              trie_get64(p + 8) & trie_get64(mask + 8)};
}

static inline uint64_t trie_mix(struct trie_head w, uint64_t hash)
{
    return trie_fold(w.lo ^ TRIE_K0 ^ hash, w.hi ^ TRIE_K1);
}

/* Key of a word of more than TRIE_SHORT bytes, by its head and the hash of what
 * is behind that: the table's seed for a word of up to TRIE_UNIT.  A zero byte
 * before the last one, which is none, tells it from short words' keys. */
static inline uint64_t trie_long_key(struct trie_head w, uint64_t hash)
{
    uint64_t h = trie_mix(w, hash);

    return (h | UINT64_C(0xff) << 56) & ~(UINT64_C(0xff) << 48);
}

static inline bool trie_key_is_long(uint64_t key)
{
    return key >> 48 == 0xff00;
}

/* Hash of what stands behind the head of a word of n bytes, more than
 * TRIE_UNIT. */
uint64_t trie_tail_hash(const unsigned char *p, size_t n, uint64_t seed);

/* Key of any word; p: its bytes, where its head is not all of it. */
static inline uint64_t trie_word_key(struct trie_head w, const unsigned char *p,
                                     size_t n, uint64_t seed)
{
    uint64_t tail = n > TRIE_UNIT ? trie_tail_hash(p, n, seed) : seed;

    return n > TRIE_SHORT ? trie_long_key(w, tail) : w.lo;
}

static inline uint64_t trie_step_key(uint32_t before, uint32_t word)
{
    return (before & TRIE_ID) | (uint64_t)(word & TRIE_ID) << 32;
}

/* Of a key, with its table's seed. */
static inline uint64_t trie_hash(uint64_t key, uint64_t seed)
{
    return trie_fold(key ^ TRIE_K0 ^ seed, TRIE_K1);
}

/* Where alone a key of that hash can stand. */
static inline uint64_t trie_slot(const struct trie_table *t, uint64_t hash)
{
    uint64_t group = displace_group(hash, t->n_pilots);
    uint32_t pilot = trie_get16(t->pilot + 2 * group);

    return displace_slot(hash, (uint16_t)pilot, t->n_slots);
}

static inline void trie_fetch(const struct trie_table *t, uint64_t slot)
{
    __builtin_prefetch(t->slot + slot * TRIE_SLOT_SIZE);
}

/* The value of the key, whose slot that is, or 0.  No branch: none could be
 * foreseen. */
static inline uint64_t trie_at(const struct trie_table *t, uint64_t slot,
                               uint64_t key)
{
    const unsigned char *p = t->slot + slot * TRIE_SLOT_SIZE;

    return trie_get64(p + 8) & -(uint64_t)(trie_get64(p) == key);
}

static inline void trie_fetch_long(const struct trie *t, uint32_t node)
{
    __builtin_prefetch(t->longer + (size_t)(node & TRIE_ID) * TRIE_UNIT);
}

/* Is it the long word of n bytes at p, with that head?  What is in the head is
 * not read at p. */
bool trie_spells(const struct trie *t, uint32_t node, struct trie_head w,
                 const unsigned char *p, size_t n);

/* Can there be a step of that hash?  False is certain. */
static inline bool trie_may_step(const struct trie *t, uint64_t hash)
{
    uint64_t bit = hash & t->filter_mask;

    return t->filter[bit >> 3] >> (bit & 7) & 1;
}

/* The view over sections of so many bytes.  Is anything in them that a look-up
 * could go wrong by?  NULL, or what; *where: which slot.  Groups are the
 * caller's to check. */
const char *trie_open(struct trie *t,
                      const unsigned char *const at[TRIE_SECTIONS],
                      const uint64_t bytes[TRIE_SECTIONS], uint64_t *where);

/* Does some norm stand in the words, one at a time and without a batch?  None
 * of them holds a NUL byte, as under the default policy. */
bool trie_has_any(const struct trie *t, const struct words *w);

#endif
