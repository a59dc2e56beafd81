/* textrules: each rule at both sides of its bound, which one counts when
 * several apply, each switched off, and lists and languages from options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "filter/textrules.h"

#define URL "http://a.test/x.jpg"

static const struct textrules_config all = {.svg = true,
                                            .boilerplate = true,
                                            .filename = true,
                                            .repetition = true,
                                            .min_words = 2};

static const char *verdict(const struct textrules_config *c, const char *url,
                           const char *text)
{
    struct textrules_seen unused = {0};
    struct err e = ERR_INIT;
    const char *reason;
    struct textrules r;
    struct words w;

    if (textrules_open(&r, c, &e))
        fail_msg("%s", e.message);
    words_init(&w);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, str_of(text)), 0);
    reason = textrules_verdict(&r, str_of(url), str_of(text), &w);
    if (!reason)
        reason = textrules_language(&r, &unused, str_of(text));
    words_release(&w);
    textrules_close(&r);
    return reason;
}

static void check(const char *url, const char *text, const char *want)
{
    const char *got = verdict(&all, url, text);

    if (!got != !want || (got && strcmp(got, want)))
        fail_msg("%s \"%s\": %s, expected %s", url, text, got ? got : "kept",
                 want ? want : "kept");
}

static void test_textrules__svg(void **state)
{
    static const struct {
        const char *url, *reason;
    } cases[] = {
        {"http://a.test/x.svg", "svg"},
        {"http://a.test/x.SVGZ", "svg"},
        {"http://a.test/x.svg?v=1", "svg"},
        {"http://a.test/.svg", "svg"},
        {"http://a.test/x.svg/", NULL},
        {"http://a.test/x.png?f=x.svg", NULL},
        {"http://a.test/svg", NULL},
        {"http://a.test/x.svg.png", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].url, "a big dog", cases[i].reason);
}

static void test_textrules__boilerplate(void **state)
{
    /* All of the words; a text of any of them alone is navigation. */
    static const char *const words[] = {
        "arrow",  "back",     "backward", "bottom",     "button", "click",
        "close",  "contents", "down",     "enter",      "first",  "forward",
        "go",     "here",     "home",     "homepage",   "icon",   "image",
        "img",    "index",    "last",     "left",       "link",   "logo",
        "menu",   "nav",      "next",     "navigation", "of",     "page",
        "prev",   "picture",  "previous", "print",      "return", "right",
        "scroll", "search",   "share",    "skip",       "spacer", "start",
        "the",    "to",       "toc",      "thumbnail",  "toggle", "top",
        "up"};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        check(URL, words[i], "boilerplate");
    check(URL, "Back to TOP!", "boilerplate");
    check(URL, "Next page >>", "boilerplate");
    check(URL, "Home", "boilerplate");
    check(URL, "Home of the dog", NULL);
    check(URL, "The picture of a page", NULL); /* `a` is none of them */
    check(URL, "zz top", NULL);
    check(URL, "aardvark home", NULL);
    check(URL, ">>", "too-few-words"); /* no word says nothing of the page */
}

static void test_textrules__filename(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"IMG_0042.JPG", "filename"},
        {"dog.jpeg", "filename"},
        {"dog.webp brown", "filename"}, /* one word beside */
        {"brown dog.webp", "filename"},
        {"dog.png 12 x 7 a b", "filename"}, /* single letters, digits */
        {"a.gif b.tiff c.ico d.heic e.jfif f.bmp g.tif", "filename"},
        {"logo.avif \xc3\xa9", "filename"},
        {"photo of dog.jpg", NULL},    /* two words beside */
        {"dog.svg brown-white", NULL}, /* a hyphen parts words */
        {"dog.svgz x1ab2cd", NULL},
        {"dog.jpg \xe7\x8a\xac\xe7\x8a\xac \xe7\x8a\xac\xe7\x8a\xac", NULL},
        {"the .jpg format", NULL},
        {"dog.jpg, brown", NULL}, /* the token ends in a comma */
        {"dog.jpgx brown", NULL},
        {"two words", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(URL, cases[i].text, cases[i].reason);
}

static void test_textrules__repetition(void **state)
{
    (void)state;
    /* Eight words, a quarter of them distinct at most. */
    check(URL, "dog cat dog cat dog cat dog cat", "repetition");
    check(URL, "dog dog dog dog dog dog dog dog", "repetition");
    check(URL, "Dog CAT dog cat dog, cat dog cat", "repetition");
    check(URL, "dog cat dog cat dog cat dog", NULL);     /* seven */
    check(URL, "dog cat dog cat dog cat dog owl", NULL); /* three of eight */
    check(URL, "dog cat dog cat dog cat dog cat dog cat dog owl",
          "repetition"); /* three of twelve */
    check(URL, "dog cat dog cat dog cat dog cat dog cat owl", NULL);
}

