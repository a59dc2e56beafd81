/*
 * titles - articles by page views, the source `title` of the list.
 *
 * Model.   titles_read() takes view files (querylist/pageviews), whose titles
 *          are brought into one form (querylist/title) or dropped.  Views of a
 *          title are summed within each hour, over all files and lines of that
 *          hour, so that mobile and desktop are one; an hour of fewer than
 *          min_hour_views is left out; the others make the title's sum.  (In a
 *          file of a month the letters are days: the floor is then a day's,
 *          and a file that gives one number for its period has one floor for
 *          it.)  titles_rank() gives the titles of at least min_views, most
 *          views first, ties bytewise, the best `keep` of them.
 *          Redirects, where aliases say what leads where:
 *          - TITLES_OWN: a redirect is a title of its own with its own views,
 *            as in the published list, which knew no redirects.
 *          - TITLES_TARGET: its views go to the article, hour by hour and
 *            before the floor, and it is no title itself.
 *          - TITLES_BOTH: the article gets its views, and it stays a title.
 * Owns.    Sums, runs on disk, and the texts that titles_rank() gives, until
 *          titles_close().
 * Fails.   What pageviews.h and keycount.h report.  Lines that cannot count are
 *          drops: pageviews.h's, and "views-charset", "views-no-title",
 *          "views-colon", "views-main-page", "views-title-too-long",
 *          "views-illegal" (title.h).
 * Threads. One at a time; titles_read() uses `threads` of its own, a period
 *          each, and nothing depends on how many.
 * Cost.    Memory as configured: a quarter each for the hours of the periods
 *          that are being read, for sorting them once they do not fit, and for
 *          sums; what does not fit goes to disk in sorted runs.  A thread has
 *          TITLES_THREAD_MEMORY of that at least.  The best titles
 *          take about 80 bytes each beside that.
 */
#ifndef QUERYLIST_TITLES_H
#define QUERYLIST_TITLES_H

#include "base/err.h"
#include "base/tally.h"
#include "querylist/aliases.h"
#include "querylist/list.h"
#include <stddef.h>
#include <stdint.h>

/* With less an hour's titles would go to the disk again and again. */
#define TITLES_THREAD_MEMORY ((uint64_t)96 << 20)

enum titles_redirects { TITLES_OWN, TITLES_TARGET, TITLES_BOTH };
extern const char *const titles_redirects_names[]; /* "own"..., NULL */

struct titles_config {
    const char *project;     /* pageviews_project()'s name */
    uint64_t min_hour_views; /* of a title in an hour */
    uint64_t min_views;      /* in sum */
    uint64_t keep;           /* titles at most */
    enum titles_redirects redirects;
    const struct titles_aliases *aliases; /* NULL: none are known */
    unsigned threads;                     /* 0 is 1 */
    uint64_t memory;                      /* bytes */
    uint64_t thread_memory; /* bytes that a thread has at least, or fewer
                               threads read; 0: as in earnest, for tests */
    const char *folder;     /* for runs; NULL: memory has to do */
};

struct titles_stats {
    uint64_t files;
    uint64_t lines;   /* of the project, good ones */
    uint64_t titles;  /* with an hour above the floor */
    uint64_t ranked;  /* with min_views */
    uint64_t spilled; /* bytes of runs */
};

struct titles;

int titles_open(struct titles **t, const struct titles_config *c,
                struct err *e);
void titles_close(struct titles *t); /* NULL is fine */

/* Files in any order; to be called once. */
int titles_read(struct titles *t, char *const *paths, size_t n,
                struct tally *drops, struct err *e);

int titles_rank(struct titles *t, struct query_candidates *to, struct err *e);

void titles_stats(const struct titles *t, struct titles_stats *s);

#endif
