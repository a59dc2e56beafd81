/* Braces that are no template's: variants of a language, and what was never
 * closed. */
#include "querylist/wikitext_parts.h"

#define NAME_AHEAD 64 /* bytes of a template's name, where none closes it */

/* Text of the form CODE:..., CODE being zh, zh-hans and the like: the length
 * of what stands before the text, or 0. */
static size_t variant_code(struct str s)
{
    size_t colon = str_find_char(s, ':', 0), dash;

    if (colon == SIZE_MAX)
        return 0;
    dash = str_find_char(str_slice(s, 0, colon), '-', 0);
    return site_is_language(str_slice(s, 0, dash)) ? colon + 1 : 0;
}

/* -{flags|zh-hans:text; zh-hant:text}-: the first text, or all where there is
 * no choice.  `at` is behind the brace, the hyphen was written. */
static void read_variant(struct reader *k, size_t at)
{
    struct str text = str_slice(k->text, 0, k->end), inside;
    size_t close, bar, code;

    close = at < k->no_variant ? SIZE_MAX : str_find(text, STR("}-"), at);
    k->at = at;
    if (close == SIZE_MAX) {
        if (at >= k->no_variant)
            k->w->steps += k->end - at;
        k->no_variant = k->end;
        return;
    }
    k->w->steps += close - at;
    k->to--;
    k->at = close + 2;
    inside = str_slice(text, at, close);
    bar = str_find_char(inside, '|', 0);
    if (bar != SIZE_MAX) {
        for (size_t i = 0; i < bar; i++)
            if (strchr("HTD-", inside.p[i]))
                return; /* rules and titles, which do not show here */
        inside = str_slice(inside, bar + 1, inside.n);
    }
    code = variant_code(str_trim(inside));
    if (code) {
        inside = str_trim(inside);
        inside = str_slice(inside, code, str_find_char(inside, ';', code));
    }
    put_literal(k, inside);
}

/* Braces that nothing closes, with what must be a template's name. */
void read_brace(struct reader *k)
{
    char brace = k->text.p[k->at];
    size_t at = k->at, i;

    while (peek(k, at) == brace)
        at++;
    if (at - k->at == 1) {
        if (brace == '{' && k->to > k->base && k->to[-1] == '-') {
            read_variant(k, at);
        } else {
            *k->to++ = k->text.p[k->at++];
        }
        return;
    }
    k->at = at;
    for (i = at; brace == '{' && i < k->end && i - at < NAME_AHEAD; i++) {
        char c = k->text.p[i];

        if (c == '|' || c == '\n' || c == '}') {
            k->at = i;
            break;
        }
        if (c == '[' || c == '{' || c == '<')
            break;
    }
    k->w->steps += i - at;
}
