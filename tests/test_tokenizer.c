/* train/tokenizer and what it is made of.  Against the Python tokenizer text by
 * text: tests/check_tokenizer.py. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "tests/tokenizer_world.h"
#include "train/pieces.h"

/* ---- cleaning and cutting ---- */

static void test_tokenizer__cleans(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"", ""},
        {" \t\r\n\f ", ""},
        {"  A  Photo\tof\r\n a CAT \n", "a photo of a cat"},
        {"salt & pepper &", "salt & pepper &"},
        {"a\x0b"
         "b\x01"
         "c\x7f",
         "abc"}, /* controls vanish, VT among them */
        /* references: closed ones by ftfy, then Python's twice */
        {"&amp;amp;amp;lt; x", "< x"},
        {"&eacute;&EACUTE;&Eacute;&eACUTE;",
         "\xc3\xa9\xc3\xa9\xc3\xa9&eacute;"},
        {"STRA&SZLIG;E", "strasse"},
        {"&copy 2020 &notit; &hearts", "\xc2\xa9 2020 \xc2\xacit; &hearts"},
        {"&#65;&#x42;&#67 &#59;&#x3B;", "abc ;;"},
        {"&#128;&#150;&#129;", "\xe2\x82\xac\xe2\x80\x93\xc2\x81"},
        {"a&#1;b&#xFFFF;c&#xFDD0;d", "abcd"},
        {"&#0;&#xD800;&#x110000;&#99999999999;",
         "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"&#; &#x; &#xg; &; &1", "&#; &#x; &#xg; &; &1"},
        {"&CounterClockwiseContourIntegral;", "\xe2\x88\xb3"},
        {"<b>P&EACUTE;R &lt; &amp;lt;", "<b>p&eacute;r < <"},
        /* ftfy's other steps */
        {"\xc2\x80\xc2\x93x\xc2\x94 \xc2\x85",
         "\xe2\x82\xac\"x\" \xe2\x80\xa6"},
        {"\xef\xac\x83x \xc5\x89 \xc7\x84 \xef\xac\x85", "ffix 'n d\xc5\xbe "
                                                         "\xc5\xbft"},
        {"\xef\xbc\xa1\xe3\x80\x80\xef\xbc\x86\xef\xbc\xa1\xef\xbc\xad\xef\xbc"
         "\xb0\xef\xbc\x9b",
         "a &"}, /* full width, then a reference */
        {"\xef\xbd\xb6\xef\xbe\x9e", "\xe3\x82\xac"}, /* ka and its mark */
        {"\xe2\x80\x98x\xe2\x80\x99 \xe2\x80\x9cy\xe2\x80\x9f \xca\xbc",
         "'x' \"y\" '"},
        {"a\xe2\x80\xa8"
         "b\rc",
         "a b c"},
        {"\x1b[31;1mred\x1b[0m \x1b[x \x1b[1 \x1b]", "red [1 ]"},
        {"\x1b[\xd9\xa3m3 \x1b[\x01"
         "0m",
         "3 [0m"}, /* digits of any script; a control inside */
        {"\xef\xbb\xbfx\xef\xbf\xbcy\xe2\x81\xaa", "xy"},
        {"cafe\xcc\x81 \xe1\x84\x80\xe1\x85\xa1", "caf\xc3\xa9 \xea\xb0\x80"},
        /* lower case */
        {"\xc4\xb0stanbul", "i\xcc\x87stanbul"},
        {"\xce\x9f\xce\xa3 \xce\xa3 \xce\x91\xce\xa3. "
         "\xce\x91\xce\xa3'\xce\x91",
         "\xce\xbf\xcf\x82 \xcf\x83 \xce\xb1\xcf\x82. "
         "\xce\xb1\xcf\x83'\xce\xb1"},
        {"\xe1\xba\x9e \xe2\x84\xaa", "\xc3\x9f k"},
        {"a\xc2\xa0\xe2\x80\x89\xe1\x9a\x80z", "a z"},
        /* what is no UTF-8 */
        {"a\xff\xc3 \xe2\x82z\xf0\x9f\x98",
         "a\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbdz\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    struct clean c;
    struct str got;

    (void)state;
    clean_init(&c);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(clean_text(&c, str_of(cases[i].in), &got), 0);
        if (!str_eq(got, str_of(cases[i].want)))
            fail_msg("\"%s\" becomes \"%.*s\", not \"%s\"", cases[i].in,
                     STR_ARG(got), cases[i].want);
    }
    clean_release(&c);
}

