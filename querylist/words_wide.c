#include "querylist/words_cut.h"
#include "querylist/words_space.h"

#ifdef __x86_64__
#include <immintrin.h>

#define WIDE                                                                   \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,"    \
                          "bmi,bmi2,popcnt")))

/* 8 spans at once: words that begin and end at bytes of `base`. */
WIDE static inline void put_8(struct word_span *to, __m128i starts,
                              __m128i ends, uint32_t base)
{
    __m512i at = _mm512_cvtepu8_epi64(starts);
    __m512i n = _mm512_cvtepu8_epi64(_mm_sub_epi8(ends, starts));

    at = _mm512_add_epi64(at, _mm512_set1_epi64(base));
    _mm512_storeu_si512(to, _mm512_or_si512(at, _mm512_slli_epi64(n, 32)));
}

/* Up to 32 of them; as many more may be written as WORDS_BEYOND. */
WIDE static inline void put_spans(struct word_span *to, __m512i starts,
                                  __m512i ends, uint32_t base, size_t n)
{
    __m128i s = _mm512_castsi512_si128(starts);
    __m128i e = _mm512_castsi512_si128(ends);

    put_8(to, s, e, base);
    put_8(to + 8, _mm_unpackhi_epi64(s, s), _mm_unpackhi_epi64(e, e), base);
    if (n <= 16)
        return;
    s = _mm512_extracti32x4_epi32(starts, 1);
    e = _mm512_extracti32x4_epi32(ends, 1);
    put_8(to + 16, s, e, base);
    put_8(to + 24, _mm_unpackhi_epi64(s, s), _mm_unpackhi_epi64(e, e), base);
}

/* 0, 1, 2 ... 63 */
WIDE static inline __m512i places(void)
{
    return _mm512_add_epi8(
        _mm512_set4_epi32(0x0f0e0d0c, 0x0b0a0908, 0x07060504, 0x03020100),
        _mm512_set_epi64(0x3030303030303030, 0x3030303030303030,
                         0x2020202020202020, 0x2020202020202020,
                         0x1010101010101010, 0x1010101010101010, 0, 0));
}

WIDE static inline uint64_t among(__m512i v, char first, char count)
{
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(first)),
                                  _mm512_set1_epi8(count));
}

WIDE static inline uint64_t equal(__m512i v, char c)
{
    return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(c));
}

WIDE static inline struct cut_bits look(__m512i v)
{
    struct cut_bits k = {.other = _mm512_movepi8_mask(v)};

    k.joins = k.other |
              among(_mm512_or_si512(v, _mm512_set1_epi8(0x20)), 'a', 26) |
              among(v, '0', 10);
    k.blank = among(v, '\t', 5) | equal(v, ' ');
    k.apostrophe = equal(v, '\'');
    k.line = equal(v, '\n');
    return k;
}

/* The words of a chunk, packed; whether one was open before it. */
WIDE static inline void pack_words(struct cutter *c, __m512i v, struct cuts k,
                                   bool open)
{
    struct words *w = c->w;
    uint64_t keep = k.of_words | k.ends, ends = _pext_u64(k.ends, keep);
    uint64_t starts = _pext_u64(k.starts, keep);
    uint32_t base = (uint32_t)(c->to - w->text.p);
    size_t n = (size_t)__builtin_popcountll(starts);

    v = _mm512_mask_mov_epi8(v, k.ends, _mm512_set1_epi8(' '));
    _mm512_storeu_si512(c->to, _mm512_maskz_compress_epi8(keep, v));
    c->to += __builtin_popcountll(keep);
    if (open && ends) {
        struct word_span *last = w->span + w->n - 1;

        last->n = base + (uint32_t)__builtin_ctzll(ends) - last->at;
        ends &= ends - 1;
    }
    put_spans(w->span + w->n, _mm512_maskz_compress_epi8(starts, places()),
              _mm512_maskz_compress_epi8(ends, places()), base, n);
    _mm256_storeu_si256(
        (__m256i *)(void *)(w->stop + w->n),
        _mm256_maskz_set1_epi8((uint32_t)_pext_u64(k.stops, k.starts), 1));
    w->n += n;
}

