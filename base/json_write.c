/* The writer of base/json.h. */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"

void json_out_init(struct json_out *o, struct buf *to)
{
    *o = (struct json_out){.to = to};
}

static void before(struct json_out *o)
{
    if (o->comma)
        buf_add_char(o->to, ',');
    o->comma = true;
}

static void open_out(struct json_out *o, char c)
{
    before(o);
    buf_add_char(o->to, c);
    o->comma = false;
}

static void close_out(struct json_out *o, char c)
{
    buf_add_char(o->to, c);
    o->comma = true;
}

void json_out_object(struct json_out *o)
{
    open_out(o, '{');
}

void json_out_end_object(struct json_out *o)
{
    close_out(o, '}');
}

void json_out_array(struct json_out *o)
{
    open_out(o, '[');
}

void json_out_end_array(struct json_out *o)
{
    close_out(o, ']');
}

/* Between the quotes: s is UTF-8. */
static void add_escaped(struct buf *to, struct str s)
{
    static const char short_form[32] = {['\b'] = 'b',
                                        ['\t'] = 't',
                                        ['\n'] = 'n',
                                        ['\f'] = 'f',
                                        ['\r'] = 'r'};
    size_t from = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(to, str_slice(s, from, i));
        from = i + 1;
        if (c >= 0x20)
            buf_addf(to, "\\%c", c);
        else if (short_form[c])
            buf_addf(to, "\\%c", short_form[c]);
        else
            buf_addf(to, "\\u%04x", c);
    }
    buf_add(to, str_slice(s, from, s.n));
}

/* File names may be any bytes; what is written can be read again. */
static void add_repaired(struct buf *to, struct str s)
{
    size_t at = 0, from = 0;

    while (at < s.n) {
        size_t before = at;

        if (utf8_next(s, &at) != UTF8_BAD)
            continue;
        add_escaped(to, str_slice(s, from, before));
        buf_add(to, STR("\xef\xbf\xbd"));
        from = at;
    }
    add_escaped(to, str_slice(s, from, s.n));
}

static void add_quoted(struct buf *to, struct str s)
{
    buf_add_char(to, '"');
    if (utf8_valid(s))
        add_escaped(to, s);
    else
        add_repaired(to, s);
    buf_add_char(to, '"');
}

void json_out_name_str(struct json_out *o, struct str name)
{
    before(o);
    add_quoted(o->to, name);
    buf_add_char(o->to, ':');
    o->comma = false;
}

void json_out_name(struct json_out *o, const char *name)
{
    json_out_name_str(o, str_of(name));
}

void json_out_string(struct json_out *o, struct str s)
{
    before(o);
    add_quoted(o->to, s);
}

void json_out_u64(struct json_out *o, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;

    before(o);
    do
        text[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add_bytes(o->to, text + at, sizeof text - at);
}

void json_out_double(struct json_out *o, double v)
{
    char text[40];
    double back;

    if (!isfinite(v)) {
        json_out_null(o);
        return;
    }
    before(o);
    for (int digits_n = 15; digits_n <= 17; digits_n++) {
        snprintf(text, sizeof text, "%.*g", digits_n, v);
        if (!str_double(str_of(text), &back) && back == v)
            break;
    }
    buf_add(o->to, str_of(text));
}

void json_out_bool(struct json_out *o, bool v)
{
    before(o);
    buf_add(o->to, v ? STR("true") : STR("false"));
}

void json_out_null(struct json_out *o)
{
    before(o);
    buf_add(o->to, STR("null"));
}

void json_out_raw(struct json_out *o, struct str json)
{
    before(o);
    buf_add(o->to, json);
}

void json_put_string(struct json_out *o, const char *name, struct str s)
{
    json_out_name(o, name);
    json_out_string(o, s);
}

void json_put_u64(struct json_out *o, const char *name, uint64_t v)
{
    json_out_name(o, name);
    json_out_u64(o, v);
}

void json_put_double(struct json_out *o, const char *name, double v)
{
    json_out_name(o, name);
    json_out_double(o, v);
}

void json_put_bool(struct json_out *o, const char *name, bool v)
{
    json_out_name(o, name);
    json_out_bool(o, v);
}
