/*
 * netguard - which addresses and ports a crawler may connect to.
 *
 * Model.   A link, a redirect or a DNS answer can point at the machine itself,
 *          at the network it stands in, or at a cloud's metadata service.  So
 *          the decision is made on addresses, never on the spelling of a host:
 *          only what IANA lists as globally reachable unicast is permitted,
 *          plus the nets of --allow-net.  An IPv4 address inside an IPv6 one
 *          (mapped, NAT64, 6to4) is judged as the IPv4 address it reaches.
 * Owns.    Nothing; struct netguard is plain data.
 * Fails.   -E_USAGE for a malformed CIDR.
 * Threads. Pure, once the nets are set.
 * Cost.    A walk over some 40 prefixes.
 */
#ifndef CRAWLER_NETGUARD_H
#define CRAWLER_NETGUARD_H

#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NETGUARD_NETS_MAX 32
#define NETGUARD_TEXT_MAX 46 /* an address as text, terminator included */

struct netguard_addr {
    uint8_t bytes[16]; /* network order; IPv4 in the first four */
    bool v6;
};

struct netguard_net {
    struct netguard_addr addr;
    unsigned bits; /* 0..32 or 0..128 */
};

struct netguard {
    struct netguard_net nets[NETGUARD_NETS_MAX]; /* --allow-net */
    unsigned n;
};

void netguard_init(struct netguard *g);

/* "127.0.0.0/8", "::1/128", or an address alone for just that one. */
int netguard_allow(struct netguard *g, const char *cidr, struct err *e);

/* Globally reachable unicast. */
bool netguard_public(const struct netguard_addr *a);

/* Inside a net of --allow-net; a mapped address counts as its IPv4. */
bool netguard_allowed(const struct netguard *g, const struct netguard_addr *a);

/* What a connection asks: public or allowed. */
bool netguard_permits(const struct netguard *g, const struct netguard_addr *a);

/* 80, 443, 8080, 8443: what web servers use, and no mail or database does. */
bool netguard_port(unsigned port);

/* The canonical text form of an address: dotted quad, RFC 4291 groups. */
bool netguard_parse(struct str text, struct netguard_addr *a);

/*
 * A URL's host as an address.  1: it is one, in any spelling that resolvers
 * take (0x7f.1, 017700000001, 2130706433, 127.1, [::1]); 0: it is a name;
 * -E_FORMAT: it ends like a number but is no address, so nobody may look it
 * up.
 */
int netguard_literal(struct str host, struct netguard_addr *a);

/* False for families other than AF_INET and AF_INET6. */
bool netguard_from_sockaddr(const struct sockaddr *sa, struct netguard_addr *a);

/* Into out[NETGUARD_TEXT_MAX]; IPv6 without brackets. */
void netguard_text(const struct netguard_addr *a, char *out);

bool netguard_same(const struct netguard_addr *a,
                   const struct netguard_addr *b);

#endif
