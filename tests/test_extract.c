/* extraction.md rule by rule: a page, and the pairs it must give. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/markup.h"

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
    {"7", "a table keeps a link's end tag from it",
     "<a title=T><table></a><tr><td></table><img src=s></a><img src=u>",
     "s title T\n", "no-text 1"},
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
        cmocka_unit_test(test_extract__settles),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
