/*
 * Kernels with AVX-512 VNNI, whose one instruction multiplies four unsigned
 * bytes by four signed ones and adds them to a 32-bit sum.  Samples are such
 * bytes already; a weight comes in three, w = 65536 high + 256 middle + low.
 * Each has sums of its own, which are put together at the end, modulo 2^32 as
 * plain sums are: every pixel is the plain kernels' to the bit.
 */
#include "base/image_resample.h"

#ifdef __x86_64__
#include <immintrin.h>

#define VNNI   __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define INLINE VNNI static inline __attribute__((always_inline))
#define WIDE   64u                   /* bytes of a vector */
#define TAPS   4u                    /* of one instruction */
#define DIGITS (TAPS * IMAGE_DIGITS) /* bytes of their weights */

struct sums {
    __m512i high, middle, low;
};

INLINE struct sums none(void)
{
    return (struct sums){_mm512_setzero_si512(), _mm512_setzero_si512(),
                         _mm512_set1_epi32(1 << (IMAGE_PRECISION - 1))};
}

INLINE __m512i four_of(const int8_t *w)
{
    int32_t v;

    memcpy(&v, w, sizeof v);
    return _mm512_set1_epi32(v);
}

/* v holds four samples of the same channel in each 32 bits. */
INLINE void add_four(struct sums *s, __m512i v, const int8_t *w)
{
    s->high = _mm512_dpbusd_epi32(s->high, v, four_of(w));
    s->middle = _mm512_dpbusd_epi32(s->middle, v, four_of(w + TAPS));
    s->low = _mm512_dpbusd_epi32(s->low, v, four_of(w + 2 * TAPS));
}

INLINE __m512i finish(const struct sums *s)
{
    __m512i v = _mm512_add_epi32(_mm512_slli_epi32(s->high, 8), s->middle);

    v = _mm512_add_epi32(_mm512_slli_epi32(v, 8), s->low);
    return _mm512_srai_epi32(v, IMAGE_PRECISION);
}

/* Clipped to bytes, in the order of the vectors within every 16 bytes. */
INLINE __m512i bytes_of(const __m512i v[4])
{
    return _mm512_packus_epi16(_mm512_packs_epi32(v[0], v[1]),
                               _mm512_packs_epi32(v[2], v[3]));
}

INLINE __m512i everywhere(const uint8_t order[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)order));
}

/* ---- along rows ---- */

#define NO 255 /* 0 */

/* Where bytes of four pixels go: by channel. */
static const uint8_t by_channel[2][16] = {
    {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, NO, NO, NO, NO},
    {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}};

/* And where those of four sums go: as pixels. */
static const uint8_t as_pixels[2][16] = {
    {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, NO, NO, NO, NO},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

/* 16 bytes of each row. */
INLINE __m512i four_rows(const uint8_t *const *from, size_t at)
{
    __m512i v =
        _mm512_castsi128_si512(_mm_loadu_si128((const void *)(from[0] + at)));

    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(from[1] + at)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(from[2] + at)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(from[3] + at)),
                              3);
}

/* One pixel of each row, its channels' sums. */
INLINE __m512i one_pixel(const uint8_t *const *from, unsigned pixel_bytes,
                         __m512i by, const struct image_taps *t, uint32_t x)
{
    const int8_t *w = t->digits + (size_t)x * t->size * IMAGE_DIGITS;
    size_t at = (size_t)t->first[x] * pixel_bytes;
    struct sums s = none();

    for (uint32_t i = 0; i < t->count[x]; i += TAPS, w += DIGITS) {
        add_four(&s, _mm512_shuffle_epi8(four_rows(from, at), by), w);
        at += TAPS * pixel_bytes;
    }
    return finish(&s);
}

