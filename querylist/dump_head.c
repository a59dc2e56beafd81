/* The head of an export: what it says of its wiki. */
#include "querylist/dump_inner.h"
#include "querylist/dump_xml.h"

/* What is being read: the first export, from its first byte. */
struct head {
    struct xml x;
    const char *begin, *name;
    struct err *e;
};

static int malformed(const struct head *r, const char *at, const char *what)
{
    return err_set(r->e, E_FORMAT,
                   "%s: byte %zu of the XML, in the head of the dump: %s",
                   r->name, (size_t)(at - r->begin), what);
}

/* The declaration before everything, which may name an encoding. */
static int declaration(struct head *r)
{
    struct xml *x = &r->x;
    struct str rest = str_make(x->at, (size_t)(x->end - x->at)), encoding;
    size_t end = str_find(rest, STR("?>"), 0);

    if (!str_starts(rest, STR("<?xml ")) || end == SIZE_MAX)
        return 0;
    if (xml_attribute(str_slice(rest, 5, end), STR("encoding"), &encoding) &&
        !str_ieq(encoding, STR("utf-8")) && !str_ieq(encoding, STR("us-ascii")))
        return malformed(r, encoding.p,
                         "another encoding than UTF-8; convert the dump (and "
                         "what it says here), as by iconv");
    x->at += end + 2;
    return 0;
}

static int add_namespace(struct head *r, struct dump_site *site,
                         const struct xml_tag *t, const struct xml_text *text)
{
    struct str key;
    struct buf plain;
    const char *where = text->raw.p;
    int64_t number;
    int rc = 0;

    if (!xml_attribute(t->attributes, STR("key"), &key) ||
        str_i64(key, &number) || number <= INT32_MIN || number > INT32_MAX)
        return malformed(r, xml_tag_at(t), "a <namespace> without number");
    buf_init(&plain, DUMP_HEAD_MAX);
    if (xml_unescape(text, &plain, &where))
        rc = malformed(r, where, "an unknown reference in a <namespace>");
    else if (plain.rc || site_add(site, buf_str(&plain), (int32_t)number))
        rc = malformed(r, where, "too many or too long names in <namespaces>");
    buf_release(&plain);
    return rc;
}

/* Behind <namespaces>. */
static int namespaces(struct head *r, struct dump_site *site)
{
    struct xml *x = &r->x;
    struct xml_tag t;
    struct xml_text text;
    int rc = 0;

    for (xml_tag(x, &t); !rc && t.kind != XML_CLOSE; xml_tag(x, &t)) {
        if (t.kind == XML_END)
            return x->wrong ? 0 : malformed(r, x->at, "<namespaces> unended");
        /* <namespace key="0" />: the main one has no name. */
        if (t.kind == XML_OPEN && xml_leaf(x, t.name, &text))
            rc = add_namespace(r, site, &t, &text);
    }
    return rc;
}

static int siteinfo(struct head *r, struct dump_site *site)
{
    struct xml *x = &r->x;
    struct xml_tag t;
    struct xml_text text;
    int rc = 0;

    for (xml_tag(x, &t); !rc && t.kind != XML_CLOSE; xml_tag(x, &t)) {
        if (t.kind == XML_END)
            return x->wrong ? 0 : malformed(r, x->at, "<siteinfo> unended");
        if (t.kind == XML_EMPTY)
            continue;
        if (str_eq(t.name, STR("namespaces"))) {
            rc = namespaces(r, site);
        } else if (str_eq(t.name, STR("dbname"))) {
            if (xml_leaf(x, t.name, &text))
                site_set(site->database, sizeof site->database, text.raw);
        } else if (str_eq(t.name, STR("case"))) {
            if (xml_leaf(x, t.name, &text))
                site->exact_case = str_eq(text.raw, STR("case-sensitive"));
        } else {
            xml_skip(x, t.name);
        }
    }
    return rc;
}

static void root(const struct xml_tag *t, struct dump_head *h,
                 struct dump_site *site)
{
    struct str value;

    if (xml_attribute(t->attributes, STR("xml:lang"), &value))
        site_set(site->language, sizeof site->language, value);
    if (xml_attribute(t->attributes, STR("version"), &value))
        h->no_redirects = str_eq(value, STR("0.3")) ||
                          str_eq(value, STR("0.2")) ||
                          str_eq(value, STR("0.1"));
}

int dump_head_read(struct dump_head *h, struct dump_site *site,
                   struct str bytes, const char *name, struct err *e)
{
    struct head r = {{bytes.p, bytes.p + bytes.n, NULL}, bytes.p, name, e};
    struct xml *x = &r.x;
    struct xml_tag t;
    int rc;

    *h = (struct dump_head){0};
    if (str_starts(bytes, STR("\xef\xbb\xbf")))
        x->at += 3;
    while (x->at < x->end && str_is_space(*x->at))
        x->at++;
    if (x->at < x->end && *x->at != '<')
        return malformed(&r, x->at, "this is no XML");
    rc = declaration(&r);
    if (rc)
        return rc;
    xml_tag(x, &t);
    if (!x->wrong && (t.kind == XML_END || t.kind == XML_CLOSE ||
                      !str_eq(t.name, STR("mediawiki"))))
        return malformed(&r, t.kind == XML_END ? x->at : xml_tag_at(&t),
                         "<mediawiki> expected");
    if (!x->wrong) {
        root(&t, h, site);
        h->empty = t.kind == XML_EMPTY;
        h->n = (size_t)(x->at - bytes.p);
        if (!h->empty)
            xml_tag(x, &t);
    }
    if (!x->wrong && !h->empty && str_eq(t.name, STR("siteinfo"))) {
        if (t.kind == XML_OPEN)
            rc = siteinfo(&r, site);
        h->n = (size_t)(x->at - bytes.p);
    }
    if (!rc && x->wrong)
        rc = malformed(&r, x->at, x->wrong);
    return rc;
}
