#include "train/clean_refs.h"

#include "base/entities.h"
#include "base/fold.h"
#include "base/utf8.h"
#include "train/clean_chars.h"

#define GREEK_QUESTION_MARK 0x37e /* NFC makes it a semicolon */
#define KELVIN_SIGN         0x212a

#define CLOSED_MAX 24 /* letters and digits of a reference that ftfy takes */

static bool is_alnum(char c)
{
    return str_is_alpha(c) || str_is_digit(c);
}

/* Numbers that html.unescape leaves out (the standard's parse errors). */
static bool is_void(uint32_t cp)
{
    return (cp >= 1 && cp <= 8) || cp == 0xb || (cp >= 0xe && cp <= 0x1f) ||
           (cp >= 0x7f && cp <= 0x9f) || (cp >= 0xfdd0 && cp <= 0xfdef) ||
           (cp & 0xfffe) == 0xfffe;
}

/*
 * s begins behind "&#".  Appends the character; returns the bytes that the
 * number takes, with its semicolon, 0 when there is none.  The five C1 numbers
 * that windows-1252 lacks stand for themselves; the other void ones vanish.
 */
static size_t number(struct str s, struct buf *out)
{
    bool hex = s.n && (s.p[0] == 'x' || s.p[0] == 'X');
    size_t at = hex, first = at;
    uint32_t n = 0, cp;

    while (at < s.n) {
        int digit = hex                     ? str_hex_digit(s.p[at])
                    : str_is_digit(s.p[at]) ? s.p[at] - '0'
                                            : -1;

        if (digit < 0)
            break;
        if (n <= 0x10ffff)
            n = n * (hex ? 16 : 10) + (uint32_t)digit;
        at++;
    }
    if (at == first)
        return 0;
    if (at < s.n && s.p[at] == ';')
        at++;
    cp = entity_number(n);
    if ((n >= 0x80 && n <= 0x9f) || !is_void(cp))
        fold_put(cp, out);
    return at;
}

static void put_entity(const struct entity *e, struct buf *out)
{
    fold_put(e->first, out);
    if (e->second)
        fold_put(e->second, out);
}

/* At the ampersand: the bytes of the reference, 0 when there is none. */
static size_t python_ref(struct str s, struct buf *out)
{
    struct str rest = str_slice(s, 1, s.n);
    struct entity e;

    if (rest.n && rest.p[0] == '#') {
        size_t n = number(str_slice(rest, 1, rest.n), out);

        return n ? n + 2 : 0;
    }
    if (!entity_find(rest, &e))
        return 0;
    put_entity(&e, out);
    return e.n + 1;
}

/* "NTILDE;" where "ntilde;" is a name, and no name begins the capitals. */
static bool put_capitals(struct str name, struct buf *out)
{
    char lower[CLOSED_MAX + 1];
    struct entity e;

    if (entity_find(name, &e))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] >= 'a' && name.p[i] <= 'z')
            return false;
        lower[i] = str_lower_char(name.p[i]);
    }
    if (!entity_find(str_make(lower, name.n), &e) || e.n != name.n)
        return false;
    if (e.first == 0xdf) { /* the only one whose capitals are two letters,
                              of those that step 1 leaves as they are */
        buf_add(out, STR("SS"));
        return true;
    }
    e.first = fold_upper(e.first);
    e.second = fold_upper(e.second);
    put_entity(&e, out);
    return true;
}

/* At the ampersand, as above. */
static size_t ftfy_ref(struct str s, struct buf *out)
{
    size_t first = 1, at, before = out->n;
    struct entity e;
    struct str name;

    if (first < s.n && s.p[first] == '#')
        first++;
    for (at = first; at < s.n && is_alnum(s.p[at]); at++)
        if (at - first == CLOSED_MAX)
            return 0;
    if (at == first || at == s.n || s.p[at] != ';')
        return 0;
    at++;
    if (first == 2) {
        /* A number that ends before its semicolon leaves one, and so does
         * the number of a semicolon. */
        if (number(str_slice(s, 2, at), out) != at - 2 ||
            (out->n == before + 1 && out->p[before] == ';')) {
            if (!out->rc)
                out->n = before;
            return 0;
        }
        return at;
    }
    name = str_slice(s, 1, at);
    if (entity_find(name, &e) && e.n == name.n) {
        put_entity(&e, out);
        return at;
    }
    return put_capitals(name, out) ? at : 0;
}

static void unescape(struct str s, size_t (*ref)(struct str, struct buf *),
                     struct buf *out)
{
    size_t at = 0;

    while (at < s.n) {
        size_t end = str_find_char(s, '&', at), n;

        if (end == SIZE_MAX)
            end = s.n;
        buf_add(out, str_slice(s, at, end));
        at = end;
        if (at == s.n)
            break;
        n = ref(str_slice(s, at, s.n), out);
        if (!n) {
            buf_add_char(out, '&');
            n = 1;
        }
        at += n;
    }
}

void clean_refs_python(struct str s, struct buf *out)
{
    unescape(s, python_ref, out);
}

void clean_refs_ftfy(struct str s, struct buf *out)
{
    unescape(s, ftfy_ref, out);
}

/* Bytes of what looks like a closed reference at the end of s, or 0. */
static size_t closed(struct str s)
{
    size_t at = s.n, n = 0;

    if (!at || s.p[--at] != ';')
        return 0;
    for (; at && is_alnum(s.p[at - 1]); at--)
        if (++n > CLOSED_MAX)
            return 0;
    at -= at && s.p[at - 1] == '#';
    return n && at && s.p[at - 1] == '&' ? s.n - at + 1 : 0;
}

/* A decoded character as a whole round would leave it. */
static void put_fixed(uint32_t cp, struct buf *out)
{
    size_t before = out->n;

    if (cp == GREEK_QUESTION_MARK)
        cp = ';';
    else if (cp == KELVIN_SIGN)
        cp = 'K';
    else if (cp == '\r')
        cp = '\n';
    if (cp < 0x80)
        buf_add_char(out, (char)cp);
    else if (clean_char(cp, out) & CLEAN_NEEDS_REDUCTION && !out->rc)
        out->n = before;
}

/* out ends in a semicolon: decode what it closes, and what that closes. */
static void settle(struct buf *made, struct buf *out)
{
    size_t n, at;

    while ((n = closed(buf_str(out))) && !out->rc) {
        struct str all = buf_str(out), tail = str_slice(all, all.n - n, all.n);

        buf_clear(made);
        if (ftfy_ref(tail, made) != n)
            return;
        out->n -= n;
        for (at = 0; at < made->n;)
            put_fixed(utf8_next(buf_str(made), &at), out);
    }
}

void clean_refs_nested(struct str s, struct buf *spare, struct buf *out)
{
    size_t at = 0;

    while (at < s.n) {
        size_t end = str_find_char(s, ';', at);

        end = end == SIZE_MAX ? s.n : end + 1;
        buf_add(out, str_slice(s, at, end));
        settle(spare, out);
        at = end;
    }
}
