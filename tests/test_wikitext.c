/* querylist/wikitext: a case for each rule, what is malformed, the ceilings,
 * and that work is linear in what is worst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/utf8.h"
#include "querylist/wikitext.h"

struct wikitext_case {
    const char *rule, *source, *want;
};

struct world {
    struct wikitext wikitext;
    struct dump_site site;
    struct buf text;
};

static int set_up(void **state)
{
    struct world *w = malloc(sizeof *w);

    assert_non_null(w);
    wikitext_init(&w->wikitext);
    site_init(&w->site);
    assert_int_equal(site_add(&w->site, STR("Fails"), SITE_FILE), 0);
    assert_int_equal(site_add(&w->site, STR("Kategoreja"), SITE_CATEGORY), 0);
    assert_int_equal(site_add(&w->site, STR("Portal"), 100), 0);
    buf_init(&w->text, BUF_NO_LIMIT);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    wikitext_release(&w->wikitext);
    buf_release(&w->text);
    free(w);
    return 0;
}

static void check(struct world *w, const struct wikitext_case *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* Nothing may be read behind the source. */
        size_t length = strlen(c[i].source);
        char *source = malloc(length + 1);

        assert_non_null(source);
        memcpy(source, c[i].source, length);
        source = realloc(source, length ? length : 1);
        assert_non_null(source);
        buf_clear(&w->text);
        assert_int_equal(wikitext_text(&w->wikitext, &w->site,
                                       str_make(source, length), &w->text),
                         0);
        free(source);
        if (!str_eq(buf_str(&w->text), str_of(c[i].want)))
            fail_msg("%s: \"%s\": \"%s\", not \"%s\"", c[i].rule, c[i].source,
                     w->text.p, c[i].want);
        assert_true(w->text.n <= WIKITEXT_TEXT_MAX(length));
    }
}

#define CHECK(table) check(*state, table, sizeof table / sizeof *table)

static void test_wikitext__templates(void **state)
{
    static const struct wikitext_case cases[] = {
        {"no text", "", ""},
        {"plain text", "A dog barks.", "A dog barks."},
        {"a template", "a{{x}}b", "ab"},
        {"one with parameters", "a {{x|1|k=v}} b", "a  b"},
        {"one in another", "a{{x|{{y|{{z}}}}}}b", "ab"},
        {"beside one another", "{{x}}{{y}}a{{z}}", "a"},
        {"over lines", "a\n{{Infobox\n| k = v\n| l = w\n}}\nb", "a\n\nb"},
        {"its last parameter empty", "{{Infobox\n|k=v\n|}}a", "a"},
        {"a parameter", "a{{{1}}}b", "ab"},
        {"with a default", "a{{{x|no {{y}}}}}b", "ab"},
        {"a template's name in braces", "a{{{{{x}}}}}b", "ab"},
        {"four braces", "a{{{{x}}}}b", "a{}b"},
        {"parser functions", "a{{#if:{{{1|}}}|x|y}}b", "ab"},
        {"a switch", "{{#switch:{{x}}\n|a=b\n|#default=c}}d", "d"},
        {"a magic variable", "a {{PAGENAME}} b", "a  b"},
        {"braces in <nowiki>", "{{x|<nowiki>}}</nowiki>}}a", "a"},
        {"braces in a comment", "{{x|<!-- }} -->}}a", "a"},
        {"braces in a reference", "{{x|<ref>}}</ref>}}a", "a"},
        {"links in one", "{{x|[[y|z]]}}a", "a"},
        {"an open link in one", "{{x|[[y}}a", "a"},
        {"{{!}} after a brace", "a {{{!}} b", "a { b"},
        {"one brace is text", "a {b} c", "a {b} c"},
    };

    CHECK(cases);
}

