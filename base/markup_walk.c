#include "base/markup_walk.h"

#include "base/markup_stack.h"

/* ---- svg and math (13.2.6.5) ---- */

static bool attr_is(const struct html *h, const char *name, struct str a,
                    struct str b)
{
    struct str v;

    return html_attr(h, name, &v) && (str_ieq(v, a) || str_ieq(v, b));
}

static bool breaks_out(const struct html *h)
{
    struct str v;

    if (h->tag == HTML_TAG_FONT)
        return html_attr(h, "color", &v) || html_attr(h, "face", &v) ||
               html_attr(h, "size", &v);
    return html_tag_flags(h->tag) & HTML_BREAKOUT;
}

/* Close svg or math down to where HTML may stand. */
static void leave_foreign(struct walk *w)
{
    size_t at = w->depth;

    while (at && w->open[at - 1].space != WALK_HTML &&
           !w->open[at - 1].html_inside && !w->open[at - 1].text_inside)
        at--;
    stack_pop_to(w, at);
}

static void start_foreign(struct walk *w)
{
    struct walk_element el = {
        .tag = w->html.tag, .name = w->html.name, .space = stack_top(w)->space};

    if (el.space == WALK_SVG) {
        el.html_inside = el.tag == HTML_TAG_FOREIGNOBJECT ||
                         el.tag == HTML_TAG_DESC || el.tag == HTML_TAG_TITLE;
    } else {
        el.html_inside = el.tag == HTML_TAG_ANNOTATION_XML &&
                         attr_is(&w->html, "encoding", STR("text/html"),
                                 STR("application/xhtml+xml"));
        el.text_inside = el.tag == HTML_TAG_MI || el.tag == HTML_TAG_MO ||
                         el.tag == HTML_TAG_MN || el.tag == HTML_TAG_MS ||
                         el.tag == HTML_TAG_MTEXT;
    }
    stack_push(w, &el, w->html.self_closing);
}

/* An end tag where the innermost element is foreign: it closes down to the
 * foreign element of its name, or is HTML's once the search meets HTML. */
static void end_foreign(struct walk *w)
{
    if (w->html.tag == HTML_TAG_BR || w->html.tag == HTML_TAG_P) {
        leave_foreign(w);
        stack_end_html(w);
        return;
    }
    for (size_t i = w->depth; i-- > 0;) {
        const struct walk_element *el = &w->open[i];

        if (el->space == WALK_HTML) {
            stack_end_html(w);
            return;
        }
        if (stack_same_name(el, w->html.tag, w->html.name)) {
            stack_pop_to(w, i);
            return;
        }
    }
}

/* Whether a start tag here is HTML's although the innermost element is not. */
static bool start_is_html(struct walk *w, const struct walk_element *top)
{
    enum html_tag tag = w->html.tag;

    if (top->html_inside)
        return true;
    if (top->text_inside)
        return tag != HTML_TAG_MGLYPH && tag != HTML_TAG_MALIGNMARK;
    return top->space == WALK_MATH && top->tag == HTML_TAG_ANNOTATION_XML &&
           tag == HTML_TAG_SVG;
}

static void start_tag(struct walk *w)
{
    const struct walk_element *top = stack_top(w);

    if (!top || top->space == WALK_HTML || start_is_html(w, top)) {
        stack_start_html(w);
    } else if (breaks_out(&w->html)) {
        leave_foreign(w);
        stack_start_html(w);
    } else {
        start_foreign(w);
    }
}

static void end_tag(struct walk *w)
{
    const struct walk_element *top = stack_top(w);

    if (top && top->space != WALK_HTML)
        end_foreign(w);
    else
        stack_end_html(w);
}

static void text(struct walk *w)
{
    const struct walk_element *top = stack_top(w);
    unsigned flags = html_text_flags(&w->html);

    if (w->html.text_model == HTML_MODEL_DATA ||
        w->html.text_model == HTML_MODEL_CDATA)
        flags |= !top || top->space == WALK_HTML ? HTML_NUL_DROP : HTML_NUL_BAD;
    w->begun = w->begun || str_trim(w->html.text).n;
    w->events->text(w->ctx, w, w->html.text, flags);
}

void walk_page(struct walk *w, struct str page, const struct walk_events *e,
               void *ctx)
{
    const struct walk_element *top;

    html_open(&w->html, page);
    w->events = e;
    w->ctx = ctx;
    w->cut = w->stop = w->form = w->begun = false;
    w->quirks = true;
    w->hidden = w->templates = 0;
    w->depth = w->n_active = 0;
    memset(w->count, 0, sizeof w->count);
    while (!w->stop) {
        top = stack_top(w);
        w->html.foreign = top && top->space != WALK_HTML;
        switch (html_next(&w->html)) {
        case HTML_TEXT:
            text(w);
            break;
        case HTML_START:
            w->begun = true;
            start_tag(w);
            break;
        case HTML_END:
            w->begun = true;
            end_tag(w);
            break;
        case HTML_COMMENT:
            break;
        case HTML_DOCTYPE:
            if (!w->begun)
                w->quirks = html_doctype_is_quirky(w->html.text);
            w->begun = true;
            break;
        case HTML_EOF:
            stack_pop_to(w, 0);
            return;
        }
    }
}
