#include "base/html.h"

#include <assert.h>

/* ---- bytes ---- */

enum { WS = 1, NAME_END = 2, ATTR_END = 4, VALUE_END = 8 };

static const uint8_t classes[256] = {
    ['\t'] = WS | NAME_END | ATTR_END | VALUE_END,
    ['\n'] = WS | NAME_END | ATTR_END | VALUE_END,
    ['\f'] = WS | NAME_END | ATTR_END | VALUE_END,
    ['\r'] = WS | NAME_END | ATTR_END | VALUE_END,
    [' '] = WS | NAME_END | ATTR_END | VALUE_END,
    ['/'] = NAME_END | ATTR_END,
    ['>'] = NAME_END | ATTR_END | VALUE_END,
    ['='] = ATTR_END,
};

static size_t skip(const struct html *h, size_t at, unsigned stop)
{
    while (at < h->in.n && !(classes[(unsigned char)h->in.p[at]] & stop))
        at++;
    return at;
}

static size_t skip_space(const struct html *h, size_t at)
{
    while (at < h->in.n && (classes[(unsigned char)h->in.p[at]] & WS))
        at++;
    return at;
}

/* Offset of c at or after from, or the end. */
static size_t find(const struct html *h, char c, size_t from)
{
    size_t at = str_find_char(h->in, c, from);

    return at < h->in.n ? at : h->in.n;
}

static bool looking_at(const struct html *h, size_t at, struct str s)
{
    return h->in.n - at >= s.n && memcmp(h->in.p + at, s.p, s.n) == 0;
}

static bool looking_at_nocase(const struct html *h, size_t at, struct str s)
{
    return h->in.n - at >= s.n && str_ieq(str_make(h->in.p + at, s.n), s);
}

/* Whether a tag of this name begins at, behind its < or </. */
static bool tag_named(const struct html *h, size_t at, struct str name)
{
    size_t end = at + name.n;

    return name.n && end < h->in.n && looking_at_nocase(h, at, name) &&
           (classes[(unsigned char)h->in.p[end]] & NAME_END);
}

/* ---- tags ---- */

/* An attribute's value, at behind the = and white space. */
static size_t read_value(const struct html *h, size_t at, struct str *value)
{
    size_t end;
    char c;

    *value = str_make(h->in.p + at, 0);
    if (at >= h->in.n)
        return at;
    c = h->in.p[at];
    if (c == '>')
        return at;
    if (c == '"' || c == '\'') {
        end = find(h, c, at + 1);
        *value = str_slice(h->in, at + 1, end);
        return end < h->in.n ? end + 1 : end;
    }
    end = skip(h, at, VALUE_END);
    *value = str_slice(h->in, at, end);
    return end;
}

static size_t read_attr(struct html *h, size_t at)
{
    struct html_attr attr = {0};
    size_t from = at;

    /* a leading = belongs to the name */
    at = skip(h, at + 1, ATTR_END);
    attr.name = str_slice(h->in, from, at);
    at = skip_space(h, at);
    if (at < h->in.n && h->in.p[at] == '=')
        at = read_value(h, skip_space(h, at + 1), &attr.value);
    if (h->n_attrs < HTML_ATTRS_MAX)
        h->attrs[h->n_attrs++] = attr;
    else
        h->cut = true;
    return at;
}

/* A tag whose name begins at; false when the page ends inside it. */
static bool read_tag(struct html *h, size_t at, enum html_kind kind)
{
    size_t from = at;

    at = skip(h, at, NAME_END);
    h->kind = kind;
    h->name = str_slice(h->in, from, at);
    h->tag = html_tag_of(h->name);
    h->n_attrs = 0;
    h->self_closing = false;
    while (at < h->in.n) {
        char c = h->in.p[at];

        if (c == '>') {
            h->at = at + 1;
            return true;
        }
        if (classes[(unsigned char)c] & WS) {
            at++;
        } else if (c == '/') {
            at++;
            h->self_closing = at < h->in.n && h->in.p[at] == '>';
        } else {
            at = read_attr(h, at);
        }
    }
    h->at = h->in.n;
    return false;
}

