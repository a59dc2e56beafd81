/* Captions: rules 8 to 10. */
#include "base/markup_page.h"

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

void markup_open_caption(struct markup_page_state *s, struct walk_element *el)
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

void markup_close_caption(struct markup_page_state *s, uint32_t at)
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