/* Levels of references, each of which shows when the one inside, or the one
 * before, is decoded: in texts so long that a pass for each level would take
 * minutes. */
static void test_tokenizer__cleans_nested(void **state)
{
    static const struct {
        const char *first, *level, *last, *want;
    } cases[] = {
        {"x&", "amp;", "lt; y", "x< y"},
        {"&", "#38;", "eacute;", "\xc3\xa9"},
        {"&", "#xFF06;", "AACUTE;", "\xc3\xa1"}, /* full width */
        {"&amp", "&#x37e", ";", "&"},            /* a Greek question mark */
        {"&", "amp;", "#59;", ";"},         /* step 1 makes none, step 2 does */
        {"&", "amp;", "#65", "a"},          /* the same */
        {"&", "amp;", "zwj", "&zwj"},       /* no reference */
        {"\x1b[&", "amp;", "#51;m", "[3m"}, /* ESC goes in the first round */
    };
    struct clean c;
    struct buf text;
    struct str got;

    (void)state;
    clean_init(&c);
    buf_init(&text, CLEAN_MAX);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t levels = 1; levels < 1 << 18;
             levels += levels < 20 ? 1 : 100000) {
            buf_clear(&text);
            buf_add(&text, str_of(cases[i].first));
            for (size_t k = 0;
                 k < levels && text.n < CLEAN_MAX - CLEAN_SLACK - 32; k++)
                buf_add(&text, str_of(cases[i].level));
            buf_add(&text, str_of(cases[i].last));
            assert_int_equal(clean_text(&c, buf_str(&text), &got), 0);
            if (!str_eq(got, str_of(cases[i].want)))
                fail_msg("case %zu, %zu levels: \"%.*s\", not \"%s\"", i,
                         levels, STR_ARG(got), cases[i].want);
        }
    buf_release(&text);
    clean_release(&c);
}

static void test_tokenizer__tells_garbled(void **state)
{
    static const struct {
        const char *in;
        bool garbled;
    } cases[] = {
        {"plain", false},
        {"caf\xc3\xa9 na\xc3\xafve", false},
        {"caf\xc3\x83\xc2\xa9", true},                 /* windows-1252 */
        {"it\xc3\xa2\xe2\x82\xac\xe2\x84\xa2s", true}, /* of a quote */
        {"\xd0\xb2\xd0\x82\xe2\x84\xa2", true},        /* windows-1251 */
        {"\xd0\x92\xd1\x96\xd0\xbd \xd0\xb4\xd1\x96\xd1\x97", false},
        {"\xe6\x97\xa5\xe6\x9c\xac", false},
        {"\xce\xba\xce\xb1\xce\xb9", false},
    };
    struct clean c;
    struct str got;

    (void)state;
    clean_init(&c);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(clean_text(&c, str_of(cases[i].in), &got), 0);
        if (c.garbled != cases[i].garbled)
            fail_msg("\"%s\" is %stold as garbled", cases[i].in,
                     c.garbled ? "" : "not ");
    }
    clean_release(&c);
}

/* Pieces with | between; a special by its number in brackets. */
static void cut(const char *text, struct buf *out)
{
    struct pieces p = {.text = str_of(text),
                       .specials = {STR("<s>"), STR("<e>")}};
    struct str piece;
    int special;

    buf_clear(out);
    buf_add(out, STR(""));
    while (pieces_next(&p, &piece, &special)) {
        if (out->n)
            buf_add_char(out, '|');
        if (special >= 0)
            buf_addf(out, "[%d]", special);
        else
            buf_add(out, piece);
    }
}

