/*
 * list_show - what `queries` says of a list that is there.
 *
 * Model.   Reads CORPUS/queries.bin.  list_show_export() writes it in one of
 *          querylist/list_io's forms; list_show_check() prints which class
 *          names of evaluation sets it contains (querylist/list_check).
 *          list_show_can_*() find out before a list is made, which may take
 *          hours, whether they will be able to.
 * Fails.   -E_NOTFOUND without a list; -E_NEGATIVE, with what is missing on
 *          stdout, when a list lacks class names; what reading and writing
 *          report.
 * Threads. One.
 */
#ifndef TOOLS_LIST_SHOW_H
#define TOOLS_LIST_SHOW_H

#include "base/err.h"
#include "base/opt.h"

/* "name" (the form that the file's name ends in), "text", "tsv", "json". */
extern const char *const list_show_forms[];

/* Can path (NULL: none is asked for) be written and is none of the corpus's
 * own files?  option, "--export", is for messages. */
int list_show_can_write(const char *corpus, const char *option,
                        const char *path, struct err *e);

/* Are files lists of names?  What can be read only once, standard input ("-")
 * or a pipe, is not looked at yet. */
int list_show_can_check(const struct opt_list *files, struct err *e);

/* path "-": standard output; form: index in list_show_forms. */
int list_show_export(const char *corpus, const char *path, int form,
                     struct err *e);

/* For each file "N of M", and the names that are missing: -E_NEGATIVE when
 * there are any. */
int list_show_check(const char *corpus, const struct opt_list *files,
                    struct err *e);

#endif
