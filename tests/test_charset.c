/* Encodings: labels, sniffing (extraction.md rule 17), decoding. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/charset.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/utf8.h"

#define S(literal)                                                             \
    {                                                                          \
        literal, sizeof literal - 1                                            \
    }

static void test_charset__labels(void **state)
{
    static const struct {
        const char *label;
        enum charset charset;
    } cases[] = {
        {"utf-8", CHARSET_UTF_8},
        {" \tUTF8\n", CHARSET_UTF_8},
        {"unicode-1-1-utf-8", CHARSET_UTF_8},
        {"iso-8859-1", CHARSET_WINDOWS_1252},
        {"latin1", CHARSET_WINDOWS_1252},
        {"US-ASCII", CHARSET_WINDOWS_1252},
        {"iso-8859-9", CHARSET_WINDOWS_1254},
        {"iso-8859-11", CHARSET_WINDOWS_874},
        {"ISO-8859-8-I", CHARSET_ISO_8859_8_I},
        {"gb2312", CHARSET_GBK},
        {"ks_c_5601-1987", CHARSET_EUC_KR},
        {"x-sjis", CHARSET_SHIFT_JIS},
        {"utf-16", CHARSET_UTF_16LE},
        {"unicodefffe", CHARSET_UTF_16BE},
        {"x-x-big5", CHARSET_BIG5},
        {"hz-gb-2312", CHARSET_REPLACEMENT},
        {"866", CHARSET_IBM866},
        {"x-x-big", CHARSET_NONE},
        {"utf-7", CHARSET_NONE},
        {"utf 8", CHARSET_NONE},
        {"", CHARSET_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (charset_of_label(str_of(cases[i].label)) != cases[i].charset)
            fail_msg("label '%s'", cases[i].label);
    for (int c = 1; c < CHARSETS; c++)
        assert_int_equal(
            charset_of_label(str_of(charset_name((enum charset)c))), c);
    assert_int_equal(charset_of_label(STR("utf-8\0x")), CHARSET_NONE);
}

static void test_charset__content_type(void **state)
{
    static const struct {
        const char *value, *label;
    } cases[] = {
        {"text/html; charset=utf-8", "utf-8"},
        {"text/html;charset = \"a b\" ;x", "a b"},
        {"text/html; CHARSET='x", ""},
        {"charsetcharset=x;y", "x"},
        {"text/html; charset=", ""},
        {"text/html", ""},
        {"charset", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str got = charset_of_content_type(str_of(cases[i].value));

        if (!str_eq(got, str_of(cases[i].label)))
            fail_msg("'%s': '%.*s'", cases[i].value, STR_ARG(got));
    }
}

/* ---- rule 17 ---- */

