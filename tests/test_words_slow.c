/* querylist/words: both ways to cut beside the slow definition, which folds by
 * utf8proc's functions alone and cuts character by character; for all code
 * points, mixes of them, random bytes and long texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/utf8.h"
#include "querylist/words.h"

enum form { METACLIP, WORDS, KEPT, FORMS };

struct world {
    struct words plain, wide;
    struct fold fold;
    struct buf folded;
    struct buf want, got; /* words, " " before each, "|" where a stop is */
    uint64_t random;
};

static int setup(void **state)
{
    struct world *t = calloc(1, sizeof *t);

    words_init(&t->plain);
    words_init(&t->wide);
    t->plain.wide = false;
    fold_init(&t->fold);
    t->fold.untabled = true;
    buf_init(&t->folded, BUF_NO_LIMIT);
    buf_init(&t->want, BUF_NO_LIMIT);
    buf_init(&t->got, BUF_NO_LIMIT);
    t->random = 7;
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct world *t = *state;

    words_release(&t->plain);
    words_release(&t->wide);
    fold_release(&t->fold);
    buf_release(&t->folded);
    buf_release(&t->want);
    buf_release(&t->got);
    free(t);
    return 0;
}

/* ---- the slow definition ---- */

/* As words.h and DESIGN have them. */
enum kind { SEPARATES, JOINS, MARK, APOSTROPHE, ALONE, SPACE };

static bool is_of_a_script_without_spaces(uint32_t cp)
{
    static const uint32_t ranges[][2] = {
        {0x0e00, 0x0eff}, {0x1000, 0x109f},   {0x1780, 0x17ff},
        {0x2e80, 0x30ff}, {0x31f0, 0x31ff},   {0x3400, 0x4dbf},
        {0x4e00, 0x9fff}, {0xa9e0, 0xa9ff},   {0xaa60, 0xaa7f},
        {0xf900, 0xfaff}, {0x1aff0, 0x1b16f}, {0x20000, 0x3fffd}};

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (cp >= ranges[i][0] && cp <= ranges[i][1])
            return true;
    return false;
}

static enum kind kind_of(uint32_t cp)
{
    enum fold_class class = fold_class(cp);

    if (cp == '\'' || cp == 0x2019)
        return APOSTROPHE;
    if (class == FOLD_OTHER)
        return utf8_is_white_space(cp) ? SPACE : SEPARATES;
    if (is_of_a_script_without_spaces(cp))
        return ALONE;
    if (class == FOLD_MARK)
        return MARK;
    return class == FOLD_NUMBER ? SEPARATES : JOINS;
}

struct gap {
    bool open, stop;
    unsigned lines;
};

static void begin(struct gap *g, struct buf *out)
{
    if (!g->open)
        buf_add_char(out, g->stop || g->lines > 1 ? '|' : ' ');
    *g = (struct gap){.open = true};
}

static void slow_cut(struct str s, struct buf *out)
{
    struct gap g = {0};
    size_t next;

    for (size_t at = 0; at < s.n; at = next) {
        uint32_t cp;
        enum kind k, follows = SEPARATES;
        size_t behind;

        next = at;
        cp = utf8_next(s, &next);
        k = kind_of(cp);
        behind = next;
        if (next < s.n)
            follows = kind_of(utf8_next(s, &behind));
        if (k == APOSTROPHE && g.open &&
            (follows == JOINS || follows == MARK)) {
            buf_add_char(out, '\'');
        } else if (k == JOINS || k == ALONE || (k == MARK && g.open)) {
            if (k == ALONE)
                g.open = false;
            begin(&g, out);
            buf_add(out, str_slice(s, at, next));
            g.open = k != ALONE;
        } else {
            g.open = false;
            g.stop = g.stop || k != SPACE;
            g.lines += cp == '\n';
        }
    }
    buf_add_char(out, g.stop || g.lines > 1 ? '|' : ' ');
}

static void slow_space(struct str s, struct buf *out)
{
    buf_add_char(out, ' ');
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] && strchr(",.;:?!`", s.p[i]))
            buf_addf(out, " %c ", s.p[i]);
        else
            buf_add_char(out,
                         s.p[i] && strchr("\t\r\n", s.p[i]) ? ' ' : s.p[i]);
    buf_add_char(out, ' ');
}