static void test_textrules__counts(void **state)
{
    static const struct {
        struct textrules_config rules;
        const char *text, *reason;
    } cases[] = {
        {{.min_words = 2}, "dog", "too-few-words"},
        {{.min_words = 2}, "a dog", NULL},
        {{.min_words = 2}, "\xe7\x8a\xac", "too-few-words"},
        {{.min_words = 2}, "\xe7\x8a\xac\xe7\x8a\xac", NULL},
        {{0}, "dog", NULL},
        {{0}, "***", NULL},
        {{.min_words = 1}, "***", "too-few-words"},
        {{.max_words = 3}, "one two three", NULL},
        {{.max_words = 3}, "one two three four", "too-many-words"},
        {{.min_chars = 5}, "dogs", "too-few-chars"},
        {{.min_chars = 5}, "a dog", NULL},
        {{.min_chars = 5}, "\xc3\xa9t\xc3\xa9!", "too-few-chars"}, /* four */
        {{.min_chars = 4}, "\xc3\xa9t\xc3\xa9!", NULL},
        {{.min_chars = 2}, "\xf0\x9f\x90\x95", "too-few-chars"},
        {{.max_chars = 5}, "a dog", NULL},
        {{.max_chars = 5}, "a dogs", "too-many-chars"},
        {{.max_chars = 4}, "\xc3\xa9t\xc3\xa9!", NULL},
        /* Pieces between white space, of any kind, are not words. */
        {{.min_tokens = 3}, "dog-bed red", "too-few-tokens"},
        {{.min_tokens = 3}, "  red  - dog ", NULL},
        {{.min_tokens = 3},
         "red\xc2\xa0old\xe3\x80\x80"
         "dog",
         NULL},
        {{.min_tokens = 1}, " ", "too-few-tokens"},
        {{.max_word_chars = 4}, "dogs cats", NULL},
        {{.max_word_chars = 4}, "dogs horse", "long-word"},
        {{.max_word_chars = 4}, "\xc3\xa9t\xc3\xa9s", NULL},
        {{.max_word_chars = 4}, "a-b-c-d-e", NULL},
        {{.max_char_run = 3}, "hmmm...", NULL},
        {{.max_char_run = 3}, "hmmmm", "char-run"},
        {{.max_char_run = 3}, "a     dog", NULL}, /* spaces may */
        {{.max_char_run = 2}, "\xc3\xa9\xc3\xa9\xc3\xa9", "char-run"},
        {{.max_char_run = 1}, "abab", NULL},
        {{.min_letters = 50}, "ab12", NULL},
        {{.min_letters = 50}, "ab 123", "few-letters"},
        {{.min_letters = 50}, "12/03/2019", "few-letters"},
        {{.min_letters = 100}, "a dog", NULL},
        {{.min_letters = 100}, "a dog!", "few-letters"},
        {{.min_letters = 100}, "\xe7\x8a\xac e\xcc\x81", NULL},
        {{.min_letters = 50},
         "a\xf0\x9f\x90\x95\xf0\x9f\x90\x95",
         "few-letters"},
        {{.min_letters = 50}, "", NULL}, /* a share of nothing */
        /* The first in order is the one that counts. */
        {{.min_chars = 9, .min_words = 2}, "dog", "too-few-chars"},
        {{.boilerplate = true, .min_words = 2}, "next", "boilerplate"},
        {{.filename = true, .min_words = 5}, "dog.jpg", "filename"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = verdict(&cases[i].rules, URL, cases[i].text);

        if (!got != !cases[i].reason || (got && strcmp(got, cases[i].reason)))
            fail_msg("case %zu: %s", i, got ? got : "kept");
    }
}

static void test_textrules__switched_off(void **state)
{
    static const struct textrules_config none = {0};

    (void)state;
    assert_null(verdict(&none, "http://a.test/x.svg", "next"));
    assert_null(verdict(&none, URL, "IMG_0042.JPG"));
    assert_null(verdict(&none, URL, "a a a a a a a a"));
    assert_null(verdict(&none, URL, "."));
    assert_string_equal(verdict(&all, "http://a.test/x.svg", "IMG_1.JPG"),
                        "svg");
}

/* ---- one at a time, by what an option says ---- */

static void test_textrules__debris(void **state)
{
    static const struct {
        struct textrules_config rules;
        const char *text, *reason;
    } cases[] = {
        {{.link = true}, "www.a.test", "link"},
        {{.markup = true}, "a <b>dog</b>", "markup"},
        {{.entity = true}, "a&nbsp;dog", "entity"},
        {{.template = true}, "a {{dog}}", "template"},
        {{.code = true}, "{\"dog\": 1}", "code"},
        {{.filler = true}, "No image available!", "filler"},
        {{0}, "<b>&nbsp;{{a}}{\"dog\":1} www.a.test", NULL},
        /* All on: the first in order. */
        {{.markup = true, .entity = true, .code = true},
         "{\"a\": \"<b>&nbsp;\"}",
         "markup"},
        {{.entity = true, .template = true}, "{{a}} &amp;", "entity"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = verdict(&cases[i].rules, URL, cases[i].text);

        if (!got != !cases[i].reason || (got && strcmp(got, cases[i].reason)))
            fail_msg("%s: %s", cases[i].text, got ? got : "kept");
    }
}

static void test_textrules__url_contains(void **state)
{
    const char *parts[] = {".gif", "/ads/"};
    const struct textrules_config c = {.url_contains = {parts, 2}};

    (void)state;
    assert_string_equal(verdict(&c, "http://a.test/x.gif?1", "a dog"),
                        "url-contains");
    assert_string_equal(verdict(&c, "http://a.test/ads/x.jpg", "a dog"),
                        "url-contains");
    assert_null(verdict(&c, "http://a.test/x.GIF", "a dog"));
    assert_null(verdict(&c, "http://a.test/ads", "a dog"));
}

static void test_textrules__lists(void **state)
{
    static const char *const names[] = {"terms", "hosts", "urls"};
    static const char *const bytes[] = {"Bad Word\n", "bad.test\n",
                                        "https://a.test/bad/\n"};
    char dir[] = "/tmp/witmill-rules-XXXXXX", path[3][64];
    struct textrules_config c = {0};
    struct stage_inputs in;
    struct textrules r;
    struct err e = ERR_INIT;

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", dir, names[i]);
        assert_int_equal(io_write_file(path[i], str_of(bytes[i]), &e), 0);
    }
    c.block_terms = path[0];
    c.block_hosts = path[1];
    c.block_urls = path[2];
    assert_string_equal(verdict(&c, URL, "a BAD, word"), "block-term");
    assert_string_equal(verdict(&c, "http://w.bad.test/x", "a dog"),
                        "block-host");
    assert_string_equal(verdict(&c, "http://a.test/bad/x", "a dog"),
                        "block-url");
    assert_null(verdict(&c, URL, "a bad dog, word"));

    /* What the fingerprint has of them. */
    assert_int_equal(textrules_open(&r, &c, &e), 0);
    stage_inputs_init(&in);
    textrules_add_inputs(&r, &in);
    assert_int_equal(in.n, 3);
    assert_string_equal(in.v[0].name, "block-terms");
    assert_string_equal(in.v[0].sha256, "79a7a9d11b10664c3a6e2e392a8a37fb"
                                        "4de06ac8f1e7841555076e8a308830e5");
    stage_inputs_release(&in);
    textrules_close(&r);

    assert_int_equal(unlink(path[2]), 0);
    assert_int_equal(textrules_open(&r, &c, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, path[2]));
    assert_int_equal(unlink(path[0]) + unlink(path[1]) + rmdir(dir), 0);
}

static void test_textrules__language(void **state)
{
    struct textrules_config c = {.language = "any", .language_bytes = 20};
    static const char french[] = "un chien brun devant la maison de campagne";
    struct textrules_seen s = {0};
    struct err e = ERR_INIT;
    struct stage_inputs in;
    struct textrules r;

    (void)state;
    assert_null(verdict(&c, URL, french)); /* in any build */
    c.language = "en";
    if (!language_available()) {
        assert_int_equal(textrules_open(&r, &c, &e), -E_UNSUPPORTED);
        assert_non_null(strstr(e.message, "libcld2-dev"));
        print_message("skipped: built without CLD2\n");
        skip();
    }
    assert_string_equal(verdict(&c, URL, french), "language");
    assert_null(verdict(&c, URL, "a brown dog in front of the house"));
    assert_null(verdict(&c, URL, "un chien"));
    c.language_unknown = TEXTRULES_DROP;
    assert_string_equal(verdict(&c, URL, "un chien"), "language-unknown");
    c.language_unknown = TEXTRULES_KEEP;
    c.language = "xx";
    assert_int_equal(textrules_open(&r, &c, &e), -E_USAGE);

    /* Those kept are counted. */
    c.language = "en,fr";
    assert_int_equal(textrules_open(&r, &c, NULL), 0);
    assert_null(textrules_language(&r, &s, STR("un chien")));
    assert_null(textrules_language(&r, &s, str_of(french)));
    assert_int_equal(s.unknown, 1);

    /* CLD2's version is among what an output is made from. */
    stage_inputs_init(&in);
    textrules_add_inputs(&r, &in);
    assert_int_equal(in.n, 1);
    assert_memory_equal(in.v[0].name, "CLD2 V", 6);
    assert_string_equal(in.v[0].name + 5, language_version());
    textrules_close(&r);
    c.language = "any";
    assert_int_equal(textrules_open(&r, &c, NULL), 0);
    stage_inputs_clear(&in);
    textrules_add_inputs(&r, &in);
    assert_int_equal(in.n, 0);
    textrules_close(&r);
    stage_inputs_release(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_textrules__svg),
        cmocka_unit_test(test_textrules__boilerplate),
        cmocka_unit_test(test_textrules__filename),
        cmocka_unit_test(test_textrules__repetition),
        cmocka_unit_test(test_textrules__counts),
        cmocka_unit_test(test_textrules__switched_off),
        cmocka_unit_test(test_textrules__debris),
        cmocka_unit_test(test_textrules__url_contains),
        cmocka_unit_test(test_textrules__lists),
        cmocka_unit_test(test_textrules__language),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
