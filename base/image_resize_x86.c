/*
 * Kernels with AVX2.  A weight has 23 bits, a multiplication of the processor
 * 16: weights come in halves, w = 256 high + low, the sums of both are kept
 * apart and put together at the end, modulo 2^32 as plain sums are.  So every
 * pixel is the plain kernels' to the bit.
 */
#include "base/image_resample.h"

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2   __attribute__((target("avx2")))
#define INLINE AVX2 static inline __attribute__((always_inline))
#define WIDE   32u /* bytes of a vector */

static inline int32_t two_of(const int16_t *w)
{
    int32_t v;

    memcpy(&v, w, sizeof v);
    return v;
}

/* ---- along rows ---- */

struct sums {
    __m256i high, low;
};

/* Where bytes of two pixels go: as 16 bits, in pairs by channel. */
#define NO 255 /* 0 */
static const uint8_t pairs_of[2][2][16] = {
    {{0, NO, 3, NO, 1, NO, 4, NO, 2, NO, 5, NO, NO, NO, NO, NO},
     {6, NO, 9, NO, 7, NO, 10, NO, 8, NO, 11, NO, NO, NO, NO, NO}},
    {{0, NO, 4, NO, 1, NO, 5, NO, 2, NO, 6, NO, 3, NO, 7, NO},
     {8, NO, 12, NO, 9, NO, 13, NO, 10, NO, 14, NO, 11, NO, 15, NO}}};

INLINE __m256i pairs(unsigned pixel_bytes, int which)
{
    const uint8_t *p = pairs_of[pixel_bytes == 4][which];

    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
}

/* Pixels of two rows times their two weights; w points at the high halves. */
INLINE void add_pair(struct sums *s, __m256i rows, __m256i by, const int16_t *w)
{
    __m256i v = _mm256_shuffle_epi8(rows, by);
    __m256i high = _mm256_set1_epi32(two_of(w));
    __m256i low = _mm256_set1_epi32(two_of(w + 4));

    s->high = _mm256_add_epi32(s->high, _mm256_madd_epi16(v, high));
    s->low = _mm256_add_epi32(s->low, _mm256_madd_epi16(v, low));
}

INLINE __m256i two_rows(const uint8_t *a, const uint8_t *b)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const void *)a)),
        _mm_loadu_si128((const void *)b), 1);
}

INLINE __m256i finish(const struct sums *s)
{
    return _mm256_srai_epi32(
        _mm256_add_epi32(_mm256_slli_epi32(s->high, 8), s->low),
        IMAGE_PRECISION);
}

/* One pixel of each row, 4 bytes a row. */
INLINE __m128i four_pixels(const uint8_t *const *from, size_t at,
                           unsigned pixel_bytes, const int16_t *w,
                           uint32_t count)
{
    const __m256i first = pairs(pixel_bytes, 0), second = pairs(pixel_bytes, 1);
    const __m256i half = _mm256_set1_epi32(1 << (IMAGE_PRECISION - 1));
    struct sums a = {_mm256_setzero_si256(), half}, b = a;
    __m256i v;

    for (uint32_t i = 0; i < count; i += 4, w += 8, at += 4 * pixel_bytes) {
        __m256i rows_a = two_rows(from[0] + at, from[2] + at);
        __m256i rows_b = two_rows(from[1] + at, from[3] + at);

        add_pair(&a, rows_a, first, w);
        add_pair(&b, rows_b, first, w);
        if (i + 2 >= count)
            break;
        add_pair(&a, rows_a, second, w + 2);
        add_pair(&b, rows_b, second, w + 2);
    }
    v = _mm256_packs_epi32(finish(&a), finish(&b)); /* 0, 1 and 2, 3 */
    v = _mm256_packus_epi16(v, v);
    return _mm_unpacklo_epi64(_mm256_castsi256_si128(v),
                              _mm256_extracti128_si256(v, 1));
}

INLINE void put4(uint8_t *to, int pixel, size_t n)
{
    memcpy(to, &pixel, n);
}

