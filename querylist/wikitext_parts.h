/*
 * wikitext_parts - what the files of querylist/wikitext share.
 *
 * Model.   wikitext_cut() fills w->cuts; then struct reader walks over the
 *          fragments between them and writes.  A fragment is the text from
 *          `at` to `end`, where the next cut begins; k->cut is that cut.
 * Threads. As wikitext.h.
 */
#ifndef QUERYLIST_WIKITEXT_PARTS_H
#define QUERYLIST_WIKITEXT_PARTS_H

#include "base/str.h"
#include "querylist/wikitext.h"
#include "querylist/wikitext_scan.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what is cut ---- */

enum cut_kind {
    CUT_INLINE,       /* leaves nothing */
    CUT_BLOCK,        /* leaves an empty line */
    CUT_LITERAL,      /* its inside stays as it is */
    CUT_LITERAL_BLOCK /* likewise, with an empty line on both sides */
};

struct wikitext_cut {
    uint32_t from, to;   /* bytes of the source, [from, to) */
    uint32_t inside;     /* literal: first byte of what stays */
    uint32_t inside_end; /* and the byte behind its last */
    enum cut_kind kind;
};

/* Find the cuts of a text into w->cuts. */
int wikitext_cut(struct wikitext *w, struct str text);

/* ---- tags ---- */

enum tag_kind {
    TAG_NONE,   /* no tag that wikis know: text */
    TAG_INLINE, /* goes without a trace */
    TAG_BLOCK,  /* ends a phrase */
    TAG_TABLE,  /* cut with what it holds, which may nest */
    TAG_DROP,   /* cut up to its end tag, which is the next one */
    TAG_DROP_BLOCK,
    TAG_LITERAL, /* what it holds is no wikitext */
    TAG_LITERAL_BLOCK
};

struct tag {
    enum tag_kind kind;
    bool lax;      /* TAG_DROP*: may hold its own start tag (code does) */
    bool close;    /* </name> */
    bool empty;    /* <name/> */
    uint32_t id;   /* of the name, below TAG_IDS */
    uint32_t name; /* bytes behind < and / */
    uint32_t name_end;
    uint32_t end; /* byte behind >, or 0 where there is none */
};

#define TAG_IDS 128

/* The tag whose < stands at `at`; end is not looked for (tag_end does). */
struct tag tag_at(struct str text, size_t at);

/* Find the > of the tag, before any other <, and set end and empty.  Steps
 * made are added. */
void tag_end(struct str text, struct tag *t, uint64_t *steps);

/* ---- text ---- */

struct reader {
    struct wikitext *w;
    const struct dump_site *site;
    struct str text;
    size_t at, end;
    const struct wikitext_cut *cut, *cut_end;
    struct scan scan;
    char *base, *to; /* what was written; there is always room */
    /* The line. */
    char *line;      /* where it begins in what was written */
    bool fresh;      /* nothing of it was read */
    bool heading;    /* ends in = */
    bool block;      /* ends in an empty line */
    unsigned labels; /* external links that are open */
    unsigned bold, italic;
    size_t lonely[3];  /* where a ' may have to be put in: behind a single
                          letter, a word, a space; plus one */
    char *target;      /* where a link's target begins that was written, or
                          NULL */
    size_t no_file;    /* a link to a file is not closed before here */
    size_t no_variant; /* nor a variant */
};

/* Write n bytes of the text from k->at on, which moves.  Runs are short, so
 * that a copy of fixed length is worth more than one of the right length:
 * WIKITEXT_TEXT_MAX has room for what is too much. */
static inline void put_run(struct reader *k, size_t n)
{
    if (n <= 32 && k->text.n - k->at >= 32)
        memcpy(k->to, k->text.p + k->at, 32);
    else
        memcpy(k->to, k->text.p + k->at, n);
    k->to += n;
    k->at += n;
}

/* Write s as it is, but for entities. */
void put_literal(struct reader *k, struct str s);

/* The entity at k->at, or its ampersand. */
void read_entity(struct reader *k);

void trim_spaces(struct reader *k); /* at the end of what was written */

/* A line feed, unless an empty line is there already, or nothing yet. */
void put_line_end(struct reader *k);

/* An empty line, unless there is one already, or nothing yet. */
void put_block(struct reader *k);

/* The character at k->at, of which each is. */
void read_bracket(struct reader *k);       /* [ */
void read_close_bracket(struct reader *k); /* ] */
void read_address(struct reader *k);       /* : */
void read_tag(struct reader *k);           /* < */
void read_brace(struct reader *k);         /* { */

/* Move to `at`, perhaps across cuts. */
void skip_to(struct reader *k, size_t at);

/* Bytes of an address's scheme, // included, that s begins with; 0: none. */
size_t scheme_length(struct str s);

/* The byte at `at`, or 0 at the end of the fragment. */
static inline char peek(const struct reader *k, size_t at)
{
    return at < k->end ? k->text.p[at] : 0;
}

#endif