static int slow(struct world *t, enum form form, struct str s)
{
    int rc;

    buf_clear(&t->want);
    if (form == METACLIP) {
        slow_space(s, &t->want);
        return 0;
    }
    buf_clear(&t->folded);
    rc = form == WORDS ? fold_text(&t->fold, s, &t->folded)
                       : fold_keep(&t->fold, s, &t->folded);
    if (!rc)
        slow_cut(buf_str(&t->folded), &t->want);
    return rc;
}

/* ---- beside it ---- */

static int split(struct words *w, enum form form, struct str s)
{
    if (form == KEPT)
        return words_split_kept(w, s);
    return words_split(
        w, form == WORDS ? QUERY_POLICY_WORDS : QUERY_POLICY_METACLIP, s);
}

static void spell_out(const struct words *w, struct buf *out)
{
    size_t end = 0;

    buf_clear(out);
    for (size_t i = 0; i < w->n; i++) {
        assert_int_equal(w->span[i].at, end + (i > 0));
        end = w->span[i].at + w->span[i].n;
        if (i)
            assert_int_equal(w->text.p[w->span[i].at - 1], ' ');
        buf_add_char(out, w->stop[i] ? '|' : ' ');
        buf_add(out, words_at(w, i));
    }
    assert_int_equal(w->text.n, end);
    for (size_t i = 0; i < WORDS_SLACK; i++)
        assert_int_equal(w->text.p[end + i], 0);
    buf_add_char(out, w->stop_behind ? '|' : ' ');
}

static void fail_text(const char *how, enum form form, struct str s,
                      const struct world *t)
{
    print_message("%s, form %d, of %zu bytes:", how, (int)form, s.n);
    for (size_t i = 0; i < s.n && i < 300; i++)
        print_message(" %02x", (unsigned char)s.p[i]);
    fail_msg("gives \"%.500s\", not \"%.500s\"", t->got.p, t->want.p);
}

/* Cut of memory that ends where s does, so that who reads on is caught. */
static void check_form(struct world *t, enum form form, struct str s)
{
    struct words *const both[] = {&t->plain, &t->wide};
    int want = slow(t, form, s);
    char *exact = malloc(s.n ? s.n : 1);

    if (s.n)
        memcpy(exact, s.p, s.n);
    for (int i = 0; i < 2; i++) {
        int rc = split(both[i], form, str_make(exact, s.n));

        if (rc != want)
            fail_text(i ? "wide" : "plain", form, s, t);
        if (rc) {
            assert_int_equal(both[i]->n, 0);
            continue;
        }
        spell_out(both[i], &t->got);
        if (!str_eq(buf_str(&t->got), buf_str(&t->want)))
            fail_text(i ? "wide" : "plain", form, s, t);
    }
    free(exact);
}

static void check(struct world *t, struct str s)
{
    for (int form = 0; form < FORMS; form++)
        check_form(t, (enum form)form, s);
}

/* ---- texts ---- */

static uint32_t draw(struct world *t, uint32_t below)
{
    t->random = t->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)((t->random >> 33) % below);
}

static bool is_scalar(uint32_t cp)
{
    return cp < 0xd800 || (cp > 0xdfff && cp <= 0x10ffff);
}

/* Letters, marks of several classes that compose or do not, parts of Hangul,
 * what composes in scripts of India, what ends words and phrases. */
static const uint32_t some[] = {
    'a',    'E',    '\'',    ' ',    '\n',    '.',    '7',     0xe9,   0x301,
    0x327,  0x316,  0x305,   0x345,  0x1100,  0x1161, 0x11a7,  0x11a8, 0xac00,
    0x3099, 0x9be,  0x94d,   0x93c,  0x958,   0x653,  0x64b,   0xfb01, 0x2026,
    0xb4,   0x2019, 0x20dd,  0x130,  0xe33,   0xe38,  0x4e2d,  0x30ab, 0x2028,
    0xad,   0xfe7c, 0x20000, 0x212b, 0x1d15e, 0xff9e, 0x110ba, 0x3000, 0xfdfa};
#define SOME (sizeof some / sizeof *some)

