/* querylist/dump: small exports in a table, each read whole and in bits; then
 * what tables cannot hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "querylist/dump.h"
#include "tests/folder.h"

#define HEAD                                                                   \
    "<mediawiki version=\"0.10\" xml:lang=\"en\">\n <siteinfo>\n"              \
    "  <dbname>testwiki</dbname><case>first-letter</case>\n  <namespaces>\n"   \
    "   <namespace key=\"0\" case=\"first-letter\" />\n"                       \
    "   <namespace key=\"1\">Sprīža &amp; Co</namespace>\n"                  \
    "  </namespaces>\n </siteinfo>\n"
#define OLD_HEAD "<mediawiki version=\"0.3\"><siteinfo></siteinfo>"
#define END      "</mediawiki>\n"
#define PAGE(title, text)                                                      \
    "<page><title>" title "</title><ns>0</ns><id>7</id><revision><id>1</id>"   \
    "<text xml:space=\"preserve\">" text "</text></revision></page>\n"

/* Everything that comes out of a dump, in one text: for each page
 * "ns/id/title/redirect/text" or "ns/id/title!fault", a line each; then the
 * error, or "cut: " and how it is cut off. */
static void read_pages(struct dump *d, struct buf *out, struct err *e)
{
    struct dump_block b;
    struct dump_pages p;
    struct dump_page page;
    bool more = true, more_pages;
    int rc = 0;

    dump_block_init(&b);
    dump_pages_init(&p, d, false);
    while (!rc && !(rc = dump_next(d, &b, &more, e)) && more) {
        uint64_t n = 0;

        assert_true(b.pages > 0);
        dump_pages_start(&p, &b);
        while (!(rc = dump_pages_next(&p, &page, &more_pages, e)) &&
               more_pages) {
            assert_int_equal(page.number, b.first_page + n++);
            buf_addf(out, "%d/%llu/%.*s", (int)page.ns,
                     (unsigned long long)page.id, STR_ARG(page.title));
            if (page.fault)
                buf_addf(out, "!%s\n", dump_fault_name(page.fault));
            else
                buf_addf(out, "/%.*s/%.*s\n", STR_ARG(page.redirect),
                         STR_ARG(page.text));
        }
        assert_true(rc || n == b.pages);
    }
    if (rc)
        buf_addf(out, "%s", e->message);
    if (dump_truncated(d))
        buf_addf(out, "cut: %s", dump_truncated(d));
    dump_pages_release(&p);
    dump_block_release(&b);
}

static void read_dump(struct str xml, const struct dump_options *o,
                      struct buf *out)
{
    struct err e = ERR_INIT;
    struct stream *in;
    struct dump *d;

    buf_clear(out);
    assert_int_equal(stream_open_memory(&in, xml, "xml", NULL), 0);
    if (dump_open(&d, in, "x", o, &e))
        buf_addf(out, "%s", e.message);
    else
        read_pages(d, out, &e);
    dump_close(d);
    stream_close(in);
}

/* At any size of reads and blocks it is the same. */
static void expect(struct str xml, bool allow_truncated, struct str want)
{
    static const size_t sizes[][2] = {{0, 0}, {1, 1}, {7, 64}, {64, 1}};
    struct buf out;

    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct dump_options o = {allow_truncated, sizes[i][0], sizes[i][1]};

        read_dump(xml, &o, &out);
        if (!str_eq(buf_str(&out), want))
            fail_msg("by %zu bytes:\n%.*s\ngave\n%.*s\nnot\n%.*s", sizes[i][0],
                     STR_ARG(xml), STR_ARG(buf_str(&out)), STR_ARG(want));
    }
    buf_release(&out);
}

/* @{bytes} in want: the place of these bytes in xml. */
struct row {
    const char *xml, *want;
};

static void expect_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str xml = str_of(rows[i].xml), want = str_of(rows[i].want);
        size_t from = str_find(want, STR("@{"), 0);
        size_t to = str_find_char(want, '}', from);
        struct buf b;

        buf_init(&b, BUF_NO_LIMIT);
        buf_add(&b, str_slice(want, 0, from));
        if (from != SIZE_MAX) {
            buf_addf(&b, "%zu",
                     str_find(xml, str_slice(want, from + 2, to), 0));
            buf_add(&b, str_slice(want, to + 1, want.n));
        }
        expect(xml, false, buf_str(&b));
        buf_release(&b);
    }
}
#define EXPECT(rows) expect_rows(rows, sizeof(rows) / sizeof *(rows))

