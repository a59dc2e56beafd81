#include "querylist/words_cut.h"

#include "querylist/words_read.h"

static inline size_t pop(uint64_t *bits)
{
    size_t i = (size_t)__builtin_ctzll(*bits);

    *bits &= *bits - 1;
    return i;
}

/* The words of a chunk at `at`; whether one was open before it. */
static inline void put_words(struct cutter *c, const struct words_source *s,
                             size_t at, size_t n, struct cuts k, bool open)
{
    struct words *w = c->w;
    struct word_span *span = w->span + w->n;
    bool *stop = w->stop + w->n;
    char *to = c->to, *begin = w->text.p;

    if (open) {
        bool ends = k.ends;
        size_t end = ends ? pop(&k.ends) : n;

        to = words_put(to, s, at, at + end);
        if (ends) {
            span[-1].n = (uint32_t)(to - begin) - span[-1].at;
            *to++ = ' ';
        }
    }
    while (k.ends) {
        size_t from = pop(&k.starts), end = pop(&k.ends);

        *span++ =
            (struct word_span){(uint32_t)(to - begin), (uint32_t)(end - from)};
        *stop++ = k.stops >> from & 1;
        to = words_put(to, s, at + from, at + end);
        *to++ = ' ';
    }
    if (k.starts) {
        size_t from = pop(&k.starts);

        *span++ = (struct word_span){(uint32_t)(to - begin), 0};
        *stop = k.stops >> from & 1;
        to = words_put(to, s, at + from, at + n);
    }
    w->n = (size_t)(span - w->span);
    c->to = to;
}

static inline struct words_block other(struct words_block b)
{
    return b;
}

static inline struct words_block alphanumeric(struct words_block b)
{
    return words_or(words_range(words_or(b, words_all(0x20)), 'a', 26),
                    words_range(b, '0', 10));
}

static inline struct words_block blank(struct words_block b)
{
    return words_or(words_equal(b, ' '), words_range(b, '\t', 5));
}

static inline struct words_block apostrophe_or_line(struct words_block b)
{
    return words_or(words_equal(b, '\''), words_equal(b, '\n'));
}

/* The bits of a chunk; those of its marks at `mark`, unless NULL. */
static inline struct cut_bits look(const struct words_chunk *b,
                                   const char *mark)
{
    struct cut_bits k = {.other = WORDS_BITS(b, other)};

    k.joins = WORDS_BITS(b, alphanumeric) | k.other;
    k.blank = WORDS_BITS(b, blank);
    if (WORDS_ANY(b, apostrophe_or_line)) {
        k.line = WORDS_BITS(b, apostrophe_or_line);
        k.apostrophe = k.line & ~k.blank;
        k.line &= k.blank;
    }
    if (mark) {
        struct words_chunk m = words_chunk(mark);

        k.mark = WORDS_BITS(&m, other);
    }
    return k;
}

bool words_cut_plain(struct cutter *to, const struct piece *s)
{
    struct cutter c = *to;
    struct words_source source =
        words_source(s->p, s->n, s->padded, s->lower ? 0x20 : 0);

    for (size_t at = 0; at < s->n; at += WORDS_CHUNK) {
        size_t left = s->n - at, n = left < WORDS_CHUNK ? left : WORDS_CHUNK;
        bool open = c.open, whole = n == left;
        struct words_chunk b = words_chunk_at(&source, at);
        struct cut_bits k = look(&b, s->mark ? s->mark + at : NULL);

        if (!s->padded && s->n <= WORDS_CHUNK && k.other & words_below(n))
            return false;
        put_words(&c, &source, at, n,
                  find_cuts(&c, &k, n,
                            whole ? s->joins : words_joins_byte(s->p[at + n]),
                            whole && s->last),
                  open);
    }
    *to = c;
    return true;
}
