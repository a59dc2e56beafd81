#include "querylist/words_space.h"

#include "querylist/words_read.h"

/* What ends words, as bits of a chunk. */
struct ends {
    uint64_t spaced; /* a word itself */
    uint64_t blank;
};

static inline struct words_block space(struct words_block b)
{
    return words_equal(b, ' ');
}

static inline struct words_block blank(struct words_block b)
{
    return words_or(words_or(words_equal(b, ' '), words_equal(b, '\r')),
                    words_range(b, '\t', 2));
}

static inline struct words_block mark(struct words_block b)
{
    struct words_block of =
        words_or(words_or(words_equal(b, ','), words_equal(b, '.')),
                 words_or(words_equal(b, '!'), words_equal(b, '`')));

    return words_or(of, words_or(words_range(b, ':', 2), words_equal(b, '?')));
}

static inline struct ends ends_at(const struct words_source *s, size_t at,
                                  bool spaced)
{
    struct words_chunk c = words_chunk_at(s, at);
    struct ends e;
    uint64_t here = words_below(s->n - at);

    e.spaced = spaced ? WORDS_BITS(&c, mark) & here : 0;
    e.blank = (spaced ? WORDS_BITS(&c, blank) : WORDS_BITS(&c, space)) & here;
    return e;
}

size_t words_count_spaced(struct str s, bool spaced)
{
    struct words_source source = words_source(s.p, s.n, false, 0);
    size_t n = 2;

    for (size_t at = 0; at < s.n; at += WORDS_CHUNK) {
        struct ends e = ends_at(&source, at, spaced);

        n += (size_t)__builtin_popcountll(e.blank) +
             2 * (size_t)__builtin_popcountll(e.spaced);
    }
    return n;
}

static inline void space_out(struct words *w, struct str s, bool spaced)
{
    struct words_source source = words_source(s.p, s.n, false, 0);
    struct word_span *span = w->span;
    char *begin = w->text.p, *to = begin;
    bool *stop = w->stop;
    uint32_t word = 0; /* where the open one begins */

    for (size_t at = 0; at < s.n; at += WORDS_CHUNK) {
        size_t left = s.n - at, from = at;
        struct ends e = ends_at(&source, at, spaced);

        for (uint64_t ends = e.spaced | e.blank; ends; ends &= ends - 1) {
            size_t i = (size_t)__builtin_ctzll(ends);
            size_t one = e.spaced >> i & 1;
            char c = s.p[at + i];

            to = words_put(to, &source, from, at + i);
            span[0] = (struct word_span){word, (uint32_t)(to - begin) - word};
            span[1] = (struct word_span){(uint32_t)(to - begin) + 1, 1};
            stop[0] = stop[1] = false;
            to[0] = to[2] = ' ';
            to[1] = c;
            span += 1 + one;
            stop += 1 + one;
            to += 1 + 2 * one;
            word = (uint32_t)(to - begin);
            from = at + i + 1;
        }
        to = words_put(to, &source, from,
                       left < WORDS_CHUNK ? s.n : at + WORDS_CHUNK);
    }
    *span++ = (struct word_span){word, (uint32_t)(to - begin) - word};
    *stop = false;
    w->n = (size_t)(span - w->span);
    w->text.n = (size_t)(to - begin);
    memset(to, 0, WORDS_SLACK);
}

void words_space_plain(struct words *w, struct str s, bool spaced)
{
    if (spaced)
        space_out(w, s, true);
    else
        space_out(w, s, false);
}
