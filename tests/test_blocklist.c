/* blocklist: what lines are entries, what they stand for, and which lines stop
 * the reading; and a large list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/url.h"
#include "filter/blocklist.h"

static int read_list(struct blocklist *b, enum blocklist_kind kind,
                     struct str bytes, struct err *e)
{
    struct stream *in;
    int rc = stream_open_memory(&in, bytes, "list", e);

    *b = (struct blocklist){0};
    if (rc)
        return rc;
    rc = blocklist_read(b, kind, in, "list", e);
    stream_close(in);
    return rc;
}

static void must_read(struct blocklist *b, enum blocklist_kind kind,
                      const char *bytes)
{
    struct err e = ERR_INIT;

    if (read_list(b, kind, str_of(bytes), &e))
        fail_msg("%s", e.message);
}

static bool has_term(const struct blocklist *b, const char *text)
{
    struct words w;
    bool has;

    words_init(&w);
    assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, str_of(text)), 0);
    has = blocklist_has_term(b, &w);
    words_release(&w);
    return has;
}

static void test_blocklist__terms(void **state)
{
    static const struct {
        const char *text;
        bool listed;
    } cases[] = {
        {"", false},
        {"a bad dog", false},
        {"a bad word here", true},
        {"BAD-WORD", true},
        {"bad, word!", true},
        {"badword", false},
        {"bad words", false},
        {"bad old word", false},
        {"Stra\xc3\x9f"
         "e",
         true},
        {"STRASSE", true},
        {"\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xae", true}, /* no spaces needed */
        {"don\xe2\x80\x99t", true},
        {"remark", false},
    };
    struct blocklist b;

    (void)state;
    must_read(&b, BLOCKLIST_TERMS,
              "\xef\xbb\xbf"
              "Bad  Word\r\n# remark\n\n  # remark\n"
              "stra\xc3\x9f"
              "e\nSTRASSE\n\xe6\x9d\xb1\xe4\xba\xac\n"
              "\tdon't \nbad word");
    assert_int_equal(b.set.n, 4); /* equal norms are one */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (has_term(&b, cases[i].text) != cases[i].listed)
            fail_msg("%s", cases[i].text);
    blocklist_close(&b);
}

struct url_case {
    const char *url;
    bool listed;
};

static void check_urls(const struct blocklist *b,
                       bool (*has)(const struct blocklist *, struct str),
                       const struct url_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (has(b, str_of(cases[i].url)) != cases[i].listed)
            fail_msg("%s", cases[i].url);
}

static void test_blocklist__hosts(void **state)
{
    static const struct url_case cases[] = {
        {"http://bad.test/x.jpg", true},
        {"https://bad.test/", true},
        {"http://bad.test:8080/x", true},
        {"http://www.bad.test/x", true},
        {"http://a.b.c.bad.test/x", true},
        {"http://bad.test./x", true},
        {"http://notbad.test/x", false},
        {"http://bad.test.org/x", false},
        {"http://test/bad.test", false},
        {"http://xn--bcher-kva.test/", true},
        {"http://1.2.3.4/x", true},
        {"http://9.1.2.3.4/x", false}, /* nothing is below an address */
        {"http://5.6.7.8/x", false},
        {"http://[::1]/x", true},
        {"http://[::2]/x", false},
        {"http://xxx/x", true},
        {"http://a.xxx/x", true},
        {"http://remark.test/", false},
        {"not a URL", false},
    };
    struct blocklist b;

    (void)state;
    must_read(&b, BLOCKLIST_HOSTS,
              "BAD.test\n# remark.test\nB\xc3\xbc"
              "cher.test # remark\n"
              "1.2.3.4\n6.7.8\n[::1]\nxxx.\n");
    check_urls(&b, blocklist_has_host, cases, sizeof cases / sizeof *cases);
    blocklist_close(&b);
}

static void test_blocklist__urls(void **state)
{
    static const struct url_case cases[] = {
        {"http://a.test/dog.jpg", true},
        {"https://a.test/dog.jpg", true},
        {"http://a.test/dog.jpg?1", false},
        {"http://a.test/dog.jpgx", false},
        {"http://a.test/dog", false},
        {"http://a.test/q?dog=1", true},
        {"http://a.test/q", false},
        {"http://a.test/q?dog=2", false},
        {"http://a.test/bad/", true},
        {"http://a.test/bad/x/y.jpg?z", true},
        {"http://a.test/bad", false},
        {"http://a.test/badly/x", false},
        {"http://a.test:81/bad/x", false},
        {"http://a.test/x?u=/bad/", false},
        {"http://b.test/", true},
        {"http://b.test/any", true},
        {"http://www.b.test/", false},
        {"http://c.test/%C3%A9.jpg", true},
        {"http://c.test/", false},
        {"http://d.test/?/", true},
        {"http://d.test/x", false},
    };
    struct blocklist b;

    (void)state;
    must_read(&b, BLOCKLIST_URLS,
              "http://A.test:80/x/../dog.jpg#part\nhttp://a.test/q?dog=1\n"
              "HTTPS://a.test/bad/\n#http://c.test/\nhttp://b.test\n"
              "http://c.test/\xc3\xa9.jpg\nhttp://d.test/?/\n");
    check_urls(&b, blocklist_has_url, cases, sizeof cases / sizeof *cases);
    blocklist_close(&b);
    /* Without folders only whole URLs are looked up. */
    must_read(&b, BLOCKLIST_URLS, "http://a.test/x\n");
    assert_false(b.folders);
    assert_true(blocklist_has_url(&b, STR("http://a.test/x")));
    assert_false(blocklist_has_url(&b, STR("http://a.test/x/y")));
    blocklist_close(&b);
}