INLINE void across_of(const uint8_t *const *rows, uint8_t *const *to,
                      unsigned pixel_bytes, const struct image_taps *t)
{
    const uint8_t *const from[IMAGE_ROWS_AT_ONCE] = {rows[0], rows[1], rows[2],
                                                     rows[3]};
    const __m512i by = everywhere(by_channel[pixel_bytes == 4]);
    const __m512i out = everywhere(as_pixels[pixel_bytes == 4]);

    for (uint32_t x = 0; x < t->n; x += 4) {
        uint32_t n = t->n - x < 4 ? t->n - x : 4;
        __mmask16 bytes = (__mmask16)((1u << n * pixel_bytes) - 1);
        size_t at = (size_t)x * pixel_bytes;
        __m512i v[4];

        for (uint32_t i = 0; i < 4; i++) /* the last one again */
            v[i] = one_pixel(from, pixel_bytes, by, t, x + (i < n ? i : n - 1));
        v[0] = _mm512_shuffle_epi8(bytes_of(v), out);
        _mm_mask_storeu_epi8(to[0] + at, bytes, _mm512_castsi512_si128(v[0]));
        _mm_mask_storeu_epi8(to[1] + at, bytes,
                             _mm512_extracti32x4_epi32(v[0], 1));
        _mm_mask_storeu_epi8(to[2] + at, bytes,
                             _mm512_extracti32x4_epi32(v[0], 2));
        _mm_mask_storeu_epi8(to[3] + at, bytes,
                             _mm512_extracti32x4_epi32(v[0], 3));
    }
}

VNNI static void vnni_across(const uint8_t *const *from, uint8_t *const *to,
                             unsigned pixel_bytes, const struct image_taps *t)
{
    if (pixel_bytes == 3)
        across_of(from, to, 3, t);
    else
        across_of(from, to, 4, t);
}

/* ---- along columns ---- */

/* Four rows side by side, times their weights. */
INLINE void add_four_rows(struct sums s[4], const __m512i rows[4],
                          const int8_t *w)
{
    __m512i a = _mm512_unpacklo_epi8(rows[0], rows[1]);
    __m512i b = _mm512_unpacklo_epi8(rows[2], rows[3]);
    __m512i c = _mm512_unpackhi_epi8(rows[0], rows[1]);
    __m512i d = _mm512_unpackhi_epi8(rows[2], rows[3]);

    add_four(&s[0], _mm512_unpacklo_epi16(a, b), w);
    add_four(&s[1], _mm512_unpackhi_epi16(a, b), w);
    add_four(&s[2], _mm512_unpacklo_epi16(c, d), w);
    add_four(&s[3], _mm512_unpackhi_epi16(c, d), w);
}

INLINE void down_wide(const uint8_t *p, size_t stride, const int8_t *w,
                      uint32_t count, uint8_t *to)
{
    struct sums s[4];
    __m512i v[4];

    for (int i = 0; i < 4; i++)
        s[i] = none();
    for (uint32_t i = 0; i < count; i += TAPS, w += DIGITS) {
        for (uint32_t k = 0; k < TAPS; k++) {
            /* behind the last row: itself, with weight 0 */
            uint32_t row = i + k < count ? i + k : count - 1;

            v[k] = _mm512_loadu_si512(p + row * stride);
        }
        add_four_rows(s, v, w);
    }
    for (int i = 0; i < 4; i++)
        v[i] = finish(&s[i]);
    _mm512_storeu_si512(to, bytes_of(v));
}

VNNI static void vnni_down(const uint8_t *from, size_t stride,
                           const struct image_taps *t, uint32_t at, uint8_t *to,
                           size_t n)
{
    const int8_t *w = t->digits + (size_t)at * t->size * IMAGE_DIGITS;
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

const struct image_kernels *image_kernels_vnni(void)
{
    static const struct image_kernels vnni = {vnni_across, vnni_down};

    return __builtin_cpu_supports("avx512vnni") &&
                   __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512vl")
               ? &vnni
               : NULL;
}

#else

const struct image_kernels *image_kernels_vnni(void)
{
    return NULL;
}

#endif
