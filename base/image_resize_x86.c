/*
 * Kernels with AVX2.  A weight has 23 bits, a multiplication of the processor
 * 16: weights come in halves, w = 256 high + low, the sums of both are kept
 * apart and put together at the end, modulo 2^32 as plain sums are.  So every
 * pixel is the plain kernels' to the bit.
 */
#include "base/image_resample.h"

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define WIDE 32u /* bytes of a vector */

static inline int32_t two_of(const int16_t *w)
{
    int32_t v;

    memcpy(&v, w, sizeof v);
    return v;
}

/* ---- along rows ---- */

/* Bytes of four pixels to pairs of 16 bits by channel: red of pixels 0 and 1,
 * their green, their blue, (their fourth) in the lower half, pixels 2 and 3 in
 * the upper one. */
AVX2 static inline __m256i pairs_of(unsigned pixel_bytes)
{
    if (pixel_bytes == 3)
        return _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1,
                                -1, -1, -1, 6, -1, 9, -1, 7, -1, 10, -1, 8, -1,
                                11, -1, -1, -1, -1, -1);
    return _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7,
                            -1, 8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1,
                            11, -1, 15, -1);
}

struct sums {
    __m256i high, low;
};

AVX2 static inline void add_four(struct sums *s, const uint8_t *p,
                                 __m256i pairs, __m256i high, __m256i low)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));

    v = _mm256_shuffle_epi8(v, pairs);
    s->high = _mm256_add_epi32(s->high, _mm256_madd_epi16(v, high));
    s->low = _mm256_add_epi32(s->low, _mm256_madd_epi16(v, low));
}

/* The channels of a pixel, shifted down, as 32-bit numbers. */
AVX2 static inline __m128i finish(const struct sums *s)
{
    __m256i v = _mm256_add_epi32(_mm256_slli_epi32(s->high, 8), s->low);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v),
                                _mm256_extracti128_si256(v, 1));

    sum = _mm_add_epi32(sum, _mm_set1_epi32(1 << (IMAGE_PRECISION - 1)));
    return _mm_srai_epi32(sum, IMAGE_PRECISION);
}

/* One pixel of each row, 4 bytes a row. */
AVX2 static inline __m128i four_pixels(const uint8_t *const *from, size_t at,
                                       unsigned pixel_bytes, __m256i pairs,
                                       const int16_t *w, uint32_t count)
{
    const __m256i turn = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m256i turn_low = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
    const __m256i zero = _mm256_setzero_si256();
    struct sums a = {zero, zero}, b = a, c = a, d = a;

    for (uint32_t i = 0; i < count; i += 4, w += 8, at += 4 * pixel_bytes) {
        __m256i both =
            _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)w));
        __m256i high = _mm256_permutevar8x32_epi32(both, turn);
        __m256i low = _mm256_permutevar8x32_epi32(both, turn_low);

        add_four(&a, from[0] + at, pairs, high, low);
        add_four(&b, from[1] + at, pairs, high, low);
        add_four(&c, from[2] + at, pairs, high, low);
        add_four(&d, from[3] + at, pairs, high, low);
    }
    return _mm_packus_epi16(_mm_packs_epi32(finish(&a), finish(&b)),
                            _mm_packs_epi32(finish(&c), finish(&d)));
}

AVX2 static inline void across_of(const uint8_t *const *from,
                                  uint8_t *const *to, unsigned pixel_bytes,
                                  const struct image_taps *t)
{
    const __m256i pairs = pairs_of(pixel_bytes);

    for (uint32_t x = 0; x < t->n; x++) {
        const int16_t *w = t->split + (size_t)x * t->size * 2;
        size_t begin = (size_t)t->first[x] * pixel_bytes;
        size_t at = (size_t)x * pixel_bytes;
        uint32_t v[IMAGE_ROWS_AT_ONCE];

        _mm_storeu_si128((void *)v, four_pixels(from, begin, pixel_bytes, pairs,
                                                w, t->count[x]));
        /* Four bytes each: the next pixel goes over the fourth. */
        for (unsigned i = 0; i < IMAGE_ROWS_AT_ONCE; i++)
            memcpy(to[i] + at, &v[i], x + 1 < t->n ? 4 : pixel_bytes);
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
AVX2 static inline void add_two_rows(struct sums s[4], __m256i a, __m256i b,
                                     __m256i high, __m256i low)
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

AVX2 static inline void down_wide(const uint8_t *p, size_t stride,
                                  const int16_t *w, uint32_t count, uint8_t *to)
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
        v[i] = _mm256_srai_epi32(
            _mm256_add_epi32(_mm256_slli_epi32(s[i].high, 8), s[i].low),
            IMAGE_PRECISION);
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

const struct image_kernels *image_kernels_fast(void)
{
    static const struct image_kernels avx2 = {avx2_across, avx2_down};

    return __builtin_cpu_supports("avx2") ? &avx2 : NULL;
}

#else

const struct image_kernels *image_kernels_fast(void)
{
    return NULL;
}

#endif
