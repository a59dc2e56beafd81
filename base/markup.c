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
        markup_read_anchor(s, el);
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
        markup_read_meta(s);
        return;
    case HTML_TAG_BASE:
        markup_read_base(s);
        return;
    case HTML_TAG_LINK:
        markup_read_canonical(s);
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
        markup_open_caption(s, el);
}

static void on_closed(void *ctx, struct walk *w, struct walk_element *el)
{
    struct markup_page_state *s = ctx;

    (void)w;
    if (el->caption != WALK_NONE)
        markup_close_caption(s, el->caption);
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
