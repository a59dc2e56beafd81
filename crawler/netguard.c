#include "crawler/netguard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct prefix4 {
    uint32_t net;
    unsigned bits;
};

/* IANA IPv4 Special-Purpose Address Registry, what is not globally reachable
 * there, with multicast and reserved space. */
static const struct prefix4 closed4[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared address space, RFC 6598 */
    {0x7f000000, 8},  /* loopback */
    {0xa83f8110, 32}, /* 168.63.129.16: Azure's own service address */
    {0xa9fe0000, 16}, /* link local, cloud metadata */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* IETF protocol assignments */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays, withdrawn */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarking */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 4},  /* multicast */
    {0xf0000000, 4},  /* reserved, broadcast */
};

struct prefix6 {
    uint8_t net[16];
    unsigned bits;
};

/* Inside 2000::/3, all that is global unicast today. */
static const struct prefix6 closed6[] = {
    {{0x20, 0x01}, 23},             /* protocol assignments, Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff}, 20},             /* documentation, RFC 9637 */
};

/* IPv6 prefixes that carry an IPv4 address, and where in the bytes. */
static const struct {
    uint8_t net[16];
    unsigned bits, at;
} carriers[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 12}, /* mapped */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},                   /* NAT64 */
    {{0x20, 0x02}, 16, 2},                                /* 6to4 */
};

#define MAPPED   0 /* index in carriers */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (uint8_t)((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool public4(const uint8_t *b)
{
    uint32_t v = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
                 (uint32_t)b[2] << 8 | b[3];

    for (size_t i = 0; i < COUNT(closed4); i++) {
        unsigned shift = 32 - closed4[i].bits;

        if (v >> shift == closed4[i].net >> shift)
            return false;
    }
    return true;
}

bool netguard_public(const struct netguard_addr *a)
{
    if (!a->v6)
        return public4(a->bytes);
    for (size_t i = 0; i < COUNT(carriers); i++)
        if (same_bits(a->bytes, carriers[i].net, carriers[i].bits))
            return public4(a->bytes + carriers[i].at);
    if (a->bytes[0] >> 5 != 1) /* 2000::/3 */
        return false;
    for (size_t i = 0; i < COUNT(closed6); i++)
        if (same_bits(a->bytes, closed6[i].net, closed6[i].bits))
            return false;
    return true;
}

static struct netguard_addr unmapped(const struct netguard_addr *a)
{
    struct netguard_addr v = *a;

    if (!a->v6 || !same_bits(a->bytes, carriers[MAPPED].net, 96))
        return v;
    memset(&v, 0, sizeof v);
    memcpy(v.bytes, a->bytes + 12, 4);
    return v;
}

bool netguard_allowed(const struct netguard *g, const struct netguard_addr *a)
{
    struct netguard_addr v = unmapped(a);

    for (unsigned i = 0; i < g->n; i++)
        if (g->nets[i].addr.v6 == v.v6 &&
            same_bits(g->nets[i].addr.bytes, v.bytes, g->nets[i].bits))
            return true;
    return false;
}

bool netguard_permits(const struct netguard *g, const struct netguard_addr *a)
{
    return netguard_public(a) || netguard_allowed(g, a);
}

bool netguard_port(unsigned port)
{
    return port == 80 || port == 443 || port == 8080 || port == 8443;
}

void netguard_init(struct netguard *g)
{
    memset(g, 0, sizeof *g);
}

int netguard_allow(struct netguard *g, const char *cidr, struct err *e)
{
    struct str s = str_of(cidr);
    size_t slash = str_find_char(s, '/', 0);
    struct netguard_net net;
    uint64_t bits;

    memset(&net, 0, sizeof net);
    if (!netguard_parse(str_slice(s, 0, slash), &net.addr))
        return err_set(e, E_USAGE, "--allow-net %s: not an address", cidr);
    bits = net.addr.v6 ? 128 : 32;
    if (slash != SIZE_MAX && (str_u64(str_slice(s, slash + 1, s.n), &bits) ||
                              bits > (net.addr.v6 ? 128u : 32u)))
        return err_set(e, E_USAGE, "--allow-net %s: not a prefix length", cidr);
    if (g->n == NETGUARD_NETS_MAX)
        return err_set(e, E_USAGE, "more than %d times --allow-net",
                       NETGUARD_NETS_MAX);
    net.bits = (unsigned)bits;
    g->nets[g->n++] = net;
    return 0;
}

