/*
 * displace - a table without collisions: every key has a slot of its own.
 *
 * Model.   Hash and displace (Belazzougui, Botelho, Dietzfelbinger 2009; pilots
 *          as in PTHash, Pibiri and Trani 2021): a key's hash chooses one of
 *          n_pilots small numbers, its pilot, and hash and pilot together the
 *          slot.  displace_build() finds pilots, for given hashes, by which no
 *          two come to the same slot.  So whoever looks a key up reads its
 *          pilot and one slot, and compares once; there is nothing to walk on
 *          to.  What is not in the table comes to some slot too.
 *
 *          Groups of keys that share a pilot are placed the largest first,
 *          each by the smallest pilot that fits.  The outcome depends on the
 *          hashes and their order alone.
 * Fails.   displace_build: -E_NOTFOUND, no pilot fits some group: hash with
 *          another seed (equal hashes never fit); -E_TOOBIG past
 *          DISPLACE_KEYS_MAX; -E_NOMEM.
 * Threads. Stateless.
 * Cost.    A look-up is two products and two loads, of which the pilots, 2
 *          bytes for about DISPLACE_GROUP keys, mostly lie in the second cache.
 *          Building takes some tens of steps a key, and 14 bytes.
 */
#ifndef QUERYLIST_DISPLACE_H
#define QUERYLIST_DISPLACE_H

#include <stddef.h>
#include <stdint.h>

#define DISPLACE_GROUP    4u /* keys that share a pilot, on average */
#define DISPLACE_KEYS_MAX (UINT32_C(1) << 30)

/* Sizes for n keys, at most DISPLACE_KEYS_MAX: slots are filled to 7/8. */
static inline uint64_t displace_pilots(uint64_t n)
{
    return n / DISPLACE_GROUP + 1;
}

static inline uint64_t displace_slots(uint64_t n)
{
    return n + n / 7 + 1;
}

static inline uint64_t displace_scale(uint64_t hash, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)hash * n) >> 64);
}

/* Which pilot is a hash's? */
static inline uint64_t displace_group(uint64_t hash, uint64_t n_pilots)
{
    return displace_scale(hash, n_pilots);
}

/* Digits of the square roots of 7 and 11, odd. */
static inline uint64_t displace_slot(uint64_t hash, uint16_t pilot,
                                     uint64_t n_slots)
{
    uint64_t moved = hash ^ pilot * UINT64_C(0xa54ff53a5f1d36f1);

    return displace_scale(moved * UINT64_C(0x510e527fade682d1), n_slots);
}

/* Pilots for the hashes of n keys: pilot[displace_pilots(n)], slots below
 * displace_slots(n). */
int displace_build(const uint64_t *hash, size_t n, uint16_t *pilot);

#endif
