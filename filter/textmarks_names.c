/* textmarks: names of things elsewhere, and little beside. */
#include "filter/textmarks.h"

#include "base/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Words of at least two letters in a token; a letter is an ASCII one or any
 * code point behind ASCII. */
static size_t words_of_letters(struct str token)
{
    size_t words = 0, letters = 0, i = 0;

    while (i < token.n) {
        uint32_t cp = utf8_next(token, &i);
        bool letter = cp >= 0x80 || str_is_alpha((char)cp);

        letters = letter ? letters + 1 : 0;
        words += letters == 2;
    }
    return words;
}

static bool names_only(struct str text, bool (*names)(struct str token))
{
    struct str token;
    bool named = false;
    size_t words = 0;

    while (str_split(&text, ' ', &token)) {
        if (names(token))
            named = true;
        else
            words += words_of_letters(token);
    }
    return named && words < 2;
}

#define NAME(a, b, c, d)                                                       \
    ((uint32_t)(d) << 24 | (uint32_t)(c) << 16 | (uint32_t)(b) << 8 |          \
     (uint32_t)(a))

/* .jpg and the like, from the dot on. */
static bool image_suffix(struct str s)
{
    uint32_t name = 0;

    if (s.n < 4 || s.n > 5)
        return false;
    for (size_t i = s.n - 1; i > 0; i--) /* no other byte becomes a letter */
        name = name << 8 | (unsigned char)s.p[i] | 0x20;
    switch (name) {
    case NAME('j', 'p', 'g', 0):
    case NAME('j', 'p', 'e', 'g'):
    case NAME('p', 'n', 'g', 0):
    case NAME('g', 'i', 'f', 0):
    case NAME('w', 'e', 'b', 'p'):
    case NAME('a', 'v', 'i', 'f'):
    case NAME('s', 'v', 'g', 0):
    case NAME('s', 'v', 'g', 'z'):
    case NAME('b', 'm', 'p', 0):
    case NAME('t', 'i', 'f', 0):
    case NAME('t', 'i', 'f', 'f'):
    case NAME('i', 'c', 'o', 0):
    case NAME('h', 'e', 'i', 'c'):
    case NAME('j', 'f', 'i', 'f'):
        return s.p[0] == '.';
    default:
        return false;
    }
}

static bool names_image(struct str token)
{
    size_t dot = token.n;

    while (dot > 0 && token.p[dot - 1] != '.')
        dot--;
    return dot > 0 && image_suffix(str_slice(token, dot - 1, token.n));
}

#ifdef __SSE2__
#define TURN 64 /* bytes */

/* Of the 16 bytes from at on, or from last on: is one a dot, and the byte
 * behind it a letter?  x - 'a' < 26, unsigned, as a signed comparison 128
 * lower. */
static __m128i dots_and_letters(const char *p, size_t at, size_t last)
{
    const __m128i *from = (const void *)(p + (at < last ? at : last));
    const __m128i *behind = (const void *)((const char *)from + 1);
    const __m128i a = _mm_set1_epi8((char)('a' + 128));
    const __m128i letters = _mm_set1_epi8(26 - 128);
    __m128i dots = _mm_cmpeq_epi8(_mm_loadu_si128(from), _mm_set1_epi8('.'));
    __m128i next = _mm_or_si128(_mm_loadu_si128(behind), _mm_set1_epi8(0x20));

    return _mm_and_si128(dots, _mm_cmplt_epi8(_mm_sub_epi8(next, a), letters));
}

/* s has 17 bytes or more.  The last ones are looked at again where a turn has
 * too few, so that one turn is all that most texts take. */
static bool has_dot_by_turns(struct str s)
{
    size_t last = s.n - 17, at = 0;
    __m128i found = _mm_setzero_si128();

    for (;; at += TURN) {
        __m128i a = dots_and_letters(s.p, at, last);
        __m128i b = dots_and_letters(s.p, at + 16, last);
        __m128i c = dots_and_letters(s.p, at + 32, last);
        __m128i d = dots_and_letters(s.p, at + 48, last);

        found = _mm_or_si128(
            found, _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)));
        if (at + TURN - 16 >= last)
            return _mm_movemask_epi8(found) != 0;
    }
}
#endif

/* Does a letter stand right behind some dot?  Of thirty texts one has it, so
 * that who asks this first is rarely surprised by the answer. */
static bool has_dot_and_letter(struct str s)
{
#ifdef __SSE2__
    if (s.n >= 17)
        return has_dot_by_turns(s);
#endif
    for (size_t at = 0; at + 1 < s.n; at++)
        if ((s.p[at] == '.') & str_is_alpha(s.p[at + 1]))
            return true;
    return false;
}

bool textmarks_filename(struct str text)
{
    const char *p = text.p, *end = text.p + text.n;

    if (!has_dot_and_letter(text))
        return false;
    while ((p = memchr(p, '.', (size_t)(end - p)))) {
        size_t n = 1;

        while (p + n < end && n < 6 && p[n] != ' ')
            n++;
        if (image_suffix(str_make(p, n)))
            return names_only(text, names_image);
        p++;
    }
    return false;
}

static bool istarts(struct str s, struct str prefix)
{
    return str_ieq(str_slice(s, 0, prefix.n), prefix);
}

static bool names_place(struct str token)
{
    size_t host = str_find_char(token, '@', 0);

    if (istarts(token, STR("http://")) || istarts(token, STR("https://")) ||
        istarts(token, STR("www.")) || istarts(token, STR("ftp://")))
        return true;
    /* NAME@HOST.TLD */
    return host != SIZE_MAX && host > 0 && str_is_alpha(token.p[token.n - 1]) &&
           str_find_char(token, '.', host + 2) != SIZE_MAX;
}

bool textmarks_link(struct str text, unsigned seen)
{
    if (!(seen & TEXTMARKS_DOT) ||
        (!(seen & (TEXTMARKS_AT | TEXTMARKS_COLON)) &&
         str_find(text, STR("www."), 0) == SIZE_MAX &&
         str_find(text, STR("WWW."), 0) == SIZE_MAX))
        return false;
    return names_only(text, names_place);
}
