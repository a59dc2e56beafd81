#include "train/rendezvous.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#define MAGIC       0x77697472u /* "witr" */
#define VERSION     1u
#define RETRY_MS    50
#define STRANGER_MS 2000 /* a caller that says nothing is sent away */
#define CONNECT_MS  5000 /* for an address to answer */

enum answer { WELCOME = 1, OTHER_SIZE = 2, TWICE = 3 };

/* What a rank says first; big-endian on the wire. */
struct hello {
    uint32_t magic, version, size, rank;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait for `events` until the deadline; 0, or -1. */
static int wait_for(int fd, short events, int64_t until)
{
    for (;;) {
        int64_t left = until - now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > 0 ? (int)left : 0);

        if (n > 0)
            return 0;
        if (n == 0 || errno != EINTR)
            return -1;
    }
}

static int send_all(int fd, const void *p, size_t n, int64_t until)
{
    const char *at = p;

    while (n) {
        ssize_t sent;

        if (wait_for(fd, POLLOUT, until))
            return -1;
        sent = send(fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        if (sent > 0) {
            at += sent;
            n -= (size_t)sent;
        }
    }
    return 0;
}

static int receive_all(int fd, void *p, size_t n, int64_t until)
{
    char *at = p;

    while (n) {
        ssize_t got;

        if (wait_for(fd, POLLIN, until))
            return -1;
        got = recv(fd, at, n, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return -1;
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
    return 0;
}

static uint32_t big(uint32_t x)
{
    const unsigned char b[4] = {(unsigned char)(x >> 24),
                                (unsigned char)(x >> 16),
                                (unsigned char)(x >> 8), (unsigned char)x};

    memcpy(&x, b, sizeof x);
    return x;
}

static struct hello swapped(struct hello h)
{
    return (struct hello){big(h.magic), big(h.version), big(h.size),
                          big(h.rank)};
}

static int resolve(const struct launch *l, bool passive, struct addrinfo **out,
                   struct err *e)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = passive ? AI_PASSIVE : 0};
    char port[8];
    int rc;

    snprintf(port, sizeof port, "%d", l->port);
    rc = getaddrinfo(l->host, port, &hints, out);
    if (rc)
        return err_set(e, E_NET, "rank 0 at %s: %s", l->host, gai_strerror(rc));
    return 0;
}

/* ---- rank 0 ---- */

static int listen_at(const struct launch *l, int *out, struct err *e)
{
    struct addrinfo *list, *a;
    int fd = -1, on = 1, rc = resolve(l, true, &list, e);

    if (rc)
        return rc;
    for (a = list; a; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, SOMAXCONN))
            break;
        rc = errno;
        close(fd);
        errno = rc;
        fd = -1;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return err_set(e, E_NET, "listen on %s:%d: %s; set WITMILL_PORT",
                       l->host, l->port, strerror(errno));
    *out = fd;
    return 0;
}

/* One caller: counted when it is a rank that has not been here. */
static bool welcome(const struct launch *l, int fd, bool *seen,
                    const void *bytes, size_t n, int64_t until)
{
    int64_t soon = now_ms() + STRANGER_MS;
    struct hello h;
    uint32_t answer = WELCOME;

    if (soon < until)
        until = soon;
    if (receive_all(fd, &h, sizeof h, until))
        return false;
    h = swapped(h);
    if (h.magic != MAGIC || h.version != VERSION)
        return false;
    if (h.size != (uint32_t)l->size || !h.rank || h.rank >= h.size)
        answer = OTHER_SIZE;
    else if (seen[h.rank])
        answer = TWICE;
    answer = big(answer);
    if (send_all(fd, &answer, sizeof answer, until) || answer != big(WELCOME) ||
        send_all(fd, bytes, n, until))
        return false;
    seen[h.rank] = true;
    return true;
}