static void test_tokenizer__cuts(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"", ""},
        {" a  cat ", "a|cat"},
        {"isn't they'll o'clock", "isn|'t|they|'ll|o|'|clock"},
        {"'s'd've're'm", "'s|'d|'ve|'re|'m"},
        {"!'s it''s", "!'|s|it|''|s"},
        {"x'\xc5\xbf 'r", "x|'\xc5\xbf|'|r"},
        {"a1b23", "a|1|b|2|3"},
        {"2\xc2\xb2\xc2\xbd\xd9\xa3", "2|\xc2\xb2|\xc2\xbd|\xd9\xa3"},
        {"f/2.8-x", "f|/|2|.|8|-|x"},
        {"e\xcc\x81x", "e|\xcc\x81|x"},
        {"a\xcd\x85"
         "b!\xcd\x85?",
         "a|b|!|?"},
        {"<s>a<e><", "[0]|a|[1]|<"},
        {"<\xc5\xbf>!<s>", "<\xc5\xbf>|!<|s|>"},
        {"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80!", "\xe6\x97\xa5\xe6\x9c"
                                                       "\xac|\xf0\x9f\x98"
                                                       "\x80!"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cut(cases[i].in, &out);
        assert_string_equal(buf_str(&out).p, cases[i].want);
    }
    buf_release(&out);
}

/* ---- vocabularies ---- */

static const char small[] = "#witmill-vocabulary 1 518\n"
                            "t h\nth e</w>\na t</w>\nc at</w>\n";

static void test_tokenizer__parses_ours(void **state)
{
    struct tokenizer *t, *again;
    struct tokenizer_scratch s;

    (void)state;
    assert_int_equal(
        tokenizer_parse(&t, STR(small), "small", TOKENIZER_CLIP, NULL), 0);
    assert_int_equal(tokenizer_vocab(t), 518);
    assert_int_equal(tokenizer_sot(t), 516);
    assert_int_equal(tokenizer_eot(t), 517);
    assert_true(str_eq(tokenizer_bytes(t), STR(small)));
    /* with the line ends of another system, and none at the end */
    assert_int_equal(
        tokenizer_parse(&again,
                        STR("#witmill-vocabulary 1 518\r\nt h\r\nth e</w>\r\n"
                            "a t</w>\r\nc at</w>"),
                        "small", TOKENIZER_CLIP, NULL),
        0);
    assert_string_equal(tokenizer_sha256(t), tokenizer_sha256(again));
    tokenizer_scratch_init(&s);
    assert_int_equal(tokenizer_encode(t, &s, STR("The cat")), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.ids[0], 513);
    assert_int_equal(s.ids[1], 515);
    assert_int_equal(tokenizer_encode(t, &s, STR("at! <|endoftext|>")), 0);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.ids[0], 514);
    assert_int_equal(s.ids[1], 256); /* ! is the first byte */
    assert_int_equal(s.ids[2], 517);
    tokenizer_scratch_release(&s);
    tokenizer_close(t);
    tokenizer_close(again);
}

