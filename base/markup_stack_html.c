/* Tags in HTML content: what they open and close (13.2.6.4). */
#include "base/markup_stack.h"

/* ---- start tags in HTML content (13.2.6.4.7 and the table modes) ---- */

static void close_p(struct walk *w)
{
    size_t at = stack_find(w, HTML_TAG_P, SCOPE_BUTTON);

    if (at != STACK_NONE)
        stack_pop_to(w, at);
}

/* An open li (dd, dt) that the new one ends: the search stops at special
 * elements but address, div and p. */
static void close_item(struct walk *w, const enum html_tag *tags, size_t n)
{
    for (size_t i = w->depth; i-- > 0;) {
        const struct walk_element *el = &w->open[i];

        for (size_t k = 0; k < n; k++) {
            if (el->space == WALK_HTML && el->tag == tags[k]) {
                stack_pop_to(w, i);
                return;
            }
        }
        if (el->space != WALK_HTML ||
            ((html_tag_flags(el->tag) & HTML_SPECIAL) &&
             el->tag != HTML_TAG_ADDRESS && el->tag != HTML_TAG_DIV &&
             el->tag != HTML_TAG_P))
            return;
    }
}

static bool is_heading(enum html_tag tag)
{
    return tag >= HTML_TAG_H1 && tag <= HTML_TAG_H6;
}

static const enum html_tag table_contexts[] = {
    HTML_TAG_TABLE, HTML_TAG_TEMPLATE, HTML_TAG_TBODY,
    HTML_TAG_TFOOT, HTML_TAG_THEAD,    HTML_TAG_TR};

/* Make room for a part of a table: what is open above its context closes.
 * False when there is no table to be part of. */
static bool clear_to_table(struct walk *w, enum html_tag tag)
{
    size_t n = 2, at; /* caption, colgroup, tbody...: the table itself */

    if (tag == HTML_TAG_TR)
        n = 5;
    else if (tag == HTML_TAG_TD || tag == HTML_TAG_TH)
        n = 6;
    at = stack_find_any(w, table_contexts, n, SCOPE_ANY);
    if (at == STACK_NONE ||
        (w->open[at].tag == HTML_TAG_TEMPLATE && at + 1 < w->depth))
        return false;
    stack_pop_to(w, at + 1);
    return true;
}

/* A table directly inside a table's own modes ends that table. */
static void close_table_in_table(struct walk *w)
{
    static const enum html_tag tags[] = {HTML_TAG_TABLE, HTML_TAG_TD,
                                         HTML_TAG_TH, HTML_TAG_CAPTION,
                                         HTML_TAG_TEMPLATE};
    size_t at = stack_find_any(w, tags, 5, SCOPE_ANY);

    if (at != STACK_NONE && w->open[at].tag == HTML_TAG_TABLE)
        stack_pop_to(w, at);
}

static void adopt(struct walk *w, enum html_tag tag);

/* Place of the link that the last active one is, STACK_NONE when a block has
 * closed it. */
static size_t find_active_link(const struct walk *w)
{
    for (size_t i = w->depth; i-- > 0 && !w->open[i].marker;)
        if (w->open[i].space == WALK_HTML && w->open[i].tag == HTML_TAG_A)
            return i;
    return STACK_NONE;
}

static bool has_active_link(const struct walk *w)
{
    return w->n_active && !w->active[w->n_active - 1].marker;
}

/* A link ends an open one.  One that a table keeps out of scope leaves the
 * stack, but the table stays inside it. */
static void end_open_link(struct walk *w)
{
    size_t before = w->n_active, at;

    if (!has_active_link(w))
        return;
    adopt(w, HTML_TAG_A);
    if (w->n_active == before)
        w->n_active--;
    at = find_active_link(w);
    if (at != STACK_NONE)
        w->open[at].gone = true;
}

