#include "filter/textwords.h"

#include "base/hash.h"

#define REPETITION_WORDS 8  /* shorter texts may repeat themselves */
#define FEW_WORDS        64 /* compared with each other */
#define FEW_DISTINCT     40 /* told by 64 bits */
#define SLOTS_MAX        (TEXTWORDS_MAX / 2)

/* ---- navigation ---- */

#define S(word)                                                                \
    {                                                                          \
        (word), sizeof(word) - 1                                               \
    }

/* Words of navigation, folded, by their first letter.  A text that has no
 * other speaks of the page, not of the picture. */
static const struct str navigation[26][8] = {
    ['a' - 'a'] = {S("arrow")},
    ['b' - 'a'] = {S("back"), S("backward"), S("bottom"), S("button")},
    ['c' - 'a'] = {S("click"), S("close"), S("contents")},
    ['d' - 'a'] = {S("down")},
    ['e' - 'a'] = {S("enter")},
    ['f' - 'a'] = {S("first"), S("forward")},
    ['g' - 'a'] = {S("go")},
    ['h' - 'a'] = {S("here"), S("home"), S("homepage")},
    ['i' - 'a'] = {S("icon"), S("image"), S("img"), S("index")},
    ['l' - 'a'] = {S("last"), S("left"), S("link"), S("logo")},
    ['m' - 'a'] = {S("menu")},
    ['n' - 'a'] = {S("nav"), S("navigation"), S("next")},
    ['o' - 'a'] = {S("of")},
    ['p' - 'a'] = {S("page"), S("picture"), S("prev"), S("previous"),
                   S("print")},
    ['r' - 'a'] = {S("return"), S("right")},
    ['s' - 'a'] = {S("scroll"), S("search"), S("share"), S("skip"), S("spacer"),
                   S("start")},
    ['t' - 'a'] = {S("the"), S("thumbnail"), S("to"), S("toc"), S("toggle"),
                   S("top")},
    ['u' - 'a'] = {S("up")},
};

#define LEN(n)    (1u << (n))
#define LAST(c)   (1u << ((c) - 'a'))
#define BYTES_MAX 31 /* of a word of navigation; far more than any has */

/* The lengths that the words of a letter have, and the letters they end in:
 * what a word needs to be looked for among them. */
static const struct {
    uint32_t lengths, lasts; /* bit n for n bytes; bit n for 'a' + n */
} shapes[256] = {
    ['a'] = {LEN(5), LAST('w')},
    ['b'] = {LEN(4) | LEN(6) | LEN(8),
             LAST('k') | LAST('d') | LAST('m') | LAST('n')},
    ['c'] = {LEN(5) | LEN(8), LAST('k') | LAST('e') | LAST('s')},
    ['d'] = {LEN(4), LAST('n')},
    ['e'] = {LEN(5), LAST('r')},
    ['f'] = {LEN(5) | LEN(7), LAST('t') | LAST('d')},
    ['g'] = {LEN(2), LAST('o')},
    ['h'] = {LEN(4) | LEN(8), LAST('e')},
    ['i'] = {LEN(3) | LEN(4) | LEN(5),
             LAST('n') | LAST('e') | LAST('g') | LAST('x')},
    ['l'] = {LEN(4), LAST('t') | LAST('k') | LAST('o')},
    ['m'] = {LEN(4), LAST('u')},
    ['n'] = {LEN(3) | LEN(4) | LEN(10), LAST('v') | LAST('n') | LAST('t')},
    ['o'] = {LEN(2), LAST('f')},
    ['p'] = {LEN(4) | LEN(5) | LEN(7) | LEN(8),
             LAST('e') | LAST('v') | LAST('s') | LAST('t')},
    ['r'] = {LEN(5) | LEN(6), LAST('n') | LAST('t')},
    ['s'] = {LEN(4) | LEN(5) | LEN(6), LAST('l') | LAST('h') | LAST('e') |
                                           LAST('p') | LAST('r') | LAST('t')},
    ['t'] = {LEN(2) | LEN(3) | LEN(6) | LEN(9),
             LAST('e') | LAST('l') | LAST('o') | LAST('c') | LAST('p')},
    ['u'] = {LEN(2), LAST('p')},
};

