/* filter/textrules and textmarks over any text and URL: a line feed parts them.
 * Every rule alone gives its own reason or none; all together one of them. */
#include <stdlib.h>

#include "base/utf8.h"
#include "filter/textmarks.h"
#include "filter/textrules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *verdict(const struct textrules_config *c, struct str url,
                           struct str text, const struct words *w)
{
    struct textrules r;
    const char *reason;

    if (textrules_open(&r, c, NULL))
        abort();
    reason = textrules_verdict(&r, url, text, w);
    textrules_close(&r);
    return reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct textrules_config alone[] = {
        {.svg = true},         {.boilerplate = true}, {.filename = true},
        {.repetition = true},  {.link = true},        {.markup = true},
        {.entity = true},      {.template = true},    {.code = true},
        {.filler = true},      {.min_chars = 9},      {.max_chars = 9},
        {.min_tokens = 3},     {.min_words = 3},      {.max_words = 3},
        {.max_word_chars = 4}, {.max_char_run = 3},   {.min_letters = 50},
    };
    static const struct textrules_config all = {.svg = true,
                                                .boilerplate = true,
                                                .filename = true,
                                                .repetition = true,
                                                .link = true,
                                                .markup = true,
                                                .entity = true,
                                                .template = true,
                                                .code = true,
                                                .filler = true,
                                                .min_chars = 9,
                                                .max_chars = 9,
                                                .min_tokens = 3,
                                                .min_words = 3,
                                                .max_words = 3,
                                                .max_word_chars = 4,
                                                .max_char_run = 3,
                                                .min_letters = 50};
    struct str text = str_make((const char *)data, size), url;
    const char *first;
    struct words w;
    bool some = false;

    if (size > 1 << 14 || !utf8_valid(text))
        return 0;
    str_split(&text, '\n', &url);
    words_init(&w);
    if (words_split(&w, QUERY_POLICY_WORDS, text))
        abort();
    first = verdict(&all, url, text, &w);
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        const char *reason = verdict(&alone[i], url, text, &w);

        some = some || (reason && !strcmp(reason, first ? first : ""));
    }
    if (some != (first != NULL))
        abort();
    words_release(&w);
    return 0;
}
