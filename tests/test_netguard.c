#include "crawler/netguard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Edges of every block from both sides, and what hides inside IPv6. */
static const struct {
    const char *text;
    bool open;
} addresses[] = {
    {"0.0.0.0", false},
    {"0.255.255.255", false},
    {"1.0.0.0", true},
    {"1.1.1.1", true},
    {"8.8.8.8", true},
    {"9.255.255.255", true},
    {"10.0.0.0", false},
    {"10.255.255.255", false},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.64.0.0", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"126.255.255.255", true},
    {"127.0.0.1", false},
    {"127.255.255.255", false},
    {"128.0.0.0", true},
    {"168.63.129.15", true},
    {"168.63.129.16", false},
    {"168.63.129.17", true},
    {"169.253.255.255", true},
    {"169.254.169.254", false},
    {"169.255.0.0", true},
    {"172.15.255.255", true},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"172.32.0.0", true},
    {"192.0.0.8", false},
    {"192.0.1.0", true},
    {"192.0.2.1", false},
    {"192.0.3.0", true},
    {"192.88.99.1", false},
    {"192.167.255.255", true},
    {"192.168.0.1", false},
    {"192.169.0.0", true},
    {"198.17.255.255", true},
    {"198.18.0.0", false},
    {"198.19.255.255", false},
    {"198.20.0.0", true},
    {"198.51.100.7", false},
    {"203.0.113.9", false},
    {"203.0.114.0", true},
    {"223.255.255.255", true},
    {"224.0.0.1", false},
    {"239.255.255.255", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"::", false},
    {"::1", false},
    {"::7f00:1", false},
    {"::808:808", false},
    {"::ffff:127.0.0.1", false},
    {"::ffff:7f00:1", false},
    {"::ffff:10.1.2.3", false},
    {"::ffff:8.8.8.8", true},
    {"64:ff9b::7f00:1", false},
    {"64:ff9b::808:808", true},
    {"64:ff9b:1::808:808", false},
    {"100::1", false},
    {"2001::1", false},
    {"2001:1ff::1", false},
    {"2001:200::1", true},
    {"2001:db8::1", false},
    {"2001:db9::1", true},
    {"2002:7f00:1::1", false},
    {"2002:a00:1::1", false},
    {"2002:808:808::1", true},
    {"2606:4700::1111", true},
    {"2a00:1450::5", true},
    {"3fff::1", false},
    {"3fff:fff::1", false},
    {"3fff:1000::1", true},
    {"4000::1", false},
    {"5f00::1", false},
    {"fc00::1", false},
    {"fd12:3456::1", false},
    {"fe80::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
    {"1fff::1", false},
};

static struct netguard_addr parse(const char *text)
{
    struct netguard_addr a;

    if (!netguard_parse(str_of(text), &a))
        fail_msg("%s does not parse", text);
    return a;
}

static void test_netguard__public_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct netguard_addr a = parse(addresses[i].text);

        if (netguard_public(&a) != addresses[i].open)
            fail_msg("%s: expected %s", addresses[i].text,
                     addresses[i].open ? "open" : "closed");
    }
}

