/*
 * draw - the number that decides whether a query picks a pair (DESIGN section
 * 4, "Balancing").
 *
 * Model.   h = XXH3-64, unseeded, of: corpus seed as 8 bytes little-endian,
 *          the 16 raw bytes of the pair's uid, the norm's bytes.
 *          d = floor(h * c / 2^64), uniform in 0..c-1, in 128-bit integers.
 *          A query with cap t picks the pair iff d < t: probability
 *          min(1, t/c), the same for any order, threads, parts and restarts;
 *          a larger cap picks a superset.
 *          For billions of draws: a struct draw_bytes holds what a record's
 *          draws have in common, and filter/draw_table.h the norms.
 * Threads. Pure functions.
 */
#ifndef FILTER_DRAW_H
#define FILTER_DRAW_H

#include "base/hash.h"
#include "base/str.h"
#include <stdint.h>

#define DRAW_NORM_MAX 4096 /* bytes; longer norms are refused by queries */
#define DRAW_HEAD     (8 + MD5_SIZE)

/* What is hashed: the seed and the uid, and room for a norm. */
struct draw_bytes {
    char p[DRAW_HEAD + DRAW_NORM_MAX];
};

static inline void draw_begin(struct draw_bytes *b, uint64_t seed,
                              const uint8_t uid[MD5_SIZE])
{
    for (int i = 0; i < 8; i++)
        b->p[i] = (char)(seed >> (8 * i));
    memcpy(b->p + 8, uid, MD5_SIZE);
}

static inline uint64_t draw_hash(uint64_t seed, const uint8_t uid[MD5_SIZE],
                                 struct str norm)
{
    struct draw_bytes b;

    draw_begin(&b, seed, uid);
    memcpy(b.p + DRAW_HEAD, norm.p, norm.n);
    return hash_xxh3(str_make(b.p, DRAW_HEAD + norm.n));
}

static inline uint64_t draw_below(uint64_t h, uint64_t c)
{
    return (uint64_t)((unsigned __int128)h * c >> 64);
}

#endif
