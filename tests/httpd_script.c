/*
 * What a path under /_/ does.  NAME is the first segment behind /_/, the rest
 * its argument; the table at the end lists them.  A query "then=/x" is where
 * redirects go, "tag=VALUE" adds X-Robots-Tag, "wait=S" Retry-After.
 */
#include "tests/httpd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

#define FLAKY_MAX 64

/* Value of a query parameter, decoded (+ stays), or ""; until the next call. */
/* The number that a script's argument begins with; 0 when there is none. */
static int number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t n = 0;

    return !str_u64(str_make(text, digits), &n) && n < 1000000000 ? (int)n : 0;
}

static const char *param(const struct httpd_conn *c, const char *name)
{
    static char out[1024];
    struct str rest = str_of(c->query), field;
    size_t n = 0;

    while (str_split(&rest, '&', &field)) {
        size_t eq = str_find_char(field, '=', 0);
        struct str v = str_slice(field, eq + 1, field.n);

        if (eq == SIZE_MAX || !str_eq(str_slice(field, 0, eq), str_of(name)))
            continue;
        for (size_t i = 0; i < v.n && n + 1 < sizeof out; i++) {
            if (v.p[i] == '%' && i + 2 < v.n &&
                str_hex_digit(v.p[i + 1]) >= 0) {
                out[n++] = (char)(str_hex_digit(v.p[i + 1]) << 4 |
                                  (str_hex_digit(v.p[i + 2]) & 15));
                i += 2;
            } else {
                out[n++] = v.p[i];
            }
        }
        break;
    }
    out[n] = '\0';
    return out;
}

static void common_headers(struct httpd_conn *c)
{
    const char *tag = param(c, "tag");

    if (*tag)
        buf_addf(&c->out, "X-Robots-Tag: %s\r\n", tag);
    tag = param(c, "tag2");
    if (*tag)
        buf_addf(&c->out, "X-Robots-Tag: %s\r\n", tag);
    tag = param(c, "wait");
    if (*tag)
        buf_addf(&c->out, "Retry-After: %s\r\n", tag);
}

static void small(struct httpd_conn *c, int status, const char *type,
                  struct str body)
{
    httpd_head(c, status, type, body.n);
    common_headers(c);
    buf_add(&c->out, STR("\r\n"));
    if (!c->head_only)
        buf_add(&c->out, body);
}

/* ---- status and redirects ---- */

static void do_status(struct httpd_conn *c, const char *arg)
{
    small(c, number(arg), "text/plain", STR("status\n"));
}

static void redirect_to(struct httpd_conn *c, int status, const char *where)
{
    httpd_head(c, status, "text/html", 0);
    buf_addf(&c->out, "Location: %s\r\n", where);
    common_headers(c);
    buf_add(&c->out, STR("\r\n"));
}

static void do_redirect(struct httpd_conn *c, const char *arg)
{
    redirect_to(c, number(arg), param(c, "then"));
}

static void do_loop(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    redirect_to(c, 302, strcmp(arg, "a") == 0 ? "/_/loop/b" : "/_/loop/a");
}

static void do_chain(struct httpd_conn *c, const char *arg)
{
    char where[64];
    int left = number(arg);

    if (left <= 0) {
        small(c, 200, "text/plain", STR("the end\n"));
        return;
    }
    snprintf(where, sizeof where, "/_/chain/%d", left - 1);
    redirect_to(c, 302, where);
}

static void do_nowhere(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    httpd_head(c, 302, "text/html", 0);
    buf_add(&c->out, STR("\r\n"));
}

static void do_two_places(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    httpd_head(c, 302, "text/html", 0);
    buf_add(&c->out, STR("Location: /_/text/a\r\nLocation: /_/text/b\r\n\r\n"));
}

/* ---- time ---- */

/* Nothing more is ever sent; the period only keeps the connection open. */
static bool add_nothing(struct httpd_conn *c)
{
    c->period_ms = 3600 * 1000;
    return true;
}