/* ---- text in the content models ---- */

/* Offset of the end tag that closes RCDATA or RAWTEXT, or the end. */
static size_t raw_end(const struct html *h, size_t at)
{
    for (at = find(h, '<', at); at < h->in.n; at = find(h, '<', at + 1))
        if (at + 1 < h->in.n && h->in.p[at + 1] == '/' &&
            tag_named(h, at + 2, h->end_name))
            return at;
    return at;
}

/*
 * Script data and its two escaped states, 13.2.5.4 and 15-31:
 *
 *   plain --"<!--"--> escaped --"<script"--> double --"</script"--> escaped
 *     ^                  |                     |
 *     +------"-->"-------+---------------------+
 *
 * In plain and escaped "</script" ends it all; a "<!--" and a "<script" begin
 * a new count of dashes, before which none of a "-->" may lie.
 */
static size_t script_end(const struct html *h, size_t at)
{
    enum { PLAIN, ESCAPED, DOUBLE } state = PLAIN;
    size_t dashes = at; /* where the dashes of a "-->" may begin */

    for (; at < h->in.n; at++) {
        if (state == PLAIN) {
            at = find(h, '<', at);
            if (at == h->in.n)
                break;
        }
        if (h->in.p[at] == '>' && state != PLAIN && at >= dashes + 2 &&
            h->in.p[at - 1] == '-' && h->in.p[at - 2] == '-')
            state = PLAIN;
        if (h->in.p[at] != '<' || at + 1 == h->in.n)
            continue;
        if (state == DOUBLE) {
            if (h->in.p[at + 1] == '/' && tag_named(h, at + 2, STR("script"))) {
                state = ESCAPED;
                dashes = at + sizeof "</script";
            }
        } else if (h->in.p[at + 1] == '/' &&
                   tag_named(h, at + 2, h->end_name)) {
            return at;
        } else if (state == PLAIN && looking_at(h, at, STR("<!--"))) {
            state = ESCAPED;
            dashes = at + 2;
            at += 3;
        } else if (state == ESCAPED && tag_named(h, at + 1, STR("script"))) {
            state = DOUBLE;
            dashes = at + sizeof "<script";
        }
    }
    return at;
}

/* Text of a content model up to its end tag, or that end tag. */
static enum html_kind next_raw(struct html *h)
{
    size_t end;

    if (h->model == HTML_MODEL_PLAINTEXT)
        end = h->in.n;
    else if (h->model == HTML_MODEL_SCRIPT)
        end = script_end(h, h->at);
    else
        end = raw_end(h, h->at);
    if (end == h->at) {
        h->model = HTML_MODEL_DATA;
        return read_tag(h, h->at + 2, HTML_END) ? HTML_END : HTML_EOF;
    }
    h->text = str_slice(h->in, h->at, end);
    h->text_model = h->model;
    h->at = end;
    return HTML_TEXT;
}

/* ---- data ---- */

static enum html_kind next_cdata(struct html *h)
{
    size_t end = str_find(h->in, STR("]]>"), h->at);

    h->model = HTML_MODEL_DATA;
    h->text_model = HTML_MODEL_CDATA;
    if (end == SIZE_MAX) {
        h->text = str_slice(h->in, h->at, h->in.n);
        h->at = h->in.n;
    } else {
        h->text = str_slice(h->in, h->at, end);
        h->at = end + 3;
    }
    return HTML_TEXT;
}

/* A comment's data begins at.  It ends at --> or --!>, and at once at > and
 * ->; at the end of the page without the dashes that began an end. */
static enum html_kind read_comment(struct html *h, size_t at)
{
    size_t from = at;

