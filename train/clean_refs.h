/*
 * clean_refs - character references, as ftfy and as Python decode them.
 *
 * Model.   Both append s to out with references decoded.  Python's
 *          html.unescape takes names without their semicolon, the longest that
 *          fits, and numbers.  ftfy takes what is closed by ; and has at most
 *          24 letters and digits, nothing that gives a semicolon itself, and
 *          names in capitals (P&EACUTE;REZ).
 * Fails.   out says.
 * Threads. Pure.
 */
#ifndef TRAIN_CLEAN_REFS_H
#define TRAIN_CLEAN_REFS_H

#include "base/buf.h"
#include "base/str.h"

void clean_refs_python(struct str s, struct buf *out);
void clean_refs_ftfy(struct str s, struct buf *out);

#endif