static void do_silent(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->more = add_nothing;
}

static void do_stall(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    httpd_head(c, 200, "text/html", 50000);
    buf_add(&c->out, STR("\r\nbegun"));
    c->more = add_nothing;
}

static bool add_drop(struct httpd_conn *c)
{
    buf_add_char(&c->out, 'x');
    return true;
}

static void do_loris(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    httpd_head(c, 200, "text/html", 50000);
    buf_add(&c->out, STR("\r\n"));
    c->period_ms = 100;
    c->more = add_drop;
}

static bool add_head_drop(struct httpd_conn *c)
{
    if (c->step == 0)
        buf_add(&c->out, STR("HTTP/1.1 200 OK\r\nX-Slow: "));
    buf_add_char(&c->out, 'y');
    return true;
}

static void do_loris_head(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->period_ms = 100;
    c->more = add_head_drop;
}

static bool add_late(struct httpd_conn *c)
{
    if (c->step == 0)
        return true;
    small(c, 200, "text/html", STR("<p>late</p>"));
    return false;
}

static void do_late(struct httpd_conn *c, const char *arg)
{
    c->period_ms = (uint64_t)number(arg);
    c->more = add_late;
}

/* ---- size ---- */

static bool add_chunk(struct httpd_conn *c)
{
    static char body[65536];

    memset(body, 'z', sizeof body);
    buf_addf(&c->out, "%zx\r\n", sizeof body);
    buf_add_bytes(&c->out, body, sizeof body);
    buf_add(&c->out, STR("\r\n"));
    return true;
}

static void do_endless(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    httpd_head(c, 200, "text/html", UINT64_MAX);
    buf_add(&c->out, STR("Transfer-Encoding: chunked\r\n\r\n"));
    c->more = add_chunk;
}

static bool add_header_lines(struct httpd_conn *c)
{
    for (int i = 0; i < 100; i++)
        buf_addf(&c->out, "X-%llu-%d: some more words for nobody\r\n",
                 (unsigned long long)c->step, i);
    return true;
}

static void do_headers(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    buf_add(&c->out, STR("HTTP/1.1 200 OK\r\n"));
    c->more = add_header_lines;
}

static bool add_header_bytes(struct httpd_conn *c)
{
    for (int i = 0; i < 1000; i++)
        buf_add(&c->out, STR("0123456789"));
    return true;
}

static void do_header(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    buf_add(&c->out, STR("HTTP/1.1 200 OK\r\nX-Long: "));
    c->more = add_header_bytes;
}

static bool add_continue(struct httpd_conn *c)
{
    for (int i = 0; i < 100; i++)
        buf_add(&c->out, STR("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"));
    return true;
}

static void do_hints(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->more = add_continue;
}

static void do_size(struct httpd_conn *c, const char *arg)
{
    size_t n = (size_t)strtoul(arg, NULL, 10);
    char *body = xmalloc(n + 1);

    memset(body, 's', n);
    small(c, 200, "image/png", str_make(body, n));
    free(body);
}

/* ---- lies ---- */

static void do_short(struct httpd_conn *c, const char *arg)
{
    (void)arg; /* promises more than there is */
    c->close_after = true;
    httpd_head(c, 200, "image/png", 5000);
    buf_add(&c->out, STR("\r\nnot five thousand bytes"));
}

static void do_long(struct httpd_conn *c, const char *arg)
{
    (void)arg; /* sends more than it promised */
    c->close_after = true;
    httpd_head(c, 200, "text/html", 4);
    buf_add(&c->out, STR("\r\nfourHTTP/1.1 200 OK\r\nX: smuggled\r\n\r\n"));
}

static void do_cut_chunk(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->close_after = true;
    httpd_head(c, 200, "text/html", UINT64_MAX);
    buf_add(&c->out, STR("Transfer-Encoding: chunked\r\n\r\n1000\r\nhalf"));
}