    if (looking_at(h, at, STR(">")) || looking_at(h, at, STR("->"))) {
        h->text = str_slice(h->in, at, at);
        h->at = at + (h->in.p[at] == '>' ? 1 : 2);
        return HTML_COMMENT;
    }
    while ((at = str_find(h->in, STR("--"), at)) != SIZE_MAX) {
        size_t stop = at + 2;

        if (looking_at(h, stop, STR("!")))
            stop++;
        if (looking_at(h, stop, STR(">"))) {
            h->text = str_slice(h->in, from, at);
            h->at = stop + 1;
            return HTML_COMMENT;
        }
        at++;
    }
    h->text = str_slice(h->in, from, h->in.n);
    if (str_ends(h->text, STR("--!")))
        h->text.n -= 3;
    else if (str_ends(h->text, STR("--")))
        h->text.n -= 2;
    else if (str_ends(h->text, STR("-")))
        h->text.n -= 1;
    h->at = h->in.n;
    return HTML_COMMENT;
}

/* Up to the next >: bogus comments, and doctypes, in all of whose states a >
 * ends them. */
static enum html_kind read_to_gt(struct html *h, size_t at, enum html_kind kind)
{
    size_t end = find(h, '>', at);

    h->text = str_slice(h->in, at, end);
    h->at = end < h->in.n ? end + 1 : end;
    return kind;
}

static enum html_kind read_markup(struct html *h)
{
    size_t at = h->at;
    char c = h->in.p[at + 1];

    if (str_is_alpha(c))
        return read_tag(h, at + 1, HTML_START) ? HTML_START : HTML_EOF;
    if (c == '?')
        return read_to_gt(h, at + 1, HTML_COMMENT);
    if (c == '/') {
        if (str_is_alpha(h->in.p[at + 2]))
            return read_tag(h, at + 2, HTML_END) ? HTML_END : HTML_EOF;
        return read_to_gt(h, at + 2, HTML_COMMENT);
    }
    if (looking_at(h, at + 2, STR("--")))
        return read_comment(h, at + 4);
    if (looking_at_nocase(h, at + 2, STR("doctype")))
        return read_to_gt(h, at + 9, HTML_DOCTYPE);
    if (h->foreign && looking_at(h, at + 2, STR("[CDATA["))) {
        h->at = at + 9;
        return next_cdata(h);
    }
    return read_to_gt(h, at + 2, HTML_COMMENT);
}

/* Offset of the next < that begins markup, or the end.  </> is markup that
 * gives nothing, so it ends a text too. */
static size_t text_end(const struct html *h, size_t at)
{
    for (at = find(h, '<', at); at + 1 < h->in.n; at = find(h, '<', at + 1)) {
        char c = h->in.p[at + 1];

        if (str_is_alpha(c) || c == '!' || c == '?' ||
            (c == '/' && at + 2 < h->in.n))
            return at;
    }
    return h->in.n;
}

static enum html_kind next_data(struct html *h)
{
    for (;;) {
        size_t end = text_end(h, h->at);

        if (end > h->at) {
            h->text = str_slice(h->in, h->at, end);
            h->text_model = HTML_MODEL_DATA;
            h->at = end;
            return HTML_TEXT;
        }
        if (h->at == h->in.n)
            return HTML_EOF;
        if (!looking_at(h, h->at, STR("</>")))
            return read_markup(h);
        h->at += 3;
    }
}

/* ---- the door ---- */

void html_open(struct html *h, struct str page)
{
    h->in = page;
    h->at = 0;
    h->model = HTML_MODEL_DATA;
    h->end_name = STR_NONE;
    h->foreign = h->cut = false;
    h->kind = HTML_EOF;
    h->n_attrs = 0;
}

enum html_kind html_next(struct html *h)
{
    assert(h->at <= h->in.n);
    if (h->at == h->in.n)
        return h->kind = HTML_EOF;
    if (h->model == HTML_MODEL_DATA)
        return h->kind = next_data(h);
    if (h->model == HTML_MODEL_CDATA)
        return h->kind = next_cdata(h);
    return h->kind = next_raw(h);
}

void html_set_model(struct html *h, enum html_model model, struct str name)
{
    h->model = model;
    h->end_name = name;
}

bool html_attr(const struct html *h, const char *name, struct str *value)
{
    struct str want = str_of(name);

    for (size_t i = 0; i < h->n_attrs; i++) {
        if (str_ieq(h->attrs[i].name, want)) {
            *value = h->attrs[i].value;
            return true;
        }
    }
    return false;
}
