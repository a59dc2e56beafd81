/*
 * markup - what a page of HTML says about its images (facts: extraction.md).
 *
 * Model.   markup_page() reads a whole page in one pass, whatever its encoding,
 *          and leaves in struct markup: the pairs, each the canonical URL of an
 *          image and one text that speaks of it; drops by reason; the links
 *          for a crawler; the metas in which a page says what it consents to.
 *          Pairs are distinct, in document order (og first), and have gone
 *          through every rule of extraction.md; a text is as DESIGN section 4
 *          has it, 1 to 4,096 bytes.  markup_text() gives a page's visible
 *          text for word counts.  A struct markup is made once and used for
 *          page after page.
 * Owns.    Everything it hands out; valid until the next call with it, and as
 *          long as html and page_url, which are borrowed until then.
 * Fails.   -E_NOMEM.  Any bytes are a page: what a page has too much of is left
 *          out, `cut` is set and the drop counted as "parse-limit".
 * Threads. One struct per thread.
 * Cost.    Linear in the page, some hundred MB a second; memory settles, and
 *          then a page allocates nothing.
 */
#ifndef BASE_MARKUP_H
#define BASE_MARKUP_H

#include "base/buf.h"
#include "base/charset.h"
#include "base/str.h"
#include "base/url.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKUP_TEXT_MAX     4096        /* bytes of a text */
#define MARKUP_IMAGES_MAX   50000       /* images read of one page */
#define MARKUP_CAPTIONS_MAX 50000       /* captions and figures, each */
#define MARKUP_LINKS_MAX    50000       /* links kept of one page */
#define MARKUP_METAS_MAX    1000        /* metas with a name, kept */
#define MARKUP_META_MAX     4096        /* bytes of a meta's name, content */
#define MARKUP_URL_RAW_MAX  (64u << 10) /* bytes of a URL as written */
#define MARKUP_RAW_MAX      (1u << 20) /* bytes of a text or srcset as written */
#define MARKUP_ARENA_MAX    (256u << 20) /* bytes of strings of one page */
#define MARKUP_PLACEHOLDER  8 /* different texts of one URL: rule 15 */

/* value, name in records */
#define MARKUP_FROM_MAP(X)                                                     \
    X(MARKUP_ALT, "alt")                                                       \
    X(MARKUP_TITLE, "title")                                                   \
    X(MARKUP_ARIA, "aria-label")                                               \
    X(MARKUP_FIGCAPTION, "figcaption")                                         \
    X(MARKUP_OG, "og")

enum markup_from {
#define X(id, name) id,
    MARKUP_FROM_MAP(X)
#undef X
        MARKUP_FROMS
};

const char *markup_from_name(enum markup_from from);

/* Why a text made no pair: enum url_reason (of the first URL that the image
 * gave and that could not be used), then these.  no-text counts images, all
 * others texts. */
#define MARKUP_DROP_MAP(X)                                                     \
    X(MARKUP_NO_TEXT, "no-text") /* an image nobody speaks of */               \
    X(MARKUP_NO_URL, "no-url")   /* no attribute that could be one */          \
    X(MARKUP_URL_TEMPLATE, "url-template")  /* rule 2: an unfilled form */     \
    X(MARKUP_PENDING, "url-pending")        /* rule 1: is-pending-load=1 */    \
    X(MARKUP_PIXEL, "pixel")                /* rule 14 */                      \
    X(MARKUP_IS_PLACEHOLDER, "placeholder") /* rule 15 */                      \
    X(MARKUP_TEXT_LENGTH, "text-length")    /* over MARKUP_TEXT_MAX */         \
    X(MARKUP_DUPLICATE, "duplicate")        /* equal URL, text and from */     \
    X(MARKUP_PARSE_LIMIT, "parse-limit")    /* over a ceiling above */

enum markup_drop {
    MARKUP_DROP_FIRST = URL_REASONS - 1,
#define X(id, name) id,
    MARKUP_DROP_MAP(X)
#undef X
        MARKUP_DROPS
};

/* drop: enum url_reason or enum markup_drop */
const char *markup_drop_name(unsigned drop);

struct markup_pair {
    struct str url;  /* canonical */
    struct str text; /* 1..MARKUP_TEXT_MAX bytes of UTF-8 */
    enum markup_from from;
};

struct markup_link {
    struct str url; /* canonical */
    bool nofollow;  /* rel says nofollow */
};

struct markup_meta {
    struct str name;    /* lower case, trimmed: "robots" */
    struct str content; /* trimmed, white space collapsed */
};

struct markup_page_state; /* base/markup_page.h */

struct markup {
    bool want_links; /* set by the caller after markup_init(); else none */

    const struct markup_pair *pairs;
    size_t n_pairs;
    const struct markup_link *links;
    size_t n_links;
    const struct markup_meta *metas; /* those with a name, in order */
    size_t n_metas;
    struct str base;      /* what relative URLs were resolved against */
    struct str canonical; /* of link rel=canonical, or empty */
    size_t n_images;      /* elements of rule 13 */
    uint64_t drops[MARKUP_DROPS];
    enum charset charset;
    bool cut;

    struct markup_page_state *state; /* private */
};

void markup_init(struct markup *m);
void markup_release(struct markup *m);

/* page_url is canonical; http_charset is the label of the Content-Type header
 * (charset_of_content_type()), or empty. */
int markup_page(struct markup *m, struct str html, struct str page_url,
                struct str http_charset);

/* The page's visible text in UTF-8, appended to out: white space collapsed, a
 * newline where a block or line ends, so that no phrase runs across it. */
int markup_text(struct str html, struct str http_charset, struct buf *out);

#endif
