#include "querylist/words_fold.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/utf8.h"
#include "querylist/words_kind.h"

/* Bytes that are spelled before they are cut; and what a step may write more,
 * and what is read behind them. */
#define WINDOW 4096u
#define BEYOND (WORDS_CHUNK + WORDS_BLOCK)

/* Blocks of ASCII one after another that are better cut as they stand. */
#define ASCII_BLOCKS 8

/* What is spelled, from s[0] on. */
struct speller {
    struct cutter *c;
    struct str s;
    size_t at;       /* next byte of s */
    char *out;       /* the window */
    char *mark;      /* 0xff where out has a mark's */
    size_t n;        /* bytes in both */
    size_t bound;    /* where the last boundary is in s, */
    size_t bound_to; /* and in the window */
    unsigned rank;   /* what the next code point's has to be, base/fold.h */
    bool marks;      /* there are some */
};

/* Why spelling stops. */
enum stop {
    THE_END,   /* what can be read safely */
    IS_ASCII,  /* what follows is, for a while */
    IS_FULL,   /* the window */
    HAS_TO_BE, /* normalised, from the last boundary on */
    NO_PAGE,   /* of the next code point yet */
    IS_BAD     /* UTF-8 */
};

/* The code point at p, where 4 bytes can be read; returns its bytes, 0 for
 * none (Unicode 15, table 3-7). */