static void test_wikitext__tables(void **state)
{
    static const struct wikitext_case cases[] = {
        {"a table", "a\n{| class=x\n! h\n|-\n| c\n|}\nb", "a\n\nb"},
        {"parts phrases", "a\n{|\n| c\n|} b", "a\n\n b"},
        {"one in another", "a\n{|\n|\n{|\n| c\n|}\n| d\n|}\nb", "a\n\nb"},
        {"indented", "a\n:{|\n| c\n|}\nb", "a\n\nb"},
        {"behind a comment", "a\n<!-- x\ny -->:{|\n| c\n|}\nb", "a\n\nb"},
        {"with white space", "a\n  {|\n| c\n  |}\nb", "a\n\nb"},
        {"with templates", "{|\n| {{x|y}}\n|}a", "a"},
        {"of a template's braces", "{|\n|{{x\n|}}\n| c\n|}a", "a"},
        {"in a template", "{{x|\n{|\n| c\n|}\n}}a", "a"},
        {"ended by a template's end", "{{x|\n{|\n| c\n|}}}a", "a"},
        {"in a template, unclosed", "{{x|\n{|\n| c\n}}a", "a"},
        {"{| within a line is text", "a {| b", "a {| b"},
        {"|} within a line is text", "{|\n| a |} b\n|}c", "c"},
        {"of HTML", "a<table><tr><td>x</td></tr></table>b", "a\n\nb"},
        {"of HTML in HTML", "a<table>x<table>y</table>z</table>b", "a\n\nb"},
        {"HTML in a table", "{|\n|<table>x</table>\n|}a", "a"},
    };

    CHECK(cases);
}

static void test_wikitext__cut(void **state)
{
    static const struct wikitext_case cases[] = {
        {"a comment", "a<!-- x -->b", "ab"},
        {"over lines", "a<!-- x\ny -->b", "ab"},
        {"alone on its line", "a\n<!-- x -->\nb", "a\nb"},
        {"with spaces beside it", "a\n <!-- x --> \nb", "a\nb"},
        {"two of them", "a\n<!-- x -->\n<!-- y -->\nb", "a\nb"},
        {"at a line's end", "a <!-- x -->\nb", "a \nb"},
        {"with tags and braces", "a<!-- {{ <ref> [[ -->b", "ab"},
        {"a reference", "a<ref>x</ref> b", "a b"},
        {"with a name", "a<ref name=\"x\">y</ref>.", "a."},
        {"empty", "a<ref name=x/>b", "ab"},
        {"empty, spaced", "a<ref name=\"x\" />b", "ab"},
        {"in capitals", "a<REF>x</Ref>b", "ab"},
        {"an end tag with a space", "a<ref>x</ref >b", "ab"},
        {"an empty one within", "a<ref>x<ref name=y /> z</ref>b", "ab"},
        {"templates within", "a<ref>{{cite|x</ref>b", "ab"},
        {"the list of references", "a<references/>b", "a\n\nb"},
        {"with references in it",
         "a\n<references>\n<ref name=x>y</ref>\n</references>\nb", "a\n\nb"},
        {"math", "a <math>x^2</math> b", "a  b"},
        {"chem", "<chem>H2O</chem><ce>H2O</ce>a", "a"},
        {"gallery", "a<gallery>\nFile:x.jpg|y\n</gallery>b", "a\n\nb"},
        {"score", "<score>\\relative c'</score>a", "a"},
        {"timeline", "<timeline>\nImageSize = x\n</timeline>a", "a"},
        {"imagemap", "<imagemap>\nImage:x.png|y\n</imagemap>a", "a"},
        {"syntaxhighlight",
         "a<syntaxhighlight lang=\"c\">int x;</syntaxhighlight>b", "a\n\nb"},
        {"source, with its own tag in it",
         "a<source lang=xml><source>x</source>b", "a\n\nb"},
        {"graph, mapframe, templatedata",
         "<graph>{\"a\":1}</graph><mapframe>x</mapframe>"
         "<templatedata>{}</templatedata>a",
         "a"},
        {"hieroglyphs", "<hiero>A1</hiero>a", "a"},
        {"includeonly", "a<includeonly>x</includeonly>b", "ab"},
        {"noinclude", "a<noinclude>x</noinclude>b", "axb"},
        {"onlyinclude", "a<onlyinclude>x</onlyinclude>b", "axb"},
        {"nowiki", "a<nowiki>[[x]] ''y'' {{z}}</nowiki>b",
         "a[[x]] ''y'' {{z}}b"},
        {"entities in it", "<nowiki>&lt;br&gt; &x;</nowiki>", "<br> &x;"},
        {"empty nowiki", "a<nowiki/>b<nowiki></nowiki>c", "abc"},
        {"pre", "a<pre>b\n* ''c''</pre>d", "a\n\nb\n* ''c''\n\nd"},
        {"poem", "<poem>\na\n''b''\n</poem>c", "a\nb\n\nc"},
        {"section", "<section begin=x />a<section end=x />", "a"},
    };

    CHECK(cases);
}

