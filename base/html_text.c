#include "base/entities.h"
#include "base/html.h"
#include "base/utf8.h"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static void put(struct buf *out, uint32_t cp)
{
    char bytes[UTF8_MAX];

    buf_add_bytes(out, bytes, utf8_put(bytes, cp));
}

/* &#123; or &#x7b;, the ampersand at p[0].  Bytes it takes, 0 for none. */
static size_t numeric(struct str s, struct buf *out)
{
    size_t at = 2, from;
    bool hex = s.n > 2 && (s.p[2] == 'x' || s.p[2] == 'X');
    uint32_t value = 0;

    if (hex)
        at++;
    for (from = at; at < s.n; at++) {
        int d = str_hex_digit(s.p[at]);

        if (d < 0 || (!hex && d > 9))
            break;
        if (value <= 0x10ffff)
            value = value * (hex ? 16 : 10) + (uint32_t)d;
    }
    if (at == from)
        return 0;
    put(out, entity_number(value));
    return at < s.n && s.p[at] == ';' ? at + 1 : at;
}

/* &name; or an old name without its semicolon.  In an attribute the latter is
 * left alone before = and alphanumerics, for the sake of URLs. */
static size_t named(struct str s, bool in_attr, struct buf *out)
{
    struct entity found;
    char next;

    if (!entity_find(str_slice(s, 1, s.n), &found))
        return 0;
    next = found.n + 1 < s.n ? s.p[found.n + 1] : 0;
    if (in_attr && !found.semicolon &&
        (next == '=' || str_is_alpha(next) || str_is_digit(next)))
        return 0;
    put(out, found.first);
    if (found.second)
        put(out, found.second);
    return found.n + 1;
}

static size_t reference(struct str s, bool in_attr, struct buf *out)
{
    if (s.n < 2)
        return 0;
    if (s.p[1] == '#')
        return numeric(s, out);
    if (!str_is_alpha(s.p[1]))
        return 0;
    return named(s, in_attr, out);
}

static bool must_change(unsigned char c, unsigned flags)
{
    if (c > '&')
        return (flags & HTML_LOWER) && c >= 'A' && c <= 'Z';
    if (c == '&')
        return flags & HTML_REFS;
    return c == '\r' || (c == 0 && (flags & (HTML_NUL_DROP | HTML_NUL_BAD)));
}

/* Append what stands for the special byte at the front of s; bytes taken. */
static size_t change(struct str s, unsigned flags, struct buf *out)
{
    char c = s.p[0];
    size_t n;

    if (c == '&') {
        n = reference(s, flags & HTML_IN_ATTR, out);
        if (n)
            return n;
    } else if (c == '\r') {
        buf_add_char(out, '\n');
        return s.n > 1 && s.p[1] == '\n' ? 2 : 1;
    } else if (c == 0) {
        if (flags & HTML_NUL_BAD)
            buf_add(out, STR(BAD));
        return 1;
    }
    buf_add_char(out, flags & HTML_LOWER ? str_lower_char(c) : c);
    return 1;
}

struct str html_text(struct str raw, unsigned flags, struct buf *scratch)
{
    size_t at = 0, kept = 0;

    while (at < raw.n && !must_change((unsigned char)raw.p[at], flags))
        at++;
    if (at == raw.n)
        return raw;
    buf_clear(scratch);
    while (at < raw.n && !scratch->rc) {
        buf_add(scratch, str_slice(raw, kept, at));
        kept = at += change(str_slice(raw, at, raw.n), flags, scratch);
        while (at < raw.n && !must_change((unsigned char)raw.p[at], flags))
            at++;
    }
    buf_add(scratch, str_slice(raw, kept, at));
    return buf_str(scratch);
}

unsigned html_text_flags(const struct html *h)
{
    switch (h->text_model) {
    case HTML_MODEL_DATA:
        return HTML_REFS;
    case HTML_MODEL_RCDATA:
        return HTML_REFS | HTML_NUL_BAD;
    case HTML_MODEL_CDATA:
        return 0;
    default:
        return HTML_NUL_BAD;
    }
}
