/*
 * clean_refs - character references, as ftfy and as Python decode them.
 *
 * Model.   All append s to out with references decoded.  Python's
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

/* ftfy's, and again for what it decodes to, until nothing is left; characters
 * become what step 1 of train/clean.h makes of them at once, as they may be
 * part of the next reference (&#xff06;#38; is & when all is done).  s holds
 * no ESC.  One pass; spare is scratch. */
void clean_refs_nested(struct str s, struct buf *spare, struct buf *out);

#endif
