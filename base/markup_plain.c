/* A page's visible text, for word counts. */
#include <stdlib.h>

#include "base/markup.h"
#include "base/markup_walk.h"
#include "base/mem.h"
#include "base/utf8.h"

struct plain {
    struct buf *out;
    struct buf decoded; /* scratch */
    char gap; /* what stands between the last character and the next: 0, space
                 or newline */
};

/* Content that a reader does not see, besides what hides (markup_walk). */
static bool is_muted(const struct walk *w)
{
    return w->hidden || w->count[HTML_TAG_TITLE] ||
           w->count[HTML_TAG_TEXTAREA] || w->count[HTML_TAG_IFRAME] ||
           w->count[HTML_TAG_NOEMBED] || w->count[HTML_TAG_NOFRAMES] ||
           w->count[HTML_TAG_NOSCRIPT];
}

static void add(struct plain *p, struct str text)
{
    for (size_t at = 0; at < text.n;) {
        size_t from = at;
        uint32_t cp = utf8_next(text, &at);

        if (utf8_is_white_space(cp)) {
            p->gap = p->gap == '\n' ? '\n' : ' ';
            continue;
        }
        if (cp < ' ')
            continue;
        if (p->gap && p->out->n)
            buf_add_char(p->out, p->gap);
        p->gap = 0;
        buf_add(p->out, str_slice(text, from, at));
    }
}

static void part(struct plain *p, const struct walk_element *el)
{
    unsigned flags = html_tag_flags(el->tag);

    if ((flags & HTML_INLINE) && el->space == WALK_HTML)
        return;
    if (el->tag == HTML_TAG_SCRIPT || el->tag == HTML_TAG_STYLE ||
        el->tag == HTML_TAG_TEMPLATE || el->tag == HTML_OTHER)
        return; /* a custom element's display is unknown, mostly inline */
    if ((flags & HTML_FLOW) || el->space != WALK_HTML)
        p->gap = p->gap == '\n' ? '\n' : ' ';
    else
        p->gap = '\n';
}

static void on_text(void *ctx, struct walk *w, struct str raw, unsigned flags)
{
    struct plain *p = ctx;

    if (is_muted(w))
        return;
    add(p, html_text(raw, flags, &p->decoded));
    if (p->decoded.rc && !p->out->rc)
        p->out->rc = p->decoded.rc;
}

static void on_element(void *ctx, struct walk *w, struct walk_element *el)
{
    (void)w;
    part(ctx, el);
}

int markup_text(struct str html, struct str http_charset, struct buf *out)
{
    static const struct walk_events events = {on_text, on_element, on_element};
    struct plain p = {.out = out, .decoded.max = BUF_NO_LIMIT};
    struct charset_decoder decoder;
    struct walk *w;
    struct str page;
    int rc;

    charset_decoder_init(&decoder);
    rc = charset_to_utf8(&decoder, html, http_charset, &page, NULL);
    if (!rc) {
        w = xmalloc(sizeof *w);
        if (out->n)
            p.gap = '\n';
        walk_page(w, page, &events, &p);
        free(w);
        buf_release(&p.decoded);
        rc = out->rc;
    }
    charset_decoder_release(&decoder);
    return rc;
}
