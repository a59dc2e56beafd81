#include "train/pieces.h"

#include <endian.h>

#include "base/fold.h"
#include "base/utf8.h"

enum kind { SPACE, LETTER, NUMBER, OTHER, HIGH };

/* clang-format off */
static const uint8_t ascii[256] = {
    /* control characters that are no white space are others */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 3, 3,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3,
    3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3,
    3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
    4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4,
};
/* clang-format on */

static enum kind kind_of(uint32_t cp)
{
    if (utf8_is_white_space(cp) || cp == 0x345)
        return SPACE;
    switch (fold_class(cp)) {
    case FOLD_LETTER:
        return LETTER;
    case FOLD_DIGIT:
    case FOLD_NUMBER:
        return NUMBER;
    default:
        return OTHER;
    }
}

/* The kind of what stands at *at, which moves behind it. */
static enum kind next_kind(struct str s, size_t *at)
{
    enum kind kind = (enum kind)ascii[(unsigned char)s.p[*at]];

    if (kind != HIGH) {
        ++*at;
        return kind;
    }
    return kind_of(utf8_next(s, at));
}

/* Bytes of s that spell `word`, U+017F an s; 0 when it is something else. */
static size_t spells(struct str s, struct str word)
{
    size_t at = 0;

    for (size_t i = 0; i < word.n; i++) {
        if (at < s.n && str_lower_char(s.p[at]) == word.p[i])
            at++;
        else if (word.p[i] == 's' && at + 1 < s.n &&
                 !memcmp(s.p + at, "\xc5\xbf", 2))
            at += 2;
        else
            return 0;
    }
    return at;
}

static size_t suffix(struct str s)
{
    static const char *const list[] = {"'s", "'t",  "'re", "'ve",
                                       "'m", "'ll", "'d"};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        size_t n = spells(s, str_of(list[i]));

        if (n)
            return n;
    }
    return 0;
}

/* Bytes of the special or suffix at s; 0 when there is neither. */
static size_t word_at(const struct pieces *p, struct str s, int *special)
{
    if (s.p[0] == '\'')
        return suffix(s);
    for (int i = 0; s.p[0] == '<' && i < PIECES_SPECIALS; i++) {
        size_t n = spells(s, p->specials[i]);

        if (!n)
            continue;
        /* spelled with U+017F it is cut here, but is no special */
        if (n == p->specials[i].n)
            *special = i;
        return n;
    }
    return 0;
}

/* Small Latin letters from s[at] on, eight bytes at a time: most pieces end in
 * the first eight, and the end of a loop over bytes is seldom foreseen.  A byte
 * above ASCII may carry into the next ones, but ends the letters itself. */
static size_t latin_span(struct str s, size_t at)
{
    const uint64_t each = UINT64_C(0x0101010101010101), high = each * 0x80;
    uint64_t w, ends;

    for (; at + sizeof w <= s.n; at += sizeof w) {
        memcpy(&w, s.p + at, sizeof w);
        w = le64toh(w);
        ends =
            (~(w + each * (0x80 - 'a')) | (w + each * (0x7f - 'z')) | w) & high;
        if (ends)
            return at + (size_t)__builtin_ctzll(ends) / 8;
    }
    return at;
}

bool pieces_next(struct pieces *p, struct str *piece, int *special)
{
    struct str s = p->text;
    size_t begin = p->at, at = begin, next, n;
    enum kind kind = SPACE;

    *special = -1;
    while (at < s.n && kind == SPACE) {
        begin = at;
        kind = next_kind(s, &at);
    }
    p->at = at;
    if (kind == SPACE)
        return false;
    n = word_at(p, str_make(s.p + begin, s.n - begin), special);
    if (n) {
        p->at = begin + n;
    } else if (kind != NUMBER) {
        if (kind == LETTER)
            at = latin_span(s, at);
        for (;;) {
            while (at < s.n && ascii[(unsigned char)s.p[at]] == kind)
                at++;
            next = at;
            if (at == s.n || ascii[(unsigned char)s.p[at]] != HIGH ||
                next_kind(s, &next) != kind)
                break;
            at = next;
        }
        p->at = at;
    }
    *piece = str_make(s.p + begin, p->at - begin);
    return true;
}
