/* extraction.md rule by rule: a page, and the pairs it must give. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/markup.h"
#include "base/pages.h"

#define PAGE STR("http://a.test/dir/page.html")
#define A    "http://a.test/dir/"

struct row {
    const char *rule, *name;
    const char *html;
    const char *pairs; /* "URL from text", a line each; images are in A */
    const char *drop;  /* "reason count", or NULL */
};

static const struct row rows[] = {
    /* 1: the order of attributes */
    {"1", "lazy before src", "<img alt=t src=s.png data-src=l.png>",
     "l.png alt t\n", NULL},
    {"1", "four lazy names in order",
     "<img alt=t data-lazy=d data-original=c data-lazy-src=b data-src=a>"
     "<img alt=t data-lazy=d data-original=c data-lazy-src=b>"
     "<img alt=t data-lazy=d data-original=c><img alt=t data-lazy=d>",
     "a alt t\nb alt t\nc alt t\nd alt t\n", NULL},
    {"1", "lazy srcset before src",
     "<img alt=t src=s.png data-lazy-srcset='b 1x'>"
     "<img alt=t src=s.png data-lazy-srcset='b 1x' data-srcset='a 1x'>",
     "b alt t\na alt t\n", NULL},
    {"1", "src before srcset", "<img alt=t srcset='b 2x' src=a>", "a alt t\n",
     NULL},
    {"1", "srcset alone", "<img alt=t srcset='b 2x'>", "b alt t\n", NULL},
    {"1", "a pending value is skipped",
     "<img alt=t src=s.png data-lazy-src='l.png?is-pending-load=1'>",
     "s.png alt t\n", NULL},
    {"1", "the first that is usable",
     "<img alt=t data-src='data:image/gif;base64,R0' data-lazy='#' src=s>",
     "s alt t\n", NULL},
    /* 2: usable */
    {"2", "forms and schemes",
     "<img alt=t src='{a}'><img alt=t src='[a]'><img alt=t src=' <a>'>"
     "<img alt=t src='a{{b}}'><img alt=t src='a${b}'><img alt=t src='a<%b%>'>",
     "", "url-template 6"},
    {"2", "other schemes",
     "<img alt=t src='data:x'><img alt=t src='about:blank'>"
     "<img alt=t src='blob:x'><img alt=t src='file:///x'>",
     "", "url-scheme 4"},
    {"2", "a bare number sign", "<img alt=t src='#'><img alt=t src=''>", "",
     "url-empty 2"},
    {"2", "braces inside are encoded", "<img alt=t src='a{b}'>",
     "a%7Bb%7D alt t\n", NULL},
    /* 3: srcset */
    {"3", "largest w",
     "<img alt=t srcset='a 100w, b 300w, c 200w, d 300w, e 9x'>", "b alt t\n",
     NULL},
    {"3", "largest x, none is 1x", "<img alt=t srcset='a, b 1.5x, c .5x'>",
     "b alt t\n", NULL},
    {"3", "commas in URLs", "<img alt=t srcset='w_1,h_2/a.jpg 1x, b,c 2x'>",
     "b,c alt t\n", NULL},
    {"3", "comma glued to the URL", "<img alt=t srcset=',a, b'>", "a alt t\n",
     NULL},
    {"3", "broken descriptors are no candidates",
     "<img alt=t srcset='a 1x, b 9y, c 0w, d -1x, e 5x 5x, f 7h, g 1w 2x'>",
     "a alt t\n", NULL},
    {"3", "parentheses hide commas", "<img alt=t srcset='a 2x (x, 9x) , b 1x'>",
     "b alt t\n", NULL},
    {"3", "w with h", "<img alt=t srcset='a 5w 5h, b 4w'>", "a alt t\n", NULL},
    /* 4: last resort */
    {"4", "another data attribute",
     "<img alt=t data-id=7 data-big='x.JPG?s=1' data-z='y.png'>",
     "x.JPG?s=1 alt t\n", NULL},
    {"4", "only without a URL", "<img alt=t src=s data-big=x.jpg>", "s alt t\n",
     NULL},
    {"4", "no suffix, no image", "<img alt=t data-big=x.php?f=a.jpg>", "",
     "no-url 1"},
    {"4", "first of a repeated name", "<img alt=t data-a=x data-A=y.gif>", "",
     "no-url 1"},
    /* 5: picture */
    {"5", "sources in order, data-srcset first",
     "<picture><source media=x srcset='data:x 1x'><source type=y srcset=b "
     "data-srcset='a 1x'><source srcset=c><img alt=t></picture>",
     "a alt t\n", NULL},
    {"5", "not when the img has a URL",
     "<picture><source srcset=b><img alt=t src=s></picture>", "s alt t\n",
     NULL},
    {"5", "before the last resort",
     "<picture><img alt=t data-x=x.png><source srcset=b></picture>",
     "b alt t\n", NULL},
    {"5", "only its own picture",
     "<picture><source srcset=b></picture><img alt=t><video><source "
     "srcset=c></video>",
     "", "no-url 1"},
    /* 6: white space */
    {"6", "every run is one space",
     "<img src=s alt='&nbsp; a\t\n\xe2\x80\x83 b \xc2\x85"
     "c\x01 d '>",
     "s alt a b c d\n", NULL},
    {"6", "controls go after the collapse", "<img src=s alt='a \x01 b'>",
     "s alt a  b\n", NULL},
    {"6", "soft hyphens and joiners stay", "<img src=s alt='a&shy;b&zwj;c'>",
     "s alt a\xc2\xad"
     "b\xe2\x80\x8d"
     "c\n",
     NULL},
    /* 7: texts */
    {"7", "alt, title, aria-label", "<img src=s alt=a title=b aria-label=c>",
     "s alt a\ns title b\ns aria-label c\n", NULL},
    {"7", "the link's only when all are empty",
     "<a href=x title=T aria-label=L><img src=s alt=' '><img src=u alt=v>"
     "</a>",
     "s title T\ns aria-label L\nu alt v\n", NULL},
    {"7", "the nearest link",
     "<a title=O><table><tr><td><a title=I></a><img src=s></table>",
     "s title O\n", NULL},
    {"7", "link text never does", "<a>text<img src=s></a>", "", "no-text 1"},
    {"7", "a parser reopens a link behind a block",
     "<p><a title=T>x</p><img src=s></a><img src=u>", "s title T\n",
     "no-text 1"},
    /* 8: figcaption */
    {"8", "every image of the figure",
     "<figure><img src=a><figcaption> </figcaption><figcaption>C <b>d"
     "</b></figcaption><img src=b alt=x></figure><img src=c>",
     "a figcaption C d\nb alt x\nb figcaption C d\n", "no-text 1"},
    {"8", "not images in a figcaption",
     "<figure><img src=a><figcaption>C<img src=b></figcaption></figure>",
     "a figcaption C\n", "no-text 1"},
    {"8", "the nearest figure",
     "<figure><img src=a><figure><img src=b><figcaption>I</figcaption>"
     "</figure><figcaption>O</figcaption></figure>",
     "a figcaption O\nb figcaption I\n", NULL},
    /* 9: captions without figure */
    {"9", "classes",
     "<img src=a><p class='x wp-caption-text'>A</p>"
     "<img src=b><div class=caption>B</div><img src=c><i class=thumbcaption>C"
     "</i><img src=d><p class=tr-caption>D</p><img src=e><p class=gallerytext>"
     "E</p><img src=f><p class=image-caption>F</p><img src=g><p "
     "class=img-caption>G</p><img src=h><p class=gallery-caption>H</p>"
     "<img src=i><figcaption>I</figcaption>",
     "a figcaption A\nb figcaption B\nc figcaption C\nd figcaption D\n"
     "e figcaption E\nf figcaption F\ng figcaption G\nh figcaption H\n"
     "i figcaption I\n",
     NULL},
    {"9", "only white space between",
     "<img src=a> &nbsp;<script>s</script><br><p class=caption>A</p>"
     "<img src=b>.<p class=caption>B</p>",
     "a figcaption A\n", "no-text 1"},
    {"9", "no image inside", "<img src=a><div class=caption>A<img src=b></div>",
     "", "no-text 2"},
    {"9", "not inside figures",
     "<figure><img src=a><p class=caption>A</p></figure>", "", "no-text 1"},
    {"9", "other classes are none",
     "<img src=a><p class='captions Caption'>A</p>", "", "no-text 1"},
    {"9", "one in the other, when they differ",
     "<img src=a><div class=caption><p class=caption>A</p>B</div>",
     "a figcaption A B\na figcaption A\n", NULL},
    /* 10: caption text */
    {"10", "tags part words, inline ones do not",
     "<figure><img src=a><figcaption>a<b>b</b><span>c</span><p>d</p>e<br>f"
     "<img src=x>g<x-y>h</x-y><wbr>i</figcaption></figure>",
     "a figcaption abc d e f g h i\n", "no-text 1"},
    {"10", "what is silent",
     "<figure><img src=a><figcaption>a<script>s</script><style>s</style>"
     "<template>t</template><svg><text>v</text><foreignObject><p>f</p>"
     "</foreignObject></svg>b<!-- c --></figcaption></figure>",
     "a figcaption a b\n", NULL},
    /* 11: og */
    {"11", "description and alt",
     "<meta property=og:image content=a><meta property=og:description "
     "content=D><meta name=og:image:alt content=L><meta property=og:title "
     "content=T><meta property=og:image content=b>",
     "a og D\na og L\n", NULL},
    {"11", "the first usable, then :url, then :secure_url",
     "<meta property=og:image:secure_url content=c><meta "
     "property=og:image:url content=b><meta property=og:image content=data:x>"
     "<meta property=og:description content=D>",
     "b og D\n", NULL},
    {"11", "references in names",
     "<meta property='og&#x3a;image' content=a><meta name=og:description "
     "content=D>",
     "a og D\n", NULL},
    {"11", "the first description",
     "<meta property=og:image content=a><meta property=og:description "
     "content=D><meta property=og:description content=E>",
     "a og D\n", NULL},
    /* 12: noscript */
    {"12", "markup, and equal records are one",
     "<img data-src=a alt=t><noscript><img src=a alt=t><img src=b alt=u>"
     "</noscript>",
     "a alt t\nb alt u\n", "duplicate 1"},
    /* 13: elements */
    {"13", "image, -img, -image",
     "<image src=a alt=t><amp-img src=b alt=t></amp-img><lazy-image src=c "
     "alt=t></lazy-image><a-img src=d alt=t></a-img><imgs src=e alt=t>",
     "a alt t\nb alt t\nc alt t\nd alt t\n", NULL},
    {"13", "never",
     "<!--<img src=a alt=t>--><script><img src=a alt=t></script><style><img "
     "src=a alt=t></style><textarea><img src=a alt=t></textarea><title><img "
     "src=a alt=t></title><iframe><img src=a alt=t></iframe><noembed><img "
     "src=a alt=t></noembed><noframes><img src=a alt=t></noframes><xmp><img "
     "src=a alt=t></xmp><template><img src=a alt=t></template><svg><image "
     "src=a alt=t></image></svg><input type=image src=a alt=t><area src=a "
     "alt=t><video poster=a alt=t></video><object data=a alt=t></object>"
     "<b style='background:url(a)' alt=t>",
     "", NULL},
    {"13", "raw text is off in svg and math",
     "<svg><style></svg><img src=a alt=t><math><title></math><img src=b "
     "alt=t><svg><![CDATA[<img src=c alt=t>]]></svg>",
     "a alt t\nb alt t\n", NULL},
    {"13", "img leaves svg", "<svg><g><img src=a alt=t><svg/><img src=b alt=t>",
     "a alt t\nb alt t\n", NULL},
    {"13", "a script's comment holds its end",
     "<script><!--<script></script><img src=a alt=t>--></script><img src=b "
     "alt=t>",
     "b alt t\n", NULL},
    /* 14: pixels */
    {"14", "0 or 1 each way",
     "<img src=a alt=t width=1 height=0><img src=b alt=t width=1 height=2>"
     "<img src=c alt=t width=1><img src=d alt=t width='1px' height=' 01 '>"
     "<img src=e alt=t width=10 height=1>",
     "b alt t\nc alt t\ne alt t\n", "pixel 2"},
    /* 15: placeholders */
    {"15", "eight names",
     "<img src=a alt=1><img src=a alt=2><img src=a alt=3><img src=a alt=4>"
     "<img src=a alt=5><img src=a alt=6><img src=a title=7><img src=a "
     "aria-label=8><p class=caption>c</p><img src=b alt=1>",
     "b alt 1\n", "placeholder 9"},
    {"15", "seven are none",
     "<img src=a alt=1><img src=a alt=2><img src=a alt=3><img src=a alt=4>"
     "<img src=a alt=5><img src=a alt=6><img src=a alt=7 title=7><p "
     "class=caption>c</p>",
     "a alt 1\na alt 2\na alt 3\na alt 4\na alt 5\na alt 6\na alt 7\n"
     "a title 7\na figcaption c\n",
     NULL},
    /* 16: base */
    {"16", "the first with href, for the whole page",
     "<img src=a alt=t><base target=x><base href='/b/c'><base href=/d/>"
     "<img src=e alt=t>",
     "http://a.test/b/a alt t\nhttp://a.test/b/e alt t\n", NULL},
    {"16", "not http", "<base href='ftp://x/'><base href=/d/><img src=a alt=t>",
     "a alt t\n", NULL},
    {"16", "not in a template",
     "<template><base href=/x/></template><img src=a alt=t>", "a alt t\n",
     NULL},
    /* 17: U+FFFD */
    {"17", "texts and URLs with U+FFFD",
     "<img src=a alt='x\xef\xbf\xbdy' title='&#xD800;'><img src='b&#0;' "
     "alt=t><p>\xc3\xa4",
     "", "charset 3"},
    {"17", "a meta is believed when the bytes are not UTF-8",
     "<meta charset=koi8-r><img src=a alt='\xd0\xc9\xd7\xcf'>",
     "a alt \xd0\xbf\xd0\xb8\xd0\xb2\xd0\xbe\n", NULL},
    {"17", "valid UTF-8 wins over a meta",
     "<meta charset=koi8-r><img src=a alt='\xc3\xa4'>", "a alt \xc3\xa4\n",
     NULL},
    /* 18: URLs */
    {"18", "canonical form",
     "<img alt=t src=' HTTP://B.test:80/x y/../&#xe4;\\?q=%zz#f '>"
     "<img alt=t src='//c.test'><img alt=t src='http:x'><img alt=t "
     "src='http://'>",
     "http://b.test/%C3%A4%5C?q=%zz alt t\nhttp://c.test/ alt t\n",
     "url-host 2"},
    /* 20: duplicates */
    {"20", "equal records of one page are one",
     "<img src=a alt=t title=t><img src=a alt=t><img src=b alt=t>",
     "a alt t\na title t\nb alt t\n", "duplicate 1"},
    /* texts: DESIGN section 3 */
    {"text", "an empty one is none", "<img src=a alt><img src=a alt='&#1; '>",
     "", "no-text 2"},
    {"text", "tags and double escapes stay",
     "<img src=a alt='&amp;amp; &lt;b&gt;'>", "a alt &amp; <b>\n", NULL},
};