static const struct {
    const char *name;
    struct str bytes;
    const char *http;
    enum charset charset;
} sniffs[] = {
    {"BOM before all", S("\xef\xbb\xbf\xff<meta charset=koi8-r>"), "gbk",
     CHARSET_UTF_8},
    {"UTF-16 BOM", S("\xff\xfe<\0"), "utf-8", CHARSET_UTF_16LE},
    {"UTF-16 BOM, big", S("\xfe\xff\0<"), "utf-8", CHARSET_UTF_16BE},
    {"valid UTF-8 before declarations", S("<meta charset=koi8-r>\xc3\xa4"),
     "gbk", CHARSET_UTF_8},
    {"all ASCII says nothing", S("<meta charset=koi8-r>"), "gbk", CHARSET_GBK},
    {"header before meta", S("<meta charset=koi8-r>\xe4"), "gbk", CHARSET_GBK},
    {"an unknown header", S("<meta charset=koi8-r>\xe4"), "x", CHARSET_KOI8_R},
    {"meta before XML",
     S("<?xml version='1.0' encoding='big5'?><meta charset=koi8-r>"), "",
     CHARSET_KOI8_R},
    {"XML declaration", S("<?xml version='1.0' encoding='big5'?><p>"), "",
     CHARSET_BIG5},
    {"XML declaration in UTF-16", S("<\0?\0x\0m\0l\0"), "", CHARSET_UTF_16LE},
    {"nothing", S("<p>\xe4"), "", CHARSET_WINDOWS_1252},
    {"empty", S(""), "", CHARSET_WINDOWS_1252},
    {"meta says utf-16", S("<meta charset=utf-16>"), "", CHARSET_UTF_8},
    {"meta says x-user-defined", S("<meta charset=x-user-defined>"), "",
     CHARSET_WINDOWS_1252},
    {"pragma", S("<META content='a; charset=\"gbk\"' http-equiv=Content-Type>"),
     "", CHARSET_GBK},
    {"content without pragma", S("<meta content='a; charset=gbk'>"), "",
     CHARSET_WINDOWS_1252},
    {"the first that names one", S("<meta charset=x><meta charset=gbk>"), "",
     CHARSET_GBK},
    {"not in a comment", S("<!-- <meta charset=gbk> --><meta charset=big5>"),
     "", CHARSET_BIG5},
    {"a comment of two dashes", S("<!--><meta charset=gbk>"), "", CHARSET_GBK},
    {"not in an attribute", S("<a b='<meta charset=gbk>'><meta charset=big5>"),
     "", CHARSET_BIG5},
    {"not another tag", S("<metax charset=gbk>"), "", CHARSET_WINDOWS_1252},
    {"meta with a slash", S("<meta/charset=gbk>"), "", CHARSET_GBK},
};

static void test_charset__sniff(void **state)
{
    size_t bom;

    (void)state;
    for (size_t i = 0; i < sizeof sniffs / sizeof *sniffs; i++) {
        enum charset c =
            charset_sniff(sniffs[i].bytes, str_of(sniffs[i].http), &bom);

        if (c != sniffs[i].charset)
            fail_msg("%s: %s", sniffs[i].name, charset_name(c));
    }
}

static void test_charset__meta_within_64_kib(void **state)
{
    struct buf page = {.max = BUF_NO_LIMIT};
    const struct str meta = STR("<meta charset=gbk>");

    (void)state;
    for (size_t over = 0; over < 2; over++) {
        buf_clear(&page);
        while (page.n < CHARSET_PRESCAN - meta.n + over)
            buf_add_char(&page, ' ');
        buf_add(&page, meta);
        assert_int_equal(charset_of_meta(buf_str(&page)) == CHARSET_GBK,
                         over == 0);
    }
    buf_release(&page);
}

/* ---- decoding ---- */