static void do_bad_chunk(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->close_after = true;
    httpd_head(c, 200, "text/html", UINT64_MAX);
    buf_add(&c->out, STR("Transfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n"));
}

static void do_two_lengths(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->close_after = true;
    httpd_head(c, 200, "text/html", 4);
    buf_add(&c->out, STR("Content-Length: 9\r\n\r\nfourofnine"));
}

static void do_close(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->close_after = true;
}

static void do_reset(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->close_after = c->reset_after = true;
    httpd_head(c, 200, "text/html", 5000);
    buf_add(&c->out, STR("\r\nsome"));
}

static void do_garbage(struct httpd_conn *c, const char *arg)
{
    (void)arg;
    c->close_after = true;
    buf_add(&c->out, STR("220 mail.example ESMTP ready\r\n"));
}

static void do_type(struct httpd_conn *c, const char *arg)
{
    small(c, 200, arg, STR("what this is, nobody checked"));
}

/* Fails the first N requests of its path, each server run. */
static void do_flaky(struct httpd_conn *c, const char *arg)
{
    static struct {
        char path[128];
        int count;
    } seen[FLAKY_MAX];
    int i = 0;

    while (i < FLAKY_MAX - 1 && seen[i].path[0] &&
           strcmp(seen[i].path, c->path) != 0)
        i++;
    snprintf(seen[i].path, sizeof seen[i].path, "%.127s", c->path);
    if (seen[i].count++ < number(arg))
        small(c, 503, "text/plain", STR("not now\n"));
    else
        small(c, 200, "text/html", STR("<p>at last</p>"));
}

static void do_text(struct httpd_conn *c, const char *arg)
{
    small(c, 200, "text/html", str_of(arg));
}

/* The request's head as it came, with a cookie to be tempted by. */
static void do_echo(struct httpd_conn *c, const char *arg)
{
    struct str head = buf_str(&c->in);

    (void)arg;
    head = str_slice(head, 0, str_find(head, STR("\r\n\r\n"), 0));
    httpd_head(c, 200, "text/plain", head.n);
    buf_add(&c->out, STR("Set-Cookie: taste=sweet\r\n"));
    buf_add(&c->out, STR("ETag: \"e1\"\r\n\r\n"));
    buf_add(&c->out, head);
}

/* ---- encodings ---- */

