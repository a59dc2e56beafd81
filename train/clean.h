/*
 * clean - a text as CLIP's tokenizer reads it.
 *
 * Model.   What the published tokenizer does to a text before it cuts it:
 *            1. ftfy's fix_text, line by line until nothing changes, but for
 *               its repair of misread encodings: entities that end in ;, C1
 *               controls as windows-1252, Latin ligatures, full and half
 *               width, curly quotes, line breaks, terminal escapes, control
 *               characters, NFC;
 *            2. Python's html.unescape, twice;
 *            3. white space to single spaces, none at the ends;
 *            4. Python's str.lower, U+0130 and final sigma included.
 *          A text in which step 1 might have repaired an encoding is told as
 *          garbled (clean_garbled).
 * Owns.    Buffers between calls; a cleaned text is valid until the next.
 * Fails.   -E_NOMEM; -E_TOOBIG when a text grows over CLEAN_MAX.
 * Threads. One struct per thread.
 * Cost.    ASCII without & is one pass; the rest a few passes over its code
 *          points, and as many again for each of the first eight levels of
 *          nested entities (what is nested deeper is told as garbled by those
 *          and by what comes out).
 */
#ifndef TRAIN_CLEAN_H
#define TRAIN_CLEAN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/fold.h"
#include "base/str.h"

#define CLEAN_MAX   (1u << 20) /* bytes of a text on its way */
#define CLEAN_SLACK 16         /* bytes */

struct clean {
    struct buf utf8;    /* the text, when it came as something else */
    struct buf line;    /* a line as a round of step 1 finds it */
    struct buf text[2]; /* what steps make of each other's result */
    struct buf whole;   /* the lines that are done; then the result */
    struct fold fold;
    bool garbled; /* of the last text */
};

void clean_init(struct clean *c);
void clean_release(struct clean *c);

/* *cleaned lies in c, with CLEAN_SLACK bytes behind it that may be read.
 * Bytes that are no UTF-8 read as U+FFFD. */
int clean_text(struct clean *c, struct str text, struct str *cleaned);

/* A line of UTF-8 that some single-byte set may have garbled: all of it is in
 * that set, and its bytes there are UTF-8 that is not all ASCII; or a part
 * looks so in windows-1252.  "caf\u00c3\u00a9" does; an innocent may, too. */
bool clean_garbled(struct str line);

#endif
