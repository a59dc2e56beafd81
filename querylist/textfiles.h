/*
 * textfiles - the plain text and HTML files that `queries --text` counts.
 *
 * Model.   textfiles_list() turns files and folders into one list: a file as
 *          it is named; of a folder, at any depth, the regular files (no
 *          links) whose names end in .txt .text .html .htm .xhtml .xht in any
 *          case, in bytewise order of paths.  textfiles_count() feeds one
 *          file to a counter: HTML by base/markup's visible text, where a line
 * is a phrase; plain text, in any compression, where an empty line ends one.
 * Owns.    The paths.
 * Fails.   -E_IO, -E_NOTFOUND, -E_FORMAT for damaged compression, and
 *          ngrams.h's.  What cannot be counted is a drop: "charset" (a line
 *          that is not UTF-8), "too-long" (a line over TEXTFILES_LINE_MAX, a
 *          page over TEXTFILES_PAGE_MAX).
 * Threads. One at a time.
 */
#ifndef QUERYLIST_TEXTFILES_H
#define QUERYLIST_TEXTFILES_H

#include "base/err.h"
#include "base/tally.h"
#include "querylist/ngrams.h"
#include <stddef.h>

#define TEXTFILES_LINE_MAX ((size_t)16 << 20) /* bytes */
#define TEXTFILES_PAGE_MAX ((size_t)64 << 20) /* bytes of HTML */
#define TEXTFILES_MAX      10000000u          /* files */
#define TEXTFILES_DEPTH    64                 /* folders in folders */

struct textfiles {
    char **paths;
    size_t n, cap;
};

void textfiles_init(struct textfiles *t);
void textfiles_release(struct textfiles *t);

/* Append what path, a file or a folder, stands for. */
int textfiles_list(struct textfiles *t, const char *path, struct err *e);

int textfiles_count(const char *path, struct ngrams_counter *n,
                    struct tally *drops, struct err *e);

#endif
