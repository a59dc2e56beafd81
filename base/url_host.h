/*
 * url_host - the authority of a canonical URL: names, addresses, ports.
 *
 * Model.   Private to base/url.  Userinfo goes; a label with non-ASCII is
 *          folded and becomes "xn--" and punycode; what is then neither
 *          [a-z0-9._-]+ nor an IPv6 address in brackets is refused; the
 *          scheme's own port and an empty one go.
 * Threads. Pure functions.
 */
#ifndef BASE_URL_HOST_H
#define BASE_URL_HOST_H

#include "base/buf.h"
#include "base/str.h"
#include "base/url.h"
#include <stdbool.h>

#define URL_PORT_MAX 65535

/* Append the canonical form of [userinfo@]host[:port], valid UTF-8. */
enum url_reason url_put_authority(struct str a, bool https, struct buf *out);

#endif
