#include "filter/textmarks.h"

#include "base/entities.h"

#define INSIDE_MAX 40 /* bytes inside one placeholder, or of a CSS value */

unsigned textmarks_scan(struct str text)
{
    static const unsigned short kind[256] = {
        ['<'] = TEXTMARKS_LESS,    ['&'] = TEXTMARKS_AMP,
        ['{'] = TEXTMARKS_BRACE,   ['['] = TEXTMARKS_BRACKET,
        ['%'] = TEXTMARKS_PERCENT, [':'] = TEXTMARKS_COLON,
        ['('] = TEXTMARKS_PAREN,   ['.'] = TEXTMARKS_DOT,
        [';'] = TEXTMARKS_SEMI,    ['@'] = TEXTMARKS_AT};
    unsigned seen = 0;

    for (size_t i = 0; i < text.n; i++)
        seen |= kind[(unsigned char)text.p[i]];
    return seen;
}

static char at(struct str s, size_t i)
{
    return i < s.n ? s.p[i] : 0;
}

static bool has(struct str s, size_t from, struct str needle)
{
    return str_starts(str_slice(s, from, s.n), needle);
}

static bool contains(struct str s, struct str needle)
{
    return str_find(s, needle, 0) != SIZE_MAX;
}

/* A letter, digit, or one of what names have inside: _ - . */
static bool is_name(char c)
{
    return str_is_alpha(c) || str_is_digit(c) || c == '_' || c == '-' ||
           c == '.';
}

static size_t name_end(struct str s, size_t from)
{
    while (from < s.n && is_name(s.p[from]))
        from++;
    return from;
}

/* ---- tags ---- */

/* <p, </p, <!-- at i, and a > behind: a lone < is "less than", or a heart. */
static bool html_tag(struct str s, size_t i)
{
    size_t name = i + 1 + (at(s, i + 1) == '/');

    return (str_is_alpha(at(s, name)) || has(s, i, STR("<!--"))) &&
           str_find_char(s, '>', name) != SIZE_MAX;
}

/* [/b], or an opening one of the usual names: other words in brackets are an
 * editor's remark. */
static bool bracket_tag(struct str s, size_t i)
{
    static const char *const names[] = {
        "b",       "i",       "u",       "img",        "url",
        "color",   "size",    "font",    "quote",      "code",
        "center",  "list",    "embed",   "video",      "audio",
        "youtube", "caption", "gallery", "attachment", "spoiler"};
    bool closing = at(s, i + 1) == '/';
    size_t from = i + 1 + closing, end = name_end(s, from);
    struct str name = str_slice(s, from, end);
    char next = at(s, end);

    if (has(s, i, STR("[[")))
        return has(s, i, STR("[[File:")) || has(s, i, STR("[[Image:"));
    if (!name.n || (closing && next == ']'))
        return name.n && closing;
    if (next != ']' && next != '=' && next != ' ')
        return false;
    if (next == ' ' && str_find_char(s, '=', end) == SIZE_MAX)
        return false; /* an attribute, or words */
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (str_ieq(name, str_of(names[k])))
            return true;
    return false;
}

bool textmarks_tags(struct str text, unsigned seen)
{
    if (!(seen & (TEXTMARKS_LESS | TEXTMARKS_BRACKET)))
        return false;
    for (size_t i = 0; i < text.n; i++)
        if ((text.p[i] == '<' && html_tag(text, i)) ||
            (text.p[i] == '[' && bracket_tag(text, i)))
            return true;
    return false;
}

/* ---- entities ---- */

static bool numeric_entity(struct str s, size_t i)
{
    bool hex = str_lower_char(at(s, i)) == 'x';
    size_t from = i + hex, k = from;

    while (hex ? str_hex_digit(at(s, k)) >= 0 : str_is_digit(at(s, k)))
        k++;
    return k > from && at(s, k) == ';';
}

