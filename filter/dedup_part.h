/*
 * dedup_part - all pairs of near phashes within one set that fits in memory.
 *
 * Model.   The 64 bits are cut into radius + k bands: two phashes within the
 *          radius agree in at least k of them.  A part holds looks that agree
 *          in (the upper bits of) band `first`, which is to be the first of the
 *          k; the further ones are chosen here: sort by a band, and within runs
 *          of equal bits by the next.  A run that is cheaper to compare than
 *          to sort again is compared at once (dedup_scan).  A run that is
 *          long still when k bands are chosen, a crowd, is cut by those of its
 *          bits that vary: into radius + 1 bands, one of which two near ones
 *          share, and so on; unless a sample says that its members find a
 *          near one soon, which ends their search.
 * Owns.    All arrays; they grow with the parts they are given.
 * Fails.   -E_NOMEM.
 * Threads. One per part; parts are independent.
 * Cost.    C(bands - first - 1, k - 1) sorts by 11 bits a look, and the
 *          comparisons; at most DEDUP_PART_BYTES a look.  Folding moves a
 *          look at most eight times, whatever phashes there are.
 */
#ifndef FILTER_DEDUP_PART_H
#define FILTER_DEDUP_PART_H

#include "base/err.h"
#include "filter/dedup_scan.h"
#include <stddef.h>
#include <stdint.h>

#define DEDUP_NONE        UINT32_MAX
#define DEDUP_KEY_BITS    11 /* bits of one sort */
#define DEDUP_KEYS        (1u << DEDUP_KEY_BITS)
#define DEDUP_PART_LEVELS 8 /* sorts within sorts */
#define DEDUP_PART_BYTES  (48 + 12 * DEDUP_PART_LEVELS)

/* A phash, the first image that has it, and the smallest earlier id whose
 * phash is near, as far as is known. */
struct dedup_look {
    uint64_t phash;
    uint32_t id;
    uint32_t best; /* DEDUP_NONE: none */
};

/* Image `id` looks exactly like the earlier image `look`. */
struct dedup_twin {
    uint32_t look, id;
};

struct dedup_bands {
    unsigned radius, k, n; /* n = radius + k */
    unsigned key_bits;     /* of a band, its upper ones, that parts share */
};

static inline unsigned dedup_band_from(const struct dedup_bands *b,
                                       unsigned band)
{
    return 64 * band / b->n;
}

static inline unsigned dedup_band_bits(const struct dedup_bands *b,
                                       unsigned band)
{
    return dedup_band_from(b, band + 1) - dedup_band_from(b, band);
}

/* The bits by which looks are put into parts, below 1 << key_bits. */
static inline uint32_t dedup_band_key(const struct dedup_bands *b,
                                      unsigned band, uint64_t phash)
{
    unsigned from = dedup_band_from(b, band + 1), bits = b->key_bits;

    if (bits > dedup_band_bits(b, band))
        bits = dedup_band_bits(b, band);
    return (uint32_t)(phash >> (from - bits) & ((UINT64_C(1) << bits) - 1));
}

struct dedup_part_level {
    uint64_t *phash;
    uint32_t *at;
    size_t cap;
};

struct dedup_part {
    const struct dedup_scan *scan;
    struct dedup_look *rows, *spare;
    size_t n, cap;
    uint64_t *phash; /* of rows in order of ids */
    uint32_t *at;    /* 0, 1, 2 ... */
    uint32_t *least; /* index of the first near one, or the row's own */
    struct dedup_twin *twins;
    size_t n_twins;
    struct dedup_part_level levels[DEDUP_PART_LEVELS];
    uint64_t moved; /* rows, by fold, each time counted */
    int rc;         /* sticky: a level that could not grow */
};

void dedup_part_init(struct dedup_part *p, const struct dedup_scan *scan);
void dedup_part_release(struct dedup_part *p);

/* Room for n rows; those there are lost. */
int dedup_part_reserve(struct dedup_part *p, size_t n, struct err *e);

/* The set bits of mask in v, side by side; the n highest bits of mask. */
uint32_t dedup_bits_take(uint64_t v, uint64_t mask);
uint64_t dedup_bits_highest(uint64_t mask, unsigned n);

/* rows[0, n), in order of ids. */
void dedup_part_order(struct dedup_part *p);

/* Of equal phashes leave the one with the smallest id in rows, whose ids
 * ascend; the others become twins. */
void dedup_part_fold(struct dedup_part *p);

/* Lower `best` of all rows by what the part holds; ids ascend. */
int dedup_part_search(struct dedup_part *p, const struct dedup_bands *bands,
                      unsigned first, struct err *e);

#endif