/* What an element's start tag closes first; false when it is to be ignored. */
static bool make_room(struct walk *w, enum html_tag tag)
{
    static const enum html_tag items[] = {HTML_TAG_LI},
                               terms[] = {HTML_TAG_DD, HTML_TAG_DT};
    struct walk_element *top;

    if (tag == HTML_TAG_LI)
        close_item(w, items, 1);
    else if (tag == HTML_TAG_DD || tag == HTML_TAG_DT)
        close_item(w, terms, 2);
    if (tag == HTML_TAG_TABLE)
        close_table_in_table(w);
    if (tag == HTML_TAG_FORM && w->form && !w->templates)
        return false;
    if (w->count[HTML_TAG_P] && (html_tag_flags(tag) & HTML_ENDS_P) &&
        !(tag == HTML_TAG_TABLE && w->quirks))
        close_p(w);
    top = stack_top(w);
    switch (tag) {
    case HTML_TAG_HTML:
    case HTML_TAG_HEAD:
    case HTML_TAG_BODY:
    case HTML_TAG_FRAMESET:
        return false;
    case HTML_TAG_CAPTION:
    case HTML_TAG_COL:
    case HTML_TAG_COLGROUP:
    case HTML_TAG_TBODY:
    case HTML_TAG_TFOOT:
    case HTML_TAG_THEAD:
    case HTML_TAG_TR:
    case HTML_TAG_TD:
    case HTML_TAG_TH:
        return clear_to_table(w, tag);
    case HTML_TAG_FORM:
        w->form = true;
        break;
    case HTML_TAG_A:
        end_open_link(w);
        break;
    case HTML_TAG_NOBR:
    case HTML_TAG_BUTTON: {
        size_t at = stack_find(w, tag, SCOPE_DEFAULT);

        if (at != STACK_NONE)
            stack_pop_to(w, at);
        break;
    }
    case HTML_TAG_OPTION:
    case HTML_TAG_OPTGROUP:
        if (top && top->space == WALK_HTML && top->tag == HTML_TAG_OPTION)
            stack_pop_to(w, w->depth - 1);
        break;
    default:
        if (is_heading(tag) && top && top->space == WALK_HTML &&
            is_heading(top->tag))
            stack_pop_to(w, w->depth - 1);
        break;
    }
    return true;
}

static void set_model(struct walk *w, enum html_tag tag)
{
    unsigned flags = html_tag_flags(tag);

    if (flags & HTML_RCDATA)
        html_set_model(&w->html, HTML_MODEL_RCDATA, w->html.name);
    else if (flags & HTML_RAWTEXT)
        html_set_model(&w->html, HTML_MODEL_RAWTEXT, w->html.name);
    else if (tag == HTML_TAG_SCRIPT)
        html_set_model(&w->html, HTML_MODEL_SCRIPT, w->html.name);
    else if (tag == HTML_TAG_PLAINTEXT)
        html_set_model(&w->html, HTML_MODEL_PLAINTEXT, w->html.name);
}

void stack_start_html(struct walk *w)
{
    struct walk_element el = {.tag = w->html.tag, .name = w->html.name};
    bool leaf;

    if (el.tag == HTML_TAG_IMAGE)
        el.tag = HTML_TAG_IMG;
    if (!make_room(w, el.tag))
        return;
    if (el.tag == HTML_TAG_SVG || el.tag == HTML_TAG_MATH) {
        el.space = el.tag == HTML_TAG_SVG ? WALK_SVG : WALK_MATH;
        leaf = w->html.self_closing;
    } else {
        leaf = html_tag_flags(el.tag) & HTML_VOID;
    }
    stack_push(w, &el, leaf);
    set_model(w, el.tag);
}

/* ---- end tags in HTML content ---- */

/*
 * The adoption agency (13.2.6.4.7), for what it does to who is inside whom.
 * Without a special element inside, everything down to the formatting element
 * closes.  With one, the formatting element and the ordinary ones between the
 * two leave the stack, and the special one stays open.
 */
static void adopt(struct walk *w, enum html_tag tag)
{
    size_t at = stack_find(w, tag, SCOPE_DEFAULT), block;

    if (tag == HTML_TAG_A && has_active_link(w)) {
        if (at == STACK_NONE && find_active_link(w) != STACK_NONE)
            return; /* out of scope: it stays */
        w->n_active--;
    }
    if (at == STACK_NONE)
        return;
    for (block = at + 1; block < w->depth; block++)
        if (w->open[block].space == WALK_HTML &&
            (html_tag_flags(w->open[block].tag) & HTML_SPECIAL))
            break;
    if (block == w->depth) {
        stack_pop_to(w, at);
        return;
    }
    while (block-- > at)
        if (block == at || !(html_tag_flags(w->open[block].tag) & HTML_FORMAT))
            stack_remove(w, block);
}

