/*
 * wikitext_scan - find the next byte that can be markup.
 *
 * Model.   A scan looks at aligned blocks of 64 bytes and keeps a bit for each
 *          byte of the block that it stopped in, so that going on in that block
 *          costs a few instructions.  What it looks for is a function of 64
 *          bytes, known where the scan is compiled.
 * Threads. Values.
 * Cost.    Three or nine comparisons for 16 bytes with SSE2; elsewhere a
 *          table look-up for each byte.
 */
#ifndef QUERYLIST_WIKITEXT_SCAN_H
#define QUERYLIST_WIKITEXT_SCAN_H

#include "base/str.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SCAN_BLOCK 64u

struct scan {
    struct str text;
    size_t block;  /* number of the block that mask is of; SIZE_MAX: none */
    uint64_t mask; /* bit i: byte i of the block is one looked for */
};

typedef uint64_t scan_bits(const char *p);

static inline void scan_init(struct scan *s, struct str text)
{
    *s = (struct scan){text, SIZE_MAX, 0};
}

#ifdef __SSE2__
#define SCAN_EQ(v, c) _mm_cmpeq_epi8(v, _mm_set1_epi8(c))

static inline uint64_t scan_join(const __m128i v[4])
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 4; i++)
        bits |= (uint64_t)(unsigned)_mm_movemask_epi8(v[i]) << 16 * i;
    return bits;
}

/* { } < */
static inline uint64_t scan_cuts(const char *p)
{
    __m128i v[4];

    for (unsigned i = 0; i < 4; i++) {
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)p + i);

        v[i] = _mm_or_si128(_mm_or_si128(SCAN_EQ(c, '{'), SCAN_EQ(c, '}')),
                            SCAN_EQ(c, '<'));
    }
    return scan_join(v);
}

/* [ ] { } | < & ' : _ and line feed */
static inline uint64_t scan_text(const char *p)
{
    __m128i v[4];

    for (unsigned i = 0; i < 4; i++) {
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)p + i);
        __m128i low = _mm_or_si128(c, _mm_set1_epi8(0x20)); /* [ ] as { } */
        __m128i quote = _mm_or_si128(c, _mm_set1_epi8(1));  /* & as ' */
        __m128i a = _mm_or_si128(SCAN_EQ(low, '{'), SCAN_EQ(low, '}'));
        __m128i b = _mm_or_si128(SCAN_EQ(quote, '\''), SCAN_EQ(c, '<'));
        __m128i d = _mm_or_si128(SCAN_EQ(c, '\n'), SCAN_EQ(c, ':'));
        __m128i f = _mm_or_si128(SCAN_EQ(c, '|'), SCAN_EQ(c, '_'));

        v[i] = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(d, f));
    }
    return scan_join(v);
}
#else
#define SCAN_CUTS 1
#define SCAN_TEXT 2

static const unsigned char scan_class[256] = {
    ['{'] = SCAN_CUTS | SCAN_TEXT,
    ['}'] = SCAN_CUTS | SCAN_TEXT,
    ['<'] = SCAN_CUTS | SCAN_TEXT,
    ['['] = SCAN_TEXT,
    [']'] = SCAN_TEXT,
    ['|'] = SCAN_TEXT,
    ['&'] = SCAN_TEXT,
    ['\''] = SCAN_TEXT,
    [':'] = SCAN_TEXT,
    ['_'] = SCAN_TEXT,
    ['\n'] = SCAN_TEXT,
};

static inline uint64_t scan_of(const char *p, unsigned class)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < SCAN_BLOCK; i++)
        bits |= (uint64_t)((scan_class[(unsigned char)p[i]] & class) != 0) << i;
    return bits;
}

static inline uint64_t scan_cuts(const char *p)
{
    return scan_of(p, SCAN_CUTS);
}

static inline uint64_t scan_text(const char *p)
{
    return scan_of(p, SCAN_TEXT);
}
#endif

/* The first byte looked for in [from, end), or end. */
static inline __attribute__((always_inline)) size_t
scan_next(struct scan *s, size_t from, size_t end, scan_bits *bits)
{
    size_t block = from / SCAN_BLOCK;
    uint64_t left;

    if (from >= end)
        return end;
    for (;; block++) {
        size_t at = block * SCAN_BLOCK;

        if (at >= end)
            return end;
        if (s->block != block) {
            char last[SCAN_BLOCK] = {0};

            s->block = block;
            if (s->text.n - at >= SCAN_BLOCK) {
                s->mask = bits(s->text.p + at);
            } else {
                memcpy(last, s->text.p + at, s->text.n - at);
                s->mask = bits(last);
            }
        }
        left = at < from ? s->mask & ~UINT64_C(0) << (from - at) : s->mask;
        if (left) {
            at += (unsigned)__builtin_ctzll(left);
            return at < end ? at : end;
        }
    }
}

#endif
