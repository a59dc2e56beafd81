/* The half of querylist/dump.h that takes blocks apart. */
#include <stdlib.h>

#include "base/utf8.h"
#include "querylist/dump.h"
#include "querylist/dump_inner.h"
#include "querylist/dump_xml.h"

/* What has been seen of a page; its texts are still escaped. */
struct seen {
    struct xml_text title, redirect, text;
    bool has_title, has_ns, is_redirect, has_target;
    int32_t ns;
    uint64_t id;
    enum dump_fault fault; /* the first one */
};

static const struct {
    const char *name, *text;
} faults[] = {
#define X(name, tally, text) {tally, text},
    DUMP_FAULT_MAP(X)
#undef X
};

const char *dump_fault_name(enum dump_fault f)
{
    return faults[f].name;
}

const char *dump_fault_text(enum dump_fault f)
{
    return faults[f].text;
}

void dump_pages_init(struct dump_pages *p, const struct dump *d,
                     bool every_namespace)
{
    *p = (struct dump_pages){.dump = d, .every_namespace = every_namespace};
    buf_init(&p->title, DUMP_PAGE_MAX + 1);
    buf_init(&p->redirect, DUMP_PAGE_MAX + 1);
    buf_init(&p->text, DUMP_PAGE_MAX + 1);
}

void dump_pages_release(struct dump_pages *p)
{
    buf_release(&p->title);
    buf_release(&p->redirect);
    buf_release(&p->text);
}

void dump_pages_start(struct dump_pages *p, const struct dump_block *b)
{
    p->block = b;
    p->at = b->xml.p;
    p->number = b->first_page;
}

/* ---- errors ---- */

static uint64_t place(const struct dump_pages *p, const char *at)
{
    const struct dump_block *b = p->block;

    return dump_gaps_place(b->gaps, b->n_gaps, b->offset,
                           (size_t)(at - b->xml.p));
}

static int malformed(const struct dump_pages *p, const struct seen *s,
                     const char *at, struct str what, struct err *e)
{
    struct str title = s->has_title ? s->title.raw : STR("");

    return err_set(e, E_FORMAT, "%s: byte %llu, page %llu \"%.*s\": %.*s",
                   dump_name(p->dump), (unsigned long long)place(p, at),
                   (unsigned long long)p->number,
                   STR_ARG(str_slice(title, 0, 300)), STR_ARG(what));
}

/* "unknown entity &foo": what follows the & is shown as far as it can be the
 * name of one. */
static int unknown_entity(const struct dump_pages *p, const struct seen *s,
                          const char *amp, struct err *e)
{
    char what[80] = "a reference to an unknown entity, &";
    size_t n = strlen(what);

    for (const char *c = amp + 1;
         n + 2 < sizeof what && (str_is_alpha(*c) || str_is_digit(*c)); c++)
        what[n++] = *c;
    return malformed(p, s, amp, str_make(what, n), e);
}

/* ---- elements ---- */

static void fault(struct seen *s, enum dump_fault f)
{
    if (!s->fault)
        s->fault = f;
}

static void take_ns(struct seen *s, const struct xml_text *t)
{
    int64_t v;

    s->has_ns =
        !str_i64(str_trim(t->raw), &v) && v >= INT32_MIN && v <= INT32_MAX;
    if (s->has_ns)
        s->ns = (int32_t)v;
    else
        fault(s, DUMP_FAULT_NUMBER);
}

static void take_redirect(struct xml *x, const struct xml_tag *t,
                          struct seen *s)
{
    s->is_redirect = true;
    s->has_target =
        xml_attribute(t->attributes, STR("title"), &s->redirect.raw);
    if (t->kind == XML_OPEN)
        xml_skip(x, t->name);
}

/* Behind <revision>: its text takes the place of an earlier one's.  A text
 * inside <content> is that of another slot than the main one. */
static void revision(struct xml *x, struct seen *s)
{
    struct xml_tag t;

    s->text = (struct xml_text){STR(""), false};
    for (xml_tag(x, &t); !x->wrong; xml_tag(x, &t)) {
        if (t.kind == XML_OPEN && str_eq(t.name, STR("text"))) {
            xml_leaf(x, t.name, &s->text);
        } else if (t.kind == XML_OPEN) {
            xml_skip(x, t.name);
        } else if (t.kind == XML_CLOSE && str_eq(t.name, STR("revision"))) {
            return;
        } else if (t.kind != XML_EMPTY) {
            x->wrong = "<revision> without end";
            x->at = t.kind == XML_END ? x->end : xml_tag_at(&t);
        }
    }
}

static void member(struct xml *x, const struct xml_tag *t, struct seen *s)
{
    struct xml_text leaf;

    if (str_eq(t->name, STR("title"))) {
        s->has_title = xml_leaf(x, t->name, &s->title);
    } else if (str_eq(t->name, STR("ns"))) {
        if (xml_leaf(x, t->name, &leaf))
            take_ns(s, &leaf);
    } else if (str_eq(t->name, STR("id"))) {
        if (xml_leaf(x, t->name, &leaf) && str_u64(str_trim(leaf.raw), &s->id))
            fault(s, DUMP_FAULT_NUMBER);
    } else if (str_eq(t->name, STR("redirect"))) {
        take_redirect(x, t, s);
    } else if (str_eq(t->name, STR("revision"))) {
        revision(x, s);
    } else {
        xml_skip(x, t->name);
    }
}

