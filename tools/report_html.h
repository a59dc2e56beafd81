/*
 * report_html - pieces of HTML, escaped.
 *
 * Model.   Everything goes into one growing buffer.  Words of ours are written
 *          with html_add and html_addf; a stranger's text only through
 *          html_text (between tags) or html_attribute (inside quotes), which
 *          escape & < > " ' and replace what HTML forbids.  html_said wraps it
 *          in <bdi>, so that its direction cannot turn the page around.
 * Owns.    The caller's buffer, whose ceiling and sticky error hold.
 * Threads. One buffer, one thread.
 */
#ifndef TOOLS_REPORT_HTML_H
#define TOOLS_REPORT_HTML_H

#include "base/buf.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Markup of ours. */
void html_add(struct buf *b, const char *html);

/* Text between tags; at most max_bytes of it and an ellipsis, 0: all. */
void html_text(struct buf *b, struct str s, size_t max_bytes);
/* Inside a quoted attribute. */
void html_attribute(struct buf *b, struct str s, size_t max_bytes);
/* <bdi>text</bdi> */
void html_said(struct buf *b, struct str s, size_t max_bytes);

/* "1,234,567" */
void html_number(struct buf *b, uint64_t n);

/* data: URI of a JPEG. */
void html_jpeg(struct buf *b, struct str jpeg);

/* ---- a table of labelled bars ---- */

struct html_bar {
    struct str label; /* escaped here */
    uint64_t n;
    struct str note;    /* behind the number, or empty; escaped here */
    const char *colour; /* "one", "two", "three" */
};

/* Bars relative to the largest; a row without one when n is 0. */
void html_bars(struct buf *b, const char *caption, const char *label_head,
               const char *number_head, const struct html_bar *bars, size_t n);

/* ---- a curve of ranks against numbers, both axes logarithmic ---- */

struct html_curve {
    const char *name;   /* "found" */
    const char *colour; /* "one", "two", "three" */
    const uint64_t *v;  /* largest first; zeros end the curve */
    size_t n;
};

/* Inline SVG with legend; cap 0: no line for it. Nothing when all curves are
 * empty. */
void html_curves(struct buf *b, const struct html_curve *curves, size_t n,
                 uint64_t cap);

#endif
