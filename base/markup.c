#include "base/markup.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/markup_page.h"
#include "base/mem.h"
#include "base/utf8.h"

const char *markup_from_name(enum markup_from from)
{
    static const char *const names[] = {
#define X(id, name) name,
        MARKUP_FROM_MAP(X)
#undef X
    };

    return names[from];
}

const char *markup_drop_name(unsigned drop)
{
    static const char *const names[] = {
#define X(id, name) [id - URL_REASONS] = name,
        MARKUP_DROP_MAP(X)
#undef X
    };

    if (drop < URL_REASONS)
        return url_reason_name((enum url_reason)drop);
    return names[drop - URL_REASONS];
}

/* ---- memory ---- */

static void over_limit(struct markup_page_state *s)
{
    s->m->cut = true;
    s->m->drops[MARKUP_PARSE_LIMIT]++;
}

bool markup_reserve(struct markup_page_state *s, struct markup_array *a,
                    size_t n, size_t size_bytes)
{
    size_t cap = a->cap < 8 ? 16 : a->cap * 2;
    void *p;

    if (n <= a->cap)
        return true;
    if (cap < n)
        cap = n;
    p = reallocarray(a->p, cap, size_bytes);
    if (!p) {
        s->rc = -E_NOMEM;
        return false;
    }
    a->p = p;
    a->cap = cap;
    return true;
}

void *markup_grow(struct markup_page_state *s, struct markup_array *a,
                  size_t size_bytes, size_t max)
{
    void *p;

    if (a->n >= max) {
        over_limit(s);
        return NULL;
    }
    if (!markup_reserve(s, a, a->n + 1, size_bytes))
        return NULL;
    p = (char *)a->p + a->n++ * size_bytes;
    memset(p, 0, size_bytes);
    return p;
}

struct str markup_keep(struct markup_page_state *s, struct str v)
{
    struct str copy = arena_str(&s->arena, v);

    if (!copy.p)
        over_limit(s);
    return copy;
}

struct str markup_attr(struct markup_page_state *s, struct str raw)
{
    return html_text(raw, HTML_REFS | HTML_IN_ATTR | HTML_NUL_BAD, &s->decoded);
}

/* ---- captions: rules 8 to 10 ---- */

/* Whether class says that the element is a caption (rule 9). */
static bool is_caption_class(struct markup_page_state *s)
{
    static const char *const names[] = {
        "caption",     "wp-caption-text", "thumbcaption", "tr-caption",
        "gallerytext", "image-caption",   "img-caption",  "gallery-caption"};
    struct str v;

    if (!html_attr(&s->walk.html, "class", &v) || v.n > MARKUP_RAW_MAX)
        return false;
    v = markup_attr(s, v);
    for (size_t at = 0, end; at < v.n; at = end + 1) {
        struct str token;

        for (end = at;
             end < v.n && (!str_is_space(v.p[end]) || v.p[end] == '\v');)
            end++;
        token = str_slice(v, at, end);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (str_eq(token, str_of(names[i])))
                return true;
    }
    return false;
}

static void open_caption(struct markup_page_state *s, struct walk_element *el)
{
    uint32_t figure = walk_enclosing(&s->walk, HTML_TAG_FIGURE);
    bool is_figcaption = el->tag == HTML_TAG_FIGCAPTION;
    struct markup_caption *c;

    if (el->leaf || (figure == WALK_NONE ? !s->clean : !is_figcaption))
        return;
    if (!is_figcaption && !is_caption_class(s))
        return;
    c = markup_grow(s, &s->captions, sizeof *c, MARKUP_CAPTIONS_MAX);
    if (!c)
        return;
    if (!s->open_captions++)
        markup_collapse_clear(&s->run);
    c->start = s->run.out.n;
    c->figure = figure;
    c->image = c->next = WALK_NONE;
    c->n_images = s->images.n;
    if (figure == WALK_NONE)
        c->image = (uint32_t)s->images.n - 1;
    el->caption = (uint32_t)s->captions.n - 1;
}

/* At the end of its image's list, which is short: texts between them end it. */
static void link_caption(struct markup_page_state *s, uint32_t at)
{
    struct markup_caption *captions = s->captions.p;
    struct markup_image *images = s->images.p;
    uint32_t *to = &images[captions[at].image].captions;

    while (*to != WALK_NONE && *to < at)
        to = &captions[*to].next;
    captions[at].next = *to;
    *to = at;
}

