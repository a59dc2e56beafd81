#include "base/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

size_t utf8_ascii_span(struct str s)
{
    size_t i = 0;
    uint64_t w, four[4];

    for (; i + 32 <= s.n; i += 32) { /* as most text goes */
        memcpy(four, s.p + i, 32);
        if ((four[0] | four[1] | four[2] | four[3]) & HIGH_BITS)
            break;
    }
    for (; i + 8 <= s.n; i += 8) {
        memcpy(&w, s.p + i, 8);
        if (w & HIGH_BITS)
            break;
    }
    while (i < s.n && !(s.p[i] & 0x80))
        i++;
    return i;
}

static bool continues(struct str s, size_t at, unsigned lo, unsigned hi)
{
    unsigned c;

    if (at >= s.n)
        return false;
    c = (unsigned char)s.p[at];
    return c >= lo && c <= hi;
}

/* The second byte is where overlong forms, surrogates and what lies above
 * U+10FFFF show: its range depends on the first (table 3-7). */
uint32_t utf8_next(struct str s, size_t *at)
{
    size_t i = *at;
    unsigned c = (unsigned char)s.p[i];
    unsigned lo = 0x80, hi = 0xbf, more;
    uint32_t cp;

    if (c < 0x80) {
        *at = i + 1;
        return c;
    }
    if (c >= 0xc2 && c <= 0xdf) {
        more = 1;
        cp = c & 0x1f;
    } else if (c >= 0xe0 && c <= 0xef) {
        more = 2;
        cp = c & 0x0f;
        if (c == 0xe0)
            lo = 0xa0;
        else if (c == 0xed)
            hi = 0x9f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        more = 3;
        cp = c & 0x07;
        if (c == 0xf0)
            lo = 0x90;
        else if (c == 0xf4)
            hi = 0x8f;
    } else {
        *at = i + 1;
        return UTF8_BAD;
    }
    for (unsigned k = 1; k <= more; k++) {
        if (!continues(s, i + k, lo, hi)) {
            *at = i + k;
            return UTF8_BAD;
        }
        cp = cp << 6 | ((unsigned char)s.p[i + k] & 0x3f);
        lo = 0x80;
        hi = 0xbf;
    }
    *at = i + more + 1;
    return cp;
}

bool utf8_valid(struct str s)
{
    size_t i = 0;

    while (i < s.n) {
        i += utf8_ascii_span(str_slice(s, i, s.n));
        if (i < s.n && utf8_next(s, &i) == UTF8_BAD)
            return false;
    }
    return true;
}

size_t utf8_put(char *out, uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

bool utf8_is_white_space(uint32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0d) || cp == 0x20 || cp == 0x85 ||
           cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
           cp == 0x3000;
}
