#include "crawler/consent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
    const char *value;
    enum consent_signal want;
    bool nofollow;
} headers[] = {
    {"", CONSENT_ALLOWED, false},
    {"all", CONSENT_ALLOWED, false},
    {"index, follow", CONSENT_ALLOWED, false},
    {"noai", CONSENT_NOAI, false},
    {"NoAI", CONSENT_NOAI, false},
    {" noimageai ", CONSENT_NOIMAGEAI, false},
    {"noindex", CONSENT_NOINDEX, false},
    {"noimageindex", CONSENT_NOIMAGEINDEX, false},
    {"none", CONSENT_NONE, true},
    {"noml", CONSENT_NOML, false},
    {"nofollow", CONSENT_ALLOWED, true},
    {"noarchive, nosnippet", CONSENT_ALLOWED, false},
    {"noarchive, noindex, nofollow", CONSENT_NOINDEX, true},
    /* the order in which they are named does not decide */
    {"noindex, noai", CONSENT_NOAI, false},
    {"noai, noindex", CONSENT_NOAI, false},
    /* agents */
    {"witmill: noai", CONSENT_NOAI, false},
    {"WITMILL:noai", CONSENT_NOAI, false},
    {"witmill/2.0: noai", CONSENT_NOAI, false},
    {"*: noindex", CONSENT_NOINDEX, false},
    {"googlebot: noindex", CONSENT_ALLOWED, false},
    {"googlebot: noindex, nofollow", CONSENT_ALLOWED, false},
    {"witmillbot: noindex", CONSENT_ALLOWED, false},
    {"otherbot: noindex, witmill: noai", CONSENT_NOAI, false},
    {"BadBot: noindex, nofollow, googlebot: nofollow", CONSENT_ALLOWED, false},
    {"noindex, googlebot: nofollow", CONSENT_NOINDEX, false},
    {"googlebot: nofollow, *: noml", CONSENT_NOML, false},
    /* colons that name no agent */
    {"unavailable_after: 25 Jun 2010 15:00:00 PST", CONSENT_ALLOWED, false},
    {"unavailable_after: 25 Jun 2010 15:00:00 PST, noindex", CONSENT_NOINDEX,
     false},
    {"unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai", CONSENT_NOAI,
     false},
    {"unavailable_after: Friday, 25-Jun-10 15:00:00 UTC, noai", CONSENT_NOAI,
     false},
    {"unavailable_after: 2010-06-25T15:00:00+00:00, noimageai",
     CONSENT_NOIMAGEAI, false},
    {"googlebot: unavailable_after: 25 Jun 2010 15:00:00 PST, noindex",
     CONSENT_ALLOWED, false},
    {"witmill: unavailable_after: 25 Jun 2010 15:00:00 PST, noindex",
     CONSENT_NOINDEX, false},
    {"max-snippet:-1, max-image-preview:large, noai", CONSENT_NOAI, false},
    {"max-image-preview:none", CONSENT_ALLOWED, false},
    {"max-video-preview: 0, max-image-preview: none", CONSENT_ALLOWED, false},
    {"noindex: true", CONSENT_NOINDEX, false},
    /* sloppy lists */
    {"noindex nofollow", CONSENT_NOINDEX, true},
    {"noindex;noai", CONSENT_NOAI, false},
    {"\"noindex\"", CONSENT_NOINDEX, false},
    {",,,noindex,,", CONSENT_NOINDEX, false},
    {"::: noindex", CONSENT_NOINDEX, false},
    {"noindexx, xnoai, no ai", CONSENT_ALLOWED, false},
};

static void test_consent__header(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct consent c;

        consent_init(&c);
        consent_header(&c, str_of(headers[i].value), STR("witmill"));
        if (consent_verdict(&c) != headers[i].want ||
            c.nofollow != headers[i].nofollow)
            fail_msg("\"%s\": %s%s", headers[i].value,
                     consent_name(consent_verdict(&c)),
                     c.nofollow ? ", nofollow" : "");
    }
}

static void test_consent__meta(void **state)
{
    static const struct {
        const char *name, *content;
        enum consent_signal want;
        bool nofollow;
    } rows[] = {
        {"robots", "noindex,nofollow", CONSENT_NOINDEX, true},
        {"ROBOTS", "NOIMAGEINDEX", CONSENT_NOIMAGEINDEX, false},
        {" robots ", "noai, noimageai", CONSENT_NOAI, false},
        {"witmill", "noml", CONSENT_NOML, false},
        {"Witmill", "none", CONSENT_NONE, true},
        {"googlebot", "noindex", CONSENT_ALLOWED, false},
        {"description", "noindex", CONSENT_ALLOWED, false},
        {"robots", "max-image-preview:none", CONSENT_ALLOWED, false},
        {"robots", "googlebot: noindex", CONSENT_NOINDEX, false},
        {"robots", "", CONSENT_ALLOWED, false},
        {"", "noindex", CONSENT_ALLOWED, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct consent c;

        consent_init(&c);
        consent_meta(&c, str_of(rows[i].name), str_of(rows[i].content),
                     STR("witmill"));
        if (consent_verdict(&c) != rows[i].want ||
            c.nofollow != rows[i].nofollow)
            fail_msg("%s: \"%s\": %s", rows[i].name, rows[i].content,
                     consent_name(consent_verdict(&c)));
    }
}

static void test_consent__strictest_wins(void **state)
{
    struct consent c;

    (void)state;
    consent_init(&c);
    consent_header(&c, STR("all"), STR("witmill"));
    assert_int_equal(consent_verdict(&c), CONSENT_ALLOWED);
    consent_meta(&c, STR("robots"), STR("noindex"), STR("witmill"));
    consent_header(&c, STR("index, all"), STR("witmill"));
    consent_meta(&c, STR("robots"), STR("index"), STR("witmill"));
    assert_int_equal(consent_verdict(&c), CONSENT_NOINDEX);
    consent_add(&c, CONSENT_AI_TRAIN);
    assert_string_equal(consent_name(consent_verdict(&c)), "noindex");
    assert_int_equal(c.other, 0);
}

static void test_consent__content_signal(void **state)
{
    static const struct {
        const char *signals;
        int want;
    } rows[] = {
        {"", 0},
        {"search=yes", 0},
        {"search=yes, ai-train=no", -1},
        {"search=yes,ai-train=no,ai-input=no", -1},
        {"AI-Train = NO", -1},
        {"ai-train=yes", 1},
        {"ai-train=yes, ai-train=no", -1},
        {"ai-train=no, ai-train=yes", -1},
        {"ai-train", 0},
        {"ai-train=", 0},
        {"ai-train=maybe", 0},
        {"ai-training=no", 0},
        {"=no", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (consent_ai_train(str_of(rows[i].signals)) != rows[i].want)
            fail_msg("%s", rows[i].signals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_consent__header),
        cmocka_unit_test(test_consent__meta),
        cmocka_unit_test(test_consent__strictest_wins),
        cmocka_unit_test(test_consent__content_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
