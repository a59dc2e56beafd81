/* language: sentences in many languages, codes, and the three answers; skipped
 * in a build without CLD2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filter/language.h"

static void need_cld2(void)
{
    if (language_available())
        return;
    print_message("skipped: built without CLD2 (libcld2-dev)\n");
    skip();
}

static enum language_verdict judge(const char *codes, struct language_rules r,
                                   const char *text)
{
    struct err e = ERR_INIT;

    if (language_set_parse(&r.wanted, str_of(codes), &e))
        fail_msg("%s", e.message);
    return language_judge(&r, str_of(text));
}

static const char *const sentences[][2] = {
    {"en", "The brown dog sleeps in front of the old house by the river."},
    {"de", "Der braune Hund schl\xc3\xa4"
           "ft vor dem alten Haus am Fluss."},
    {"fr",
     "Le chien brun dort devant la vieille maison pr\xc3\xa8s du fleuve."},
    {"es", "El perro marr\xc3\xb3n duerme delante de la casa vieja junto al "
           "r\xc3\xado."},
    {"it", "Il cane marrone dorme davanti alla vecchia casa vicino al fiume."},
    {"ru", "\xd0\x91\xd0\xbe\xd0\xbb\xd1\x8c\xd1\x88\xd0\xb0\xd1\x8f \xd0"
           "\xba\xd0\xbe\xd1\x80\xd0\xb8\xd1\x87\xd0\xbd\xd0\xb5\xd0\xb2\xd0"
           "\xb0\xd1\x8f \xd1\x81\xd0\xbe\xd0\xb1\xd0\xb0\xd0\xba\xd0\xb0"
           " \xd0\xbb\xd0\xb5\xd0\xb6\xd0\xb8\xd1\x82 \xd0\xbf\xd0\xb5"
           "\xd1\x80\xd0\xb5\xd0\xb4 \xd0\xb4\xd0\xbe\xd0\xbc\xd0\xbe\xd0"
           "\xbc \xd0\xb8 \xd1\x81\xd0\xbc\xd0\xbe\xd1\x82\xd1\x80\xd0"
           "\xb8\xd1\x82, \xd1\x87\xd1\x82\xd0\xbe \xd0\xb4\xd0\xb5"
           "\xd0\xbb\xd0\xb0\xd1\x8e\xd1\x82 \xd0\xbb\xd1\x8e\xd0\xb4\xd0"
           "\xb8"},
    {"ja", "\xe8\x8c\xb6\xe8\x89\xb2\xe3\x81\x84\xe7\x8a\xac\xe3\x81\x8c\xe5"
           "\x8f\xa4\xe3\x81\x84\xe5\xae\xb6\xe3\x81\xae\xe5\x89\x8d\xe3\x81"
           "\xa7\xe7\x9c\xa0\xe3\x81\xa3\xe3\x81\xa6\xe3\x81\x84\xe3\x82\x8b"},
    {"el", "\xce\x9f \xce\xba\xce\xb1\xcf\x86\xce\xad \xcf\x83\xce\xba\xcf\x8d"
           "\xce\xbb\xce\xbf\xcf\x82 \xce\xba\xce\xbf\xce\xb9\xce\xbc\xce\xac"
           "\xcf\x84\xce\xb1\xce\xb9"},
};

static void test_language__sentences(void **state)
{
    const struct language_rules r = {.min_bytes = LANGUAGE_TEXT_MIN};
    size_t n = sizeof sentences / sizeof *sentences;

    (void)state;
    need_cld2();
    for (size_t i = 0; i < n; i++) {
        if (judge(sentences[i][0], r, sentences[i][1]) != LANGUAGE_WANTED)
            fail_msg("%s", sentences[i][1]);
        if (judge(sentences[(i + 1) % n][0], r, sentences[i][1]) !=
            LANGUAGE_OTHER)
            fail_msg("%s is not %s", sentences[i][1],
                     sentences[(i + 1) % n][0]);
        if (judge("sw, de,en fr,es,IT,ru,ja,el", r, sentences[i][1]) !=
            LANGUAGE_WANTED)
            fail_msg("%s", sentences[i][1]);
    }
}

static void test_language__unknown(void **state)
{
    struct language_rules r = {.min_bytes = LANGUAGE_TEXT_MIN};

    (void)state;
    need_cld2();
    assert_int_equal(judge("en", r, ""), LANGUAGE_UNKNOWN);
    assert_int_equal(judge("en", r, "le chien brun dort"), LANGUAGE_UNKNOWN);
    assert_int_equal(judge("en", r, "12345 67890 12345 67890"),
                     LANGUAGE_UNKNOWN);
    assert_int_equal(judge("en", r, "le chien brun \xff dort au soleil"),
                     LANGUAGE_UNKNOWN);
    /* The bound is in bytes, and counts the text as it stands. */
    r.min_bytes = strlen(sentences[0][1]);
    assert_int_equal(judge("en", r, sentences[0][1]), LANGUAGE_WANTED);
    r.min_bytes++;
    assert_int_equal(judge("en", r, sentences[0][1]), LANGUAGE_UNKNOWN);
}

/* Half of it is German. */
static void test_language__percent(void **state)
{
    static const char two[] =
        "The brown dog sleeps in front of the old house by the river, and the "
        "cat sits next to it. Der braune Hund schl\xc3\xa4"
        "ft vor dem alten "
        "Haus am Fluss, und die Katze sitzt daneben.";
    struct language_rules r = {.min_percent = 0};

    (void)state;
    need_cld2();
    assert_int_equal(judge("en,de", r, two), LANGUAGE_WANTED);
    r.min_percent = 90;
    assert_int_equal(judge("en,de", r, two), LANGUAGE_UNKNOWN);
    assert_int_equal(judge("en", r, sentences[0][1]), LANGUAGE_WANTED);
    r.reliable = true;
    assert_int_equal(judge("en", r, sentences[0][1]), LANGUAGE_WANTED);
}

static void test_language__codes(void **state)
{
    static const char *const bad[] = {"",
                                      ",",
                                      "english language",
                                      "xx",
                                      "un",
                                      "en,xx",
                                      "a-very-long-code-that-is-none"};
    struct language_set set;
    struct err e = ERR_INIT;

    (void)state;
    need_cld2();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (language_set_parse(&set, str_of(bad[i]), NULL) != -E_USAGE)
            fail_msg("%s", bad[i]);
    assert_int_equal(language_set_parse(&set, STR("en,qq"), &e), -E_USAGE);
    assert_non_null(strstr(e.message, "\"qq\""));
    assert_int_equal(language_set_parse(&set, STR("zh,zh-Hant, PT ,"), NULL),
                     0);
}

static void test_language__absent(void **state)
{
    struct language_set set;
    struct err e = ERR_INIT;

    (void)state;
    if (language_available()) {
        print_message("skipped: built with CLD2\n");
        skip();
    }
    assert_int_equal(language_set_parse(&set, STR("en"), &e), -E_UNSUPPORTED);
    assert_non_null(strstr(e.message, "libcld2-dev"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_language__sentences),
        cmocka_unit_test(test_language__unknown),
        cmocka_unit_test(test_language__percent),
        cmocka_unit_test(test_language__codes),
        cmocka_unit_test(test_language__absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
