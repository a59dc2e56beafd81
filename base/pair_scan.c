#include "base/pair_scan.h"

#include <endian.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/pair.h"
#include "base/utf8.h"

#define STEP ((size_t)16) /* bytes looked at together */

struct cursor {
    const char *p, *end;
};

/* Is the text at the cursor this literal?  Then it goes behind it. */
#define TAKE(c, literal) take((c), (literal), sizeof(literal) - 1)

static inline bool equal8(const char *a, const char *b)
{
    uint64_t v, w;

    memcpy(&v, a, sizeof v);
    memcpy(&w, b, sizeof w);
    return v == w;
}

/* n is a constant wherever this is called.  Names and what stands around them
 * are 8 to 16 bytes: two that may overlap, no call. */
static inline bool take(struct cursor *c, const char *literal, size_t n)
{
    if ((size_t)(c->end - c->p) < n)
        return false;
    if (n < 8 || n > 16
            ? memcmp(c->p, literal, n) != 0
            : !equal8(c->p, literal) || !equal8(c->p + n - 8, literal + n - 8))
        return false;
    c->p += n;
    return true;
}

/*
 * Of the STEP bytes at p, a bit each: `ends` where a string ends or where it
 * is not plain (a quote, a backslash, a control character), `high` where it is
 * not ASCII.
 */
#ifdef __SSE2__
static inline void look(const char *p, uint32_t *ends, uint32_t *high)
{
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x1f);
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    __m128i hit = _mm_cmpeq_epi8(_mm_min_epu8(v, space), v);

    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(v, quote));
    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(v, slash));
    *ends = (uint32_t)_mm_movemask_epi8(hit);
    *high = (uint32_t)_mm_movemask_epi8(v);
}
#else
static inline void look(const char *p, uint32_t *ends, uint32_t *high)
{
    *ends = *high = 0;
    for (size_t i = 0; i < STEP; i++) {
        unsigned char c = (unsigned char)p[i];

        *ends |= (uint32_t)(c < 0x20 || c == '"' || c == '\\') << i;
        *high |= (uint32_t)(c >> 7) << i;
    }
}
#endif

/* The string behind an opening quote, up to the closing one, on which the
 * cursor is left.  The line has STEP bytes before c->end. */
static inline bool string(struct cursor *c, struct str *out)
{
    const char *from = c->p, *p = from;
    uint32_t ends, high, any_high = 0;

    for (;; p += STEP) {
        if ((size_t)(c->end - p) < STEP) {
            size_t again = STEP - (size_t)(c->end - p); /* looked at before */

            look(c->end - STEP, &ends, &high);
            ends = ends >> again; /* again < 32: p is at most STEP behind */
            high = high >> again;
            if (!ends)
                return false;
            break;
        }
        look(p, &ends, &high);
        if (ends)
            break;
        any_high |= high;
    }
    any_high |= high & (ends - 1) & ~ends;
    p += __builtin_ctz(ends);
    if (*p != '"')
        return false;
    *out = str_make(from, (size_t)(p - from));
    c->p = p;
    return !any_high || utf8_valid(*out);
}

/* Is each of the STEP bytes at p one of 0-9, a-f? */
#ifdef __SSE2__
static inline bool all_hex(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(v, _mm_set1_epi8('a'));

    digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    return _mm_movemask_epi8(_mm_or_si128(digit, letter)) == 0xffff;
}
#else
static inline bool all_hex(const char *p)
{
    unsigned wrong = 0;

    for (size_t i = 0; i < STEP; i++) {
        unsigned char x = (unsigned char)p[i];

        wrong |= (unsigned char)(x - '0') > 9 && (unsigned char)(x - 'a') > 5;
    }
    return !wrong;
}
#endif

static bool uid(struct cursor *c, struct str *out)
{
    if ((size_t)(c->end - c->p) < 2 * MD5_SIZE)
        return false;
    *out = str_make(c->p, 2 * MD5_SIZE);
    c->p += 2 * MD5_SIZE;
    return all_hex(out->p) && all_hex(out->p + STEP);
}

