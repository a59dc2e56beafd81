#include "querylist/words.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/utf8.h"
#include "querylist/words_ascii.h"

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
    char *to;            /* next byte of text */
    struct str rest;     /* the text behind the piece that is being cut: it is
                            empty or begins with ASCII */
    bool open;           /* the last word can go on */
    bool stop;           /* a phrase ended since the last word */
    unsigned char lower; /* bit that ASCII letters get */
    unsigned lines;      /* line feeds since the last word */
};

static inline void begin_word(struct cutter *c)
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

static inline void end_word(struct cutter *c)
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

/* The run of ASCII letters and digits that begins at `at`: nearly all that is
 * ever read.  Returns its end. */
static inline size_t put_ascii(struct cutter *c, struct str s, size_t at)
{
    size_t n;

    if (!c->open)
        begin_word(c);
    n = words_ascii_run(s.p + at, s.n - at, c->lower, c->to);
    c->to += n;
    return at + n;
}

#if WORDS_ASCII_BLOCK

/* Words with one space between them, up to 63 bytes of them, the first of
 * which at `at` is a letter or a digit: what becomes of them are the same
 * bytes.  WORDS_ASCII_BLOCK bytes can be read.  Returns their end. */
static inline size_t put_block(struct cutter *c, struct str s, size_t at)
{
    uint64_t joins, spaces, starts, ends, in;
    struct words *w = c->w;
    size_t n, first = w->n, k = w->n;
    uint32_t base;
    bool stop = c->stop || c->lines > 1;

    if (!c->open && first)
        *c->to++ = ' ';
    words_ascii_block(s.p + at, c->lower, c->to, &joins, &spaces);
    in = joins | (spaces & joins << 1 & joins >> 1);
    n = (size_t)__builtin_ctzll(~in | UINT64_C(1) << 63);
    in = (UINT64_C(1) << n) - 1;
    starts = joins & ~(joins << 1 | c->open) & in;
    ends = ~joins & joins << 1 & in;
    base = (uint32_t)(c->to - w->text.p);
    c->to += n;
    if (c->open && !ends)
        return at + n; /* a word that goes on */
    if (c->open) {
        w->span[k - 1].n =
            base + (uint32_t)__builtin_ctzll(ends) - w->span[k - 1].at;
        ends &= ends - 1;
    }
    for (; ends; ends &= ends - 1, starts &= starts - 1) {
        uint32_t from = (uint32_t)__builtin_ctzll(starts);

        w->span[k] = (struct word_span){base + from,
                                        (uint32_t)__builtin_ctzll(ends) - from};
        w->stop[k++] = false;
    }
    c->open = starts != 0;
    if (starts) {
        w->span[k] =
            (struct word_span){base + (uint32_t)__builtin_ctzll(starts), 0};
        w->stop[k++] = false;
    } else {
        c->to--; /* the space, which is not known yet to be the only one */
    }
    w->stop[first] = stop;
    w->n = k;
    c->stop = false;
    c->lines = 0;
    return at + n;
}

#endif

/* The run of words, or of ASCII letters and digits alone, that begins at `at`.
 */
static inline size_t put_run(struct cutter *c, struct str s, size_t at)
{
#if WORDS_ASCII_BLOCK
    if (s.n - at >= WORDS_ASCII_BLOCK)
        return put_block(c, s, at);
#endif
    return put_ascii(c, s, at);
}

/* Would the character at `at` continue a word behind an apostrophe?  (What
 * ASCII composes with does not turn a letter into another thing, nor another
 * thing into a letter: so the rest need not be folded to be asked.) */
static bool continues(const struct cutter *c, struct str s, size_t at)
{
    enum kind k;

    if (at >= s.n) {
        s = c->rest;
        at = 0;
    }
    if (at >= s.n)
        return false;
    k = kind_of(utf8_next(s, &at));
    return k == JOINS || k == MARK;
}

static inline void separate(struct cutter *c, enum kind k, uint32_t cp)
{
    end_word(c);
    if (k != SPACE)
        c->stop = true;
    else if (cp == '\n')
        c->lines++;
}

