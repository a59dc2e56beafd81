#include "base/zcode.h"

#include <endian.h>
#include <string.h>

/* ---- the tables that every decoder has ---- */

#define LITERALS_BITS 6 /* of a state */
#define MATCHES_BITS  6
#define OFFSETS_BITS  5
#define LENGTHS_BITS                                                           \
    21 /* behind a sequence's lengths: with the 18 of an offset                \
        * and its three states not more than 56 */

/* How many of a table's states say each symbol; -1: one, at its end. */
static const int8_t literals_states[ZCODE_LITERALS] = {
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1,  1,  2,  2,
    2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1};
static const int8_t matches_states[ZCODE_MATCHES] = {
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1,  1,  1,  1,  1,  1,  1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1};
static const int8_t offsets_states[ZCODE_OFFSETS] = {
    1, 1, 1, 1, 1, 1, 2, 2, 2, 1,  1,  1,  1,  1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1};

/* Bits behind the symbol of a number of literals; the symbols' numbers follow
 * one another without a gap. */
static const uint8_t literals_bits[ZCODE_LITERALS] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  1,  1,
    1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static unsigned log2_of(uint32_t v)
{
    return 31 - (unsigned)__builtin_clz(v);
}

/* Which symbol each state says: RFC 8878, section 4.1.1. */
static void spread(const int8_t *states, unsigned n, unsigned size,
                   uint8_t *symbol)
{
    unsigned top = size, at = 0;

    for (unsigned s = 0; s < n; s++)
        if (states[s] < 0)
            symbol[--top] = (uint8_t)s;
    for (unsigned s = 0; s < n; s++) {
        for (int i = 0; i < states[s]; i++) {
            symbol[at] = (uint8_t)s;
            do
                at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1);
            while (at >= top);
        }
    }
}

/*
 * A decoder goes from a state to the one that its base and some bits of the
 * stream add up to.  The states of a symbol share all states out among them as
 * such next ones, so backwards there is one way from each.
 */
static void make(const int8_t *states, unsigned n, unsigned bits,
                 struct zcode_step (*step)[ZCODE_STATES])
{
    uint8_t symbol[ZCODE_STATES], next[ZCODE_MATCHES];
    unsigned size = 1u << bits;

    spread(states, n, size, symbol);
    for (unsigned s = 0; s < n; s++)
        next[s] = states[s] < 0 ? 1 : (uint8_t)states[s];
    for (unsigned i = 0; i < size; i++) {
        unsigned k = next[symbol[i]]++, read = bits - log2_of(k);
        unsigned base = (k << read) - size;

        for (unsigned v = 0; v < 1u << read; v++)
            step[symbol[i]][base + v] =
                (struct zcode_step){(uint8_t)i, (uint8_t)read, (uint16_t)v};
    }
}

void zcode_make(struct zcode *z)
{
    memset(z, 0, sizeof *z);
    for (unsigned i = 0, n = 0; n < ZCODE_SMALL; i++)
        for (unsigned k = 0; k < 1u << literals_bits[i]; k++)
            z->small[n++] = (uint8_t)i;
    make(literals_states, ZCODE_LITERALS, LITERALS_BITS, z->literals);
    make(matches_states, ZCODE_MATCHES, MATCHES_BITS, z->matches);
    make(offsets_states, ZCODE_OFFSETS, OFFSETS_BITS, z->offsets);
}

/* ---- lengths as symbols ---- */

/* A length's symbol, and the bits that stand behind it. */
struct symbol {
    unsigned symbol, bits;
    uint32_t value;
};

static inline struct symbol literals_symbol(const struct zcode *z, uint32_t n)
{
    unsigned s = n < ZCODE_SMALL ? z->small[n] : log2_of(n) + 19;

    return (struct symbol){s, literals_bits[s],
                           n & ((1u << literals_bits[s]) - 1)};
}

