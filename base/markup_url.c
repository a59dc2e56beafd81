/* Rules 1 to 5 and 14: which URL an image has. */
#include "base/markup_page.h"

#include <math.h>

/* ---- rule 2 ---- */

/* Placeholders are often URLs of many kilobytes: refuse those before they are
 * decoded. */
static bool is_data_url(struct str raw)
{
    while (raw.n && (unsigned char)raw.p[0] <= ' ')
        raw = str_slice(raw, 1, raw.n);
    return str_ieq(str_slice(raw, 0, 5), STR("data:"));
}

/* A form nobody filled in: {{ image.url }}, ${src}, <%= src %>, or JSON. */
static bool is_template(struct str v)
{
    while (v.n && (unsigned char)v.p[0] <= ' ')
        v = str_slice(v, 1, v.n);
    if (v.n && (v.p[0] == '{' || v.p[0] == '[' || v.p[0] == '<'))
        return true;
    return str_find(v, STR("{{"), 0) != SIZE_MAX ||
           str_find(v, STR("${"), 0) != SIZE_MAX ||
           str_find(v, STR("<%"), 0) != SIZE_MAX;
}

/* v, decoded, as a usable URL; 0, or the reason why not. */
static unsigned resolve(struct markup_page_state *s, struct str v)
{
    if (is_template(v))
        return MARKUP_URL_TEMPLATE;
    s->resolved = true;
    return url_resolve(s->base, v, &s->url);
}

static void settle(struct markup_page_state *s, unsigned reason,
                   struct markup_src *src)
{
    if (reason) {
        if (!src->drop)
            src->drop = reason;
        return;
    }
    src->url = markup_keep(s, buf_str(&s->url));
    if (!src->url.p && !src->drop)
        src->drop = MARKUP_PARSE_LIMIT;
}

void markup_try_url(struct markup_page_state *s, struct str raw,
                    struct markup_src *src)
{
    unsigned reason;

    if (src->url.p)
        return;
    if (is_data_url(raw))
        reason = URL_SCHEME;
    else if (raw.n > MARKUP_URL_RAW_MAX)
        reason = URL_LENGTH;
    else
        reason = resolve(s, markup_attr(s, raw));
    settle(s, reason, src);
}

void markup_try_link(struct markup_page_state *s, struct str raw,
                     struct markup_src *src)
{
    unsigned reason = URL_LENGTH;

    if (raw.n <= MARKUP_URL_RAW_MAX) {
        s->resolved = true;
        reason = url_resolve(s->base, markup_attr(s, raw), &s->url);
    }
    settle(s, reason, src);
}

/* ---- rule 3: srcset, HTML standard 4.8.4.2.2 ---- */

struct candidate {
    uint64_t w; /* 0: none */
    double x;   /* density; 1 when there is neither */
    bool has_x, has_h, bad;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v');
}

/* A valid floating-point number of the HTML standard. */
static bool is_float(struct str s)
{
    size_t at = 0, digits = 0;

    if (at < s.n && s.p[at] == '-')
        at++;
    for (; at < s.n && str_is_digit(s.p[at]); at++)
        digits++;
    if (at < s.n && s.p[at] == '.') {
        size_t from = ++at;

        while (at < s.n && str_is_digit(s.p[at]))
            at++;
        if (at == from)
            return false;
        digits += at - from;
    }
    if (!digits)
        return false;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        size_t from;

        at++;
        if (at < s.n && (s.p[at] == '-' || s.p[at] == '+'))
            at++;
        from = at;
        while (at < s.n && str_is_digit(s.p[at]))
            at++;
        if (at == from)
            return false;
    }
    return at == s.n;
}

static uint64_t integer(struct str s, bool *bad)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (!str_is_digit(s.p[i])) {
            *bad = true;
            return 0;
        }
        v = v > UINT64_MAX / 16 ? v : v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *bad = *bad || v == 0;
    return v;
}

static void descriptor(struct str d, struct candidate *c)
{
    struct str number = str_slice(d, 0, d.n - 1);

    switch (d.p[d.n - 1]) {
    case 'w':
        c->bad = c->bad || c->w || c->has_x;
        c->w = integer(number, &c->bad);
        break;
    case 'x':
        c->bad = c->bad || c->w || c->has_x || c->has_h || !is_float(number) ||
                 str_double(number, &c->x) || c->x < 0;
        c->has_x = true;
        break;
    case 'h':
        c->bad = c->bad || c->has_h || c->has_x;
        c->has_h = true;
        integer(number, &c->bad);
        break;
    default:
        c->bad = true;
    }
}

/* Descriptors up to the comma that ends the candidate; commas inside
 * parentheses do not. */
static size_t descriptors(struct str s, size_t at, struct candidate *c)
{
    bool parens = false;
    size_t from = at;

    for (;; at++) {
        char ch = at < s.n ? s.p[at] : 0;
        bool end = at >= s.n || (!parens && ch == ',');

        if (end || (!parens && is_space(ch))) {
            if (at > from)
                descriptor(str_slice(s, from, at), c);
            from = at + 1;
        } else if (ch == '(') {
            parens = true;
        } else if (ch == ')') {
            parens = false;
        }
        if (end)
            break;
    }
    c->bad = c->bad || (c->has_h && !c->w);
    return at;
}