/* s is ASCII in any case. */
static void cut_ascii(struct cutter *to, struct str s)
{
    struct cutter c = *to;
    size_t at = 0;

    while (at < s.n) {
        unsigned char byte = (unsigned char)s.p[at];
        enum kind k = (enum kind)ascii_kind[byte];

        if (k == JOINS) {
            at = put_run(&c, s, at);
            if (at < s.n && s.p[at] == ' ') {
                end_word(&c);
                at++;
            }
            continue;
        }
        at++;
        if (k == APOSTROPHE && c.open && continues(&c, s, at))
            *c.to++ = '\'';
        else
            separate(&c, k, byte);
    }
    *to = c;
}

/* s is folded, or as the normaliser left it. */
static void cut(struct cutter *c, struct str s)
{
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
            next = put_ascii(c, s, at);
        } else if (k == JOINS || (k == MARK && c->open)) {
            put_char(c, s, at, next);
        } else if (k == APOSTROPHE && c->open && continues(c, s, next)) {
            *c->to++ = '\'';
        } else if (k == ALONE) {
            end_word(c);
            put_char(c, s, at, next);
            end_word(c);
        } else {
            separate(c, k, cp);
        }
    }
}

/* Room for what n bytes more can become: the shortest word and what separates
 * it are two bytes, or a character of three bytes that stands alone and gets
 * a space. */
static int reserve(struct cutter *c, size_t n)
{
    struct words *w = c->w;
    size_t words = w->n + n / 2 + 1;
    int rc;

    if (words > w->cap) {
        rc = reserve_words(w, w->n ? words + words / 2 : words);
        if (rc)
            return rc;
    }
    w->text.n = c->to ? (size_t)(c->to - w->text.p) : 0;
    if (!buf_reserve(&w->text, n + n / 2 + 1 + WORDS_SLACK))
        return w->text.rc;
    c->to = w->text.p + w->text.n;
    return 0;
}

/* End of the piece at s[0]: of ASCII, without the last character when that
 * may be what the next one composes with; or of what has to be folded, which
 * goes on until ASCII of some length begins. */
#define ASCII_PIECE 16
static size_t piece_end(struct str s, bool *ascii)
{
    size_t n = utf8_ascii_span(s), at;

    *ascii = n == s.n || n > 1;
    if (*ascii)
        return n == s.n ? n : n - 1;
    for (at = n; at < s.n; at += n) {
        while (at < s.n && (unsigned char)s.p[at] >= 0x80)
            at++;
        n = utf8_ascii_span(str_make(s.p + at, s.n - at));
        if (n >= ASCII_PIECE)
            break;
    }
    return at;
}

/* Normalising does not reach across two characters of ASCII, so that a text
 * is the sum of its pieces. */
static int cut_text(struct cutter *c, struct str s)
{
    struct words *w = c->w;
    int rc = 0;

    for (c->rest = s; !rc && c->rest.n;) {
        bool ascii;
        size_t n = piece_end(c->rest, &ascii);
        struct str piece = str_make(c->rest.p, n);

        c->rest = str_make(c->rest.p + n, c->rest.n - n);
        if (!ascii) {
            buf_clear(&w->folded);
            rc = c->lower ? fold_text(&w->fold, piece, &w->folded)
                          : fold_keep(&w->fold, piece, &w->folded);
            piece = buf_str(&w->folded);
        }
        if (!rc)
            rc = reserve(c, piece.n);
        if (!rc && ascii)
            cut_ascii(c, piece);
        else if (!rc)
            cut(c, piece);
    }
    return rc;
}

static int split_words(struct words *w, struct str s, bool keep)
{
    struct cutter c = {.w = w, .lower = keep ? 0 : 0x20};
    int rc;

    buf_clear(&w->text);
    rc = reserve(&c, s.n);
    if (!rc)
        rc = cut_text(&c, s);
    if (rc) {
        w->n = 0;
        return rc;
    }
    end_word(&c);
    w->stop_behind = c.stop || c.lines > 1;
    w->text.n = (size_t)(c.to - w->text.p);
    memset(c.to, 0, WORDS_SLACK);
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
    return split_words(w, text, false);
}

int words_split_kept(struct words *w, struct str text)
{
    w->n = 0;
    if (text.n > WORDS_TEXT_MAX)
        return -E_TOOBIG;
    return split_words(w, text, true);
}

int words_norm(struct words *w, enum query_policy policy, struct str entry)
{
    w->n = 0;
    if (entry.n > WORDS_TEXT_MAX)
        return -E_TOOBIG;
    if (policy == QUERY_POLICY_METACLIP)
        return split_metaclip(w, entry, false);
    return split_words(w, entry, false);
}