bool textmarks_entities(struct str text, unsigned seen)
{
    size_t i = 0;

    if (!(seen & TEXTMARKS_AMP) || !(seen & TEXTMARKS_SEMI))
        return false;
    while ((i = str_find_char(text, '&', i)) != SIZE_MAX) {
        struct entity found;

        i++;
        if (at(text, i) == '#'
                ? numeric_entity(text, i + 1)
                : entity_find(str_slice(text, i, text.n), &found) &&
                      found.semicolon)
            return true;
    }
    return false;
}

/* ---- templates ---- */

/* open at i, and close not far behind something. */
static bool enclosed(struct str s, size_t i, struct str open, struct str close)
{
    size_t from = i + open.n, end;

    if (!has(s, i, open))
        return false;
    end = str_find(str_slice(s, 0, from + INSIDE_MAX + close.n), close, from);
    return end != SIZE_MAX && end > from;
}

/* {0}, {user_name}, {page.title}: one name that no writer of prose would put
 * in braces, as {recipe} is. */
static bool braced_name(struct str s, size_t i)
{
    size_t end = name_end(s, i + 1);
    struct str name = str_slice(s, i + 1, end);

    return name.n && name.n <= INSIDE_MAX && at(s, end) == '}' &&
           (str_is_digit(name.p[0]) || memchr(name.p, '_', name.n) ||
            memchr(name.p, '.', name.n)) &&
           (i == 0 || s.p[i - 1] == ' ' || s.p[i - 1] == '"');
}

/* %s or %d between spaces, %(name)s, %1$s. */
static bool percent_place(struct str s, size_t i)
{
    size_t k = i + 1;
    char c = at(s, k), behind = at(s, k + 1);

    if (c == '(')
        return enclosed(s, i, STR("%("), STR(")s")) ||
               enclosed(s, i, STR("%("), STR(")d"));
    if (str_is_digit(c) && behind == '$')
        return at(s, k + 2) == 's' || at(s, k + 2) == 'd';
    return (c == 's' || c == 'd') && (!behind || behind == ' ') &&
           (i == 0 || s.p[i - 1] == ' ');
}

static bool placeholder(struct str s, size_t i)
{
    switch (s.p[i]) {
    case '{':
        return enclosed(s, i, STR("{{"), STR("}}")) ||
               enclosed(s, i, STR("{%"), STR("%}")) || braced_name(s, i);
    case '$':
        return enclosed(s, i, STR("${"), STR("}"));
    case '#':
        return enclosed(s, i, STR("#{"), STR("}"));
    case '<':
        return enclosed(s, i, STR("<%"), STR("%>"));
    case '%':
        return percent_place(s, i);
    default:
        return false;
    }
}

bool textmarks_template(struct str text, unsigned seen)
{
    if (!(seen & (TEXTMARKS_BRACE | TEXTMARKS_PERCENT)) ||
        str_find_char(text, '\\', 0) != SIZE_MAX)
        return false; /* or a formula, full of braces */
    for (size_t i = 0; i < text.n; i++)
        if (placeholder(text, i))
            return true;
    return false;
}

/* ---- code ---- */

static bool json(struct str s)
{
    char first = at(s, 0);
    size_t i = 1;

    if (first != '{' && first != '[')
        return false;
    while (at(s, i) == ' ' || (first == '[' && at(s, i) == '{'))
        i++;
    if (at(s, i) != '"' && at(s, i) != '\'')
        return false;
    i = str_find_char(s, s.p[i], i + 1); /* the string's end */
    if (i == SIZE_MAX)
        return false;
    do
        i++;
    while (at(s, i) == ' ');
    return at(s, i) == ':' || (first == '[' && at(s, i) == ',');
}

static bool css_property(struct str name)
{
    static const char *const first[] = {
        "align", "background", "border",  "bottom",    "box",      "clear",
        "color", "cursor",     "display", "filter",    "flex",     "float",
        "font",  "height",     "left",    "letter",    "line",     "margin",
        "max",   "min",        "opacity", "overflow",  "padding",  "position",
        "right", "text",       "top",     "transform", "vertical", "visibility",
        "white", "width",      "z"};
    struct str head = str_slice(name, 0, str_find_char(name, '-', 0));

    for (size_t k = 0; k < sizeof first / sizeof *first; k++)
        if (str_eq(head, str_of(first[k])))
            return true;
    return false;
}

