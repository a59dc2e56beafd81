/*
 * zcode - the end of a zstd block: matches as bits.
 *
 * Model.   A compressed block is literals, then sequences: so many literals,
 *          then so many bytes from so far back (RFC 8878, section 3.1.1.3.2).
 *          zcode_put() writes them with the code tables that every decoder has
 *          (section 3.1.1.3.2.2), so that none is counted, made or stored.
 * Owns.    Nothing: the tables are the caller's, and constant once made.
 * Threads. Pure functions.
 * Cost.    Three look-ups and two stores a sequence.
 */
#ifndef BASE_ZCODE_H
#define BASE_ZCODE_H

#include <stddef.h>
#include <stdint.h>

#define ZCODE_LENGTH_MAX  UINT16_MAX           /* bytes, of either length */
#define ZCODE_MATCH_MIN   3                    /* bytes */
#define ZCODE_SAME        1                    /* offset: as the one before */
#define ZCODE_BACK(bytes) ((bytes) + 3)        /* offset: so many bytes back */
#define ZCODE_BACK_MAX    ((1u << 19) - 1 - 3) /* bytes back */
#define ZCODE_BYTES(n)    (9 * (n) + 24)       /* at most, of n sequences */

struct zcode_sequence {
    uint16_t literals; /* bytes before the match */
    uint16_t match;    /* bytes, ZCODE_MATCH_MIN or more */
    uint32_t offset;   /* ZCODE_SAME, if literals is not 0; or ZCODE_BACK() */
};

/* From a state to one before it that says a symbol: bits to be written. */
struct zcode_step {
    uint8_t state, bits;
    uint16_t value;
};

#define ZCODE_STATES   64 /* at most, of a table */
#define ZCODE_LITERALS 36
#define ZCODE_MATCHES  53
#define ZCODE_OFFSETS  29

#define ZCODE_SMALL 256 /* lengths that are looked up */

struct zcode {
    uint8_t small[ZCODE_SMALL]; /* the symbol of so many literals */
    struct zcode_step literals[ZCODE_LITERALS][ZCODE_STATES];
    struct zcode_step matches[ZCODE_MATCHES][ZCODE_STATES];
    struct zcode_step offsets[ZCODE_OFFSETS][ZCODE_STATES];
};

void zcode_make(struct zcode *z);

/* The section of n sequences; to has room for ZCODE_BYTES(n).  Its bytes. */
size_t zcode_put(const struct zcode *z, const struct zcode_sequence *s,
                 size_t n, unsigned char *to);

#endif