static void close_caption(struct markup_page_state *s, uint32_t at)
{
    struct markup_caption *c = (struct markup_caption *)s->captions.p + at;

    s->open_captions--;
    if (c->figure == WALK_NONE && c->n_images != s->images.n)
        return; /* it holds an image */
    c->text = markup_collapsed(s, &s->run, c->start);
    if (!c->text.present)
        return;
    if (c->figure == WALK_NONE) {
        link_caption(s, at);
    } else {
        struct markup_figure *f =
            (struct markup_figure *)s->figures.p + c->figure;

        /* An outer figcaption began earlier but closes later. */
        if (at < f->order) {
            f->order = at;
            f->caption = c->text;
        }
    }
}

/* ---- images ---- */

static bool ends_like_image(struct str name)
{
    return str_iends(name, STR("-img")) || str_iends(name, STR("-image"));
}

static void read_texts(struct markup_page_state *s, struct markup_image *img)
{
    static const char *const names[3] = {"alt", "title", "aria-label"};
    const struct markup_anchor *a;
    uint32_t link;
    struct str raw;

    for (size_t i = 0; i < 3; i++)
        if (html_attr(&s->walk.html, names[i], &raw))
            img->text[i] = markup_attr_text(s, raw);
    link = walk_link(&s->walk);
    if (img->text[0].present || img->text[1].present || img->text[2].present ||
        link == WALK_NONE)
        return;
    a = (struct markup_anchor *)s->anchors.p + link;
    img->text[MARKUP_TITLE] = markup_attr_text(s, a->title);
    img->text[MARKUP_ARIA] = markup_attr_text(s, a->aria);
}

static void read_image(struct markup_page_state *s)
{
    struct markup_image *img;

    s->m->n_images++;
    img = markup_grow(s, &s->images, sizeof *img, MARKUP_IMAGES_MAX);
    if (!img)
        return;
    markup_read_image(s, img);
    read_texts(s, img);
    img->picture = walk_enclosing(&s->walk, HTML_TAG_PICTURE);
    img->figure = walk_enclosing(&s->walk, HTML_TAG_FIGURE);
    img->in_figcaption = s->walk.count[HTML_TAG_FIGCAPTION] > 0;
    img->captions = WALK_NONE;
    s->clean = true;
}

/* ---- the rest of what is read ---- */

static void read_anchor(struct markup_page_state *s, struct walk_element *el)
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
static void read_base(struct markup_page_state *s)
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

static void read_canonical(struct markup_page_state *s)
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

static void read_meta(struct markup_page_state *s)
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

/* ---- the walk ---- */

/* Rule 10: tags part words, but for the inline ones. */
static void part_words(struct markup_page_state *s,
                       const struct walk_element *el)
{
    if (s->open_captions && !s->walk.hidden &&
        !(html_tag_flags(el->tag) & HTML_INLINE))
        markup_collapse_space(&s->run);
}

static void on_opened(void *ctx, struct walk *w, struct walk_element *el)
{
    struct markup_page_state *s = ctx;

    part_words(s, el);
    if (el->space != WALK_HTML || w->templates)
        return;
    switch (el->tag) {
    case HTML_TAG_IMG:
        read_image(s);
        return;
    case HTML_TAG_A:
        read_anchor(s, el);
        break;
    case HTML_TAG_FIGURE: {
        struct markup_figure *f =
            markup_grow(s, &s->figures, sizeof *f, MARKUP_CAPTIONS_MAX);

        if (f) {
            f->order = WALK_NONE;
            el->value = (uint32_t)s->figures.n - 1;
        }
        break;
    }
    case HTML_TAG_PICTURE:
        if (markup_grow(s, &s->pictures, sizeof(struct markup_src),
                        MARKUP_IMAGES_MAX))
            el->value = (uint32_t)s->pictures.n - 1;
        break;
    case HTML_TAG_SOURCE: {
        uint32_t at = walk_enclosing(w, HTML_TAG_PICTURE);

        if (at != WALK_NONE)
            markup_read_source(s, (struct markup_src *)s->pictures.p + at);
        return;
    }
    case HTML_TAG_META:
        read_meta(s);
        return;
    case HTML_TAG_BASE:
        read_base(s);
        return;
    case HTML_TAG_LINK:
        read_canonical(s);
        return;
    case HTML_OTHER:
        if (ends_like_image(el->name)) {
            read_image(s);
            return;
        }
        break;
    default:
        break;
    }
    if (el->tag == HTML_TAG_FIGCAPTION || s->clean)
        open_caption(s, el);
}