static const struct {
    enum charset charset;
    struct str bytes, text;
} decodings[] = {
    {CHARSET_UTF_8, S("a\xc3\xa4\xff\xe2\x82z\xed\xa0\x80"),
     S("a\xc3\xa4\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd"
       "\xef\xbf\xbd")},
    {CHARSET_UTF_16LE, S("a\0\xe4\0\x3d\xd8\x00\xde\x00\xd8z\0q"),
     S("a\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbdz\xef\xbf\xbd")},
    {CHARSET_UTF_16BE, S("\0a\0\xe4\xd8\x3d\xde\x00\xdc\x00"),
     S("a\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbd")},
    {CHARSET_WINDOWS_1252, S("\x80\x81\x9f\xff"),
     S("\xe2\x82\xac\xc2\x81\xc5\xb8\xc3\xbf")},
    {CHARSET_WINDOWS_1253, S("\xaa\xc1"), S("\xef\xbf\xbd\xce\x91")},
    {CHARSET_WINDOWS_1255, S("\xca\xe0"), S("\xd6\xba\xd7\x90")},
    {CHARSET_KOI8_U, S("\xae\xbe"), S("\xd1\x9e\xd0\x8e")},
    {CHARSET_X_MAC_CYRILLIC, S("\xff"), S("\xe2\x82\xac")},
    {CHARSET_X_USER_DEFINED, S("a\x80\xff"), S("a\xef\x9e\x80\xef\x9f\xbf")},
    {CHARSET_GBK, S("\xc4\xe3\x80\xff<\x81\"\x84\x31\xa4\x37"),
     S("\xe4\xbd\xa0\xe2\x82\xac\xef\xbf\xbd<\xef\xbf\xbd\""
       "\xef\xbf\xbd")},
    {CHARSET_BIG5, S("\xa4\xa4\xa1\xc3\xff\xa4<\x88\x62x"),
     S("\xe4\xb8\xad\xef\xbf\xa3\xef\xbf\xbd\xef\xbf\xbd<\xc3\x8a\xcc\x84x")},
    {CHARSET_SHIFT_JIS, S("\x93\xfa\xb1\\~\x80\xa0\x81\""),
     S("\xe6\x97\xa5\xef\xbd\xb1\\~\xc2\x80\xef\xbf\xbd\xef\xbf\xbd\"")},
    {CHARSET_EUC_JP, S("\xc6\xfc\x8e\xb1\x8f\xa2\xaf\xa1\xc1\xff<"),
     S("\xe6\x97\xa5\xef\xbd\xb1\xcb\x98\xef\xbd\x9e\xef\xbf\xbd<")},
    {CHARSET_EUC_KR, S("\xb0\xa1\x81\x41\xa2\xe8\nx\xff"),
     S("\xea\xb0\x80\xea\xb0\x82\xef\xbf\xbd\nx\xef\xbf\xbd")},
    {CHARSET_ISO_2022_JP, S("a\x1b$BF|K\\\x1b(J\\~\x1b(I1\x1b(Bb\xff\x1b$Bz"),
     S("a\xe6\x97\xa5\xe6\x9c\xac\xc2\xa5\xe2\x80\xbe\xef\xbd\xb1"
       "b\xef\xbf\xbd\xef\xbf\xbd")},
    {CHARSET_REPLACEMENT, S("abc"), S("\xef\xbf\xbd")},
    {CHARSET_GBK, S("cut \xc4"), S("cut \xef\xbf\xbd")},
    {CHARSET_BIG5, S(""), S("")},
};

static void test_charset__decode(void **state)
{
    struct charset_decoder d;

    (void)state;
    charset_decoder_init(&d);
    for (size_t i = 0; i < sizeof decodings / sizeof *decodings; i++) {
        struct str got;

        assert_int_equal(
            charset_decode(&d, decodings[i].charset, decodings[i].bytes, &got),
            0);
        assert_true(utf8_valid(got));
        if (!str_eq(got, decodings[i].text))
            fail_msg("%s, row %zu: '%.*s', wanted '%s'",
                     charset_name(decodings[i].charset), i, STR_ARG(got),
                     decodings[i].text.p);
    }
    charset_decoder_release(&d);
}

/* No malformed byte may swallow the markup behind it. */
static void test_charset__ascii_survives(void **state)
{
    struct charset_decoder d;

    (void)state;
    charset_decoder_init(&d);
    for (int c = 1; c < CHARSETS; c++) {
        bool wide = c == CHARSET_UTF_16BE || c == CHARSET_UTF_16LE ||
                    c == CHARSET_REPLACEMENT;

        for (int b = 0x80; b < 0x100 && !wide; b++) {
            char bytes[] = {'x', (char)b, '"', '\n', '<', 'b', 'r', '>'};
            struct str got;

            assert_int_equal(charset_decode(&d, (enum charset)c,
                                            str_make(bytes, sizeof bytes),
                                            &got),
                             0);
            if (!str_ends(got, STR("\"\n<br>")))
                fail_msg("%s, byte %x: %.*s", charset_name((enum charset)c), b,
                         STR_ARG(got));
        }
    }
    charset_decoder_release(&d);
}

/* Sanitizers look for bad accesses, not for time: a twentieth will do. */
#ifdef WITMILL_SANITIZED
#define SHARE            20
#define IN_TIME(took_ms) true
#else
#define SHARE            1
#define IN_TIME(took_ms) ((took_ms) <= 2000)
#endif

