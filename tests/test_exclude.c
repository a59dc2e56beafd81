/* exclude: what counts as the same text and the same URL, what is not looked
 * for, which sample is named, and a table that grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/exclude.h"

#define TEXT "A brown dog runs over Paul's green lawn"

static void add(struct exclude *x, const char *name, const char *url,
                const char *text)
{
    struct str t = str_of(text);
    struct err e = ERR_INIT;

    if (exclude_add(x, str_of(name), str_of(url), &t, text ? 1 : 0, &e))
        fail_msg("%s", e.message);
}

static enum exclude_why find(const struct exclude *x, const char *url,
                             const char *text, const char **name)
{
    struct exclude_scratch s;
    enum exclude_why why;
    struct err e = ERR_INIT;

    exclude_scratch_init(&s);
    if (exclude_find(x, &s, str_of(url), str_of(text), &why, name, &e))
        fail_msg("%s", e.message);
    exclude_scratch_release(&s);
    return why;
}

static void test_exclude__same_text(void **state)
{
    static const struct {
        const char *text;
        bool same;
    } cases[] = {
        {TEXT, true},
        {"a BROWN dog, runs over paul\xe2\x80\x99s green lawn.", true},
        {"  A brown-dog runs \xc2\xa0over \"Paul's\" green lawn!!", true},
        {"\xef\xbc\xa1 brown dog runs over Paul's green lawn", true},
        {"A brown dog runs over Paul's green lawns", false},
        {"A brown dog runs over Paul s green lawn", false},
        {"brown dog runs over Paul's green lawn", false},
        {"A brown dog runs over Paul's green lawn today", false},
        {"A dog brown runs over Paul's green lawn", false},
        {"Abrown dog runs over Paul's green lawn", false},
        {"", false},
    };
    struct exclude x;
    const char *name;

    (void)state;
    exclude_open(&x, 5, UINT64_MAX);
    assert_int_equal(find(&x, "http://a.test/", TEXT, &name), EXCLUDE_NOT);
    add(&x, "coco/1", "", TEXT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if ((find(&x, "http://a.test/", cases[i].text, &name) ==
             EXCLUDE_TEXT) != cases[i].same)
            fail_msg("\"%s\"", cases[i].text);
    assert_int_equal(find(&x, "http://a.test/", TEXT, &name), EXCLUDE_TEXT);
    assert_string_equal(name, "coco/1");
    exclude_close(&x);
}

/* By the words they have: at the bound, and below it. */
static void test_exclude__short_texts(void **state)
{
    struct exclude x;
    const char *name;

    (void)state;
    exclude_open(&x, 5, UINT64_MAX);
    add(&x, "s", "", "a dog on a");
    add(&x, "s", "", "a dog on a lawn");
    add(&x, "s", "",
        "\xe7\x8a\xac\xe5\x9c\xa8\xe8\x8d\x89\xe5\x9c\xb0"
        "\xe4\xb8\x8a"); /* five characters, five words */
    add(&x, "s", "", "!?");
    add(&x, "s", "", "bad \xff bytes in a text of it");
    assert_int_equal(tally_get(&x.counts, "texts"), 2);
    assert_int_equal(tally_get(&x.counts, "text-short"), 2);
    assert_int_equal(tally_get(&x.counts, "text-charset"), 1);
    assert_int_equal(find(&x, "u", "A dog on a", &name), EXCLUDE_NOT);
    assert_int_equal(find(&x, "u", "A dog on a lawn", &name), EXCLUDE_TEXT);
    assert_int_equal(find(&x, "u", "bad \xff bytes in a text of it", &name),
                     EXCLUDE_NOT);
    exclude_close(&x);
    exclude_open(&x, 0,
                 UINT64_MAX); /* no bound, but some words there have to be */
    add(&x, "s", "", "dog");
    add(&x, "s", "", "!");
    assert_int_equal(find(&x, "u", "Dog.", &name), EXCLUDE_TEXT);
    assert_int_equal(find(&x, "u", "?", &name), EXCLUDE_NOT);
    exclude_close(&x);
}

