/*
 * words_read - bytes that are read by 16 and 64, though a text may end
 * anywhere.
 *
 * Model.   A source is a text and a copy of its last bytes, behind which there
 *          are zeros.
 * Owns.    Nothing of the text.
 * Threads. Values.
 */
#ifndef QUERYLIST_WORDS_READ_H
#define QUERYLIST_WORDS_READ_H

#include <stdbool.h>

#include "querylist/words_scan.h"

struct words_source {
    const char *p;
    size_t n;
    bool padded;             /* 64 bytes can be read behind the last one */
    struct words_block bits; /* that words get */
    size_t last_at;          /* from here on bytes are in last */
    char last[2 * WORDS_BLOCK];
};

static inline struct words_source words_source(const char *p, size_t n,
                                               bool padded, char bits)
{
    struct words_source s;

    s.p = p;
    s.n = n;
    s.padded = padded;
    s.bits = words_all(bits);
    s.last_at = padded ? SIZE_MAX : n < WORDS_BLOCK ? 0 : n - WORDS_BLOCK;
    words_store(s.last, words_all(0));
    words_store(s.last + WORDS_BLOCK, words_all(0));
    if (padded)
        return s;
    if (n >= WORDS_BLOCK)
        words_store(s.last, words_load(p + s.last_at));
    else if (n)
        memcpy(s.last, p, n);
    return s;
}

/* The chunk at `at`; what its bits behind the text are is not said. */
static inline struct words_chunk words_chunk_at(const struct words_source *s,
                                                size_t at)
{
    struct words_chunk b;

    if (s->padded || s->n - at >= WORDS_CHUNK)
        return words_chunk(s->p + at);
    if (s->n >= WORDS_BLOCK)
        return words_last_chunk(s->p, at, s->n);
    b.a = words_load(s->last);
    b.b = b.c = b.d = b.last = words_all(0);
    b.whole = UINT64_MAX;
    b.left = b.right = 0;
    return b;
}

static inline struct words_block words_bytes(const struct words_source *s,
                                             size_t at)
{
    const char *p = at < s->last_at ? s->p + at : s->last + (at - s->last_at);

    return words_or(words_load(p), s->bits);
}

/* The bytes [from, end) of a word; up to 16 more are written behind them.
 * Returns their end. */
static inline char *words_put(char *to, const struct words_source *s,
                              size_t from, size_t end)
{
    char *behind = to + (end - from);

    words_store(to, words_bytes(s, from));
    for (from += WORDS_BLOCK; from < end; from += WORDS_BLOCK) {
        to += WORDS_BLOCK;
        words_store(to, words_bytes(s, from));
    }
    return behind;
}

#endif
