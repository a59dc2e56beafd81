#include "base/markup_stack.h"

struct walk_element *stack_top(struct walk *w)
{
    return w->depth ? &w->open[w->depth - 1] : NULL;
}

static void add_active(struct walk *w, struct walk_element *el)
{
    bool marker = html_tag_flags(el->tag) & HTML_MARKER;

    if (el->space != WALK_HTML || (!marker && el->tag != HTML_TAG_A) ||
        w->n_active == WALK_DEPTH_MAX)
        return;
    el->marker = marker;
    w->active[w->n_active++] = (struct walk_active){marker, el->value};
}

static void clear_to_marker(struct walk *w)
{
    while (w->n_active && !w->active[--w->n_active].marker)
        ;
}

void stack_push(struct walk *w, struct walk_element *el, bool leaf)
{
    el->leaf = leaf;
    el->value = el->caption = WALK_NONE;
    el->hides = el->tag == HTML_TAG_SVG || el->tag == HTML_TAG_SCRIPT ||
                el->tag == HTML_TAG_STYLE || el->tag == HTML_TAG_TEMPLATE;
    w->events->opened(w->ctx, w, el);
    if (leaf)
        return;
    if (w->depth == WALK_DEPTH_MAX) {
        w->cut = true;
        w->events->closed(w->ctx, w, el);
        return;
    }
    add_active(w, el);
    w->hidden += el->hides;
    if (el->space == WALK_HTML) {
        w->count[el->tag]++;
        w->templates += el->tag == HTML_TAG_TEMPLATE;
    }
    w->open[w->depth++] = *el;
}

/* The books for an element that leaves the stack. */
static void forget(struct walk *w, struct walk_element *el)
{
    w->hidden -= el->hides;
    if (el->space == WALK_HTML) {
        w->count[el->tag]--;
        w->templates -= el->tag == HTML_TAG_TEMPLATE;
    }
    if (el->marker)
        clear_to_marker(w);
    w->events->closed(w->ctx, w, el);
}

void stack_pop_to(struct walk *w, size_t depth)
{
    while (w->depth > depth || (w->depth && w->open[w->depth - 1].gone))
        forget(w, &w->open[--w->depth]);
}

void stack_remove(struct walk *w, size_t at)
{
    struct walk_element gone = w->open[at];

    w->depth--;
    memmove(w->open + at, w->open + at + 1,
            (w->depth - at) * sizeof w->open[0]);
    forget(w, &gone);
}

/* Whether a search of this scope ends at el. */
static bool bars(const struct walk_element *el, enum stack_scope scope)
{
    if (scope == SCOPE_ANY)
        return false;
    if (scope == SCOPE_TABLE)
        return el->space == WALK_HTML &&
               (el->tag == HTML_TAG_TABLE || el->tag == HTML_TAG_TEMPLATE);
    if (el->space != WALK_HTML)
        return el->html_inside || el->text_inside ||
               el->tag == HTML_TAG_ANNOTATION_XML;
    if (html_tag_flags(el->tag) & HTML_SCOPE)
        return true;
    if (scope == SCOPE_BUTTON)
        return el->tag == HTML_TAG_BUTTON;
    return scope == SCOPE_LIST &&
           (el->tag == HTML_TAG_OL || el->tag == HTML_TAG_UL);
}

size_t stack_find(const struct walk *w, enum html_tag tag,
                  enum stack_scope scope)
{
    return stack_find_any(w, &tag, 1, scope);
}

size_t stack_find_any(const struct walk *w, const enum html_tag *tags, size_t n,
                      enum stack_scope scope)
{
    uint32_t open = 0;

    for (size_t k = 0; k < n; k++)
        open += w->count[tags[k]];
    for (size_t i = w->depth; open && i-- > 0;) {
        const struct walk_element *el = &w->open[i];

        for (size_t k = 0; k < n; k++)
            if (el->space == WALK_HTML && el->tag == tags[k])
                return i;
        if (bars(el, scope))
            break;
    }
    return STACK_NONE;
}

uint32_t walk_enclosing(const struct walk *w, enum html_tag tag)
{
    size_t at = stack_find(w, tag, SCOPE_ANY);

    return at == STACK_NONE ? WALK_NONE : w->open[at].value;
}

uint32_t walk_link(const struct walk *w)
{
    if (w->n_active && !w->active[w->n_active - 1].marker)
        return w->active[w->n_active - 1].value;
    return walk_enclosing(w, HTML_TAG_A);
}
