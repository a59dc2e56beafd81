#include "crawler/fetch_head.h"

#include <string.h>

static void keep(struct head *h, struct head_span *s, struct str value)
{
    if (h->fields.n + value.n > HEAD_FIELDS_MAX)
        return;
    s->at = h->fields.n;
    s->n = value.n;
    s->set = true;
    buf_add(&h->fields, value);
}

struct str head_field(const struct head *h, const struct head_span *s)
{
    return s->set ? str_make((h->fields.p ? h->fields.p : "") + s->at, s->n)
                  : STR_NONE;
}

static void on_location(struct head *h, struct str value)
{
    if (!h->location.set)
        keep(h, &h->location, value);
    else if (!str_eq(head_field(h, &h->location), value))
        h->locations_differ = true;
}

/* One layer at most, of a kind that was asked for. */
static enum fetch_reason on_coding(struct head *h, struct str value)
{
    struct str one;

    while (str_split(&value, ',', &one)) {
        one = str_trim(one);
        if (one.n == 0 || str_ieq(one, STR("identity")))
            continue;
        h->codings++;
        if (!str_ieq(one, STR("gzip")) && !str_ieq(one, STR("x-gzip")) &&
            !str_ieq(one, STR("deflate")))
            return FETCH_R_ENCODING;
    }
    return h->codings > 1 ? FETCH_R_ENCODING : FETCH_R_NONE;
}

/* Two lengths that differ: one of them hides something. */
static enum fetch_reason on_length(struct head *h, struct str value)
{
    uint64_t length;

    if (str_u64(value, &length) ||
        (h->length != UINT64_MAX && h->length != length))
        return FETCH_R_PROTOCOL;
    h->length = length;
    return FETCH_R_NONE;
}

static enum fetch_reason on_field(struct head *h, struct str name,
                                  struct str value)
{
    if (str_ieq(name, STR("location"))) {
        on_location(h, value);
    } else if (str_ieq(name, STR("content-type"))) {
        keep(h, &h->type, value);
    } else if (str_ieq(name, STR("etag"))) {
        keep(h, &h->etag, value);
    } else if (str_ieq(name, STR("last-modified"))) {
        keep(h, &h->modified, value);
    } else if (str_ieq(name, STR("content-encoding"))) {
        return on_coding(h, value);
    } else if (str_ieq(name, STR("transfer-encoding"))) {
        if (!str_ieq(value, STR("chunked")) && !str_ieq(value, STR("identity")))
            return FETCH_R_ENCODING;
    } else if (str_ieq(name, STR("content-length"))) {
        return on_length(h, value);
    } else if (str_ieq(name, STR("x-robots-tag"))) {
        consent_header(&h->consent, value, h->token);
        if (h->n_tags < FETCH_TAGS_MAX)
            keep(h, &h->tags[h->n_tags++], value);
    }
    return FETCH_R_NONE;
}

/* Forget the head before: it was a 1xx, or another transfer's. */
static void begin(struct head *h, int status)
{
    h->status = status;
    h->whole = false;
    h->length = UINT64_MAX;
    h->codings = 0;
    h->locations_differ = false;
    consent_init(&h->consent);
    buf_clear(&h->fields);
    memset(&h->location, 0, sizeof h->location);
    memset(&h->type, 0, sizeof h->type);
    memset(&h->etag, 0, sizeof h->etag);
    memset(&h->modified, 0, sizeof h->modified);
    memset(h->tags, 0, sizeof h->tags);
    h->n_tags = 0;
}

/* "HTTP/1.1 200 OK" */
static int status_of(struct str line)
{
    struct str version, code;
    uint64_t v = 0;

    str_split(&line, ' ', &version);
    if (!line.p || !str_split(&line, ' ', &code) ||
        str_u64(str_trim(code), &v) || v > 999)
        return 0;
    return (int)v;
}

enum fetch_reason head_line(struct head *h, struct str line)
{
    size_t colon;

    h->bytes += line.n;
    h->lines++;
    if (h->bytes > FETCH_HEADER_BYTES_MAX || h->lines > FETCH_HEADERS_MAX)
        return FETCH_R_HEADERS;
    if (h->whole) /* a trailer behind the last chunk: nobody's field */
        return FETCH_R_NONE;
    if (str_starts(line, STR("HTTP/"))) {
        begin(h, status_of(line));
        return FETCH_R_NONE;
    }
    line = str_trim(line);
    if (line.n == 0)
        h->whole = h->status / 100 != 1;
    colon = str_find_char(line, ':', 0);
    if (colon == SIZE_MAX)
        return FETCH_R_NONE;
    return on_field(h, str_trim(str_slice(line, 0, colon)),
                    str_trim(str_slice(line, colon + 1, line.n)));
}

void head_init(struct head *h, struct str token)
{
    memset(h, 0, sizeof *h);
    h->token = token;
    buf_init(&h->fields, HEAD_FIELDS_MAX);
    head_reset(h);
}

void head_reset(struct head *h)
{
    h->bytes = h->lines = 0;
    begin(h, 0);
}

void head_release(struct head *h)
{
    buf_release(&h->fields);
}
