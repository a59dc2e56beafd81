/*
 * markup_walk - a page's elements as a parser would nest them, without a tree.
 *
 * Model.   walk_page() tokenizes a page and keeps the stack of open elements
 *          as the HTML standard's tree construction (13.2.6) would have it, as
 *          far as it decides who is inside whom: implied end tags, scopes,
 *          tables, the adoption agency for links, svg and math with their
 *          ways out, content models.  Nothing is built; the caller hears of
 *          texts, of elements that open (void ones only open) and of elements
 *          that close.  Raw-text switching is off inside svg and math.
 * Owns.    Nothing but fixed arrays; tokens are spans of the page.
 * Fails.   Never.  Elements deeper than WALK_DEPTH_MAX are not kept open, and
 *          `cut` is set: they close at once and their content counts as their
 *          parent's.
 * Threads. One per struct.
 * Cost.    Linear in the page; each tag looks at no more than WALK_DEPTH_MAX
 *          open elements, mostly at one or two.
 */
#ifndef BASE_MARKUP_WALK_H
#define BASE_MARKUP_WALK_H

#include "base/html.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define WALK_DEPTH_MAX 512 /* browsers stop nesting there, too */
#define WALK_NONE      UINT32_MAX

enum walk_space { WALK_HTML, WALK_SVG, WALK_MATH };

struct walk_element {
    enum html_tag tag;
    enum walk_space space;
    struct str name;  /* as written; matters for HTML_OTHER */
    bool leaf;        /* opens and never closes */
    bool hides;       /* script, style, template, svg */
    bool marker;      /* has put a marker among the active links */
    bool gone;        /* closes when it is the innermost again */
    bool html_inside; /* HTML integration point */
    bool text_inside; /* MathML text integration point */
    uint32_t value;   /* the caller's; WALK_NONE at first */
    uint32_t caption; /* the caller's as well */
};

struct walk;

struct walk_events {
    /* A text token: raw, with the flags for html_text(). */
    void (*text)(void *ctx, struct walk *w, struct str raw, unsigned flags);
    /* el is filled in, w->html holds the tag; el->value may be set. Void and
     * self-closed elements open and never close. */
    void (*opened)(void *ctx, struct walk *w, struct walk_element *el);
    void (*closed)(void *ctx, struct walk *w, struct walk_element *el);
};

struct walk {
    struct html html;
    const struct walk_events *events;
    void *ctx;
    bool cut;        /* something lay deeper than WALK_DEPTH_MAX */
    bool stop;       /* set by the caller: walk no further */
    unsigned hidden; /* open elements that hide */
    unsigned templates;
    size_t depth;
    struct walk_element open[WALK_DEPTH_MAX];
    uint32_t count[HTML_TAGS]; /* open HTML elements by tag */
    bool form;                 /* the form pointer is set */
    bool quirks;               /* no doctype, or an old one */
    bool begun;                /* something that no doctype can stand behind */

    /* the links of the standard's list of active formatting elements */
    size_t n_active;
    struct walk_active {
        bool marker;
        uint32_t value;
    } active[WALK_DEPTH_MAX];
};

void walk_page(struct walk *w, struct str page, const struct walk_events *e,
               void *ctx);

/* ---- for callbacks ---- */

/* Value of the nearest open HTML element of this tag, or WALK_NONE. */
uint32_t walk_enclosing(const struct walk *w, enum html_tag tag);

/* Value of the link that something put here would be in: an `a` that a parser
 * reopens behind a block counts. */
uint32_t walk_link(const struct walk *w);

#endif