/* A number as we write it: no sign, no zero in front. */
static bool number(struct cursor *c, uint64_t *out)
{
    const char *from = c->p;
    uint64_t v = 0;

    for (; c->p < c->end && str_is_digit(*c->p); c->p++) {
        unsigned d = (unsigned)(*c->p - '0');

        if (v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return c->p > from && (*from != '0' || c->p == from + 1);
}

/* Up to and with the closing bracket. */
static bool ids(struct cursor *c, struct str *out, uint32_t *n)
{
    const char *from = c->p;
    uint64_t last = 0, id;

    *n = 0;
    while (!TAKE(c, "]")) {
        if (*n && !TAKE(c, ","))
            return false;
        if (!number(c, &id) || id > UINT32_MAX || (*n && id <= last) ||
            *n == PAIR_MATCHES_MAX)
            return false;
        last = id;
        ++*n;
    }
    *out = str_make(from, (size_t)(c->p - from) - 1);
    return true;
}

/* Of an optional member only what is not empty is written. */
static bool some(struct cursor *c, struct str *out)
{
    return string(c, out) && out->n > 0;
}

/* A plain line up to and with its last brace, where the cursor is left. */
static inline bool members(struct cursor *c, struct pair_scan *p)
{
    const char *from = c->p;

    if ((size_t)(c->end - from) < STEP || !TAKE(c, "{\"uid\":\"") ||
        !uid(c, &p->uid) || !TAKE(c, "\",\"url\":\"") || !some(c, &p->url) ||
        !TAKE(c, "\",\"text\":\"") || !some(c, &p->text))
        return false;
    p->from = p->page = p->origin = p->list_uid = STR_NONE;
    p->q = p->keep = STR_NONE;
    p->n_q = p->n_keep = 0;
    p->s = 0;
    if (TAKE(c, "\",\"from\":\"") && !some(c, &p->from))
        return false;
    if (TAKE(c, "\",\"page\":\"") && !some(c, &p->page))
        return false;
    if (TAKE(c, "\",\"origin\":\"") && !some(c, &p->origin))
        return false;
    if (TAKE(c, "\",\"list_uid\":\"") && !some(c, &p->list_uid))
        return false;
    if (!TAKE(c, "\""))
        return false;
    p->base = (size_t)(c->p - from);
    p->matched = TAKE(c, ",\"q\":[");
    if (p->matched && !ids(c, &p->q, &p->n_q))
        return false;
    p->selected = TAKE(c, ",\"s\":");
    if (p->selected && (!number(c, &p->s) || !TAKE(c, ",\"keep\":[") ||
                        !ids(c, &p->keep, &p->n_keep)))
        return false;
    return TAKE(c, "}");
}

bool pair_scan(struct str line, struct pair_scan *p)
{
    struct cursor c = {line.p, line.p + line.n};

    return members(&c, p) && c.p == c.end;
}

bool pair_scan_first(struct str lines, struct str *line, struct pair_scan *p)
{
    struct cursor c = {lines.p, lines.p + lines.n};

    if (!members(&c, p) || c.p == c.end || *c.p != '\n')
        return false;
    *line = str_make(lines.p, (size_t)(c.p - lines.p));
    return true;
}

void pair_scan_ids(struct str ids, uint32_t *v)
{
    uint32_t id = 0;

    for (size_t i = 0; i < ids.n; i++) {
        if (ids.p[i] == ',') {
            *v++ = id;
            id = 0;
        } else {
            id = id * 10 + (uint32_t)(ids.p[i] - '0');
        }
    }
    if (ids.n)
        *v = id;
}

#define EIGHT 100000000u /* what does not have eight digits */

/* The digits of v, below EIGHT, the first in the lowest byte: halves, quarters,
 * digits, all of one size at once, by multiplications instead of divisions. */
static inline uint64_t eight_digits(uint32_t v)
{
    uint64_t high = v / 10000, low = v % 10000;
    uint64_t four = high | low << 32;
    uint64_t hundreds = (four * 10486 >> 20) & 0x7f0000007fu;
    uint64_t two = hundreds | (four - 100 * hundreds) << 16;
    uint64_t tens = (two * 103 >> 10) & 0x000f000f000f000fu;

    return tens | (two - 10 * tens) << 8;
}

/* 8 bytes are written, or as many as there are digits.  No branch depends on
 * how many: lengths of ids cannot be foretold. */
static inline size_t put_number(uint32_t v, char *to)
{
    size_t n = 0;
    uint64_t digits;
    unsigned zeros;

    if (v >= EIGHT) {
        if (v / EIGHT >= 10)
            to[n++] = (char)('0' + v / EIGHT / 10);
        to[n++] = (char)('0' + v / EIGHT % 10);
        digits = htole64(eight_digits(v % EIGHT) | 0x3030303030303030u);
        memcpy(to + n, &digits, 8);
        return n + 8;
    }
    digits = eight_digits(v);
    zeros = (unsigned)__builtin_ctzll(digits | (uint64_t)1 << 56) >> 3;
    digits = htole64((digits | 0x3030303030303030u) >> (8 * zeros));
    memcpy(to, &digits, 8);
    return 8 - zeros;
}

size_t pair_put_ids(const uint32_t *v, size_t n, char *to)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        at += put_number(v[i], to + at);
        to[at++] = ',';
    }
    return n ? at - 1 : 0;
}
