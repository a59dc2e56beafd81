#include "filter/dedup_scan.h"

/*
 * One body for every kind: FIRST finds the first hit among the phashes before
 * i, RUN does so for each i of a run.  A kind is a target and what it does with
 * a whole vector.
 */
#define RUN(kind, target)                                                      \
    target static void run_##kind(const uint64_t *phash, const uint32_t *at,   \
                                  size_t n, unsigned radius, uint32_t *least)  \
    {                                                                          \
        for (size_t i = 1; i < n; i++) {                                       \
            size_t k = first_##kind(phash, i, phash[i], radius);               \
                                                                               \
            if (k < i && at[k] < least[at[i]])                                 \
                least[at[i]] = at[k];                                          \
        }                                                                      \
    }

#define PLAIN(kind, target)                                                    \
    target static size_t first_##kind(const uint64_t *phash, size_t n,         \
                                      uint64_t mine, unsigned radius)          \
    {                                                                          \
        size_t k = 0;                                                          \
                                                                               \
        while (k < n &&                                                        \
               (unsigned)__builtin_popcountll(phash[k] ^ mine) > radius)       \
            k++;                                                               \
        return k;                                                              \
    }                                                                          \
    RUN(kind, target)

PLAIN(plain, )

static const struct dedup_scan plain = {"plain", 0.2, first_plain, run_plain};

#ifdef __x86_64__
#include <immintrin.h>

#define POPCNT __attribute__((target("popcnt")))
#define AVX2   __attribute__((target("avx2,popcnt")))
#define AVX512 __attribute__((target("avx512f,avx512vpopcntdq,bmi")))

PLAIN(popcnt, POPCNT)

static const struct dedup_scan popcnt = {"popcnt", 0.9, first_popcnt,
                                         run_popcnt};

/* Bits of 4 phashes at once: by nibbles, from a table in a register. */
AVX2 static inline __m256i bits_avx2(__m256i v)
{
    const __m256i table =
        _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1,
                         1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i a = _mm256_shuffle_epi8(table, _mm256_and_si256(v, low));
    __m256i b = _mm256_shuffle_epi8(
        table, _mm256_and_si256(_mm256_srli_epi16(v, 4), low));

    return _mm256_sad_epu8(_mm256_add_epi8(a, b), _mm256_setzero_si256());
}

AVX2 static inline size_t first_avx2(const uint64_t *phash, size_t n,
                                     uint64_t mine, unsigned radius)
{
    const __m256i me = _mm256_set1_epi64x((long long)mine);
    const __m256i beyond = _mm256_set1_epi64x((long long)radius + 1);

    for (size_t k = 0; k < n; k += 4) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(phash + k));
        __m256i hit =
            _mm256_cmpgt_epi64(beyond, bits_avx2(_mm256_xor_si256(v, me)));
        unsigned mask = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(hit));

        if (mask) {
            k += (size_t)__builtin_ctz(mask);
            return k < n ? k : n;
        }
    }
    return n;
}

RUN(avx2, AVX2)

static const struct dedup_scan avx2 = {"avx2", 1.6, first_avx2, run_avx2};

AVX512 static inline unsigned hits_avx512(const uint64_t *phash, __m512i me,
                                          __m512i radius)
{
    __m512i v = _mm512_xor_si512(_mm512_loadu_si512(phash), me);

    return _mm512_cmple_epu64_mask(_mm512_popcnt_epi64(v), radius);
}

AVX512 static inline size_t first_avx512(const uint64_t *phash, size_t n,
                                         uint64_t mine, unsigned radius)
{
    const __m512i me = _mm512_set1_epi64((long long)mine);
    const __m512i r = _mm512_set1_epi64((long long)radius);
    size_t k = 0;

    for (; k + 16 < n; k += 16) {
        unsigned mask = hits_avx512(phash + k, me, r) |
                        hits_avx512(phash + k + 8, me, r) << 8;

        if (mask)
            return k + (size_t)__builtin_ctz(mask);
    }
    for (; k < n; k += 8) {
        unsigned mask = hits_avx512(phash + k, me, r);

        if (mask) {
            k += (size_t)__builtin_ctz(mask);
            return k < n ? k : n;
        }
    }
    return n;
}

RUN(avx512, AVX512)

static const struct dedup_scan avx512 = {"avx512", 8, first_avx512, run_avx512};
#endif

size_t dedup_scans(const struct dedup_scan *list[DEDUP_SCANS_MAX])
{
    size_t n = 0;

#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512vpopcntdq"))
        list[n++] = &avx512;
    if (__builtin_cpu_supports("avx2"))
        list[n++] = &avx2;
    if (__builtin_cpu_supports("popcnt"))
        list[n++] = &popcnt;
#endif
    list[n++] = &plain;
    return n;
}
