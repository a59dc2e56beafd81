/*
 * Rows of RGB with AVX-512 VBMI and VNNI.  image_resize_vnni.c gathers four
 * samples of a channel from each of four rows into one vector; here a vector
 * holds them for all channels of up to five output pixels of one row, which one
 * instruction picks from 64 bytes in any order.  That is half the work; it
 * needs tables, which serve all rows, and output pixels that are made from
 * places not further apart than those 64 bytes.
 */
#include "base/image_resample.h"

#define VECTOR    64u /* bytes */
#define CHANNELS  3u
#define GROUP_MAX 5u
#define GROUP_MIN 3u  /* with fewer it is not worth it */
#define APART_MAX 17u /* pixels: 3 * (17 + 4) bytes are within a vector */
#define SCALE_MAX 10u /* input pixels to an output pixel: then or below */

/* What the pixels of a group are made from, then for each four weights their
 * high, middle and low bytes, a vector each. */
struct group {
    uint8_t from[VECTOR - 4]; /* bytes behind the first pixel's first */
    uint32_t fours;           /* of weights; as places for the lane that has
                                 weights of 0 */
};

_Static_assert(sizeof(struct group) == VECTOR, "a vector");

static size_t group_bytes(const struct image_taps *t)
{
    return VECTOR * (1 + (size_t)t->size / 4 * IMAGE_DIGITS);
}

size_t image_wide_bytes(const struct image_axis *a, uint32_t size)
{
    if (a->in / SCALE_MAX > a->to)
        return 0;
    return (a->n / GROUP_MIN + 1) * VECTOR *
           (1 + (size_t)size / 4 * IMAGE_DIGITS);
}

/* The most output pixels that a vector can serve anywhere; 0: too few. */
static uint32_t group_of(const struct image_taps *t)
{
    uint32_t g = GROUP_MAX;

    for (uint32_t x = 0; g >= GROUP_MIN && x < t->n;) {
        uint32_t last = x + g <= t->n ? x + g - 1 : t->n - 1;

        if (t->first[last] - t->first[x] <= APART_MAX) {
            x += g;
        } else {
            g--;
            x = 0;
        }
    }
    return g >= GROUP_MIN ? g : 0;
}

/* Output pixel x, number i of its group, begins `apart` behind the first. */
static void fill_pixel(const struct image_taps *t, uint32_t x, uint32_t i,
                       uint32_t apart, struct group *g)
{
    const int8_t *from = t->digits + (size_t)x * t->size * IMAGE_DIGITS;
    int8_t *to = (int8_t *)(g + 1);

    for (uint32_t c = 0; c < CHANNELS; c++) {
        size_t lane = CHANNELS * i + c;

        for (uint32_t k = 0; k < 4; k++)
            g->from[4 * lane + k] = (uint8_t)((apart + k) * CHANNELS + c);
        for (uint32_t w = 0; w < t->size / 4 * IMAGE_DIGITS; w++)
            memcpy(to + w * VECTOR + 4 * lane, from + 4 * (size_t)w, 4);
    }
    if ((t->count[x] + 3) / 4 > g->fours)
        g->fours = (t->count[x] + 3) / 4;
}

void image_wide_init(struct image_taps *t, uint8_t *room)
{
    t->group = t->digits ? group_of(t) : 0;
    t->wide = room;
    for (uint32_t x = 0; t->group && x < t->n; x += t->group) {
        struct group *g = (struct group *)room;

        memset(g, 0, group_bytes(t));
        for (uint32_t i = 0; i < t->group && x + i < t->n; i++)
            fill_pixel(t, x + i, i, t->first[x + i] - t->first[x], g);
        room += group_bytes(t);
    }
}

#ifdef __x86_64__
#include <immintrin.h>

#define VBMI                                                                   \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")))
#define INLINE VBMI static inline __attribute__((always_inline))

struct sums {
    __m512i high, middle, low;
};