static void test_wikitext__links(void **state)
{
    static const struct wikitext_case cases[] = {
        {"a link", "a [[dog]] b", "a dog b"},
        {"its trail", "[[dog]]s", "dogs"},
        {"a label", "[[dog|hound]]s", "hounds"},
        {"a label of two words", "the [[dog|brown dog]].", "the brown dog."},
        {"emphasis in it", "[[dog|''hound'']]", "hound"},
        {"bars in it", "[[dog|a|b]]", "a|b"},
        {"a template in it", "[[dog|a{{x}}b]]", "ab"},
        {"a link in it", "[[a|b [[c]] d]]", "b c d"},
        {"a template in its target", "[[{{x}}|b]]s", "bs"},
        {"a comment in its target", "[[a<!-- x -->c|b]] d|e", "b d|e"},
        {"a section", "[[dog#Hair|hair]]", "hair"},
        {"a section of this page", "[[#Hair]]", "#Hair"},
        {"an underscore", "[[brown_dog]]", "brown dog"},
        {"an entity", "[[A &amp; B]]", "A & B"},
        {"the pipe trick", "[[dog (animal)|]]", "dog"},
        {"with a comma", "[[Paris, Texas|]]", "Paris"},
        {"with a namespace", "[[Help:dogs (x)|]]", "dogs"},
        {"no target", "[[|dog]]", "dog"},
        {"a colon in a title", "[[Dogs: a life]]", "Dogs: a life"},
        {"a namespace", "[[Portal:Dogs|dogs]]", "dogs"},
        {"shown", "[[Portal:Dogs]]", "Portal:Dogs"},
        {"a category", "a [[Category:Dogs]] b", "a  b"},
        {"with a key", "[[category:Dogs|*]]a", "a"},
        {"of this wiki", "[[Kategoreja:Suni]]a", "a"},
        {"linked to", "[[:Category:Dogs|dogs]]", "dogs"},
        {"a file", "a[[File:x.jpg]]b", "ab"},
        {"with options", "[[Image:x.jpg|thumb|left|A dog]]a", "a"},
        {"of this wiki", "[[fails:x.jpg|thumb|A dog]]a", "a"},
        {"links in its caption", "[[File:x.jpg|thumb|A [[dog]], [[a|b]] c]]d",
         "d"},
        {"a file in its caption", "[[File:x.jpg|a [[File:y.jpg|b]] c]]d", "d"},
        {"templates in it", "[[File:x.jpg|{{y|]]}} z]]a", "a"},
        {"a reference in it", "[[File:x.jpg|a<ref>[[b</ref> c]]d", "d"},
        {"over lines", "[[File:x.jpg|a\nb]]c", "c"},
        {"linked to", "[[:File:x.jpg|a dog]]", "a dog"},
        {"a file itself", "[[Media:x.ogg|hear]] [[Media:y.ogg]]a", "hear a"},
        {"another language", "a\n[[de:Hund]]\n[[zh-min-nan:x]]\nb", "a\n\nb"},
        {"linked to", "[[:de:Hund|dog]] [[:de:Hund]]", "dog Hund"},
        {"a sister project", "[[wikt:dog]] [[s:de:dog|x]]", "dog x"},
        {"an address", "see [http://a.test/b?c=d the dog], b",
         "see the dog, b"},
        {"without a label", "a [http://a.test/b] b", "a  b"},
        {"of no scheme", "[//a.test/b the dog]", "the dog"},
        {"of mail", "[mailto:a@b.test write]", "write"},
        {"a link in its label", "[http://a.test/ the [[dog]]]", "the dog"},
        {"emphasis in it", "[http://a.test/ ''dog'']", "dog"},
        {"an address in the text", "see http://a.test/b?c d", "see  d"},
        {"at a line's end", "HTTPS://a.test/\nd", "d"},
        {"ended by emphasis", "''http://a.test/'' d", " d"},
        {"no address", "a: b, c://d 1:2", "a: b, c://d 1:2"},
        {"two brackets to an address", "[[http://a.test/ dog]]", " dog"},
        {"brackets are text", "[sic] a[1]", "[sic] a[1]"},
    };

    CHECK(cases);
}