static void test_tokenizer__refuses_files(void **state)
{
    static const struct {
        const char *file;
        int rc;
        const char *says;
    } cases[] = {
        {"", E_FORMAT, "head"},
        {"a b\n", E_FORMAT, "head"},
        {"\"x#version: 0.2\na b\n", E_FORMAT, "fewer"},
        {"#witmill-vocabulary 2 518\n", E_VERSION, "version 2"},
        {"#witmill-vocabulary 1\n", E_FORMAT, "size"},
        {"#witmill-vocabulary one 518\n", E_FORMAT, "version"},
        {"#witmill-vocabulary 1 513\n", E_FORMAT, "fewer ids"},
        {"#witmill-vocabulary 1 1048577\n", E_TOOBIG, "1048577"},
        {"#witmill-vocabulary 1 1048576\n", E_FORMAT, "fewer merges"},
        {"#witmill-vocabulary 1 516\na b\n", E_FORMAT, "fewer merges"},
        {"#witmill-vocabulary 1 515\na b\nc d\n", E_FORMAT, "more"},
        {"#witmill-vocabulary 1 515\nab  \n", E_FORMAT, ":2:"},
        {"#witmill-vocabulary 1 515\na  b\n", E_FORMAT, "no byte"},
        {"#witmill-vocabulary 1 515\na b c\n", E_FORMAT, "no byte"},
        {"#witmill-vocabulary 1 515\nabcd\n", E_FORMAT, "not two"},
        {"#witmill-vocabulary 1 515\na \xe2\x82\xac\n", E_FORMAT, "no byte"},
        {"#witmill-vocabulary 1 515\na \xff\n", E_FORMAT, "no byte"},
        {"#witmill-vocabulary 1 515\na</w> b\n", E_FORMAT, "ends a word"},
        {"#witmill-vocabulary 1 515\nab c\n", E_FORMAT, "first token"},
        {"#witmill-vocabulary 1 515\na bc\n", E_FORMAT, "second token"},
        {"#witmill-vocabulary 1 515\na </w>\n", E_FORMAT, "second token"},
        {"#witmill-vocabulary 1 516\na b\na b\n", E_FORMAT, "is there"},
        {"#witmill-vocabulary 1 518\na b\nb c\nab c\na bc\n", E_FORMAT,
         ":5: makes a token"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *t;
        struct err e = ERR_INIT;
        int rc =
            tokenizer_parse(&t, str_of(cases[i].file), "f", TOKENIZER_CLIP, &e);

        if (rc != -cases[i].rc || !strstr(e.message, cases[i].says))
            fail_msg("case %zu: %d, \"%s\"", i, rc, e.message);
        assert_null(t);
    }
}

static void test_tokenizer__refuses_long_tokens(void **state)
{
    struct tokenizer *t;
    struct err e = ERR_INIT;
    struct buf b;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    vocabulary_head(TOKENIZER_BYTES + 2 + 11, &b);
    for (int n = 1, i = 0; i < 11; i++, n *= 2) { /* twice as long each */
        for (int side = 0; side < 2; side++) {
            for (int k = 0; k < n; k++)
                buf_add_char(&b, 'a');
            buf_add_char(&b, side ? '\n' : ' ');
        }
    }
    assert_int_equal(
        tokenizer_parse(&t, buf_str(&b), "long", TOKENIZER_CLIP, &e),
        -E_FORMAT);
    assert_non_null(strstr(e.message, "long:12: a token is too long"));
    buf_release(&b);
}

/* Numbers of the published vocabulary, where it is at hand. */
static void test_tokenizer__published(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        int32_t ids[20];
    } cases[] = {
        {"a photo of a cat", 5, {320, 1125, 539, 320, 2368}},
        {"a diagram", 2, {320, 22697}},
        {"Hello, World!", 4, {3306, 267, 1002, 256}},
        {"\xc4\xb0stanbul", 3, {328, 16384, 11231}},
        {"<|endoftext|> inside", 2, {49407, 2912}},
        {"fine print &amp;amp; more &copy 2020",
         9,
         {3797, 3557, 261, 750, 5811, 273, 271, 273, 271}},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         10,
         {32035, 32035, 32035, 32035, 32035, 32035, 32035, 32035, 32035,
          22819}},
        {"\xce\xa3\xce\x8a\xce\xa3\xce\xa5\xce\xa6\xce\x9f\xce\xa3",
         14,
         {139, 225, 138, 107, 139, 225, 139, 227, 139, 228, 138, 123, 139,
          480}},
    };
    const char *shared = getenv("WITMILL_SHARED");
    char path[IO_PATH_MAX];
    struct tokenizer *t, *again;
    struct tokenizer_scratch s;

    (void)state;
    snprintf(path, sizeof path, "%s/data/clip/bpe_simple_vocab_16e6.txt.gz",
             shared ? shared : "../shared");
    if (!io_exists(path)) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    assert_int_equal(tokenizer_open(&t, path, TOKENIZER_CLIP, NULL), 0);
    assert_int_equal(tokenizer_vocab(t), TOKENIZER_PUBLISHED);
    tokenizer_scratch_init(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(tokenizer_encode(t, &s, str_of(cases[i].text)), 0);
        assert_int_equal(s.n, cases[i].n);
        assert_memory_equal(s.ids, cases[i].ids, s.n * sizeof *s.ids);
    }
    /* as it travels with a checkpoint */
    assert_int_equal(tokenizer_parse(&again, tokenizer_bytes(t), "own",
                                     TOKENIZER_CLIP, NULL),
                     0);
    assert_string_equal(tokenizer_sha256(t), tokenizer_sha256(again));
    tokenizer_scratch_release(&s);
    tokenizer_close(again);
    tokenizer_close(t);
}

