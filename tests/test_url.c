/* base/url: the canonical form, clause by clause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/punycode.h"
#include "base/url.h"
#include "tests/oracle.h"

#define RFC  "http://a/b/c/d;p?q"
#define PAGE "https://h.example/x/y.html?k=v"

struct url_case {
    const char *base, *ref;
    enum url_reason reason;
    const char *want;
};

static void check(const struct url_case *c, size_t n)
{
    struct buf out;

    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++) {
        enum url_reason r =
            url_resolve(str_of(c[i].base), str_of(c[i].ref), &out);

        if (r != c[i].reason)
            fail_msg("case %zu: %s + \"%s\": %s, not %s", i, c[i].base,
                     c[i].ref, url_reason_name(r),
                     url_reason_name(c[i].reason));
        assert_string_equal(buf_str(&out).p, c[i].want ? c[i].want : "");
    }
    buf_release(&out);
}

#define CHECK(table) check(table, sizeof table / sizeof *table)

/* RFC 3986 5.4, without fragments; "" and "#" say nothing here, and http:g has
 * no host (5.4.2 allows both answers). */
static void test_url__rfc3986(void **state)
{
    static const struct url_case cases[] = {
        {RFC, "g:h", URL_SCHEME, NULL},
        {RFC, "g", URL_OK, "http://a/b/c/g"},
        {RFC, "./g", URL_OK, "http://a/b/c/g"},
        {RFC, "g/", URL_OK, "http://a/b/c/g/"},
        {RFC, "/g", URL_OK, "http://a/g"},
        {RFC, "//g", URL_OK, "http://g/"},
        {RFC, "?y", URL_OK, "http://a/b/c/d;p?y"},
        {RFC, "g?y", URL_OK, "http://a/b/c/g?y"},
        {RFC, "#s", URL_OK, "http://a/b/c/d;p?q"},
        {RFC, "g#s", URL_OK, "http://a/b/c/g"},
        {RFC, "g?y#s", URL_OK, "http://a/b/c/g?y"},
        {RFC, ";x", URL_OK, "http://a/b/c/;x"},
        {RFC, "g;x", URL_OK, "http://a/b/c/g;x"},
        {RFC, "g;x?y#s", URL_OK, "http://a/b/c/g;x?y"},
        {RFC, "", URL_EMPTY, NULL},
        {RFC, ".", URL_OK, "http://a/b/c/"},
        {RFC, "./", URL_OK, "http://a/b/c/"},
        {RFC, "..", URL_OK, "http://a/b/"},
        {RFC, "../", URL_OK, "http://a/b/"},
        {RFC, "../g", URL_OK, "http://a/b/g"},
        {RFC, "../..", URL_OK, "http://a/"},
        {RFC, "../../", URL_OK, "http://a/"},
        {RFC, "../../g", URL_OK, "http://a/g"},
        {RFC, "../../../g", URL_OK, "http://a/g"},
        {RFC, "../../../../g", URL_OK, "http://a/g"},
        {RFC, "/./g", URL_OK, "http://a/g"},
        {RFC, "/../g", URL_OK, "http://a/g"},
        {RFC, "g.", URL_OK, "http://a/b/c/g."},
        {RFC, ".g", URL_OK, "http://a/b/c/.g"},
        {RFC, "g..", URL_OK, "http://a/b/c/g.."},
        {RFC, "..g", URL_OK, "http://a/b/c/..g"},
        {RFC, "./../g", URL_OK, "http://a/b/g"},
        {RFC, "./g/.", URL_OK, "http://a/b/c/g/"},
        {RFC, "g/./h", URL_OK, "http://a/b/c/g/h"},
        {RFC, "g/../h", URL_OK, "http://a/b/c/h"},
        {RFC, "g;x=1/./y", URL_OK, "http://a/b/c/g;x=1/y"},
        {RFC, "g;x=1/../y", URL_OK, "http://a/b/c/y"},
        {RFC, "g?y/./x", URL_OK, "http://a/b/c/g?y/./x"},
        {RFC, "g?y/../x", URL_OK, "http://a/b/c/g?y/../x"},
        {RFC, "g#s/./x", URL_OK, "http://a/b/c/g"},
        {RFC, "http:g", URL_HOST, NULL},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__empty_parts(void **state)
{
    static const struct url_case cases[] = {
        {PAGE, " \t\n\x01 ", URL_EMPTY, NULL},
        {PAGE, "#", URL_EMPTY, NULL},
        {PAGE, " # ", URL_EMPTY, NULL},
        {PAGE, "?", URL_OK, "https://h.example/x/y.html?"},
        {PAGE, "/a?", URL_OK, "https://h.example/a?"},
        {PAGE, "/a?#f", URL_OK, "https://h.example/a?"},
        {PAGE, "?a?b", URL_OK, "https://h.example/x/y.html?a?b"},
        {PAGE, "//", URL_HOST, NULL},
        {PAGE, "///a", URL_HOST, NULL},
        {PAGE, "http://", URL_HOST, NULL},
        {PAGE, "http://?q", URL_HOST, NULL},
        {PAGE, "http://u@/a", URL_HOST, NULL},
        {PAGE, "http://:80/", URL_HOST, NULL},
        {PAGE, "http://h?a/b", URL_OK, "http://h/?a/b"},
        {PAGE, "http://h#a/b", URL_OK, "http://h/"},
        {"", "http://h", URL_OK, "http://h/"},
        {"", "a.jpg", URL_SCHEME, NULL},
        {"", "//h/a.jpg", URL_SCHEME, NULL},
        {"ftp://h/", "a.jpg", URL_SCHEME, NULL},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__scheme(void **state)
{
    static const struct url_case cases[] = {
        {PAGE, "HTTP://H/a", URL_OK, "http://h/a"},
        {PAGE, "hTTpS://H/a", URL_OK, "https://h/a"},
        {PAGE, "//H/a", URL_OK, "https://h/a"},
        {PAGE, "data:image/png;base64,AAAA", URL_SCHEME, NULL},
        {PAGE, "javascript:void(0)", URL_SCHEME, NULL},
        {PAGE, "about:blank", URL_SCHEME, NULL},
        {PAGE, "mailto:x@y", URL_SCHEME, NULL},
        {PAGE, "ftp://h/a", URL_SCHEME, NULL},
        {PAGE, "httpx://h/a", URL_SCHEME, NULL},
        {PAGE, "http:x", URL_HOST, NULL},
        {PAGE, "https:", URL_HOST, NULL},
        {PAGE, "http:/h/a", URL_HOST, NULL},
        {PAGE, "http:\\\\h\\a", URL_HOST, NULL},
        /* no scheme: it must begin with a letter and hold no / ? # */
        {PAGE, "2021:a.jpg", URL_OK, "https://h.example/x/2021:a.jpg"},
        {PAGE, ":a", URL_OK, "https://h.example/x/:a"},
        {PAGE, "a/b:c", URL_OK, "https://h.example/x/a/b:c"},
        {PAGE, "a b:c", URL_OK, "https://h.example/x/a%20b:c"},
        {PAGE, "./a:b", URL_OK, "https://h.example/x/a:b"},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__authority(void **state)
{
    static const struct url_case cases[] = {
        {"", "http://u:p@h/a", URL_OK, "http://h/a"},
        {"", "http://u@v@h:81/a", URL_OK, "http://h:81/a"},
        {"", "http://@h/a", URL_OK, "http://h/a"},
        {"", "http://h:/a", URL_OK, "http://h/a"},
        {"", "http://h:80/a", URL_OK, "http://h/a"},
        {"", "http://h:0080/a", URL_OK, "http://h/a"},
        {"", "http://h:443/a", URL_OK, "http://h:443/a"},
        {"", "https://h:443/a", URL_OK, "https://h/a"},
        {"", "https://h:80/a", URL_OK, "https://h:80/a"},
        {"", "http://h:08080/a", URL_OK, "http://h:8080/a"},
        {"", "http://h:65535/a", URL_OK, "http://h:65535/a"},
        {"", "http://h:65536/a", URL_PORT, NULL},
        {"", "http://h:99999999999999999999/a", URL_PORT, NULL},
        {"", "http://h:8o/a", URL_PORT, NULL},
        {"", "http://h:-1/a", URL_PORT, NULL},
        {"", "http://h:1:2/a", URL_PORT, NULL},
        {"", "http://A-b_c.9.EXAMPLE./", URL_OK, "http://a-b_c.9.example./"},
        {"", "http://h h/", URL_HOST, NULL},
        {"", "http://h%41/", URL_HOST, NULL},
        {"", "http://h\\x/a", URL_HOST, NULL},
        {"", "http://h,x/a", URL_HOST, NULL},
        {"", "http://[2001:DB8::1]/a", URL_OK, "http://[2001:db8::1]/a"},
        {"", "http://[::1]:80/a", URL_OK, "http://[::1]/a"},
        {"", "http://[::1]:8080", URL_OK, "http://[::1]:8080/"},
        {"", "http://[::1]:/", URL_OK, "http://[::1]/"},
        {"", "http://u@[::FFFF:1.2.3.4]/", URL_OK, "http://[::ffff:1.2.3.4]/"},
        {"", "http://[::1]x/", URL_HOST, NULL},
        {"", "http://[::1/", URL_HOST, NULL},
        {"", "http://[]/", URL_HOST, NULL},
        {"", "http://[::g]/", URL_HOST, NULL},
        {"", "http://[v1.a]/", URL_HOST, NULL},
        {"", "http://[fe80::1%25eth0]/", URL_HOST, NULL},
        {"", "http://x[::1]/", URL_HOST, NULL},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__idn(void **state)
{
    static const struct url_case cases[] = {
        {"",
         "http://b\xc3\xbc"
         "cher.example/",
         URL_OK, "http://xn--bcher-kva.example/"},
        {"",
         "http://B\xc3\x9c"
         "CHER.Example/",
         URL_OK, "http://xn--bcher-kva.example/"},
        /* full case folding: sharp s becomes ss, and nothing is left to code */
        {"", "http://fa\xc3\x9f.de/", URL_OK, "http://fass.de/"},
        /* NFKC: a full-width name is ASCII, its dot a dot */
        {"", "http://\xef\xbc\xa8\xef\xbc\x8e\xef\xbd\x83/", URL_OK,
         "http://h.c/"},
        {"",
         "http://\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83"
         "\x88/",
         URL_OK, "http://xn--r8jz45g.xn--zckzah/"},
        {"", "http://\xef\xbc\x85/", URL_HOST, NULL}, /* full-width % */
        {"", "http://\xc2\xa0/", URL_HOST, NULL},     /* NBSP is a space */
        {"", "http://\xc3\xa9'x/", URL_HOST, NULL},
        {"", "http://\xc3\xa9:81/", URL_OK, "http://xn--9ca:81/"},
        {"", "http://xn--9ca/", URL_OK, "http://xn--9ca/"},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__encoding(void **state)
{
    static const struct url_case cases[] = {
        {PAGE, "/a b", URL_OK, "https://h.example/a%20b"},
        {PAGE, "/\"<>\\^`{}|", URL_OK,
         "https://h.example/%22%3C%3E%5C%5E%60%7B%7D%7C"},
        {PAGE, "/a?\"<>\\^`{}| \xc3\xa9", URL_OK,
         "https://h.example/a?%22%3C%3E%5C%5E%60%7B%7D%7C%20%C3%A9"},
        {PAGE, "/\x01\x1f\x7f", URL_OK, "https://h.example/%01%1F%7F"},
        {PAGE, "/\xc2\x85", URL_OK, "https://h.example/%C2%85"},
        {PAGE, "/[x]?[y]", URL_OK, "https://h.example/[x]?[y]"},
        {PAGE, "/!$&'()*+,;=:@-._~", URL_OK,
         "https://h.example/!$&'()*+,;=:@-._~"},
        {PAGE, "/%", URL_OK, "https://h.example/%"},
        {PAGE, "/%zz%c3%A9", URL_OK, "https://h.example/%zz%c3%A9"},
        {PAGE, "/\xf0\x9f\x90\x95.jpg", URL_OK,
         "https://h.example/%F0%9F%90%95.jpg"},
        /* composed and decomposed stay different: a server compares bytes */
        {PAGE, "/e\xcc\x81", URL_OK, "https://h.example/e%CC%81"},
        {PAGE, "a\\..\\b", URL_OK, "https://h.example/x/a%5C..%5Cb"},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__white_space(void **state)
{
    static const struct url_case cases[] = {
        {PAGE, "  /a.jpg \n", URL_OK, "https://h.example/a.jpg"},
        {PAGE, "\x02\x1f/a\x0c", URL_OK, "https://h.example/a"},
        {PAGE, "/a\r\n\tb", URL_OK, "https://h.example/ab"},
        {PAGE, "ht\ntp://h/\ta", URL_OK, "http://h/a"},
        {PAGE, "/a/.\n./b", URL_OK, "https://h.example/b"},
        {PAGE, "/a/\x0b/b", URL_OK, "https://h.example/a/%0B/b"},
        {PAGE, "\xc2\xa0/a", URL_OK, "https://h.example/x/%C2%A0/a"},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__dot_segments(void **state)
{
    static const struct url_case cases[] = {
        {"", "http://h/a/b/../../../c", URL_OK, "http://h/c"},
        {"", "http://h/a//../b", URL_OK, "http://h/a/b"},
        {"", "http://h//a/..", URL_OK, "http://h//"},
        {"", "http://h/..", URL_OK, "http://h/"},
        {"", "http://h/a/%2e%2E/b", URL_OK, "http://h/a/%2e%2E/b"},
        {"", "http://h/a/.%2e/b", URL_OK, "http://h/a/.%2e/b"},
        {"", "http://h/a/.../b", URL_OK, "http://h/a/.../b"},
        {"", "http://h/a/. /b", URL_OK, "http://h/a/.%20/b"},
        {"", "http://h/a/\xc3\xa9/../b", URL_OK, "http://h/a/b"},
        {"", "http://h/a?b/../c", URL_OK, "http://h/a?b/../c"},
        {"http://h", "a", URL_SCHEME, NULL}, /* that base is not canonical */
        {"http://h/", "a", URL_OK, "http://h/a"},
        {"http://h/?a/b", "c", URL_OK, "http://h/c"},
        {"http://h:81/d/", "../e", URL_OK, "http://h:81/e"},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__charset(void **state)
{
    static const struct url_case cases[] = {
        {PAGE, "/a\xef\xbf\xbd", URL_CHARSET, NULL},
        {PAGE, "/a\xff", URL_CHARSET, NULL},
        {PAGE, "http://\xc3/", URL_CHARSET, NULL},
        {PAGE, "/\xed\xa0\x80", URL_CHARSET, NULL}, /* a surrogate */
        {PAGE, "/%EF%BF%BD", URL_OK, "https://h.example/%EF%BF%BD"},
    };

    (void)state;
    CHECK(cases);
}

static void test_url__nul_is_a_control(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, BUF_NO_LIMIT);
    assert_int_equal(url_resolve(str_of(PAGE), STR("/a\0b"), &out), URL_OK);
    assert_string_equal(out.p, "https://h.example/a%00b");
    assert_int_equal(url_resolve(STR_NONE, STR("http://h\0h/"), &out),
                     URL_HOST);
    assert_int_equal(url_resolve(STR_NONE, STR("http://[::1\0]/"), &out),
                     URL_HOST);
    buf_release(&out);
}

/* The length is measured last: what dots remove does not count, what encoding
 * adds does. */
static void test_url__length(void **state)
{
    struct buf ref, out;

    (void)state;
    buf_init(&ref, BUF_NO_LIMIT);
    buf_init(&out, BUF_NO_LIMIT);
    buf_add(&ref, STR("http://h/"));
    while (ref.n < URL_MAX)
        buf_add_char(&ref, 'a');
    assert_int_equal(url_resolve(STR_NONE, buf_str(&ref), &out), URL_OK);
    assert_int_equal(out.n, URL_MAX);
    buf_add(&ref, STR("/.."));
    assert_int_equal(url_resolve(STR_NONE, buf_str(&ref), &out), URL_OK);
    assert_string_equal(out.p, "http://h/");
    ref.n -= 3;
    buf_add_char(&ref, 'a');
    assert_int_equal(url_resolve(STR_NONE, buf_str(&ref), &out), URL_LENGTH);
    assert_int_equal(out.n, 0);
    ref.n -= 3;
    buf_add(&ref, STR(" a"));
    assert_int_equal(url_resolve(STR_NONE, buf_str(&ref), &out), URL_LENGTH);
    buf_clear(&ref);
    buf_add(&ref, STR("http://"));
    for (int i = 0; i < PUNYCODE_MAX + 1; i++)
        buf_add(&ref, STR("\xc3\xa9"));
    assert_int_equal(url_resolve(STR_NONE, buf_str(&ref), &out), URL_LENGTH);
    buf_release(&ref);
    buf_release(&out);
}

static void test_url__split(void **state)
{
    struct url_parts p;

    (void)state;
    assert_true(url_split(STR("https://h:8443/a/b?c?d"), &p));
    assert_true(str_eq(p.scheme, STR("https")));
    assert_true(str_eq(p.host, STR("h")));
    assert_true(str_eq(p.authority, STR("h:8443")));
    assert_true(str_eq(p.path, STR("/a/b")));
    assert_true(str_eq(p.query, STR("?c?d")));
    assert_int_equal(p.port, 8443);
    assert_true(url_split(STR("http://[::1]:81/]"), &p));
    assert_true(str_eq(p.host, STR("[::1]")));
    assert_int_equal(p.port, 81);
    assert_true(url_split(STR("http://h/]:5"), &p));
    assert_true(str_eq(p.host, STR("h")));
    assert_int_equal(p.port, 80);
    assert_true(url_split(STR("https://h/"), &p));
    assert_int_equal(p.port, 443);
    assert_int_equal(p.query.n, 0);
    assert_false(url_split(STR("http://h"), &p));
    assert_false(url_split(STR("http:///a"), &p));
    assert_false(url_split(STR("ftp://h/"), &p));
    assert_false(url_split(STR_NONE, &p));
    assert_true(str_eq(url_origin(STR("http://h:81/a/b")), STR("http://h:81")));
    assert_true(str_eq(url_origin(STR("x")), STR_NONE));
}

/* RFC 3492 section 7.1 (B, E, I, L) and two of our own. */
static void test_url__punycode(void **state)
{
    static const struct {
        const char *label, *want;
    } cases[] = {
        {"\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8"
         "\x8d\xe8\xaf\xb4\xe4\xb8\xad\xe6\x96\x87",
         "ihqwcrb4cv8a8dqg056pqjye"},
        {"Pro\xc4\x8dprost\xc4\x9bnemluv\xc3\xad\xc4\x8d"
         "esky",
         "Proprostnemluvesky-uyb24dma41a"},
        {"\xd0\xbf\xd0\xbe\xd1\x87\xd0\xb5\xd0\xbc\xd1\x83\xd0\xb6\xd0\xb5\xd0"
         "\xbe\xd0\xbd\xd0\xb8\xd0\xbd\xd0\xb5\xd0\xb3\xd0\xbe\xd0\xb2\xd0\xbe"
         "\xd1\x80\xd1\x8f\xd1\x82\xd0\xbf\xd0\xbe\xd1\x80\xd1\x83\xd1\x81\xd1"
         "\x81\xd0\xba\xd0\xb8",
         "b1abfaaepdrnnbgefbadotcwatmq2g4l"},
        {"3\xe5\xb9\xb4\x42\xe7\xb5\x84\xe9\x87\x91\xe5\x85\xab\xe5\x85\x88\xe7"
         "\x94\x9f",
         "3B-ww4c5e180e575a65lsy2b"},
        {"\xf0\x9f\x90\x95", "do8h"},
        {"abc", "abc-"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        assert_int_equal(punycode_encode(str_of(cases[i].label), &out), 0);
        assert_string_equal(out.p, cases[i].want);
    }
    buf_release(&out);
}

/* H(url) of DESIGN section 4: bytes of the canonical form, corpus seed. */
static void test_url__hash_vectors(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, BUF_NO_LIMIT);
    assert_int_equal(
        url_resolve(STR_NONE, STR("HTTP://manual.test:80/./a.jpg"), &out),
        URL_OK);
    assert_true(hash_xxh3_seeded(buf_str(&out), 0) ==
                UINT64_C(0x61b61585c21bbfba));
    assert_true(hash_xxh3_seeded(buf_str(&out), 1) ==
                UINT64_C(0xabced07d51858151));
    assert_true(
        hash_xxh3_seeded(buf_str(&out), UINT64_C(12345678901234567890)) ==
        UINT64_C(0xd26e45f429e64c73));
    buf_release(&out);
}

/* Against another program's reading of the same sentences. */
static void test_url__against_python(void **state)
{
    const char *shared = getenv("WITMILL_SHARED");
    char command[1024];
    struct oracle o;
    struct buf out;
    size_t n, ok = 0;
    int status;

    (void)state;
    snprintf(command, sizeof command,
             "python3 tests/oracle_url.py $(find %s/data/alt-text -type f "
             "2>/dev/null)",
             shared ? shared : "../shared");
    buf_init(&out, BUF_NO_LIMIT);
    oracle_open(&o, command);
    while (oracle_next(&o)) {
        struct str ref = buf_str(&o.in), base;
        enum url_reason r;

        str_split(&ref, '\n', &base);
        r = url_resolve(base, ref, &out);
        ok += r == URL_OK;
        if (!str_eq(buf_str(&out), buf_str(&o.want)))
            fail_msg("\"%s\": %s \"%s\", not \"%s\"", o.in.p,
                     url_reason_name(r), buf_str(&out).p, buf_str(&o.want).p);
    }
    n = o.n;
    buf_release(&out);
    print_message("%zu references compared, %zu of them URLs\n", n, ok);
    status = oracle_close(&o);
    if (status == 127) {
        print_message("skipped: no python3\n");
        skip();
    }
    assert_int_equal(status, 0);
    assert_true(ok > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__rfc3986),
        cmocka_unit_test(test_url__empty_parts),
        cmocka_unit_test(test_url__scheme),
        cmocka_unit_test(test_url__authority),
        cmocka_unit_test(test_url__idn),
        cmocka_unit_test(test_url__encoding),
        cmocka_unit_test(test_url__white_space),
        cmocka_unit_test(test_url__dot_segments),
        cmocka_unit_test(test_url__charset),
        cmocka_unit_test(test_url__nul_is_a_control),
        cmocka_unit_test(test_url__length),
        cmocka_unit_test(test_url__split),
        cmocka_unit_test(test_url__punycode),
        cmocka_unit_test(test_url__hash_vectors),
        cmocka_unit_test(test_url__against_python),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
