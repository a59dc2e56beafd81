/*
 * titles_reader - one thread's part of titles: the hours of whole periods.
 *
 * Model.   A period is what belongs together: the files of one hour, of a day,
 *          of a month, or a file whose name says nothing.  titles_reader_add()
 *          reads one of its files, titles_reader_end() ends it: what reached
 *          the floor of an hour goes to the reader's sums, by title.  Views of
 *          a period have to go to one reader; which of them gets which period
 *          changes nothing once all sums are merged (querylist/keycount).
 * Owns.    Hours, sums, drops, runs on disk.
 * Fails.   As titles.h says.
 * Threads. One at a time; a reader each may run beside others.
 * Cost.    Three equal parts of `memory`: hours, sorting them once they do not
 *          fit, sums.
 */
#ifndef QUERYLIST_TITLES_READER_H
#define QUERYLIST_TITLES_READER_H

#include "base/err.h"
#include "base/tally.h"
#include "querylist/keycount.h"
#include "querylist/keytab.h"
#include "querylist/pageviews.h"
#include "querylist/title.h"
#include "querylist/titles.h"
#include <stdint.h>

struct titles_reader {
    const struct titles_config *c; /* borrowed */
    uint64_t part;                 /* bytes of each of the three */
    struct pageviews views;
    struct title_form form, form_of_target;
    struct keytab hours;         /* of this period: title and slot */
    struct keycount *more_hours; /* what they left to the disk, or NULL */
    struct keycount *sums;       /* by title */
    struct tally drops;
    uint64_t spilled;           /* bytes of runs, those of sums aside */
    struct titles_reader *next; /* idle ones; the owner's */
};

/* A reader that failed to open wants closing, too. */
int titles_reader_open(struct titles_reader *r, const struct titles_config *c,
                       const struct pageviews_project *project, uint64_t memory,
                       struct err *e);
void titles_reader_close(struct titles_reader *r);

int titles_reader_add(struct titles_reader *r, const char *path, struct err *e);
int titles_reader_end(struct titles_reader *r, struct err *e);

#endif