/* ---- encoding ---- */

/* Merges as the paper tells them: the lowest rank, everywhere, again. */
static size_t merge_plainly(const struct vocabulary *v, struct str piece,
                            uint32_t *ids)
{
    size_t n = piece.n;

    for (size_t i = 0; i < n; i++)
        ids[i] = v->of_byte[(unsigned char)piece.p[i]] + (i + 1 == n ? 256 : 0);
    for (;;) {
        uint32_t best = VOCABULARY_NONE;
        size_t kept = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t m = vocabulary_merge(v, ids[i], ids[i + 1]);

            best = m < best ? m : best;
        }
        if (best == VOCABULARY_NONE)
            return n;
        for (size_t i = 0; i < n; i++) {
            if (i + 1 < n && vocabulary_merge(v, ids[i], ids[i + 1]) == best) {
                ids[kept++] = best;
                i++;
            } else {
                ids[kept++] = ids[i];
            }
        }
        n = kept;
    }
}

/* Short and long pieces of a few letters, so that much merges. */
static void test_tokenizer__merges_plainly(void **state)
{
    struct vocabulary v;
    struct merge m;
    uint32_t made, seed = 1, want[400];
    int32_t got[400];
    struct buf file = world_file(WORLD_IDS, &made);

    (void)state;
    assert_int_equal(vocabulary_parse(&v, buf_str(&file), "world", NULL), 0);
    merge_init(&m);
    for (int round = 0; round < 4000; round++) {
        char text[400];
        size_t n = 1 + (size_t)round % (round % 7 ? 40 : 399), count = 0;

        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = "photgras"[(seed >> 24) % (round % 3 ? 4 : 8)];
        }
        assert_int_equal(merge_piece(&m, &v, str_make(text, n), got, &count),
                         0);
        assert_int_equal(count, merge_plainly(&v, str_make(text, n), want));
        assert_memory_equal(got, want, count * sizeof *want);
    }
    merge_release(&m);
    vocabulary_release(&v);
    buf_release(&file);
}

/* A warm cache, whatever was in it, gives what an empty one gives. */
static void test_tokenizer__cache_changes_nothing(void **state)
{
    struct tokenizer *t = tokenizer_world();
    struct tokenizer_scratch warm, cold;
    char text[64];

    (void)state;
    tokenizer_scratch_init(&warm);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 60000; i++) { /* more than it holds */
            snprintf(text, sizeof text, "the %xphoto%x cats", i * 2654435761u,
                     i % 977);
            assert_int_equal(tokenizer_encode(t, &warm, str_of(text)), 0);
            if (i % 1500)
                continue;
            tokenizer_scratch_init(&cold);
            assert_int_equal(tokenizer_encode(t, &cold, str_of(text)), 0);
            assert_int_equal(warm.n, cold.n);
            assert_memory_equal(warm.ids, cold.ids, cold.n * sizeof *cold.ids);
            tokenizer_scratch_release(&cold);
        }
    }
    tokenizer_scratch_release(&warm);
    tokenizer_close(t);
}

