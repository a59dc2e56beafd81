#include "querylist/words.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/utf8.h"
#include "querylist/words_kind.h"
#include "querylist/words_scan.h"

const char *const query_policy_names[] = {"words", "metaclip", NULL};

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
    words_kinds_release(&w->kinds);
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

/* The run of ASCII letters and digits that begins at `at`, in what is not all
 * ASCII.  Returns its end. */
static size_t put_ascii(struct cutter *c, struct str s, size_t at)
{
    if (!c->open)
        begin_word(c);
    for (;
         at < s.n && words_ascii_kind[s.p[at] & 0x7f] == JOINS && s.p[at] >= 0;
         at++)
        *c->to++ = (char)(s.p[at] | (char)c->lower);
    return at;
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
    k = words_kind(&c->w->kinds, utf8_next(s, &at));
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

/* ---- ASCII: 64 bytes as bits ---- */

#define CHUNK 64u

/* What bit i of each says of byte i. */
struct chunk {
    uint64_t joins;
    uint64_t blank;
    uint64_t apostrophe;
    uint64_t line; /* line feeds */
};

/* n bytes at p, at most CHUNK; the other bits are nothing's. */
static inline struct chunk look(const char *p, size_t n)
{
    struct chunk k = {0};
    char last[WORDS_BLOCK] = {0};

    for (size_t at = 0; at < n; at += WORDS_BLOCK) {
        const char *from = p + at;
        struct words_block b;

        if (n - at < WORDS_BLOCK) {
            memcpy(last, from, n - at);
            from = last;
        }
        b = words_load(from);
        k.joins |= (uint64_t)words_joins(b) << at;
        k.blank |= (uint64_t)words_blank(b) << at;
        k.apostrophe |= (uint64_t)words_equal(b, '\'') << at;
        k.line |= (uint64_t)words_equal(b, '\n') << at;
    }
    return k;
}

/* The bits [from, to), to at most 64. */
static inline uint64_t bits(size_t from, size_t to)
{
    return (to < CHUNK ? UINT64_C(1) << to : 0) - (UINT64_C(1) << from);
}

/* The separators [from, to) of a chunk: do they end a phrase? */
static inline void pass(struct cutter *c, const struct chunk *k, size_t from,
                        size_t to)
{
    uint64_t between = from < to ? bits(from, to) : 0;

    c->stop |= (between & ~k->blank) != 0;
    if (k->line & between)
        c->lines += (unsigned)__builtin_popcountll(k->line & between);
}

/* n bytes of a word; 16 bytes can be read at p where `room` bytes are there. */
static inline void put_bytes(struct cutter *c, const char *p, size_t n,
                             size_t room)
{
    for (; n > WORDS_BLOCK; n -= WORDS_BLOCK, room -= WORDS_BLOCK) {
        words_store(c->to, words_or(words_load(p), (char)c->lower));
        p += WORDS_BLOCK;
        c->to += WORDS_BLOCK;
    }
    if (room >= WORDS_BLOCK)
        words_store(c->to, words_or(words_load(p), (char)c->lower));
    else
        for (size_t i = 0; i < n; i++)
            c->to[i] = (char)(p[i] | (char)c->lower);
    c->to += n;
}

/* The chunk of s that begins at `at`. */
static inline void cut_chunk(struct cutter *c, struct str s, size_t at)
{
    size_t n = s.n - at < CHUNK ? s.n - at : CHUNK, done = 0;
    struct chunk k = look(s.p + at, n);
    uint64_t runs = k.joins;

    /* An apostrophe between two that join, one by itself, joins them. */
    if (k.apostrophe) {
        uint64_t before = k.joins << 1 | c->open;
        uint64_t behind = k.joins >> 1;

        if (k.apostrophe >> (n - 1) && continues(c, s, at + n))
            behind |= UINT64_C(1) << (n - 1);
        runs |= k.apostrophe & before & behind;
    }
    while (runs) {
        size_t from = (size_t)__builtin_ctzll(runs), to;

        if (from > done || !c->open) {
            end_word(c);
            pass(c, &k, done, from);
            begin_word(c);
        }
        runs = ~(runs | (bits(0, from)));
        to = runs ? (size_t)__builtin_ctzll(runs) : CHUNK;
        runs = to < CHUNK ? ~runs & ~bits(0, to) : 0;
        put_bytes(c, s.p + at + from, to - from, s.n - at - from);
        done = to;
    }
    if (done < n) {
        end_word(c);
        pass(c, &k, done, n);
    }
}

/* s is ASCII in any case. */
static void cut_ascii(struct cutter *to, struct str s)
{
    struct cutter c = *to;

    for (size_t at = 0; at < s.n; at += CHUNK)
        cut_chunk(&c, s, at);
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
        k = words_kind(&c->w->kinds, cp);
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

#define SMALL_TEXT 8192 /* bytes */

/* The characters that get a space on both sides, as bits of a block. */
static inline uint32_t spaced_bits(struct words_block b)
{
    return words_equal(b, ',') | words_equal(b, '.') | words_range(b, ':', 2) |
           words_equal(b, '?') | words_equal(b, '!') | words_equal(b, '`');
}

static inline uint32_t white_bits(struct words_block b)
{
    return words_range(b, '\t', 2) | words_equal(b, '\r');
}

/* A word ends at `at`, and the next begins behind the space there. */
static inline void next_word(struct words *w, uint32_t at)
{
    w->span[w->n].n = at - w->span[w->n].at;
    w->stop[w->n++] = false;
    w->span[w->n] = (struct word_span){at + 1, 0};
}

/* Blanks of a block that was put at `to`. */
static inline void cut_blanks(struct words *w, char *to, uint32_t blanks,
                              bool white)
{
    for (; blanks; blanks &= blanks - 1) {
        unsigned i = (unsigned)__builtin_ctz(blanks);

        if (white)
            to[i] = ' ';
        next_word(w, (uint32_t)(to + i - w->text.p));
    }
}

/* Spaces the bytes of s out into w->text, where three times their number and a
 * block fit, and as many words. */
static void space_out(struct words *w, struct str s, bool spaced)
{
    char *to = w->text.p, last[WORDS_BLOCK];
    size_t n;

    w->span[0] = (struct word_span){0, 0};
    for (size_t at = 0; at < s.n; at += n) {
        const char *from = s.p + at;
        uint32_t special, white, blanks, here = (1u << WORDS_BLOCK) - 1;
        struct words_block b;

        n = WORDS_BLOCK;
        if (s.n - at < n) {
            n = s.n - at;
            here = (1u << n) - 1;
            memset(last, 0, sizeof last);
            memcpy(last, from, n);
            from = last;
        }
        b = words_load(from);
        words_store(to, b);
        special = spaced ? spaced_bits(b) & here : 0;
        if (special) { /* up to the first one */
            n = (size_t)__builtin_ctz(special);
            here = (1u << n) - 1;
        }
        white = spaced ? white_bits(b) & here : 0;
        blanks = (words_equal(b, ' ') & here) | white;
        cut_blanks(w, to, blanks, white != 0);
        to += n;
        if (special) {
            next_word(w, (uint32_t)(to - w->text.p));
            to[0] = ' ';
            to[1] = from[n];
            to[2] = ' ';
            to += 3;
            next_word(w, (uint32_t)(to - 1 - w->text.p));
            n++;
        }
    }
    w->span[w->n].n = (uint32_t)(to - w->text.p) - w->span[w->n].at;
    w->stop[w->n++] = false;
    w->text.n = (size_t)(to - w->text.p);
    memset(to, 0, WORDS_SLACK);
}

/* Words that s can have: a bound where that is small, else their number. */
static size_t most_words(struct str s, bool spaced)
{
    size_t n = 2;

    if (s.n <= SMALL_TEXT)
        return 2 * s.n + 2;
    for (size_t at = 0; at < s.n; at += WORDS_BLOCK) {
        char last[WORDS_BLOCK] = {0};
        struct words_block b;

        if (s.n - at < WORDS_BLOCK)
            memcpy(last, s.p + at, s.n - at);
        b = words_load(s.n - at < WORDS_BLOCK ? last : s.p + at);
        n += (size_t)__builtin_popcount(words_equal(b, ' '));
        if (spaced)
            n += 2 * (size_t)__builtin_popcount(spaced_bits(b)) +
                 (size_t)__builtin_popcount(white_bits(b));
    }
    return n;
}

static int split_metaclip(struct words *w, struct str s, bool spaced)
{
    int rc = reserve_words(w, most_words(s, spaced));

    if (rc)
        return rc;
    buf_clear(&w->text);
    if (!buf_reserve(&w->text, 3 * s.n + WORDS_BLOCK + WORDS_SLACK))
        return w->text.rc;
    w->stop_behind = false;
    space_out(w, s, spaced);
    return 0;
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
