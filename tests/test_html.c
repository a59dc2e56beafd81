/* The tokenizer against html5lib's suite, hostile sizes, and odd ends. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/html.h"
#include "base/io.h"
#include "base/json.h"
#include "base/utf8.h"

static struct html html; /* large: not for the stack */

/* ---- tokens as lines, to compare ---- */

static struct str read_as(struct str raw, unsigned flags)
{
    static struct buf scratch = {.max = BUF_NO_LIMIT};

    return html_text(raw, flags, &scratch);
}

struct pair_of {
    struct buf name, value;
};

static int pair_cmp(const void *a, const void *b)
{
    const struct pair_of *x = a, *y = b;

    return str_cmp(buf_str(&x->name), buf_str(&y->name));
}

/* Attributes in name order, the first of each name. */
static void put_attrs(struct buf *out, struct pair_of *list, size_t n)
{
    qsort(list, n, sizeof *list, pair_cmp);
    for (size_t i = 0; i < n; i++) {
        buf_add(out, STR(" "));
        buf_add(out, buf_str(&list[i].name));
        buf_add(out, STR("="));
        buf_add(out, buf_str(&list[i].value));
        buf_release(&list[i].name);
        buf_release(&list[i].value);
    }
}

#define LIST_MAX 64

static void put_tag(struct buf *out)
{
    static struct pair_of list[LIST_MAX];
    size_t n = 0;

    buf_add(out, html.kind == HTML_START ? STR("\n<") : STR("\n</"));
    buf_add(out, read_as(html.name, HTML_LOWER | HTML_NUL_BAD));
    if (html.kind == HTML_END)
        return;
    for (size_t i = 0; i < html.n_attrs; i++) {
        struct str name =
            read_as(html.attrs[i].name, HTML_LOWER | HTML_NUL_BAD);
        bool seen = false;

        for (size_t k = 0; k < n; k++)
            seen = seen || str_eq(buf_str(&list[k].name), name);
        if (seen)
            continue;
        assert_true(n < LIST_MAX);
        buf_init(&list[n].name, BUF_NO_LIMIT);
        buf_init(&list[n].value, BUF_NO_LIMIT);
        buf_add(&list[n].name, name);
        buf_add(&list[n].value,
                read_as(html.attrs[i].value,
                        HTML_REFS | HTML_IN_ATTR | HTML_NUL_BAD));
        n++;
    }
    put_attrs(out, list, n);
    if (html.self_closing)
        buf_add(out, STR(" /"));
}

static void put_text(struct buf *out, struct str s, bool *in_text)
{
    if (!s.n)
        return;
    if (!*in_text)
        buf_add(out, STR("\n#"));
    *in_text = true;
    buf_add(out, s);
}

static void tokens_of(struct buf *out)
{
    bool in_text = false;

    while (html_next(&html) != HTML_EOF) {
        if (html.kind == HTML_TEXT) {
            put_text(out, read_as(html.text, html_text_flags(&html)), &in_text);
            continue;
        }
        in_text = false;
        if (html.kind == HTML_COMMENT) {
            buf_add(out, STR("\n!"));
            buf_add(out, read_as(html.text, HTML_NUL_BAD));
        } else if (html.kind == HTML_DOCTYPE) {
            buf_add(out, STR("\nDOCTYPE"));
        } else {
            put_tag(out);
        }
    }
}

/* ---- the suite's form ---- */

/* Undo \uXXXX once more; false for what UTF-8 cannot hold. */
static bool unescape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        uint32_t cp = 0;
        char bytes[UTF8_MAX];

        if (s.p[i] != '\\' || i + 5 >= s.n || s.p[i + 1] != 'u') {
            buf_add_char(out, s.p[i]);
            continue;
        }
        for (size_t k = 2; k < 6; k++)
            cp = cp << 4 | (uint32_t)str_hex_digit(s.p[i + k]);
        if (cp >= 0xd800 && cp <= 0xdfff)
            return false;
        buf_add_bytes(out, bytes, utf8_put(bytes, cp));
        i += 5;
    }
    return true;
}

struct suite {
    struct arena arena;
    bool escaped; /* the test is doubleEscaped */
    bool sound;   /* everything could be read */
    unsigned passed, surrogates, xml, cases;
};

static struct str suite_string(struct suite *s, struct json *j, struct buf *b)
{
    struct str v = json_string(j);

    buf_clear(b);
    if (!s->escaped)
        buf_add(b, v);
    else if (!unescape(v, b))
        s->sound = false;
    return buf_str(b);
}