static void test_netguard__host_spellings(void **state)
{
    static const struct {
        const char *host;
        int rc;
        const char *addr;
    } hosts[] = {
        {"example.org", 0, NULL},
        {"127.0.0.1.example.org", 0, NULL},
        {"1e100.net", 0, NULL},
        {"localhost", 0, NULL},
        {"3com", 0, NULL},
        {"0xyz", 0, NULL},
        {"127.0.0.1", 1, "127.0.0.1"},
        {"127.0.0.1.", 1, "127.0.0.1"},
        {"127.1", 1, "127.0.0.1"},
        {"127.0.1", 1, "127.0.0.1"},
        {"0x7f.1", 1, "127.0.0.1"},
        {"0x7F000001", 1, "127.0.0.1"},
        {"017700000001", 1, "127.0.0.1"},
        {"2130706433", 1, "127.0.0.1"},
        {"0177.0.0.01", 1, "127.0.0.1"},
        {"0", 1, "0.0.0.0"},
        {"4294967295", 1, "255.255.255.255"},
        {"192.168.257", 1, "192.168.1.1"},
        {"[::1]", 1, "::1"},
        {"[::ffff:7f00:1]", 1, "::ffff:127.0.0.1"},
        {"4294967296", -E_FORMAT, NULL},
        {"127.0.0.256", -E_FORMAT, NULL},
        {"256.1", -E_FORMAT, NULL},
        {"1.2.3.4.5", -E_FORMAT, NULL},
        {"foo.1", -E_FORMAT, NULL},
        {"foo.0x1f", -E_FORMAT, NULL},
        {"09.1", -E_FORMAT, NULL},
        {"1..1", -E_FORMAT, NULL},
        {"0xffffffffffffffff", -E_FORMAT, NULL},
        {"[1.2.3.4]", -E_FORMAT, NULL},
        {"[::1", -E_FORMAT, NULL},
        {"[]", -E_FORMAT, NULL},
        {"[fe80::1%25eth0]", -E_FORMAT, NULL},
        {".", -E_FORMAT, NULL},
        {"", -E_FORMAT, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct netguard_addr a, want;
        int rc = netguard_literal(str_of(hosts[i].host), &a);

        if (rc != hosts[i].rc)
            fail_msg("%s: %d, not %d", hosts[i].host, rc, hosts[i].rc);
        if (rc != 1)
            continue;
        want = parse(hosts[i].addr);
        if (!netguard_same(&a, &want))
            fail_msg("%s: not %s", hosts[i].host, hosts[i].addr);
        if (netguard_public(&a))
            fail_msg("%s: reachable", hosts[i].host);
    }
}

static void test_netguard__allow_net(void **state)
{
    static const struct {
        const char *addr;
        bool permits;
    } rows[] = {
        {"127.0.0.1", true},
        {"127.255.0.1", true},
        {"::ffff:127.0.0.1", true},
        {"10.1.2.3", false},
        {"192.168.7.9", true},
        {"192.168.7.10", false},
        {"fd00:1::5", true},
        {"fd00:2::5", false},
        {"::1", false},
        {"8.8.8.8", true},
        {"64:ff9b::7f00:1", false},
    };
    static const char *const bad[] = {
        "",          "127.0.0.0/33", "127.0.0.0/", "127.0.0.0/x",
        "localhost", "::1/129",      "127.0.0/8",  "127.0.0.0/-1"};
    struct netguard g;
    struct err e = ERR_INIT;

    (void)state;
    netguard_init(&g);
    assert_int_equal(netguard_allow(&g, "127.0.0.0/8", &e), 0);
    assert_int_equal(netguard_allow(&g, "192.168.7.9", &e), 0);
    assert_int_equal(netguard_allow(&g, "fd00:1::/32", &e), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct netguard_addr a = parse(rows[i].addr);

        if (netguard_permits(&g, &a) != rows[i].permits)
            fail_msg("%s", rows[i].addr);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err one = ERR_INIT;

        if (netguard_allow(&g, bad[i], &one) != -E_USAGE || !one.message[0])
            fail_msg("\"%s\" was taken", bad[i]);
    }
    assert_int_equal(g.n, 3);
}

static void test_netguard__ports(void **state)
{
    static const unsigned shut[] = {0,   1,    21,   22,   25,   81,    110,
                                    143, 3306, 6379, 8081, 9200, 11211, 65535};

    (void)state;
    assert_true(netguard_port(80) && netguard_port(443));
    assert_true(netguard_port(8080) && netguard_port(8443));
    for (size_t i = 0; i < sizeof shut / sizeof *shut; i++)
        assert_false(netguard_port(shut[i]));
}

static void test_netguard__sockaddr_and_text(void **state)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr none = {.sa_family = AF_UNIX};
    struct netguard_addr a;
    char text[NETGUARD_TEXT_MAX];

    (void)state;
    in4.sin_addr.s_addr = htonl(0x7f000001);
    assert_true(netguard_from_sockaddr((struct sockaddr *)&in4, &a));
    netguard_text(&a, text);
    assert_string_equal(text, "127.0.0.1");
    inet_pton(AF_INET6, "::1", &in6.sin6_addr);
    assert_true(netguard_from_sockaddr((struct sockaddr *)&in6, &a));
    netguard_text(&a, text);
    assert_string_equal(text, "::1");
    assert_false(netguard_from_sockaddr(&none, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_netguard__public_addresses),
        cmocka_unit_test(test_netguard__host_spellings),
        cmocka_unit_test(test_netguard__allow_net),
        cmocka_unit_test(test_netguard__ports),
        cmocka_unit_test(test_netguard__sockaddr_and_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