static void test_tokenizer__captions(void **state)
{
    struct tokenizer *t = tokenizer_world();
    struct tokenizer_scratch s;
    int32_t sot = tokenizer_sot(t), eot = tokenizer_eot(t), ids[16], all[16];
    char *large = malloc(TOKENIZER_TEXT_MAX + 1);
    size_t n;

    (void)state;
    tokenizer_scratch_init(&s);
    assert_int_equal(tokenizer_encode(t, &s, STR("A photo of a cat!")), 0);
    n = s.n;
    assert_in_range(n, 3, 12);
    memcpy(all, s.ids, n * sizeof *all);
    memset(ids, 0x55, sizeof ids);
    assert_int_equal(
        tokenizer_caption(t, &s, STR("A photo of a cat!"), 16, ids), n + 2);
    assert_int_equal(ids[0], sot);
    assert_memory_equal(ids + 1, all, n * sizeof *all);
    assert_int_equal(ids[n + 1], eot);
    for (size_t i = n + 2; i < 16; i++)
        assert_int_equal(ids[i], 0);
    for (int context = 2; context < (int)n + 2; context++) {
        assert_int_equal(
            tokenizer_caption(t, &s, STR("A photo of a cat!"), context, ids),
            context);
        assert_int_equal(ids[0], sot);
        assert_memory_equal(ids + 1, all, (context - 2) * sizeof *all);
        assert_int_equal(ids[context - 1], eot);
    }
    assert_int_equal(tokenizer_caption(t, &s, STR(" \n"), 3, ids), 2);
    assert_int_equal(ids[1], eot);
    assert_int_equal(ids[2], 0);
    memset(large, 'a', TOKENIZER_TEXT_MAX + 1);
    assert_int_equal(
        tokenizer_caption(t, &s, str_make(large, TOKENIZER_TEXT_MAX), 8, ids),
        8);
    assert_int_equal(tokenizer_caption(t, &s,
                                       str_make(large, TOKENIZER_TEXT_MAX + 1),
                                       8, ids),
                     -E_TOOBIG);
    assert_int_equal(ids[0], sot);
    assert_int_equal(ids[1], eot);
    assert_int_equal(ids[2], 0);
    free(large);
    tokenizer_scratch_release(&s);
    tokenizer_close(t);
}

static void test_tokenizer__decodes(void **state)
{
    struct tokenizer *t = tokenizer_world();
    struct tokenizer_scratch s;
    const int32_t sot = tokenizer_sot(t), eot = tokenizer_eot(t);
    int32_t broken[] = {0, sot, eot}, bad[] = {eot + 1}, negative[] = {-1};
    struct buf out;

    (void)state;
    tokenizer_scratch_init(&s);
    buf_init(&out, BUF_NO_LIMIT);
    assert_int_equal(
        tokenizer_encode(t, &s, STR("The  CAT's caf\xc3\xa9, 42!")), 0);
    assert_int_equal(tokenizer_decode(t, s.ids, s.n, &out), 0);
    assert_string_equal(out.p, "the cat 's caf\xc3\xa9 , 4 2 ! ");
    buf_clear(&out);
    assert_int_equal(tokenizer_decode(t, broken, 3, &out), 0);
    assert_string_equal(out.p, "!<|startoftext|><|endoftext|>");
    buf_clear(&out);
    broken[0] = 160; /* one of the bytes that begin a sequence */
    assert_int_equal(tokenizer_decode(t, broken, 1, &out), 0);
    assert_string_equal(out.p, "\xef\xbf\xbd");
    assert_int_equal(tokenizer_decode(t, bad, 1, &out), -E_RANGE);
    assert_int_equal(tokenizer_decode(t, negative, 1, &out), -E_RANGE);
    buf_release(&out);
    tokenizer_scratch_release(&s);
    tokenizer_close(t);
}

