#include "filter/language.h"

#include <stdio.h>

#ifdef WITMILL_CLD2
#include "filter/language_cld2.h"

bool language_available(void)
{
    return true;
}

const char *language_version(void)
{
    return language_cld2_version();
}

static int add_code(struct language_set *set, struct str code, struct err *e)
{
    char text[32];
    int number;

    snprintf(text, sizeof text, "%.*s", STR_ARG(code));
    number = code.n < sizeof text ? language_cld2_number(text) : -1;
    if (number < 0 || number >= LANGUAGES_MAX)
        return err_set(e, E_USAGE,
                       "--language: CLD2 knows no language \"%.*s\"; codes are "
                       "ISO 639's, like en or zh, or zh-Hant",
                       STR_ARG(code));
    set->bits[number / 64] |= UINT64_C(1) << (number % 64);
    return 0;
}

int language_set_parse(struct language_set *set, struct str codes,
                       struct err *e)
{
    struct str field, code;
    unsigned n = 0;
    int rc = 0;

    *set = (struct language_set){0};
    while (!rc && str_split(&codes, ',', &field))
        while (!rc && str_split(&field, ' ', &code))
            if (code.n) {
                rc = add_code(set, code, e);
                n++;
            }
    return rc || n ? rc : err_set(e, E_USAGE, "--language names no language");
}

enum language_verdict language_judge(const struct language_rules *r,
                                     struct str text)
{
    struct language_guess g;

    if (text.n < r->min_bytes)
        return LANGUAGE_UNKNOWN;
    language_cld2_guess(text.p, text.n, &g);
    if (g.number < 0 || g.number >= LANGUAGES_MAX ||
        (r->reliable && !g.reliable) || (uint64_t)g.percent < r->min_percent)
        return LANGUAGE_UNKNOWN;
    return r->wanted.bits[g.number / 64] >> (g.number % 64) & 1
               ? LANGUAGE_WANTED
               : LANGUAGE_OTHER;
}

#else

bool language_available(void)
{
    return false;
}

const char *language_version(void)
{
    return "";
}

int language_set_parse(struct language_set *set, struct str codes,
                       struct err *e)
{
    *set = (struct language_set){0};
    return err_set(e, E_UNSUPPORTED,
                   "--language %.*s: this program was built without CLD2; "
                   "install libcld2-dev and a C++ compiler and build it anew, "
                   "or say --language any",
                   STR_ARG(codes));
}

enum language_verdict language_judge(const struct language_rules *r,
                                     struct str text)
{
    (void)r;
    (void)text;
    return LANGUAGE_UNKNOWN; /* no rules come out of language_set_parse() */
}

#endif
