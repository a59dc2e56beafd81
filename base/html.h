/*
 * html - a one-pass HTML tokenizer (HTML standard, section 13.2.5).
 *
 * Model.   html_open() on a whole page in UTF-8 that stays put, then
 *          html_next() until HTML_EOF.  Tokens are spans of the page, as they
 *          are written: names in any case, references undecoded.  Only who
 *          wants a name, a value or a text decodes it (html_text), so that
 *          what nobody reads costs a scan.  The caller stands in for tree
 *          construction: after a start tag it may set a content model
 *          (html_set_model), and it says when a CDATA section is possible
 *          (foreign).
 * Fails.   Never: every byte string is a page.  Attributes behind the first
 *          HTML_ATTRS_MAX of a tag are left out and `cut` is set.
 * Threads. One per struct.
 * Cost.    Linear; no allocation.  A page without an end to a tag, comment or
 *          value is scanned once.
 */
#ifndef BASE_HTML_H
#define BASE_HTML_H

#include "base/buf.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define HTML_ATTRS_MAX 512 /* attributes kept of one tag */

enum html_tag_flags {
    HTML_VOID = 1,          /* never has content */
    HTML_SPECIAL = 2,       /* the standard's "special" category */
    HTML_FORMAT = 4,        /* formatting element */
    HTML_SCOPE = 8,         /* ends the search for an element in scope */
    HTML_MARKER = 16,       /* puts a marker among the active formatting */
    HTML_INLINE = 32,       /* its tags do not separate words in a caption */
    HTML_BREAKOUT = 64,     /* its start tag leaves svg and math */
    HTML_ENDS_P = 128,      /* its start tag closes an open p */
    HTML_ENDS_SCOPED = 256, /* its end tag closes down to it, if in scope */
    HTML_RCDATA = 512,      /* content model */
    HTML_RAWTEXT = 1024,    /* content model */
    HTML_FLOW = 2048        /* stands within a line of a page's text */
};

enum html_tag {
    HTML_OTHER, /* not one of the list */
#define HTML_TAG_ROW(id, name, flags) HTML_TAG_##id,
#include "base/html_tags.inc"
#undef HTML_TAG_ROW
    HTML_TAGS
};

/* A name as written, any case. */
enum html_tag html_tag_of(struct str name);
const char *html_tag_name(enum html_tag tag); /* "" for HTML_OTHER */
unsigned html_tag_flags(enum html_tag tag);   /* enum html_tag_flags */

enum html_kind {
    HTML_EOF,
    HTML_TEXT,
    HTML_START,
    HTML_END,
    HTML_COMMENT,
    HTML_DOCTYPE
};

enum html_model {
    HTML_MODEL_DATA,
    HTML_MODEL_RCDATA,
    HTML_MODEL_RAWTEXT,
    HTML_MODEL_SCRIPT,
    HTML_MODEL_PLAINTEXT,
    HTML_MODEL_CDATA
};

struct html_attr {
    struct str name;  /* as written */
    struct str value; /* as written, without its quotes */
};

struct html {
    struct str in;
    size_t at; /* offset of the next token */
    enum html_model model;
    struct str end_name; /* what ends RCDATA, RAWTEXT and script data */
    bool foreign;        /* set by the caller: <![CDATA[ opens a section */
    bool cut;            /* some tag had more than HTML_ATTRS_MAX attributes */

    /* the token */
    enum html_kind kind;
    enum html_model text_model; /* of a text: where it was found */
    struct str text;            /* of a text, a comment, a doctype */
    struct str name;            /* of a tag, as written */
    enum html_tag tag;
    bool self_closing;
    size_t n_attrs;
    struct html_attr attrs[HTML_ATTRS_MAX];
};

void html_open(struct html *h, struct str page);
enum html_kind html_next(struct html *h);

/* The content model of what follows; it ends at an end tag of this name. */
void html_set_model(struct html *h, enum html_model model, struct str name);

/* Value of the first attribute of this name, as written; false if absent. */
bool html_attr(const struct html *h, const char *name, struct str *value);

enum html_text_flags {
    HTML_REFS = 1,     /* decode character references */
    HTML_IN_ATTR = 2,  /* ... by the rules for attribute values */
    HTML_NUL_DROP = 4, /* leave U+0000 out ... */
    HTML_NUL_BAD = 8,  /* ... or read it as U+FFFD; else it stays */
    HTML_LOWER = 16    /* ASCII letters to lower case: names */
};

/* Raw bytes of the page as they read: newlines are LF, references decoded.
 * The result is raw itself when nothing had to change, else it lies in
 * scratch (cleared first; with its ceiling the result may be short, see
 * scratch->rc). */
struct str html_text(struct str raw, unsigned flags, struct buf *scratch);

/* Whether a doctype, its text as the token has it, puts a page into quirks
 * mode, where a table does not end the paragraph it stands in. */
bool html_doctype_is_quirky(struct str doctype);

/* How the text of a token reads: flags for html_text(). */
unsigned html_text_flags(const struct html *h);

#endif
