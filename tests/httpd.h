/*
 * httpd - our web server: normal and hostile behaviour, on loopback.
 *
 * Model.   One thread, epoll, HTTP/1.1 with keep-alive.  Document roots by Host
 *          header; with --script, paths under /_/ behave as their names say
 *          (httpd_script.c has the table), on every host.
 *          A response is what stands in `out`, then what `file` holds, then
 *          what more() adds whenever out has drained; more() may be paced.
 * Owns.    A connection owns its buffers, its descriptor and its file.
 * Threads. One.
 */
#ifndef TESTS_HTTPD_H
#define TESTS_HTTPD_H

#include "base/buf.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define HTTPD_HEAD_MAX 16384 /* bytes of a request's head */

struct httpd_conn {
    int fd;
    uint64_t id;      /* counts connections from 1 */
    struct buf in;    /* what was read and not yet answered */
    struct buf out;   /* what is to be sent */
    size_t sent;      /* of out */
    int file;         /* descriptor of the body, or -1 */
    uint64_t at, end; /* of the file, still to be sent */
    /* Add to out; true: call again when it has drained.  NULL: no more. */
    bool (*more)(struct httpd_conn *c);
    uint64_t step;      /* for more(): calls so far */
    uint64_t number;    /* for more(): the number in the path */
    uint64_t period_ms; /* between two calls of more() */
    uint64_t wake_ms;   /* nothing is sent before; 0: now */
    bool busy;          /* a response is under way */
    bool close_after;   /* no keep-alive */
    bool reset_after;   /* RST instead of FIN */
    bool head_only;     /* HEAD */
    bool watching_out;  /* epoll waits for room */
    /* the request, for the log */
    uint64_t start_ms;
    int status;
    char host[256];
    char path[4096]; /* decoded, without query */
    char query[2048];
    struct httpd_conn *next, *prev;
};

/* Status line and headers up to the blank line, which the caller adds.  With
 * size_bytes UINT64_MAX no Content-Length. */
void httpd_head(struct httpd_conn *c, int status, const char *type,
                uint64_t size_bytes);

/* A whole small response. */
void httpd_reply(struct httpd_conn *c, int status, const char *type,
                 struct str body);

/* Answer a path under /_/. */
void httpd_script(struct httpd_conn *c);

uint64_t httpd_now_ms(void);

#endif
