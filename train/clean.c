#include "train/clean.h"

#include <endian.h>

#include "base/entities.h"
#include "base/err.h"
#include "base/utf8.h"
#include "train/clean_refs.h"

#define ESC             0x1b
#define SIGMA           0x3a3
#define SIGMA_SMALL     0x3c3
#define SIGMA_FINAL     0x3c2
#define NFC_BELOW       0x300 /* text of lower code points is NFC */
#define MAPPED_MAX      FOLD_NFKC_MAX
#define EACH            UINT64_C(0x0101010101010101)
#define HIGH            (EACH * 0x80)
#define NEEDS_NFC       1u /* bits of what a step saw */
#define NEEDS_REDUCTION 2u

void clean_init(struct clean *c)
{
    *c = (struct clean){0};
    buf_init(&c->utf8, CLEAN_MAX);
    buf_init(&c->line, CLEAN_MAX);
    buf_init(&c->text[0], CLEAN_MAX);
    buf_init(&c->text[1], CLEAN_MAX);
    buf_init(&c->whole, CLEAN_MAX);
    fold_init(&c->fold);
}

void clean_release(struct clean *c)
{
    buf_release(&c->utf8);
    buf_release(&c->line);
    buf_release(&c->text[0]);
    buf_release(&c->text[1]);
    buf_release(&c->whole);
    fold_release(&c->fold);
}

/* ---- text that needs nothing but steps 3 and 4 ---- */

/* A bit in each byte that is below lo, of eight that are ASCII. */
static uint64_t below(uint64_t w, unsigned lo)
{
    return ~(w + EACH * (0x80 - lo)) & HIGH;
}

/* Eight bytes that are neither controls nor & nor above ASCII. */
static bool is_easy(uint64_t w)
{
    return !(w & HIGH) && !below(w, ' ') && !below(w ^ EACH * '&', 1) &&
           !below(w ^ EACH * 0x7f, 1);
}

/* What steps 1 and 2 may touch: controls, all that is not ASCII, &. */
static bool is_plain(struct str s)
{
    uint64_t w;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c;

        while (i + sizeof w <= s.n) {
            memcpy(&w, s.p + i, sizeof w);
            if (!is_easy(w))
                break;
            i += sizeof w;
        }
        if (i == s.n)
            break;
        c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f) {
            /* "salt & pepper": no reference begins with a space */
            if (c == '&' && !(i + 1 < s.n && s.p[i + 1] == ' '))
                return false;
        } else if (c != '\n' && c != '\t' && c != '\r' && c != '\f') {
            return false;
        }
    }
    return true;
}

/* One byte: every one is written, and a space behind a space overwritten. */
static char *squeeze_byte(unsigned c, char *to, bool *spaces)
{
    bool space = c <= ' ';

    c += (unsigned)(c - 'A' < 26) << 5;
    *to = (char)(space ? ' ' : c);
    to += !(space && *spaces);
    *spaces = space;
    return to;
}

/* Eight bytes at a time where no space follows a space. */
static void squeeze_plain(struct str s, struct buf *out)
{
    char *begin = buf_reserve(out, s.n), *to = begin;
    bool spaces = true; /* the byte before was one */
    uint64_t w, blank, capital;
    size_t i = 0;

    if (!to)
        return;
    while (i < s.n) {
        if (i + sizeof w <= s.n) {
            memcpy(&w, s.p + i, sizeof w);
            w = le64toh(w);
            blank = below(w ^ EACH * ' ', 1);
            if (!below(w, ' ') && !(blank & (blank << 8 | spaces << 7))) {
                capital = below(w, 'Z' + 1) & ~below(w, 'A');
                spaces = blank >> 63;
                w = htole64(w | capital >> 2);
                memcpy(to, &w, sizeof w);
                to += sizeof w;
                i += sizeof w;
                continue;
            }
        }
        for (size_t k = 0; k < sizeof w && i < s.n; k++)
            to = squeeze_byte((unsigned char)s.p[i++], to, &spaces);
    }
    if (to > begin && to[-1] == ' ')
        to--;
    *to = 0;
    out->n += (size_t)(to - begin);
}

/* ---- step 1, but for references and NFC: code point by code point ---- */

/* Two or three letters that ftfy takes apart; 0 behind the last. */
static const uint16_t *ligature(uint32_t cp)
{
    static const uint16_t list[][4] = {
        {0x132, 'I', 'J'},       {0x133, 'i', 'j'},       {0x149, 0x2bc, 'n'},
        {0x1c4, 'D', 0x17d},     {0x1c5, 'D', 0x17e},     {0x1c6, 'd', 0x17e},
        {0x1c7, 'L', 'J'},       {0x1c8, 'L', 'j'},       {0x1c9, 'l', 'j'},
        {0x1ca, 'N', 'J'},       {0x1cb, 'N', 'j'},       {0x1cc, 'n', 'j'},
        {0x1f1, 'D', 'Z'},       {0x1f2, 'D', 'z'},       {0x1f3, 'd', 'z'},
        {0xfb00, 'f', 'f'},      {0xfb01, 'f', 'i'},      {0xfb02, 'f', 'l'},
        {0xfb03, 'f', 'f', 'i'}, {0xfb04, 'f', 'f', 'l'}, {0xfb05, 0x17f, 't'},
        {0xfb06, 's', 't'}};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i][0] == cp)
            return list[i] + 1;
    return NULL;
}

