#include "base/zframe.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/hash.h"
#include "base/zcode.h"

#define BLOCK      ((size_t)32 << 10) /* bytes of content of a block */
#define WINDOW_LOG 18                 /* matches lie at most so far back */
#define WINDOW     ((size_t)1 << WINDOW_LOG)
#define TABLE_LOG  11
#define MATCH_MIN  6            /* bytes */
#define STEP       ((size_t)64) /* bytes that are looked at together */
#define COPY       128          /* bytes of a step of copying */
#define BEHIND     8            /* bytes that a match begins earlier, at most */
#define HEADER     10           /* bytes of a frame's */
#define BLOCK_HEAD 3
#define CHECKSUM   4
#define SEQUENCES  (BLOCK / MATCH_MIN + 1) /* of a block, at most */

/* Where bytes of some hash stood last. */
struct place {
    uint32_t at;  /* offset in the frame; below BEHIND: nowhere */
    uint32_t tag; /* four of the bytes */
};

struct zframe {
    struct zcode code;
    struct place seen[1u << TABLE_LOG];
    struct zcode_sequence sequence[SEQUENCES];
    size_t n;      /* of them */
    uint32_t back; /* bytes that the match before went back */
};

struct zframe *zframe_new(void)
{
    struct zframe *z = malloc(sizeof *z);

    if (z)
        zcode_make(&z->code);
    return z;
}

void zframe_free(struct zframe *z)
{
    free(z);
}

size_t zframe_bound(size_t n)
{
    return HEADER + n + (n / BLOCK + 1) * BLOCK_HEAD + CHECKSUM +
           ZCODE_BYTES(SEQUENCES);
}

/* ---- where a match may begin ---- */

/* The first one lowest. */
static inline uint64_t load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* Of the MATCH_MIN bytes at p; the rest is not theirs. */
static inline uint64_t first_bytes(const char *p)
{
    return load8(p) << (64 - 8 * MATCH_MIN);
}

/* A bit for each of the STEP bytes at p: is it a quote, does it differ from the
 * one at m? */
#ifdef __SSE2__
static inline uint64_t mask_of(__m128i v, unsigned at)
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(v) << at;
}

static inline uint64_t quotes(const char *p)
{
    const __m128i quote = _mm_set1_epi8('"'), *v = (const __m128i *)p;
    uint64_t bits = 0;

    for (unsigned i = 0; i < 4; i++)
        bits |= mask_of(_mm_cmpeq_epi8(_mm_loadu_si128(v + i), quote), 16 * i);
    return bits;
}

static inline uint64_t differs(const char *p, const char *m)
{
    const __m128i *v = (const __m128i *)p, *w = (const __m128i *)m;
    uint64_t bits = 0;

    for (unsigned i = 0; i < 4; i++)
        bits |= mask_of(
            _mm_cmpeq_epi8(_mm_loadu_si128(v + i), _mm_loadu_si128(w + i)),
            16 * i);
    return ~bits;
}
#else
static inline uint64_t quotes(const char *p)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < STEP; i++)
        bits |= (uint64_t)(p[i] == '"') << i;
    return bits;
}

static inline uint64_t differs(const char *p, const char *m)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < STEP; i++)
        bits |= (uint64_t)(p[i] != m[i]) << i;
    return bits;
}
#endif

/* The next quote at p or behind it; end if none is before it. */
static inline const char *next_quote(const char *p, const char *end)
{
    for (; p < end; p += STEP) {
        uint64_t hit = quotes(p);

        if (hit)
            return p + __builtin_ctzll(hit);
    }
    return end;
}

/* ---- how far it goes ---- */

/* Bytes that are equal at p and m, p's before end. */
static inline size_t equal_ahead(const char *p, const char *m, const char *end)
{
    const char *from = p;

    for (; (size_t)(end - p) >= STEP; p += STEP, m += STEP) {
        uint64_t other = differs(p, m);

        if (other)
            return (size_t)(p - from) + (size_t)__builtin_ctzll(other);
    }
    while (p < end && *p == *m)
        p++, m++;
    return (size_t)(p - from);
}

/* Before p and m, at most BEHIND, which stand there, and at most `most`. */
static inline size_t equal_behind(const char *p, const char *m, size_t most)
{
    uint64_t other = load8(p - BEHIND) ^ load8(m - BEHIND);
    size_t n = other ? (size_t)(__builtin_clzll(other) >> 3) : BEHIND;

    return n < most ? n : most;
}

/* ---- a block ---- */

static void found(struct zframe *z, size_t literals, size_t match, size_t back)
{
    uint32_t same = (uint32_t)(back == z->back) & (uint32_t)(literals > 0);
    uint32_t offset = ZCODE_BACK((uint32_t)back);

    /* one time in four, in no order: not by a branch */
    offset ^= (offset ^ ZCODE_SAME) & -same;
    z->sequence[z->n++] =
        (struct zcode_sequence){(uint16_t)literals, (uint16_t)match, offset};
    z->back = (uint32_t)back;
}

