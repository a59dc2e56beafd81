/* What encoding a page's bytes are in: HTML standard 13.2.3.2, extraction.md
 * rule 17. */
#include "base/charset.h"

#include "base/utf8.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static size_t skip_space(struct str s, size_t at)
{
    while (at < s.n && is_space(s.p[at]))
        at++;
    return at;
}

/* "extracting a character encoding from a meta element" */
struct str charset_of_content_type(struct str s)
{
    static const struct str word = {"charset", 7};
    size_t at = 0, end;

    for (;; at++) {
        if (at + word.n > s.n)
            return STR_NONE;
        if (!str_ieq(str_slice(s, at, at + word.n), word))
            continue;
        at = skip_space(s, at + word.n);
        if (at < s.n && s.p[at] == '=')
            break;
        at--;
    }
    at = skip_space(s, at + 1);
    if (at >= s.n)
        return STR_NONE;
    if (s.p[at] == '"' || s.p[at] == '\'') {
        end = str_find_char(s, s.p[at], at + 1);
        return end == SIZE_MAX ? STR_NONE : str_slice(s, at + 1, end);
    }
    for (end = at; end < s.n && !is_space(s.p[end]) && s.p[end] != ';';)
        end++;
    return str_slice(s, at, end);
}

/* ---- the prescan ---- */

struct attr {
    struct str name, value;
};

/* "get an attribute" from s at *at; false when there is none. */
static bool get_attr(struct str s, size_t *at, struct attr *a)
{
    size_t i = *at, from;

    *a = (struct attr){STR_NONE, STR_NONE};
    while (i < s.n && (is_space(s.p[i]) || s.p[i] == '/'))
        i++;
    *at = i;
    if (i >= s.n || s.p[i] == '>')
        return false;
    from = i++;
    while (i < s.n && s.p[i] != '=' && !is_space(s.p[i]) && s.p[i] != '/' &&
           s.p[i] != '>')
        i++;
    a->name = str_slice(s, from, i);
    *at = i;
    i = skip_space(s, i);
    if (i >= s.n || s.p[i] != '=')
        return true;
    i = skip_space(s, i + 1);
    if (i < s.n && (s.p[i] == '"' || s.p[i] == '\'')) {
        size_t end = str_find_char(s, s.p[i], i + 1);

        if (end == SIZE_MAX)
            end = s.n;
        a->value = str_slice(s, i + 1, end);
        *at = end < s.n ? end + 1 : end;
        return true;
    }
    for (from = i; i < s.n && !is_space(s.p[i]) && s.p[i] != '>';)
        i++;
    a->value = str_slice(s, from, i);
    *at = i;
    return true;
}

/* What a declaration inside the page may not be, or cannot mean. */
static enum charset declared(enum charset c)
{
    if (c == CHARSET_UTF_16BE || c == CHARSET_UTF_16LE)
        return CHARSET_UTF_8;
    if (c == CHARSET_X_USER_DEFINED)
        return CHARSET_WINDOWS_1252;
    return c;
}

/* One meta, its attributes at *at. */
static enum charset read_meta(struct str s, size_t *at)
{
    bool pragma = false, need_pragma = false, decided = false;
    bool seen_equiv = false, seen_content = false, seen_charset = false;
    enum charset found = CHARSET_NONE;
    struct attr a;

    while (get_attr(s, at, &a)) {
        if (str_ieq(a.name, STR("http-equiv")) && !seen_equiv) {
            seen_equiv = true;
            pragma = str_ieq(a.value, STR("content-type"));
        } else if (str_ieq(a.name, STR("content")) && !seen_content) {
            seen_content = true;
            if (!decided) {
                found = charset_of_label(charset_of_content_type(a.value));
                decided = need_pragma = found != CHARSET_NONE;
            }
        } else if (str_ieq(a.name, STR("charset")) && !seen_charset) {
            seen_charset = decided = true;
            found = charset_of_label(a.value);
            need_pragma = false;
        }
    }
    return need_pragma && !pragma ? CHARSET_NONE : declared(found);
}

