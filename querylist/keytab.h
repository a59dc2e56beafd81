/*
 * keytab - byte strings, numbered, each with a sum, in memory of a ceiling.
 *
 * Model.   keytab_add() gives a key's number (from 0, without gaps, in the
 *          order in which keys came) and adds to its sum.  keytab_sort() gives
 *          all numbers in bytewise order of keys.  keytab_reset() forgets all.
 * Owns.    Copies of the keys.
 * Fails.   -E_TOOBIG when one more key would pass max_bytes, or KEYTAB_MAX
 *          keys: nothing is added; sort and write what is there, reset, and
 *          add again.  -E_RANGE for a key over KEYTAB_KEY_MAX or a sum over 64
 *          bits; -E_NOMEM.
 * Threads. One at a time.
 * Cost.    The first 16 bytes of a key lie beside its sum, so that a short
 *          one is compared as two words; a cache line for the slot and one for
 *          the key.  60 to 90 bytes a key, 20 of them for sorting, and what
 *          is over 16 bytes of it.
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

struct keytab_key {
    uint64_t head[2]; /* its first 16 bytes, zeros behind */
    uint64_t n;       /* the sum */
    uint32_t len;     /* bytes */
    uint32_t tail;    /* of the bytes from the 17th on, in tails */
};

struct keytab {
    struct keytab_key *v; /* by number */
    uint32_t n, cap;
    uint64_t *slots; /* number + 1, and above it half of the hash; 0: empty */
    size_t n_slots;  /* a power of two */
    char *tails;
    size_t n_tails, cap_tails;
    size_t max_bytes; /* ceiling of all tables, sorting included */
};

void keytab_init(struct keytab *t, size_t max_bytes);
void keytab_release(struct keytab *t);
void keytab_reset(struct keytab *t);

int keytab_add(struct keytab *t, struct str key, uint64_t n, uint32_t *id);

/* Numbers in bytewise order of keys, in an array of t->n that the caller
 * frees; NULL when memory is out.  The slots are given up for it: only
 * keytab_text() and keytab_reset() may follow. */
uint32_t *keytab_sort(struct keytab *t);

/* The key's bytes, written to `to` (KEYTAB_KEY_MAX). */
struct str keytab_text(const struct keytab *t, uint32_t id, char *to);

/* ---- the quick way in: for a key whose head the caller has ---- */

static inline uint64_t keytab_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t keytab_hash(const uint64_t head[2], uint32_t len)
{
    return keytab_mix(head[0] ^ UINT64_C(0x9e3779b97f4a7c15) ^
                          (uint64_t)len << 56,
                      head[1] ^ UINT64_C(0xd1b54a32d192ed03));
}

/* First 16 bytes of p[0, n), zeros behind, where 16 can be read. */
static inline void keytab_head(const char *p, size_t n, uint64_t head[2])
{
    memcpy(head, p, 16);
    if (n < 8) {
        head[0] &= (UINT64_C(1) << (8 * n)) - 1;
        head[1] = 0;
    } else if (n < 16) {
        head[1] &= (UINT64_C(1) << (8 * (n - 8))) - 1;
    }
}

/* The same as keytab_add() of a key of at most 16 bytes. */
int keytab_add_short(struct keytab *t, const uint64_t head[2], uint32_t len,
                     uint64_t n, uint32_t *id);

#endif
