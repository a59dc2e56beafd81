/*
 * match_stdin - `witmill match CORPUS --stdin`: texts in, their queries out.
 *
 * Model.   Reads a text a line, UTF-8, and writes for each, in order, a line
 *          of JSON:
 *              {"q":[0,7],"queries":[{"id":0,"text":"Dog","group":0},
 *               {"id":3,"text":"dog","group":0},{"id":7,...}]}
 *          q are the groups as match writes them, queries the entries of each.
 *          The text is matched as it is; no text rule is asked.  A line that
 *          cannot be matched gives {"error":"..."}: one that is no UTF-8 under
 *          the default policy, or longer than MATCH_STDIN_LINE_MAX bytes.
 *
 *          Whatever whole lines have been read are answered before more is
 *          waited for, so that a program may ask line by line; and many at a
 *          time when they come in bulk.
 * Fails.   What qlist_open(), read() and write() report.
 * Threads. One.
 */
#ifndef TOOLS_MATCH_STDIN_H
#define TOOLS_MATCH_STDIN_H

#include "base/corpus.h"
#include "base/err.h"

#define MATCH_STDIN_LINE_MAX (1u << 20) /* bytes, without the newline */

/* in, out: descriptors. */
int match_stdin(const struct corpus *c, int in, int out, struct err *e);

#endif