static size_t find_or_end(struct str s, struct str what, size_t from)
{
    size_t at = str_find(s, what, from);

    return at == SIZE_MAX ? s.n : at;
}

static char byte_at(struct str s, size_t at)
{
    return at < s.n ? s.p[at] : 0;
}

enum charset charset_of_meta(struct str s)
{
    size_t at;

    s = str_slice(s, 0, CHARSET_PRESCAN);
    for (at = find_or_end(s, STR("<"), 0); at < s.n;
         at = find_or_end(s, STR("<"), at)) {
        struct attr a;
        char c = byte_at(s, at + 1);

        if (str_starts(str_slice(s, at, s.n), STR("<!--"))) {
            at = find_or_end(s, STR("-->"), at + 2);
        } else if (str_ieq(str_slice(s, at, at + 5), STR("<meta")) &&
                   (is_space(byte_at(s, at + 5)) ||
                    byte_at(s, at + 5) == '/')) {
            enum charset found;

            at += 5;
            found = read_meta(s, &at);
            if (at >= s.n)
                break; /* the tag has no end in what is searched */
            if (found != CHARSET_NONE)
                return found;
        } else if (str_is_alpha(c) ||
                   (c == '/' && str_is_alpha(byte_at(s, at + 2)))) {
            while (at < s.n && !is_space(s.p[at]) && s.p[at] != '>')
                at++;
            while (get_attr(s, &at, &a))
                ;
        } else if (c == '!' || c == '/' || c == '?') {
            at = find_or_end(s, STR(">"), at + 1);
        } else {
            at++;
        }
    }
    return CHARSET_NONE;
}

/* "get an XML encoding"; and the declaration as it stands in UTF-16. */
enum charset charset_of_xml(struct str s)
{
    size_t at, end;
    char quote;

    if (str_starts(s, STR("<\0?\0x\0")))
        return CHARSET_UTF_16LE;
    if (str_starts(s, STR("\0<\0?\0x")))
        return CHARSET_UTF_16BE;
    if (!str_starts(s, STR("<?xml")))
        return CHARSET_NONE;
    s = str_slice(s, 0,
                  find_or_end(str_slice(s, 0, CHARSET_PRESCAN), STR(">"), 0));
    at = str_find(s, STR("encoding"), 0);
    if (at == SIZE_MAX)
        return CHARSET_NONE;
    for (at += 8; at < s.n && (unsigned char)s.p[at] <= ' ';)
        at++;
    if (byte_at(s, at) != '=')
        return CHARSET_NONE;
    for (at++; at < s.n && (unsigned char)s.p[at] <= ' ';)
        at++;
    quote = byte_at(s, at);
    if (quote != '"' && quote != '\'')
        return CHARSET_NONE;
    end = str_find_char(s, quote, at + 1);
    if (end == SIZE_MAX)
        return CHARSET_NONE;
    return declared(charset_of_label(str_slice(s, at + 1, end)));
}

enum charset charset_sniff(struct str s, struct str http_label, size_t *bom)
{
    enum charset c;

    *bom = 0;
    if (str_starts(s, STR("\xef\xbb\xbf"))) {
        *bom = 3;
        return CHARSET_UTF_8;
    }
    if (str_starts(s, STR("\xfe\xff")) || str_starts(s, STR("\xff\xfe"))) {
        *bom = 2;
        return s.p[0] == '\xfe' ? CHARSET_UTF_16BE : CHARSET_UTF_16LE;
    }
    if (utf8_ascii_span(s) < s.n && utf8_valid(s))
        return CHARSET_UTF_8;
    c = charset_of_label(http_label);
    if (c == CHARSET_NONE)
        c = charset_of_meta(s);
    if (c == CHARSET_NONE)
        c = charset_of_xml(s);
    return c == CHARSET_NONE ? CHARSET_WINDOWS_1252 : c;
}
