/* What is no image: links, base, metas; rules 11 and 16. */
#include "base/markup_page.h"

void markup_read_anchor(struct markup_page_state *s, struct walk_element *el)
{
    const struct html *h = &s->walk.html;
    struct markup_anchor *a;
    struct markup_src src = {0};
    struct markup_link *link;
    struct str raw;

    a = markup_grow(s, &s->anchors, sizeof *a, MARKUP_LINKS_MAX);
    if (a) {
        el->value = (uint32_t)s->anchors.n - 1;
        html_attr(h, "title", &a->title);
        html_attr(h, "aria-label", &a->aria);
    }
    if (!s->m->want_links || !html_attr(h, "href", &raw))
        return;
    markup_try_link(s, raw, &src);
    if (!src.url.p)
        return;
    link = markup_grow(s, &s->links, sizeof *link, MARKUP_LINKS_MAX);
    if (!link)
        return;
    link->url = src.url;
    if (html_attr(h, "rel", &raw) && raw.n <= MARKUP_META_MAX) {
        raw = markup_attr(s, raw);
        for (struct str token; str_split(&raw, ' ', &token);)
            link->nofollow =
                link->nofollow || str_ieq(str_trim(token), STR("nofollow"));
    }
}

/* Rule 16.  Met behind something that was resolved already, the page is read
 * again from the start with it, once. */
void markup_read_base(struct markup_page_state *s)
{
    struct markup_src src = {0};
    struct str raw;
    bool late = s->resolved;

    if (s->base_fixed || !html_attr(&s->walk.html, "href", &raw))
        return;
    s->base_fixed = true;
    markup_try_link(s, raw, &src);
    if (!src.url.p || str_eq(src.url, s->base))
        return;
    s->base = src.url;
    s->base_restart = s->walk.stop = late;
}

void markup_read_canonical(struct markup_page_state *s)
{
    struct markup_src src = {0};
    struct str rel, href;

    if (s->m->canonical.p || !html_attr(&s->walk.html, "rel", &rel) ||
        !html_attr(&s->walk.html, "href", &href) ||
        !str_ieq(str_trim(rel), STR("canonical")))
        return;
    markup_try_link(s, href, &src);
    s->m->canonical = src.url;
}

static struct str meta_value(struct markup_page_state *s, struct str raw)
{
    if (raw.n > MARKUP_RAW_MAX)
        return STR_NONE;
    markup_collapse_clear(&s->attr);
    markup_collapse_add(&s->attr, markup_attr(s, raw));
    return str_slice(str_trim(buf_str(&s->attr.out)), 0, MARKUP_META_MAX);
}

/* An attribute that is compared, while others are decoded: og&#x3A;image is
 * written by real sites. */
static struct str meta_key(struct markup_page_state *s, struct str raw)
{
    struct str v = STR_NONE;

    if (raw.n <= MARKUP_META_MAX)
        v = markup_attr(s, raw);
    if (v.p != raw.p)
        v = markup_keep(s, v);
    return str_trim(v);
}

/* Rule 11, one meta whose property or name is key. */
static void read_og(struct markup_page_state *s, struct str key,
                    struct str content)
{
    static const char *const urls[3] = {"og:image", "og:image:url",
                                        "og:image:secure_url"};
    static const char *const texts[2] = {"og:description", "og:image:alt"};

    for (size_t i = 0; i < 3; i++)
        if (str_ieq(key, str_of(urls[i])))
            markup_try_url(s, content, &s->og[i]);
    for (size_t i = 0; i < 2; i++) {
        if (!str_ieq(key, str_of(texts[i])) || s->og_seen[i])
            continue;
        s->og_seen[i] = true;
        s->og_text[i] = markup_attr_text(s, content);
    }
}

void markup_read_meta(struct markup_page_state *s)
{
    const struct html *h = &s->walk.html;
    struct str property, name, content;
    bool has_property = html_attr(h, "property", &property);
    bool has_name = html_attr(h, "name", &name);
    struct markup_meta *meta;

    if ((!has_property && !has_name) || !html_attr(h, "content", &content))
        return;
    if (has_property) {
        property = meta_key(s, property);
        read_og(s, property, content);
    }
    if (!has_name)
        return;
    name = meta_key(s, name);
    if (!has_property || !str_ieq(property, name))
        read_og(s, name, content);
    meta = markup_grow(s, &s->metas, sizeof *meta, MARKUP_METAS_MAX);
    if (!meta)
        return;
    meta->name = markup_keep(s, meta_value(s, name));
    for (size_t i = 0; i < meta->name.n; i++)
        ((char *)(uintptr_t)meta->name.p)[i] = str_lower_char(meta->name.p[i]);
    meta->content = markup_keep(s, meta_value(s, content));
}