static void test_dump__pages(void **state)
{
    static const struct row rows[] = {
        {HEAD END, ""},
        {"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" HEAD END,
         ""},
        {"<mediawiki/>", ""},
        {"<mediawiki>" PAGE("A", "b") END, "0/7/A//b\n"},
        {"<mediawiki><siteinfo/>" PAGE("A", "b") END, "0/7/A//b\n"},
        {HEAD PAGE("A", "one") PAGE("B", "two") END,
         "0/7/A//one\n0/7/B//two\n"},
        {HEAD "<page><title>A</title></page>" END, "0/0/A//\n"},
        /* Elements in any order, unknown ones, attributes of all kinds. */
        {HEAD "<page x='>' ><id> 5 </id><new a=\"1\"><b>x</b><c/></new>"
              "<revision><contributor><text>no</text></contributor><text "
              "bytes=\"9\">yes</text></revision><ns>0</ns><title>A"
              "</title ></page >" END,
         "0/5/A//yes\n"},
        /* Revisions: the last; a second slot's text is not the page's. */
        {HEAD "<page><title>A</title><revision><text>1</text></revision>"
              "<revision><text>2</text></revision><revision><text>3</text>"
              "<content><text>slot</text></content></revision></page>" PAGE(
                  "B", "b") END,
         "0/0/A//3\n0/7/B//b\n"},
        {HEAD "<page><title>A</title><revision><text>1</text></revision>"
              "<revision><text deleted=\"deleted\" /></revision></page>" END,
         "0/0/A//\n"},
        {HEAD "<page><title>A</title><revision/></page>" END, "0/0/A//\n"},
        /* Other namespaces: no text, and nobody looks into it. */
        {HEAD "<page><title>Talk:A</title><ns>1</ns><id>2</id><revision>"
              "<text>&nonsense; &#0;</text></revision></page>" END,
         "1/2/Talk:A//\n"},
        {HEAD "<page><title>A</title><ns>-1</ns><revision><text>x</text>"
              "</revision></page>" END,
         "-1/0/A//\n"},
        /* Parts of one dump, one behind the other. */
        {HEAD PAGE("A", "a") END
         "<?xml version=\"1.0\"?>" HEAD END HEAD PAGE("B", "b") END,
         "0/7/A//a\n0/7/B//b\n"},
        {HEAD PAGE("A", "a") END OLD_HEAD PAGE("B", "b") END,
         "0/7/A//a\nx: byte @{<mediawiki version=\"0.3\">} of the XML, behind "
         "page 1 \"A\": here begins "
         "another dump with another head"},
    };

    (void)state;
    EXPECT(rows);
}

static void test_dump__text(void **state)
{
    static const struct row rows[] = {
        {HEAD PAGE("A&amp;B &#x4e2d;", "&lt;b&gt; &quot;x&quot; &apos;") END,
         "0/7/A&B 中//<b> \"x\" '\n"},
        {HEAD PAGE("A", "&#65;&#x42;&#X;") END,
         "x: byte @{&#X}, page 1 \"A\": a reference to an unknown entity, &"},
        {HEAD PAGE("A", "&#65;&#x42;&#x00000043;&#9;&#10;&#x10FFFF;") END,
         "0/7/A//ABC\t\n\xf4\x8f\xbf\xbf\n"},
        {HEAD PAGE("A", "&amp;lt; a > b ' \"") END, "0/7/A//&lt; a > b ' \"\n"},
        /* Line ends; one that is written as a reference stays. */
        {HEAD PAGE("A", "a\r\nb\rc\r\r\nd&#13;") END,
         "0/7/A//a\nb\nc\n\nd\r\n"},
        /* What may stand in text beside text. */
        {HEAD PAGE("A", "a<!-- </text></page> & -->b<?x </page>?>c") END,
         "0/7/A//abc\n"},
        {HEAD PAGE("A", "a&lt;<![CDATA[<b>&amp;\r\n</page>]]&gt;]]>c") END,
         "0/7/A//a<<b>&amp;\n</page>]]&gt;c\n"},
        {HEAD "<!-- <page> -->" PAGE("A<!-- x -->B",
                                     "<![CDATA[]]>") "<?y?>"
                                                     "<!----><!-->-->" END,
         "0/7/AB//\n"},
        {HEAD "<!-- a comment of some length > --><?and more?>" PAGE(
             "A", "a") "<!-- a comment of some length <page> -->" PAGE("B", "b")
             END,
         "0/7/A//a\n0/7/B//b\n"},
        /* A bad page costs one page. */
        {HEAD PAGE("A", "&#0;") PAGE("B", "&#xD800;") PAGE("C", "&#x110000;")
             PAGE("D", "&#99999999999999999;") PAGE("E", "&#xFFFE;")
                 PAGE("F", "f") END,
         "0/7/A!page-code\n0/7/B!page-code\n0/7/C!page-code\n"
         "0/7/D!page-code\n0/7/E!page-code\n0/7/F//f\n"},
        {HEAD PAGE("A", "a\xff") PAGE("B", "\xc0\x80") PAGE("C\xe9", "c")
             PAGE("D", "d") END,
         "0/7/A!page-charset\n0/7/B!page-charset\n0/7/!page-charset\n"
         "0/7/D//d\n"},
        {HEAD "<page><title></title></page><page><id>1</id></page>"
              "<page><title>A</title><ns>x</ns></page><page><title>B</title>"
              "<id>-1</id></page><page><title>C</title><ns>4294967296</ns>"
              "</page><page><title>&#1;</title></page>" END,
         "0/0/!page-title\n0/1/!page-title\n0/0/A!page-number\n"
         "0/0/B!page-number\n0/0/C!page-number\n0/0/!page-code\n"},
    };

    (void)state;
    EXPECT(rows);
}