/* Curly quotes and line separators. */
static uint32_t straight(uint32_t cp)
{
    if (cp == 0x2bc || (cp >= 0x2018 && cp <= 0x201b))
        return '\'';
    if (cp >= 0x201c && cp <= 0x201f)
        return '"';
    return cp == 0x2028 || cp == 0x2029 ? '\n' : cp;
}

static bool is_control(uint32_t cp)
{
    return cp < 9 || cp == 0xb || (cp >= 0xe && cp < 0x20) || cp == 0x7f ||
           (cp >= 0x206a && cp <= 0x206f) || cp == 0xfeff ||
           (cp >= 0xfff9 && cp <= 0xfffc);
}

/* One code point above ASCII. */
static unsigned put_mapped(uint32_t cp, struct buf *out)
{
    uint32_t to[MAPPED_MAX] = {cp};
    size_t n = 1;
    unsigned saw = 0;

    if (cp < 0xa0) {
        to[0] = entity_number(cp);
    } else if (cp == 0x3000) {
        to[0] = ' ';
    } else if (cp > 0xff00 && cp < 0xfff0) {
        n = fold_nfkc(cp, to);
    } else if ((cp >= 0x132 && cp <= 0x1f3) || (cp >> 3) == 0xfb00 >> 3) {
        const uint16_t *letters = ligature(cp);

        for (n = 0; letters && n < 3 && letters[n]; n++)
            to[n] = letters[n];
        n += !letters;
    }
    for (size_t i = 0; i < n; i++) {
        cp = straight(to[i]);
        if (is_control(cp))
            saw |= NEEDS_REDUCTION;
        else if (cp >= NFC_BELOW && !fold_inert(cp))
            saw |= NEEDS_NFC;
        fold_put(cp, out);
    }
    return saw;
}

/* Controls stay for now: they keep what is around them from being an escape
 * sequence.  A lone CR is a line break, and CR LF one more space to squeeze. */
static unsigned map_line(struct str s, struct buf *out)
{
    size_t at = 0;
    unsigned saw = 0;

    while (at < s.n) {
        size_t end = at + utf8_ascii_span(str_slice(s, at, s.n));
        char *to = buf_reserve(out, end - at);

        if (!to)
            break;
        for (; at < end; at++) {
            char c = s.p[at];

            if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
                if (c == '\r')
                    c = '\n';
                else if (c != '\f')
                    saw |= NEEDS_REDUCTION;
            }
            *to++ = c;
            out->n++;
        }
        *to = 0;
        if (at < s.n)
            saw |= put_mapped(utf8_next(s, &at), out);
    }
    return saw;
}

/* Bytes of the escape sequence at the ESC that s begins with, or 0: ESC [,
 * decimal digits of any script and semicolons, a Latin letter. */
static size_t escape(struct str s)
{
    size_t at = 2;

    if (s.n < 2 || s.p[1] != '[')
        return 0;
    while (at < s.n) {
        uint32_t cp = utf8_next(s, &at);

        if (cp < 0x80 && str_is_alpha((char)cp))
            return at;
        if (cp != ';' && fold_class(cp) != FOLD_DIGIT)
            break;
    }
    return 0;
}

/* Without escape sequences; then without controls.  What a control stood
 * between does not become a sequence, so one pass does both. */
static void reduce_line(struct str s, struct buf *out)
{
    size_t at = 0;

    while (at < s.n) {
        size_t begin = at, skip = 0;
        uint32_t cp = utf8_next(s, &at);

        if (cp == ESC)
            skip = escape(str_slice(s, begin, s.n));
        if (skip)
            at = begin + skip;
        else if (!is_control(cp))
            fold_put(cp, out);
    }
}

/* ---- the loop of step 1 ---- */

/* The other of the two buffers, empty; *cur becomes it. */
static struct buf *turn(struct clean *c, struct buf **cur)
{
    *cur = *cur == &c->text[0] ? &c->text[1] : &c->text[0];
    buf_clear(*cur);
    return *cur;
}