/* `property: value;`, the value short and without a colon: how many, up to
 * two. */
static unsigned declarations(struct str s)
{
    unsigned n = 0;
    size_t i = 0;

    while (n < 2 && (i = str_find_char(s, ':', i)) != SIZE_MAX) {
        size_t name = i, end;
        struct str value;

        while (name > 0 && is_name(s.p[name - 1]))
            name--;
        end = str_find_char(s, ';', i);
        value = str_slice(s, i + 1, end);
        n += end != SIZE_MAX && value.n <= INSIDE_MAX &&
             str_find_char(value, ':', 0) == SIZE_MAX &&
             css_property(str_slice(s, name, i));
        i++;
    }
    return n;
}

/* { name: value } behind a selector. */
static bool css_rule(struct str s)
{
    size_t open = str_find_char(s, '{', 0), colon, close;

    if (open == SIZE_MAX)
        return false;
    colon = str_find_char(s, ':', open);
    close = str_find_char(s, '}', open);
    return colon < close && close != SIZE_MAX;
}

/* Is the ( at i a call of something that only scripts call? */
static bool script_call(struct str s, size_t i)
{
    static const char *const names[] = {
        "function",       "function ",     "$",
        "jQuery",         "console.log",   "addEventListener",
        "getElementById", "document.write"};
    struct str before = str_slice(s, 0, i);

    if (has(s, i, STR("();")))
        return true;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (str_ends(before, str_of(names[k])))
            return true;
    return false;
}

static bool script(struct str s, unsigned seen)
{
    size_t i = SIZE_MAX;

    while (seen & TEXTMARKS_PAREN &&
           (i = str_find_char(s, '(', i + 1)) != SIZE_MAX)
        if (script_call(s, i))
            return true;
    if (seen & TEXTMARKS_COLON && contains(s, STR("javascript:")))
        return true;
    if (seen & TEXTMARKS_BRACE &&
        (contains(s, STR("=> {")) || contains(s, STR("=>{"))))
        return true;
    return seen & TEXTMARKS_LESS &&
           (contains(s, STR("<?php")) || contains(s, STR("<![CDATA[")));
}

bool textmarks_code(struct str text, unsigned seen)
{
    if ((seen & (TEXTMARKS_BRACE | TEXTMARKS_BRACKET)) && json(text))
        return true;
    if ((seen & TEXTMARKS_BRACE) && css_rule(text))
        return true;
    if ((seen & TEXTMARKS_COLON) && (seen & TEXTMARKS_SEMI) &&
        declarations(text) == 2)
        return true;
    return script(text, seen);
}

/* ---- stock phrases ---- */

/* In bytewise order (binary search). */
static const char *const fillers[] = {
    "alt",
    "alt image",
    "alt tag",
    "alt text",
    "alt text here",
    "alternative text",
    "alttext",
    "blank",
    "default",
    "default alt text",
    "default image",
    "description of image",
    "enter alt text",
    "enter image description here",
    "false",
    "featured image",
    "image alt",
    "image alt tag",
    "image alt text",
    "image coming soon",
    "image description",
    "image not available",
    "image not found",
    "image placeholder",
    "img alt",
    "insert alt text here",
    "n a",
    "nan",
    "no alt text",
    "no alt text provided for this image",
    "no description",
    "no image",
    "no image available",
    "no photo",
    "no photo available",
    "no picture",
    "no title",
    "none",
    "null",
    "object object",
    "photo coming soon",
    "placeholder",
    "placeholder image",
    "post image",
    "test",
    "title",
    "true",
    "undefined",
    "untitled",
};

bool textmarks_filler(struct str words)
{
    size_t lo = 0, hi = sizeof fillers / sizeof *fillers;

    if (str_starts(words, STR("lorem ipsum")))
        return true;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = str_cmp(str_of(fillers[mid]), words);

        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}