static void test_blocklist__bad_lines(void **state)
{
    static const struct {
        enum blocklist_kind kind;
        const char *bytes, *place;
    } cases[] = {
        {BLOCKLIST_TERMS, "dog\n***\n", "list:2: \"***\""},
        {BLOCKLIST_TERMS, "dog\n\n\xff\n", "list:3: "},
        {BLOCKLIST_HOSTS, "http://a.test\n", "list:1: \"http://a.test\""},
        {BLOCKLIST_HOSTS, "a.test/x\n", "list:1: "},
        {BLOCKLIST_HOSTS, "a.test\nb.test c.test\n", "list:2: "},
        {BLOCKLIST_HOSTS, "*.a.test\n", "list:1: "},
        {BLOCKLIST_HOSTS, "a.test:81\n", "list:1: "},
        {BLOCKLIST_HOSTS, ".a.test\n", "list:1: "},
        {BLOCKLIST_HOSTS, "a..test\n", "list:1: "},
        {BLOCKLIST_HOSTS, "4.4..\n", "list:1: "},
        {BLOCKLIST_HOSTS, ".\n", "list:1: "},
        {BLOCKLIST_HOSTS, "me@a.test\n", "list:1: "},
        {BLOCKLIST_URLS, "a.test/x\n", "list:1: \"a.test/x\""},
        {BLOCKLIST_URLS, "\n\nftp://a.test/x\n", "list:3: "},
        {BLOCKLIST_URLS, "http:///x\n", "list:1: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        struct blocklist b;

        assert_int_equal(
            read_list(&b, cases[i].kind, str_of(cases[i].bytes), &e),
            -E_FORMAT);
        if (!strstr(e.message, cases[i].place))
            fail_msg("case %zu: %s", i, e.message);
        assert_null(b.set.v); /* nothing is left */
    }
}

static void test_blocklist__ceilings(void **state)
{
    struct err e = ERR_INIT;
    struct blocklist b;
    struct buf long_line;

    (void)state;
    buf_init(&long_line, 1 << 20);
    for (size_t i = 0; i < BLOCKLIST_LINE_MAX + 1; i++)
        buf_add_char(&long_line, 'a');
    assert_int_equal(read_list(&b, BLOCKLIST_TERMS, buf_str(&long_line), &e),
                     -E_FORMAT);
    assert_non_null(strstr(e.message, "over 8192 bytes"));
    long_line.n--;
    assert_int_equal(read_list(&b, BLOCKLIST_TERMS, buf_str(&long_line), NULL),
                     0);
    blocklist_close(&b);
    /* A host of that length is none, nor is a URL. */
    assert_int_equal(read_list(&b, BLOCKLIST_HOSTS, buf_str(&long_line), NULL),
                     -E_FORMAT);
    buf_release(&long_line);
}

static void test_blocklist__empty(void **state)
{
    struct err e = ERR_INIT;
    struct blocklist b;

    (void)state;
    must_read(&b, BLOCKLIST_TERMS, "");
    assert_false(has_term(&b, "a dog"));
    blocklist_close(&b);
    must_read(&b, BLOCKLIST_HOSTS, "# none\n");
    assert_false(blocklist_has_host(&b, STR("http://a.test/")));
    blocklist_close(&b);
    must_read(&b, BLOCKLIST_URLS, "\n");
    assert_false(blocklist_has_url(&b, STR("http://a.test/")));
    blocklist_close(&b);
    assert_int_equal(blocklist_open(&b, BLOCKLIST_URLS, "/nowhere/list", &e),
                     -E_NOTFOUND);
    blocklist_close(&b); /* also then */
}

#define MANY 300000

/* Every entry is found, and nothing beside them. */
static void test_blocklist__many(void **state)
{
    struct blocklist b;
    struct buf bytes;
    char url[64];

    (void)state;
    buf_init(&bytes, 1 << 26);
    for (unsigned i = 0; i < MANY; i++)
        buf_addf(&bytes, "http://h%u.test/%u/\n", i % 1000, i);
    must_read(&b, BLOCKLIST_URLS, bytes.p);
    assert_int_equal(b.set.n, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(url, sizeof url, "https://h%u.test/%u/x.jpg", i % 1000, i);
        assert_true(blocklist_has_url(&b, str_of(url)));
        snprintf(url, sizeof url, "http://h%u.test/%u/x.jpg", i % 1000 + 1, i);
        assert_false(blocklist_has_url(&b, str_of(url)));
    }
    blocklist_close(&b);
    buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocklist__terms),
        cmocka_unit_test(test_blocklist__hosts),
        cmocka_unit_test(test_blocklist__urls),
        cmocka_unit_test(test_blocklist__bad_lines),
        cmocka_unit_test(test_blocklist__ceilings),
        cmocka_unit_test(test_blocklist__empty),
        cmocka_unit_test(test_blocklist__many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
