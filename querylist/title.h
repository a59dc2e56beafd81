/*
 * title - names of Wikipedia articles in the one form in which they compare.
 *
 * Model.   title_normal() does to a name what MediaWiki does to the one in a
 *          URL, in this order: %XX (two hexadecimal digits) is decoded, which
 *          no page's name can hold; underscores and white space of any kind
 *          become spaces, a run of them one, none at the ends; NFC; the first
 *          letter is upper-cased by its simple mapping, but for U+00DF and
 *          Georgian, as MediaWiki has it, and but for wikis (Wiktionaries)
 *          where it stays.
 *          Then it says what forbids the name as an entry of the list: enum
 *          title_fault.  A colon forbids it because what stands before one is
 *          mostly a namespace (published rule, facts B1).
 * Owns.    struct title_form keeps scratch between calls; a result is valid
 *          until the next.
 * Threads. One struct title_form per thread.
 * Cost.    One pass over ASCII; the normaliser only sees other text.
 */
#ifndef QUERYLIST_TITLE_H
#define QUERYLIST_TITLE_H

#include "base/buf.h"
#include "base/fold.h"
#include "base/str.h"
#include <stdbool.h>

#define TITLE_MAX 255u /* bytes of a name, MediaWiki's limit */

/* value, name in tallies */
#define TITLE_FAULT_MAP(X)                                                     \
    X(TITLE_FINE, "fine")                                                      \
    X(TITLE_CHARSET, "charset")     /* not UTF-8 */                            \
    X(TITLE_NONE, "no-title")       /* empty, or "-", which stands for that */ \
    X(TITLE_COLON, "colon")         /* holds ':' */                            \
    X(TITLE_MAIN_PAGE, "main-page") /* "Main Page" */                          \
    X(TITLE_TOO_LONG, "title-too-long") /* over TITLE_MAX bytes */             \
    X(TITLE_ILLEGAL, "illegal")         /* # < > [ ] { } |, a control, U+FFFD */

enum title_fault {
#define X(name, text) name,
    TITLE_FAULT_MAP(X)
#undef X
        TITLE_FAULTS
};

const char *title_fault_name(enum title_fault f);

struct title_form {
    struct buf text;     /* the result */
    struct buf composed; /* NFC of it */
    struct fold fold;
    bool exact_case; /* may be set: the wiki tells Dog from dog */
};

void title_form_init(struct title_form *t);
void title_form_release(struct title_form *t);

/* *normal is set whatever the answer, but for TITLE_CHARSET. */
enum title_fault title_normal(struct title_form *t, struct str raw,
                              struct str *normal);

#endif