bool markup_srcset_best(struct str s, struct str *url)
{
    struct candidate best = {0};
    size_t at = 0, from;
    bool found = false;

    for (;;) {
        struct candidate c = {.x = 1};
        struct str u;

        while (at < s.n && (is_space(s.p[at]) || s.p[at] == ','))
            at++;
        if (at == s.n)
            return found;
        for (from = at; at < s.n && !is_space(s.p[at]);)
            at++;
        u = str_slice(s, from, at);
        if (u.p[u.n - 1] == ',')
            while (u.n && u.p[u.n - 1] == ',')
                u.n--;
        else
            at = descriptors(s, at, &c);
        if (c.bad ||
            (found && !(c.w > best.w || (!c.w && !best.w && c.x > best.x))))
            continue;
        best = c;
        *url = u;
        found = true;
    }
}

void markup_try_srcset(struct markup_page_state *s, struct str raw,
                       struct markup_src *src)
{
    struct str url;
    unsigned reason = MARKUP_NO_URL;

    if (src->url.p)
        return;
    if (raw.n > MARKUP_RAW_MAX)
        reason = URL_LENGTH;
    else if (markup_srcset_best(markup_attr(s, raw), &url))
        reason = url.n > MARKUP_URL_RAW_MAX ? URL_LENGTH : resolve(s, url);
    settle(s, reason, src);
}

/* ---- rule 1 ---- */

enum source_kind { PLAIN_URL, SRCSET };

static const struct {
    const char *name;
    enum source_kind kind;
    bool lazy;
} sources[] = {
    {"data-src", PLAIN_URL, true},      {"data-lazy-src", PLAIN_URL, true},
    {"data-original", PLAIN_URL, true}, {"data-lazy", PLAIN_URL, true},
    {"data-srcset", SRCSET, true},      {"data-lazy-srcset", SRCSET, true},
    {"src", PLAIN_URL, false},          {"srcset", SRCSET, false},
};

#define SOURCES (sizeof sources / sizeof sources[0])

static size_t source_of(struct str name)
{
    for (size_t i = 0; i < SOURCES; i++)
        if (str_ieq(name, str_of(sources[i].name)))
            return i;
    return SOURCES;
}

static void try_source(struct markup_page_state *s, size_t i, struct str raw,
                       struct markup_src *src)
{
    if (src->url.p)
        return;
    if (sources[i].lazy &&
        str_find(raw, STR("is-pending-load=1"), 0) != SIZE_MAX)
        settle(s, MARKUP_PENDING, src);
    else if (sources[i].kind == SRCSET)
        markup_try_srcset(s, raw, src);
    else
        markup_try_url(s, raw, src);
}

/* ---- rule 4 ---- */

static bool is_data_name(struct str name)
{
    return name.n > 5 && str_ieq(str_slice(name, 0, 5), STR("data-")) &&
           source_of(name) == SOURCES;
}

static bool is_first(const struct html *h, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (str_ieq(h->attrs[i].name, h->attrs[at].name))
            return false;
    return true;
}

static bool names_image(struct str url)
{
    static const char *const ends[] = {".jpg", ".jpeg", ".png",
                                       ".gif", ".webp", ".avif"};
    struct url_parts parts;

    if (!url_split(url, &parts))
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (str_iends(parts.path, str_of(ends[i])))
            return true;
    return false;
}

static struct str last_resort(struct markup_page_state *s)
{
    const struct html *h = &s->walk.html;

    for (size_t i = 0; i < h->n_attrs; i++) {
        struct str raw = h->attrs[i].value;

        if (!is_data_name(h->attrs[i].name) || !is_first(h, i) ||
            is_data_url(raw) || raw.n > MARKUP_URL_RAW_MAX)
            continue;
        if (!resolve(s, markup_attr(s, raw)) && names_image(buf_str(&s->url)))
            return markup_keep(s, buf_str(&s->url));
    }
    return STR_NONE;
}

/* ---- rule 14 ---- */

/* HTML's rules for parsing non-negative integers give 0 or 1. */
static bool is_point(struct str v)
{
    size_t at = 0, from;

    while (at < v.n && is_space(v.p[at]))
        at++;
    if (at < v.n && (v.p[at] == '+' || v.p[at] == '-'))
        at++;
    for (from = at; at < v.n && v.p[at] == '0';)
        at++;
    if (at < v.n && v.p[at] == '1' && !(from && v.p[from - 1] == '-'))
        at++;
    return at > from && !(at < v.n && str_is_digit(v.p[at]));
}

static bool is_pixel(struct markup_page_state *s)
{
    struct str w, h;

    return html_attr(&s->walk.html, "width", &w) &&
           html_attr(&s->walk.html, "height", &h) &&
           is_point(markup_attr(s, str_slice(w, 0, 64))) &&
           is_point(markup_attr(s, str_slice(h, 0, 64)));
}

void markup_read_image(struct markup_page_state *s, struct markup_image *img)
{
    const struct html *h = &s->walk.html;
    struct str values[SOURCES] = {0};
    bool seen[SOURCES] = {0};

    for (size_t i = 0; i < h->n_attrs; i++) {
        struct str name = h->attrs[i].name;
        size_t k;

        if (str_lower_char(name.p[0]) != 'd' &&
            str_lower_char(name.p[0]) != 's')
            continue;
        k = source_of(name);
        if (k == SOURCES || seen[k])
            continue;
        seen[k] = true;
        values[k] = h->attrs[i].value;
    }
    for (size_t k = 0; k < SOURCES; k++)
        if (seen[k])
            try_source(s, k, values[k], &img->src);
    if (!img->src.url.p)
        img->last_resort = last_resort(s);
    img->pixel = is_pixel(s);
}

void markup_read_source(struct markup_page_state *s, struct markup_src *src)
{
    static const char *const names[] = {"data-srcset", "srcset"};
    struct str raw;

    for (size_t i = 0; i < 2; i++)
        if (html_attr(&s->walk.html, names[i], &raw))
            try_source(s, source_of(str_of(names[i])), raw, src);
}
