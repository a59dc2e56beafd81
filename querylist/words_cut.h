/*
 * words_cut - the words of bytes in which each character is spelled as the
 * default policy wants it (querylist/words_kind.h).
 *
 * Model.   Pieces of a text are cut one after another; a word goes on from one
 *          to the next.  Of 64 bytes at a time it is known, as bits, which of
 *          them belong to words and what separates; where words begin and end,
 *          and whether a phrase ends between them, follows for all of them at
 *          once, by arithmetic.  What is behind that are the words' bytes:
 *          copied word by word, or packed 64 at a time where the processor can
 *          (words_cut_wide()); to the same words.
 * Owns.    Nothing.
 * Fails.   Never: there is room (words_reserve()).
 * Threads. Of the struct words.
 * Cost.    No branch that depends on a byte of the text, but for a turn a word
 *          (not the wide one), apostrophes and line feeds.
 */
#ifndef QUERYLIST_WORDS_CUT_H
#define QUERYLIST_WORDS_CUT_H

#include "querylist/words.h"
#include "querylist/words_scan.h"

struct cutter {
    struct words *w;
    char *to;  /* next byte of text; behind a closed word and its space */
    bool open; /* the last word can go on */
    bool stop; /* a phrase ended since the last word, or an empty line was */
    bool line; /* a line feed was since the last word */
    bool keep; /* the case */
};

/* What words_cut() writes at most behind the last word: whole vectors. */
#define WORDS_BEYOND 64u /* bytes, and words */

/* Bytes of one piece. */
struct piece {
    const char *p;
    size_t n;
    const char *mark; /* per byte: 0, or of marks 0xff; NULL when there are
                         none.  Can be read like p. */
    bool padded;      /* 64 bytes can be read behind the last one */
    bool lower;       /* ASCII letters are to lose their case */
    bool last;        /* the text ends here */
    bool joins;       /* else: what follows is of a word */
};

/* Cuts a piece.  False, and nothing was done, for up to 64 bytes that are not
 * padded and not ASCII. */
bool words_cut_plain(struct cutter *c, const struct piece *s);
bool words_cut_wide(struct cutter *c, const struct piece *s);
bool words_can_cut_wide(void);

static inline bool words_cut(struct cutter *c, const struct piece *s)
{
    return c->w->wide ? words_cut_wide(c, s) : words_cut_plain(c, s);
}

/* Room for what a piece of n bytes can become. */
int words_make_room(struct words *w, size_t n_words, size_t n_bytes);

static inline int words_reserve(struct cutter *c, size_t n)
{
    struct words *w = c->w;
    size_t have = c->to ? (size_t)(c->to - w->text.p) : 0;
    size_t words = w->n + n / 2 + 1 + WORDS_BEYOND;
    size_t bytes = have + n + 1 + WORDS_BEYOND + WORDS_SLACK;
    int rc = 0;

    if (words > w->cap || bytes > w->text.cap) {
        w->text.n = have;
        rc = words_make_room(w, words, bytes);
    }
    c->to = w->text.p + have;
    return rc;
}

/* ---- of a chunk ---- */

/* What bit i of each says of byte i. */
struct cut_bits {
    uint64_t other; /* not ASCII */
    uint64_t joins; /* likewise, or a letter or digit */
    uint64_t mark;
    uint64_t blank;
    uint64_t apostrophe;
    uint64_t line; /* line feeds */
};

static inline bool words_joins_byte(char byte)
{
    return (unsigned char)byte >= 0x80 ||
           (unsigned char)((byte | 0x20) - 'a') < 26 ||
           (unsigned char)(byte - '0') < 10;
}

/* Where words begin, the bytes behind their ends, and the beginnings that a
 * phrase ends before.  An end may lie behind the last byte. */
struct cuts {
    uint64_t of_words, starts, ends, stops;
};

/* Adding the line feeds to the bytes between words carries from each to the
 * end of its gap: so those behind another are found, and whether one is behind
 * a gap that is not over; and so it is with what ends phrases.
 * n bytes, and whether what follows them joins, and is the end of the text. */
static inline struct cuts find_cuts(struct cutter *c, const struct cut_bits *k,
                                    size_t n, bool joins, bool last)
{
    uint64_t here = words_below(n), open = c->open, gaps, line, sum, stop;
    uint64_t letters = k->joins & ~k->mark & here;
    uint64_t follows = (k->joins & here) >> 1 | (uint64_t)joins << (n - 1);
    /* What continues a word, but begins none, from a letter on. */
    uint64_t more = (k->mark & here) | (k->apostrophe & follows & here);
    uint64_t reached = more & (letters << 1 | open);
    struct cuts cuts;

    cuts.of_words = letters | (more & ~(more + reached));
    gaps = ~cuts.of_words & here;
    line = k->line & gaps;
    sum = gaps + line + c->line;
    stop = (gaps & ~k->blank) | ((sum ^ gaps ^ line) & line);
    c->line = n < WORDS_CHUNK
                  ? sum >> n & 1
                  : ((gaps & line) | ((gaps | line) & ~sum)) >> (n - 1);
    sum = gaps + stop + c->stop;
    c->stop = n < WORDS_CHUNK
                  ? sum >> n & 1
                  : ((gaps & stop) | ((gaps | stop) & ~sum)) >> (n - 1);
    cuts.starts = cuts.of_words & ~(cuts.of_words << 1 | open);
    cuts.ends = ~cuts.of_words & (cuts.of_words << 1 | open);
    cuts.stops = sum & cuts.starts;
    if (last && n < WORDS_CHUNK)
        cuts.ends &= words_below(n + 1);
    else
        cuts.ends &= here;
    c->open = cuts.of_words >> (n - 1) & 1 && !(last && n < WORDS_CHUNK);
    return cuts;
}

#endif
