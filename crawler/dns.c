#include "crawler/dns.h"

#include <ares.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/mem.h"

struct question {
    struct question *next; /* among the answered */
    struct dns *dns;
    dns_fn fn;
    void *ctx;
    struct dns_answer answer;
};

struct dns {
    ares_channel channel;
    struct question *answered; /* to be given out, oldest first */
    struct question **last;
    size_t asked; /* not answered yet */
    bool closing;
};

int dns_open(struct dns **out, const char *servers, uint64_t timeout_ms,
             struct err *e)
{
    struct ares_options o;
    struct dns *d;
    char lookups[] = "b"; /* a given server is asked, not /etc/hosts */
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES, rc;

    rc = ares_library_init(ARES_LIB_INIT_ALL);
    if (rc != ARES_SUCCESS)
        return err_set(e, E_NET, "c-ares: %s", ares_strerror(rc));
    memset(&o, 0, sizeof o);
    o.flags = ARES_FLAG_NOSEARCH;
    o.tries = 3;
    /* c-ares doubles its patience with each try: 1 + 2 + 4 = 7 parts. */
    o.timeout = (int)(timeout_ms / 7 > 0 ? timeout_ms / 7 : 1);
    if (servers) {
        o.lookups = lookups;
        mask |= ARES_OPT_LOOKUPS;
    }
    d = xcalloc(1, sizeof *d);
    d->last = &d->answered;
    rc = ares_init_options(&d->channel, &o, mask);
    if (rc != ARES_SUCCESS) {
        free(d);
        ares_library_cleanup();
        return err_set(e, E_NET, "c-ares: %s", ares_strerror(rc));
    }
    if (servers) {
        rc = ares_set_servers_ports_csv(d->channel, servers);
        if (rc != ARES_SUCCESS) {
            dns_close(d);
            return err_set(e, E_USAGE, "DNS servers \"%s\": %s", servers,
                           ares_strerror(rc));
        }
    }
    *out = d;
    return 0;
}

void dns_close(struct dns *d)
{
    if (!d)
        return;
    d->closing = true;
    ares_destroy(d->channel); /* answers every question with EDESTRUCTION */
    while (d->answered) {
        struct question *q = d->answered;

        d->answered = q->next;
        free(q);
    }
    free(d);
    ares_library_cleanup();
}

static void keep(struct dns_answer *a, const struct ares_addrinfo *info,
                 int family)
{
    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
        if (n->ai_family != family || a->n == DNS_ADDRS_MAX)
            continue;
        if (!netguard_from_sockaddr(n->ai_addr, &a->addrs[a->n]))
            continue;
        a->n++;
        if (n->ai_ttl >= 0 && (uint32_t)n->ai_ttl < a->ttl_s)
            a->ttl_s = (uint32_t)n->ai_ttl;
    }
}

static void on_answer(void *arg, int status, int timeouts,
                      struct ares_addrinfo *info)
{
    struct question *q = arg;
    struct dns *d = q->dns;

    (void)timeouts;
    if (info && status == ARES_SUCCESS) {
        q->answer.ttl_s = UINT32_MAX;
        keep(&q->answer, info, AF_INET);
        keep(&q->answer, info, AF_INET6);
    }
    if (info)
        ares_freeaddrinfo(info);
    if (q->answer.n)
        q->answer.result = DNS_FOUND;
    else if (status == ARES_SUCCESS || status == ARES_ENOTFOUND ||
             status == ARES_ENODATA || status == ARES_EBADNAME)
        q->answer.result = DNS_NO_HOST;
    else
        q->answer.result = DNS_FAILED;
    d->asked--;
    if (d->closing) {
        free(q);
        return;
    }
    q->next = NULL;
    *d->last = q;
    d->last = &q->next;
}

void dns_lookup(struct dns *d, const char *name, dns_fn fn, void *ctx)
{
    struct ares_addrinfo_hints hints;
    struct question *q = xcalloc(1, sizeof *q);

    q->dns = d;
    q->fn = fn;
    q->ctx = ctx;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    /* Sorting by RFC 6724 would connect a socket to each address. */
    hints.ai_flags = ARES_AI_NOSORT;
    d->asked++;
    ares_getaddrinfo(d->channel, name, NULL, &hints, on_answer, q);
}

size_t dns_fds(struct dns *d, struct dns_fd *fds)
{
    ares_socket_t socks[DNS_FDS_MAX];
    /* c-ares' macros for these bits shift a signed 1 out of its range */
    uint32_t bits = (uint32_t)ares_getsock(d->channel, socks, DNS_FDS_MAX);
    size_t n = 0;

    for (int i = 0; i < DNS_FDS_MAX; i++) {
        bool in = bits >> i & 1;
        bool out = bits >> (i + ARES_GETSOCK_MAXNUM) & 1;

        if (in || out)
            fds[n++] = (struct dns_fd){socks[i], in, out};
    }
    return n;
}

uint64_t dns_wait_ms(struct dns *d, uint64_t at_most_ms)
{
    struct timeval tv, *t;
    uint64_t ms;

    if (d->answered)
        return 0;
    if (!d->asked)
        return at_most_ms;
    t = ares_timeout(d->channel, NULL, &tv);
    if (!t)
        return at_most_ms;
    ms = (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000 + 1;
    return ms < at_most_ms ? ms : at_most_ms;
}

void dns_turn(struct dns *d, const struct dns_fd *fds, size_t n)
{
    struct question *q;

    for (size_t i = 0; i < n; i++)
        ares_process_fd(d->channel, fds[i].in ? fds[i].fd : ARES_SOCKET_BAD,
                        fds[i].out ? fds[i].fd : ARES_SOCKET_BAD);
    if (d->asked)
        ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    while ((q = d->answered) != NULL) {
        d->answered = q->next;
        if (!d->answered)
            d->last = &d->answered;
        q->fn(q->ctx, &q->answer);
        free(q);
    }
}
