/*
 * words_scan - 16 bytes of a text at a time, as bits.
 *
 * Model.   words_load() reads 16 bytes; each words_*() of them is a number
 *          whose bit i speaks of byte i.
 * Cost.    A few instructions where the processor has SSE2, which every x86-64
 *          has; a loop of 16 elsewhere.
 */
#ifndef QUERYLIST_WORDS_SCAN_H
#define QUERYLIST_WORDS_SCAN_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define WORDS_BLOCK 16u /* bytes */

#ifdef __SSE2__

struct words_block {
    __m128i v;
};

static inline struct words_block words_load(const char *p)
{
    return (struct words_block){
        _mm_loadu_si128((const __m128i *)(const void *)p)};
}

static inline void words_store(char *p, struct words_block b)
{
    _mm_storeu_si128((__m128i *)(void *)p, b.v);
}

static inline uint32_t words_equal(struct words_block b, char c)
{
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(b.v, _mm_set1_epi8(c)));
}

/* first <= byte < first + count, unsigned: as a signed comparison 128 lower. */
static inline uint32_t words_range(struct words_block b, unsigned char first,
                                   unsigned char count)
{
    __m128i low = _mm_sub_epi8(b.v, _mm_set1_epi8((char)(first + 128)));

    return (uint32_t)_mm_movemask_epi8(
        _mm_cmplt_epi8(low, _mm_set1_epi8((char)(count - 128))));
}

/* With the bits of `bits` set in each byte. */
static inline struct words_block words_or(struct words_block b, char bits)
{
    return (struct words_block){_mm_or_si128(b.v, _mm_set1_epi8(bits))};
}

#else

struct words_block {
    unsigned char v[WORDS_BLOCK];
};

static inline struct words_block words_load(const char *p)
{
    struct words_block b;

    memcpy(b.v, p, sizeof b.v);
    return b;
}

static inline void words_store(char *p, struct words_block b)
{
    memcpy(p, b.v, sizeof b.v);
}

static inline uint32_t words_equal(struct words_block b, char c)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        bits |= (uint32_t)(b.v[i] == (unsigned char)c) << i;
    return bits;
}

static inline uint32_t words_range(struct words_block b, unsigned char first,
                                   unsigned char count)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        bits |= (uint32_t)((unsigned char)(b.v[i] - first) < count) << i;
    return bits;
}

static inline struct words_block words_or(struct words_block b, char bits)
{
    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        b.v[i] |= (unsigned char)bits;
    return b;
}

#endif

/* ASCII letters and digits. */
static inline uint32_t words_joins(struct words_block b)
{
    return words_range(words_or(b, 0x20), 'a', 26) | words_range(b, '0', 10);
}

/* TAB, LF, VT, FF, CR and the space. */
static inline uint32_t words_blank(struct words_block b)
{
    return words_equal(b, ' ') | words_range(b, '\t', 5);
}

#endif
