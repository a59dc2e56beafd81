/*
 * markup_stack - the stack of open elements of markup_walk; private to it.
 */
#ifndef BASE_MARKUP_STACK_H
#define BASE_MARKUP_STACK_H

#include "base/markup_walk.h"

/* Announce el and keep it open (unless leaf, or too deep). */
void stack_push(struct walk *w, struct walk_element *el, bool leaf);

/* Close elements until depth are left. */
void stack_pop_to(struct walk *w, size_t depth);

/* Close one element out of the middle; what is inside stays open. */
void stack_remove(struct walk *w, size_t at);

/* How far a search for an element goes. */
enum stack_scope {
    SCOPE_ANY,     /* to the bottom */
    SCOPE_DEFAULT, /* the standard's "in scope" */
    SCOPE_BUTTON,  /* ... and button */
    SCOPE_LIST,    /* ... and ol, ul */
    SCOPE_TABLE    /* table and template alone */
};

#define STACK_NONE SIZE_MAX

/* Place of the innermost open HTML element of this tag in scope. */
size_t stack_find(const struct walk *w, enum html_tag tag,
                  enum stack_scope scope);

/* The same for any of several, WALK_DEPTH_MAX at most. */
size_t stack_find_any(const struct walk *w, const enum html_tag *tags, size_t n,
                      enum stack_scope scope);

/* The innermost element, NULL when none is open. */
struct walk_element *stack_top(struct walk *w);

/* ---- markup_stack_html.c: the current tag, in HTML content ---- */

void stack_start_html(struct walk *w);
void stack_end_html(struct walk *w);

/* Whether el is what an end tag of this name ends. */
bool stack_same_name(const struct walk_element *el, enum html_tag tag,
                     struct str name);

#endif