static void test_wikitext__lines(void **state)
{
    static const struct wikitext_case cases[] = {
        {"paragraphs", "a\n\n\n\nb", "a\n\nb"},
        {"lines of one", "a\nb", "a\nb"},
        {"a heading", "a\n== b ==\nc", "a\n\n b\n\nc"},
        {"a deeper one", "==== b ====\nc", " b\n\nc"},
        {"with a comment", "==b== <!-- x -->\nc", "b\n\nc"},
        {"with emphasis", "=='' b ''==\nc", " b\n\nc"},
        {"an equals sign in it", "== a=b ==", " a=b"},
        {"a list", "a\n* b\n* c\nd", "a\n\n b\n\n c\n\nd"},
        {"numbers", "# a\n## b", " a\n\n b"},
        {"definitions", "; a : b\n: c", " a : b\n\n c"},
        {"indents", "a\n::b\nc", "a\n\nb\n\nc"},
        {"mixed", "*#:;a\nb", "a\n\nb"},
        {"a list behind a comment", "<!-- x -->* a\nb", " a\n\nb"},
        {"a rule", "a\n----\nb\n-----c", "a\n\nb\n\nc"},
        {"a hyphen is text", "a\n- b\n--- c", "a\n- b\n--- c"},
        {"marks within a line", "a * b # c = d", "a * b # c = d"},
        {"white space at the ends", "\n\n a \n\n", " a"},
        {"a line that is removed", "a\n{{x}}\nb", "a\n\nb"},
        {"a redirection", "#REDIRECT [[dog]]", ""},
        {"with a template", "#redirect: [[dog]]\n{{R}}", ""},
    };

    CHECK(cases);
}

static void test_wikitext__inline(void **state)
{
    static const struct wikitext_case cases[] = {
        {"italic", "a ''b'' c", "a b c"},
        {"bold", "'''a''' b", "a b"},
        {"both", "'''''a''''' b", "a b"},
        {"parts of a word", "'''N'''ational ''A''b", "National Ab"},
        {"an apostrophe", "dog's, 'dog'", "dog's, 'dog'"},
        {"four", "''''a'''", "'a"},
        {"six", "''''''a'''''", "'a"},
        {"l'''x'' is l' and emphasis", "de l'''amour'' a", "de l'amour a"},
        {"behind a word", "ab '''c''\nd", "ab 'c\nd"},
        {"which ends with its line", "'''a\nb", "a\nb"},
        {"an entity", "a&nbsp;b &amp; c&ndash;d",
         "a b & c\xe2\x80\x93"
         "d"},
        {"by number", "&#233;&#xE9;&#XE9;", "\xc3\xa9\xc3\xa9\xc3\xa9"},
        {"a line feed by number", "a&#10;b", "a b"},
        {"two characters", "&NotEqualTilde;", "\xe2\x89\x82\xcc\xb8"},
        {"no entity", "a & b, AT&T &foo; &#; &#xg;",
         "a & b, AT&T &foo; &#; &#xg;"},
        {"no semicolon", "&amp &copy 2001", "&amp &copy 2001"},
        {"out of range", "&#x110000;&#xd800;", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"is no markup", "&lt;ref&gt; &#91;&#91;", "<ref> [["},
        {"tags", "<b>a</b> <span style=\"x\">b</span>", "a b"},
        {"within a word", "H<sub>2</sub>O x<sup>2</sup>", "H2O x2"},
        {"a line's end", "a<br>b<br/>c<BR />d", "a\n\nb\n\nc\n\nd"},
        {"blocks", "a<div class=x>b</div>c", "a\n\nb\n\nc"},
        {"a quotation", "<blockquote>a</blockquote>b", "a\n\nb"},
        {"lists of HTML", "<ul><li>a</li><li>b</li></ul>", "a\n\nb"},
        {"no tag", "a < b, c<d> <3 <e f>", "a < b, c<d> <3 <e f>"},
        {"a name that goes on", "<bold>", "<bold>"},
        {"a magic word", "__NOTOC__a__TOC__", "a"},
        {"of two words", "__HIDDEN_CAT__a", "a"},
        {"of another script", "__\xd0\x91\xd0\x95\xd0\x97__a", "a"},
        {"in small letters: text", "__init__ a_b", "__init__ a_b"},
        {"a signature", "a ~~~~", "a ~~~~"},
        {"variants of a language", "a-{zh-hans:b; zh-hant:c}-d", "abd"},
        {"no choice", "a-{b}-c", "abc"},
        {"with flags", "-{A|zh-cn:b;zh-tw:c}-", "b"},
        {"rules do not show", "a-{H|zh-cn:b;zh-tw:c}-d", "ad"},
        {"no variant", "a-{b c", "a-b c"},
    };

    CHECK(cases);
}

