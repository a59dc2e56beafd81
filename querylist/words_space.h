/*
 * words_space - the words of MetaCLIP's policy.
 *
 * Model.   Each of , . ; : ? ! ` gets a space on both sides, then TAB, LF and
 *          CR become spaces, and a word is what stands between two spaces; or
 *          (an entry's, not spaced) what stands between two of its own.
 * Owns.    Nothing.
 * Fails.   Never: there is room.
 * Threads. Of the struct words.
 * Cost.    Of 64 bytes at a time bits say where words end; a turn for each.
 */
#ifndef QUERYLIST_WORDS_SPACE_H
#define QUERYLIST_WORDS_SPACE_H

#include "querylist/words.h"

/* What there has to be room for; at most 2 s.n + 2. */
size_t words_count_spaced(struct str s, bool spaced);

/* The words of s into w, where there is room for as many and WORDS_BEYOND
 * (words_cut.h) more, and for WORDS_BEYOND and WORDS_SLACK more bytes than
 * three times its own. */
void words_space_plain(struct words *w, struct str s, bool spaced);
void words_space_wide(struct words *w, struct str s, bool spaced);

#endif
