#include "base/url.h"

#include <stdint.h>

#include "base/url_host.h"
#include "base/utf8.h"

/* A reference as RFC 3986 section 3 cuts it; the fragment is already gone. */
struct reference {
    struct str scheme;    /* empty: none */
    struct str authority; /* meaningful when has_authority */
    struct str path;
    struct str query; /* with its ?, or empty: none */
    bool has_authority;
};

const char *url_reason_name(enum url_reason r)
{
    static const char *const names[] = {
#define X(name, text) text,
        URL_REASON_MAP(X)
#undef X
    };

    return (unsigned)r < URL_REASONS ? names[r] : "unknown";
}

/* ---- cutting ---- */

/* Without what a browser drops as well: everything up to U+0020 at both ends,
 * and CR, LF, TAB wherever they are (then the copy lies in *copy). */
static struct str clean(struct str s, struct buf *copy)
{
    size_t i;

    while (s.n && (unsigned char)s.p[0] <= ' ')
        s = str_slice(s, 1, s.n);
    while (s.n && (unsigned char)s.p[s.n - 1] <= ' ')
        s.n--;
    for (i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\t')
            break;
    if (i == s.n)
        return s;
    for (i = 0; i < s.n; i++)
        if (s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\t')
            buf_add_char(copy, s.p[i]);
    return buf_str(copy);
}

/* Bytes of a scheme before its colon, 0 for none: ALPHA then ALPHA, DIGIT,
 * "+", "-", "." (3.1).  "2021:a.jpg" has none and is a path. */
static size_t scheme_length(struct str s)
{
    size_t i;

    if (!s.n || !str_is_alpha(s.p[0]))
        return 0;
    for (i = 1; i < s.n; i++) {
        char c = s.p[i];

        if (c == ':')
            return i;
        if (!str_is_alpha(c) && !str_is_digit(c) && c != '+' && c != '-' &&
            c != '.')
            return 0;
    }
    return 0;
}

/* Offset of the first c at or after from, or the end. */
static size_t find_char(struct str s, char c, size_t from)
{
    size_t at = str_find_char(s, c, from);

    return at < s.n ? at : s.n;
}

static void cut(struct str s, struct reference *r)
{
    size_t n;

    *r = (struct reference){0};
    s = str_slice(s, 0, find_char(s, '#', 0));
    n = scheme_length(s);
    if (n) {
        r->scheme = str_slice(s, 0, n);
        s = str_slice(s, n + 1, s.n);
    }
    if (str_starts(s, STR("//"))) {
        n = find_char(str_slice(s, 0, find_char(s, '?', 2)), '/', 2);
        r->has_authority = true;
        r->authority = str_slice(s, 2, n);
        s = str_slice(s, n, s.n);
    }
    n = find_char(s, '?', 0);
    r->path = str_slice(s, 0, n);
    r->query = str_slice(s, n, s.n);
}

/* ---- writing ---- */

/* Space, controls, everything beyond ASCII, and what RFC 3986 has no place
 * for.  [ and ] are as little allowed, but stay: servers use them. */
static bool must_encode(unsigned char c)
{
    static const uint32_t ascii[4] = {
        0xffffffff, /* controls */
        0x50000005, /* space " < > */
        0x50000000, /* \ ^ */
        0xb8000001, /* ` { | } DEL */
    };

    return c >= 0x80 || (ascii[c >> 5] >> (c & 31) & 1);
}

static void put_encoded(struct str s, struct buf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t i, kept = 0;

    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (!must_encode(c))
            continue;
        buf_add(out, str_slice(s, kept, i));
        buf_add_char(out, '%');
        buf_add_char(out, hex[c >> 4]);
        buf_add_char(out, hex[c & 15]);
        kept = i + 1;
    }
    buf_add(out, str_slice(s, kept, s.n));
}

/* Drop the last segment of the path that begins at out->p[from] and ends in
 * a slash; the root stays. */
static void pop_segment(struct buf *out, size_t from)
{
    size_t n = out->n - 1;

    if (out->rc || n <= from)
        return;
    while (out->p[n - 1] != '/')
        n--;
    out->n = n;
    out->p[n] = 0;
}

/* Nothing to encode and no segment that begins with a dot: most paths. */
static bool is_plain(struct str path)
{
    char before = '/';
    size_t i;

    for (i = 0; i < path.n; before = path.p[i++])
        if (must_encode((unsigned char)path.p[i]) ||
            (path.p[i] == '.' && before == '/'))
            return false;
    return true;
}

/*
 * Append path, segment by segment, to the path that begins at from and ends in
 * a slash: 5.2.4, on segments as they are written, so that %2e is no dot.
 */
static void put_path(struct str path, size_t from, struct buf *out)
{
    size_t at = 0, end;

    if (is_plain(path)) {
        buf_add(out, path);
        return;
    }
    for (;; at = end + 1) {
        struct str segment;

        end = find_char(path, '/', at);
        segment = str_slice(path, at, end);
        if (str_eq(segment, STR(".."))) {
            pop_segment(out, from);
        } else if (!str_eq(segment, STR("."))) {
            put_encoded(segment, out);
            if (end < path.n)
                buf_add_char(out, '/');
        }
        if (end >= path.n)
            return;
    }
}

/* ---- the door ---- */

static bool is_https(struct str scheme)
{
    return scheme.n == 5;
}

/* scheme://authority of the result. */
static enum url_reason put_head(const struct reference *r,
                                const struct url_parts *base, struct buf *out)
{
    bool https = is_https(r->scheme.n ? r->scheme : base->scheme);

    buf_add(out, https ? STR("https://") : STR("http://"));
    if (r->has_authority)
        return url_put_authority(r->authority, https, out);
    if (r->scheme.n)
        return URL_HOST; /* http:x; 5.2.2 without its loophole */
    buf_add(out, base->authority);
    return URL_OK;
}

/* Path and query of the result (5.2.2, 5.2.3). */
static void put_tail(const struct reference *r, const struct url_parts *base,
                     struct buf *out)
{
    size_t from = out->n, n;
    struct str path = r->path;