/* What was never closed loses its brackets and nothing else, as far as words
 * can be told from names. */
static void test_wikitext__malformed(void **state)
{
    static const struct wikitext_case cases[] = {
        {"a template", "{{x\na b c", "a b c"},
        {"with parameters", "{{Infobox\n| name = A dog\nb\n[[c]]",
         " A dog\n\nb\nc"},
        {"within a line", "a {{b c d e", "a b c d e"},
        {"a closed one behind", "{{x\na {{y}} b", "a  b"},
        {"braces that close nothing", "a }} b", "a  b"},
        {"one brace too few", "{{x|a} b", "|a} b"},
        {"a parameter", "a {{{b", "a b"},
        {"a table", "{| class=\"x\"\n|-\n| a || b\n! c\nd",
         " a || b\n\n c\n\nd"},
        {"a table, indented", "a\n:{| class=\"x\"\n| b", "a\n\n b"},
        {"attributes of its cells", "{|\n| style=\"x\" | a\n|+ b", " a\n\n b"},
        {"a closed one in it", "{|\n| a\n{|\n| b\n|}\nc", " a\n\nc"},
        {"a template in a table", "{|\n| {{x\n|}\na", "a"},
        {"the end of a table", "a\n|}\nb", "a\n\nb"},
        {"a link", "a [[b c", "a b c"},
        {"with a label", "a [[b|c\nd", "a c\nd"},
        {"a link before another", "[[a [[b]] c", "a b c"},
        {"brackets that close nothing", "a ]] b", "a  b"},
        {"a file", "[[File:x.jpg|thumb|A dog\n\nb", "A dog\n\nb"},
        {"a file before another", "[[File:x.jpg|a [[File:y.jpg|b]]\n\nc",
         "a b\n\nc"},
        {"a category", "a [[Category:b\nc", "a \nc"},
        {"an address", "[http://a.test/ b\nc] d", "b\nc] d"},
        {"a comment", "a <!-- b", "a  b"},
        {"a comment before another", "a <!-- b <!-- c --> d", "a  d"},
        {"a reference", "a<ref>b c", "ab c"},
        {"before another", "a<ref>b c<ref>d</ref> e", "ab c e"},
        {"before a heading", "a<ref>b\n== c ==\nd</ref> e", "ab\n\n c\n\nd e"},
        {"its tag", "a<ref name=b c", "a name=b c"},
        {"its tag before another", "a<ref name=b <br>c", "a name=b\n\nc"},
        {"its end", "a</ref> b", "a b"},
        {"its end, with a name", "a<ref>b</ref name=\"c\"> d</ref>e", "ae"},
        {"its end, without >", "a<ref>b</ref\nc", "a\nc"},
        {"math", "a<math>b c", "ab c"},
        {"nowiki", "a<nowiki>[[b]]", "ab"},
        {"a table of HTML", "a<table><tr><td>b", "a\n\nb"},
        {"its end", "a</table>b", "a\n\nb"},
        {"a heading", "== a\nb", " a\n\nb"},
        {"emphasis", "''a b", "a b"},
        {"an element", "<div>a<span>b", "ab"},
        {"a tag", "a <span b", "a  b"},
        {"all of it", "{{[[{|<ref><!--'''", "{|"},
    };

    CHECK(cases);
}

/* Text is appended; ends in no white space. */
static void test_wikitext__appends(void **state)
{
    struct world *w = *state;

    buf_clear(&w->text);
    buf_add(&w->text, STR("x\n\n"));
    assert_int_equal(
        wikitext_text(&w->wikitext, &w->site, STR("\n==a==\nb\n"), &w->text),
        0);
    assert_string_equal(w->text.p, "x\n\na\n\nb");
    assert_int_equal(wikitext_text(&w->wikitext, &w->site, STR_NONE, &w->text),
                     0);
    assert_int_equal(w->text.n, 7);
}

