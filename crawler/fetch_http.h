/*
 * fetch_http - one GET at one address; the door to libcurl.
 *
 * Model.   http_start() begins a request to an address that the caller chose;
 *          http_turn() waits, moves all of them on and hands each finished one
 *          to done().  Nothing is followed, retried or looked up here: curl
 *          gets the address with the request (CURLOPT_RESOLVE, or CONNECT_TO
 *          where --resolve says so), its own resolver is barred, and a socket
 *          to any other address, or to one that netguard forbids, is refused
 *          before it connects and once more before a reused one is written to.
 *          Every size has a cap that holds while bytes come in: headers,
 *          decoded body, decoded bytes per byte received.
 * Owns.    Handles and connections.  A response and its strings live until
 *          done() returns.
 * Fails.   http_open: -E_NET.  What happens to a request is a reason.
 * Threads. One; http_wakeup() any.
 * Cost.    Handles and connections are reused.
 */
#ifndef CRAWLER_FETCH_HTTP_H
#define CRAWLER_FETCH_HTTP_H

#include "base/buf.h"
#include "crawler/consent.h"
#include "crawler/fetch.h"
#include "crawler/netguard.h"
#include <stdbool.h>
#include <stdint.h>

#define HTTP_AGENT_MAX 512 /* bytes of the user agent line */
#define HTTP_DISCARD                                                           \
    (64u << 10) /* of a body nobody wants, to keep the                         \
                   connection */

struct http_config {
    const char *agent;   /* the User-Agent line */
    struct str token;    /* our name in X-Robots-Tag */
    const char *ca_file; /* or NULL */
    const struct netguard *guard;
    uint64_t connect_timeout_ms, total_timeout_ms;
    uint64_t slow_bytes_s, slow_time_s;
    uint64_t connections; /* kept open for reuse */
};

struct http_request {
    const char *url; /* canonical; must live until done() */
    struct str host; /* of it */
    unsigned port;   /* of it */
    bool literal;    /* host is an address itself */
    enum fetch_kind kind;
    struct netguard_addr addr; /* where to connect */
    unsigned connect_port;     /* with --resolve; 0: port */
    bool fresh;                /* not over a connection kept from before */
    uint64_t body_max;         /* bytes, decoded */
    void *user;
};

struct http_response {
    void *user;
    enum fetch_reason reason; /* FETCH_R_NONE: an answer came, whole, of
                                 whatever status; else why not */
    int status;               /* 0: none came */
    struct str location;      /* p NULL: none */
    bool locations_differ;    /* two of them, and not the same */
    struct str content_type, etag, last_modified;
    struct str tags[FETCH_TAGS_MAX];
    size_t n_tags;
    struct consent consent; /* of all X-Robots-Tag lines */
    struct str body;        /* of a 200; empty for a refused image; for
                               FETCH_ROBOTS cut at the cap, not an error */
    uint64_t wire_bytes;
    int64_t retry_after_s; /* -1: none */
    uint64_t elapsed_ms;
    char ip[FETCH_IP_MAX];
};

typedef void (*http_fn)(void *ctx, const struct http_response *r);

struct http_fd {
    int fd;
    bool in, out; /* to be watched for; after http_turn(): is ready */
};

struct http;

int http_open(struct http **h, const struct http_config *c, struct err *e);
void http_close(struct http *h); /* what is under way is dropped */

/* done() comes later, from http_turn(). */
void http_start(struct http *h, const struct http_request *r);

/* Give up all that is under way, without done(); drop (may be NULL) gets the
 * user pointer of each. */
void http_cancel_all(struct http *h, void (*drop)(void *ctx, void *user),
                     void *ctx);

/* Wait for transfers and for fds, at most timeout_ms; then done(). */
int http_turn(struct http *h, struct http_fd *fds, size_t n,
              unsigned timeout_ms, http_fn done, void *ctx, struct err *e);

void http_wakeup(struct http *h);

#endif