static void test_exclude__urls(void **state)
{
    struct exclude x;
    const char *name;

    (void)state;
    exclude_open(&x, 5, UINT64_MAX);
    add(&x, "first", "HTTP://A.test:80/x y.jpg#part", NULL);
    add(&x, "second", "http://a.test/x%20y.jpg", TEXT);
    add(&x, "third", "ftp://a.test/z.jpg", NULL);
    add(&x, "third", "cat.jpg", NULL);
    assert_int_equal(tally_get(&x.counts, "urls"), 1);
    assert_int_equal(tally_get(&x.counts, "url-unusable"), 2);
    assert_int_equal(find(&x, "http://a.test/x%20y.jpg", "", &name),
                     EXCLUDE_URL);
    assert_string_equal(name, "first");
    /* Both: the URL is asked first. */
    assert_int_equal(find(&x, "http://a.test/x%20y.jpg", TEXT, &name),
                     EXCLUDE_URL);
    assert_int_equal(find(&x, "http://a.test/other.jpg", TEXT, &name),
                     EXCLUDE_TEXT);
    assert_string_equal(name, "second");
    assert_int_equal(find(&x, "https://a.test/x%20y.jpg", "", &name),
                     EXCLUDE_NOT);
    /* A text that reads like a URL is none. */
    add(&x, "fourth", "", "http://a.test/b/c/d.jpg");
    assert_int_equal(find(&x, "http://a.test/b/c/d.jpg", "", &name),
                     EXCLUDE_NOT);
    exclude_close(&x);
}

static void test_exclude__many(void **state)
{
    enum { N = 20000 };
    char text[80], want[16];
    struct exclude x;
    const char *name;

    (void)state;
    exclude_open(&x, 5, UINT64_MAX);
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof text, "this is the text of number %d", i);
        snprintf(want, sizeof want, "n%d", i);
        add(&x, want, "", text);
    }
    for (int i = 0; i < 2 * N; i++) {
        snprintf(text, sizeof text, "THIS is the text of number: %d", i);
        snprintf(want, sizeof want, "n%d", i);
        assert_int_equal(find(&x, "u", text, &name),
                         i < N ? EXCLUDE_TEXT : EXCLUDE_NOT);
        if (i < N)
            assert_string_equal(name, want);
    }
    assert_string_equal(exclude_reason(EXCLUDE_URL), "against-url");
    assert_string_equal(exclude_reason(EXCLUDE_TEXT), "against-text");
    exclude_close(&x);
}

/* The ceiling stops at what it says, is told with the sizes, and what was kept
 * before is found; texts that are there already take no room. */
static void test_exclude__ceiling(void **state)
{
    static const uint64_t ceilings[] = {0, 1 << 16, 1 << 20, 3 << 20};
    size_t before = 0;

    (void)state;
    for (size_t k = 0; k < sizeof ceilings / sizeof *ceilings; k++) {
        struct err e = ERR_INIT;
        struct exclude x;
        const char *name;
        char text[80], sample[64];
        size_t n = 0;
        int rc;

        exclude_open(&x, 5, ceilings[k]);
        do {
            struct str t;

            snprintf(text, sizeof text, "this is the text of number %zu", n);
            snprintf(sample, sizeof sample, "evals/some-set/%zu.tar/%zu", n, n);
            t = str_of(text);
            rc = exclude_add(&x, str_of(sample), STR_NONE, &t, 1, &e);
            n++;
            assert_true(x.cap * sizeof *x.slots + x.names.cap <= ceilings[k]);
        } while (!rc);
        assert_int_equal(rc, -E_TOOBIG);
        assert_non_null(strstr(e.message, "--against-memory"));
        assert_int_equal(x.n, n - 1);
        assert_true(n - 1 >= ceilings[k] / 300 && (!k || n > before));
        before = n;
        for (size_t i = 0; i + 1 < n; i++) {
            struct str t;

            snprintf(text, sizeof text, "This is the text of number %zu", i);
            snprintf(sample, sizeof sample, "evals/some-set/%zu.tar/%zu", i, i);
            assert_int_equal(find(&x, "u", text, &name), EXCLUDE_TEXT);
            assert_string_equal(name, sample);
            t = str_of(text);
            assert_int_equal(exclude_add(&x, STR("again"), STR_NONE, &t, 1, &e),
                             0);
        }
        exclude_close(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclude__same_text),
        cmocka_unit_test(test_exclude__short_texts),
        cmocka_unit_test(test_exclude__urls),
        cmocka_unit_test(test_exclude__many),
        cmocka_unit_test(test_exclude__ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