/* bits: 15 zlib, 31 gzip, -15 raw deflate (RFC 1950 to 1952). */
static void squeeze(struct str in, int bits, struct buf *out)
{
    z_stream z;

    memset(&z, 0, sizeof z);
    deflateInit2(&z, 9, Z_DEFLATED, bits, 9, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.avail_out = (uInt)deflateBound(&z, (uLong)in.n);
    z.next_out = (Bytef *)buf_reserve(out, z.avail_out);
    deflate(&z, Z_FINISH);
    out->n += z.total_out;
    deflateEnd(&z);
}

static void encoded(struct httpd_conn *c, const char *coding, struct str body)
{
    httpd_head(c, 200, "text/html", body.n);
    buf_addf(&c->out, "Content-Encoding: %s\r\n", coding);
    common_headers(c);
    buf_add(&c->out, STR("\r\n"));
    buf_add(&c->out, body);
}

#define HELLO STR("<p>hello, hello, hello, hello</p>")

static void do_encoded(struct httpd_conn *c, const char *arg)
{
    struct buf once, twice;

    buf_init(&once, 1 << 20);
    buf_init(&twice, 1 << 20);
    if (strcmp(arg, "gzip") == 0 || strcmp(arg, "x-gzip") == 0) {
        squeeze(HELLO, 31, &once);
    } else if (strcmp(arg, "deflate") == 0) {
        squeeze(HELLO, 15, &once);
    } else if (strcmp(arg, "raw") == 0) {
        squeeze(HELLO, -15, &once);
        arg = "deflate";
    } else if (strcmp(arg, "cut") == 0) {
        squeeze(HELLO, 31, &once);
        once.n -= 12;
        arg = "gzip";
    } else if (strcmp(arg, "bad") == 0) {
        buf_add(&once, STR("this was never compressed"));
        arg = "gzip";
    } else if (strcmp(arg, "members") == 0) {
        squeeze(HELLO, 31, &once);
        squeeze(HELLO, 31, &once);
        arg = "gzip";
    } else if (strcmp(arg, "nested") == 0) {
        squeeze(HELLO, 31, &twice);
        squeeze(buf_str(&twice), 31, &once);
        arg = "gzip, gzip";
    } else {
        buf_add(&once, HELLO); /* br and whatever else we never asked for */
    }
    encoded(c, arg, buf_str(&once));
    buf_release(&once);
    buf_release(&twice);
}

/* N MiB of zeros, gzipped: 1,000 to 1. */
static void do_bomb(struct httpd_conn *c, const char *arg)
{
    size_t n = (size_t)number(arg) << 20;
    char *zeros = xcalloc(1, n);
    struct buf body;

    buf_init(&body, BUF_NO_LIMIT);
    squeeze(str_make(zeros, n), 31, &body);
    encoded(c, "gzip", buf_str(&body));
    buf_release(&body);
    free(zeros);
}

void httpd_script(struct httpd_conn *c)
{
    static const struct {
        const char *name;
        void (*fn)(struct httpd_conn *c, const char *arg);
    } table[] = {
        {"status", do_status},           /* /CODE */
        {"redirect", do_redirect},       /* /CODE?then=URL */
        {"loop", do_loop},               /* a > b > a */
        {"chain", do_chain},             /* /N hops, then 200 */
        {"two-places", do_two_places},   /* two Locations */
        {"two-lengths", do_two_lengths}, /* two Content-Lengths */
        {"nowhere", do_nowhere},         /* 302 without Location */
        {"silent", do_silent},           /* takes the request, says nothing */
        {"stall", do_stall},             /* headers, five bytes, nothing */
        {"loris", do_loris},             /* ten bytes of body a second */
        {"loris-head", do_loris_head},   /* ten bytes of header a second */
        {"late", do_late},               /* /MS, then 200 */
        {"endless", do_endless},         /* chunks for ever */
        {"headers", do_headers},         /* header lines for ever */
        {"header", do_header},           /* one header line for ever */
        {"hints", do_hints},             /* 103 for ever */
        {"size", do_size},               /* /N bytes */
        {"short", do_short},             /* less than Content-Length */
        {"long", do_long},               /* more than Content-Length */
        {"cut-chunk", do_cut_chunk},     /* ends inside a chunk */
        {"bad-chunk", do_bad_chunk},     /* a chunk size that is none */
        {"close", do_close},             /* closes without a word */
        {"reset", do_reset},             /* RST inside the body */
        {"garbage", do_garbage},         /* another protocol */
        {"type", do_type},               /* /TYPE/SUBTYPE */
        {"flaky", do_flaky},             /* /N/ANY: 503 N times, then 200 */
        {"echo", do_echo},               /* the request's head */
        {"text", do_text},               /* /BODY */
        {"encoded", do_encoded},         /* /gzip, deflate, raw, cut, bad ... */
        {"bomb", do_bomb},               /* /MIB */
    };
    const char *name = c->path + 3, *arg = strchr(name, '/');
    size_t n = arg ? (size_t)(arg - name) : strlen(name);

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == n && !memcmp(table[i].name, name, n)) {
            char copy[sizeof c->path];

            memcpy(copy, arg ? arg + 1 : "", strlen(arg ? arg + 1 : "") + 1);
            table[i].fn(c, copy);
            return;
        }
    httpd_reply(c, 404, "text/plain", STR("no such behaviour\n"));
}
