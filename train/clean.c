#include "train/clean.h"

#include <endian.h>

#include "base/err.h"
#include "base/utf8.h"
#include "train/clean_chars.h"
#include "train/clean_refs.h"

#define ESC         0x1b
#define SIGMA       0x3a3
#define SIGMA_SMALL 0x3c3
#define SIGMA_FINAL 0x3c2
#define ROUNDS_EACH 8 /* that take off one level of nested entities */
#define EACH        UINT64_C(0x0101010101010101)
#define HIGH        (EACH * 0x80)

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
                    saw |= CLEAN_NEEDS_REDUCTION;
            }
            *to++ = c;
            out->n++;
        }
        *to = 0;
        if (at < s.n)
            saw |= clean_char(utf8_next(s, &at), out);
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
        else if (!clean_is_control(cp))
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

enum unescape { KEEP, ONE_LEVEL, ALL_LEVELS };

/* One round over c->line; *done lies in c. */
static int fix_round(struct clean *c, enum unescape how, struct str *done)
{
    struct buf *cur = &c->text[1];
    struct str s = buf_str(&c->line);
    unsigned saw;

    if (how != KEEP && str_find_char(s, '&', 0) != SIZE_MAX) {
        struct buf *spare = cur, *to = turn(c, &cur);

        if (how == ONE_LEVEL)
            clean_refs_ftfy(s, to);
        else
            clean_refs_nested(s, spare, to);
        s = buf_str(cur);
    }
    if (!c->garbled && utf8_ascii_span(s) < s.n)
        c->garbled = clean_garbled(s);
    saw = map_line(s, turn(c, &cur));
    s = buf_str(cur);
    if (saw & CLEAN_NEEDS_REDUCTION && !cur->rc) {
        reduce_line(s, turn(c, &cur));
        s = buf_str(cur);
    }
    if (saw & CLEAN_NEEDS_NFC && !cur->rc) {
        int rc = fold_nfc(&c->fold, s, turn(c, &cur));

        if (rc)
            return rc;
        s = buf_str(cur);
    }
    *done = s;
    return cur->rc;
}

/*
 * Rounds until one changes nothing.  Each takes off one level of nested
 * entities, and a text can have a level for every four bytes: behind the first
 * few, which the published cleaning makes one by one, one round takes off all
 * the others.  It comes to the same: no two references overlap, and no step
 * takes one apart but the deletion of escape sequences, and whatever was ESC
 * is gone after the first round.
 */
static int fix_line(struct clean *c, struct str line, bool unescape)
{
    unsigned rounds = 0;
    struct str done;
    int rc;

    buf_clear(&c->line);
    buf_add(&c->line, line);
    for (;;) {
        if (c->line.rc)
            return c->line.rc;
        rc = fix_round(c,
                       !unescape                ? KEEP
                       : rounds++ < ROUNDS_EACH ? ONE_LEVEL
                                                : ALL_LEVELS,
                       &done);
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
