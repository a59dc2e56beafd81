#include "querylist/dump_xml.h"

#include "base/utf8.h"

#define REFERENCE_MAX 32 /* bytes of a reference, zeros before it included */

static bool wrong(struct xml *x, const char *at, const char *what)
{
    if (!x->wrong) {
        x->wrong = what;
        x->at = at;
    }
    return false;
}

static size_t left(const struct xml *x, const char *from)
{
    return (size_t)(x->end - from);
}

static bool begins(const struct xml *x, const char *at, struct str s)
{
    return left(x, at) >= s.n && !memcmp(at, s.p, s.n);
}

/* Move behind the next `ending`. */
static bool pass(struct xml *x, size_t from, struct str ending,
                 const char *what)
{
    const char *hit =
        memmem(x->at + from, left(x, x->at + from), ending.p, ending.n);

    if (!hit)
        return wrong(x, x->at, what);
    x->at = hit + ending.n;
    return true;
}

/* At a `<`: whether it begins what is neither element nor text.  Then x is
 * behind it, or wrong. */
static bool pass_special(struct xml *x)
{
    if (left(x, x->at) > 1 && x->at[1] != '!' && x->at[1] != '?')
        return false; /* nearly always */
    if (begins(x, x->at, STR("<!--")))
        pass(x, 4, STR("-->"), "a comment without end");
    else if (begins(x, x->at, STR("<?")))
        pass(x, 2, STR("?>"), "a processing instruction without end");
    else if (begins(x, x->at, STR("<![CDATA[")))
        pass(x, 9, STR("]]>"), "a CDATA section without end");
    else if (begins(x, x->at, STR("<!")))
        wrong(x, x->at, XML_DECLARATION);
    else
        return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool ends_name(char c)
{
    return is_space(c) || c == '>' || c == '/' || c == '<' || c == '=';
}

/* The > of a tag.  In attributes it may stand inside quotes; a < may not, and
 * so a quote that is never closed costs no more than its own tag. */
static const char *tag_end(struct xml *x, const char *from)
{
    const char *p = from, *quote;

    while (p < x->end && *p != '<') {
        if (*p == '>')
            return p;
        if (*p == '"' || *p == '\'') {
            quote = memchr(p + 1, *p, left(x, p + 1));
            if (!quote || memchr(p + 1, '<', (size_t)(quote - p - 1)))
                break;
            p = quote;
        }
        p++;
    }
    wrong(x, x->at, "a tag without end");
    return NULL;
}

/* x->at is at a < that begins a tag. */
static void read_tag(struct xml *x, struct xml_tag *t)
{
    const char *name, *p, *end;
    bool closing = left(x, x->at) > 1 && x->at[1] == '/';

    t->kind = XML_END;
    name = p = x->at + 1 + closing;
    while (p < x->end && !ends_name(*p))
        p++;
    if (p == name) {
        wrong(x, x->at, "a < that begins nothing");
        return;
    }
    end = tag_end(x, p);
    if (!end)
        return;
    t->name = str_make(name, (size_t)(p - name));
    t->kind = closing ? XML_CLOSE : XML_OPEN;
    x->at = end + 1;
    if (!closing && end > p && end[-1] == '/') {
        t->kind = XML_EMPTY;
        end--;
    }
    t->attributes = str_make(p, (size_t)(end - p));
}

void xml_tag(struct xml *x, struct xml_tag *t)
{
    t->kind = XML_END;
    while (!x->wrong) {
        const char *lt = memchr(x->at, '<', left(x, x->at));

        x->at = lt ? lt : x->end;
        if (!lt)
            return;
        if (pass_special(x))
            continue;
        read_tag(x, t);
        return;
    }
}

/* Is </name> at p?  Then *behind it. */
static bool closes(const struct xml *x, const char *p, struct str name,
                   const char **behind)
{
    if (left(x, p) < name.n + 3 || p[1] != '/' || memcmp(p + 2, name.p, name.n))
        return false;
    p += 2 + name.n;
    while (p < x->end && is_space(*p))
        p++;
    *behind = p + 1;
    return p < x->end && *p == '>';
}

bool xml_leaf(struct xml *x, struct str name, struct xml_text *t)
{
    const char *from = x->at, *behind;

    t->mixed = false;
    while (!x->wrong) {
        const char *lt = memchr(x->at, '<', left(x, x->at));

        if (!lt)
            return wrong(x, x->end, "an element without end");
        x->at = lt;
        if (closes(x, lt, name, &behind)) {
            t->raw = str_make(from, (size_t)(lt - from));
            x->at = behind;
            return true;
        }
        if (!pass_special(x))
            return wrong(x, lt, "a tag in an element that holds text alone");
        t->mixed = true;
    }
    return false;
}

bool xml_skip(struct xml *x, struct str name)
{
    struct str open[XML_DEPTH_MAX];
    const char *lt = memchr(x->at, '<', left(x, x->at)), *behind;
    struct xml_tag t;
    size_t n = 0;

    if (lt && closes(x, lt, name, &behind)) { /* as most elements are */
        x->at = behind;
        return true;
    }
    open[n++] = name;
    while (n) {
        xml_tag(x, &t);
        if (t.kind == XML_END)
            return wrong(x, x->end, "an element without end");
        if (t.kind == XML_OPEN && n == XML_DEPTH_MAX)
            return wrong(x, xml_tag_at(&t), "elements too deep in each other");
        if (t.kind == XML_OPEN)
            open[n++] = t.name;
        if (t.kind == XML_CLOSE && !str_eq(t.name, open[--n]))
            return wrong(x, xml_tag_at(&t), "a closing tag of another element");
    }
    return true;
}

bool xml_attribute(struct str attributes, struct str name, struct str *value)
{
    const char *p = attributes.p, *end = p + attributes.n, *from, *quote;

    while (p < end) {
        while (p < end && is_space(*p))
            p++;
        from = p;
        while (p < end && *p != '=' && !is_space(*p))
            p++;
        quote = p;
        while (quote < end && *quote != '"' && *quote != '\'')
            quote++;
        if (quote == end)
            return false;
        value->p = quote + 1;
        quote = memchr(value->p, *quote, (size_t)(end - value->p));
        if (!quote)
            return false;
        value->n = (size_t)(quote - value->p);
        if (str_eq(str_make(from, (size_t)(p - from)), name))
            return true;
        p = quote + 1;
    }
    return false;
}

/* ---- text ---- */

/* XML 1.0, production 2. */
static bool is_character(uint32_t cp)
{
    return cp == '\t' || cp == '\n' || cp == '\r' ||
           (cp >= 0x20 && cp <= 0xd7ff) || (cp >= 0xe000 && cp <= 0xfffd) ||
           (cp >= 0x10000 && cp <= 0x10ffff);
}

#define FEW 16 /* bytes looked at together */

static inline bool is_control(unsigned char c)
{
    return c < 0x20 && c != '\t' && c != '\n' && c != '\r';
}

/* Is there, among FEW bytes, a control, or what U+FFFE and U+FFFF begin with?
 * FEW + 1 bytes can be read. */
static inline bool suspicious(const unsigned char *p)
{
    typedef unsigned char few __attribute__((vector_size(FEW)));
    few x, next, any;
    uint64_t halves[2];

    memcpy(&x, p, sizeof x);
    memcpy(&next, p + 1, sizeof next);
    any = (few)((x < 0x20) & (x != '\t') & (x != '\n') & (x != '\r')) |
          (few)((x == 0xef) & (next == 0xbf));
    memcpy(halves, &any, sizeof halves);
    return halves[0] | halves[1];
}

bool xml_has_forbidden(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;

    while (i < s.n) {
        size_t end = s.n - i < FEW ? s.n : i + FEW;

        if (s.n - i > FEW && !suspicious(p + i)) {
            i = end;
            continue;
        }
        for (; i < end; i++)
            if (is_control(p[i]) || (p[i] == 0xef && s.n - i > 2 &&
                                     p[i + 1] == 0xbf && p[i + 2] >= 0xbe))
                return true;
    }
    return false;
}

/* s: what stands between &# and ; */
static enum xml_fault numeric(struct str s, uint32_t *cp)
{
    unsigned base = s.n && s.p[0] == 'x' ? 16 : 10;
    size_t i = base == 16;

    if (i == s.n)
        return XML_UNKNOWN_ENTITY;
    for (*cp = 0; i < s.n; i++) {
        int digit = str_hex_digit(s.p[i]);

        if (digit < 0 || (unsigned)digit >= base)
            return XML_UNKNOWN_ENTITY;
        if (*cp <= 0x10ffff)
            *cp = *cp * base + (unsigned)digit;
    }
    return is_character(*cp) ? XML_FINE : XML_BAD_CODE;
}

static inline bool is_entity(const char *p, size_t n, struct str name,
                             const char **behind)
{
    *behind = p + name.n;
    return n >= name.n && !memcmp(p, name.p, name.n);
}

/* The reference at p (an &): its character, and *behind it. */
static enum xml_fault reference(const char *p, const char *end, uint32_t *cp,
                                const char **behind)
{
    size_t n = (size_t)(end - ++p);
    const char *semicolon = NULL;

    if (is_entity(p, n, STR("quot;"), behind))
        *cp = '"';
    else if (is_entity(p, n, STR("lt;"), behind))
        *cp = '<';
    else if (is_entity(p, n, STR("gt;"), behind))
        *cp = '>';
    else if (is_entity(p, n, STR("amp;"), behind))
        *cp = '&';
    else if (is_entity(p, n, STR("apos;"), behind))
        *cp = '\'';
    else {
        if (n && *p == '#')
            semicolon = memchr(p, ';', n < REFERENCE_MAX ? n : REFERENCE_MAX);
        if (!semicolon)
            return XML_UNKNOWN_ENTITY;
        *behind = semicolon + 1;
        return numeric(str_make(p + 1, (size_t)(semicolon - p - 1)), cp);
    }
    return XML_FINE;
}

/* Copy without a look at &; CR LF and CR become LF (XML 1.0, 2.11). */
static char *copy(char *to, const char *p, const char *end)
{
    while (p < end) {
        const char *cr = memchr(p, '\r', (size_t)(end - p));
        size_t n = (size_t)((cr ? cr : end) - p);

        memcpy(to, p, n);
        to += n;
        p += n;
        if (!cr)
            break;
        *to++ = '\n';
        p += p + 1 < end && p[1] == '\n' ? 2 : 1;
    }
    return to;
}

/* A reference is never shorter than what it stands for, so that room for the
 * escaped bytes is enough. */
static enum xml_fault unescape(struct str raw, bool has_cr, char **to,
                               const char **where)
{
    const char *p = raw.p, *end = raw.p + raw.n;

    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p));
        size_t n = (size_t)((amp ? amp : end) - p);
        enum xml_fault fault;
        uint32_t cp;

        if (has_cr) {
            *to = copy(*to, p, p + n);
        } else {
            memcpy(*to, p, n);
            *to += n;
        }
        if (!amp)
            break;
        fault = reference(amp, end, &cp, &p);
        if (fault) {
            *where = amp;
            return fault;
        }
        *to += utf8_put(*to, cp);
    }
    return XML_FINE;
}

