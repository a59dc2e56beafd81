/* Rank 0's end: all who call are listened to at once. */
#include "train/rendezvous_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define STRANGERS   128  /* who have not said yet who they are, at a time */
#define STRANGER_MS 2000 /* for saying it */
#define ANSWER_MS   2000 /* for an answer to be taken */
#define PAUSE_MS    100  /* when no more files can be opened */
#define FILES_ELSE  64   /* that a process has open beside */

struct caller {
    int fd;
    int rank;      /* 0: has not said it */
    int64_t until; /* for saying it */
    size_t got;    /* bytes of words */
    char *words;   /* hello, and what the rank has to say */
};

struct server {
    const struct launch *l;
    const struct rendezvous *r;
    int fd;
    int came;           /* ranks, this one left out */
    int n, strangers;   /* callers, and those whose rank is 0 */
    bool *seen;         /* [size] */
    char *all;          /* [size * mine_bytes] */
    struct caller *who; /* [size + STRANGERS], the oldest first */
    struct pollfd *p;   /* [1 + the same] */
    int64_t deaf_until; /* nobody is let in before */
};

/* ---- where to listen ---- */

static int listen_one(const struct addrinfo *a)
{
    int on = 1, off = 0, saved;
    int fd =
        socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, SOMAXCONN))
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* At all of this machine's addresses. */
static int listen_everywhere(int port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                               .sin6_addr = IN6ADDR_ANY_INIT,
                               .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_ANY),
                               .sin_port = htons((uint16_t)port)};
    int fd = listen_one(&(struct addrinfo){.ai_family = AF_INET6,
                                           .ai_socktype = SOCK_STREAM,
                                           .ai_addr = (struct sockaddr *)&six,
                                           .ai_addrlen = sizeof six});

    if (fd >= 0)
        return fd;
    return listen_one(&(struct addrinfo){.ai_family = AF_INET,
                                         .ai_socktype = SOCK_STREAM,
                                         .ai_addr = (struct sockaddr *)&four,
                                         .ai_addrlen = sizeof four});
}

static bool is_loopback(const struct addrinfo *a)
{
    if (a->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)a->ai_addr;

        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    return a->ai_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(
               &((const struct sockaddr_in6 *)(const void *)a->ai_addr)
                    ->sin6_addr);
}

/* Ranks elsewhere call an address of this machine that the name has there, not
 * the one it has here. */
static int listen_at(const struct launch *l, int *out, struct err *e)
{
    bool elsewhere = l->here != l->size;
    struct addrinfo *list = NULL, *a;
    struct err why = ERR_INIT;
    int fd = -1, rc = wire_resolve(l, true, &list, &why);

    if (rc && !elsewhere)
        return err_set(e, -rc, "%s", why.message);
    for (a = list; a && fd < 0; a = a->ai_next)
        if (!elsewhere || !is_loopback(a))
            fd = listen_one(a);
    if (list)
        freeaddrinfo(list);
    if (fd < 0 && elsewhere)
        fd = listen_everywhere(l->port);
    if (fd < 0)
        return err_set(e, E_NET, "listen on %s:%d: %s; set WITMILL_PORT",
                       l->host, l->port, strerror(errno));
    *out = fd;
    return 0;
}

/* ---- callers ---- */

static void hang_up(struct server *s, int i)
{
    struct caller *c = &s->who[i];

    if (c->rank) {
        s->seen[c->rank] = false;
        s->came--;
    } else {
        s->strangers--;
    }
    close(c->fd);
    free(c->words);
    memmove(c, c + 1, (size_t)(--s->n - i) * sizeof *c);
}

static int oldest_stranger(const struct server *s)
{
    for (int i = 0; i < s->n; i++)
        if (!s->who[i].rank)
            return i;
    return -1;
}

static void let_in(struct server *s)
{
    for (int i = 0; i < STRANGERS; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        bool full = fd < 0 && (errno == EMFILE || errno == ENFILE ||
                               errno == ENOBUFS || errno == ENOMEM);

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if ((full && s->strangers) || (fd >= 0 && s->strangers == STRANGERS))
            hang_up(s, oldest_stranger(s));
        if (full)
            s->deaf_until = wire_now_ms() + PAUSE_MS;
        if (fd < 0)
            return;
        s->who[s->n++] = (struct caller){
            .fd = fd,
            .until = wire_now_ms() + STRANGER_MS,
            .words = xmalloc(sizeof(struct hello) + s->r->mine_bytes)};
        s->strangers++;
    }
}

static int hail(int fd, enum hail word)
{
    uint32_t x = wire_big(word);

    return wire_send(fd, &x, sizeof x, wire_now_ms() + ANSWER_MS);
}

/* Whether to go on listening to one who has said all. */
static bool welcome(struct server *s, struct caller *c)
{
    struct hello h;

    memcpy(&h, c->words, sizeof h);
    h = wire_swapped(h);
    if (h.size != (uint32_t)s->l->size || !h.rank || h.rank >= h.size ||
        h.answer_bytes != s->r->answer_bytes) {
        hail(c->fd, OTHER_SIZE);
        return false;
    }
    if (s->seen[h.rank]) {
        hail(c->fd, TWICE);
        return false;
    }
    c->rank = (int)h.rank;
    s->strangers--;
    s->seen[h.rank] = true;
    s->came++;
    memcpy(s->all + h.rank * s->r->mine_bytes, c->words + sizeof h,
           s->r->mine_bytes);
    return true;
}