INLINE __m512i load(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void add_row(struct sums *s, __m512i v, __m512i high, __m512i middle,
                    __m512i low)
{
    s->high = _mm512_dpbusd_epi32(s->high, v, high);
    s->middle = _mm512_dpbusd_epi32(s->middle, v, middle);
    s->low = _mm512_dpbusd_epi32(s->low, v, low);
}

INLINE __m512i finish(const struct sums *s)
{
    __m512i v = _mm512_add_epi32(_mm512_slli_epi32(s->high, 8), s->middle);

    v = _mm512_add_epi32(_mm512_slli_epi32(v, 8), s->low);
    return _mm512_srai_epi32(v, IMAGE_PRECISION);
}

/* One group of four rows, 16 bytes a row. */
INLINE __m512i four_rows(const uint8_t *const from[IMAGE_ROWS_AT_ONCE],
                         size_t at, const struct group *g)
{
    const __m512i turn =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i half = _mm512_set1_epi32(1 << (IMAGE_PRECISION - 1));
    const __m512i pick = load(g), zero = _mm512_setzero_si512();
    const int8_t *w = (const int8_t *)(g + 1);
    struct sums a = {zero, zero, half}, b = a, c = a, d = a;

    for (uint32_t i = 0; i < g->fours; i++, at += 4 * CHANNELS) {
        __m512i high = load(w), middle = load(w + VECTOR);
        __m512i low = load(w + 2 * VECTOR);

        add_row(&a, _mm512_permutexvar_epi8(pick, load(from[0] + at)), high,
                middle, low);
        add_row(&b, _mm512_permutexvar_epi8(pick, load(from[1] + at)), high,
                middle, low);
        add_row(&c, _mm512_permutexvar_epi8(pick, load(from[2] + at)), high,
                middle, low);
        add_row(&d, _mm512_permutexvar_epi8(pick, load(from[3] + at)), high,
                middle, low);
        w += 3 * VECTOR;
    }
    return _mm512_permutexvar_epi32(
        turn, _mm512_packus_epi16(_mm512_packs_epi32(finish(&a), finish(&b)),
                                  _mm512_packs_epi32(finish(&c), finish(&d))));
}

VBMI static void vbmi_across(const uint8_t *const *rows, uint8_t *const *to,
                             unsigned pixel_bytes, const struct image_taps *t)
{
    const uint8_t *const from[IMAGE_ROWS_AT_ONCE] = {rows[0], rows[1], rows[2],
                                                     rows[3]};
    const uint8_t *g = t->wide;

    if (!t->group || pixel_bytes != CHANNELS) {
        image_kernels_vnni()->across(rows, to, pixel_bytes, t);
        return;
    }
    for (uint32_t x = 0; x < t->n; x += t->group, g += group_bytes(t)) {
        uint32_t n = t->n - x < t->group ? t->n - x : t->group;
        __mmask16 bytes = (__mmask16)((1u << n * CHANNELS) - 1);
        size_t at = (size_t)x * CHANNELS;
        __m512i v = four_rows(from, (size_t)t->first[x] * CHANNELS,
                              (const struct group *)g);

        _mm_mask_storeu_epi8(to[0] + at, bytes, _mm512_castsi512_si128(v));
        _mm_mask_storeu_epi8(to[1] + at, bytes,
                             _mm512_extracti32x4_epi32(v, 1));
        _mm_mask_storeu_epi8(to[2] + at, bytes,
                             _mm512_extracti32x4_epi32(v, 2));
        _mm_mask_storeu_epi8(to[3] + at, bytes,
                             _mm512_extracti32x4_epi32(v, 3));
    }
}

const struct image_kernels *image_kernels_vbmi(void)
{
    static const struct image_kernels vbmi = {vbmi_across, NULL};

    return image_kernels_vnni() && __builtin_cpu_supports("avx512vbmi") ? &vbmi
                                                                        : NULL;
}

#else

const struct image_kernels *image_kernels_vbmi(void)
{
    return NULL;
}

#endif
