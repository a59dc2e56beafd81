/*
 * pageviews - the lines of Wikimedia's page view files.
 *
 * Model.   pageviews_read() goes through a file of any compression and gives
 *          each line of one project to a callback: a title, and views by slot.
 *          Lines of other projects are passed over unread.  Three forms, told
 *          apart line by line; fields are separated by one space:
 *            hourly    CODE TITLE VIEWS BYTES        pageviews-*, pagecounts-*
 *            complete  CODE TITLE PAGE_ID ACCESS TOTAL SLOTS
 *            merged    CODE TITLE TOTAL SLOTS        pagecounts-ez; also with
 *                                                    one of id and access
 *          SLOTS is a letter and a number, again and again: A1C12 is one view
 *          in the first hour of the day and 12 in the third; in the files of a
 *          month it is days, and behind Z stand [ \ ] ^ _ for 27 to 31.  An
 *          hourly line is slot 0.  TOTAL has to be the sum.
 *          - CODE is en, en.m, en.zero of the hourly forms, en.z, en.m.z,
 *            en.zero.z of the merged one, en.wikipedia of the complete one:
 *            one project, so that mobile views count with the others.
 *          - A title that holds " comes in quotes from the complete form, with
 *            \ before " and \; what is given is without them.
 *          - What a file is of stands in its name: pageviews-20240131-130000 an
 *            hour, -20240131- a day, -202401- a month; any other name is a
 *            period of its own.  Views of one period and slot belong together,
 *            whichever files and lines they came from.
 * Owns.    A buffer, between init and release.  Titles are borrowed for the
 *          call.
 * Fails.   The stream's errors and the callback's.  A line that is none of the
 *          forms is a drop: "views-fields", "views-number", "views-slots",
 *          "views-sum", "views-too-long"; the first of a file is logged with
 *          its number, so that somebody can look.
 * Threads. One per reader.
 * Cost.    memchr() from line to line; nothing is allocated per line.
 */
#ifndef QUERYLIST_PAGEVIEWS_H
#define QUERYLIST_PAGEVIEWS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/stream.h"
#include "base/tally.h"
#include <stdbool.h>
#include <stdint.h>

#define PAGEVIEWS_LINE_MAX  16384u                /* bytes of a line */
#define PAGEVIEWS_VIEWS_MAX UINT64_C(10000000000) /* of a line and slot */
#define PAGEVIEWS_CODES     8
#define PAGEVIEWS_SLOTS     31 /* days of a month; hours are 24 */

/* ---- which lines ---- */

struct pageviews_project {
    char codes[PAGEVIEWS_CODES][48];
    size_t n;
    size_t language; /* bytes that all codes begin with */
    bool exact_case; /* it tells Dog from dog, as Wiktionaries do */
};

/* name: a language ("en"), or with a project ("de.wikisource", "de.s");
 * -E_USAGE when it is neither. */
int pageviews_project(struct pageviews_project *p, const char *name,
                      struct err *e);

/* ---- which period ---- */

enum pageviews_unit {
    PAGEVIEWS_HOUR,
    PAGEVIEWS_DAY,
    PAGEVIEWS_MONTH,
    PAGEVIEWS_OWN /* the name does not say */
};

struct pageviews_period {
    enum pageviews_unit unit;
    uint32_t number; /* yyyymmdd * 24 + hour, yyyymmdd, yyyymm; of an own
                        period 0, the caller numbers them */
};

struct pageviews_period pageviews_period(const char *path);

/* ---- reading ---- */

struct pageviews_slot {
    unsigned at;    /* below PAGEVIEWS_SLOTS */
    uint64_t views; /* 0 to PAGEVIEWS_VIEWS_MAX */
};

/* Of one line; slots ascend, n of them, at least one. */
typedef int (*pageviews_fn)(void *ctx, struct str title,
                            const struct pageviews_slot *slots, size_t n,
                            struct err *e);

struct pageviews {
    const struct pageviews_project *project; /* borrowed */
    pageviews_fn fn;
    void *ctx;
    struct tally *drops;            /* borrowed */
    uint64_t lines;                 /* of the project, good ones */
    struct buf buffer;              /* read and not yet cut into lines */
    char title[PAGEVIEWS_LINE_MAX]; /* one that came in quotes */
    uint64_t number;                /* of the line, from 1 */
    uint64_t bad, first_bad;        /* in this file: lines, number */
    const char *first_reason;
    unsigned slots; /* that this file's period has */
};

void pageviews_init(struct pageviews *p,
                    const struct pageviews_project *project, pageviews_fn fn,
                    void *ctx, struct tally *drops);
void pageviews_release(struct pageviews *p);

int pageviews_read(struct pageviews *p, const char *path, struct err *e);
/* The same from a stream; name says what period and stands in messages. */
int pageviews_read_stream(struct pageviews *p, struct stream *in,
                          const char *name, struct err *e);

#endif