static int tell(const struct launch *l, const void *bytes, size_t n,
                int timeout_ms, struct err *e)
{
    int64_t until = now_ms() + timeout_ms;
    int fd = -1, came = 0, rc = listen_at(l, &fd, e);
    bool *seen;

    if (rc)
        return rc;
    seen = xcalloc((size_t)l->size, sizeof *seen);
    while (came < l->size - 1) {
        int caller;

        if (wait_for(fd, POLLIN, until)) {
            rc =
                err_set(e, E_NET,
                        "%d of %d ranks came to %s:%d within %d s; were all "
                        "started, and is the port open?",
                        came + 1, l->size, l->host, l->port, timeout_ms / 1000);
            break;
        }
        caller = accept(fd, NULL, NULL);
        if (caller < 0)
            continue;
        came += welcome(l, caller, seen, bytes, n, until);
        close(caller);
    }
    free(seen);
    close(fd);
    return rc;
}

/* ---- the others ---- */

/* A connection to one address, or -1; a host that drops what it gets is not
 * waited for longer than CONNECT_MS. */
static int connect_to(const struct addrinfo *a, int64_t until)
{
    int64_t soon = now_ms() + CONNECT_MS;
    socklen_t size = sizeof(int);
    int error = 0, fd;

    fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (!connect(fd, a->ai_addr, a->ai_addrlen) ||
        (errno == EINPROGRESS &&
         !wait_for(fd, POLLOUT, soon < until ? soon : until) &&
         !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) && !error))
        return fd;
    close(fd);
    return -1;
}

/* *out: a connection, or -1 where nobody listens yet. */
static int call(const struct launch *l, int64_t until, int *out, struct err *e)
{
    struct addrinfo *list, *a;
    int fd = -1, rc = resolve(l, false, &list, e);

    if (rc)
        return rc;
    for (a = list; a && fd < 0; a = a->ai_next)
        fd = connect_to(a, until);
    freeaddrinfo(list);
    *out = fd;
    return 0;
}

/* -E_BUSY: to be tried again; -E_RANGE: rank 0 wants none of us. */
static int hear(const struct launch *l, int fd, void *bytes, size_t n,
                int64_t until, struct err *e)
{
    struct hello h = swapped(
        (struct hello){MAGIC, VERSION, (uint32_t)l->size, (uint32_t)l->rank});
    uint32_t answer;

    if (send_all(fd, &h, sizeof h, until) ||
        receive_all(fd, &answer, sizeof answer, until))
        return -E_BUSY;
    if (big(answer) == OTHER_SIZE)
        return err_set(e, E_RANGE,
                       "rank 0 at %s:%d counts other ranks than %d of %d",
                       l->host, l->port, l->rank, l->size);
    if (big(answer) == TWICE)
        return err_set(e, E_RANGE, "rank %d met rank 0 at %s:%d twice", l->rank,
                       l->host, l->port);
    if (big(answer) != WELCOME)
        return err_set(e, E_NET, "who listens at %s:%d is not rank 0", l->host,
                       l->port);
    return receive_all(fd, bytes, n, until) ? -E_BUSY : 0;
}

/* A name that is not known yet is asked for again, too: a cluster's names come
 * up with its nodes. */
static int ask(const struct launch *l, void *bytes, size_t n, int timeout_ms,
               struct err *e)
{
    int64_t until = now_ms() + timeout_ms;

    for (;;) {
        struct err why = ERR_INIT;
        int fd = -1, rc = call(l, until, &fd, &why);

        if (fd >= 0) {
            rc = hear(l, fd, bytes, n, until, &why);
            close(fd);
            if (rc != -E_BUSY)
                return rc ? err_set(e, -rc, "%s", why.message) : 0;
        }
        if (now_ms() >= until)
            return err_set(e, E_NET,
                           "rank %d: nobody answers as rank 0 at %s:%d within "
                           "%d s%s%s",
                           l->rank, l->host, l->port, timeout_ms / 1000,
                           rc == -E_NET ? ": " : "",
                           rc == -E_NET ? why.message : "");
        poll(NULL, 0, RETRY_MS);
    }
}

int rendezvous_share(const struct launch *l, void *bytes, size_t n,
                     int timeout_ms, struct err *e)
{
    assert(n <= RENDEZVOUS_BYTES_MAX);
    if (l->size == 1)
        return 0;
    return l->rank ? ask(l, bytes, n, timeout_ms, e)
                   : tell(l, bytes, n, timeout_ms, e);
}