static void test_charset__large_and_broken_is_linear(void **state)
{
    static const enum charset sets[] = {
        CHARSET_UTF_8,  CHARSET_UTF_16LE,    CHARSET_WINDOWS_1251,
        CHARSET_GBK,    CHARSET_BIG5,        CHARSET_SHIFT_JIS,
        CHARSET_EUC_JP, CHARSET_ISO_2022_JP, CHARSET_EUC_KR};
    struct buf bytes = {.max = BUF_NO_LIMIT};
    struct charset_decoder d;

    (void)state;
    charset_decoder_init(&d);
    for (uint32_t i = 0, x = 1; i < 4000000 / SHARE; i++) {
        x = x * 1664525 + 1013904223;
        buf_add_char(&bytes, (char)(x >> 24));
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        uint64_t from = clock_mono_ms();
        struct str got;

        assert_int_equal(charset_decode(&d, sets[i], buf_str(&bytes), &got), 0);
        assert_true(utf8_valid(got));
        from = clock_mono_ms() - from;
        if (!IN_TIME(from))
            fail_msg("%s: %zu bytes took %u ms", charset_name(sets[i]), bytes.n,
                     (unsigned)from);
    }
    charset_decoder_release(&d);
    buf_release(&bytes);
}

/* ---- html5lib's sniffing tests ---- */

static void run_dat(const char *path, unsigned *equal, unsigned *other)
{
    struct buf file = {.max = BUF_NO_LIMIT};
    struct str all;
    size_t at = 0;

    assert_int_equal(io_read_file(path, &file, NULL), 0);
    all = buf_str(&file);
    while ((at = str_find(all, STR("#data\n"), at)) != SIZE_MAX) {
        size_t end = str_find(all, STR("\n#encoding\n"), at), stop, bom;
        struct str data, want;
        enum charset got;

        assert_true(end != SIZE_MAX);
        data = str_slice(all, at + 6, end);
        stop = str_find_char(all, '\n', end + 11);
        want = str_slice(all, end + 11, stop == SIZE_MAX ? all.n : stop);
        at = end;
        got = charset_sniff(data, STR_NONE, &bom);
        if (got == charset_of_label(want)) {
            ++*equal;
            continue;
        }
        /* Ours by rule 17: valid UTF-8 wins. */
        if (got != CHARSET_UTF_8 || !utf8_valid(data) ||
            utf8_ascii_span(data) == data.n)
            fail_msg("%s: '%.*s' is %s, wanted %.*s", path, STR_ARG(data),
                     charset_name(got), STR_ARG(want));
        ++*other;
    }
    buf_release(&file);
}

static void test_charset__html5lib_sniffing(void **state)
{
    static const char *const names[] = {"tests1.dat", "tests2.dat",
                                        "test-yahoo-jp.dat"};
    const char *shared = getenv("WITMILL_SHARED");
    char folder[] = "/tmp/witmill-charset-XXXXXX";
    char path[PATH_MAX], cmd[2 * PATH_MAX];
    unsigned equal = 0, other = 0;

    (void)state;
    snprintf(path, sizeof path, "%s/data/html/html5lib-tests.tar.xz",
             shared ? shared : "../shared");
    if (!io_exists(path)) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    assert_non_null(mkdtemp(folder));
    snprintf(cmd, sizeof cmd, "tar -xJf '%s' -C %s", path, folder);
    assert_int_equal(system(cmd), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/encoding/%s", folder, names[i]);
        run_dat(path, &equal, &other);
    }
    snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
    assert_int_equal(system(cmd), 0);
    print_message("html5lib encoding tests: %u equal, %u where valid UTF-8 "
                  "wins by our rule\n",
                  equal, other);
    assert_true(equal > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_charset__labels),
        cmocka_unit_test(test_charset__content_type),
        cmocka_unit_test(test_charset__sniff),
        cmocka_unit_test(test_charset__meta_within_64_kib),
        cmocka_unit_test(test_charset__decode),
        cmocka_unit_test(test_charset__ascii_survives),
        cmocka_unit_test(test_charset__large_and_broken_is_linear),
        cmocka_unit_test(test_charset__html5lib_sniffing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
