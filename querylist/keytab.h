/*
 * keytab - byte strings, numbered, each with a sum, in memory of a ceiling.
 *
 * Model.   keytab_add() gives a key's number (from 0, without gaps, in the
 *          order in which keys came) and adds to its sum.  keytab_sort() puts
 *          all keys in bytewise order, where keytab_at() gives them by place.
 *          keytab_reset() forgets all.
 * Owns.    Copies of the keys.
 * Fails.   -E_TOOBIG when one more key would pass max_bytes, or KEYTAB_MAX
 *          keys: nothing is added; sort and write what is there, reset, and
 *          add again.  -E_RANGE for a key over KEYTAB_KEY_MAX or a sum over 64
 *          bits; -E_NOMEM.
 * Threads. One at a time.
 * Cost.    Hashed with a secret, so that no text can be made whose words
 *          collide; order and numbers do not depend on it.
 *          A slot holds a short key, number and sum together, so that a key is
 *          one cache line, and comparing it two words.  43 to 86 bytes a key,
 *          as the table is three quarters to three eighths full; of a key over
 *          16 bytes, what is over 8 besides.  Sorting is in place.
 */
#ifndef QUERYLIST_KEYTAB_H
#define QUERYLIST_KEYTAB_H

#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYTAB_KEY_MAX 4096u      /* bytes of a key */
#define KEYTAB_MAX     (1u << 25) /* keys, less one: bigrams pack two numbers */
#define KEYTAB_MIN     (64u << 10) /* bytes that max_bytes should have */
#define KEYTAB_SHORT   16u         /* bytes of a key that fit a slot */

struct keytab_slot {
    uint64_t head[2]; /* a short key, zeros behind it; of a long one the first
                         eight bytes, and where in tails the others are */
    uint64_t n;       /* the sum */
    uint64_t meta;    /* number + 1 in 25 bits, length in 13, hash in 26; 0:
                         empty */
};

struct keytab {
    struct keytab_slot *slots; /* sorted: n keys in order */
    size_t n_slots;
    uint32_t n;
    char *tails;
    size_t n_tails, cap_tails;
    size_t max_bytes; /* ceiling of both */
    uint64_t key[2];  /* of the hash: base/hash.h's secrets */
};

void keytab_init(struct keytab *t, size_t max_bytes);
void keytab_release(struct keytab *t);
void keytab_reset(struct keytab *t);

int keytab_add(struct keytab *t, struct str key, uint64_t n, uint32_t *id);

/* keytab_add() in two steps, so that a key's line is fetched while others are
 * worked on: look up some keys ahead of the one that is finished. */
struct keytab_lookup {
    uint64_t head[2], h;
    uint32_t len;
    const char *p; /* the key, for as long as the look-up */
};

/* key.n at most KEYTAB_KEY_MAX; 16 bytes can be read at key.p. */
void keytab_look_up(const struct keytab *t, struct keytab_lookup *l,
                    struct str key);
int keytab_finish(struct keytab *t, const struct keytab_lookup *l, uint64_t n,
                  uint32_t *id);

/* The slot of a number, by looking at all of them. */
const struct keytab_slot *keytab_find(const struct keytab *t, uint32_t id);

/* Only what is below, and reset, may follow.  The second forgets keys of a
 * smaller sum than `least`, and sorts the others. */
void keytab_sort(struct keytab *t);
void keytab_sort_least(struct keytab *t, uint64_t least);

static inline const struct keytab_slot *keytab_at(const struct keytab *t,
                                                  uint32_t place)
{
    return &t->slots[place];
}

static inline uint32_t keytab_number(const struct keytab_slot *s)
{
    return (uint32_t)(s->meta & (KEYTAB_MAX - 1)) - 1;
}

/* The key's bytes, written to `to` (KEYTAB_KEY_MAX). */
struct str keytab_text(const struct keytab *t, const struct keytab_slot *s,
                       char *to);

/* Likewise of keytab_at(t, place), where places are asked one after another:
 * what is needed for those that follow is fetched. */
struct str keytab_text_at(const struct keytab *t, uint32_t place, char *to);

#endif
