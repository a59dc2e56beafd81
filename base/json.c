#include "base/json.h"

#include "base/utf8.h"

void json_open(struct json *j, struct str in, struct arena *arena)
{
    *j = (struct json){.in = in, .arena = arena};
}

static void fail(struct json *j, int code)
{
    if (!j->rc)
        j->rc = -code;
}

static void skip_space(struct json *j)
{
    while (j->at < j->in.n) {
        char c = j->in.p[j->at];

        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            break;
        j->at++;
    }
}

static char next_char(struct json *j)
{
    if (j->rc)
        return 0;
    skip_space(j);
    return j->at < j->in.n ? j->in.p[j->at] : 0;
}

int json_close(struct json *j, struct err *e)
{
    if (!j->rc) {
        skip_space(j);
        if (j->at < j->in.n || j->depth)
            fail(j, E_FORMAT);
    }
    if (j->rc)
        err_set(e, -j->rc, "JSON: %s at byte %zu", err_name(j->rc), j->at);
    return j->rc;
}

enum json_type json_peek(struct json *j)
{
    char c = next_char(j);

    switch (c) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    }
    return c == '-' || str_is_digit(c) ? JSON_NUMBER : JSON_NONE;
}

static void open_nest(struct json *j, char c)
{
    if (next_char(j) != c) {
        fail(j, E_FORMAT);
        return;
    }
    if (j->depth == JSON_DEPTH_MAX) {
        fail(j, E_TOOBIG);
        return;
    }
    j->at++;
    j->depth++;
    j->fresh = true;
}

void json_object(struct json *j)
{
    open_nest(j, '{');
}

void json_array(struct json *j)
{
    open_nest(j, '[');
}

/* Whether another member or element follows; eats the comma or the end. */
static bool more(struct json *j, char end)
{
    char c = next_char(j);

    if (j->rc)
        return false;
    if (c == end) {
        j->at++;
        j->depth--;
        j->fresh = false;
        return false;
    }
    if (!j->fresh) {
        if (c != ',') {
            fail(j, E_FORMAT);
            return false;
        }
        j->at++;
        c = next_char(j);
        if (c == end || c == ',') {
            fail(j, E_FORMAT);
            return false;
        }
    }
    j->fresh = false;
    return true;
}

bool json_element(struct json *j)
{
    return more(j, ']');
}

bool json_member(struct json *j, struct str *name)
{
    if (!more(j, '}'))
        return false;
    *name = json_string(j);
    if (next_char(j) != ':')
        fail(j, E_FORMAT);
    if (j->rc)
        return false;
    j->at++;
    return true;
}

static uint32_t hex4(struct json *j, size_t at)
{
    uint32_t v = 0;

    if (at + 4 > j->in.n) {
        fail(j, E_FORMAT);
        return 0;
    }
    for (size_t i = 0; i < 4; i++) {
        int d = str_hex_digit(j->in.p[at + i]);

        if (d < 0) {
            fail(j, E_FORMAT);
            return 0;
        }
        v = v << 4 | (uint32_t)d;
    }
    return v;
}

/* The code point of the \uXXXX at *at (behind the u), pairs joined. */
static uint32_t unicode_escape(struct json *j, size_t *at)
{
    uint32_t hi = hex4(j, *at), lo;

    *at += 4;
    if (hi < 0xd800 || hi > 0xdfff)
        return hi;
    if (hi > 0xdbff || *at + 6 > j->in.n || j->in.p[*at] != '\\' ||
        j->in.p[*at + 1] != 'u') {
        fail(j, E_FORMAT);
        return 0;
    }
    lo = hex4(j, *at + 2);
    *at += 6;
    if (lo < 0xdc00 || lo > 0xdfff) {
        fail(j, E_FORMAT);
        return 0;
    }
    return 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
}

/* Decode in[from, to) into out, which has room for to - from bytes: every
 * escape is longer than what it stands for. */
static size_t unescape(struct json *j, size_t from, size_t to, char *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;

    while (from < to && !j->rc) {
        char c = j->in.p[from++];
        const char *hit;

        if (c != '\\') {
            out[n++] = c;
            continue;
        }
        c = j->in.p[from++];
        if (c == 'u') {
            n += utf8_put(out + n, unicode_escape(j, &from));
            continue;
        }
        hit = c ? strchr(names, c) : NULL;
        if (!hit) {
            fail(j, E_FORMAT);
            break;
        }
        out[n++] = values[hit - names];
    }
    return n;
}

/* Is the escape that begins with the backslash at `at` one of RFC 8259's?
 * Surrogates are left to whoever decodes them. */
static bool known_escape(struct json *j, size_t at)
{
    char c = at + 1 < j->in.n ? j->in.p[at + 1] : 0;

    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c);
    hex4(j, at + 2);
    return !j->rc;
}

/* Consume a string token; its inner bytes as they stand. */
static struct str string_token(struct json *j, bool *escaped)
{
    size_t from, i;
    struct str inner;

