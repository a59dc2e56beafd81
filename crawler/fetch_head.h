/*
 * fetch_head - the head of a response, line by line as curl hands it over.
 *
 * Model.   head_line() for each line; a new status line starts over, so that
 *          what stays is the last head (those with 1xx come before it).  All
 *          lines of all heads of a transfer count against the ceilings.
 * Owns.    The fields it keeps; strings it gives point into them and live
 *          until the next head_line(), head_reset() or head_release().
 * Fails.   A head we do not accept is a reason: too much of it, codings that
 *          were not asked for or stacked, two lengths that differ.
 * Threads. One per struct.
 */
#ifndef CRAWLER_FETCH_HEAD_H
#define CRAWLER_FETCH_HEAD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "crawler/consent.h"
#include "crawler/fetch.h"

#define HEAD_FIELDS_MAX (48u << 10) /* bytes of field values kept */

struct head_span { /* of fields, whose bytes may move */
    size_t at, n;
    bool set;
};

struct head {
    struct str token;    /* our name in X-Robots-Tag; borrowed */
    size_t bytes, lines; /* of all heads */
    int status;          /* of the head being read, 0 without one */
    bool whole;          /* its blank line has come, and it is no 1xx */
    uint64_t length;     /* Content-Length, UINT64_MAX without one */
    unsigned codings;    /* Content-Encoding layers */
    bool locations_differ;
    struct consent consent; /* of all X-Robots-Tag lines */
    struct buf fields;
    struct head_span location, type, etag, modified, tags[FETCH_TAGS_MAX];
    size_t n_tags;
};

void head_init(struct head *h, struct str token);
void head_release(struct head *h);
void head_reset(struct head *h); /* for the next transfer */

/* FETCH_R_NONE, or why the response is not accepted. */
enum fetch_reason head_line(struct head *h, struct str line);

/* p NULL when the field did not come. */
struct str head_field(const struct head *h, const struct head_span *s);

#endif
