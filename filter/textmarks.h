/*
 * textmarks - what is left in a text that was never meant to be read.
 *
 * Model.   Each function knows one kind of debris, by its form alone:
 *
 *            textmarks_tags      a tag or comment of HTML, closed by >, or of
 *                                forums and wikis: [img], [/b], [caption ...],
 *                                [[File:
 *            textmarks_entities  a character reference: &nbsp; &#39; &#x2019;
 *                                (&c. without ; is prose)
 *            textmarks_template  a place that a program should have filled:
 *                                {{name}} ${name} <%= name %> {% if %} #{name}
 *                                %(name)s {0} {a_name}, or %s, %d alone
 *            textmarks_code      JSON; a rule or two declarations of CSS;
 *                                phrases of JavaScript
 *            textmarks_link      a URL, host with www., or mail address, with
 *                                fewer than two words of two letters beside
 *            textmarks_filename  the same of an image's file name
 *
 *          and textmarks_filler() the stock phrases (undefined, image alt
 *          text, no image available) that programs put where no text is, when
 *          a text has no other words.  docs/textrules.md has examples of each.
 * Threads. Pure functions.
 * Cost.    textmarks_scan() is one table look-up a byte; the others look at a
 *          text only when the scan has seen a byte they begin with, and then
 *          pass over it once; textmarks_filename() asks for dots itself.
 *          textmarks_names.c has the last two, textmarks.c the others.
 */
#ifndef FILTER_TEXTMARKS_H
#define FILTER_TEXTMARKS_H

#include "base/str.h"
#include <stdbool.h>

/* Bytes that a kind of debris cannot do without. */
enum textmarks_seen {
    TEXTMARKS_LESS = 1,     /* < */
    TEXTMARKS_AMP = 2,      /* & */
    TEXTMARKS_BRACE = 4,    /* { */
    TEXTMARKS_BRACKET = 8,  /* [ */
    TEXTMARKS_PERCENT = 16, /* % */
    TEXTMARKS_COLON = 32,   /* : */
    TEXTMARKS_PAREN = 64,   /* ( */
    TEXTMARKS_DOT = 128,    /* . */
    TEXTMARKS_SEMI = 256,   /* ; */
    TEXTMARKS_AT = 512      /* @ */
};

/* The enum textmarks_seen of a text. */
unsigned textmarks_scan(struct str text);

bool textmarks_tags(struct str text, unsigned seen);
bool textmarks_entities(struct str text, unsigned seen);
bool textmarks_template(struct str text, unsigned seen);
bool textmarks_code(struct str text, unsigned seen);
bool textmarks_link(struct str text, unsigned seen);
bool textmarks_filename(struct str text);

/* words: a text's words, folded, joined by one space each. */
bool textmarks_filler(struct str words);

#endif