static void expect_attrs(struct suite *s, struct json *j, struct buf *out)
{
    static struct pair_of list[LIST_MAX];
    struct buf b = {.max = BUF_NO_LIMIT};
    struct str name;
    size_t n = 0;

    json_object(j);
    while (json_member(j, &name)) {
        buf_init(&list[n].name, BUF_NO_LIMIT);
        buf_init(&list[n].value, BUF_NO_LIMIT);
        if (s->escaped)
            unescape(name, &list[n].name);
        else
            buf_add(&list[n].name, name);
        buf_add(&list[n].value, suite_string(s, j, &b));
        n++;
    }
    put_attrs(out, list, n);
    buf_release(&b);
}

static void expect_token(struct suite *s, struct json *j, struct buf *out,
                         bool *in_text)
{
    struct buf b = {.max = BUF_NO_LIMIT};
    struct str kind;

    json_array(j);
    json_element(j);
    kind = json_string(j);
    if (!str_eq(kind, STR("Character")))
        *in_text = false;
    if (str_eq(kind, STR("DOCTYPE"))) {
        buf_add(out, STR("\nDOCTYPE"));
    } else if (json_element(j)) {
        if (str_eq(kind, STR("Character"))) {
            put_text(out, suite_string(s, j, &b), in_text);
        } else {
            buf_add(out, str_eq(kind, STR("StartTag")) ? STR("\n<")
                         : str_eq(kind, STR("EndTag")) ? STR("\n</")
                                                       : STR("\n!"));
            buf_add(out, suite_string(s, j, &b));
        }
        if (str_eq(kind, STR("StartTag")) && json_element(j)) {
            expect_attrs(s, j, out);
            if (json_element(j) && json_bool(j))
                buf_add(out, STR(" /"));
        }
    }
    while (json_element(j))
        json_skip(j);
    buf_release(&b);
}

static const struct {
    const char *name;
    enum html_model model;
} states[] = {
    {"Data state", HTML_MODEL_DATA},
    {"PLAINTEXT state", HTML_MODEL_PLAINTEXT},
    {"RCDATA state", HTML_MODEL_RCDATA},
    {"RAWTEXT state", HTML_MODEL_RAWTEXT},
    {"Script data state", HTML_MODEL_SCRIPT},
    {"CDATA section state", HTML_MODEL_CDATA},
};

struct one_case {
    struct str description, last;
    struct buf input, expected;
    enum html_model models[8];
    size_t n_models;
};

static void read_case(struct suite *s, struct str raw, struct one_case *c)
{
    struct json j;
    struct str name;
    bool in_text = false;

    /* doubleEscaped may stand behind what it speaks of */
    s->escaped = str_find(raw, STR("\"doubleEscaped\""), 0) != SIZE_MAX;
    json_open(&j, raw, &s->arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("description"))) {
            c->description = json_string(&j);
        } else if (str_eq(name, STR("input"))) {
            suite_string(s, &j, &c->input);
        } else if (str_eq(name, STR("lastStartTag"))) {
            c->last = json_string(&j);
        } else if (str_eq(name, STR("output"))) {
            json_array(&j);
            while (json_element(&j))
                expect_token(s, &j, &c->expected, &in_text);
        } else if (str_eq(name, STR("initialStates"))) {
            json_array(&j);
            while (json_element(&j)) {
                struct str state = json_string(&j);

                for (size_t i = 0; i < sizeof states / sizeof *states; i++)
                    if (str_eq(state, str_of(states[i].name)))
                        c->models[c->n_models++] = states[i].model;
            }
        } else {
            json_skip(&j);
        }
    }
    if (json_close(&j, NULL))
        s->sound = false;
}

static void run_case(struct suite *s, struct str raw)
{
    struct one_case c = {.input.max = BUF_NO_LIMIT,
                         .expected.max = BUF_NO_LIMIT};
    struct buf got = {.max = BUF_NO_LIMIT};

    s->sound = true;
    s->cases++;
    read_case(s, raw, &c);
    if (!s->sound) {
        s->surrogates++;
        goto out;
    }
    if (!c.n_models)
        c.models[c.n_models++] = HTML_MODEL_DATA;
    for (size_t i = 0; i < c.n_models; i++) {
        buf_clear(&got);
        html_open(&html, buf_str(&c.input));
        html_set_model(&html, c.models[i], c.last);
        tokens_of(&got);
        if (!str_eq(buf_str(&got), buf_str(&c.expected)))
            fail_msg("%.*s, input '%.*s':%s\nexpected:%s",
                     STR_ARG(c.description), STR_ARG(buf_str(&c.input)),
                     got.p ? got.p : "", c.expected.p ? c.expected.p : "");
    }
    s->passed++;
out:
    buf_release(&c.input);
    buf_release(&c.expected);
    buf_release(&got);
}

