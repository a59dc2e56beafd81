#include "base/markup_page.h"
#include "base/utf8.h"

#define BAD_POINT 0xfffd

void markup_collapse_clear(struct markup_collapse *c)
{
    buf_clear(&c->out);
    c->space = false;
    c->bad_end = 0;
}

void markup_collapse_space(struct markup_collapse *c)
{
    if (!c->space)
        buf_add_char(&c->out, ' ');
    c->space = true;
}

/* Plain bytes: ASCII from space up, of which at most one space in a row. */
static size_t plain_span(struct str s, size_t at, bool *space)
{
    for (; at < s.n; at++) {
        unsigned char c = (unsigned char)s.p[at];

        if (c < ' ' || c >= 0x80 || (c == ' ' && *space))
            break;
        *space = c == ' ';
    }
    return at;
}

void markup_collapse_add(struct markup_collapse *c, struct str s)
{
    size_t at = 0;

    while (at < s.n) {
        size_t from = at;
        uint32_t cp;

        at = plain_span(s, at, &c->space);
        if (at > from) {
            buf_add(&c->out, str_slice(s, from, at));
            continue;
        }
        cp = utf8_next(s, &at);
        if (utf8_is_white_space(cp)) {
            markup_collapse_space(c);
            continue;
        }
        c->space = false;
        if (cp < ' ')
            continue; /* dropped after the collapse: it parts two spaces */
        buf_add(&c->out, str_slice(s, from, at));
        if (cp == BAD_POINT)
            c->bad_end = c->out.n;
    }
}

struct markup_value markup_collapsed(struct markup_page_state *s,
                                     const struct markup_collapse *c,
                                     size_t start)
{
    struct markup_value v = {0};
    struct str t = str_slice(buf_str(&c->out), start, c->out.n);

    while (t.n && t.p[0] == ' ')
        t = str_slice(t, 1, t.n);
    while (t.n && t.p[t.n - 1] == ' ')
        t.n--;
    v.present = t.n || c->out.rc;
    if (!v.present)
        return v;
    if (c->bad_end > start)
        v.drop = URL_CHARSET;
    else if (t.n > MARKUP_TEXT_MAX || c->out.rc)
        v.drop = MARKUP_TEXT_LENGTH;
    else
        v.s = markup_keep(s, t);
    if (!v.drop && !v.s.p)
        v.drop = MARKUP_PARSE_LIMIT;
    return v;
}

struct markup_value markup_attr_text(struct markup_page_state *s,
                                     struct str raw)
{
    if (raw.n > MARKUP_RAW_MAX)
        return (struct markup_value){.present = true,
                                     .drop = MARKUP_TEXT_LENGTH};
    markup_collapse_clear(&s->attr);
    markup_collapse_add(&s->attr, markup_attr(s, raw));
    return markup_collapsed(s, &s->attr, 0);
}
