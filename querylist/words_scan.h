/*
 * words_scan - 16 bytes of a text at a time, as bits.
 *
 * Model.   words_load() reads 16 bytes; what is asked of them (words_equal(),
 *          words_range()) comes as 16 bytes of all bits or none, and
 *          words_high() makes of those a number whose bit i speaks of byte i.
 *          Of 64 bytes such a number is WORDS_BITS().
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

/* All bits of the bytes that are c. */
static inline struct words_block words_equal(struct words_block b, char c)
{
    return (struct words_block){_mm_cmpeq_epi8(b.v, _mm_set1_epi8(c))};
}

/* Of those with first <= byte < first + count, unsigned: as a signed
 * comparison 128 lower. */
static inline struct words_block
words_range(struct words_block b, unsigned char first, unsigned char count)
{
    __m128i low = _mm_sub_epi8(b.v, _mm_set1_epi8((char)(first + 128)));

    return (struct words_block){
        _mm_cmplt_epi8(low, _mm_set1_epi8((char)(count - 128)))};
}

static inline struct words_block words_or(struct words_block a,
                                          struct words_block b)
{
    return (struct words_block){_mm_or_si128(a.v, b.v)};
}

static inline struct words_block words_and(struct words_block a,
                                           struct words_block b)
{
    return (struct words_block){_mm_and_si128(a.v, b.v)};
}

static inline struct words_block words_all(char c)
{
    return (struct words_block){_mm_set1_epi8(c)};
}

/* The highest bit of each byte. */
static inline uint32_t words_high(struct words_block b)
{
    return (uint32_t)_mm_movemask_epi8(b.v);
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

static inline struct words_block words_equal(struct words_block b, char c)
{
    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        b.v[i] = b.v[i] == (unsigned char)c ? 0xff : 0;
    return b;
}

static inline struct words_block
words_range(struct words_block b, unsigned char first, unsigned char count)
{
    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        b.v[i] = (unsigned char)(b.v[i] - first) < count ? 0xff : 0;
    return b;
}

static inline struct words_block words_or(struct words_block a,
                                          struct words_block b)
{
    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        a.v[i] |= b.v[i];
    return a;
}

static inline struct words_block words_and(struct words_block a,
                                           struct words_block b)
{
    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        a.v[i] &= b.v[i];
    return a;
}

static inline struct words_block words_all(char c)
{
    struct words_block b;

    memset(b.v, c, sizeof b.v);
    return b;
}

static inline uint32_t words_high(struct words_block b)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < WORDS_BLOCK; i++)
        bits |= (uint32_t)(b.v[i] >> 7) << i;
    return bits;
}

#endif

/* ---- 64 bytes ---- */

#define WORDS_CHUNK 64u

/* Bits [0, n). */
static inline uint64_t words_below(size_t n)
{
    return n < WORDS_CHUNK ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

/* 64 bytes as four blocks; or up to 64, at the end of a text that cannot be
 * read beyond, of which the fifth has the last 16. */
struct words_chunk {
    struct words_block a, b, c, d, last;
    uint64_t whole;       /* the bits that are the first four's */
    unsigned left, right; /* where the fifth's go */
};

/* 64 bytes at p, all of which can be read. */
static inline struct words_chunk words_chunk(const char *p)
{
    struct words_block a = words_load(p);

    return (struct words_chunk){a,
                                words_load(p + WORDS_BLOCK),
                                words_load(p + 2 * WORDS_BLOCK),
                                words_load(p + 3 * WORDS_BLOCK),
                                a,
                                UINT64_MAX,
                                0,
                                0};
}

/* The i-th block of a chunk at `at`, or what can be read instead. */
static inline struct words_block words_block_of(const char *p, size_t at,
                                                size_t last, unsigned i)
{
    at += i * WORDS_BLOCK;
    return words_load(p + (at < last ? at : last));
}

/* Those at `at` of the n at p: fewer than 64 of at least 16. */
static inline struct words_chunk words_last_chunk(const char *p, size_t at,
                                                  size_t n)
{
    size_t last = n - WORDS_BLOCK;

    return (struct words_chunk){
        words_block_of(p, at, last, 0),
        words_block_of(p, at, last, 1),
        words_block_of(p, at, last, 2),
        words_block_of(p, at, last, 3),
        words_load(p + last),
        words_below((n - at) / WORDS_BLOCK * WORDS_BLOCK),
        last < at ? 0 : (unsigned)(last - at),
        last < at ? (unsigned)(at - last) : 0};
}

/* The bits of a chunk whose blocks became these. */
static inline uint64_t words_bits(const struct words_chunk *k,
                                  struct words_block a, struct words_block b,
                                  struct words_block c, struct words_block d,
                                  struct words_block last)
{
    uint64_t bits = words_high(a) | (uint64_t)words_high(b) << 16 |
                    (uint64_t)words_high(c) << 32 |
                    (uint64_t)words_high(d) << 48;

    return (bits & k->whole) |
           ((uint64_t)words_high(last) << k->left >> k->right & ~k->whole);
}

/* By a function of a block. */
#define WORDS_BITS(k, of)                                                      \
    words_bits(k, of((k)->a), of((k)->b), of((k)->c), of((k)->d), of((k)->last))

/* Not 0 when any of them has one. */
#define WORDS_ANY(k, of)                                                       \
    words_high(words_or(words_or(words_or(of((k)->a), of((k)->b)),             \
                                 words_or(of((k)->c), of((k)->d))),            \
                        of((k)->last)))

#endif