WIDE bool words_cut_wide(struct cutter *to, const struct piece *s)
{
    const __m512i lower = _mm512_set1_epi8(s->lower ? 0x20 : 0);
    struct cutter c = *to;

    for (size_t at = 0; at < s->n; at += WORDS_CHUNK) {
        size_t left = s->n - at, n = left < WORDS_CHUNK ? left : WORDS_CHUNK;
        bool open = c.open, whole = n == left;
        __m512i v = _mm512_maskz_loadu_epi8(words_below(n), s->p + at);
        struct cut_bits k = look(v);

        if (k.other && !s->padded && s->n <= WORDS_CHUNK)
            return false;
        if (s->mark)
            k.mark = _mm512_movepi8_mask(_mm512_loadu_si512(s->mark + at));
        pack_words(&c, _mm512_or_si512(v, lower),
                   find_cuts(&c, &k, n,
                             whole ? s->joins : words_joins_byte(s->p[at + n]),
                             whole && s->last),
                   open);
    }
    *to = c;
    return true;
}

/* ---- MetaCLIP's policy ---- */

/* Bytes of which even three times as many fit. */
#define ALL_SPACED (WORDS_CHUNK / 3)

/* What spacing makes of up to 64 bytes. */
struct spaced {
    __m512i v;
    size_t of;     /* bytes */
    size_t n;      /* bytes of v */
    uint64_t ends; /* the spaces of v */
};

WIDE static inline struct spaced space_bytes(const char *p, size_t n,
                                             bool spaced)
{
    __m512i v = _mm512_maskz_loadu_epi8(words_below(n), p);
    uint64_t blank = equal(v, ' '), marks = 0, put = 0, from;
    struct spaced s;

    if (spaced) {
        blank |= among(v, '\t', 2) | equal(v, '\r');
        marks = equal(v, ',') | equal(v, '.') | among(v, ':', 2) |
                equal(v, '?') | equal(v, '!') | equal(v, '`');
    }
    s.of = n;
    s.n = n + 2 * (size_t)__builtin_popcountll(marks);
    if (s.n > WORDS_CHUNK) {
        s.of = ALL_SPACED;
        marks &= words_below(s.of);
        s.n = s.of + 2 * (size_t)__builtin_popcountll(marks);
    }
    for (unsigned k = 0; marks; k += 2, marks &= marks - 1)
        put |= UINT64_C(5) << k << __builtin_ctzll(marks);
    from = words_below(s.n) & ~put;
    s.ends = put | _pdep_u64(blank, from);
    v = _mm512_maskz_expand_epi8(from, v);
    s.v = _mm512_mask_mov_epi8(v, s.ends, _mm512_set1_epi8(' '));
    return s;
}

WIDE static inline void space_wide(struct words *w, struct str text,
                                   bool spaced)
{
    struct word_span *span = w->span;
    bool *stop = w->stop;
    char *begin = w->text.p, *to = begin;
    uint32_t word = 0; /* where the open one begins */

    for (size_t at = 0; at < text.n;) {
        size_t left = text.n - at, n;
        struct spaced s = space_bytes(
            text.p + at, left < WORDS_CHUNK ? left : WORDS_CHUNK, spaced);
        uint32_t base = (uint32_t)(to - begin);
        __m512i ends = _mm512_maskz_compress_epi8(s.ends, places());
        __m512i starts = _mm512_maskz_compress_epi8(s.ends << 1 | 1, places());

        _mm512_storeu_si512(to, s.v);
        n = (size_t)__builtin_popcountll(s.ends);
        put_spans(span, starts, ends, base, n);
        _mm512_storeu_si512(stop, _mm512_setzero_si512());
        if (n > 32)
            put_spans(span + 32, _mm512_shuffle_i64x2(starts, starts, 0x0e),
                      _mm512_shuffle_i64x2(ends, ends, 0x0e), base, n - 32);
        if (s.ends) {
            span->n = base + (uint32_t)__builtin_ctzll(s.ends) - word;
            span->at = word;
            word = base + WORDS_CHUNK - (uint32_t)__builtin_clzll(s.ends);
        }
        span += n;
        stop += n;
        to += s.n;
        at += s.of;
    }
    *span++ = (struct word_span){word, (uint32_t)(to - begin) - word};
    *stop = false;
    w->n = (size_t)(span - w->span);
    w->text.n = (size_t)(to - begin);
    memset(to, 0, WORDS_SLACK);
}

WIDE void words_space_wide(struct words *w, struct str s, bool spaced)
{
    if (spaced)
        space_wide(w, s, true);
    else
        space_wide(w, s, false);
}

bool words_can_cut_wide(void)
{
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}

#else

bool words_can_cut_wide(void)
{
    return false;
}

bool words_cut_wide(struct cutter *c, const struct piece *s)
{
    return words_cut_plain(c, s);
}

void words_space_wide(struct words *w, struct str s, bool spaced)
{
    words_space_plain(w, s, spaced);
}

#endif
