/*
 * words_fold - the words of text that is not all ASCII, default policy.
 *
 * Model.   Text is folded and spelled (querylist/words_kind.h) a window at a
 *          time, and that cut (querylist/words_cut.h).  What has to be
 *          normalised as a whole, because a character joins the one before it
 *          or changes places with it, is spelled again from the last boundary.
 * Owns.    The window, of struct words.
 * Fails.   -E_FORMAT for invalid UTF-8, -E_NOMEM.
 * Threads. Of the struct words.
 * Cost.    Of ASCII a few instructions for 16 bytes, of the rest a look-up and
 *          two stores a character.
 */
#ifndef QUERYLIST_WORDS_FOLD_H
#define QUERYLIST_WORDS_FOLD_H

#include "querylist/words_cut.h"

/* Cuts s, from a character on that nothing joins to those before it, up to a
 * place where nothing joins what follows either: all of it, or behind a long
 * stretch of ASCII.  *n becomes the bytes cut. */
int words_cut_folded(struct cutter *c, struct str s, size_t *n);

#endif