static struct markup m;

static void put_pairs(struct buf *out)
{
    for (size_t i = 0; i < m.n_pairs; i++) {
        struct str url = m.pairs[i].url;

        if (str_starts(url, STR(A)))
            url = str_slice(url, sizeof A - 1, url.n);
        buf_addf(out, "%.*s %s %.*s\n", STR_ARG(url),
                 markup_from_name(m.pairs[i].from), STR_ARG(m.pairs[i].text));
    }
}

/* "reason count" of every drop that the row names. */
static bool drops_as(const char *want)
{
    char line[64];

    if (!want)
        return true;
    for (unsigned i = 1; i < MARKUP_DROPS; i++) {
        snprintf(line, sizeof line, "%s %u", markup_drop_name(i),
                 (unsigned)m.drops[i]);
        if (strcmp(line, want) == 0)
            return true;
    }
    return false;
}

static void test_extract__rules(void **state)
{
    struct buf got = {.max = BUF_NO_LIMIT};
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_clear(&got);
        assert_int_equal(markup_page(&m, str_of(rows[i].html), PAGE, STR_NONE),
                         0);
        put_pairs(&got);
        if (str_eq(buf_str(&got), str_of(rows[i].pairs)) &&
            drops_as(rows[i].drop))
            continue;
        failed++;
        print_error("rule %s, %s: got\n%swanted\n%s%s\n", rows[i].rule,
                    rows[i].name, got.p ? got.p : "", rows[i].pairs,
                    rows[i].drop ? rows[i].drop : "");
        for (unsigned d = 1; d < MARKUP_DROPS; d++)
            if (m.drops[d])
                print_error("  %s %u\n", markup_drop_name(d),
                            (unsigned)m.drops[d]);
    }
    buf_release(&got);
    print_message("extraction: %zu cases of rules 1-18 and 20\n",
                  sizeof rows / sizeof rows[0]);
    assert_int_equal(failed, 0);
}

