/* The head of an export: what it says of its wiki. */
#include "querylist/dump_inner.h"
#include "querylist/dump_xml.h"

static int malformed(const char *name, const char *what, struct err *e)
{
    return err_set(e, E_FORMAT, "%s: the head of the dump: %s", name, what);
}

/* The declaration before everything, which may name an encoding. */
static int declaration(struct xml *x, const char *name, struct err *e)
{
    struct str rest = str_make(x->at, (size_t)(x->end - x->at)), encoding;
    size_t end = str_find(rest, STR("?>"), 0);

    if (!str_starts(rest, STR("<?xml ")) || end == SIZE_MAX)
        return 0;
    if (xml_attribute(str_slice(rest, 5, end), STR("encoding"), &encoding) &&
        !str_ieq(encoding, STR("utf-8")) && !str_ieq(encoding, STR("us-ascii")))
        return malformed(name, "another encoding than UTF-8", e);
    x->at += end + 2;
    return 0;
}

static int add_namespace(struct dump_site *site, const struct xml_tag *t,
                         const struct xml_text *text, const char *name,
                         struct err *e)
{
    struct str key;
    struct buf plain;
    const char *where;
    int64_t number;
    int rc = 0;

    if (!xml_attribute(t->attributes, STR("key"), &key) ||
        str_i64(key, &number) || number <= INT32_MIN || number > INT32_MAX)
        return malformed(name, "a <namespace> without number", e);
    buf_init(&plain, DUMP_HEAD_MAX);
    if (xml_unescape(text, &plain, &where))
        rc = malformed(name, "an unknown reference in a <namespace>", e);
    else if (plain.rc || site_add(site, buf_str(&plain), (int32_t)number))
        rc = malformed(name, "too many or too long names in <namespaces>", e);
    buf_release(&plain);
    return rc;
}

/* Behind <namespaces>. */
static int namespaces(struct xml *x, struct dump_site *site, const char *name,
                      struct err *e)
{
    struct xml_tag t;
    struct xml_text text;
    int rc = 0;

    for (xml_tag(x, &t); !rc && t.kind != XML_CLOSE; xml_tag(x, &t)) {
        if (t.kind == XML_END)
            return x->wrong ? 0 : malformed(name, "<namespaces> unended", e);
        /* <namespace key="0" />: the main one has no name. */
        if (t.kind == XML_OPEN && xml_leaf(x, t.name, &text))
            rc = add_namespace(site, &t, &text, name, e);
    }
    return rc;
}

static int siteinfo(struct xml *x, struct dump_site *site, const char *name,
                    struct err *e)
{
    struct xml_tag t;
    struct xml_text text;
    int rc = 0;

    for (xml_tag(x, &t); !rc && t.kind != XML_CLOSE; xml_tag(x, &t)) {
        if (t.kind == XML_END)
            return x->wrong ? 0 : malformed(name, "<siteinfo> unended", e);
        if (t.kind == XML_EMPTY)
            continue;
        if (str_eq(t.name, STR("namespaces"))) {
            rc = namespaces(x, site, name, e);
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
    struct xml x = {bytes.p, bytes.p + bytes.n, NULL};
    struct xml_tag t;
    int rc;

    *h = (struct dump_head){0};
    if (str_starts(bytes, STR("\xef\xbb\xbf")))
        x.at += 3;
    while (x.at < x.end && str_is_space(*x.at))
        x.at++;
    if (x.at < x.end && *x.at != '<')
        return malformed(name, "this is no XML", e);
    rc = declaration(&x, name, e);
    if (rc)
        return rc;
    xml_tag(&x, &t);
    if (!x.wrong && (t.kind == XML_END || t.kind == XML_CLOSE ||
                     !str_eq(t.name, STR("mediawiki"))))
        return malformed(name, "<mediawiki> expected", e);
    if (!x.wrong) {
        root(&t, h, site);
        h->empty = t.kind == XML_EMPTY;
        h->n = (size_t)(x.at - bytes.p);
        if (!h->empty)
            xml_tag(&x, &t);
    }
    if (!x.wrong && !h->empty && str_eq(t.name, STR("siteinfo"))) {
        if (t.kind == XML_OPEN)
            rc = siteinfo(&x, site, name, e);
        h->n = (size_t)(x.at - bytes.p);
    }
    if (!rc && x.wrong)
        rc = malformed(name, x.wrong, e);
    return rc;
}