bool stack_same_name(const struct walk_element *el, enum html_tag tag,
                     struct str name)
{
    return el->tag == tag && (tag != HTML_OTHER || str_ieq(el->name, name));
}

/* "any other end tag" */
static void end_other(struct walk *w)
{
    for (size_t i = w->depth; i-- > 0;) {
        const struct walk_element *el = &w->open[i];

        if (el->space == WALK_HTML &&
            stack_same_name(el, w->html.tag, w->html.name)) {
            stack_pop_to(w, i);
            return;
        }
        if (el->space == WALK_HTML
                ? (html_tag_flags(el->tag) & HTML_SPECIAL) != 0
                : el->html_inside || el->text_inside)
            return;
    }
}

static void end_in_scope(struct walk *w, enum html_tag tag,
                         enum stack_scope scope)
{
    size_t at = stack_find(w, tag, scope);

    if (at != STACK_NONE)
        stack_pop_to(w, at);
}

static void end_heading(struct walk *w)
{
    static const enum html_tag tags[] = {HTML_TAG_H1, HTML_TAG_H2, HTML_TAG_H3,
                                         HTML_TAG_H4, HTML_TAG_H5, HTML_TAG_H6};
    size_t at = stack_find_any(w, tags, 6, SCOPE_DEFAULT);

    if (at != STACK_NONE)
        stack_pop_to(w, at);
}

/* The form leaves the stack; what it left open stays open. */
static void end_form(struct walk *w)
{
    size_t at = stack_find(w, HTML_TAG_FORM, SCOPE_DEFAULT);

    w->form = false;
    if (at == STACK_NONE)
        return;
    if (at + 1 == w->depth || w->templates)
        stack_pop_to(w, at);
    else
        stack_remove(w, at);
}

/* </br> is a br, and a </p> without its p an empty one. */
static void empty_element(struct walk *w, enum html_tag tag)
{
    struct walk_element el = {.tag = tag, .name = w->html.name};

    w->html.n_attrs = 0;
    stack_push(w, &el, true);
}

static void end_p(struct walk *w)
{
    size_t at = stack_find(w, HTML_TAG_P, SCOPE_BUTTON);

    if (at == STACK_NONE)
        empty_element(w, HTML_TAG_P);
    else
        stack_pop_to(w, at);
}

void stack_end_html(struct walk *w)
{
    enum html_tag tag = w->html.tag;
    unsigned flags = html_tag_flags(tag);

    switch (tag) {
    case HTML_TAG_HTML:
    case HTML_TAG_HEAD:
    case HTML_TAG_BODY:
        return;
    case HTML_TAG_BR:
        empty_element(w, tag);
        return;
    case HTML_TAG_P:
        end_p(w);
        return;
    case HTML_TAG_LI:
        end_in_scope(w, tag, SCOPE_LIST);
        return;
    case HTML_TAG_FORM:
        end_form(w);
        return;
    case HTML_TAG_TEMPLATE:
        end_in_scope(w, tag, SCOPE_ANY);
        return;
    case HTML_TAG_CAPTION:
    case HTML_TAG_TABLE:
    case HTML_TAG_TBODY:
    case HTML_TAG_TFOOT:
    case HTML_TAG_THEAD:
    case HTML_TAG_TR:
    case HTML_TAG_TD:
    case HTML_TAG_TH:
        end_in_scope(w, tag, SCOPE_TABLE);
        return;
    default:
        break;
    }
    if (is_heading(tag))
        end_heading(w);
    else if (flags & HTML_FORMAT)
        adopt(w, tag);
    else if (flags & HTML_ENDS_SCOPED)
        end_in_scope(w, tag, SCOPE_DEFAULT);
    else
        end_other(w);
}
