/*
 * report_html - pieces of HTML, escaped.
 *
 * Model.   Everything goes into one growing buffer.  Words of ours are
 *          written with report_html_add; a stranger's text only through
 *          report_html_text (between tags) or report_html_attribute (inside
 *          quotes), which escape & < > " ' and replace what HTML forbids.
 *          report_html_said wraps it in <bdi>, so that its direction cannot
 *          turn the page around.
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
void report_html_add(struct buf *b, const char *html);

/* Text between tags; at most max_bytes of it and an ellipsis, 0: all. */
void report_html_text(struct buf *b, struct str s, size_t max_bytes);
/* Inside a quoted attribute. */
void report_html_attribute(struct buf *b, struct str s, size_t max_bytes);
/* <bdi>text</bdi> */
void report_html_said(struct buf *b, struct str s, size_t max_bytes);

/* "1,234,567" */
void report_html_number(struct buf *b, uint64_t n);

/* data: URI of a JPEG. */
void report_html_jpeg(struct buf *b, struct str jpeg);

/* ---- a table of labelled bars ---- */

struct report_html_bar {
    struct str label; /* escaped here */
    uint64_t n;
    struct str note;    /* behind the number, or empty; escaped here */
    const char *colour; /* "one", "two", "three" */
};

/* Bars relative to the largest; a row without one when n is 0. label_head
 * NULL: no heads over the columns. */
void report_html_bars(struct buf *b, const char *caption,
                      const char *label_head, const char *number_head,
                      const struct report_html_bar *bars, size_t n);

/* ---- a curve of ranks against numbers, both axes logarithmic ---- */

struct report_html_curve {
    const char *name;   /* "found" */
    const char *colour; /* "one", "two", "three" */
    const uint64_t *v;  /* largest first; zeros end the curve */
    size_t n;
};

/* Inline SVG with legend; cap 0: no line for it. Nothing when all curves are
 * empty. */
void report_html_curves(struct buf *b, const struct report_html_curve *curves,
                        size_t n, uint64_t cap);

/* ---- a curve over steps, both axes linear ---- */

/* The mean of each of at most some hundred equal parts; what is not finite is
 * left out.  guess: a line across, 0: none.  Nothing without a finite loss. */
void report_html_loss(struct buf *b, const float *losses, size_t n,
                      double guess);

#endif
