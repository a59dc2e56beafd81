/*
 * words_ascii - the run of ASCII letters and digits that nearly every word is.
 *
 * Model.   words_ascii_run() copies the run that p[0, n) begins with and says
 *          how long it is.  `lower` is 0x20 to turn letters into lower case (a
 *          digit has that bit already), 0 to keep them.
 * Cost.    16 bytes at a time where the processor has SSE2, which every x86-64
 *          has; up to WORDS_ASCII_SLACK bytes behind the run are overwritten.
 */
#ifndef QUERYLIST_WORDS_ASCII_H
#define QUERYLIST_WORDS_ASCII_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define WORDS_ASCII_SLACK 16u /* bytes */

static inline bool words_ascii_joins(unsigned char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26 ||
           (unsigned char)(c - '0') < 10;
}

static inline size_t words_ascii_run(const char *p, size_t n,
                                     unsigned char lower, char *to)
{
    size_t at = 0;

#ifdef __SSE2__
    /* x - first < count, unsigned, as a signed comparison 128 lower. */
    const __m128i bit = _mm_set1_epi8(0x20), put = _mm_set1_epi8((char)lower);
    const __m128i a = _mm_set1_epi8((char)('a' + 128));
    const __m128i zero = _mm_set1_epi8((char)('0' + 128));
    const __m128i letters = _mm_set1_epi8(26 - 128);
    const __m128i digits = _mm_set1_epi8(10 - 128);

    for (; n - at >= 16; at += 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
        __m128i letter =
            _mm_cmplt_epi8(_mm_sub_epi8(_mm_or_si128(c, bit), a), letters);
        __m128i digit = _mm_cmplt_epi8(_mm_sub_epi8(c, zero), digits);
        unsigned joins =
            (unsigned)_mm_movemask_epi8(_mm_or_si128(letter, digit));

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
