/* querylist/site: how names of namespaces compare, both sides of each ceiling,
 * and the prefixes of languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "querylist/site.h"

static struct dump_site *latgalian(void)
{
    struct dump_site *s = malloc(sizeof *s);

    assert_non_null(s);
    site_init(s);
    assert_int_equal(site_add(s, STR("Fails"), 6), 0);
    assert_int_equal(site_add(s, STR("Kategoreja"), 14), 0);
    assert_int_equal(site_add(s,
                              STR("Spr\xc4\xab\xc5\xbe"
                                  "a ap failu"),
                              7),
                     0);
    assert_int_equal(site_add(s, STR(""), 0), 0);
    return s;
}

static void test_site__names(void **state)
{
    static const struct {
        const char *name;
        int32_t number;
    } cases[] = {
        {"File", 6},
        {"file", 6},
        {" File ", 6},
        {"FILE_TALK", 7},
        {"file _ talk", 7},
        {"image", 6},
        {"Fails", 6},
        {"fAILS", 6},
        {"kategoreja", 14},
        {"Category", 14},
        {"SPR\xc4\xaa\xc5\xbd"
         "A_AP failu",
         7}, /* beyond ASCII in any case too */
        {"\xe2\x80\x8e"
         "File",
         6},                     /* left-to-right mark */
        {"File\xc2\xa0talk", 7}, /* no-break space */
        {"", SITE_NONE},
        {"  _ ", SITE_NONE},
        {"Filet", SITE_NONE},
        {"Fil", SITE_NONE},
        {"Star Trek", SITE_NONE},
        {"Fil\xff", SITE_NONE}, /* invalid UTF-8 names nothing */
    };
    struct dump_site *s = latgalian();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t got = site_find(s, str_of(cases[i].name));

        if (got != cases[i].number)
            fail_msg("\"%s\": %d, not %d", cases[i].name, got, cases[i].number);
    }
    /* The last word counts. */
    assert_int_equal(site_add(s, STR("FAILS"), 106), 0);
    assert_int_equal(site_find(s, STR("Fails")), 106);
    free(s);
}

static void test_site__ceilings(void **state)
{
    struct dump_site *s = latgalian();
    char name[SITE_NAME_MAX + 2], wide[2 * 120 + 1];
    uint32_t before;

    (void)state;
    memset(name, 'n', sizeof name);
    assert_int_equal(site_add(s, str_make(name, SITE_NAME_MAX + 1), 1),
                     -E_TOOBIG);
    assert_int_equal(site_find(s, str_make(name, SITE_NAME_MAX + 1)),
                     SITE_NONE);
    assert_int_equal(site_add(s, STR("\xff"), 1), -E_FORMAT);
    assert_int_equal(site_add(s, str_make(name, SITE_NAME_MAX), 1), 0);
    assert_int_equal(site_find(s, str_make(name, SITE_NAME_MAX)), 1);
    /* Letters that are longer in lower case. */
    for (size_t i = 0; i < 120; i++)
        memcpy(wide + 2 * i, "\xc8\xba", 2);
    assert_int_equal(site_add(s, str_make(wide, 240), 77), 0);
    assert_int_equal(site_find(s, str_make(wide, 240)), 77);
    /* As many names as there is room for, and one more. */
    before = s->n_names;
    for (uint32_t i = before; i < SITE_NAMES_MAX; i++) {
        int n = snprintf(name, sizeof name, "name %u", i);

        assert_int_equal(site_add(s, str_make(name, (size_t)n), (int32_t)i), 0);
    }
    assert_int_equal(site_add(s, STR("one more"), 1), -E_TOOBIG);
    assert_int_equal(site_find(s, STR("one more")), SITE_NONE);
    assert_int_equal(site_find(s, STR("Name_511")), 511);
    assert_int_equal(site_find(s, STR("fails")), 6);
    free(s);
    /* As many bytes. */
    s = latgalian();
    for (uint32_t i = 0; i < SITE_BYTES_MAX / SITE_NAME_MAX - 1; i++) {
        memset(name, 'm', sizeof name);
        name[snprintf(name, sizeof name, "%u", i)] = 'm';
        assert_int_equal(site_add(s, str_make(name, SITE_NAME_MAX), 9), 0);
    }
    name[0] = 'x';
    assert_int_equal(site_add(s, str_make(name, SITE_NAME_MAX), 9), -E_TOOBIG);
    free(s);
}

static void test_site__fields(void **state)
{
    char field[6];

    (void)state;
    site_set(field, sizeof field, STR("enwiki"));
    assert_string_equal(field, "enwik");
    site_set(field, sizeof field, STR("en"));
    assert_string_equal(field, "en");
    site_set(field, sizeof field, STR_NONE);
    assert_string_equal(field, "");
    site_set(field, sizeof field, STR("wiki\xc3\xa9")); /* not half a letter */
    assert_string_equal(field, "wiki");
}

static void test_site__languages(void **state)
{
    static const char *const yes[] = {"en",     "de",         "LTG",
                                      " fr ",   "zu",         "aa",
                                      "simple", "zh-min-nan", "be-x-old"};
    static const char *const no[] = {
        "",     "e",       "File",
        "wikt", "commons", "xx-xx",
        "s",    "zz",      "a very long prefix indeed"};

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(site_is_language(str_of(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(site_is_language(str_of(no[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_site__names),
        cmocka_unit_test(test_site__ceilings),
        cmocka_unit_test(test_site__fields),
        cmocka_unit_test(test_site__languages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