static inline struct symbol match_symbol(uint32_t length)
{
    static const uint8_t small[128] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
        32, 32, 33, 33, 34, 34, 35, 35, 36, 36, 36, 36, 37, 37, 37, 37,
        38, 38, 38, 38, 38, 38, 38, 38, 39, 39, 39, 39, 39, 39, 39, 39,
        40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40,
        41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41,
        42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42,
        42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42};
    static const uint8_t bits[ZCODE_MATCHES] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,  0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  1,  1,  1, 1,
        2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    uint32_t n = length - ZCODE_MATCH_MIN;
    unsigned s = n < 128 ? small[n] : log2_of(n) + 36;

    return (struct symbol){s, bits[s], n & ((1u << bits[s]) - 1)};
}

static inline struct symbol offset_symbol(uint32_t offset)
{
    unsigned b = log2_of(offset);

    return (struct symbol){b, b, offset - (1u << b)};
}

/* ---- bits ---- */

/* Some bits, the first ones lowest. */
struct bits {
    uint64_t have;
    unsigned n;
};

static inline void add(struct bits *b, uint64_t value, unsigned n)
{
    b->have |= value << b->n;
    b->n += n;
}

static inline void add_step(struct bits *b, struct zcode_step s)
{
    add(b, s.value, s.bits);
}

/* Whole bytes go to `to`, fewer than 8 bits stay; 8 bytes are written. */
static inline unsigned char *flush(struct bits *b, unsigned char *to)
{
    uint64_t v = htole64(b->have);

    memcpy(to, &v, sizeof v);
    to += b->n >> 3;
    b->have >>= b->n & 56;
    b->n &= 7;
    return to;
}

/* more, 56 bits at most, behind what is left in b. */
static inline unsigned char *put(struct bits *b, struct bits more,
                                 unsigned char *to)
{
    add(b, more.have, more.n);
    return flush(b, to);
}

static size_t put_count(size_t n, unsigned char *to)
{
    if (n < 128) {
        to[0] = (unsigned char)n;
        return 1;
    }
    if (n < 0x7f00) {
        to[0] = (unsigned char)((n >> 8) + 128);
        to[1] = (unsigned char)n;
        return 2;
    }
    to[0] = 255;
    to[1] = (unsigned char)(n - 0x7f00);
    to[2] = (unsigned char)((n - 0x7f00) >> 8);
    return 3;
}

/* A decoder reads backwards, so all is written from the end: the states of a
 * sequence before what tells its lengths, and the first one's at last.  A
 * sequence's bits are put together apart from those before it, so that the
 * processor has several sequences in hand. */
static unsigned char *put_bits(const struct zcode *z,
                               const struct zcode_sequence *s, size_t n,
                               unsigned char *to)
{
    struct zcode_step literals = {0, 0, 0}, match = {0, 0, 0},
                      offset = {0, 0, 0};
    struct bits b = {0, 0};

    for (size_t i = n; i-- > 0;) {
        struct symbol l = literals_symbol(z, s[i].literals);
        struct symbol m = match_symbol(s[i].match);
        struct symbol o = offset_symbol(s[i].offset);
        struct bits more = {0, 0};

        literals = z->literals[l.symbol][literals.state];
        match = z->matches[m.symbol][match.state];
        offset = z->offsets[o.symbol][offset.state];
        if (i + 1 < n) {
            add_step(&more, offset);
            add_step(&more, match);
            add_step(&more, literals);
        }
        add(&more, l.value, l.bits);
        if (l.bits + m.bits > LENGTHS_BITS) {
            to = put(&b, more, to);
            more = (struct bits){0, 0};
        }
        add(&more, m.value, m.bits);
        add(&more, o.value, o.bits);
        to = put(&b, more, to);
    }
    add(&b, match.state, MATCHES_BITS);
    add(&b, offset.state, OFFSETS_BITS);
    add(&b, literals.state, LITERALS_BITS);
    add(&b, 1, 1);         /* where to begin to read */
    b.n = (b.n + 7) & ~7u; /* the last byte, though not full */
    return flush(&b, to);
}

size_t zcode_put(const struct zcode *z, const struct zcode_sequence *s,
                 size_t n, unsigned char *to)
{
    unsigned char *p = to + put_count(n, to);

    if (n == 0)
        return 1;
    *p++ = 0; /* all three by the tables that every decoder has */
    return (size_t)(put_bits(z, s, n, p) - to);
}