static struct str spelled(char *to, const uint32_t *cps, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += utf8_put(to + bytes, cps[i]);
    return str_make(to, bytes);
}

static void test_words_slow__all_code_points(void **state)
{
    struct world *t = *state;
    char bytes[8 * UTF8_MAX];

    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        uint32_t text[] = {'x',
                           cp,
                           some[cp % SOME],
                           cp,
                           some[draw(t, SOME)],
                           some[draw(t, SOME)],
                           cp,
                           'y'};

        if (!is_scalar(cp) || (cp >= 0x33000 && cp % 64))
            continue;
        for (int form = WORDS; form < FORMS; form++) {
            check_form(t, (enum form)form, spelled(bytes, text + 1, 1));
            check_form(t, (enum form)form, spelled(bytes, text, 8));
        }
    }
}

/* A code point of any plane, or of those where most happens. */
static uint32_t drawn(struct world *t)
{
    static const uint32_t below[] = {0x80,    0x80,    0x250,  0x700,
                                     0xe80,   0x1200,  0x3100, 0x10000,
                                     0x20000, 0x110000};
    uint32_t cp;

    do
        cp = draw(t, 2) ? some[draw(t, SOME)] : draw(t, below[draw(t, 10)]);
    while (!is_scalar(cp));
    return cp;
}

static void test_words_slow__mixes(void **state)
{
    struct world *t = *state;
    uint32_t cps[90];
    char bytes[90 * UTF8_MAX];

    for (size_t i = 0; i < 50000; i++) {
        size_t n = i % 90 + 1;

        for (size_t k = 0; k < n; k++)
            cps[k] = drawn(t);
        check(t, spelled(bytes, cps, n));
    }
}

/* Bytes that are often those of UTF-8, and often not. */
static void test_words_slow__bytes(void **state)
{
    static const unsigned char often[] = {
        0xc2, 0xc3, 0xa9, 0xe0, 0xa0, 0xed, 0x9f, 0xef, 0xbc, 0xa1, 0xf0, 0x90,
        0x80, 0xf4, 0x8f, 0xf5, 0xc1, 0xc0, 0xcc, 0x81, 'e',  ' ',  '\'', 'Z'};
    struct world *t = *state;
    char bytes[200];

    for (size_t i = 0; i < 150000; i++) {
        size_t n = i % 3 ? i % 24 : i % sizeof bytes;

        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)(draw(t, 16) ? often[draw(t, sizeof often)]
                                          : draw(t, 256));
        check(t, str_make(bytes, n));
    }
}

/* ASCII of all kinds and lengths, and what follows some of it. */
static void test_words_slow__ascii(void **state)
{
    static const char few[] = "aZ0bc   '.\n,`\t\r\v";
    struct world *t = *state;
    char bytes[404];

    for (size_t i = 0; i < 50000; i++) {
        size_t n = i % 400, of = i % 5 ? sizeof few - 1 : 6;

        for (size_t k = 0; k < n; k++)
            bytes[k] = i % 7 ? few[draw(t, (uint32_t)of)] : (char)draw(t, 128);
        if (i % 3 == 0)
            n += utf8_put(bytes + n, some[draw(t, SOME)]);
        check(t, str_make(bytes, n));
    }
}

/* Windows fill, and stretches of ASCII are left and entered again. */
static void test_words_slow__long_texts(void **state)
{
    struct world *t = *state;
    struct buf text;

    buf_init(&text, BUF_NO_LIMIT);
    for (size_t i = 0; i < 200; i++) {
        size_t n = draw(t, 20000);

        buf_clear(&text);
        while (text.n < n) {
            uint32_t cp = drawn(t);

            for (uint32_t k = draw(t, i % 3 ? 8 : 6000); k; k--)
                fold_put(cp, &text);
            for (uint32_t k = draw(t, 8) ? draw(t, 4) : draw(t, 500); k; k--)
                buf_add_char(&text, "ab c'D"[draw(t, 6)]);
        }
        check(t, buf_str(&text));
    }
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_slow__all_code_points),
        cmocka_unit_test(test_words_slow__mixes),
        cmocka_unit_test(test_words_slow__bytes),
        cmocka_unit_test(test_words_slow__ascii),
        cmocka_unit_test(test_words_slow__long_texts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