    if (!r->has_authority && !path.n) {
        buf_add(out, base->path);
        if (r->query.n)
            put_encoded(r->query, out);
        else
            buf_add(out, base->query);
        return;
    }
    if (path.n && path.p[0] == '/') {
        buf_add_char(out, '/');
        path = str_slice(path, 1, path.n);
    } else if (r->has_authority) {
        buf_add_char(out, '/');
    } else {
        for (n = base->path.n; base->path.p[n - 1] != '/';)
            n--;
        buf_add(out, str_slice(base->path, 0, n));
    }
    put_path(path, from, out);
    put_encoded(r->query, out);
}

static enum url_reason resolve(struct str base, struct str ref, struct buf *out)
{
    struct url_parts b = {0};
    struct reference r;
    enum url_reason reason;

    if (!ref.n || str_eq(ref, STR("#")))
        return URL_EMPTY;
    cut(ref, &r);
    if (r.scheme.n ? !str_ieq(r.scheme, STR("http")) &&
                         !str_ieq(r.scheme, STR("https"))
                   : !url_split(base, &b))
        return URL_SCHEME;
    if (utf8_ascii_span(ref) != ref.n &&
        (!utf8_valid(ref) || str_find(ref, STR("\xef\xbf\xbd"), 0) != SIZE_MAX))
        return URL_CHARSET;
    reason = put_head(&r, &b, out);
    if (reason != URL_OK)
        return reason;
    put_tail(&r, &b, out);
    return out->rc || out->n > URL_MAX ? URL_LENGTH : URL_OK;
}

enum url_reason url_resolve(struct str base, struct str ref, struct buf *out)
{
    enum url_reason reason;
    struct buf copy;

    buf_init(&copy, BUF_NO_LIMIT);
    buf_clear(out);
    reason = resolve(base, clean(ref, &copy), out);
    if (reason != URL_OK)
        buf_clear(out);
    buf_release(&copy);
    return reason;
}

bool url_split(struct str url, struct url_parts *parts)
{
    size_t at, end, colon;

    *parts = (struct url_parts){0};
    at = str_starts(url, STR("https://")) ? 8 : 7;
    if (at == 7 && !str_starts(url, STR("http://")))
        return false;
    end = find_char(url, '/', at);
    if (end == at || end >= url.n)
        return false;
    parts->scheme = str_slice(url, 0, at - 3);
    parts->authority = str_slice(url, at, end);
    colon = find_char(url, ']', at);
    colon = find_char(parts->authority, ':', colon < end ? colon - at : 0);
    parts->host = str_slice(parts->authority, 0, colon);
    parts->port = is_https(parts->scheme) ? 443 : 80;
    if (colon < parts->authority.n) {
        uint64_t port;

        if (str_u64(str_slice(parts->authority, colon + 1, end), &port) ||
            port > URL_PORT_MAX)
            return false;
        parts->port = (unsigned)port;
    }
    at = find_char(url, '?', end);
    parts->path = str_slice(url, end, at);
    parts->query = str_slice(url, at, url.n);
    return parts->host.n > 0;
}

struct str url_origin(struct str url)
{
    struct url_parts parts;

    if (!url_split(url, &parts))
        return STR_NONE;
    return str_make(url.p, (size_t)(parts.path.p - url.p));
}
