/* Extraction beside its rules: limits, links and metas, a page's text, the
 * pages of a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/markup.h"
#include "base/pages.h"

#define PAGE STR("http://a.test/dir/page.html")

static struct markup m;

static void test_extract_page__text_length(void **state)
{
    struct buf page = {.max = BUF_NO_LIMIT};

    (void)state;
    for (size_t n = MARKUP_TEXT_MAX; n <= MARKUP_TEXT_MAX + 1; n++) {
        buf_clear(&page);
        buf_add(&page, STR("<img src=a alt='  "));
        for (size_t i = 0; i < n; i++)
            buf_add_char(&page, 'x');
        buf_add(&page, STR("  '><p class=caption>c"));
        assert_int_equal(markup_page(&m, buf_str(&page), PAGE, STR_NONE), 0);
        assert_int_equal(m.n_pairs, n > MARKUP_TEXT_MAX ? 1 : 2);
        assert_int_equal(m.drops[MARKUP_TEXT_LENGTH], n > MARKUP_TEXT_MAX);
    }
    buf_release(&page);
}

static void test_extract_page__links_and_metas(void **state)
{
    static const char page[] =
        "<base href='http://b.test/x/'><link rel=canonical href=c#f>"
        "<meta name=' ROBOTS' content='noai,\n noimageai'>"
        "<meta name=tdm-reservation content=1><meta property=p content=q>"
        "<a href=l1>x</a><a href='l2' rel='external NoFollow'>y</a>"
        "<a href='mailto:x'>z</a><svg><a href=l3></a></svg>"
        "<template><a href=l4></a></template><a name=n>w</a>";

    (void)state;
    m.want_links = true;
    assert_int_equal(markup_page(&m, STR(page), PAGE, STR_NONE), 0);
    m.want_links = false;
    assert_int_equal(m.n_links, 2);
    assert_true(str_eq(m.links[0].url, STR("http://b.test/x/l1")));
    assert_false(m.links[0].nofollow);
    assert_true(str_eq(m.links[1].url, STR("http://b.test/x/l2")));
    assert_true(m.links[1].nofollow);
    assert_true(str_eq(m.canonical, STR("http://b.test/x/c")));
    assert_true(str_eq(m.base, STR("http://b.test/x/")));
    assert_int_equal(m.n_metas, 2);
    assert_true(str_eq(m.metas[0].name, STR("robots")));
    assert_true(str_eq(m.metas[0].content, STR("noai, noimageai")));
    assert_true(str_eq(m.metas[1].name, STR("tdm-reservation")));
    assert_int_equal(markup_page(&m, STR(page), PAGE, STR_NONE), 0);
    assert_int_equal(m.n_links, 0);
}

static void test_extract_page__http_charset(void **state)
{
    (void)state;
    assert_int_equal(markup_page(&m, STR("<img src=a alt='\xe4'>"), PAGE,
                                 STR("windows-1251")),
                     0);
    assert_int_equal(m.charset, CHARSET_WINDOWS_1251);
    assert_true(str_eq(m.pairs[0].text, STR("\xd0\xb4")));
}

/* A page that is read again because its base comes late gives the same, and
 * counts nothing twice. */
static void test_extract_page__late_base(void **state)
{
    (void)state;
    assert_int_equal(
        markup_page(&m, STR("<img src=a alt=t><img src=b><base href=/z/>"),
                    PAGE, STR_NONE),
        0);
    assert_int_equal(m.n_pairs, 1);
    assert_int_equal(m.n_images, 2);
    assert_int_equal(m.drops[MARKUP_NO_TEXT], 1);
    assert_true(str_eq(m.pairs[0].url, STR("http://a.test/z/a")));
}

/* ---- size ---- */

/* Processor time, for other programs may run. Sanitizers look for bad accesses,
 * not for time: a twentieth will do. */
#ifdef WITMILL_SANITIZED
#define SHARE            20
#define IN_TIME(took_ms) true
#else
#define SHARE            1
#define IN_TIME(took_ms) ((took_ms) <= 2000)
#endif

