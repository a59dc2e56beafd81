/*
 * dns - names to addresses, without ever blocking the loop.
 *
 * Model.   The door to c-ares.  dns_lookup() asks for A and AAAA; the answer
 *          comes from a later dns_turn(), never from inside dns_lookup().  No
 *          search domains: a name means the same on every network.  Which of
 *          the addresses may be used is not decided here (crawler/netguard).
 * Owns.    Its channel and the questions under way.
 * Fails.   dns_open: -E_USAGE for servers that are none, -E_NET.
 * Threads. One, the fetcher's.
 */
#ifndef CRAWLER_DNS_H
#define CRAWLER_DNS_H

#include "base/err.h"
#include "crawler/netguard.h"
#include <stddef.h>
#include <stdint.h>

#define DNS_ADDRS_MAX 8  /* addresses kept of an answer, IPv4 first */
#define DNS_FDS_MAX   16 /* sockets in use at a time */

enum dns_result {
    DNS_FOUND,
    DNS_NO_HOST, /* the name does not exist or has no address */
    DNS_FAILED   /* nobody could say; ask again later */
};

struct dns_answer {
    enum dns_result result;
    struct netguard_addr addrs[DNS_ADDRS_MAX];
    size_t n;
    uint32_t ttl_s; /* smallest of the records */
};

struct dns_fd {
    int fd;
    bool in, out; /* to be watched for; after waiting: is ready */
};

typedef void (*dns_fn)(void *ctx, const struct dns_answer *a);

struct dns;

/* servers: "ADDR:PORT,..." or NULL for the system's configuration. */
int dns_open(struct dns **d, const char *servers, uint64_t timeout_ms,
             struct err *e);
void dns_close(struct dns *d); /* questions are dropped unanswered */

/* fn(ctx, answer) once, from dns_turn(). */
void dns_lookup(struct dns *d, const char *name, dns_fn fn, void *ctx);

/* What to wait for: sockets into fds[DNS_FDS_MAX], and at most how long. */
size_t dns_fds(struct dns *d, struct dns_fd *fds);
uint64_t dns_wait_ms(struct dns *d, uint64_t at_most_ms);

/* Work on ready sockets and time-outs, then give the answers out. */
void dns_turn(struct dns *d, const struct dns_fd *fds, size_t n);

#endif
