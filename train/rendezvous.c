#include "train/rendezvous_wire.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define RETRY_MS   50
#define CONNECT_MS 5000 /* for an address to answer */

/* ---- the wire ---- */

int64_t wire_now_ms(void)
{
    return (int64_t)(clock_mono_ns() / 1000000);
}

int wire_wait(int fd, short events, int64_t until)
{
    for (;;) {
        int64_t left = until - wire_now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > 0 ? (int)left : 0);

        if (n > 0)
            return 0;
        if (n == 0 || errno != EINTR)
            return -1;
    }
}

int wire_send(int fd, const void *p, size_t n, int64_t until)
{
    const char *at = p;

    while (n) {
        ssize_t sent;

        if (wire_wait(fd, POLLOUT, until))
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

int wire_receive(int fd, void *p, size_t n, int64_t until)
{
    char *at = p;

    while (n) {
        ssize_t got;

        if (wire_wait(fd, POLLIN, until))
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

uint32_t wire_big(uint32_t x)
{
    const unsigned char b[4] = {(unsigned char)(x >> 24),
                                (unsigned char)(x >> 16),
                                (unsigned char)(x >> 8), (unsigned char)x};

    memcpy(&x, b, sizeof x);
    return x;
}

struct hello wire_swapped(struct hello h)
{
    return (struct hello){wire_big(h.magic),      wire_big(h.version),
                          wire_big(h.size),       wire_big(h.rank),
                          wire_big(h.mine_bytes), wire_big(h.answer_bytes)};
}

int wire_resolve(const struct launch *l, bool passive, struct addrinfo **out,
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

/* ---- a rank that is not 0 ---- */

/* A connection to one address, or -1; a host that drops what it gets is not
 * waited for longer than CONNECT_MS. */
static int connect_to(const struct addrinfo *a, int64_t until)
{
    int64_t soon = wire_now_ms() + CONNECT_MS;
    socklen_t size = sizeof(int);
    int error = 0, fd;

    fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (!connect(fd, a->ai_addr, a->ai_addrlen) ||
        (errno == EINPROGRESS &&
         !wire_wait(fd, POLLOUT, soon < until ? soon : until) &&
         !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) && !error))
        return fd;
    close(fd);
    return -1;
}

/* *out: a connection, or -1 where nobody listens yet. */
static int call(const struct launch *l, int64_t until, int *out, struct err *e)
{
    struct addrinfo *list, *a;
    int fd = -1, rc = wire_resolve(l, false, &list, e);

    if (rc)
        return rc;
    for (a = list; a && fd < 0; a = a->ai_next)
        fd = connect_to(a, until);
    freeaddrinfo(list);
    *out = fd;
    return 0;
}

/* -E_BUSY: to be tried again; -E_RANGE: rank 0 wants none of us. */
static int hear(const struct launch *l, const struct rendezvous *r, int fd,
                int64_t until, struct err *e)
{
    struct hello h = wire_swapped((struct hello){
        WIRE_MAGIC, WIRE_VERSION, (uint32_t)l->size, (uint32_t)l->rank,
        (uint32_t)r->mine_bytes, (uint32_t)r->answer_bytes});
    uint32_t hail;

    if (wire_send(fd, &h, sizeof h, until) ||
        wire_send(fd, r->mine, r->mine_bytes, until) ||
        wire_receive(fd, &hail, sizeof hail, until))
        return -E_BUSY;
    switch (wire_big(hail)) {
    case WELCOME:
        return wire_receive(fd, r->answer, r->answer_bytes, until) ? -E_BUSY
                                                                   : 0;
    case OTHER_SIZE:
        return err_set(e, E_RANGE,
                       "rank 0 at %s:%d counts other ranks than %d of %d, or "
                       "is another version",
                       l->host, l->port, l->rank, l->size);
    case TWICE:
        return err_set(e, E_RANGE, "rank %d met rank 0 at %s:%d twice", l->rank,
                       l->host, l->port);
    case LATE:
        return err_set(e, E_NET,
                       "rank %d: rank 0 at %s:%d waited for other ranks, and "
                       "they did not come",
                       l->rank, l->host, l->port);
    }
    return err_set(e, E_NET, "who listens at %s:%d is not rank 0", l->host,
                   l->port);
}

/* A name that is not known yet is asked for again, too: a cluster's names come
 * up with its nodes. */
static int ask(const struct launch *l, const struct rendezvous *r,
               struct err *e)
{
    int64_t until = wire_now_ms() + r->timeout_ms;

    for (;;) {
        struct err why = ERR_INIT;
        int fd = -1, rc = call(l, until, &fd, &why);

        if (fd >= 0) {
            rc = hear(l, r, fd, until, &why);
            close(fd);
            if (rc != -E_BUSY)
                return rc ? err_set(e, -rc, "%s", why.message) : 0;
        }
        if (wire_now_ms() >= until)
            return err_set(e, E_NET,
                           "rank %d: nobody answers as rank 0 at %s:%d within "
                           "%d s%s%s",
                           l->rank, l->host, l->port, r->timeout_ms / 1000,
                           rc == -E_NET ? ": " : "",
                           rc == -E_NET ? why.message : "");
        poll(NULL, 0, RETRY_MS);
    }
}

int rendezvous(const struct launch *l, const struct rendezvous *r,
               struct err *e)
{
    assert(r->mine_bytes <= RENDEZVOUS_BYTES_MAX &&
           r->answer_bytes <= RENDEZVOUS_BYTES_MAX);
    if (!l->host[0])
        return err_set(e, E_RANGE,
                       "%d ranks by %s, and nothing says where rank 0 is; set "
                       "WITMILL_HOST to its address",
                       l->size, l->by);
    if (!l->rank)
        return rendezvous_serve(l, r, e);
    return ask(l, r, e);
}
