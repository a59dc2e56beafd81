/* textmarks: texts with each kind of debris in them, and prose that looks like
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filter/textmarks.h"

typedef bool (*mark_fn)(struct str text, unsigned seen);

static void check(const char *what, mark_fn has, bool want,
                  const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str text = str_of(texts[i]);

        if (has(text, textmarks_scan(text)) != want)
            fail_msg("%s: \"%s\" is%s", what, texts[i], want ? " none" : "");
    }
}

#define CHECK(fn, want, ...)                                                   \
    do {                                                                       \
        static const char *const texts[] = {__VA_ARGS__};                      \
        check(#fn, fn, want, texts, sizeof texts / sizeof *texts);             \
    } while (0)

static void test_textmarks__tags(void **state)
{
    (void)state;
    CHECK(textmarks_tags, true, "a <b>dog</b>", "<br />", "dog</p>",
          "<img src=\"x.jpg\">", "<!-- a dog -->", "a dog [/caption]",
          "[caption id=\"1\" width=\"300\"] a dog", "[img]x.jpg[/img]",
          "[url=http://a.test]dog", "[B]dog", "[[File:Dog.jpg|thumb|a dog]]",
          "[[Image:Dog.jpg]]", "<a href=x>dog", "[gallery ids=1,2]");
    CHECK(textmarks_tags, false, "", "a dog", "I <3 dogs", "dogs < cats > owls",
          "<-- this way", "a <dog", "5 < 6", "[b", "a [brown] dog",
          "[caption this]", "[video", "dog [sic]", "[[dog]]", "[/]", "[ b ]",
          "[url", "[/b", "arrow -> right", "[12]", "[i");
}

static void test_textmarks__entities(void **state)
{
    (void)state;
    CHECK(textmarks_entities, true, "a&nbsp;dog", "dogs &amp; cats", "&#39;",
          "&#x2019;", "&#X2019;s", "R & B &quot;", "&amp;quot;", "&lt;b&gt;");
    CHECK(textmarks_entities, false, "", "dogs & cats", "R&B; dogs", "&#;",
          "&#x;", "&#39", "&nbsp dog", "AT&T", "&", "&&&", "&copy 2019",
          "&dogs;", "&#12a;", "&#xfg;");
}

static void test_textmarks__template(void **state)
{
    (void)state;
    CHECK(textmarks_template, true, "{{title}}", "a {{ product.title }} dog",
          "{% if dog %}", "${name}", "<%= dog %>", "#{dog}", "%(name)s",
          "%(n)d dogs", "{0}", "Photo of {user_name}", "{page.title}",
          "photo %s", "%s", "%d dogs", "%1$s of 3");
    CHECK(textmarks_template, false, "", "a dog", "{a brown dog}",
          "cupcakes {recipe}", "fly {Diptera}.", "A^{2}", "{\\frac {1}{2}}",
          "{{\\text{a}}}", "{}", "{{}}", "{{dog", "100%", "100% dog", "5%d",
          "50%sale", "#1 dog", "%dog",
          "{{0123456789012345678901234567890123456789x}}", "${", "<%", "%(dog)",
          "%1$");
}

static void test_textmarks__code(void **state)
{
    (void)state;
    CHECK(textmarks_code, true, "{\"dog\": 1}", "{ 'dog' : 1",
          "[{\"dog\":\"cat\"}]", "[\"dog\", \"cat\"]", ".dog { color: red }",
          "a{margin:0}", "width: 100px; height: 5px;",
          "border:0;margin-left:-1px;", "$(document).ready(function() {",
          "document.getElementById('dog')", "javascript:void(0)", "dog();",
          "<?php echo", "const f = (x) => { dog }", "//<![CDATA[");
    CHECK(textmarks_code, false, "", "a dog", "{a dog}", "[\"dog\"]",
          "Left: a dog; right: a cat.", "left: a brown dog",
          "Fig. 1: a dog; Fig. 2: a cat;", "color: red", "color: red;",
          "\"dog\": a cat", "[dog, cat]", "a dog (brown)", "dog: {cat",
          "width:: 100;; height:;", "Size: 10; Colour: red;", "{\"dog",
          "{\"dog\"", "f(x)", "function of a dog");
}

static void test_textmarks__link(void **state)
{
    (void)state;
    CHECK(textmarks_link, true, "http://a.test/x", "HTTPS://A.TEST",
          "www.a.com", "dog www.a.com", "by: info@a.test", "ftp://a.test/dog",
          "a@b.co 12 3", "www.a.com www.b.com");
    CHECK(textmarks_link, false, "", "a dog", "photo of a dog www.a.com",
          "a dog @ home. Brown", "dog@home", "@dog.cat", "dog@.c1",
          "a.test" /* may be any word with a dot */, "www dogs", "@", "a@b.");
}

static bool filename(struct str text, unsigned seen)
{
    (void)seen;
    return textmarks_filename(text);
}

static void test_textmarks__filename(void **state)
{
    (void)state;
    CHECK(filename, true, "IMG_0042.JPG", "dog.jpeg", "a.png brown");
    CHECK(filename, false, "", "jpg", "a brown dog", "dog.txt", ".",
          "brown old dog.png");
}

/* Names at every place of texts of every length around those that are looked
 * at 16 bytes at a time. */
static void test_textmarks__filename_places(void **state)
{
    char text[80];

    (void)state;
    for (size_t n = 6; n < 70; n++)
        for (size_t at = 0; at + 6 <= n; at++) {
            memset(text, ' ', n);
            text[n] = 0;
            assert_false(textmarks_filename(str_make(text, n)));
            memcpy(text + at, "1.PnG ", n - at < 6 ? n - at : 6);
            if (!textmarks_filename(str_make(text, n)))
                fail_msg("\"%s\"", text);
            text[at + 2] = '7'; /* no letter behind the dot */
            assert_false(textmarks_filename(str_make(text, n)));
            memcpy(text + at, "1.xnG ", 6);
            assert_false(textmarks_filename(str_make(text, n)));
        }
}

static void test_textmarks__filler(void **state)
{
    static const char *const fillers[] = {
        "alt",          "alt image",
        "alt tag",      "undefined",
        "untitled",     "n a",
        "null",         "no image",
        "none",         "image alt text",
        "lorem ipsum",  "lorem ipsum dolor sit",
        "object object"};
    static const char *const texts[] = {
        "", "a dog", "alt dog", "no", "undefined x", "zz", "a lorem ipsum"};

    (void)state;
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++)
        if (!textmarks_filler(str_of(fillers[i])))
            fail_msg("%s", fillers[i]);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (textmarks_filler(str_of(texts[i])))
            fail_msg("%s", texts[i]);
}

static void test_textmarks__scan(void **state)
{
    (void)state;
    assert_int_equal(textmarks_scan(STR("a brown dog, 12/3 \xc3\xa9")), 0);
    assert_int_equal(textmarks_scan(STR_NONE), 0);
    assert_int_equal(textmarks_scan(STR("<&{[%:(.;@")), 1023);
    assert_int_equal(textmarks_scan(STR("a.b")), TEXTMARKS_DOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_textmarks__tags),
        cmocka_unit_test(test_textmarks__entities),
        cmocka_unit_test(test_textmarks__template),
        cmocka_unit_test(test_textmarks__code),
        cmocka_unit_test(test_textmarks__link),
        cmocka_unit_test(test_textmarks__filename),
        cmocka_unit_test(test_textmarks__filename_places),
        cmocka_unit_test(test_textmarks__filler),
        cmocka_unit_test(test_textmarks__scan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