/* XML 1.0, production 2: what no document may have, written as it is, costs
 * the page as a reference to it does; its neighbours in code do not. */
static void test_dump__forbidden(void **state)
{
    static const struct row rows[] = {
        {HEAD PAGE("A", "a\x01") PAGE("B", "\x1f"
                                           "b") PAGE("C", "\b")
             PAGE("D", "longer text, \f and on") PAGE("E", "e") END,
         "0/7/A!page-code\n0/7/B!page-code\n0/7/C!page-code\n"
         "0/7/D!page-code\n0/7/E//e\n"},
        {HEAD PAGE("A", "\xef\xbf\xbe") PAGE("B", "eight by\xef\xbf\xbf")
             PAGE("C", "aaaaaaa\xef\xbf\xbf") PAGE("D", "\xef\xbf\xbd") END,
         "0/7/A!page-code\n0/7/B!page-code\n0/7/C!page-code\n"
         "0/7/D//\xef\xbf\xbd\n"},
        {HEAD PAGE("A\x02", "a") PAGE("B", "&lt;\x7f\xc2\x80\tb")
             PAGE("C", "&lt;<![CDATA[\x03]]>")
                 PAGE("D", "\xef\xbc\x8c\xf0\x9f\xbf\xbe") END,
         "0/7/!page-code\n0/7/B//<\x7f\xc2\x80\tb\n0/7/C!page-code\n"
         "0/7/D//\xef\xbc\x8c\xf0\x9f\xbf\xbe\n"},
        {HEAD "<page><title>A</title><redirect title=\"B\x0b\" /></page>"
              "<page><title>Talk:A</title><ns>1</ns><revision><text>\x01"
              "</text></revision></page>" END,
         "0/0/A!page-code\n1/0/Talk:A//\n"},
    };
    struct str nul = STR(HEAD PAGE("A", "a\0b") PAGE("B", "b") END);

    (void)state;
    EXPECT(rows);
    expect(nul, false, STR("0/7/A!page-code\n0/7/B//b\n"));
}

static void test_dump__redirects(void **state)
{
    static const struct row rows[] = {
        {HEAD "<page><title>A</title><redirect title=\"B &amp; &#39;C'\" />"
              "<revision><text>#REDIRECT [[B]]</text></revision></page>" END,
         "0/0/A/B & 'C'/#REDIRECT [[B]]\n"},
        {HEAD
         "<page><title>A</title><redirect title='B'></redirect></page>" END,
         "0/0/A/B/\n"},
        /* It does not say where to (schemas 0.4, 0.5). */
        {HEAD "<page><title>A</title><redirect /><revision><text>#redirect "
              "[[:B b#c|d]]</text></revision></page>" END,
         "0/0/A/B b/#redirect [[:B b#c|d]]\n"},
        {HEAD "<page><title>A</title><redirect /><revision><text>nothing"
              "</text></revision></page>" END,
         "0/0/A//nothing\n"},
        /* No element for it, and none for the namespace (0.3). */
        {OLD_HEAD "<page><title>A</title><revision><text>#Redirect [[B]]"
                  "</text></revision></page>" END,
         "0/0/A/B/#Redirect [[B]]\n"},
        {OLD_HEAD "<page><title>Talk:A</title></page><page><title>Star: A"
                  "</title></page><page><title>category_talk:A</title>"
                  "</page>" END,
         "1/0/Talk:A//\n0/0/Star: A//\n15/0/category_talk:A//\n"},
        /* Text alone makes no redirect where there is an element for it. */
        {HEAD PAGE("A", "#REDIRECT [[B]]") END, "0/7/A//#REDIRECT [[B]]\n"},
    };

    (void)state;
    EXPECT(rows);
}

