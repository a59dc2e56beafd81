/*
 * pieces - where CLIP's tokenizer cuts a cleaned text.
 *
 * Model.   From the left, the first of: a special (their spellings are given);
 *          's 't 're 've 'm 'll 'd; letters, as many as there are; one number
 *          sign (N*); other signs, as many as there are.  White space is left
 *          out.  The published expression ignores case, to which cleaned text
 *          owes two things: U+017F is an s (also in specials), and U+0345,
 *          which is the capital of a letter but none itself, is in no class
 *          and left out.
 * Threads. Values and pure functions.
 * Cost.    A table look-up for each ASCII byte.
 */
#ifndef TRAIN_PIECES_H
#define TRAIN_PIECES_H

#include <stdbool.h>
#include "base/str.h"

#define PIECES_SPECIALS 2

struct pieces {
    struct str text;                      /* cleaned: lower case, UTF-8 */
    struct str specials[PIECES_SPECIALS]; /* ASCII, begin with < */
    size_t at;                            /* bytes of text done */
};

/* False at the end.  *special: the index of the special that the piece is
 * spelled as, or -1. */
bool pieces_next(struct pieces *p, struct str *piece, int *special);

#endif
