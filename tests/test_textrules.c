/* textrules: each rule at both sides of its bound, which one counts when
 * several apply, and each switched off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filter/textrules.h"

#define URL "http://a.test/x.jpg"

static const struct textrules all = {.svg = true,
                                     .boilerplate = true,
                                     .filename = true,
                                     .repetition = true,
                                     .min_words = 2};

static const char *verdict(const struct textrules *r, const char *url,
                           const char *text)
{
    const char *reason;
    struct words w;

    words_init(&w);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, str_of(text)), 0);
    reason = textrules_verdict(r, str_of(url), str_of(text), &w);
    words_release(&w);
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
        struct textrules rules;
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
    static const struct textrules none = {0};

    (void)state;
    assert_null(verdict(&none, "http://a.test/x.svg", "next"));
    assert_null(verdict(&none, URL, "IMG_0042.JPG"));
    assert_null(verdict(&none, URL, "a a a a a a a a"));
    assert_null(verdict(&none, URL, "."));
    assert_string_equal(verdict(&all, "http://a.test/x.svg", "IMG_1.JPG"),
                        "svg");
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