#define IN_HEAD(at) "x: byte " at " of the XML, in the head of the dump: "
#define DECLARATION                                                            \
    "a declaration (DOCTYPE, ENTITY), which no wiki writes, refused; take it " \
    "out, or take the dump as the wiki gives it"

static void test_dump__refused(void **state)
{
    static const struct row rows[] = {
        {"", IN_HEAD("0") "<mediawiki> expected"},
        {" plain text", IN_HEAD("1") "this is no XML"},
        {"<!-- --><html></html>", IN_HEAD("8") "<mediawiki> expected"},
        {"</mediawiki>", IN_HEAD("0") "<mediawiki> expected"},
        {"<?xml version=\"1.0\" encoding=\"utf-16\"?><mediawiki/>",
         IN_HEAD("@{utf-16}") "another encoding than UTF-8; convert the dump "
                              "(and what it says here), as by iconv"},
        {"<!DOCTYPE mediawiki [<!ENTITY a \"b\">]><mediawiki/>",
         IN_HEAD("0") DECLARATION},
        {"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!DOCTYPE m><mediawiki/>",
         IN_HEAD("@{<!DOC}") DECLARATION},
        {"<mediawiki><siteinfo><!ENTITY a \"b\"></siteinfo></mediawiki>",
         IN_HEAD("@{<!ENT}") DECLARATION},
        {"<mediawiki><siteinfo><namespaces><namespace key=\"x\">A"
         "</namespace></namespaces></siteinfo></mediawiki>",
         IN_HEAD("@{<namespace }") "a <namespace> without number"},
        {"<mediawiki><siteinfo><namespaces><namespace key=\"1\">A&b;"
         "</namespace></namespaces></siteinfo></mediawiki>",
         IN_HEAD("@{&b;}") "an unknown reference in a <namespace>"},
        {"<mediawiki><siteinfo><namespaces>",
         IN_HEAD("33") "<namespaces> unended"},
        {"<mediawiki><siteinfo>", IN_HEAD("21") "<siteinfo> unended"},
        {"<mediawiki><siteinfo><case>", IN_HEAD("27") "an element without end"},
        {HEAD PAGE("A", "a") "<!ENTITY a \"b\">" END,
         "0/7/A//a\nx: byte @{<!ENT} of the XML, behind page 1 "
         "\"A\": " DECLARATION},
        {HEAD PAGE("A", "a") PAGE("B", "x<!DOCTYPE x>") END,
         "0/7/A//a\nx: byte @{<!DOC} of the XML, in page 2 "
         "\"B\": " DECLARATION},
        {HEAD PAGE("A", "a") PAGE("B", "x&nbsp;y") PAGE("C", "c") END,
         "0/7/A//a\nx: byte @{&nbsp}, page 2 \"B\": a reference to an unknown "
         "entity, &nbsp"},
        {HEAD PAGE("A", "a & b") END,
         "x: byte @{& b}, page 1 \"A\": a reference to an unknown entity, &"},
        {HEAD PAGE("A", "a<b>c</b>") END,
         "x: byte @{<b>}, page 1 \"A\": a tag in an element that holds text "
         "alone"},
        {HEAD "text" PAGE("A", "a") END,
         "x: byte @{text<page} of the XML, before the first page: text between "
         "pages"},
        {HEAD PAGE("A", "a") "<logitem></logitem>" END,
         "0/7/A//a\nx: byte @{<logi} of the XML, behind page 1 \"A\": <page> "
         "or "
         "</mediawiki> expected"},
        {HEAD PAGE("A", "a") "<page><title>B</title>" PAGE("C", "c") END,
         "0/7/A//a\nx: byte @{<page><title>C} of the XML, in page 2 \"B\": a "
         "page begins in "
         "a page"},
        {HEAD "<page><title>A</title><a><b></a></b></page>" END,
         "x: byte @{</a>}, page 1 \"A\": a closing tag of another element"},
        {HEAD "<page><title>A</title></revision></page>" END,
         "x: byte @{</revi}, page 1 \"A\": <page> without end"},
        {HEAD "<page><title>A</title><revision><text>a</text></page>" END,
         "x: byte @{</page}, page 1 \"A\": <revision> without end"},
        {HEAD "<page><title>A</title><a b=\"</page>" END,
         "x: byte @{<a b}, page 1 \"A\": a tag without end"},
        {HEAD END "more", "x: byte @{more} of the XML, before the first page: "
                          "text between pages"},
        {HEAD END "<more/>",
         "x: byte @{<more} of the XML, before the first page: "
         "<mediawiki> or nothing expected"},
    };

    (void)state;
    EXPECT(rows);
}