static bool has(struct str s, char c)
{
    return s.n && memchr(s.p, c, s.n) != NULL;
}

bool xml_is_plain(const struct xml_text *t)
{
    return !t->mixed && !has(t->raw, '&') && !has(t->raw, '\r');
}

/* Text, and between it what pass_special() passes; it has been passed once, so
 * that it cannot be wrong. */
static enum xml_fault unescape_mixed(struct str raw, bool has_cr, char **to,
                                     const char **where)
{
    struct xml x = {raw.p, raw.p + raw.n, NULL};
    enum xml_fault fault = XML_FINE;

    while (!fault && x.at < x.end) {
        const char *lt = memchr(x.at, '<', left(&x, x.at));
        struct str text;

        text = str_make(x.at, (size_t)((lt ? lt : x.end) - x.at));
        fault = unescape(text, has_cr, to, where);
        x.at = lt ? lt : x.end;
        if (!lt)
            break;
        if (!pass_special(&x) || x.wrong)
            break;
        if (lt[1] == '!' && lt[2] == '[')
            *to = copy(*to, lt + 9, x.at - 3);
    }
    return fault;
}

enum xml_fault xml_unescape(const struct xml_text *t, struct buf *out,
                            const char **where)
{
    bool has_cr = has(t->raw, '\r');
    char *from = buf_reserve(out, t->raw.n + 1), *to = from;
    enum xml_fault fault;

    if (!from)
        return XML_FINE; /* out->rc says it */
    fault = t->mixed ? unescape_mixed(t->raw, has_cr, &to, where)
                     : unescape(t->raw, has_cr, &to, where);
    out->n += (size_t)(to - from);
    return fault;
}
