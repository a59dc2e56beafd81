/*
 * words_ascii - the runs of ASCII letters and digits that nearly all words are.
 *
 * Model.   words_ascii_run() copies the run that p[0, n) begins with and says
 *          how long it is.  words_ascii_block() copies 64 bytes and says which
 *          of them belong to runs and which are spaces, a bit each: so that
 *          where a word ends need not be known to find the next one.  `lower`
 *          is 0x20 to turn letters into lower case (a digit and a space have
 *          that bit already), 0 to keep them.
 * Cost.    16 bytes at a time where the processor has SSE2, which every x86-64
 *          has; up to WORDS_ASCII_SLACK bytes behind the run are overwritten.
 *          Without SSE2 there is no block: WORDS_ASCII_BLOCK is 0.
 */
#ifndef QUERYLIST_WORDS_ASCII_H
#define QUERYLIST_WORDS_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#define WORDS_ASCII_BLOCK 64u /* bytes */
#else
#define WORDS_ASCII_BLOCK 0u
#endif

#define WORDS_ASCII_SLACK 16u /* bytes */

static inline bool words_ascii_joins(unsigned char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26 ||
           (unsigned char)(c - '0') < 10;
}

#ifdef __SSE2__

/* Bytes of letters and digits; x - first < count, unsigned, as a signed
 * comparison 128 lower. */
static inline __m128i words_ascii_joining(__m128i c)
{
    const __m128i bit = _mm_set1_epi8(0x20);
    const __m128i a = _mm_set1_epi8((char)('a' + 128));
    const __m128i zero = _mm_set1_epi8((char)('0' + 128));
    const __m128i letters = _mm_set1_epi8(26 - 128);
    const __m128i digits = _mm_set1_epi8(10 - 128);

    return _mm_or_si128(
        _mm_cmplt_epi8(_mm_sub_epi8(_mm_or_si128(c, bit), a), letters),
        _mm_cmplt_epi8(_mm_sub_epi8(c, zero), digits));
}

static inline void words_ascii_block(const char *p, unsigned char lower,
                                     char *to, uint64_t *joins,
                                     uint64_t *spaces)
{
    const __m128i put = _mm_set1_epi8((char)lower), space = _mm_set1_epi8(' ');

    *joins = *spaces = 0;
    for (unsigned i = 0; i < WORDS_ASCII_BLOCK; i += 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(p + i));

        _mm_storeu_si128((__m128i *)(void *)(to + i), _mm_or_si128(c, put));
        *joins |= (uint64_t)(unsigned)_mm_movemask_epi8(words_ascii_joining(c))
                  << i;
        *spaces |=
            (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(c, space))
            << i;
    }
}

#endif

static inline size_t words_ascii_run(const char *p, size_t n,
                                     unsigned char lower, char *to)
{
    size_t at = 0;

#ifdef __SSE2__
    const __m128i put = _mm_set1_epi8((char)lower);

    for (; n - at >= 16; at += 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
        unsigned joins = (unsigned)_mm_movemask_epi8(words_ascii_joining(c));

        _mm_storeu_si128((__m128i *)(void *)(to + at), _mm_or_si128(c, put));
        if (joins != 0xffff)
            return at + (size_t)__builtin_ctz(~joins);
    }
#endif
    for (; at < n && words_ascii_joins((unsigned char)p[at]); at++)
        to[at] = (char)((unsigned char)p[at] | lower);
    return at;
}

#endif