/* A dump may end after any byte: the whole pages come, then where it is cut
 * off, or nothing when that is allowed. */
static void test_dump__cut_off(void **state)
{
    static const char xml[] =
        HEAD PAGE("A", "a") "<!-- x -->" PAGE("B", "b") "<?y z?>" END;
    const size_t head = sizeof HEAD - 1, page = sizeof PAGE("A", "a") - 1;
    const size_t second = head + page + 10 + page - 1;
    struct buf out, want;

    (void)state;
    buf_init(&out, BUF_NO_LIMIT);
    buf_init(&want, BUF_NO_LIMIT);
    for (size_t n = head; n < sizeof xml - 2; n++) {
        const struct dump_options o = {.block_bytes = 1, .read_bytes = 50};

        buf_clear(&want);
        if (n + 1 >= head + page)
            buf_add(&want, STR("0/7/A//a\n"));
        if (n >= second)
            buf_add(&want, STR("0/7/B//b\n"));
        read_dump(str_make(xml, n), &o, &out);
        if (!str_starts(buf_str(&out), buf_str(&want)))
            fail_msg("%zu: %s", n, out.p);
        buf_addf(&want, "x: cut off at byte %zu of the XML, ", n);
        if (!str_starts(buf_str(&out), buf_str(&want)))
            fail_msg("%zu: %s, not %s", n, out.p, want.p);
    }
    for (size_t n = second - 3; n < second + 3; n += 4)
        for (int allow = 0; allow < 2; allow++) {
            buf_clear(&want);
            buf_addf(&want,
                     "0/7/A//a\n%s%sx: cut off at byte %zu of the XML, %s "
                     "page 2 \"B\"%s",
                     n < second ? "" : "0/7/B//b\n", allow ? "cut: " : "", n,
                     n < second ? "in" : "behind",
                     allow ? ""
                           : "; --allow-truncated goes on with the pages that "
                             "are whole");
            expect(str_make(xml, n), allow, buf_str(&want));
        }
    buf_release(&out);
    buf_release(&want);
}

/* Compressed data that are cut off are such a dump; damaged ones never. */
static void test_dump__cut_stream(void **state)
{
    struct dump_options o = {.allow_truncated = true};
    struct buf xml, packed, out;
    char command[IO_PATH_MAX];

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    buf_init(&packed, BUF_NO_LIMIT);
    buf_init(&out, BUF_NO_LIMIT);
    buf_add(&xml, STR(HEAD));
    for (unsigned i = 0; i < 3000; i++)
        buf_addf(&xml,
                 "<page><title>%u</title><id>%u</id><revision><text>"
                 "%u %u</text></revision></page>\n",
                 i, i + 1, i * 2654435761u, i * 40503u);
    buf_add(&xml, STR(END));
    assert_int_equal(io_write_file(at("x"), buf_str(&xml), NULL), 0);
    snprintf(command, sizeof command, "gzip -n <%s >%s", at("x"), at("x.gz"));
    assert_int_equal(system(command), 0);
    assert_int_equal(io_read_file(at("x.gz"), &packed, NULL), 0);
    read_dump(buf_str(&packed), &o, &out);
    assert_null(strstr(out.p, "cut: "));
    read_dump(str_make(packed.p, packed.n / 2), &o, &out);
    assert_non_null(strstr(out.p, "0/100/99//"));
    assert_non_null(strstr(out.p, "cut: x: cut off at byte "));
    assert_non_null(strstr(out.p, ": the input is cut off at compressed "));
    o.allow_truncated = false;
    read_dump(str_make(packed.p, packed.n / 2), &o, &out);
    assert_non_null(strstr(out.p, "0/100/99//"));
    assert_null(strstr(out.p, "cut: "));
    o.allow_truncated = true;
    packed.p[packed.n - 6] ^= 1; /* its checksum */
    read_dump(buf_str(&packed), &o, &out);
    assert_non_null(strstr(out.p, "damaged gzip data"));
    assert_null(strstr(out.p, "cut: "));
    buf_release(&xml);
    buf_release(&packed);
    buf_release(&out);
}