/* n bytes by whole steps, and at least one: up to COPY more are read and
 * written.  Nearly always it is one, so that no branch goes wrong. */
static inline void copy(char *to, const char *from, size_t n)
{
    size_t i = 0;

    do
        memcpy(to + i, from + i, COPY);
    while ((i += COPY) < n);
}

/* Where the MATCH_MIN bytes at p stood last; NULL if nowhere near, or too near
 * the beginning.  p is the last place of them from now on. */
static inline const char *seen_last(struct zframe *z, const char *base,
                                    const char *p)
{
    uint64_t bytes = first_bytes(p), product = bytes * 0x9e3779b185ebca87u;
    struct place *place = &z->seen[product >> (64 - TABLE_LOG)];
    struct place was = *place;
    uint32_t now = (uint32_t)(p - base);

    *place = (struct place){now, (uint32_t)(bytes >> (64 - 8 * MATCH_MIN))};
    /* The tag says no where the bytes themselves would have to be fetched. */
    if (was.tag != place->tag || now - was.at > WINDOW || was.at < BEHIND ||
        first_bytes(base + was.at) != bytes)
        return NULL;
    return base + was.at;
}

/* Content from `at` to end: its literals to `to`, its matches into sequence.
 * Returns the bytes of the literals. */
static size_t search(struct zframe *z, const char *base, const char *at,
                     const char *end, char *to)
{
    const char *limit = end - at > 2 * (ptrdiff_t)STEP ? end - 2 * STEP : at;
    const char *literals = at, *p = at;
    char *begin = to;

    z->n = 0;
    while (p < limit) {
        const char *m = seen_last(z, base, p);
        size_t lead, behind, ahead;

        if (!m) {
            p = next_quote(p + 1, limit);
            continue;
        }
        lead = (size_t)(p - literals);
        behind = equal_behind(p, m, lead);
        ahead = MATCH_MIN + equal_ahead(p + MATCH_MIN, m + MATCH_MIN, end);
        lead -= behind;
        copy(to, literals, lead);
        to += lead;
        found(z, lead, behind + ahead, (size_t)(p - m));
        literals = p += ahead;
    }
    memcpy(to, literals, (size_t)(end - literals));
    return (size_t)(to - begin) + (size_t)(end - literals);
}

static void put_le(unsigned char *to, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

enum { RAW = 0, COMPRESSED = 2 }; /* blocks */

/* n bytes of content from `at` as a block. */
static unsigned char *put_block(struct zframe *z, struct str content, size_t at,
                                size_t n, unsigned char *to)
{
    const char *from = content.p + at;
    uint32_t before = z->back;
    uint32_t last = at + n == content.n;
    unsigned char *body = to + BLOCK_HEAD;
    size_t literals = search(z, content.p, from, from + n, (char *)body + 3);
    size_t bytes = n;

    if (z->n) {
        put_le(body, (uint32_t)literals << 4 | 3 << 2, 3); /* as they are */
        bytes = 3 + literals;
        bytes += zcode_put(&z->code, z->sequence, z->n, body + bytes);
    }
    if (bytes < n) {
        put_le(to, last | COMPRESSED << 1 | (uint32_t)bytes << 3, BLOCK_HEAD);
        return body + bytes;
    }
    z->back = before; /* a decoder meets none of the matches */
    put_le(to, last | RAW << 1 | (uint32_t)n << 3, BLOCK_HEAD);
    if (n)
        memcpy(body, from, n);
    return body + n;
}

/* ---- the frame ---- */

static unsigned char *put_header(size_t n, unsigned char *to)
{
    static const unsigned char head[] = {
        0x28,
        0xb5,
        0x2f,
        0xfd,            /* magic */
        2 << 6 | 1 << 2, /* content's size in 4 bytes, a checksum */
        (WINDOW_LOG - 10) << 3};

    memcpy(to, head, sizeof head);
    put_le(to + sizeof head, (uint32_t)n, 4);
    return to + HEADER;
}

size_t zframe_put(struct zframe *z, struct str content, char *to)
{
    unsigned char *p = put_header(content.n, (unsigned char *)to);
    size_t at = 0, n;

    memset(z->seen, 0, sizeof z->seen);
    z->back = 1; /* as a decoder begins */
    do {
        n = content.n - at < BLOCK ? content.n - at : BLOCK;
        p = put_block(z, content, at, n, p);
        at += n;
    } while (at < content.n);
    put_le(p, (uint32_t)hash_xxh64(content), CHECKSUM);
    return (size_t)(p + CHECKSUM - (unsigned char *)to);
}