/* One round over c->line; *done lies in c. */
static int fix_round(struct clean *c, bool unescape, struct str *done)
{
    struct buf *cur = &c->text[1];
    struct str s = buf_str(&c->line);
    unsigned saw;

    if (unescape && str_find_char(s, '&', 0) != SIZE_MAX) {
        clean_refs_ftfy(s, turn(c, &cur));
        s = buf_str(cur);
    }
    if (!c->garbled && utf8_ascii_span(s) < s.n)
        c->garbled = clean_garbled(s);
    saw = map_line(s, turn(c, &cur));
    s = buf_str(cur);
    if (saw & NEEDS_REDUCTION && !cur->rc) {
        reduce_line(s, turn(c, &cur));
        s = buf_str(cur);
    }
    if (saw & NEEDS_NFC && !cur->rc) {
        int rc = fold_nfc(&c->fold, s, turn(c, &cur));

        if (rc)
            return rc;
        s = buf_str(cur);
    }
    *done = s;
    return cur->rc;
}

/* Rounds until one changes nothing. */
static int fix_line(struct clean *c, struct str line, bool unescape)
{
    struct str done;
    int rc;

    buf_clear(&c->line);
    buf_add(&c->line, line);
    for (;;) {
        if (c->line.rc)
            return c->line.rc;
        rc = fix_round(c, unescape, &done);
        if (rc)
            return rc;
        if (str_eq(done, buf_str(&c->line)))
            break;
        buf_clear(&c->line);
        buf_add(&c->line, done);
    }
    buf_add(&c->whole, done);
    return c->whole.rc;
}

/* A < turns entities off from its line on: it may be HTML. */
static int fix_text(struct clean *c, struct str text)
{
    bool unescape = true;
    size_t at = 0;
    int rc = 0;

    while (!rc && at < text.n) {
        size_t end = str_find_char(text, '\n', at);
        struct str line;

        end = end == SIZE_MAX ? text.n : end + 1;
        line = str_slice(text, at, end);
        if (str_find_char(line, '<', 0) != SIZE_MAX)
            unescape = false;
        rc = fix_line(c, line, unescape);
        at = end;
    }
    return rc;
}

/* ---- steps 3 and 4 ---- */

/* Is the sigma before `at` the last letter of a word, cased letters before it
 * given?  Nothing cased may follow but for what is passed over. */
static bool is_final(struct str s, size_t at)
{
    while (at < s.n) {
        enum fold_sigma sigma = fold_sigma(utf8_next(s, &at));

        if (sigma != FOLD_IGNORABLE)
            return sigma != FOLD_CASED;
    }
    return true;
}

/* Python's lower of cp, a sigma apart. */
static void put_lower(uint32_t cp, struct buf *out)
{
    if (cp == 0x130) {
        fold_put('i', out);
        fold_put(0x307, out);
    } else {
        fold_put(fold_lower(cp), out);
    }
}

static void squeeze(struct str s, struct buf *out)
{
    bool sigmas = str_find(s, STR("\xce\xa3"), 0) != SIZE_MAX;
    bool space = false, cased = false;
    size_t at = 0, first = out->n;

    while (at < s.n) {
        uint32_t cp = utf8_next(s, &at);

        if (utf8_is_white_space(cp)) {
            space = out->n > first;
            cased = false;
            continue;
        }
        if (space)
            buf_add_char(out, ' ');
        space = false;
        if (cp < 0x80)
            buf_add_char(out, str_lower_char((char)cp));
        else if (cp == SIGMA)
            fold_put(cased && is_final(s, at) ? SIGMA_FINAL : SIGMA_SMALL, out);
        else
            put_lower(cp, out);
        if (sigmas && fold_sigma(cp) != FOLD_IGNORABLE)
            cased = fold_sigma(cp) == FOLD_CASED;
    }
}

/* s with U+FFFD for what is no UTF-8; s itself when it is. */
static struct str repaired(struct str s, struct buf *out)
{
    size_t at = 0;

    if (utf8_valid(s))
        return s;
    while (at < s.n) {
        uint32_t cp = utf8_next(s, &at);

        fold_put(cp == UTF8_BAD ? 0xfffd : cp, out);
    }
    return buf_str(out);
}

static int finish(struct buf *b, struct str *cleaned)
{
    buf_reserve(b, CLEAN_SLACK);
    *cleaned = buf_str(b);
    return b->rc;
}

int clean_text(struct clean *c, struct str text, struct str *cleaned)
{
    struct buf *cur = &c->text[1];
    struct str s;
    int rc;

    c->garbled = false;
    buf_clear(&c->whole);
    if (is_plain(text)) {
        squeeze_plain(text, &c->whole);
        return finish(&c->whole, cleaned);
    }
    buf_clear(&c->utf8);
    s = repaired(text, &c->utf8);
    rc = c->utf8.rc ? c->utf8.rc : fix_text(c, s);
    if (rc)
        return rc;
    s = buf_str(&c->whole);
    for (int i = 0; i < 2 && str_find_char(s, '&', 0) != SIZE_MAX; i++) {
        clean_refs_python(s, turn(c, &cur));
        s = buf_str(cur);
        if (cur->rc)
            return cur->rc;
    }
    squeeze(s, turn(c, &cur));
    return finish(cur, cleaned);
}