/* Behind <page>. */
static void page_element(struct xml *x, struct seen *s, bool over)
{
    struct xml_tag t;

    for (xml_tag(x, &t); !x->wrong; xml_tag(x, &t)) {
        if (t.kind == XML_OPEN) {
            member(x, &t, s);
        } else if (t.kind == XML_EMPTY) {
            if (str_eq(t.name, STR("redirect")))
                take_redirect(x, &t, s);
        } else if (t.kind == XML_CLOSE && str_eq(t.name, STR("page"))) {
            return;
        } else {
            x->wrong = "<page> without end";
            x->at = t.kind == XML_END ? x->end : xml_tag_at(&t);
        }
    }
    if (over) { /* cut off on purpose: what there was will do */
        x->wrong = NULL;
        x->at = x->end;
        fault(s, DUMP_FAULT_SIZE);
    }
}

/* ---- from what was seen to the page ---- */

/* Unescape into out, or point at what needs no unescaping. */
static int decode(struct dump_pages *p, struct seen *s,
                  const struct xml_text *t, struct buf *out, size_t max,
                  enum dump_fault too_large, struct str *to, struct err *e)
{
    const char *where = NULL;
    enum xml_fault bad = XML_FINE;

    *to = t->raw;
    if (!xml_is_plain(t)) {
        buf_clear(out);
        bad = xml_unescape(t, out, &where);
        if (bad == XML_UNKNOWN_ENTITY)
            return unknown_entity(p, s, where, e);
        if (out->rc)
            return err_set(e, -out->rc, "%s: no memory for a page",
                           dump_name(p->dump));
        *to = buf_str(out);
    }
    if (bad)
        fault(s, DUMP_FAULT_CODE);
    else if (to->n > max)
        fault(s, too_large);
    else if (!utf8_valid(*to))
        fault(s, DUMP_FAULT_CHARSET);
    else if (xml_has_forbidden(*to))
        fault(s, DUMP_FAULT_CODE);
    else
        return 0;
    *to = STR("");
    return 0;
}

/* What a redirect's text links to, without a section of it. */
static struct str target_in(struct str text)
{
    size_t from = str_find(text, STR("[["), 0), n;
    struct str target;

    if (from == SIZE_MAX)
        return STR("");
    target = str_slice(text, from + 2, text.n);
    if (target.n && target.p[0] == ':')
        target = str_slice(target, 1, target.n);
    for (n = 0; n < target.n && n <= DUMP_TITLE_MAX; n++)
        if (target.p[n] == ']' || target.p[n] == '|' || target.p[n] == '#' ||
            target.p[n] == '\n')
            break;
    return n > DUMP_TITLE_MAX ? STR("") : str_trim(str_slice(target, 0, n));
}

static int32_t ns_of(const struct dump_pages *p, struct str title)
{
    size_t colon = str_find_char(title, ':', 0);
    int32_t ns = SITE_NONE;

    if (colon != SIZE_MAX)
        ns = site_find(dump_site(p->dump), str_slice(title, 0, colon));
    return ns == SITE_NONE ? SITE_MAIN : ns;
}

static int redirect_of(struct dump_pages *p, struct seen *s,
                       struct dump_page *page, struct err *e)
{
    bool by_text = dump_has_no_redirects(p->dump) && page->text.n >= 9 &&
                   str_ieq(str_slice(page->text, 0, 9), STR("#redirect"));

    if (s->has_target)
        return decode(p, s, &s->redirect, &p->redirect, DUMP_TITLE_MAX,
                      DUMP_FAULT_TITLE, &page->redirect, e);
    if (s->is_redirect || by_text)
        page->redirect = target_in(page->text);
    return 0;
}

static int finish(struct dump_pages *p, struct seen *s, struct dump_page *page,
                  struct err *e)
{
    int rc;

    rc = decode(p, s, &s->title, &p->title, DUMP_TITLE_MAX, DUMP_FAULT_TITLE,
                &page->title, e);
    if (!s->has_title || !page->title.n)
        fault(s, DUMP_FAULT_TITLE);
    page->id = s->id;
    page->ns = s->has_ns ? s->ns : ns_of(p, page->title);
    if (!rc && !s->fault && (p->every_namespace || page->ns == SITE_MAIN)) {
        rc = decode(p, s, &s->text, &p->text, DUMP_TEXT_MAX, DUMP_FAULT_SIZE,
                    &page->text, e);
        if (!rc)
            rc = redirect_of(p, s, page, e);
    }
    page->fault = s->fault;
    if (s->fault)
        page->text = page->redirect = STR("");
    return rc;
}

int dump_pages_next(struct dump_pages *p, struct dump_page *page, bool *more,
                    struct err *e)
{
    const struct buf *b = &p->block->xml;
    struct seen s = {.title.raw = STR(""), .text.raw = STR("")};
    struct xml x = {p->at, b->p + b->n, NULL};
    struct xml_tag t = {.kind = XML_END};
    int rc;

    *page = (struct dump_page){.title = STR(""),
                               .redirect = STR(""),
                               .text = STR(""),
                               .number = p->number};
    *more = false;
    if (b->n)
        xml_tag(&x, &t);
    if (!x.wrong && t.kind == XML_END)
        return 0;
    if (!x.wrong && !(t.kind == XML_OPEN && str_eq(t.name, STR("page")))) {
        x.wrong = "<page> expected";
        x.at = xml_tag_at(&t);
    }
    if (!x.wrong)
        page_element(&x, &s, p->block->over);
    if (x.wrong)
        return malformed(p, &s, x.at, str_of(x.wrong), e);
    rc = finish(p, &s, page, e);
    p->at = x.at;
    p->number++;
    *more = !rc;
    return rc;
}