static void add_many(struct buf *b, char c, size_t n)
{
    char *to = buf_reserve(b, n);

    assert_non_null(to);
    memset(to, c, n);
    b->n += n;
}

/* Over the ceilings: the page is dropped, whatever is around it. */
static void test_dump__ceilings(void **state)
{
    const struct dump_options o = {0};
    struct buf xml, out;
    size_t sizes[] = {DUMP_TEXT_MAX, DUMP_TEXT_MAX + 1, DUMP_PAGE_MAX + 1};

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    buf_init(&out, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        buf_clear(&xml);
        buf_add(&xml, STR(HEAD PAGE(
                          "A", "a") "<page><title>B</title><revision><text>"));
        add_many(&xml, 'x', sizes[i]);
        buf_add(&xml, STR("</text></revision></page>" PAGE("C", "c") END));
        read_dump(buf_str(&xml), &o, &out);
        if (i == 0)
            assert_int_equal(out.n, sizeof "0/7/A//a\n0/0/B//\n0/7/C//c\n" - 1 +
                                        sizes[i]);
        else
            assert_string_equal(out.p, "0/7/A//a\n0/0/B!page-size\n0/7/C//c\n");
    }
    buf_release(&xml);
    buf_release(&out);
}

static void test_dump__long_title(void **state)
{
    struct buf xml;

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    buf_add(&xml, STR(HEAD "<page><title>"));
    add_many(&xml, 'x', DUMP_TITLE_MAX + 1);
    buf_add(&xml, STR("</title></page>" PAGE("B", "b") END));
    expect(buf_str(&xml), false, STR("0/0/!page-title\n0/7/B//b\n"));
    buf_release(&xml);
}

/* A history that would not fit, revision by revision larger than a block. */
static void test_dump__long_history(void **state)
{
    const struct dump_options o = {0};
    struct buf xml, out;

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    buf_init(&out, BUF_NO_LIMIT);
    buf_add(&xml, STR(HEAD "<page><title>A</title>"));
    for (int i = 0; i < 40; i++) {
        buf_add(&xml, STR("<revision><text>"));
        add_many(&xml, (char)('a' + i % 26), DUMP_PAGE_MAX / 30);
        buf_add(&xml, STR("</text></revision>"));
    }
    buf_add(&xml, STR("<revision><text>last</text></revision></page>\n" PAGE(
                      "B", "&bad;") END));
    read_dump(buf_str(&xml), &o, &out);
    buf_addf(&xml,
             "0/0/A//last\nx: byte %zu, page 2 \"B\": a reference to an "
             "unknown entity, &bad",
             str_find(buf_str(&xml), STR("&bad;"), 0));
    assert_string_equal(out.p, strstr(xml.p + xml.n - 100, "0/0/A//"));
    buf_release(&xml);
    buf_release(&out);
}

static void test_dump__site(void **state)
{
    const struct dump_options o = {0};
    struct stream *in;
    struct dump *d;

    (void)state;
    assert_int_equal(stream_open_memory(&in, STR(HEAD END), "xml", NULL), 0);
    assert_int_equal(dump_open(&d, in, "x", &o, NULL), 0);
    assert_string_equal(dump_site(d)->language, "en");
    assert_string_equal(dump_site(d)->database, "testwiki");
    assert_false(dump_site(d)->exact_case);
    assert_int_equal(site_find(dump_site(d), STR("sprīža & co")), 1);
    assert_int_equal(site_find(dump_site(d), STR("talk")), 1);
    dump_close(d);
    stream_close(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump__pages),
        cmocka_unit_test(test_dump__text),
        cmocka_unit_test(test_dump__forbidden),
        cmocka_unit_test(test_dump__redirects),
        cmocka_unit_test(test_dump__refused),
        cmocka_unit_test(test_dump__cut_off),
        cmocka_unit_test(test_dump__cut_stream),
        cmocka_unit_test(test_dump__ceilings),
        cmocka_unit_test(test_dump__long_title),
        cmocka_unit_test(test_dump__long_history),
        cmocka_unit_test(test_dump__site),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
