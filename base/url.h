/*
 * url - the one canonical form of a URL (RFC 3986, facts/extraction rule 18).
 *
 * Model.   url_resolve() takes what a page says and the base it is said
 *          against, and gives the canonical absolute http(s) URL or the reason
 *          why there is none.  Everything that keeps, compares or hashes a URL
 *          uses this form; DESIGN sections 3 and 4 fix it to the byte.
 * Fails.   A URL that cannot be used is data: an enum url_reason.
 * Threads. Pure functions.
 * Cost.    One pass over ref; non-ASCII hosts cost a folding and punycode.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/str.h"

#define URL_MAX 2048 /* bytes of the canonical form */

/* value, name in drop counts */
#define URL_REASON_MAP(X)                                                      \
    X(URL_OK, "ok")                                                            \
    X(URL_EMPTY, "url-empty")                                                  \
    X(URL_SCHEME, "url-scheme")     /* not http(s) */                          \
    X(URL_HOST, "url-host")         /* none, or forbidden characters */        \
    X(URL_PORT, "url-port")         /* not a number up to 65535 */             \
    X(URL_LENGTH, "url-length")     /* over URL_MAX */                         \
    X(URL_CHARSET, "charset")       /* invalid UTF-8, or U+FFFD in it */

enum url_reason {
#define X(name, text) name,
    URL_REASON_MAP(X)
#undef X
    URL_REASONS
};

const char *url_reason_name(enum url_reason r);

/* Canonical form of ref against base (canonical itself; empty: ref must be
 * absolute) into out, which is cleared first. */
enum url_reason url_resolve(struct str base, struct str ref, struct buf *out);

/* Parts of a canonical URL, pointing into it. */
struct url_parts {
    struct str scheme;    /* "http" or "https" */
    struct str host;      /* lower case, no port; IPv6 with its brackets */
    struct str authority; /* host[:port] */
    struct str path;      /* from / up to ? or the end */
    struct str query;     /* with its ?, or empty */
    unsigned port;        /* the scheme's default when none is written */
};

/* False if url is not in canonical form's outline (scheme://host/...). */
bool url_split(struct str url, struct url_parts *parts);

/* "http://host:port" of a canonical URL: what robots.txt is asked of. */
struct str url_origin(struct str url);

#endif
