#include "base/url_host.h"

#include <arpa/inet.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fold.h"
#include "base/punycode.h"
#include "base/utf8.h"

static size_t find_char(struct str s, char c, size_t from)
{
    size_t at = str_find_char(s, c, from);

    return at < s.n ? at : s.n;
}

static bool host_allowed(struct str host)
{
    size_t i;

    for (i = 0; i < host.n; i++) {
        char c = host.p[i];

        if (!(c >= 'a' && c <= 'z') && !str_is_digit(c) && c != '.' &&
            c != '-' && c != '_')
            return false;
    }
    return host.n > 0;
}

/* One label, already folded; folding may have made dots, which cut again. */
static enum url_reason put_folded_label(struct str folded, struct buf *out)
{
    struct str part;

    for (;;) {
        size_t dot = find_char(folded, '.', 0);

        part = str_slice(folded, 0, dot);
        if (utf8_ascii_span(part) == part.n) {
            buf_add(out, part);
        } else {
            int rc;

            buf_add(out, STR("xn--"));
            rc = punycode_encode(part, out);
            if (rc == -E_TOOBIG)
                return URL_LENGTH;
            if (rc)
                return URL_HOST;
        }
        if (dot >= folded.n)
            return URL_OK;
        buf_add_char(out, '.');
        folded = str_slice(folded, dot + 1, folded.n);
    }
}

static enum url_reason put_name(struct str host, struct buf *out)
{
    enum url_reason r = URL_OK;
    struct fold fold;
    struct buf folded;
    struct str label;
    size_t i;

    if (utf8_ascii_span(host) == host.n) {
        char *to = buf_reserve(out, host.n);

        if (!to)
            return URL_LENGTH;
        for (i = 0; i < host.n; i++)
            to[i] = str_lower_char(host.p[i]);
        to[host.n] = 0;
        out->n += host.n;
        return URL_OK;
    }
    fold_init(&fold);
    fold.untabled = true; /* a table is more work than a host */
    buf_init(&folded, BUF_NO_LIMIT);
    for (i = 0; r == URL_OK; i += label.n + 1) {
        label = str_slice(host, i, find_char(host, '.', i));
        buf_clear(&folded);
        if (fold_text(&fold, label, &folded))
            r = URL_HOST;
        else
            r = put_folded_label(buf_str(&folded), out);
        if (i + label.n >= host.n)
            break;
        buf_add_char(out, '.');
    }
    buf_release(&folded);
    fold_release(&fold);
    return r;
}

/* "[...]": an IPv6 address in brackets, lower case, otherwise as written. */
static enum url_reason put_ipv6(struct str host, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t i, n = host.n - 2;

    if (host.n < 4 || n >= sizeof text || memchr(host.p, 0, host.n))
        return URL_HOST;
    for (i = 0; i < n; i++)
        text[i] = str_lower_char(host.p[i + 1]);
    text[n] = 0;
    if (inet_pton(AF_INET6, text, &address) != 1)
        return URL_HOST;
    buf_addf(out, "[%s]", text);
    return URL_OK;
}

static enum url_reason put_port(struct str port, bool https, struct buf *out)
{
    unsigned v = 0;
    size_t i;

    if (!port.n)
        return URL_OK;
    for (i = 0; i < port.n; i++) {
        if (!str_is_digit(port.p[i]))
            return URL_PORT;
        v = v * 10 + (unsigned)(port.p[i] - '0');
        if (v > URL_PORT_MAX)
            return URL_PORT;
    }
    if (v != (https ? 443 : 80))
        buf_addf(out, ":%u", v);
    return URL_OK;
}

enum url_reason url_put_authority(struct str a, bool https, struct buf *out)
{
    size_t i, end, from = out->n;
    struct str host, port = STR_NONE;
    enum url_reason r;

    /* The last @, as browsers and curl do: what is before it is never asked. */
    for (i = a.n; i > 0; i--)
        if (a.p[i - 1] == '@')
            break;
    a = str_slice(a, i, a.n);
    if (a.n && a.p[0] == '[') {
        end = find_char(a, ']', 0) + 1;
        if (end > a.n || (end < a.n && a.p[end] != ':'))
            return URL_HOST;
    } else {
        end = find_char(a, ':', 0);
    }
    host = str_slice(a, 0, end);
    if (end < a.n)
        port = str_slice(a, end + 1, a.n);
    if (host.n && host.p[0] == '[') {
        r = put_ipv6(host, out);
    } else {
        r = put_name(host, out);
        if (r == URL_OK && !out->rc &&
            !host_allowed(str_slice(buf_str(out), from, out->n)))
            r = URL_HOST;
    }
    return r == URL_OK ? put_port(port, https, out) : r;
}
