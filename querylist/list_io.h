/*
 * list_io - query lists as files: what other programs and people keep.
 *
 * Model.   Three forms, told by a name's end, .gz, .bz2 and .zst before it
 *          left aside:
 *          - .json: an array of strings, as MetaCLIP's metadata.json.  Written
 *            as Python's json.dump writes it: ", " between two, everything but
 *            printable ASCII escaped; such a file, read and written, is the
 *            same bytes if no entry stands in it twice.
 *          - .tsv: a header of column names, then a line an entry.  Written:
 *            id, text, norm, group, sources (with commas), count, pmi, views,
 *            synset, flags (with commas: no-words, never); what is not known
 *            is empty; TAB, LF, CR and backslash are \t, \n, \r, \\.  Read:
 *            text, and count, pmi and views where there are such columns, in
 *            any order.
 *          - else text: an entry a line.  Reading cuts outer white space and
 *            leaves out empty lines, so that an entry with spaces at its ends
 *            wants one of the other forms.
 *          A byte order mark is passed over.
 * Owns.    What is read points into the bytes and the arena.
 * Fails.   -E_FORMAT with name and place when the whole is not of its form;
 *          -E_TOOBIG past the arena's ceiling.  A line of a TSV that is not
 *          right is a drop: "list-fields", "list-number", "list-escape".
 * Threads. Pure but for the drops.
 */
#ifndef QUERYLIST_LIST_IO_H
#define QUERYLIST_LIST_IO_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/tally.h"
#include "querylist/list.h"
#include "querylist/qlist.h"

enum query_form { QUERY_FORM_TEXT, QUERY_FORM_TSV, QUERY_FORM_JSON };
extern const char *const query_form_names[]; /* "text", "tsv", "json", NULL */

enum query_form query_form_of(const char *path);

/* The entries of a file's bytes, which stay put; name is for messages. */
int query_list_import(struct query_candidates *to, enum query_form form,
                      struct str bytes, const char *name, struct arena *arena,
                      struct tally *drops, struct err *e);

/* A whole file by its name; the arena's ceiling is the file's. */
int query_list_read(struct query_candidates *to, const char *path,
                    struct arena *arena, struct tally *drops, struct err *e);

/* The list's bytes, piece by piece. */
typedef int (*query_list_put)(void *ctx, struct str bytes, struct err *e);
int query_list_export(const struct qlist *l, enum query_form form,
                      query_list_put put, void *ctx, struct err *e);

#endif
