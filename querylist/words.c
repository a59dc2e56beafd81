#include "querylist/words.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/utf8.h"

const char *const query_policy_names[] = {"words", "metaclip", NULL};

/* What a folded character is to the tokenizer. */
enum kind {
    SEPARATES,
    JOINS, /* letters and digits */
    MARK,  /* joins an open word */
    APOSTROPHE,
    ALONE, /* a word of its own */
    SPACE  /* separates without ending a phrase */
};

/* Han, Kana, Thai, Lao, Khmer, Burmese with their extensions: scripts that
 * put no space between words.  Ascending. */
static const struct {
    uint32_t from, to;
} alone[] = {
    {0x0e00, 0x0eff}, {0x1000, 0x109f}, {0x1780, 0x17ff},   {0x2e80, 0x30ff},
    {0x31f0, 0x31ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff},   {0xa9e0, 0xa9ff},
    {0xaa60, 0xaa7f}, {0xf900, 0xfaff}, {0x1aff0, 0x1b16f}, {0x20000, 0x3fffd},
};

static bool stands_alone(uint32_t cp)
{
    size_t i;

    for (i = 0; i < sizeof alone / sizeof *alone; i++)
        if (cp <= alone[i].to)
            return cp >= alone[i].from;
    return false;
}

#define X4(k) k, k, k, k
#define X8(k) X4(k), X4(k)
static const unsigned char ascii_kind[128] = {
    X8(SEPARATES), SEPARATES,     SPACE,     SPACE,      SPACE, /* TAB LF VT */
    SPACE,         SPACE,         SEPARATES, SEPARATES,         /* FF CR */
    X8(SEPARATES), X8(SEPARATES), SPACE,     SEPARATES,  SEPARATES,
    SEPARATES, /* ' ' ! " # */
    SEPARATES,     SEPARATES,     SEPARATES, APOSTROPHE, X8(SEPARATES),
    X8(JOINS),     JOINS,         JOINS,     SEPARATES,  SEPARATES,
    X4(SEPARATES), /* 0-9 */
    SEPARATES,     JOINS,         JOINS,     JOINS,      X4(JOINS),
    X8(JOINS),     X8(JOINS), /* A-Z */
    JOINS,         JOINS,         JOINS,     SEPARATES,  X4(SEPARATES),
    SEPARATES,     JOINS,         JOINS,     JOINS,      X4(JOINS),
    X8(JOINS),     X8(JOINS), /* a-z */
    JOINS,         JOINS,         JOINS,     SEPARATES,  X4(SEPARATES),
};

static enum kind kind_of(uint32_t cp)
{
    enum fold_class class;

    if (cp < 0x80)
        return (enum kind)ascii_kind[cp];
    if (cp == 0x2019)
        return APOSTROPHE;
    class = fold_class(cp);
    if (class == FOLD_OTHER)
        return utf8_is_white_space(cp) ? SPACE : SEPARATES;
    if (stands_alone(cp))
        return ALONE;
    if (class == FOLD_MARK)
        return MARK;
    return class == FOLD_NUMBER ? SEPARATES : JOINS;
}

void words_init(struct words *w)
{
    *w = (struct words){0};
    buf_init(&w->text, BUF_NO_LIMIT);
    buf_init(&w->folded, BUF_NO_LIMIT);
    fold_init(&w->fold);
}

void words_release(struct words *w)
{
    free(w->span);
    free(w->stop);
    buf_release(&w->text);
    buf_release(&w->folded);
    fold_release(&w->fold);
    words_init(w);
}

/* Room for so many words; what text holds stays. */
static int reserve_words(struct words *w, size_t n)
{
    struct word_span *span;
    bool *stop;

    if (n <= w->cap)
        return 0;
    span = realloc(w->span, n * sizeof *span);
    if (span)
        w->span = span;
    stop = realloc(w->stop, n * sizeof *stop);
    if (stop)
        w->stop = stop;
    if (!span || !stop)
        return -E_NOMEM;
    w->cap = n;
    return 0;
}

/* ---- default policy ---- */

struct cutter {
    struct words *w;
    char *to;       /* next byte of text */
    bool open;      /* the last word can go on */
    bool stop;      /* a phrase ended since the last word */
    unsigned lines; /* line feeds since the last word */
};

static void begin_word(struct cutter *c)
{
    struct words *w = c->w;

    if (w->n)
        *c->to++ = ' ';
    w->span[w->n] = (struct word_span){(uint32_t)(c->to - w->text.p), 0};
    w->stop[w->n++] = c->stop || c->lines > 1;
    c->stop = false;
    c->lines = 0;
    c->open = true;
}

static void end_word(struct cutter *c)
{
    struct words *w = c->w;

    if (!c->open)
        return;
    w->span[w->n - 1].n = (uint32_t)(c->to - w->text.p) - w->span[w->n - 1].at;
    c->open = false;
}

