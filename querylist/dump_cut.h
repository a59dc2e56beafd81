/*
 * dump_cut - where pages begin and end in what has been read of a dump.
 *
 * Model.   dump.c appends to `b`; cut_scan() understands what is there; between
 *          them whole pages go out and the front of b with them.  All that is
 *          seen of the XML is what a `<` begins: pages, revisions, comments,
 *          the end.  The rest is for querylist/dump_pages.c to judge.
 * Fails.   rc, with a message in late: it stands behind the pages in b.
 * Threads. The dump's.
 */
#ifndef QUERYLIST_DUMP_CUT_H
#define QUERYLIST_DUMP_CUT_H

#include "querylist/dump.h"
#include "querylist/dump_inner.h"

#define CUT_TITLE   300                /* bytes of a title in a message */
#define CUT_KEEP    ((size_t)64 << 10) /* of a page that is too large */
#define CUT_NOWHERE SIZE_MAX

struct dump {
    struct stream *in;
    char *name;
    struct dump_options options;
    struct dump_site site;
    struct dump_head head;
    struct buf first_head; /* the first export's, to compare with */

    struct buf b;              /* read, but not in a block yet */
    uint64_t offset;           /* of b in the dump */
    uint64_t pages;            /* whole ones before b */
    char title[CUT_TITLE + 1]; /* of the last of these */
    bool eof;
    int rc;          /* what comes behind the pages in b... */
    struct err late; /* ...and its message */
    char *truncated;

    /* How far b is understood.  All are offsets in b. */
    size_t at;        /* up to here */
    struct str until; /* inside what ends with this; n 0: not */
    bool in_export;   /* <mediawiki> is open */
    bool in_page;
    bool torn;                            /* the dump ends within a tag */
    bool over;                            /* the page is too large */
    bool stop;                            /* a block must end at pages_end */
    size_t page_at;                       /* the last <page> */
    size_t first_revision, last_revision; /* of that page, or CUT_NOWHERE */
    size_t pages_end;                     /* behind the last </page> */
    uint64_t n_pages;                     /* whole ones in b */
    struct dump_gap *gaps;                /* as in struct dump_block */
    size_t n_gaps, cap_gaps;
};

/* Understand what has been read, as far as it goes, or to where a block must
 * end (stop). */
void cut_scan(struct dump *d);

/* No whole page is in b: leave out what no block will need. */
void cut_shrink(struct dump *d);

/* Everything before d->at, between pages with none in b, has served. */
void cut_forget(struct dump *d);

/* The title of the page at `from`, if it is there before `to`; escaped. */
struct str cut_title(const struct dump *d, size_t from, size_t to);

/* Where byte `at` of b is, for people. */
void cut_place(const struct dump *d, size_t at, struct buf *out);

#endif