static void *encode_often(void *arg)
{
    struct tokenizer_scratch s;
    const struct tokenizer *t = arg;
    uintptr_t sum = 0;

    tokenizer_scratch_init(&s);
    for (int i = 0; i < 300; i++) {
        struct str text = str_of(
            world_texts[i % (int)(sizeof world_texts / sizeof *world_texts)]);

        if (tokenizer_encode(t, &s, text))
            sum = UINTPTR_MAX / 2;
        for (size_t k = 0; k < s.n; k++)
            sum = sum * 31 + (uintptr_t)s.ids[k];
    }
    tokenizer_scratch_release(&s);
    return (void *)sum;
}

static void test_tokenizer__threads_share_it(void **state)
{
    struct tokenizer *t = tokenizer_world();
    void *alone = encode_often(t), *got;
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, t), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &got), 0);
        assert_ptr_equal(got, alone);
    }
    tokenizer_close(t);
}

/* ---- making one ---- */

/* The most frequent pair by counting all of them anew each time. */
static bool plain_best(const struct word_counts *w, uint32_t **words,
                       const uint32_t *lengths, struct str *tokens,
                       uint32_t *left, uint32_t *right)
{
    uint64_t best = 1;
    int order;

    for (uint32_t i = 0; i < w->n; i++) {
        for (uint32_t k = 0; k + 1 < lengths[i]; k++) {
            uint32_t a = words[i][k], b = words[i][k + 1];
            uint64_t count = 0;

            for (uint32_t j = 0; j < w->n; j++)
                for (uint32_t l = 0; l + 1 < lengths[j]; l++)
                    if (words[j][l] == a && words[j][l + 1] == b)
                        count += w->words[j].count;
            order = best == 1 ? 0 : str_cmp(tokens[a], tokens[*left]);
            if (!order)
                order = best == 1 ? 0 : str_cmp(tokens[b], tokens[*right]);
            if (count > best || (count == best && best > 1 && order < 0)) {
                best = count;
                *left = a;
                *right = b;
            }
        }
    }
    return best > 1;
}

/* No token of these words is spelled in two ways, and no two tokens differ in
 * their end alone, which the plain way does not know. */
static void test_tokenizer__makes_what_counting_makes(void **state)
{
    static const char *const texts[] = {"xyxyz xyxyz xyxyz qrxy qrxy",
                                        "qrst qrst qrst qrst zzzz zzzz zzzz"};
    struct str tokens[TOKENIZER_BYTES + 64];
    char room[TOKENIZER_BYTES + 64][32];
    uint32_t *words[16], lengths[16], made, left = 0, right = 0;
    uint32_t n = TOKENIZER_BYTES;
    struct word_counts w;
    struct buf got, want;

    (void)state;
    word_counts_init(&w);
    for (int i = 0; i < 2; i++)
        assert_int_equal(word_counts_add(&w, str_of(texts[i])), 0);
    for (uint32_t i = 0; i < n; i++) {
        room[i][0] = (char)(i & 255);
        tokens[i] = str_make(room[i], 1);
    }
    for (uint32_t i = 0; i < w.n; i++) {
        struct str word = word_counts_word(&w, i);

        words[i] = calloc(word.n, sizeof **words);
        lengths[i] = (uint32_t)word.n;
        for (size_t k = 0; k < word.n; k++)
            words[i][k] =
                (unsigned char)word.p[k] + (k + 1 == word.n ? 256u : 0);
    }
    buf_init(&got, BUF_NO_LIMIT);
    buf_init(&want, BUF_NO_LIMIT);
    while (plain_best(&w, words, lengths, tokens, &left, &right)) {
        bool ends = false;

        tokens[n] = str_make(room[n], tokens[left].n + tokens[right].n);
        memcpy(room[n], tokens[left].p, tokens[left].n);
        memcpy(room[n] + tokens[left].n, tokens[right].p, tokens[right].n);
        for (uint32_t i = 0; i < w.n; i++) {
            uint32_t kept = 0;

            for (uint32_t k = 0; k < lengths[i]; k++) {
                bool here = k + 1 < lengths[i] && words[i][k] == left &&
                            words[i][k + 1] == right;

                ends = ends || (here && k + 2 == lengths[i]);
                words[i][kept++] = here ? n : words[i][k];
                k += here;
            }
            lengths[i] = kept;
        }
        vocabulary_line(tokens[left], tokens[right], ends, &want);
        n++;
    }
    assert_true(n > TOKENIZER_BYTES + 8);
    assert_int_equal(vocabulary_make(&w, 4096, 2, &got, &made, NULL), 0);
    assert_int_equal(made, n + 2);
    assert_non_null(strstr(got.p, "\n"));
    assert_string_equal(strchr(got.p, '\n') + 1, want.p);
    for (uint32_t i = 0; i < w.n; i++)
        free(words[i]);
    buf_release(&got);
    buf_release(&want);
    word_counts_release(&w);
}