INLINE void across_of(const uint8_t *const *rows, uint8_t *const *to,
                      unsigned pixel_bytes, const struct image_taps *t)
{
    const uint8_t *const from[IMAGE_ROWS_AT_ONCE] = {rows[0], rows[1], rows[2],
                                                     rows[3]};
    uint8_t *a = to[0], *b = to[1], *c = to[2], *d = to[3];

    for (uint32_t x = 0; x < t->n; x++) {
        __m128i v =
            four_pixels(from, (size_t)t->first[x] * pixel_bytes, pixel_bytes,
                        t->split + (size_t)x * t->size * 2, t->count[x]);
        size_t n = x + 1 < t->n ? 4 : pixel_bytes;
        size_t at = (size_t)x * pixel_bytes;

        /* Four bytes each: the next pixel goes over the fourth. */
        if (n == 4) {
            put4(a + at, _mm_extract_epi32(v, 0), 4);
            put4(b + at, _mm_extract_epi32(v, 1), 4);
            put4(c + at, _mm_extract_epi32(v, 2), 4);
            put4(d + at, _mm_extract_epi32(v, 3), 4);
        } else {
            put4(a + at, _mm_extract_epi32(v, 0), 3);
            put4(b + at, _mm_extract_epi32(v, 1), 3);
            put4(c + at, _mm_extract_epi32(v, 2), 3);
            put4(d + at, _mm_extract_epi32(v, 3), 3);
        }
    }
}

AVX2 static void avx2_across(const uint8_t *const *from, uint8_t *const *to,
                             unsigned pixel_bytes, const struct image_taps *t)
{
    if (pixel_bytes == 3)
        across_of(from, to, 3, t);
    else
        across_of(from, to, 4, t);
}

/* ---- along columns ---- */

/* Samples of two rows side by side, as 16 bits, times their two weights. */
INLINE void add_two_rows(struct sums s[4], __m256i a, __m256i b, __m256i high,
                         __m256i low)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i lower = _mm256_unpacklo_epi8(a, b);
    __m256i upper = _mm256_unpackhi_epi8(a, b);
    const __m256i v[4] = {
        _mm256_unpacklo_epi8(lower, zero), _mm256_unpackhi_epi8(lower, zero),
        _mm256_unpacklo_epi8(upper, zero), _mm256_unpackhi_epi8(upper, zero)};

    for (int i = 0; i < 4; i++) {
        s[i].high = _mm256_add_epi32(s[i].high, _mm256_madd_epi16(v[i], high));
        s[i].low = _mm256_add_epi32(s[i].low, _mm256_madd_epi16(v[i], low));
    }
}

INLINE void down_wide(const uint8_t *p, size_t stride, const int16_t *w,
                      uint32_t count, uint8_t *to)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i half = _mm256_set1_epi32(1 << (IMAGE_PRECISION - 1));
    struct sums s[4];
    __m256i v[4];

    for (int i = 0; i < 4; i++)
        s[i] = (struct sums){zero, half};
    for (uint32_t i = 0; i < count; i += 2, p += 2 * stride) {
        const int16_t *two = w + i / 4 * 8 + i % 4;
        /* behind the last row: itself, with weight 0 */
        const uint8_t *second = i + 1 < count ? p + stride : p;

        add_two_rows(s, _mm256_loadu_si256((const void *)p),
                     _mm256_loadu_si256((const void *)second),
                     _mm256_set1_epi32(two_of(two)),
                     _mm256_set1_epi32(two_of(two + 4)));
    }
    for (int i = 0; i < 4; i++)
        v[i] = finish(&s[i]);
    _mm256_storeu_si256((void *)to,
                        _mm256_packus_epi16(_mm256_packs_epi32(v[0], v[1]),
                                            _mm256_packs_epi32(v[2], v[3])));
}

AVX2 static void avx2_down(const uint8_t *from, size_t stride,
                           const struct image_taps *t, uint32_t at, uint8_t *to,
                           size_t n)
{
    const int16_t *w = t->split + (size_t)at * t->size * 2;
    size_t x = 0;

    if (n < WIDE) {
        image_kernels_plain.down(from, stride, t, at, to, n);
        return;
    }
    for (; x + WIDE <= n; x += WIDE)
        down_wide(from + x, stride, w, t->count[at], to + x);
    if (x < n) /* some samples once more */
        down_wide(from + n - WIDE, stride, w, t->count[at], to + n - WIDE);
}

const struct image_kernels *image_kernels_avx2(void)
{
    static const struct image_kernels avx2 = {avx2_across, avx2_down};

    return __builtin_cpu_supports("avx2") ? &avx2 : NULL;
}

#else

const struct image_kernels *image_kernels_avx2(void)
{
    return NULL;
}

#endif