static void run_file(struct suite *s, const char *path)
{
    struct buf b = {.max = BUF_NO_LIMIT};
    struct json j;
    struct str name;

    assert_int_equal(io_read_file(path, &b, NULL), 0);
    json_open(&j, buf_str(&b), &s->arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        bool xml = str_eq(name, STR("xmlViolationTests"));

        json_array(&j);
        while (json_element(&j)) {
            struct str raw = json_raw(&j);

            arena_reset(&s->arena);
            if (xml)
                s->xml++;
            else
                run_case(s, raw);
        }
    }
    assert_int_equal(json_close(&j, NULL), 0);
    buf_release(&b);
}

static const char *shared(void)
{
    const char *from = getenv("WITMILL_SHARED");

    return from ? from : "../shared";
}

static void test_html__html5lib_suite(void **state)
{
    char folder[] = "/tmp/witmill-html-XXXXXX";
    char path[PATH_MAX], cmd[2 * PATH_MAX];
    struct suite s = {0};
    struct io_list l;

    (void)state;
    snprintf(path, sizeof path, "%s/data/html/html5lib-tests.tar.xz", shared());
    if (!io_exists(path)) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    assert_non_null(mkdtemp(folder));
    snprintf(cmd, sizeof cmd, "tar -xJf '%s' -C %s", path, folder);
    assert_int_equal(system(cmd), 0);
    arena_init(&s.arena, BUF_NO_LIMIT);
    snprintf(path, sizeof path, "%s/tokenizer", folder);
    assert_int_equal(io_list(path, &l, NULL), 0);
    assert_true(l.n >= 10);
    for (size_t i = 0; i < l.n; i++) {
        snprintf(path, sizeof path, "%s/tokenizer/%s", folder, l.names[i]);
        run_file(&s, path);
    }
    io_list_release(&l);
    arena_release(&s.arena);
    print_message("html5lib tokenizer tests: %u cases, %u equal; out of scope: "
                  "%u with lone surrogates (no UTF-8 holds them), %u of XML "
                  "coercion; doctypes compare by presence, parse errors not\n",
                  s.cases, s.passed, s.surrogates, s.xml);
    assert_int_equal(s.passed + s.surrogates, s.cases);
    assert_true(s.passed > 5000);
    snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
    assert_int_equal(system(cmd), 0);
}

/* ---- ends and escapes of our own ---- */

static const struct {
    const char *name, *in, *out;
    enum html_model model;
    const char *last;
} rows[] = {
    {"tag cut by the end", "a<img alt=\"x", "\n#a", 0, ""},
    {"end tag cut by the end", "a</b", "\n#a", 0, ""},
    {"lone less-than at the end", "a<", "\n#a<", 0, ""},
    {"</ at the end", "a</", "\n#a</", 0, ""},
    {"empty end tag", "a</>b", "\n#ab", 0, ""},
    {"first duplicate wins", "<a b=1 B=2>", "\n<a b=1", 0, ""},
    {"= begins a name", "<a =b>", "\n<a =b=", 0, ""},
    {"old reference before =", "<a b=\"?x&copy=1&copy;\">",
     "\n<a b=?x&copy=1\xc2\xa9", 0, ""},
    {"title holds no tags", "<b></titleX></title >", "\n#<b></titleX>\n</title",
     HTML_MODEL_RCDATA, "title"},
    {"script in a script comment", "<!--<script></script>--></script>",
     "\n#<!--<script></script>-->\n"
     "</script",
     HTML_MODEL_SCRIPT, "script"},
    {"script comment that closes at once", "<!--></script>",
     "\n#<!-->\n</script", HTML_MODEL_SCRIPT, "script"},
    {"second script tag needs its own dashes", "<!--<script--></script>x",
     "\n#<!--<script-->\n</script\n#x", HTML_MODEL_SCRIPT, "script"},
    {"rawtext that never ends", "<p></styl", "\n#<p></styl", HTML_MODEL_RAWTEXT,
     "style"},
};