/* false: it is not, or no more, one of ours. */
static bool listen_to(struct server *s, struct caller *c)
{
    size_t hello = sizeof(struct hello), want = hello + s->r->mine_bytes;
    struct hello h;
    char more;
    ssize_t got;

    if (c->rank) /* they have nothing to say but that they go */
        return recv(c->fd, &more, 1, MSG_DONTWAIT) < 0 &&
               (errno == EAGAIN || errno == EINTR);
    got = recv(c->fd, c->words + c->got, want - c->got, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    c->got += (size_t)got;
    if (c->got < hello)
        return true;
    memcpy(&h, c->words, hello);
    h = wire_swapped(h);
    if (h.magic != WIRE_MAGIC)
        return false;
    if (h.version != WIRE_VERSION || h.mine_bytes != s->r->mine_bytes) {
        hail(c->fd, OTHER_SIZE);
        return false;
    }
    return c->got < want || welcome(s, c);
}

/* ---- until all are there ---- */

/* When poll() has to come back at the latest. */
static int64_t soonest(const struct server *s, int64_t until)
{
    int i = oldest_stranger(s);

    if (i >= 0 && s->who[i].until < until)
        until = s->who[i].until;
    if (s->deaf_until > wire_now_ms() && s->deaf_until < until)
        until = s->deaf_until;
    return until;
}

static void round_of(struct server *s, int64_t until)
{
    int64_t now = wire_now_ms(), left;
    int n = s->n;

    s->p[0] = (struct pollfd){.fd = now < s->deaf_until ? -1 : s->fd,
                              .events = POLLIN};
    for (int i = 0; i < n; i++)
        s->p[1 + i] = (struct pollfd){.fd = s->who[i].fd, .events = POLLIN};
    left = soonest(s, until) - now;
    if (poll(s->p, (nfds_t)n + 1, left > 0 ? (int)left : 0) < 0)
        return;
    now = wire_now_ms();
    for (int i = n - 1; i >= 0; i--)
        if ((s->p[1 + i].revents && !listen_to(s, &s->who[i])) ||
            (!s->who[i].rank && now >= s->who[i].until))
            hang_up(s, i);
    if (s->p[0].revents)
        let_in(s);
}

static void answer_all(struct server *s)
{
    const struct rendezvous *r = s->r;

    memcpy(s->all, r->mine, r->mine_bytes);
    if (r->judge)
        r->judge(r->ctx, s->all, s->l->size, r->answer);
    for (int i = 0; i < s->n; i++)
        if (s->who[i].rank && !hail(s->who[i].fd, WELCOME))
            wire_send(s->who[i].fd, r->answer, r->answer_bytes,
                      wire_now_ms() + ANSWER_MS);
}

/* Every rank keeps a socket open here until all have come. */
static int room_for(const struct launch *l, struct err *e)
{
    rlim_t want = (rlim_t)l->size + STRANGERS + FILES_ELSE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want)
        return 0;
    if (want > limit.rlim_max)
        want = limit.rlim_max;
    limit.rlim_cur = want;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (want < (rlim_t)l->size + FILES_ELSE)
        return err_set(e, E_RANGE,
                       "%d ranks call rank 0, and it may open %llu files; "
                       "raise the limit (ulimit -n)",
                       l->size, (unsigned long long)want);
    return 0;
}

int rendezvous_serve(const struct launch *l, const struct rendezvous *r,
                     struct err *e)
{
    int64_t until = wire_now_ms() + r->timeout_ms;
    size_t most = (size_t)l->size + STRANGERS;
    struct server s = {.l = l, .r = r};
    int rc = room_for(l, e);

    if (!rc)
        rc = listen_at(l, &s.fd, e);
    if (rc)
        return rc;
    s.seen = xcalloc((size_t)l->size, sizeof *s.seen);
    s.all = xcalloc((size_t)l->size, r->mine_bytes ? r->mine_bytes : 1);
    s.who = xcalloc(most, sizeof *s.who);
    s.p = xcalloc(1 + most, sizeof *s.p);
    while (s.came < l->size - 1 && wire_now_ms() < until)
        round_of(&s, until);
    if (s.came == l->size - 1) {
        answer_all(&s);
    } else {
        rc = err_set(e, E_NET,
                     "%d of %d ranks came to %s:%d within %d s; were all "
                     "started, and is the port open?",
                     s.came + 1, l->size, l->host, l->port,
                     r->timeout_ms / 1000);
        for (int i = 0; i < s.n; i++)
            if (s.who[i].rank)
                hail(s.who[i].fd, LATE);
    }
    while (s.n)
        hang_up(&s, s.n - 1);
    free(s.seen);
    free(s.all);
    free(s.who);
    free(s.p);
    close(s.fd);
    return rc;
}