bool netguard_parse(struct str text, struct netguard_addr *a)
{
    char z[NETGUARD_TEXT_MAX];

    memset(a, 0, sizeof *a);
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, '\0', text.n))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, a->bytes) == 1)
        return true;
    a->v6 = inet_pton(AF_INET6, z, a->bytes) == 1;
    return a->v6;
}

/* One part of a numeric host: decimal, 0octal or 0xhex. */
static bool number_part(struct str s, uint64_t *v)
{
    unsigned base = 10;

    *v = 0;
    if (s.n >= 2 && s.p[0] == '0' && str_lower_char(s.p[1]) == 'x') {
        base = 16;
        s = str_slice(s, 2, s.n);
    } else if (s.n >= 2 && s.p[0] == '0') {
        base = 8;
    }
    if (s.n == 0)
        return base == 16; /* "0x" is zero */
    for (size_t i = 0; i < s.n; i++) {
        int d = str_hex_digit(s.p[i]);

        if (d < 0 || (unsigned)d >= base || *v > UINT32_MAX)
            return false;
        *v = *v * base + (unsigned)d;
    }
    return true;
}

/* Digits alone, or 0x and hex digits: what a name never ends with. */
static bool looks_numeric(struct str s)
{
    uint64_t v;

    if (s.n && str_is_digit(s.p[0])) {
        size_t i = 0;

        while (i < s.n && str_is_digit(s.p[i]))
            i++;
        if (i == s.n)
            return true;
    }
    return s.n >= 2 && s.p[0] == '0' && str_lower_char(s.p[1]) == 'x' &&
           (number_part(s, &v) || v > UINT32_MAX);
}

static int number_host(struct str host, struct netguard_addr *a)
{
    uint64_t part[4], v = 0;
    unsigned n = 0;
    struct str rest = host, field;

    while (str_split(&rest, '.', &field)) {
        if (n == 4 || field.n == 0 || !number_part(field, &part[n]))
            return -E_FORMAT;
        n++;
    }
    for (unsigned i = 0; i + 1 < n; i++) {
        if (part[i] > 255)
            return -E_FORMAT;
        v |= part[i] << (24 - 8 * i);
    }
    /* The last part fills all bytes that are left. */
    if (part[n - 1] >= (uint64_t)1 << (8 * (5 - n)))
        return -E_FORMAT;
    v |= part[n - 1];
    for (unsigned i = 0; i < 4; i++)
        a->bytes[i] = (uint8_t)(v >> (24 - 8 * i));
    return 1;
}

int netguard_literal(struct str host, struct netguard_addr *a)
{
    size_t last = 0;

    memset(a, 0, sizeof *a);
    if (host.n == 0)
        return -E_FORMAT;
    if (host.p[0] == '[') {
        if (host.n < 3 || host.p[host.n - 1] != ']')
            return -E_FORMAT;
        return netguard_parse(str_slice(host, 1, host.n - 1), a) && a->v6
                   ? 1
                   : -E_FORMAT;
    }
    if (host.p[host.n - 1] == '.') /* the root label */
        host.n--;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] == '.')
            last = i + 1;
    if (!looks_numeric(str_slice(host, last, host.n)))
        return host.n ? 0 : -E_FORMAT;
    return number_host(host, a);
}

bool netguard_from_sockaddr(const struct sockaddr *sa, struct netguard_addr *a)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    memset(a, 0, sizeof *a);
    if (sa->sa_family == AF_INET) {
        memcpy(&in4, sa, sizeof in4);
        memcpy(a->bytes, &in4.sin_addr, 4);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        memcpy(&in6, sa, sizeof in6);
        memcpy(a->bytes, &in6.sin6_addr, 16);
        a->v6 = true;
        return true;
    }
    return false;
}

void netguard_text(const struct netguard_addr *a, char *out)
{
    if (!inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->bytes, out,
                   NETGUARD_TEXT_MAX))
        out[0] = '\0';
}

bool netguard_same(const struct netguard_addr *a, const struct netguard_addr *b)
{
    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, a->v6 ? 16 : 4) == 0;
}