static void test_wikitext__ceilings(void **state)
{
    struct world *w = *state;
    struct str page = {malloc(WIKITEXT_MAX + 1), WIKITEXT_MAX + 1};
    struct buf small;

    assert_non_null(page.p);
    memset((char *)page.p, 'a', page.n);
    buf_clear(&w->text);
    assert_int_equal(wikitext_text(&w->wikitext, &w->site, page, &w->text),
                     -E_TOOBIG);
    page.n--;
    assert_int_equal(wikitext_text(&w->wikitext, &w->site, page, &w->text), 0);
    assert_int_equal(w->text.n, page.n);
    free((char *)page.p);
    buf_init(&small, 10);
    assert_int_equal(wikitext_text(&w->wikitext, &w->site, STR("abc"), &small),
                     -E_TOOBIG);
    buf_release(&small);
    buf_release(&w->text);
    buf_init(&w->text, BUF_NO_LIMIT);
}

/* Deeper than there are frames: what is deepest stays, the rest goes. */
static void test_wikitext__depth(void **state)
{
    struct world *w = *state;
    struct buf page;

    buf_init(&page, BUF_NO_LIMIT);
    for (size_t depth = WIKITEXT_DEPTH; depth <= WIKITEXT_DEPTH + 1; depth++) {
        buf_clear(&page);
        buf_add(&page, STR("a"));
        for (size_t i = 0; i < depth; i++)
            buf_add(&page, STR("{{x|"));
        for (size_t i = 0; i < depth; i++)
            buf_add(&page, STR("}}"));
        buf_add(&page, STR("b"));
        buf_clear(&w->text);
        assert_int_equal(
            wikitext_text(&w->wikitext, &w->site, buf_str(&page), &w->text), 0);
        assert_string_equal(w->text.p, "ab");
    }
    buf_release(&page);
}

/* Half a megabyte of the same: what is looked at beside the two scans stays
 * within a few times the page. */
static void test_wikitext__linear(void **state)
{
    static const char *const worst[] = {
        "{{",          "{{{",         "{|\n",
        "[[",          "[[File:",     "[[File:a|",
        "[[File:a]",   "<ref>",       "<ref",
        "<ref name=",  "<!--",        "<!-- --",
        "<math>",      "<math",       "<nowiki>",
        "</ref>",      "<table>",     "''",
        "'''a ''b ",   "[http://a ",  "http://",
        "&",           "&#",          "&amp",
        "__",          "__A",         "-{",
        "-{a",         "}}",          "|}\n",
        "]]",          "\n|",         "\n| a ",
        "\n!! ",       "\n=",         "\n*",
        "\n    {|",    ":::{|",       "   <!---->",
        "[[a",         "[[Category:", "[[de:",
        "<",           "<b ",         "{{x|\n{|\n",
        "[[File:a|\n", "<ref>a<",     "<gallery>",
        "{{a}}",       "<br>",        "[[File:{{a}}[[",
        "<ref>\n=",    "<source>",    "[[a{{b}}|",
    };
    struct world *w = *state;
    size_t size = 512u << 10;
    char *page = malloc(size);

    assert_non_null(page);
    for (size_t i = 0; i < sizeof worst / sizeof *worst; i++) {
        size_t n = strlen(worst[i]);
        uint64_t before = w->wikitext.steps;

        for (size_t at = 0; at < size; at++)
            page[at] = worst[i][at % n];
        memcpy(page, "{{ a b\n", 7); /* and a template open at the top */
        buf_clear(&w->text);
        assert_int_equal(wikitext_text(&w->wikitext, &w->site,
                                       str_make(page, size), &w->text),
                         0);
        if (w->wikitext.steps - before > 8 * size)
            fail_msg("\"%s\": %.1f steps a byte", worst[i],
                     (double)(w->wikitext.steps - before) / (double)size);
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wikitext__templates),
        cmocka_unit_test(test_wikitext__tables),
        cmocka_unit_test(test_wikitext__cut),
        cmocka_unit_test(test_wikitext__links),
        cmocka_unit_test(test_wikitext__lines),
        cmocka_unit_test(test_wikitext__inline),
        cmocka_unit_test(test_wikitext__malformed),
        cmocka_unit_test(test_wikitext__appends),
        cmocka_unit_test(test_wikitext__ceilings),
        cmocka_unit_test(test_wikitext__depth),
        cmocka_unit_test(test_wikitext__linear),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