/* One branch, seldom taken, parts nearly all words from these; a byte behind
 * the lower-case letters stands for the bit of some letter, and is found out
 * by the comparison. */
static bool is_navigation(struct str word)
{
    unsigned char first = (unsigned char)word.p[0];
    unsigned last = (unsigned char)word.p[word.n - 1] - (unsigned)'a';
    uint32_t can = shapes[first].lengths >> (word.n & 31) &
                   shapes[first].lasts >> (last & 31) & 1;

    if (!(can & (word.n <= BYTES_MAX)))
        return false;
    for (const struct str *s = navigation[first - 'a']; s->n; s++)
        if (str_eq(*s, word))
            return true;
    return false;
}

bool textwords_boilerplate(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!is_navigation(words_at(w, i)))
            return false;
    return w->n > 0;
}

/* ---- repetition ---- */

/* Length, first and last byte of a word: equal words have equal ones.  Single
 * bytes, since words have often been written a moment ago, 16 bytes at a time
 * over each other: a longer load would wait until they have reached memory. */
static uint64_t head(const struct words *w, size_t i)
{
    struct str word = words_at(w, i);

    return (uint64_t)word.n << 16 | (uint64_t)(unsigned char)word.p[0] << 8 |
           (unsigned char)word.p[word.n - 1];
}

/* Are the first four words distinct by their heads alone?  Most texts' are, and
 * are done with here, without a branch that could be foreseen wrongly. */
static bool distinct_heads(const struct words *w)
{
    uint64_t a = head(w, 0), b = head(w, 1), c = head(w, 2), d = head(w, 3);

    return !((a == b) | (a == c) | (a == d) | (b == c) | (b == d) | (c == d));
}

/* Are more than `most` of the first words distinct by a few bits of their
 * heads?  True only if so. */
static bool many_heads(const struct words *w, size_t most)
{
    size_t n = 2 * most + 2, distinct = 0; /* of 4 * most words and more */
    uint64_t seen = 0;

    for (size_t i = 0; i < n; i++)
        seen |= UINT64_C(1)
                << (head(w, i) * UINT64_C(0x9e3779b97f4a7c15) >> 58);
    for (; seen; seen &= seen - 1)
        distinct++;
    return distinct > most;
}

/* Few words, each compared with those before. */
static bool few_distinct(const struct words *w, size_t n, size_t most)
{
    uint64_t heads[FEW_WORDS];
    size_t distinct = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        heads[i] = head(w, i);
        while (k < i && (heads[k] != heads[i] ||
                         !str_eq(words_at(w, k), words_at(w, i))))
            k++;
        if (k == i && ++distinct > most)
            return false;
    }
    return true;
}

/* Many, by a table of those seen, at most half full. */
static bool few_in_table(const struct words *w, size_t n, size_t most,
                         uint64_t secret)
{
    uint16_t slots[SLOTS_MAX]; /* index of a word, from 1 */
    size_t size = FEW_WORDS / 2, distinct = 0;

    while (size < 2 * most)
        size *= 2;
    memset(slots, 0, size * sizeof *slots);
    for (size_t i = 0; i < n; i++) {
        struct str word = words_at(w, i);
        size_t at = (size_t)hash_xxh3_seeded(word, secret) & (size - 1);

        while (slots[at] && !str_eq(words_at(w, slots[at] - 1u), word))
            at = (at + 1) & (size - 1);
        if (slots[at])
            continue;
        if (++distinct > most)
            return false;
        slots[at] = (uint16_t)(i + 1);
    }
    return true;
}

bool textwords_repeated(const struct words *w, uint64_t secret)
{
    size_t n = w->n < TEXTWORDS_MAX ? w->n : TEXTWORDS_MAX, most = n / 4;

    /* One branch that is nearly always taken costs less than two that half of
     * the texts take; under four words there are no four heads. */
    if (n < 4 || (n < REPETITION_WORDS) | ((most < 4) & distinct_heads(w)))
        return false;
    if (most < FEW_DISTINCT && many_heads(w, most))
        return false;
    return n < FEW_WORDS ? few_distinct(w, n, most)
                         : few_in_table(w, n, most, secret);
}