static void test_extract_page__bombs(void **state)
{
    static const struct {
        const char *name, *head, *unit;
        size_t units;
    } bombs[] = {
        {"nested div", "", "<div>", 1000000},
        {"nested links", "", "<a title=x><img src=a>", 500000},
        {"nested figures", "", "<figure><img src=a alt=b>", 300000},
        {"nested figcaptions", "<figure>", "<figcaption>x", 500000},
        {"nested svg", "", "<svg><foreignObject>", 500000},
        {"end tags", "<x-a><x-b><p><a><b>", "</x-c></i></p></a>", 500000},
        {"tables", "", "<table><tr><td><a>", 250000},
        {"bases", "", "<base href=/x/><img src=a alt=b>", 200000},
        {"attributes", "<img src=a ", "data-x=a.jpg ", 1000000},
        {"one alt", "<img src=a alt='", "0123456789", 10000000},
        {"one srcset", "<img alt=a srcset='", "a 1x, ", 1000000},
        {"one caption", "<img src=a><p class=caption>", "0123 &amp; ", 2000000},
        {"captions", "", "<img src=a><p class=caption>x</p>", 200000},
        {"loose captions", "<img src=a>", "<p class=caption></p>", 300000},
        {"placeholders", "", "<img src=a alt=b><img src=c title=d>", 200000},
        {"references", "<img src=a alt='", "&notin&lt", 1000000},
        {"formatting", "", "<b><i><p></b>", 300000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct buf page = {.max = BUF_NO_LIMIT};
        clock_t from;
        unsigned took_ms;

        buf_add(&page, str_of(bombs[i].head));
        for (size_t k = 0; k < bombs[i].units / SHARE; k++)
            buf_add(&page, str_of(bombs[i].unit));
        from = clock();
        assert_int_equal(markup_page(&m, buf_str(&page), PAGE, STR_NONE), 0);
        took_ms = (unsigned)((clock() - from) / (CLOCKS_PER_SEC / 1000));
        if (!IN_TIME(took_ms))
            fail_msg("%s: %zu bytes took %u ms", bombs[i].name, page.n,
                     took_ms);
        buf_release(&page);
    }
}

/* ---- visible text ---- */

static void test_extract_page__page_text(void **state)
{
    static const struct {
        const char *html, *text;
    } cases[] = {
        {"<title>t</title><h1>One\n two</h1><p>three <b>fo</b>ur<br>five</p>",
         "One two\nthree four\nfive"},
        {"a<script>x</script>b<style>y</style><template>z</template>"
         "<svg><text>v</text></svg>c<noscript>n</noscript><textarea>q"
         "</textarea>",
         "ab c"},
        {"<ul><li>a<li>b</ul><table><tr><td>c<td>d</table>&nbsp;e",
         "a\nb\nc\nd\ne"},
        {"<p> </p>\xe4", "\xc3\xa4"},
        {"a<img src=x alt=y>b<my-tag>c</my-tag>", "a bc"},
    };
    struct buf out = {.max = BUF_NO_LIMIT};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&out);
        assert_int_equal(markup_text(str_of(cases[i].html), STR_NONE, &out), 0);
        assert_string_equal(out.p, cases[i].text);
    }
    buf_release(&out);
}

/* ---- rule 19 ---- */

static void touch(const char *folder, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(io_write_file(path, STR("x"), NULL), 0);
}

static void test_extract_page__pages_of_a_folder(void **state)
{
    static const char *const want[] = {"a-b.html",  "a.HTM",   "a/b.xhtml",
                                       "a/c/d.xht", "a0.html", "z%?#.html"};
    char folder[] = "/tmp/witmill-pages-XXXXXX", path[256];
    struct pages p;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a/c", folder);
    assert_int_equal(io_mkdirs(path, NULL), 0);
    for (size_t i = 0; i < 6; i++)
        touch(folder, want[5 - i]);
    touch(folder, "not.txt");
    touch(folder, "html");
    snprintf(path, sizeof path, "%s/link.html", folder);
    assert_int_equal(symlink("a-b.html", path), 0);
    snprintf(path, sizeof path, "%s/up", folder);
    assert_int_equal(symlink(".", path), 0);
    assert_int_equal(pages_list(folder, &p, NULL), 0);
    assert_int_equal(p.n, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(p.paths[i], want[i]);
    pages_release(&p);
    assert_int_equal(pages_list("/nonexistent/x", &p, NULL), -E_NOTFOUND);
    snprintf(path, sizeof path, "rm -rf %s", folder);
    assert_int_equal(system(path), 0);
}

static void test_extract_page__page_urls(void **state)
{
    struct buf out = {.max = BUF_NO_LIMIT};

    (void)state;
    assert_int_equal(
        pages_url(STR("http://A.test"), STR("x y/z%?#.html"), &out), URL_OK);
    assert_string_equal(out.p, "http://a.test/x%20y/z%25%3F%23.html");
    assert_int_equal(
        pages_url(STR("http://a.test/b/"), STR("\xc3\xa4.htm"), &out), URL_OK);
    assert_string_equal(out.p, "http://a.test/b/%C3%A4.htm");
    assert_int_equal(pages_url(STR("http://a.test/"), STR("\xff.htm"), &out),
                     URL_CHARSET);
    buf_release(&out);
}

static int set_up(void **state)
{
    (void)state;
    markup_init(&m);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    markup_release(&m);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extract_page__text_length),
        cmocka_unit_test(test_extract_page__links_and_metas),
        cmocka_unit_test(test_extract_page__http_charset),
        cmocka_unit_test(test_extract_page__late_base),
        cmocka_unit_test(test_extract_page__bombs),
        cmocka_unit_test(test_extract_page__page_text),
        cmocka_unit_test(test_extract_page__pages_of_a_folder),
        cmocka_unit_test(test_extract_page__page_urls),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