/* The file is frozen: tests/golden/vocabulary-v1.txt. */
static void test_tokenizer__golden(void **state)
{
    uint32_t made;
    struct buf file = world_file(WORLD_IDS, &made), golden;
    struct tokenizer *t;

    (void)state;
    buf_init(&golden, TOKENIZER_FILE_MAX);
    assert_int_equal(
        io_read_file("tests/golden/vocabulary-v1.txt", &golden, NULL), 0);
    assert_true(str_eq(buf_str(&file), buf_str(&golden)));
    assert_int_equal(tokenizer_open(&t, "tests/golden/vocabulary-v1.txt",
                                    TOKENIZER_CLIP, NULL),
                     0);
    assert_int_equal(tokenizer_vocab(t), made);
    assert_true(str_eq(tokenizer_bytes(t), buf_str(&golden)));
    tokenizer_close(t);
    buf_release(&golden);
    buf_release(&file);
}

static void test_tokenizer__makes_the_same_in_any_order(void **state)
{
    const size_t n = sizeof world_texts / sizeof *world_texts;
    struct word_counts w;
    struct buf back, file;
    uint32_t made, again, fewer;

    (void)state;
    file = world_file(WORLD_IDS, &made);
    word_counts_init(&w);
    buf_init(&back, TOKENIZER_FILE_MAX);
    for (size_t i = n; i; i--)
        assert_int_equal(word_counts_add(&w, str_of(world_texts[i - 1])), 0);
    assert_int_equal(vocabulary_make(&w, WORLD_IDS, 2, &back, &again, NULL), 0);
    assert_int_equal(made, again);
    assert_true(str_eq(buf_str(&file), buf_str(&back)));
    buf_clear(&back);
    assert_int_equal(vocabulary_make(&w, 4096, 5, &back, &fewer, NULL), 0);
    assert_in_range(fewer, TOKENIZER_BYTES + 3, made - 1);
    buf_clear(&back);
    assert_int_equal(vocabulary_make(&w, 514, 1, &back, &fewer, NULL), 0);
    assert_string_equal(back.p, "#witmill-vocabulary 1 514\n");
    assert_int_equal(vocabulary_make(&w, 513, 1, &back, &fewer, NULL),
                     -E_RANGE);
    buf_release(&back);
    buf_release(&file);
    word_counts_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer__cleans),
        cmocka_unit_test(test_tokenizer__cleans_nested),
        cmocka_unit_test(test_tokenizer__tells_garbled),
        cmocka_unit_test(test_tokenizer__cuts),
        cmocka_unit_test(test_tokenizer__parses_ours),
        cmocka_unit_test(test_tokenizer__refuses_files),
        cmocka_unit_test(test_tokenizer__refuses_long_tokens),
        cmocka_unit_test(test_tokenizer__published),
        cmocka_unit_test(test_tokenizer__merges_plainly),
        cmocka_unit_test(test_tokenizer__cache_changes_nothing),
        cmocka_unit_test(test_tokenizer__captions),
        cmocka_unit_test(test_tokenizer__decodes),
        cmocka_unit_test(test_tokenizer__threads_share_it),
        cmocka_unit_test(test_tokenizer__makes_what_counting_makes),
        cmocka_unit_test(test_tokenizer__golden),
        cmocka_unit_test(test_tokenizer__makes_the_same_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
