/*
 * markup_page - the state of one page being read; private to base/markup*.
 *
 * Model.   The walk fills arrays of images, figures, pictures, links and
 *          captions, which refer to each other by index, because what an image
 *          is called may stand behind it; when the page has ended,
 *          markup_emit() makes pairs of them.
 */
#ifndef BASE_MARKUP_PAGE_H
#define BASE_MARKUP_PAGE_H

#include "base/arena.h"
#include "base/markup.h"
#include "base/markup_walk.h"

/* A text after rule 6: bytes that can be stored, or why they cannot. */
struct markup_value {
    struct str s;  /* trimmed; unset when reason is not 0 */
    bool present;  /* there is something but white space */
    unsigned drop; /* 0, URL_CHARSET or MARKUP_TEXT_LENGTH */
};

/* A URL, or the drop reason of the first attribute that gave none. */
struct markup_src {
    struct str url; /* p NULL: none yet */
    unsigned drop;  /* 0: nothing was tried */
};

struct markup_image {
    struct markup_src src;       /* rule 1 up to srcset */
    struct str last_resort;      /* rule 4 */
    struct markup_value text[3]; /* by enum markup_from: alt, title, aria */
    uint32_t picture, figure;    /* WALK_NONE for none */
    uint32_t captions;           /* first of a list of rule 9, WALK_NONE */
    bool in_figcaption, pixel;
};

struct markup_figure {
    struct markup_value caption;
    uint32_t order; /* of the caption, WALK_NONE while there is none */
};

struct markup_caption {
    struct markup_value text; /* set when it has closed */
    size_t start;             /* of its text in the collapse buffer */
    uint32_t figure;          /* whose it is, or WALK_NONE: then rule 9 */
    uint32_t image;           /* rule 9: of which image */
    uint32_t next;            /* in that image's list */
    size_t n_images;          /* seen when it opened */
};

struct markup_anchor {
    struct str title, aria; /* as written */
};

/* Text that is being collapsed: rule 6 and DESIGN's Readings, as it comes. */
struct markup_collapse {
    struct buf out;
    bool space;     /* the last thing was White_Space */
    size_t bad_end; /* behind the last U+FFFD */
};

struct markup_array {
    void *p;
    size_t n, cap;
};

struct markup_page_state {
    struct markup *m;
    struct arena arena;
    struct charset_decoder decoder;
    struct walk walk;
    struct buf decoded, url, best; /* scratch */
    struct markup_collapse attr;   /* an attribute's text */
    struct markup_collapse run;    /* the text inside open captions */

    struct str base;
    bool base_fixed;   /* the first base with href has been seen */
    bool base_restart; /* it came too late: read the page again */
    bool resolved;     /* something was resolved against base */

    struct markup_array images, figures, pictures, captions, anchors;
    struct markup_array pairs, links, metas;
    struct markup_array slots, counts; /* of markup_emit() */
    size_t open_captions;
    bool clean; /* only white space since the last image */

    struct markup_src og[3];        /* image, image:url, image:secure_url */
    struct markup_value og_text[2]; /* description, image:alt */
    bool og_seen[2];
    int rc; /* sticky: -E_NOMEM */
};

/* ---- markup.c ---- */

/* A cleared new element at the end of the array, NULL past max (`cut`, counted)
 * or without memory (rc). */
void *markup_grow(struct markup_page_state *s, struct markup_array *a,
                  size_t size_bytes, size_t max);

/* Room for n elements in all; false without memory (rc). */
bool markup_reserve(struct markup_page_state *s, struct markup_array *a,
                    size_t n, size_t size_bytes);

/* A copy in the arena; p NULL past its ceiling (`cut`). */
struct str markup_keep(struct markup_page_state *s, struct str v);

/* An attribute's value, references decoded; valid until the next call. */
struct str markup_attr(struct markup_page_state *s, struct str raw);

/* ---- markup_url.c ---- */

/* Rules 2 and 18: raw as a URL into src, if src has none yet. */
void markup_try_url(struct markup_page_state *s, struct str raw,
                    struct markup_src *src);

/* Rule 18 alone: what is no image's URL. */
void markup_try_link(struct markup_page_state *s, struct str raw,
                     struct markup_src *src);

/* Rule 3: the best candidate of raw, a srcset. */
void markup_try_srcset(struct markup_page_state *s, struct str raw,
                       struct markup_src *src);

/* The candidate of a decoded srcset; false when there is none. */
bool markup_srcset_best(struct str srcset, struct str *url);

/* The attributes of the current tag: rules 1, 4 and 14. */
void markup_read_image(struct markup_page_state *s, struct markup_image *img);

/* Rule 5: one source of a picture. */
void markup_read_source(struct markup_page_state *s, struct markup_src *src);

/* ---- markup_value.c ---- */

void markup_collapse_add(struct markup_collapse *c, struct str utf8);
void markup_collapse_space(struct markup_collapse *c);
void markup_collapse_clear(struct markup_collapse *c);

/* What was collapsed from start on, trimmed, kept in the arena. */
struct markup_value markup_collapsed(struct markup_page_state *s,
                                     const struct markup_collapse *c,
                                     size_t start);

/* An attribute as a text. */
struct markup_value markup_attr_text(struct markup_page_state *s,
                                     struct str raw);

/* ---- markup_caption.c ---- */

/* el may begin a caption; then it gets one. */
void markup_open_caption(struct markup_page_state *s, struct walk_element *el);

/* The caption of that number has ended. */
void markup_close_caption(struct markup_page_state *s, uint32_t at);

/* ---- markup_head.c: the current tag is an a, base, link, meta ---- */

void markup_read_anchor(struct markup_page_state *s, struct walk_element *el);
void markup_read_base(struct markup_page_state *s);
void markup_read_canonical(struct markup_page_state *s);
void markup_read_meta(struct markup_page_state *s);

/* ---- markup_emit.c ---- */

/* Pairs of all images; rules 7 to 15 and 20. */
int markup_emit(struct markup_page_state *s);

#endif
