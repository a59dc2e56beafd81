#include "querylist/title.h"

#include <stdbool.h>

#include "base/utf8.h"

#define RAW_MAX ((size_t)1 << 16) /* bytes looked at: a line has fewer */

const char *title_fault_name(enum title_fault f)
{
    static const char *const names[] = {
#define X(name, text) text,
        TITLE_FAULT_MAP(X)
#undef X
    };

    return (unsigned)f < TITLE_FAULTS ? names[f] : "unknown";
}

void title_form_init(struct title_form *t)
{
    *t = (struct title_form){0};
    buf_init(&t->text, 2 * RAW_MAX);
    buf_init(&t->composed, 4 * RAW_MAX);
    fold_init(&t->fold);
}

void title_form_release(struct title_form *t)
{
    buf_release(&t->text);
    buf_release(&t->composed);
    fold_release(&t->fold);
}

/* raw with %XX decoded, into t->text. */
static void decode(struct title_form *t, struct str raw)
{
    char *to = buf_reserve(&t->text, raw.n + 1);
    size_t n = 0;

    if (!to)
        return;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '%' && i + 2 < raw.n &&
            str_hex_digit(raw.p[i + 1]) >= 0 &&
            str_hex_digit(raw.p[i + 2]) >= 0) {
            to[n++] = (char)(str_hex_digit(raw.p[i + 1]) * 16 +
                             str_hex_digit(raw.p[i + 2]));
            i += 2;
        } else {
            to[n++] = raw.p[i];
        }
    }
    to[n] = 0;
    t->text.n = n;
}

/* Bytes of the blank at *at, 0 if there is none.  MediaWiki's own set: controls
 * are none of it, they forbid a name. */
static size_t blank(struct str s, size_t at)
{
    size_t next = at;
    uint32_t cp;

    if (s.p[at] == ' ' || s.p[at] == '_')
        return 1;
    if ((unsigned char)s.p[at] < 0x80)
        return 0;
    cp = utf8_next(s, &next);
    return cp != 0x85 && utf8_is_white_space(cp) ? next - at : 0;
}

/* Blanks in place: one space for a run, none at the ends. */
static void squeeze(struct buf *b)
{
    struct str s = buf_str(b);
    size_t n = 0, at = 0, step;

    while (at < s.n) {
        step = blank(s, at);
        if (step) {
            if (n && b->p[n - 1] != ' ')
                b->p[n++] = ' ';
            at += step;
        } else {
            b->p[n++] = s.p[at++];
        }
    }
    if (n && b->p[n - 1] == ' ')
        n--;
    b->n = n;
}

/* t->composed with its first letter upper-cased, in t->text if that changes
 * anything. */
static struct str capitalized(struct title_form *t)
{
    struct str s = buf_str(&t->composed);
    size_t next = 0;
    uint32_t cp, upper;

    if (!s.n || t->exact_case)
        return s;
    cp = utf8_next(s, &next);
    upper = fold_upper(cp);
    if (upper == cp || cp == 0xdf || (cp >= 0x10d0 && cp <= 0x10ff))
        return s;
    buf_clear(&t->text);
    fold_put(upper, &t->text);
    buf_add(&t->text, str_slice(s, next, s.n));
    return buf_str(&t->text);
}

/* What a byte does to a name. */
enum { FINE, COLON, ILLEGAL, WIDE /* may begin U+FFFD */ };

static const unsigned char kinds[256] = {
    [0] = ILLEGAL,    [1] = ILLEGAL,   [2] = ILLEGAL,   [3] = ILLEGAL,
    [4] = ILLEGAL,    [5] = ILLEGAL,   [6] = ILLEGAL,   [7] = ILLEGAL,
    [8] = ILLEGAL,    [9] = ILLEGAL,   [10] = ILLEGAL,  [11] = ILLEGAL,
    [12] = ILLEGAL,   [13] = ILLEGAL,  [14] = ILLEGAL,  [15] = ILLEGAL,
    [16] = ILLEGAL,   [17] = ILLEGAL,  [18] = ILLEGAL,  [19] = ILLEGAL,
    [20] = ILLEGAL,   [21] = ILLEGAL,  [22] = ILLEGAL,  [23] = ILLEGAL,
    [24] = ILLEGAL,   [25] = ILLEGAL,  [26] = ILLEGAL,  [27] = ILLEGAL,
    [28] = ILLEGAL,   [29] = ILLEGAL,  [30] = ILLEGAL,  [31] = ILLEGAL,
    [0x7f] = ILLEGAL, ['#'] = ILLEGAL, ['<'] = ILLEGAL, ['>'] = ILLEGAL,
    ['['] = ILLEGAL,  [']'] = ILLEGAL, ['{'] = ILLEGAL, ['}'] = ILLEGAL,
    ['|'] = ILLEGAL,  [':'] = COLON,   [0xef] = WIDE,
};

static enum title_fault fault(struct str s)
{
    bool met[4] = {false};

    if (!s.n || str_eq(s, STR("-")))
        return TITLE_NONE;
    for (size_t i = 0; i < s.n; i++)
        met[kinds[(unsigned char)s.p[i]]] = true;
    if (met[COLON])
        return TITLE_COLON;
    if (str_eq(s, STR("Main Page")))
        return TITLE_MAIN_PAGE;
    if (s.n > TITLE_MAX)
        return TITLE_TOO_LONG;
    if (met[ILLEGAL] ||
        (met[WIDE] && str_find(s, STR("\xef\xbf\xbd"), 0) != SIZE_MAX))
        return TITLE_ILLEGAL;
    return TITLE_FINE;
}

enum title_fault title_normal(struct title_form *t, struct str raw,
                              struct str *normal)
{
    struct str s;

    *normal = STR("");
    buf_clear(&t->text);
    if (raw.n > RAW_MAX)
        return TITLE_TOO_LONG;
    decode(t, raw);
    if (t->text.rc || !utf8_valid(buf_str(&t->text)))
        return TITLE_CHARSET;
    squeeze(&t->text);
    s = buf_str(&t->text);
    if (utf8_ascii_span(s) < s.n) {
        buf_clear(&t->composed);
        if (fold_nfc(&t->fold, s, &t->composed))
            return TITLE_CHARSET;
        s = capitalized(t);
    } else if (s.n && !t->exact_case && s.p[0] >= 'a' && s.p[0] <= 'z') {
        t->text.p[0] = (char)(s.p[0] - 32);
    }
    *normal = s;
    return fault(s);
}