static void test_html__odd_ends(void **state)
{
    struct buf got = {.max = BUF_NO_LIMIT};
    bool failed = false;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_clear(&got);
        html_open(&html, str_of(rows[i].in));
        html_set_model(&html, rows[i].model, str_of(rows[i].last));
        tokens_of(&got);
        if (strcmp(got.p, rows[i].out) != 0) {
            print_error("%s:%s\nexpected:%s\n", rows[i].name, got.p,
                        rows[i].out);
            failed = true;
        }
    }
    assert_false(failed);
    buf_release(&got);
}

static void test_html__names(void **state)
{
    (void)state;
    for (int i = 1; i < HTML_TAGS; i++) {
        struct str name = str_of(html_tag_name((enum html_tag)i));

        assert_int_equal(html_tag_of(name), i);
        name.n--;
        assert_int_not_equal(html_tag_of(name), i);
    }
    assert_int_equal(html_tag_of(STR("FigCaption")), HTML_TAG_FIGCAPTION);
    assert_int_equal(html_tag_of(STR("a\0")), HTML_OTHER);
    assert_int_equal(html_tag_of(STR("s\0\0\0\0\0\0\0\0\0\0")), HTML_OTHER);
    assert_int_equal(html_tag_of(STR("")), HTML_OTHER);
    assert_int_equal(html_tag_of(STR("amp-img")), HTML_OTHER);
    assert_int_equal(html_tag_of(STR("averyveryverylongname")), HTML_OTHER);
}

/* ---- size ---- */

/* Sanitizers look for bad accesses, not for time: a twentieth will do. */
#ifdef WITMILL_SANITIZED
#define SHARE            20
#define IN_TIME(took_ms) true
#else
#define SHARE            1
#define IN_TIME(took_ms) ((took_ms) <= 2000)
#endif

static uint64_t time_of(struct str page, size_t *n_tokens)
{
    uint64_t from = clock_mono_ms();

    *n_tokens = 0;
    html_open(&html, page);
    while (html_next(&html) != HTML_EOF)
        ++*n_tokens;
    return clock_mono_ms() - from;
}

static void test_html__hostile_sizes(void **state)
{
    static const struct {
        const char *name, *head, *unit;
        size_t units;
    } bombs[] = {
        {"nested tags", "", "<b>", 1000000},
        {"attributes", "<img ", "a=1 ", 1000000},
        {"one attribute", "<img alt=\"", "0123456789", 10000000},
        {"comments that never end", "", "<!--", 2000000},
        {"end tags that never end", "", "</a ", 2000000},
        {"script openings", "<script>", "<!--<script ", 1000000},
        {"CDATA", "", "<![CDATA[]]>", 1000000},
        {"less-than", "", "<", 10000000},
        {"dashes", "<!--", "-", 10000000},
        {"empty end tags", "", "</>", 3000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct buf page = {.max = BUF_NO_LIMIT};
        uint64_t took;
        size_t n;

        buf_add(&page, str_of(bombs[i].head));
        for (size_t k = 0; k < bombs[i].units / SHARE; k++)
            buf_add(&page, str_of(bombs[i].unit));
        took = time_of(buf_str(&page), &n);
        if (!IN_TIME(took))
            fail_msg("%s: %zu bytes took %u ms", bombs[i].name, page.n,
                     (unsigned)took);
        buf_release(&page);
    }
}

static void test_html__attributes_beyond_the_ceiling(void **state)
{
    struct buf page = {.max = BUF_NO_LIMIT};
    struct str v;

    (void)state;
    buf_add(&page, STR("<img"));
    for (int i = 0; i < HTML_ATTRS_MAX; i++)
        buf_addf(&page, " a%d=%d", i, i);
    buf_add(&page, STR(" alt=late><p>"));
    html_open(&html, buf_str(&page));
    assert_int_equal(html_next(&html), HTML_START);
    assert_int_equal(html.n_attrs, HTML_ATTRS_MAX);
    assert_true(html.cut);
    assert_false(html_attr(&html, "alt", &v));
    assert_true(html_attr(&html, "A511", &v));
    assert_true(str_eq(v, STR("511")));
    assert_int_equal(html_next(&html), HTML_START);
    assert_int_equal(html.tag, HTML_TAG_P);
    buf_release(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html__html5lib_suite),
        cmocka_unit_test(test_html__odd_ends),
        cmocka_unit_test(test_html__names),
        cmocka_unit_test(test_html__hostile_sizes),
        cmocka_unit_test(test_html__attributes_beyond_the_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