static void test_extract__text_length(void **state)
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

static void test_extract__links_and_metas(void **state)
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

static void test_extract__http_charset(void **state)
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
static void test_extract__late_base(void **state)
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

static void test_extract__bombs(void **state)
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
        uint64_t from;

        buf_add(&page, str_of(bombs[i].head));
        for (size_t k = 0; k < bombs[i].units; k++)
            buf_add(&page, str_of(bombs[i].unit));
        from = clock_mono_ms();
        assert_int_equal(markup_page(&m, buf_str(&page), PAGE, STR_NONE), 0);
        from = clock_mono_ms() - from;
#ifndef WITMILL_SANITIZED
        if (from > 2000)
            fail_msg("%s: %zu bytes took %u ms", bombs[i].name, page.n,
                     (unsigned)from);
#endif
        buf_release(&page);
    }
}

/* ---- visible text ---- */

static void test_extract__page_text(void **state)
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

static void test_extract__pages_of_a_folder(void **state)
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

static void test_extract__page_urls(void **state)
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

/* A loop over pages stops growing: the second and third round over all cases
 * leave as many bytes allocated as the first. */
static void test_extract__settles(void **state)
{
    size_t bytes[3];

    (void)state;
    for (int k = 0; k < 3; k++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            assert_int_equal(
                markup_page(&m, str_of(rows[i].html), PAGE, STR_NONE), 0);
        bytes[k] = mallinfo2().uordblks;
    }
    assert_int_equal(bytes[1], bytes[0]);
    assert_int_equal(bytes[2], bytes[0]);
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
        cmocka_unit_test(test_extract__rules),
        cmocka_unit_test(test_extract__text_length),
        cmocka_unit_test(test_extract__links_and_metas),
        cmocka_unit_test(test_extract__http_charset),
        cmocka_unit_test(test_extract__late_base),
        cmocka_unit_test(test_extract__bombs),
        cmocka_unit_test(test_extract__page_text),
        cmocka_unit_test(test_extract__pages_of_a_folder),
        cmocka_unit_test(test_extract__page_urls),
        cmocka_unit_test(test_extract__settles),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
