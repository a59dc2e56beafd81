/* Which links a crawl follows, and which hosts belong together. */
#include "crawler/crawl_page.h"
#include "crawler/crawl_scope.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char *seeds[] = {(char[]){"https://www.example.co.uk/a"},
                        (char[]){"http://blog.example.org:8080/"},
                        (char[]){"http://127.0.0.1/"},
                        (char[]){"http://me.github.io/"}};

static void test_crawl_scope__domain(void **state)
{
    static const struct {
        const char *host, *domain;
    } rows[] = {
        {"example.org", "example.org"},
        {"a.b.example.org", "example.org"},
        {"www.example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},               /* a suffix: stands for itself */
        {"me.github.io", "me.github.io"}, /* a suffix of the private part */
        {"x.me.github.io", "me.github.io"},
        {"a.manual.test", "manual.test"}, /* a TLD that the list lacks */
        {"localhost", "localhost"},
        {"10.1.2.3", "10.1.2.3"},
        {"[2001:db8::1]", "[2001:db8::1]"},
        {"xn--bcher-kva.example.xn--p1ai", "example.xn--p1ai"},
        {"", ""},
    };
    struct crawl_scope s;

    (void)state;
    assert_int_equal(crawl_scope_open(&s, CRAWL_SCOPE_ANY, seeds, 4, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str got = crawl_scope_domain(&s, str_of(rows[i].host));

        if (!str_eq(got, str_of(rows[i].domain)))
            fail_msg("%s gave %.*s", rows[i].host, STR_ARG(got));
    }
    crawl_scope_close(&s);
}

static void test_crawl_scope__has(void **state)
{
    static const struct {
        const char *url;
        bool host, domain;
    } rows[] = {
        {"http://www.example.co.uk/", true, true},
        {"https://www.example.co.uk:444/x", true, true},
        {"https://shop.example.co.uk/", false, true},
        {"https://other.co.uk/", false, false},
        {"http://blog.example.org/", true, true},
        {"http://example.org/", false, true},
        {"http://badexample.org/", false, false},
        {"http://example.org.evil.test/", false, false},
        {"http://127.0.0.1:81/", true, true},
        {"http://127.0.0.2/", false, false},
        {"http://you.github.io/", false, false},
    };

    (void)state;
    for (int kind = CRAWL_SCOPE_HOST; kind <= CRAWL_SCOPE_ANY; kind++) {
        struct crawl_scope s;

        assert_int_equal(
            crawl_scope_open(&s, (enum crawl_scope_kind)kind, seeds, 4, NULL),
            0);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            bool want =
                kind == CRAWL_SCOPE_ANY ||
                (kind == CRAWL_SCOPE_HOST ? rows[i].host : rows[i].domain);

            if (crawl_scope_has(&s, str_of(rows[i].url)) != want)
                fail_msg("scope %d, %s", kind, rows[i].url);
        }
        crawl_scope_close(&s);
    }
}

static void test_crawl_scope__link(void **state)
{
    static const struct {
        const char *url, *drop;
    } rows[] = {
        {"http://127.0.0.1/", NULL},
        {"http://127.0.0.1/a.html", NULL},
        {"http://127.0.0.1/a.php?image=b.jpg", NULL},
        {"http://127.0.0.1/a.jpg", "links-suffix"},
        {"http://127.0.0.1/a.JPG?w=100", "links-suffix"},
        {"http://127.0.0.1/a.tar.gz", "links-suffix"},
        {"http://127.0.0.1/wiki/File:Cat.jpg", NULL},
        {"http://127.0.0.1/a:b/cat.jpg", "links-suffix"},
        {"http://127.0.0.1/jpg", NULL},
        {"http://127.0.0.1/jpg/", NULL},
        {"http://elsewhere.test/a.html", "links-scope"},
        {"http://127.0.0.1/a/b/a/b/c", NULL},
        {"http://127.0.0.1/a/b/a/b/a", "links-trap"},
        {"http://127.0.0.1/a//a///b", NULL},
        {"http://127.0.0.1/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20",
         NULL},
        {"http://127.0.0.1/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/"
         "21",
         "links-trap"},
    };
    struct crawl_scope s;

    (void)state;
    assert_int_equal(crawl_scope_open(&s, CRAWL_SCOPE_HOST, seeds, 4, NULL), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = crawl_scope_link(&s, str_of(rows[i].url));

        if (str_cmp(str_of(got), str_of(rows[i].drop)))
            fail_msg("%s: %s", rows[i].url, got ? got : "followed");
    }
    crawl_scope_close(&s);
}

static void test_crawl_scope__content_type(void **state)
{
    static const struct {
        const char *type;
        bool html;
    } rows[] = {
        {"", true},
        {"text/html", true},
        {"Text/HTML ; charset=utf-8", true},
        {"application/xhtml+xml", true},
        {"text/htmlx", false},
        {"text/plain", false},
        {"image/jpeg", false},
        {"application/pdf; x=text/html", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(crawl_page_is_html(str_of(rows[i].type)),
                         rows[i].html);
}

/* What a page says of itself wins over what it offers. */
static void test_crawl_scope__page(void **state)
{
    static const struct {
        const char *head;
        bool no_pairs, no_links; /* said by response headers */
        uint64_t pairs, links;
        const char *refused;
    } rows[] = {
        {"", false, false, 1, 1, NULL},
        {"", true, false, 0, 1, NULL},
        {"", false, true, 1, 0, NULL},
        {"<meta name=robots content=index,follow>", false, false, 1, 1, NULL},
        {"<meta name=Robots content='NOINDEX'>", false, false, 0, 1, "noindex"},
        {"<meta name=witmill content=noai>", false, false, 0, 1, "noai"},
        {"<meta name=otherbot content=noai>", false, false, 1, 1, NULL},
        {"<meta name=robots content=none>", false, false, 0, 0, "none"},
        {"<meta name=robots content=nofollow><meta name=robots "
         "content=noimageai>",
         false, false, 0, 0, "noimageai"},
    };
    struct crawl_page p;
    struct crawl_scope s;
    struct markup m;

    (void)state;
    assert_int_equal(crawl_scope_open(&s, CRAWL_SCOPE_HOST, seeds, 4, NULL), 0);
    markup_init(&m);
    m.want_links = true;
    crawl_page_init(&p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char html[512];
        struct crawl_page_source in = {.url = STR("http://127.0.0.1/p/"),
                                       .body = str_of(html),
                                       .no_pairs = rows[i].no_pairs,
                                       .no_links = rows[i].no_links};

        snprintf(html, sizeof html,
                 "%s<a href=q>q</a><a href=http://x.test/>x</a>"
                 "<img src=i.png alt='an image'>",
                 rows[i].head);
        in.body = str_of(html);
        assert_int_equal(crawl_page_read(&p, &m, &in, &s), 0);
        assert_int_equal(p.n_pairs, rows[i].pairs);
        assert_int_equal(p.n_links, rows[i].links);
        assert_int_equal(str_cmp(str_of(p.refused), str_of(rows[i].refused)),
                         0);
        assert_int_equal(tally_get(&p.drops, "consent"), !rows[i].pairs);
        if (p.n_links)
            assert_true(
                str_eq(buf_str(&p.links), STR("http://127.0.0.1/p/q\n")));
        assert_int_equal(p.n_pairs > 0, p.pairs.n > 0);
    }
    crawl_page_release(&p);
    markup_release(&m);
    crawl_scope_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crawl_scope__domain),
        cmocka_unit_test(test_crawl_scope__has),
        cmocka_unit_test(test_crawl_scope__link),
        cmocka_unit_test(test_crawl_scope__content_type),
        cmocka_unit_test(test_crawl_scope__page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
