/*
 * dump - the pages of a MediaWiki export (XML of schemas 0.3 to 0.11).
 *
 * Model.   Two halves.  A struct dump reads a stream and cuts it into blocks
 *          of whole pages, in one thread, at some gigabytes a second: it looks
 *          at no more than the byte behind each `<`.  A struct dump_pages
 *          takes a block apart into pages, in any thread.  What comes out does
 *          not depend on where blocks end.
 *
 *          Of a page's revisions the last one counts; a page with a long history
 *          is held without the earlier ones.  Text is unescaped (the five
 *          entities of XML, references by number, CDATA), is valid UTF-8 of
 *          characters that XML allows and has LF line ends; an element without
 *          content, or the text of a deleted revision, is "".  Comments and
 *          processing instructions are passed over.  Exports that follow each
 *          other in one stream (parts of one dump, unpacked by one command) are
 *          one dump when their <siteinfo> is the same.
 *
 *          Schemas before 0.6 have no <ns>: the number comes from the title's
 *          prefix.  A <redirect/> that does not say where to, and, before 0.4,
 *          a text that begins with #REDIRECT: the text's first link says it.
 * Owns.    dump: what it has read and its copy of the name; a block its bytes.
 *          A page's slices point into its block and into the dump_pages, until
 *          dump_pages_next() is called again.
 * Fails.   -E_FORMAT with the name, the byte of the XML, number and title of
 *          the page: what is not well-formed, a DOCTYPE or another
 *          declaration, an entity of its own, a head that is no export's.
 *          What the stream reports.  A dump that is cut off (also one whose
 *          stream ends in damage) gives all whole pages first.  A bad page
 *          costs that page: see enum dump_fault.
 * Threads. A dump has one; dump_site() may be read by any, and every thread
 *          has its own dump_pages.
 * Cost.    A block is about DUMP_BLOCK; nothing is allocated for a page once
 *          buffers have grown.  No page of more than DUMP_PAGE_MAX is held.
 */
#ifndef QUERYLIST_DUMP_H
#define QUERYLIST_DUMP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/stream.h"
#include "querylist/site.h"

#define DUMP_BLOCK    ((size_t)1 << 20) /* bytes of XML, about */
#define DUMP_HEAD_MAX ((size_t)1 << 20) /* bytes before the first page */
#define DUMP_PAGE_MAX                                                          \
    ((size_t)64 << 20)                   /* of a page with one revision, XML   \
                                          */
#define DUMP_TEXT_MAX  ((size_t)8 << 20) /* of a page; MediaWiki takes 2 MiB */
#define DUMP_TITLE_MAX 1024              /* bytes; MediaWiki's are 255 */

/* Why a page is of no use: name for tallies, text for people. */
#define DUMP_FAULT_MAP(X)                                                      \
    X(NONE, "none", "")                                                        \
    X(TITLE, "page-title", "no title, or one that is too long")                \
    X(NUMBER, "page-number", "a number expected in <ns> or <id>")              \
    X(CODE, "page-code", "a character that XML forbids")                       \
    X(CHARSET, "page-charset", "invalid UTF-8")                                \
    X(SIZE, "page-size", "larger than any page may be")

enum dump_fault {
#define X(name, tally, text) DUMP_FAULT_##name,
    DUMP_FAULT_MAP(X)
#undef X
};

const char *dump_fault_name(enum dump_fault f); /* for a tally */
const char *dump_fault_text(enum dump_fault f); /* for people */

struct dump;

struct dump_options {
    bool allow_truncated; /* a dump that is cut off ends with its last whole
                             page instead of failing */
    /* 0: as they are in earnest; small ones are for tests. */
    size_t read_bytes;  /* at a time */
    size_t block_bytes; /* of a block, about */
};

/* in is borrowed; name is for messages.  Reads the head. */
int dump_open(struct dump **d, struct stream *in, const char *name,
              const struct dump_options *o, struct err *e);
void dump_close(struct dump *d); /* NULL is fine */

const struct dump_site *dump_site(const struct dump *d);

/* Earlier revisions of a page were left out of a block. */
struct dump_gap {
    size_t at;  /* in the block's xml */
    uint64_t n; /* bytes */
};

struct dump_block {
    struct buf xml;
    uint64_t first_page; /* number of its first page, from 1 */
    uint64_t pages;
    uint64_t offset;       /* of its first byte in the dump */
    struct dump_gap *gaps; /* in order */
    size_t n_gaps, cap_gaps;
    bool over; /* one page, cut behind its head: too large */
};

void dump_block_init(struct dump_block *b);
void dump_block_release(struct dump_block *b);

/* The next block; *more false (b is empty) at the end. */
int dump_next(struct dump *d, struct dump_block *b, bool *more, struct err *e);

/* Once *more was false: where and how the dump is cut off, or NULL. */
const char *dump_truncated(const struct dump *d);

struct dump_page {
    uint64_t number; /* of the page in the dump, from 1 */
    struct str title;
    int32_t ns;            /* namespace, 0 has the articles */
    uint64_t id;           /* 0: the dump does not say */
    struct str redirect;   /* the title that it points to; n 0: none */
    struct str text;       /* wikitext */
    enum dump_fault fault; /* then text is "" and title may be */
};

struct dump_pages { /* private, but for being set up */
    const struct dump *dump;
    const struct dump_block *block;
    bool every_namespace;
    const char *at;
    uint64_t number;
    struct buf title, redirect, text;
};

/* every_namespace: false leaves text and redirect "" but in namespace 0. */
void dump_pages_init(struct dump_pages *p, const struct dump *d,
                     bool every_namespace);
void dump_pages_release(struct dump_pages *p);

/* From the first page of b, which stays until the last has been taken. */
void dump_pages_start(struct dump_pages *p, const struct dump_block *b);
int dump_pages_next(struct dump_pages *p, struct dump_page *page, bool *more,
                    struct err *e);

#endif