static void put_char(struct cutter *c, struct str s, size_t at, size_t next)
{
    if (!c->open)
        begin_word(c);
    memcpy(c->to, s.p + at, next - at);
    c->to += next - at;
}

/* The run of ASCII letters and digits that begins at `at`, in lower case:
 * nearly all that is ever read.  Returns its end. */
static size_t put_ascii(struct cutter *c, struct str s, size_t at)
{
    char *to;

    if (!c->open)
        begin_word(c);
    to = c->to;
    do {
        *to++ = (char)(s.p[at++] | 0x20); /* a digit has that bit already */
    } while (at < s.n && (unsigned char)s.p[at] < 0x80 &&
             ascii_kind[(unsigned char)s.p[at]] == JOINS);
    c->to = to;
    return at;
}

/* Would the character at `at` continue a word behind an apostrophe? */
static bool continues(struct str s, size_t at)
{
    enum kind k;

    if (at >= s.n)
        return false;
    k = kind_of(utf8_next(s, &at));
    return k == JOINS || k == MARK;
}

static void separate(struct cutter *c, enum kind k, uint32_t cp)
{
    end_word(c);
    if (k != SPACE)
        c->stop = true;
    else if (cp == '\n')
        c->lines++;
}

/* s is folded, or ASCII in any case. */
static void cut(struct words *w, struct str s)
{
    struct cutter c = {.w = w, .to = w->text.p};
    size_t at = 0, next;

    for (; at < s.n; at = next) {
        uint32_t cp;
        enum kind k;

        next = at + 1;
        cp = (unsigned char)s.p[at];
        if (cp >= 0x80) {
            next = at;
            cp = utf8_next(s, &next);
        }
        k = kind_of(cp);
        if (k == JOINS && cp < 0x80) {
            next = put_ascii(&c, s, at);
        } else if (k == JOINS || (k == MARK && c.open)) {
            put_char(&c, s, at, next);
        } else if (k == APOSTROPHE && c.open && continues(s, next)) {
            *c.to++ = '\'';
        } else if (k == ALONE) {
            end_word(&c);
            put_char(&c, s, at, next);
            end_word(&c);
        } else {
            separate(&c, k, cp);
        }
    }
    end_word(&c);
    w->stop_behind = c.stop || c.lines > 1;
    w->text.n = (size_t)(c.to - w->text.p);
    *c.to = 0;
}

static int split_words(struct words *w, struct str s)
{
    int rc;

    if (utf8_ascii_span(s) != s.n) {
        buf_clear(&w->folded);
        rc = fold_text(&w->fold, s, &w->folded);
        if (rc)
            return rc;
        s = buf_str(&w->folded);
    }
    /* The shortest word and what separates it are two bytes, or a character
     * of three bytes that stands alone and gets a space. */
    buf_clear(&w->text);
    rc = reserve_words(w, s.n / 2 + 1);
    if (rc)
        return rc;
    if (!buf_reserve(&w->text, s.n + s.n / 2 + 1))
        return w->text.rc;
    cut(w, s);
    return 0;
}

/* ---- MetaCLIP's policy ---- */

/* Spans of what stands between two spaces of w->text. */
static int split_at_spaces(struct words *w)
{
    struct str rest = buf_str(&w->text), field;
    size_t n = 1;
    int rc;

    for (size_t i = 0; i < rest.n; i++)
        n += rest.p[i] == ' ';
    rc = reserve_words(w, n);
    if (rc)
        return rc;
    w->stop_behind = false;
    while (str_split(&rest, ' ', &field)) {
        w->span[w->n] = (struct word_span){(uint32_t)(field.p - w->text.p),
                                           (uint32_t)field.n};
        w->stop[w->n++] = false;
    }
    return 0;
}

static int split_metaclip(struct words *w, struct str s, bool spaced)
{
    char *to;
    size_t i;

    buf_clear(&w->text);
    to = buf_reserve(&w->text, 3 * s.n);
    if (!to)
        return w->text.rc;
    for (i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (spaced && c && strchr(",.;:?!`", c)) {
            *to++ = ' ';
            *to++ = c;
            c = ' ';
        } else if (spaced && (c == '\t' || c == '\n' || c == '\r')) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = 0;
    w->text.n = (size_t)(to - w->text.p);
    return split_at_spaces(w);
}

/* ---- the door ---- */

int words_split(struct words *w, enum query_policy policy, struct str text)
{
    w->n = 0;
    if (text.n > WORDS_TEXT_MAX)
        return -E_TOOBIG;
    if (policy == QUERY_POLICY_METACLIP)
        return split_metaclip(w, text, true);
    return split_words(w, text);
}

int words_norm(struct words *w, enum query_policy policy, struct str entry)
{
    w->n = 0;
    if (entry.n > WORDS_TEXT_MAX)
        return -E_TOOBIG;
    if (policy == QUERY_POLICY_METACLIP)
        return split_metaclip(w, entry, false);
    return split_words(w, entry);
}