static void on_closed(void *ctx, struct walk *w, struct walk_element *el)
{
    struct markup_page_state *s = ctx;

    (void)w;
    if (el->caption != WALK_NONE)
        close_caption(s, el->caption);
    part_words(s, el);
}

static bool is_white(struct str s)
{
    for (size_t at = 0; at < s.n;)
        if (!utf8_is_white_space(utf8_next(s, &at)))
            return false;
    return true;
}

static void on_text(void *ctx, struct walk *w, struct str raw, unsigned flags)
{
    struct markup_page_state *s = ctx;
    struct str text;

    if (w->hidden || (!s->open_captions && !s->clean))
        return;
    if (s->open_captions) {
        text = html_text(raw, flags, &s->decoded);
        markup_collapse_add(&s->run, text);
    } else {
        size_t at = 0; /* mostly it is all there is to look at */

        while (at < raw.n && (unsigned char)raw.p[at] <= ' ' &&
               str_is_space(raw.p[at]))
            at++;
        text = html_text(str_slice(raw, at, raw.n), flags, &s->decoded);
    }
    s->clean = s->clean && is_white(text);
}

/* ---- the door ---- */

void markup_init(struct markup *m)
{
    struct markup_page_state *s = xcalloc(1, sizeof *s);

    *m = (struct markup){.state = s};
    arena_init(&s->arena, MARKUP_ARENA_MAX);
    charset_decoder_init(&s->decoder);
    buf_init(&s->decoded, BUF_NO_LIMIT);
    buf_init(&s->url, MARKUP_RAW_MAX);
    buf_init(&s->attr.out, MARKUP_RAW_MAX);
    buf_init(&s->run.out, MARKUP_RAW_MAX);
}

void markup_release(struct markup *m)
{
    struct markup_page_state *s = m->state;
    struct markup_array *arrays[] = {
        &s->images, &s->figures, &s->pictures, &s->captions, &s->anchors,
        &s->pairs,  &s->links,   &s->metas,    &s->slots,    &s->counts};

    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        free(arrays[i]->p);
    arena_release(&s->arena);
    charset_decoder_release(&s->decoder);
    buf_release(&s->decoded);
    buf_release(&s->url);
    buf_release(&s->attr.out);
    buf_release(&s->run.out);
    free(s);
    *m = (struct markup){0};
}

static void reset(struct markup_page_state *s)
{
    struct markup *m = s->m;

    s->images.n = s->figures.n = s->pictures.n = s->captions.n = 0;
    s->anchors.n = s->pairs.n = s->links.n = s->metas.n = 0;
    s->open_captions = 0;
    s->clean = s->resolved = s->base_restart = false;
    memset(s->og, 0, sizeof s->og);
    memset(s->og_text, 0, sizeof s->og_text);
    memset(s->og_seen, 0, sizeof s->og_seen);
    s->rc = 0;
    memset(m->drops, 0, sizeof m->drops);
    m->canonical = STR_NONE;
    m->n_images = 0;
    m->cut = false;
}

static void hand_out(struct markup_page_state *s)
{
    struct markup *m = s->m;

    m->pairs = s->pairs.p;
    m->n_pairs = s->pairs.n;
    m->links = s->links.p;
    m->n_links = s->links.n;
    m->metas = s->metas.p;
    m->n_metas = s->metas.n;
    m->base = s->base;
    m->cut = m->cut || s->walk.cut || s->walk.html.cut;
}

int markup_page(struct markup *m, struct str html, struct str page_url,
                struct str http_charset)
{
    static const struct walk_events events = {on_text, on_opened, on_closed};
    struct markup_page_state *s = m->state;
    struct str page;
    int rc;

    s->m = m;
    arena_reset(&s->arena);
    reset(s);
    hand_out(s);
    rc = charset_to_utf8(&s->decoder, html, http_charset, &page, &m->charset);
    if (rc)
        return rc;
    s->base = page_url;
    s->base_fixed = false;
    do {
        struct str base = s->base;

        reset(s);
        s->base = base;
        walk_page(&s->walk, page, &events, s);
    } while (s->base_restart && !s->rc);
    rc = s->rc ? s->rc : markup_emit(s);
    hand_out(s);
    return rc;
}