    *escaped = false;
    if (next_char(j) != '"') {
        fail(j, E_FORMAT);
        return STR_NONE;
    }
    from = i = j->at + 1;
    while (i < j->in.n && j->in.p[i] != '"') {
        unsigned char c = (unsigned char)j->in.p[i];

        if (c < 0x20)
            break;
        if (c == '\\') {
            *escaped = true;
            if (!known_escape(j, i))
                break;
            i++;
        }
        i++;
    }
    if (i >= j->in.n || j->in.p[i] != '"') {
        j->at = i < j->in.n ? i : j->in.n;
        fail(j, E_FORMAT);
        return STR_NONE;
    }
    inner = str_slice(j->in, from, i);
    if (!utf8_valid(inner)) {
        fail(j, E_FORMAT);
        return STR_NONE;
    }
    j->at = i + 1;
    return inner;
}

struct str json_string(struct json *j)
{
    bool escaped;
    struct str inner = string_token(j, &escaped);
    char *out;

    if (j->rc)
        return STR_NONE;
    if (!escaped)
        return inner;
    out = j->arena ? arena_alloc(j->arena, inner.n + 1) : NULL;
    if (!out) {
        fail(j, E_TOOBIG);
        return STR_NONE;
    }
    inner.n = unescape(j, (size_t)(inner.p - j->in.p),
                       (size_t)(inner.p - j->in.p) + inner.n, out);
    out[inner.n] = 0;
    return j->rc ? STR_NONE : str_make(out, inner.n);
}

static size_t digits(struct json *j, size_t i)
{
    size_t from = i;

    while (i < j->in.n && str_is_digit(j->in.p[i]))
        i++;
    if (i == from)
        fail(j, E_FORMAT);
    return i;
}

/* number = [-] int [frac] [exp], RFC 8259 section 6 */
static struct str number_token(struct json *j)
{
    size_t from, i;

    if (json_peek(j) != JSON_NUMBER) {
        fail(j, E_FORMAT);
        return STR_NONE;
    }
    from = i = j->at;
    if (j->in.p[i] == '-')
        i++;
    if (i < j->in.n && j->in.p[i] == '0')
        i++;
    else
        i = digits(j, i);
    if (i < j->in.n && j->in.p[i] == '.')
        i = digits(j, i + 1);
    if (i < j->in.n && (j->in.p[i] == 'e' || j->in.p[i] == 'E')) {
        i++;
        if (i < j->in.n && (j->in.p[i] == '+' || j->in.p[i] == '-'))
            i++;
        i = digits(j, i);
    }
    if (j->rc)
        return STR_NONE;
    j->at = i;
    return str_slice(j->in, from, i);
}

uint64_t json_u64(struct json *j)
{
    uint64_t v = 0;
    struct str s = number_token(j);

    if (!j->rc && str_u64(s, &v))
        fail(j, E_RANGE);
    return j->rc ? 0 : v;
}

double json_double(struct json *j)
{
    double v = 0;
    struct str s = number_token(j);

    if (!j->rc && str_double(s, &v))
        fail(j, E_RANGE);
    return j->rc ? 0 : v;
}

static bool word(struct json *j, struct str w)
{
    if (!str_eq(str_slice(j->in, j->at, j->at + w.n), w))
        return false;
    j->at += w.n;
    return true;
}

bool json_bool(struct json *j)
{
    if (json_peek(j) == JSON_BOOL) {
        if (word(j, STR("true")))
            return true;
        if (word(j, STR("false")))
            return false;
    }
    fail(j, E_FORMAT);
    return false;
}

/* One loop instead of recursion: depth is bounded by JSON_DEPTH_MAX, and the
 * kind of each open nest is one bit. */
void json_skip(struct json *j)
{
    uint64_t is_object = 0;
    unsigned base = j->depth;
    struct str name;
    bool escaped;

    do {
        switch (json_peek(j)) {
        case JSON_OBJECT:
            json_object(j);
            is_object = is_object << 1 | 1;
            break;
        case JSON_ARRAY:
            json_array(j);
            is_object <<= 1;
            break;
        case JSON_STRING:
            string_token(j, &escaped);
            break;
        case JSON_NUMBER:
            number_token(j);
            break;
        case JSON_BOOL:
            json_bool(j);
            break;
        case JSON_NULL:
            if (!word(j, STR("null")))
                fail(j, E_FORMAT);
            break;
        case JSON_NONE:
            fail(j, E_FORMAT);
            break;
        }
        while (!j->rc && j->depth > base) {
            if (is_object & 1 ? json_member(j, &name) : json_element(j))
                break;
            is_object >>= 1;
        }
    } while (!j->rc && j->depth > base);
}

struct str json_raw(struct json *j)
{
    size_t from;

    next_char(j);
    from = j->at;
    json_skip(j);
    return j->rc ? STR_NONE : str_slice(j->in, from, j->at);
}