static inline size_t decode(const char *p, uint32_t *cp)
{
    const unsigned char *b = (const unsigned char *)p;
    unsigned tails = (b[1] & 0xc0) == 0x80;

    if (b[0] < 0xe0) {
        *cp = (b[0] & 0x1fu) << 6 | (b[1] & 0x3f);
        return tails && b[0] >= 0xc2 ? 2 : 0;
    }
    tails &= (b[2] & 0xc0) == 0x80;
    if (b[0] < 0xf0) {
        *cp = (b[0] & 0xfu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3f);
        return tails && *cp >= 0x800 && (*cp & 0xf800) != 0xd800 ? 3 : 0;
    }
    tails &= (b[3] & 0xc0) == 0x80;
    *cp = (b[0] & 7u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 |
          (b[3] & 0x3f);
    return tails && b[0] < 0xf5 && *cp >= 0x10000 && *cp <= 0x10ffff ? 4 : 0;
}

/* The ASCII that 16 bytes begin with, at most `left` of them. */
static inline size_t spell_ascii(struct speller *o, const char *p, size_t left,
                                 struct words_block lower)
{
    struct words_block b = words_load(p);
    size_t n =
        (size_t)__builtin_ctz(words_high(b) | (uint32_t)1 << WORDS_BLOCK);

    n = n < left ? n : left;
    b = words_or(b, words_and(words_range(b, 'A', 26), lower));
    words_store(o->out + o->n, b);
    words_store(o->mark + o->n, words_all(0));
    o->bound_to = o->n + n - 1;
    o->n += n;
    o->rank = 1;
    return n;
}

/* False when it has to be normalised. */
static inline bool spell_entry(struct speller *o, const struct words_entry *e,
                               size_t at)
{
    bool boundary = e->rank >= FOLD_UNSURE;
    uint64_t mark = UINT64_C(0) - (e->n / WORDS_MARK);

    if (e->rank < o->rank)
        return false;
    memcpy(o->out + o->n, e, sizeof *e);
    memcpy(o->mark + o->n, &mark, sizeof mark);
    o->bound = boundary ? at : o->bound;
    o->bound_to = boundary ? o->n : o->bound_to;
    o->n += e->n % WORDS_MARK;
    o->marks |= e->n / WORDS_MARK;
    o->rank = fold_rank_end(e->rank);
    return true;
}

/* Spells from o->at on while that is below `to`; p[0] is s.p[from], and 16
 * bytes can be read at any of them. */
static enum stop spell(struct speller *state, const char *p, size_t from,
                       size_t to)
{
    struct speller o = *state;
    struct words_entry **pages = o.c->w->table.page[o.c->keep];
    struct words_block lower = words_all(o.c->keep ? 0 : 0x20);
    enum stop why = THE_END;
    unsigned blocks = 0;

    while (o.at < to) {
        const char *here = p + (o.at - from);
        const struct words_entry *page;
        uint32_t cp;
        size_t n;

        why = IS_FULL;
        if (o.n >= WINDOW)
            break;
        if ((unsigned char)*here < 0x80) {
            n = spell_ascii(&o, here, o.s.n - o.at, lower);
            o.at += n;
            o.bound = o.at - 1;
            blocks = n == WORDS_BLOCK ? blocks + 1 : 0;
            why = IS_ASCII;
            if (blocks == ASCII_BLOCKS)
                break;
            why = THE_END;
            continue;
        }
        n = decode(here, &cp);
        why = IS_BAD;
        if (!n)
            break;
        page = pages[cp / WORDS_PAGE];
        why = NO_PAGE;
        if (!page)
            break;
        why = HAS_TO_BE;
        if (!spell_entry(&o, page + cp % WORDS_PAGE, o.at))
            break;
        o.at += n;
        why = THE_END;
    }
    *state = o;
    return why;
}

/* The last bytes: 16 cannot be read at each. */
static enum stop spell_end(struct speller *o)
{
    char end[3 * WORDS_BLOCK] = {0};
    size_t from = o->at;

    memcpy(end, o->s.p + from, o->s.n - from);
    return spell(o, end, from, o->s.n);
}

static enum stop spell_some(struct speller *o)
{
    enum stop why = THE_END;

    if (o->s.n - o->at >= WORDS_BLOCK)
        why = spell(o, o->s.p, 0, o->s.n - WORDS_BLOCK + 1);
    if (why == THE_END && o->at < o->s.n)
        why = spell_end(o);
    return why;
}

/* Cuts the first n bytes of the window, and keeps the others. */
static int cut_window(struct speller *o, size_t n, bool last, bool joins)
{
    struct piece piece = {.p = o->out,
                          .n = n,
                          .mark = o->marks ? o->mark : NULL,
                          .padded = true,
                          .last = last,
                          .joins = joins};
    int rc = words_reserve(o->c, n);

    if (rc)
        return rc;
    words_cut(o->c, &piece);
    o->n -= n;
    if (!o->n)
        return 0;
    memmove(o->out, o->out + n, o->n);
    memmove(o->mark, o->mark + n, o->n);
    return 0;
}

/* Up to n; but it needs to be known what follows an apostrophe. */
static size_t before_apostrophe(const struct speller *o, size_t n)
{
    return n && o->out[n - 1] == '\'' ? n - 1 : n;
}

/* The page of cp; NULL without memory. */
static const struct words_entry *page_of(const struct speller *o, uint32_t cp)
{
    return words_page(&o->c->w->table, o->c->keep, cp);
}

/* Does cp join nothing before it?  -E_NOMEM. */
static int is_boundary(const struct speller *o, uint32_t cp)
{
    const struct words_entry *page;

    if (cp < 0x80)
        return true;
    page = page_of(o, cp);
    return page ? page[cp % WORDS_PAGE].rank >= FOLD_UNSURE : -E_NOMEM;
}

/* Moves o->at behind the character there and on to a boundary. */
static int pass_run(struct speller *o)
{
    for (size_t next = o->at; next < o->s.n;) {
        size_t here = next;
        uint32_t cp = utf8_next(o->s, &next);
        int rc = cp == UTF8_BAD ? -E_FORMAT : 0;

        if (!rc && here > o->at)
            rc = is_boundary(o, cp);
        if (rc < 0)
            return rc;
        if (rc) {
            o->at = here;
            return 0;
        }
    }
    o->at = o->s.n;
    return 0;
}

/* From the last boundary to the next, as a whole. */
static int spell_run(struct speller *o)
{
    struct words *w = o->c->w;
    struct buf *folded = &w->folded;
    struct str run;
    int rc = pass_run(o);

    if (rc)
        return rc;
    run = str_slice(o->s, o->bound, o->at);
    buf_clear(folded);
    rc = o->c->keep ? fold_keep(&w->fold, run, folded)
                    : fold_text(&w->fold, run, folded);
    o->n = o->bound_to;
    for (size_t at = 0; !rc && at < folded->n;) {
        bool mark;
        size_t n =
            words_spell(utf8_next(buf_str(folded), &at), o->out + o->n, &mark);

        memset(o->mark + o->n, mark ? 0xff : 0, n);
        o->marks |= mark;
        o->n += n;
        if (o->n >= WINDOW)
            rc = cut_window(o, before_apostrophe(o, o->n), false, false);
    }
    o->bound = o->at;
    o->bound_to = o->n;
    o->rank = 1;
    return rc;
}

/* Makes room in the window, where what is behind the last boundary stays. */
static int make_way(struct speller *o)
{
    size_t n = before_apostrophe(o, o->bound_to);
    int rc;

    if (n < WINDOW / 2)
        return spell_run(o); /* marks upon marks */
    rc = cut_window(o, n, false, words_joins_byte(o->out[n]));
    o->bound_to -= n;
    return rc;
}

/* Whatever stopped the spelling; *done when that is for good. */
static int go_on(struct speller *o, enum stop why, bool *done)
{
    size_t at = o->at;

    switch (why) {
    case THE_END:
        *done = true;
        return cut_window(o, o->n, true, false);
    case IS_ASCII: /* its last may be what the next composes with */
        *done = true;
        o->at--;
        return cut_window(o, o->n - 1, false,
                          words_joins_byte(o->out[o->n - 1]));
    case IS_FULL:
        return make_way(o);
    case HAS_TO_BE:
        return spell_run(o);
    case NO_PAGE:
        return page_of(o, utf8_next(o->s, &at)) ? 0 : -E_NOMEM;
    case IS_BAD:
        break;
    }
    return -E_FORMAT;
}

int words_cut_folded(struct cutter *c, struct str s, size_t *n)
{
    struct speller o = {.c = c, .s = s, .rank = 1};
    struct words *w = c->w;
    bool done = false;
    int rc = 0;

    if (!w->window)
        w->window = calloc(2, WINDOW + BEYOND);
    if (!w->window || !page_of(&o, 0x80))
        return -E_NOMEM;
    o.out = w->window;
    o.mark = w->window + WINDOW + BEYOND;
    while (!rc && !done)
        rc = go_on(&o, spell_some(&o), &done);
    *n = o.at;
    return rc;
}
