/*
 * wikitext - from the source of a wiki page to the text worth counting.
 *
 * Model.   Two scans.  The first finds what is not text at all and cuts it out:
 *          templates, parameters and parser functions however nested, tables,
 *          comments, references, the extensions whose content is no prose
 *          (math, chem, gallery, score, timeline, syntaxhighlight, imagemap
 *          and the like), <includeonly>.  The second reads what is left: of
 *          links the label stays (the target where there is none), files,
 *          categories and links to the page in other languages go; emphasis,
 *          HTML tags, magic words, bare addresses go; entities become what
 *          they stand for; <nowiki> and <pre> stay as they are.
 *
 *          Headings, list items, indented lines, what block tags hold, and
 *          what stood on both sides of a table have an empty line between, so
 *          that a phrase ends there; there are never two.  What is removed
 *          within a line leaves nothing.
 *
 *          The rules are MediaWiki's for well-formed text.  What is opened and
 *          never closed is not removed: its brackets, and names and parameters
 *          as far as they can be told from words, go, and the rest stays.
 *          docs/wikitext.md says where other tools decide otherwise.
 * Owns.    struct wikitext keeps scratch between calls.
 * Fails.   -E_TOOBIG past WIKITEXT_MAX, -E_NOMEM, or what the buffer says.
 *          No text is malformed.  The result is valid UTF-8 if the source is.
 * Threads. One struct wikitext per thread; a site may be shared.
 * Cost.    Linear in the source whatever is in it, nesting being bounded;
 *          64 bytes a step through what is plain.  Nothing is allocated once
 *          the scratch and the buffer have met the longest page.
 */
#ifndef QUERYLIST_WIKITEXT_H
#define QUERYLIST_WIKITEXT_H

#include "base/buf.h"
#include "base/str.h"
#include "querylist/site.h"
#include <stddef.h>
#include <stdint.h>

#define WIKITEXT_MAX                                                           \
    (31u << 20) /* bytes of a page; twice that are text that                   \
                   WORDS_TEXT_MAX admits */
#define WIKITEXT_DEPTH                                                         \
    512 /* constructs open at once; what is opened                             \
           deeper stays */

/* Bytes of text at most: an entity may be longer than its name. */
#define WIKITEXT_TEXT_MAX(source_bytes) (2 * (size_t)(source_bytes) + 64)

struct wikitext {
    struct wikitext_cut *cuts; /* what is removed, ascending */
    size_t n_cuts, cap_cuts;
    struct wikitext_frame {
        uint32_t at;   /* of the first opening byte */
        uint16_t n;    /* opening braces not closed yet */
        uint16_t kind; /* enum frame_kind */
    } frames[WIKITEXT_DEPTH];
    uint64_t steps; /* bytes looked at beyond the two scans, since init: at most
                       a constant times the source */
};

void wikitext_init(struct wikitext *w);
void wikitext_release(struct wikitext *w);

/* Append the text of a page to out.  The site says which links are to files
 * and categories. */
int wikitext_text(struct wikitext *w, const struct dump_site *site,
                  struct str wikitext, struct buf *out);

#endif
